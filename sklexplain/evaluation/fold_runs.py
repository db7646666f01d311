"""Fitting, scoring and explaining fold by fold."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.model_selection._validation import _score
from sklearn.utils import indexable
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params, _num_samples

from ..core.explanation import Explanation
from ..core.workers import run_tasks
from ..explainers.permutation import PermutationImportance
from .cross_folds import (
    Split,
    check_classes,
    check_explainer,
    check_lengths,
    check_partition,
    check_repeats,
    check_rows_kept,
    check_windows,
    explainer_inside,
    splits_of,
    takes,
    warn_of_leaks,
)
from .out_of_fold import with_same_outputs


@dataclass(frozen=True)
class FoldRuns:
    """What the folds gave, in their order."""

    splits: list[Split]
    explanations: list[Explanation]
    scores: dict[str, np.ndarray]
    estimators: list[Any]


def explained_folds(
    explainer: Any,
    X: Any,
    y: Any,
    *,
    cv: Any,
    groups: Any,
    with_scores: bool,
    n_jobs: int | None,
    params: dict[str, Any] | None,
    missing_classes: str,
    scoring: Any = None,
    only_partitions: bool = False,
    keep_estimators: bool = False,
    error_score: float | str = np.nan,
) -> FoldRuns:
    """Check everything that can be checked, then fit, score and explain each fold.

    Parameters as of :func:`cross_explain`; also

    Parameters
    ----------
    with_scores : bool
    only_partitions : bool, default=False
        Refuse folds that do not hold every row out exactly once, and explainers that cannot
        transform.
    keep_estimators : bool, default=False

    Returns
    -------
    FoldRuns
        The explanations with the same outputs in all folds.
    """
    check_explainer(explainer, needs_transform=only_partitions)
    check_lengths(X, y, groups)
    X, y, groups = indexable(X, y, groups)
    splitter = check_cv(cv, y, classifier=is_classifier(explainer))
    scorer = None
    if with_scores:
        scorer = check_scoring(explainer, scoring=scoring, raise_exc=error_score == "raise")
    split_params, fit_params, score_params = _routed(
        explainer, splitter, scorer, params or {}, groups
    )
    splits = splits_of(splitter, X, y, split_params)
    if only_partitions:
        check_partition(splits, _num_samples(X))
    check_windows(explainer, X, splits)
    check_repeats(explainer, splits)
    check_classes(explainer, y, splits, missing_classes)
    warn_of_leaks(explainer, X, splits)
    check_rows_kept(explainer, X, y, splits[0][0])
    estimators = _seeded_clones(explainer, len(splits))
    tasks = (
        (_Fold(number, split, scorer, error_score, keep_estimators, fit_params, score_params), one)
        for number, (split, one) in enumerate(zip(splits, estimators, strict=True))
    )
    outcomes = list(run_tasks(_run, (X, y), tasks, n_jobs=n_jobs))
    classes = []
    if y is not None and is_classifier(explainer) and np.ndim(y) == 1:
        classes = [str(label) for label in np.unique(np.asarray(y))]
    return FoldRuns(
        splits,
        with_same_outputs([outcome.explanation for outcome in outcomes], classes),
        _score_table([outcome.scores for outcome in outcomes]),
        [outcome.estimator for outcome in outcomes],
    )


def _score_table(of_folds: list[dict[str, float]]) -> dict[str, np.ndarray]:
    """Return an array a name.

    A scorer that returns several numbers by name leaves the single ``test_score`` where it failed.
    """
    names = list(dict.fromkeys(name for of_fold in of_folds for name in of_fold))
    if any("test_score" not in of_fold for of_fold in of_folds) and "test_score" in names:
        names.remove("test_score")
    return {
        name: np.array([of_fold.get(name, of_fold.get("test_score")) for of_fold in of_folds])
        for name in names
    }


def _routed(
    explainer: Any, splitter: Any, scorer: Any, params: dict[str, Any], groups: Any
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return what the splitter, `fit` and the scorer are given, as `cross_validate` decides it."""
    if not get_config()["enable_metadata_routing"]:
        return {"groups": groups}, params, {}
    if groups is not None:
        raise ValueError(
            "groups cannot be given when metadata routing is enabled; give "
            'params={"groups": groups}'
        )
    router = MetadataRouter(owner="cross_explain")
    parts = {"splitter": (splitter, "split"), "estimator": (explainer, "fit")}
    if scorer is not None:
        parts["scorer"] = (scorer, "score")
    for name, (part, method) in parts.items():
        mapping = MethodMapping().add(caller="fit", callee=method)
        router.add(method_mapping=mapping, **{name: part})
    routed = process_routing(router, "fit", **params)
    return (
        routed.splitter.split,
        routed.estimator.fit,
        routed.scorer.score if scorer is not None else {},
    )


