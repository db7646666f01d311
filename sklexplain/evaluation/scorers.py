"""Scorers that judge explanations, for `scoring=` in grid searches and cross-validation."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import (
    Interval,
    StrOptions,
    validate_parameter_constraints,
)

from . import judgements
from .subject import Subject, View, read_subject

_MEASURES: dict[str, Callable[..., np.ndarray]] = {
    name: getattr(judgements, name)
    for name in (
        "completeness",
        "deletion_auc",
        "fidelity",
        "infidelity",
        "insertion_auc",
        "lime_fidelity",
        "max_sensitivity",
        "sparsity",
        "stability",
    )
}
SCORER_NAMES = tuple(_MEASURES)

_COUNT = [Interval(Integral, 1, None, closed="left")]
_CONSTRAINTS: dict[str, Any] = {
    "n_coalitions": [Interval(Integral, 2, None, closed="left")],
    "n_perturbations": _COUNT,
    "n_runs": [Interval(Integral, 2, None, closed="left")],
    "normalize": ["boolean"],
    "radius": [Interval(Real, 0, None, closed="neither")],
    "random_state": ["random_state"],
}


class ExplanationScorer:
    """Judges a fitted explainer on rows, with scikit-learn's signature of scorers.

    Made by :func:`get_explanation_scorer`, which describes the metrics.

    Parameters
    ----------
    names : str or sequence of str
        Of metrics. One name gives a number; several give a dict, and the rows are explained once.
    output : class label, output name or position, default=None
        Which of several outputs is judged: None is the predicted class of each row, or the mean
        over the outputs of a regressor.
    **options : dict
        Of the metrics.
    """

    def __init__(self, names: Any, *, output: Any = None, **options: Any) -> None:
        self.names, self.output, self.options = names, output, options
        self._by_name = {name: _own_options(name, options) for name in self._listed()}
        known = {option for own in self._by_name.values() for option in own}
        for option in options:
            if option not in known:
                raise TypeError(
                    f"{' and '.join(self._by_name)} take no option {option!r}; known are "
                    f"{sorted({o for name in self._by_name for o in options_of(name)})}"
                )

    def _listed(self) -> list[str]:
        listed = [self.names] if isinstance(self.names, str) else list(self.names)
        for name in listed:
            if not isinstance(name, str) or name not in _MEASURES:
                raise ValueError(f"unknown metric {name!r}; known are {list(SCORER_NAMES)}")
        if not listed or len(set(listed)) != len(listed):
            raise ValueError(f"names={self.names!r} must hold at least one metric, none twice")
        return listed

    def __call__(self, estimator: Any, X: Any, y: Any = None) -> Any:
        """Explain rows and return the score; greater is better.

        Parameters
        ----------
        estimator : fitted explainer, or Pipeline that ends with one
        X : array-like or DataFrame
        y : array-like, default=None
            Used by ``"stability"`` alone, to fit copies of an explainer that needs it.

        Returns
        -------
        float, or dict from metric name to float
        """
        subject = read_subject(estimator, X, y)
        by_row = self.by_row(subject, subject.views(self.output))
        scores = {name: float(np.mean(rows)) for name, rows in by_row.items()}
        return scores[self.names] if isinstance(self.names, str) else scores

    def by_row(self, subject: Subject, views: list[View]) -> dict[str, np.ndarray]:
        """Return the scores of single rows, averaged over outputs where several are judged."""
        return {
            name: np.mean([_MEASURES[name](subject, view, **own) for view in views], axis=0)
            for name, own in self._by_name.items()
        }

    def __repr__(self) -> str:
        options = {"output": self.output, **self.options}
        given = "".join(f", {k}={v!r}" for k, v in options.items() if v is not None)
        return f"ExplanationScorer({self.names!r}{given})"


def options_of(name: str) -> list[str]:
    """Return the options that a metric takes."""
    return [option for option in inspect.signature(_MEASURES[name]).parameters][2:]


def _own_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    own = {option: options[option] for option in options_of(name) if option in options}
    validate_parameter_constraints(_CONSTRAINTS, own, caller_name=name)
    return own


def get_explanation_scorer(
    name: str | Sequence[str], *, output: Any = None, **options: Any
) -> ExplanationScorer:
    """Return a scorer of explanations, for `scoring=` wherever scikit-learn takes a callable.

    Its estimator is an explainer (or a Pipeline that ends with one), which the search or the
    cross-validation has fitted on the training part. Greater is better in all of them.

    ===================== ==================== =================================================
    name                  range                what it says
    ===================== ==================== =================================================
    ``"fidelity"``        up to 1              weighted R² of the simple model that the values
                                               stand for
    ``"lime_fidelity"``   up to 1              of LIME's surrogates alone
    ``"completeness"``    up to 0              how far the values miss the prediction
    ``"deletion_auc"``    about -1 to 0        how soon the output falls when players are removed
    ``"insertion_auc"``   about 0 to 1         how soon it rises when they are filled in
    ``"infidelity"``      up to 0              how badly values foretell what removals do
    ``"max_sensitivity"`` up to 0              how far values move when the row hardly does
    ``"stability"``       0 to 1               how alike the values of other seeds are
    ``"sparsity"``        0 to 1 - 1/players   how few players hold the attribution
    ===================== ==================== =================================================

    The functions of `sklexplain.evaluation.judgements` say for each what it is exactly, what it
    costs in evaluations and where it is from. Where several outputs are judged, each costs as
    much.

    Parameters
    ----------
    name : str or sequence of str
        With several names the scorer returns a dict, as multi-metric searches take it, and
        explains the rows once for all of them; give the search `refit` as one of the names. Where
        scoring may fail for some candidates, give it ``{name: get_explanation_scorer(name), …}``
        instead: scikit-learn puts its `error_score` in the place of single numbers only.
    output : class label, output name or position, default=None
        Which of several outputs is judged: None is the predicted class of each row, or the mean
        over the outputs of a regressor.
    **options : dict
        `n_coalitions` (128) of ``"fidelity"``; `n_perturbations` (64) and `normalize` (False) of
        ``"infidelity"``; `radius` (0.02) and `n_perturbations` (10) of ``"max_sensitivity"``;
        `n_runs` (3) of ``"stability"``; `random_state` (0) of all four.

    Returns
    -------
    ExplanationScorer
        Called as ``scorer(estimator, X, y=None)``.

    Raises
    ------
    ValueError
        If a name is unknown, or an option out of range.
    TypeError
        If none of the metrics takes an option.

    See Also
    --------
    register_scorers : Make the names known to scikit-learn.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklexplain import LIME, get_explanation_scorer
    >>> X, y = load_diabetes(return_X_y=True)
    >>> search = GridSearchCV(
    ...     LIME(Ridge(), discretizer=None, n_samples=500, random_state=0),
    ...     {"n_features": [2, 8]},
    ...     scoring=get_explanation_scorer("lime_fidelity"),
    ...     cv=2,
    ... )
    >>> search.fit(X, y).best_params_
    {'n_features': 8}
    """
    return ExplanationScorer(name, output=output, **options)


def with_explanation_scorers(scoring: Any) -> Any:
    """Return `scoring` with the names of explanations' metrics replaced by their scorers.

    Parameters
    ----------
    scoring : str, callable, list, tuple, dict or None
        As of :func:`~sklearn.model_selection.cross_validate`.

    Returns
    -------
    callable, str, list, tuple, dict or None
        What scikit-learn takes; other names are left to it.
    """
    if isinstance(scoring, str):
        return ExplanationScorer(scoring) if scoring in _MEASURES else scoring
    if isinstance(scoring, list | tuple) and any(name in SCORER_NAMES for name in scoring):
        return {name: with_explanation_scorers(name) for name in scoring}
    if isinstance(scoring, dict):
        return {key: with_explanation_scorers(scorer) for key, scorer in scoring.items()}
    return scoring


def register_scorers() -> None:
    """Make the names of :func:`get_explanation_scorer` known to scikit-learn.

    After the call ``scoring="lime_fidelity"``, or a list of such names, works in `GridSearchCV`,
    `RandomizedSearchCV`, the halving searches, `cross_validate`, `cross_val_score`,
    `check_scoring` and `get_scorer`. Nothing of this happens by importing the package: scikit-learn
    has no public way to add names, so this writes into its private registry and into the
    parameter checks of these functions, for the running process. Whoever would rather not gives
    ``scoring=get_explanation_scorer("lime_fidelity")``, which is the same scorer.

    Raises
    ------
    RuntimeError
        If this version of scikit-learn keeps its names elsewhere.

    Examples
    --------
    >>> import sklexplain
    >>> sklexplain.register_scorers()
    >>> from sklearn.metrics import get_scorer
    >>> get_scorer("deletion_auc")
    ExplanationScorer('deletion_auc')
    """
    from sklearn import metrics, model_selection
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.metrics import _scorer

    checked = [
        metrics.check_scoring,
        model_selection.cross_validate,
        model_selection.cross_val_score,
        model_selection.GridSearchCV,
        model_selection.RandomizedSearchCV,
        model_selection.HalvingGridSearchCV,
        model_selection.HalvingRandomSearchCV,
    ]
    try:
        registry = _scorer._SCORERS
        # The names that each function accepts were copied when it was defined.
        accepted = [
            constraint.options
            for owner in checked
            for constraint in _constraints_of(owner)["scoring"]
            if isinstance(constraint, StrOptions)
        ]
        if len(accepted) < len(checked):
            raise AttributeError("a parameter check without names")
    except (AttributeError, KeyError) as error:
        raise RuntimeError(
            "this version of scikit-learn keeps the names of its scorers elsewhere "
            f"({error}); use scoring=get_explanation_scorer(name)"
        ) from error
    registry.update({name: ExplanationScorer(name) for name in SCORER_NAMES})
    for names in accepted:
        names.update(SCORER_NAMES)


def _constraints_of(owner: Any) -> dict[str, Any]:
    if isinstance(owner, type):
        return owner._parameter_constraints  # type: ignore[attr-defined]
    return owner._skl_parameter_constraints
