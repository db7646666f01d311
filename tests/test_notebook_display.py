"""What a notebook shows of explainers: scikit-learn's diagram, and progress bars."""

import re

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr
from torch import nn

from sklexplain import (
    LIME,
    SHAP,
    DeepSHAP,
    KernelSHAP,
    PermutationImportance,
    SlidingWindow,
    TreeSHAP,
    as_estimator,
)
from sklexplain.recurrent import GRURegressor

EVIL = "<script>alert(1)</script>"
RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(30, 3))
WINDOWS = RNG.normal(size=(30, 4, 2))
TARGET = TABLE[:, 0]


def doubled(X):
    return 2 * X[:, 0]


class Evil(Ridge):
    def __repr__(self, N_CHAR_MAX=700):
        return EVIL


class EvilFunction:
    def __call__(self, X):
        return X[:, 0]

    def __repr__(self):
        return EVIL


def gru():
    return GRURegressor(hidden_size=2, max_epochs=1, random_state=0)


def net():
    return nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1))


def explainer(cls, estimator, **params):
    return cls(estimator, **({"n_samples": 50} if cls is LIME else {}), **params)


ANY = (KernelSHAP, LIME, PermutationImportance, SHAP)
MODELS = {
    "Ridge": (Ridge, TABLE, ANY, ["Ridge"]),
    "Pipeline": (
        lambda: make_pipeline(StandardScaler(), Ridge()),
        TABLE,
        ANY,
        ["Pipeline", "StandardScaler", "Ridge"],
    ),
    "GRU": (gru, WINDOWS, (*ANY, DeepSHAP), ["GRURegressor"]),
    "windows": (
        lambda: make_pipeline(SlidingWindow(3), gru()),
        TABLE,
        (*ANY, DeepSHAP),
        ["Pipeline", "SlidingWindow", "GRURegressor"],
    ),
    "forest": (
        lambda: RandomForestRegressor(2, random_state=0),
        TABLE,
        (*ANY, TreeSHAP),
        ["RandomForestRegressor"],
    ),
    "function": (lambda: as_estimator(doubled), TABLE, ANY, ["doubled"]),
    "bare function": (lambda: doubled, TABLE, ANY, ["doubled"]),
    "lambda": (lambda: lambda X: X[:, 0], TABLE, ANY, ["<lambda>"]),
    "module": (lambda: as_estimator(net()), TABLE, (*ANY, DeepSHAP), ["Sequential"]),
    "bare module": (net, TABLE, (*ANY, DeepSHAP), ["Sequential"]),
    "fitted Ridge": (
        lambda: as_estimator(Ridge().fit(TABLE, TARGET)),
        TABLE,
        ANY,
        ["FrozenEstimator", "Ridge"],
    ),
}
CASES = [
    pytest.param(cls, name, id=f"{cls.__name__} of {name}")
    for name, (_, _, classes, _) in MODELS.items()
    for cls in classes
]


def shown_names(html):
    """Return the names on the boxes of the diagram, the outermost first, each once."""
    labels = re.findall(r"<label[^>]*sk-toggleable__label[^>]*><div><div>(.*?)</div>", html)
    names = [
        label.rsplit(": ", 1)[-1].replace("&lt;", "<").replace("&gt;", ">") for label in labels
    ]
    return list(dict.fromkeys(names))


class TestDiagram:
    @pytest.mark.parametrize(("cls", "name"), CASES)
    def test_names_of_explainer_and_estimator(self, cls, name):
        make, rows, _, expected = MODELS[name]
        shown = explainer(cls, make())
        html = shown._repr_html_()
        assert shown_names(html) == [cls.__name__, *expected]
        assert "<span>Not fitted</span>" in html
        html = shown.fit(rows, TARGET)._repr_html_()
        assert shown_names(html) == [cls.__name__, *expected]
        assert "<span>Fitted</span>" in html
        assert "<span>Not fitted</span>" not in html
        assert estimator_html_repr(shown).count("<label") == html.count("<label")

    @pytest.mark.parametrize("cls", ANY)
    def test_the_fitted_estimator_is_shown(self, cls):
        search = GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2)
        html = explainer(cls, search).fit(TABLE, TARGET)._repr_html_()
        assert "best_estimator_: Ridge" in html
        html = explainer(cls, Ridge()).fit(TABLE, TARGET)._repr_html_()
        assert "coef_" in html

    @pytest.mark.parametrize("cls", ANY)
    @pytest.mark.parametrize("model", [Evil, EvilFunction])
    def test_a_hostile_repr_is_escaped(self, cls, model):
        names = [EVIL, "b", "c"]
        shown = explainer(cls, model(), feature_names=names)
        for html in (shown._repr_html_(), shown.fit(TABLE, TARGET)._repr_html_()):
            assert EVIL not in html
            assert "&lt;script&gt;alert(1)" in html

    @pytest.mark.parametrize("cls", [KernelSHAP, LIME, SHAP])
    def test_showing_runs_no_model(self, cls):
        n_rows = []

        def counted(X):
            n_rows.append(len(X))
            return X[:, 0]

        shown = explainer(cls, counted).fit(TABLE)
        n_rows.clear()
        html = shown._repr_html_()
        assert n_rows == []
        assert "importances_std_" not in html
        # Once they are known, they are shown.
        importances = shown.importances_
        assert n_rows != []
        n_rows.clear()
        assert "importances_std_" in shown._repr_html_()
        assert n_rows == []
        np.testing.assert_array_equal(shown.importances_, importances)

    def test_only_attributes_with_a_value(self):
        html = KernelSHAP(Ridge()).fit(TABLE, TARGET)._repr_html_()
        assert "base_values_" in html
        assert "&lt;property object" not in html
        assert "classes_" not in html

    def test_inside_a_pipeline(self):
        pipeline = make_pipeline(StandardScaler(), KernelSHAP(Ridge()), Ridge())
        for html in (pipeline._repr_html_(), pipeline.fit(TABLE, TARGET)._repr_html_()):
            assert shown_names(html) == ["Pipeline", "StandardScaler", "KernelSHAP", "Ridge"]

    def test_sliding_windows(self):
        window = SlidingWindow(3)
        assert shown_names(window._repr_html_()) == ["SlidingWindow"]
        assert "<span>Fitted</span>" in window.fit(TABLE)._repr_html_()
