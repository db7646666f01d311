"""KernelSHAP's wall time, overhead and memory beside shap's explainers and bare forward passes.

The time to an error of 3 % on a trained LSTM (:mod:`time_to_error`); the overhead over the bare
forward passes of as many rows; and the memory that a thousand explained rows take beside ten. Runs
take turns.

    python benchmarks/kernel_shap_speed.py [--rounds 5] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tracemalloc
import warnings

import numpy as np
import time_to_error
import torch
from comparisons import Comparison, Effort
from games import price_lstm
from kernel_shap_error import N_BACKGROUND
from side_by_side import in_turn, machine, publish, ratios, seconds, table, versions
from torch import nn

from sklexplain import KernelSHAP

N_ROWS, N_OVERHEAD_ROWS, SEED = 20, 100, 0
MEMORY_ROWS, MEMORY_EVALS = (10, 1000), 2000


def bare_passes(net, n_evals):
    rows = torch.zeros(n_evals, 20, 4)

    def run():
        with torch.inference_mode():
            return torch.cat([net(batch) for batch in rows.split(256)])

    return run


def overhead(game, n_rounds):
    """Return lines of: evaluations a row, bare seconds, later calls, factorisation, first call."""
    rng = np.random.default_rng(SEED)
    rows = game.rows[rng.integers(len(game.rows), size=N_OVERHEAD_ROWS)]
    rows = rows + rng.normal(size=rows.shape) / 100
    lines = []
    for budget in (1000, 2000, 5000):
        explainer = KernelSHAP(
            game.model,
            players=game.players,
            background=game.background,
            max_evals=budget,
            control_variate=None,
            random_state=SEED,
        ).fit(game.background)
        bare = bare_passes(game.model, N_OVERHEAD_ROWS * budget)

        def factorise(explainer=explainer):
            explainer.solver_.regressions.clear()
            explainer.explain(rows[:1])

        one_row = statistics.median(
            seconds(factorise) - seconds(explainer.explain, rows[:1]) for _ in range(n_rounds)
        )
        times = in_turn(
            {"bare": bare, "ours": lambda explainer=explainer: explainer.explain(rows)}, n_rounds
        )
        bare_time = statistics.median(times["bare"])
        first = [later + one_row for later in times["ours"]]
        lines.append(
            [
                f"{budget:,}",
                f"{bare_time:.2f}",
                ratios(times["ours"], times["bare"]),
                f"{one_row:.3f}",
                ratios(first, times["bare"]),
            ]
        )
    return lines


def measure_memory(n_rows):
    """Print the peaks of explaining `n_rows` rows, in a process of their own."""
    torch.manual_seed(SEED)
    net = nn.Sequential(nn.Linear(80, 64), nn.ReLU(), nn.Linear(64, 1))
    rng = np.random.default_rng(SEED)
    explainer = KernelSHAP(net, max_evals=MEMORY_EVALS, control_variate=None, random_state=SEED)
    explainer.fit(rng.normal(size=(N_BACKGROUND, 80)))
    rows = rng.normal(size=(n_rows, 80))
    explainer.explain(rows[:2])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    explanation = explainer.explain(rows)
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    del explanation
    tracemalloc.start()
    explanation = explainer.explain(rows)
    held, peak = tracemalloc.get_traced_memory()
    peaks = {"result": held, "beyond": peak - held, "resident": resident * 2**10}
    assert len(explanation.values) == n_rows
    print(json.dumps({name: size / 2**20 for name, size in peaks.items()}))


def memory():
    """Return lines of: rows, result, peak beyond it, growth of the process, all in MiB."""
    lines = []
    for n_rows in MEMORY_ROWS:
        command = [sys.executable, __file__, "--memory", str(n_rows)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks = json.loads(done.stdout)
        lines.append(
            [f"{n_rows:,}", *(f"{peaks[key]:.2f}" for key in ("result", "beyond", "resident"))]
        )
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--memory", type=int, help="only the memory of so many rows")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    if options.memory:
        measure_memory(options.memory)
        return
    memory_lines = memory()
    game = price_lstm(N_ROWS, N_BACKGROUND, SEED)
    publish(
        "kernel_shap_speed",
        "# KernelSHAP: time to 3 % error, overhead, memory",
        f"{machine(options.threads)}; {versions('shap', 'torch', 'numpy')}.",
        "A trained LSTM of two layers of 64 units on 20 × 4 standardised prices, 12 players, "
        f"{N_BACKGROUND} background rows. Seed {SEED}; medians of {options.rounds} rounds that "
        "take turns, with the smallest and the largest ratio. The overhead is of KernelSHAP "
        "without its control variate for torch nets.",
        f"## Time to 3 % error\n\n{' '.join(time_to_error.NOTE.split())}",
        table(
            Comparison.HEADER,
            [line.cells() for line in time_to_error.compare("LSTM", Effort(options.rounds))],
        ),
        f"## Overhead\n\n{N_OVERHEAD_ROWS} rows explained, beside the bare forward passes of as "
        "many rows in batches of 256. The regression is factorised by the first call and kept.",
        table(
            ["evaluations a row", "bare seconds", "later calls / bare", "factorisation, seconds",
             "first call / bare"],
            overhead(game, options.rounds),
        ),
        f"## Memory\n\nA feed-forward net of 80 columns, {MEMORY_EVALS:,} evaluations a row; MiB. "
        "The peak beyond the result is of Python's and numpy's allocations; the growth of the "
        "process is over one that explained two rows.",
        table(["rows explained", "result", "peak beyond it", "growth of the process"],
              memory_lines),
    )  # fmt: skip


if __name__ == "__main__":
    main()
