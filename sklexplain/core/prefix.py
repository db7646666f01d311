"""Prefixes: what a perturbation leaves alone at the start, a recurrent layer need not see again.

The state of a unidirectional recurrent layer after t steps depends on these steps only. A masked
row whose first t steps are the explained row's own, or all its reference's, starts from the state
that was stored for that row or reference, and runs the remaining steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

_N_PROBES = 4
_PROBE_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Start:
    """Where the rows of one batch start.

    Parameters
    ----------
    lead : int
    states : StoredStates
    positions : tensor of int, shape (n_rows,)
        Whose state each row of the batch continues.
    """

    lead: int
    states: StoredStates
    positions: torch.Tensor


class StoredStates:
    """The states of recurrent layers after some numbers of steps, for some rows.

    Parameters
    ----------
    states : sequence of mapping from int to state
        For each layer, after so many steps: (n_layers, n_rows, n_units), or a pair of these.
    outputs : sequence of tensor
        For each layer, what it gave at every step that is skipped by someone.
    """

    def __init__(self, states: Sequence[dict[int, Any]], outputs: Sequence[torch.Tensor]) -> None:
        self.states = states
        self.outputs = outputs

    def after(self, layer: int, lead: int, positions: torch.Tensor) -> Any:
        """Return a layer's state after `lead` steps, in the order of the batch."""
        state = self.states[layer][lead]
        if isinstance(state, tuple):
            return tuple(part[:, positions] for part in state)
        return state[:, positions]


class Structure(NamedTuple):
    """What a trial found of a module, so that other copies need none.

    Parameters
    ----------
    layers : tuple of int
        Which of its recurrent layers may start half way.
    n_timesteps : int
    """

    layers: tuple[int, ...]
    n_timesteps: int


class PrefixRunner:
    """Runs a module whose recurrent layers may start from stored states.

    Made by :meth:`of`, which knows whether the module allows it.

    Parameters
    ----------
    module : nn.Module
        A copy that shares its parameters with the original, so that other threads may run that.
    layers : list of nn.RNNBase
    n_timesteps : int
    """

    def __init__(self, module: nn.Module, layers: list[nn.RNNBase], n_timesteps: int) -> None:
        self.module = module
        self.layers = layers
        self.n_timesteps = n_timesteps
        self.start: Start | None = None
        # Whether what the layers gave at the steps that are skipped is left out.
        self.omits_outputs = bool(getattr(module, "reads_last_step", False))

    @property
    def structure(self) -> Structure:
        """What :meth:`again` needs to know."""
        numbers = tuple(_recurrent_layers(self.module).index(layer) for layer in self.layers)
        return Structure(numbers, self.n_timesteps)

    @classmethod
    def again(cls, module: nn.Module, structure: Structure) -> PrefixRunner:
        """Return another runner of a module that was tried before."""
        replica = _replica(module)
        layers = _recurrent_layers(replica)
        return cls(replica, [layers[i] for i in structure.layers], structure.n_timesteps)

    @classmethod
    def of(
        cls, module: nn.Module, rows: torch.Tensor, references: torch.Tensor
    ) -> PrefixRunner | None:
        """Return a runner, or None where the module cannot be started half way.

        It can where a recurrent layer has one direction, is called once, without a state, and
        where its input at a step depends on the row at that step and before. Tried on a few rows:
        the layers' inputs must not change before the step that was changed, and the outputs must
        be those of a whole pass.

        Parameters
        ----------
        module : nn.Module
            In evaluation mode.
        rows, references : tensor of shape (n, *row_shape)
        """
        if not may_start_half_way(module):
            return None
        try:
            module = _replica(module)
        except Exception:
            # Whatever keeps a module from being copied, it can be run as it is.
            return None
        layers = [layer for layer in _recurrent_layers(module) if not layer.bidirectional]
        rows = rows[:_N_PROBES]
        others = references[torch.arange(len(rows), device=rows.device) % len(references)]
        inputs = _layer_inputs(module, layers, rows)
        layers = [layer for layer in layers if layer in inputs]
        lengths = {inputs[layer].shape[_time_axis(layer)] for layer in layers}
        if len(lengths) != 1:
            return None
        n_timesteps = lengths.pop()
        fits = rows.shape[1] == n_timesteps if rows.ndim == 3 else rows.shape[1] % n_timesteps == 0
        if n_timesteps < 2 or not fits:
            return None
        lead = n_timesteps // 2
        mixed = rows.reshape(len(rows), n_timesteps, -1).clone()
        mixed[:, lead:] = others.reshape(mixed.shape)[:, lead:]
        mixed = mixed.reshape(rows.shape)
        if torch.equal(mixed, rows):
            # Nothing was changed, so that nothing is seen of what a change does.
            return None
        after = _layer_inputs(module, layers, mixed)
        layers = [
            layer
            for layer in layers
            if layer in after
            and torch.equal(*(_steps(layer, x[layer], 0, lead) for x in (inputs, after)))
        ]
        if not layers:
            return None
        runner = cls(module, layers, n_timesteps)
        states = runner.states_of(rows, [lead])
        with runner.hooked():
            runner.start = Start(lead, states, torch.arange(len(rows), device=rows.device))
            started = _first(module(mixed))
            runner.start = None
        whole = _first(module(mixed))
        scale = whole.abs().max()
        close = started.shape == whole.shape and bool(
            (started - whole).abs().max() <= _PROBE_TOLERANCE * scale
        )
        return runner if close else None

    def bytes_per_row(self, n_leads: int) -> int:
        """Return what the states of one row take, after `n_leads` different numbers of steps."""
        n_steps = 0 if self.omits_outputs else self.n_timesteps
        n_units = sum(
            layer.hidden_size * (2 * layer.num_layers * n_leads + n_steps) for layer in self.layers
        )
        return max(1, n_units) * 8

    def states_of(self, rows: torch.Tensor, leads: Sequence[int]) -> StoredStates:
        """Return the states of rows after each number of steps in `leads`."""
        inputs = _layer_inputs(self.module, self.layers, rows, no_more=True)
        states: list[dict[int, Any]] = []
        outputs = []
        for layer in self.layers:
            known: dict[int, Any] = {}
            given, state, done = [], None, 0
            for lead in sorted(set(leads) - {0}):
                segment = _steps(layer, inputs[layer], done, lead)
                output, state = layer(segment) if state is None else layer(segment, state)
                if not self.omits_outputs:
                    given.append(output)
                known[lead], done = state, lead
            states.append(known)
            outputs.append(torch.cat(given, dim=_time_axis(layer)) if given else inputs[layer][:0])
        return StoredStates(states, outputs)

    @contextmanager
    def hooked(self) -> Iterator[None]:
        """Let the layers start where :attr:`start` says."""
        with ExitStack() as stack:
            for number, layer in enumerate(self.layers):
                before = layer.register_forward_pre_hook(self._shortened(number))
                after = layer.register_forward_hook(self._completed(number))
                stack.callback(before.remove)
                stack.callback(after.remove)
            yield

    def _shortened(self, number: int) -> Callable[..., Any]:
        def hook(layer: nn.RNNBase, args: tuple[Any, ...]) -> Any:
            start = self.start
            if start is None:
                return None
            # Behind a layer that left its first outputs out, the sequence is short already.
            length = self.n_timesteps - start.lead
            given = args[0].shape[_time_axis(layer)]
            rest = _steps(layer, args[0], given - length, given)
            return rest, start.states.after(number, start.lead, start.positions)

        return hook

    def _completed(self, number: int) -> Callable[..., Any]:
        def hook(layer: nn.RNNBase, args: tuple[Any, ...], output: tuple[Any, Any]) -> Any:
            start = self.start
            if start is None or self.omits_outputs:
                return None
            axis = _time_axis(layer)
            given = _steps(layer, start.states.outputs[number], 0, start.lead)
            given = given.index_select(1 - axis, start.positions)
            return torch.cat([given, output[0]], dim=axis), output[1]

        return hook


