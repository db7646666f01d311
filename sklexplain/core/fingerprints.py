"""Fingerprints: by what a model, data and parameters are recognised in another process."""

from __future__ import annotations

import dis
import sys
import sysconfig
from collections.abc import Iterator
from functools import _lru_cache_wrapper, cached_property
from pathlib import Path
from threading import Lock, RLock
from types import (
    CellType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    ModuleType,
)
from typing import Any

import numpy as np
from joblib.hashing import Hasher

_INSTALLED = tuple(
    str(Path(sysconfig.get_path(name)).resolve()) for name in ("stdlib", "purelib", "platlib")
)
_PACKAGE = __name__.split(".")[0]
# Members of a class that no output depends on: where slots lie, and who waits for whom.
_TELL_NOTHING = (MemberDescriptorType, GetSetDescriptorType, type(Lock()), type(RLock()))

# Where what is written in a class as a function keeps it.
_WRAPPERS = {
    classmethod: "__func__",
    staticmethod: "__func__",
    property: "fget",
    cached_property: "func",
}


def fingerprint(value: Any) -> str:
    """Return a text that is the same for equal values in every process, and for no others.

    Functions count by their code, defaults, closures and the globals they name, also those of the
    user's own modules; classes of the user's own by their bases and members; torch modules by their
    class, attributes and weights; skorch nets by their module; fitted searches by their best
    estimator, because they note how long fitting took. What an installed package defines counts by
    its name and the package's version. Everything else counts by its pickle, as of
    :func:`joblib.hash`.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
        Hexadecimal digits.

    Raises
    ------
    TypeError
        If a part of the value can neither be pickled nor told apart in another way: a lock, an open
        file, a generator.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.core.fingerprints import fingerprint
    >>> fingerprint({"a": 1, "b": np.ones(3)}) == fingerprint({"b": np.ones(3), "a": 1})
    True
    >>> fingerprint(np.ones(3)) == fingerprint(np.ones(3, dtype=np.float32))
    False
    """
    try:
        return _Fingerprinter().hash(value)
    except Exception as error:
        # Whatever an object's own pickling raises.
        raise TypeError(f"it cannot be recognised in another process: {error!r}") from error


class _Fingerprinter(Hasher):
    """joblib's hash, which sees into what pickle only knows by name or differs in every process."""

    def __init__(self) -> None:
        super().__init__(hash_name="sha1")
        # Kept alive, because a number that stands for an object must not be given out again.
        self._met: dict[int, tuple[int, Any]] = {}
        self._open: dict[int, int] = {}

    def memoize(self, obj: Any) -> None:
        """Remember nothing: whether equal parts are one object changes when they are pickled."""

    def _batch_setitems(self, items: Any, *arguments: Any) -> None:
        """Put keys in an order; joblib's own way takes what a value raises for a key's fault."""
        listed = list(items)
        try:
            listed.sort(key=lambda item: item[0])
        except TypeError:
            listed.sort(key=lambda item: fingerprint(item[0]))
        super(Hasher, self)._batch_setitems(iter(listed), *arguments)

    def save(self, obj: Any) -> None:
        if isinstance(obj, np.ndarray):
            self._save_array(obj)
        elif isinstance(obj, int | float | str | bytes | None):
            super().save(obj)
        elif id(obj) in self._open:
            super().save(("holds itself", self._open[id(obj)]))
        else:
            self._open[id(obj)] = len(self._open)
            self._save_part(obj)
            del self._open[id(obj)]

    def _save_array(self, array: np.ndarray) -> None:
        """Add the same numbers however they lie in memory, which changes when they are pickled."""
        if array.dtype.names:
            # Field by field, because what lies between the fields may be anything.
            self.save(("records", [(name, array[name]) for name in array.dtype.names]))
        elif array.dtype.hasobject:
            self.save(("objects", array.shape, array.ravel().tolist()))
        else:
            content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            self._hash.update(content.data)
            self.save(("array", array.dtype.str, array.shape))

    def _save_part(self, obj: Any) -> None:
        inside = _inside(obj)
        if inside is None:
            super().save(obj)
        elif not isinstance(obj, FunctionType | type) and inside[0] != "torch module":
            super().save(inside)
        elif id(obj) in self._met:
            # What a function calls is often called by others too.
            super().save(("met before", self._met[id(obj)][0]))
        else:
            self._met[id(obj)] = (len(self._met), obj)
            super().save(inside)


