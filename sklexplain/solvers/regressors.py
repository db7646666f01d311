"""Local surrogates by any linear regressor, for whom the batched ridge will not do."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from .single_thread import on_one_thread
from .surrogate import Surrogates, select_features, weighted_moments

_N_GROUPS = 10


@on_one_thread
def fit_regressors(
    regressor: Any,
    offsets: np.ndarray,
    weights: np.ndarray,
    outputs: np.ndarray,
    positions: np.ndarray,
    *,
    selection: str = "auto",
    n_features: int | None = None,
) -> Surrogates:
    """Fit a clone of a regressor for each row and output, one after the other.

    Parameters
    ----------
    regressor : linear regressor
        Its `fit` takes `sample_weight` and leaves `coef_`.
    offsets, weights, outputs, positions, selection, n_features
        As of :func:`~sklexplain.solvers.surrogate.fit_surrogates`. The regressor sees positions
        plus offsets.

    Returns
    -------
    Surrogates
        The standard errors are those of the jackknife that leaves out one of ten groups of draws
        in turn, given the selection: ten more fits each.
    """
    n_rows, n_draws, n_outputs = outputs.shape
    moments = weighted_moments(offsets, weights, outputs)
    selected = select_features(moments, positions, selection, n_features)
    coef = np.zeros((n_rows, offsets.shape[2], n_outputs))
    errors = np.zeros_like(coef)
    predictions, scores = np.empty((n_rows, n_outputs)), np.empty((n_rows, n_outputs))
    # The row itself is no draw: it stays in every group.
    groups = np.arange(n_draws) % min(_N_GROUPS, n_draws - 1)
    groups[0] = -1
    for row in range(n_rows):
        shared = 0 if len(offsets) == 1 else row
        features, weight = positions[row] + offsets[shared], weights[shared]
        for output in range(n_outputs):
            used = np.arange(offsets.shape[2])
            if selected is not None:
                used = selected[row, output][selected[row, output] >= 0]
            inputs, target = features[:, used], outputs[row, :, output]
            fitted = clone(regressor).fit(inputs, target, sample_weight=weight)
            coef[row, used, output] = np.ravel(fitted.coef_)
            predictions[row, output] = fitted.predict(inputs[:1]).item()
            scores[row, output] = fitted.score(inputs, target, sample_weight=weight)
            without = [
                np.ravel(
                    clone(regressor)
                    .fit(inputs[kept], target[kept], sample_weight=weight[kept])
                    .coef_
                )
                for kept in (groups != group for group in range(groups.max() + 1))
            ]
            n = len(without)
            errors[row, used, output] = np.sqrt((n - 1) * np.var(without, axis=0))
    return Surrogates(coef, predictions, scores, errors)
