"""The null of permutation importance: what is measured where the target says nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import _num_samples

from .._progress import tqdm
from ..core.workers import run_tasks


def null_importances(
    explainer: Any,
    X: Any,
    y: Any,
    fit_params: dict[str, Any],
    *,
    seeds: np.ndarray,
    n_jobs: int | None = None,
    show_progress: bool = False,
) -> list[dict[str, np.ndarray]]:
    """Fit and measure with permuted targets, once a seed.

    Parameters
    ----------
    explainer : PermutationImportance
        Its `fit` is called on copies that differ in `random_state` only.
    X, y : array-like
    fit_params : dict
        For `fit`; a `y_val` among them is permuted too.
    seeds : ndarray of int, shape (n_null,)
    n_jobs : int, default=None
    show_progress : bool, default=False

    Returns
    -------
    list of dict from scorer name to ndarray of shape (n_players,)
        Mean drops in the score.
    """
    results = run_tasks(
        _measured, (explainer, X, y, fit_params), ((int(seed),) for seed in seeds), n_jobs=n_jobs
    )
    return list(
        tqdm(
            results,
            total=len(seeds),
            desc="null importances",
            unit="permutation",
            disable=not show_progress,
        )
    )


def _measured(shared: tuple[Any, Any, Any, dict[str, Any]], seed: int) -> dict[str, np.ndarray]:
    explainer, X, y, fit_params = shared
    random_state = check_random_state(seed)
    null = type(explainer)(**{**explainer.get_params(deep=False), "random_state": random_state})
    params = dict(fit_params)
    if params.get("y_val") is not None:
        params["y_val"] = _shuffled(params["y_val"], random_state)
    null.fit(X, _shuffled(y, random_state), **params)
    return {name: result.importances_mean for name, result in null.results_.items()}


def _shuffled(y: Any, random_state: np.random.RandomState) -> Any:
    return _safe_indexing(y, random_state.permutation(_num_samples(y)))


def p_values(observed: np.ndarray, null: np.ndarray) -> np.ndarray:
    """Return how often chance alone reaches the observed importances.

    The observed value counts as one of the permutations, so that no p-value is zero and each is
    valid whatever their number (Phipson and Smyth, 2010).

    Parameters
    ----------
    observed : ndarray of shape (n_players,)
    null : ndarray of shape (n_null, n_players)

    Returns
    -------
    ndarray of shape (n_players,)
        Multiples of ``1 / (1 + n_null)``, from that to 1.
    """
    return (1 + (null >= observed).sum(axis=0)) / (1 + len(null))