def _seeded_clones(explainer: Any, n_folds: int) -> list[Any]:
    """Return a clone a fold, with a seed of its own in place of each RandomState instance.

    A clone copies the instance with its state, so that all folds would draw alike.
    """
    states = {
        name: value
        for name, value in sorted(explainer.get_params(deep=True).items())
        if isinstance(value, np.random.RandomState)
    }
    clones = []
    for _ in range(n_folds):
        seeds = {name: state.randint(np.iinfo(np.int32).max) for name, state in states.items()}
        clones.append(clone(explainer).set_params(**seeds))
    return clones


@dataclass(frozen=True)
class _Fold:
    """What is done in one fold."""

    number: int
    split: Split
    scorer: Any
    error_score: Any
    keep_estimator: bool
    fit_params: dict[str, Any]
    score_params: dict[str, Any]


@dataclass(frozen=True)
class _Outcome:
    """What one fold gave."""

    explanation: Explanation
    scores: dict[str, float]
    estimator: Any


def _run(rows: tuple[Any, Any], fold: _Fold, estimator: Any) -> _Outcome:
    """Fit, score and explain one fold."""
    X, y = rows
    train, test = fold.split
    X_train, y_train = _safe_split(estimator, X, y, train)
    X_test, y_test = _safe_split(estimator, X, y, test, train)
    fit_params = _check_method_params(X, fold.fit_params, indices=train)
    score_params = _check_method_params(X, fold.score_params, indices=test)
    weights = _check_method_params(X, fold.fit_params, indices=test).get("sample_weight")
    weights = _measuring_weights(explainer_inside(estimator)[1], weights)
    # Else it would measure on its training rows first, for nothing.
    measures_in_fit = isinstance(estimator, PermutationImportance) and estimator.cv is None
    if measures_in_fit:
        fit_params |= {"X_val": X_test, "y_val": y_test, "sample_weight_val": weights}
    try:
        started = perf_counter()
        estimator.fit(X_train, y_train, **fit_params)
        fitted = perf_counter()
        scores: Any = {}
        if fold.scorer is not None:
            scores = _score(estimator, X_test, y_test, fold.scorer, score_params, fold.error_score)
            scores = scores if isinstance(scores, dict) else {"score": scores}
        scored = perf_counter()
        if measures_in_fit:
            explanation = estimator.explanation_
        else:
            explanation = _explained(estimator, X_test, y_test, weights)
        explained = perf_counter()
    except Exception as error:
        error.add_note(
            f"in fold {fold.number} of cross_explain: {len(train)} rows to train on, {len(test)} "
            "held out"
        )
        raise
    times = {
        "fit_time": fitted - started,
        "score_time": scored - fitted,
        "explain_time": explained - scored,
    }
    scores = times | {f"test_{name}": score for name, score in scores.items()}
    return _Outcome(explanation, scores, estimator if fold.keep_estimator else None)


def _measuring_weights(explainer: Any, weights: Any) -> Any:
    """Return the weights of held-out rows that the explainer measures with, if it does at all."""
    if weights is None or not takes(explainer.explain, "sample_weight"):
        return None
    if isinstance(explainer, PermutationImportance):
        # Its scorer may have asked for none.
        return explainer._routed({"sample_weight": weights}).scorer.score.get("sample_weight")
    return weights


def _explained(estimator: Any, X: Any, y: Any, weights: Any) -> Explanation:
    """Explain rows by a fitted explainer, or by one that stands behind fitted steps."""
    steps, explainer = explainer_inside(estimator)
    rows = X
    for step in steps:
        rows = step.transform(rows)
    arguments = {"y": y} if takes(explainer.explain, "y") else {}
    if weights is not None:
        arguments["sample_weight"] = weights
    explanation = explainer.explain(rows, **arguments)
    if not isinstance(explanation, Explanation):
        raise TypeError(
            f"{type(explainer).__name__}.explain returned {type(explanation).__name__}; expected "
            "an Explanation"
        )
    if explanation.kind == "attributions" and len(explanation) != _num_samples(X):
        raise ValueError(
            f"{len(explanation)} explanations of {_num_samples(X)} held-out rows: a step before "
            "the explained model changes the number of rows; do so before cross_explain"
        )
    return explanation
