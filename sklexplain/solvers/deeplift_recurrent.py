"""Handlers of torch's fused recurrent functions: layers, directions and cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from .deeplift_cells import GRU, LSTM, Buffers, Elman, ReluElman, Scan
from .deeplift_recorder import Recorder
from .deeplift_rules import Cotangents, Saved
from .deeplift_tape import Call, value_of


def _scan(recorder: Recorder, rule: Scan, sequence: torch.Tensor, initial: list) -> Any:
    """Record one layer in one direction."""
    tensors = [sequence, *initial]
    values = [value_of(t, recorder.tape) for t in tensors]
    rows = [
        t.detach().expand(len(recorder.rows), *t.shape) if value is None else value.data
        for t, value in zip(tensors, values, strict=True)
    ]
    rule.initial_matters = any(value is not None for value in values[1:])
    outputs, saved = rule.states(rows[0], rows[1:])
    tracked = [i for i, value in enumerate(values) if value is not None]
    known = [value for value in values if value is not None]
    return recorder.emit(Some(rule, tracked), known, outputs, saved)


class Some:
    """A rule some of whose inputs are constant."""

    def __init__(self, rule: Scan, tracked: list[int]) -> None:
        self.rule, self.tracked = rule, tracked
        self.elements_of_step = rule.elements_of_step

    def backward(self, cotangents: Cotangents, x: Saved, r: Saved) -> list[torch.Tensor | None]:
        """Hand down only to inputs that depend on the module's input."""
        handed = self.rule.backward(cotangents, x, r)
        return [handed[i] for i in self.tracked]


def _layer(kind: type[Scan]) -> Callable[[Recorder, Call], Any]:
    def handle(recorder: Recorder, call: Call) -> Any:
        if not isinstance(call.args[2], list | tuple):
            raise recorder.unsupported_error(call.name, "packed sequences are not covered")
        (sequence, hidden, weights, has_biases, n_layers, dropout, training, two_ways,
         batch_first) = call.args  # fmt: skip
        if training and dropout > 0 and n_layers > 1:
            raise recorder.unsupported_error(call.name, "dropout is random in training mode")
        _refuse_tracked(recorder, call, weights)
        hidden = list(hidden) if kind.n_states == 2 else [hidden]
        buffers = recorder.shared(Buffers)
        if batch_first:
            sequence = recorder.traced(torch.transpose, sequence, 0, 1)
        n_directions = 2 if two_ways else 1
        per_scan = len(weights) // (n_layers * n_directions)
        last: list[list[torch.Tensor]] = [[] for _ in hidden]
        for layer in range(n_layers):
            directions = []
            for direction in range(n_directions):
                place = layer * n_directions + direction
                rule = kind(
                    weights[place * per_scan : (place + 1) * per_scan],
                    has_biases,
                    direction == 1,
                    buffers,
                )
                initial = [recorder.traced(torch.select, h, 0, place) for h in hidden]
                outputs, *states = _scan(recorder, rule, sequence, initial)
                directions.append(outputs)
                for states_of_kind, state in zip(last, states, strict=True):
                    states_of_kind.append(state)
            sequence = directions[0]
            if two_ways:
                sequence = recorder.traced(torch.cat, directions, -1)
        if batch_first:
            sequence = recorder.traced(torch.transpose, sequence, 0, 1)
        return (sequence, *(recorder.traced(torch.stack, states) for states in last))

    return handle


def _cell(kind: type[Scan]) -> Callable[[Recorder, Call], Any]:
    def handle(recorder: Recorder, call: Call) -> Any:
        row, hidden, *weights = call.args
        weights = [weight for weight in weights if weight is not None]
        _refuse_tracked(recorder, call, weights)
        rule = kind(weights, len(weights) == 4, False, recorder.shared(Buffers))
        initial = list(hidden) if kind.n_states == 2 else [hidden]
        sequence = recorder.traced(torch.unsqueeze, row, 0)
        _, *states = _scan(recorder, rule, sequence, initial)
        return tuple(states) if kind.n_states == 2 else states[0]

    return handle


def _refuse_tracked(recorder: Recorder, call: Call, weights: Sequence[torch.Tensor]) -> None:
    if any(value_of(weight, recorder.tape) is not None for weight in weights):
        raise recorder.unsupported_error(call.name, "its weights depend on the input")


def _packed(recorder: Recorder, call: Call) -> Any:
    raise recorder.unsupported_error(
        call.name, "packed sequences are not covered; run the layer on rows of one length"
    )


HANDLERS: dict[str, Callable[[Recorder, Call], Any]] = {
    "lstm": _layer(LSTM),
    "gru": _layer(GRU),
    "rnn_tanh": _layer(Elman),
    "rnn_relu": _layer(ReluElman),
    "lstm_cell": _cell(LSTM),
    "gru_cell": _cell(GRU),
    "rnn_tanh_cell": _cell(Elman),
    "rnn_relu_cell": _cell(ReluElman),
    "_pack_padded_sequence": _packed,
}
