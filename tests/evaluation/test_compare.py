import sys

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklexplain import (
    LIME,
    SHAP,
    DeepSHAP,
    KernelSHAP,
    PermutationImportance,
    TreeSHAP,
    compare_methods,
    get_explanation_scorer,
)
from sklexplain.evaluation.pairs import rank_correlation, sign_agreement, top_k_overlap

from ..games import Counted

COEF = np.array([3.0, -2.0, 1.0, 0.5])


def linear(rows):
    return rows @ COEF


def table(n_rows=30, n_columns=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, n_columns))


class Negated(KernelSHAP):
    """Says the opposite of what is so."""

    def _explained(self, rows, values, *args, **kwargs):
        return super()._explained(rows, -values, *args, **kwargs)


class CountingRidge(Ridge):
    n_fits = 0

    def fit(self, X, y=None, **params):
        type(self).n_fits += 1
        return super().fit(X, y, **params)


class TestPairs:
    def test_rank_correlation_is_scipys_of_the_sizes(self):
        rng = np.random.default_rng(0)
        first, second = rng.integers(-3, 4, size=(2, 20, 6)).astype(float)
        expected = [
            spearmanr(np.abs(one), np.abs(other)).statistic
            for one, other in zip(first, second, strict=True)
        ]
        np.testing.assert_allclose(rank_correlation(first, second), expected)

    def test_of_values_without_an_order(self):
        equal, ordered = np.ones((1, 3)), np.array([[1.0, 2.0, 3.0]])
        assert rank_correlation(equal, np.zeros((1, 3))) == 1
        assert rank_correlation(equal, ordered) == 0
        assert rank_correlation(np.ones((1, 1)), np.full((1, 1), -2.0)) == 1

    def test_rounding_has_neither_rank_nor_sign(self):
        exact = np.array([[3.0, 0.0, 0.0, 1.0]])
        noisy = np.array([[3.0, 1e-16, -2e-16, 1.0 - 1e-16]])
        assert rank_correlation(exact, noisy) == 1
        assert sign_agreement(exact, noisy) == 1
        assert top_k_overlap(exact, noisy, 3) == 1

    def test_shares_are_counted(self):
        first, second = np.array([[4.0, 3, 2, 1]]), np.array([[-1.0, 2, 3, 4]])
        assert sign_agreement(first, second) == 0.75
        assert [top_k_overlap(first, second, k)[0] for k in (1, 2, 3, 4)] == [0, 0, 2 / 3, 1]


class TestAgreement:
    def test_of_a_method_with_itself_and_with_its_opposite(self):
        X = table()
        same = {"background": 5, "random_state": 0}
        comparison = compare_methods(
            {"right": KernelSHAP(linear, **same), "again": KernelSHAP(linear, **same),
             "wrong": Negated(linear, **same)}, X,
        )  # fmt: skip
        agreement = comparison.agreement()
        assert agreement["right", "again"] == {
            "rank_correlation": 1, "sign_agreement": 1, "top_k_overlap": 1,
        }  # fmt: skip
        assert agreement["right", "wrong"] == {
            "rank_correlation": 1, "sign_agreement": 0, "top_k_overlap": 1,
        }  # fmt: skip
        for metric, by_row in comparison.scores.items():
            np.testing.assert_allclose(by_row[0], by_row[1])
            assert by_row[2].mean() < by_row[0].mean(), metric

    def test_tables_are_those_of_single_rows(self):
        X = table()
        comparison = compare_methods(
            [KernelSHAP(linear, background=5), LIME(linear, n_samples=200)], X, k=2
        )
        first, second = (explanation.values for explanation in comparison.explanations)
        np.testing.assert_array_equal(
            comparison.rank_correlation[:, 0, 1], rank_correlation(first, second)
        )
        np.testing.assert_array_equal(
            comparison.top_k_overlap[:, 1, 0], top_k_overlap(second, first, 2)
        )
        assert np.all(comparison.sign_agreement[:, [0, 1], [0, 1]] == 1)

    def test_scores_are_those_of_the_scorers(self):
        X, y = load_iris(return_X_y=True)
        classifier = LogisticRegression(max_iter=500)
        explainers = [
            KernelSHAP(classifier, background=10, random_state=0).fit(X, y),
            LIME(classifier, n_samples=200, random_state=0).fit(X, y),
        ]
        names = ["fidelity", "sparsity", "deletion_auc"]
        for output in (None, "2"):
            comparison = compare_methods(explainers, X[::30], metrics=names, output=output)
            scorer = get_explanation_scorer(names, output=output)
            assert {
                name: by_row[0].mean() for name, by_row in comparison.scores.items()
            } == pytest.approx(scorer(explainers[0], X[::30]))

    def test_methods_are_judged_against_the_same_rows(self):
        X = table()
        near, far = (KernelSHAP(linear, background=X[i : i + 3]).fit(X) for i in (0, 9))
        lime = LIME(linear, n_samples=200, random_state=0).fit(X)
        judged = [
            compare_methods([one, lime], X[:4], background=X[20:], metrics="infidelity")
            for one in (near, far)
        ]
        lime_alone = [comparison.scores["infidelity"][1] for comparison in judged]
        np.testing.assert_array_equal(*lime_alone)
        own = compare_methods([near, far], X[:4], metrics="infidelity").scores["infidelity"]
        np.testing.assert_allclose(own[0], 0, atol=1e-20)
        assert own[1].max() < -1e-3


