"""DeepSHAP beside shap.DeepExplainer and captum.DeepLiftShap on equal work.

Every method explains the same rows against the same background, all cells, one output. Runs take
turns, so that a machine that slows down slows all of them. The gap is the largest distance of a
row's contributions from what they must add up to, and the error the distance of the contributions
of whole features from their exact SHAP values (all 16 coalitions of 4 features against every
background row), both relative to the largest value of what they are compared with and to its
norm, respectively.

    python benchmarks/deep_shap.py [--rounds 5] [--threads 1]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time
import warnings

import captum
import numpy as np
import shap
import torch
from captum.attr import DeepLiftShap
from torch import nn

from sklexplain.solvers.coalitions import all_coalitions
from sklexplain.solvers.deeplift import deeplift
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


CASES = {
    "LSTM 2x64": lambda: Recurrent(nn.LSTM),
    "GRU 2x64": lambda: Recurrent(nn.GRU),
    "MLP 2x64": perceptron,
    "Conv 2x32": Convolutional,
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


def explain_here(net, rows, background):
    return deeplift(net, rows, background).values[..., 0]


def explain_shap(net, rows, background):
    explainer = shap.DeepExplainer(net, background)
    return torch.as_tensor(explainer.shap_values(rows, check_additivity=False)[..., 0])


def explain_captum(net, rows, background):
    return DeepLiftShap(net).attribute(rows, background, target=0).detach()


METHODS = {"sklexplain": explain_here, "shap": explain_shap, "captum": explain_captum}


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


def measure(name, net, rows, background, n_rounds):
    with torch.inference_mode():
        expected = (net(rows) - net(background).mean(0))[:, 0].double()
    exact = exact_values(net, rows[:N_EXACT], background)
    times = {method: [] for method in METHODS}
    results = {}
    for explain in METHODS.values():
        explain(net, rows[:2], background)
    for _ in range(n_rounds):
        for method, explain in METHODS.items():
            start = time.perf_counter()
            results[method] = explain(net, rows.clone(), background.clone()).double()
            times[method].append(time.perf_counter() - start)
    for method, values in results.items():
        gap = (values.flatten(1).sum(1) - expected).abs().max() / expected.abs().max()
        error = (values.sum(1)[:N_EXACT] - exact).norm() / exact.norm()
        ratios = [a / b for a, b in zip(times[method], times["sklexplain"], strict=True)]
        print(
            f"{name:<10} {method:<11} {statistics.median(times[method]):8.3f} "
            f"{min(times[method]):7.3f}-{max(times[method]):<7.3f} "
            f"{statistics.median(ratios):6.1f} {gap:11.1e} {error:9.3f}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, {options.threads} thread(s); "
        f"Python {platform.python_version()}, torch {torch.__version__}, shap {shap.__version__}, "
        f"captum {captum.__version__}\n"
        f"{N_ROWS} rows x {N_BACKGROUND} background rows of {N_TIMESTEPS} x {N_FEATURES} cells, "
        f"float32, seed {SEED}, {N_STEPS} training steps; {options.rounds} rounds in turn; exact "
        f"SHAP values of the first {N_EXACT} rows\n"
    )
    print(
        f"{'net':<10} {'method':<11} {'median s':>8} {'from-to':^15} {'ratio':>6} "
        f"{'gap':>11} {'error':>9}"
    )
    X, y = make_data()
    for name, make in CASES.items():
        net = trained(make, X, y)
        measure(name, net, X[:N_ROWS], X[-N_BACKGROUND:], options.rounds)


if __name__ == "__main__":
    main()
