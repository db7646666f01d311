import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklexplain import Players, cluster_players, make_players

SHAPES = st.one_of(st.tuples(st.integers(1, 5)), st.tuples(st.integers(1, 4), st.integers(1, 4)))


@st.composite
def partitions(draw):
    """Any players of any shape, the levels included."""
    shape = draw(SHAPES)
    levels = ["auto", "feature", "cell", "timestep" if len(shape) == 2 else "column"]
    if draw(st.booleans()):
        return make_players(draw(st.sampled_from(levels)), shape)
    n_cells = int(np.prod(shape))
    labels = draw(st.lists(st.integers(-3, 3), min_size=n_cells, max_size=n_cells))
    return make_players(np.array(labels).reshape(shape), shape)


class TestPartition:
    @given(players=partitions())
    def test_every_cell_belongs_to_exactly_one_player(self, players):
        cells = sum(players.members(i).astype(int) for i in range(players.n_players))
        np.testing.assert_array_equal(cells, np.ones(players.shape))
        assert all(players.members(i).any() for i in range(players.n_players))
        assert len(set(players.names)) == len(players.names) == len(players)
        assert players.n_cells == np.prod(players.shape)

    @given(players=partitions(), data=st.data())
    def test_cell_mask_is_the_union_of_the_present_players(self, players, data):
        coalitions = np.array(
            data.draw(
                st.lists(
                    st.lists(st.booleans(), min_size=players.n_players, max_size=players.n_players),
                    min_size=1,
                    max_size=4,
                )
            )
        )
        masks = players.cell_mask(coalitions)
        assert masks.shape == (len(coalitions), *players.shape)
        for mask, coalition in zip(masks, coalitions, strict=True):
            for cell in np.ndindex(players.shape):
                (owner,) = (i for i in range(len(players)) if players.members(i)[cell])
                assert mask[cell] == coalition[owner]

    @given(players=partitions(), trailing=st.sampled_from([(), (2,)]), seed=st.integers(0, 99))
    def test_sum_cells_adds_up_within_players(self, players, trailing, seed):
        values = np.random.default_rng(seed).normal(size=(3, *players.shape, *trailing))
        expected = np.zeros((3, players.n_players, *trailing))
        for sample in range(3):
            for cell in np.ndindex(players.shape):
                for player in range(players.n_players):
                    if players.members(player)[cell]:
                        expected[sample, player] += values[(sample, *cell)]
        np.testing.assert_allclose(players.sum_cells(values), expected, atol=1e-12)

    def test_a_missing_cell_leaves_the_sums_of_other_players_alone(self):
        players = make_players({"pair": [0, 2]}, (4,))
        sums = players.sum_cells(np.array([[1.0, 2.0, 4.0, np.nan]]))
        assert dict(zip(players.names, sums[0], strict=True))["pair"] == 5
        np.testing.assert_array_equal(np.isnan(sums[0]), [name == "x3" for name in players.names])


class TestLevels:
    def test_names_and_cells_of_a_table(self):
        players = make_players("auto", (3,), ["open", "close", "volume"])
        assert players.names == ("open", "close", "volume")
        assert players.level == "column"
        assert make_players("column", (2,)).names == ("x0", "x1")

    @pytest.mark.parametrize(
        ("level", "names", "first", "last"),
        [
            ("feature", ("a", "b"), [[1, 0]] * 3, [[0, 1]] * 3),
            ("timestep", ("t-2", "t-1", "t"), [[1, 1], [0, 0], [0, 0]], [[0, 0], [0, 0], [1, 1]]),
            (
                "cell",
                ("a[t-2]", "b[t-2]", "a[t-1]", "b[t-1]", "a[t]", "b[t]"),
                [[1, 0], [0, 0], [0, 0]],
                [[0, 0], [0, 0], [0, 1]],
            ),
        ],
    )
    def test_names_and_cells_of_windows(self, level, names, first, last):
        players = make_players(level, (3, 2), ["a", "b"])
        assert players.names == names
        assert players.level == level
        np.testing.assert_array_equal(players.members(0), first)
        np.testing.assert_array_equal(players.members(len(names) - 1), last)

    def test_auto_is_features_of_windows(self):
        assert make_players("auto", (3, 2)) == make_players("feature", (3, 2))
        assert make_players("auto", (3, 2)).level == "feature"

    def test_labels_of_any_numbers(self):
        players = make_players([[7, -1], [7, 3]], (2, 2), ["a", "b"])
        assert players.names == ("b[t-1]", "b[t]", "group 7")
        np.testing.assert_array_equal(players.members(2), [[1, 0], [1, 0]])

    def test_passed_through(self):
        players = make_players("cell", (2, 2))
        assert make_players(players, (2, 2)) is players
        with pytest.raises(ValueError, match=r"samples of shape \(2, 2\), but X has \(3, 2\)"):
            make_players(players, (3, 2))

    def test_equality_and_hash(self):
        assert make_players("cell", (4,)) == make_players("column", (4,))
        assert hash(make_players("cell", (4,))) == hash(make_players("column", (4,)))
        assert make_players("cell", (4,)) != make_players([0, 0, 1, 1], (4,))
        assert make_players("column", (2,), ["a", "b"]) != make_players("column", (2,), ["a", "c"])

    def test_labels_cannot_be_changed(self):
        with pytest.raises(ValueError, match="read-only"):
            make_players("column", (3,)).labels[0] = 1


