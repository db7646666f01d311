"""Record what a torch module computes, row by row, so that rules can walk it backwards.

A module is run once on a batch of one placeholder row. Beside each placeholder that depends on
the input, the recorder holds the values of all rows in a dimension that the module never sees, so
views, transpositions and hard-coded batch sizes in the module's code cannot mix the rows up, and
the same tape serves every pair of an explained row with a reference.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from .deeplift_rules import PlainGradient, Rule, Saved
from .deeplift_tape import Call, Entry, Tape, UnsupportedOperationError, Value, value_of

_T = TypeVar("_T")


class Recorder(TorchFunctionMode):
    """See every torch call of a module and write it to a tape.

    Parameters
    ----------
    rows : tensor of shape (n_rows, *shape)
    handlers : mapping from the name of a torch function to a handler ``(recorder, call)``
        A handler records the call and returns placeholders of its outputs.
    unsupported : {"error", "gradient"}
    module : nn.Module
        For messages only.
    """

    def __init__(
        self,
        rows: torch.Tensor,
        handlers: dict[str, Callable[[Recorder, Call], Any]],
        unsupported: str,
        module: nn.Module,
    ) -> None:
        super().__init__()
        self.rows, self.handlers, self.unsupported, self.module = (
            rows,
            handlers,
            unsupported,
            module,
        )
        self.tape = Tape()
        self.input = self._placeholder(rows[:, None], [])
        self._decomposing: list[Callable] = []
        self._shared: dict[type, Any] = {}

    def __torch_function__(
        self, func: Callable, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = _name(func)
        call = Call(func, args, kwargs, self.tape, name)
        if not call.values or name in _SHAPE_ONLY or _is_property(func, name):
            return func(*args, **kwargs)
        if any(value.number < 0 for value in call.values):
            raise self.unsupported_error(name, "it uses integers that depend on the input")
        if kwargs.get("out") is not None:
            raise self.unsupported_error(name, "it writes to out=; use its return value instead")
        in_place = _out_of_place(func, name, kwargs)
        if in_place is not None:
            return self._in_place(in_place, args, kwargs)
        if name in self.handlers:
            return self.handlers[name](self, call)
        if isinstance(func, FunctionType) and func not in self._decomposing:
            return self.decompose(func, args, kwargs)
        return self.uncovered(call)

    # What handlers use ------------------------------------------------------------------------

    def emit(
        self,
        rule: Rule,
        inputs: Sequence[Value],
        outputs: torch.Tensor | Sequence[torch.Tensor],
        saved: Saved = (),
        *,
        view_of: Value | None = None,
    ) -> Any:
        """Write one operation to the tape and return placeholders of its outputs."""
        single = isinstance(outputs, torch.Tensor)
        data = [outputs] if isinstance(outputs, torch.Tensor) else list(outputs)
        aliases = [] if view_of is None else view_of.aliases
        first = len(self.tape.shapes)
        placeholders = [self._placeholder(d, aliases if view_of else []) for d in data]
        numbers = tuple(range(first, len(self.tape.shapes)))
        entry = Entry(rule, tuple(value.number for value in inputs), numbers, saved)
        self.tape.entries.append(entry)
        return placeholders[0] if single else tuple(placeholders)

    def untouchable(self, shape: torch.Size) -> torch.Tensor:
        """Return a placeholder of integers that depend on the input: any use is refused."""
        tensor = torch.zeros(shape, dtype=torch.long, device=self.rows.device)
        tensor._deeplift_value = Value(-1, tensor, self.tape)  # type: ignore[attr-defined]
        return tensor

    def shared(self, kind: type[_T]) -> _T:
        """Return the one object of a class that all rules of this tape share."""
        return self._shared.setdefault(kind, kind())

    def traced(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """Run a function of placeholders that is itself written in torch functions."""
        with self:
            return function(*args, **kwargs)

    def decompose(self, function: Any, args: Any, kwargs: Any) -> Any:
        """Run torch's own Python code of a function, and record the calls inside it."""
        # That code hands itself over to the mode again unless it believes that there is none.
        scope = dict(function.__globals__)
        scope.update({k: _never for k in scope if k.startswith("has_torch_function")})
        body = FunctionType(
            function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
        )
        body.__kwdefaults__ = function.__kwdefaults__
        self._decomposing.append(function)
        try:
            return self.traced(body, *args, **kwargs)
        finally:
            self._decomposing.pop()

    def uncovered(self, call: Call, why: str = "") -> Any:
        """Refuse an operation, or give it its plain gradient where the caller asked for that."""
        if self.unsupported != "gradient":
            raise self.unsupported_error(call.name, why)
        values = call.values
        try:
            outputs = call.run()
        except Exception as error:
            raise self.unsupported_error(call.name, why or str(error).splitlines()[0]) from error
        flat = [outputs] if isinstance(outputs, torch.Tensor) else outputs
        if not all(isinstance(o, torch.Tensor) and o.is_floating_point() for o in flat):
            raise self.unsupported_error(call.name, why or "its result has no gradient")
        place = f"{call.name} at {_call_site(self.module)}"
        if place not in self.tape.uncovered:
            self.tape.uncovered.append(place)
        saved = tuple(value.data for value in values)
        call.forget()
        return self.emit(PlainGradient(call), values, outputs, saved)

    def unsupported_error(self, name: str, why: str = "") -> UnsupportedOperationError:
        """Return the error that names an operation and where it was called."""
        return UnsupportedOperationError(
            f"DeepLIFT has no rule for {name}, called at {_call_site(self.module)}"
            + (f": {why}" if why else "")
            + '. KernelSHAP explains any model; unsupported="gradient" gives operations without a '
            "rule their plain gradient where they have one."
        )

    # Inside -----------------------------------------------------------------------------------

    def _placeholder(self, data: torch.Tensor, aliases: list[weakref.ref]) -> torch.Tensor:
        # An operation that torch functions cannot see would compute with the placeholder itself:
        # NaN makes sure that this never passes for a result.
        tensor = torch.full(data.shape[1:], torch.nan, dtype=data.dtype, device=data.device)
        value = Value(len(self.tape.shapes), data, self.tape, aliases)
        self.tape.shapes.append(tensor.shape)
        aliases.append(weakref.ref(tensor))
        tensor._deeplift_value = value  # type: ignore[attr-defined]
        return tensor

    def _in_place(self, function: Callable, args: Any, kwargs: Any) -> Any:
        """Compute out of place, and let the written tensor stand for the result from now on."""
        target = args[0]
        value = value_of(target, self.tape)
        name = _name(function)
        if value is not None:
            living = [alias() for alias in value.aliases]
            if any(other is not None and other is not target for other in living):
                raise self.unsupported_error(
                    name,
                    "it writes in place to a tensor that shares memory with another one "
                    "still in use; write it out of place",
                )
        result = self.traced(function, *args, **{k: v for k, v in kwargs.items() if k != "inplace"})
        if result.shape != target.shape or result.dtype != target.dtype:
            result = self.traced(_like, result, target.shape, target.dtype)
        new = value_of(result, self.tape)
        if new is None:  # overwritten with constants
            del target._deeplift_value
            return target.copy_(result)
        new.aliases[:] = [weakref.ref(target)]
        target._deeplift_value = new
        return target