def _inside(value: Any) -> tuple[Any, ...] | None:
    """Return what a value is made of; None where its pickle tells."""
    if isinstance(value, ModuleType):
        return ("python module", value.__name__, getattr(value, "__version__", None))
    if isinstance(value, FunctionType):
        return _installed(value) or _function(value)
    if isinstance(value, _lru_cache_wrapper):
        return ("remembers answers", value.__wrapped__)
    if isinstance(value, np.dtype):
        return ("dtype", value.str, value.descr)
    if isinstance(value, CodeType):
        return _code(value)
    if isinstance(value, type) and value.__module__ != "builtins":
        return _installed(value) or _class(value)
    if isinstance(value, np.random.RandomState | np.random.Generator):
        # Where it stands says how often it was asked, and the global one stands anywhere.
        return ("random numbers",)
    if hasattr(value, "get_tree_stats") and hasattr(value, "get_arrays"):
        # scikit-learn's search trees count what they are asked.
        return ("search tree", type(value), [np.asarray(part) for part in value.get_arrays()])
    if hasattr(value, "best_estimator_") and hasattr(value, "cv_results_"):
        return ("search", type(value), value.best_estimator_)
    return _of_torch(value)


def _of_torch(value: Any) -> tuple[Any, ...] | None:
    torch, skorch = sys.modules.get("torch"), sys.modules.get("skorch")
    if torch is None:
        return None
    if isinstance(value, torch.nn.Module):
        return _torch_module(value)
    if isinstance(value, torch.Tensor):
        array = value.detach().cpu()
        # numpy has no such type.
        array = array.float() if array.dtype == torch.bfloat16 else array
        return ("tensor", str(value.dtype), array.numpy())
    if isinstance(value, torch.dtype | torch.device):
        return ("torch", str(value))
    if skorch is not None and isinstance(value, skorch.NeuralNet):
        classes = list(value.classes_) if hasattr(value, "classes_") else None
        return ("skorch net", type(value), value.module_, value.predict_nonlinearity, classes)
    return None


def _torch_module(module: Any) -> tuple[Any, ...]:
    """Return what decides a module's outputs; its private attributes point at what is here."""
    state = vars(module)
    public = {
        name: value
        for name, value in state.items()
        if not name.startswith("_") and name not in ("training", "call_super_init")
    }
    hooks = [list(state[name].values()) for name in ("_forward_pre_hooks", "_forward_hooks")]
    parts = [list(state[name].items()) for name in ("_parameters", "_buffers", "_modules")]
    # A scripted module keeps its code outside Python.
    return ("torch module", type(module), getattr(module, "code", None), public, hooks, parts)


def _function(function: FunctionType) -> tuple[Any, ...]:
    closure = [_content(cell) for cell in function.__closure__ or ()]
    defaults = (function.__defaults__, function.__kwdefaults__)
    return ("function", function.__name__, function.__code__, defaults, closure, _named(function))


def _named(function: FunctionType) -> dict[str, Any]:
    """Return the globals that a function names, and what it may name in the user's own modules."""
    names = sorted(set(_global_names(function.__code__)))
    found: dict[str, Any] = {}
    # Modules that it imports itself are not among its globals.
    imported = {
        name: sys.modules[name]
        for name in sorted(set(_imports(function.__code__)))
        if name in sys.modules
    }
    places = [("", imported | function.__globals__)]
    seen = set()
    while places:
        prefix, place = places.pop()
        for name in names:
            if name not in place:
                continue
            value = found[prefix + name] = place[name]
            if isinstance(value, ModuleType) and value.__name__ not in seen and _is_users(value):
                seen.add(value.__name__)
                places.append((f"{value.__name__}.", vars(value)))
    return found


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        # Named by the function, but never given a value.
        return None


def _global_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)


def _imports(code: CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _imports(constant)


def _code(code: CodeType) -> tuple[Any, ...]:
    constants = [
        ("set", sorted(map(repr, constant))) if isinstance(constant, frozenset) else constant
        for constant in code.co_consts
    ]
    return ("code", code.co_code, code.co_names, code.co_varnames, code.co_freevars, constants)


def _class(cls: type) -> tuple[Any, ...]:
    """Return a class's bases and members: what a user's own class does may change."""
    members = []
    for name, member in sorted(vars(cls).items()):
        for wrapper, inside in _WRAPPERS.items():
            if isinstance(member, wrapper):
                member = getattr(member, inside)
        # Python's own notes of a class, such as where it is written, are named in this way; what is
        # called without being named is not.
        is_own = not (name.startswith("__") and name.endswith("__")) and name != "_abc_impl"
        if isinstance(member, FunctionType) or (is_own and not isinstance(member, _TELL_NOTHING)):
            members.append((name, member))
    return ("class", cls.__qualname__, list(cls.__bases__), members)


def _installed(value: Any) -> tuple[Any, ...] | None:
    """Return name and version of what a package or Python itself defines; None of the user's."""
    module = sys.modules.get(value.__module__ or "")
    if module is None or _is_users(module):
        return None
    package = sys.modules.get(value.__module__.split(".")[0])
    version = getattr(package, "__version__", None)
    return ("installed", value.__module__, value.__qualname__, version)


def _is_users(module: ModuleType) -> bool:
    """Whether a module is neither of an installed package, nor Python's, nor of this one."""
    if module.__name__ == "__main__":
        return True
    if module.__name__.split(".")[0] == _PACKAGE:
        return False
    # A folder without an __init__.py has no file.
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    return file is not None and not str(Path(file).resolve()).startswith(_INSTALLED)
