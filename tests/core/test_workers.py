import os
import threading
import time

import joblib
import numpy as np
import pytest
import torch
from sklearn import config_context, get_config
from torch import nn

from sklexplain.core import workers
from sklexplain.core.built_rows import run_rows
from sklexplain.core.failures import RowNames, blame
from sklexplain.core.models import Model, ModelError
from sklexplain.core.perturb import evaluate
from sklexplain.core.players import make_players
from sklexplain.core.workers import CancelledRun, check_not_cancelled, run_tasks

BACKENDS = pytest.mark.parametrize("backend", ["threading", "loky", "multiprocessing"])


def scaled(shared, number):
    return shared["scale"] * number, os.getpid(), threading.get_ident()


class Counted:
    """Counts in a folder how often it is unpacked in another process."""

    def __init__(self, folder):
        self.folder = folder

    def __setstate__(self, state):
        self.__dict__.update(state)
        (self.folder / f"{os.getpid()}-{time.perf_counter_ns()}").touch()


def pid_of(shared, number):
    time.sleep(0.01)
    return os.getpid()


class TestRunTasks:
    @BACKENDS
    def test_results_are_in_order_wherever_they_are_made(self, backend):
        with joblib.parallel_config(backend=backend):
            results = list(run_tasks(scaled, {"scale": 3}, ((i,) for i in range(20)), n_jobs=2))
        assert [value for value, _, _ in results] == [3 * i for i in range(20)]
        if backend == "threading":
            assert {pid for _, pid, _ in results} == {os.getpid()}
            assert threading.get_ident() not in {thread for _, _, thread in results}
        else:
            assert os.getpid() not in {pid for _, pid, _ in results}

    def test_one_worker_is_this_one(self):
        [(_, pid, thread)] = run_tasks(scaled, {"scale": 1}, [(1,)], n_jobs=1)
        assert (pid, thread) == (os.getpid(), threading.get_ident())

    def test_threads_are_preferred_where_they_serve_and_configuration_goes_first(self):
        [first, *_] = run_tasks(scaled, {"scale": 1}, [(1,), (2,)], n_jobs=2, threads=True)
        assert first[1] == os.getpid()
        with joblib.parallel_config(backend="loky"):
            [first, *_] = run_tasks(scaled, {"scale": 1}, [(1,), (2,)], n_jobs=2, threads=True)
        assert first[1] != os.getpid()

    @pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
    def test_what_is_shared_is_unpacked_once_a_process(self, backend, tmp_path):
        with joblib.parallel_config(backend=backend):
            pids = set(run_tasks(pid_of, Counted(tmp_path), ((i,) for i in range(30)), n_jobs=2))
        unpacked = [int(file.name.split("-")[0]) for file in tmp_path.iterdir()]
        assert sorted(unpacked) == sorted(pids)

    def test_shared_functions_of_a_script_travel(self):
        double = lambda x: 2 * x  # noqa: E731
        results = run_tasks(apply, double, ((i,) for i in range(4)), n_jobs=2)
        assert list(results) == [0, 2, 4, 6]

    @pytest.mark.parametrize("backend", ["threading", "loky"])
    def test_torch_keeps_to_one_thread_in_workers_and_to_its_own_here(self, backend):
        before = torch.get_num_threads()
        torch.set_num_threads(3)
        try:
            with joblib.parallel_config(backend=backend):
                used = list(run_tasks(torch_threads, None, ((i,) for i in range(4)), n_jobs=2))
            assert used == [1] * 4
            assert torch.get_num_threads() == 3
            assert list(run_tasks(torch_threads, None, [(0,)], n_jobs=1)) == [3]
        finally:
            torch.set_num_threads(before)

    def test_threads_stop_between_batches_once_nobody_waits(self):
        state = {"begun": 0, "cancelled": 0}
        running = run_tasks(long_task, state, ((i,) for i in range(4)), n_jobs=2, threads=True)
        next(running)
        began = time.perf_counter()
        running.close()
        assert time.perf_counter() - began < 2
        time.sleep(0.2)
        assert state["cancelled"] >= 1


class Slow:
    def __init__(self, seconds):
        self.seconds = seconds


def slept(shared, number):
    time.sleep(shared.seconds)
    return number, os.getpid()


class TestBeginningHere:
    def test_short_work_stays_and_long_work_leaves(self):
        short = list(run_tasks(slept, Slow(0), ((i,) for i in range(16)), n_jobs=2))
        assert {pid for _, pid in short} == {os.getpid()}
        long = list(run_tasks(slept, Slow(0.25), ((i,) for i in range(16)), n_jobs=2))
        assert [number for number, _ in long] == list(range(16))
        pids = [pid for _, pid in long]
        assert pids[0] == os.getpid()
        assert os.getpid() not in pids[1:]

    def test_who_asks_for_processes_gets_them(self):
        with joblib.parallel_config(backend="loky"):
            results = list(run_tasks(slept, Slow(0), ((i,) for i in range(16)), n_jobs=2))
        assert os.getpid() not in {pid for _, pid in results}


def config_seen(shared, number):
    return get_config()["working_memory"]


@BACKENDS
def test_settings_of_scikit_learn_reach_the_workers(backend):
    with config_context(working_memory=77), joblib.parallel_config(backend=backend):
        assert list(run_tasks(config_seen, None, ((i,) for i in range(4)), n_jobs=2)) == [77] * 4


def writable(shared, array):
    array[0] = shared
    return type(array)


def test_large_arrays_arrive_as_arrays_that_may_be_written():
    large = np.zeros(2**18)
    with joblib.parallel_config(backend="loky"):
        assert list(run_tasks(writable, 1, [(large,), (large,)], n_jobs=2)) == [np.ndarray] * 2


