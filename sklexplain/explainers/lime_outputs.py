"""Running LIME's draws through the model: once where they can be shared, and kept where asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import gen_batches

from ..core.adapters import made_of_trees
from ..core.built_rows import run_rows
from ..core.checkpoints import Checkpoints
from ..core.failures import RowNames
from ..core.models import Model, ModelError
from ..core.perturb import working_bytes
from .lime_draws import ColumnDraws, ReplacementDraws

_DRAWS = "draws"
# Rows that are surely one batch.
_MOST_AT_ONCE = 2**14
# Draws are built for as many rows as make large batches of them, and surrogates fitted for as many
# as stay near the processor.
_CHUNK_BYTES, _NEAR_BYTES = 64 * 2**20, 16 * 2**20


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

    @property
    def around_row(self) -> bool:
        """Whether each row has draws of its own."""
        return self.draws.around_row

    def n_left(self, n_rows: int) -> int:
        """Return how many evaluations it takes to explain some rows."""
        n_draws = self.draws.n_draws
        if self.draws.around_row:
            return n_rows * (1 + n_draws)
        return n_rows + (n_draws if self._shared is None else 0)

    def of_rows(self, run: Run, rows: np.ndarray) -> np.ndarray:
        """Return the outputs of the explained rows themselves, shape (n_rows, n_outputs)."""
        numbers = run.numbers(rows)
        draws = self.draws
        if self._shared is None and isinstance(draws, ColumnDraws) and not draws.around_row:
            kept = None if self.checkpoints is None else self.checkpoints.load(_DRAWS)
            if kept is not None and len(kept.get("outputs", ())) == draws.n_draws:
                self._shared = kept["outputs"]
            else:
                self._shared, own = _run_shared(draws, run, rows, numbers)
                if self.checkpoints is not None:
                    self.checkpoints.store(_DRAWS, {"outputs": self._shared})
                if own is not None:
                    return own
        return run_rows(run.model, rows, name=RowNames(numbers), **run.options)

    def around(
        self, run: Run, rows: np.ndarray, own: np.ndarray
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the outputs of rows, given as `own`, and of the draws around each of them.

        Yields
        ------
        part : slice
            Of the rows, in order.
        outputs : ndarray of shape (n_rows, 1 + n_draws, n_outputs)
        """
        n_outputs = own.shape[1]
        per_chunk = self._rows_in(_CHUNK_BYTES, n_outputs)
        # Workers may be ahead of the surrogates by no more than memory holds.
        most = working_bytes() // (8 * self.draws.n_draws * n_outputs)
        for ahead in gen_batches(len(rows), max(per_chunk, most)):
            for part, outputs in self.draws.run(
                run.model,
                rows[ahead],
                rows_per_chunk=per_chunk,
                row_numbers=run.numbers(rows)[ahead],
                **run.options,
            ):
                where = slice(ahead.start + part.start, ahead.start + part.stop)
                yield where, np.concatenate([own[where][:, None], outputs], axis=1)

    def parts(self, n_rows: int, n_outputs: int) -> list[slice]:
        """Return rows whose surrogates are fitted at a time, where draws serve all rows."""
        return list(gen_batches(n_rows, self._rows_in(_NEAR_BYTES, n_outputs)))

    def of_part(self, own: np.ndarray) -> np.ndarray:
        """Return the outputs of some rows, given as `own`, and of the draws that serve all rows.

        Returns
        -------
        ndarray of shape (n_rows, 1 + n_draws, n_outputs)
        """
        assert self._shared is not None
        shared = np.broadcast_to(self._shared, (len(own), *self._shared.shape))
        return np.concatenate([own[:, None], shared], axis=1)

    def _rows_in(self, most: int, n_outputs: int) -> int:
        """Return of how many rows the draws, a few copies of them, are so many bytes."""
        bytes_per_row = 4 * 8 * self.draws.n_draws * (self.draws.n_players + n_outputs)
        return max(1, min(most, working_bytes()) // bytes_per_row)


def _run_shared(
    draws: ColumnDraws, run: Run, rows: np.ndarray, numbers: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the outputs of the draws that serve all rows, and perhaps those of the rows.

    One call for both, since calling a forest takes longer than running a row. Of trees only:
    the last bits of others depend on what else is in the batch, and those of the draws must
    not on the rows. Nor may a row that fails keep the draws from being run.
    """
    options = run.options
    n_draws = draws.n_draws
    at_once = (
        n_draws + len(rows) <= _MOST_AT_ONCE
        and options["batch_size"] == "auto"
        and effective_n_jobs(options["n_jobs"]) == 1
        and made_of_trees(run.model.estimator)
    )
    if at_once:
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
    return run_rows(run.model, draws.shared_rows(), name="draw", **options), None
