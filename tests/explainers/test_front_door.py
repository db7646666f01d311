"""SHAP must choose as its table says, and be the chosen explainer in all but name."""

import pickle
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

from sklexplain import SHAP, Background, DeepSHAP, KernelSHAP, SlidingWindow, TreeSHAP, as_estimator
from sklexplain.recurrent import GRUClassifier, GRURegressor

rng = np.random.default_rng(0)
X = rng.normal(size=(50, 4))
wide = rng.normal(size=(50, 20))
windows = rng.normal(size=(50, 6, 3)).astype(np.float32)
y = X[:, 0] * X[:, 1] + X[:, 2]
frame = pd.DataFrame(X, columns=["open", "close", "volume", "noise"])
FOREST = RandomForestRegressor(3, random_state=0)
NET = GRURegressor(hidden_size=3, max_epochs=1, random_state=0)
MIXED = {"players": {"pair": [0, 1]}}
CELLS = {"players": "cell"}
EXACT, SAMPLED = "KernelSHAP, exact", "KernelSHAP, sampled"


@pytest.fixture(autouse=True)
def _one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


class Counted(RandomForestRegressor):
    fits = 0

    def fit(self, X, y, sample_weight=None):
        type(self).fits += 1
        return super().fit(X, y, sample_weight)


class Sorting(nn.Module):
    def forward(self, x):
        return torch.cumprod(x.flatten(1), dim=1)[:, :2]


class TestTable:
    @pytest.mark.parametrize(
        ("estimator", "rows", "params", "method"),
        [
            (FOREST, X, {}, "TreeSHAP"),
            (FOREST, wide, {}, "TreeSHAP"),
            (FOREST, wide, {"max_evals": "exact"}, "TreeSHAP"),
            (make_pipeline(StandardScaler(), FOREST), wide, {}, "TreeSHAP"),
            (HistGradientBoostingRegressor(max_iter=3), wide, {}, "TreeSHAP"),
            (HistGradientBoostingRegressor(max_iter=3, categorical_features=[19]),
             np.column_stack([wide[:, :19], np.arange(50) % 3]), {}, SAMPLED),
            (FOREST, X, MIXED, EXACT),
            (FOREST, wide, MIXED, SAMPLED),
            (FOREST, X, {"background": Background.kmeans(X, 3, random_state=0)}, EXACT),
            (Ridge(), X, {}, EXACT),
            (Ridge(), wide, {}, SAMPLED),
            (Ridge(), X, {"max_evals": 60}, SAMPLED),
            (lambda rows: rows[:, 0], wide, {}, SAMPLED),
            (NET, windows, {}, EXACT),
            (NET, windows, CELLS, "DeepSHAP"),
            (NET, windows, {"max_evals": 50}, "DeepSHAP"),
            (nn.Sequential(nn.Linear(20, 2), nn.Tanh()), wide, {}, "DeepSHAP"),
            (as_estimator(nn.Linear(20, 2), "classifier"), wide, {}, "DeepSHAP"),
            (Sorting(), wide, {}, SAMPLED),
            (make_pipeline(StandardScaler(), SlidingWindow(6), NET), X, CELLS, "DeepSHAP"),
            (make_pipeline(SlidingWindow(2, flatten=True), FOREST), X, {}, "TreeSHAP"),
        ],
        ids=[
            "forest", "wide forest", "wide forest, exact", "scaled forest", "boosting",
            "categorical boosting", "forest, groups", "wide forest, groups", "weighted background",
            "linear", "wide linear", "linear, few evaluations", "function", "net, features",
            "net, cells", "net, few evaluations", "module", "module, classifier",
            "module without rule", "net behind windows", "forest behind windows",
        ],
    )  # fmt: skip
    def test_choice(self, estimator, rows, params, method):
        explainer = SHAP(estimator, random_state=0, **{"background": 20, **params})
        assert " by " not in repr(explainer)
        explainer.fit(rows, y)
        assert explainer.method_ == method
        assert repr(explainer).endswith(f") by {method}")
        explanation = explainer.explain(rows[:10])
        assert explanation.method == method.split(",")[0]
        total = explanation.values.sum(axis=1) + explanation.base_values
        np.testing.assert_allclose(total, explanation.predictions, atol=1e-5)
        kinds = {"TreeSHAP": TreeSHAP, "DeepSHAP": DeepSHAP, "KernelSHAP": KernelSHAP}
        assert type(explainer.explainer_) is kinds[method.split(",")[0]]

    def test_classifiers(self):
        labels = np.array(["low", "high"])[(y > 0).astype(int)]
        forest = SHAP(RandomForestClassifier(3, random_state=0), background=10).fit(X, labels)
        assert forest.method_ == "TreeSHAP"
        assert forest.output_names_ == ("high", "low")
        boosting = GradientBoostingClassifier(n_estimators=3, random_state=0)
        margin = SHAP(boosting, background=10, random_state=0).fit(X, labels)
        assert (margin.method_, margin.output_names_) == ("TreeSHAP", ())
        # Which the extension does not divide exactly.
        probable = SHAP(boosting, background=10, output="predict_proba").fit(X, labels)
        assert (probable.method_, probable.output_names_) == (EXACT, ("high", "low"))
        # Which the extension does not take.
        three = SHAP(boosting, background=10).fit(X, np.digitize(y, [-0.5, 0.5]))
        assert three.method_ == EXACT
        net = GRUClassifier(hidden_size=3, max_epochs=1, random_state=0)
        explainer = SHAP(net, background=10, players="cell").fit(windows, labels)
        assert (explainer.method_, explainer.output_names_) == ("DeepSHAP", ("high", "low"))

    def test_text(self):
        table = frame.assign(noise=np.where(y > 0, "a", "b"))
        encoded = make_column_transformer((OneHotEncoder(), ["noise"]), remainder="passthrough")
        explainer = SHAP(make_pipeline(encoded, FOREST), background=10).fit(table, y)
        assert explainer.method_ == EXACT
        assert explainer.explain(table[:3]).categories[3] == tuple(pd.unique(table["noise"]))

    def test_without_shap(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "shap", None)
        assert SHAP(FOREST, background=10).fit(X, y).method_ == EXACT
        assert SHAP(FOREST, background=10).fit(wide, y).method_ == SAMPLED


