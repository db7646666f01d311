"""The engine: every masked batch is built and run from here, and only from here.

A masked row keeps the cells of its present players and takes the cells of its absent ones from a
reference row. `evaluate` runs coalitions × references for many rows; `replaced` is the same
operation without a model, for methods that must show a whole table to a scorer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from time import perf_counter

import numpy as np
from joblib import effective_n_jobs
from sklearn import get_config

from .array_batches import run_on_arrays
from .masked_batches import Job
from .models import Model
from .placement import prefers_threads, workers_for
from .players import Players
from .trials import MOST_TRIED_EVALS, TRIED_SHARE, learn, tried_part
from .workers import run_tasks

# Past this many rows a batch gains nothing for models outside torch: their cost per call is gone.
LARGEST_BATCH = 32_768
# Tasks a worker, so that one slow task does not leave the others idle.
_TASKS_PER_WORKER = 4
# A task of fewer evaluations is spent on calling the model rather than on running it.
_LEAST_EVALS = 128


def evaluate(
    model: Model,
    X: np.ndarray,
    coalitions: np.ndarray,
    references: np.ndarray,
    players: Players,
    *,
    pairing: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    batch_size: int | str = "auto",
    n_jobs: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Run the model on every row of `X` under every coalition.

    Parameters
    ----------
    model : Model
    X : ndarray of shape (n_samples, *sample_shape)
        The explained rows.
    coalitions : ndarray of bool, shape (n_coalitions, n_players)
        True where a player is present.
    references : ndarray of shape (n_references, *sample_shape)
        The rows that absent players are taken from.
    players : Players
    pairing : ndarray of int, shape (n_coalitions,) or (n_coalitions, n_samples), optional
        The reference that each coalition meets, the same for all rows or one for each. By default
        each coalition meets all references and the outputs are averaged.
    weights : ndarray of shape (n_references,), optional
        Of that average, summing to 1; equal by default.
    batch_size : int or "auto", default="auto"
        Masked rows run at a time. ``"auto"`` is the size at which the model runs fastest: for
        torch modules by :func:`sklexplain.inference.rows_per_batch`, else as many as
        scikit-learn's `working_memory` allows, up to 32,768.
    n_jobs : int, optional
        Workers, through joblib: threads or processes as :mod:`sklexplain.core.placement` says.
        Models on a graphics card are not divided.
    on_progress : callable, optional
        Called with the number of evaluations that were finished since the last call.

    Returns
    -------
    ndarray of shape (n_samples, n_coalitions, n_outputs), float64

    Raises
    ------
    ModelError
        If the model raises, or returns NaN or infinite values (then it is a ValueError too); the
        message names the row and its absent players.
    ValueError
        If the model returns a wrong number of outputs.
    """
    pieces = [
        outputs
        for _, outputs in evaluate_chunks(
            model,
            X,
            coalitions,
            references,
            players,
            pairing=pairing,
            weights=weights,
            batch_size=batch_size,
            n_jobs=n_jobs,
            on_progress=on_progress,
        )
    ]
    return np.concatenate(pieces)


