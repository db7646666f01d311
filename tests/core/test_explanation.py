import numpy as np
import pandas as pd
import pytest

from sklexplain import Explanation, make_players
from tests.explanations import NAMES, make_explanation


class TestSamples:
    @pytest.mark.parametrize(
        "key",
        [
            slice(1, 4),
            slice(None, None, -2),
            [4, 0],
            np.array([True, False, True, False, False]),
            [True, False, True, False, False],
            ...,
        ],
    )
    def test_like_an_array(self, key):
        explanation = make_explanation()
        part = explanation[key]
        rows = np.arange(5)[key]
        for name in ("values", "base_values", "predictions", "data", "std_errors", "index"):
            np.testing.assert_array_equal(getattr(part, name), getattr(explanation, name)[rows])
        assert part.players == explanation.players

    @pytest.mark.parametrize("key", [0, 3, -1, np.int64(2)])
    def test_one_sample_keeps_its_axis(self, key):
        explanation = make_explanation(outputs=("up", "down"))
        part = explanation[key]
        assert part.shape == (1, 3, 2)
        np.testing.assert_array_equal(part.values[0], explanation.values[key])

    @pytest.mark.parametrize("key", [5, -6, [7], (0, 0, 0, 0), (0, 0, 0)])
    def test_out_of_range(self, key):
        with pytest.raises(IndexError):
            make_explanation()[key]

    def test_without_optional_parts(self):
        part = make_explanation(data=None, std_errors=None, index=None)[1:3, "close"]
        assert part.shape == (2, 1)
        assert part.data is part.std_errors is part.index is None


class TestPlayersAndOutputs:
    @pytest.mark.parametrize(
        ("key", "kept"),
        [
            ("close", [1]),
            (2, [2]),
            (-1, [2]),
            (slice(1), [0]),
            (["volume", "open"], [2, 0]),
            ([2, "open"], [2, 0]),
            (np.array([True, False, True]), [0, 2]),
            ([True, False, True], [0, 2]),
            (("volume",), [2]),
        ],
    )
    def test_players(self, key, kept):
        explanation = make_explanation(outputs=("up", "down"))
        part = explanation[:, key]
        np.testing.assert_array_equal(part.values, explanation.values[:, kept])
        np.testing.assert_array_equal(part.std_errors, explanation.std_errors[:, kept])
        np.testing.assert_array_equal(part.predictions, explanation.predictions)
        assert part.players.names == tuple(NAMES[i] for i in kept)
        for position, player in enumerate(kept):
            np.testing.assert_array_equal(
                part.players.members(position), explanation.players.members(player)
            )
        np.testing.assert_allclose(part.player_data(), explanation.player_data()[:, kept])

    def test_selecting_twice(self):
        explanation = make_explanation()
        part = explanation[:, ["volume", "open"]][:, "open"]
        np.testing.assert_array_equal(part.values, explanation.values[:, :1])
        np.testing.assert_array_equal(part.players.members(0), explanation.players.members(0))

    @pytest.mark.parametrize("key", ["down", 1, -1])
    def test_one_output_drops_the_axis(self, key):
        explanation = make_explanation(outputs=("up", "down"))
        part = explanation[:2, "close", key]
        np.testing.assert_array_equal(part.values, explanation.values[:2, [1], 1])
        np.testing.assert_array_equal(part.std_errors, explanation.std_errors[:2, [1], 1])
        np.testing.assert_array_equal(part.base_values, explanation.base_values[:2, 1])
        np.testing.assert_array_equal(part.predictions, explanation.predictions[:2, 1])
        assert part.output_names == ()

    @pytest.mark.parametrize("key", [["down"], slice(1, None), np.array([False, True])])
    def test_lists_and_slices_of_outputs_keep_it(self, key):
        explanation = make_explanation(outputs=("up", "down"))
        part = explanation[:, :, key]
        np.testing.assert_array_equal(part.values, explanation.values[:, :, 1:])
        np.testing.assert_array_equal(part.base_values, explanation.base_values[:, 1:])
        assert part.output_names == ("down",)

    @pytest.mark.parametrize(
        ("key", "error", "message"),
        [
            ((0, "high"), KeyError, r"no player is named 'high'; known are \['open'"),
            ((0, 0, "high"), KeyError, "no output is named 'high'"),
            ((0, 3), IndexError, "range"),
            ((0, [True, False]), IndexError, "2 .* 3 players"),
            ((0, ["open", "open"]), ValueError, "more than once"),
        ],
    )
    def test_errors(self, key, error, message):
        with pytest.raises(error, match=message):
            make_explanation(outputs=("up", "down"))[key]


