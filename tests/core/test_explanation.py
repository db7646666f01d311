import contextlib
import io
import json
import pickle
import zipfile

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklexplain import Explanation, make_players

NAMES = ("open", "close", "volume")


def make_explanation(n_samples=5, shape=(4, 3), players="feature", outputs=(), seed=0, **params):
    rng = np.random.default_rng(seed)
    players = make_players(players, shape, NAMES[: shape[-1]])
    values = rng.normal(size=(n_samples, players.n_players, *([len(outputs)] if outputs else [])))
    base = rng.normal(size=(n_samples, *values.shape[2:]))
    defaults = {
        "values": values,
        "base_values": base,
        "predictions": base + values.sum(axis=1),
        "data": rng.normal(size=(n_samples, *shape)),
        "players": players,
        "output_names": tuple(outputs),
        "std_errors": rng.uniform(size=values.shape),
        "index": np.arange(n_samples) + 100,
        "method": "Test",
    }
    return Explanation(**{**defaults, **params})


def assert_same(first, second):
    for name in ("values", "base_values", "predictions", "data", "std_errors", "index"):
        one, other = getattr(first, name), getattr(second, name)
        if one is None or other is None:
            assert one is other
        else:
            np.testing.assert_array_equal(one, other)
            assert np.asarray(one).dtype == np.asarray(other).dtype
    assert first.players == second.players
    assert first.players.level == second.players.level
    assert first.players.feature_names == second.players.feature_names
    for name in ("output_names", "method", "params", "categories", "kind"):
        assert getattr(first, name) == getattr(second, name)


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


class TestToShap:
    @pytest.fixture(autouse=True)
    def no_window(self):
        shown = mpl.get_backend()
        mpl.use("Agg")
        yield
        mpl.pyplot.close("all")
        mpl.use(shown)

    def test_numbers_and_names(self):
        explanation = make_explanation()
        converted = explanation.to_shap()
        np.testing.assert_array_equal(converted.values, explanation.values)
        np.testing.assert_array_equal(converted.base_values, explanation.base_values)
        np.testing.assert_array_equal(converted.data, explanation.player_data())
        assert converted.feature_names == list(NAMES)

    def test_shap_draws_it(self):
        import shap

        converted = make_explanation(n_samples=20).to_shap()
        for plot in (shap.plots.bar, shap.plots.beeswarm):
            axes = plot(converted, show=False)
            labels = {text.get_text() for text in axes.get_yticklabels()}
            assert set(NAMES) <= labels

    def test_output_is_chosen_by_shap_itself(self):
        explanation = make_explanation(outputs=("up", "down"))
        converted = explanation.to_shap()
        assert converted.output_names == ["up", "down"]
        np.testing.assert_array_equal(converted[..., 1].values, explanation[:, :, 1].values)


