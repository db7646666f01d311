"""Choosing the rows that together show the most (SP-LIME)."""

from __future__ import annotations

import numpy as np


def submodular_pick(weights: np.ndarray, k: int) -> np.ndarray:
    """Choose k rows whose features cover as much importance as possible.

    A feature that some chosen row uses is covered; its importance is the root of its absolute
    weights, added up over all rows. Rows are added one after the other, each time the one that
    covers most of what is not covered yet (the first of equals), which comes within 1 - 1/e of the
    best choice.

    Parameters
    ----------
    weights : ndarray of shape (n_rows, n_features)
        0 where a row does not use a feature.
    k : int

    Returns
    -------
    ndarray of int, shape (k,)
        Rows, in the order in which they were chosen.

    Notes
    -----
    Ribeiro, Singh and Guestrin (2016), Algorithm 2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.solvers.pick import submodular_pick
    >>> submodular_pick(np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), 2)
    array([0, 2])
    """
    uses = weights != 0
    importances = np.sqrt(np.abs(weights).sum(axis=0))
    covered = np.zeros(weights.shape[1], dtype=bool)
    free = np.ones(len(weights), dtype=bool)
    chosen = np.empty(k, dtype=np.intp)
    for step in range(k):
        gains = (uses & ~covered) @ importances
        chosen[step] = np.argmax(np.where(free, gains, -1))
        free[chosen[step]] = False
        covered |= uses[chosen[step]]
    return chosen
