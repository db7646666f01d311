"""The table from torch functions to DeepLIFT rules, by the name of the function.

``torch.tanh``, ``Tensor.tanh`` and ``nn.functional.tanh`` share a name and a rule. Functions that
are missing here but are written in Python inside torch are recorded by what they call.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional as F

from . import deeplift_recurrent as recurrent
from .deeplift_composites import COMPOSITES
from .deeplift_recorder import Recorder
from .deeplift_rules import (
    Dense,
    Elementwise,
    Exponential,
    Identity,
    Linear,
    LogSumExp,
    Maximum,
    Product,
    Quadratic,
)
from .deeplift_tape import Call, UnsupportedOperationError, value_of

Handler = Callable[[Recorder, Call], Any]

_VIEWS = """view reshape flatten unflatten permute transpose swapaxes swapdims movedim moveaxis t
    squeeze unsqueeze expand expand_as view_as reshape_as broadcast_to __getitem__ select narrow
    split split_with_sizes tensor_split chunk unbind diagonal unfold detach contiguous to float
    double half bfloat16 type type_as T.__get__ mT.__get__ data.__get__ ravel alias hsplit vsplit
    dsplit adjoint broadcast_tensors cpu cuda"""
_LINEAR = """add sub rsub neg positive sum mean cat concat concatenate stack hstack vstack dstack
    column_stack row_stack repeat tile repeat_interleave flip fliplr flipud roll rot90 cumsum diff
    gather index_select take_along_dim where masked_fill scatter
    scatter_add index_add index_copy index_put index_fill select_scatter slice_scatter set_item pad
    tril triu diag diag_embed clone avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
    adaptive_avg_pool2d adaptive_avg_pool3d interpolate upsample pixel_shuffle pixel_unshuffle
    channel_shuffle fold im2col col2im trace constant_pad_nd
    atleast_1d atleast_2d atleast_3d"""
_QUADRATIC = """matmul mm bmm mv dot vdot inner outer ger einsum tensordot addmm addmv addbmm
    baddbmm addr addcmul lerp chain_matmul cross linalg_cross kron square var conv1d conv2d conv3d
    conv_transpose1d conv_transpose2d conv_transpose3d linalg_vecdot"""
_STRAIGHT = """relu leaky_relu relu6 hardtanh hardsigmoid hardshrink softshrink threshold prelu
    abs clamp clip clamp_min clamp_max rrelu nan_to_num"""
_CURVED = """elu selu celu gelu silu mish softplus softsign sigmoid tanh hardswish tanhshrink
    logsigmoid log_sigmoid expit special_expit exp2 expm1 log log2 log10 log1p sqrt rsqrt
    reciprocal sin cos tan asin acos atan sinh cosh asinh acosh atanh arctan arctanh erf erfc logit
    special_erf special_log1p special_expm1"""
_MAX_POOLS: dict[str, Callable] = {
    "max_pool1d": F.max_pool1d_with_indices,
    "max_pool2d": F.max_pool2d_with_indices,
    "max_pool3d": F.max_pool3d_with_indices,
    "adaptive_max_pool1d": F.adaptive_max_pool1d_with_indices,
    "adaptive_max_pool2d": F.adaptive_max_pool2d_with_indices,
    "adaptive_max_pool3d": F.adaptive_max_pool3d_with_indices,
}


# Linear and quadratic -------------------------------------------------------------------------


def _linear(recorder: Recorder, call: Call) -> Any:
    values = call.values
    outputs = call.run()
    for output in [outputs] if isinstance(outputs, torch.Tensor) else outputs:
        if not output.is_floating_point():
            raise recorder.unsupported_error(call.name, f"its result is {output.dtype}")
    rule = Linear(call, [v.data.shape[1:] for v in values], [v.data for v in values])
    view_of = values[0] if call.name in _VIEW_NAMES else None
    call.forget()
    return recorder.emit(rule, values, outputs, view_of=view_of)


def _quadratic(recorder: Recorder, call: Call) -> Any:
    if len(call.values) == 1 and call.name not in ("square", "var"):
        return _linear(recorder, call)
    operands = call.args[1:] if call.name == "einsum" else call.args
    if isinstance(operands[0], list | tuple):
        operands = operands[0]
    if sum(value_of(o, recorder.tape) is not None for o in operands) > 2 and call.name == "einsum":
        raise recorder.unsupported_error(call.name, "more than two operands depend on the input")
    values = call.values
    outputs = call.run()
    call.forget()
    return recorder.emit(Quadratic(call), values, outputs, tuple(v.data for v in values))


def _dense(recorder: Recorder, call: Call) -> Any:
    weight = call.args[1] if len(call.args) > 1 else call.kwargs["weight"]
    if len(call.values) > 1 or value_of(weight, recorder.tape) is not None:
        return _quadratic(recorder, call)
    (value,) = call.values
    outputs = call.run()
    return recorder.emit(Dense(weight), [value], outputs)


def _mul(recorder: Recorder, call: Call) -> Any:
    if len(call.values) == 1:
        return _linear(recorder, call)
    values = call.values
    outputs = call.run()
    rule = Product([v.data.shape[1:] for v in values])
    return recorder.emit(rule, values, outputs, tuple(v.data for v in values))


def _div(recorder: Recorder, call: Call) -> Any:
    if call.kwargs.get("rounding_mode") is not None:
        return recorder.uncovered(call, "it rounds")
    numerator, denominator = (
        call.args[0],
        call.args[1] if len(call.args) > 1 else call.kwargs["other"],
    )
    if value_of(denominator, recorder.tape) is None:
        return _linear(recorder, call)
    return recorder.traced(lambda: torch.reciprocal(denominator) * numerator)


def _batch_norm(recorder: Recorder, call: Call) -> Any:
    names = ("input", "running_mean", "running_var", "weight", "bias", "training")
    given = dict(zip(names, call.args, strict=False)) | call.kwargs
    if given.get("training") or given.get("running_mean") is None:
        return _refuse(recorder, call, "it uses the statistics of the batch")
    return _linear(recorder, call)


def _dropout(recorder: Recorder, call: Call) -> Any:
    training = call.kwargs.get("training", call.args[2] if len(call.args) > 2 else True)
    if training and call.kwargs.get("p", call.args[1] if len(call.args) > 1 else 0.5) > 0:
        return _refuse(recorder, call, "it is random in training mode")
    (value,) = call.values
    return recorder.emit(Identity(), [value], value.data)


def _refuse(recorder: Recorder, call: Call, why: str) -> Any:
    raise recorder.unsupported_error(call.name, why)


# Elementwise ----------------------------------------------------------------------------------


def _elementwise(exact: bool) -> Handler:
    def handle(recorder: Recorder, call: Call) -> Any:
        if len(call.values) > 1 or value_of(call.args[0], recorder.tape) is None:
            return recorder.uncovered(call, "an argument other than the first depends on the input")
        (value,) = call.values
        pointwise = not call.constant_tensors()
        outputs = call(value.data) if pointwise else call.run()
        assert isinstance(outputs, torch.Tensor)
        if outputs.shape != value.data.shape:
            wide = recorder.traced(call.args[0].expand, outputs.shape[1:])
            arguments = (wide, *call.args[1:])
            return handle(
                recorder, Call(call.function, arguments, call.kwargs, recorder.tape, call.name)
            )
        call.forget()
        rule = Elementwise(call, exact=exact, pointwise=pointwise)
        return recorder.emit(rule, [value], outputs, (value.data,))

    return handle


def _exp(recorder: Recorder, call: Call) -> Any:
    (value,) = call.values
    outputs = torch.exp(value.data)
    return recorder.emit(Exponential(), [value], outputs, (value.data, outputs))


def _pow(recorder: Recorder, call: Call) -> Any:
    base, exponent = (
        call.args[:2] if len(call.args) > 1 else (call.args[0], call.kwargs["exponent"])
    )
    if value_of(exponent, recorder.tape) is not None:
        if value_of(base, recorder.tape) is None and not isinstance(base, torch.Tensor):
            return recorder.traced(lambda: torch.exp(exponent * math.log(base)))
        return recorder.traced(lambda: torch.exp(exponent * torch.log(base)))
    if isinstance(exponent, int | float) and exponent in (1, 2):
        return recorder.traced(lambda: base * base if exponent == 2 else base * 1)
    return _elementwise(exact=False)(recorder, call)


# Maxima ---------------------------------------------------------------------------------------


def _max_pool(recorder: Recorder, call: Call) -> Any:
    names = ["kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"]
    if call.name.startswith("adaptive"):
        names = ["output_size", "return_indices"]
    given = dict(zip(["input", *names], call.args, strict=False)) | call.kwargs
    rows = given.pop("input")
    if given.pop("return_indices", False):
        return _refuse(recorder, call, "the indices that it returns depend on the input")
    (value,) = call.values
    pool = _MAX_POOLS[call.name]
    outputs, places = torch.vmap(lambda row: pool(row, **given))(value.data)
    n_dims = int(call.name[-2])
    flat = recorder.traced(torch.flatten, rows, -n_dims)
    return _emit_maximum(recorder, flat, places.flatten(-n_dims), outputs)


def _emit_maximum(
    recorder: Recorder, flat: torch.Tensor, places: torch.Tensor, outputs: torch.Tensor
) -> Any:
    """Record maxima over groups of the last dimension of `flat`."""
    value = value_of(flat, recorder.tape)
    assert value is not None
    saved = (value.data, places, value.data.gather(-1, places))
    return recorder.emit(Maximum(), [value], outputs, saved)


def _amax(recorder: Recorder, call: Call) -> Any:
    names = ("input", "dim", "keepdim")
    given = dict(zip(names, call.args, strict=False)) | call.kwargs
    rows, keepdim = given["input"], given.get("keepdim", False)
    dims = given.get("dim", ())
    dims = [dims] if isinstance(dims, int) else list(dims)
    dims = sorted(d % rows.dim() for d in dims) or list(range(rows.dim()))
    others = [d for d in range(rows.dim()) if d not in dims]
    flat = recorder.traced(lambda: rows.permute(*others, *dims).flatten(len(others)))
    value = value_of(flat, recorder.tape)
    assert value is not None
    places = value.data.argmax(-1, keepdim=True)
    outputs = value.data.gather(-1, places).squeeze(-1)
    if keepdim:
        for d in dims:
            outputs = outputs.unsqueeze(1 + d)
    return _emit_maximum(recorder, flat, places, outputs)


def _max(recorder: Recorder, call: Call) -> Any:
    """Record ``torch.max`` and ``torch.min`` in their three forms."""
    names = ("input", "dim", "keepdim")
    given = dict(zip(names, call.args, strict=False)) | call.kwargs
    other = given.pop("other", given.get("dim"))
    smallest = call.name == "min"
    if isinstance(other, torch.Tensor):
        pair = torch.minimum if smallest else torch.maximum
        return recorder.traced(pair, given["input"], other)
    reduce = torch.amin if smallest else torch.amax
    if other is None:
        return recorder.traced(reduce, given["input"])
    maxima = recorder.traced(reduce, **given)
    # Whoever uses the places uses something that has no slope.
    places = recorder.untouchable(maxima.shape)
    kind = torch.return_types.min if smallest else torch.return_types.max
    return kind((maxima, places))


def _logsumexp(recorder: Recorder, call: Call) -> Any:
    names = ("input", "dim", "keepdim")
    given = dict(zip(names, call.args, strict=False)) | call.kwargs
    (value,) = call.values
    dims, keepdim = given["dim"], given.get("keepdim", False)
    n_dims = value.data.dim() - 1
    dims = tuple(d % n_dims for d in ([dims] if isinstance(dims, int) else dims))
    kept = torch.logsumexp(value.data, [1 + d for d in dims], keepdim=True)
    outputs = kept if keepdim else kept.squeeze([1 + d for d in dims])
    return recorder.emit(LogSumExp(dims, keepdim), [value], outputs, (value.data - kept,))


def _composite(function: Callable) -> Handler:
    def handle(recorder: Recorder, call: Call) -> Any:
        try:
            return recorder.traced(function, *call.args, **call.kwargs)
        except UnsupportedOperationError:
            raise
        except NotImplementedError as error:
            return recorder.uncovered(call, str(error))

    return handle


_VIEW_NAMES = set(_VIEWS.split())

HANDLERS: dict[str, Handler] = {
    **{name: _linear for name in (_VIEWS + " " + _LINEAR).split()},
    **{name: _quadratic for name in _QUADRATIC.split()},
    **{name: _elementwise(exact=True) for name in _STRAIGHT.split()},
    **{name: _elementwise(exact=False) for name in _CURVED.split()},
    **{name: _composite(function) for name, function in COMPOSITES.items()},
    **dict.fromkeys(_MAX_POOLS, _max_pool),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout",
                     "alpha_dropout", "feature_alpha_dropout"), _dropout),
    "linear": _dense,
    "mul": _mul,
    "div": _div,
    "pow": _pow,
    "exp": _exp,
    "batch_norm": _batch_norm,
    "amax": _amax,
    "max": _max,
    "min": _max,
    "logsumexp": _logsumexp,
    **recurrent.HANDLERS,
}  # fmt: skip
