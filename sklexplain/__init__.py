"""Explain recurrent and other models the scikit-learn way.

The public names are loaded when they are first used, so that importing the package costs little
more than importing scikit-learn.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__

_HOMES = {
    "Background": "core.background",
    "ComparisonDisplay": "display",
    "CrossExplanation": "evaluation.cross_explanation",
    "DeepSHAP": "explainers.deep_shap",
    "DependenceDisplay": "display",
    "Explanation": "core.explanation",
    "FeedForwardClassifier": "recurrent",
    "FeedForwardRegressor": "recurrent",
    "ForceDisplay": "display",
    "GRUClassifier": "recurrent",
    "GRURegressor": "recurrent",
    "ImportanceDisplay": "display",
    "KernelSHAP": "explainers.kernel_shap",
    "LIME": "explainers.lime",
    "LocalDisplay": "display",
    "LSTMClassifier": "recurrent",
    "LSTMRegressor": "recurrent",
    "MethodComparison": "evaluation.comparison",
    "ModelError": "core.models",
    "PermutationImportance": "explainers.permutation",
    "Players": "core.players",
    "RNNClassifier": "recurrent",
    "RNNRegressor": "recurrent",
    "SequenceDisplay": "display",
    "SHAP": "explainers.front_door",
    "SlidingWindow": "windows",
    "SummaryDisplay": "display",
    "TreeSHAP": "explainers.tree_shap",
    "WaterfallDisplay": "display",
    "as_estimator": "core.adapters",
    "cluster_players": "core.players",
    "compare_methods": "evaluation.compare",
    "cross_explain": "evaluation.cross",
    "cross_val_predict": "evaluation.cross",
    "get_explanation_scorer": "evaluation.scorers",
    "load_google_stock": "datasets",
    "make_players": "core.players",
    "make_sequences": "datasets",
    "make_windows": "windows",
    "plot": "display",
    "register_scorers": "evaluation.scorers",
    "trusted_types": "core.trusted",
    "write_parts": "core.explanation_parts",
    "write_report": "display",
}

__all__ = ["__version__", *_HOMES]

if TYPE_CHECKING:
    from .core.adapters import as_estimator
    from .core.background import Background
    from .core.explanation import Explanation
    from .core.explanation_parts import write_parts
    from .core.models import ModelError
    from .core.players import Players, cluster_players, make_players
    from .core.trusted import trusted_types
    from .datasets import load_google_stock, make_sequences
    from .display import (
        ComparisonDisplay,
        DependenceDisplay,
        ForceDisplay,
        ImportanceDisplay,
        LocalDisplay,
        SequenceDisplay,
        SummaryDisplay,
        WaterfallDisplay,
        plot,
        write_report,
    )
    from .evaluation.compare import compare_methods
    from .evaluation.comparison import MethodComparison
    from .evaluation.cross import cross_explain, cross_val_predict
    from .evaluation.cross_explanation import CrossExplanation
    from .evaluation.scorers import get_explanation_scorer, register_scorers
    from .explainers.deep_shap import DeepSHAP
    from .explainers.front_door import SHAP
    from .explainers.kernel_shap import KernelSHAP
    from .explainers.lime import LIME
    from .explainers.permutation import PermutationImportance
    from .explainers.tree_shap import TreeSHAP
    from .recurrent import (
        FeedForwardClassifier,
        FeedForwardRegressor,
        GRUClassifier,
        GRURegressor,
        LSTMClassifier,
        LSTMRegressor,
        RNNClassifier,
        RNNRegressor,
    )
    from .windows import SlidingWindow, make_windows


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
