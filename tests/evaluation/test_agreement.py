"""Concordance, overlap and standard errors, against closed forms and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import friedmanchisquare, t, ttest_rel

from sklexplain.evaluation.agreement import corrected_sem, kendall_w, top_k_jaccard


class TestKendallW:
    def test_textbook_formula_without_ties(self):
        ranks = np.array([[1, 2, 3, 4], [2, 1, 3, 4], [1, 3, 2, 4]])
        sums = ranks.sum(axis=0)
        by_hand = 12 * np.sum((sums - sums.mean()) ** 2) / (9 * (64 - 4))
        assert kendall_w(ranks) == pytest.approx(by_hand)

    def test_ties_by_hand(self):
        # Ranks 1, 2.5, 2.5 and 1, 2, 3: S = 4 + 0.25 + 2.25, one group of two tied, T = 6.
        squares = (2 - 4) ** 2 + (4.5 - 4) ** 2 + (5.5 - 4) ** 2
        assert kendall_w([[1, 5, 5], [1, 2, 3]]) == pytest.approx(
            12 * squares / (4 * (27 - 3) - 2 * 6)
        )

    @given(
        arrays(
            float,
            st.tuples(st.integers(2, 6), st.integers(3, 7)),
            elements=st.integers(0, 3).map(float),
        )
    )
    def test_is_friedmans_statistic_scaled(self, table):
        n_raters, n_players = table.shape
        if np.all(table == table[:, :1]):
            assert np.isnan(kendall_w(table))
            return
        friedman = friedmanchisquare(*table.T).statistic
        assert kendall_w(table) == pytest.approx(friedman / (n_raters * (n_players - 1)), abs=1e-12)

    @given(arrays(float, (4, 5), elements=st.floats(-3, 3)))
    def test_only_the_order_counts(self, table):
        exact = np.round(table, 2)
        rescaled = exact * np.array([[1], [4], [8], [1024]]) + 16
        assert kendall_w(rescaled) == pytest.approx(kendall_w(exact), nan_ok=True)

    def test_bounds(self):
        assert kendall_w([[3, 2, 1]] * 4) == 1
        assert kendall_w([[1, 2], [2, 1]]) == 0
        # Every order of three players once: nothing in common.
        orders = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]]
        assert kendall_w(orders) == 0

    @pytest.mark.parametrize("table", [[[1.0, 2.0]], [[1.0], [2.0]], [[1.0, 1.0], [2.0, 2.0]]])
    def test_nothing_to_compare(self, table):
        assert np.isnan(kendall_w(table))

    def test_what_is_no_table(self):
        with pytest.raises(ValueError, match=r"importances has shape \(2,\)"):
            kendall_w([1.0, 2.0])
        with pytest.raises(ValueError, match="NaN or infinite values, which have no rank"):
            kendall_w([[1.0, np.nan], [1.0, 2.0]])


class TestTopKJaccard:
    def test_by_hand(self):
        table = [[4, 3, 2, 1], [4, 1, 3, 2], [1, 2, 3, 4]]
        # Sets {0, 1}, {0, 2}, {3, 2}: 1/3, 0 and 1/3.
        assert top_k_jaccard(table, 2) == pytest.approx((1 / 3 + 0 + 1 / 3) / 3)
        # Sets {0}, {0}, {3}.
        assert top_k_jaccard(table, 1) == pytest.approx(1 / 3)
        assert top_k_jaccard(table, 4) == 1

    def test_a_tie_for_the_last_place_goes_to_the_earlier_player(self):
        assert top_k_jaccard([[1, 1, 2], [2, 1, 3]], 2) == 1

    def test_single_row(self):
        assert np.isnan(top_k_jaccard([[1, 2, 3]], 2))

    @pytest.mark.parametrize("k", [0, 4, 1.5, True, "2"])
    def test_k_that_does_not_fit(self, k):
        with pytest.raises(ValueError, match="must be an integer from 1 to the 3 players"):
            top_k_jaccard([[1, 2, 3], [3, 2, 1]], k)


class TestCorrectedSem:
    def test_by_hand(self):
        values = np.array([[1.0, 0.0], [2.0, 0.0], [6.0, 3.0]])
        # Means 3 and 1, variances 7 and 3; three folds of 5 rows, 10 to train on.
        expected = np.sqrt((1 / 3 + 5 / 10) * np.array([7.0, 3.0]))
        np.testing.assert_allclose(corrected_sem(values, [10] * 3, [5] * 3), expected)

    def test_uncorrected_without_held_out_rows_to_share(self):
        values = np.random.default_rng(0).normal(size=(8, 1))
        test = ttest_rel(values[:, 0], np.zeros(8))
        sem = corrected_sem(values, [1] * 8, [0] * 8)[0]
        assert values.mean() / sem == pytest.approx(test.statistic)
        assert 2 * t.sf(abs(values.mean() / sem), 7) == pytest.approx(test.pvalue)

    def test_folds_of_unequal_size(self):
        # 10 rows in 3 folds of 4, 3 and 3: 10 / 20 as for equal folds.
        values = np.array([1.0, 2.0, 3.0])
        assert corrected_sem(values, [6, 7, 7], [4, 3, 3]) == pytest.approx(
            np.sqrt((1 / 3 + 1 / 2) * 1)
        )

    def test_single_fold(self):
        assert np.isnan(corrected_sem([[1.0, 2.0]], [5], [5])).all()

    def test_covers_where_the_plain_standard_error_does_not(self):
        # The mean's error is shared by folds that are trained on the same rows: values with
        # correlation n_test / (n_test + n_train), which is what the correction assumes.
        rng = np.random.default_rng(0)
        n_folds, n_train, n_test = 10, 90, 10
        correlation = n_test / (n_train + n_test)
        shared = rng.normal(size=(4000, 1)) * np.sqrt(correlation)
        values = shared + rng.normal(size=(4000, n_folds)) * np.sqrt(1 - correlation)
        quantile = t.ppf(0.975, n_folds - 1)
        sem = corrected_sem(values.T, [n_train] * n_folds, [n_test] * n_folds)
        plain = values.std(axis=1, ddof=1) / np.sqrt(n_folds)
        means = np.abs(values.mean(axis=1))
        assert np.mean(means < quantile * sem) == pytest.approx(0.95, abs=0.02)
        assert np.mean(means < quantile * plain) < 0.88
