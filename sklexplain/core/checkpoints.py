"""Checkpoints: finished parts of a run in files, so that a run that was killed goes on."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from .archives import Archive
from .fingerprints import fingerprint

# How far two answers of one model may lie apart, relative to the largest: other processors and
# numbers of threads round differently. A net's single precision is coarser, and its weights tell.
_SAME_ANSWERS, _SAME_ANSWERS_SINGLE = 1e-6, 1e-4
_ANSWERS = "answers"
_UNFINISHED = ".unfinished"
# No write takes as long: what is this old was left by a process that was killed.
_ABANDONED_SECONDS = 3600


class Checkpoints:
    """Arrays in a folder by name, each written whole or not at all, and read without pickle.

    A folder that cannot be written to costs the checkpoints, with one warning, and never the run.
    An entry that cannot be read is as good as none, with a warning.

    Parameters
    ----------
    folder : str or path
        Made when first needed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from sklexplain.core.checkpoints import Checkpoints
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoints = Checkpoints(folder)
    ...     checkpoints.store("first", {"values": np.arange(3)})
    ...     Checkpoints(folder).load("first")["values"]
    array([0, 1, 2])
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._can_store = True

    @classmethod
    def of_run(
        cls,
        location: str | os.PathLike[str],
        identity: Any,
        answers: np.ndarray,
        *,
        single_precision: bool = False,
    ) -> Checkpoints:
        """Return the checkpoints of everything that was computed by this model in this way.

        Parameters
        ----------
        location : str or path
            Where checkpoints of all runs lie, in folders of their own.
        identity : object
            All that the results depend on beside the rows: model, background, players, parameters,
            versions.
        answers : ndarray of float
            What the model answers for a few rows, because two models may differ in what their
            `identity` does not show, as in a library that they call.
        single_precision : bool, default=False
            Whether the answers are exact to float32 only.

        Raises
        ------
        TypeError
            If a part of the identity cannot be recognised in another process.
        """
        known_by = fingerprint(identity)
        tolerance = _SAME_ANSWERS_SINGLE if single_precision else _SAME_ANSWERS
        for number in count():
            found = cls(Path(location) / "sklexplain" / f"{known_by}-{number}")
            kept = found.load(_ANSWERS)
            if kept is None:
                found.store(_ANSWERS, {_ANSWERS: answers})
                found.clear_abandoned()
                return found
            if _same(kept[_ANSWERS], answers, tolerance):
                found.clear_abandoned()
                return found
        raise AssertionError("unreachable")

    def path(self, name: str) -> Path:
        """Return the file of an entry."""
        return self.folder / f"{name}.npz"

    def load(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays of an entry; None where there is none that can be read."""
        path = self.path(name)
        try:
            with Archive(path) as archive:
                return dict(archive)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError) as error:
            warn_unreadable(path, error)
            return None

    def store(self, name: str, arrays: Mapping[str, Any]) -> None:
        """Write an entry, which takes the place of an earlier one when it is complete."""
        if not self._can_store:
            return
        path = self.path(name)
        unfinished = path.with_name(f"{uuid4().hex}{_UNFINISHED}")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                with unfinished.open("wb") as file:
                    np.savez(file, **arrays)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
            _flush_folder(self.folder)
        except OSError as error:
            self._can_store = False
            reason = error.strerror or repr(error)
            warnings.warn(
                f"memory: finished parts are no longer stored, because {self.folder} cannot be "
                f"written to ({reason}); what is computed is returned all the same",
                RuntimeWarning,
                stacklevel=2,
            )

    def clear_abandoned(self) -> None:
        """Remove what processes that were killed had begun to write."""
        for path in self.folder.glob(f"*{_UNFINISHED}"):
            try:
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    path.unlink()
            except OSError:
                # Another process was faster, or the folder may only be read.
                continue


def warn_unreadable(path: Path, error: Exception) -> None:
    """Say that an entry is computed anew."""
    warnings.warn(
        f"memory: {path} is damaged and computed anew ({error!r})", RuntimeWarning, stacklevel=3
    )


def _same(kept: np.ndarray, answers: np.ndarray, tolerance: float) -> bool:
    """Whether one model may have given both; a row at which it failed once says nothing."""
    if kept.shape != answers.shape:
        return False
    both = np.isfinite(kept) & np.isfinite(answers)
    largest = np.abs(kept[both]).max(initial=0.0)
    return np.allclose(kept[both], answers[both], rtol=0, atol=tolerance * largest)


def _flush_folder(folder: Path) -> None:
    """Make the new name as durable as the content, where the system knows how."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
