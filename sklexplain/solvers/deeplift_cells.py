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


def tanh_secants(
    x: Saved, r: Saved, t: int, out: torch.Tensor, scratch: torch.Tensor
) -> torch.Tensor:
    """Return (tanh x - tanh r) / (x - r) at step `t` in `out`, however close x and r are.

    The quotient is blended with its limit, the derivative at x, with weights Δ² and ε², where ε²
    is the rounding error of the type. The limit is off by a multiple of Δ, so the product of the
    blend with Δ is off by a multiple of Δ²ε² / (Δ² + ε²): rounding. It takes a third of the time
    of a selection by ``torch.where``.

    Parameters
    ----------
    x, r : tuple of tensors of shape (n or b, n_steps, batch, width)
        The arguments, their tanhs, and ε² times the derivatives.
    """
    torch.sub(*_paired(x[0], r[0], t), out=scratch)
    torch.sub(*_paired(x[1], r[1], t), out=out)
    torch.addcmul(x[2][:, None, t], out, scratch, out=out)
    rounding = scratch.new_full(scratch.shape[-1:], torch.finfo(scratch.dtype).eps)
    torch.addcmul(rounding, scratch, scratch, out=scratch)
    return out.div_(scratch)


def _tanhs(arguments: torch.Tensor) -> Saved:
    """Return what :func:`tanh_secants` needs of a row."""
    values = torch.tanh(arguments)
    derivatives = (1 - values**2).mul_(torch.finfo(values.dtype).eps)
    return arguments, values, derivatives


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
        upstream = cotangents[0]
        widths = (self.weight_hh.shape[1], self.width)[: self.n_states]
        running = []
        for cotangent, width in zip(cotangents[1:], widths, strict=True):
            state = first.new_zeros(*lead, width)
            running.append(state if cotangent is None else state.add_(cotangent))
        n_features = self.weight_ih.shape[1]
        handed = first.new_empty(n_steps, n * b * n_outputs * batch, n_features)
        step = self._steps(x, r, lead)
        for t in reversed(range(n_steps)):
            place = n_steps - 1 - t if self.reverse else t
            if upstream is not None:
                running[0].add_(upstream[:, :, :, place])
            step(t, running, handed[place], t > 0 or self.initial_matters)
        by_row = handed.view(n_steps, *lead, n_features).permute(1, 2, 3, 0, 4, 5)
        return [by_row, *running]

    def _steps(self, x: Saved, r: Saved, lead: tuple[int, ...]) -> Callable[..., None]:
        """Return the function that takes the multipliers of the states one step back."""
        raise NotImplementedError

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
        before = inputs.new_empty(*inputs.shape[:-1], width)
        outputs = []
        for t in range(inputs.shape[1]):
            before[:, t] = cell
            gates = inputs[:, t] + torch.nn.functional.linear(hidden, self.weight_hh, self.bias_hh)
            gates = gates * self.scale
            i, f, g, o = torch.tanh(gates).chunk(4, -1)
            cell = (0.5 + f / 2) * cell + (0.5 + i / 2) * g
            arguments[:, t] = torch.cat([gates, cell], -1)
            hidden = (0.5 + o / 2) * torch.tanh(cell)
            if self.projection is not None:
                hidden = hidden @ self.projection.T
            outputs.append(hidden)
        saved = _tanhs(arguments)
        partners = self._partners(saved[1], before)
        return [self._finish(torch.stack(outputs, 1)), hidden, cell], (*saved, *partners)

    def _partners(self, values: torch.Tensor, before: torch.Tensor) -> Saved:
        """Return half of what each tanh is multiplied by, and half of the forget gate."""
        i, f, g, o, tanh_cell = values.chunk(5, -1)
        partners = torch.cat([g / 2, before / 2, 0.25 + i / 4, tanh_cell / 2, 0.25 + o / 4], -1)
        return partners, 0.25 + f / 4

    def _steps(self, x: Saved, r: Saved, lead: tuple[int, ...]) -> Callable[..., None]:
        n, b, _, batch = lead
        width = self.width
        weight_ih, weight_hh = (
            (self.scale**2)[:, None] * w for w in (self.weight_ih, self.weight_hh)
        )
        slopes = self.buffers.get("slopes", (n, b, batch, 5 * width), x[0])
        scratch = self.buffers.get("scratch", (n, b, batch, 5 * width), x[0])
        gates = self.buffers.get("gates", (*lead, 4 * width), x[0])
        forget = self.buffers.get("forget", (n, b, batch, width), x[0])

        def step(t: int, running: list[torch.Tensor], handed: torch.Tensor, go_on: bool) -> None:
            to_hidden, to_cell = running
            tanh_secants(x, r, t, slopes, scratch)
            slopes.mul_(torch.add(*_paired(x[3], r[3], t), out=scratch))
            torch.add(*_paired(x[4], r[4], t), out=forget)
            factors = slopes[:, :, None]
            to_output = to_hidden
            if self.projection is not None:
                to_output = to_hidden @ self.projection
            to_cell.addcmul_(to_output, factors[..., 4 * width :])
            torch.mul(
                factors[..., : 3 * width].unflatten(-1, (3, width)),
                to_cell.unsqueeze(-2),
                out=gates[..., : 3 * width].unflatten(-1, (3, width)),
            )
            torch.mul(factors[..., 3 * width : 4 * width], to_output, out=gates[..., 3 * width :])
            flat = gates.flatten(0, -2)
            torch.mm(flat, weight_ih, out=handed)
            if go_on:
                to_cell.mul_(forget[:, :, None])
                torch.mm(flat, weight_hh, out=to_hidden.flatten(0, -2))

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
        partner = inputs.new_empty(*inputs.shape[:-1], width)
        before = torch.empty_like(partner)
        outputs = []
        for t in range(inputs.shape[1]):
            before[:, t] = hidden
            recurrent = torch.nn.functional.linear(hidden, self.weight_hh, self.bias_hh)
            partner[:, t] = recurrent[..., 2 * width :]
            sigmoids = (inputs[:, t] + recurrent)[..., : 2 * width] / 2
            reset, update = (0.5 + torch.tanh(sigmoids) / 2).chunk(2, -1)
            new = inputs[:, t, ..., 2 * width :] + reset * partner[:, t]
            arguments[:, t] = torch.cat([sigmoids, new], -1)
            new = torch.tanh(new)
            hidden = new + update * (hidden - new)
            outputs.append(hidden)
        saved = _tanhs(arguments)
        partners = self._partners(saved[1], partner, before)
        return [self._finish(torch.stack(outputs, 1)), hidden], (*saved, *partners)

    def _partners(self, values: torch.Tensor, partner: torch.Tensor, before: torch.Tensor) -> Saved:
        """Return half of what each tanh is multiplied by, and half of the two gates."""
        reset, update, new = values.chunk(3, -1)
        partners = torch.cat([partner / 2, (before - new) / 2, 0.25 - update / 4], -1)
        return partners, torch.cat([0.25 + reset / 4, 0.25 + update / 4], -1)

    def _steps(self, x: Saved, r: Saved, lead: tuple[int, ...]) -> Callable[..., None]:
        n, b, _, batch = lead
        width = self.width
        weight_ih, weight_hh = (
            (self.scale**2)[:, None] * w for w in (self.weight_ih, self.weight_hh)
        )
        slopes = self.buffers.get("slopes", (n, b, batch, 3 * width), x[0])
        scratch = self.buffers.get("scratch", (n, b, batch, 3 * width), x[0])
        means = self.buffers.get("means", (n, b, batch, 2 * width), x[0])
        gates = self.buffers.get("gates", (*lead, 3 * width), x[0])
        back = self.buffers.get("back", (gates.numel() // (3 * width), width), x[0])

        def step(t: int, running: list[torch.Tensor], handed: torch.Tensor, go_on: bool) -> None:
            (to_hidden,) = running
            tanh_secants(x, r, t, slopes, scratch)
            slopes.mul_(torch.add(*_paired(x[3], r[3], t), out=scratch))
            # The reset gate acts through the new state.
            slopes[..., :width].mul_(slopes[..., 2 * width :])
            torch.add(*_paired(x[4], r[4], t), out=means)
            torch.mul(
                slopes[:, :, None].unflatten(-1, (3, width)),
                to_hidden.unsqueeze(-2),
                out=gates.unflatten(-1, (3, width)),
            )
            flat = gates.flatten(0, -2)
            torch.mm(flat, weight_ih, out=handed)
            if go_on:
                gates[..., 2 * width :].mul_(means[:, :, None, :, :width])
                torch.mm(flat, weight_hh, out=back)
                to_hidden.mul_(means[:, :, None, :, width:]).add_(back.view_as(to_hidden))

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
        saved = (arguments, outputs) if self.relu else _tanhs(arguments)
        return [self._finish(outputs), hidden], saved

    def _steps(self, x: Saved, r: Saved, lead: tuple[int, ...]) -> Callable[..., None]:
        n, b, _, batch = lead
        slopes = self.buffers.get("slopes", (n, b, batch, self.width), x[0])
        scratch = self.buffers.get("scratch", (n, b, batch, self.width), x[0])
        gates = self.buffers.get("gates", (*lead, self.width), x[0])

        def step(t: int, running: list[torch.Tensor], handed: torch.Tensor, go_on: bool) -> None:
            (to_hidden,) = running
            secants = _relu_secants if self.relu else tanh_secants
            secants(x, r, t, slopes, scratch)
            torch.mul(to_hidden, slopes[:, :, None], out=gates)
            flat = gates.flatten(0, -2)
            torch.mm(flat, self.weight_ih, out=handed)
            if go_on:
                torch.mm(flat, self.weight_hh, out=to_hidden.flatten(0, -2))

        return step


class ReluElman(Elman):
    """``h = relu(x + h)``."""

    relu = True


def _relu_secants(
    x: Saved, r: Saved, t: int, out: torch.Tensor, scratch: torch.Tensor
) -> torch.Tensor:
    torch.sub(*_paired(x[0], r[0], t), out=scratch)
    torch.sub(*_paired(x[1], r[1], t), out=out).div_(scratch)
    same = (x[0][:, None, t] > 0).to(out.dtype)
    return out.copy_(torch.where(scratch == 0, same, out))


def _paired(x: torch.Tensor, r: torch.Tensor, t: int) -> tuple[torch.Tensor, torch.Tensor]:
    return x[:, None, t], r[None, :, t]
