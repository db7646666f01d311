"""Recurrent and feed-forward estimators on skorch: torch lives in this room."""

from .estimators import (
    FeedForwardClassifier,
    FeedForwardRegressor,
    GRUClassifier,
    GRURegressor,
    LSTMClassifier,
    LSTMRegressor,
    RNNClassifier,
    RNNRegressor,
)
from .training import TrainingDivergedError

__all__ = [
    "FeedForwardClassifier",
    "FeedForwardRegressor",
    "GRUClassifier",
    "GRURegressor",
    "LSTMClassifier",
    "LSTMRegressor",
    "RNNClassifier",
    "RNNRegressor",
    "TrainingDivergedError",
]
