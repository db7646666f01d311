"""Out-of-fold attributions as a table, as scikit-learn would give them if it took `transform`."""

import numpy as np
import pytest
from sklearn import config_context, model_selection
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, RepeatedKFold, TimeSeriesSplit

from sklexplain import KernelSHAP, cross_explain, cross_val_predict

from .cases import ATTRIBUTIONS, X, data_for, frame, labels, permutation, y

FOLDS = KFold(4, shuffle=True, random_state=1)


@pytest.mark.parametrize("name", ATTRIBUTIONS)
class TestCrossValPredict:
    def test_equals_the_folds_by_hand(self, name):
        explainer = ATTRIBUTIONS[name]
        rows, target = data_for(name)
        values = cross_val_predict(explainer, rows, target, cv=FOLDS, method="transform")
        by_hand = np.full_like(values, np.nan)
        for train, test in FOLDS.split(rows):
            fitted = clone(explainer).fit(rows[train], target[train])
            by_hand[test] = fitted.transform(rows[test])
        np.testing.assert_array_equal(values, by_hand)

    def test_equals_scikit_learn(self, name):
        # Its loop can do it; only the check of its parameters cannot.
        explainer = ATTRIBUTIONS[name]
        rows, target = data_for(name)
        with config_context(skip_parameter_validation=True):
            theirs = model_selection.cross_val_predict(
                explainer, rows, target, cv=FOLDS, method="transform"
            )
        ours = cross_val_predict(explainer, rows, target, cv=FOLDS, method="transform")
        np.testing.assert_array_equal(ours, theirs)

    def test_equals_cross_explain(self, name):
        explainer = ATTRIBUTIONS[name]
        rows, target = data_for(name)
        values = cross_val_predict(explainer, rows, target, cv=FOLDS, method="transform")
        explanation = cross_explain(explainer, rows, target, cv=FOLDS).explanation
        np.testing.assert_array_equal(values, explanation.values.reshape(len(rows), -1))


def test_frames_give_what_arrays_give():
    explainer = ATTRIBUTIONS["KernelSHAP"]
    as_frame = cross_val_predict(explainer, frame, y, cv=FOLDS, method="transform")
    as_array = cross_val_predict(explainer, X, y, cv=FOLDS, method="transform")
    np.testing.assert_allclose(as_frame, as_array, atol=1e-12)


def test_predictions_are_those_of_the_estimator():
    explainer = KernelSHAP(LogisticRegression(), background=5, random_state=0)
    for method in ("predict", "predict_proba", "decision_function"):
        np.testing.assert_array_equal(
            cross_val_predict(explainer, X, labels, cv=FOLDS, method=method),
            model_selection.cross_val_predict(
                LogisticRegression(), X, labels, cv=FOLDS, method=method
            ),
        )


def test_columns_are_those_of_the_explainer():
    explainer = ATTRIBUTIONS["classes"]
    values = cross_val_predict(explainer, X, labels, cv=3, method="transform")
    names = clone(explainer).fit(X, labels).get_feature_names_out()
    assert values.shape == (len(X), len(names))


class TestRefusals:
    def test_rows_never_or_often_held_out(self):
        explainer = ATTRIBUTIONS["KernelSHAP"]
        with pytest.raises(ValueError, match="row 0 is held out 0 times; use cross_explain"):
            cross_val_predict(explainer, X, y, cv=TimeSeriesSplit(3), method="transform")
        with pytest.raises(ValueError, match="row 0 is held out 2 times"):
            cross_val_predict(
                explainer, X, y, cv=RepeatedKFold(n_splits=3, n_repeats=2), method="transform"
            )

    def test_a_class_that_a_fold_does_not_know(self):
        last, rest = np.flatnonzero(labels == "c"), np.flatnonzero(labels != "c")
        cv = [(rest, last), (np.r_[rest[9:], last], rest[:9]), (np.r_[rest[:9], last], rest[9:])]
        with pytest.raises(ValueError, match="fold 0 trains on no row of class 'c'"):
            cross_val_predict(ATTRIBUTIONS["classes"], X, labels, cv=cv, method="transform")

    def test_what_does_not_transform(self):
        with pytest.raises(TypeError, match="PermutationImportance does not: its result"):
            cross_val_predict(permutation(), X, y, method="transform")
