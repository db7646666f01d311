"""What an explanation costs: evaluations counted where the model is run, and seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

from sklearn.frozen import FrozenEstimator

from ..core.adapters import is_plain
from ..core.explanation import Explanation
from ..core.models import OUTPUTS, Model
from ..explainers.deep_shap import DeepSHAP, traced_net


class Counter:
    """Counts rows."""

    def __init__(self) -> None:
        self.n_evals = 0

    def counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of rows that does the same and counts them."""

        def run(rows: Any, *args: Any, **kwargs: Any) -> Any:
            self.n_evals += len(rows)
            return function(rows, *args, **kwargs)

        return run


class CountedEstimator(FrozenEstimator):
    """A fitted estimator that counts the rows of its predictions, and is otherwise itself."""

    def __init__(self, estimator: Any, counter: Counter) -> None:
        super().__init__(estimator)
        self.counter = counter

    def __getattr__(self, name: str) -> Any:
        attribute = super().__getattr__(name)
        return self.counter.counted(attribute) if name in OUTPUTS else attribute


def measured_explanation(explainer: Any, X: Any) -> tuple[Explanation, int, float]:
    """Explain rows and report what it took.

    Parameters
    ----------
    explainer : fitted explainer
        A copy that runs in this process does the work, because workers have counters of their own.
    X : array-like or DataFrame

    Returns
    -------
    explanation : Explanation
    n_evals : int
        Rows that were run through the model: through its prediction method, or forwards through
        its torch module. A pass backwards, and what follows the paths of trees, is not counted.
    seconds : float
    """
    counter = Counter()
    chosen = copy(getattr(explainer, "explainer_", explainer))
    measured = chosen
    if hasattr(explainer, "explainer_"):
        measured = copy(explainer)
        measured.explainer_ = chosen
    if hasattr(chosen, "n_jobs"):
        chosen.n_jobs = 1
    if isinstance(chosen, DeepSHAP):
        net = traced_net(chosen.explained_estimator_, chosen.output, chosen.codec_)
        module = net.module
    elif hasattr(chosen, "tree_"):
        chosen.tree_ = copy(chosen.tree_)
        chosen.tree_.model = _counted_model(chosen.tree_.model, counter)
        module = None
    else:
        module = chosen._model(chosen.codec_).module
        chosen.explained_estimator_ = CountedEstimator(chosen.explained_estimator_, counter)
    with _hooked(module, counter):
        started = time.perf_counter()
        explanation = measured.explain(X)
        seconds = time.perf_counter() - started
    return explanation, counter.n_evals, seconds


def _counted_model(model: Model, counter: Counter) -> Model:
    counted = copy(model)
    plain = is_plain(model.estimator)
    counted.estimator = (
        counter.counted(model.estimator) if plain else CountedEstimator(model.estimator, counter)
    )
    return counted


@contextmanager
def _hooked(module: Any, counter: Counter) -> Iterator[None]:
    """Count the rows that go forwards through a torch module."""
    if module is None:
        yield
        return
    import torch

    def count(_: Any, args: tuple[Any, ...]) -> None:
        # Not an operation of the net, should one be traced.
        with torch._C.DisableTorchFunction():
            counter.n_evals += len(args[0])

    handle = module.register_forward_pre_hook(count)
    try:
        yield
    finally:
        handle.remove()
