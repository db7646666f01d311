"""Scores on held-out rows, always beside those of a naive baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import metrics
from sklearn.base import is_classifier, is_regressor
from sklearn.dummy import DummyClassifier, DummyRegressor

from ..core.adapters import as_estimator, is_plain
from .page import Numbers, Section, Table
from .report_parts import decimals_for, number

MODEL = "the model"
_MEAN, _MOST_FREQUENT = "always the mean", "always the most frequent class"
_ERRORS = ("mean absolute error", "root mean squared error", "log loss")
_NOTES = {
    "R²": "R² is 1 for perfect predictions and 0 for always saying the mean of these targets.",
    "mean absolute error": "The mean absolute error is how far a prediction is off on average.",
    "root mean squared error": "The root mean squared error counts large misses more.",
    "accuracy": "Accuracy is the share of rows whose class is right.",
    "balanced accuracy": "Balanced accuracy is the mean of that share over the classes, so that "
    "rare ones count as much as common ones.",
    "log loss": "Log loss falls as the true class is given more probability; 0 is perfect.",
    "ROC AUC": "ROC AUC is the chance that a row of the class gets more probability than a row "
    "that is not of it; 0.5 is guessing.",
}


@dataclass(frozen=True)
class Scores:
    """How well predictions of the same rows do.

    Parameters
    ----------
    values : mapping from a prediction's name to a mapping from a score's name to the score
        The model first.
    n_rows : int
    unit : str, default=""
        Of the target, and so of the errors.

    Examples
    --------
    >>> from sklexplain.display.report_scores import regression_scores
    >>> scores = regression_scores([1.0, 2.0, 4.0], {"the model": [1.0, 2.0, 3.0]}, "dollars")
    >>> round(scores.values["the model"]["mean absolute error"], 3)
    0.333
    """

    values: Mapping[str, Mapping[str, float]]
    n_rows: int
    unit: str = ""

    @property
    def names(self) -> list[str]:
        """The scores, the one to look at first in front."""
        return list(next(iter(self.values.values())))

    def text(self, predictor: str, score: str) -> str:
        """Return one score, written with as many decimals as the largest of its kind needs."""
        value = self.values[predictor].get(score)
        if value is None or not np.isfinite(value):
            return "–"
        kind = [row[score] for row in self.values.values() if np.isfinite(row.get(score, np.nan))]
        decimals = decimals_for(kind) if score in _ERRORS[:2] else 3
        return number(value, min(decimals, 6))


def regression_scores(y: Any, predictions: Mapping[str, Any], unit: str = "") -> Scores:
    """Score predictions of a number, or of several.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or (n_rows, n_targets)
    predictions : mapping from a name to an array shaped as `y`
    unit : str, default=""

    Returns
    -------
    Scores
    """
    targets = np.asarray(y, dtype=float)
    return Scores(
        {
            name: {
                "mean absolute error": float(metrics.mean_absolute_error(targets, guess)),
                "root mean squared error": float(metrics.root_mean_squared_error(targets, guess)),
                "R²": float(metrics.r2_score(targets, guess)) if len(targets) > 1 else np.nan,
            }
            for name, guess in predictions.items()
        },
        len(targets),
        unit,
    )


def classification_scores(
    y: Any, predictions: Mapping[str, Any], probabilities: Mapping[str, Any], classes: Any
) -> Scores:
    """Score predicted classes, and probabilities where there are any.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
    predictions : mapping from a name to the classes predicted, shaped as `y`
    probabilities : mapping from a name to an array of shape (n_rows, n_classes)
        May lack some of the names.
    classes : array-like of shape (n_classes,)
        In the order of the probabilities' columns.

    Returns
    -------
    Scores
    """
    truth, classes = np.asarray(y), np.asarray(classes)
    present = np.unique(truth)
    # A class that the model never saw has no probability to be scored by.
    known = bool(np.isin(present, classes).all())
    values = {}
    for name, guess in predictions.items():
        guess = np.asarray(guess)
        hits = [np.mean(guess[truth == label] == label) for label in present]
        values[name] = {
            "accuracy": float(metrics.accuracy_score(truth, guess)),
            "balanced accuracy": float(np.mean(hits)),
        }
        if name in probabilities and known:
            shares = np.asarray(probabilities[name], dtype=float)
            values[name]["log loss"] = float(metrics.log_loss(truth, shares, labels=classes))
            if len(present) == len(classes) > 1:
                of = shares[:, 1] if len(classes) == 2 else shares
                values[name]["ROC AUC"] = float(
                    metrics.roc_auc_score(truth, of, multi_class="ovr", labels=classes)
                )
    return Scores(values, len(truth))


def scores_of_estimator(
    estimator: Any, X: Any, y: Any, baselines: Mapping[str, np.ndarray], *, naive: bool, unit: str
) -> Scores:
    """Score a fitted estimator on held-out rows beside naive baselines.

    Parameters
    ----------
    estimator : fitted estimator, explainer, module or function
    X : array-like or DataFrame
    y : array-like
    baselines : mapping from a name to naive predictions of these rows
    naive : bool
        Whether to add the mean, or the most frequent class, of `y` itself.
    unit : str

    Returns
    -------
    Scores
    """
    estimator = as_estimator(estimator) if is_plain(estimator) else estimator
    truth = np.asarray(y)
    guess = np.asarray(estimator.predict(X))
    predictions: dict[str, Any] = {MODEL: guess, **baselines}
    if not is_classifier(estimator) and (is_regressor(estimator) or truth.dtype.kind in "biuf"):
        truth = truth.astype(float)
        predictions = {name: _as_target(one, truth, name) for name, one in predictions.items()}
        if naive:
            mean = DummyRegressor().fit(np.zeros((len(truth), 1)), truth)
            predictions[_MEAN] = mean.predict(np.zeros((len(truth), 1)))
        return regression_scores(truth, predictions, unit)
    classes = np.asarray(getattr(estimator, "classes_", np.unique(truth)))
    probabilities = {}
    if hasattr(estimator, "predict_proba"):
        probabilities[MODEL] = np.asarray(estimator.predict_proba(X), dtype=float)
    if naive:
        common = DummyClassifier(strategy="prior").fit(np.zeros((len(truth), 1)), truth)
        rows = np.zeros((len(truth), 1))
        predictions[_MOST_FREQUENT] = common.predict(rows)
        if np.isin(common.classes_, classes).all():
            shares = np.zeros((len(truth), len(classes)))
            places = [int(np.flatnonzero(classes == label)[0]) for label in common.classes_]
            shares[:, places] = common.predict_proba(rows)
            probabilities[_MOST_FREQUENT] = shares
    return classification_scores(truth, predictions, probabilities, classes)


def _as_target(predictions: Any, truth: np.ndarray, name: str) -> np.ndarray:
    array = np.asarray(predictions, dtype=float)
    if array.size != truth.size:
        raise ValueError(
            f"the predictions of {name!r} have shape {array.shape}, but y has {truth.shape}"
        )
    return array.reshape(truth.shape)


def held_out_notes(scores: Scores) -> tuple[str, ...]:
    """Say which of the guesses have seen the held-out targets."""
    return tuple(
        f"“{name}” is that of the held-out targets themselves, which nobody knows beforehand; one "
        "learned from training rows would seldom do as well."
        for name in scores.values
        if name in (_MEAN, _MOST_FREQUENT)
    )


def verdict(scores: Scores) -> str:
    """Say in a sentence whether the model beats every baseline in the first score."""
    score, (model, *others) = scores.names[0], scores.values
    if not others:
        return ""
    sign = -1 if score in _ERRORS else 1
    best = max(others, key=lambda name: sign * scores.values[name][score])
    ours, theirs = scores.values[model][score], scores.values[best][score]
    unit = f" {scores.unit}" if scores.unit and score in _ERRORS[:2] else ""
    told = (
        f"On {scores.n_rows:,} held-out rows the {score} of {model} is "
        f"{scores.text(model, score)}{unit}, that of “{best}” {scores.text(best, score)}{unit}. "
    )
    if sign * (ours - theirs) > 0:
        return told + "So it beats the best naive guess on these rows."
    return told + (
        "So it does not beat the simplest guess, and what follows explains a model that adds "
        "nothing to that guess on these rows."
    )


def scores_section(
    scores: Scores,
    *,
    title: str = "How well it predicts",
    paragraphs: tuple[str, ...] = (),
    numbers: tuple[tuple[str, str, str], ...] = (),
    blocks: tuple[Any, ...] = (),
    notes: tuple[str, ...] = (),
    first_column: str = "prediction",
    caption: str = "",
) -> Section:
    """Show scores beside those of baselines.

    Parameters
    ----------
    scores : Scores
    title : str
    paragraphs : tuple of str
    numbers : tuple of (label, value, note)
        Shown after the model's and the baselines' own.
    blocks : tuple of blocks
        Between the numbers and the table.
    notes : tuple of str
        After what the scores mean.
    first_column, caption : str
        Of the table.

    Returns
    -------
    Section
    """
    first, *rest = scores.names
    unit = f", {scores.unit}" if scores.unit else ""
    heads = [score + (unit if score in _ERRORS[:2] else "") for score in scores.names]
    cards = [
        (
            name,
            scores.text(name, first),
            heads[0] + "".join(f"; {score} {scores.text(name, score)}" for score in rest[-1:]),
        )
        for name in scores.values
    ]
    table = Table(
        [first_column, *heads],
        [[name, *(scores.text(name, score) for score in scores.names)] for name in scores.values],
        caption or f"Scores on {scores.n_rows:,} held-out rows",
    )
    meaning = " ".join(_NOTES[score] for score in scores.names)
    return Section(
        title, paragraphs, [Numbers([*cards, *numbers]), *blocks, table], [meaning, *notes]
    )
