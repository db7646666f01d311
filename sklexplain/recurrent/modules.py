"""Torch modules that take and give raw units, standardising inside with buffers of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "sigmoid": nn.Sigmoid,
}


class RawUnitsModule(nn.Module):
    """A module whose scales are part of it: raw inputs in, raw outputs out.

    Whoever differentiates or explains the module gets answers in the units of the data, and
    nobody has to carry a scaler beside it.

    Parameters
    ----------
    n_inputs : int
        How many input scales there are.
    n_outputs : int
        Number of targets or classes.
    scale_outputs : bool
        Whether outputs are brought back to the units of a target. Logits have no units.

    Attributes
    ----------
    n_timesteps : int or None
        The time steps that a 2-D row unfolds into; None where rows stay flat.
    """

    input_mean: torch.Tensor
    input_scale: torch.Tensor
    target_mean: torch.Tensor | None
    target_scale: torch.Tensor | None
    n_timesteps: int | None = None

    def __init__(self, n_inputs: int, n_outputs: int, *, scale_outputs: bool) -> None:
        super().__init__()
        self.register_buffer("input_mean", torch.zeros(n_inputs))
        self.register_buffer("input_scale", torch.ones(n_inputs))
        self.register_buffer("target_mean", torch.zeros(n_outputs) if scale_outputs else None)
        self.register_buffer("target_scale", torch.ones(n_outputs) if scale_outputs else None)

    def standardize_targets(self, y: torch.Tensor) -> torch.Tensor:
        """Return targets, or this module's outputs, in units of the training targets' spread."""
        if self.target_mean is None or self.target_scale is None:
            return y
        return (y - self.target_mean) / self.target_scale

    def _raw_outputs(self, outputs: torch.Tensor) -> torch.Tensor:
        if self.target_mean is None or self.target_scale is None:
            return outputs
        return outputs * self.target_scale + self.target_mean


class RecurrentModule(RawUnitsModule):
    """Recurrent layers read the sequence, a linear layer reads their last state.

    Parameters
    ----------
    layer : callable
        ``nn.GRU``, ``nn.LSTM`` or ``nn.RNN``.
    n_timesteps, n_features : int
        The shape of one sample. A 2-D row is unfolded to it, time step by time step.
    n_outputs : int
        Number of targets or classes.
    scale_outputs : bool
        See :class:`RawUnitsModule`.
    hidden_size, num_layers, dropout, bidirectional
        As in ``nn.GRU``; `dropout` also stands before the linear layer, so that it acts on a
        single layer too.
    **layer_params
        Further arguments of `layer`.
    """

    n_timesteps: int

    def __init__(
        self,
        layer: Callable[..., nn.RNNBase],
        *,
        n_timesteps: int,
        n_features: int,
        n_outputs: int,
        scale_outputs: bool,
        hidden_size: int = 32,
        num_layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
        **layer_params: Any,
    ) -> None:
        super().__init__(n_features, n_outputs, scale_outputs=scale_outputs)
        self.n_timesteps = n_timesteps
        self.n_features = n_features
        self.recurrent = layer(
            n_features,
            hidden_size,
            num_layers=num_layers,
            batch_first=True,
            dropout=dropout if num_layers > 1 else 0.0,
            bidirectional=bidirectional,
            **layer_params,
        )
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden_size * (2 if bidirectional else 1), n_outputs)

    @property
    def reads_last_step(self) -> bool:
        """Whether only the last of what the recurrent layer gives is read."""
        return not self.recurrent.bidirectional

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Map (n, n_timesteps, n_features), or the same flattened, to (n, n_outputs)."""
        if X.dim() == 2:
            X = X.reshape(X.shape[0], self.n_timesteps, self.n_features)
        states, _ = self.recurrent((X - self.input_mean) / self.input_scale)
        last = states[:, -1]
        if self.recurrent.bidirectional:
            # The backward pass has read the whole sequence when it arrives at the first step.
            width = self.recurrent.hidden_size
            last = torch.cat([states[:, -1, :width], states[:, 0, width:]], dim=1)
        return self._raw_outputs(self.output(self.dropout(last)))


class FeedForwardModule(RawUnitsModule):
    """Fully connected layers over the flattened sample.

    Parameters
    ----------
    n_columns : int
        Number of cells of one sample.
    n_outputs : int
        Number of targets or classes.
    scale_outputs : bool
        See :class:`RawUnitsModule`.
    hidden_size, num_layers : int
        Units of each hidden layer, and how many of them.
    dropout : float
        Share of hidden units silenced in training, after each hidden layer.
    activation : str
        A key of ``ACTIVATIONS``.
    """

    def __init__(
        self,
        *,
        n_columns: int,
        n_outputs: int,
        scale_outputs: bool,
        hidden_size: int = 32,
        num_layers: int = 1,
        dropout: float = 0.0,
        activation: str = "relu",
    ) -> None:
        super().__init__(n_columns, n_outputs, scale_outputs=scale_outputs)
        layers: list[nn.Module] = []
        width = n_columns
        for _ in range(num_layers):
            layers += [
                nn.Linear(width, hidden_size),
                ACTIVATIONS[activation](),
                nn.Dropout(dropout),
            ]
            width = hidden_size
        self.hidden = nn.Sequential(*layers)
        self.output = nn.Linear(width, n_outputs)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Map (n, n_columns) or (n, n_timesteps, n_features) to (n, n_outputs)."""
        X = (X.flatten(1) - self.input_mean) / self.input_scale
        return self._raw_outputs(self.output(self.hidden(X)))
