"""Masked batches: coalitions × references of many rows, built and run a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .failures import blame
from .models import Model, ModelError, NonFiniteOutputError
from .players import Players
from .workers import check_not_cancelled

# What a masked row is called, by the positions of its row and of its coalition.
Namer = Callable[[int, int], str]


def equal_slices(length: int, most: int) -> list[slice]:
    """Divide a range into equal slices of at most `most`, so that none is a small remainder."""
    n_tiles = -(-length // max(1, most))
    edges = np.linspace(0, length, n_tiles + 1).round().astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]


@dataclass(frozen=True)
class Job:
    """What stays the same over all tasks of one evaluation."""

    model: Model
    coalitions: np.ndarray
    references: np.ndarray
    players: Players
    pairing: np.ndarray | None
    weights: np.ndarray
    batch_rows: int
    row_numbers: np.ndarray | None = None

    def cell_labels(self) -> Any:
        """Return the player of each cell; None where every cell is its own, in order."""
        labels = self.players.labels
        return None if np.array_equal(labels, np.arange(self.players.n_players)) else labels

    def layout(self, n_rows: int, n_masks: int, pairing: np.ndarray | None) -> Iterator[Tile]:
        """Cut rows × coalitions × references into batches, references innermost.

        The rows take turns first: what a batch needs of coalitions and references stays the same.
        """
        n_references = len(self.references) if pairing is None else 1
        reference_tiles = equal_slices(n_references, self.batch_rows)
        left = self.batch_rows // -(-n_references // len(reference_tiles))
        mask_tiles = equal_slices(n_masks, left)
        left = left // -(-n_masks // len(mask_tiles)) if mask_tiles else 1
        for masks in mask_tiles:
            for references in reference_tiles:
                for rows in equal_slices(n_rows, left):
                    yield Tile(rows, masks, references)

    def name_of(self, rows: slice, row: int, present: np.ndarray) -> str:
        """Return what a masked row is called: `row` of the slice `rows`, under a coalition."""
        absent = [name for name, here in zip(self.players.names, present, strict=True) if not here]
        number = rows.start + row if self.row_numbers is None else self.row_numbers[rows][row]
        return f"row {number} with players {absent} replaced by background values"

    def refuse_non_finite(self, outputs: np.ndarray, name: Namer) -> None:
        """Refuse NaN and infinite outputs, naming the first masked row that has one."""
        if np.all(np.isfinite(outputs)):
            return
        row, mask, _ = np.argwhere(~np.isfinite(outputs))[0]
        value = outputs[row, mask][~np.isfinite(outputs[row, mask])][0]
        raise NonFiniteOutputError(
            f"the model returned {value} for {name(row, mask)}; explanations need finite outputs"
            + (" (the log-odds of 0 and 1 are infinite)" if self.model.link == "logit" else "")
        )


@dataclass(frozen=True)
class Tile:
    """One batch: which rows, coalitions and references it combines."""

    rows: slice
    masks: slice
    references: slice

    def shape(self) -> tuple[int, int, int]:
        """Return how many rows, coalitions and references."""
        return tuple(s.stop - s.start for s in (self.rows, self.masks, self.references))

    def name(self, position: int, name: Namer) -> str:
        """Return what the masked row at a position of the batch is called."""
        row, mask, _ = np.unravel_index(position, self.shape())
        return name(self.rows.start + int(row), self.masks.start + int(mask))


def masked_batches(
    job: Job, rows: Any, coalitions: Any, references: Any, pairing: Any, to_cells: Callable
) -> Iterator[tuple[Tile, Any]]:
    """Build the masked batches, bits of shape (rows, masks, references, n_cells).

    A masked row is the row's bits where they are kept, joined with the reference's elsewhere. This
    is exact for any value, NaN and negative zero included, and runs at the speed of memory: a
    `where` branches at every cell, which with random coalitions takes longer than a small net.

    Works on numpy arrays and torch tensors alike.

    Parameters
    ----------
    job : Job
    rows, references : of signed integers, shape (n_samples or n_references, n_cells)
        The bits of the cells.
    coalitions : of bool, shape (n_masks, n_players)
    pairing : of int, shape (n_masks,) or (n_masks, n_samples), or None
    to_cells : callable
        Maps coalitions to the cells that they keep, in integers of the type of `rows`.
    """
    at: tuple[slice, slice] | None = None
    for tile in job.layout(len(rows), len(coalitions), pairing):
        if at != (tile.masks, tile.references):
            at = (tile.masks, tile.references)
            # Minus one has all bits set.
            kept = -to_cells(coalitions[tile.masks])
            if pairing is None:
                absent = references[tile.references] & ~kept[:, None]
            elif pairing.ndim == 1:
                absent = (references[pairing[tile.masks]] & ~kept)[:, None]
        if pairing is not None and pairing.ndim == 2:
            absent = (references[pairing[tile.masks, tile.rows].T] & ~kept)[:, :, None]
        batch = (rows[tile.rows, None] & kept)[:, :, None]
        if batch.shape[-2] == absent.shape[-2]:
            batch |= absent
        else:
            batch = batch | absent
        yield tile, batch


def run_batch(run: Callable[[Any], Any], batch: Any, tile: Tile, name: Namer) -> Any:
    """Run a batch; where the model raises, say for which masked row."""
    check_not_cancelled()
    try:
        return run(batch)
    except ModelError as error:
        raise blame(error, run, batch, lambda i: tile.name(i, name)) from error.__cause__
