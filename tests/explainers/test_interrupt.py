"""Ctrl-C ends a run soon, leaves nothing behind but what is finished, and takes workers along."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX systems")

# What a user waits for, and what a busy machine may make of it.
WANTED_SECONDS, ALLOWED_SECONDS = 2, 4

# A second of work a chunk, and minutes in all.
SCRIPT = textwrap.dedent(
    """
    import os, sys, time
    import joblib
    import numpy as np
    from sklexplain import LIME, KernelSHAP, PermutationImportance
    from sklexplain.explainers import chunks

    chunks.EVALS_PER_CHUNK = 2000
    n_jobs, backend, method, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]

    def model(rows):
        if len(rows) > 100:
            time.sleep(len(rows) / 4000)
        return rows[:, 0] * rows[:, 1] + rows[:, 2]

    X = np.random.default_rng(0).normal(size=(1000, 12))
    params = dict(memory=folder, n_jobs=n_jobs, random_state=0)
    shap = dict(background=30, max_evals=1000, batch_size=200)
    with joblib.parallel_config(backend=backend) if n_jobs > 1 else open(os.devnull):
        if method == "permutation":
            def score(estimator, rows, y):
                time.sleep(0.1)
                return -np.mean((estimator.predict(rows) - y) ** 2)

            explainer = PermutationImportance(model, scoring=score, n_repeats=5, **params)
            print("ready", flush=True)
            explainer.fit(np.tile(X[:90], (1, 30)), X[:90, 0])
        elif method == "LIME":
            explainer = LIME(model, players={"ab": [0, 1]}, n_samples=1000, **params).fit(X)
            print("ready", flush=True)
            explainer.explain(X)
        else:
            explainer = KernelSHAP(model, **shap, **params).fit(X[:100])
            print("ready", flush=True)
            explainer.explain(X)
    """
)


def finished_chunks(folder):
    return [path for path in folder.rglob("*.npz") if path.stem != "answers"]


def started(script, n_jobs, backend, method, folder, temporary):
    return subprocess.Popen(
        [sys.executable, str(script), str(n_jobs), backend, method, str(folder)],
        env={**os.environ, "TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def is_alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("n_jobs", "backend", "method", "whom"),
    [
        (1, "loky", "KernelSHAP", "the process"),
        (2, "loky", "KernelSHAP", "the process"),
        (2, "loky", "KernelSHAP", "its group"),
        (2, "threading", "KernelSHAP", "the process"),
        (2, "loky", "LIME", "the process"),
        (2, "loky", "permutation", "its group"),
        (2, "threading", "permutation", "the process"),
    ],
)
def test_control_c(n_jobs, backend, method, whom, tmp_path):
    script, folder, temporary = tmp_path / "script.py", tmp_path / "kept", tmp_path / "temporary"
    script.write_text(SCRIPT)
    temporary.mkdir()
    process = started(script, n_jobs, backend, method, folder, temporary)
    try:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        wait_until(lambda: len(finished_chunks(folder)) >= 2)
        time.sleep(0.3)
        family = psutil.Process(process.pid).children(recursive=True)
        before = len(finished_chunks(folder))
        began = time.perf_counter()
        if whom == "the process":
            process.send_signal(signal.SIGINT)
        else:
            # As a terminal does it.
            os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        seconds = time.perf_counter() - began
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert "KeyboardInterrupt" in errors
    assert process.returncode != 0
    assert seconds <= ALLOWED_SECONDS
    # The dead stay on the list where nobody inherits them.
    wait_until(lambda: not any(is_alive(member) for member in family), seconds=1)
    if backend == "loky" and n_jobs == 2:
        assert len(family) >= 2
    assert [path.name for path in temporary.iterdir() if "sklexplain" in path.name] == []
    assert list(tmp_path.rglob("*.unfinished")) == []
    # What was finished is still there, and can be read.
    kept = finished_chunks(folder)
    assert len(kept) >= before
    for path in kept:
        with np.load(path, allow_pickle=False) as archive:
            assert all(np.asarray(archive[name]) is not None for name in archive.files)