class TestCost:
    @pytest.mark.parametrize(
        "make",
        [
            lambda model: KernelSHAP(model, background=5),
            lambda model: KernelSHAP(model, background=20, max_evals=100),
            lambda model: LIME(model, n_samples=50),
            lambda model: LIME(model, n_samples=50, discretizer=None, center="row"),
            lambda model: SHAP(model, background=5),
            lambda model: KernelSHAP(model, background=5, n_jobs=2),
        ],
    )
    def test_evaluations_are_those_that_the_model_saw(self, make):
        model = Counted(linear)
        X = table()
        explainer = make(model).fit(X)
        comparison = compare_methods(
            [explainer, KernelSHAP(Counted(linear))], X[:3], metrics="sparsity"
        )
        again = make(model).fit(X)
        again.set_params(n_jobs=None)
        model.n_evals = 0
        again.explain(X[:3])
        assert comparison.n_evals[0] == model.n_evals > 3

    def test_of_nets_are_rows_that_go_forwards(self):
        import torch

        seen = []

        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.line = torch.nn.Linear(4, 1)

            def forward(self, rows):
                seen.append(rows.shape[0])
                return torch.tanh(self.line(rows))

        net, X = Net(), table()
        explainers = [DeepSHAP(net, background=5).fit(X), KernelSHAP(net, background=5).fit(X)]
        comparison = compare_methods(explainers, X[:3])
        for explainer, counted in zip(explainers, comparison.n_evals, strict=True):
            seen.clear()
            explainer.explain(X[:3])
            assert counted == sum(seen) > 0
        assert not net._forward_pre_hooks

    def test_trees_run_the_model_once_a_row(self):
        pytest.importorskip("shap")
        from sklearn.ensemble import RandomForestRegressor

        X = table()
        comparison = compare_methods(
            [SHAP(RandomForestRegressor(3)), TreeSHAP(RandomForestRegressor(3))], X, linear(X)
        )
        np.testing.assert_array_equal(comparison.n_evals, [30, 30])

    def test_explainers_are_left_as_they_were(self):
        X = table()
        explainers = [KernelSHAP(linear, n_jobs=2, background=5).fit(X), LIME(linear).fit(X)]
        before = [dict(vars(explainer)) for explainer in explainers]
        compare_methods(explainers, X[:2])
        for explainer, known in zip(explainers, before, strict=True):
            assert all(vars(explainer)[name] is value for name, value in known.items())


