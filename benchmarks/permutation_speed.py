"""Permutation importance beside scikit-learn's, on an LSTM and on a random forest.

Both shuffle the same columns of the same rows in the same order, so that their results are equal.
Runs take turns.

    python benchmarks/permutation_speed.py [--rounds 5] [--threads 1]
"""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
from comparisons import NOT_SLOWER, Comparison, Effort, Side, faster
from report import run_alone
from side_by_side import seconds
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance

from sklexplain import LSTMRegressor, PermutationImportance

N_TIMESTEPS, N_FEATURES, N_COLUMNS, N_REPEATS, N_WARM_UP, SEED = 20, 4, 30, 5, 16, 0
TITLE = "Permutation importance"
NOTE = f"""
{N_REPEATS} repeats, a player a column. The LSTM of two layers of 64 units reads windows of
{N_TIMESTEPS} × {N_FEATURES} cells, as 80 flattened columns or (here alone) as cells of windows;
scikit-learn is given the flattened ones. The random forest has 100 trees on {N_COLUMNS} columns.
Both packages permute alike: their importances are equal. *evaluations*: rows through the model.
Lines with 2 workers beside 1 compare a package with itself; workers have started before they are
timed.
"""
CASES = ["LSTM", "forest"]
QUICK_CASES = CASES[:1]


def recurrent(effort):
    rng = np.random.default_rng(SEED)
    windows = rng.normal(size=(effort.of(500, 100), N_TIMESTEPS, N_FEATURES)).astype(np.float32)
    y = windows[:, -1, 0] - windows[:, -2, 1] * windows[:, -1, 2]
    flat = windows.reshape(len(windows), -1)
    settings = {"hidden_size": 64, "num_layers": 2, "max_epochs": 1, "device": "cpu"}
    model = LSTMRegressor(**settings, n_timesteps=N_TIMESTEPS, random_state=SEED).fit(flat, y)
    of_windows = LSTMRegressor(**settings, random_state=SEED).fit(windows, y)
    inputs = {
        "flattened windows": (model, flat, "column"),
        "cells": (of_windows, windows, "cell"),
    }
    return inputs, (model, flat), y


def forest(effort):
    X = np.random.default_rng(SEED).normal(size=(1000, N_COLUMNS))
    y = X[:, 0] - X[:, 1] * X[:, 2]
    model = RandomForestRegressor(100, random_state=SEED).fit(X, y)
    return {"columns": (model, X, "column")}, (model, X), y


def by_sklexplain(model, X, players, y, n_jobs):
    explainer = PermutationImportance(
        FrozenEstimator(model),
        players=players,
        n_repeats=N_REPEATS,
        n_jobs=n_jobs,
        random_state=SEED,
    )
    return explainer.fit(X, y).importances_


def by_scikit_learn(model, X, y, n_jobs):
    return permutation_importance(
        model, X, y, n_repeats=N_REPEATS, n_jobs=n_jobs, random_state=SEED
    ).importances_mean


def compare(name: str, effort: Effort) -> list[Comparison]:
    inputs, peer_input, y = {"LSTM": recurrent, "forest": forest}[name](effort)

    def run_on(key, rows):
        how, n_jobs = key
        if how == "scikit-learn":
            model, X = peer_input
            return by_scikit_learn(model, X[rows], y[rows], n_jobs)
        model, X, players = inputs[how]
        return by_sklexplain(model, X[rows], players, y[rows], n_jobs)

    runs = {
        (how, n_jobs): partial(run_on, (how, n_jobs), slice(None))
        for how in (*inputs, "scikit-learn")
        for n_jobs in (1, 2)
    }
    expected = {key: run() for key, run in runs.items()}
    for key, importances in expected.items():
        assert np.allclose(importances, expected["scikit-learn", 1], atol=1e-4), key
    times = {key: [] for key in runs}
    for turn in range(effort.n_rounds):
        for key in list(runs)[:: 1 if turn % 2 else -1]:
            if key[1] > 1:
                # The packages' pools replace one another; who comes second would start its anew.
                run_on(key, slice(N_WARM_UP))
            times[key].append(seconds(runs[key]))
    n_evals = len(y) * (1 + expected["scikit-learn", 1].size * N_REPEATS)

    def side(package, key):
        workers = f"{key[1]} worker{'s' * (key[1] > 1)}"
        return Side(f"{package}, {workers}", times[key], n_evals, run=runs[key])

    def line(ours, theirs, package, goal):
        workers = f"{ours[1]} worker{'s' * (ours[1] > 1)}"
        what = "scikit-learn" if ours[0] == "scikit-learn" else f"{name}, {ours[0]}"
        return Comparison(
            f"{what}, {workers}", "permutations", side("", ours), side(package, theirs), goal
        )

    lines = []
    for how in inputs:
        for n_jobs in (1, 2):
            goal = NOT_SLOWER if name == "forest" else faster(2) if n_jobs == 1 else None
            lines.append(line((how, n_jobs), ("scikit-learn", n_jobs), "scikit-learn", goal))
        if name == "LSTM":
            lines.append(line((how, 2), (how, 1), "itself", NOT_SLOWER))
    lines.append(line(("scikit-learn", 2), ("scikit-learn", 1), "itself", None))
    return lines


if __name__ == "__main__":
    run_alone(sys.modules[__name__])
