"""Shapley values from the values of coalitions."""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from .coalitions import all_coalitions


def exact_shapley(coalition_values: np.ndarray) -> np.ndarray:
    """Return the Shapley values of games whose every coalition is known.

    Parameters
    ----------
    coalition_values : ndarray of shape (n_games, 2**n_players, n_outputs)
        Coalitions in the order of :func:`sklexplain.solvers.coalitions.all_coalitions`.

    Returns
    -------
    ndarray of shape (n_games, n_players, n_outputs)

    Notes
    -----
    Shapley (1953): player i receives the sum over coalitions S without i of
    ``|S|! (p - |S| - 1)! / p! * (v(S + i) - v(S))``.
    """
    n_players = int(np.log2(coalition_values.shape[1]))
    coalitions = all_coalitions(n_players)
    sizes = coalitions.sum(axis=1)
    weights = np.exp(
        gammaln(np.arange(n_players) + 1)
        + gammaln(n_players - np.arange(n_players))
        - gammaln(n_players + 1)
    )
    # A coalition with i adds what i brought to the rest of it; one without i subtracts.
    with_player = weights[np.maximum(sizes - 1, 0)][:, None] * coalitions
    without_player = weights[np.minimum(sizes, n_players - 1)][:, None] * ~coalitions
    return np.einsum("kp,gko->gpo", with_player - without_player, coalition_values, optimize=True)
