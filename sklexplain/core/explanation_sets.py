"""Several explanations in one npz file, by name, without pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import Any

import numpy as np

from .archives import MAX_BYTES, write_arrays
from .explanation import Explanation
from .explanation_files import opened, packed, unpacked

_SCHEMA = 1
_CONTENTS = "contents"
_FAILURE = (
    "holds no saved explanations; give a file that `sklexplain explain` or Explanation.save wrote"
)


def save_all(path: str | PathLike[str], explanations: Mapping[str, Explanation]) -> None:
    """Write explanations to one npz file of arrays and JSON, without pickle.

    A file that is there already is replaced at once, when the new one is complete.

    Parameters
    ----------
    path : str or path
    explanations : mapping from name to Explanation

    Raises
    ------
    ValueError
        If there are none.
    TypeError
        If `params` or `index` of one hold objects that are neither numbers, text nor dates.

    Examples
    --------
    >>> import os, tempfile
    >>> import numpy as np
    >>> from sklexplain import KernelSHAP
    >>> from sklexplain.core.explanation_sets import load_all, save_all
    >>> X = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0]])
    >>> explanation = KernelSHAP(lambda X: X.sum(axis=1)).fit(X).explain(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "explanations.npz")
    ...     save_all(path, {"all rows": explanation, "one row": explanation[0]})
    ...     {name: len(loaded) for name, loaded in load_all(path).items()}
    {'all rows': 3, 'one row': 1}
    """
    if not explanations:
        raise ValueError("explanations is empty; give at least one")
    contents = {"schema": _SCHEMA, "names": [str(name) for name in explanations]}
    arrays: dict[str, Any] = {_CONTENTS: np.asarray(json.dumps(contents))}
    for position, explanation in enumerate(explanations.values()):
        arrays |= {f"{position}.{name}": array for name, array in packed(explanation).items()}
    write_arrays(path, arrays)


def load_all(path: str | PathLike[str], *, max_bytes: int = MAX_BYTES) -> dict[str, Explanation]:
    """Read what :func:`save_all` wrote; a single saved explanation goes by its method's name.

    Parameters
    ----------
    path : str or path
    max_bytes : int, default=2**30
        The most that the file may unpack to, in bytes (1 GiB). It guards against a small file
        that fills the memory; raise it for large explanations of your own.

    Returns
    -------
    dict from name to Explanation
        In the order of saving.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it holds no explanations or those of another schema, if sizes or names in it do not
        agree, or if it unpacks to more than `max_bytes`.
    """
    with opened(path, max_bytes, _FAILURE) as archive:
        if _CONTENTS not in archive:
            single = unpacked(archive, path, Explanation)
            return {single.method: single}
        try:
            contents = json.loads(str(archive[_CONTENTS]))
            schema = contents["schema"]
            names = _checked_names(contents["names"], archive) if schema == _SCHEMA else []
        except Exception as error:
            raise ValueError(f"{path} {_FAILURE}: {error!r}") from error
        if schema != _SCHEMA:
            raise ValueError(
                f"{path} has schema {schema}, but this version reads {_SCHEMA}; update sklexplain"
            )
        return {
            name: unpacked(_Prefixed(archive, f"{position}."), path, Explanation)
            for position, name in enumerate(names)
        }


def _checked_names(names: Any, archive: Mapping[str, Any]) -> list[str]:
    """Return the names of the explanations, having refused members that belong to none."""
    if len(set(names)) != len(names) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"its names {names} are not text, each used once")
    prefixes = {str(position) for position in range(len(names))}
    strangers = [
        name for name in archive if name != _CONTENTS and name.split(".")[0] not in prefixes
    ]
    if strangers:
        raise ValueError(f"it holds {strangers}, which belong to none of {names}")
    return names


class _Prefixed(Mapping[str, Any]):
    """The arrays of an archive whose names begin alike, each read when it is asked for."""

    def __init__(self, archive: Mapping[str, Any], prefix: str) -> None:
        self._archive, self._prefix = archive, prefix

    def __getitem__(self, name: str) -> Any:
        return self._archive[self._prefix + name]

    def __iter__(self) -> Iterator[str]:
        for name in self._archive:
            if name.startswith(self._prefix):
                yield name.removeprefix(self._prefix)

    def __len__(self) -> int:
        return sum(1 for _ in self)
