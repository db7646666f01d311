"""TreeSHAP is exact, so it must agree with enumeration, whatever a row's place among thresholds."""

import pickle
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostRegressor,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sklexplain import Background, KernelSHAP, SlidingWindow, TreeSHAP, make_players
from sklexplain.recurrent import GRURegressor
from tests.references import shapley_of_row

shap = pytest.importorskip("shap")

rng = np.random.default_rng(0)
X = rng.normal(size=(150, 4))
# Of one decimal, so that rows lie on thresholds, which are midpoints of others.
coarse = X.round(1)
y = X[:, 0] * X[:, 1] + np.sin(X[:, 2])
labels = np.array(["low", "mid", "high"])[np.digitize(y, [-0.5, 0.5])]
frame = pd.DataFrame(X, columns=["open", "close", "volume", "noise"])

REGRESSORS = [
    DecisionTreeRegressor(max_depth=5, random_state=0),
    RandomForestRegressor(5, random_state=0),
    ExtraTreesRegressor(5, random_state=0),
    GradientBoostingRegressor(n_estimators=10, random_state=0),
    HistGradientBoostingRegressor(max_iter=10, random_state=0),
]


def name(estimator):
    return type(estimator).__name__


def by_hand(function, rows, background, players):
    def columns(batch):
        return np.asarray(function(batch), dtype=float).reshape(len(batch), -1)

    weights = [1 / len(background)] * len(background)
    return np.stack([shapley_of_row(columns, row, background, weights, players) for row in rows])


def check_complete(explainer, rows, function, atol=1e-5):
    explanation = explainer.explain(rows)
    outputs = function(rows)
    np.testing.assert_allclose(explanation.predictions, outputs, atol=1e-6)
    total = explanation.values.sum(axis=1) + explanation.base_values
    np.testing.assert_allclose(total, outputs, atol=atol)
    assert explanation.diagnostics["completeness_gap"].shape == outputs.shape
    assert explanation.diagnostics["completeness_gap"].max() <= atol
    if explainer.background_ is not None:
        mean = function(explainer.background_.rows).mean(axis=0)
        np.testing.assert_allclose(explainer.base_values_, np.atleast_1d(mean), atol=1e-6)
    return explanation


class TestAgainstEnumeration:
    @pytest.mark.parametrize("estimator", REGRESSORS, ids=name)
    @pytest.mark.parametrize("rows", [X, coarse], ids=["between thresholds", "on thresholds"])
    def test_regressors(self, estimator, rows):
        explainer = TreeSHAP(estimator, background=rows[:8]).fit(rows, y)
        predict = explainer.estimator_.predict
        explanation = check_complete(explainer, rows[10:40], predict)
        expected = by_hand(predict, rows[10:13], rows[:8], explainer.players_)
        np.testing.assert_allclose(explanation.values[:3], expected[..., 0], atol=1e-6)
        kernel = KernelSHAP(
            FrozenEstimator(explainer.estimator_), background=rows[:8], max_evals="exact"
        ).fit(rows)
        np.testing.assert_allclose(explanation.values, kernel.transform(rows[10:40]), atol=1e-6)

    @pytest.mark.parametrize(
        ("estimator", "method"),
        [
            (DecisionTreeClassifier(max_depth=5, random_state=0), "predict_proba"),
            (RandomForestClassifier(5, random_state=0), "predict_proba"),
            (HistGradientBoostingClassifier(max_iter=5, random_state=0), "decision_function"),
        ],
        ids=name,
    )
    def test_three_classes(self, estimator, method):
        explainer = TreeSHAP(estimator, background=coarse[:8]).fit(coarse, labels)
        function = getattr(explainer.estimator_, method)
        explanation = check_complete(explainer, coarse[10:40], function)
        expected = by_hand(function, coarse[10:12], coarse[:8], explainer.players_)
        np.testing.assert_allclose(explanation.values[:2], expected, atol=1e-6)
        assert explanation.output_names == ("high", "low", "mid")
        assert explanation.params["output"] == method

    @pytest.mark.parametrize(
        "estimator",
        [
            GradientBoostingClassifier(n_estimators=5, random_state=0),
            HistGradientBoostingClassifier(max_iter=5, random_state=0),
        ],
        ids=name,
    )
    def test_two_classes_of_boosting(self, estimator):
        explainer = TreeSHAP(estimator, background=coarse[:8]).fit(coarse, y > 0)
        function = explainer.estimator_.decision_function
        explanation = check_complete(explainer, coarse[10:40], function)
        expected = by_hand(function, coarse[10:12], coarse[:8], explainer.players_)
        np.testing.assert_allclose(explanation.values[:2], expected[..., 0], atol=1e-6)
        probable = TreeSHAP(estimator, background=coarse[:8], output="predict_proba")
        probable.fit(coarse, y > 0)
        explanation = check_complete(probable, coarse[10:40], probable.estimator_.predict_proba)
        np.testing.assert_allclose(explanation.values.sum(axis=2), 0, atol=1e-7)
        assert explanation.output_names == ("False", "True")

    def test_several_targets(self):
        forest = RandomForestRegressor(4, random_state=0)
        explainer = TreeSHAP(forest, background=coarse[:8]).fit(
            coarse, np.column_stack([y, -X[:, 3]])
        )
        function = explainer.estimator_.predict
        explanation = check_complete(explainer, coarse, function)
        expected = by_hand(function, coarse[10:12], coarse[:8], explainer.players_)
        np.testing.assert_allclose(explanation.values[10:12], expected, atol=1e-6)
        assert explanation.output_names == ("output 0", "output 1")


