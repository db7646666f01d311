"""cross_explain and cross_val_predict: cross-validation that explains the rows it holds out."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from sklearn import model_selection
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import StrOptions, validate_params
from sklearn.utils.validation import _num_samples

from ..core.explanation import Explanation
from ..explainers.base import N_JOBS
from .cross_explanation import CrossExplanation
from .fold_runs import explained_folds
from .out_of_fold import gather
from .scorers import SCORER_NAMES, with_explanation_scorers


@validate_params(
    {
        "explainer": "no_validation",
        "X": "no_validation",
        "y": "no_validation",
        "cv": ["cv_object"],
        "groups": "no_validation",
        "scoring": [
            StrOptions({*get_scorer_names(), *SCORER_NAMES}),
            callable,
            list,
            tuple,
            dict,
            None,
        ],
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
        As of `cross_validate`; None is the estimator's own score, and no score without `y`. The
        names of :func:`get_explanation_scorer`, such as ``"deletion_auc"``, judge explanations.
    n_jobs : int, default=None
        Folds at a time, through joblib. Changes nothing in the result.
    params : dict, default=None
        For `fit`, and routed to the splitter and the scorer where metadata routing is enabled.
        What has one entry a sample is divided as the rows are. Permutation importance is measured
        with the held-out part of a `sample_weight`, unless routing keeps it from the explainer's
        scorer.
    missing_classes : {"nan", "raise"}, default="nan"
        Where a class has no row in a fold's training part: ``"nan"`` warns, and what is explained
        of that class in the rows held out there is NaN, because a value of 0 would claim that
        nothing matters; ``"raise"`` is an error before anything is fitted.
    return_estimator : bool, default=False
        Whether to keep the fitted explainers. A :class:`PermutationImportance` among them has
        measured on the rows held out.
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
    run = explained_folds(
        explainer,
        X,
        y,
        cv=cv,
        groups=groups,
        scoring=with_explanation_scorers(scoring),
        with_scores=y is not None or scoring is not None,
        n_jobs=n_jobs,
        params=params,
        missing_classes=missing_classes,
        keep_estimators=return_estimator,
        error_score=error_score,
    )
    explanations, tests = run.explanations, [test for _, test in run.splits]
    gathered = gather(explanations, tests, X, _num_samples(X))
    indices = {"train": [train for train, _ in run.splits], "test": tests}
    return CrossExplanation(
        explanation=gathered.explanation,
        importances_=np.stack([_importances(explanation) for explanation in explanations]),
        n_train=np.array([len(train) for train, _ in run.splits]),
        n_test=np.array([len(test) for test in tests]),
        scores=run.scores,
        rows=gathered.rows,
        n_times=gathered.n_times,
        values_std=gathered.values_std,
        estimators=run.estimators if return_estimator else None,
        indices=indices if return_indices else None,
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


@validate_params(
    {
        "estimator": "no_validation",
        "X": "no_validation",
        "y": "no_validation",
        "groups": "no_validation",
        "cv": ["cv_object"],
        "n_jobs": N_JOBS,
        "params": [dict, None],
        "method": [str],
    },
    prefer_skip_nested_validation=False,
)
def cross_val_predict(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    cv: Any = None,
    n_jobs: int | None = None,
    params: dict[str, Any] | None = None,
    method: str = "predict",
) -> Any:
    """Return the attributions of each row by a model that did not see it, as a table.

    scikit-learn's function of this name refuses ``method="transform"``; this one takes it, and
    hands every other method on to scikit-learn's.

    Parameters
    ----------
    estimator : explainer, Pipeline or search
        As of :func:`cross_explain`, with a `transform` method.
    X : array-like or DataFrame of shape (n_samples, n_columns) or \
            (n_samples, n_timesteps, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
    groups : array-like of shape (n_samples,), default=None
    cv : int, splitter, iterable or None, default=None
        Holding every row out exactly once.
    n_jobs : int, default=None
    params : dict, default=None
        As of :func:`cross_explain`.
    method : {"transform", "predict", "predict_proba", "predict_log_proba", "decision_function"}, \
            default="predict"

    Returns
    -------
    ndarray of shape (n_samples, n_players * n_outputs)
        Columns as of the explainer's `get_feature_names_out`. For another `method`, what
        scikit-learn returns.

    Raises
    ------
    ValueError
        As of :func:`cross_explain`; if a row is held out never or several times; if a class has no
        row in a fold's training part, because the columns are those of all classes.
    TypeError
        If `estimator` has no `transform`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from sklexplain import KernelSHAP, cross_val_predict
    >>> X, y = load_diabetes(return_X_y=True)
    >>> explainer = KernelSHAP(Ridge(), background=10, random_state=0)
    >>> cross_val_predict(explainer, X[:50], y[:50], cv=5, method="transform").shape
    (50, 10)
    """
    if method != "transform":
        return model_selection.cross_val_predict(
            estimator, X, y, groups=groups, cv=cv, n_jobs=n_jobs, params=params, method=method
        )
    run = explained_folds(
        estimator,
        X,
        y,
        cv=cv,
        groups=groups,
        with_scores=False,
        n_jobs=n_jobs,
        params=params,
        missing_classes="raise",
        only_partitions=True,
    )
    explanation = gather(
        run.explanations, [test for _, test in run.splits], X, _num_samples(X)
    ).explanation
    return explanation.values.reshape(len(explanation), -1)
