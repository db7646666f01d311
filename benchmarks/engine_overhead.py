"""What the engine costs beside the bare forward passes of the very same rows.

`perturb.evaluate` builds masked rows and runs them; the bare passes run the same masked rows,
built beforehand, in the batch size that is fastest of a sweep. Runs take turns.

    python benchmarks/engine_overhead.py [--rounds 15] [--threads 1]
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from comparisons import Comparison, Effort, Side, at_most
from games import Recurrent
from report import run_alone
from side_by_side import in_turn, seconds
from sklearn.ensemble import RandomForestRegressor
from torch import nn

from sklexplain import make_players
from sklexplain.core.models import Model
from sklexplain.core.perturb import evaluate

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


TITLE = "The engine beside bare forward passes"
NOTE = f"""
Masked rows of random coalitions over cells or columns, {N_REFERENCES} background rows, *averaged*
over the background (4 rows explained) or *paired* with one background row a coalition (20 rows).
The bare passes run the same masked rows, built beforehand, in the batch size that was fastest of a
sweep from {BATCH_SIZES[0]} to all at once; both give the same outputs. Untrained nets.
"""
# How to make it, the shape of a row, the players, and about how many rows to run.
MODELS = {
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


CASES = [f"{name}; {mode}" for name in MODELS for mode in ("averaged", "paired")]
QUICK_CASES = [CASES[1], CASES[5]]


def compare(case: str, effort: Effort) -> list[Comparison]:
    name, mode = case.split("; ")
    make, shape, level, n_evals = MODELS[name]
    torch.manual_seed(SEED)
    net = make()
    work = make_work(shape, level, mode, n_evals)
    X, coalitions, references, players, pairing = work
    rows = masked_rows(*work)
    model = Model(net)
    if model.uses_torch:
        net.eval()
        rows = torch.as_tensor(rows, dtype=torch.float32)

    def ours():
        return evaluate(model, X, coalitions, references, players, pairing=pairing)

    found = bare_pass(net, rows, 256).reshape(len(X), len(coalitions), -1).mean(2)
    assert np.allclose(ours()[..., 0], found, atol=1e-5)
    sweep = {size: seconds(bare_pass, net, rows, size) for size in [*BATCH_SIZES, len(rows)]}
    best = min(sweep, key=sweep.get)
    times = in_turn({"bare": lambda: bare_pass(net, rows, best), "ours": ours}, effort.n_rounds)
    return [
        Comparison(
            case,
            "masked rows",
            Side("sklexplain", times["ours"], len(rows), run=ours),
            Side(f"bare, batches of {best:,}", times["bare"], len(rows)),
            at_most(1.1),
        )
    ]


if __name__ == "__main__":
    run_alone(sys.modules[__name__])