def evaluate_chunks(
    model: Model,
    X: np.ndarray,
    coalitions: np.ndarray,
    references: np.ndarray,
    players: Players,
    *,
    pairing: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    batch_size: int | str = "auto",
    n_jobs: int | None = None,
    on_progress: Callable[[int], None] | None = None,
    row_numbers: np.ndarray | None = None,
    rows_per_chunk: int | None = None,
    evals_ahead: int = 0,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Do the work of :func:`evaluate` and yield it in chunks of rows that fit in memory.

    Parameters
    ----------
    model, X, coalitions, references, players, pairing, weights, batch_size, n_jobs, on_progress
        As of :func:`evaluate`.
    row_numbers : ndarray of int, shape (n_samples,), optional
        What the rows are called in errors, where `X` is a part of a whole.
    rows_per_chunk : int, optional
        The most rows in a chunk, where memory allows more.
    evals_ahead : int, default=0
        Evaluations that the caller will ask for after these: workers that are started now serve
        them too.

    Yields
    ------
    rows : slice
        Of `X`, in order.
    outputs : ndarray of shape (n_rows, n_coalitions, n_outputs)
    """
    job = Job(
        model,
        np.asarray(coalitions, dtype=bool),
        references,
        players,
        pairing,
        np.full(len(references), 1 / len(references)) if weights is None else weights,
        rows_in_batch(model, X.shape[1:], batch_size, X.dtype.itemsize),
        row_numbers,
    )
    n_jobs = workers_for(model.estimator, n_jobs)
    n_workers = effective_n_jobs(n_jobs)
    per_entry = 1 if pairing is not None else len(references)
    n_evals = len(X) * len(coalitions) * per_entry
    threads = prefers_threads(model.estimator)
    everything = slice(0, len(X))
    begun: list[np.ndarray] = []
    tried = False
    few = len(coalitions) < TRIED_SHARE or n_evals > MOST_TRIED_EVALS
    if n_workers > 1 and not few and len(X):
        begun, worth = tried_part(
            lambda part: _run_part(job, X, part, everything),
            len(coalitions),
            len(X) * per_entry,
            model,
            n_workers,
            evals_ahead,
        )
        tried = True
        if not worth:
            n_workers = n_jobs = 1
    first = sum(outputs.shape[1] for outputs in begun)
    if first and on_progress is not None:
        on_progress(len(X) * first * per_entry)
    n_tasks = n_tasks_for(n_evals, n_workers)
    per_chunk = _rows_per_chunk(len(X), len(coalitions), n_workers, n_tasks)
    per_chunk = min(per_chunk, rows_per_chunk or per_chunk)
    chunks = [slice(i, min(i + per_chunk, len(X))) for i in range(0, len(X), per_chunk)]
    n_parts = -(-n_tasks // max(1, len(chunks)))
    parts = [
        slice(part.start + first, part.stop + first)
        for part in _coalition_parts(len(coalitions) - first, n_parts)
    ]
    results = run_tasks(
        _run_part,
        job,
        ((X[rows], part, rows) for rows in chunks for part in parts),
        n_jobs=n_jobs,
        threads=threads,
        tried=tried,
    )
    stays = tried and n_workers == 1
    seconds = 0.0
    for rows in chunks:
        done = [outputs[rows] for outputs in begun]
        for part in parts:
            began = perf_counter()
            done.append(next(results))
            seconds += perf_counter() - began
            if on_progress is not None:
                on_progress((rows.stop - rows.start) * (part.stop - part.start) * per_entry)
        if stays and rows.stop == len(X):
            learn(model, seconds / max(1, n_evals - len(X) * first * per_entry))
        yield rows, done[0] if len(done) == 1 else np.concatenate(done, axis=1)


def _run_part(job: Job, X: np.ndarray, part: slice, rows: slice) -> np.ndarray:
    """Return the outputs of the rows `X` (which are `rows` of the whole) under a part."""
    coalitions = job.coalitions[part]
    pairing = None if job.pairing is None else job.pairing[part]
    if pairing is not None and pairing.ndim == 2:
        pairing = pairing[:, rows]

    def name(row: int, mask: int) -> str:
        return job.name_of(rows, row, coalitions[mask])

    if job.model.is_torch:
        # Here, because it imports torch.
        from .device_batches import run_on_device as run
    else:
        run = run_on_arrays
    outputs = run(job, X, coalitions, pairing, name)
    job.refuse_non_finite(outputs, name)
    return outputs


def rows_in_batch(
    model: Model, row_shape: tuple[int, ...], batch_size: int | str, itemsize: int = 8
) -> int:
    """Return how many masked rows to run at a time, never more than `working_memory` holds."""
    if batch_size != "auto":
        wanted = int(batch_size)
    elif model.module is not None:
        from ..inference import module_device, rows_per_batch

        wanted = rows_per_batch(model.module, row_shape, module_device(model.module))
    else:
        wanted = LARGEST_BATCH
    # Which cells are kept, what replaces the others, the masked rows, and a model's copy of them.
    bytes_per_row = int(np.prod(row_shape)) * 4 * itemsize
    return max(1, min(wanted, working_bytes() // bytes_per_row))


def replaced(
    X: np.ndarray, order: np.ndarray, cells: np.ndarray, out: np.ndarray | None = None
) -> np.ndarray:
    """Return `X` with the marked cells of row i taken from row ``order[i]``.

    Parameters
    ----------
    X : ndarray of shape (n_samples, *sample_shape)
    order : ndarray of int, shape (n_samples,)
    cells : ndarray of bool, shape sample_shape
    out : ndarray, optional
        A copy of `X` to write to: only the marked cells are touched.
    """
    masked = X.copy() if out is None else out
    masked[:, cells] = X[order][:, cells]
    return masked


def working_bytes() -> int:
    """Return scikit-learn's `working_memory`, in bytes."""
    return int(get_config()["working_memory"] * 2**20)


def n_tasks_for(n_evals: int, n_workers: int) -> int:
    """Return into how many tasks some evaluations are divided, none of them too small."""
    if n_workers == 1:
        return 1
    return min(max(1, n_evals // _LEAST_EVALS), n_workers * _TASKS_PER_WORKER)


def _rows_per_chunk(n_samples: int, n_coalitions: int, n_workers: int, n_tasks: int) -> int:
    """Return how many rows' outputs are held at once, a share of `working_memory` a worker."""
    fits = max(1, working_bytes() // (n_workers * 8 * max(1, n_coalitions)))
    return max(1, min(fits, -(-n_samples // n_tasks), n_samples))


def _coalition_parts(n_coalitions: int, wanted: int) -> list[slice]:
    """Divide the coalitions when there are too few rows to keep the workers busy."""
    edges = np.linspace(0, n_coalitions, min(wanted, max(1, n_coalitions)) + 1).astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]
