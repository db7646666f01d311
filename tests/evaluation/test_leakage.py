"""No held-out row reaches what is learned: model, scaler, background, LIME's statistics.

Two instruments, each shown to catch a leak: rows carry their number in the first column, and what
learns writes down the numbers it met; and rows held out are replaced by others, which must change
nothing that was learned.
"""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import KFold, RepeatedKFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklexplain import LIME, DeepSHAP, KernelSHAP, SlidingWindow, TreeSHAP, cross_explain

from .cases import X as plain
from .cases import gru, net, permutation

rng = np.random.default_rng(0)
numbers = np.arange(60.0)
X = np.column_stack([numbers, rng.normal(size=(60, 3))])
y = X[:, 1] - X[:, 2]


class RecordingScaler(TransformerMixin, BaseEstimator):
    """Scales all columns but the row's number, and remembers the rows it learned from."""

    def fit(self, X, y=None):
        self.seen_ = set(X[:, 0].tolist())
        self.scaler_ = StandardScaler().fit(X[:, 1:])
        return self

    def transform(self, X):
        return np.column_stack([X[:, 0], self.scaler_.transform(X[:, 1:])])


class RecordingModel(RegressorMixin, BaseEstimator):
    """A linear model of rows or windows that remembers the rows it learned from."""

    def fit(self, X, y):
        self.seen_ = set(np.ravel(X[..., 0]).tolist())
        self.model_ = LinearRegression().fit(self._features(X), y)
        return self

    def _features(self, X):
        return X.reshape(len(X), -1, X.shape[-1])[:, -1, 1:]

    def predict(self, X):
        return self.model_.predict(self._features(X))


def rows_learned_from(explainer):
    """The numbers of the rows behind each thing that a fitted explainer has learned."""
    steps = explainer.estimator_
    learned = {}
    for step in steps:
        step = getattr(step, "estimator", step)
        if hasattr(step, "seen_"):
            learned[type(step).__name__] = step.seen_
    kept = {
        "background": getattr(getattr(explainer, "background_", None), "rows", None),
        "references": getattr(getattr(explainer, "draws_", None), "references", None),
        "importance rows": getattr(explainer, "importance_rows_", None),
    }
    learned |= {
        name: set(np.ravel(rows[..., 0]).tolist())
        for name, rows in kept.items()
        if rows is not None
    }
    return learned


def leaks(explainer, cv, rows=X):
    """Which learned parts met a row that their fold held out, as (fold, part)."""
    result = cross_explain(explainer, rows, y, cv=cv, return_estimator=True, return_indices=True)
    found, parts = set(), set()
    for fold, fitted in enumerate(result.estimators):
        held_out = set(result.indices["test"][fold].tolist())
        train = set(result.indices["train"][fold].tolist())
        for part, seen in rows_learned_from(fitted).items():
            parts.add(part)
            assert seen <= held_out | train
            if seen & held_out:
                found.add((fold, part))
            if part.startswith("Recording") and not found:
                assert seen == train
    return found, parts


TABLE = make_pipeline(RecordingScaler(), RecordingModel())
WINDOWS = make_pipeline(RecordingScaler(), SlidingWindow(5), RecordingModel())
EXPLAINERS = {
    "KernelSHAP": (KernelSHAP, {"background": 20}, {"background", "importance rows"}),
    "LIME binned": (LIME, {"n_samples": 50, "players": "cell"}, {"importance rows"}),
    "LIME replaced": (
        LIME,
        {"n_samples": 50, "players": "feature"},
        {"references", "importance rows"},
    ),
}


class TestRowsByNumber:
    @pytest.mark.parametrize("name", EXPLAINERS)
    def test_time_series_windows(self, name):
        explainer, params, parts = EXPLAINERS[name]
        found, learned = leaks(explainer(WINDOWS, random_state=0, **params), TimeSeriesSplit(3))
        assert not found
        assert learned == parts | {"RecordingScaler", "RecordingModel"}

    @pytest.mark.parametrize(
        "cv",
        [KFold(4, shuffle=True, random_state=0), RepeatedKFold(n_splits=3, random_state=0)],
        ids=["shuffled", "repeated"],
    )
    def test_table(self, cv):
        for players in ("column", [0, 0, 1, 2]):
            found, _ = leaks(LIME(TABLE, n_samples=50, players=players, random_state=0), cv)
            assert not found
        assert not leaks(KernelSHAP(TABLE, background=20, random_state=0), cv)[0]
        assert not leaks(permutation(TABLE), cv)[0]

    def test_catches_a_scaler_fitted_before(self):
        leaking = FrozenEstimator(RecordingScaler().fit(X))
        with pytest.warns(UserWarning, match="RecordingScaler in KernelSHAP is frozen"):
            found, _ = leaks(
                KernelSHAP(make_pipeline(leaking, RecordingModel()), background=20), KFold(3)
            )
        assert found == {(fold, "RecordingScaler") for fold in range(3)}

    def test_catches_a_background_given_before(self):
        with pytest.warns(UserWarning, match="background holds 60 rows that a fold holds out"):
            found, _ = leaks(KernelSHAP(TABLE, background=X), KFold(3))
        assert found == {(fold, "background") for fold in range(3)}

    def test_catches_a_model_fitted_before(self):
        fitted = FrozenEstimator(RecordingModel().fit(X, y))
        with pytest.warns(UserWarning, match="RecordingModel in KernelSHAP is frozen"):
            cross_explain(KernelSHAP(fitted, background=20), X, y, cv=3)
        with pytest.warns(UserWarning, match="RecordingModel in KernelSHAP is frozen"):
            found, _ = leaks(
                KernelSHAP(make_pipeline(RecordingScaler(), fitted), background=20), KFold(3)
            )
        assert found == {(fold, "RecordingModel") for fold in range(3)}


