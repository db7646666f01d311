"""Which player's value changes most what another player's value does."""

from __future__ import annotations

import numpy as np

from .many_rows import chosen_player


def interaction_strengths(values: np.ndarray, data: np.ndarray, player: int) -> np.ndarray:
    """Return how strongly each player's value goes with one player's attribution, at equal value.

    The rows are sorted by the player's value and cut into pieces of a tenth of the rows, at most
    50. Inside a piece that value hardly varies, so what its attribution still follows is another
    player's. A strength is the sum over pieces of the absolute correlation between the attribution
    and the other's value, or, if that is larger, whether the other's value is missing.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        The player's attributions.
    data : ndarray of shape (n_samples, n_players)
        The players' values; NaN where missing.
    player : int
        Whose attributions these are.

    Returns
    -------
    ndarray of shape (n_players,)
        0 for the player itself.

    Notes
    -----
    The rule of `shap.utils.approximate_interactions`, on all rows where shap draws 10,000. It sees
    only interactions in which the other value raises or lowers the attribution throughout a piece.
    """
    order = np.argsort(data[:, player], kind="stable")
    values, data = values[order], data[order]
    missing = np.isnan(data).astype(float)
    piece = max(min(len(values) // 10, 50), 1)
    by_value, by_missing = np.zeros((2, data.shape[1]))
    for start in range(0, len(values), piece):
        rows = slice(start, start + piece)
        if np.ptp(values[rows]) > 0:
            by_value += _correlations(values[rows], data[rows])
            by_missing += _correlations(values[rows], missing[rows])
    strengths = np.maximum(by_value, by_missing)
    strengths[player] = 0
    return strengths


def strongest_interaction(values: np.ndarray, data: np.ndarray, player: int) -> int | None:
    """Return the player with the largest strength, or None where all are 0."""
    strengths = interaction_strengths(values, data, player)
    return int(np.argmax(strengths)) if strengths.max(initial=0) > 0 else None


def chosen_interaction(
    interaction: str | int | None,
    names: tuple[str, ...],
    values: np.ndarray,
    data: np.ndarray,
    player: int,
) -> int | None:
    """Return the player that `interaction` means: a name, a position, None or ``"auto"``.

    Raises
    ------
    ValueError
        If there is no such player.
    """
    if interaction is None:
        return None
    if interaction == "auto" and "auto" not in names:
        return strongest_interaction(values, data, player)
    return chosen_player(interaction, names, "interaction")


def _correlations(values: np.ndarray, data: np.ndarray) -> np.ndarray:
    """Return absolute correlations with each column; 0 where it is constant or has gaps."""
    known = np.isfinite(data).all(axis=0)
    varying = known & (data.max(axis=0) > data.min(axis=0))
    correlations = np.zeros(data.shape[1])
    columns = data[:, varying] - data[:, varying].mean(axis=0)
    values = values - values.mean()
    scales = np.sqrt((columns**2).sum(axis=0) * (values**2).sum())
    products = np.abs(values @ columns)
    correlations[varying] = np.divide(
        products, scales, out=np.zeros_like(products), where=scales > 0
    )
    return correlations
