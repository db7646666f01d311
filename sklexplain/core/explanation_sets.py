"""Several explanations in one npz file, by name, without pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .explanation import Explanation
from .explanation_files import packed, unpacked

_SCHEMA = 1
_CONTENTS = "contents"


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
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            np.savez_compressed(file, **arrays)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def load_all(path: str | PathLike[str]) -> dict[str, Explanation]:
    """Read what :func:`save_all` wrote; a single saved explanation goes by its method's name.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    dict from name to Explanation
        In the order of saving.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it holds no explanations, or those of a newer version.
    """
    with open(path, "rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
            contents = json.loads(str(archive[_CONTENTS])) if _CONTENTS in archive else None
        except Exception as error:
            # A foreign or damaged file can fail in every part of numpy's readers.
            raise ValueError(
                f"{path} holds no saved explanations; give a file that `sklexplain explain` or "
                "Explanation.save wrote"
            ) from error
        if contents is None:
            single = Explanation(**unpacked(archive, path))
            return {single.method: single}
        if contents["schema"] != _SCHEMA:
            raise ValueError(
                f"{path} has schema {contents['schema']}, but this version reads {_SCHEMA}; "
                "update sklexplain"
            )
        return {
            name: Explanation(**unpacked(_Prefixed(archive, f"{position}."), path))
            for position, name in enumerate(contents["names"])
        }


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
