"""Failures of a model: which row, with which players replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .models import Model, ModelError, NonFiniteOutputError


@dataclass(frozen=True)
class RowNames:
    """Names rows in errors by their position.

    Parameters
    ----------
    numbers : ndarray of int, optional
        What they are called; by default their positions.
    """

    numbers: np.ndarray | None = None

    def __call__(self, i: int) -> str:
        """Return the name of a row."""
        return f"row {i if self.numbers is None else self.numbers[i]}"


def blame(
    error: ModelError, run: Model | Callable[[Any], Any], batch: Any, name: Callable[[int], str]
) -> ModelError:
    """Return an error that names the row of a batch at which the model fails.

    The batch is run again in halves, about twice its rows in all.

    Parameters
    ----------
    error : ModelError
        What the whole batch raised.
    run : callable
        Runs a part of the batch.
    batch : ndarray or tensor
    name : callable
        What the row at a position of the batch is called.

    Returns
    -------
    ModelError
    """
    first, last = 0, len(batch)
    while last - first > 1:
        middle = (first + last) // 2
        if _fails(run, batch[first:middle]):
            last = middle
        elif _fails(run, batch[middle:last]):
            first = middle
        else:
            # Together only.
            return ModelError(f"{error}, for {name(first)} to {name(last - 1)} in one batch")
    return ModelError(f"{error}, for {name(first)}")


def _fails(run: Callable[[Any], Any], part: Any) -> bool:
    try:
        run(part)
    except ModelError:
        return True
    return False


def refuse_non_finite_rows(outputs: np.ndarray, name: str | Callable[[int], str]) -> np.ndarray:
    """Return the outputs of rows, (n_rows, n_outputs), if all are finite.

    Raises
    ------
    NonFiniteOutputError
        Naming the first row whose output is not.
    """
    broken = np.argwhere(~np.isfinite(outputs))
    if len(broken):
        row, output = broken[0]
        which = name(int(row)) if callable(name) else f"{name} {row}"
        raise NonFiniteOutputError(
            f"the model returned {outputs[row, output]} for {which}; explanations need finite "
            "outputs"
        )
    return outputs
