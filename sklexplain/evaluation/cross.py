"""cross_explain: cross-validation that explains the rows it holds out."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from time import perf_counter
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.model_selection import check_cv
from sklearn.model_selection._validation import _score
from sklearn.utils import indexable
from sklearn.utils._param_validation import StrOptions, validate_params
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params, _num_samples

from ..core.explanation import Explanation
from ..explainers.base import N_JOBS
from .cross_explanation import CrossExplanation
from .cross_folds import (
    Split,
    check_classes,
    check_explainer,
    check_lengths,
    check_repeats,
    check_rows_kept,
    check_windows,
    explainer_inside,
    splits_of,
    takes,
    warn_of_leaks,
)
from .out_of_fold import gather, with_same_outputs


@validate_params(
    {
        "explainer": "no_validation",
        "X": "no_validation",
        "y": "no_validation",
        "cv": ["cv_object"],
        "groups": "no_validation",
        "scoring": [StrOptions(set(get_scorer_names())), callable, list, tuple, dict, None],
        "n_jobs": N_JOBS,
        "params": [dict, None],
        "missing_classes": [StrOptions({"nan", "raise"})],
        "return_estimator": ["boolean"],
        "return_indices": ["boolean"],
        "error_score": [StrOptions({"raise"}), Real],
    },
    prefer_skip_nested_validation=False,
)
def cross_explain(
    explainer: Any,
    X: Any,
    y: Any = None,
    *,
    cv: Any = None,
    groups: Any = None,
    scoring: Any = None,
    n_jobs: int | None = None,
    params: dict[str, Any] | None = None,
    missing_classes: str = "nan",
    return_estimator: bool = False,
    return_indices: bool = False,
    error_score: float | str = np.nan,
) -> CrossExplanation:
    """Explain each row by a model that did not see it, as cross-validation predicts it.

    In every fold a clone of the explainer, with the estimator inside it, is fitted on the training
    rows, scored on the rows held out, and explains these. Whatever is learned (the model, scalers,
    the background, LIME's statistics) comes from the training rows alone.

    Parameters
    ----------
    explainer : explainer, Pipeline or search
        With an `explain` method; a Pipeline whose last step is one; or a search over one, which is
        then tuned anew in each fold.
    X : array-like or DataFrame of shape (n_samples, n_columns) or \
            (n_samples, n_timesteps, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
    cv : int, splitter, iterable or None, default=None
        As of :func:`~sklearn.model_selection.cross_validate`: None is five folds, stratified for
        classifiers. Rows may be held out several times (:class:`~sklearn.model_selection.\
RepeatedKFold`) or never (:class:`~sklearn.model_selection.TimeSeriesSplit`).
    groups : array-like of shape (n_samples,), default=None
        For splitters that keep groups together. With metadata routing enabled, in `params`.
    scoring : str, callable, list, tuple, dict or None, default=None
        As of `cross_validate`; None is the estimator's own score, and no score without `y`.
    n_jobs : int, default=None
        Folds at a time, through joblib. Changes nothing in the result.
    params : dict, default=None
        For `fit`, and routed to the splitter and the scorer where metadata routing is enabled.
        What has one entry a sample is divided as the rows are. Permutation importance is measured
        with the held-out part of a `sample_weight`.
    missing_classes : {"nan", "raise"}, default="nan"
        Where a class has no row in a fold's training part: ``"nan"`` warns, and what is explained
        of that class in the rows held out there is NaN, because a value of 0 would claim that
        nothing matters; ``"raise"`` is an error before anything is fitted.
    return_estimator : bool, default=False
        Whether to keep the fitted explainers.
    return_indices : bool, default=False
        Whether to keep the rows of each fold.
    error_score : "raise" or float, default=nan
        The score where a scorer fails. An explainer that cannot be fitted always raises, because
        nothing can be explained by it.

    Returns
    -------
    CrossExplanation

    Raises
    ------
    ValueError
        Before anything is fitted: if `y` or `groups` are not one a row; if a fold is empty, names
        rows that X does not have, or holds rows both to fit and to hold out; if it is shorter than
        a window, or trains on one class alone; if a step changes the number of rows. Afterwards: if
        the folds' players or outputs cannot be matched.
    TypeError
        If `explainer` cannot explain.

    Warns
    -----
    UserWarning
        If a fold cannot learn a class; if windows reach across gaps between a fold's rows; if the
        estimator is frozen, or a given background holds rows of X, so that held-out rows may have
        been seen.

    See Also
    --------
    sklearn.model_selection.cross_val_predict : With ``method="transform"`` the values alone, for
        splitters that hold every row out once and folds that know all classes.

    Notes
    -----
    Every clone keeps an integer `random_state`, so that folds differ in their rows only. Of a
    RandomState instance each fold is given a seed drawn beforehand.

    What is learned from all rows before the call is beyond reach: players from
    :func:`cluster_players`, a background summarised by k-means, columns chosen by hand.

    The windows of a :class:`SlidingWindow` are made within the training and within the held-out
    part, so that the first ``window - 1`` held-out rows have a padded past.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.model_selection import TimeSeriesSplit
    >>> from sklexplain import KernelSHAP, cross_explain
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> explainer = KernelSHAP(Ridge(), players={"blood": ["s1", "s2", "s3"]}, background=20)
    >>> result = cross_explain(explainer, X[:80], y[:80], cv=TimeSeriesSplit(3))
    >>> result
    CrossExplanation(KernelSHAP: 3 folds × 8 players, 60 of 80 rows held out)
    >>> result.explanation
    Explanation(KernelSHAP: 60 samples × 8 players)
    >>> result.rows[:3], result.held_out[:20].any()
    (array([20, 21, 22]), np.False_)
    >>> result.scores["test_score"].shape
    (3,)
    """
    check_explainer(explainer)
    check_lengths(X, y, groups)
    X, y, groups = indexable(X, y, groups)
    splitter = check_cv(cv, y, classifier=is_classifier(explainer))
    scorer = None
    if y is not None or scoring is not None:
        scorer = check_scoring(explainer, scoring=scoring, raise_exc=error_score == "raise")
    split_params, fit_params, score_params = _routed(
        explainer, splitter, scorer, params or {}, groups
    )
    splits = splits_of(splitter, X, y, split_params)
    check_windows(explainer, X, splits)
    check_repeats(explainer, splits)
    check_classes(explainer, y, splits, missing_classes)
    warn_of_leaks(explainer, X, splits)
    check_rows_kept(explainer, X, y, splits[0][0])
    folds = Parallel(n_jobs=n_jobs)(
        delayed(_run)(
            _Fold(number, split, scorer, error_score, return_estimator, fit_params, score_params),
            estimator,
            X,
            y,
        )
        for number, (split, estimator) in enumerate(
            zip(splits, _seeded_clones(explainer, len(splits)), strict=True)
        )
    )
    return _collected(explainer, X, y, splits, folds, return_indices)


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


def _run(fold: _Fold, estimator: Any, X: Any, y: Any) -> _Outcome:
    """Fit, score and explain one fold."""
    train, test = fold.split
    X_train, y_train = _safe_split(estimator, X, y, train)
    X_test, y_test = _safe_split(estimator, X, y, test, train)
    fit_params = _check_method_params(X, fold.fit_params, indices=train)
    score_params = _check_method_params(X, fold.score_params, indices=test)
    weights = _check_method_params(X, fold.fit_params, indices=test).get("sample_weight")
    try:
        started = perf_counter()
        estimator.fit(X_train, y_train, **fit_params)
        fitted = perf_counter()
        scores: Any = {}
        if fold.scorer is not None:
            scores = _score(estimator, X_test, y_test, fold.scorer, score_params, fold.error_score)
            scores = scores if isinstance(scores, dict) else {"score": scores}
        scored = perf_counter()
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


def _explained(estimator: Any, X: Any, y: Any, weights: Any) -> Explanation:
    """Explain rows by a fitted explainer, or by one that stands behind fitted steps."""
    steps, explainer = explainer_inside(estimator)
    rows = X
    for step in steps:
        rows = step.transform(rows)
    arguments = {"y": y} if takes(explainer.explain, "y") else {}
    if weights is not None and takes(explainer.explain, "sample_weight"):
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


def _collected(
    explainer: Any,
    X: Any,
    y: Any,
    splits: list[Split],
    folds: list[_Outcome],
    return_indices: bool,
) -> CrossExplanation:
    classes = []
    if y is not None and is_classifier(explainer) and np.ndim(y) == 1:
        classes = [str(label) for label in np.unique(np.asarray(y))]
    explanations = with_same_outputs([fold.explanation for fold in folds], classes)
    tests = [test for _, test in splits]
    gathered = gather(explanations, tests, X, _num_samples(X))
    return CrossExplanation(
        explanation=gathered.explanation,
        importances_=np.stack([_importances(explanation) for explanation in explanations]),
        n_train=np.array([len(train) for train, _ in splits]),
        n_test=np.array([len(test) for test in tests]),
        scores={name: np.array([fold.scores[name] for fold in folds]) for name in folds[0].scores},
        rows=gathered.rows,
        n_times=gathered.n_times,
        values_std=gathered.values_std,
        estimators=[fold.estimator for fold in folds] if folds[0].estimator is not None else None,
        indices=(
            {"train": [train for train, _ in splits], "test": tests} if return_indices else None
        ),
    )


def _importances(explanation: Explanation) -> np.ndarray:
    """Return one number a player, shape (n_players,)."""
    importances = explanation.importances()
    if importances.ndim == 1:
        return importances
    if explanation.kind == "importances":
        # Several scorers have no common unit; the first one counts, as in the explainer.
        return importances[:, 0]
    return np.nanmean(importances, axis=1)
