"""Coalitions: which players are present in each evaluation."""

from __future__ import annotations

import numpy as np


def all_coalitions(n_players: int) -> np.ndarray:
    """Return all coalitions, ordered as binary numbers: player i is bit i.

    Returns
    -------
    ndarray of bool, shape (2**n_players, n_players)
        The first is empty, the last is full.
    """
    codes = np.arange(2**n_players, dtype=np.int64)
    return (codes[:, None] >> np.arange(n_players)) & 1 == 1
