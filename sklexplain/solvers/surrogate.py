"""LIME's local surrogates: weighted ridge regressions of many rows at once, and their features.

A surrogate says that near an explained row the output is ``prediction + offsets @ coef``, where
`offsets` is how far a draw lies from the row: 0 for the row itself, which is the first draw. Rows
and outputs are solved together, from weighted Gram matrices; draws that several rows share have a
leading axis of 1 and are not copied.

Source: Ribeiro, Singh and Guestrin (2016), "Why should I trust you?", and the authors' `lime`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import lars_path_gram

from .single_thread import on_one_thread
from .workspace import Workspace

# What the draws are multiplied by: first the weights, then the residuals too.
_SCALED = "scaled"
SELECTIONS = ("auto", "none", "forward", "highest_weights", "lasso_path")
# Above this many features `lime` judges all of them at once instead of one after the other.
_MOST_FORWARD_FEATURES = 6
_SELECTION_ALPHA = 0.01
# Enough for controls that others determine.
_CONTROL_ALPHA = 1e-3


@dataclass(frozen=True)
class Surrogates:
    """Local linear models, one for each row and output.

    Parameters
    ----------
    coef : ndarray of shape (n_rows, n_players, n_outputs)
        0 for players that were not selected.
    predictions : ndarray of shape (n_rows, n_outputs)
        The surrogate's own output for the explained row.
    scores : ndarray of shape (n_rows, n_outputs)
        Weighted R² over the draws.
    std_errors : ndarray of shape (n_rows, n_players, n_outputs)
        Of the coefficients, over draws.
    """

    coef: np.ndarray
    predictions: np.ndarray
    scores: np.ndarray
    std_errors: np.ndarray


@dataclass(frozen=True)
class Moments:
    """Weighted means and centred second moments; all that a linear fit needs of the draws.

    Parameters
    ----------
    total : ndarray of shape (n_rows or 1,)
        Sum of the weights.
    mean_offsets : ndarray of shape (n_rows or 1, n_players)
    mean_outputs : ndarray of shape (n_rows, n_outputs)
    gram : ndarray of shape (n_rows or 1, n_players, n_players)
    cross : ndarray of shape (n_rows, n_players, n_outputs)
    """

    total: np.ndarray
    mean_offsets: np.ndarray
    mean_outputs: np.ndarray
    gram: np.ndarray
    cross: np.ndarray


def kernel_weights(offsets: np.ndarray, kernel_width: float) -> np.ndarray:
    """Return the weight of each draw, ``exp(-distance² / (2 kernel_width²))``.

    Parameters
    ----------
    offsets : ndarray of shape (n_rows, n_draws, n_players)
    kernel_width : float

    Returns
    -------
    ndarray of shape (n_rows, n_draws)
    """
    squares = np.einsum("rsp,rsp->rs", offsets, offsets)
    return np.exp(squares / (-2 * kernel_width**2))


def weighted_moments(
    offsets: np.ndarray,
    weights: np.ndarray,
    outputs: np.ndarray,
    workspace: Workspace | None = None,
) -> Moments:
    """Return the moments of draws; shapes as of :func:`fit_surrogates`."""
    workspace = Workspace() if workspace is None else workspace
    total = weights.sum(axis=1)
    roots = np.sqrt(weights)[..., None]
    scaled = np.multiply(offsets, roots, out=workspace.array(_SCALED, offsets.shape))
    # Stacked products keep each row's result independent of its neighbours to the last bit.
    transposed = scaled.transpose(0, 2, 1)
    mean_offsets = (transposed @ roots)[..., 0] / total[:, None]
    gram = transposed @ scaled
    gram -= total[:, None, None] * mean_offsets[:, :, None] * mean_offsets[:, None, :]
    weighted = roots * outputs
    mean_outputs = (roots.transpose(0, 2, 1) @ weighted)[:, 0] / total[:, None]
    cross = transposed @ weighted
    cross -= total[:, None, None] * mean_offsets[:, :, None] * mean_outputs[:, None, :]
    return Moments(total, mean_offsets, mean_outputs, gram, cross)


@on_one_thread
def fit_surrogates(
    offsets: np.ndarray,
    weights: np.ndarray,
    outputs: np.ndarray,
    positions: np.ndarray,
    *,
    alpha: float = 1.0,
    selection: str = "auto",
    n_features: int | None = None,
    controls: np.ndarray | None = None,
    workspace: Workspace | None = None,
) -> Surrogates:
    """Fit one weighted ridge regression for each row and output, with an intercept.

    Parameters
    ----------
    offsets : ndarray of shape (n_rows or 1, n_draws, n_players)
        Where each draw lies, relative to the row; the first draw is the row itself.
    weights : ndarray of shape (n_rows or 1, n_draws)
    outputs : ndarray of shape (n_rows, n_draws, n_outputs)
        The model's outputs for the draws.
    positions : ndarray of shape (n_rows, n_players)
        Where the row itself lies: 1 for "present" or "in this bin", else in standard deviations.
        Only ``"highest_weights"`` asks for it.
    alpha : float, default=1.0
        Penalty on the squared coefficients, as of scikit-learn's Ridge.
    selection : {"auto", "none", "forward", "highest_weights", "lasso_path"}, default="auto"
        See :func:`select_features`.
    n_features : int, optional
        At most this many coefficients differ from 0; by default nothing is selected.
    controls : ndarray of shape (n_draws, n_controls), optional
        Quantities whose mean is 0 whatever the offsets are; see :func:`without_controls`. Needs
        offsets and weights that all rows share.
    workspace : Workspace, optional
        Where to calculate, if there are more rows to come.

    Returns
    -------
    Surrogates
        The standard errors are those of the infinitesimal jackknife (the sandwich formula), which
        is what the bootstrap over draws tends to: ``G⁻¹ (Σ w² e² (z - z̄)(z - z̄)ᵀ) G⁻¹``, with
        residuals e and G the penalised Gram matrix. The explained row is no draw and adds no
        error. After a selection they hold for the features that were selected.
    """
    # Differences to the row's own output: nothing cancels where a small change rides on a
    # large level, such as a price.
    workspace = Workspace() if workspace is None else workspace
    levels = outputs[:, :1]
    raw = outputs - levels
    outputs = raw if controls is None else without_controls(offsets, weights, raw, controls)
    moments = weighted_moments(offsets, weights, outputs, workspace)
    n_players = offsets.shape[2]
    selected = select_features(moments, positions, selection, n_features)
    coef, inverse = _solve(moments, alpha, selected, n_players)
    intercepts = moments.mean_outputs - np.einsum("rp,rpo->ro", moments.mean_offsets, coef)
    fitted = offsets @ coef + intercepts[:, None]
    n_spent = n_players if n_features is None or selected is None else n_features
    n_spent += 0 if controls is None else controls.shape[1]
    return Surrogates(
        coef,
        intercepts + levels[:, 0],
        _weighted_r2(raw, fitted, weights),
        _standard_errors(
            offsets, weights, outputs - fitted, moments, inverse, selected, n_spent, workspace
        ),
    )


def without_controls(
    offsets: np.ndarray, weights: np.ndarray, outputs: np.ndarray, controls: np.ndarray
) -> np.ndarray:
    """Return outputs less what the controls explain of them: the same mean, a smaller variance.

    A control is random but has mean 0 given the offsets, so that taking away any multiple of it
    leaves every expected coefficient as it is. The multiples are found by regression.

    Parameters
    ----------
    offsets : ndarray of shape (1, n_draws, n_players)
    weights : ndarray of shape (1, n_draws)
    outputs : ndarray of shape (n_rows, n_draws, n_outputs)
    controls : ndarray of shape (n_draws, n_controls)

    Returns
    -------
    ndarray of shape (n_rows, n_draws, n_outputs)
    """
    scale = controls.std(axis=0)
    standardised = controls / np.where(scale > 0, scale, 1)
    both = np.concatenate([offsets, standardised[None]], axis=2)
    moments = weighted_moments(both, weights, outputs)
    coef, _ = _solve(moments, _CONTROL_ALPHA, None, both.shape[2])
    return outputs - standardised[None] @ coef[:, offsets.shape[2] :]


def select_features(
    moments: Moments, positions: np.ndarray, selection: str, n_features: int | None
) -> np.ndarray | None:
    """Choose the features of each surrogate, by the rules of `lime`.

    Parameters
    ----------
    moments : Moments
    positions : ndarray of shape (n_rows, n_players)
    selection : {"auto", "none", "forward", "highest_weights", "lasso_path"}
        ``"forward"`` adds the feature that raises R² most, one after the other.
        ``"highest_weights"`` keeps the largest products of coefficient and position of a fit on
        all. ``"lasso_path"`` keeps those of the last point on the Lasso path that has few enough;
        scikit-learn walks it row by row, from the Gram matrix. ``"auto"`` is forward up to 6
        features, else highest weights.
    n_features : int or None
        None selects nothing.

    Returns
    -------
    ndarray of int, shape (n_rows, n_outputs, n_features), or None
        Features, in the order in which they were found, -1 where there are fewer; None where all
        features are kept.
    """
    if n_features is None or selection == "none":
        return None
    if selection == "auto":
        selection = "forward" if n_features <= _MOST_FORWARD_FEATURES else "highest_weights"
    if selection == "forward":
        return _forward(moments, n_features)
    if selection == "lasso_path":
        return _lasso_path(moments, n_features)
    coef, _ = _solve(moments, _SELECTION_ALPHA, None, positions.shape[1])
    sizes = np.abs(coef * positions[..., None]).transpose(0, 2, 1)
    return np.argsort(-sizes, axis=2, kind="stable")[..., :n_features]


def _forward(moments: Moments, n_features: int) -> np.ndarray:
    """Greedy selection by R², as a Cholesky factorisation that picks its own order.

    Adding feature j to those chosen raises the explained sum of squares by ``cross[j]² /
    power[j]``, both taken after regressing on the chosen ones, so no pass over the draws is
    needed.
    """
    cross = moments.cross.transpose(0, 2, 1).copy()
    n_rows, n_outputs, n_players = cross.shape
    gram = np.broadcast_to(moments.gram, (n_rows, n_players, n_players))
    diagonal = np.broadcast_to(
        np.diagonal(gram, axis1=1, axis2=2)[:, None], (n_rows, n_outputs, n_players)
    )
    power = diagonal.copy()
    # What is left of a column that others determine is rounding.
    floor = diagonal * n_players * 1e-13
    rows, outputs = np.ogrid[:n_rows, :n_outputs]
    chosen = np.empty((n_rows, n_outputs, n_features), dtype=np.intp)
    factor = np.zeros((n_rows, n_outputs, n_features, n_players))
    free = np.ones((n_rows, n_outputs, n_players), dtype=bool)
    for step in range(n_features):
        usable = power > floor
        gains = np.where(usable, cross**2 / np.where(usable, power, 1), 0)
        best = np.argmax(np.where(free, gains, -1), axis=2)
        chosen[..., step] = best
        free[rows, outputs, best] = False
        pivot = np.where(usable, power, np.inf)[rows, outputs, best]
        known = np.einsum("rok,rokp->rop", factor[rows, outputs, :, best], factor)
        column = (gram[rows, best] - known) / np.sqrt(pivot)[..., None]
        factor[:, :, step] = column
        cross -= column * (cross[rows, outputs, best] / np.sqrt(pivot))[..., None]
        power -= column**2
    return chosen


def _lasso_path(moments: Moments, n_features: int) -> np.ndarray:
    n_rows, n_players, n_outputs = moments.cross.shape
    gram = np.broadcast_to(moments.gram, (n_rows, n_players, n_players))
    chosen = np.full((n_rows, n_outputs, n_features), -1, dtype=np.intp)
    for row in range(n_rows):
        for output in range(n_outputs):
            _, _, path = lars_path_gram(
                moments.cross[row, :, output], gram[row], n_samples=1, method="lasso"
            )
            few = np.flatnonzero((path != 0).sum(axis=0) <= n_features)
            kept = np.flatnonzero(path[:, few[-1]])
            chosen[row, output, : len(kept)] = kept
    return chosen


def _solve(
    moments: Moments, alpha: float, selected: np.ndarray | None, n_players: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients (n_rows, n_players, n_outputs) and the inverse penalised Gram matrices.

    The inverses are of shape (n_rows or 1, 1, n_players, n_players), or, over the selected
    features, (n_rows, n_outputs, n_selected, n_selected).
    """
    if selected is None:
        inverse = _inverse(moments.gram + alpha * np.eye(n_players), alpha)
        return inverse @ moments.cross, inverse[:, None]
    n_rows, n_outputs, n_selected = selected.shape
    valid = selected >= 0
    both = valid[..., :, None] & valid[..., None, :]
    gram = np.broadcast_to(moments.gram, (n_rows, n_players, n_players))
    rows = np.arange(n_rows)[:, None, None, None]
    picked = gram[rows, selected[..., :, None], selected[..., None, :]]
    # Places that no feature took are cut off from the others and left at 0.
    picked = np.where(both, picked, 0) + alpha * np.eye(n_selected)
    inverse = _inverse(picked, alpha)
    rows, outputs = np.ogrid[:n_rows, :n_outputs]
    cross = moments.cross[rows[..., None], selected, outputs[..., None]] * valid
    solved = (inverse @ cross[..., None])[..., 0] * valid
    coef = np.zeros_like(moments.cross)
    # Added, because the places without a feature all point to the last one.
    np.add.at(coef, (rows[..., None], selected, outputs[..., None]), solved)
    return coef, inverse


