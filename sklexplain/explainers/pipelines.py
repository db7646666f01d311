"""What is inside an estimator: windows, missing values, steps that keep columns apart."""

from __future__ import annotations

from copy import copy
from typing import Any

from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.utils import get_tags

from ..windows import SlidingWindow

# Each column keeps its place and its meaning, so a value of a scaled cell is one of the cell.
COLUMNWISE = (StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler)


def split_at_windows(estimator: Any) -> tuple[list[Any], Any]:
    """Divide a fitted estimator after the step that makes windows.

    A masked row means something only after windowing: before it, replacing one row of the table
    would change many samples at once.

    Parameters
    ----------
    estimator : fitted estimator

    Returns
    -------
    steps : list of transformers
        Up to and including the :class:`SlidingWindow`; empty where there is none.
    rest : estimator
        What follows, or `estimator` itself.
    """
    if isinstance(estimator, FrozenEstimator):
        steps, rest = split_at_windows(estimator.estimator)
        return (steps, rest) if steps else ([], estimator)
    if isinstance(estimator, TransformedTargetRegressor):
        steps, rest = split_at_windows(estimator.regressor_)
        if not steps:
            return [], estimator
        shortened = copy(estimator)
        shortened.regressor_ = rest
        return steps, shortened
    if isinstance(estimator, Pipeline):
        transformers = [step for _, step in estimator.steps[:-1]]
        for position, step in enumerate(transformers):
            if isinstance(step, SlidingWindow):
                before = [s for s in transformers[: position + 1] if s not in (None, "passthrough")]
                rest = estimator[position + 1 :]
                return before, rest[0] if len(rest.steps) == 1 else rest
        steps, rest = split_at_windows(estimator.steps[-1][1])
        if steps:
            before = [step for step in transformers if step not in (None, "passthrough")]
            return before + steps, rest
        return [], estimator
    best = getattr(estimator, "best_estimator_", None)
    if best is not None:
        steps, rest = split_at_windows(best)
        if steps:
            return steps, rest
    return [], estimator


def makes_windows(estimator: Any) -> bool:
    """Whether an estimator, fitted or not, makes windows out of its rows."""
    if isinstance(estimator, FrozenEstimator):
        return bool(split_at_windows(estimator)[0])
    parts = estimator.get_params(deep=True) if hasattr(estimator, "get_params") else {}
    return any(isinstance(part, SlidingWindow) for part in parts.values())


def allows_nan(estimator: Any) -> bool:
    """Whether missing values are the estimator's own business, by its tags or by what it holds."""
    if isinstance(estimator, FrozenEstimator):
        return allows_nan(estimator.estimator)
    if isinstance(estimator, Pipeline):
        steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
        return not steps or allows_nan(steps[0])
    if isinstance(estimator, ColumnTransformer):
        return True
    for fitted in ("regressor_", "best_estimator_"):
        if hasattr(estimator, fitted):
            return allows_nan(getattr(estimator, fitted))
    try:
        tags = get_tags(estimator)
    except (AttributeError, TypeError):
        return False
    return bool(tags.input_tags.allow_nan or tags.no_validation)
