"""A CSV or Parquet file as a DataFrame, each refusal naming the file and the remedy."""

from __future__ import annotations

import csv
import re
import warnings
from pathlib import Path
from typing import Any

_SEPARATORS = ",;\t|"
_PARQUET = b"PAR1"
_SAMPLE = 1 << 16


def read_frame(path: Path) -> Any:
    """Read a table with named columns.

    What kind of file it is, is told by its content. The separator of a CSV file is the one of
    comma, semicolon, tab and bar that its first line has most of; beside semicolons a comma may be
    the decimal sign.

    Parameters
    ----------
    path : Path

    Returns
    -------
    DataFrame
        With at least one row; columns are unique text.

    Raises
    ------
    ValueError
        If the file is empty or no table.
    OSError
        If it cannot be read.
    ImportError
        If what reads it is not installed.
    """
    head = _head(path)
    if head.startswith(_PARQUET):
        frame = _read_parquet(path)
    elif path.suffix.lower() in (".parquet", ".pq"):
        raise ValueError(f"{path} is no Parquet file, whatever its name; is it complete?")
    else:
        frame = _read_csv(path, head)
    if len(frame) == 0:
        raise ValueError(f"{path} has column names but no rows")
    frame.columns = [str(name).strip() for name in frame.columns]
    _refuse_doubles(list(frame.columns), path)
    return frame.reset_index(drop=True)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(_SAMPLE)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} does not exist") from error
    except IsADirectoryError as error:
        raise IsADirectoryError(f"{path} is a folder; name the CSV or Parquet file") from error
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror or error}") from error
    if not head.strip():
        raise ValueError(f"{path} is empty")
    return head


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError(
            "reading tables needs pandas, which is not installed. Run: pip install "
            "'sklexplain[cli]'"
        ) from error
    return pandas


def _read_parquet(path: Path) -> Any:
    pandas = _pandas()
    try:
        frame = pandas.read_parquet(path)
    except ImportError as error:
        raise ImportError(
            f"reading {path} needs pyarrow, which is not installed. Run: pip install "
            "'sklexplain[cli]'"
        ) from error
    except Exception as error:
        # A damaged file can fail in every part of the reader.
        raise ValueError(f"{path} is no readable Parquet file: {error}") from error
    # An index with a name was a column to whoever wrote it.
    named = [name for name in frame.index.names if name is not None]
    return frame.reset_index(level=named) if named else frame


def _read_csv(path: Path, head: bytes) -> Any:
    pandas = _pandas()
    text = _decoded(path, head)
    first = next(line for line in text.splitlines() if line.strip())
    separator = max(_SEPARATORS, key=first.count)
    names = next(csv.reader([first], delimiter=separator))
    _refuse_doubles([name.strip() for name in names if name.strip()], path)
    decimal_comma = (
        separator == ";" and re.search(r"\d,\d", text) and not re.search(r"\d\.\d", text)
    )
    try:
        with warnings.catch_warnings():
            # Rows longer than the header are cut with no more than a warning.
            warnings.simplefilter("error", pandas.errors.ParserWarning)
            return pandas.read_csv(
                path,
                sep=separator,
                decimal="," if decimal_comma else ".",
                encoding="utf-8-sig",
                # One type for a whole column, told after all of it was read.
                low_memory=False,
                skipinitialspace=True,
                index_col=False,
            )
    except (
        pandas.errors.ParserError,
        pandas.errors.ParserWarning,
        pandas.errors.EmptyDataError,
    ) as error:
        raise ValueError(f"{path} is no readable CSV file: {error}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text; save it as CSV in UTF-8") from error


def _decoded(path: Path, head: bytes) -> str:
    if b"\0" in head:
        raise ValueError(f"{path} is a binary file, neither CSV text nor Parquet")
    try:
        # A character may be cut in two where the sample ends.
        return head.decode("utf-8-sig", errors="ignore" if len(head) == _SAMPLE else "strict")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not UTF-8 text (byte {error.start} is {head[error.start]:#04x}); save it "
            "as CSV in UTF-8, or as Parquet"
        ) from error


def _refuse_doubles(names: list[str], path: Path) -> None:
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise ValueError(f"{path} has more than one column named {twice[0]!r}; rename all but one")
