"""How the time of each method grows with rows, players, background rows and time steps.

Each quantity grows over two decades while the others stay; the exponent is the slope of the time
on logarithmic scales over the upper decade, where what is done once hides the least. The sizes of
a series take turns.

    python benchmarks/growth.py [--rounds 3] [--only "rows, players"]
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from comparisons import Effort
from engine_overhead import bare_pass, feed_forward
from games import Recurrent
from report import run_alone
from side_by_side import in_turn, seconds
from sklearn.metrics import r2_score
from torch import nn

from sklexplain import LIME, DeepSHAP, KernelSHAP, PermutationImportance, as_estimator

SEED, N_COLUMNS, N_EVALS, N_BACKGROUND = 0, 400, 2000, 100
BARE, N_BARE, BARE_BATCHES = "the bare module", 7000, (64, 128, 256, 512)
PICTURE = Path(__file__).with_name("growth.png")
# Linear, but for what two runs of the same differ by.
MOST = 1.1
TITLE = "Growth"
NOTE = f"""
Seconds as one quantity grows over two decades and the others stay. *exponent*: the slope on
logarithmic scales over the upper decade (over both decades in brackets); 1 is linear, 0 costs
nothing. *rows*: explained (of permutation importance: twentieths of the rows scored), by a
feed-forward net of 80 columns, with explainers that have explained before; elsewhere all is built
within the time. *players*: groups of the {N_COLUMNS} columns of such a net. *background rows*: of
the first net. *time steps*: of a GRU of 32 units on 4 variables, which are the players.
KernelSHAP spends {N_EVALS:,} evaluations a row whatever the players (exact for 4), LIME 2,000
samples, permutation importance 5 repeats; the bare module, in its best batch size, {N_BARE:,} rows.
"""
METHODS = ["KernelSHAP", "DeepSHAP", "LIME", "permutation importance"]
# The values of each quantity: two decades, five points.
QUANTITIES = {
    "rows": [10, 32, 100, 316, 1000],
    "players": [4, 13, 40, 126, 400],
    "background rows": [10, 32, 100, 316, 1000],
    "time steps": [5, 16, 50, 158, 500],
}
CASES = list(QUANTITIES)
QUICK_CASES = ["rows"]
# A background is what these two compare with.
WITH_BACKGROUND = ["KernelSHAP", "DeepSHAP"]


@dataclass(frozen=True)
class Growth:
    """The times of one method as one quantity grows.

    Parameters
    ----------
    method, quantity : str
    sizes : list of int
    seconds : list of list of float
        Of each size, its rounds.
    """

    method: str
    quantity: str
    sizes: list[int]
    seconds: list[list[float]]

    HEADER: ClassVar[list[str]] = [
        "method", "quantity", "from–to", "seconds", "exponent", "goal", "reached",
    ]  # fmt: skip

    @property
    def medians(self) -> list[float]:
        """The median time of each size."""
        return [statistics.median(times) for times in self.seconds]

    def exponent(self, n_last: int) -> float:
        """Return the slope on logarithmic scales over the last sizes."""
        x, y = np.log(self.sizes[-n_last:]), np.log(self.medians[-n_last:])
        return float(np.polyfit(x, y, 1)[0])

    @property
    def reached(self) -> str:
        """Whether the upper decade is linear or better."""
        if self.method == BARE:
            return "–"
        return "yes" if self.exponent(3) <= MOST else "**no**"

    def cells(self) -> list[str]:
        """Return the line of the table."""
        medians = self.medians
        return [
            self.method,
            self.quantity,
            f"{self.sizes[0]}–{self.sizes[-1]:,}",
            f"{medians[0]:.3g}–{medians[-1]:.3g}",
            f"{self.exponent(3):.2f} ({self.exponent(len(self.sizes)):.2f})",
            "" if self.method == BARE else f"≤ {MOST}",
            self.reached,
        ]

    def brief(self) -> list[str]:
        """Return what the overview shows."""
        return [
            f"{self.method}, {self.quantity}",
            f"exponent ≤ {MOST}",
            f"{self.exponent(3):.2f}",
            self.reached,
        ]

    def record(self) -> dict[str, Any]:
        """Return everything as JSON knows it."""
        return {
            "method": self.method,
            "quantity": self.quantity,
            "sizes": self.sizes,
            "seconds": self.seconds,
            "exponent": self.exponent(3),
            "exponent_over_both_decades": self.exponent(len(self.sizes)),
            "reached": self.reached.strip("*"),
        }


def recurrent() -> nn.Module:
    return Recurrent(nn.GRU, 32, 1).eval()


def setting(quantity: str, size: int) -> dict[str, Any]:
    """Return the net, the shape of a row, the players and the numbers of rows of one point."""
    torch.manual_seed(SEED)
    n_rows, n_background = 20, N_BACKGROUND
    if quantity == "time steps":
        net, shape, players = recurrent(), (size, 4), "feature"
        n_rows = 5
    elif quantity == "players":
        net = nn.Sequential(nn.Linear(N_COLUMNS, 64), nn.ReLU(), nn.Linear(64, 1))
        shape, players = (N_COLUMNS,), np.arange(N_COLUMNS) % size
    else:
        net, shape, players = feed_forward(), (80,), "column"
        n_rows, n_background = (size, n_background) if quantity == "rows" else (n_rows, size)
    rng = np.random.default_rng(SEED)
    return {
        "net": as_estimator(net.eval()),
        "players": players,
        "rows": rng.normal(size=(n_rows, *shape)),
        "background": rng.normal(size=(n_background, *shape)),
        # What is done once would hide how the rest grows.
        "warm": quantity == "rows",
    }


def explain_run(method: str, net, players, rows, background, warm=False) -> Callable[[], Any]:
    """Return a run from building the explainer, or with one that has run before, to the values."""
    if method == "permutation importance":
        # As many rows for each explained one as make a call of the net worth while.
        X = np.repeat(rows, 20, axis=0)
        y = np.random.default_rng(SEED).normal(size=len(X))

        def score(estimator, X, y):
            return r2_score(y, estimator.predict(X))

        return lambda: PermutationImportance(
            net, players=players, scoring=score, random_state=SEED
        ).fit(X, y)
    make = {
        "KernelSHAP": partial(
            KernelSHAP, background=background, max_evals=N_EVALS, control_variate=None
        ),
        "DeepSHAP": partial(DeepSHAP, background=background),
        "LIME": partial(LIME, n_samples=2000, feature_selection="none"),
    }[method]
    training = np.random.default_rng(SEED).normal(size=(200, *rows.shape[1:]))
    explainer = make(net, players=players, random_state=SEED)
    if not warm:
        return lambda: explainer.fit(training).explain(rows)
    explainer.fit(training).explain(rows[:10])
    return lambda: explainer.explain(rows)


def bare_run(net: nn.Module, n_timesteps: int) -> Callable[[], Any]:
    """Return a run of the module alone on about as many rows as KernelSHAP evaluates."""
    rows = torch.randn(N_BARE, n_timesteps, 4)
    best = min(BARE_BATCHES, key=lambda size: seconds(bare_pass, net, rows, size))
    return lambda: bare_pass(net, rows, best)


def compare(quantity: str, effort: Effort) -> list[Growth]:
    lines = []
    sizes = QUANTITIES[quantity]
    for method in METHODS:
        if quantity == "background rows" and method not in WITH_BACKGROUND:
            continue
        runs = {
            size: explain_run(method, **setting(quantity, size))
            for size in sizes
        }  # fmt: skip
        runs[sizes[0]]()
        times = in_turn(runs, effort.of(3, 1))
        lines.append(Growth(method, quantity, sizes, list(times.values())))
    if quantity == "time steps":
        net = recurrent()
        times = in_turn({size: bare_run(net, size) for size in sizes}, effort.of(3, 1))
        lines.append(Growth(BARE, quantity, sizes, list(times.values())))
    return lines


def draw(lines: list[Growth]) -> str:
    """Draw a panel for each quantity; return the picture's name."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 7.5), layout="constrained")
    # Okabe and Ito's colours, told apart by everyone, and marks for print.
    colors = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "0.3")
    looks = dict(zip((*METHODS, BARE), zip("os^Dx", colors, strict=True), strict=True))
    named = {}
    for quantity, axes in zip(QUANTITIES, figure.subplots(2, 2).flat, strict=True):
        shown = [line for line in lines if line.quantity == quantity]
        for line in shown:
            mark, color = looks[line.method]
            (named[line.method],) = axes.plot(line.sizes, line.medians, marker=mark, color=color)
        for line, height in zip(shown, _apart([line.medians[-1] for line in shown]), strict=True):
            place = (line.sizes[-1] * 1.15, height)
            color = looks[line.method][1]
            axes.text(*place, f"{line.exponent(3):.2f}", color=color, va="center", size="small")
        if shown:
            ends = np.array([shown[0].sizes[0], shown[0].sizes[-1]])
            least = min(min(line.medians) for line in shown) / 2
            (named["linear"],) = axes.plot(ends, least * ends / ends[0], ls="--", color="0.6")
        axes.set(xscale="log", yscale="log", xlabel=quantity, ylabel="seconds")
        axes.margins(x=0.12)
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle("Time as one quantity grows; at the ends, the exponent over the upper decade")
    figure.savefig(PICTURE, dpi=120, metadata={"Software": None})
    return PICTURE.name


def _apart(heights: list[float]) -> list[float]:
    """Return heights on a logarithmic axis, moved up where numbers would overlap."""
    placed = dict.fromkeys(range(len(heights)), 0.0)
    last = 0.0
    for i in sorted(placed, key=heights.__getitem__):
        last = placed[i] = max(heights[i], 1.35 * last)
    return list(placed.values())


if __name__ == "__main__":
    run_alone(sys.modules[__name__])
