"""How far sampled Shapley values are from the exact ones at equal numbers of model evaluations.

Every method explains the same rows of four models against the same 100 background rows, with the
same number of evaluations a row. Games of 12 players are enumerated against every background row;
the peers read their values from that table, which costs them nothing and changes nothing, and lets
methods that know only columns explain parts of windows. Trees on 30 columns are solved exactly by
shap.TreeExplainer.

    python benchmarks/kernel_shap_error.py [--seeds 3] [--threads 1] [--only lstm,forest]
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shap
import shapiq
import torch
from captum.attr import KernelShap, ShapleyValueSampling
from games import Game, boosting, forest, interactions, price_lstm
from side_by_side import machine, publish, table, versions

from sklexplain import KernelSHAP, as_estimator
from sklexplain.solvers.coalitions import all_coalitions
from sklexplain.solvers.shapley import exact_shapley

BUDGETS = [200, 500, 1000, 2000, 5000, 10_000, 20_000]
N_BACKGROUND, N_FEW, SEED = 100, 20, 0


@dataclass(frozen=True)
class Case:
    """A game, and how the peers see it: as a table of one column a player."""

    name: str
    game: Game

    @cached_property
    def outputs(self) -> np.ndarray:
        """All coalitions against all background rows and their mean, (n_rows, 2**p, n + 1)."""
        game = self.game
        present = all_coalitions(game.n_players)[:, game.players.ravel()]
        present = present.reshape(-1, 1, *game.players.shape)
        references = np.concatenate([game.background, game.background.mean(0, keepdims=True)])
        found = np.empty((len(game.rows), len(present), len(references)))
        for n, row in enumerate(game.rows):
            for start in range(0, len(present), 128):
                part = present[start : start + 128]
                masked = np.where(part, row, references).reshape(-1, *row.shape)
                found[n, start : start + len(part)] = game.predict(masked).reshape(len(part), -1)
        return found

    @property
    def enumerated(self) -> bool:
        """Whether all coalitions are known."""
        return self.game.n_players <= 12

    @cached_property
    def exact(self) -> np.ndarray:
        """The Shapley values, (n_rows, n_players)."""
        if self.enumerated:
            return exact_shapley(self.outputs[:, :, :-1].mean(2)[..., None])[..., 0]
        return tree_values(self.game, self.game.background)

    @cached_property
    def against_mean_row(self) -> np.ndarray:
        """The Shapley values with the mean background row as the only one."""
        if self.enumerated:
            return exact_shapley(self.outputs[:, :, -1:])[..., 0]
        return tree_values(self.game, self.game.background.mean(0, keepdims=True))

    @cached_property
    def rows(self) -> np.ndarray:
        """What is explained, (n_rows, n_players): of an enumerated game the row's number."""
        if not self.enumerated:
            return self.game.rows
        return np.repeat(-1.0 - np.arange(len(self.game.rows))[:, None], self.game.n_players, 1)

    @cached_property
    def background(self) -> np.ndarray:
        """The background, (n_background, n_players): of an enumerated game the row's number."""
        if not self.enumerated:
            return self.game.background
        return np.repeat(np.arange(N_BACKGROUND, dtype=float)[:, None], self.game.n_players, 1)

    @cached_property
    def clustering(self) -> np.ndarray:
        """Players joined by the correlation of their means over the background."""
        flat = self.game.background.reshape(N_BACKGROUND, -1)
        owned = np.eye(self.game.n_players)[self.game.players.ravel()]
        return shap.utils.hclust(flat @ owned / owned.sum(0), metric="correlation")

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Run rows that are mixed from `rows` and `background`."""
        if not self.enumerated:
            return self.game.predict(X)
        codes = (X < 0) @ (1 << np.arange(X.shape[1]))
        row = np.maximum(-1 - X.min(axis=1), 0).astype(int)
        return self.outputs[row, codes, np.maximum(X.max(axis=1), 0).astype(int)]

    def averaged(self, row: int) -> Callable:
        """Return the mean output over the background as a function of coalitions."""

        def values(coalitions):
            coalitions = np.atleast_2d(coalitions).astype(bool)
            if self.enumerated:
                codes = coalitions @ (1 << np.arange(coalitions.shape[1]))
                return self.outputs[row, codes, :-1].mean(1)
            means = []
            # About as many masked rows at a time as the engine takes.
            for start in range(0, len(coalitions), 320):
                part = coalitions[start : start + 320]
                masked = np.where(part[:, None], self.rows[row], self.background)
                outputs = self.predict(masked.reshape(-1, coalitions.shape[1]))
                means.append(outputs.reshape(len(part), -1).mean(1))
            return np.concatenate(means)

        return values


def tree_values(game, background):
    explainer = shap.TreeExplainer(game.model, background, feature_perturbation="interventional")
    return explainer.shap_values(game.rows)


def ours(control_variate=None):
    def explain(case, budget, seed):
        game = case.game
        if control_variate == "deep" and budget < 4 * N_BACKGROUND:
            return None
        explainer = KernelSHAP(
            as_estimator(game.model),
            players=game.players,
            background=game.background,
            max_evals=budget,
            control_variate=control_variate,
            random_state=seed,
        )
        explanation = explainer.fit(game.background).explain(game.rows)
        assert explanation.diagnostics["n_evals"].max() <= budget
        return explanation.values

    return explain


def too_few(case, n_coalitions):
    """Whether a regression on so many coalitions would be undetermined."""
    return n_coalitions < case.game.n_players + 1


def kernel_explainer(n_background):
    def explain(case, budget, seed):
        if too_few(case, budget // n_background):
            return None
        np.random.seed(seed)  # noqa: NPY002  shap draws from the global state
        background = shap.sample(case.background, n_background, random_state=seed)
        explainer = shap.KernelExplainer(case.predict, background)
        return explainer.shap_values(
            case.rows, nsamples=budget // n_background, l1_reg=0, silent=True
        )

    return explain


def permutation_explainer(case, budget, seed):
    n_coalitions = budget // N_BACKGROUND
    if n_coalitions < 2 * case.game.n_players + 1:
        return None
    masker = shap.maskers.Independent(case.background, max_samples=N_BACKGROUND)
    explainer = shap.PermutationExplainer(case.predict, masker, seed=seed)
    return explainer(case.rows, max_evals=n_coalitions, silent=True).values


def partition_explainer(case, budget, seed):
    if too_few(case, budget // N_BACKGROUND):
        return None
    masker = shap.maskers.Partition(
        case.background, max_samples=N_BACKGROUND, clustering=case.clustering
    )
    explainer = shap.PartitionExplainer(case.predict, masker)
    return explainer(case.rows, max_evals=budget // N_BACKGROUND, silent=True).values


def on_averages(solve):
    """Explain row by row a function of coalitions that costs the whole background each."""

    def explain(case, budget, seed):
        n_coalitions = budget // N_BACKGROUND
        if too_few(case, n_coalitions):
            return None
        try:
            return np.array(
                [
                    solve(case.averaged(row), case.game.n_players, n_coalitions, seed)
                    for row in range(len(case.rows))
                ]
            )
        except (ValueError, IndexError):
            return None  # the method wants more coalitions

    return explain


def captum_solver(method, permutations):
    def solve(values, n_players, n_coalitions, seed):
        n_samples = (n_coalitions - 1) // n_players if permutations else n_coalitions
        if n_samples < 1:
            raise ValueError("not one permutation")
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  captum draws from the global state
        found = method(lambda z: torch.as_tensor(values(z.numpy() > 0.5))).attribute(
            torch.ones(1, n_players),
            torch.zeros(1, n_players),
            n_samples=n_samples,
            perturbations_per_eval=n_coalitions,
        )
        return found[0].numpy()

    return solve


def shapiq_solver(method, **params):
    def solve(values, n_players, n_coalitions, seed):
        found = method(n_players, random_state=seed, **params).approximate(n_coalitions, values)
        return np.array([found[(player,)] for player in range(n_players)])

    return solve


AVERAGED = "every coalition on all 100 rows"
METHODS = {
    "**sklexplain KernelSHAP**, any model": ours(),
    "**sklexplain KernelSHAP**, DeepSHAP's control variate": ours("deep"),
    "shap KernelExplainer": kernel_explainer(N_BACKGROUND),
    f"shap KernelExplainer, background cut to {N_FEW} rows": kernel_explainer(N_FEW),
    "shap PermutationExplainer": permutation_explainer,
    "shap PartitionExplainer (Owen values)": partition_explainer,
    "captum KernelShap": on_averages(captum_solver(KernelShap, False)),
    "captum ShapleyValueSampling": on_averages(captum_solver(ShapleyValueSampling, True)),
    "shapiq KernelSHAP": on_averages(shapiq_solver(shapiq.KernelSHAP, pairing_trick=True)),
    "shapiq kADDSHAP, order 2": on_averages(
        shapiq_solver(shapiq.kADDSHAP, max_order=2, pairing_trick=True)
    ),
    "shapiq SVARM": on_averages(shapiq_solver(shapiq.SVARM, pairing_trick=True)),
    "shapiq UnbiasedKernelSHAP": on_averages(
        shapiq_solver(shapiq.UnbiasedKernelSHAP, pairing_trick=True)
    ),
    "shapiq PermutationSamplingSV": on_averages(shapiq_solver(shapiq.PermutationSamplingSV)),
}
CASES = {
    "lstm": (
        "LSTM, 2 layers of 64, on 20 × 4 prices; 12 players (4 prices × 3 segments)",
        lambda: price_lstm(6, N_BACKGROUND, SEED),
    ),
    "forest": (
        "random forest, 12 columns (Friedman's first problem)",
        lambda: forest(10, N_BACKGROUND, SEED),
    ),
    "boosting": ("gradient boosting, 30 columns", lambda: boosting(10, N_BACKGROUND, SEED)),
    "interactions": (
        "products of two to four of 12 normal columns",
        lambda: interactions(10, N_BACKGROUND, SEED),
    ),
}


def relative_error(values, exact):
    return np.mean(np.linalg.norm(values - exact, axis=1) / np.linalg.norm(exact, axis=1))


def measure(case, n_seeds):
    """Return for each method its errors over the budgets; None where it cannot run."""
    errors = {}
    for method, explain in METHODS.items():
        if "DeepSHAP" in method and not isinstance(case.game.model, torch.nn.Module):
            continue
        errors[method] = []
        for budget in BUDGETS:
            found = [explain(case, budget, seed) for seed in range(n_seeds)]
            errors[method].append(
                None
                if found[0] is None
                else np.mean([relative_error(values, case.exact) for values in found])
            )
    return errors


def shown(errors):
    return ["–" if error is None else "> 10" if error > 10 else f"{error:.4f}" for error in errors]


def section(case, n_seeds):
    errors = measure(case, n_seeds)
    best = [
        min(found[k] for found in errors.values() if found[k] is not None)
        for k in range(len(BUDGETS))
    ]
    rows = []
    for method, found in errors.items():
        cells = [
            f"**{cell}**" if error == least else cell
            for cell, error, least in zip(shown(found), found, best, strict=True)
        ]
        rows.append([method, *cells])
    bias = relative_error(case.against_mean_row, case.exact)
    return (
        f"## {case.name}\n\n{len(case.rows)} rows.\n\n"
        + table(["error at evaluations a row", *(f"{budget:,}" for budget in BUDGETS)], rows)
        + "\n\nWith the mean row as the only baseline, which costs one evaluation a coalition, the "
        f"exact answer is {bias:.2f} away: no budget removes that."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--only", default=",".join(CASES), help="models, separated by commas")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    sections = []
    for key in options.only.split(","):
        name, make = CASES[key]
        sections.append(section(Case(name, make()), options.seeds))
        print(sections[-1] + f"\n\n({time.perf_counter() - start:.0f} s so far)\n", flush=True)
    text = [
        "# Errors of sampled Shapley values at equal numbers of evaluations",
        f"{machine(options.threads)}; "
        f"{versions('shap', 'captum', 'shapiq', 'torch', 'scikit-learn', 'numpy')}.",
        "Error: the distance from the exact Shapley values relative to their length (L2), mean "
        f"over rows and {options.seeds} seeds (0, 1, …; models and rows are of seed {SEED}); bold: "
        f"the least of a column. An evaluation is one row run through the model; the background "
        f"has {N_BACKGROUND} rows. In shap, captum and shapiq every coalition runs on all "
        "background rows, so that a budget buys a hundredth as many coalitions; captum and shapiq "
        "explain the average over the background. –: too few coalitions for the method's first "
        "answer. shap's KernelExplainer runs with `l1_reg=0`, since its default keeps ten "
        "features only; its PartitionExplainer estimates Owen values of a clustering of the "
        "players by correlation, which are not Shapley values at any budget. shapiq's paired "
        "sampling is switched on where it has it. shapiq's newer estimators (OddSHAP, "
        "RegressionMSR) are not in this version.",
        *sections,
    ]
    if options.only == ",".join(CASES):
        publish("kernel_shap_error", *text)


if __name__ == "__main__":
    main()
