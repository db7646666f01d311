"""DeepLIFT through fused recurrent layers in closed form.

A cell is a chain of linear maps, sigmoids, tanhs and products, so the rules of
:mod:`~sklexplain.solvers.deeplift_rules` apply inside it. The states of each row are computed
once, step by step; the multipliers of all pairs run backwards through time in plain tensor
operations, in buffers that are used again, without a graph.

A sigmoid is written as ``1/2 + tanh(a / 2) / 2``, so that one pass over all gates finds the
slopes of their secants. The factors 1/2 · 1/2 go into the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from .deeplift_rules import Cotangents, Saved
from .products import times

Step = Callable[[Saved, Saved, list[torch.Tensor], bool], tuple[torch.Tensor, list[torch.Tensor]]]


class Buffers:
    """Memory for one step of one tile of pairs, kept from step to step and layer to layer."""

    def __init__(self) -> None:
        self._flat: dict[str, torch.Tensor] = {}

    def get(self, name: str, shape: Sequence[int], like: torch.Tensor) -> torch.Tensor:
        """Return an uninitialised tensor."""
        size = int(torch.Size(shape).numel())
        flat = self._flat.get(name)
        if flat is None or flat.numel() < size or flat.dtype != like.dtype:
            flat = self._flat[name] = like.new_empty(size)
        return flat[:size].view(shape)


def tanh_secants(x: Saved, r: Saved, out: torch.Tensor, scratch: torch.Tensor) -> torch.Tensor:
    """Return (tanh x - tanh r) / (x - r) in `out`, however close x and r are.

    The quotient is blended with its limit, the derivative at x, with weights Δ² and ε², where ε²
    is the rounding error of the type. The limit is off by a multiple of Δ, so the product of the
    blend with Δ is off by a multiple of Δ²ε² / (Δ² + ε²): rounding. It takes a third of the time
    of a selection by ``torch.where``.

    Parameters
    ----------
    x, r : tuple of tensors of shape (n, 1, batch, width) and (1, b, batch, width)
        The arguments, their tanhs, and ε² times the derivatives.
    """
    torch.sub(x[0], r[0], out=scratch)
    torch.sub(x[1], r[1], out=out)
    torch.addcmul(x[2], out, scratch, out=out)
    rounding = scratch.new_full(scratch.shape[-1:], torch.finfo(scratch.dtype).eps)
    torch.addcmul(rounding, scratch, scratch, out=scratch)
    return out.div_(scratch)


def _tanhs(arguments: torch.Tensor, values: torch.Tensor) -> Saved:
    """Return what :func:`tanh_secants` needs of a row."""
    return arguments, values, (1 - values**2).mul_(torch.finfo(values.dtype).eps)


class Scan:
    """One layer of a recurrent net in one direction.

    Inputs are the sequence (n_steps, batch, n_features) and the initial states (batch, width);
    outputs the sequence of hidden states and the last states. `batch` is what the module sees as
    its batch; rows come before all these dimensions.

    Parameters
    ----------
    weights : sequence of tensor
        ``weight_ih``, ``weight_hh``, then the biases if there are any and, for an LSTM with
        projections, ``weight_hr``.
    has_biases : bool
    reverse : bool
        Whether the layer reads the sequence from its end.
    buffers : Buffers
    """

    n_states = 1
    # Whether the initial states depend on the module's input.
    initial_matters = True

    def __init__(
        self,
        weights: Sequence[torch.Tensor],
        has_biases: bool,
        reverse: bool,
        buffers: Buffers,
    ) -> None:
        weights = [weight.detach() for weight in weights]
        self.weight_ih, self.weight_hh = weights[:2]
        self.bias_ih = weights[2] if has_biases else None
        self.bias_hh = weights[3] if has_biases else None
        rest = weights[4 if has_biases else 2 :]
        self.projection = rest[0] if rest else None
        self.reverse, self.buffers = reverse, buffers
        self.width = self.weight_hh.shape[0] // self._n_gates()
        # Halving the argument of a sigmoid and its result makes it a tanh.
        self.scale = torch.ones_like(self.weight_hh[:, 0])
        for gate in self._sigmoids():
            self.scale[gate * self.width : (gate + 1) * self.width] = 0.5

    @property
    def elements_of_step(self) -> int:
        """How many numbers one step of one pair has in use: slopes, products, states."""
        return 4 * (self._n_gates() + 1) * self.width

    def _n_gates(self) -> int:
        raise NotImplementedError

    def _sigmoids(self) -> tuple[int, ...]:
        raise NotImplementedError

    def states(
        self, sequence: torch.Tensor, initial: list[torch.Tensor]
    ) -> tuple[list[torch.Tensor], Saved]:
        """Run the layer on all rows and return its outputs and what the rule needs of them."""
        raise NotImplementedError

    def backward(self, cotangents: Cotangents, x: Saved, r: Saved) -> list[torch.Tensor | None]:
        """Run the multipliers of every pair backwards through time."""
        first = next(c for c in cotangents if c is not None)
        n, b, n_outputs = len(x[0]), len(r[0]), first.shape[2]
        n_steps, batch = x[0].shape[1:3]
        lead = (n, b, n_outputs, batch)
        widths = (self.weight_hh.shape[1], self.width)[: self.n_states]
        running = []
        for cotangent, width in zip(cotangents[1:], widths, strict=True):
            state = first.new_zeros(*lead, width)
            running.append(state if cotangent is None else state.add_(cotangent))
        handed: list[torch.Tensor] = []
        step = self._steps((n, b, n_outputs, batch), x[0])
        x_steps = zip(*(t.unsqueeze(1).unbind(2) for t in x), strict=True)
        r_steps = zip(*(t.unsqueeze(0).unbind(2) for t in r), strict=True)
        paired = list(zip(x_steps, r_steps, strict=True))
        upstream = None if cotangents[0] is None else cotangents[0].unbind(3)
        for t in reversed(range(n_steps)):
            if upstream is not None:
                running[0].add_(upstream[n_steps - 1 - t if self.reverse else t])
            to_input, running = step(*paired[t], running, t > 0 or self.initial_matters)
            handed.append(to_input.view(*lead, -1))
        handed = handed if self.reverse else handed[::-1]
        return [torch.stack(handed, 3), *running]

    def _steps(self, lead: tuple[int, ...], like: torch.Tensor) -> Step:
        """Return the function that takes the multipliers of the states one step back."""
        raise NotImplementedError

    def _scaled(self, weight: torch.Tensor) -> torch.Tensor:
        """Return a transposed weight that takes the slopes of tanhs for those of sigmoids."""
        return ((self.scale**2)[:, None] * weight).T.contiguous()

    def _inputs(self, sequence: torch.Tensor) -> torch.Tensor:
        sequence = sequence.flip(1) if self.reverse else sequence
        return torch.nn.functional.linear(sequence, self.weight_ih, self.bias_ih)

    def _finish(self, outputs: torch.Tensor) -> torch.Tensor:
        return outputs.flip(1) if self.reverse else outputs


class LSTM(Scan):
    """``c = f·c + i·g``, ``h = o·tanh(c)``, projected where the layer has projections."""

    n_states = 2

    def _n_gates(self) -> int:
        return 4

    def _sigmoids(self) -> tuple[int, ...]:
        return 0, 1, 3

    def states(
        self, sequence: torch.Tensor, initial: list[torch.Tensor]
    ) -> tuple[list[torch.Tensor], Saved]:
        """Save the arguments of all tanhs, their values, and the state before each step."""
        inputs = self._inputs(sequence)
        hidden, cell = initial
        width = self.width
        arguments = inputs.new_empty(*inputs.shape[:-1], 5 * width)
        values = torch.empty_like(arguments)
        before = inputs.new_empty(*inputs.shape[:-1], width)
        outputs = []
        for t in range(inputs.shape[1]):
            before[:, t] = cell
            gates = inputs[:, t] + torch.nn.functional.linear(hidden, self.weight_hh, self.bias_hh)
            gates = gates * self.scale
            tanhs = torch.tanh(gates)
            i, f, g, o = tanhs.chunk(4, -1)
            cell = (0.5 + f / 2) * cell + (0.5 + i / 2) * g
            tanh_cell = torch.tanh(cell)
            hidden = (0.5 + o / 2) * tanh_cell
            arguments[:, t] = torch.cat([gates, cell], -1)
            values[:, t] = torch.cat([tanhs, tanh_cell], -1)
            if self.projection is not None:
                hidden = hidden @ self.projection.T
            outputs.append(hidden)
        saved = _tanhs(arguments, values)
        partners = self._partners(saved[1], before)
        return [self._finish(torch.stack(outputs, 1)), hidden, cell], (*saved, *partners)

    def _partners(self, values: torch.Tensor, before: torch.Tensor) -> Saved:
        """Return half of what each tanh is multiplied by, and half of the forget gate."""
        i, f, g, o, tanh_cell = values.chunk(5, -1)
        partners = torch.cat([g / 2, before / 2, 0.25 + i / 4, tanh_cell / 2, 0.25 + o / 4], -1)
        return partners, 0.25 + f / 4

    def _steps(self, lead: tuple[int, ...], like: torch.Tensor) -> Step:
        n, b, _, batch = lead
        width = self.width
        weight_ih, weight_hh = self._scaled(self.weight_ih), self._scaled(self.weight_hh)
        slopes = self.buffers.get("slopes", (n, b, batch, 5 * width), like)
        scratch = self.buffers.get("scratch", (n, b, batch, 5 * width), like)
        gates = self.buffers.get("gates", (*lead, 4 * width), like)
        forget = self.buffers.get("forget", (n, b, batch, width), like)
        flat, factors = gates.flatten(0, -2), slopes[:, :, None]
        by_gate = _by_gate(factors, gates, width)

        def step(
            x: Saved, r: Saved, running: list[torch.Tensor], go_on: bool
        ) -> tuple[torch.Tensor, list[torch.Tensor]]:
            to_hidden, to_cell = running
            tanh_secants(x, r, slopes, scratch)
            slopes.mul_(torch.add(x[3], r[3], out=scratch))
            to_output = to_hidden
            if self.projection is not None:
                to_output = to_hidden @ self.projection
            to_cell.addcmul_(to_output, factors[..., 4 * width :])
            for factor, gate in by_gate[:3]:
                torch.mul(factor, to_cell, out=gate)
            torch.mul(by_gate[3][0], to_output, out=by_gate[3][1])
            to_input = times(flat, weight_ih)
            if go_on:
                to_cell.mul_(torch.add(x[4], r[4], out=forget)[:, :, None])
                to_hidden = times(flat, weight_hh).view(*lead, -1)
            return to_input, [to_hidden, to_cell]

        return step


class GRU(Scan):
    """``n = tanh(x + r·h)``, ``h = (1 - z)·n + z·h``."""

    def _n_gates(self) -> int:
        return 3

    def _sigmoids(self) -> tuple[int, ...]:
        return 0, 1

    def states(
        self, sequence: torch.Tensor, initial: list[torch.Tensor]
    ) -> tuple[list[torch.Tensor], Saved]:
        """Save the arguments of all tanhs, their values, r's partner and the state before."""
        inputs = self._inputs(sequence)
        (hidden,) = initial
        width = self.width
        arguments = torch.empty_like(inputs)
        values = torch.empty_like(inputs)
        partner = inputs.new_empty(*inputs.shape[:-1], width)
        before = torch.empty_like(partner)
        outputs = []
        for t in range(inputs.shape[1]):
            before[:, t] = hidden
            recurrent = torch.nn.functional.linear(hidden, self.weight_hh, self.bias_hh)
            partner[:, t] = recurrent[..., 2 * width :]
            sigmoids = (inputs[:, t] + recurrent)[..., : 2 * width] / 2
            tanhs = torch.tanh(sigmoids)
            reset, update = (0.5 + tanhs / 2).chunk(2, -1)
            new = inputs[:, t, ..., 2 * width :] + reset * partner[:, t]
            arguments[:, t] = torch.cat([sigmoids, new], -1)
            new = torch.tanh(new)
            values[:, t] = torch.cat([tanhs, new], -1)
            hidden = new + update * (hidden - new)
            outputs.append(hidden)
        saved = _tanhs(arguments, values)
        partners = self._partners(saved[1], partner, before)
        return [self._finish(torch.stack(outputs, 1)), hidden], (*saved, *partners)

    def _partners(self, values: torch.Tensor, partner: torch.Tensor, before: torch.Tensor) -> Saved:
        """Return half of what each tanh is multiplied by, and half of the two gates."""
        reset, update, new = values.chunk(3, -1)
        partners = torch.cat([partner / 2, (before - new) / 2, 0.25 - update / 4], -1)
        return partners, torch.cat([0.25 + reset / 4, 0.25 + update / 4], -1)

    def _steps(self, lead: tuple[int, ...], like: torch.Tensor) -> Step:
        n, b, _, batch = lead
        width = self.width
        weight_ih, weight_hh = self._scaled(self.weight_ih), self._scaled(self.weight_hh)
        slopes = self.buffers.get("slopes", (n, b, batch, 3 * width), like)
        scratch = self.buffers.get("scratch", (n, b, batch, 3 * width), like)
        means = self.buffers.get("means", (n, b, batch, 2 * width), like)
        gates = self.buffers.get("gates", (*lead, 3 * width), like)
        flat = gates.flatten(0, -2)
        by_gate = _by_gate(slopes[:, :, None], gates, width)

        def step(
            x: Saved, r: Saved, running: list[torch.Tensor], go_on: bool
        ) -> tuple[torch.Tensor, list[torch.Tensor]]:
            (to_hidden,) = running
            tanh_secants(x, r, slopes, scratch)
            slopes.mul_(torch.add(x[3], r[3], out=scratch))
            # The reset gate acts through the new state.
            slopes[..., :width].mul_(slopes[..., 2 * width :])
            for factor, gate in by_gate:
                torch.mul(factor, to_hidden, out=gate)
            to_input = times(flat, weight_ih)
            if go_on:
                torch.add(x[4], r[4], out=means)
                gates[..., 2 * width :].mul_(means[:, :, None, :, :width])
                to_hidden.mul_(means[:, :, None, :, width:])
                to_hidden.add_(times(flat, weight_hh).view_as(to_hidden))
            return to_input, [to_hidden]

        return step


