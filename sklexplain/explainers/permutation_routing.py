"""Where the weights go that permutation importance is given."""

from __future__ import annotations

from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from .base import is_frozen


def weights_for(estimator: Any, sample_weight: Any) -> dict[str, Any]:
    """Return the fit parameter by which an estimator takes weights.

    Raises
    ------
    ValueError
        If it takes none.
    """
    if sample_weight is None or is_frozen(estimator):
        return {}
    name = "sample_weight"
    while True:
        if isinstance(estimator, Pipeline):
            step, estimator = estimator.steps[-1]
            name = f"{step}__{name}"
        elif isinstance(estimator, BaseSearchCV):
            estimator = estimator.estimator
        elif isinstance(estimator, TransformedTargetRegressor) and estimator.regressor:
            estimator = estimator.regressor
        else:
            break
    if not has_fit_parameter(estimator, "sample_weight"):
        raise ValueError(
            f"sample_weight was given, but {type(estimator).__name__}.fit takes none; leave it "
            "out, or use an estimator that does"
        )
    return {name: sample_weight}
