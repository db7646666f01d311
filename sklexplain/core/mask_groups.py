"""Which coalitions leave the first time steps alone, and how many of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Less than this share of the steps saved is not worth storing states for.
_LEAST_SAVED = 0.05


class MaskGroup(NamedTuple):
    """Coalitions that start from the same step.

    Parameters
    ----------
    masks : ndarray of int
        Their positions.
    lead : int
        Steps that are not run again.
    own : bool
        Whether these steps are the explained row's, or else the reference's.
    """

    masks: np.ndarray
    lead: int
    own: bool


def mask_groups(
    coalitions: np.ndarray, labels: np.ndarray, n_timesteps: int, least_masks: int
) -> list[MaskGroup]:
    """Divide coalitions by the first step at which the masked row departs from a stored one.

    Parameters
    ----------
    coalitions : ndarray of bool, shape (n_masks, n_players)
    labels : ndarray of int, shape (n_cells,)
        The player of each cell, time steps one after the other.
    n_timesteps : int
    least_masks : int
        Smaller groups are joined with the next that starts earlier, so that batches are filled.

    Returns
    -------
    list of MaskGroup
        Of all coalitions; empty where it would not pay.
    """
    present = coalitions[:, labels].reshape(len(coalitions), n_timesteps, -1)
    # The last step is always run: a state alone is no output.
    early = present[:, :-1]
    of_row = _leading(np.asarray(early.all(axis=2)))
    of_reference = _leading(~np.asarray(early.any(axis=2)))
    if of_reference.sum() - of_row.sum() < _LEAST_SAVED * n_timesteps * len(coalitions):
        of_reference = np.zeros_like(of_row)
    own = of_row >= of_reference
    lead = np.where(own, of_row, of_reference)
    if lead.sum() < _LEAST_SAVED * n_timesteps * len(lead):
        return []
    groups = []
    for side in (True, False):
        waiting: list[np.ndarray] = []
        for step in np.unique(lead[own == side])[::-1]:
            waiting.append(np.flatnonzero((own == side) & (lead == step)))
            if sum(map(len, waiting)) >= least_masks or step == lead[own == side].min():
                groups.append(MaskGroup(np.sort(np.concatenate(waiting)), int(step), side))
                waiting = []
    return groups


def _leading(flags: np.ndarray) -> np.ndarray:
    """Return how many entries at the start of each row are true."""
    return np.cumprod(flags, axis=1, dtype=np.int64).sum(axis=1)
