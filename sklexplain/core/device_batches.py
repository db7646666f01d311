"""Masked batches on a torch module's own device, from stored states where its layers allow it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from sklearn import get_config

from ..inference import BatchLimit, as_tensor, evaluating, module_device, module_dtype
from .mask_groups import MaskGroup, mask_groups
from .masked_batches import Job, Namer, Tile, equal_slices, masked_batches, run_batch
from .models import Model
from .prefix import (
    PrefixRunner,
    Start,
    StoredStates,
    Structure,
    may_start_half_way,
)

_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
# Storing the states of a row costs about two passes over it.
_LEAST_MASKS = 8
_structures: WeakKeyDictionary[Model, Structure] = WeakKeyDictionary()


def run_on_device(
    job: Job, X: np.ndarray, coalitions: np.ndarray, pairing: np.ndarray | None, name: Namer
) -> np.ndarray:
    """Build the batches on the module's device; data crosses over once a chunk, not a batch.

    Parameters
    ----------
    job : Job
    X : ndarray of shape (n_rows, *row_shape)
    coalitions : ndarray of bool, shape (n_masks, n_players)
    pairing : ndarray of int, shape (n_masks,) or (n_masks, n_rows), or None
    name : callable
        What a masked row is called in errors.

    Returns
    -------
    ndarray of shape (n_rows, n_masks, n_outputs), float64
    """
    with evaluating(job.model.module):  # type: ignore[arg-type]
        return _DeviceRun(job, X, coalitions, pairing, name).outputs()


class _DeviceRun:
    """Some rows under some coalitions, as tensors on the device."""

    def __init__(
        self,
        job: Job,
        X: np.ndarray,
        coalitions: np.ndarray,
        pairing: np.ndarray | None,
        name: Namer,
    ) -> None:
        module = job.model.module
        assert module is not None
        self.job, self.coalitions, self.pairing, self.name = job, coalitions, pairing, name
        self.device, self.dtype = module_device(module), module_dtype(module)
        self.row_shape = X.shape[1:]
        self.rows = self._cells(X)
        self.references = self._cells(job.references)
        self.weights = torch.as_tensor(job.weights).to(self.device)
        labels = job.cell_labels()
        self.labels = None if labels is None else torch.tensor(labels, device=self.device)
        self.limit = BatchLimit()

    def _cells(self, array: np.ndarray) -> torch.Tensor:
        return as_tensor(array).to(self.device, self.dtype).flatten(1)

    def _as_rows(self, cells: torch.Tensor) -> torch.Tensor:
        return cells.reshape(-1, *self.row_shape)

    def outputs(self) -> np.ndarray:
        n_rows, n_masks = len(self.rows), len(self.coalitions)
        if n_rows == 0 or n_masks == 0:
            return np.zeros((n_rows, n_masks, 1))
        whole = [MaskGroup(np.arange(n_masks), 0, True)]
        runner, groups = self._prefixes()
        outputs: Any = None
        for block in self._row_blocks(runner, groups):
            states = {} if runner is None else self._states(runner, groups, block)
            for group in groups or whole:
                found = self._group_outputs(block, group, runner, states.get(group.own))
                if outputs is None:
                    outputs = torch.empty(
                        (n_rows, n_masks, found.shape[2]), dtype=torch.float64, device=self.device
                    )
                where = torch.as_tensor(group.masks, device=self.device)
                outputs[block, where] = found
        return outputs.cpu().numpy()

    def _prefixes(self) -> tuple[PrefixRunner | None, list[MaskGroup]]:
        """Return how coalitions share the steps before they depart, or None and no groups."""
        module = self.job.model.module
        assert module is not None
        if len(self.coalitions) < _LEAST_MASKS or not may_start_half_way(module):
            return None, []
        if len(self.row_shape) == 2 and not self._groups(self.row_shape[0]):
            return None, []
        runner = self._runner(module)
        if runner is None:
            return None, []
        groups = self._groups(runner.n_timesteps)
        return (runner, groups) if groups else (None, [])

    def _runner(self, module: Any) -> PrefixRunner | None:
        """Return what starts the module half way, where it can be, tried once if so."""
        model = self.job.model
        if model not in _structures:
            rows, references = self._as_rows(self.rows), self._as_rows(self.references)
            runner = PrefixRunner.of(module, rows, references)
            if runner is not None:
                _structures[model] = runner.structure
            return runner
        return PrefixRunner.again(module, _structures[model])

    def _groups(self, n_timesteps: int) -> list[MaskGroup]:
        # A quarter of the best batch size runs nearly as fast.
        per_batch = self.job.batch_rows // 4
        per_batch //= 1 if self.pairing is not None else len(self.references)
        least_masks = max(1, per_batch // len(self.rows))
        labels = self.job.players.labels.ravel()
        return mask_groups(self.coalitions, labels, n_timesteps, least_masks)

    def _row_blocks(self, runner: PrefixRunner | None, groups: list[MaskGroup]) -> list[slice]:
        """Divide the rows so that their states fit into a part of `working_memory`."""
        if runner is None:
            return [slice(0, len(self.rows))]
        n_leads = len({group.lead for group in groups if group.own})
        per_row = runner.bytes_per_row(n_leads)
        most = int(get_config()["working_memory"] * 2**20 / 4 / per_row)
        return equal_slices(len(self.rows), max(1, most))

    def _states(
        self, runner: PrefixRunner, groups: list[MaskGroup], block: slice
    ) -> dict[bool, StoredStates]:
        found = {}
        for own, cells in ((True, self.rows[block]), (False, self.references)):
            leads = [group.lead for group in groups if group.own == own]
            if any(leads):
                found[own] = runner.states_of(self._as_rows(cells), leads)
        return found

    def _group_outputs(
        self,
        block: slice,
        group: MaskGroup,
        runner: PrefixRunner | None,
        states: StoredStates | None,
    ) -> torch.Tensor:
        """Return the outputs of a block of rows under one group, (n_rows, n_masks, n_outputs)."""
        job, rows, bits = self.job, self.rows[block], _BITS[self.dtype.itemsize]
        coalitions = torch.as_tensor(self.coalitions[group.masks], device=self.device)
        pairing = None
        if self.pairing is not None:
            paired = self.pairing[group.masks]
            pairing = torch.as_tensor(paired[:, block] if paired.ndim == 2 else paired)
            pairing = pairing.to(self.device)

        def to_cells(masks: torch.Tensor) -> torch.Tensor:
            return (masks if self.labels is None else masks[:, self.labels]).to(bits)

        def named(row: int, mask: int) -> str:
            return self.name(block.start + row, int(group.masks[mask]))

        started = runner is not None and states is not None and group.lead > 0
        outputs: Any = None
        with runner.hooked() if runner is not None and started else nullcontext():
            for tile, batch in masked_batches(
                job, rows.view(bits), coalitions, self.references.view(bits), pairing, to_cells
            ):
                n_rows, n_masks, n_references = tile.shape()
                masked = self._as_rows(batch.view(self.dtype))
                if started:
                    origins = _origins(tile, group.own, pairing, self.device)
                    assert runner is not None
                    run_replica = partial(job.model.run_tensor, module=runner.module)
                    run = _from_states(run_replica, masked, runner, group, states, origins)
                    batch = torch.arange(len(masked), device=self.device)
                else:
                    run, batch = job.model.run_tensor, masked
                flat = run_batch(_limited(self.limit, run), batch, tile, named)
                if outputs is None:
                    outputs = torch.zeros(
                        (len(rows), len(coalitions), flat.shape[1]),
                        dtype=torch.float64,
                        device=self.device,
                    )
                found = flat.reshape(n_rows, n_masks, n_references, -1)
                if pairing is None:
                    outputs[tile.rows, tile.masks] += torch.einsum(
                        "nmro,r->nmo", found, self.weights[tile.references]
                    )
                else:
                    outputs[tile.rows, tile.masks] = found[:, :, 0]
        return outputs


def _limited(
    limit: BatchLimit, run: Callable[[torch.Tensor], torch.Tensor]
) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda batch: limit.run(run, batch)


def _from_states(
    run: Callable[[torch.Tensor], torch.Tensor],
    masked: torch.Tensor,
    runner: Any,
    group: MaskGroup,
    states: Any,
    origins: torch.Tensor,
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a function of positions in the batch, so that parts of it find their own states."""

    def run_part(positions: torch.Tensor) -> torch.Tensor:
        whole = len(positions) == len(masked)
        runner.start = Start(group.lead, states, origins if whole else origins[positions])
        try:
            return run(masked if whole else masked[positions])
        finally:
            runner.start = None

    return run_part


def _origins(tile: Tile, own: bool, pairing: Any, device: torch.device) -> torch.Tensor:
    """Return for each masked row of a batch whose state it continues: a row's or a reference's."""
    shape = tile.shape()
    if own:
        of_rows = torch.arange(tile.rows.start, tile.rows.stop, device=device)
        return of_rows[:, None, None].expand(shape).reshape(-1)
    if pairing is None:
        met = torch.arange(tile.references.start, tile.references.stop, device=device)[None, None]
    elif pairing.ndim == 1:
        met = pairing[tile.masks][None, :, None]
    else:
        met = pairing[tile.masks, tile.rows].T[:, :, None]
    return met.expand(shape).reshape(-1)
