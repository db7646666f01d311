"""DeepLIFT and DeepSHAP for any torch module, complete to rounding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from ..inference import evaluating, rows_per_batch
from .deeplift_recorder import record
from .deeplift_table import HANDLERS
from .deeplift_tape import Tape, UnsupportedOperationError, propagate

Head = Callable[[torch.Tensor], torch.Tensor]

# A tile of pairs whose widest tensor has this size is large enough to hide the cost of the calls
# and small enough for the processor's cache.
_TILE_BYTES = {"cpu": 2**23, "cuda": 2**28}


@dataclass(frozen=True)
class DeepLiftResult:
    """Contributions of cells to outputs, with a measure of how exact they are.

    Attributes
    ----------
    values : tensor of shape (n_samples, *sample_shape, n_outputs)
        The contribution of each cell to the distance between the output for the row and the
        mean output for the references.
    outputs : tensor of shape (n_samples, n_outputs)
    reference_outputs : tensor of shape (n_references, n_outputs)
    gaps : tensor of shape (n_samples, n_outputs)
        The largest distance, over the references, of the sum of contributions from the
        difference of the outputs. Rounding only, unless `uncovered` names an operation.
    distances : tensor of shape (n_samples, n_outputs)
        The largest difference of the outputs, over the references: what a gap is to be seen
        against.
    uncovered : tuple of str
        The operations that got their plain gradient, and where they were called.
    """

    values: torch.Tensor
    outputs: torch.Tensor
    reference_outputs: torch.Tensor
    gaps: torch.Tensor
    distances: torch.Tensor
    uncovered: tuple[str, ...]

    @property
    def relative_gap(self) -> float:
        """The largest gap, relative to the largest difference of that output over all pairs."""
        if self.gaps.numel() == 0:
            return 0.0
        gaps, distances = self.gaps.amax(0), self.distances.amax(0)
        return float(torch.where(gaps == 0, 0.0, gaps / distances).max())


@dataclass(frozen=True)
class PairBlock:
    """Contributions of players for some rows against some references.

    Attributes
    ----------
    rows, references : slice
    values : tensor of shape (n_rows, n_references, n_players, n_outputs)
    gaps : tensor of shape (n_rows, n_references, n_outputs)
        The distance of the sum of contributions from the difference of the outputs.
    uncovered : tuple of str
        See :class:`DeepLiftResult`.
    """

    rows: slice
    references: slice
    values: torch.Tensor
    gaps: torch.Tensor
    uncovered: tuple[str, ...]


def deeplift(
    module: nn.Module,
    X: torch.Tensor,
    references: torch.Tensor,
    *,
    head: Head | None = None,
    weights: torch.Tensor | None = None,
    outputs: list[int] | None = None,
    unsupported: str = "error",
    max_bytes: int = 2**28,
) -> DeepLiftResult:
    """Return the DeepLIFT contributions of every cell, averaged over the references.

    The average over references approximates SHAP values (DeepSHAP), and adds up to the distance
    of the output from the mean output of the references whatever the module.

    Parameters
    ----------
    module : nn.Module
        Maps a tensor (n, *sample_shape) to a tensor (n, n_outputs) or (n,). It runs in
        evaluation mode, and is left as it was.
    X : tensor of shape (n_samples, *sample_shape)
        The explained rows, of the module's type and on its device.
    references : tensor of shape (n_references, *sample_shape)
        What stands in for absent cells.
    head : callable, optional
        A function in torch operations that is applied to the module's output, such as a softmax.
    weights : tensor of shape (n_references,), optional
        Of the average, summing to 1; equal by default.
    outputs : list of int, optional
        The outputs to explain; all by default.
    unsupported : {"error", "gradient"}, default="error"
        What to do with an operation that no rule covers: refuse, or take its gradient at the
        explained row. The gradient is not complete; `gaps` measure by how much.
    max_bytes : int, default=2**28
        The size of the working memory.

    Returns
    -------
    DeepLiftResult

    Raises
    ------
    UnsupportedOperationError
        If the module runs an operation on its input that no rule covers, or one that cannot be
        seen, or if it lets the rows of a batch affect each other.
    ValueError
        If shapes do not fit, or if an output of the module is not finite.

    Notes
    -----
    The rules are those of Shrikumar, Greenside and Kundaje (2017), in the pairwise form of
    Lundberg and Lee (2017), extended to products of activations by the Shapley value of two
    players. Feed-forward and convolutional nets of registered layers get the values of shap, max
    pooling included (:class:`~sklexplain.solvers.deeplift_rules.Maximum`), and without pooling
    those of captum. Where these are not complete, as for softmax, normalisation over features,
    products of activations and recurrent layers, the values differ.

    Each row and each reference is run once; only multipliers are computed for pairs. In single
    precision the gaps are of the size of the rounding of the module's own outputs.

    Examples
    --------
    >>> import torch
    >>> from sklexplain.solvers.deeplift import deeplift
    >>> layer = torch.nn.Linear(2, 1)
    >>> _ = torch.nn.init.constant_(layer.weight, 3.0)
    >>> net = torch.nn.Sequential(layer, torch.nn.ReLU())
    >>> result = deeplift(net, torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2))
    >>> bool(torch.isclose(result.values.sum(), result.outputs[0] - result.reference_outputs[0]))
    True
    """
    work = _Work(module, X, references, head, outputs, unsupported, max_bytes)
    n_references = len(references)
    if weights is None:
        weights = X.new_full((n_references,), 1 / n_references)
    if weights.shape != (n_references,):
        raise ValueError(
            f"weights has shape {tuple(weights.shape)}; one for each of the {n_references} "
            "references is needed"
        )
    weights = weights.to(X)
    values = X.new_zeros(len(X), work.n_outputs, *X.shape[1:])
    gaps = X.new_zeros(len(X), work.n_outputs)
    for rows, columns, contributions in work.tiles():
        gap = work.gaps(rows, columns, contributions).amax(1)
        gaps[rows] = torch.maximum(gaps[rows], gap)
        values[rows] += torch.einsum("nb...,b->n...", contributions, weights[columns])
    distances = (work.outputs[:, None] - work.reference_outputs[None]).abs().amax(1)
    return DeepLiftResult(
        values.movedim(1, -1),
        work.outputs,
        work.reference_outputs,
        gaps,
        distances,
        work.uncovered,
    )


def deeplift_pairs(
    module: nn.Module,
    X: torch.Tensor,
    references: torch.Tensor,
    labels: np.ndarray | torch.Tensor,
    *,
    head: Head | None = None,
    outputs: list[int] | None = None,
    unsupported: str = "error",
    max_bytes: int = 2**28,
) -> Iterator[PairBlock]:
    """Yield the contributions of players for every pair of a row with a reference.

    Parameters
    ----------
    labels : array of int, shape (n_cells,)
        The player that each cell of a sample, flattened, belongs to.
    module, X, references, head, outputs, unsupported, max_bytes
        See :func:`deeplift`.

    Yields
    ------
    PairBlock
        Blocks that fit in `max_bytes` and together cover all pairs, each once.

    Raises
    ------
    UnsupportedOperationError, ValueError
        See :func:`deeplift`.
    """
    work = _Work(module, X, references, head, outputs, unsupported, max_bytes)
    players = torch.as_tensor(labels, device=X.device).flatten().long()
    if players.numel() != X[0].numel():
        raise ValueError(f"labels names {players.numel()} cells; a sample has {X[0].numel()}")
    members = torch.nn.functional.one_hot(players).to(X.dtype)
    for rows, columns, contributions in work.tiles():
        gaps = work.gaps(rows, columns, contributions)
        values = (contributions.flatten(3) @ members).transpose(2, 3)
        yield PairBlock(rows, columns, values, gaps, work.uncovered)


class _Work:
    """One explanation: what was asked for, the module's outputs, and the tiles of pairs."""

    def __init__(
        self,
        module: nn.Module,
        X: torch.Tensor,
        references: torch.Tensor,
        head: Head | None,
        outputs: list[int] | None,
        unsupported: str,
        max_bytes: int,
    ) -> None:
        _check(X, references, unsupported)
        # Tensors born in inference mode cannot take part in autograd, which some rules use.
        self.X, self.references = (t.clone() if t.is_inference() else t for t in (X, references))
        # A compiled module would run code that was recorded before.
        self.module, self.head = getattr(module, "_orig_mod", module), head
        self.unsupported, self.max_bytes = unsupported, max_bytes
        self.all_reference_outputs = self._plain(references)
        self.all_outputs = self._plain(X) if len(X) else self.all_reference_outputs[:0]
        n_outputs = self.all_outputs.shape[1]
        self.selected = list(range(n_outputs)) if outputs is None else list(outputs)
        if not all(-n_outputs <= k < n_outputs for k in self.selected):
            raise ValueError(f"outputs={outputs!r} must be between 0 and {n_outputs - 1}")
        self.n_outputs = len(self.selected)
        self.outputs = self.all_outputs[:, self.selected]
        self.reference_outputs = self.all_reference_outputs[:, self.selected]
        self.uncovered: tuple[str, ...] = ()

    def tiles(self) -> Iterator[tuple[slice, slice, torch.Tensor]]:
        """Yield rows, references and contributions (n, b, n_outputs, *sample_shape)."""
        if len(self.X) == 0:
            return
        first = slice(0, 1)
        probe = self._record(self.X, first, self.all_outputs)
        self.uncovered = tuple(probe.uncovered)
        # Half of the memory holds states of rows, half multipliers of pairs.
        n_both = max(2, self.max_bytes // 2 // max(1, 2 * probe.bytes_per_row()))
        n_columns = min(len(self.references), max(n_both // 2, n_both - len(self.X)))
        n_rows = min(len(self.X), n_both - n_columns)
        n_pairs = self._pairs_per_tile(probe)
        for columns in _slices(len(self.references), n_columns):
            tape_r = self._record(self.references, columns, self.all_reference_outputs)
            for rows in _slices(len(self.X), n_rows):
                alone = rows == first
                tape_x = probe if alone else self._record(self.X, rows, self.all_outputs)
                for i, j in _tile(rows.stop - rows.start, columns.stop - columns.start, n_pairs):
                    part = slice(rows.start + i.start, rows.start + i.stop)
                    against = slice(columns.start + j.start, columns.start + j.stop)
                    yield part, against, self._contributions(tape_x, tape_r, i, j, part, against)

    def gaps(self, rows: slice, columns: slice, contributions: torch.Tensor) -> torch.Tensor:
        """Return how far the contributions of each pair are from complete."""
        difference = self.outputs[rows, None] - self.reference_outputs[None, columns]
        return (contributions.flatten(3).sum(-1) - difference).abs()

    def _function(self, rows: torch.Tensor) -> torch.Tensor:
        output = self.module(rows)
        output = output if self.head is None else self.head(output)
        if not isinstance(output, torch.Tensor):
            raise TypeError(
                f"{type(self.module).__name__} returned {type(output).__name__}; DeepLIFT needs a "
                "module that returns one tensor (n_rows, n_outputs), or a head that makes it one"
            )
        return output

    def _plain(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the outputs that the module gives without being watched."""
        batch_size = rows_per_batch(self.module, tuple(rows.shape[1:]), rows.device)
        with evaluating(self.module):
            batches = [self._function(batch) for batch in rows.split(batch_size)]
        # Outside inference mode, so that callers may do with them what they like.
        outputs = torch.cat([b.reshape(len(b), -1) for b in batches]).clone()
        finite = torch.isfinite(outputs).all(1)
        if not finite.all():
            row = int((~finite).nonzero()[0])
            raise ValueError(f"the module's output for row {row} is not finite: {outputs[row]}")
        return outputs

    def _record(self, rows: torch.Tensor, part: slice, plain: torch.Tensor) -> Tape:
        # Rules need tensors that autograd may use; the module must not see gradients all the same.
        with evaluating(self.module), torch.inference_mode(False), torch.no_grad():
            tape = record(self._function, rows[part], HANDLERS, self.unsupported, self.module)
        plain = plain[part]
        tolerance = torch.finfo(plain.dtype).eps ** 0.4 * (1 + plain.abs().max())
        # Not a number compares as false, so it is refused too.
        if tape.outputs.shape != plain.shape or not (
            (tape.outputs - plain).abs().max() <= tolerance
        ):
            raise UnsupportedOperationError(
                f"{type(self.module).__name__} gives other outputs when its rows are run one by "
                "one: it lets the rows of a batch affect each other, or it runs code that torch "
                "functions do not show (TorchScript, extensions). KernelSHAP explains any model."
            )
        return tape

    def _contributions(
        self, tape_x: Tape, tape_r: Tape, i: slice, j: slice, rows: slice, columns: slice
    ) -> torch.Tensor:
        distance = (self.X[rows, None] - self.references[None, columns])[:, :, None]
        shape = (*distance.shape[:2], self.n_outputs, *distance.shape[3:])
        if tape_x.output is None:
            return distance.new_zeros(shape)
        output_shape = tape_x.shapes[tape_x.output]
        start = torch.eye(output_shape.numel(), dtype=self.X.dtype, device=self.X.device)
        start = start[self.selected].reshape(1, 1, self.n_outputs, *output_shape)
        with torch.inference_mode(False), torch.no_grad():
            multipliers = propagate(tape_x, tape_r, i, j, start)
        if multipliers is None:
            return distance.new_zeros(shape)
        return multipliers.squeeze(3) * distance

    def _pairs_per_tile(self, tape: Tape) -> int:
        """Return how many pairs fit in the memory and in the cache."""
        peak, widest = tape.bytes_per_pair(self.n_outputs, self.X.element_size())
        kind = "cpu" if self.X.device.type == "cpu" else "cuda"
        by_memory = self.max_bytes // 2 // max(1, peak)
        by_cache = _TILE_BYTES[kind] // max(1, widest)
        return max(1, min(by_memory, max(16, by_cache)))


def _slices(length: int, most: int) -> list[slice]:
    """Divide a range into equal parts of at most `most`."""
    edges = np.linspace(0, length, -(-length // most) + 1).round().astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]


def _tile(n_rows: int, n_columns: int, n_pairs: int) -> Iterator[tuple[slice, slice]]:
    columns = _slices(n_columns, min(n_columns, n_pairs))
    widest = max(part.stop - part.start for part in columns)
    for i in _slices(n_rows, max(1, n_pairs // widest)):
        for j in columns:
            yield i, j


def _check(X: torch.Tensor, references: torch.Tensor, unsupported: str) -> None:
    if unsupported not in ("error", "gradient"):
        raise ValueError(f'unsupported={unsupported!r} must be "error" or "gradient"')
    if len(references) == 0:
        raise ValueError("references is empty; at least one row must stand in for absent cells")
    if references.shape[1:] != X.shape[1:]:
        raise ValueError(
            f"references have shape {tuple(references.shape[1:])} and rows {tuple(X.shape[1:])}; "
            "they must be alike"
        )
    if not X.is_floating_point():
        raise ValueError(f"X is of type {X.dtype}; contributions need floating-point numbers")
