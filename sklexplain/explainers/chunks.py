"""Rows in chunks: kept when they are finished, and without the rows at which a model fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from ..core.checkpoints import Checkpoints, warn_unreadable
from ..core.explanation import Explanation
from ..core.explanation_files import packed, unpacked
from ..core.fingerprints import fingerprint
from ..core.models import ModelError

# A second or two of most models' work, which is what a killed process loses; enough for a batch.
EVALS_PER_CHUNK = 100_000
_MOST_ROWS = 10_000
# Chunks a worker that are explained together, since small ones are not worth dividing; and for how
# many seconds, which is what a killed process loses then.
_CHUNKS_PER_WORKER = 4
_SECONDS_TOGETHER = 2.0
_FAILED, _CAUSES = "failed_rows", "causes"
# Names of more rows than this would hide what the warning says.
_MOST_NAMED = 10


def rows_per_chunk(evals_per_row: float) -> int:
    """Return how many rows make a chunk; it depends on the explainer only."""
    return int(np.clip(EVALS_PER_CHUNK // max(1, evals_per_row), 1, _MOST_ROWS))


def chunks_together(size: int, n_workers: int) -> int:
    """Return how many chunks of a size are explained together, at most."""
    if n_workers == 1:
        return 1
    return max(1, min(_CHUNKS_PER_WORKER * n_workers, _MOST_ROWS // size))


class ChunkedRun:
    """One call to explain that keeps what is finished and may go on where the model fails.

    Parameters
    ----------
    explain : callable
        From rows and what they are called in errors to an Explanation.
    size : int
        Rows of a chunk.
    n_workers : int, default=1
        Among how many `explain` divides its work. Of several, chunks that are quickly done are
        explained together, and kept one by one.
    meaning : object
        What the rows' codes mean: part of what a chunk is recognised by.
    checkpoints : Checkpoints or None
    skips_failures : bool
    working_row : ndarray of shape (1, *sample_shape)
        One at which the model is known to work, to learn what an explanation looks like.

    Attributes
    ----------
    failures : dict from row number to str
        Why the model failed.
    """

    def __init__(
        self,
        explain: Callable[[np.ndarray, np.ndarray], Explanation],
        *,
        size: int,
        n_workers: int = 1,
        meaning: Any = None,
        checkpoints: Checkpoints | None = None,
        skips_failures: bool = False,
        working_row: np.ndarray,
    ) -> None:
        self.explain = explain
        self.size = size
        self.most_together = chunks_together(size, n_workers)
        self.meaning = meaning
        self.checkpoints = checkpoints
        self.skips_failures = skips_failures
        self.working_row = working_row
        self.failures: dict[int, str] = {}

    def run(
        self, rows: np.ndarray, numbers: np.ndarray, on_progress: Callable[[int], Any]
    ) -> Explanation:
        """Return the explanation of all rows.

        Parameters
        ----------
        rows : ndarray of shape (n_samples, *sample_shape)
        numbers : ndarray of int, shape (n_samples,)
            What the rows are called.
        on_progress : callable
            Called with the number of rows of each chunk that is done.
        """
        chunks = list(gen_batches(len(rows), self.size))
        names: dict[int, str] = {}
        done: dict[int, Explanation] = {}
        waiting: list[int] = []
        together = 1
        for i, part in enumerate(chunks):
            if self.checkpoints is not None:
                names[i] = fingerprint((rows[part], self.meaning))
            kept = None if i not in names else self._kept(names[i], rows[part])
            if kept is None:
                waiting.append(i)
            else:
                done[i] = self._as_kept(names[i], kept, numbers[part])
                on_progress(len(done[i]))
            if len(waiting) == together or (waiting and i == len(chunks) - 1):
                began = perf_counter()
                for j, fresh in zip(
                    waiting,
                    self._explained(rows, numbers, [chunks[j] for j in waiting]),
                    strict=True,
                ):
                    done[j] = self._noted(names.get(j), *fresh, numbers[chunks[j]])
                    on_progress(len(done[j]))
                n_done = len(waiting) * _SECONDS_TOGETHER // (perf_counter() - began)
                together = int(np.clip(n_done, 1, self.most_together))
                waiting = []
        parts = [done[i] for i in range(len(chunks))]
        return replace(Explanation.concat(parts), data=rows)

    def _explained(
        self, rows: np.ndarray, numbers: np.ndarray, chunks: list[slice]
    ) -> Iterator[tuple[Explanation, dict[int, str]]]:
        """Yield chunks that were not kept, each with why rows of it failed."""
        if len(chunks) > 1:
            where = np.concatenate([np.arange(chunk.start, chunk.stop) for chunk in chunks])
            try:
                explanation = self.explain(rows[where], numbers[where])
            except (ModelError, ValueError):
                # One by one, so that those before the failure are kept.
                pass
            else:
                yield from ((part, {}) for part in _divided(explanation, chunks))
                return
        for chunk in chunks:
            yield self._computed(rows[chunk], numbers[chunk])

    def _as_kept(
        self, name: str, kept: tuple[Explanation, dict[int, str]], numbers: np.ndarray
    ) -> Explanation:
        if not kept[1]:
            return kept[0]
        return self._noted(name, *self._tried_again(*kept, numbers), numbers)

    def _noted(
        self,
        name: str | None,
        explanation: Explanation,
        failed: dict[int, str],
        numbers: np.ndarray,
    ) -> Explanation:
        """Keep a chunk that is explained, where chunks are kept, and note what failed."""
        if name is not None and self.checkpoints is not None:
            arrays = packed(replace(explanation, data=None))
            if failed:
                arrays[_FAILED], arrays[_CAUSES] = np.array(list(failed)), list(failed.values())
            self.checkpoints.store(name, arrays)
        self.failures |= {int(numbers[row]): cause for row, cause in failed.items()}
        return explanation

    def _kept(self, name: str, rows: np.ndarray) -> tuple[Explanation, dict[int, str]] | None:
        """Return a finished chunk and, by position, why rows of it failed."""
        assert self.checkpoints is not None
        arrays = self.checkpoints.load(name)
        if arrays is None:
            return None
        failed = arrays.pop(_FAILED, np.empty(0, dtype=int))
        causes = arrays.pop(_CAUSES, np.empty(0, dtype=str))
        path = self.checkpoints.path(name)
        try:
            explanation = replace(unpacked(arrays, path, Explanation), data=rows)
        except ValueError as error:
            warn_unreadable(path, error)
            return None
        if "n_evals_run" in explanation.params:
            # Nothing was run for it now.
            explanation = replace(explanation, params={**explanation.params, "n_evals_run": 0})
        return explanation, {int(row): str(why) for row, why in zip(failed, causes, strict=True)}

    def _tried_again(
        self, explanation: Explanation, failed: dict[int, str], numbers: np.ndarray
    ) -> tuple[Explanation, dict[int, str]]:
        """Explain the rows at which the model failed, which it may have done by accident."""
        positions = np.array(list(failed))
        assert explanation.data is not None
        again, failing = self._computed(explanation.data[positions], numbers[positions])
        others = np.setdiff1d(np.arange(len(explanation)), positions)
        merged = _in_order([(others, explanation[others]), (positions, again)])
        return merged, {int(positions[row]): cause for row, cause in failing.items()}

    def _computed(
        self, rows: np.ndarray, numbers: np.ndarray
    ) -> tuple[Explanation, dict[int, str]]:
        if not self.skips_failures:
            return self.explain(rows, numbers), {}
        pieces, failed = self._pieces(rows, numbers, np.arange(len(rows)))
        if not failed:
            return _in_order(pieces), {}
        works = np.setdiff1d(np.arange(len(rows)), list(failed))
        if len(works):
            # Together, so that they get the numbers that they get without the others; unless it is
            # together that they fail.
            with suppress(ModelError):
                pieces = [(works, self.explain(rows[works], numbers[works]))]
            pattern = pieces[0][1]
        else:
            pattern = self.explain(self.working_row, np.zeros(1, dtype=int))
        positions = np.array(sorted(failed))
        pieces.append((positions, _marked(pattern, rows[positions])))
        return _in_order(pieces), failed

    def _pieces(
        self, rows: np.ndarray, numbers: np.ndarray, positions: np.ndarray
    ) -> tuple[list[tuple[np.ndarray, Explanation]], dict[int, str]]:
        """Explain rows, in ever smaller pieces where the model fails, down to single rows."""
        try:
            return [(positions, self.explain(rows[positions], numbers[positions]))], {}
        except ModelError as error:
            if len(positions) == 1:
                return [], {int(positions[0]): str(error)}
        pieces: list[tuple[np.ndarray, Explanation]] = []
        failed: dict[int, str] = {}
        for half in np.array_split(positions, 2):
            worked, broken = self._pieces(rows, numbers, half)
            pieces += worked
            failed |= broken
        return pieces, failed

    def warning(self) -> str | None:
        """Return what to say of the rows that failed."""
        if not self.failures:
            return None
        numbers = sorted(self.failures)
        named = ", ".join(map(str, numbers[:_MOST_NAMED]))
        more = f" and {len(numbers) - _MOST_NAMED} more" if len(numbers) > _MOST_NAMED else ""
        return (
            f'on_error="nan": the model failed for {len(numbers)} rows, which are NaN '
            f"(row {named}{more}); the first because {self.failures[numbers[0]]}"
        )


def _divided(explanation: Explanation, chunks: list[slice]) -> Iterator[Explanation]:
    """Divide the explanation of some chunks; evaluations are counted once."""
    sizes = [chunk.stop - chunk.start for chunk in chunks]
    edges = np.cumsum([0, *sizes])
    counted = edges * explanation.params.get("n_evals_run", 0) // edges[-1]
    for i in range(len(chunks)):
        part = explanation[edges[i] : edges[i + 1]]
        if "n_evals_run" in part.params:
            n_evals = int(counted[i + 1] - counted[i])
            part = replace(part, params={**part.params, "n_evals_run": n_evals})
        yield part


def _in_order(pieces: list[tuple[np.ndarray, Explanation]]) -> Explanation:
    if len(pieces) == 1:
        return pieces[0][1]
    positions = np.concatenate([where for where, _ in pieces])
    return Explanation.concat(piece for _, piece in pieces)[np.argsort(positions)]


def _marked(pattern: Explanation, rows: np.ndarray) -> Explanation:
    """Return an explanation of rows of which nothing is known, otherwise as another one."""
    spread = pattern[np.zeros(len(rows), dtype=int)]
    conditions = spread.conditions
    params = {name: 0 if name == "n_evals_run" else value for name, value in spread.params.items()}
    return replace(
        spread,
        values=np.full_like(spread.values, np.nan),
        base_values=np.full_like(spread.base_values, np.nan),
        predictions=np.full_like(spread.predictions, np.nan),
        std_errors=None if spread.std_errors is None else np.full_like(spread.values, np.nan),
        data=rows,
        params=params,
        conditions=None if conditions is None else np.full_like(conditions, ""),
        diagnostics={name: _emptied(array) for name, array in spread.diagnostics.items()},
    )


def _emptied(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind == "f":
        return np.full_like(array, np.nan)
    return np.full_like(array, "" if array.dtype.kind == "U" else 0)
