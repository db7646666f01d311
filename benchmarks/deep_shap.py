"""DeepSHAP beside shap.DeepExplainer and captum.DeepLiftShap on equal work.

Every method explains the same rows against the same background, all cells, one output, and builds
its explainer within the time. Runs take turns.

    python benchmarks/deep_shap.py [--rounds 5] [--threads 1]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import shap
import torch
from captum.attr import DeepLiftShap
from comparisons import NOT_SLOWER, Comparison, Effort, Side, faster
from report import run_alone
from side_by_side import in_turn
from torch import nn

from sklexplain import DeepSHAP
from sklexplain.solvers.coalitions import all_coalitions
from sklexplain.solvers.shapley import exact_shapley

N_ROWS, N_BACKGROUND, N_EXACT = 100, 100, 20
N_TIMESTEPS, N_FEATURES, N_STEPS, SEED = 20, 4, 80, 0


class Recurrent(nn.Module):
    """Two recurrent layers and a linear layer on the last state."""

    def __init__(self, layer):
        super().__init__()
        self.recurrent = layer(N_FEATURES, 64, num_layers=2, batch_first=True)
        self.output = nn.Linear(64, 1)

    def forward(self, X):
        """Map (n, n_timesteps, n_features) to (n, 1)."""
        return self.output(self.recurrent(X)[0][:, -1])


class Convolutional(nn.Module):
    """Convolutions over time with pooling between them."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(N_FEATURES, 32, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2),
            nn.Conv1d(32, 32, 3, padding=1), nn.ReLU(), nn.Flatten(),
            nn.Linear(32 * N_TIMESTEPS // 2, 1),
        )  # fmt: skip

    def forward(self, X):
        """Map (n, n_timesteps, n_features) to (n, 1)."""
        return self.layers(X.transpose(1, 2))


def perceptron():
    return nn.Sequential(
        nn.Flatten(), nn.Linear(N_TIMESTEPS * N_FEATURES, 64), nn.ReLU(),
        nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1),
    )  # fmt: skip


NETS = {
    "LSTM 2×64": lambda: Recurrent(nn.LSTM),
    "GRU 2×64": lambda: Recurrent(nn.GRU),
    "feed-forward 2×64": perceptron,
    "convolutional 2×32": Convolutional,
}


def make_data():
    generator = torch.Generator().manual_seed(SEED)
    X = torch.randn(1000, N_TIMESTEPS, N_FEATURES, generator=generator)
    y = X[:, -1, 0] * X[:, -2, 1] + X[:, -5:, 2].mean(1) + torch.tanh(X[:, -3, 0])
    return X, y[:, None]


def trained(make, X, y):
    torch.manual_seed(SEED)
    net = make()
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(N_STEPS):
        batch = torch.randint(len(X), (128,))
        optimizer.zero_grad()
        nn.functional.mse_loss(net(X[batch]), y[batch]).backward()
        optimizer.step()
    return net.eval()


TITLE = "DeepSHAP"
NOTE = f"""
{N_ROWS} rows × {N_BACKGROUND} background rows of {N_TIMESTEPS} × {N_FEATURES} cells, all pairs,
trained float32 nets. *error*: the L2 distance of the contributions of whole features from their
exact SHAP values (all coalitions of the {N_FEATURES} features against every background row, first
{N_EXACT} rows), relative to their length. *completeness gap*: the largest distance of a row's
contributions from what they must add up to, relative to the largest such sum. Both are ours /
theirs; a method with a large gap is fast at something else.
"""
CASES = list(NETS)
QUICK_CASES = CASES[:1]


@dataclass(frozen=True)
class WithGap(Comparison):
    """A comparison that also tells how far contributions are from adding up.

    Parameters
    ----------
    gaps : tuple of float
        Ours and theirs.
    """

    gaps: tuple[float, float] = (0.0, 0.0)

    HEADER: ClassVar[list[str]] = [*Comparison.HEADER, "completeness gap"]

    def cells(self) -> list[str]:
        """Return the line of the table."""
        return [*super().cells(), " / ".join(f"{gap:.1e}" for gap in self.gaps)]

    def record(self) -> dict[str, Any]:
        """Return everything as JSON knows it."""
        return super().record() | {"completeness_gap": self.gaps}


def explain_here(net, rows, background):
    explainer = DeepSHAP(net, players="cell", background=background.numpy())
    values = explainer.fit(background.numpy()).explain(rows.numpy()).values
    return torch.from_numpy(values).reshape(rows.shape)


def explain_shap(net, rows, background):
    explainer = shap.DeepExplainer(net, background)
    return torch.as_tensor(explainer.shap_values(rows, check_additivity=False)[..., 0])


def explain_captum(net, rows, background):
    return DeepLiftShap(net).attribute(rows, background, target=0).detach()


METHODS = {
    "sklexplain": explain_here,
    "shap.DeepExplainer": explain_shap,
    "captum.DeepLiftShap": explain_captum,
}


def exact_values(net, rows, background):
    """Return the SHAP values of features, (n_rows, n_features), from all coalitions."""
    coalitions = torch.from_numpy(all_coalitions(N_FEATURES))
    values = np.zeros((len(rows), len(coalitions), 1))
    with torch.inference_mode():
        for k, present in enumerate(coalitions):
            masked = torch.where(present, rows[:, None], background[None])
            outputs = net(masked.flatten(0, 1)).view(len(rows), len(background))
            values[:, k, 0] = outputs.double().mean(1).numpy()
    return torch.as_tensor(exact_shapley(values)[..., 0])


def compare(name: str, effort: Effort) -> list[Comparison]:
    X, y = make_data()
    net = trained(NETS[name], X, y)
    rows, background = X[:N_ROWS], X[-N_BACKGROUND:]
    with torch.inference_mode():
        expected = (net(rows) - net(background).mean(0))[:, 0].double()
    exact = exact_values(net, rows[:N_EXACT], background)
    results, runs = {}, {}
    for method, explain in METHODS.items():

        def run(method=method, explain=explain):
            results[method] = explain(net, rows.clone(), background.clone()).double()

        explain(net, rows[:2].clone(), background.clone())
        runs[method] = run
    times = in_turn(runs, effort.n_rounds)
    gaps = {
        method: float((values.flatten(1).sum(1) - expected).abs().max() / expected.abs().max())
        for method, values in results.items()
    }
    errors = {
        method: float((values.sum(1)[:N_EXACT] - exact).norm() / exact.norm())
        for method, values in results.items()
    }
    ours, *peers = METHODS
    recurrent = name.startswith(("LSTM", "GRU"))
    return [
        WithGap(
            name,
            f"{N_ROWS * N_BACKGROUND:,} pairs",
            Side(ours, times[ours], error=errors[ours], run=runs[ours]),
            Side(peer, times[peer], error=errors[peer]),
            faster(5) if recurrent else NOT_SLOWER,
            gaps=(gaps[ours], gaps[peer]),
        )
        for peer in peers
    ]


if __name__ == "__main__":
    run_alone(sys.modules[__name__])
