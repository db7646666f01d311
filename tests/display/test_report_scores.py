"""Scores against scikit-learn's own, and rows found again in other collections."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.datasets import load_breast_cancer
from sklearn.dummy import DummyClassifier
from sklearn.naive_bayes import GaussianNB

from sklexplain.display.report_inputs import match_rows
from sklexplain.display.report_scores import regression_scores, scores_of_estimator, verdict


def test_classes_are_scored_as_by_scikit_learn():
    X, y = load_breast_cancer(return_X_y=True)
    model = GaussianNB().fit(X[::2], y[::2])
    X, y = X[1::2], y[1::2]
    scores = scores_of_estimator(model, X, y, {}, naive=True, unit="")
    common = DummyClassifier(strategy="prior").fit(X, y)
    for name, one in (("the model", model), ("always the most frequent class", common)):
        guess, shares = one.predict(X), one.predict_proba(X)
        assert scores.values[name] == pytest.approx(
            {
                "accuracy": metrics.accuracy_score(y, guess),
                "balanced accuracy": metrics.balanced_accuracy_score(y, guess),
                "log loss": metrics.log_loss(y, shares),
                "ROC AUC": metrics.roc_auc_score(y, shares[:, 1]),
            }
        )


def test_a_class_that_the_model_never_saw_leaves_out_the_probabilities():
    X = np.arange(6.0).reshape(-1, 1)
    model = GaussianNB().fit(X[:4], ["a", "a", "b", "b"])
    scores = scores_of_estimator(model, X, ["a", "a", "b", "b", "c", "c"], {}, naive=True, unit="")
    assert scores.names == ["accuracy", "balanced accuracy"]
    assert scores.values["the model"]["accuracy"] == pytest.approx(4 / 6)


@pytest.mark.parametrize(("error", "beats"), [(0.5, True), (1.0, False), (2.0, False)])
def test_the_verdict_compares_with_the_best_guess(error, beats):
    y = np.zeros(4)
    guesses = {"the model": y + error, "far": y + 9, "near": y + 1.0}
    told = verdict(regression_scores(y, guesses, "MWh"))
    assert ("So it beats" in told) == beats
    assert "“near” 1.000 MWh" in told


@given(st.permutations(range(12)), st.integers(1, 12))
def test_rows_are_found_by_content_wherever_they_stand(order, n_taken):
    rows = np.random.default_rng(0).normal(size=(12, 3, 2))
    taken = rows[list(order)[:n_taken]]
    found = match_rows(None, taken, n_taken, None, rows, 12).positions
    assert list(found) == list(order)[:n_taken]
    lost = match_rows(None, taken + 1, n_taken, None, rows, 12).positions
    assert set(lost) == {-1}


def test_labels_are_not_believed_against_the_content():
    rows = np.arange(8.0).reshape(4, 2)
    labels = np.array(["a", "b", "c", "d"])
    found = match_rows(labels[:2], rows[:2], 2, labels, rows[[0, 2, 1, 3]], 4).positions
    assert list(found) == [0, -1]