class TestConditionsAndDiagnostics:
    """What speaks of samples and players is sliced, stored and refused along with the values."""

    @pytest.fixture
    def explanation(self, rng):
        return make_explanation(
            outputs=("up", "down"),
            conditions=np.array([[f"{n} of {row}" for n in NAMES] for row in range(5)]),
            diagnostics={
                "r2": rng.uniform(size=(5, 2)),
                "label": np.array([["a", "b"]] * 5, dtype=object).astype(str),
            },
        )

    def test_sliced_along(self, explanation):
        part = explanation[[3, 1], ["volume", "open"], "down"]
        assert part.conditions.tolist() == [
            ["volume of 3", "open of 3"],
            ["volume of 1", "open of 1"],
        ]
        np.testing.assert_array_equal(
            part.diagnostics["r2"], explanation.diagnostics["r2"][[3, 1], 1]
        )
        assert part.diagnostics["label"].tolist() == ["b", "b"]
        np.testing.assert_array_equal(
            explanation[2].diagnostics["r2"], explanation.diagnostics["r2"][[2]]
        )

    def test_stored_along(self, explanation, tmp_path):
        explanation.save(tmp_path / "e")
        loaded = Explanation.load(tmp_path / "e")
        np.testing.assert_array_equal(loaded.conditions, explanation.conditions)
        assert loaded.diagnostics.keys() == explanation.diagnostics.keys()
        for name, array in explanation.diagnostics.items():
            np.testing.assert_array_equal(loaded.diagnostics[name], array)

    def test_coarser_players_have_no_conditions(self, explanation):
        coarse = explanation.aggregate({"all": list(NAMES)})
        assert coarse.conditions is None
        assert coarse.diagnostics.keys() == explanation.diagnostics.keys()

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            (
                {"conditions": np.full((5, 2), "")},
                r"conditions have shape \(5, 2\); expected \(5, 3\)",
            ),
            ({"diagnostics": {"r2": np.ones(4)}}, r"diagnostics\['r2'\] has shape \(4,\)"),
        ],
    )
    def test_errors(self, params, message):
        with pytest.raises(ValueError, match=message):
            make_explanation(**params)


class TestAggregate:
    @pytest.mark.parametrize("outputs", [(), ("up", "down")])
    def test_adds_up_inside_the_new_players(self, outputs):
        cells = make_explanation(players="cell", outputs=outputs)
        grid = cells.values.reshape(5, 4, 3, *cells.values.shape[2:])
        features = cells.aggregate("feature")
        np.testing.assert_allclose(features.values, grid.sum(axis=1))
        assert features.players == make_players("feature", (4, 3), NAMES)
        assert features.std_errors is None
        np.testing.assert_array_equal(features.predictions, cells.predictions)
        np.testing.assert_allclose(cells.aggregate("timestep").values, grid.sum(axis=2))
        mapped = cells.aggregate({"price": ["open", "close"]})
        assert mapped.players.names == ("price", "volume")
        np.testing.assert_allclose(mapped.values[:, 0], grid[:, :, :2].sum(axis=(1, 2)))

    def test_after_selecting(self):
        cells = make_explanation(players="cell")
        part = cells[:, ["open[t]", "open[t-3]", "volume[t]"]].aggregate("feature")
        expected = cells.values[:, 9] + cells.values[:, 0]
        np.testing.assert_allclose(part.values[:, 0], expected)
        np.testing.assert_allclose(part.values[:, 1], 0)
        np.testing.assert_allclose(part.values[:, 2], cells.values[:, 11])

    def test_errors(self):
        with pytest.raises(ValueError, match="cannot be divided"):
            make_explanation().aggregate("timestep")
        with pytest.raises(ValueError, match="do not add up"):
            make_explanation(kind="importances").aggregate("feature")


