import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklexplain import Background
from sklexplain.core.background import make_background


class TestBackground:
    def test_equal_weights_by_default(self):
        background = Background(np.arange(6.0).reshape(3, 2))
        np.testing.assert_allclose(background.weights, [1 / 3] * 3)
        np.testing.assert_allclose(background.mean(background.rows), [2, 3])
        assert len(background) == 3

    def test_weights_are_scaled(self):
        background = Background([[1.0], [2.0], [5.0]], [2, 0, 6])
        np.testing.assert_allclose(background.weights, [0.25, 0, 0.75])
        np.testing.assert_allclose(background.mean(np.array([[4.0, 8], [9, 9], [0, 4]])), [1, 5])

    def test_constant_cells(self):
        rows = np.zeros((3, 2, 2))
        rows[1, 0, 1] = 1
        np.testing.assert_array_equal(
            Background(rows).constant_cells, [[True, False], [True, True]]
        )

    @pytest.mark.parametrize(
        ("rows", "weights", "message"),
        [
            (np.empty((0, 3)), None, r"shape \(0, 3\); it needs at least one row"),
            (np.ones(3), None, r"shape \(3,\)"),
            (np.ones((2, 3)), [1, 1, 1], r"2 rows, but weights of shape \(3,\)"),
            (np.ones((2, 3)), [1, -1], "not negative"),
            (np.ones((2, 3)), [0, 0], "not all zero"),
            (np.ones((2, 3)), [1, np.nan], "finite"),
            (np.ones((2, 3)), [1, np.inf], "finite"),
        ],
    )
    def test_errors(self, rows, weights, message):
        with pytest.raises(ValueError, match=message):
            Background(rows, weights)


class TestKmeans:
    @given(
        n_rows=st.integers(3, 40), shape=st.sampled_from([(2,), (3, 2)]), seed=st.integers(0, 99)
    )
    def test_weighted_mean_of_the_centres_is_the_mean_of_the_rows(self, n_rows, shape, seed):
        X = np.random.default_rng(seed).normal(loc=5, scale=[1, 100], size=(n_rows, *shape))
        background = Background.kmeans(X, 3, random_state=0)
        assert background.rows.shape == (3, *shape)
        assert background.weights.sum() == pytest.approx(1)
        np.testing.assert_allclose(background.mean(background.rows), X.mean(axis=0), rtol=1e-9)

    def test_mean_holds_where_the_iterations_stop_early(self):
        X = np.random.default_rng(0).normal(loc=5, size=(3000, 2))
        background = Background.kmeans(X, 8, random_state=0)
        np.testing.assert_allclose(background.mean(background.rows), X.mean(axis=0), rtol=1e-9)

    def test_separate_groups_are_found_whatever_the_units(self):
        # The second column decides the groups; the first has the larger numbers.
        X = np.array([[0, 0.00], [900, 0.01], [450, 0.00], [0, 7.01], [900, 7.00]])
        background = Background.kmeans(X * [1, 1e-3], 2, random_state=0)
        order = np.argsort(background.rows[:, 1])
        np.testing.assert_allclose(background.weights[order], [0.6, 0.4])
        np.testing.assert_allclose(
            background.rows[order], [[450, 0.01e-3 / 3], [450, 7.005e-3]], rtol=1e-6
        )

    def test_constant_column(self):
        background = Background.kmeans([[1.0, 3.0], [1.0, 5.0]], 2)
        assert sorted(background.rows.tolist()) == [[1.0, 3.0], [1.0, 5.0]]

    @pytest.mark.parametrize("n_clusters", [0, -1, 6, 2.0, "3", True])
    def test_number_of_clusters(self, n_clusters):
        with pytest.raises(ValueError, match=r"n_clusters=.* from 1 to the 5 rows"):
            Background.kmeans(np.ones((5, 2)), n_clusters)


class TestMakeBackground:
    rows = np.arange(40.0).reshape(20, 2)

    def test_draw_without_replacement_is_reproducible(self):
        drawn = make_background(7, self.rows, random_state=3).rows
        assert drawn.shape == (7, 2)
        assert len(np.unique(drawn[:, 0])) == 7
        assert set(map(tuple, drawn)) <= set(map(tuple, self.rows))
        np.testing.assert_array_equal(drawn, make_background(7, self.rows, random_state=3).rows)
        others = [make_background(7, self.rows, random_state=seed).rows for seed in range(5)]
        assert any(not np.array_equal(drawn, other) for other in others)

    def test_every_row_is_as_likely(self):
        # 500 draws of 5 from 20 rows: 125 each, standard deviation below 10.
        random_state = np.random.RandomState(0)
        drawn = [make_background(5, self.rows, random_state=random_state).rows for _ in range(500)]
        counts = np.bincount((np.concatenate(drawn)[:, 0] / 2).astype(int), minlength=20)
        assert np.all(np.abs(counts - 125) < 50)

    @pytest.mark.parametrize("number", [20, 21, 1000, np.int64(20)])
    def test_all_rows_when_there_are_no_more(self, number):
        np.testing.assert_array_equal(make_background(number, self.rows).rows, self.rows)

    def test_given_rows(self):
        for given_rows in (self.rows[:2], self.rows[:2].tolist()):
            background = make_background(given_rows, self.rows)
            np.testing.assert_array_equal(background.rows, self.rows[:2])
        assert make_background(background, self.rows) is background

    @pytest.mark.parametrize("number", [0, -1])
    def test_number_too_small(self, number):
        with pytest.raises(ValueError, match=f"background={number} must be at least one row"):
            make_background(number, self.rows)

    @pytest.mark.parametrize("background", [True, "x", None, 2.5])
    def test_kinds(self, background):
        with pytest.raises(TypeError, match="must be a number of rows, an array or DataFrame"):
            make_background(background, self.rows)

    @pytest.mark.parametrize(
        "background", [np.ones((4, 3)), np.ones((4, 5, 2)), Background(np.ones((4, 1)))]
    )
    def test_other_columns(self, background):
        with pytest.raises(ValueError, match=r"background rows have shape .* rows of X have \(2,"):
            make_background(background, self.rows)
