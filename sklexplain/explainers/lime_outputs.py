"""Running LIME's draws through the model: once where they can be shared, and kept where asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.checkpoints import Checkpoints
from ..core.models import Model
from ..core.perturb import run_rows
from .lime_draws import ColumnDraws, ReplacementDraws

_DRAWS = "draws"


class Run:
    """How one call runs the model, and how many rows it has run.

    Parameters
    ----------
    model : Model
    batch_size : int or "auto"
    n_jobs : int or None
    on_progress : callable
        Called with the number of evaluations that were finished.
    numbers : ndarray of int, optional
        What the rows are called in errors; by default their positions.

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
        numbers: np.ndarray | None = None,
    ) -> None:
        self.model = model
        self._numbers = numbers
        self.n_evals = 0
        self.options: dict[str, Any] = {
            "batch_size": batch_size,
            "n_jobs": n_jobs,
            "on_progress": self._count,
        }
        self._on_progress = on_progress

    def numbers(self, rows: np.ndarray) -> np.ndarray:
        """Return what each of all the rows is called in errors."""
        return np.arange(len(rows)) if self._numbers is None else self._numbers

    def _count(self, n_finished: int) -> None:
        self.n_evals += n_finished
        self._on_progress(n_finished)


class DrawOutputs:
    """The model's outputs for the draws around rows.

    Draws that do not depend on the row are run once and serve every later row.

    Parameters
    ----------
    draws : ColumnDraws or ReplacementDraws

    Attributes
    ----------
    checkpoints : Checkpoints or None
        Where the outputs of shared draws are kept from one process to the next.
    """

    def __init__(self, draws: ColumnDraws | ReplacementDraws) -> None:
        self.draws = draws
        self.checkpoints: Checkpoints | None = None
        self._shared: np.ndarray | None = None

    def n_left(self, n_rows: int) -> int:
        """Return how many evaluations it takes to explain some rows."""
        n_draws = self.draws.n_draws
        if self.draws.around_row:
            return n_rows * (1 + n_draws)
        return n_rows + (n_draws if self._shared is None else 0)

    def of_rows(self, run: Run, rows: np.ndarray) -> np.ndarray:
        """Return the outputs of the explained rows themselves, shape (n_rows, n_outputs)."""
        if self._shared is None and not self.draws.around_row:
            # Not in one batch with the rows, on whose number their last bits would depend.
            self._shared = self._shared_outputs(run)
        numbers = run.numbers(rows)
        return run_rows(run.model, rows, name=lambda i: f"row {numbers[i]}", **run.options)

    def around(self, run: Run, rows: np.ndarray, own: np.ndarray, part: slice) -> np.ndarray:
        """Return the outputs of a part of rows, given as `own`, and of the draws around each.

        Returns
        -------
        ndarray of shape (n_rows, 1 + n_draws, n_outputs)
        """
        if self._shared is None:
            numbers = run.numbers(rows)[part]
            outputs = self.draws.run(run.model, rows[part], row_numbers=numbers, **run.options)
        else:
            outputs = self._shared[None]
        own = own[part]
        outputs = np.broadcast_to(outputs, (len(own), *outputs.shape[1:]))
        return np.concatenate([own[:, None], outputs], axis=1)

    def _shared_outputs(self, run: Run) -> np.ndarray:
        """Return the outputs of the draws that serve all rows, shape (n_draws, n_outputs)."""
        kept = None if self.checkpoints is None else self.checkpoints.load(_DRAWS)
        if kept is not None and len(kept.get("outputs", ())) == self.draws.n_draws:
            return kept["outputs"]
        outputs = self.draws.run(run.model, None, **run.options)[0]
        if self.checkpoints is not None:
            self.checkpoints.store(_DRAWS, {"outputs": outputs})
        return outputs