def _inverse(matrix: np.ndarray, alpha: float) -> np.ndarray:
    """Invert; without a penalty, features that others determine share their coefficient."""
    return np.linalg.inv(matrix) if alpha > 0 else np.linalg.pinv(matrix, hermitian=True)


def _weighted_r2(outputs: np.ndarray, fitted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return R² as scikit-learn's `r2_score` has it: of a constant output 1 or 0."""
    totals = weights.sum(axis=1)[:, None]
    means = np.einsum("rs,rso->ro", weights, outputs) / totals
    around_mean = np.einsum("rs,rso->ro", weights, (outputs - means[:, None]) ** 2)
    around_fit = np.einsum("rs,rso->ro", weights, (outputs - fitted) ** 2)
    constant = around_mean == 0
    return np.where(constant, around_fit == 0, 1 - around_fit / np.where(constant, 1, around_mean))


def _standard_errors(
    offsets: np.ndarray,
    weights: np.ndarray,
    residuals: np.ndarray,
    moments: Moments,
    inverse: np.ndarray,
    selected: np.ndarray | None,
    n_spent: int,
    workspace: Workspace,
) -> np.ndarray:
    n_rows, n_draws = len(residuals), residuals.shape[1] - 1
    errors = np.zeros_like(moments.cross)
    features, bread = offsets, inverse[:, 0]
    for output in range(residuals.shape[2]):
        pulls = weights * residuals[..., output]
        pulls[:, 0] = 0
        if selected is not None:
            features = _columns(offsets, selected[:, output], workspace)
            bread = inverse[:, output]
        # Sums of (features - centre)², multiplied out: no centred copy of the draws.
        shape = np.broadcast_shapes(features.shape, (*pulls.shape, 1))
        influence = np.multiply(features, pulls[..., None], out=workspace.array(_SCALED, shape))
        transposed = influence.transpose(0, 2, 1)
        centre = moments.mean_offsets
        if selected is not None:
            centre = np.take_along_axis(
                np.broadcast_to(centre, (n_rows, centre.shape[1])), selected[:, output], axis=1
            )
        mixed = (transposed @ pulls[..., None]) * centre[:, None]
        squares = (pulls**2).sum(axis=1)[:, None, None]
        meat = transposed @ influence - mixed - mixed.transpose(0, 2, 1)
        meat += squares * centre[:, :, None] * centre[:, None, :]
        found = np.sqrt(np.maximum(((bread @ meat) * bread).sum(axis=2), 0))
        if selected is None:
            errors[..., output] = found
        else:
            found *= selected[:, output] >= 0
            np.add.at(errors[..., output], (np.arange(n_rows)[:, None], selected[:, output]), found)
    # Residuals are smaller than the errors, by what the fit has spent on following them.
    return errors * np.sqrt(n_draws / max(n_draws - n_spent - 1, 1))


def _columns(offsets: np.ndarray, selected: np.ndarray, workspace: Workspace) -> np.ndarray:
    """Return the selected features of each row, 0 in places that no feature took.

    By a product with ones and zeros, which is exact and faster than picking.
    """
    picks = selected[:, None] == np.arange(offsets.shape[2])[:, None]
    shape = (len(selected), offsets.shape[1], selected.shape[1])
    return np.matmul(offsets, picks.astype(float), out=workspace.array("selected", shape))