def record(
    function: Callable[[torch.Tensor], Any],
    rows: torch.Tensor,
    handlers: dict[str, Callable[[Recorder, Call], Any]],
    unsupported: str,
    module: nn.Module,
) -> Tape:
    """Run `function` on `rows` and return its tape.

    Parameters
    ----------
    function : callable
        The module, with its head if it has one.
    rows : tensor of shape (n_rows, *shape)
    handlers, unsupported, module
        See :class:`Recorder`.
    """
    recorder = Recorder(rows, handlers, unsupported, module)
    with torch.no_grad(), recorder:
        output = function(recorder.input)
    value = value_of(output, recorder.tape)
    tape = recorder.tape
    if value is None:
        tape.outputs = output.reshape(1, -1).expand(len(rows), -1)
    else:
        tape.output, tape.outputs = value.number, value.data.reshape(len(rows), -1)
    return tape


def _never(*_args: Any, **_kwargs: Any) -> bool:
    return False


def _name(function: Any) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    if name in ("__get__", "__set__"):
        return f"{function.__self__.__name__}.{name}"
    return _DUNDERS.get(name, name)


_DUNDERS = {
    "__add__": "add", "__radd__": "add", "__sub__": "sub", "__mul__": "mul", "__rmul__": "mul",
    "__truediv__": "div", "__div__": "div", "true_divide": "div", "divide": "div",
    "subtract": "sub", "multiply": "mul", "__neg__": "neg", "negative": "neg", "__abs__": "abs",
    "absolute": "abs", "__matmul__": "matmul", "__pos__": "positive",
}  # fmt: skip
_IN_PLACE_DUNDERS = {
    "__iadd__": "add", "__isub__": "sub", "__imul__": "mul", "__itruediv__": "div",
    "__idiv__": "div", "__ipow__": "pow",
}  # fmt: skip
# These read the shape, type or place of a tensor, never its values.
_SHAPE_ONLY = {
    "size", "dim", "ndimension", "numel", "nelement", "stride", "storage_offset", "is_contiguous",
    "is_floating_point", "is_complex", "element_size", "get_device", "__len__",
    "__hash__", "requires_grad_", "is_same_size", "is_signed", "zeros_like", "ones_like",
    "empty_like", "full_like", "new_zeros", "new_ones", "new_full", "new_empty", "__repr__",
    "__format__", "__str__", "has_names", "is_inference", "is_conj", "is_neg", "result_type",
    "can_cast", "is_tensor",
    "is_shared", "is_pinned",
}  # fmt: skip
_TENSOR_PROPERTIES = {"T", "mT", "H", "mH", "data", "real", "imag", "grad"}


