"""KernelSHAP's wall time to an error of 3 % beside shap's and shapiq's samplers.

Each method runs at the cheapest budget that reaches the error, found on some of the rows by
doubling and then halving the distance; peers run every coalition on the whole background, in one
call of the model where they leave that open. Runs take turns.

    python benchmarks/time_to_error.py [--rounds 5] [--only "LSTM,forest 10"]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import shap
from comparisons import Comparison, Effort, Goal, Side, faster
from games import Game, boosting, forest, price_lstm
from kernel_shap_error import (
    N_BACKGROUND,
    Case,
    kernel_explainer,
    on_averages,
    permutation_explainer,
    relative_error,
    shapiq_solver,
)
from report import run_alone
from shap.utils._legacy import DenseData
from side_by_side import in_turn

from sklexplain import Explanation, KernelSHAP, as_estimator

SEED, TARGET, N_SEEDS, N_ROWS, N_HALF = 0, 0.03, 2, 20, 2
# Budgets this close together are not told apart.
STEP = 1.1
MOST_EVALS = 400_000
TITLE = "KernelSHAP: time to 3 % error"
NOTE = f"""
Wall time to explain {N_ROWS} rows ({N_ROWS // 2} of 100 columns) against {N_BACKGROUND} background
rows, with everything built anew, each method at its cheapest budget (to a tenth) whose mean error
over {2 * N_HALF} of the rows and {N_SEEDS} seeds is at most {TARGET:.0%}. *error*: the L2 distance
from the exact values relative to their length. *evaluations*: rows run through the model for one
explained row. The LSTM has two layers of 64 units on 20 × 4 prices and 12 players, and its exact
values are enumerated; those of the tables are shap.TreeExplainer's. A player a column. shapiq: the
estimator with the fewest evaluations of KernelSHAP and kADDSHAP (the latter to 30 columns), with
paired sampling.
"""
CASES = [
    "LSTM",
    "forest 10", "forest 30", "forest 100",
    "boosting 10", "boosting 30", "boosting 100",
]  # fmt: skip
QUICK_CASES = ["LSTM", "forest 10"]


class Table(Case):
    """A game of columns, run through its model rather than looked up."""

    enumerated = False


def our_explanation(case: Case, budget: int, seed: int) -> Explanation:
    game = case.game
    explainer = KernelSHAP(
        as_estimator(game.model),
        players=game.players,
        background=game.background,
        max_evals=budget,
        random_state=seed,
    )
    return explainer.fit(game.background).explain(game.rows)


def our_run(case: Case, budget: int, seed: int) -> np.ndarray:
    return our_explanation(case, budget, seed).values


def windows_by_kernel_explainer(case: Case, budget: int, seed: int) -> np.ndarray:
    """Run shap's explainer on windows; it knows groups of columns when told so this way."""
    game = case.game
    labels = game.players.ravel()
    groups = [np.flatnonzero(labels == player) for player in range(game.n_players)]
    names = [str(player) for player in range(game.n_players)]

    def predict(flat):
        return game.predict(flat.reshape(-1, *game.players.shape))

    np.random.seed(seed)  # noqa: NPY002  shap draws from the global state
    background = DenseData(game.background.reshape(N_BACKGROUND, -1), names, groups)
    explainer = shap.KernelExplainer(predict, background)
    return explainer.shap_values(
        game.rows.reshape(len(game.rows), -1),
        nsamples=budget // N_BACKGROUND,
        l1_reg=0,
        silent=True,
    )


def windows_by_permutation_explainer(case: Case, budget: int, seed: int) -> np.ndarray:
    """Run shap's explainer, with windows put together from the rows' numbers."""
    game = case.game
    sources = np.concatenate([game.background, game.rows]).astype(np.float32)
    timestep, feature = np.indices(game.players.shape)

    def predict(X):
        codes = np.where(X < 0, N_BACKGROUND - 1 - X, X).astype(int)
        return game.predict(sources[codes[:, game.players], timestep, feature])

    masker = shap.maskers.Independent(case.background, max_samples=N_BACKGROUND)
    explainer = shap.PermutationExplainer(predict, masker, seed=seed)
    return explainer(case.rows, max_evals=budget // N_BACKGROUND, silent=True).values


def shapiq_methods(n_players: int) -> dict[str, Callable]:
    import shapiq

    # Of its estimators, these alone come near (results/kernel_shap_error.md).
    methods = {"KernelSHAP": shapiq_solver(shapiq.KernelSHAP, pairing_trick=True)}
    if n_players <= 30:
        # Beyond, its regression has thousands of terms.
        methods["kADDSHAP"] = shapiq_solver(shapiq.kADDSHAP, max_order=2, pairing_trick=True)
    return {name: on_averages(solve) for name, solve in methods.items()}


def game_of(name: str, n_rows: int, effort: Effort) -> Game:
    if name == "LSTM":
        return price_lstm(n_rows, N_BACKGROUND, SEED, n_epochs=effort.of(40, 10))
    kind, n_columns = name.split()
    make = {"forest": forest, "boosting": boosting}[kind]
    return make(n_rows, N_BACKGROUND, SEED, n_columns=int(n_columns))


def cheapest(explain: Callable, case: Case, least: int, step: int) -> tuple[int, float]:
    """Return the least budget that reaches the target, and its mean error over rows and seeds.

    Parameters
    ----------
    explain : callable
        From a case, a budget and a seed to values, or None where the budget is too small.
    case : Case
    least : int
        The first budget tried.
    step : int
        Budgets are multiples of it.
    """
    errors: dict[int, float] = {}

    def error(budget: int) -> float:
        if budget not in errors:
            found = [explain(case, budget, seed) for seed in range(N_SEEDS)]
            errors[budget] = (
                np.inf
                if any(values is None for values in found)
                else float(np.mean([relative_error(values, case.exact) for values in found]))
            )
        return errors[budget]

    enough = least
    while error(enough) > TARGET:
        enough *= 2
        if enough > MOST_EVALS:
            raise RuntimeError(f"no budget up to {MOST_EVALS:,} reaches {TARGET}")
    short = least if enough == least else enough // 2
    while enough > STEP * short and enough - short > step:
        middle = short + max(step, round((enough - short) / 2 / step) * step)
        if middle >= enough:
            break
        short, enough = (short, middle) if error(middle) <= TARGET else (middle, enough)
    return enough, errors[enough]


def compare(name: str, effort: Effort) -> list[Comparison]:
    n_rows = N_ROWS // 2 if name.endswith("100") else N_ROWS
    game = game_of(name, effort.of(n_rows, 8), effort)
    half = effort.of(N_HALF, 1)
    few = np.r_[:half, -half:0]
    windows = name == "LSTM"
    make = Case if windows else Table
    searched, timed = make("", replace(game, rows=game.rows[few])), make("", game)
    step = N_BACKGROUND
    # A permutation forwards and backwards, and the empty coalition.
    permutation = N_BACKGROUND * (2 * game.n_players + 1)
    peers: dict[str, tuple[Callable, Callable, int, int]] = {
        "shap KernelExplainer": (
            kernel_explainer(N_BACKGROUND),
            windows_by_kernel_explainer if windows else kernel_explainer(N_BACKGROUND),
            step * (game.n_players + 2), step,
        ),
        "shap PermutationExplainer": (
            permutation_explainer,
            windows_by_permutation_explainer if windows else permutation_explainer,
            permutation, permutation,
        ),
    }  # fmt: skip
    if not windows:
        for method, explain in shapiq_methods(game.n_players).items():
            peers[f"shapiq {method}"] = (explain, explain, step * (game.n_players + 2), step)
        if effort.quick:
            peers = {peer: peers[peer] for peer in ("shap KernelExplainer", "shapiq KernelSHAP")}
    least = 4 * game.n_players + 4
    found = {"ours": cheapest(our_run, searched, least, 4)}
    for peer, (search, _, first, by) in peers.items():
        try:
            found[peer] = cheapest(search, searched, first, by)
        except RuntimeError:
            if not peer.startswith("shapiq"):
                raise
    from_shapiq = [peer for peer in found if peer.startswith("shapiq")]
    for peer in sorted(from_shapiq, key=lambda peer: found[peer][0])[1:]:
        del found[peer]
    runs = {"ours": partial(our_run, timed, found["ours"][0], SEED)} | {
        peer: partial(peers[peer][1], timed, found[peer][0], SEED) for peer in found
        if peer != "ours"
    }  # fmt: skip
    for method, run in runs.items():
        # Warms up too: shap compiles a function when it is first called.
        error = relative_error(run()[few], searched.exact)
        assert error < 2 * TARGET, f"{method} is {error:.3f} off on the rows that were searched"
    # What a budget buys may be less.
    n_evals = our_explanation(searched, found["ours"][0], SEED).diagnostics["n_evals"].max()
    times = in_turn(runs, effort.n_rounds)
    goal: Goal = faster(10 if windows else 4)
    return [
        Comparison(
            name if windows else f"{name} columns",
            f"error ≤ {TARGET:.0%}",
            Side("sklexplain", times["ours"], int(n_evals), found["ours"][1], runs["ours"]),
            Side(peer, times[peer], *found[peer]),
            goal,
        )
        for peer in runs
        if peer != "ours"
    ]


if __name__ == "__main__":
    run_alone(sys.modules[__name__])
