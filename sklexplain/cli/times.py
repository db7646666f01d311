"""A column of times, read without guessing."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np

_FIRST_TWO = re.compile(r"\s*(\d{1,2})[/.-](\d{1,2})[/.-]\d")


def parse_times(column: Any, where: str) -> Any:
    """Return a column as numbers or as datetimes without a time zone.

    Numbers stay numbers; text is read as dates. Times with a zone are turned into UTC.

    Parameters
    ----------
    column : Series
    where : str
        Names the column and its file in errors.

    Returns
    -------
    ndarray or DatetimeIndex

    Raises
    ------
    ValueError
        If a time is missing, cannot be read, or can be read in two ways.
    """
    import pandas

    missing = column.isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"{where} has no time in row {int(missing.argmax()) + 1}; fill it in or drop that row"
        )
    if pandas.api.types.is_bool_dtype(column):
        raise ValueError(f"{where} holds {column.iloc[0]}, which is no time; name another --time")
    if pandas.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=float)
        if not np.isfinite(values).all():
            row = int(np.isfinite(values).argmin())
            raise ValueError(f"{where} holds {values[row]} in row {row + 1}; drop that row")
        return column.to_numpy()
    if pandas.api.types.is_datetime64_any_dtype(column):
        return _without_zone(pandas.DatetimeIndex(column))
    text = column.astype(str)
    _refuse_two_readings(text, where)
    for params in ({"format": "ISO8601"}, {}, {"dayfirst": True}):
        times = _parsed(pandas, text, params)
        if times is not None and not times.hasnans:
            return _without_zone(times)
    times = _parsed(pandas, text, {"format": "mixed"})
    row = int(times.isna().argmax()) if times is not None and times.hasnans else 0
    raise ValueError(
        f"{where} holds {text.iloc[row]!r} in row {row + 1}, which is no date; correct it, or "
        "write all dates as 2024-01-31 or 2024-01-31 18:30:00"
    )


def _parsed(pandas: Any, text: Any, params: dict[str, Any]) -> Any:
    """Return the times, NaT where one cannot be read; None if the whole cannot."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            return pandas.DatetimeIndex(
                pandas.to_datetime(text, errors="coerce", utc=True, **params)
            )
        except (ValueError, TypeError):
            return None


def _without_zone(times: Any) -> Any:
    return times.tz_convert("UTC").tz_localize(None) if times.tz is not None else times


def _refuse_two_readings(text: Any, where: str) -> None:
    """Refuse dates such as 03/04/2024 where no date tells whether the day or month comes first."""
    pairs = [match.groups() for match in map(_FIRST_TWO.match, text) if match]
    if not pairs or len(pairs) < len(text):
        return
    numbers = np.asarray(pairs, dtype=int)
    if (numbers <= 12).all() and (numbers[:, 0] != numbers[:, 1]).any():
        row = int((numbers[:, 0] != numbers[:, 1]).argmax())
        raise ValueError(
            f"{where} holds {text.iloc[row]!r} in row {row + 1}, whose day and month cannot be "
            "told apart; write dates as 2024-01-31"
        )


def written(times: Any) -> np.ndarray:
    """Return times as text, as short as they allow.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.cli.times import written
    >>> written(np.array([1.0, 2.5])).tolist()
    ['1.0', '2.5']
    """
    if not hasattr(times, "strftime"):
        return np.asarray([str(time) for time in times])
    if (times == times.normalize()).all():
        shown = "%Y-%m-%d"
    else:
        shown = "%Y-%m-%d %H:%M" if not times.second.any() else "%Y-%m-%d %H:%M:%S"
    return np.asarray(times.strftime(shown), dtype=str)
