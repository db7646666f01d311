"""What an estimator's `fit` costs beside a plain torch loop that takes the same steps.

The plain loop starts from the same weights, shuffles in the same order, clips, validates and
copies its best weights like the estimator, on data that are already standardised; the last column
shows that both arrive at the same validation loss. Runs take turns, so that a machine that
slows down slows all of them.

    python benchmarks/fit_recurrent.py [--pairs 5] [--threads 1]
"""

from __future__ import annotations

import argparse
import copy
import os
import platform
import statistics
import time

import numpy as np
import skorch
import torch
from skorch.callbacks import EarlyStopping, GradientNormClipping
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import nn

from sklexplain import GRURegressor, LSTMRegressor
from sklexplain.inference import rows_per_batch

N_ROWS, N_TIMESTEPS, N_FEATURES, N_EPOCHS = 2000, 20, 5, 8
N_VALID = N_ROWS // 10
BATCH_SIZE, LR, SEED = 128, 1e-3, 0
CASES = [
    ("GRU 16", GRURegressor, nn.GRU, 16, 1),
    ("GRU 32", GRURegressor, nn.GRU, 32, 1),
    ("GRU 64", GRURegressor, nn.GRU, 64, 1),
    ("LSTM 2x64", LSTMRegressor, nn.LSTM, 64, 2),
]


class PlainModule(nn.Module):
    """Recurrent layers and a linear layer on standardised data."""

    def __init__(self, layer, hidden_size, num_layers):
        super().__init__()
        self.recurrent = layer(N_FEATURES, hidden_size, num_layers=num_layers, batch_first=True)
        self.output = nn.Linear(hidden_size, 1)

    def forward(self, X):
        """Map (n, n_timesteps, n_features) to (n, 1)."""
        states, _ = self.recurrent(X)
        return self.output(states[:, -1])


def make_data():
    rng = np.random.default_rng(SEED)
    X = rng.normal(size=(N_ROWS, N_TIMESTEPS, N_FEATURES)).astype(np.float32)
    y = (X[:, -1, 0] * X[:, -2, 1] + X[:, -5:, 2].mean(axis=1)).astype(np.float32)
    return X, y


def standardized(X, y):
    train = slice(-N_VALID)
    X = (X - X[train].mean((0, 1))) / X[train].std((0, 1))
    y = (y - y[train].mean()) / y[train].std()
    return torch.from_numpy(X), torch.from_numpy(y[:, None])


def seed_all():
    # The estimator draws its seed so from its random_state.
    seed = np.random.RandomState(SEED).randint(np.iinfo(np.int32).max)
    torch.manual_seed(seed)


def fit_plain(X, y, layer, hidden_size, num_layers):
    X, y = standardized(X, y)
    X_train, X_valid, y_train, y_valid = X[:-N_VALID], X[-N_VALID:], y[:-N_VALID], y[-N_VALID:]
    seed_all()
    module = PlainModule(layer, hidden_size, num_layers)
    optimizer = torch.optim.AdamW(module.parameters(), lr=LR, weight_decay=0.0)
    loss_of = nn.MSELoss()
    valid_batch = rows_per_batch(module, tuple(X.shape[1:]), X.device)
    best_loss, best_weights = np.inf, None
    for _ in range(N_EPOCHS):
        module.train()
        order = torch.randperm(len(X_train))
        train_loss = 0.0
        for rows in order.split(BATCH_SIZE):
            optimizer.zero_grad()
            loss = loss_of(module(X_train[rows]), y_train[rows])
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()
            train_loss += loss.item() * len(rows)
        module.eval()
        valid_loss = 0.0
        with torch.no_grad():
            for X_batch, y_batch in zip(
                X_valid.split(valid_batch), y_valid.split(valid_batch), strict=True
            ):
                valid_loss += loss_of(module(X_batch), y_batch).item() * len(X_batch)
        valid_loss /= N_VALID
        if valid_loss < best_loss:
            best_loss, best_weights = valid_loss, copy.deepcopy(module.state_dict())
    module.load_state_dict(best_weights)
    return best_loss


def fit_skorch(X, y, layer, hidden_size, num_layers):
    X, y = standardized(X, y)
    seed_all()
    net = skorch.NeuralNetRegressor(
        PlainModule,
        module__layer=layer,
        module__hidden_size=hidden_size,
        module__num_layers=num_layers,
        optimizer=torch.optim.AdamW,
        optimizer__weight_decay=0.0,
        lr=LR,
        batch_size=BATCH_SIZE,
        max_epochs=N_EPOCHS,
        iterator_train__shuffle=True,
        train_split=predefined_split(Dataset(X[-N_VALID:], y[-N_VALID:])),
        callbacks=[GradientNormClipping(1.0), EarlyStopping(patience=N_EPOCHS, load_best=True)],
        verbose=0,
    )
    net.fit(X[:-N_VALID], y[:-N_VALID])


def fit_ours(X, y, estimator, hidden_size, num_layers):
    model = estimator(
        hidden_size=hidden_size,
        num_layers=num_layers,
        max_epochs=N_EPOCHS,
        n_iter_no_change=N_EPOCHS,
        batch_size=BATCH_SIZE,
        lr=LR,
        device="cpu",
        random_state=SEED,
    ).fit(X, y)
    return min(model.history_["valid_loss"])


def seconds(function, *args):
    start = time.perf_counter()
    result = function(*args)
    return time.perf_counter() - start, result


def summary(ratios):
    return f"{statistics.median(ratios):5.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5, help="timed rounds a case")
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
        f"Work: {N_ROWS} windows of {N_TIMESTEPS} x {N_FEATURES} (the last {N_VALID} validate), "
        f"{N_EPOCHS} epochs, batches of {BATCH_SIZE}; seed {SEED}; medians of {args.pairs} "
        "rounds taking turns (smallest-largest)"
    )
    print(
        f"{'net':10} {'plain loop s':>12}  {'ours / plain':>18}  {'skorch / plain':>18}  "
        f"{'valid loss, ours - plain':>24}"
    )
    for name, estimator, layer, hidden_size, num_layers in CASES:
        sizes = (hidden_size, num_layers)
        runs = [(fit_plain, layer), (fit_ours, estimator), (fit_skorch, layer)]
        for function, what in runs:
            function(X, y, what, *sizes)
        plain_times, ours, others = [], [], []
        for turn in range(args.pairs):
            # Whoever goes first finds the caches as the last one left them, so they alternate.
            order = runs[:: 1 if turn % 2 else -1]
            timed = {function: seconds(function, X, y, what, *sizes) for function, what in order}
            plain_time, plain_loss = timed[fit_plain]
            our_time, our_loss = timed[fit_ours]
            plain_times.append(plain_time)
            ours.append(our_time / plain_time)
            others.append(timed[fit_skorch][0] / plain_time)
        print(
            f"{name:10} {statistics.median(plain_times):12.2f}  {summary(ours):>18}  "
            f"{summary(others):>18}  {our_loss - plain_loss:24.1e}"
        )


if __name__ == "__main__":
    main()