INDICES = st.one_of(
    st.none(),
    st.just(np.array(["a", "ß", "<b>"])),
    st.just(np.array(["2024-01-01", "NaT", "2024-01-03"], dtype="datetime64[ns]")),
    st.just(np.array([3, 1, 2])),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


class TestSave:
    @given(
        shape=st.sampled_from([(3,), (2, 2)]),
        outputs=st.sampled_from([(), ("up",), ("up", "däwn")]),
        index=INDICES,
        params=st.dictionaries(st.text(), JSON, max_size=3),
        values=arrays(np.float64, 18, elements=st.floats()),
        optional=st.booleans(),
        kind=st.sampled_from(["attributions", "importances"]),
    )
    def test_round_trip(
        self, tmp_path_factory, shape, outputs, index, params, values, optional, kind
    ):
        explanation = make_explanation(
            3,
            shape,
            "auto",
            outputs,
            index=index,
            params=params,
            kind=kind,
            categories={0: ("a", "b")} if optional else {},
            **({} if optional else {"data": None, "std_errors": None}),
        )
        explanation.values.flat = values[: explanation.values.size]
        path = tmp_path_factory.mktemp("saved") / "explanation.npz"
        explanation.save(path)
        assert_same(Explanation.load(path), explanation)

    def test_numpy_numbers_in_params(self, tmp_path):
        params = {"n": np.int64(3), "x": np.float32(0.5), "b": np.bool_(True), "s": np.str_("a")}
        make_explanation(params=params).save(tmp_path / "e")
        assert Explanation.load(tmp_path / "e").params == {"n": 3, "x": 0.5, "b": True, "s": "a"}

    def test_objects_in_the_index_become_text(self, tmp_path):
        days = pd.period_range("2024-01", periods=5, freq="M")
        make_explanation(index=np.asarray(days)).save(tmp_path / "e")
        assert Explanation.load(tmp_path / "e").index.tolist() == [str(day) for day in days]

    def test_after_selecting_players(self, tmp_path):
        part = make_explanation()[:, ["volume", "open"]]
        part.save(tmp_path / "e")
        assert_same(Explanation.load(tmp_path / "e"), part)

    @pytest.mark.parametrize(
        "params", [{"params": {"model": object()}}, {"data": np.full((5, 4, 3), "x", dtype=object)}]
    )
    def test_objects_are_refused_and_leave_no_file(self, tmp_path, params):
        with pytest.raises(TypeError):
            make_explanation(**params).save(tmp_path / "e")
        assert not (tmp_path / "e").exists()

    def test_file_holds_no_pickle(self, tmp_path):
        make_explanation(index=np.array(["a", 1, None, 2, "b"], dtype=object)).save(tmp_path / "e")
        with np.load(tmp_path / "e", allow_pickle=False) as archive:
            assert {archive[name].dtype.kind for name in archive.files} <= set("iufUM")


class Exploit:
    called = False

    def __reduce__(self):
        return (setattr, (Exploit, "called", True))


class TestLoad:
    @pytest.fixture
    def saved(self, tmp_path):
        make_explanation().save(tmp_path / "e.npz")
        with np.load(tmp_path / "e.npz") as archive:
            return tmp_path / "e.npz", dict(archive)

    def test_pickled_objects_never_run(self, saved, tmp_path):
        path, content = saved
        for name in content:
            poisoned = {**content, name: np.array([Exploit()], dtype=object)}
            np.savez(path, **poisoned)
            with pytest.raises(ValueError, match="not a saved Explanation"):
                Explanation.load(path)
        (tmp_path / "p").write_bytes(pickle.dumps(Exploit()))
        with pytest.raises(ValueError, match="not a saved Explanation"):
            Explanation.load(tmp_path / "p")
        assert not Exploit.called

    def test_other_files(self, tmp_path):
        contents = {
            "text": b"values: 1",
            "empty": b"",
            "npy": self.bytes_of(np.save, np.ones(3)),
            "npz": self.bytes_of(np.savez, np.ones(3)),
            "header": self.bytes_of(np.savez, header=np.asarray("[1]"), player_labels=np.ones(3)),
            "schema": self.bytes_of(np.savez, header=np.asarray('{"schema": 1}')),
        }
        zipped = io.BytesIO()
        with zipfile.ZipFile(zipped, "w") as archive:
            archive.writestr("a.txt", "b")
        contents["zip"] = zipped.getvalue()
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
            with pytest.raises(ValueError, match=f"{name} is not a saved Explanation"):
                Explanation.load(tmp_path / name)

    def bytes_of(self, save, *args, **kwargs):
        file = io.BytesIO()
        save(file, *args, **kwargs)
        return file.getvalue()

    def test_damaged_file(self, saved):
        path, _ = saved
        content = bytearray(path.read_bytes())
        for place in range(0, len(content), 97):
            damaged = content.copy()
            damaged[place] ^= 0xFF
            path.write_bytes(damaged)
            # Some bytes carry nothing that is read; whatever is noticed must be a ValueError.
            with contextlib.suppress(ValueError):
                Explanation.load(path)

    def test_newer_schema(self, saved):
        path, content = saved
        header = json.loads(str(content["header"]))
        # What a newer version stores is unknown: neither the arrays nor the other keys are read.
        np.savez(path, header=np.asarray(json.dumps({"schema": header["schema"] + 1})))
        with pytest.raises(ValueError, match="has schema 2, but this version reads 1; update"):
            Explanation.load(path)

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            Explanation.load(tmp_path / "nothing")


class TestReprHtml:
    def test_names_are_escaped(self):
        evil = "<script>alert('x')</script>"
        players = make_players({evil: [0], "&": [1]}, (4, 3), NAMES)
        html = make_explanation(players=players, method=evil)._repr_html_()
        assert "<script" not in html
        assert html.count("&lt;script&gt;") == 2
        assert "<td>&amp;</td>" in html

    def test_most_important_first(self):
        values = np.array([[0.5, -2.0, 1.0]])
        explanation = make_explanation(1, values=values, std_errors=None)
        html = explanation._repr_html_()
        assert html.index(">close<") < html.index(">volume<") < html.index(">open<")
        assert "width:100.0%" in html
        assert "width:25.0%" in html
        assert "mean |attribution|" in html

    def test_drop_in_the_score_may_be_negative(self):
        explanation = make_explanation(
            1, values=np.array([[0.5, -2.0, 1.0]]), std_errors=None, kind="importances"
        )
        assert ">-2<" in explanation._repr_html_()
        assert "drop in the score" in explanation._repr_html_()

    def test_several_outputs_and_zeros(self):
        assert "width:0.0%" in make_explanation(values=np.zeros((5, 3)))._repr_html_()
        assert ">open<" in make_explanation(outputs=("up", "down"))._repr_html_()


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
