"""Explanations in parts: joined into one, or written to files as they come."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .explanation import Explanation

# What a method reports of its run rather than was told, and what it comes to over several runs.
_REPORTS: dict[str, Callable[[list[Any]], Any]] = {
    "n_evals_run": sum,
    "exact": all,
    "uncovered": lambda found: sorted(set().union(*found)),
}
_FORMATS = {"npz": ".npz", "parquet": ".parquet"}


def joined(explanations: Iterable[Explanation]) -> Explanation:
    """Return explanations of several sets of rows as one; see :meth:`Explanation.concat`."""
    parts = list(explanations)
    if not parts:
        raise ValueError("explanations is empty; give at least one")
    first = parts[0]
    for number, part in enumerate(parts[1:], 1):
        _refuse_other(first, part, number)
    recoded, categories = _in_one_code(parts)
    reports: dict[str, list[Any]] = {name: [] for name in first.diagnostics}
    for part in parts:
        for name in reports:
            reports[name].append(part.diagnostics[name])
    return replace(
        first,
        values=np.concatenate([part.values for part in parts]),
        base_values=np.concatenate([part.base_values for part in parts]),
        predictions=np.concatenate([part.predictions for part in parts]),
        std_errors=_joined_errors(parts),
        data=None if first.data is None else np.concatenate(recoded),
        index=_joined_index(parts),
        conditions=_concatenated([part.conditions for part in parts]),
        categories=categories,
        params=_joined_params([part.params for part in parts]),
        diagnostics={name: np.concatenate(arrays) for name, arrays in reports.items()},
    )


def _refuse_other(first: Explanation, part: Explanation, number: int) -> None:
    """Raise where an explanation does not continue the first."""
    for name in ("method", "kind", "output_names"):
        here, there = getattr(first, name), getattr(part, name)
        if here != there:
            raise ValueError(f"explanations differ in {name}: {here!r}, but {there!r} in {number}")
    ours, theirs = first.players, part.players
    if ours.names != theirs.names:
        raise ValueError(
            f"explanations differ in players: {list(ours.names)}, but {list(theirs.names)} in "
            f"{number}"
        )
    if not np.array_equal(ours.labels, theirs.labels) or ours.shape != theirs.shape:
        raise ValueError(f"explanations differ in players: those of {number} hold other cells")
    told = [
        {name: value for name, value in each.params.items() if name not in _REPORTS}
        for each in (first, part)
    ]
    for name in sorted({*told[0], *told[1]}):
        if told[0].get(name) != told[1].get(name):
            raise ValueError(
                f"explanations differ in params[{name!r}]: {told[0].get(name)!r}, but "
                f"{told[1].get(name)!r} in {number}"
            )
    for name in ("data", "conditions"):
        if (getattr(first, name) is None) != (getattr(part, name) is None):
            raise ValueError(f"explanations differ in {name}: some have it, and some have not")
    if set(first.diagnostics) != set(part.diagnostics):
        raise ValueError(
            f"explanations differ in diagnostics: {sorted(first.diagnostics)}, but "
            f"{sorted(part.diagnostics)} in {number}"
        )


def _joined_params(params: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        name: _REPORTS[name]([each[name] for each in params if name in each])
        if name in _REPORTS
        else value
        for name, value in params[0].items()
    }


def _joined_errors(parts: Sequence[Explanation]) -> np.ndarray | None:
    if all(part.std_errors is None for part in parts):
        return None
    # Rows without errors among rows with errors are exact.
    return np.concatenate(
        [np.zeros(part.shape) if part.std_errors is None else part.std_errors for part in parts]
    )


def _joined_index(parts: Sequence[Explanation]) -> np.ndarray | None:
    if all(part.index is None for part in parts):
        return None
    labels = [np.arange(len(part)) if part.index is None else part.index for part in parts]
    unlabelled = [part.index is None and len(part) > 0 for part in parts]
    # Labels 0, 1, 2, … are left out, as those of the first rows of a table often are.
    if any(unlabelled) and not all(array.dtype.kind in "iu" for array in labels):
        number = unlabelled.index(True)
        raise ValueError(f"explanations differ in index: {number} has no labels for its rows")
    index = np.concatenate(labels)
    return None if np.array_equal(index, np.arange(len(index))) else index


def _concatenated(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    present = [array for array in arrays if array is not None]
    return np.concatenate(present) if present else None


def _in_one_code(
    parts: Sequence[Explanation],
) -> tuple[list[np.ndarray], dict[int, tuple[str, ...]]]:
    """Return the data with codes that mean the same everywhere, and what they mean."""
    known: dict[int, list[str]] = {}
    for part in parts:
        for column, names in part.categories.items():
            listed = known.setdefault(column, [])
            listed += [name for name in names if name not in listed]
    recoded = []
    for part in parts:
        if part.data is None:
            continue
        data = np.asarray(part.data)
        for column, names in part.categories.items():
            codes = np.array([known[column].index(name) for name in names], dtype=float)
            if not np.array_equal(codes, np.arange(len(codes))):
                data = data.copy()
                held = ~np.isnan(data[..., column])
                data[held, column] = codes[data[held, column].astype(int)]
        recoded.append(data)
    return recoded, {column: tuple(names) for column, names in known.items()}


def write_parts(
    folder: str | os.PathLike[str], explanations: Iterable[Explanation], format: str = "npz"
) -> list[Path]:
    """Write explanations to numbered files as they come, one at a time in memory.

    A file appears under its name only when it is complete, and replaces an earlier one. Parts of an
    earlier run that are not replaced stay, with a RuntimeWarning.

    Parameters
    ----------
    folder : str or path
        Made if it is not there.
    explanations : iterable of Explanation
        Such as of :meth:`explain_batches`.
    format : {"npz", "parquet"}, default="npz"
        ``"npz"`` keeps all of an explanation, for :meth:`Explanation.load` and
        :meth:`Explanation.concat`. ``"parquet"`` is a table for other programs, a row a sample: the
        values (``player`` or ``player:output``), then ``base_value`` and ``prediction`` (with
        ``:output`` too), and standard errors as ``std_error:player`` where there are any.

    Returns
    -------
    list of Path
        ``part-000000.npz``, ``part-000001.npz``, … in order.

    Raises
    ------
    ValueError
        If `format` is unknown.
    TypeError
        If `explanations` are none.
    ImportError
        If pandas or pyarrow is missing for Parquet.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklexplain import KernelSHAP
    >>> from sklexplain.core.explanation import Explanation
    >>> from sklexplain.core.explanation_parts import write_parts
    >>> X = np.arange(20.0).reshape(10, 2)
    >>> explainer = KernelSHAP(lambda X: X.sum(axis=1), background=X[:1]).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = write_parts(folder, explainer.explain_batches(X, batch_rows=4))
    ...     len(Explanation.concat(map(Explanation.load, paths)))
    10
    """
    if format not in _FORMATS:
        raise ValueError(f"format={format!r} is not one of {list(_FORMATS)}")
    if format == "parquet":
        _import_parquet()
    if not isinstance(explanations, Iterable):
        raise TypeError(
            f"explanations={explanations!r} must be an iterable of Explanation, such as "
            "explainer.explain_batches(X)"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for explanation in explanations:
        if not hasattr(explanation, "players"):
            raise TypeError(
                f"explanations holds a {type(explanation).__name__}; give Explanation objects only"
            )
        path = folder / f"part-{len(paths):06d}{_FORMATS[format]}"
        if format == "npz":
            explanation.save(path)
        else:
            _write_parquet(explanation, path)
        paths.append(path)
    warn_of_others(folder, paths)
    return paths


def warn_of_others(folder: Path, paths: Sequence[Path]) -> None:
    """Say which parts in a folder are of an earlier run, and would be read together with these."""
    others = sorted({path.name for path in folder.glob("part-*")} - {path.name for path in paths})
    if others:
        warnings.warn(
            f"{folder} holds parts of an earlier run too, from {others[0]} on ({len(others)} in "
            "all); remove them, or read the returned paths only",
            RuntimeWarning,
            stacklevel=3,
        )


def _write_parquet(explanation: Explanation, path: Path) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _table(explanation).to_parquet(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _import_parquet() -> None:
    try:
        for name in ("pandas", "pyarrow"):
            import_module(name)
    except ImportError as error:
        raise ImportError(
            "format=\"parquet\" needs pandas and pyarrow: pip install 'sklexplain[cli]'"
        ) from error


def _table(explanation: Explanation) -> Any:
    """Return an explanation as a table whose columns are named by plain text."""
    import pandas as pd

    names = explanation.column_names()
    outputs = [f":{name}" for name in explanation.output_names] or [""]
    blocks = {tuple(names): explanation.values}
    blocks[tuple(f"base_value{output}" for output in outputs)] = explanation.base_values
    blocks[tuple(f"prediction{output}" for output in outputs)] = explanation.predictions
    if explanation.std_errors is not None:
        blocks[tuple(f"std_error:{name}" for name in names)] = explanation.std_errors
    columns = [name for block in blocks for name in block]
    arrays = [array.reshape(len(explanation), -1) for array in blocks.values()]
    return pd.DataFrame(np.concatenate(arrays, axis=1), index=explanation.index, columns=columns)
