"""Parcels: what all tasks share, brought to workers that have a memory of their own.

What is large — models, tables — is packed on its own and known by its content. A worker unpacks it
once, however many tasks, calls and chunks of a run refer to it; and here it is written, or given to
a cluster, once.
"""

from __future__ import annotations

import atexit
import io
import os
import pickle
import shutil
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from tempfile import mkdtemp
from threading import Lock, RLock
from typing import Any
from uuid import uuid4

import cloudpickle
import numpy as np

# Arrays from this size on are worth telling apart by their content.
_LARGE_BYTES = 2**16
# What is kept of the things that were packed or unpacked: those of a run, and of the last.
_MOST_KEPT = 8


def sent_once(kind: type) -> type:
    """Mark a class whose instances are packed on their own: they are large and used again."""
    kind._sklexplain_sent_once = True  # type: ignore[attr-defined]
    return kind


class _Packer(cloudpickle.Pickler):
    """Packs an object, and apart from it what is large in it.

    Attributes
    ----------
    parts : dict of str to bytes
        By the hash of their content.
    """

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.parts: dict[str, bytes] = {}
        self._known: dict[int, tuple[Any, str]] = {}

    def persistent_id(self, obj: Any) -> str | None:
        """Return the key of a part; None for anything that is packed with the rest."""
        marked = getattr(type(obj), "_sklexplain_sent_once", False) and not isinstance(obj, type)
        large = type(obj) is np.ndarray and obj.nbytes >= _LARGE_BYTES and not obj.dtype.hasobject
        if not (marked or large):
            return None
        if id(obj) not in self._known:
            packed = cloudpickle.dumps(obj)
            key = blake2b(packed, digest_size=20).hexdigest()
            self.parts[key] = packed
            # The object too, lest another takes its place in memory.
            self._known[id(obj)] = obj, key
        return self._known[id(obj)][1]


class _Unpacker(pickle.Unpickler):
    def __init__(self, packed: bytes, parts: Any) -> None:
        super().__init__(io.BytesIO(packed))
        self._parts = parts

    def persistent_load(self, pid: Any) -> Any:
        """Return a part."""
        return self._parts[pid]


def pack(shared: Any) -> tuple[bytes, dict[str, bytes]]:
    """Return an object packed, and its large parts by the hash of their content.

    Parameters
    ----------
    shared : object

    Returns
    -------
    packed : bytes
    parts : dict of str to bytes
    """
    file = io.BytesIO()
    packer = _Packer(file)
    packer.dump(shared)
    return file.getvalue(), packer.parts


def assemble(packed: bytes, parts: Any) -> Any:
    """Return what was packed.

    Parameters
    ----------
    packed : bytes
    parts : mapping of str to object
        The large parts, unpacked.
    """
    return _Unpacker(packed, parts).load()


# In workers: what has been unpacked, by the key of the parcel or of the part.
_unpacked: OrderedDict[str, Any] = OrderedDict()


# Tasks of some backends are threads of one process; a parcel unpacks its parts within.
_unpacking = RLock()


def _kept(key: str, make: Callable[[], Any]) -> Any:
    with _unpacking:
        value = _unpacked.pop(key) if key in _unpacked else make()
        _unpacked[key] = value
        while len(_unpacked) > _MOST_KEPT:
            _unpacked.popitem(last=False)
        return value


class _PartsHere:
    """The parts of a parcel, each unpacked at most once in this process."""

    def __init__(self, folder: str | None, payloads: dict[str, bytes]) -> None:
        self.folder, self.payloads = folder, payloads

    def __getitem__(self, key: str) -> Any:
        def unpacked() -> Any:
            if self.folder is None:
                return cloudpickle.loads(self.payloads[key])
            return cloudpickle.loads((Path(self.folder) / key).read_bytes())

        return _kept(key, unpacked)