class TestFitting:
    def test_equal_estimators_are_fitted_once(self):
        X = table()
        CountingRidge.n_fits = 0
        unfitted = [KernelSHAP(CountingRidge()), LIME(CountingRidge()), SHAP(CountingRidge(5.0))]
        compare_methods(unfitted, X, linear(X))
        assert CountingRidge.n_fits == 2
        with pytest.raises(NotFittedError):
            unfitted[0].explain(X)

    def test_estimators_that_cannot_be_told_apart_are_fitted_each(self):
        model = make_pipeline(FunctionTransformer(lambda rows: rows), CountingRidge())
        CountingRidge.n_fits = 0
        compare_methods([KernelSHAP(model), LIME(model)], table(), linear(table()))
        assert CountingRidge.n_fits == 2

    def test_fitted_explainers_are_not_fitted_again(self):
        X = table()
        fitted = [explainer(CountingRidge()).fit(X, linear(X)) for explainer in (KernelSHAP, LIME)]
        CountingRidge.n_fits = 0
        compare_methods(fitted, X)
        assert CountingRidge.n_fits == 0


@pytest.fixture(scope="module")
def comparison():
    return compare_methods(
        {"a <b>": KernelSHAP(linear), "c": LIME(linear, random_state=0), "d": SHAP(linear)},
        table(6),
    )


class TestTables:
    def test_one_row_a_method(self, comparison):
        frame = comparison.to_frame()
        assert list(frame.index) == ["a <b>", "c", "d"]
        np.testing.assert_allclose(
            frame["infidelity"], comparison.scores["infidelity"].mean(axis=1)
        )
        np.testing.assert_allclose(frame["evals_per_row"] * 6, comparison.n_evals)
        assert np.all(frame["seconds_per_row"] > 0)

    def test_one_row_a_pair(self, comparison):
        frame = comparison.to_frame("agreement")
        assert list(frame.index) == [("a <b>", "c"), ("a <b>", "d"), ("c", "d")]
        assert frame.loc[("a <b>", "d"), "rank_correlation"] == 1

    def test_one_row_an_explained_row_and_pair(self, comparison):
        frame = comparison.to_frame("rows")
        assert frame.index.names == ["row", "first", "second"]
        assert frame.loc[(4, "a <b>", "c"), "sign_agreement"] == comparison.sign_agreement[4, 0, 1]
        means = frame.groupby(["first", "second"]).mean()
        np.testing.assert_allclose(means, comparison.to_frame("agreement"))

    def test_unknown_table(self, comparison):
        with pytest.raises(ValueError, match="what='columns' must be \"methods\""):
            comparison.to_frame("columns")

    def test_html_has_the_numbers_and_escapes_the_names(self, comparison):
        html = comparison._repr_html_()
        assert "a &lt;b&gt;" in html
        assert "<b>" not in html
        for number in comparison.methods()["infidelity"]:
            assert f">{number:.4g}<" in html

    def test_without_pandas_the_arrays_remain(self, comparison, monkeypatch):
        monkeypatch.setitem(sys.modules, "pandas", None)
        assert comparison.methods()["evals_per_row"].shape == (3,)
        assert comparison._repr_html_()
        with pytest.raises(ImportError, match=r"pip install 'sklexplain\[report\]'"):
            comparison.to_frame()

    def test_labels_of_a_table_are_kept(self):
        pd = pytest.importorskip("pandas")
        frame = pd.DataFrame(table(3), index=["mon", "tue", "wed"])
        comparison = compare_methods(
            [KernelSHAP(Ridge()), LIME(Ridge())], frame, linear(frame.to_numpy())
        )
        labels = comparison.to_frame("rows").index.get_level_values("row")
        assert list(labels) == ["mon", "tue", "wed"]

    def test_same_class_twice_is_numbered(self):
        comparison = compare_methods([LIME(linear), LIME(linear), KernelSHAP(linear)], table(5))
        assert comparison.names == ("LIME", "LIME 2", "KernelSHAP")

    def test_windows(self):
        windows = np.random.default_rng(0).normal(size=(5, 3, 4))
        comparison = compare_methods(
            [explainer(lambda rows: linear(rows.mean(axis=1))) for explainer in (KernelSHAP, LIME)],
            windows,
            k=4,
        )
        assert np.all(comparison.top_k_overlap == 1)


