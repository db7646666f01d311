"""Rows that are not masked: the explained ones as they are, and draws built around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import gen_batches

from .failures import blame, refuse_non_finite_rows
from .masked_batches import equal_slices
from .models import Model, ModelError
from .perturb import LARGEST_BATCH, n_tasks_for, rows_in_batch
from .placement import prefers_threads, workers_for
from .trials import MOST_TRIED_EVALS, TRIED_SHARE, tried_part
from .workers import check_not_cancelled, run_tasks

# Rows a worker from which they are divided among the workers; draws of fewer are.
_FEWEST_ROWS = 4


def unmasked_outputs(
    model: Model, rows: np.ndarray, name: str | Callable[[int], str] = "row"
) -> np.ndarray:
    """Run the model on rows as they are.

    Parameters
    ----------
    model : Model
    rows : ndarray of shape (n_samples, *sample_shape)
    name : str or callable, default="row"
        What a row is called in the error, or what names it by its position.

    Returns
    -------
    ndarray of shape (n_samples, n_outputs)

    Raises
    ------
    ValueError
        If an output is not finite; the message names the row.
    """
    return refuse_non_finite_rows(_outputs_of(model, rows, 0, name), name)


def run_rows(
    model: Model,
    rows: np.ndarray,
    *,
    batch_size: int | str = "auto",
    n_jobs: int | None = None,
    name: str | Callable[[int], str] = "row",
    on_progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Run the model in batches on rows that are already built: draws, not coalitions.

    Parameters
    ----------
    model : Model
    rows : ndarray of shape (n_rows, *sample_shape)
    batch_size, n_jobs, on_progress
        As of :func:`sklexplain.core.perturb.evaluate`.
    name : str or callable, default="row"
        What a row is called in the error, or what names it by its position; it is sent to the
        workers.

    Returns
    -------
    ndarray of shape (n_rows, n_outputs), float64

    Raises
    ------
    ValueError
        If an output is not finite; the message names the row.
    """
    tiles = equal_slices(len(rows), _batch(model, rows.shape[1:], batch_size, rows.dtype.itemsize))
    n_jobs = workers_for(model.estimator, n_jobs)
    n_workers = effective_n_jobs(n_jobs)
    threads = prefers_threads(model.estimator)
    pieces: list[np.ndarray] = []
    n_tried, tried = 0, False
    if n_workers > 1 and TRIED_SHARE <= len(rows) <= TRIED_SHARE * tiles[0].stop:
        pieces, worth = tried_part(
            lambda part: _outputs_of(model, rows[part], part.start, name),
            len(rows),
            1,
            model,
            n_workers,
        )
        n_tried, tried = sum(map(len, pieces)), True
        if not worth:
            n_workers = n_jobs = 1
    if n_workers > 1 and tiles:
        largest = min(tiles[0].stop, -(-len(rows) // n_tasks_for(len(rows), n_workers)))
        tiles = equal_slices(len(rows) - n_tried, largest)
    elif n_tried:
        tiles = equal_slices(len(rows) - n_tried, tiles[0].stop)
    tiles = [slice(tile.start + n_tried, tile.stop + n_tried) for tile in tiles]
    results = run_tasks(
        _outputs_of,
        model,
        ((rows[tile], tile.start, name) for tile in tiles),
        n_jobs=n_jobs,
        threads=threads,
        tried=tried,
    )
    if n_tried and on_progress is not None:
        on_progress(n_tried)
    for tile, outputs in zip(tiles, results, strict=True):
        pieces.append(outputs)
        if on_progress is not None:
            on_progress(tile.stop - tile.start)
    return refuse_non_finite_rows(np.concatenate(pieces), name)


class DrawsAroundRows(Protocol):
    """Draws that are built from the row that they lie around."""

    @property
    def n_draws(self) -> int:
        """How many there are of each row."""

    def rows_around(self, X: np.ndarray) -> np.ndarray:
        """Return the draws of some rows, shape (n_rows * n_draws, *sample_shape)."""


@dataclass(frozen=True)
class _Around:
    """What stays the same over all rows."""

    model: Model
    draws: DrawsAroundRows
    batch: int


def run_around(
    model: Model,
    draws: DrawsAroundRows,
    X: np.ndarray,
    *,
    rows_per_chunk: int,
    row_numbers: np.ndarray,
    batch_size: int | str = "auto",
    n_jobs: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Run the model on draws around rows, built where they are run; yield chunks of rows.

    Workers go on while a chunk is used.

    Parameters
    ----------
    model : Model
    draws : DrawsAroundRows
    X : ndarray of shape (n_samples, *sample_shape)
    rows_per_chunk : int
        The most rows whose draws are built at a time.
    row_numbers : ndarray of int, shape (n_samples,)
        What the rows are called in errors.
    batch_size, n_jobs, on_progress
        As of :func:`sklexplain.core.perturb.evaluate`.

    Yields
    ------
    rows : slice
        Of `X`, in order.
    outputs : ndarray of shape (n_rows, n_draws, n_outputs)

    Raises
    ------
    ValueError
        If an output is not finite; the message names the draw and its row.
    """
    n_draws = draws.n_draws
    around = _Around(model, draws, _batch(model, X.shape[1:], batch_size, X.dtype.itemsize))
    n_jobs = workers_for(model.estimator, n_jobs)
    n_workers = effective_n_jobs(n_jobs)
    if n_workers > 1 and len(X) < _FEWEST_ROWS * n_workers:
        for chunk in gen_batches(len(X), rows_per_chunk):
            outputs = run_rows(
                model,
                draws.rows_around(X[chunk]),
                batch_size=batch_size,
                n_jobs=n_jobs,
                name=_DrawNames(row_numbers[chunk], n_draws),
                on_progress=on_progress,
            )
            yield chunk, outputs.reshape(-1, n_draws, outputs.shape[-1])
        return
    n_tried, tried = 0, False
    if n_workers > 1 and len(X) >= TRIED_SHARE and len(X) * n_draws <= MOST_TRIED_EVALS:
        pieces, worth = tried_part(
            lambda part: _outputs_around(around, X[part], row_numbers[part]),
            len(X),
            n_draws,
            model,
            n_workers,
        )
        tried = True
        if not worth:
            n_workers = n_jobs = 1
        for outputs in pieces:
            if on_progress is not None:
                on_progress(len(outputs) * n_draws)
            yield slice(n_tried, n_tried + len(outputs)), outputs
            n_tried += len(outputs)
    per_task = rows_per_chunk
    if n_workers > 1:
        n_tasks = n_tasks_for((len(X) - n_tried) * n_draws, n_workers)
        per_task = min(per_task, max(1, around.batch // n_draws), -(-len(X) // n_tasks))
    left = gen_batches(len(X) - n_tried, per_task)
    tasks = [slice(n_tried + part.start, n_tried + part.stop) for part in left]
    results = run_tasks(
        _outputs_around,
        around,
        ((X[task], row_numbers[task]) for task in tasks),
        n_jobs=n_jobs,
        threads=prefers_threads(model.estimator),
        tried=tried,
    )
    for task, outputs in zip(tasks, results, strict=True):
        if on_progress is not None:
            on_progress(len(outputs) * n_draws)
        yield task, outputs


def _outputs_of(
    model: Model, rows: np.ndarray, first: int, name: str | Callable[[int], str]
) -> np.ndarray:
    """Run the model on rows, of which the first is row number `first`."""
    check_not_cancelled()
    try:
        return model(rows)
    except ModelError as error:
        raise blame(error, model, rows, lambda i: _called(name, first + i)) from error.__cause__


def _called(name: str | Callable[[int], str], row: int) -> str:
    return name(row) if callable(name) else f"{name} {row}"


def _outputs_around(around: _Around, X: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the outputs of all draws around some rows, (n_rows, n_draws, n_outputs)."""
    rows, name = around.draws.rows_around(X), _DrawNames(numbers, around.draws.n_draws)
    pieces = [
        _outputs_of(around.model, rows[tile], tile.start, name)
        for tile in equal_slices(len(rows), around.batch)
    ]
    outputs = refuse_non_finite_rows(np.concatenate(pieces), name)
    return outputs.reshape(len(X), -1, outputs.shape[-1])


@dataclass(frozen=True)
class _DrawNames:
    """Names draws by their position among those of all rows."""

    numbers: np.ndarray
    n_draws: int

    def __call__(self, i: int) -> str:
        return f"draw {i % self.n_draws} around row {self.numbers[i // self.n_draws]}"


def _batch(model: Model, row_shape: tuple[int, ...], batch_size: int | str, itemsize: int) -> int:
    """Return how many rows to hand to the model at a time."""
    if model.is_torch and batch_size == "auto":
        # A module cuts what it is given into the batches that it likes best.
        batch_size = LARGEST_BATCH
    return rows_in_batch(model, row_shape, batch_size, itemsize)