def _is_property(function: Any, name: str) -> bool:
    return name.endswith(".__get__") and name.split(".")[0] not in _TENSOR_PROPERTIES


def _out_of_place(function: Any, name: str, kwargs: dict[str, Any]) -> Callable | None:
    """Return the function that computes what an in-place function writes; None for others."""
    if name == "__setitem__":
        return set_item
    if name in _IN_PLACE_DUNDERS:
        return getattr(torch.Tensor, _IN_PLACE_DUNDERS[name])
    if kwargs.get("inplace"):
        return function
    if name.endswith("_") and not name.endswith("__"):
        bare = name.rstrip("_")
        if bare in _WRITERS:
            return _WRITERS[bare]
        for home in (torch.Tensor, torch, nn.functional):
            if hasattr(home, bare):
                return getattr(home, bare)
    return None


def _copied(target: torch.Tensor, source: torch.Tensor, *_args: Any) -> torch.Tensor:
    return _like(source, target.shape, target.dtype)


_WRITERS: dict[str, Callable] = {
    "zero": torch.zeros_like,
    "fill": torch.full_like,
    "copy": _copied,
}


def _like(source: torch.Tensor, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
    return source.to(dtype).expand(shape).clone()


def set_item(base: torch.Tensor, index: Any, value: Any) -> torch.Tensor:
    """Return `base` with ``base[index] = value``, itself left alone."""
    if torch.overrides.has_torch_function((base,)):
        return torch.overrides.handle_torch_function(set_item, (base,), base, index, value)
    # A sum makes the copy depend on every row where only the value does.
    base = base + torch.zeros_like(value).sum() if isinstance(value, torch.Tensor) else base.clone()
    base[index] = value
    return base


def _call_site(module: nn.Module) -> str:
    """Name the innermost line outside torch and this package, and the part of the module."""
    names = {id(part): name for name, part in module.named_modules()}
    part, line, torch_line = None, None, ""
    frame = sys._getframe(1)
    while frame is not None:
        home = frame.f_globals.get("__name__", "")
        inside_torch = home.split(".")[0] == "torch"
        inside_here = home.startswith(__package__)
        if not inside_here and not inside_torch and line is None:
            line = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        if inside_torch and not torch_line and home.startswith("torch.nn.modules"):
            torch_line = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        owner = frame.f_locals.get("self")
        if part is None and isinstance(owner, nn.Module) and names.get(id(owner)):
            part = f"{names[id(owner)]} ({type(owner).__name__})"
        if home == __name__ and frame.f_code.co_name == "record":
            break
        frame = frame.f_back  # type: ignore[assignment]
    return (line or torch_line or type(module).__name__) + (f", in {part}" if part else "")
