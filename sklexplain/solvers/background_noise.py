"""How much a player's contribution depends on the background row: the noise of single rows."""

from __future__ import annotations

import numpy as np

from .single_thread import on_one_thread

# Prior variances of the ways in which a contribution may depend on the background row: linearly
# and smoothly on the player's own cells, linearly on the model's output, smoothly on the whole row.
_OWN_LINEAR, _OWN_SMOOTH, _OUTPUT, _WHOLE_SMOOTH = 1.0, 0.3, 1.0, 0.3
# All players' features together: the regression is solved in time cubic in them.
_MOST_FEATURES = 1000
# Beyond this many rows, similarity to some of them describes the others well enough.
_MOST_LANDMARKS = 200


@on_one_thread
def background_features(
    rows: np.ndarray, labels: np.ndarray, outputs: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return features of background rows whose inner products say how alike the rows are.

    Contributions of a player against two background rows are alike where the player's own cells
    are, where the model's outputs are, and where the rows as a whole are. All of this is known
    before any row is explained.

    Parameters
    ----------
    rows : ndarray of shape (n_background, n_cells)
    labels : ndarray of int, shape (n_cells,)
        The player of each cell.
    outputs : ndarray of shape (n_background, n_outputs)
        The model's outputs for the background rows.
    weights : ndarray of shape (n_background,)
        Summing to 1.

    Returns
    -------
    ndarray of shape (n_players, n_background, rank)
        Of zero weighted mean over the background, with squared lengths of about 1.

    Notes
    -----
    Leading eigenvectors of a sum of linear and Gaussian kernels, of which the latter are as wide
    as the median distance; beyond 200 rows by Nyström's method.
    """
    n_players = int(labels.max()) + 1
    cells = standardised(np.nan_to_num(rows.astype(float)), weights)
    targets = standardised(outputs, weights)
    landmarks = np.unique(
        np.linspace(0, len(rows) - 1, min(len(rows), _MOST_LANDMARKS)).astype(np.intp)
    )
    rank = max(2, min(len(landmarks) - 1, _MOST_FEATURES // n_players))
    shared = _OUTPUT * _linear(targets, landmarks) + _WHOLE_SMOOTH * _smooth(cells, landmarks)
    features = np.zeros((n_players, len(rows), rank))
    for player in range(n_players):
        own = cells[:, labels == player]
        kernel = (
            shared + _OWN_LINEAR * _linear(own, landmarks) + _OWN_SMOOTH * _smooth(own, landmarks)
        )
        # What is common to all rows is no difference between them, and must not use up the rank.
        kernel -= kernel[landmarks].mean(axis=0)
        kernel -= kernel.mean(axis=1, keepdims=True)
        spectrum, vectors = np.linalg.eigh(kernel[landmarks])
        kept = np.flatnonzero(spectrum > 1e-10 * max(spectrum[-1], 1e-300))[-rank:]
        found = kernel @ (vectors[:, kept] / np.sqrt(spectrum[kept]))
        features[player, :, : found.shape[1]] = found - weights @ found
    return features / np.sqrt(_OWN_LINEAR + _OWN_SMOOTH + _OUTPUT + _WHOLE_SMOOTH)


def noise_features(
    signs: np.ndarray, references: np.ndarray, features: np.ndarray | None
) -> np.ndarray:
    """Return features of pairs, so that players' dependences on the background can be fitted.

    Parameters
    ----------
    signs : ndarray of shape (n_pairs, n_players)
    references : ndarray of int, shape (n_pairs,)
    features : ndarray of shape (n_players, n_background, rank) or None

    Returns
    -------
    ndarray of shape (n_pairs, n_players * rank)
        Squared lengths are about 1.
    """
    if features is None:
        return np.zeros((len(signs), 0))
    n_players = signs.shape[1]
    columns = signs.T[:, :, None] * features[:, references]
    return np.moveaxis(columns, 0, 1).reshape(len(signs), -1) / np.sqrt(n_players)


def standardised(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return columns of mean 0 and variance 1; constant ones as zeros."""
    centred = values - weights @ values
    scale = np.sqrt(weights @ centred**2)
    # The spread of a constant is rounding, which must not be blown up to 1.
    spread = scale > 1e-12 * np.abs(values).max(axis=0, initial=0)
    return np.where(spread, centred / np.where(spread, scale, 1), 0)


def _linear(values: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    return values @ values[landmarks].T / max(1, values.shape[1])


def _smooth(values: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Return a Gaussian kernel, scaled so that its variance over the rows is 1."""
    squares = (values**2).sum(axis=1)
    distances = np.maximum(
        squares[:, None] + squares[landmarks] - 2 * values @ values[landmarks].T, 0
    )
    apart = distances[distances > 1e-12 * max(distances.max(), 1e-300)]
    if len(apart) == 0:
        return np.zeros_like(distances)
    kernel = np.exp(-distances / (2 * np.median(apart)))
    return kernel / max(1 - kernel[landmarks].mean(), 1e-6)
