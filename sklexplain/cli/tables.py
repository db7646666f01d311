"""From a DataFrame to the columns that a model learns from, each refusal with its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .options import Request
from .times import parse_times, written
from .wrong import listed, suggestion

_MOST_INTEGER_CLASSES = 10
_MOST_CLASSES = 50
_LEAST_TRAIN, _LEAST_TEST = 10, 2


@dataclass(frozen=True)
class Table:
    """Rows in the order of time, one group after another.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    features : tuple of str
    target : ndarray of shape (n_rows,)
        Numbers, or class labels.
    task : {"regression", "classification"}
    times : ndarray or DatetimeIndex of length n_rows, or None
    groups : ndarray of shape (n_rows,), or None
    labels : ndarray of str, shape (n_rows,)
        Group and time, or the number of the row in the file.
    notes : tuple of str
        What was decided that the user may want otherwise.
    """

    rows: np.ndarray
    features: tuple[str, ...]
    target: np.ndarray
    task: str
    times: Any
    groups: np.ndarray | None
    labels: np.ndarray
    notes: tuple[str, ...]


def checked_table(frame: Any, request: Request) -> Table:
    """Check all that can be wrong with the columns, and put the rows in order.

    Parameters
    ----------
    frame : DataFrame
    request : Request

    Returns
    -------
    Table

    Raises
    ------
    ValueError
        If a column is not there or cannot be used, or if there are too few rows. It names the
        column, the first row (counted from 1, without the header) and what to do.
    """
    path = request.data
    named = {"--target": request.target, "--time": request.time, "--group": request.group}
    for option, name in named.items():
        if name is not None:
            _check_column(frame, name, option, path)
    for name in request.features:
        _check_column(frame, name, "--features", path)
    groups = None if request.group is None else _groups(frame, request)
    times = None
    if request.time is not None:
        times = parse_times(frame[request.time], f"{path}: column {request.time!r}")
    target, task, notes = _target(frame, request)
    features, left_out = _features(frame, request)
    notes += left_out
    rows = _numbers(frame, features, request)
    order = _order(times, groups, len(rows))
    if (np.diff(order) < 0).any():
        by = " and ".join(repr(name) for name in (request.group, request.time) if name is not None)
        notes.append(f"the rows were not in order, and are sorted by {by}")
    times = None if times is None else times[order]
    groups = None if groups is None else groups[order]
    _refuse_repeated_times(times, groups, order, request)
    _refuse_too_short(groups, len(rows), request)
    return Table(
        rows=rows[order],
        features=features,
        target=target[order],
        task=task,
        times=times,
        groups=groups,
        labels=_labels(times, groups, order),
        notes=tuple(notes),
    )


def _check_column(frame: Any, name: str, option: str, path: Path) -> None:
    if name not in frame.columns:
        raise ValueError(
            f"{path} has no column {name!r} for {option}{suggestion(name, frame.columns)}; it has "
            f"{listed(frame.columns)}"
        )


def _is_text(column: Any) -> bool:
    return column.dtype.kind not in "biufcmM"


def _is_unnamed(name: str) -> bool:
    return not name or name.startswith("Unnamed: ")


def _groups(frame: Any, request: Request) -> np.ndarray:
    column = frame[request.group]
    missing = column.isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"{request.data}: column {request.group!r} has no group in row "
            f"{int(missing.argmax()) + 1}; fill it in or drop that row"
        )
    return column.astype(str).to_numpy(dtype=object)


def _features(frame: Any, request: Request) -> tuple[tuple[str, ...], list[str]]:
    """Return the columns to learn from, and notes on what was left out."""
    if request.features:
        return request.features, []
    target = frame[request.target]
    taken = {request.time, request.group}
    if request.horizon == 0 or _is_text(target):
        taken.add(request.target)
    unnamed = [name for name in frame.columns if _is_unnamed(name) and name not in taken]
    features = tuple(name for name in frame.columns if name not in taken and name not in unnamed)
    notes = [f"column {name!r} has no name in the file, and is left out" for name in unnamed]
    if not features:
        raise ValueError(
            f"{request.data} has no column to learn from beside {request.target!r}; add one, or "
            "use --horizon 1, where the target's own past is one"
        )
    return features, notes


def _numbers(frame: Any, features: tuple[str, ...], request: Request) -> np.ndarray:
    rows = np.empty((len(frame), len(features)))
    for position, name in enumerate(features):
        column = frame[name]
        if column.dtype.kind in "mMc" or _is_text(column):
            raise ValueError(_not_numeric(frame, name, request))
        rows[:, position] = column.to_numpy(dtype=float, na_value=np.nan)
        _refuse_not_finite(rows[:, position], name, request.data)
    return rows


def _not_numeric(frame: Any, name: str, request: Request) -> str:
    where, column = f"{request.data}: column {name!r}", frame[name]
    present = column.dropna()
    strange = _no_number(present)
    numeric = [
        other
        for other in frame.columns
        if frame[other].dtype.kind in "biuf" and other not in (request.time, request.group)
    ]
    others = "leave it out with --features"
    if numeric and len(",".join(numeric)) < 60:
        others += f" {','.join(numeric)}"
    if column.dtype.kind in "mM" or _are_dates(present):
        return f"{where} holds dates; name it with --time {name}, or {others}"
    if len(present) == 0:
        return f"{where} is empty; {others}"
    row = int(strange.idxmax()) if strange.any() else 0
    held = f"{where} holds text ({str(column[row])!r} in row {row + 1})"
    if strange.mean() < 0.5:
        return f"{held} among numbers; correct that cell, or drop its row"
    return f"{held}; encode it as numbers, name it with --group {name}, or {others}"


def _no_number(column: Any) -> Any:
    """Return which cells hold text that is no number."""
    import pandas

    return pandas.to_numeric(column, errors="coerce").isna()


def _are_dates(present: Any) -> bool:
    try:
        parse_times(present.head(20).astype(str), "")
    except ValueError:
        return False
    return len(present) > 0


def _refuse_not_finite(values: np.ndarray, name: str, path: Path) -> None:
    wrong = ~np.isfinite(values)
    if not wrong.any():
        return
    row = int(wrong.argmax())
    where = f"{path}: column {name!r}"
    if np.isnan(values[row]):
        n_missing = int(np.isnan(values).sum())
        count = f"{n_missing} missing value{'s' if n_missing > 1 else ''}"
        raise ValueError(
            f"{where} has {count}, first in row {row + 1}; fill in or drop such rows, or leave the "
            "column out with --features"
        )
    raise ValueError(f"{where} is infinite in row {row + 1}; correct that cell, or drop its row")


def _target(frame: Any, request: Request) -> tuple[np.ndarray, str, list[str]]:
    """Return the target as numbers or class labels, the task, and notes on the choice."""
    column, name = frame[request.target], request.target
    where = f"{request.data}: column {name!r}"
    missing = column.isna().to_numpy()
    if missing.any():
        n_missing = int(missing.sum())
        raise ValueError(
            f"{where} has {n_missing} missing value{'s' if n_missing > 1 else ''}, first in row "
            f"{int(missing.argmax()) + 1}; the target must be known in every row: drop such rows"
        )
    if column.dtype.kind in "mMc":
        raise ValueError(f"{where} holds dates; the --target must be numbers or classes")
    n_distinct = int(column.nunique())
    if n_distinct == 1 and len(column) > 1:
        raise ValueError(
            f"{where} is constant ({column.iloc[0]} in all rows), so there is nothing to learn; "
            "name another --target"
        )
    text, task, notes = _is_text(column), request.task, []
    strange = _no_number(column) if text else np.zeros(len(column), dtype=bool)
    row = int(np.argmax(strange))
    held = f"{where} holds text ({str(column.iloc[row])!r} in row {row + 1})"
    if strange.mean() < 0.5 and (task == "regression" or n_distinct > _MOST_CLASSES) and text:
        raise ValueError(f"{held} among numbers; correct that cell, or drop its row")
    if task == "auto":
        few = column.dtype.kind in "iu" and n_distinct <= _MOST_INTEGER_CLASSES
        task = "classification" if text or column.dtype.kind == "b" or few else "regression"
        if few:
            notes.append(
                f"{name!r} has {n_distinct} distinct whole numbers, which are taken as classes; "
                "--task regression takes them as amounts"
            )
    if task == "regression":
        if text:
            raise ValueError(f"{held}; --task regression needs numbers")
        values = column.to_numpy(dtype=float)
        _refuse_not_finite(values, name, request.data)
        return values, task, notes
    if n_distinct > _MOST_CLASSES:
        raise ValueError(
            f"{where} has {n_distinct} distinct values, such as {str(column.iloc[0])!r}, too many "
            f"for classes (at most {_MOST_CLASSES}); name another --target"
            + ("" if text else ", or use --task regression")
        )
    if column.dtype.kind in "iu":
        return column.to_numpy(dtype=np.int64), task, notes
    return column.astype(str).to_numpy(dtype=str), task, notes


def _order(times: Any, groups: np.ndarray | None, n_rows: int) -> np.ndarray:
    """Return the rows group by group, in the order of time within each."""
    keys = []
    if times is not None:
        keys.append(np.asarray(times))
    if groups is not None:
        _, first, codes = np.unique(groups, return_index=True, return_inverse=True)
        keys.append(np.argsort(np.argsort(first))[codes])
    return np.lexsort(keys) if keys else np.arange(n_rows)


def _refuse_repeated_times(
    times: Any, groups: np.ndarray | None, order: np.ndarray, request: Request
) -> None:
    if times is None:
        return
    same = np.asarray(times[1:] == times[:-1])
    if groups is not None:
        same &= groups[1:] == groups[:-1]
    if same.any():
        later = int(same.argmax()) + 1
        rows = sorted(int(order[row]) + 1 for row in (later - 1, later))
        shown = written(times[later : later + 1])[0]
        who = "" if groups is None else f" of {request.group} {groups[later]!r}"
        remedy = (
            "drop one of them, or name the column that tells series apart with --group"
            if groups is None
            else "drop one of them"
        )
        raise ValueError(
            f"{request.data}: column {request.time!r} holds {shown}{who} in rows {rows[0]} and "
            f"{rows[1]}; {remedy}"
        )


def n_windows(n_rows: int, request: Request) -> int:
    """Return how many windows with their targets a series of rows holds."""
    return max(0, n_rows - request.window - request.horizon + 1)


def _refuse_too_short(groups: np.ndarray | None, n_rows: int, request: Request) -> None:
    sizes = [n_rows]
    if groups is not None:
        sizes = np.unique(groups, return_counts=True)[1].tolist()
    n = sum(n_windows(size, request) for size in sizes)
    n_test = int(np.ceil(n * request.test_size))
    if n_test >= _LEAST_TEST and n - n_test >= _LEAST_TRAIN:
        return
    rows = f"{n_rows} rows" if groups is None else f"{n_rows} rows in {len(sizes)} groups"
    if request.window > 1:
        made = f"--window {request.window} and --horizon {request.horizon} make {n} windows of them"
    else:
        made = f"{n} of them have a target {request.horizon} rows ahead"
    raise ValueError(
        f"{request.data} is too short: it has {rows}, {made}, and --test-size "
        f"{request.test_size:g} leaves {n - n_test} to train on and {n_test} to test on, where at "
        f"least {_LEAST_TRAIN} and {_LEAST_TEST} are needed; "
        + ("use a shorter --window, or " if request.window > 1 else "")
        + "give more rows"
    )


def _labels(times: Any, groups: np.ndarray | None, order: np.ndarray) -> np.ndarray:
    shown = [f"row {row + 1}" for row in order] if times is None else written(times)
    if groups is None:
        return np.asarray(shown)
    return np.asarray([f"{group}, {label}" for group, label in zip(groups, shown, strict=True)])
