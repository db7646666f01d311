"""Running LIME's draws through the model: once where they can be shared, and kept where asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from joblib import effective_n_jobs

from ..core.adapters import made_of_trees
from ..core.checkpoints import Checkpoints
from ..core.models import Model, ModelError
from ..core.perturb import run_rows
from .lime_draws import ColumnDraws, ReplacementDraws

_DRAWS = "draws"
# Rows that are surely one batch.
_MOST_AT_ONCE = 2**14


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
        numbers = run.numbers(rows)
        if self._shared is None and not self.draws.around_row:
            kept = None if self.checkpoints is None else self.checkpoints.load(_DRAWS)
            if kept is not None and len(kept.get("outputs", ())) == self.draws.n_draws:
                self._shared = kept["outputs"]
            else:
                self._shared, own = self._run_shared(run, rows, numbers)
                if self.checkpoints is not None:
                    self.checkpoints.store(_DRAWS, {"outputs": self._shared})
                if own is not None:
                    return own
        return run_rows(run.model, rows, name=lambda i: f"row {numbers[i]}", **run.options)

    def _run_shared(
        self, run: Run, rows: np.ndarray, numbers: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the outputs of the draws that serve all rows, and perhaps those of the rows.

        One call for both, since calling a forest takes longer than running a row. Of trees only:
        the last bits of others depend on what else is in the batch, and those of the draws must
        not on the rows. Nor may a row that fails keep the draws from being run.
        """
        draws, options = self.draws, run.options
        n_draws = draws.n_draws
        at_once = (
            n_draws + len(rows) <= _MOST_AT_ONCE
            and options["batch_size"] == "auto"
            and effective_n_jobs(options["n_jobs"]) == 1
            and made_of_trees(run.model.estimator)
        )
        if at_once and isinstance(draws, ColumnDraws):
            together = np.concatenate([draws.shared_rows(), rows])
            try:
                outputs = run_rows(
                    run.model,
                    together,
                    name=lambda i: f"draw {i}" if i < n_draws else f"row {numbers[i - n_draws]}",
                    **options,
                )
            except ModelError:
                pass
            else:
                return outputs[:n_draws], outputs[n_draws:]
        return draws.run(run.model, None, **options)[0], None

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
