"""What an estimator's `fit` costs beside a plain torch loop that takes the same steps.

The plain loop starts from the same weights, shuffles in the same order, clips, validates and
copies its best weights like the estimator, on data that are already standardised; both arrive at
the same validation loss. Runs take turns.

    python benchmarks/fit_recurrent.py [--rounds 5] [--threads 1]
"""

from __future__ import annotations

import copy
import sys
from functools import partial

import numpy as np
import skorch
import torch
from comparisons import Comparison, Effort, Side, at_most
from report import run_alone
from side_by_side import in_turn
from skorch.callbacks import EarlyStopping, GradientNormClipping
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import nn

from sklexplain import GRURegressor, LSTMRegressor
from sklexplain.inference import rows_per_batch

N_ROWS, N_TIMESTEPS, N_FEATURES, N_EPOCHS = 2000, 20, 5, 8
N_VALID = N_ROWS // 10
BATCH_SIZE, LR, SEED = 128, 1e-3, 0
NETS = {
    "GRU 16": (GRURegressor, nn.GRU, 16, 1),
    "GRU 32": (GRURegressor, nn.GRU, 32, 1),
    "GRU 64": (GRURegressor, nn.GRU, 64, 1),
    "LSTM 2×64": (LSTMRegressor, nn.LSTM, 64, 2),
}
TITLE = "Fitting the recurrent estimators"
NOTE = f"""
{N_ROWS:,} windows of {N_TIMESTEPS} × {N_FEATURES} (the last {N_VALID} validate), {N_EPOCHS} epochs,
batches of {BATCH_SIZE}. The plain torch loop takes the same steps from the same weights on data
that are already standardised; skorch fits the same module by its own means. *error*: the best
validation loss.
"""
CASES = list(NETS)
QUICK_CASES = CASES[1:2]


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
    return min(net.history[:, "valid_loss"])


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


def compare(name: str, effort: Effort) -> list[Comparison]:
    X, y = make_data()
    estimator, layer, *sizes = NETS[name]
    losses = {}

    def run(who, function, what):
        losses[who] = function(X, y, what, *sizes)

    runs = {
        "plain": partial(run, "plain", fit_plain, layer),
        "ours": partial(run, "ours", fit_ours, estimator),
        "skorch": partial(run, "skorch", fit_skorch, layer),
    }
    for warm_up in runs.values():
        warm_up()
    assert abs(losses["ours"] - losses["plain"]) < 1e-3, losses
    times = in_turn(runs, effort.n_rounds)
    ours = Side("sklexplain", times["ours"], error=losses["ours"], run=runs["ours"])
    steps = "training steps"
    plain = Side("a plain torch loop", times["plain"], error=losses["plain"])
    skorch_alone = Side("skorch alone", times["skorch"], error=losses["skorch"])
    return [
        Comparison(name, steps, ours, plain, at_most(1.1)),
        Comparison(name, steps, ours, skorch_alone, as_part=True),
    ]


if __name__ == "__main__":
    run_alone(sys.modules[__name__])
