"""What a lower-precision or compiled forward gains in speed, and what it costs in error.

The bare forward pass in float32, in the batch size that the engine chooses, beside the same in
bfloat16 (the weights converted, or under autocast), with dynamically quantised weights, and
compiled by `torch.compile`. Two errors: of the outputs, the root mean square of the difference
relative to the spread of the float32 outputs over the rows; and of exact Shapley values of four
players, the L2 distance relative to their length. Runs take turns; compiling is not timed.

    python benchmarks/precision.py [--rounds 7] [--threads 1]
"""

from __future__ import annotations

import argparse
import copy
import statistics
import warnings
from collections.abc import Callable

import numpy as np
import torch
from engine_overhead import feed_forward
from games import Recurrent
from side_by_side import in_turn, machine, publish, ratios, seconds, table, versions
from torch import nn

from sklexplain import KernelSHAP, as_estimator
from sklexplain.inference import rows_per_batch

SEED, N_STEPS, N_EXPLAINED, N_BACKGROUND = 0, 150, 10, 50
# Name: how to make it, the shape of a row, and how many rows to run.
NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], int]] = {
    "LSTM, 2 layers of 64, 20 × 4": (lambda: Recurrent(nn.LSTM, 64, 2), (20, 4), 8_192),
    "GRU of 32, 20 × 4": (lambda: Recurrent(nn.GRU, 32, 1), (20, 4), 32_768),
    "feed-forward net, 80–64–64–1": (feed_forward, (80,), 262_144),
}


def in_bfloat16(net: nn.Module) -> Callable:
    converted = copy.deepcopy(net).to(torch.bfloat16)
    return lambda batch: converted(batch.to(torch.bfloat16))


def under_autocast(net: nn.Module) -> Callable:
    def run(batch):
        with torch.autocast("cpu", torch.bfloat16):
            return net(batch)

    return run


def quantised(net: nn.Module) -> Callable:
    return torch.ao.quantization.quantize_dynamic(
        copy.deepcopy(net), {nn.LSTM, nn.GRU, nn.Linear}, dtype=torch.qint8
    )


def compiled(net: nn.Module) -> Callable:
    return torch.compile(copy.deepcopy(net))


VARIANTS = {
    "bfloat16 weights": in_bfloat16,
    "bfloat16 autocast": under_autocast,
    "int8 weights, dynamic": quantised,
    "torch.compile": compiled,
}


def trained(net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Return the net after some steps on a target that a few late cells make."""
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for _ in range(N_STEPS):
        X = torch.randn(256, *shape)
        cells = X.flatten(1)
        y = cells[:, -1:] * cells[:, -6:-5] + torch.tanh(cells[:, -10:-9]) + cells[:, -16:-15]
        optimizer.zero_grad()
        nn.functional.mse_loss(net(X), y).backward()
        optimizer.step()
    return net.eval()


def shapley_values(forward: Callable, rows: torch.Tensor) -> np.ndarray:
    """Return the exact values of four players of some rows."""

    def predict(X):
        with torch.inference_mode():
            return forward(torch.as_tensor(X, dtype=torch.float32)).float().numpy()[:, 0]

    shape = tuple(rows.shape[1:])
    players = (np.arange(rows[0].numel()) % 4).reshape(shape)
    background = rows[-N_BACKGROUND:].numpy()
    explainer = KernelSHAP(
        as_estimator(predict), players=players, background=background, max_evals="exact"
    )
    return explainer.fit(background).explain(rows[:N_EXPLAINED].numpy()).values


def passes(forward: Callable, rows: torch.Tensor, batch_size: int) -> Callable[[], torch.Tensor]:
    def run():
        with torch.inference_mode():
            return torch.cat([forward(batch) for batch in rows.split(batch_size)]).float()

    return run


def measure(name: str, n_rounds: int) -> list[list[str]]:
    make, shape, n_rows = NETS[name]
    torch.manual_seed(SEED)
    net = trained(make(), shape)
    rows = torch.randn(n_rows, *shape)
    batch_size = rows_per_batch(net, shape, torch.device("cpu"))
    runs = {"float32": passes(net, rows, batch_size)}
    expected = runs["float32"]()
    exact = shapley_values(net, rows)
    errors, first, failed = {"float32": (0.0, 0.0)}, {}, {}
    for variant, make_variant in VARIANTS.items():
        try:
            forward = make_variant(net)
            run = passes(forward, rows, batch_size)
            # The first run compiles.
            first[variant] = seconds(run)
            difference = (run() - expected).square().mean().sqrt()
            moved = np.linalg.norm(shapley_values(forward, rows) - exact) / np.linalg.norm(exact)
            errors[variant] = (float(difference / expected.std()), float(moved))
            runs[variant] = run
        except Exception as error:
            failed[variant] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    times = in_turn(runs, n_rounds)
    lines = [
        [
            name,
            variant,
            f"{batch_size:,}",
            f"{1e6 * statistics.median(times[variant]) / n_rows:.2f}",
            ratios(times["float32"], times[variant]),
            *(f"{error:.1e}" for error in errors[variant]),
            f"{max(0, first[variant] - times[variant][-1]):.1f}" if variant in first else "–",
        ]
        for variant in runs
    ]
    return lines + [[name, variant, *["–"] * 4, why, "–"] for variant, why in failed.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="timed pairs of runs a line")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    lines = [line for name in NETS for line in measure(name, options.rounds)]
    publish(
        "precision",
        "# Forward passes in lower precision, and compiled",
        f"{machine(options.threads)}; {versions('torch')}; "
        f"{torch.backends.cpu.get_cpu_capability()}.",
        "Bare forward passes in the engine's batch size. *times as fast*: as float32, medians of "
        f"{options.rounds} rounds that take turns, with the smallest and the largest ratio. "
        "*output error*: root mean square of the difference from float32, relative to the standard "
        "deviation of the outputs over the rows; *error of SHAP*: L2 distance of exact Shapley "
        "values of four players, relative to their length. *once*: what the first run took "
        "longer, seconds; torch leaves recurrent layers out of what it compiles. "
        f"Nets trained for {N_STEPS} steps, random rows, seed {SEED}.",
        table(
            [
                "net",
                "forward",
                "batch",
                "µs a row",
                "times as fast",
                "output error",
                "error of SHAP",
                "once",
            ],
            lines,
        ),
    )


if __name__ == "__main__":
    main()
