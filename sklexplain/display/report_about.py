"""The report's sections about the data, the model, and how to read the numbers."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.adapters import unwrapped
from ..core.explanation import Explanation
from .page import Facts, Section, Table
from .report_parts import decimals_for, number
from .report_words import reading_paragraphs

_MOST_COLUMNS = 30


def data_section(
    named: Mapping[str, Explanation],
    X: Any,
    y: Any,
    *,
    unit: str = "",
    title: str = "The data",
    paragraphs: Sequence[str] = (),
    more_facts: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
) -> Section:
    """Say what the held-out rows, or the explained ones, hold.

    Parameters
    ----------
    named : mapping from str to Explanation
    X, y : the held-out rows and targets, or None
    unit : str, default=""
        Of the target.
    title : str
    paragraphs : sequence of str, default=()
    more_facts : sequence of (name, value), default=()
        Shown first.
    notes : sequence of str, default=()

    Returns
    -------
    Section
    """
    explained = next((one for one in named.values() if one.data is not None), None)
    facts = list(more_facts)
    if X is not None:
        facts.append(("Held-out rows", f"{len(X):,}"))
    if explained is not None:
        told = [f"{len(one):,} by {name}" for name, one in named.items() if one.data is not None]
        facts.append(("Explained rows", ", ".join(told)))
    shape = next(iter(named.values())).players.shape
    if len(shape) == 2:
        facts += [("Time steps in a window", f"{shape[0]:,}"), ("Features", f"{shape[1]:,}")]
    else:
        facts.append(("Columns", f"{shape[0]:,}"))
    if y is not None:
        facts.append(("Target", _target_in_words(np.asarray(y), unit)))
    names = next(iter(named.values())).players.feature_names
    blocks: list[Facts | Table] = [Facts(facts)]
    source = "held-out" if X is not None else "explained"
    ranges, categories = _columns_of(X, explained, names)
    for columns, heads in (
        (ranges, ["column", "smallest", "median", "largest"]),
        (categories, ["column", "most frequent values"]),
    ):
        if columns:
            left_out = len(columns) - _MOST_COLUMNS
            caption = f"What the {source} rows hold."
            caption += f" {left_out} further columns are left out." if left_out > 0 else ""
            blocks.append(Table(heads, columns[:_MOST_COLUMNS], caption))
    return Section(title, paragraphs, blocks, notes)


def _target_in_words(y: np.ndarray, unit: str) -> str:
    if y.dtype.kind in "fc" or (y.dtype.kind in "iu" and len(np.unique(y)) > 20):
        decimals = decimals_for(y)
        low, high = (number(float(edge), decimals) for edge in (np.nanmin(y), np.nanmax(y)))
        return f"{low} to {high}{f' {unit}' if unit else ''}"
    labels, counts = np.unique(y, return_counts=True)
    told = [f"{label}: {count / len(y):.0%}" for label, count in zip(labels, counts, strict=True)]
    return ", ".join(told[:10]) + (f" and {len(told) - 10} more" if len(told) > 10 else "")


def _columns_of(
    X: Any, explained: Explanation | None, names: Sequence[str]
) -> tuple[list[list[str]], list[list[str]]]:
    """Return the ranges of the columns of numbers, and the frequent values of the others."""
    columns: list[tuple[str, np.ndarray]] = []
    if hasattr(X, "columns") and hasattr(X, "iloc"):
        columns = [(str(name), X.iloc[:, i].to_numpy()) for i, name in enumerate(X.columns)]
    elif X is not None and np.ndim(X) in (2, 3) and np.shape(X)[-1] == len(names):
        columns = [(name, np.asarray(X)[..., i].ravel()) for i, name in enumerate(names)]
    elif X is None and explained is not None and explained.data is not None:
        for i, name in enumerate(names):
            values = explained.data[..., i].ravel()
            if i in explained.categories:
                known = np.asarray(explained.categories[i], dtype=object)
                values = known[values[np.isfinite(values)].astype(int)]
            columns.append((name, values))
    are_numbers = [values.dtype.kind in "biuf" for _, values in columns]
    pairs = list(zip(columns, are_numbers, strict=True))
    return (
        [_range(name, values) for (name, values), numeric in pairs if numeric],
        [_most_frequent(name, values) for (name, values), numeric in pairs if not numeric],
    )


def _range(name: str, values: np.ndarray) -> list[str]:
    finite = values[np.isfinite(values)].astype(float)
    if not len(finite):
        return [name, "missing", "", ""]
    decimals = 0 if np.all(finite == np.round(finite)) else decimals_for(finite)
    edges = (finite.min(), np.median(finite), finite.max())
    return [name, *(number(float(edge), decimals) for edge in edges)]


def _most_frequent(name: str, values: np.ndarray) -> list[str]:
    labels, counts = np.unique([str(value) for value in values], return_counts=True)
    most = np.argsort(-counts, kind="stable")[:3]
    told = ", ".join(f"{labels[i]} ({counts[i] / counts.sum():.0%})" for i in most)
    return [name, told + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")]


def model_section(
    estimator: Any,
    *,
    title: str = "The model",
    paragraphs: Sequence[str] = (),
    leave_out: Sequence[str] = (),
) -> Section:
    """Say what the model is, and its hyperparameters, those that were changed first.

    Parameters
    ----------
    estimator : fitted estimator, explainer, module or function
    title : str
    paragraphs : sequence of str, default=()
        In place of the sentence that names the estimator.
    leave_out : sequence of str, default=()
        Hyperparameters that say nothing.

    Returns
    -------
    Section
    """
    if hasattr(estimator, "players_"):
        estimator = estimator.estimator_
    core = unwrapped(estimator)
    steps = [step for _, step in getattr(core, "steps", [])]
    last = unwrapped(steps[-1]) if steps else core
    name = type(last).__name__
    told = list(paragraphs)
    if not told and len(steps) > 1:
        chain = ", ".join(type(step).__name__ for step in steps[:-1])
        told = [f"{name}, after {chain}. Hyperparameters that differ from the defaults come first."]
    elif not told:
        named = hasattr(last, "get_params")
        told = [f"{name}." + (" Those that differ from the defaults come first." if named else "")]
    blocks = [parameters_of(last, leave_out)] if hasattr(last, "get_params") else []
    return Section(title, told, blocks)


def reading_section(
    named: Mapping[str, Explanation],
    *,
    title: str = "How to read these numbers",
    paragraphs: Sequence[str] = (),
) -> Section:
    """Say what each number means and what it does not.

    Parameters
    ----------
    named : mapping from str to Explanation
    title : str
    paragraphs : sequence of str, default=()
        Added at the end.

    Returns
    -------
    Section
    """
    return Section(title, [*reading_paragraphs(named.values()), *paragraphs])


def parameters_of(estimator: Any, leave_out: Sequence[str] = ()) -> Facts:
    """Return the hyperparameters of an estimator, those that were changed first.

    Parameters
    ----------
    estimator : estimator
    leave_out : sequence of str, default=()

    Returns
    -------
    Facts
    """
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(type(estimator)).parameters.items()
    }
    given = estimator.get_params(deep=False).items()
    items = [(name, value) for name, value in given if name not in leave_out]
    items.sort(key=lambda item: repr(item[1]) == repr(defaults.get(item[0])))
    return Facts([(name, str(value)) for name, value in items])
