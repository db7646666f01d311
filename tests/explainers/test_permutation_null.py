import numpy as np
import pytest
from scipy.stats import binomtest, kstest
from sklearn.datasets import make_regression
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold

from sklexplain import PermutationImportance
from sklexplain.explainers.permutation_null import p_values


class TestPValues:
    def test_counts_the_observed_value_too(self):
        null = np.array([[1.0, 0.0], [3.0, 0.0], [2.0, 5.0]])
        np.testing.assert_array_equal(p_values(np.array([2.0, 9.0]), null), [3 / 4, 1 / 4])

    @pytest.mark.parametrize("cv", [None, KFold(2)])
    def test_are_uniform_where_the_target_is_noise(self, cv):
        rng = np.random.default_rng(0)
        n_null, n_tables = 9, 60
        pvalues = []
        for _ in range(n_tables):
            X, y = rng.normal(size=(24, 2)), rng.normal(size=24)
            explainer = PermutationImportance(
                Ridge(), n_repeats=2, n_null=n_null, cv=cv, random_state=rng.integers(2**31)
            ).fit(X, y)
            pvalues.append(explainer.pvalues_)
        # Spread evenly within their steps, multiples of 1 / 10 are uniform as a whole.
        spread = np.ravel(pvalues) - rng.uniform(size=2 * n_tables) / (n_null + 1)
        assert kstest(spread, "uniform").pvalue > 0.01
        rejected = int((np.ravel(pvalues) <= 0.1).sum())
        assert binomtest(rejected, 2 * n_tables, 0.1).pvalue > 0.01

    def test_tell_informative_players_from_others(self):
        X, y = make_regression(
            n_samples=80, n_features=4, n_informative=2, shuffle=False, noise=1, random_state=0
        )
        explainer = PermutationImportance(Ridge(), n_null=39, cv=3, random_state=0).fit(X, y)
        np.testing.assert_array_equal(explainer.pvalues_[:2], 1 / 40)
        assert (explainer.pvalues_[2:] > 0.05).all()

    def test_every_scorer_has_its_own(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(60, 3))
        y = (X[:, 0] > 0).astype(int)
        explainer = PermutationImportance(
            LogisticRegression(), scoring=["accuracy", "neg_log_loss"], n_null=19, random_state=0
        ).fit(X, y)
        for results in explainer.results_.values():
            assert results.null_importances.shape == (19, 3)
            assert results.pvalues[0] == 1 / 20
        np.testing.assert_array_equal(explainer.pvalues_, explainer.results_["accuracy"].pvalues)


class TestNullRuns:
    def test_leave_the_importances_as_they_are(self):
        X, y = make_regression(n_features=3, random_state=0)
        plain = PermutationImportance(Ridge(), random_state=0).fit(X, y)
        tested = PermutationImportance(Ridge(), n_null=3, random_state=0).fit(X, y)
        np.testing.assert_array_equal(plain.importances_, tested.importances_)

    def test_do_not_depend_on_the_number_of_workers(self):
        X, y = make_regression(n_features=3, random_state=0)
        one, two = (
            PermutationImportance(Ridge(), n_null=4, n_jobs=n_jobs, random_state=0).fit(X, y)
            for n_jobs in (1, 2)
        )
        np.testing.assert_array_equal(
            one.results_["score"].null_importances, two.results_["score"].null_importances
        )

    def test_permute_the_held_out_target_too(self):
        X, y = make_regression(n_samples=200, n_features=3, random_state=0)
        held_out = {"X_val": X[100:], "y_val": y[100:]}
        explainer = PermutationImportance(Ridge(), n_null=19, random_state=0)
        explainer.fit(X[:100], y[:100], **held_out)
        null = explainer.results_["score"].null_importances
        # A model of permuted targets says nothing of permuted targets, whatever their order.
        assert np.abs(np.median(null, axis=0)).max() < 0.05
        np.testing.assert_array_equal(explainer.pvalues_, 1 / 20)

    @pytest.mark.parametrize(
        ("estimator", "y", "message"),
        [
            (FrozenEstimator(Ridge().fit([[0.0], [1.0]], [0, 1])), [0, 1], "is not fitted by"),
            (Ridge(), None, "there is no y"),
        ],
    )
    def test_need_a_fit_and_a_target(self, estimator, y, message):
        with pytest.raises(ValueError, match=message):
            PermutationImportance(estimator, n_null=5).fit([[0.0], [1.0]], y)

    def test_refuses_fewer_than_none(self):
        with pytest.raises(ValueError, match="n_null"):
            PermutationImportance(Ridge(), n_null=-1).fit([[0.0], [1.0]], [0, 1])
