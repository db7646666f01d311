"""DeepLIFT's rules: how each kind of operation hands its contributions to its inputs.

Every rule is exact: the contributions that it hands down add up to those that it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch

Saved = tuple[torch.Tensor, ...]
Cotangents = Sequence[torch.Tensor | None]

# Below this distance, relative to the inputs, a quotient of differences in double precision says
# less than the derivative half-way between them.
_NO_DISTANCE = 1e-10


class Rule(Protocol):
    """How the contributions of an operation's outputs are handed to its inputs."""

    def backward(self, cotangents: Cotangents, x: Saved, r: Saved) -> list[torch.Tensor | None]:
        """Return the multipliers of the inputs, given those of the outputs.

        Parameters
        ----------
        cotangents : sequence of tensors of shape (n or 1, b or 1, n_outputs, *shape), or None
            For each output of the operation, the multipliers of the module's outputs.
        x : tuple of tensors of shape (n, *saved_shape)
            What the operation saved of n explained rows.
        r : tuple of tensors of shape (b, *saved_shape)
            The same of b references.
        """
        ...


class Linear:
    """An operation that is linear in its inputs hands down what its transpose gives.

    Parameters
    ----------
    call : callable
        The operation on one row.
    shapes : sequence of torch.Size
        Of the inputs, without rows.
    like : sequence of tensors
        Of their types and on their devices.
    """

    is_linear = True

    def __init__(
        self, call: Callable, shapes: Sequence[torch.Size], like: Sequence[torch.Tensor]
    ) -> None:
        self.call, self.shapes = call, shapes
        self.like = [(t.dtype, t.device) for t in like]
        self._graph: tuple[list[torch.Tensor], list[torch.Tensor]] | None = None

    def backward(self, cotangents: Cotangents, x: Saved, r: Saved) -> list[torch.Tensor | None]:
        """Apply the transpose of the operation to every pair and output at once."""
        inputs, outputs = self._graph or self._build()
        given = [
            (o, c)
            for o, c in zip(outputs, cotangents, strict=True)
            if c is not None and o.requires_grad
        ]
        if not given:
            return [None] * len(inputs)
        lead = torch.broadcast_shapes(*(c.shape[:3] for _, c in given))
        flat = [c.expand(*lead, *o.shape).reshape(-1, *o.shape) for o, c in given]
        gradients = torch.autograd.grad(
            [o for o, _ in given],
            inputs,
            flat,
            retain_graph=True,
            is_grads_batched=True,
            allow_unused=True,
        )
        return [None if g is None else g.reshape(*lead, *g.shape[1:]) for g in gradients]

    def _build(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        with torch.enable_grad():
            inputs = [
                torch.zeros(shape, dtype=dtype, device=device, requires_grad=True)
                for shape, (dtype, device) in zip(self.shapes, self.like, strict=True)
            ]
            outputs = self.call(*inputs)
        self._graph = inputs, [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
        return self._graph


class Dense:
    """``torch.nn.functional.linear`` with a constant weight, the most frequent linear map."""

    is_linear = True

    def __init__(self, weight: torch.Tensor) -> None:
        self.weight = weight.detach()

    def backward(self, cotangents: Cotangents, x: Saved, r: Saved) -> list[torch.Tensor | None]:
        """Multiply by the transposed weight."""
        (cotangent,) = cotangents
        assert cotangent is not None
        return [cotangent @ self.weight]


class Identity:
    """An operation that returns its input."""

    is_linear = True

    def backward(self, cotangents: Cotangents, x: Saved, r: Saved) -> list[torch.Tensor | None]:
        """Hand everything down."""
        return list(cotangents)


class _Gradient:
    """The gradient of an operation at a point that depends on the pair."""

    def __init__(self, call: Callable) -> None:
        self.call = call

    def backward(self, cotangents: Cotangents, x: Saved, r: Saved) -> list[torch.Tensor | None]:
        """Differentiate at the point of each pair."""
        points = [self._point(a, b) for a, b in zip(x, r, strict=True)]
        n, b = points[0].shape[:2]
        given = [i for i, c in enumerate(cotangents) if c is not None]
        cotangents = [
            c.expand(n, b, *c.shape[2:]).flatten(0, 1) for c in cotangents if c is not None
        ]

        def outputs_of(*inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            outputs = self.call(*inputs)
            outputs = (outputs,) if isinstance(outputs, torch.Tensor) else tuple(outputs)
            return tuple(outputs[i] for i in given)

        def one_pair(inputs: Any, upstream: Any) -> Any:
            transpose = torch.func.vjp(outputs_of, *inputs)[1]
            return torch.vmap(transpose)(tuple(upstream))

        gradients = torch.vmap(one_pair)([p.flatten(0, 1) for p in points], cotangents)
        return [g.unflatten(0, (n, b)) for g in gradients]

    def _point(self, x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError


class Quadratic(_Gradient):
    """A polynomial of degree two: products, squares, variances, matrix products of two inputs.

    ``f(x) - f(r)`` is the gradient at ``(x + r) / 2`` times ``x - r``, exactly. For a product a·b
    that is Δa·(b + b₀)/2 + Δb·(a + a₀)/2, the Shapley value of a game of two players.
    """

    def _point(self, x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        return (x[:, None] + r[None]) / 2


class PlainGradient(_Gradient):
    """The gradient at the explained row, for operations without a rule. It is not complete."""

    def _point(self, x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        return x[:, None].expand(-1, len(r), *x.shape[1:])


class Product:
    """The product of two inputs, a special case of :class:`Quadratic` that needs no autograd."""

    def __init__(self, shapes: Sequence[torch.Size]) -> None:
        self.shapes = shapes

    def backward(self, cotangents: Cotangents, x: Saved, r: Saved) -> list[torch.Tensor | None]:
        """Give each factor the mean of the other."""
        (cotangent,) = cotangents
        assert cotangent is not None
        n_dims = cotangent.dim() - 3
        means = [
            (a[:, None] + b[None])
            .div_(2)
            .reshape(len(a), len(b), 1, *([1] * (n_dims + 1 - a.dim())), *a.shape[1:])
            for a, b in zip(x, r, strict=True)
        ]
        return [
            _summed_to(cotangent * mean, shape)
            for mean, shape in zip(reversed(means), self.shapes, strict=True)
        ]


def _summed_to(tensor: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Undo the broadcasting of `shape` to the dimensions of `tensor` after the first three."""
    missing = tensor.dim() - 3 - len(shape)
    tensor = tensor.flatten(3, 3 + missing).sum(3) if missing else tensor
    stretched = [3 + i for i, n in enumerate(shape) if n == 1 and tensor.shape[3 + i] != 1]
    return tensor.sum(stretched, keepdim=True) if stretched else tensor


class Elementwise:
    """A nonlinearity applied to each element: Δout/Δin, and the derivative where Δin vanishes.

    Parameters
    ----------
    function : callable
        Of one row.
    exact : bool
        Whether rounding leaves the quotient of differences accurate however close the inputs are,
        as it does for functions made of straight lines. Others are evaluated in double precision.
    pointwise : bool
        Whether the function can be evaluated on any selection of elements.
    """

    def __init__(self, function: Callable, *, exact: bool, pointwise: bool) -> None:
        self.function, self.exact, self.pointwise = function, exact, pointwise

    def backward(self, cotangents: Cotangents, x: Saved, r: Saved) -> list[torch.Tensor | None]:
        """Multiply by the slope of the secant."""
        (cotangent,) = cotangents
        assert cotangent is not None
        a, b = x[0], r[0]
        if not self.exact and self.pointwise:
            a, b = a.double(), b.double()
        slopes = self._secant(a, b).to(cotangent.dtype)
        return [cotangent * slopes[:, :, None]]

    def _secant(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        outputs_a, outputs_b = self._evaluate(a), self._evaluate(b)
        distance = a[:, None] - b[None]
        slopes = (outputs_a[:, None] - outputs_b[None]).div_(distance)
        # The negation makes two infinities, whose distance is not a number, as close as equals.
        threshold = 0.0 if self.exact else (1 + a[:, None].abs()) * _NO_DISTANCE
        close = ~(distance.abs() > threshold)
        if close.any():
            middle = (a[:, None] + b[None]).div_(2)
            if self.pointwise:
                slopes[close] = self._derivative(middle[close])
            else:
                flat = self._derivative(middle.flatten(0, 1), rows=True)
                slopes = torch.where(close, flat.view_as(slopes), slopes)
        return slopes

    def _evaluate(self, rows: torch.Tensor) -> torch.Tensor:
        return self.function(rows) if self.pointwise else torch.vmap(self.function)(rows)

    def _derivative(self, points: torch.Tensor, rows: bool = False) -> torch.Tensor:
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            outputs = torch.vmap(self.function)(points) if rows else self.function(points)
            (derivative,) = torch.autograd.grad(outputs.sum(), points)
        # Where the inputs are equal any finite slope is complete; sqrt has none at 0.
        return derivative.nan_to_num(0.0, 0.0, 0.0)


class Exponential:
    """exp, by the logarithmic mean of its outputs, which neither overflows nor cancels."""

    def backward(self, cotangents: Cotangents, x: Saved, r: Saved) -> list[torch.Tensor | None]:
        """Multiply by Δexp/Δin = max(out) · (1 - exp(-δ)) / δ with δ = |Δin|."""
        (cotangent,) = cotangents
        assert cotangent is not None
        (a, outputs_a), (b, outputs_b) = x, r
        top = torch.maximum(outputs_a[:, None], outputs_b[None])
        slopes = top * _decay(a[:, None] - b[None])
        # Two inputs of minus infinity, as masks put them in, have no distance.
        slopes = torch.where(top == 0, 0.0, slopes)
        return [cotangent * slopes[:, :, None]]


class LogSumExp:
    """The logarithm of a sum of exponentials over some dimensions.

    Input i gets L(sₓᵢ, sᵣᵢ) / Σⱼ L(sₓⱼ, sᵣⱼ), where s is the softmax and L the logarithmic mean.
    That is complete: L(s) times the change of log s is the change of s, and those add up to 0.

    Composing the rules of exp, sum and log would be complete too, but not as good. A softmax as
    exp(in - logsumexp(in)) has contributions to its outputs that cancel in each input, as the
    outputs add up to one, and they stay of the inputs' size; those of exp(in) / Σ exp(in) grow
    with the exponential of any shift that the inputs share.
    """

    def __init__(self, dims: tuple[int, ...], keepdim: bool) -> None:
        self.dims, self.keepdim = dims, keepdim

    def backward(self, cotangents: Cotangents, x: Saved, r: Saved) -> list[torch.Tensor | None]:
        """Give each input its share, a mean of the shares in the two rows."""
        (cotangent,) = cotangents
        assert cotangent is not None
        a, b = x[0][:, None], r[0][None]  # logarithms of the shares
        means = torch.exp(torch.maximum(a, b))
        means = torch.where(means == 0, 0.0, means * _decay(a - b))
        slopes = means / means.sum([2 + dim for dim in self.dims], keepdim=True)
        if not self.keepdim:
            for dim in sorted(self.dims):
                cotangent = cotangent.unsqueeze(3 + dim)
        return [cotangent * slopes[:, :, None]]


def _decay(distance: torch.Tensor) -> torch.Tensor:
    """Return (1 - exp(-δ)) / δ for δ = |distance|; 1 at 0."""
    delta = distance.abs().clamp_min(torch.finfo(distance.dtype).tiny)
    return torch.expm1(-delta).neg_().div_(delta)


class Maximum:
    """The maximum over groups of elements: pooling, and max over a dimension.

    The row whose maximum is larger names the element that gets everything: the explained row's
    maximal element where its maximum is larger, else the reference's. The slope of that element is
    between 0 and 1, so the rule is complete. It is the rule of shap and captum.
    """

    def backward(self, cotangents: Cotangents, x: Saved, r: Saved) -> list[torch.Tensor | None]:
        """Send what each group was given to one element of it."""
        (cotangent,) = cotangents[:1]
        assert cotangent is not None
        (a, place_a, top_a), (b, place_b, top_b) = x, r  # (n, *lead, elements or groups)
        rise = top_a[:, None] - top_b[None]
        place = torch.where(rise >= 0, place_a[:, None], place_b[None])
        distance = (a[:, None] - b[None]).gather(-1, place)
        slopes = torch.where(distance == 0, 1.0, rise / distance)[:, :, None]
        flat = cotangent.reshape(*cotangent.shape[:3], *top_a.shape[1:]) * slopes
        handed = flat.new_zeros(*flat.shape[:-1], a.shape[-1])
        handed.scatter_add_(-1, place[:, :, None].expand(flat.shape), flat)
        return [handed]
