"""What each method costs beside the bare forward passes of as many masked rows.

The bare passes run rows that are mixed beforehand, in the batch size that is fastest of a sweep.
Runs take turns.

    python benchmarks/method_overhead.py [--rounds 5] [--threads 1]
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import torch
from comparisons import Comparison, Effort, Side, at_most
from engine_overhead import BATCH_SIZES, bare_pass, feed_forward
from games import Recurrent
from report import run_alone
from side_by_side import in_turn, seconds
from torch import nn

from sklexplain import LIME, KernelSHAP, PermutationImportance, as_estimator

N_BACKGROUND, N_EVALS, SEED = 100, 2000, 0
TITLE = "Whole methods beside bare forward passes"
NOTE = f"""
Explaining, without fitting, beside the bare module on as many rows, mixed beforehand, in the batch
size that was fastest of a sweep: what the engine and the method's own mathematics cost. KernelSHAP
spends {N_EVALS:,} evaluations a row ("again": its regression, which does not depend on the
rows, is kept from the first call), permutation importance 5 repeats of every player (scored by
numpy), LIME 5,000 samples for one row without selection. Untrained nets: an LSTM of two layers of
64 units on 20 × 4 cells, whose unchanged first time steps the engine does not run again, and a
feed-forward net 80–64–64–1. A player a cell.
"""
NETS: dict[str, tuple[Callable, tuple[int, ...], int]] = {
    # Name: how to make it, the shape of a row, and how many rows KernelSHAP explains.
    "LSTM": (lambda: Recurrent(nn.LSTM, 64, 2), (20, 4), 40),
    "feed-forward net": (feed_forward, (80,), 300),
}
CASES = [
    f"{method}, {net}"
    for method in ("KernelSHAP", "permutation importance", "LIME")
    for net in NETS
]
QUICK_CASES = [CASES[2], CASES[4]]


def prepared(method: str, net: nn.Module, shape: tuple[int, ...], n_rows: int):
    """Return the runs of a method by what they are called, and their number of evaluations."""
    rng = np.random.default_rng(SEED)
    background = rng.normal(size=(N_BACKGROUND, *shape))
    players = "cell" if len(shape) == 2 else "column"
    if method == "KernelSHAP":
        rows = rng.normal(size=(n_rows, *shape))
        explainer = KernelSHAP(
            as_estimator(net),
            players=players,
            background=background,
            max_evals=N_EVALS,
            control_variate=None,
            random_state=SEED,
        ).fit(background)
        n_evals = int(explainer.explain(rows).diagnostics["n_evals"].sum())

        def first():
            explainer.solver_.regressions.clear()
            explainer.explain(rows)

        return {"first": first, "again": lambda: explainer.explain(rows)}, n_evals
    if method == "LIME":
        X = rng.normal(size=(500, *shape))

        def explain_one():
            # The draws are kept, so each run needs an explainer of its own.
            lime = LIME(
                as_estimator(net), players=players, feature_selection="none", random_state=SEED
            ).fit(X)
            took.append(seconds(lime.explain, X[:1]))

        took: list[float] = []
        explain_one()
        return {"": explain_one, "took": took}, 5000
    n_rows = n_rows * 3
    X, y = rng.normal(size=(n_rows, *shape)), rng.normal(size=n_rows)

    def score(estimator, X, y):
        # scikit-learn's own metrics check their input for as long as a small net takes.
        return -np.mean((y - estimator.predict(X)) ** 2)

    importance = PermutationImportance(
        as_estimator(net), players=players, scoring=score, random_state=SEED
    )
    return {"": lambda: importance.fit(X, y)}, n_rows * (1 + 5 * int(np.prod(shape)))


def mixed_rows(shape: tuple[int, ...], n_evals: int) -> torch.Tensor:
    # Only the number matters to a net; a few hundred thousand are enough to leave the cache.
    generator = torch.Generator().manual_seed(SEED)
    return torch.randn(n_evals, *shape, generator=generator)


def compare(case: str, effort: Effort) -> list[Comparison]:
    method, name = case.split(", ")
    make, shape, n_rows = NETS[name]
    torch.manual_seed(SEED)
    net = make().eval()
    runs, n_evals = prepared(method, net, shape, effort.of(n_rows, n_rows // 4))
    took = runs.pop("took", None)
    rows = mixed_rows(shape, n_evals)
    part = rows[: min(n_evals, 20_000)]
    sweep = {size: seconds(bare_pass, net, part, size) for size in BATCH_SIZES}
    best = min(sweep, key=sweep.get)
    for run in runs.values():
        run()
    if took is not None:
        took.clear()
    times = in_turn({"bare": lambda: bare_pass(net, rows, best)} | runs, effort.n_rounds)
    if took is not None:
        times[""] = list(took)
    limit = at_most(1.15 if method == "LIME" else 1.1)
    bare = Side(f"bare, batches of {best:,}", times["bare"], n_evals)
    return [
        Comparison(
            ", ".join(filter(None, [method, name, run])),
            "evaluations",
            Side("sklexplain", times[run], n_evals, run=runs[run]),
            bare,
            None if run == "first" else limit,
            as_part=True,
        )
        for run in runs
    ]


if __name__ == "__main__":
    run_alone(sys.modules[__name__])
