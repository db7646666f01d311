"""Walks from each background row to the explained row, one player after the other, and back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class WalkDesign(NamedTuple):
    """One walk for each background row, in an order of its own, and the same walk reversed.

    Parameters
    ----------
    orders : ndarray of int, shape (n_background, n_players)
        In which players become present.
    """

    orders: np.ndarray

    def coalitions(self) -> np.ndarray:
        """Return whom the walks meet between their ends, and the complements.

        Returns
        -------
        ndarray of bool, shape (2 * n_background * (n_players - 1), n_players)
            The walks' beginnings of 1, 2, … players, background row by background row; then
            the complements in the same order.
        """
        ranks = np.argsort(self.orders, axis=1)
        n_players = self.orders.shape[1]
        present = ranks[:, None, :] < np.arange(1, n_players)[:, None]
        forward = present.reshape(-1, n_players)
        return np.concatenate([forward, ~forward])

    def references(self) -> np.ndarray:
        """Return the background row of each coalition."""
        n_background, n_players = self.orders.shape
        return np.tile(np.repeat(np.arange(n_background), n_players - 1), 2)


def walk_design(
    n_players: int, n_background: int, random_state: np.random.RandomState
) -> WalkDesign:
    """Draw an order of the players for each background row."""
    orders = np.argsort(random_state.random_sample((n_background, n_players)), axis=1)
    return WalkDesign(orders)


def walk_evals(n_players: int, n_background: int) -> int:
    """Return the evaluations of one walk and its reverse from every background row."""
    return 2 * (n_players - 1) * n_background


def walk_contributions(
    design: WalkDesign,
    outputs: np.ndarray,
    background_outputs: np.ndarray,
    predictions: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return what each player adds on its way, against each background row.

    Parameters
    ----------
    design : WalkDesign
    outputs : ndarray of shape (n_rows, n_coalitions, n_outputs)
        Of :meth:`WalkDesign.coalitions`.
    background_outputs : ndarray of shape (n_background, n_outputs)
    predictions : ndarray of shape (n_rows, n_outputs)

    Returns
    -------
    means, half_differences : ndarray of shape (n_rows, n_background, n_players, n_outputs)
        The mean of what a player adds on the walk and on its reverse, and half the difference of
        the two. The means add up to the prediction minus the background row's output.

    Notes
    -----
    Castro, Gómez and Tejada (2009) for walks; Mitchell, Cooper, Frank and Holmes (2022) for
    reversing each. A walk and its reverse together are free of errors of interactions of two
    players, and an order of its own for each background row lets the errors of others average
    out over the background.
    """
    n_background, n_players = design.orders.shape
    n_rows, _, n_outputs = outputs.shape
    shape = (n_rows, 2, n_background, n_players - 1, n_outputs)
    between = outputs.reshape(shape)
    walks = np.empty((n_rows, 2, n_background, n_players + 1, n_outputs))
    walks[:, :, :, 1:-1] = between
    # The complement of nobody is everybody.
    walks[:, 0, :, 0] = walks[:, 1, :, -1] = background_outputs
    walks[:, 0, :, -1] = walks[:, 1, :, 0] = predictions[:, None]
    steps = np.diff(walks, axis=3)
    steps[:, 1] *= -1
    added = np.empty_like(steps)
    np.put_along_axis(added, design.orders[None, None, :, :, None], steps, axis=3)
    return added.mean(axis=1), (added[:, 0] - added[:, 1]) / 2
