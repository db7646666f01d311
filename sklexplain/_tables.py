"""What a table must be before it can be windowed, each refusal with its place and remedy.

Works on anything with `columns` or `index`, so that pandas is never imported.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

_TIMES = {"datetime64", "datetime", "date", "timedelta64", "period"}


def column_of(X: Any, name: str, argument: str) -> Any:
    """Return the column of the DataFrame `X` that a string argument names."""
    columns = getattr(X, "columns", None)
    if columns is None:
        raise ValueError(
            f"{argument}={name!r} names a column, but X is a {type(X).__name__}, which has no "
            f"column names. Pass {argument} as an array, or X as a DataFrame."
        )
    if name not in columns:
        raise ValueError(f"{argument}={name!r} is not a column of X, which has {list(columns)}.")
    return X[name]


def check_kind(X: Any) -> None:
    """Refuse what is not a numeric table where the reason can be named better than by numpy."""
    if getattr(X, "ndim", 2) > 2:
        raise ValueError(
            f"X has shape {X.shape}: expected a table (n_rows, n_features). An array of windows "
            "needs no windowing."
        )
    if not hasattr(X, "columns"):
        if isinstance(X, np.ndarray) and X.dtype.kind in "US" and X.size:
            raise ValueError(
                f"X holds text ({str(X.flat[0])!r} first), not numbers. Encode or drop those "
                "columns; an array with text in one column holds its numbers as text too."
            )
        return
    refused = [name for name in dict.fromkeys(X.columns) if not _is_numeric(X[name])]
    if refused:
        raise ValueError(
            f"X has columns that are not numeric: {refused}. Encode or drop them; a column that "
            "says which series a row belongs to goes to `groups` of make_windows."
        )


def _is_numeric(column: Any) -> bool:
    values = np.asarray(column)
    if values.dtype.kind == "O":
        try:
            np.asarray(column, dtype=float)
        except (TypeError, ValueError):
            # Pandas' nullable numbers are objects to numpy once a value is missing.
            return getattr(getattr(column, "dtype", None), "kind", "O") in "biuf"
    # Complex numbers pass, as scikit-learn has its own error for them.
    return values.dtype.kind in "biufcO"


def _missing(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind in "fc":
        return ~np.isfinite(values)
    if values.dtype.kind == "O":
        # By the name of the type, so that pandas' NA is recognised without importing pandas.
        names = {"NoneType", "NAType", "NaTType"}
        flags = [
            type(value).__name__ in names or (isinstance(value, Real) and value != value)
            for value in values.ravel()
        ]
        return np.array(flags, dtype=bool).reshape(values.shape)
    return np.not_equal(values, values)


def check_finite(values: np.ndarray, name: str, source: Any) -> None:
    """Refuse NaN and infinity, naming the first place; `source` may know the column names."""
    missing = _missing(values)
    if not missing.any():
        return
    place = tuple(np.argwhere(missing)[0])
    where = f"row {place[0]}"
    if values.ndim == 2:
        columns = getattr(source, "columns", range(values.shape[1]))
        where += f", column {list(columns)[place[1]]!r}"
    infinite = values.dtype.kind == "f" and np.isinf(values[place])
    remedy = "Fill in or drop those rows first"
    if name == "y":
        remedy += "; if it comes from y.shift(-1), pass y unshifted, as `horizon` does the shifting"
    raise ValueError(
        f"{name} contains {'infinity' if infinite else 'NaN'} in {missing.sum()} place(s), first "
        f"in {where}. {remedy}."
    )


def group_bounds(groups: Any, n_rows: int) -> np.ndarray:
    """Check one label a row and return where each group starts, and the number of rows."""
    if groups is None:
        return np.array([0, n_rows])
    labels = np.asarray(groups)
    if labels.shape != (n_rows,):
        raise ValueError(
            f"X has {n_rows} rows but groups has shape {labels.shape}. Pass one label a row."
        )
    if _missing(labels).any():
        raise ValueError(f"groups has no label in row {int(np.argmax(_missing(labels)))}.")
    starts = np.flatnonzero(np.append(True, labels[1:] != labels[:-1]))
    seen = set()
    for start, label in zip(starts, labels[starts].tolist(), strict=True):
        if label in seen:
            raise ValueError(
                f"groups are mixed: group {label!r} starts again at row {start}. Sort X, y and "
                "groups by group first, and by time within each."
            )
        seen.add(label)
    return np.append(starts, n_rows)


def time_index(X: Any) -> Any:
    """Return the index, or its one level, that holds times; None where there is none."""
    index: Any = getattr(X, "index", None)
    levels = [index.get_level_values(level) for level in range(getattr(index, "nlevels", 0))]
    times = [level for level in levels if level.inferred_type in _TIMES]
    return times[0] if len(times) == 1 else None


def check_time_order(X: Any, group_starts: np.ndarray | None = None) -> None:
    """Refuse a time index that does not strictly increase within each group."""
    times = time_index(X)
    if times is None or len(times) < 2:
        return
    if times.hasnans:
        raise ValueError("The time index of X has missing times (NaT). Drop those rows first.")
    increases = np.append(True, np.asarray(times[1:] > times[:-1]))
    if group_starts is not None:
        increases[group_starts] = True
    if not increases.all():
        row = int(np.argmin(increases))
        raise ValueError(
            f"The time index of X does not increase: row {row} ({times[row]}) follows row "
            f"{row - 1} ({times[row - 1]}). Sort the rows first, X.sort_index(), and drop repeated "
            "times. For several series in one table, use make_windows with `groups`, one series "
            "after the other."
        )
