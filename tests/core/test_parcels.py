"""What workers share is packed, written and unpacked once, and told apart by its content."""

import os
import shutil
import threading
import time
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pytest

from sklexplain import KernelSHAP
from sklexplain.core import parcels
from sklexplain.core.parcels import Parcel, assemble, pack, sent, sent_once
from sklexplain.core.workers import run_tasks


@sent_once
class Heavy:
    """Counts in a folder how often it is unpacked."""

    def __init__(self, folder, number=0):
        self.folder, self.number = folder, number

    def __setstate__(self, state):
        self.__dict__.update(state)
        (self.folder / f"{os.getpid()}-{time.perf_counter_ns()}").touch()

    def __call__(self, rows):
        return rows.sum(axis=1) + self.number


class LokyBackend:
    """Of the name that matters."""


class OtherBackend:
    """Of a cluster that the package does not know."""


def added(shared, number):
    time.sleep(0.01)
    return shared["heavy"].number + shared["table"][0, 0] + shared["offset"] + number


def test_only_what_is_large_or_marked_is_packed_apart(tmp_path):
    large, small = np.arange(2.0**14), np.arange(10)
    heavy = Heavy(tmp_path)
    packed, parts = pack({"a": large, "b": small, "c": heavy, "again": [large, heavy]})
    assert len(parts) == 2
    assert len(packed) < 2000
    unpacked = {key: cloudpickle.loads(part) for key, part in parts.items()}
    found = assemble(packed, unpacked)
    np.testing.assert_array_equal(found["a"], large)
    np.testing.assert_array_equal(found["b"], small)
    assert found["again"][0] is found["a"]
    assert found["again"][1] is found["c"]


def test_parts_are_told_apart_by_their_content(tmp_path):
    first, second = np.zeros(2**14), np.zeros(2**14)
    assert pack(first)[1].keys() == pack(second.copy())[1].keys()
    second[-1] = 1
    assert pack(first)[1].keys() != pack(second)[1].keys()
    # Objects are neither compared nor hashed by their pointers.
    assert pack(np.array(["text", None] * 2**14, dtype=object))[1] == {}


def test_files_are_written_once_and_few_are_kept():
    tables = [np.full(2**14, float(i)) for i in range(20)]
    with sent(tables[0], LokyBackend()) as parcel:
        (path,) = (Path(parcel.folder) / key for key in pack(tables[0])[1])
        written = path.stat().st_mtime_ns
        assert parcel.value[0] == 0
    with sent([tables[0], "other"], LokyBackend()) as parcel:
        assert path.stat().st_mtime_ns == written
        # What is in use stays, whatever else is sent meanwhile.
        for table in tables[1:]:
            with sent(table, LokyBackend()):
                pass
        assert path.exists()
    for table in tables[1:]:
        with sent(table, LokyBackend()):
            pass
    assert not path.exists()
    assert len(list(path.parent.iterdir())) <= parcels._MOST_KEPT
    with sent(tables[0], LokyBackend()) as parcel:
        assert path.exists()
        np.testing.assert_array_equal(parcel.value, tables[0])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_children_leave_their_parents_files_alone():
    first, second = np.full(2**14, 1.5), np.full(2**14, 2.5)
    with sent(first, LokyBackend()) as parcel:
        folder = Path(parcel.folder)
        for uses in (False, True):
            child = os.fork()
            if child == 0:
                # Sends something of its own, and ends as processes do.
                try:
                    if uses:
                        with sent(second, LokyBackend()) as own:
                            assert Path(own.folder) != folder
                    parcels.atexit._run_exitfuncs()
                finally:
                    os._exit(0)
            os.waitpid(child, 0)
            assert folder.is_dir()
        assert parcel.value[0] == 1.5
    shutil.rmtree(folder)
    with sent(second, LokyBackend()) as parcel:
        assert parcel.value[0] == 2.5


def test_threads_may_unpack_at_the_same_time():
    wrong = []

    def unpack(seed):
        for number in np.random.default_rng(seed).integers(20, size=500):
            if parcels._kept(f"key {number}", lambda number=number: int(number)) != number:
                wrong.append(number)

    threads = [threading.Thread(target=unpack, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_workers_that_see_no_files_are_sent_the_parts():
    table = np.arange(2.0**14)
    with sent({"table": table}, OtherBackend()) as parcel:
        assert isinstance(parcel, Parcel)
        assert parcel.folder is None
        travelled = cloudpickle.loads(cloudpickle.dumps(parcel))
    np.testing.assert_array_equal(travelled.value["table"], table)


@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_workers_unpack_once_over_many_calls(backend, tmp_path):
    heavy, table = Heavy(tmp_path, 1), np.full((200, 100), 2.0)
    with joblib.parallel_config(backend=backend):
        for offset in range(3):
            shared = {"heavy": heavy, "table": table, "offset": offset}
            tasks = [(i,) for i in range(20)]
            assert list(run_tasks(added, shared, tasks, n_jobs=2)) == [
                3 + offset + i for i in range(20)
            ]
    unpacked = [file.name.split("-")[0] for file in tmp_path.iterdir()]
    # Only loky's processes outlive a call.
    assert len(unpacked) == len(set(unpacked)) if backend == "loky" else len(unpacked) <= 6
    heavy.number = 5
    with joblib.parallel_config(backend=backend):
        shared = {"heavy": heavy, "table": table, "offset": 0}
        assert list(run_tasks(added, shared, [(0,), (1,)], n_jobs=2)) == [7, 8]


class Watched:
    """A model that tells a folder in which processes it was unpacked."""

    def __init__(self, folder):
        self.folder = folder

    def __setstate__(self, state):
        self.__dict__.update(state)
        (self.folder / f"{os.getpid()}-{time.perf_counter_ns()}").touch()

    def fit(self, X, y=None):
        return self

    def predict(self, X):
        return X[:, 0] * X[:, 1] + X.sum(axis=1)

    def __sklearn_is_fitted__(self):
        return True


def test_a_run_of_many_chunks_sends_its_model_once(tmp_path):
    folder = tmp_path / "unpacked"
    folder.mkdir()
    X = np.random.default_rng(0).normal(size=(60, 6))
    model = Watched(folder)
    explainer = KernelSHAP(model.predict, background=X[:40], max_evals=4000, n_jobs=2).fit(X)
    for file in folder.iterdir():
        file.unlink()
    with joblib.parallel_config(backend="loky"):
        # More than one chunk of 100,000 evaluations, each of several calls.
        found = explainer.set_params(memory=str(tmp_path / "kept")).explain(X)
    by_process = [file.name.split("-")[0] for file in folder.iterdir()]
    by_process = [process for process in by_process if int(process) != os.getpid()]
    assert 1 <= len(by_process) <= 2
    assert len(set(by_process)) == len(by_process)
    alone = KernelSHAP(model.predict, background=X[:40], max_evals=4000).fit(X).explain(X)
    np.testing.assert_allclose(found.values, alone.values, rtol=1e-9)