class TestMapping:
    names = ("open", "close", "volume")

    def check(self, mapping, shape, names, labels):
        players = make_players(mapping, shape, self.names)
        assert players.names == names
        np.testing.assert_array_equal(players.labels.reshape(shape), labels)

    @pytest.mark.parametrize(
        "members", [["open", "close"], [0, 1], ("open", 1), {0, 1}, np.array([0, 1]), [-3, -2]]
    )
    def test_columns_by_name_or_position(self, members):
        self.check({"price": members}, (3,), ("price", "volume"), [0, 0, 1])
        self.check({"price": members}, (2, 3), ("price", "volume"), [[0, 0, 1], [0, 0, 1]])

    def test_a_single_member_needs_no_list(self):
        self.check({"p": "open", "v": 2}, (3,), ("p", "v", "close"), [0, 2, 1])

    def test_cells_and_what_they_leave_out(self):
        self.check(
            {"recent": [(1, "open"), (-1, 1)]},
            (2, 3),
            ("recent", "open", "close", "volume"),
            [[1, 2, 3], [0, 0, 3]],
        )

    def test_a_group_may_take_the_name_of_a_column_that_it_holds(self):
        self.check({"open": ["open", "close"]}, (3,), ("open", "volume"), [0, 0, 1])

    @pytest.mark.parametrize(
        ("mapping", "shape", "message"),
        [
            ({}, (3,), "names no player"),
            ({"a": []}, (3,), r"players\['a'\] is empty"),
            ({"a": ["open"], "b": ["close", "open"]}, (3,), "'a' and 'b' overlap in 'open'"),
            ({"a": [0], "b": [-3]}, (3,), "'a' and 'b' overlap in -3"),
            ({"a": [(0, 0)], "b": [(1, 0), "open"]}, (2, 3), "'a' and 'b' overlap in 'open'"),
            ({"a": ["high"]}, (3,), r"unknown column 'high'; known are \['open', 'close'"),
            ({"a": [3]}, (3,), "names column 3, but there are 3 columns"),
            ({"a": [-4]}, (3,), "names column -4"),
            ({"a": [(0, "open")]}, (3,), r"holds \(0, 'open'\); a pair .*needs windows"),
            ({"a": [(2, "open")]}, (2, 3), "time step 2, but there are 2 steps"),
            ({"a": [("t", "open")]}, (2, 3), "time step 't'"),
            ({"a": [(0, "high")]}, (2, 3), "unknown column 'high'"),
            ({1: [0], "1": [1]}, (3,), "unique as text"),
            ({"volume": ["open"]}, (3,), "group named 'volume' that leaves out"),
        ],
    )
    def test_errors(self, mapping, shape, message):
        with pytest.raises(ValueError, match=message):
            make_players(mapping, shape, self.names)

    @pytest.mark.parametrize("member", [1.5, None, True])
    def test_members_of_no_known_kind(self, member):
        with pytest.raises(TypeError, match="give column names, column indices or"):
            make_players({"a": [member]}, (3,))

    @pytest.mark.parametrize("members", [1.5, None])
    def test_members_that_are_no_list(self, members):
        with pytest.raises(TypeError, match=r"players\['a'\]=.*give a column, or a list"):
            make_players({"a": members}, (3,))


class TestErrors:
    @pytest.mark.parametrize(
        ("players", "shape", "message"),
        [
            ("columns", (3,), r"players='columns' is not one of \('auto', 'column'"),
            ("timestep", (3,), "needs windows.*make windows first"),
            ("column", (2, 3), "is for tables, but X is 3-D"),
            ([0, 1], (3,), r"integer array of shape \(3,\).*got shape \(2,\)"),
            ([0.0, 1.0, 2.0], (3,), "of float64"),
            ("cell", (2, 2, 2), r"got \(2, 2, 2\)"),
        ],
    )
    def test_values(self, players, shape, message):
        with pytest.raises(ValueError, match=message):
            make_players(players, shape)

    @pytest.mark.parametrize("players", [None, 3, 2.5])
    def test_kinds(self, players):
        with pytest.raises(TypeError, match=r"players=.* is a .*; give one of"):
            make_players(players, (3,))

    def test_feature_names(self):
        with pytest.raises(ValueError, match="2 names, but X has 3 features"):
            make_players("column", (3,), ["a", "b"])
        with pytest.raises(ValueError, match=r"holds \['a'\] more than once"):
            make_players("column", (3,), ["a", "b", "a"])


