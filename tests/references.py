"""Slow and obviously right: what the tests compare with."""

from itertools import permutations

import numpy as np


def shapley_by_orders(value, n_players):
    """Shapley values of one game as the mean over all orders in which the players can enter.

    `value` maps a frozenset of players to a number or an array of outputs.
    """
    orders = list(permutations(range(n_players)))
    total = [0.0] * n_players
    for order in orders:
        present = frozenset()
        for player in order:
            total[player] = total[player] + value(present | {player}) - value(present)
            present = present | {player}
    return np.array([player_total / len(orders) for player_total in total])


def masked_row(row, reference, players, present):
    """Return the row with the cells of absent players taken from the reference, cell by cell."""
    masked = np.array(row, copy=True)
    for cell in np.ndindex(players.shape):
        (owner,) = (p for p in range(players.n_players) if players.members(p)[cell])
        if owner not in present:
            masked[cell] = reference[cell]
    return masked


def shapley_of_row(function, row, background_rows, weights, players):
    """Shapley values of the mean output over the background, outputs in the last axis.

    `function` maps one sample at a time, as a batch of one, to (1, n_outputs).
    """
    known = {}

    def value(present):
        if present not in known:
            batch = np.stack([masked_row(row, b, players, present) for b in background_rows])
            known[present] = sum(
                weight * output for weight, output in zip(weights, function(batch), strict=True)
            )
        return known[present]

    return shapley_by_orders(value, players.n_players)