class TestInterface:
    @pytest.mark.parametrize(
        ("estimator", "rows", "chosen"),
        [(FOREST, X, TreeSHAP), (Ridge(), X, KernelSHAP), (NET, windows, DeepSHAP)],
        ids=["tree", "kernel", "deep"],
    )
    def test_it_is_the_chosen_explainer(self, estimator, rows, chosen):
        params = {"background": rows[:9], "random_state": 0}
        if chosen is DeepSHAP:
            params["players"] = "cell"
        front = SHAP(estimator, **params).fit(rows, y)
        alone = chosen(estimator, **params).fit(rows, y)
        ours, theirs = front.explain(rows[:5]), alone.explain(rows[:5])
        np.testing.assert_allclose(ours.values, theirs.values, atol=1e-7)
        np.testing.assert_allclose(ours.base_values, theirs.base_values)
        assert ours.method == theirs.method
        np.testing.assert_array_equal(front.transform(rows[:5]), ours.values)
        np.testing.assert_array_equal(front.predict(rows), alone.predict(rows))
        assert front.score(rows, y) == alone.score(rows, y)
        np.testing.assert_allclose(front.importances_, alone.importances_, atol=1e-7)
        np.testing.assert_allclose(front.importances_std_, alone.importances_std_, atol=1e-7)
        names = alone.get_feature_names_out().tolist()
        assert front.get_feature_names_out().tolist() == names
        np.testing.assert_array_equal(front.background_.rows, alone.background_.rows)
        loaded = pickle.loads(pickle.dumps(front))
        np.testing.assert_array_equal(loaded.transform(rows[:5]), ours.values)
        assert repr(loaded) == repr(front)
        fresh = clone(front)
        assert not hasattr(fresh, "explainer_")
        np.testing.assert_allclose(fresh.fit(rows, y).transform(rows[:5]), ours.values, atol=1e-7)

    def test_fitted_once(self, monkeypatch):
        for rows, params in ((X, {}), (X, MIXED), (wide, MIXED)):
            monkeypatch.setattr(Counted, "fits", 0)
            SHAP(Counted(2, random_state=0), background=10, **params).fit(rows, y)
            assert Counted.fits == 1

    def test_fitted_again(self):
        explainer = SHAP(FOREST, background=10, random_state=0).fit(X, y)
        before = explainer.importances_
        explainer.set_params(estimator=LinearRegression()).fit(X, y)
        assert explainer.method_ == EXACT
        assert not np.allclose(explainer.importances_, before)

    def test_fit_params(self):
        weight = np.arange(50.0)
        front = SHAP(FOREST, background=10).fit(X, y, sample_weight=weight)
        expected = clone(FOREST).fit(X, y, sample_weight=weight).predict(X)
        np.testing.assert_array_equal(front.predict(X), expected)

    def test_tables(self):
        front = SHAP(FOREST, background=frame[:8]).set_output(transform="pandas").fit(frame, y)
        table = front.transform(frame[10:13])
        assert table.columns.tolist() == front.feature_names_in_.tolist() == list(frame.columns)
        assert table.index.tolist() == [10, 11, 12]
        assert front.feature_importances_.shape == (4,)

    def test_windows(self):
        pipeline = make_pipeline(StandardScaler(), SlidingWindow(6), NET)
        front = SHAP(pipeline, players="cell", background=8, random_state=0).fit(frame, y)
        alone = DeepSHAP(pipeline, players="cell", background=8, random_state=0).fit(frame, y)
        np.testing.assert_allclose(front.transform(frame), alone.transform(frame), atol=1e-7)
        np.testing.assert_allclose(
            front.explain(frame).predictions, front.predict(frame), rtol=1e-5, atol=1e-6
        )


class TestErrors:
    @pytest.mark.parametrize(
        ("params", "error", "message"),
        [
            ({"background": 0}, ValueError, "background=0 must be"),
            ({"background": "all"}, TypeError, "background='all' must be a number"),
            ({"background": X[:, :2]}, ValueError, "background rows have shape"),
            ({"background": frame[["open"]]}, ValueError, "background has 1 features"),
            ({"max_evals": 0}, ValueError, "'max_evals' parameter"),
            ({"output": "proba"}, ValueError, "'output' parameter"),
        ],
    )
    def test_before_fitting(self, params, error, message, monkeypatch):
        monkeypatch.setattr(Counted, "fits", 0)
        with pytest.raises(error, match=message):
            SHAP(Counted(2), **params).fit(X, y)
        assert Counted.fits == 0

    def test_errors_of_the_last_resort(self):
        with pytest.raises(ValueError, match="LinearRegression has only"):
            SHAP(LinearRegression(), output="predict_proba").fit(X, y)
        with pytest.raises(ValueError, match="max_evals=3 is too few"):
            SHAP(LinearRegression(), max_evals=3).fit(X, y)