class Parcel:
    """Something that is unpacked once in each process, however many tasks refer to it.

    Parameters
    ----------
    packed : bytes
    folder : str or None
        Where the parts are, if all workers run on this machine.
    payloads : dict of str to bytes
        The parts, if they do not.
    """

    def __init__(self, packed: bytes, folder: str | None, payloads: dict[str, bytes]) -> None:
        self.key = uuid4().hex
        self.packed, self.folder, self.payloads = packed, folder, payloads

    @property
    def value(self) -> Any:
        """What it holds."""
        parts = _PartsHere(self.folder, self.payloads)
        return _kept(self.key, lambda: assemble(self.packed, parts))


class _Files:
    """Files of parts, kept from one call to the next while there are few."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._keys: OrderedDict[str, None] = OrderedDict()
        self._in_use: Counter[str] = Counter()
        self._lock = Lock()

    @contextmanager
    def holding(self, parts: dict[str, bytes]) -> Iterator[str]:
        """Write parts that are not there yet, and keep them at least as long as this lasts."""
        with self._lock:
            folder = self._made()
            for key, packed in parts.items():
                path = folder / key
                if not path.exists():
                    partial = path.with_suffix(".partial")
                    partial.write_bytes(packed)
                    os.replace(partial, path)
                self._keys[key] = None
                self._keys.move_to_end(key)
            self._in_use.update(parts.keys())
        try:
            yield str(folder)
        finally:
            with self._lock:
                self._in_use.subtract(parts.keys())
                unused = [key for key in self._keys if self._in_use[key] <= 0]
                for key in unused[: max(0, len(self._keys) - _MOST_KEPT)]:
                    del self._keys[key], self._in_use[key]
                    (folder / key).unlink(missing_ok=True)

    def _made(self) -> Path:
        """Return the folder, made anew where someone has cleaned it away."""
        if self._folder is None or not self._folder.is_dir():
            self._folder = Path(mkdtemp(prefix="sklexplain-"))
            atexit.register(_remove_of_this_process, self._folder, os.getpid())
        return self._folder

    def forget(self) -> None:
        """Leave the folder to the process that this one was forked from."""
        self.__init__()  # type: ignore[misc]


def _remove_of_this_process(folder: Path, process: int) -> None:
    """Remove a folder when the process that made it ends, and not when its children do."""
    if process == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)


_files = _Files()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_files.forget)
# Parts that a Dask cluster has, by the client and the key.
_on_cluster: OrderedDict[tuple[str, str], Any] = OrderedDict()


@contextmanager
def sent(shared: Any, backend: Any) -> Iterator[Any]:
    """Bring something to the workers of a joblib backend that have a memory of their own.

    Parameters
    ----------
    shared : object
    backend : joblib backend

    Yields
    ------
    Parcel, or for Dask a future of the object
    """
    packed, parts = pack(shared)
    kind = type(backend).__name__
    if kind == "DaskDistributedBackend":
        yield _to_cluster(backend.client, packed, parts)
    elif kind in ("LokyBackend", "MultiprocessingBackend"):
        with _files.holding(parts) as folder:
            yield Parcel(packed, folder, {})
    else:
        yield Parcel(packed, None, parts)


def _to_cluster(client: Any, packed: bytes, parts: dict[str, bytes]) -> Any:
    with warnings.catch_warnings():
        # A model is sent once, whatever its size.
        warnings.filterwarnings("ignore", message="Sending large graph")
        futures = {}
        for key, payload in parts.items():
            known = _on_cluster.get((client.id, key))
            if known is None or known.status in ("cancelled", "lost", "error"):
                # The result of a task is made again where it was lost with its worker.
                known = client.submit(cloudpickle.loads, payload, pure=False)
            _on_cluster[client.id, key] = futures[key] = known
            _on_cluster.move_to_end((client.id, key))
        while len(_on_cluster) > max(_MOST_KEPT, len(parts)):
            _on_cluster.popitem(last=False)
        return client.submit(assemble, packed, futures, pure=False)