class Elman(Scan):
    """``h = tanh(x + h)``, or relu."""

    relu = False

    def _n_gates(self) -> int:
        return 1

    def _sigmoids(self) -> tuple[int, ...]:
        return ()

    def states(
        self, sequence: torch.Tensor, initial: list[torch.Tensor]
    ) -> tuple[list[torch.Tensor], Saved]:
        """Save the arguments and values of the nonlinearity."""
        inputs = self._inputs(sequence)
        (hidden,) = initial
        arguments = torch.empty_like(inputs)
        outputs = torch.empty_like(inputs)
        for t in range(inputs.shape[1]):
            arguments[:, t] = inputs[:, t] + torch.nn.functional.linear(
                hidden, self.weight_hh, self.bias_hh
            )
            hidden = torch.relu(arguments[:, t]) if self.relu else torch.tanh(arguments[:, t])
            outputs[:, t] = hidden
        saved = (arguments, outputs) if self.relu else _tanhs(arguments, outputs)
        return [self._finish(outputs), hidden], saved

    def _steps(self, lead: tuple[int, ...], like: torch.Tensor) -> Step:
        n, b, _, batch = lead
        weight_ih, weight_hh = self._scaled(self.weight_ih), self._scaled(self.weight_hh)
        slopes = self.buffers.get("slopes", (n, b, batch, self.width), like)
        scratch = self.buffers.get("scratch", (n, b, batch, self.width), like)
        gates = self.buffers.get("gates", (*lead, self.width), like)
        secants = _relu_secants if self.relu else tanh_secants

        def step(
            x: Saved, r: Saved, running: list[torch.Tensor], go_on: bool
        ) -> tuple[torch.Tensor, list[torch.Tensor]]:
            (to_hidden,) = running
            torch.mul(to_hidden, secants(x, r, slopes, scratch)[:, :, None], out=gates)
            flat = gates.flatten(0, -2)
            if go_on:
                to_hidden = times(flat, weight_hh).view_as(to_hidden)
            return times(flat, weight_ih), [to_hidden]

        return step


class ReluElman(Elman):
    """``h = relu(x + h)``."""

    relu = True


def _relu_secants(x: Saved, r: Saved, out: torch.Tensor, scratch: torch.Tensor) -> torch.Tensor:
    torch.sub(x[0], r[0], out=scratch)
    torch.sub(x[1], r[1], out=out).div_(scratch)
    return out.copy_(torch.where(scratch == 0, (x[0] > 0).to(out.dtype), out))


def _by_gate(
    factors: torch.Tensor, gates: torch.Tensor, width: int
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return views of each gate, since one product of all would run in pieces of `width`."""
    starts = range(0, gates.shape[-1], width)
    return [(factors[..., i : i + width], gates[..., i : i + width]) for i in starts]
