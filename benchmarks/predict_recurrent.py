"""What an estimator's `predict` costs beside the bare module in its best batch size.

The bare module runs in evaluation mode under ``torch.inference_mode``, in the batch size that was
fastest of a sweep. skorch predicts with the same module in its default batch size. Runs take
turns.

    python benchmarks/predict_recurrent.py [--rounds 7] [--threads 1]
"""

from __future__ import annotations

import sys

import numpy as np
import skorch
import torch
from comparisons import NOT_SLOWER, Comparison, Effort, Side, at_most
from report import run_alone
from side_by_side import in_turn, seconds

from sklexplain import FeedForwardRegressor, GRURegressor, LSTMRegressor

N_ROWS, N_TIMESTEPS, N_FEATURES, SEED = 8192, 20, 5, 0
BATCH_SIZES = [64, 128, 256, 512, 1024, 2048, 4096, 8192]
ESTIMATORS = {
    "GRU 16": GRURegressor(hidden_size=16),
    "GRU 32": GRURegressor(hidden_size=32),
    "GRU 64": GRURegressor(hidden_size=64),
    "LSTM 2×64": LSTMRegressor(hidden_size=64, num_layers=2),
    "feed-forward 64": FeedForwardRegressor(hidden_size=64),
}
TITLE = "Predicting with the recurrent estimators"
NOTE = f"""
{N_ROWS:,} windows of {N_TIMESTEPS} × {N_FEATURES}. The bare module runs in the batch size that was
fastest of a sweep, under `torch.inference_mode`; skorch predicts with the same module in its
default batch size.
"""
CASES = list(ESTIMATORS)
QUICK_CASES = CASES[1:2]


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


def compare(name: str, effort: Effort) -> list[Comparison]:
    X, y = make_data()
    model = ESTIMATORS[name].set_params(max_epochs=1, device="cpu", random_state=SEED)
    model.fit(X[:500], y[:500])
    net = plain_skorch(model)
    assert np.allclose(model.predict(X), run_bare(model.module_, X, 128)[:, 0], atol=1e-5)
    net.predict(X)
    sweep = {
        size: min(seconds(run_bare, model.module_, X, size) for _ in range(effort.of(3, 1)))
        for size in BATCH_SIZES
    }
    best = min(sweep, key=sweep.get)
    # Single calls take milliseconds.
    times = in_turn(
        {
            "bare": lambda: run_bare(model.module_, X, best),
            "ours": lambda: model.predict(X),
            "skorch": lambda: net.predict(X),
        },
        3 * effort.n_rounds,
    )
    ours = Side("sklexplain", times["ours"], N_ROWS, run=lambda: model.predict(X))
    bare = Side(f"the bare module, batches of {best:,}", times["bare"], N_ROWS)
    return [
        Comparison(name, "rows", ours, bare, at_most(1.1)),
        Comparison(name, "rows", ours, Side("skorch alone", times["skorch"], N_ROWS), NOT_SLOWER),
    ]


if __name__ == "__main__":
    run_alone(sys.modules[__name__])
