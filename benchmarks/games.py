"""Models with the rows to explain and their backgrounds, for the measurements of KernelSHAP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.datasets import make_friedman1
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from torch import nn

from sklexplain import load_google_stock, make_windows

N_TIMESTEPS = 20


class Recurrent(nn.Module):
    """Recurrent layers and a linear layer on the last state."""

    def __init__(self, layer, hidden_size, num_layers, n_features=4):
        super().__init__()
        self.recurrent = layer(n_features, hidden_size, num_layers, batch_first=True)
        self.output = nn.Linear(hidden_size, 1)

    def forward(self, X):
        """Map (n, n_timesteps, n_features) to (n, 1)."""
        return self.output(self.recurrent(X)[0][:, -1])


@dataclass(frozen=True)
class Game:
    """A model, the rows to explain, and what they are compared with.

    Parameters
    ----------
    model : nn.Module or estimator or function
    rows : ndarray of shape (n_rows, *sample_shape)
    background : ndarray of shape (n_background, *sample_shape)
    players : ndarray of int, shape sample_shape
        The player of each cell.
    """

    model: Any
    rows: np.ndarray
    background: np.ndarray
    players: np.ndarray

    @property
    def n_players(self):
        """How many players there are."""
        return int(self.players.max()) + 1

    @property
    def predict(self) -> Callable:
        """The model as a function of an array, at its own speed."""
        if not isinstance(self.model, nn.Module):
            return getattr(self.model, "predict", self.model)

        def predict(X):
            with torch.inference_mode():
                rows = torch.as_tensor(np.ascontiguousarray(X), dtype=torch.float32)
                return torch.cat([self.model(batch) for batch in rows.split(512)])[:, 0].numpy()

        return predict


def price_lstm(n_rows, n_background, seed=0, n_epochs=40):
    """Return a two-layer LSTM of 64 units on windows of Google's standardised prices.

    Twelve players: four prices in three segments of the window. Half of the rows are from the
    days that the net was trained on, half from later ones.
    """
    stock = load_google_stock().frame[["open", "high", "low", "close"]].to_numpy()
    prices = (stock - stock.mean(0)) / stock.std(0)
    windows, targets = make_windows(prices, prices[:, 3], window=N_TIMESTEPS)
    n_train = int(0.8 * len(windows))
    torch.manual_seed(seed)
    net = Recurrent(nn.LSTM, 64, 2)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    X = torch.as_tensor(windows, dtype=torch.float32)
    y = torch.as_tensor(targets, dtype=torch.float32)[:, None]
    for _ in range(n_epochs):
        for batch in torch.randperm(n_train).split(64):
            optimizer.zero_grad()
            nn.functional.mse_loss(net(X[batch]), y[batch]).backward()
            optimizer.step()
    rng = np.random.default_rng(seed)
    background = windows[np.sort(rng.choice(n_train, n_background, replace=False))]
    late = windows[n_train:][rng.choice(len(windows) - n_train, n_rows // 2, replace=False)]
    early = windows[rng.choice(n_train, n_rows - n_rows // 2, replace=False)]
    segments = np.repeat([0, 1, 2], [7, 7, 6])
    return Game(
        net.eval(), np.concatenate([late, early]), background, segments[:, None] * 4 + np.arange(4)
    )


def table_game(model, X, n_rows, n_background, seed=0):
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(X))
    return Game(
        model,
        X[order[:n_rows]],
        X[order[n_rows : n_rows + n_background]],
        np.arange(X.shape[1]),
    )


def forest(n_rows, n_background, seed=0, n_columns=12):
    """Return a random forest on Friedman's first problem, of whose columns five matter."""
    X, y = make_friedman1(1000, n_features=n_columns, noise=0.5, random_state=seed)
    model = RandomForestRegressor(100, random_state=seed).fit(X, y)
    return table_game(model, X, n_rows, n_background, seed)


def boosting(n_rows, n_background, seed=0, n_columns=30):
    """Return gradient boosting on a table of at least 10 columns, of which 10 matter."""
    rng = np.random.default_rng(seed)
    X, y = make_friedman1(2000, n_features=n_columns, noise=0.5, random_state=seed)
    y = y + 3 * X[:, 5] * X[:, 6] + 2 * X[:, 7] + (X[:, 8] > X[:, 9]) + rng.normal(size=2000) / 10
    model = GradientBoostingRegressor(n_estimators=200, max_depth=4, random_state=seed).fit(X, y)
    return table_game(model, X, n_rows, n_background, seed)


def products(X):
    return (
        X[:, 0] * X[:, 1]
        + X[:, 2] * X[:, 3] * X[:, 4]
        + np.sin(X[:, 5] * X[:, 6])
        + X[:, 7] * X[:, 8] * X[:, 9] * X[:, 10]
        + X[:, 11]
    )


def interactions(n_rows, n_background, seed=0):
    """Return a sum of products of two to four of 12 normal columns."""
    X = np.random.default_rng(seed).normal(size=(n_rows + n_background, 12))
    return table_game(products, X, n_rows, n_background, seed)
