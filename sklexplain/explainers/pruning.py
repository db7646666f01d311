"""Pruning: old time steps that hardly matter become one player."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.random import sample_without_replacement

from ..core.background import Background
from ..core.built_rows import unmasked_outputs
from ..core.models import Model
from ..core.perturb import evaluate
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
    **running: Any,
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
    **running
        `batch_size` and `n_jobs` for :func:`sklexplain.core.perturb.evaluate`.

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
    step_of_cell = _step_of_cell(players)
    n_timesteps = int(step_of_cell.max()) + 1
    chosen = _some(len(rows), _MOST_ROWS, random_state)
    met = _some(len(background), _MOST_REFERENCES, random_state)
    if background.weights[met].sum() == 0:
        met = np.flatnonzero(background.weights)[:_MOST_REFERENCES]
    rows, references = rows[chosen], Background(background.rows[met], background.weights[met])
    ages = np.arange(1, n_timesteps)
    # Two players for each age would need as many partitions; one player a step needs one.
    steps = replace(
        players, labels=step_of_cell, names=tuple(str(step) for step in range(n_timesteps))
    )
    recent_only = np.arange(n_timesteps) >= n_timesteps - ages[:, None]
    values = evaluate(
        model,
        rows,
        np.concatenate([recent_only, ~recent_only]),
        references.rows,
        steps,
        weights=references.weights,
        **running,
    )
    recent, old = values[:, : len(ages)], values[:, len(ages) :]
    base = references.mean(unmasked_outputs(model, references.rows, "background row"))
    full = unmasked_outputs(model, rows)
    past = ((old - base) + (full[:, None] - recent)) / 2
    allowed = tolerance * np.abs(full - base).mean(axis=0)
    negligible = np.all(np.abs(past).mean(axis=0) <= allowed, axis=1)
    joined = [joined_past(players, int(age)) for age in ages[negligible]]
    return next((few for few in joined if few.n_players < players.n_players), players)


def refuse_pruning(tolerance: float, players: Players) -> None:
    """Raise a ValueError unless the players are time steps or cells of windows."""
    if players.level != "timestep" and (players.level != "cell" or len(players.shape) != 2):
        of_what = "windows" if len(players.shape) == 2 else "a table"
        raise ValueError(
            f"prune_tol={tolerance} joins old time steps, but the players are of level "
            f'{players.level!r} of {of_what}; use players="timestep" or players="cell" on windows'
        )


def joined_past(players: Players, age: int) -> Players:
    """Return the players with all cells of steps up to t-`age` in one, named ``t ≤ -age``."""
    step_of_cell = _step_of_cell(players)
    old = step_of_cell <= step_of_cell.max() - age
    kept = np.unique(players.labels[~old])
    renumbered = np.zeros(players.n_players, dtype=np.intp)
    renumbered[kept] = np.arange(1, len(kept) + 1)
    labels = np.where(old, 0, renumbered[players.labels])
    names = (f"t ≤ -{age}", *(players.names[player] for player in kept))
    return replace(players, labels=labels, names=names)


def _step_of_cell(players: Players) -> np.ndarray:
    if len(players.shape) == 2:
        return np.arange(players.n_cells) // players.shape[1]
    # Windows that were flattened into one row: the steps are the players.
    return players.labels


def _some(n_rows: int, most: int, random_state: np.random.RandomState) -> np.ndarray:
    if n_rows <= most:
        return np.arange(n_rows)
    return np.sort(sample_without_replacement(n_rows, most, random_state=random_state))
