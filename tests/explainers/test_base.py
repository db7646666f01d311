"""What the explainers share, seen through both of them."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import get_tags
from torch import nn

from sklexplain import KernelSHAP, PermutationImportance, SlidingWindow, as_estimator
from sklexplain.explainers.pipelines import split_at_windows

rng = np.random.default_rng(0)
X = rng.normal(size=(40, 3))
y = X @ [1.0, -2.0, 0.0]
labels = np.where(y > 0, "up", "down")
frame = pd.DataFrame(X, columns=["open", "close", "volume"])

EXPLAINERS = pytest.mark.parametrize(
    "explainer",
    [
        lambda estimator, **params: KernelSHAP(estimator, background=5, random_state=0, **params),
        lambda estimator, **params: PermutationImportance(
            estimator, n_repeats=2, random_state=0, **params
        ),
    ],
    ids=["KernelSHAP", "PermutationImportance"],
)


class LastRow(LinearRegression):
    """Regresses on windows: sees the columns of the last two rows."""

    def fit(self, X, y):
        return super().fit(X[:, -2:].reshape(len(X), -1), y)

    def predict(self, X):
        return super().predict(X[:, -2:].reshape(len(X), -1))


@EXPLAINERS
class TestDelegation:
    def test_predicts_and_scores_as_the_inner_estimator(self, explainer):
        fitted = explainer(Ridge(alpha=2)).fit(X, y)
        inner = Ridge(alpha=2).fit(X, y)
        np.testing.assert_array_equal(fitted.predict(X), inner.predict(X))
        assert fitted.score(X, y) == inner.score(X, y)
        weights = np.arange(40)
        assert fitted.score(X, y, sample_weight=weights) == inner.score(X, y, sample_weight=weights)
        assert not hasattr(fitted, "predict_proba")
        assert not hasattr(fitted, "decision_function")
        assert not hasattr(fitted, "classes_")

    def test_classifier(self, explainer):
        fitted = explainer(LogisticRegression()).fit(X, labels)
        inner = LogisticRegression().fit(X, labels)
        for method in ("predict", "predict_proba", "decision_function"):
            np.testing.assert_array_equal(getattr(fitted, method)(X), getattr(inner, method)(X))
        assert fitted.classes_.tolist() == ["down", "up"]

    def test_methods_are_known_before_fitting(self, explainer):
        assert not hasattr(explainer(RidgeClassifier()), "predict_proba")
        assert hasattr(explainer(RidgeClassifier()), "decision_function")
        assert hasattr(explainer(lambda X: X[:, 0]), "predict")

    def test_unfitted(self, explainer):
        unfitted = explainer(LogisticRegression())
        calls = [
            unfitted.predict, unfitted.predict_proba, unfitted.decision_function, unfitted.explain,
            lambda X: unfitted.score(X, labels),
        ]  # fmt: skip
        if hasattr(unfitted, "transform"):
            calls += [unfitted.transform, lambda X: unfitted.get_feature_names_out()]
        for call in calls:
            with pytest.raises(NotFittedError):
                call(X)
        assert not hasattr(unfitted, "importances_")
        for learned in ("feature_importances_", "classes_"):
            with pytest.raises(NotFittedError):
                getattr(unfitted, learned)

    @pytest.mark.parametrize(
        ("estimator", "message"),
        [
            (Ridge, r"estimator=Ridge is a class; give an instance, Ridge\(…\)"),
            (nn.Linear, "estimator=Linear is a class"),
            (None, "estimator=None can neither be fitted nor called; give an estimator"),
            ("Ridge", "estimator='Ridge' can neither"),
        ],
    )
    def test_what_is_no_model(self, explainer, estimator, message):
        with pytest.raises(TypeError, match=message):
            explainer(estimator).fit(X, y)

    def test_kind_of_estimator(self, explainer):
        assert is_regressor(explainer(Ridge()))
        assert is_classifier(explainer(LogisticRegression()))
        assert is_regressor(explainer(lambda X: X[:, 0]))
        assert not get_tags(explainer(Ridge())).input_tags.sparse

    def test_clone_and_parameters(self, explainer):
        original = explainer(make_pipeline(StandardScaler(), Ridge()))
        copied = clone(original).set_params(estimator__ridge__alpha=7)
        assert copied.estimator[-1].alpha == 7
        assert original.estimator[-1].alpha == 1
        assert copied.get_params()["estimator__ridge__alpha"] == 7
        fitted = copied.fit(X, y)
        assert fitted.estimator_[-1].alpha == 7
        assert not hasattr(fitted.estimator[-1], "coef_")

    def test_frozen_estimator_is_not_fitted_again(self, explainer):
        inner = Ridge().fit(X, -y)
        fitted = explainer(FrozenEstimator(inner)).fit(X, y)
        np.testing.assert_array_equal(fitted.predict(X), inner.predict(X))

    def test_bad_parameters_are_named(self, explainer):
        with pytest.raises(ValueError, match="'n_jobs' parameter"):
            explainer(Ridge(), n_jobs="many").fit(X, y)
        with pytest.raises(ValueError, match="players='columns' is not one of"):
            explainer(Ridge(), players="columns").fit(X, y)
        with pytest.raises(ValueError, match="feature_names has 2 names, but X has 3"):
            explainer(Ridge(), feature_names=["a", "b"]).fit(X, y)


@EXPLAINERS
class TestReading:
    def test_names(self, explainer):
        fitted = explainer(Ridge()).fit(frame, y)
        assert fitted.players_.names == ("open", "close", "volume")
        assert fitted.feature_names_in_.tolist() == ["open", "close", "volume"]
        assert fitted.n_features_in_ == 3
        fitted.fit(X, y)
        assert fitted.players_.names == ("x0", "x1", "x2")
        assert not hasattr(fitted, "feature_names_in_")
        assert explainer(Ridge(), feature_names=list("abc")).fit(X, y).players_.names == tuple(
            "abc"
        )

    def test_lists(self, explainer):
        fitted = explainer(Ridge()).fit(X.tolist(), y.tolist())
        np.testing.assert_allclose(fitted.importances_, explainer(Ridge()).fit(X, y).importances_)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_missing_values(self, explainer, value):
        broken = X.copy()
        broken[7, 1] = value
        with pytest.raises(ValueError, match=r"NaN or infin.*first in row 7.*Ridge"):
            explainer(FrozenEstimator(Ridge().fit(X, y))).fit(broken, y)
        with pytest.raises(ValueError, match="row 7"):
            explainer(Ridge()).fit(X, y).explain(broken)

    @pytest.mark.parametrize(
        "estimator",
        [
            make_pipeline(SimpleImputer(), Ridge()),
            make_pipeline("passthrough", make_pipeline(SimpleImputer(), Ridge())),
            make_pipeline(ColumnTransformer([("fill", SimpleImputer(), slice(3))]), Ridge()),
            make_pipeline(FunctionTransformer(np.nan_to_num), Ridge()),
            TransformedTargetRegressor(make_pipeline(SimpleImputer(), Ridge())),
            GridSearchCV(make_pipeline(SimpleImputer(), Ridge()), {"ridge__alpha": [1]}, cv=2),
            HistGradientBoostingRegressor(max_iter=3),
        ],
        ids=["pipeline", "nested", "columns", "function", "target", "search", "trees"],
    )
    def test_missing_values_of_an_estimator_that_takes_them(self, explainer, estimator):
        broken = X.copy()
        broken[::5, 1] = np.nan
        fitted = explainer(estimator).fit(broken, y)
        assert np.all(np.isfinite(fitted.importances_))
        frozen = explainer(FrozenEstimator(clone(estimator).fit(broken, y))).fit(broken, y)
        np.testing.assert_allclose(frozen.importances_, fitted.importances_)

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            (X[:, :2], r"X has 2 features, but \w+ is expecting 3 features"),
            (X[:, :, None], r"samples of shape \(3, 1\)"),
            (X[0], "Expected 2D array"),
            (np.full((2, 3), "a"), "something else than numbers"),
            (frame[["open", "close"]], "X has 2 features"),
        ],
    )
    def test_other_rows_than_fitted(self, explainer, rows, message):
        fitted = explainer(Ridge()).fit(X, y)
        with pytest.raises(ValueError, match=message):
            fitted.explain(rows)

    def test_frame_without_a_column(self, explainer):
        with pytest.raises(ValueError, match=r"X lacks the columns \['volume'\]"):
            explainer(Ridge()).fit(frame, y).explain(frame[["open", "close"]])

    def test_levels_without_one_player_a_column(self, explainer):
        fitted = explainer(Ridge(), players={"price": [0, 1]}).fit(X, y)
        assert fitted.importances_.shape == (2,)
        with pytest.raises(AttributeError, match="needs one player a column"):
            _ = fitted.feature_importances_

    def test_bare_module_is_neither_copied_nor_changed(self, explainer):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(3, 1), nn.Dropout())
        before = {name: value.clone() for name, value in module.state_dict().items()}
        fitted = explainer(module).fit(X, y)
        for name, value in module.state_dict().items():
            torch.testing.assert_close(value, before[name])
        assert module.training
        assert fitted.predict(X).shape == (40,)


def table(n_rows=60, seed=1):
    values = np.random.default_rng(seed).normal(size=(n_rows, 3))
    target = values[:, 0] + np.roll(values[:, 2], 1) * 2
    return pd.DataFrame(values, columns=["open", "close", "volume"]), target


class TestSplitAtWindows:
    def test_what_follows_the_windows_is_explained(self):
        rows, target = table()
        window, last = SlidingWindow(3), LastRow()
        wrappings = {
            "pipeline": make_pipeline(StandardScaler(), window, last),
            "nested": make_pipeline(StandardScaler(), make_pipeline(window, last)),
            "passthrough": Pipeline(
                [("a", "passthrough"), ("s", StandardScaler()), ("w", window), ("l", last)]
            ),
            "frozen": FrozenEstimator(
                make_pipeline(StandardScaler(), window, last).fit(rows, target)
            ),
            "target": TransformedTargetRegressor(
                make_pipeline(StandardScaler(), window, last), transformer=StandardScaler()
            ),
            "search": GridSearchCV(
                make_pipeline(StandardScaler(), window, last),
                {"slidingwindow__window": [3]},
                cv=2,
            ),
        }
        expected = SlidingWindow(3).fit_transform(StandardScaler().fit_transform(rows))
        for name, estimator in wrappings.items():
            fitted = estimator.fit(rows, target)
            steps, rest = split_at_windows(fitted)
            assert isinstance(steps[-1], SlidingWindow), name
            windows = rows
            for step in steps:
                windows = step.transform(windows)
            np.testing.assert_allclose(windows, expected)
            np.testing.assert_allclose(rest.predict(windows), fitted.predict(rows))

    def test_several_steps_follow(self):
        rows, target = table()
        fitted = make_pipeline(SlidingWindow(3, flatten=True), StandardScaler(), Ridge())
        fitted.fit(rows, target)
        steps, rest = split_at_windows(fitted)
        assert len(steps) == 1
        np.testing.assert_allclose(rest.predict(steps[0].transform(rows)), fitted.predict(rows))

    @pytest.mark.parametrize(
        "estimator",
        [
            Ridge(),
            make_pipeline(StandardScaler(), Ridge()),
            TransformedTargetRegressor(Ridge()),
            FrozenEstimator(Ridge().fit(X, y)),
        ],
    )
    def test_without_windows_nothing_is_split(self, estimator):
        fitted = estimator.fit(X, y)
        assert split_at_windows(fitted) == ([], fitted)


@EXPLAINERS
class TestPipelineOfWindows:
    @pytest.mark.parametrize(
        ("flatten", "players", "names"),
        [
            (False, "auto", ("open", "close", "volume")),
            (False, "timestep", ("t-1", "t")),
            (False, {"price": ["open", "close"]}, ("price", "volume")),
            (True, "feature", ("open", "close", "volume")),
            (True, "timestep", ("t-1", "t")),
            (
                True,
                "auto",
                ("open[t-1]", "close[t-1]", "volume[t-1]", "open[t]", "close[t]", "volume[t]"),
            ),
            (True, np.array([0, 0, 0, 1, 1, 2]), ("group 0", "group 1", "volume[t]")),
        ],
    )
    @pytest.mark.parametrize("as_frame", [True, False])
    def test_players_are_of_the_windows(self, explainer, flatten, players, names, as_frame):
        rows, target = table()
        params = {} if as_frame else {"feature_names": ["open", "close", "volume"]}
        pipeline = make_pipeline(
            StandardScaler(),
            SlidingWindow(2, flatten=flatten),
            Ridge() if flatten else LastRow(),
        )
        fitted = explainer(pipeline, players=players, **params)
        fitted.fit(rows if as_frame else rows.to_numpy(), target)
        assert fitted.players_.names == names

    def test_the_same_as_explaining_windows_made_before(self, explainer):
        rows, target = table()
        whole = explainer(make_pipeline(StandardScaler(), SlidingWindow(3), LastRow()))
        whole.fit(rows, target)
        windows = SlidingWindow(3).fit_transform(StandardScaler().fit_transform(rows))
        after = explainer(LastRow()).fit(windows, target)
        np.testing.assert_allclose(whole.importances_, after.importances_)
        flat = explainer(
            make_pipeline(StandardScaler(), SlidingWindow(3, flatten=True), Ridge(1e-9)),
            players="feature",
        ).fit(rows, target)
        labels = np.tile([0, 1, 2], 3)
        before = explainer(Ridge(1e-9), players=labels).fit(windows.reshape(60, 9), target)
        np.testing.assert_allclose(flat.importances_, before.importances_)

    def test_predicts_from_the_table(self, explainer):
        rows, target = table()
        pipeline = make_pipeline(SlidingWindow(3), LastRow())
        fitted = explainer(pipeline).fit(rows, target)
        np.testing.assert_allclose(fitted.predict(rows), pipeline.fit(rows, target).predict(rows))
        assert fitted.score(rows, target) == pytest.approx(pipeline.score(rows, target))

    def test_explainer_after_the_windows(self, explainer):
        rows, target = table()
        outer = make_pipeline(StandardScaler(), SlidingWindow(3), explainer(LastRow()))
        outer.fit(rows, target)
        inner = explainer(make_pipeline(StandardScaler(), SlidingWindow(3), LastRow()))
        inner.fit(rows, target)
        np.testing.assert_allclose(outer[-1].importances_, inner.importances_)
        np.testing.assert_allclose(outer.predict(rows), inner.predict(rows))


def test_as_estimator_and_bare_function_are_the_same():
    def function(rows):
        return rows[:, 0] * rows[:, 1]

    bare = KernelSHAP(function, background=X[:4]).fit(X).transform(X[:3])
    wrapped = KernelSHAP(as_estimator(function), background=X[:4]).fit(X).transform(X[:3])
    np.testing.assert_array_equal(bare, wrapped)
