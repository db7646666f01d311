"""LIME's time beside the `lime` package and beside the bare forward passes.

`lime` gets the flattened windows, the same model function and as many draws. "Bare" is the model
alone on as many rows as LIME evaluates, in its best batch size. Runs take turns, and each round
explains other rows.

    python benchmarks/lime_speed.py [--rounds 5] [--threads 1]
"""

from __future__ import annotations

import sys
import time
from functools import partial

import numpy as np
from comparisons import Comparison, Effort, Side, at_most, faster
from lime.lime_tabular import LimeTabularExplainer
from report import run_alone
from side_by_side import seconds
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator

from sklexplain import LIME, LSTMRegressor
from sklexplain.inference import forward

SEED, N_SAMPLES, N_TRAIN, N_SELECTED = 0, 5000, 500, 4
N_TIMESTEPS, N_FEATURES, N_COLUMNS = 20, 4, 30
TITLE = "LIME"
NOTE = f"""
{N_SAMPLES:,} samples a row, {N_TRAIN} training rows, LSTM of two layers of 64 units on
{N_TIMESTEPS} × {N_FEATURES} cells (a player each), random forest of 100 trees on {N_COLUMNS}
columns. Fresh explainers, whose fitting is not timed on either side. With selection,
{N_SELECTED} players are kept, by each package's default rule. The binned draws do not depend on
the row, so that explaining ten rows evaluates no more of them than one: *bare* is the model on
as many rows as were evaluated, in its best batch size, and `lime` explains every row on its own.
*evaluations*: rows run through the model in all.
"""
CASES = ["LSTM", "forest"]


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


MODELS = {"LSTM": recurrent_case, "forest": forest_case}


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

    def run(rows):
        for row in rows.reshape(len(rows), -1):
            explainer.explain_instance(row, predict, num_features=n_shown, num_samples=N_SAMPLES)

    return run


def compare(name: str, effort: Effort) -> list[Comparison]:
    X, model, predict, cells = MODELS[name](np.random.default_rng(SEED))
    flat = X.reshape(len(X), -1)
    draws = np.random.default_rng(SEED).choice(flat, size=N_SAMPLES)
    lines = []
    for n_features in (N_SELECTED, None):
        explain_peer = peer(X, predict, n_features)
        for n_rows in effort.of((1, 10), (1,)):
            times = {"ours": [], "bare": [], "lime": []}
            # The first round only warms up.
            for turn in range(effort.n_rounds + 1):
                rows = X[turn * n_rows : (turn + 1) * n_rows]
                ours, n_evals = explain(model, cells, X, rows, n_features)
                times["ours"].append(ours)
                evaluated = np.resize(draws, (n_evals, flat.shape[1]))
                times["bare"].append(seconds(predict, evaluated))
                times["lime"].append(seconds(explain_peer, rows))
            ours, bare, lime = (times[key][1:] for key in ("ours", "bare", "lime"))
            selection = f"{n_features} selected" if n_features else "no selection"
            work = f"{name}, {selection}, {n_rows} row{'s' * (n_rows > 1)}"
            again = partial(explain, model, cells, X, X[:n_rows], n_features)
            ours = Side("sklexplain", ours, n_evals, run=again)
            lines += [
                Comparison(
                    work,
                    f"{N_SAMPLES:,} samples a row",
                    ours,
                    Side("lime", lime, n_rows * N_SAMPLES),
                    faster(4) if n_features else None,
                ),
                Comparison(
                    work,
                    "evaluations",
                    ours,
                    Side("bare forward passes", bare, n_evals),
                    None if n_features or n_rows > 1 else at_most(1.15),
                    as_part=True,
                ),
            ]
    return lines


if __name__ == "__main__":
    run_alone(sys.modules[__name__])