def apply(function, number):
    return function(number)


def torch_threads(shared, number):
    return torch.get_num_threads()


def long_task(state, number):
    if number == 0:
        return None
    try:
        for _ in range(500):
            time.sleep(0.02)
            check_not_cancelled()
    except CancelledRun:
        state["cancelled"] += 1
        raise
    return None


class Brittle:
    """Raises where the first cell is 7."""

    def __call__(self, X):
        if (X.reshape(len(X), -1)[:, 0] == 7).any():
            raise RuntimeError("boom")
        return X.reshape(len(X), -1).sum(axis=1)


class BrittleModule(nn.Module):
    def forward(self, x):
        if (x.flatten(1)[:, 0] == 7).any():
            raise RuntimeError("boom")
        return x.flatten(1).sum(1, keepdim=True)


class TestFailures:
    @pytest.mark.parametrize("model", [Brittle(), BrittleModule()], ids=["function", "module"])
    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_rows_and_players_are_named(self, model, n_jobs):
        X = np.zeros((40, 3), dtype=np.float32)
        X[23, 0] = 7
        players = make_players("auto", (3,), ["open", "close", "volume"])
        coalitions = np.array([[False, True, True], [True, False, True]])
        with pytest.raises(
            ModelError, match=r"raised RuntimeError: boom, for row 23 .*\['close'\]"
        ):
            evaluate(Model(model), X, coalitions, np.ones((2, 3)), players, n_jobs=n_jobs)

    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_rows_already_built_are_named(self, n_jobs):
        rows = np.zeros((50, 3))
        rows[31, 0] = 7
        with pytest.raises(ModelError, match="for draw 31"):
            run_rows(Model(Brittle()), rows, name="draw", n_jobs=n_jobs)

    @pytest.mark.parametrize("backend", ["threading", "loky", "multiprocessing"])
    def test_workers_know_what_rows_are_called(self, backend):
        rows = np.zeros((50, 3))
        rows[31, 0] = 7
        names = RowNames(np.arange(50) + 1000)
        with joblib.parallel_config(backend), pytest.raises(ModelError, match="for row 1031"):
            run_rows(Model(Brittle()), rows, name=names, n_jobs=2)

    def test_failures_of_many_rows_together_name_the_batch(self):
        def crowded(batch):
            if len(batch) > 3:
                raise ModelError("the model raised ValueError: crowd")
            return batch

        error = blame(ModelError("crowd"), crowded, np.arange(8), lambda i: f"row {i}")
        assert str(error) == "crowd, for row 0 to row 3 in one batch"


class Crowded(nn.Module):
    """Runs out of memory with more than a few rows, as a graphics card does."""

    def __init__(self, most):
        super().__init__()
        self.linear = nn.Linear(3, 1)
        self.most = most
        self.sizes = []

    def forward(self, x):
        if len(x) > self.most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.sizes.append(len(x))
        return self.linear(x)


class TestOutOfMemory:
    X = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)

    def test_batches_are_halved_until_they_fit(self):
        module, roomy = Crowded(10), Crowded(10**6)
        roomy.load_state_dict(module.state_dict())
        with pytest.warns(RuntimeWarning, match="ran out of memory with a batch of 64 rows; going"):
            outputs = Model(module)(self.X)
        np.testing.assert_allclose(outputs, Model(roomy)(self.X), rtol=1e-6)
        assert max(module.sizes) <= 10

    def test_the_engine_remembers_what_fits(self):
        module = Crowded(10)
        players = make_players("auto", (3,))
        coalitions = np.array([[False, True, True]])
        with pytest.warns(RuntimeWarning) as warned:
            outputs = evaluate(
                Model(module), self.X, coalitions, self.X[:8], players, batch_size=16
            )
        assert outputs.shape == (64, 1, 1)
        # 16 rows did not fit, 8 do, and are not tried again with 16.
        assert [str(w.message).split(";")[0] for w in warned] == [
            "the device ran out of memory with a batch of 16 rows"
        ]

    def test_a_single_row_that_does_not_fit_is_an_error(self):
        with pytest.warns(RuntimeWarning), pytest.raises(torch.cuda.OutOfMemoryError):
            Model(Crowded(0))(self.X)


def test_short_calls_are_worth_processes_together(monkeypatch):
    monkeypatch.setattr(workers, "_foregone", workers._Foregone())
    monkeypatch.setattr(workers, "_pool_is_warm", lambda: False)
    # Each of these would save half a second of the second and a half that processes cost.
    decisions = [workers.worth_workers(1.0, 0.5) for _ in range(4)]
    assert decisions == [False, False, False, True]
    assert workers.worth_workers(0.5, 0.25, threads=True)
    assert not workers.worth_workers(0.001, 0.0005, threads=True)
    with joblib.parallel_config(backend="loky"):
        assert workers.worth_workers(0.0, 0.0)


def test_calls_that_processes_would_not_have_made_shorter_do_not_start_them(monkeypatch):
    monkeypatch.setattr(workers, "_foregone", workers._Foregone())
    monkeypatch.setattr(workers, "_pool_is_warm", lambda: False)
    assert not any(workers.worth_workers(0.08, 0.04) for _ in range(1000))


def test_runs_that_ended_here_count_too(monkeypatch):
    monkeypatch.setattr(workers, "_foregone", workers._Foregone())
    monkeypatch.setattr(workers, "_pool_is_warm", lambda: False)
    tasks = [(0.02,)] * 10
    list(run_tasks(lambda shared, seconds: time.sleep(seconds), None, tasks, n_jobs=2))
    # Half of 0.2 s, without what it costs to hand work to processes.
    assert workers._foregone.seconds == pytest.approx(0.05, abs=0.02)
