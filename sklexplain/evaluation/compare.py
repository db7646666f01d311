"""compare_methods: what several explainers say of the same rows, how well, and at what cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from pickle import PicklingError
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from ..core.background import Background, make_background
from ..explainers.base import is_frozen
from .comparison import MethodComparison
from .counting import measured_explanation
from .pairs import rank_correlation, sign_agreement, top_k_overlap
from .scorers import ExplanationScorer
from .subject import Subject, View, background_of, check_explainer, subject_of

_FAITHFULNESS = ("deletion_auc", "insertion_auc", "infidelity")


def compare_methods(
    explainers: Sequence[Any] | Mapping[str, Any],
    X: Any,
    y: Any = None,
    *,
    metrics: str | Sequence[str] = _FAITHFULNESS,
    k: int | None = None,
    background: Any = None,
    output: Any = None,
    **options: Any,
) -> MethodComparison:
    """Explain the same rows by several methods and compare what they say and what it costs.

    Parameters
    ----------
    explainers : sequence of explainers, or mapping from name to explainer
        At least two, with the same players and outputs. Without names they are called by their
        class. Fitted ones are used as they are. Others are cloned and fitted on `X` and `y`; where
        their estimators have equal parameters, one fitted estimator serves all of them.
    X : array-like or DataFrame of shape (n_samples, n_columns) or \
            (n_samples, n_timesteps, n_features)
        The rows to explain.
    y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
        For explainers that are not fitted.
    metrics : str or sequence of str, default=("deletion_auc", "insertion_auc", "infidelity")
        By which the methods are judged: see :func:`get_explanation_scorer`. In all of them greater
        is better.
    k : int, default=None
        How many of the largest players the overlap looks at; None is 3, or all where there are
        fewer.
    background : array-like or Background, default=None
        What stands in for removed players when methods are judged: the same rows for all of them.
        None takes the first explainer's own.
    output : class label, output name or position, default=None
        Which of several outputs is compared: None is the class that the first explainer's model
        predicts for each row, or the mean over the outputs of a regressor.
    **options : dict
        Of the metrics, such as ``n_perturbations=200``.

    Returns
    -------
    MethodComparison

    Raises
    ------
    TypeError
        If something is no explainer, or one of importances of the data as a whole
        (:class:`PermutationImportance`).
    ValueError
        If there are fewer than two explainers, if they differ in their players or outputs, if a
        metric is unknown, `k` out of range, or X not of the shape that an explainer was fitted on.

    Notes
    -----
    Evaluations and seconds are those of one call of `explain`, in one process whatever `n_jobs` is,
    without `fit`. Rows are counted where they enter the model. What an explainer keeps from earlier
    calls, as LIME does with draws that all rows share, it does not run again.

    Values that are contributions (Shapley values; LIME's with bins or replaced players) and LIME's
    slopes (``discretizer=None`` of single cells) answer different questions; compare the latter
    with care.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from sklexplain import LIME, KernelSHAP, compare_methods
    >>> X, y = load_diabetes(return_X_y=True)
    >>> forest = RandomForestRegressor(10, max_depth=4, random_state=0)
    >>> explainers = [
    ...     KernelSHAP(forest, background=20, max_evals=500, random_state=0).fit(X, y),
    ...     LIME(forest, n_samples=500, random_state=0).fit(X, y),
    ... ]
    >>> comparison = compare_methods(explainers, X[:10])
    >>> comparison
    MethodComparison(KernelSHAP, LIME: 10 rows)
    >>> comparison.n_evals
    array([4990,  509])
    """
    scorer = ExplanationScorer(metrics, output=output, **options)
    named = _named(explainers)
    if k is not None and (not isinstance(k, Integral) or isinstance(k, bool) or k < 1):
        raise ValueError(f"k={k!r} must be an integer, at least 1")
    if np.ndim(X) < 2 or np.shape(X)[0] == 0:
        raise ValueError(f"X has shape {np.shape(X)}; it needs at least one row, rows first")
    fitted = _fitted(named, X, y)
    _refuse_differences(fitted)
    first = next(iter(fitted.values()))
    n_players = first.players_.n_players
    k = min(3, n_players) if k is None else int(k)
    if k > n_players:
        raise ValueError(f"k={k} is more than the {n_players} players")
    shared = _shared_background(background, first)
    measured = {name: measured_explanation(explainer, X) for name, explainer in fitted.items()}
    subjects = [
        subject_of(explainer, X, y, measured[name][0], shared) for name, explainer in fitted.items()
    ]
    _refuse_other_outputs(list(fitted), subjects)
    # One class a row for all methods, should their models predict different ones.
    positions = [view.positions for view in subjects[0].views(output)]
    views = [[subject.view(where) for where in positions] for subject in subjects]
    scores = [scorer.by_row(subject, own) for subject, own in zip(subjects, views, strict=True)]
    correlations, signs, overlaps = _agreement(views, k)
    return MethodComparison(
        names=tuple(fitted),
        explanations=tuple(explanation for explanation, _, _ in measured.values()),
        scores={name: np.stack([own[name] for own in scores]) for name in scores[0]},
        n_evals=np.array([n_evals for _, n_evals, _ in measured.values()]),
        seconds=np.array([seconds for _, _, seconds in measured.values()]),
        rank_correlation=correlations,
        sign_agreement=signs,
        top_k_overlap=overlaps,
        k=k,
    )


def _named(explainers: Any) -> dict[str, Any]:
    if isinstance(explainers, Mapping):
        named = {str(name): explainer for name, explainer in explainers.items()}
    elif isinstance(explainers, str) or not hasattr(explainers, "__iter__"):
        raise TypeError(
            f"explainers={explainers!r} must be a list of explainers, or a mapping from name to "
            "explainer"
        )
    else:
        named = {}
        for explainer in explainers:
            name = unnumbered = type(explainer).__name__
            number = 1
            while name in named:
                number += 1
                name = f"{unnumbered} {number}"
            named[name] = explainer
    for explainer in named.values():
        check_explainer(explainer)
    if len(named) < 2:
        raise ValueError(f"explainers has {len(named)} explainers; a comparison needs at least two")
    return named


def _fitted(named: dict[str, Any], X: Any, y: Any) -> dict[str, Any]:
    """Fit those that are not, equal estimators once."""
    fitted: dict[str, Any] = {}
    estimators: dict[str, Any] = {}
    for name, explainer in named.items():
        try:
            check_is_fitted(explainer)
            fitted[name] = explainer
            # Refused before another explainer is fitted.
            explainer._encoded(X)
            continue
        except NotFittedError:
            copy = clone(explainer)
        key = _identity(copy.estimator)
        if key in estimators:
            copy.set_params(estimator=FrozenEstimator(estimators[key]))
        fitted[name] = copy.fit(X, y)
        if key is not None:
            estimators[key] = copy.estimator_
    return fitted


def _identity(estimator: Any) -> str | None:
    """Return what estimators of equal parameters share; None where that cannot be told."""
    if is_frozen(estimator):
        return None
    try:
        return joblib.hash(estimator)
    except (PicklingError, AttributeError, TypeError):
        return None


def _refuse_differences(fitted: dict[str, Any]) -> None:
    first_name, first = next(iter(fitted.items()))
    for name, explainer in fitted.items():
        if explainer.players_ != first.players_:
            raise ValueError(
                f"{name} has the players {_listed(explainer.players_.names)}, but {first_name} "
                f"{_listed(first.players_.names)}; give all explainers the same players="
            )
        if explainer.output_names_ != first.output_names_:
            raise ValueError(
                f"{name} explains {_outputs(explainer)}, but {first_name} {_outputs(first)}; give "
                "all explainers the same output= (and LIME no labels=)"
            )


def _listed(names: tuple[str, ...]) -> str:
    return f"{list(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}"


def _outputs(explainer: Any) -> str:
    names = explainer.output_names_
    return f"the outputs {_listed(names)}" if names else "a single output"


def _refuse_other_outputs(names: list[str], subjects: list[Subject]) -> None:
    first = subjects[0].model
    for name, subject in zip(names, subjects, strict=True):
        model = subject.model
        if (model.method, model.link) != (first.method, first.link):
            raise ValueError(
                f"{name} explains {model.method} (link {model.link!r}), but {names[0]} "
                f"{first.method} (link {first.link!r}); give all explainers the same output= and "
                "link="
            )


def _shared_background(background: Any, first: Any) -> Background:
    if background is None:
        return background_of(first)
    if hasattr(background, "columns"):
        background = first._encoded(background, "background")[0]
    if isinstance(background, Integral):
        raise TypeError(
            f"background={background!r} must be rows, shaped as those that were fitted; a number "
            "does not say which"
        )
    return make_background(background, np.empty((0, *first.row_shape_)))


def _agreement(views: list[list[View]], k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rank correlation, sign agreement and overlap, each (n_rows, n_methods, n_methods)."""
    n_methods, n_rows = len(views), len(views[0][0].values)
    tables = tuple(np.ones((n_rows, n_methods, n_methods)) for _ in range(3))
    for i in range(n_methods):
        for j in range(i):
            pairs = [
                (one.values, other.values) for one, other in zip(views[i], views[j], strict=True)
            ]
            for table, measure in zip(
                tables,
                (rank_correlation, sign_agreement, lambda a, b: top_k_overlap(a, b, k)),
                strict=True,
            ):
                agreed = np.mean([measure(*pair) for pair in pairs], axis=0)
                table[:, i, j] = table[:, j, i] = agreed
    return tables[0], tables[1], tables[2]
