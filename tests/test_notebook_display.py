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


class Failing:
    """A function of the rows that fails once it is told to."""

    fails = False

    def __call__(self, X):
        if self.fails:
            raise RuntimeError("out of order")
        return X[:, 0] * X[:, 1]


def shown_bars(text):
    """Return (what is done, share done, done, total, unit) as each bar last showed it."""
    bars = []
    for line in re.split("[\r\n]+", text):
        found = re.match(r"(.+?): +(\d+)%\|.*\| (\S+)/(\S+) \[.*<.*?(\w+)(?:/s)?\]", line)
        if found:
            name, share, done, total, unit = found.groups()
            if int(share) == 0 or not bars:
                bars.append(())
            bars[-1] = (name, int(share), float(done), float(total), unit.lstrip("0123456789"))
    return bars


class TestProgress:
    @pytest.fixture(autouse=True)
    def whole_numbers(self, monkeypatch):
        """Let bars print every number in full, so that totals can be compared."""
        from tqdm.std import tqdm

        monkeypatch.setattr(tqdm, "format_sizeof", staticmethod(lambda n, *a, **p: f"{n:.0f}"))

    def explained(self, capfd, explainer, rows=TABLE, fitted_on=TABLE):
        explainer.fit(fitted_on, fitted_on[:, 0])
        assert capfd.readouterr() == ("", "")
        explanation = explainer.explain(rows)
        written = capfd.readouterr()
        assert written.out == ""
        return explanation, shown_bars(written.err)

    @pytest.mark.parametrize(
        "params", [{}, {"max_evals": 41}, {"max_evals": 400, "tol": 0.3}, {"n_jobs": 2}]
    )
    def test_kernel_shap_counts_evaluations(self, capfd, params):
        # Some rows equal the background in a column, which then does not play.
        background = np.zeros((30, 6))
        background[:, 2:] = RNG.normal(size=(30, 4))
        rows = RNG.normal(size=(8, 6))
        rows[:3, :2] = 0

        shown = KernelSHAP(
            lambda X: X[:, 0] * X[:, 1] * X[:, 3] + X.sum(axis=1),
            background=background[:10],
            random_state=0,
            verbose=1,
            **params,
        )
        explanation, bars = self.explained(capfd, shown, rows, background)
        n_evals = explanation.diagnostics["n_evals"].sum()
        assert bars == [("KernelSHAP", 100, n_evals, n_evals, "eval")]

    def test_lime_counts_evaluations(self, capfd):
        shown = LIME(doubled, n_samples=60, random_state=0, verbose=1)
        explanation, bars = self.explained(capfd, shown)
        n_evals = explanation.params["n_evals_run"]
        assert bars == [("LIME", 100, n_evals, n_evals, "eval")]

    def test_one_bar_counts_rows_found_and_made(self, capfd, tmp_path):
        rows = np.concatenate([TABLE] * 10)
        for _ in range(2):
            params = {"memory": tmp_path, "random_state": 0, "max_evals": 3000}
            shown = KernelSHAP(doubled, background=500, verbose=1, **params)
            _, bars = self.explained(capfd, shown, rows)
            assert bars == [("KernelSHAP", 100, 300, 300, "row")]

    @pytest.mark.parametrize("cls", [DeepSHAP, SHAP])
    def test_deep_shap_counts_rows(self, capfd, cls):
        rows = np.concatenate([TABLE] * 10)
        module = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1))
        params = {"max_evals": 20} if cls is SHAP else {}
        shown = cls(module, background=5, verbose=1, **params)
        _, bars = self.explained(capfd, shown, rows)
        assert bars == [("DeepSHAP", 100, 300, 300, "row")]

    @pytest.mark.parametrize("cls", [TreeSHAP, SHAP])
    @pytest.mark.parametrize("n_jobs", [None, 2])
    def test_tree_shap_counts_rows(self, capfd, cls, n_jobs):
        rows = np.concatenate([TABLE] * 10)
        forest = RandomForestRegressor(2, random_state=0)
        _, bars = self.explained(capfd, cls(forest, n_jobs=n_jobs, verbose=1), rows)
        assert bars == [("TreeSHAP", 100, 300, 300, "row")]

    @pytest.mark.parametrize(("cv", "n_folds"), [(None, 1), (3, 3)])
    def test_permutation_importance_counts_players_of_all_folds(self, capfd, cv, n_folds):
        shown = PermutationImportance(Ridge(), cv=cv, verbose=1).fit(TABLE, TARGET)
        written = capfd.readouterr()
        n = 3 * n_folds
        assert shown_bars(written.err) == [("permutation importance", 100, n, n, "player")]
        assert written.out == ""
        shown.explain(TABLE, TARGET)
        assert shown_bars(capfd.readouterr().err) == [
            ("permutation importance", 100, 3, 3, "player")
        ]

    @pytest.mark.parametrize("cls", ANY)
    def test_closes_where_the_model_fails(self, capfd, cls):
        from tqdm import tqdm

        model = Failing()
        params = {"y": TARGET}
        shown = explainer(cls, model, verbose=1).fit(TABLE, TARGET)
        capfd.readouterr()
        # An adapted function is not copied, so the fitted explainer holds this one.
        model.fails = True
        if cls is not PermutationImportance:
            params = {}
        with pytest.raises(RuntimeError, match="out of order"):
            shown.explain(TABLE, **params)
        assert not tqdm._instances
        # A bar that is left open has no end of line.
        text = capfd.readouterr().err
        assert text == "" or text.endswith("\n")

    @pytest.mark.parametrize(
        ("cls", "estimator"),
        [
            (KernelSHAP, Ridge()),
            (LIME, Ridge()),
            (PermutationImportance, Ridge()),
            (SHAP, Ridge()),
            (TreeSHAP, RandomForestRegressor(2)),
            (DeepSHAP, net()),
        ],
    )
    def test_silent_unless_asked(self, capfd, cls, estimator):
        shown = explainer(cls, estimator).fit(TABLE, TARGET)
        shown.explain(TABLE, *([TARGET] if cls is PermutationImportance else []))
        assert len(shown.importances_) == 3
        assert capfd.readouterr() == ("", "")
