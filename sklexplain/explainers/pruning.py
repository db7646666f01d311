"""Pruning: old time steps that hardly matter become one player."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.utils.random import sample_without_replacement

from ..core.background import Background
from ..core.models import Model
from ..core.perturb import evaluate, unmasked_outputs
from ..core.players import Players

# Enough to see where the past ends to matter, few enough to cost little beside explaining.
_MOST_ROWS = 20
_MOST_REFERENCES = 10


def pruned_players(
    model: Model,
    rows: np.ndarray,
    background: Background,
    players: Players,
    tolerance: float,
    random_state: np.random.RandomState,
) -> Players:
    """Join the steps whose common Shapley value stays below a share of the output's distance.

    For every age k the window is a game of two players, the steps up to t-k and those after it.
    The past is cut off at the youngest age at which the older player's mean absolute value is
    below `tolerance` times the mean absolute distance of the output from the base value.

    Parameters
    ----------
    model : Model
    rows : ndarray of shape (n_samples, n_timesteps, n_features)
        Training rows, of which up to 20 are used.
    background : Background
        Of which up to 10 rows are used.
    players : Players
        Time steps or cells.
    tolerance : float in (0, 1)
    random_state : RandomState

    Returns
    -------
    Players
        The given ones, if nothing can be joined.

    Notes
    -----
    After Bento et al. (2021), whose pruning decides for each row against one background row; here
    it is decided once, so that all rows have the same players. At most
    ``2 * 20 * 10 * (n_timesteps - 1)`` evaluations.
    """
    n_timesteps = players.shape[0]
    chosen = _some(len(rows), _MOST_ROWS, random_state)
    met = _some(len(background), _MOST_REFERENCES, random_state)
    rows, references = rows[chosen], background.rows[met]
    ages = np.arange(1, n_timesteps)
    # Two players for each age would need as many partitions; one player a step needs one.
    steps = replace(
        players,
        labels=np.arange(players.n_cells) // players.shape[1],
        names=tuple(str(step) for step in range(n_timesteps)),
    )
    recent_only = np.arange(n_timesteps) >= n_timesteps - ages[:, None]
    coalitions = np.concatenate([recent_only, ~recent_only])
    values = evaluate(model, rows, coalitions, references, steps)
    recent, old = values[:, : len(ages)], values[:, len(ages) :]
    base = unmasked_outputs(model, references, "background row").mean(axis=0)
    full = unmasked_outputs(model, rows)
    past = ((old - base) + (full[:, None] - recent)) / 2
    allowed = tolerance * np.abs(full - base).mean(axis=0)
    negligible = np.all(np.abs(past).mean(axis=0) <= allowed, axis=1)
    # A single old step is a player already.
    joinable = ages[negligible & (ages < n_timesteps - 1)]
    if len(joinable) == 0:
        return players
    return joined_past(players, int(joinable[0]))


def joined_past(players: Players, age: int) -> Players:
    """Return the players with all cells of steps up to t-`age` in one, named ``t ≤ -age``."""
    n_timesteps, n_features = players.shape
    old = np.arange(players.n_cells) // n_features < n_timesteps - age
    kept = np.unique(players.labels[~old])
    renumbered = np.zeros(players.n_players, dtype=np.intp)
    renumbered[kept] = np.arange(1, len(kept) + 1)
    labels = np.where(old, 0, renumbered[players.labels])
    names = (f"t ≤ -{age}", *(players.names[player] for player in kept))
    return replace(players, labels=labels, names=names)


def _some(n_rows: int, most: int, random_state: np.random.RandomState) -> np.ndarray:
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(sample_without_replacement(n_rows, most, random_state=random_state))