class TestBadInput:
    def fitted(self, **params):
        return KernelSHAP(linear, background=5, **params).fit(table())

    def test_one_explainer(self):
        with pytest.raises(ValueError, match="has 1 explainers"):
            compare_methods([self.fitted()], table())

    @pytest.mark.parametrize("explainers", [None, "KernelSHAP", KernelSHAP(linear)])
    def test_no_list(self, explainers):
        with pytest.raises(TypeError, match="must be a list of explainers"):
            compare_methods(explainers, table())

    @pytest.mark.parametrize(
        ("stranger", "says"),
        [
            (Ridge(), "Ridge is no explainer"),
            (LIME, "LIME is a class"),
            (PermutationImportance(Ridge()), "one importance a player"),
        ],
    )
    def test_strangers_are_refused_before_the_model_runs(self, stranger, says):
        model = Counted(linear)
        with pytest.raises(TypeError, match=says):
            compare_methods([KernelSHAP(model), stranger], table())
        assert model.n_evals == 0

    @pytest.mark.parametrize("k", [0, -1, 2.0, True, "2"])
    def test_k_is_no_count(self, k):
        with pytest.raises(ValueError, match="must be an integer, at least 1"):
            compare_methods([self.fitted(), self.fitted()], table(), k=k)

    def test_k_is_3_where_there_are_as_many_players(self):
        two = [explainer(lambda rows: rows[:, 0]) for explainer in (KernelSHAP, LIME)]
        assert compare_methods(two, table(5, 2)).k == 2
        assert compare_methods([self.fitted(), self.fitted()], table()).k == 3

    def test_k_beyond_the_players(self):
        with pytest.raises(ValueError, match="k=5 is more than the 4 players"):
            compare_methods([self.fitted(), self.fitted()], table(), k=5)

    def test_unknown_metric(self):
        with pytest.raises(ValueError, match="unknown metric 'auc'; known are"):
            compare_methods([self.fitted(), self.fitted()], table(), metrics=["auc"])

    def test_different_players(self):
        other = self.fitted(players={"pair": [0, 1]})
        with pytest.raises(ValueError, match="give all explainers the same players="):
            compare_methods([self.fitted(), other], table())

    def test_different_outputs(self):
        X, y = load_iris(return_X_y=True)
        models = [
            KernelSHAP(LogisticRegression(max_iter=500), output=o)
            for o in ("predict", "predict_proba")
        ]
        with pytest.raises(ValueError, match="give all explainers the same output="):
            compare_methods(models, X, y)

    def test_different_scales_of_the_output(self):
        X, y = load_iris(return_X_y=True)
        X, y = X[:100], y[:100]
        models = [KernelSHAP(LogisticRegression(), link=link) for link in ("identity", "logit")]
        with pytest.raises(ValueError, match="link 'logit'"):
            compare_methods(models, X, y, k=2)

    def test_rows_of_another_shape(self):
        with pytest.raises(ValueError, match="X has 3 features"):
            compare_methods([self.fitted(), self.fitted()], table(n_columns=3))

    @pytest.mark.parametrize("X", [np.zeros((0, 4)), np.zeros(4)])
    def test_no_rows(self, X):
        with pytest.raises(ValueError, match="needs at least one row"):
            compare_methods([self.fitted(), self.fitted()], X)

    def test_background_of_another_shape(self):
        with pytest.raises(ValueError, match=r"background rows have shape \(3,\)"):
            compare_methods([self.fitted(), self.fitted()], table(), background=table(2, 3))

    def test_background_as_a_number(self):
        with pytest.raises(TypeError, match="background=10 must be rows"):
            compare_methods([self.fitted(), self.fitted()], table(), background=10)
