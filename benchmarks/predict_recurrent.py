"""What an estimator's `predict` costs beside the bare module in its best batch size.

The bare module runs in evaluation mode under ``torch.inference_mode``, over a sweep of batch
sizes; the fastest of the sweep is the measure. skorch predicts with the same module in its
default batch size. Runs take turns, so that a machine that slows down slows all of them.

    python benchmarks/predict_recurrent.py [--rounds 7] [--threads 1]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import time

import numpy as np
import skorch
import torch

from sklexplain import FeedForwardRegressor, GRURegressor, LSTMRegressor
from sklexplain.inference import rows_per_batch

N_ROWS, N_TIMESTEPS, N_FEATURES, SEED = 8192, 20, 5, 0
BATCH_SIZES = [64, 128, 256, 512, 1024, 2048, 4096, 8192]
CASES = [
    ("GRU 16", GRURegressor(hidden_size=16)),
    ("GRU 32", GRURegressor(hidden_size=32)),
    ("GRU 64", GRURegressor(hidden_size=64)),
    ("LSTM 2x64", LSTMRegressor(hidden_size=64, num_layers=2)),
    ("FeedForward 64", FeedForwardRegressor(hidden_size=64)),
]


def make_data():
    rng = np.random.default_rng(SEED)
    X = rng.normal(size=(N_ROWS, N_TIMESTEPS, N_FEATURES)).astype(np.float32)
    return X, X[:, -1, 0] - X[:, -2, 1]


def run_bare(module, X, batch_size):
    module.eval()
    with torch.inference_mode():
        batches = torch.from_numpy(X).split(batch_size)
        return torch.cat([module(batch) for batch in batches]).numpy()


def plain_skorch(model):
    """Return skorch's own net around the trained module, all else as skorch has it."""
    module = model.module_

    def same_module():
        return module

    return skorch.NeuralNetRegressor(same_module).initialize()


def seconds(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def summary(ratios):
    return f"{statistics.median(ratios):5.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds a case")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    X, y = make_data()
    print(
        f"{platform.machine()} processor, {os.cpu_count()} cores, {args.threads} torch thread(s); "
        f"Python {platform.python_version()}, torch {torch.__version__}, "
        f"skorch {skorch.__version__}, numpy {np.__version__}"
    )
    print(
        f"Work: predict {N_ROWS} windows of {N_TIMESTEPS} x {N_FEATURES}; seed {SEED}; medians "
        f"of {args.rounds} rounds taking turns (smallest-largest)"
    )
    print(
        f"{'net':15} {'bare rows/s':>11} {'best batch':>10} {'our batch':>9}  "
        f"{'ours / bare':>18}  {'skorch / bare':>18}"
    )
    for name, estimator in CASES:
        model = estimator.set_params(max_epochs=1, device="cpu", random_state=SEED)
        model.fit(X[:500], y[:500])
        net = plain_skorch(model)
        assert np.allclose(model.predict(X), run_bare(model.module_, X, 128)[:, 0], atol=1e-5)
        bare = {size: [] for size in BATCH_SIZES}
        ours, others = [], []
        for _ in range(args.rounds):
            for size in BATCH_SIZES:
                bare[size].append(seconds(run_bare, model.module_, X, size))
            ours.append(seconds(model.predict, X))
            others.append(seconds(net.predict, X))
        best = min(BATCH_SIZES, key=lambda size: statistics.median(bare[size]))
        # A second series: the best batch and ours next to each other, since the sweep picked
        # the luckiest of eight.
        pairs = []
        for turn in range(2 * args.rounds):
            if turn % 2:
                pairs.append((seconds(run_bare, model.module_, X, best), seconds(model.predict, X)))
            else:
                pairs.append(
                    (seconds(model.predict, X), seconds(run_bare, model.module_, X, best))[::-1]
                )
        # Feed-forward prediction flattens the windows first, which is what its rule then sees.
        flat = (N_TIMESTEPS * N_FEATURES,)
        row_shape = X.shape[1:] if model.module_.n_timesteps else flat
        our_batch = rows_per_batch(model.module_, row_shape, torch.device("cpu"))
        bare_time = statistics.median(pair[0] for pair in pairs)
        print(
            f"{name:15} {N_ROWS / bare_time:11,.0f} {best:10} "
            f"{our_batch:9}  {summary([our / plain for plain, our in pairs]):>18}  "
            f"{summary([other / bare_time for other in others]):>18}"
        )


if __name__ == "__main__":
    main()
