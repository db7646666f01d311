"""Fitting LIME's surrogates to the model's outputs, by several workers where there are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.linear_model import Ridge
from sklearn.utils import gen_batches

from ..core.workers import run_tasks
from ..solvers.regressors import fit_regressors
from ..solvers.surrogate import Surrogates, fit_surrogates, kernel_weights
from ..solvers.workspace import Workspace
from .lime_draws import ColumnDraws, ReplacementDraws, refuse_vanished
from .lime_outputs import DrawOutputs, Run

# Tasks a worker: threads are handed few, and of many the first are soon done, from which it is seen
# whether the others are worth processes.
_THREAD_TASKS, _PROCESS_TASKS = 4, 16
# What is found of some rows: their surrogates, and how many draws the kernel leaves each.
Fitted = tuple[Surrogates, np.ndarray]


@dataclass(frozen=True)
class Fitter:
    """What all rows' surrogates have in common.

    Parameters
    ----------
    draws : ColumnDraws or ReplacementDraws
    kernel_width : float
    surrogate : regressor or None
    selection : str
    n_features : int or None
    """

    draws: ColumnDraws | ReplacementDraws
    kernel_width: float
    surrogate: Any
    selection: str
    n_features: int | None

    @property
    def in_batches(self) -> bool:
        """Whether the surrogates of many rows are one calculation, which needs no Python's lock."""
        return _is_plain_ridge(self.surrogate) and self.selection != "lasso_path"

    def fit(
        self, rows: np.ndarray, outputs: np.ndarray, numbers: np.ndarray, workspace: Workspace
    ) -> Fitted:
        """Fit the surrogates of some rows.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, *sample_shape)
        outputs : ndarray of shape (n_rows, 1 + n_draws, n_outputs)
        numbers : ndarray of int, shape (n_rows,)
            What the rows are called in errors.
        workspace : Workspace
        """
        draws, surrogate = self.draws, self.surrogate
        offsets, positions = draws.offsets(rows, workspace), draws.positions(rows)
        weights = kernel_weights(offsets, self.kernel_width)
        refuse_vanished(weights, offsets, numbers, self.kernel_width)
        n_effective = weights.sum(axis=1) ** 2 / (weights**2).sum(axis=1)
        n_effective = np.broadcast_to(n_effective, len(rows))
        data = (offsets, weights, outputs, positions)
        chosen: dict[str, Any] = {"selection": self.selection, "n_features": self.n_features}
        if _is_plain_ridge(surrogate):
            alpha = 1.0 if surrogate is None else surrogate.alpha
            chosen |= {"alpha": alpha, "controls": draws.controls(), "workspace": workspace}
            return fit_surrogates(*data, **chosen), n_effective
        return fit_regressors(surrogate, *data, **chosen), n_effective


@dataclass(frozen=True)
class _Shared:
    """What the workers share where the draws serve all rows."""

    fitter: Fitter
    rows: np.ndarray
    own: np.ndarray
    columns: np.ndarray
    numbers: np.ndarray
    outputs: DrawOutputs


def fit_rows(
    fitter: Fitter,
    outputs: DrawOutputs,
    run: Run,
    rows: np.ndarray,
    own: np.ndarray,
    columns: np.ndarray,
) -> Iterator[Fitted]:
    """Fit the surrogates of all rows, some at a time and in order.

    Around each row, its draws take workers longer than its surrogate takes here; draws that serve
    all rows leave only the surrogates to divide.

    Parameters
    ----------
    fitter : Fitter
    outputs : DrawOutputs
        Those of `fitter`'s draws.
    run : Run
    rows : ndarray of shape (n_samples, *sample_shape)
    own : ndarray of shape (n_samples, n_model_outputs)
        The model's outputs for the rows.
    columns : ndarray of int, shape (n_samples, n_outputs)
        Which of them are explained.
    """
    numbers = run.numbers(rows)
    if outputs.around_row:
        workspace = Workspace()
        for part, found in outputs.around(run, rows, own):
            explained = np.take_along_axis(found, columns[part][:, None], axis=2)
            yield fitter.fit(rows[part], explained, numbers[part], workspace)
        return
    for found in run_tasks(
        _fit_parts,
        _Shared(fitter, rows, own, columns, numbers, outputs),
        ((parts,) for parts in _tasks(outputs.parts(len(rows), own.shape[1]), run, fitter)),
        n_jobs=run.options["n_jobs"],
        threads=fitter.in_batches,
    ):
        yield from found


def _tasks(parts: list[slice], run: Run, fitter: Fitter) -> list[list[slice]]:
    """Divide the parts into tasks, which are worth more than it takes to hand them over."""
    n_workers = effective_n_jobs(run.options["n_jobs"])
    per_worker = _THREAD_TASKS if fitter.in_batches else _PROCESS_TASKS
    n_tasks = 1 if n_workers == 1 else per_worker * n_workers
    return [parts[where] for where in gen_batches(len(parts), -(-len(parts) // n_tasks) or 1)]


def _fit_parts(shared: _Shared, parts: list[slice]) -> list[Fitted]:
    fitted, numbers, workspace = [], shared.numbers, Workspace()
    for part in parts:
        found = shared.outputs.of_part(shared.own[part])
        explained = np.take_along_axis(found, shared.columns[part][:, None], axis=2)
        fitted.append(shared.fitter.fit(shared.rows[part], explained, numbers[part], workspace))
    return fitted


def _is_plain_ridge(surrogate: Any) -> bool:
    """Whether the batched solution is what this regressor would find."""
    if surrogate is None:
        return True
    return type(surrogate) is Ridge and surrogate.fit_intercept and not surrogate.positive
