"""npz files as data from strangers: every size and name is checked before it is used.

`numpy.load` refuses pickles too, but it allocates what a header asks for, takes archives that
unpack to any size, and lets one member hide another of the same name.
"""

from __future__ import annotations

import math
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

# What an archive may unpack to, unless its reader says otherwise.
MAX_BYTES = 2**30

_SUFFIX = ".npy"
_ENCRYPTED = 0x1
# Beyond numbers, booleans, text, dates and durations only pickle could say what a value is.
_KINDS = "biufUSMm"
_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def write_arrays(path: str | PathLike[str], arrays: Mapping[str, Any]) -> None:
    """Write arrays to a compressed npz file, replacing one that is there when all is written.

    Raises
    ------
    OSError
        If the folder cannot be written to; a file that was there stays as it was.
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            np.savez_compressed(file, **arrays)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


class Archive(Mapping[str, np.ndarray]):
    """The arrays of an npz file, each read when it is asked for.

    Parameters
    ----------
    path : str or path
    max_bytes : int
        The most that all members together may unpack to. Their declared sizes are added up
        before any is unpacked, and no member is unpacked beyond what it declares.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is no archive of arrays, or unpacks to more than `max_bytes`.
    """

    def __init__(self, path: str | PathLike[str], max_bytes: int = MAX_BYTES) -> None:
        check_max_bytes(max_bytes)
        self._file = open(path, "rb")  # noqa: SIM115  closed by __exit__, or below
        try:
            self._zip = zipfile.ZipFile(self._file)
            self._members = _checked_members(self._zip.infolist(), max_bytes)
        except ValueError:
            self._file.close()
            raise
        except Exception as error:
            self._file.close()
            # A foreign or damaged file can fail in every part of zipfile's reader.
            raise ValueError(f"it is no npz file: {error!r}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def __getitem__(self, name: str) -> np.ndarray:
        member = self._members[name]
        try:
            with self._zip.open(member) as stream:
                return _read_array(stream, member)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError) as error:
            raise ValueError(f"{member.filename} is damaged: {error}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def check_max_bytes(max_bytes: Any) -> None:
    """Raise unless `max_bytes` is a positive number of bytes."""
    whole = isinstance(max_bytes, int | np.integer) and not isinstance(max_bytes, bool)
    if not whole:
        raise TypeError(f"max_bytes={max_bytes!r} must be a number of bytes, as an int")
    if max_bytes < 1:
        raise ValueError(f"max_bytes={max_bytes} must be positive")


def _checked_members(members: list[zipfile.ZipInfo], max_bytes: int) -> dict[str, zipfile.ZipInfo]:
    """Return the members by array name, having refused what no writer of arrays leaves."""
    named: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        name = member.filename
        inside = not any(part in name for part in ("/", "\\", "\0", ".."))
        if not (inside and name.endswith(_SUFFIX)):
            raise ValueError(f"it holds {name!r}, which is no array")
        if member.flag_bits & _ENCRYPTED:
            raise ValueError(f"its member {name!r} is encrypted")
        if name.removesuffix(_SUFFIX) in named:
            raise ValueError(f"it holds {name!r} more than once")
        named[name.removesuffix(_SUFFIX)] = member
    unpacked = sum(member.file_size for member in members)
    if unpacked > max_bytes:
        raise ValueError(
            f"it unpacks to {unpacked:,} bytes, beyond max_bytes={max_bytes:,}; if you trust the "
            "file, give a larger max_bytes"
        )
    return named


def _read_array(stream: IO[bytes], member: zipfile.ZipInfo) -> np.ndarray:
    """Return the array of one member; its header, its size and its content must agree."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADER_READERS:
        raise ValueError(f"{member.filename} is of npy format {version}, which no array here needs")
    shape, by_columns, dtype = _HEADER_READERS[version](stream)
    if dtype.kind not in _KINDS or dtype.subdtype is not None:
        raise ValueError(f"{member.filename} holds {dtype}, which is neither numbers nor text")
    size = math.prod(shape) * dtype.itemsize
    present = member.file_size - stream.tell()
    if min(shape, default=1) < 0 or size != present:
        raise ValueError(
            f"{member.filename} announces {shape} of {dtype}, which is {size:,} bytes, but holds "
            f"{present:,}"
        )
    content = bytearray(size)
    filled = 0
    while filled < size:
        n_read = stream.readinto(memoryview(content)[filled:])  # type: ignore[attr-defined]
        if not n_read:
            raise ValueError(f"{member.filename} ends after {filled:,} of {size:,} bytes")
        filled += n_read
    # The checksum is compared at the end of the stream.
    if stream.read(1):
        raise ValueError(f"{member.filename} is longer than it says")
    if not size:
        return np.empty(shape, dtype, order="F" if by_columns else "C")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")
