"""What stands inside an estimator, fitted or not, for methods that must see the model itself."""

from __future__ import annotations

from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from ..windows import SlidingWindow
from .pipelines import COLUMNWISE


def opened(estimator: Any) -> tuple[list[Any], Any]:
    """Return the transformers after the windows, and the predictor, of nested estimators."""
    steps: list[Any] = []
    while True:
        if isinstance(estimator, Pipeline):
            steps += [step for _, step in estimator.steps[:-1]]
            estimator = estimator.steps[-1][1]
        elif isinstance(estimator, TransformedTargetRegressor):
            estimator = getattr(estimator, "regressor_", estimator.regressor)
        elif isinstance(estimator, FrozenEstimator) or hasattr(estimator, "refit"):
            estimator = getattr(estimator, "best_estimator_", estimator.estimator)
        else:
            break
    windows = [i for i, step in enumerate(steps) if isinstance(step, SlidingWindow)]
    after = steps[windows[-1] + 1 :] if windows else steps
    return [step for step in after if step not in (None, "passthrough")], estimator


def refuse_strange(steps: list[Any], method: str) -> None:
    """Raise where a step does more than scale columns one by one."""
    strange = [step for step in steps if not isinstance(step, COLUMNWISE)]
    if strange:
        raise TypeError(
            f"{method} cannot follow the step {type(strange[0]).__name__} between the rows and "
            "the model, because only scalers keep each column in its place; use KernelSHAP, which "
            "explains whole pipelines"
        )


def package(estimator: Any) -> str:
    """Return the name of the package that the estimator's class comes from."""
    return type(estimator).__module__.split(".")[0]
