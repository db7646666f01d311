"""Functions that torch computes in one kernel, written in functions that have a rule of their own.

Each takes the arguments of the torch function of its name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch


def softmax(input: torch.Tensor, dim: int, *_args: Any, dtype: Any = None, **_: Any) -> Any:
    """Divide exponentials by their sum; in logarithms, which keeps large inputs finite."""
    return torch.exp(log_softmax(input, dim, dtype=dtype))


def log_softmax(input: torch.Tensor, dim: int, *_args: Any, dtype: Any = None, **_: Any) -> Any:
    """Return the logarithm of the softmax."""
    input = input if dtype is None else input.to(dtype)
    return input - torch.logsumexp(input, dim, keepdim=True)


def logaddexp(input: torch.Tensor, other: torch.Tensor) -> Any:
    """Return log(exp(input) + exp(other))."""
    return torch.logsumexp(torch.stack(torch.broadcast_tensors(input, other)), 0)


def glu(input: torch.Tensor, dim: int = -1) -> Any:
    """Multiply one half by the sigmoid of the other."""
    values, gates = input.chunk(2, dim)
    return values * torch.sigmoid(gates)


def std(input: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    """Return the standard deviation."""
    return torch.sqrt(torch.var(input, *args, **kwargs))


def var_mean(input: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
    """Return the variance and the mean."""
    dim = args[0] if args else kwargs.get("dim")
    return torch.var(input, *args, **kwargs), input.mean(dim, keepdim=kwargs.get("keepdim", False))


def _normalized(input: torch.Tensor, dims: tuple[int, ...], eps: float) -> Any:
    centered = input - input.mean(dims, keepdim=True)
    return centered * torch.rsqrt(torch.square(centered).mean(dims, keepdim=True) + eps)


def _affine(input: torch.Tensor, weight: Any, bias: Any, shape: tuple[int, ...] | None) -> Any:
    if weight is not None:
        input = input * (weight if shape is None else weight.reshape(shape))
    if bias is not None:
        input = input + (bias if shape is None else bias.reshape(shape))
    return input


def layer_norm(
    input: torch.Tensor,
    normalized_shape: Any,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *_args: Any,
) -> Any:
    """Standardise over the last dimensions."""
    dims = tuple(range(-len(normalized_shape), 0))
    return _affine(_normalized(input, dims, eps), weight, bias, None)


def rms_norm(
    input: torch.Tensor, normalized_shape: Any, weight: Any = None, eps: float | None = None
) -> Any:
    """Divide by the root mean square over the last dimensions."""
    dims = tuple(range(-len(normalized_shape), 0))
    eps = torch.finfo(input.dtype).eps if eps is None else eps
    scaled = input * torch.rsqrt(torch.square(input).mean(dims, keepdim=True) + eps)
    return _affine(scaled, weight, None, None)


def group_norm(
    input: torch.Tensor,
    num_groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    *_args: Any,
) -> Any:
    """Standardise each group of channels of a sample."""
    grouped = input.reshape(input.shape[0], num_groups, -1)
    standardized = _normalized(grouped, (2,), eps).reshape(input.shape)
    return _affine(standardized, weight, bias, (-1, *[1] * (input.dim() - 2)))


def instance_norm(
    input: torch.Tensor,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *_args: Any,
) -> Any:
    """Standardise each channel of a sample."""
    shape = (-1, *[1] * (input.dim() - 2))
    if use_input_stats:
        standardized = _normalized(input, tuple(range(2, input.dim())), eps)
    else:
        scale = torch.rsqrt(running_var + eps).reshape(shape)
        standardized = (input - running_mean.reshape(shape)) * scale
    return _affine(standardized, weight, bias, shape)


def scaled_dot_product_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Average values by the softmax of products of queries and keys."""
    if enable_gqa:
        repeats = query.shape[-3] // key.shape[-3]
        key = key.repeat_interleave(repeats, -3)
        value = value.repeat_interleave(repeats, -3)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = torch.matmul(query * scale, key.transpose(-2, -1))
    if is_causal:
        n_queries, n_keys = scores.shape[-2:]
        attn_mask = torch.ones(n_queries, n_keys, dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None:
        if attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -torch.inf)
        else:
            scores = scores + attn_mask
    weights = torch.nn.functional.dropout(torch.softmax(scores, -1), dropout_p, dropout_p > 0)
    return torch.matmul(weights, value)


def bilinear(
    input1: torch.Tensor, input2: torch.Tensor, weight: torch.Tensor, bias: Any = None
) -> Any:
    """Return x₁ᵀ A x₂ + b."""
    return _affine(torch.einsum("...i,oij,...j->...o", input1, weight, input2), None, bias, None)


def linalg_vector_norm(
    x: torch.Tensor,
    ord: float = 2,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Any:
    """Return the 1-, 2- or maximum norm."""
    x = x if dtype is None else x.to(dtype)
    dim = tuple(range(x.dim())) if dim is None else dim
    if ord == 2:
        return torch.sqrt(torch.square(x).sum(dim, keepdim=keepdim))
    if ord == 1:
        return torch.abs(x).sum(dim, keepdim=keepdim)
    if ord == math.inf:
        return torch.amax(torch.abs(x), dim, keepdim=keepdim)
    raise NotImplementedError(f"order {ord}")


def cosine_similarity(
    x1: torch.Tensor, x2: torch.Tensor, dim: int = 1, eps: float = 1e-8
) -> torch.Tensor:
    """Return the cosine between two vectors."""
    norms = [torch.sqrt(torch.square(x).sum(dim)).clamp_min(eps) for x in (x1, x2)]
    return (x1 * x2).sum(dim) / (norms[0] * norms[1])


def addcdiv(
    input: torch.Tensor, tensor1: torch.Tensor, tensor2: torch.Tensor, *, value: float = 1
) -> torch.Tensor:
    """Return input + value · tensor1 / tensor2."""
    return input + value * (tensor1 / tensor2)


def maximum(input: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the larger of two inputs, element by element."""
    return torch.amax(torch.stack(torch.broadcast_tensors(input, other)), 0)


def minimum(input: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the smaller of two inputs, element by element."""
    return -maximum(-input, -other)


def amin(input: torch.Tensor, dim: Any = (), keepdim: bool = False) -> torch.Tensor:
    """Return the minimum over dimensions."""
    return -torch.amax(-input, dim, keepdim=keepdim)


COMPOSITES: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        softmax, log_softmax, logaddexp, glu, std, var_mean, layer_norm, rms_norm, group_norm,
        instance_norm, scaled_dot_product_attention, bilinear, linalg_vector_norm,
        cosine_similarity, addcdiv, minimum, amin,
    )
} | {"maximum": maximum, "fmax": maximum, "fmin": minimum, "special_softmax": softmax,
     "special_log_softmax": log_softmax}  # fmt: skip
