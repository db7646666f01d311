"""Explainers among scikit-learn's own tools: pipelines, searches, selection, stacking, routing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor, StackingRegressor
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFECV, SelectFromModel
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import get_scorer, make_scorer, r2_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    cross_validate,
)
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from sklexplain import (
    LIME,
    SHAP,
    DeepSHAP,
    FeedForwardRegressor,
    GRURegressor,
    KernelSHAP,
    PermutationImportance,
    SlidingWindow,
    TreeSHAP,
)

rng = np.random.default_rng(0)
X = rng.normal(size=(90, 4))
y = X @ [2.0, -1.0, 0.0, 0.0]
frame = pd.DataFrame(X, columns=["open", "close", "volume", "noise"])
groups = np.repeat(np.arange(9), 10)

FITS = "fits.txt"


class CountedRidge(Ridge):
    """A Ridge that writes a line to a file whenever it is fitted, in whatever process."""

    def __init__(self, folder=".", alpha=1.0):
        super().__init__(alpha=alpha)
        self.folder = folder

    def fit(self, X, y, sample_weight=None):
        with (Path(self.folder) / FITS).open("a") as file:
            file.write("fit\n")
        return super().fit(X, y, sample_weight)


def n_fits(folder):
    file = folder / FITS
    return len(file.read_text().splitlines()) if file.exists() else 0


class TestPipelines:
    @pytest.mark.parametrize(
        "explainer",
        [
            lambda net: KernelSHAP(net, background=4, random_state=0),
            lambda net: LIME(net, n_samples=60, random_state=0),
            lambda net: DeepSHAP(net, background=4, random_state=0),
        ],
    )
    def test_inside_and_around_agree(self, explainer):
        net = GRURegressor(hidden_size=3, max_epochs=2, random_state=0)
        inside = make_pipeline(StandardScaler(), SlidingWindow(5), explainer(net))
        around = explainer(make_pipeline(StandardScaler(), SlidingWindow(5), net))
        values = inside.fit(frame, y).transform(frame)
        np.testing.assert_array_equal(around.fit(frame, y).transform(frame), values)
        assert values.shape == (90, 4)
        # Only the explainer around the pipeline knows the table's columns.
        assert list(around.get_feature_names_out()) == list(frame.columns)

    def test_raw_columns_behind_an_encoder_are_explained(self):
        table = frame.assign(weekday=np.tile(["mon", "tue", "wed"], 30))
        target = y + 3 * (table["weekday"] == "tue")
        encode = ColumnTransformer([("day", OneHotEncoder(), ["weekday"])], remainder="passthrough")
        explainer = KernelSHAP(make_pipeline(encode, LinearRegression()), background=table)
        explanation = explainer.fit(table, target).explain(table)
        assert explanation.players.names == tuple(table.columns)
        # A third of the days are tuesdays.
        expected = 3 * ((table["weekday"] == "tue") - 1 / 3)
        np.testing.assert_allclose(explanation[:, "weekday"].values[:, 0], expected, atol=1e-10)

    def test_feature_union_puts_attributions_beside_columns(self):
        explainer = KernelSHAP(Ridge(), background=10, random_state=0)
        union = FeatureUnion([("scaled", StandardScaler()), ("shap", explainer)])
        both = union.set_output(transform="pandas").fit_transform(frame, y)
        assert list(both.columns[-4:]) == [f"shap__{name}" for name in frame]
        expected = clone(explainer).fit(frame, y).transform(frame)
        np.testing.assert_array_equal(both.iloc[:, 4:], expected)

    @pytest.mark.parametrize(
        "explainer",
        [
            KernelSHAP(Ridge(), background=5),
            LIME(Ridge(), n_samples=50),
            TreeSHAP(DecisionTreeRegressor(random_state=0)),
            DeepSHAP(FeedForwardRegressor(hidden_size=4, max_epochs=2, random_state=0)),
            SHAP(Ridge(), background=5),
        ],
        ids=lambda explainer: type(explainer).__name__,
    )
    def test_set_output(self, explainer):
        table = clone(explainer).set_output(transform="pandas").fit_transform(frame, y)
        assert list(table.columns) == list(frame.columns)
        assert list(table.index) == list(frame.index)


class TestSelection:
    def test_select_from_model(self):
        selector = SelectFromModel(PermutationImportance(Ridge(), random_state=0), threshold=0.1)
        selector.fit(frame, y)
        assert list(selector.get_feature_names_out()) == ["open", "close"]

    @pytest.mark.parametrize(
        "explainer",
        [
            PermutationImportance(Ridge(), random_state=0),
            KernelSHAP(Ridge(), background=10, random_state=0),
            TreeSHAP(RandomForestRegressor(20, random_state=0)),
        ],
        ids=lambda explainer: type(explainer).__name__,
    )
    def test_recursive_elimination(self, explainer):
        eliminated = RFECV(explainer, cv=3, min_features_to_select=1).fit(frame, y)
        assert list(eliminated.ranking_[:2]) == [1, 1]
        importances = clone(explainer).fit(frame, y).importances_
        assert set(np.argsort(importances)[-2:]) == {0, 1}

    def test_stacking_on_attributions(self):
        # A tree behind SHAP values sees the parts of the sum that a line behind them adds up.
        attributions = make_pipeline(KernelSHAP(Ridge(), background=10), LinearRegression())
        stack = StackingRegressor([("shap", attributions), ("ridge", Ridge())], cv=3)
        assert stack.fit(frame, y).score(frame, y) > 0.999


class TestSearches:
    @pytest.mark.parametrize("search", [GridSearchCV, HalvingGridSearchCV])
    @pytest.mark.parametrize(
        ("explainer", "grid"),
        [
            (
                LIME(Ridge(), n_samples=60, random_state=0),
                {"estimator__alpha": [0.1, 1e4], "kernel_width": [1.0, 2.0]},
            ),
            (
                KernelSHAP(Ridge(), background=5, random_state=0),
                {"estimator__alpha": [0.1, 1e4], "max_evals": [40, 80]},
            ),
        ],
    )
    def test_model_and_explainer_together(self, search, explainer, grid):
        found = search(explainer, grid, cv=3, n_jobs=2).fit(frame, y)
        assert found.best_params_["estimator__alpha"] == 0.1
        assert found.best_estimator_.transform(frame[:2]).shape == (2, 4)
        alone = GridSearchCV(Ridge(), {"alpha": [0.1, 1e4]}, cv=3).fit(frame, y)
        if search is GridSearchCV:
            np.testing.assert_allclose(found.best_score_, alone.best_score_)

    def test_recurrent_net(self):
        windows = SlidingWindow(4).fit_transform(X)
        explainer = KernelSHAP(GRURegressor(max_epochs=2, random_state=0), background=3)
        grid = {"estimator__hidden_size": [2, 3], "max_evals": [30, "exact"]}
        found = GridSearchCV(explainer, grid, cv=2).fit(windows, y)
        assert len(found.cv_results_["params"]) == 4

    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_memory_fits_each_model_once(self, tmp_path, n_jobs):
        grid = {"estimator__alpha": [0.1, 1.0], "max_evals": [20, 40, 80]}

        def searched(memory):
            explainer = KernelSHAP(
                CountedRidge(str(tmp_path)), background=5, memory=memory, random_state=0
            )
            before = n_fits(tmp_path)
            cv = KFold(3)
            found = GridSearchCV(explainer, grid, cv=cv, n_jobs=n_jobs, refit=False).fit(X, y)
            return found.cv_results_["mean_test_score"], n_fits(tmp_path) - before

        plain, n_plain = searched(None)
        cached, n_cached = searched(tmp_path / "cache")
        assert n_plain == 2 * 3 * 3
        # Two workers may begin the same fit at the same moment.
        assert 2 * 3 <= n_cached <= 2 * 3 + (2 * 3 if n_jobs == 2 else 0)
        np.testing.assert_array_equal(plain, cached)
        assert searched(tmp_path / "cache")[1] == 0

    def test_memory_tells_models_and_rows_apart(self, tmp_path):
        def fitted(estimator, X, y, **params):
            return KernelSHAP(estimator, background=5, memory=str(tmp_path)).fit(X, y, **params)

        first = fitted(Ridge(), X, y).estimator_.coef_
        assert np.abs(fitted(Ridge(alpha=50), X, y).estimator_.coef_ - first).max() > 0.1
        assert np.abs(fitted(Ridge(), X[:40], y[:40]).estimator_.coef_ - first).max() > 1e-6
        assert np.abs(fitted(Ridge(), X, -y).estimator_.coef_ - first).max() > 0.1
        weight = np.arange(90.0)
        weighted = fitted(Ridge(), X, y, sample_weight=weight).estimator_.coef_
        np.testing.assert_array_equal(weighted, Ridge().fit(X, y, weight).coef_)
        np.testing.assert_array_equal(fitted(Ridge(), X, y).estimator_.coef_, first)

    @pytest.mark.parametrize("memory", [3, object()])
    def test_what_is_no_memory(self, memory):
        with pytest.raises(TypeError, match=r"memory=.* is neither a folder nor a joblib.Memory"):
            KernelSHAP(Ridge(), memory=memory).fit(X, y)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
class TestRouting:
    weight = np.linspace(0, 1, 90) ** 4

    def test_weights_reach_the_estimator_that_asked(self):
        noisy = y + np.random.default_rng(0).normal(size=90)
        estimator = Ridge().set_fit_request(sample_weight=True)
        explainer = KernelSHAP(estimator, background=5).fit(X, noisy, sample_weight=self.weight)
        expected = Ridge().fit(X, noisy, self.weight).coef_
        np.testing.assert_array_equal(explainer.estimator_.coef_, expected)

    def test_weights_nobody_asked_for_are_refused(self):
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            KernelSHAP(Ridge(), background=5).fit(X, y, sample_weight=self.weight)

    def test_scores(self):
        estimator = Ridge().set_score_request(sample_weight=True)
        explainer = LIME(estimator, n_samples=50).fit(X, y)
        expected = Ridge().fit(X, y).score(X, y, self.weight)
        assert explainer.score(X, y, sample_weight=self.weight) == expected

    def test_through_a_search(self):
        estimator = Ridge().set_fit_request(sample_weight=True)
        explainer = KernelSHAP(estimator, background=5, random_state=0)
        scorer = make_scorer(r2_score).set_score_request(sample_weight=False)
        search = GridSearchCV(explainer, {"estimator__alpha": [1.0]}, scoring=scorer, cv=KFold(3))
        search.fit(X, y, sample_weight=self.weight)
        expected = Ridge().fit(X, y, self.weight).coef_
        np.testing.assert_array_equal(search.best_estimator_.estimator_.coef_, expected)

    def test_permutation_importance_divides_weights_and_groups(self):
        noisy = y + np.random.default_rng(0).normal(size=90)
        estimator = Ridge().set_fit_request(sample_weight=True)
        scorer = get_scorer("r2").set_score_request(sample_weight=True)
        params = {"cv": GroupKFold(3), "random_state": 0}
        routed = PermutationImportance(estimator, scoring=scorer, **params)
        routed.fit(X, noisy, sample_weight=self.weight, groups=groups)
        with sklearn.config_context(enable_metadata_routing=False):
            plain = PermutationImportance(Ridge(), **params)
            plain.fit(X, noisy, sample_weight=self.weight, groups=groups)
        np.testing.assert_array_equal(routed.importances_, plain.importances_)

    def test_permutation_importance_weighs_only_what_was_asked_to(self):
        estimator = Ridge().set_fit_request(sample_weight=True)
        scorer = get_scorer("r2").set_score_request(sample_weight=False)
        noisy = y + np.random.default_rng(0).normal(size=90)
        explainer = PermutationImportance(estimator, scoring=scorer, random_state=0)
        explainer.fit(X, noisy, sample_weight=self.weight)
        expected = Ridge().fit(X, noisy, self.weight).score(X, noisy)
        assert explainer.results_["score"].baseline_score == expected

    def test_cross_validate_routes_groups_to_the_splitter(self):
        explainer = KernelSHAP(LogisticRegression(), background=5)
        scores = cross_validate(explainer, X, y > 0, cv=GroupKFold(3), params={"groups": groups})[
            "test_score"
        ]
        assert len(scores) == 3
