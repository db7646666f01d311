"""Evaluations and explained rows per second on one core: what docs/scaling.md reckons with.

Run as ``python benchmarks/scaling_rates.py``.
"""

import argparse
import statistics
import warnings

import numpy as np
import torch
from side_by_side import machine, publish, seconds, table, versions
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from torch import nn

from sklexplain import LIME, DeepSHAP, KernelSHAP, TreeSHAP, as_estimator

SEED = 0
N_BACKGROUND = 100
LEAST_SECONDS = 0.5
SHARED = {"background": N_BACKGROUND, "random_state": SEED}


class LSTM(nn.Module):
    """A recurrent net."""

    def __init__(self, hidden, layers):
        super().__init__()
        self.lstm = nn.LSTM(4, hidden, layers, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        """Return an output a window."""
        return self.out(self.lstm(x)[0][:, -1])


def models(rng):
    """Return a model and rows for each name."""
    torch.manual_seed(SEED)
    table_rows, windows = rng.normal(size=(2000, 20)), rng.normal(size=(2000, 20, 4))
    windows = windows.astype(np.float32)
    target = table_rows[:, 0] * table_rows[:, 1] + np.sin(table_rows[:, 2])
    forest = RandomForestRegressor(100, min_samples_leaf=5, random_state=SEED)
    boosting = HistGradientBoostingRegressor(random_state=SEED)
    net = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 1))
    return {
        "a numpy function of 20 columns": (_function, table_rows),
        "feed-forward net, 20-64-1": (net, table_rows.astype(np.float32)),
        "LSTM of 32 units, 20 × 4 windows": (LSTM(32, 1), windows),
        "LSTM of 2 × 64 units, 20 × 4 windows": (LSTM(64, 2), windows),
        "random forest, 100 trees": (as_estimator(forest.fit(table_rows, target)), table_rows),
        "histogram boosting, 100 trees": (
            as_estimator(boosting.fit(table_rows, target)),
            table_rows,
        ),
    }


def _function(rows):
    return rows[:, 0] * rows[:, 1] + np.sin(rows[:, 2])


def rows_per_second(explainer, rows):
    """Return the rate of a call that takes long enough to be timed."""
    explainer.explain(rows[:2])
    n_rows = 4
    while (spent := seconds(explainer.explain, rows[:n_rows])) < LEAST_SECONDS:
        if n_rows >= len(rows):
            rows = np.concatenate([rows, rows])
        n_rows = min(4 * n_rows, len(rows))
    return n_rows / spent


def rates(make, rows, n_rounds):
    """Return the median and the range of the rates of several rounds, in words and as a number."""
    explainer = make().fit(rows[:N_BACKGROUND])
    found = [rows_per_second(explainer, rows) for _ in range(n_rounds)]
    return statistics.median(found), f"{min(found):,.4g}–{max(found):,.4g}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    lines = []
    for name, (model, rows) in models(np.random.default_rng(SEED)).items():
        methods = {
            "KernelSHAP": lambda model=model: KernelSHAP(
                model, max_evals=1000, control_variate=None, **SHARED
            )
        }
        if isinstance(model, nn.Module):
            methods["DeepSHAP"] = lambda model=model: DeepSHAP(model, **SHARED)
        if "trees" in name:
            methods["TreeSHAP"] = lambda model=model: TreeSHAP(model)
            methods["TreeSHAP, background"] = lambda model=model: TreeSHAP(model, **SHARED)
        if rows.ndim == 2:
            methods["LIME, shared draws"] = lambda model=model: LIME(model, random_state=SEED)
        else:
            methods["LIME"] = lambda model=model: LIME(model, n_samples=1000, random_state=SEED)
        for method, make in methods.items():
            rate, spread = rates(make, rows, options.rounds)
            evals = _evals_per_row(method, make().fit(rows[:N_BACKGROUND]), rows)
            evaluations = "–" if evals is None else f"{rate * evals:,.3g}"
            lines.append([f"{method}; {name}", f"{rate:,.4g}", spread, evaluations])
            print(lines[-1], flush=True)
    publish(
        "scaling_rates",
        "# Rows and evaluations per second on one core",
        f"{machine(1)}; {versions('torch', 'numpy', 'scikit-learn', 'shap')}.",
        f"KernelSHAP with 1,000 evaluations a row, LIME on windows with 1,000, {N_BACKGROUND} "
        f"background rows. Median and range of {options.rounds} rounds of at least "
        f"{LEAST_SECONDS} s; the machine was shared with other work while this ran, so the "
        "highest rate is nearest to what one free core does. Everything counts that a call does, "
        "not the model alone.",
        table(["method; model", "rows/s", "range", "evaluations/s"], lines),
    )


def _evals_per_row(method, explainer, rows):
    """Return the evaluations that one more row costs; None where rows cost none of the model's."""
    if method in ("KernelSHAP", "LIME"):
        return float(np.mean(explainer.explain(rows[:2]).diagnostics["n_evals"]))
    return None


if __name__ == "__main__":
    main()
