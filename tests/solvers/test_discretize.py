"""Columns as LIME sees them, beside the discretizers of `lime` and scipy's distributions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lime.discretize import DecileDiscretizer, EntropyDiscretizer, QuartileDiscretizer
from scipy import stats

from sklexplain.solvers.discretize import CategoricalColumn, NormalColumn, fit_column

PEERS = {
    "quartile": QuartileDiscretizer,
    "decile": DecileDiscretizer,
    "entropy": EntropyDiscretizer,
}


def skewed(seed, n=300):
    return np.random.default_rng(seed).exponential(size=n) ** 1.5


class TestBins:
    @pytest.mark.parametrize("discretizer", list(PEERS))
    def test_are_those_of_lime(self, discretizer):
        values = skewed(0)
        labels = (values * 3).astype(int) % 3
        peer = PEERS[discretizer](values[:, None], [], ["v"], labels=labels, random_state=0)
        column = fit_column("v", values, discretizer, labels)
        codes = column.code(values)
        np.testing.assert_array_equal(codes, peer.discretize(values[:, None])[:, 0])
        np.testing.assert_array_equal(column.means, peer.means[0])
        np.testing.assert_allclose(column.stds, peer.stds[0], rtol=1e-6)
        np.testing.assert_array_equal(column.lows, peer.mins[0])
        np.testing.assert_array_equal(column.highs, peer.maxs[0])
        np.testing.assert_allclose(column.frequencies, np.bincount(codes) / len(values))

    def test_entropy_of_a_continuous_target_finds_its_step(self):
        values = np.linspace(0, 1, 200)
        target = np.where(values > 0.3, 5.0, 1.0) + 0.01 * np.sin(50 * values)
        edges = fit_column("v", values, "entropy", target).edges
        assert np.abs(edges - 0.3).min() < 0.01

    def test_entropy_without_a_split_is_the_median(self):
        column = fit_column("v", np.arange(9.0), "entropy", np.ones(9))
        np.testing.assert_array_equal(column.edges, [4])

    @given(
        st.lists(st.sampled_from([-2.0, 0.0, 0.1, 1.0, 5.0, 7.0, 9.5]), min_size=2, max_size=60),
        st.sampled_from(["quartile", "decile"]),
    )
    def test_every_bin_holds_rows_and_draws_lie_inside(self, values, discretizer):
        values = np.array(values)
        column = fit_column("v", values, discretizer)
        assert (column.frequencies > 0).all()
        assert column.frequencies.sum() == pytest.approx(1)
        drawn, codes = column.draw(np.random.default_rng(0).random(200))
        np.testing.assert_array_equal(
            column.code(drawn)[drawn > values.min()], codes[drawn > values.min()]
        )
        assert drawn.min() >= values.min()
        assert drawn.max() <= values.max()

    @pytest.mark.parametrize("values", [[0.0, 1.0], [1.0, 2.0, 7.0], [0.1] * 3 + [0.3]])
    def test_few_distinct_values_are_drawn_as_they_are(self, values):
        training = np.tile(values, 20)
        column = fit_column("v", training, "quartile")
        drawn, codes = column.draw(np.random.default_rng(0).random(500))
        assert set(drawn) == set(values)
        np.testing.assert_array_equal(column.code(drawn), codes)

    def test_constant(self):
        column = fit_column("v", np.full(10, 0.1), "quartile")
        drawn, codes = column.draw(np.array([0.0, 0.5, 0.999]))
        np.testing.assert_array_equal(drawn, 0.1)
        np.testing.assert_array_equal(codes, column.code(np.array([-5.0, 0.1, 7.0])))
        assert column.describe(np.array([3.0])) == ["v"]


class TestDraws:
    def test_within_a_bin_follow_the_truncated_normal(self):
        values = skewed(1)
        column = fit_column("v", values, "quartile")
        drawn, codes = column.draw(np.random.default_rng(0).random(20_000))
        for code in range(4):
            low, high = column.lows[code], column.highs[code]
            mean, std = column.means[code], column.stds[code]
            expected = stats.truncnorm((low - mean) / std, (high - mean) / std, mean, std)
            assert stats.kstest(drawn[codes == code], expected.cdf).pvalue > 1e-3
        assert stats.chisquare(np.bincount(codes), 20_000 * column.frequencies).pvalue > 1e-3

    def test_normal(self):
        values = skewed(2)
        column = fit_column("v", values, None)
        drawn, codes = column.draw(np.random.default_rng(0).random(20_000))
        assert stats.kstest(drawn, stats.norm(values.mean(), values.std()).cdf).pvalue > 1e-3
        assert set(codes) == {-1}
        assert np.isfinite(column.draw(np.array([0.0]))[0]).all()

    def test_constant_normal_does_not_vary(self):
        column = NormalColumn.fit("v", np.full(7, 0.1))
        np.testing.assert_array_equal(column.draw(np.array([0.1, 0.9]))[0], 0.1)

    def test_categories_by_their_frequencies(self):
        values = np.repeat([3.0, -1.0, 8.0], [50, 20, 30])
        column = CategoricalColumn.fit("v", values)
        drawn, codes = column.draw(np.random.default_rng(0).random(10_000))
        found, counts = np.unique(drawn, return_counts=True)
        np.testing.assert_array_equal(found, [-1, 3, 8])
        assert stats.chisquare(counts, [2000, 5000, 3000]).pvalue > 1e-3
        np.testing.assert_array_equal(column.code(drawn), codes)

    def test_unseen_categories_equal_none(self):
        column = CategoricalColumn.fit("v", np.array([1.0, 2.0]))
        others = np.array([0.0, 1.5, 9.0])
        assert column.unseen(others).all()
        assert not column.unseen(np.array([1.0, 2.0])).any()
        assert not set(column.code(others)) & {0, 1}


class TestConditions:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (24, "v ≤ 25"),
            (25, "v ≤ 25"),
            (25.1, "25 < v ≤ 50"),
            (75, "50 < v ≤ 75"),
            (99, "v > 75"),
        ],
    )
    def test_bins(self, value, text):
        column = fit_column("v", np.arange(101.0), "quartile")
        assert column.describe(np.array([value])) == [text]

    def test_near_edges_are_told_apart(self):
        values = 1e5 + np.arange(101.0) / 1000
        column = fit_column("v", values, "quartile")
        assert column.describe(np.array([1e5 + 0.03])) == ["100000.02 < v ≤ 100000.05"]

    def test_categories(self):
        column = CategoricalColumn.fit("v", np.array([0.0, 1.0]))
        assert column.describe(np.array([1.0])) == ["v = 1"]
        assert column.describe(np.array([1.0]), ["no", "yes"]) == ["v = yes"]
