"""Recognising a fitted model in another process, so that what it computed is found again."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from os import PathLike
from typing import Any

import numpy as np
from sklearn import __version__ as sklearn_version

from .._version import __version__
from ..core.adapters import unwrapped, uses_torch
from ..core.checkpoints import Checkpoints
from ..core.models import ModelError
from .inside import opened

_N_PROBES = 32


def checkpoints_of(
    location: str | PathLike[str],
    estimator: Any,
    method: Any,
    answers: Callable[[np.ndarray], np.ndarray],
    probes: np.ndarray,
) -> Checkpoints | None:
    """Return where the results of a model by a method are kept.

    Parameters
    ----------
    location : str or path
    estimator : fitted estimator, nn.Module or function
    method : object
        All else that the results depend on, but the rows.
    answers : callable
        From rows to outputs, the model's own.
    probes : ndarray of shape (n_samples, *sample_shape)
        Rows to ask the model, of which a few are used.

    Returns
    -------
    Checkpoints, or None where the model cannot be recognised, with a warning
    """
    answered = _answered(answers, probes[:_N_PROBES])
    try:
        return Checkpoints.of_run(
            location,
            (versions(estimator), estimator, method),
            answered,
            single_precision=uses_torch(estimator),
        )
    except TypeError as error:
        warnings.warn(
            f"memory: nothing is stored, because {type(unwrapped(estimator)).__name__} or a "
            f"parameter cannot be told from others: {error}",
            RuntimeWarning,
            stacklevel=5,
        )
        return None


def versions(estimator: Any) -> dict[str, str]:
    """Return the versions of the packages that results depend on."""
    packages = {type(part).__module__.split(".")[0] for part in (estimator, opened(estimator)[1])}
    packages.add("numpy")
    if uses_torch(estimator):
        packages.add("torch")
    found = {name: str(getattr(sys.modules.get(name), "__version__", "")) for name in packages}
    return {**found, "sklexplain": __version__, "sklearn": sklearn_version}


def _answered(answers: Callable[[np.ndarray], np.ndarray], probes: np.ndarray) -> np.ndarray:
    """Return the answers for all rows; NaN where the model fails."""
    try:
        return answers(probes)
    except ModelError:
        if len(probes) == 1:
            return np.full((1, 1), np.nan)
    singles = [_answered(answers, probes[i : i + 1]) for i in range(len(probes))]
    widest = max(single.shape[1] for single in singles)
    return np.concatenate([np.broadcast_to(single, (1, widest)) for single in singles])
