"""Two workers beside one, for models that keep Python's lock and models that do not.

Run as ``python benchmarks/parallel_speed.py``. The runs of a round take turns, and each round
measures what the machine gives at that time to two processes that do nothing but count: no two
workers can gain more than that.
"""

import argparse
import os
import statistics
import subprocess
import sys
import warnings
from tempfile import TemporaryDirectory

import numpy as np
import torch
from side_by_side import machine, publish, seconds, table, versions
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import Lasso
from torch import nn

from sklexplain import LIME, KernelSHAP, PermutationImportance, TreeSHAP, as_estimator
from sklexplain.core.placement import prefers_threads

SEED = 0
COUNT = "import time\nt = time.perf_counter()\nfor i in range(2_000_000): i * i\n"
COUNT += "print(time.perf_counter() - t)"


class LSTM(nn.Module):
    """A small recurrent net."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 32, batch_first=True)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        """Return an output a window."""
        return self.out(self.lstm(x)[0][:, -1])


def row_by_row(rows):
    # Makes no lists, which would have Python collect its garbage now and then.
    return np.array([float(row @ row) for row in rows])


def ceiling():
    """Return how much faster two processes count than one."""
    times = {}
    for n_processes in (1, 2):
        command = [sys.executable, "-c", COUNT]
        running = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(n_processes)
        ]
        times[n_processes] = max(float(process.communicate()[0]) for process in running)
    return 2 * times[1] / times[2]


def fitted_models():
    """Return rows, windows, a target, and models of them by name."""
    rng = np.random.default_rng(SEED)
    torch.manual_seed(SEED)
    X, windows = rng.normal(size=(1500, 12)), rng.normal(size=(1500, 20, 4)).astype(np.float32)
    y = X[:, 0] * X[:, 1] + X[:, 2]
    models = {
        "LSTM": as_estimator(LSTM()),
        "forest": as_estimator(RandomForestRegressor(50, random_state=SEED).fit(X, y)),
        "boosting": as_estimator(GradientBoostingRegressor(random_state=SEED).fit(X, y)),
        "function": as_estimator(row_by_row),
    }
    return X, windows, y, models


def cases():
    """Return for each name the threads of torch, the model, and a run with some workers."""
    X, windows, y, models = fitted_models()
    lstm, forest, boosting, function = models.values()

    def kernel(model, rows, n_rows, *, kept=False, **params):
        # The rows in turn: more of them make a longer run.
        rows_explained = np.resize(rows, (n_rows, *rows.shape[1:]))

        def make(n_jobs):
            explainer = KernelSHAP(
                model,
                max_evals=1000,
                control_variate=None,
                n_jobs=n_jobs,
                random_state=SEED,
                **params,
            ).fit(rows[:100])
            if not kept:
                return lambda: explainer.explain(rows_explained)

            def anew():
                with TemporaryDirectory() as folder:
                    return explainer.set_params(memory=folder).explain(rows_explained)

            return anew

        return make

    def permutation(model, rows, target, n_repeats):
        def make(n_jobs):
            explainer = PermutationImportance(
                model, n_repeats=n_repeats, n_jobs=n_jobs, random_state=SEED
            )
            return lambda: explainer.fit(rows, target)

        return make

    def shared_lime(rows, n_rows, **params):
        rows_explained = np.resize(rows, (n_rows, *rows.shape[1:]))

        def make(n_jobs):
            explainer = LIME(
                forest, n_samples=5000, n_jobs=n_jobs, random_state=SEED, **params
            ).fit(rows)
            return lambda: explainer.explain(rows_explained)

        return make

    def lime(model, rows, n_rows):
        rows_explained = np.resize(rows, (n_rows, *rows.shape[1:]))

        def make(n_jobs):
            explainer = LIME(
                model, n_samples=1000, discretizer=None, center="row", n_jobs=n_jobs,
                random_state=SEED,
            ).fit(rows)  # fmt: skip
            return lambda: explainer.explain(rows_explained)

        return make

    def trees(n_jobs):
        explainer = TreeSHAP(forest, n_jobs=n_jobs).fit(X)
        return lambda: explainer.explain(X[:400])

    many = np.concatenate([windows] * 4)
    steps = {"players": "timestep"}
    return {
        "KernelSHAP, LSTM, torch of 1 thread": (1, lstm, kernel(lstm, windows, 1000, **steps)),
        "KernelSHAP, LSTM, torch of 2 threads": (2, lstm, kernel(lstm, windows, 1000, **steps)),
        "KernelSHAP, random forest": (1, forest, kernel(forest, X, 1000)),
        "KernelSHAP, gradient boosting": (1, boosting, kernel(boosting, X, 5000)),
        "KernelSHAP, Python function": (1, function, kernel(function, X, 1500)),
        "PermutationImportance, LSTM": (
            1, lstm, permutation(lstm, many, many[:, 0, 0], 40),
        ),
        "PermutationImportance, forest": (1, forest, permutation(forest, X, y, 20)),
        "LIME, random forest": (1, forest, lime(forest, X, 500)),
        "LIME, LSTM": (1, lstm, lime(lstm, windows, 1000)),
        "LIME, forest, draws that serve all rows": (1, lstm, shared_lime(X, 2000)),
        "LIME, forest, the same with Lasso": (
            1, forest, shared_lime(X, 300, surrogate=Lasso(0.01)),
        ),
        "TreeSHAP, random forest": (1, None, trees),
        "KernelSHAP, LSTM, chunks kept": (
            1, lstm, kernel(lstm, windows, 1000, kept=True, **steps),
        ),
        "KernelSHAP, forest, chunks kept": (1, forest, kernel(forest, X, 1000, kept=True)),
        "KernelSHAP, LSTM, torch of 2 threads, short": (
            2, lstm, kernel(lstm, windows, 20, **steps),
        ),
        "KernelSHAP, forest, short": (1, forest, kernel(forest, X, 30)),
        "KernelSHAP, Python function, short": (1, function, kernel(function, X, 60)),
        "KernelSHAP, forest, one row": (1, forest, kernel(forest, X, 1)),
        "KernelSHAP, Python function, one row": (1, function, kernel(function, X, 1)),
    }  # fmt: skip


def first_calls(name, n_rows, n_jobs, n_calls):
    """Time the first calls of this process."""
    X, _, _, models = fitted_models()
    explainer = KernelSHAP(
        models[name], max_evals=1000, control_variate=None, n_jobs=n_jobs, random_state=SEED
    ).fit(X[:100])
    rows = np.resize(X, (n_rows, 12))
    return [seconds(lambda: explainer.explain(rows)) for _ in range(n_calls)]


def fresh(*arguments):
    """Return the seconds that the first calls of a new process take, in all."""
    command = [sys.executable, __file__, "--first", *map(str, arguments)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return sum(map(float, printed.split()))


def first_call_lines(rounds):
    """Measure new processes of one call, and of ten."""
    lines = []
    for name, second in (("function", 1300), ("forest", 360)):
        for n_rows, n_calls in ((1, 1), (2, 1), (4, 1), (8, 1), (1, 10)):
            found = []
            for turn in range(rounds):
                runs = [1, 2] if turn % 2 else [2, 1]
                times = {n: fresh(name, n_rows * second, n, n_calls) for n in runs}
                found.append((times[1], times[1] / times[2]))
            single, gains = zip(*found, strict=True)
            lines.append(
                [
                    f"{name}, {n_calls} call{'s' if n_calls > 1 else ''}",
                    f"{statistics.median(single):.2f}",
                    f"{statistics.median(gains):.2f} ({min(gains):.2f}–{max(gains):.2f})",
                ]
            )
            print(lines[-1], flush=True)
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--first", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.first:
        torch.set_num_threads(1)
        print(*first_calls(options.first[0], *map(int, options.first[1:])))
        return
    loads, lines = [], []
    for name, (threads, model, make) in cases().items():
        torch.set_num_threads(threads)
        one, two = make(1), make(2)
        # Twice, since the first call of all may be the one that starts the processes.
        for warm_up in (one, two, two):
            warm_up()
        found = []
        for turn in range(options.rounds):
            runs = {1: one, 2: two}
            times = {n: seconds(runs[n]) for n in (list(runs) if turn % 2 else list(runs)[::-1])}
            found.append((times[1], times[1] / times[2], ceiling()))
            loads.append(os.getloadavg()[0])
        single, gains, most = zip(*found, strict=True)
        place = "processes" if model is None or not prefers_threads(model) else "threads"
        lines.append(
            [
                name,
                place,
                f"{statistics.median(single):.2f}",
                f"{statistics.median(gains):.2f} ({min(gains):.2f}–{max(gains):.2f})",
                f"{statistics.median(most):.2f} ({min(most):.2f}–{max(most):.2f})",
            ]
        )
        print(lines[-1], flush=True)
    rounds_of_first = max(3, options.rounds // 2)
    publish(
        "parallel_speed",
        "# Two workers beside one",
        f"{machine(1)}; {versions('torch', 'numpy', 'scikit-learn', 'joblib')}.",
        f"Medians of {options.rounds} rounds in which the runs take turns, with the smallest and "
        "the largest. \"Gain\" is the time with `n_jobs=1` divided by that with `n_jobs=2`; "
        "\"ceiling\" is the gain of two processes that only count, measured in the same rounds. "
        f"The load average lay between {min(loads):.1f} and {max(loads):.1f}: above 1, other work "
        "took its share of the cores, and gains vary accordingly.",
        table(["run", "workers are", "seconds, one worker", "gain", "ceiling"], lines),
        "New processes, KernelSHAP: starting workers takes more than a second, in which they load "
        "what they need, and is left alone until what they save is more, in one call or in several "
        f"together. Medians of {rounds_of_first} processes each.",
        table(["model", "seconds, one worker", "gain"], first_call_lines(rounds_of_first)),
    )  # fmt: skip


if __name__ == "__main__":
    main()