class TestThresholds:
    """Where shap's extension alone rounds rows to the wrong side of a threshold."""

    @pytest.mark.parametrize("background", [None, 60], ids=["paths", "rows"])
    @pytest.mark.parametrize("estimator", REGRESSORS, ids=name)
    @pytest.mark.parametrize(
        "scale", [[1, 1, 1, 1], [1e-9, 0.1, 3, 1e7]], ids=["of one decimal", "of many sizes"]
    )
    def test_rows_on_thresholds(self, estimator, scale, background):
        rows = coarse * scale + np.array([0, 0, 0, 3e7]) * (scale[3] != 1)
        explainer = TreeSHAP(estimator, background=background, random_state=0).fit(rows, y)
        check_complete(explainer, rows, explainer.estimator_.predict)

    def test_every_row_on_a_threshold(self):
        """Where shap alone sends rows down the wrong branch."""
        rows = rng.integers(0, 40, size=(300, 4)) / 10
        model = HistGradientBoostingRegressor(max_iter=20).fit(rows, 100 * rows.prod(axis=1))
        stored = model._predictors[0][0].nodes
        inner = stored[~stored["is_leaf"].astype(bool)]
        for node in inner:
            rows[: len(rows) // 2, node["feature_idx"]] = node["num_threshold"]
        explainer = TreeSHAP(FrozenEstimator(model), background=rows[-50:]).fit(rows)
        check_complete(
            explainer, rows, model.predict, atol=1e-5 * np.abs(model.predict(rows)).max()
        )

    @pytest.mark.parametrize("seed", range(6))
    def test_thresholds_closer_than_single_precision(self, seed):
        """Midpoints that are equal but for rounding, and values that lie among them."""
        rows = StandardScaler().fit_transform(coarse)
        forest = RandomForestRegressor(20, max_features=2, random_state=seed)
        explainer = TreeSHAP(forest, background=50, random_state=0).fit(rows, y)
        check_complete(explainer, rows, explainer.estimator_.predict)

    @pytest.mark.parametrize("estimator", [REGRESSORS[0], REGRESSORS[1], REGRESSORS[4]], ids=name)
    @pytest.mark.parametrize("background", [None, 30])
    def test_missing_values(self, estimator, background):
        rows = coarse.copy()
        rows[::5, 1] = np.nan
        explainer = TreeSHAP(estimator, background=background, random_state=0).fit(rows, y)
        check_complete(explainer, rows, explainer.estimator_.predict)


class TestBackground:
    def test_all_rows_count(self):
        rows = rng.normal(size=(180, 3))
        model = RandomForestRegressor(3, random_state=0).fit(rows, rows[:, 0] * rows[:, 1])
        explainer = TreeSHAP(FrozenEstimator(model), background=rows).fit(rows)
        assert (
            len(explainer.background_) == explainer.explain(rows[:1]).params["n_background"] == 180
        )
        expected = by_hand(model.predict, rows[:2], rows, explainer.players_)
        np.testing.assert_allclose(explainer.transform(rows[:2]), expected[..., 0], atol=1e-6)

    def test_one_row(self):
        explainer = TreeSHAP(REGRESSORS[1], background=X[:1]).fit(X, y)
        expected = by_hand(explainer.predict, X[3:5], X[:1], explainer.players_)
        np.testing.assert_allclose(explainer.transform(X[3:5]), expected[..., 0], atol=1e-6)
        np.testing.assert_allclose(explainer.transform(X[:1]), 0, atol=1e-9)

    def test_drawn_rows(self):
        first = TreeSHAP(REGRESSORS[0], background=9, random_state=3).fit(X, y)
        again = TreeSHAP(REGRESSORS[0], background=9, random_state=3).fit(X, y)
        assert len(first.background_) == 9
        np.testing.assert_array_equal(first.background_.rows, again.background_.rows)

    def test_frame(self):
        framed = TreeSHAP(REGRESSORS[0], background=frame[:6]).fit(frame, y)
        plain = TreeSHAP(REGRESSORS[0], background=X[:6]).fit(X, y)
        np.testing.assert_allclose(framed.transform(frame), plain.transform(X))

    def test_equal_weights_serve(self):
        plain = TreeSHAP(REGRESSORS[0], background=X[:6]).fit(X, y)
        weighted = TreeSHAP(REGRESSORS[0], background=Background(X[:6], [2] * 6)).fit(X, y)
        np.testing.assert_array_equal(weighted.transform(X), plain.transform(X))

    def test_unequal_weights_do_not(self):
        with pytest.raises(ValueError, match=r"different weight.*KernelSHAP"):
            TreeSHAP(REGRESSORS[0], background=Background(X[:2], [1, 2])).fit(X, y)


class TestPaths:
    """Without a background."""

    @pytest.mark.parametrize("estimator", REGRESSORS, ids=name)
    def test_values_of_shap(self, estimator):
        explainer = TreeSHAP(estimator).fit(X, y)
        assert explainer.background_ is None
        explanation = check_complete(explainer, X, explainer.estimator_.predict, atol=1e-9)
        own = shap.TreeExplainer(explainer.estimator_, feature_perturbation="tree_path_dependent")
        expected = own.shap_values(X, check_additivity=False)
        np.testing.assert_allclose(explanation.values, expected, atol=1e-9)
        np.testing.assert_allclose(explainer.base_values_, np.ravel(own.expected_value), atol=1e-9)

    def test_classes(self):
        explainer = TreeSHAP(RandomForestClassifier(5, random_state=0)).fit(X, labels)
        explanation = check_complete(explainer, X, explainer.estimator_.predict_proba, atol=1e-9)
        own = shap.TreeExplainer(explainer.estimator_, feature_perturbation="tree_path_dependent")
        np.testing.assert_allclose(explanation.values, own.shap_values(X), atol=1e-9)

    def test_probabilities_of_boosting(self):
        boosting = HistGradientBoostingClassifier(max_iter=3)
        with pytest.raises(ValueError, match="needs two classes and a background"):
            TreeSHAP(boosting, output="predict_proba").fit(X, y > 0)
        with pytest.raises(ValueError, match="needs two classes and a background"):
            TreeSHAP(boosting, output="predict_proba", background=5).fit(X, labels)

    def test_class_labels(self):
        with pytest.raises(ValueError, match="no sum over trees"):
            TreeSHAP(RandomForestClassifier(3), output="predict").fit(X, labels)


class TestInsideOthers:
    def test_scalers(self, recwarn):
        pipeline = make_pipeline(StandardScaler(), "passthrough", MinMaxScaler(), REGRESSORS[1])
        explainer = TreeSHAP(pipeline, background=frame[:8]).fit(frame, y)
        explanation = explainer.explain(frame[10:30])
        assert not [w for w in recwarn if "feature names" in str(w.message)]

        def predict(rows):
            return explainer.estimator_.predict(pd.DataFrame(rows, columns=frame.columns))

        expected = by_hand(predict, X[10:12], X[:8], explainer.players_)
        np.testing.assert_allclose(explanation.values[:2], expected[..., 0], atol=1e-6)
        np.testing.assert_array_equal(explanation.data, X[10:30])
        np.testing.assert_allclose(explanation.predictions, predict(X[10:30]))

    def test_frozen_pipeline_of_single_precision(self):
        rows = frame.astype(np.float32)
        pipeline = make_pipeline(StandardScaler(), REGRESSORS[4]).fit(rows, y)
        explainer = TreeSHAP(FrozenEstimator(pipeline), background=30, random_state=0).fit(rows)
        assert explainer.explain(rows).diagnostics["completeness_gap"].max() < 1e-6

    def test_search(self):
        search = GridSearchCV(DecisionTreeRegressor(random_state=0), {"max_depth": [2, 3]}, cv=2)
        explainer = TreeSHAP(search, background=8, random_state=0).fit(X, y)
        check_complete(explainer, X, explainer.estimator_.predict)

    def test_flat_windows(self):
        pipeline = make_pipeline(SlidingWindow(2, flatten=True), REGRESSORS[1])
        explainer = TreeSHAP(pipeline, background=8, random_state=0, players="timestep")
        explanation = explainer.fit(X[:, :2], y).explain(X[:, :2])
        np.testing.assert_allclose(
            explanation.values.sum(axis=1) + explanation.base_values,
            explainer.predict(X[:, :2]),
            atol=1e-6,
        )
        cells = clone(explainer).set_params(players="cell").fit(X[:, :2], y).transform(X[:, :2])
        np.testing.assert_allclose(explanation.values[:, 0], cells[:, :2].sum(axis=1), atol=1e-9)


class TestInterface:
    def test_players_by_summation(self):
        columns = TreeSHAP(REGRESSORS[1], background=8, random_state=0).fit(X, y).transform(X)
        grouped = TreeSHAP(
            REGRESSORS[1], background=8, random_state=0, players={"pair": [0, 2]}
        ).fit(X, y)
        values = grouped.transform(X)
        np.testing.assert_allclose(values[:, 0], columns[:, [0, 2]].sum(axis=1))
        np.testing.assert_allclose(values[:, 1:], columns[:, [1, 3]])
        assert grouped.get_feature_names_out().tolist() == ["pair", "x1", "x3"]
        with pytest.raises(AttributeError, match="one player a column"):
            grouped.feature_importances_  # noqa: B018

    def test_row_independence(self):
        explainer = TreeSHAP(REGRESSORS[4], background=8, random_state=0).fit(X, y)
        together = explainer.transform(X[:5])
        for row in range(5):
            alone = explainer.transform(X[row : row + 1])
            np.testing.assert_array_equal(alone, together[row : row + 1])

    def test_processes(self):
        one = TreeSHAP(REGRESSORS[1], background=8, random_state=0).fit(X, y)
        two = TreeSHAP(REGRESSORS[1], background=8, random_state=0, n_jobs=2).fit(X, y)
        np.testing.assert_array_equal(one.transform(X), two.transform(X))

    def test_importances(self):
        explainer = TreeSHAP(REGRESSORS[1], background=X[:20]).fit(X, y)
        values = np.abs(explainer.transform(explainer.importance_rows_))
        np.testing.assert_allclose(explainer.feature_importances_, values.mean(axis=0))
        np.testing.assert_allclose(explainer.importances_std_, values.std(axis=0))

    def test_delegation(self):
        explainer = TreeSHAP(RandomForestClassifier(5, random_state=0)).fit(X, labels)
        inner = RandomForestClassifier(5, random_state=0).fit(X, labels)
        np.testing.assert_array_equal(explainer.predict(X), inner.predict(X))
        np.testing.assert_array_equal(explainer.predict_proba(X), inner.predict_proba(X))
        assert explainer.score(X, labels) == inner.score(X, labels)

    def test_pandas_output(self):
        explainer = TreeSHAP(REGRESSORS[0]).set_output(transform="pandas").fit(frame, y)
        table = explainer.transform(frame[10:13])
        assert table.columns.tolist() == list(frame.columns)
        assert table.index.tolist() == [10, 11, 12]

    def test_pickle_and_clone(self):
        explainer = TreeSHAP(REGRESSORS[4], background=8, random_state=0).fit(X, y)
        loaded = pickle.loads(pickle.dumps(explainer))
        np.testing.assert_array_equal(loaded.transform(X), explainer.transform(X))
        again = clone(explainer).fit(X, y)
        np.testing.assert_array_equal(again.transform(X), explainer.transform(X))


class OtherPackage(LinearRegression):
    """What it is cannot be told from where it is from."""


class TestErrors:
    @pytest.mark.parametrize(
        "estimator",
        [
            LinearRegression(),
            AdaBoostRegressor(),
            IsolationForest(),
            GRURegressor(),
            lambda rows: rows[:, 0],
            make_pipeline(StandardScaler(), LinearRegression()),
            make_pipeline(PCA(2), RandomForestRegressor()),
            TransformedTargetRegressor(RandomForestRegressor(), transformer=StandardScaler()),
        ],
        ids=["linear", "ada", "isolation", "gru", "function", "pipeline", "pca", "target"],
    )
    def test_not_trees(self, estimator, monkeypatch):
        def fit(*args, **kwargs):
            raise AssertionError("fitted for nothing")

        for kind in (LinearRegression, AdaBoostRegressor, IsolationForest, GRURegressor, PCA,
                     RandomForestRegressor, StandardScaler):  # fmt: skip
            monkeypatch.setattr(kind, "fit", fit)
        with pytest.raises(TypeError, match=r"TreeSHAP cannot .*KernelSHAP"):
            TreeSHAP(estimator).fit(X, y)

    def test_known_after_fitting(self):
        with pytest.raises(TypeError, match=r"cannot explain OtherPackage.*KernelSHAP"):
            TreeSHAP(OtherPackage()).fit(X, y)
        with pytest.raises(TypeError, match=r"only supported for binary.*KernelSHAP"):
            TreeSHAP(GradientBoostingClassifier(n_estimators=2)).fit(X, labels)

    def test_nodes_beyond_counting(self):
        rows = np.arange(40_000.0)[:, None]
        tree = DecisionTreeRegressor().fit(rows, rng.normal(size=40_000))
        with pytest.raises(TypeError, match=r"more than 32767 nodes.*KernelSHAP"):
            TreeSHAP(FrozenEstimator(tree), background=2).fit(rows)

    @pytest.mark.parametrize("background", [None, 20])
    def test_predictions_that_are_no_sum(self, background):
        counts = HistGradientBoostingRegressor(loss="poisson", max_iter=5)
        with pytest.raises(TypeError, match=r"miss its predictions.*KernelSHAP"):
            TreeSHAP(counts, background=background).fit(X, np.exp(y))
        rows = np.column_stack([X[:, :3], rng.integers(0, 5, len(X))])
        kinds = HistGradientBoostingRegressor(categorical_features=[3], max_iter=5)
        with pytest.raises(TypeError, match=r"miss its predictions.*KernelSHAP"):
            TreeSHAP(kinds, background=background).fit(rows, y + (rows[:, 3] % 2))

    def test_text(self):
        table = frame.assign(noise=labels)
        with pytest.raises(TypeError, match=r"\['noise'\] are not numeric.*KernelSHAP"):
            TreeSHAP(REGRESSORS[0]).fit(table, y)

    def test_shap_missing(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "shap", None)
        with pytest.raises(ImportError, match=r"pip install 'sklexplain\[shap\]'"):
            TreeSHAP(REGRESSORS[0]).fit(X, y)

    def test_parameters(self):
        with pytest.raises(ValueError, match="background=0 must be"):
            TreeSHAP(REGRESSORS[0], background=0).fit(X, y)
        with pytest.raises(ValueError, match="'output' parameter"):
            TreeSHAP(REGRESSORS[0], output="proba").fit(X, y)
        fitted = TreeSHAP(REGRESSORS[0]).fit(X, y)
        with pytest.raises(ValueError, match="X has 3 features"):
            fitted.explain(X[:, :3])


class TestOtherPackages:
    """Integers are bins of their own, so rows and thresholds meet."""

    rows = np.column_stack([coarse[:, :3], (coarse[:, 3] * 10).round() + 30_000_000])

    @pytest.mark.parametrize("background", [None, 20])
    @pytest.mark.parametrize(
        ("module", "params"),
        [
            ("lightgbm", {"min_child_samples": 5, "verbose": -1}),
            ("xgboost", {"max_depth": 3}),
        ],
    )
    def test_packages(self, module, params, background):
        package = pytest.importorskip(module)
        prefix = {"lightgbm": "LGBM", "xgboost": "XGB"}[module]
        raw = {"lightgbm": "raw_score", "xgboost": "output_margin"}[module]
        params = {"n_estimators": 8, "n_jobs": 1, "random_state": 0, **params}
        regressor = getattr(package, f"{prefix}Regressor")(**params)
        explainer = TreeSHAP(regressor, background=background, random_state=0).fit(self.rows, y)
        explanation = check_complete(explainer, self.rows, explainer.estimator_.predict)
        if background:
            kept = explainer.background_.rows
            expected = by_hand(
                explainer.estimator_.predict, self.rows[:2], kept, make_players("auto", (4,))
            )
            np.testing.assert_allclose(explanation.values[:2], expected[..., 0], atol=1e-5)
        for target in (y > 0).astype(int), np.digitize(y, [-0.5, 0.5]):
            classifier = getattr(package, f"{prefix}Classifier")(**params)
            explainer = TreeSHAP(classifier, background=background, random_state=0)
            explainer.fit(self.rows, target)

            def margin(rows, inner=explainer.estimator_):
                return inner.predict(rows, **{raw: True})

            explanation = check_complete(explainer, self.rows, margin)
            assert explanation.params["output"] == "decision_function"
            assert explanation.output_names == (("0", "1", "2") if target.max() == 2 else ())
            loaded = pickle.loads(pickle.dumps(explainer))
            np.testing.assert_array_equal(
                loaded.transform(self.rows), explanation.values.reshape(len(self.rows), -1)
            )
