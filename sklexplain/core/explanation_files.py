"""Explanations as npz files of arrays and JSON, which no reader has to unpickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from .archives import MAX_BYTES, Archive, check_max_bytes, write_arrays
from .players import Players

if TYPE_CHECKING:
    from .explanation import Explanation

_SCHEMA = 1
_HEADER, _LABELS = "header", "player_labels"
ARRAYS = ("values", "base_values", "predictions", "std_errors", "data", "index", "conditions")
_DIAGNOSTIC = "diagnostics."


def write_explanation(explanation: Explanation, path: str | PathLike[str]) -> None:
    """Write an explanation; see :meth:`Explanation.save`."""
    write_arrays(path, packed(explanation))


def packed(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as arrays, one of them a header of JSON text."""
    arrays = {
        name: getattr(explanation, name)
        for name in ARRAYS
        if getattr(explanation, name) is not None
    }
    arrays |= {f"{_DIAGNOSTIC}{name}": array for name, array in explanation.diagnostics.items()}
    index = arrays.get("index")
    if index is not None and index.dtype == object:
        arrays["index"] = np.asarray([str(label) for label in index])
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise TypeError(f"{name} holds objects, which only pickle could store")
    header = json.dumps(_header(explanation), default=_plain)
    return {_HEADER: np.asarray(header), _LABELS: explanation.players.labels, **arrays}


def read_explanation(
    path: str | PathLike[str], cls: type[Explanation], max_bytes: int = MAX_BYTES
) -> Explanation:
    """Read what :func:`write_explanation` wrote; see :meth:`Explanation.load`."""
    with opened(path, max_bytes) as archive:
        return unpacked(archive, path, cls)


def opened(
    path: str | PathLike[str], max_bytes: int, failure: str = "is not a saved Explanation"
) -> Archive:
    """Return the archive at `path`; a ValueError says that it holds no explanation, and why."""
    check_max_bytes(max_bytes)
    try:
        return Archive(path, max_bytes)
    except ValueError as error:
        raise ValueError(f"{path} {failure}: {error}") from error


def unpacked(
    arrays: Mapping[str, Any], path: str | PathLike[str], cls: type[Explanation]
) -> Explanation:
    """Return the explanation that :func:`packed` arrays hold.

    Raises
    ------
    ValueError
        If they are no explanation, or of another schema; `path` says where they come from.
    """
    try:
        header = json.loads(str(arrays[_HEADER]))
        # What a newer version stores is unknown, so nothing else is read before.
        if header["schema"] == _SCHEMA:
            _refuse_strangers(arrays)
            return cls(**_parts(arrays, header))
    except Exception as error:
        raise ValueError(f"{path} is not a saved Explanation: {error!r}") from error
    raise ValueError(
        f"{path} has schema {header['schema']}, but this version reads {_SCHEMA}; update sklexplain"
    )


def _refuse_strangers(arrays: Mapping[str, Any]) -> None:
    known = {_HEADER, _LABELS, *ARRAYS}
    strangers = [name for name in arrays if name not in known and not name.startswith(_DIAGNOSTIC)]
    if strangers:
        raise ValueError(f"it holds {strangers}, which no explanation has")


def _header(explanation: Explanation) -> dict[str, Any]:
    players = explanation.players
    return {
        "schema": _SCHEMA,
        "method": explanation.method,
        "kind": explanation.kind,
        "output_names": explanation.output_names,
        "params": explanation.params,
        "categories": {str(column): names for column, names in explanation.categories.items()},
        "players": {
            "names": players.names,
            "shape": players.shape,
            "level": players.level,
            "feature_names": players.feature_names,
        },
    }


def _parts(archive: Mapping[str, Any], header: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the stored explanation."""
    players = Players(
        archive[_LABELS],
        tuple(header["players"]["names"]),
        tuple(header["players"]["shape"]),
        header["players"]["level"],
        tuple(header["players"]["feature_names"]),
    )
    arrays = {name: archive.get(name) for name in ARRAYS}
    diagnostics = {
        name.removeprefix(_DIAGNOSTIC): archive[name]
        for name in archive
        if name.startswith(_DIAGNOSTIC)
    }
    categories = {int(column): tuple(names) for column, names in header["categories"].items()}
    return {
        **arrays,
        "diagnostics": diagnostics,
        "players": players,
        "output_names": tuple(header["output_names"]),
        "method": header["method"],
        "kind": header["kind"],
        "params": header["params"],
        "categories": categories,
    }


def _plain(value: Any) -> Any:
    """Return a numpy number as Python's own, which JSON knows."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(
        f"params hold {value!r}; only numbers, text, lists and dictionaries of these are stored"
    )
