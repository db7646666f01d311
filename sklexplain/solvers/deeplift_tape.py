"""What one run of a module computed from its input, and the way back through it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from .deeplift_rules import Rule, Saved


class UnsupportedOperationError(NotImplementedError):
    """The module runs an operation on its input that no DeepLIFT rule covers."""


@dataclass(frozen=True)
class Entry:
    """One operation of a tape; inputs and outputs are the numbers of its values."""

    rule: Rule
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    saved: Saved


@dataclass
class Tape:
    """Everything that one run of a module computed from its input.

    Attributes
    ----------
    entries : list of Entry
        In the order of computation.
    shapes : list of torch.Size
        Of each value, without the hidden dimension of rows. Value 0 is the input.
    output : int or None
        The value that the module returned; None if it does not depend on the input.
    outputs : tensor of shape (n_rows, n_outputs)
    uncovered : list of str
        The operations that got their plain gradient, and where they were called.
    """

    entries: list[Entry] = field(default_factory=list)
    shapes: list[torch.Size] = field(default_factory=list)
    output: int | None = None
    outputs: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    uncovered: list[str] = field(default_factory=list)

    def bytes_per_row(self) -> int:
        """Return the size of what the entries saved, for one row."""
        tensors = {id(t): t for entry in self.entries for t in entry.saved}
        return sum(t[0].numel() * t.element_size() for t in tensors.values() if len(t))

    def bytes_per_pair(self, n_outputs: int, itemsize: int) -> tuple[int, int]:
        """Return the memory that the multipliers of one pair need, and what is in use at once.

        Rules that go through a sequence a step at a time use little of it at once; where there are
        some, they take the time, and what others use does not count.
        """
        sizes = [shape.numel() for shape in self.shapes]
        live: dict[int, int] = {} if self.output is None else {self.output: sizes[self.output]}
        peak = widest = sizes[0]
        in_steps = 0
        for entry in reversed(self.entries):
            given = [live.pop(o) for o in entry.outputs if o in live]
            if not given:
                continue
            handed = [sizes[i] for i in entry.inputs]
            largest = max(*given, *handed)
            of_step = getattr(entry.rule, "elements_of_step", 0)
            in_steps = max(in_steps, of_step)
            widest = max(widest, largest)
            temporary = 2 * n_outputs * (sum(given) + sum(handed)) * itemsize
            if of_step:
                temporary += of_step * n_outputs * itemsize
            elif not getattr(entry.rule, "is_linear", False):
                # A handful of tensors of the inputs' size, some in double precision.
                temporary += 6 * 8 * largest
            peak = max(peak, n_outputs * sum(live.values()) * itemsize + temporary)
            live.update({i: sizes[i] for i in entry.inputs})
        return peak, (in_steps or widest) * n_outputs * itemsize


@dataclass(eq=False)
class Value:
    """The values, for all rows, of one tensor that depends on the input."""

    number: int
    data: torch.Tensor
    tape: Tape
    # Every placeholder that torch would give the same memory.
    aliases: list[weakref.ref] = field(default_factory=list)


class Call:
    """One call of a torch function, as a function of those arguments that depend on the input."""

    def __init__(self, function: Callable, args: Any, kwargs: Any, tape: Tape, name: str) -> None:
        self.function, self.args, self.kwargs, self.name = function, args, kwargs, name
        self._leaves, self._spec = tree_flatten((args, kwargs))
        found = [(i, value_of(leaf, tape)) for i, leaf in enumerate(self._leaves)]
        self._places = [i for i, value in found if value is not None]
        self.values = [value for _, value in found if value is not None]

    def constant_tensors(self) -> bool:
        """Whether an argument is a tensor that does not depend on the input."""
        places = set(self._places)
        return any(
            isinstance(leaf, torch.Tensor) and i not in places
            for i, leaf in enumerate(self._leaves)
        )

    def __call__(self, *tensors: torch.Tensor) -> Any:
        """Run the function on one row."""
        leaves = list(self._leaves)
        for place, tensor in zip(self._places, tensors, strict=True):
            leaves[place] = tensor
        args, kwargs = tree_unflatten(leaves, self._spec)
        return self.function(*args, **kwargs)

    def forget(self) -> None:
        """Let go of the arguments, so that only what the rules need outlives the run."""
        for place in self._places:
            self._leaves[place] = None
        self.args, self.kwargs, self.values = (), {}, []

    def run(self) -> list[torch.Tensor] | torch.Tensor:
        """Run the function on all rows."""
        outputs = torch.vmap(self)(*(value.data for value in self.values))
        return outputs if isinstance(outputs, torch.Tensor) else list(outputs)


def value_of(tensor: Any, tape: Tape) -> Value | None:
    """Return what the tape knows of a tensor; None where it does not depend on the input."""
    if not isinstance(tensor, torch.Tensor):
        return None
    value = getattr(tensor, "_deeplift_value", None)
    return value if value is not None and value.tape is tape else None


def propagate(
    tape_x: Tape, tape_r: Tape, rows: slice, columns: slice, start: torch.Tensor
) -> torch.Tensor | None:
    """Take the multipliers of the outputs back to the input, for every pair.

    Parameters
    ----------
    tape_x, tape_r : Tape
        Of the explained rows and of the references.
    rows, columns : slice
        The rows of each tape that are paired.
    start : tensor of shape (1, 1, n_outputs, *output_shape)

    Returns
    -------
    tensor of shape (n or 1, b or 1, n_outputs, *input_shape), or None where nothing depends on
    the input.
    """
    if len(tape_x.entries) != len(tape_r.entries):
        raise UnsupportedOperationError(
            "the module runs other operations for one row than for another"
        )
    assert tape_x.output is not None
    waiting = {tape_x.output: start}
    for entry, other in zip(reversed(tape_x.entries), reversed(tape_r.entries), strict=True):
        given = [waiting.pop(number, None) for number in entry.outputs]
        if all(cotangent is None for cotangent in given):
            continue
        handed = entry.rule.backward(
            given, tuple(t[rows] for t in entry.saved), tuple(t[columns] for t in other.saved)
        )
        for number, cotangent in zip(entry.inputs, handed, strict=True):
            if cotangent is not None:
                before = waiting.get(number)
                waiting[number] = cotangent if before is None else before + cotangent
    return waiting.get(0)
