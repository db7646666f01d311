"""LIME's time beside the `lime` package and beside the bare forward passes.

Two models: two LSTM layers of 64 units on 20 x 4 windows, a player a cell, and a random forest on
30 columns. `lime` gets the flattened windows, the same model function and as many draws. "Bare" is
the model alone on as many rows as LIME evaluates, in its best batch size. What is compared takes
turns, so that a machine that slows down slows all of it.

LIME's binned draws do not depend on the row, so explaining more rows runs no more of them. "lime /
ours" compares the time for a row. "ours / bare" divides by the bare passes over as many rows as
ours has really evaluated ("evaluated"), and "ours / 5,000 a row" by 5,000 bare passes for each
explained row, which is what `lime` runs. Players of several cells ("features") need draws of their
own for each row, and have no counterpart in `lime`.

    python benchmarks/lime_speed.py [--rounds 5] [--threads 1]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
import warnings
from importlib.metadata import version

import numpy as np
import torch
from lime.lime_tabular import LimeTabularExplainer
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator

from sklexplain import LIME, LSTMRegressor
from sklexplain.inference import forward

SEED, N_SAMPLES, N_TRAIN, N_SELECTED = 0, 5000, 500, 4
N_TIMESTEPS, N_FEATURES, N_COLUMNS = 20, 4, 30


def recurrent_case(rng):
    X = rng.normal(size=(N_TRAIN, N_TIMESTEPS, N_FEATURES)).astype(np.float32)
    y = X[:, -1, 0] - X[:, -2, 1] * X[:, -1, 2]
    model = LSTMRegressor(
        hidden_size=64, num_layers=2, max_epochs=1, device="cpu", random_state=SEED
    ).fit(X, y)

    def predict(rows):
        return forward(model.module_, rows.reshape(-1, *X.shape[1:])).numpy()[:, 0]

    return X, model, predict, "cell"


def forest_case(rng):
    X = rng.normal(size=(N_TRAIN, N_COLUMNS))
    model = RandomForestRegressor(random_state=SEED).fit(X, X[:, 0] - X[:, 1] * X[:, 2])
    return X, model, model.predict, "column"


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def summary(ratios):
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def explain(model, players, X, rows, n_features):
    """Explain from a fresh explainer, so that no draws are left over; fitting is not timed."""
    explainer = LIME(
        FrozenEstimator(model),
        players=players,
        n_samples=N_SAMPLES,
        n_features=n_features,
        feature_selection="none" if n_features is None else "auto",
        random_state=SEED,
    ).fit(X)
    start = time.perf_counter()
    explanation = explainer.explain(rows)
    return time.perf_counter() - start, explanation.params["n_evals_run"]


def peer(X, predict, n_features):
    flat = X.reshape(len(X), -1).astype(float)
    explainer = LimeTabularExplainer(
        flat,
        mode="regression",
        feature_selection="none" if n_features is None else "auto",
        random_state=SEED,
    )
    n_shown = flat.shape[1] if n_features is None else n_features
    return lambda row: explainer.explain_instance(
        flat[row], predict, num_features=n_shown, num_samples=N_SAMPLES
    )


def measure(name, case, rounds):
    X, model, predict, cells = case(np.random.default_rng(SEED))
    flat = X.reshape(len(X), -1)
    draws = np.random.default_rng(SEED).choice(flat, size=N_SAMPLES)
    settings = [
        (cells, N_SELECTED, 1),
        (cells, N_SELECTED, 10),
        (cells, None, 1),
        (cells, None, 10),
    ]
    if X.ndim == 3:
        settings.append(("feature", None, 5))
    for players, n_features, n_rows in settings:
        explain_peer = peer(X, predict, n_features) if players == cells else None
        times = {"ours": [], "bare": [], "peer": []}
        for turn in range(rounds + 1):
            rows = X[turn * n_rows : (turn + 1) * n_rows]
            ours, n_evals = explain(model, players, X, rows, n_features)
            times["ours"].append(ours)
            times["bare"].append(seconds(predict, np.resize(draws, (n_evals, flat.shape[1]))))
            if explain_peer is not None:
                times["peer"].append(seconds(explain_peer, turn))
        report(f"{name}, {players}s", n_features, n_rows, n_evals, times)


def report(name, n_features, n_rows, n_evals, times):
    """Print medians; the first round has only warmed up."""
    ours, bare, peer = (np.array(times[key][1:]) for key in ("ours", "bare", "peer"))
    per_row = bare * n_rows * N_SAMPLES / n_evals
    print(
        f"{name:19} {n_features or 'all':>8} {n_rows:4} {n_evals:9,} "
        f"{np.median(ours) / n_rows * 1000:9.1f} "
        f"{f'{np.median(peer) * 1000:.1f}' if len(peer) else '-':>8}  "
        f"{summary(n_rows * peer / ours) if len(peer) else '-':>19} "
        f"{summary(ours / bare):>18} {summary(ours / per_row):>18}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds a case")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    warnings.filterwarnings("ignore", category=FutureWarning)
    print(
        f"{platform.machine()} processor, {os.cpu_count()} cores, {args.threads} torch thread(s); "
        f"Python {platform.python_version()}, torch {torch.__version__}, lime {version('lime')}, "
        f"numpy {np.__version__}"
    )
    print(
        f"Work: {N_SAMPLES} samples a row, {N_TRAIN} training rows, seed {SEED}; medians of "
        f"{args.rounds} rounds taking turns (smallest-largest)"
    )
    print(
        f"{'model, players':19} {'features':>8} {'rows':>4} {'evaluated':>9} {'ms a row':>9} "
        f"{'lime, ms':>8}  {'lime / ours':>19} {'ours / bare':>18} {'ours / 5,000 a row':>18}"
    )
    measure("LSTM 2x64", recurrent_case, args.rounds)
    measure("forest", forest_case, args.rounds)


if __name__ == "__main__":
    main()
