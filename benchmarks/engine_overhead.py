"""What the engine costs beside the bare forward passes of the very same rows.

`perturb.evaluate` builds masked rows and runs them; the bare passes run the same masked rows,
built beforehand, in the batch size that is fastest of a sweep. Runs take turns.

    python benchmarks/engine_overhead.py [--rounds 15] [--threads 1]
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np
import torch
from games import Recurrent
from side_by_side import in_turn, machine, publish, ratios, seconds, table, versions
from sklearn.ensemble import RandomForestRegressor
from torch import nn

from sklexplain import make_players
from sklexplain.core.models import Model
from sklexplain.core.perturb import evaluate, rows_in_batch

N_REFERENCES, SEED = 100, 0
BATCH_SIZES = [64, 128, 256, 512, 1024, 2048, 4096, 8192]


def feed_forward():
    return nn.Sequential(
        nn.Linear(80, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
    )


def forest():
    rng = np.random.default_rng(SEED)
    X = rng.normal(size=(1000, 30))
    y = X[:, 0] * X[:, 1] + X[:, 2]
    return RandomForestRegressor(100, min_samples_leaf=3, random_state=SEED).fit(X, y)


# Name: how to make it, the shape of a row, the players, and about how many rows to run.
CASES = {
    "LSTM, 2 layers of 64, 20 × 4": (lambda: Recurrent(nn.LSTM, 64, 2), (20, 4), "cell", 6_000),
    "GRU of 32, 20 × 4": (lambda: Recurrent(nn.GRU, 32, 1), (20, 4), "cell", 20_000),
    "feed-forward net, 80–64–64–1": (feed_forward, (80,), "column", 200_000),
    "random forest, 100 trees, 30 columns": (forest, (30,), "column", 40_000),
}


def make_work(shape, level, mode, n_evals):
    """Return rows, coalitions, references, players and the pairing of about `n_evals` runs."""
    rng = np.random.default_rng(SEED)
    players = make_players(level, shape)
    averaged = mode == "averaged"
    n_rows = 4 if averaged else 20
    n_coalitions = n_evals // (n_rows * (N_REFERENCES if averaged else 1))
    pairing = None if averaged else rng.integers(N_REFERENCES, size=n_coalitions)
    return (
        rng.normal(size=(n_rows, *shape)),
        rng.random((n_coalitions, players.n_players)) < 0.5,
        rng.normal(size=(N_REFERENCES, *shape)),
        players,
        pairing,
    )


def masked_rows(X, coalitions, references, players, pairing):
    present = players.cell_mask(coalitions)
    if pairing is None:
        mixed = np.where(present[None, :, None], X[:, None, None], references)
    else:
        mixed = np.where(present, X[:, None], references[pairing])
    return mixed.reshape(-1, *X.shape[1:])


def bare_pass(model, rows, batch_size):
    if isinstance(model, nn.Module):
        with torch.inference_mode():
            return torch.cat([model(batch) for batch in rows.split(batch_size)]).numpy()
    starts = range(0, len(rows), batch_size)
    return np.concatenate([model.predict(rows[i : i + batch_size]) for i in starts])


def measure(name, mode, n_rounds):
    make, shape, level, n_evals = CASES[name]
    torch.manual_seed(SEED)
    net = make()
    X, coalitions, references, players, pairing = make_work(shape, level, mode, n_evals)
    rows = masked_rows(X, coalitions, references, players, pairing)
    n_evals = len(rows)
    model = Model(net)
    if model.is_torch:
        net.eval()
        rows = torch.as_tensor(rows, dtype=torch.float32)

    def ours():
        return evaluate(model, X, coalitions, references, players, pairing=pairing)

    sizes = [*BATCH_SIZES, n_evals]
    found = bare_pass(net, rows, 256).reshape(len(X), len(coalitions), -1).mean(2)
    assert np.allclose(ours()[..., 0], found, atol=1e-5)
    sweep = {size: seconds(bare_pass, net, rows, size) for size in sizes}
    best = min(sweep, key=sweep.get)
    times = in_turn({"bare": lambda: bare_pass(net, rows, best), "ours": ours}, n_rounds)
    per_row = statistics.median(times["bare"]) / n_evals
    return [
        name,
        mode,
        f"{n_evals:,}",
        f"{1e6 * per_row:.2f}",
        f"{best:,}",
        f"{min(rows_in_batch(model, shape, 'auto'), n_evals):,}",
        ratios(times["ours"], times["bare"]),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="timed pairs of runs a line")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    lines = [
        measure(name, mode, options.rounds) for name in CASES for mode in ("averaged", "paired")
    ]
    publish(
        "engine_overhead",
        "# The engine beside bare forward passes",
        f"{machine(options.threads)}; {versions('torch', 'scikit-learn', 'numpy')}.",
        f"Work: masked rows of random coalitions over cells or columns, {N_REFERENCES} background "
        "rows, *averaged* over the background (4 rows explained) or *paired* with one background "
        "row a coalition (20 rows explained). The bare passes run the same masked rows, built "
        "beforehand, in the batch size that was fastest of a sweep from 64 to all at once; both "
        "give the same outputs. Untrained nets; a forest on 1,000 rows, one worker. Seed "
        f"{SEED}; medians of {options.rounds} rounds that take turns, with the smallest and the "
        "largest ratio.",
        table(
            ["model", "mode", "evaluations", "bare µs a row", "best batch", "our batch",
             "ours / bare"],
            lines,
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
