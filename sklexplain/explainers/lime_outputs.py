"""Running LIME's draws through the model: once where they can be shared, and kept where asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils.validation import check_memory

from ..core.models import Model
from ..core.perturb import run_rows
from .lime_draws import ColumnDraws, ReplacementDraws


class Run:
    """How one call runs the model, and how many rows it has run.

    Parameters
    ----------
    model : Model
    batch_size : int or "auto"
    n_jobs : int or None
    on_progress : callable
        Called with the number of evaluations that were finished.

    Attributes
    ----------
    n_evals : int
    """

    def __init__(
        self,
        model: Model,
        batch_size: int | str,
        n_jobs: int | None,
        on_progress: Callable[[int], Any],
    ) -> None:
        self.model = model
        self.n_evals = 0
        self.options: dict[str, Any] = {
            "batch_size": batch_size,
            "n_jobs": n_jobs,
            "on_progress": self._count,
        }
        self._on_progress = on_progress

    def _count(self, n_finished: int) -> None:
        self.n_evals += n_finished
        self._on_progress(n_finished)


class DrawOutputs:
    """The model's outputs for the draws around rows.

    Draws that do not depend on the row are run once and serve every later row.

    Parameters
    ----------
    draws : ColumnDraws or ReplacementDraws
    memory : str, path, joblib.Memory or None
        Where outputs are kept from one process to the next.
    """

    def __init__(self, draws: ColumnDraws | ReplacementDraws, memory: Any) -> None:
        self.draws = draws
        self.memory = memory
        self._shared: np.ndarray | None = None

    def n_left(self, n_rows: int) -> int:
        """Return how many evaluations it takes to explain some rows."""
        n_draws = self.draws.n_draws
        if self.draws.around_row:
            return n_rows * (1 + n_draws)
        return n_rows + (n_draws if self._shared is None else 0)

    def of_rows(self, run: Run, rows: np.ndarray) -> np.ndarray:
        """Return the outputs of the explained rows themselves, shape (n_rows, n_outputs)."""
        draws = self.draws
        runs_now = self._shared is None and self.memory is None
        if runs_now and isinstance(draws, ColumnDraws) and not draws.around_row:
            # Not in one batch with the rows, on whose number their last bits would depend.
            self._shared = run_rows(run.model, draws.shared_rows(), name="draw", **run.options)
        return run_rows(run.model, rows, **run.options)

    def around(self, run: Run, rows: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Return the outputs of a chunk of rows, given as `own`, and of the draws around each.

        Returns
        -------
        ndarray of shape (n_rows, 1 + n_draws, n_outputs)
        """
        outputs = self._of_draws(run, rows) if self._shared is None else self._shared[None]
        outputs = np.broadcast_to(outputs, (len(rows), *outputs.shape[1:]))
        return np.concatenate([own[:, None], outputs], axis=1)

    def _of_draws(self, run: Run, rows: np.ndarray) -> np.ndarray:
        if self.memory is None:
            return self.draws.run(run.model, rows, **run.options)
        shared = not self.draws.around_row
        # A model's pickle differs from one process to the next; what it answers does not.
        probes = self.draws.probes()
        answers = run_rows(
            run.model, probes if shared else np.concatenate([probes, rows]), **run.options
        )
        cached = check_memory(self.memory).cache(_run_draws, ignore=["run"])
        outputs = cached(self.draws, None if shared else rows, answers, run)
        if shared:
            self._shared = outputs[0]
        return outputs


def _run_draws(
    draws: ColumnDraws | ReplacementDraws, rows: np.ndarray | None, answers: np.ndarray, run: Run
) -> np.ndarray:
    """Run draws through the model; a cache knows them, the rows and the model by its answers."""
    return draws.run(run.model, rows, **run.options)
