"""What starting recurrent layers from stored states saves: the same work with and without it.

A masked row whose first time steps are those of the explained row, or of its background row,
starts from the state after them. Without it every masked row is run from its first step. Runs take
turns, and their outputs are compared.

    python benchmarks/stored_states.py [--rounds 5] [--threads 1]
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from functools import partial
from unittest.mock import patch

import numpy as np
from comparisons import Comparison, Effort, Side, at_most
from games import price_lstm
from report import run_alone
from side_by_side import in_turn

from sklexplain import KernelSHAP, as_estimator
from sklexplain.core.device_batches import _DeviceRun
from sklexplain.core.models import Model
from sklexplain.core.perturb import evaluate
from sklexplain.core.players import make_players

N_TIMESTEPS, N_FEATURES, N_BACKGROUND, SEED = 20, 4, 100, 0
N_OCCLUDED, N_EXPLAINED, N_EVALS, PRUNE_TOL = 400, 20, 2000, 0.05
TITLE = "Below the black-box limit: stored states"
NOTE = f"""
A trained LSTM of two layers of 64 units on {N_TIMESTEPS} × {N_FEATURES} prices. *occlusion*: each
player of {N_OCCLUDED} rows replaced by that of one background row, in turn. *KernelSHAP*:
{N_EVALS:,} evaluations for each of {N_EXPLAINED} rows, a player a time step; *pruned*: the old
steps that change the output by less than {PRUNE_TOL:.0%} are one player, found within the time.
*error*: the largest difference between the two results, relative to the largest of them.
"""
CASES = ["occlusion of cells", "occlusion of time steps", "KernelSHAP", "KernelSHAP, pruned"]
QUICK_CASES = CASES[:1]


def whole_passes():
    """Run every masked row from its first step."""
    return patch.object(_DeviceRun, "_prefixes", lambda self: (None, []))


def occluded(game, level: str) -> np.ndarray:
    players = make_players(level, (N_TIMESTEPS, N_FEATURES))
    coalitions = ~np.eye(players.n_players, dtype=bool)
    pairing = np.arange(players.n_players) % len(game.background)
    return evaluate(
        Model(game.model), game.rows, coalitions, game.background, players, pairing=pairing
    )


def kernel_shap(game, prune_tol: float | None) -> np.ndarray:
    explainer = KernelSHAP(
        as_estimator(game.model),
        players="timestep",
        background=game.background,
        max_evals=N_EVALS,
        prune_tol=prune_tol,
        control_variate=None,
        random_state=SEED,
    )
    return explainer.fit(game.background).explain(game.rows[:N_EXPLAINED]).values


def compare(name: str, effort: Effort) -> list[Comparison]:
    n_rows = effort.of(N_OCCLUDED, 50)
    game = price_lstm(n_rows, N_BACKGROUND, SEED, n_epochs=effort.of(40, 10))
    if name.startswith("occlusion"):
        level = {"cells": "cell", "time steps": "timestep"}[name.removeprefix("occlusion of ")]
        run = partial(occluded, game, level)
        n_evals = run().shape[1] * n_rows
    else:
        run = partial(kernel_shap, game, PRUNE_TOL if name.endswith("pruned") else None)
        n_evals = N_EVALS * min(N_EXPLAINED, n_rows)
    results: dict[str, np.ndarray] = {}

    def timed(how):
        with nullcontext() if how == "ours" else whole_passes():
            results[how] = run()

    runs = {how: partial(timed, how) for how in ("ours", "whole")}
    for warm_up in runs.values():
        warm_up()
    times = in_turn(runs, effort.n_rounds)
    difference = np.abs(results["ours"] - results["whole"]).max()
    error = float(difference / np.abs(results["whole"]).max())
    assert error < 1e-6, f"{name}: stored states give other outputs ({error:.1e})"
    about_half = at_most(0.58)
    return [
        Comparison(
            name,
            "evaluations",
            Side("from stored states", times["ours"], n_evals, error, runs["ours"]),
            Side("from the first step", times["whole"], n_evals, 0.0),
            about_half if name.startswith("occlusion") else at_most(1),
        )
    ]


if __name__ == "__main__":
    run_alone(sys.modules[__name__])