def may_start_half_way(module: nn.Module) -> bool:
    """Whether a module has a recurrent layer of one direction."""
    return any(
        isinstance(child, nn.RNNBase) and not child.bidirectional for child in module.modules()
    )


def _recurrent_layers(module: nn.Module) -> list[nn.RNNBase]:
    return [child for child in module.modules() if isinstance(child, nn.RNNBase)]


def _replica(module: nn.Module) -> nn.Module:
    """Return a copy of a module around the same parameters and buffers, for hooks of its own."""
    shared = [*module.parameters(), *module.buffers()]
    return deepcopy(module, {id(tensor): tensor for tensor in shared})


def _time_axis(layer: nn.RNNBase) -> int:
    return 1 if layer.batch_first else 0


def _steps(layer: nn.RNNBase, sequence: torch.Tensor, first: int, last: int) -> torch.Tensor:
    return sequence.narrow(_time_axis(layer), first, last - first)


class _SeenEnough(Exception):
    """Raised in a module's pass once the rest of it does not matter."""


def _layer_inputs(
    module: nn.Module, layers: Sequence[nn.RNNBase], rows: torch.Tensor, *, no_more: bool = False
) -> dict[nn.RNNBase, torch.Tensor]:
    """Return what each layer is given, for layers that are called once with a sequence alone.

    With `no_more`, each is known to be called once, and the pass ends with the last of them.
    """
    seen: dict[nn.RNNBase, list[Any]] = {}

    def note(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        plain = len(args) == 1 and not kwargs and isinstance(args[0], torch.Tensor)
        seen.setdefault(layer, []).append(args[0] if plain and args[0].ndim == 3 else None)
        if no_more and len(seen) == len(layers):
            raise _SeenEnough

    with ExitStack() as stack:
        for layer in layers:
            stack.callback(layer.register_forward_pre_hook(note, with_kwargs=True).remove)
        with suppress(_SeenEnough):
            module(rows)
    once = {layer: calls[0] for layer, calls in seen.items() if len(calls) == 1}
    return {layer: given for layer, given in once.items() if given is not None}


def _first(output: Any) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output
