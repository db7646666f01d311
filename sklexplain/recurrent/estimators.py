"""Recurrent and feed-forward nets as ordinary scikit-learn estimators."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import nn

from .base import BaseNetClassifier, BaseNetEstimator, BaseNetRegressor
from .docs import documented
from .modules import ACTIVATIONS, FeedForwardModule, RecurrentModule


class _Recurrent(BaseNetEstimator):
    """GRU and LSTM: how a sample becomes a sequence."""

    _layer: ClassVar[type[nn.RNNBase]]
    _parameter_constraints: dict = {
        **BaseNetEstimator._parameter_constraints,
        "bidirectional": ["boolean"],
        "n_timesteps": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        *,
        hidden_size: int = 32,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        n_timesteps: int | None = None,
        max_epochs: int = 100,
        batch_size: int = 128,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        gradient_clip: float | None = 1.0,
        standardize: bool = True,
        device: str | torch.device = "auto",
        callbacks: list | None = None,
        net_params: dict[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.bidirectional = bidirectional
        self.n_timesteps = n_timesteps
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.gradient_clip = gradient_clip
        self.standardize = standardize
        self.device = device
        self.callbacks = callbacks
        self.net_params = net_params
        self.random_state = random_state
        self.verbose = verbose

    def _sequence_shape(self, input_shape: tuple[int, ...]) -> tuple[int, int]:
        """Return (n_timesteps, n_features) of one sample."""
        if len(input_shape) == 2:
            if self.n_timesteps not in (None, input_shape[0]):
                raise ValueError(
                    f"n_timesteps={self.n_timesteps}, but X has {input_shape[0]} time steps. "
                    "Leave n_timesteps out for 3-D X."
                )
            return input_shape[0], input_shape[1]
        (n_columns,) = input_shape
        n_timesteps = self.n_timesteps or n_columns
        if n_columns % n_timesteps:
            raise ValueError(
                f"n_timesteps={n_timesteps} does not divide the {n_columns} columns of X. A "
                "flattened window has n_timesteps × n_features columns."
            )
        return n_timesteps, n_columns // n_timesteps

    def _module_params(self, input_shape: tuple[int, ...]) -> tuple[type[nn.Module], dict]:
        n_timesteps, n_features = self._sequence_shape(input_shape)
        return RecurrentModule, {
            "layer": self._layer,
            "n_timesteps": n_timesteps,
            "n_features": n_features,
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "dropout": self.dropout,
            "bidirectional": self.bidirectional,
        }


class _ElmanRecurrent(_Recurrent):
    """The simple recurrent net, which lets one choose its nonlinearity."""

    _layer = nn.RNN
    _parameter_constraints: dict = {
        **_Recurrent._parameter_constraints,
        "nonlinearity": [StrOptions({"tanh", "relu"})],
    }

    def __init__(
        self,
        *,
        hidden_size: int = 32,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        nonlinearity: str = "tanh",
        n_timesteps: int | None = None,
        max_epochs: int = 100,
        batch_size: int = 128,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        gradient_clip: float | None = 1.0,
        standardize: bool = True,
        device: str | torch.device = "auto",
        callbacks: list | None = None,
        net_params: dict[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            hidden_size=hidden_size,
            num_layers=num_layers,
            dropout=dropout,
            bidirectional=bidirectional,
            n_timesteps=n_timesteps,
            max_epochs=max_epochs,
            batch_size=batch_size,
            lr=lr,
            weight_decay=weight_decay,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            gradient_clip=gradient_clip,
            standardize=standardize,
            device=device,
            callbacks=callbacks,
            net_params=net_params,
            random_state=random_state,
            verbose=verbose,
        )
        self.nonlinearity = nonlinearity

    def _module_params(self, input_shape: tuple[int, ...]) -> tuple[type[nn.Module], dict]:
        module, params = super()._module_params(input_shape)
        return module, {**params, "nonlinearity": self.nonlinearity}


class _FeedForward(BaseNetEstimator):
    """The multi-layer perceptron over flattened samples."""

    _parameter_constraints: dict = {
        **BaseNetEstimator._parameter_constraints,
        "activation": [StrOptions(set(ACTIVATIONS))],
    }

    def __init__(
        self,
        *,
        hidden_size: int = 32,
        num_layers: int = 1,
        dropout: float = 0.0,
        activation: str = "relu",
        max_epochs: int = 100,
        batch_size: int = 128,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        early_stopping: bool = True,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        gradient_clip: float | None = 1.0,
        standardize: bool = True,
        device: str | torch.device = "auto",
        callbacks: list | None = None,
        net_params: dict[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.dropout = dropout
        self.activation = activation
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.gradient_clip = gradient_clip
        self.standardize = standardize
        self.device = device
        self.callbacks = callbacks
        self.net_params = net_params
        self.random_state = random_state
        self.verbose = verbose

    def _module_params(self, input_shape: tuple[int, ...]) -> tuple[type[nn.Module], dict]:
        return FeedForwardModule, {
            "n_columns": math.prod(input_shape),
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "dropout": self.dropout,
            "activation": self.activation,
        }


@documented
class GRURegressor(BaseNetRegressor, _Recurrent):
    """Gated recurrent units that read a window and predict numbers."""

    _layer = nn.GRU


@documented
class LSTMRegressor(BaseNetRegressor, _Recurrent):
    """Long short-term memory that reads a window and predicts numbers."""

    _layer = nn.LSTM


@documented
class RNNRegressor(BaseNetRegressor, _ElmanRecurrent):
    """A simple (Elman) recurrent net that reads a window and predicts numbers."""


@documented
class FeedForwardRegressor(BaseNetRegressor, _FeedForward):
    """Fully connected layers that see a window all at once and predict numbers."""


@documented
class GRUClassifier(BaseNetClassifier, _Recurrent):
    """Gated recurrent units that read a window and predict its class."""

    _layer = nn.GRU


@documented
class LSTMClassifier(BaseNetClassifier, _Recurrent):
    """Long short-term memory that reads a window and predicts its class."""

    _layer = nn.LSTM


@documented
class RNNClassifier(BaseNetClassifier, _ElmanRecurrent):
    """A simple (Elman) recurrent net that reads a window and predicts its class."""


@documented
class FeedForwardClassifier(BaseNetClassifier, _FeedForward):
    """Fully connected layers that see a window all at once and predict its class."""
