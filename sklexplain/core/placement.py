"""Placement: whether a model runs in threads or in processes, and among how many of them."""

from __future__ import annotations

from typing import Any

from .adapters import torch_module, uses_torch


def prefers_threads(estimator: Any) -> bool:
    """Whether threads serve this estimator better than processes.

    Parameters
    ----------
    estimator : estimator, torch module or function

    Returns
    -------
    bool
    """
    return uses_torch(estimator)


def workers_for(estimator: Any, n_jobs: int | None) -> int | None:
    """Return the workers among which an estimator is divided: one where it is on a graphics card.

    Parameters
    ----------
    estimator : estimator, torch module or function
    n_jobs : int or None
        As of joblib.

    Returns
    -------
    int or None
    """
    module = torch_module(estimator)
    if module is not None:
        from ..inference import module_device

        if module_device(module).type != "cpu":
            return 1
    return n_jobs
