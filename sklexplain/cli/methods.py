"""Running one method on a fitted model and windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from ..core.explanation import Explanation
from ..core.players import Players, make_players
from ..explainers.deep_shap import DeepSHAP
from ..explainers.front_door import SHAP
from ..explainers.kernel_shap import KernelSHAP
from ..explainers.lime import LIME
from ..explainers.permutation import PermutationImportance
from ..explainers.tree_shap import TreeSHAP
from .options import Request
from .samples import Samples, chosen_rows, flattened

CELLS = "-cells"
_EXPLAINERS: dict[str, Any] = {
    "kernelshap": KernelSHAP,
    "lime": LIME,
    "deepshap": DeepSHAP,
    "shap": SHAP,
}


def explanations_by(
    method: str,
    model: Any,
    samples: Samples,
    request: Request,
    features: tuple[str, ...],
    *,
    verbose: int = 0,
) -> Iterator[tuple[str, Explanation]]:
    """Yield what one method says of the test rows, by name.

    DeepSHAP and TreeSHAP know the value of every cell of a window, so unless players were asked
    for they are yielded twice: by feature, as the other methods, and by cell.

    Parameters
    ----------
    method : str
        Of ``METHODS``.
    model : fitted estimator
    samples : Samples
    request : Request
    features : tuple of str
    verbose : int, default=0

    Yields
    ------
    name : str
    explanation : Explanation
    """
    frozen = FrozenEstimator(model)
    shared: dict[str, Any] = {
        "feature_names": features,
        "random_state": request.seed,
        "verbose": verbose,
    }
    windows = samples.test.ndim == 3
    players = request.players if windows else "auto"
    if method == "permutation":
        explainer: Any = PermutationImportance(
            frozen, players=players, scoring=_scoring(model), **shared
        )
        yield method, explainer.fit(samples.test, samples.test_target).explanation_
        return
    rows = chosen_rows(len(samples.test), request.n_explain)
    both = windows and players == "auto" and method in ("deepshap", "treeshap")
    level = "cell" if both else players
    if method == "treeshap":
        explanation = _by_trees(model, samples, rows, level, shared)
    else:
        explainer = _EXPLAINERS[method](frozen, players=level, **shared)
        explainer.fit(samples.train, samples.train_target)
        explanation = explainer.explain(samples.test[rows])
    explanation = replace(explanation, index=samples.labels[rows])
    if both:
        yield method, explanation.aggregate("feature")
        yield method + CELLS, explanation
    else:
        yield method, explanation


def _scoring(model: Any) -> str:
    return "accuracy" if hasattr(model, "classes_") else "r2"


def _by_trees(
    model: Any, samples: Samples, rows: np.ndarray, level: str, shared: dict[str, Any]
) -> Explanation:
    """Explain the trees behind flattened windows, as an explanation of windows."""
    if samples.test.ndim == 2:
        explainer = TreeSHAP(FrozenEstimator(model), **shared)
        return explainer.fit(samples.train, samples.train_target).explain(samples.test[rows])
    trees = model.steps[-1][1] if isinstance(model, Pipeline) else model
    players = make_players(level, samples.test.shape[1:], shared["feature_names"])
    cells = make_players("cell", samples.test.shape[1:], shared["feature_names"])
    columns = (int(np.prod(players.shape)),)
    flat = Players(players.labels, players.names, columns, players.level, cells.names)
    explainer = TreeSHAP(FrozenEstimator(trees), players=flat, **{**shared, "feature_names": None})
    explainer.fit(flattened(samples.train), samples.train_target)
    explanation = explainer.explain(flattened(samples.test[rows]))
    return replace(explanation, players=players, data=samples.test[rows])
