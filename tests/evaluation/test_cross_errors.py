"""What cross_explain refuses before anything is fitted, and what it warns of."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold, KFold, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sklexplain import LIME, KernelSHAP, SlidingWindow, as_estimator, cross_explain

from .cases import X, frame, labels, permutation, windowed, y


class NeverFitted(LinearRegression):
    """Fails the test that fits it."""

    def fit(self, X, y=None):
        pytest.fail("a model was fitted")


explainer = KernelSHAP(NeverFitted(), background=5, random_state=0)
everything = np.arange(45)


class NeverFittedClassifier(LogisticRegression):
    def fit(self, X, y=None):
        pytest.fail("a model was fitted")


class TestFolds:
    @pytest.mark.parametrize(
        ("cv", "message"),
        [
            ([([0, 1, 45], [2])], "fold 0: the training part names row 45, but X has 45 rows"),
            ([([0], [1]), ([0], [-1])], "fold 1: the held-out part names row -1, but X has 45"),
            ([([0, 1], [])], "fold 0: the held-out part has no rows"),
            ([([], [0, 1])], "fold 0: the training part has no rows"),
            ([([0, 1, 2], [2, 3])], r"fold 0: 1 rows are both fitted and held out \(first: row 2"),
            ([([0, 1], [2, 2])], "fold 0: the held-out part names a row more than once"),
            ([([0.5, 1.5], [2.5])], "fold 0: the training part holds float64 values; expected"),
            ([([True, False], [False, True])], "holds bool values; .* a mask of 45 entries"),
            ([], "gives no folds"),
            ([[0, 1, 2]], r"fold 0 of cv is \[0, 1, 2\]; expected \(training rows"),
            ([("a", "b")], "fold 0: the training part has no rows or is no list"),
        ],
    )
    def test_strange(self, cv, message):
        with pytest.raises(ValueError, match=message):
            cross_explain(explainer, X, y, cv=cv)

    def test_masks_are_taken(self):
        test = everything < 9
        by_mask = cross_explain(permutation(), X, y, cv=[(~test, test)])
        by_position = cross_explain(
            permutation(), X, y, cv=[(np.flatnonzero(~test), np.flatnonzero(test))]
        )
        np.testing.assert_array_equal(by_mask.importances_, by_position.importances_)
        assert by_mask.n_test.tolist() == [9]

    def test_groups_are_missing(self):
        with pytest.raises(
            ValueError, match=r"GroupKFold.* keeps groups together, .* give groups="
        ):
            cross_explain(explainer, X, y, cv=GroupKFold(3))

    @pytest.mark.parametrize(
        ("target", "groups", "message"),
        [
            (y[:-1], None, "y has 44 entries, but X has 45 rows; give one a row"),
            (y, everything[1:], "groups has 44 entries, but X has 45 rows"),
        ],
    )
    def test_lengths(self, target, groups, message):
        with pytest.raises(ValueError, match=message):
            cross_explain(explainer, X, target, groups=groups, cv=3)

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"cv": 1}, "'cv' parameter of cross_explain must be an int in the range"),
            ({"cv": "five"}, "'cv' parameter of cross_explain"),
            ({"n_jobs": 0}, "'n_jobs' parameter of cross_explain"),
            ({"scoring": "R2"}, "'scoring' parameter of cross_explain"),
            ({"error_score": "ignore"}, "'error_score' parameter of cross_explain"),
            ({"missing_classes": "zero"}, "'missing_classes' parameter of cross_explain"),
            ({"params": [1]}, "'params' parameter of cross_explain"),
        ],
    )
    def test_parameters(self, params, message):
        with pytest.raises(ValueError, match=message):
            cross_explain(explainer, X, y, **params)


class TestExplainer:
    @pytest.mark.parametrize(
        ("strange", "message"),
        [
            (NeverFitted(), r"NeverFitted has no `explain`; .* KernelSHAP\(NeverFitted\(…\)\)"),
            (make_pipeline(StandardScaler(), NeverFitted()), "but NeverFitted has no `explain`"),
            (KernelSHAP, r"explainer=KernelSHAP is a class; give an instance, KernelSHAP\(est"),
            (None, "but NoneType has no `explain`"),
            (lambda rows: rows[:, 0], "but function has no `explain`"),
        ],
    )
    def test_cannot_explain(self, strange, message):
        with pytest.raises(TypeError, match=message):
            cross_explain(strange, X, y)

    def test_what_fails_names_its_fold(self):
        failing = KernelSHAP(Ridge(), background=5, max_evals=3)
        with pytest.raises(ValueError, match="max_evals=3 is too few") as raised:
            cross_explain(failing, X, y, cv=3)
        assert raised.value.__notes__ == [
            "in fold 0 of cross_explain: 30 rows to train on, 15 held out"
        ]

    def test_something_else_than_an_explanation(self):
        class Table(KernelSHAP):
            def explain(self, X):
                return np.zeros((len(X), 4))

        with pytest.raises(TypeError, match="explain returned ndarray; expected an Explanation"):
            cross_explain(Table(Ridge(), background=5), X, y, cv=3)

    def test_players_that_differ(self):
        column = np.r_[np.zeros(20), np.ones(20), np.full(5, 2.0)][:, None]
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        message = (
            r"fold 1, \['x0', 'x1', 'x2'\], are not .* belongs inside the explainer's estimator"
        )
        with pytest.raises(ValueError, match=message):
            cross_explain(
                make_pipeline(encoder, KernelSHAP(Ridge(), background=5)),
                column,
                y,
                cv=[(everything[:40], everything[40:]), (everything[10:], everything[:10])],
            )


class TestWindows:
    def test_held_out_part_is_too_short(self):
        with pytest.raises(ValueError, match=r"fold 0: the held-out part has 12 rows, fewer than"):
            cross_explain(windowed(20), X, y, cv=TimeSeriesSplit(2, test_size=12))

    def test_training_part_is_too_short(self):
        cv = [(everything[:10], everything[10:])]
        message = r"fold 0: the training part has 10 rows, fewer than SlidingWindow\(window=20\)"
        with pytest.raises(ValueError, match=message):
            cross_explain(windowed(20), X, y, cv=cv)

    def test_window_before_the_explainer(self):
        held = make_pipeline(SlidingWindow(20), explainer)
        with pytest.raises(ValueError, match="fewer than SlidingWindow"):
            cross_explain(held, X, y, cv=TimeSeriesSplit(3))

    def test_gaps(self):
        pipeline = make_pipeline(SlidingWindow(4, flatten=True), Ridge())
        explainer = KernelSHAP(pipeline, background=5, players="feature", random_state=0)
        with pytest.warns(UserWarning, match="training rows of fold 1 .* reach across the gaps"):
            cross_explain(explainer, X, y, cv=KFold(3))
        with pytest.warns(UserWarning, match="held-out rows of fold 0|training rows of fold 0"):
            cross_explain(explainer, X, y, cv=KFold(3, shuffle=True, random_state=0))


@pytest.mark.filterwarnings("error")
def test_nothing_to_warn_of(recwarn):
    pipeline = make_pipeline(SlidingWindow(4, flatten=True), Ridge())
    explainer = KernelSHAP(pipeline, background=5, players="feature", random_state=0)
    cross_explain(explainer, X, y, cv=TimeSeriesSplit(3))
    cross_explain(KernelSHAP(Ridge(), background=5), X, y, cv=KFold(3, shuffle=True))
    classifier = KernelSHAP(LogisticRegression(), background=5)
    cross_explain(classifier, X, labels, cv=3)
    assert not recwarn.list


class TestClasses:
    def test_one_class_left(self):
        classifier = KernelSHAP(NeverFittedClassifier(), background=5)
        rest, last = np.flatnonzero(labels != "c"), np.flatnonzero(labels == "c")
        message = "fold 1 trains on rows of class 'c' only, so that no classifier can be fitted"
        with pytest.raises(ValueError, match=message):
            cross_explain(
                classifier, X, labels, cv=[(np.r_[rest, last[1:]], last[:1]), (last, rest)]
            )

    def test_unknown_class_refused_before_fitting(self):
        classifier = KernelSHAP(NeverFittedClassifier(), background=5)
        rest, last = np.flatnonzero(labels != "c"), np.flatnonzero(labels == "c")
        with pytest.raises(ValueError, match="fold 0 trains on no row of class 'c'; Stratified"):
            cross_explain(classifier, X, labels, cv=[(rest, last)], missing_classes="raise")

    def test_outputs_chosen_row_by_row_have_no_mean(self):
        classifier = LIME(NeverFittedClassifier(), labels=2, n_samples=50)
        cv = [(everything[:30], everything[30:])] * 2
        with pytest.raises(ValueError, match="labels=2 chooses outputs row by row"):
            cross_explain(classifier, X, labels, cv=cv)


class DropsRows(TransformerMixin, BaseEstimator):
    """Leaves out the first row, as a differencing step might."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[1:]