class TestCoarser:
    def test_parents(self):
        cells = make_players("cell", (2, 2))
        np.testing.assert_array_equal(cells.coarser(make_players("feature", (2, 2))), [0, 1, 0, 1])
        np.testing.assert_array_equal(cells.coarser(make_players("timestep", (2, 2))), [0, 0, 1, 1])

    def test_a_player_cannot_be_divided(self):
        with pytest.raises(ValueError, match=r"'x0' has cells in more than one.*'t-1', 't'.*cell"):
            make_players("feature", (2, 2)).coarser(make_players("timestep", (2, 2)))
        with pytest.raises(ValueError, match=r"shape \(4,\), the data of \(2, 2\)"):
            make_players("feature", (2, 2)).coarser(make_players("cell", (4,)))


class TestClusterPlayers:
    @pytest.fixture
    def table(self, rng):
        a, b, c = rng.normal(size=(3, 300))
        return pd.DataFrame(
            {"a": a, "b": b, "minus_a": -a + 0.1 * rng.normal(size=300), "c": c, "exp_b": np.exp(b)}
        )

    def test_correlated_columns_form_a_player(self, table):
        players = cluster_players(table)
        assert players.names == ("a + minus_a", "b + exp_b", "c")
        np.testing.assert_array_equal(players.labels, [0, 1, 0, 2, 1])
        assert players.level == "custom"

    def test_names_of_an_array(self, table):
        assert cluster_players(table.to_numpy()).names == ("x0 + x2", "x1 + x4", "x3")
        named = cluster_players(table.to_numpy(), feature_names="vwxyz")
        assert named.names == ("v + x", "w + z", "y")

    def test_threshold(self, table):
        # Ranks do not change under exp, so b and exp(b) correlate by exactly 1; a and -a do not.
        assert cluster_players(table, threshold=1.0).names == ("a", "b + exp_b", "minus_a", "c")
        assert len(cluster_players(table, threshold=0.0)) == 1
        for threshold in (-0.1, 1.1, 70):
            with pytest.raises(ValueError, match="between 0 and 1"):
                cluster_players(table, threshold=threshold)

    def test_merged_while_the_mean_correlation_reaches_the_threshold(self, rng):
        base = rng.normal(size=400)
        X = np.column_stack([base, base + 0.7 * rng.normal(size=400)])
        correlation = pd.DataFrame(X).corr("spearman").iloc[0, 1]
        assert len(cluster_players(X, threshold=correlation - 1e-6)) == 1
        assert len(cluster_players(X, threshold=correlation + 1e-6)) == 2

    def test_constant_columns_stand_alone(self, table):
        table["one"], table["two"] = 1.0, 2.0
        assert cluster_players(table).names == ("a + minus_a", "b + exp_b", "c", "one", "two")

    def test_windows_group_their_features(self, table):
        windows = table.to_numpy().reshape(60, 5, 5)
        players = cluster_players(windows, feature_names=table.columns)
        assert players.shape == (5, 5)
        assert players.names == ("a + minus_a", "b + exp_b", "c")
        np.testing.assert_array_equal(players.labels.reshape(5, 5), [[0, 1, 0, 2, 1]] * 5)

    def test_a_single_column(self, rng):
        assert cluster_players(rng.normal(size=(5, 1))).names == ("x0",)

    def test_long_names_are_cut(self, rng):
        X = np.repeat(rng.normal(size=(20, 1)), 6, axis=1)
        assert cluster_players(X).names == ("x0 + x1 + x2 + x3 + 2 more",)

    def test_what_cannot_be_clustered(self):
        with pytest.raises(ValueError, match="NaN"):
            cluster_players([[1.0, np.nan], [2.0, 3.0]])
        with pytest.raises(ValueError, match="4-D"):
            cluster_players(np.ones((2, 2, 2, 2)))
        for threshold in (2, "high"):
            with pytest.raises(ValueError, match=f"threshold={threshold!r} must be a correlation"):
                cluster_players(np.eye(3), threshold=threshold)

    def test_pass_as_players(self, table):
        players = cluster_players(table)
        assert isinstance(players, Players)
        assert make_players(players, (5,)) is players