def replaced_rows(rows, target, cv, fold):
    """Rows and targets in which those that the fold holds out are others, far away."""
    test = [test for _, test in cv.split(rows)][fold]
    rows, target = rows.copy(), target.copy()
    rows[test] = 50 + 10 * rng.normal(size=rows[test].shape)
    target[test] = -1000
    return rows, target


def learned(explainer, rows, target, cv, fold, probe):
    result = cross_explain(explainer, rows, target, cv=cv, return_estimator=True)
    fitted = result.estimators[fold]
    if hasattr(fitted, "transform"):
        explanation = fitted.explain(probe)
        return np.concatenate(
            [explanation.values.ravel(), explanation.base_values, fitted.importances_]
        )
    drops = fitted.explain(probe, probe[:, 0]).values
    return np.concatenate([fitted.predict(probe), drops.ravel()])


def scaled(model):
    return make_pipeline(StandardScaler(), model)


PIPELINES = {
    "KernelSHAP": KernelSHAP(scaled(Ridge()), background=10, random_state=0),
    "LIME": LIME(scaled(Ridge()), n_samples=50, random_state=0),
    "LIME by decision trees": LIME(
        scaled(Ridge()), n_samples=50, discretizer="entropy", random_state=0
    ),
    "LIME by normal draws": LIME(
        scaled(Ridge()), n_samples=50, discretizer=None, center="row", random_state=0
    ),
    "LIME replaced": LIME(scaled(Ridge()), players=[0, 0, 1, 2], n_samples=50, random_state=0),
    "DeepSHAP": DeepSHAP(scaled(net()), background=10, random_state=0),
    "PermutationImportance": permutation(scaled(Ridge())),
    "windows": KernelSHAP(
        make_pipeline(StandardScaler(), SlidingWindow(5), gru()), background=10, random_state=0
    ),
    "behind a scaler": make_pipeline(
        StandardScaler(), KernelSHAP(Ridge(), background=10, random_state=0)
    ),
}


@pytest.mark.parametrize("name", PIPELINES)
def test_what_is_held_out_does_not_change_what_is_learned(name):
    cv = TimeSeriesSplit(3) if name == "windows" else KFold(3)
    explainer, probe = PIPELINES[name], plain[:6]
    fold = 2
    rows, target = replaced_rows(plain, plain[:, 0], cv, fold)
    if name == "behind a scaler":
        before, after = (
            cross_explain(explainer, *data, cv=cv, return_estimator=True)
            .estimators[fold]
            .transform(probe)
            for data in ((plain, plain[:, 0]), (rows, target))
        )
    else:
        before = learned(explainer, plain, plain[:, 0], cv, fold, probe)
        after = learned(explainer, rows, target, cv, fold, probe)
    np.testing.assert_array_equal(before, after)


def test_trees_and_their_background():
    explainer = TreeSHAP(RandomForestRegressor(3, random_state=0), background=10, random_state=0)
    cv = KFold(3)
    rows, target = replaced_rows(plain, plain[:, 0], cv, 0)
    np.testing.assert_array_equal(
        learned(explainer, plain, plain[:, 0], cv, 0, plain[:6]),
        learned(explainer, rows, target, cv, 0, plain[:6]),
    )


@pytest.mark.filterwarnings("ignore:StandardScaler in KernelSHAP is frozen")
def test_the_same_comparison_catches_a_scaler_fitted_before():
    cv = KFold(3)
    rows, target = replaced_rows(plain, plain[:, 0], cv, 2)
    before, after = (
        learned(
            KernelSHAP(make_pipeline(FrozenEstimator(StandardScaler().fit(data)), Ridge())),
            data,
            of_data,
            cv,
            2,
            plain[:6],
        )
        for data, of_data in ((plain, plain[:, 0]), (rows, target))
    )
    assert np.abs(before - after).max() > 0.01