class TestRowsThatVanish:
    @pytest.mark.parametrize(
        "changing",
        [
            make_pipeline(DropsRows(), explainer),
            make_pipeline(StandardScaler(), DropsRows(), explainer),
            KernelSHAP(make_pipeline(StandardScaler(), DropsRows(), NeverFitted())),
        ],
    )
    def test_by_a_step(self, changing):
        with pytest.raises(ValueError, match="the step DropsRows turns 30 rows into 29 before"):
            cross_explain(changing, X, y, cv=3)

    def test_by_a_function(self):
        changing = make_pipeline(FunctionTransformer(np.diff, kw_args={"axis": 0}), explainer)
        with pytest.raises(ValueError, match="FunctionTransformer turns 30 rows into 29"):
            cross_explain(changing, X, y, cv=3)

    def test_a_function_that_keeps_rows(self):
        keeping = make_pipeline(FunctionTransformer(np.tanh), KernelSHAP(Ridge(), background=5))
        assert len(cross_explain(keeping, X, y, cv=3).explanation) == 45

    def test_only_held_out_ones(self):
        class DropsFew(DropsRows):
            def transform(self, X):
                return X if len(X) == 30 else X[1:]

        changing = make_pipeline(DropsFew(), KernelSHAP(Ridge(), background=5))
        message = "14 explanations of 15 held-out rows: a step before the explained model changes"
        with pytest.raises(ValueError, match=message):
            cross_explain(changing, X, y, cv=3, scoring=lambda *parts: 0.0)


class TestLeaks:
    def test_fixed_background(self):
        given = KernelSHAP(Ridge(), background=X[10:12])
        with pytest.warns(UserWarning, match=r"holds 2 rows that a fold holds out \(first: row 10"):
            cross_explain(given, X, y, cv=3)
        with pytest.warns(UserWarning, match=r"holds 2 rows that a fold holds out \(first: row 10"):
            cross_explain(KernelSHAP(Ridge(), background=frame[10:12]), frame, y, cv=3)

    def test_background_of_other_rows(self, recwarn):
        cross_explain(KernelSHAP(Ridge(), background=X[10:12] + 1), X, y, cv=3)
        assert not recwarn.list

    def test_frozen_models(self):
        forest = RandomForestRegressor(3, random_state=0).fit(X, y)
        with pytest.warns(
            UserWarning, match="RandomForestRegressor in KernelSHAP is frozen"
        ) as told:
            cross_explain(KernelSHAP(as_estimator(forest), background=5), X, y, cv=3)
        assert told[0].filename == __file__
        with pytest.warns(UserWarning, match="<lambda> in KernelSHAP is frozen"):
            cross_explain(KernelSHAP(as_estimator(lambda rows: rows[:, 0]), background=5), X, y)