class TestSummaries:
    def test_importances(self):
        explanation = make_explanation(outputs=("up", "down"))
        expected = [[np.mean([abs(v) for v in row]) for row in grid] for grid in
                    explanation.values.transpose(1, 2, 0)]  # fmt: skip
        np.testing.assert_allclose(explanation.importances(), expected)

    def test_score_drops_keep_their_sign(self):
        explanation = make_explanation(kind="importances")
        np.testing.assert_allclose(explanation.importances(), explanation.values.mean(axis=0))

    def test_player_data_is_the_mean_of_the_cells(self):
        explanation = make_explanation()
        np.testing.assert_allclose(explanation.player_data(), explanation.data.mean(axis=1))
        table = make_explanation(shape=(3,), players="column")
        np.testing.assert_array_equal(table.player_data(), table.data)
        assert make_explanation(data=None).player_data() is None

    def test_repr(self):
        assert repr(make_explanation()) == "Explanation(Test: 5 samples × 3 players)"
        assert "× 2 outputs" in repr(make_explanation(outputs=("up", "down")))


class TestToFrame:
    def test_single_output(self):
        explanation = make_explanation()
        frame = explanation.to_frame()
        assert frame.columns.tolist() == list(NAMES)
        assert frame.index.tolist() == [100, 101, 102, 103, 104]
        np.testing.assert_array_equal(frame["close"], explanation.values[:, 1])

    def test_several_outputs_are_a_second_level(self):
        explanation = make_explanation(outputs=("up", "down"))
        frame = explanation.to_frame()
        assert isinstance(frame.columns, pd.MultiIndex)
        assert frame.columns.names == ["player", "output"]
        for i, player in enumerate(NAMES):
            for j, output in enumerate(("up", "down")):
                np.testing.assert_array_equal(frame[player, output], explanation.values[:, i, j])
        assert explanation.column_names() == [f"{p}:{o}" for p, o in frame.columns]


class TestShapes:
    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"values": np.ones((5, 2))}, r"values have shape \(5, 2\); expected \(n_samples, 3\)"),
            ({"values": np.ones(5)}, r"values have shape \(5,\)"),
            ({"values": np.ones((5, 3, 2, 2))}, "values have shape"),
            ({"base_values": np.ones(4)}, r"base_values has shape \(4,\); expected \(5,\)"),
            ({"base_values": 1.0}, r"base_values has shape \(\)"),
            ({"predictions": np.ones((5, 1))}, r"predictions has shape \(5, 1\)"),
            ({"output_names": ("up",)}, "1 output_names for values"),
            ({"values": np.ones((5, 3, 1))}, "base_values has shape"),
            ({"std_errors": np.ones((5, 2))}, r"std_errors has shape \(5, 2\)"),
            ({"data": np.ones((4, 4, 3))}, "data has 4 rows; expected 5"),
            ({"data": np.ones((5, 4, 2))}, r"data has samples of shape \(4, 2\)"),
            ({"index": np.arange(6)}, "index has 6 rows; expected 5"),
            ({"kind": "values"}, "kind='values' must be"),
        ],
    )
    def test_errors(self, params, message):
        with pytest.raises(ValueError, match=message):
            make_explanation(**params)

    def test_lists_become_arrays(self):
        explanation = Explanation(
            [[1, 2]], [0], [3], None, make_players("column", (2,)), std_errors=[[0, 0]], index=["a"]
        )
        np.testing.assert_array_equal(explanation[0, 1].values, [[2]])
        assert explanation.values.dtype == np.float64
        assert explanation.to_frame().index.tolist() == ["a"]
