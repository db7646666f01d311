"""Walks from background rows to the explained row, one player after the other, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from .background_noise import standardised

# Two neighbours, both ways.
FEWEST_IN_ROUND = 4


class WalkRound(NamedTuple):
    """Walks from background rows, each in an order of its own, some of them reversed too.

    Parameters
    ----------
    orders : ndarray of int, shape (n_rows_met, n_players)
        In which players become present.
    references : ndarray of int, shape (n_rows_met,)
        The background row that each walk starts from. Every second one is like the one before it.
    reversed_walks : ndarray of int, shape (n_reversed,)
        Positions of the walks that are walked in the reversed order as well; of two neighbours
        both or neither.
    """

    orders: np.ndarray
    references: np.ndarray
    reversed_walks: np.ndarray

    @property
    def n_walks(self) -> int:
        """How many walks there are, the reversed ones included."""
        return len(self.orders) + len(self.reversed_walks)

    def all_orders(self) -> np.ndarray:
        """Return the orders of all walks, shape (n_walks, n_players), the reversed ones last."""
        return np.concatenate([self.orders, self.orders[self.reversed_walks, ::-1]])

    def coalitions(self) -> np.ndarray:
        """Return whom the walks meet between their ends, walk by walk.

        Returns
        -------
        ndarray of bool, shape (n_walks * (n_players - 1), n_players)
            The first player, the first two, …
        """
        ranks = np.argsort(self.all_orders(), axis=1)
        n_players = self.orders.shape[1]
        present = ranks[:, None, :] < np.arange(1, n_players)[:, None]
        return present.reshape(-1, n_players)

    def walk_references(self) -> np.ndarray:
        """Return the background row of each walk."""
        return np.concatenate([self.references, self.references[self.reversed_walks]])

    def pairing(self) -> np.ndarray:
        """Return the background row of each coalition."""
        return np.repeat(self.walk_references(), self.orders.shape[1] - 1)


def least_walks(n_background: int) -> int:
    """Return how many walks a standard error needs: two rounds from few background rows."""
    return n_background if n_background >= 4 else 4 * n_background


def walk_rounds(
    n_players: int, order: np.ndarray, n_walks: int, random_state: np.random.RandomState
) -> Iterator[WalkRound]:
    """Yield rounds of walks, each from every background row if there are enough left.

    In the first round, every background row is walked from, and as many of these walks are
    reversed as can be. The second of two neighbours walks the reverse of the first one's order,
    so that what is not reversed for itself is so for its like. In later rounds every walk is
    reversed. Over a round, players take all places about equally often.

    Parameters
    ----------
    n_players : int
    order : ndarray of int, shape (n_background,)
        Of :func:`neighbours`.
    n_walks : int
        At least what :func:`least_walks` says; up to three may be left over.
    random_state : RandomState

    Yields
    ------
    WalkRound
    """
    n_met = n_background = len(order)
    n_reversed = min(n_walks - n_background, n_background)
    while n_met > 0:
        orders = np.empty((n_background, n_players), dtype=np.intp)
        orders[::2] = _balanced_orders(n_players, len(orders[::2]), random_state)
        orders[1::2] = orders[: 2 * (n_background // 2) : 2, ::-1]
        # Chance says which pairs of neighbours are left out.
        pairs = random_state.permutation(n_background // 2)
        chosen: np.ndarray = np.arange(n_background)
        if n_reversed < n_background:
            chosen = np.sort((2 * pairs[: n_reversed // 2, None] + [0, 1]).ravel())
        if n_met == n_background:
            yield WalkRound(orders, order, chosen)
        else:
            yield WalkRound(orders[chosen], order[chosen], np.arange(len(chosen)))
        n_walks -= n_met + len(chosen)
        n_met = n_reversed = min(n_background, n_walks // 4 * 2)
        if n_walks >= 2 * n_background:
            n_met = n_reversed = n_background


def walk_contributions(
    walks: WalkRound,
    outputs: np.ndarray,
    background_outputs: np.ndarray,
    predictions: np.ndarray,
) -> np.ndarray:
    """Return what each player adds on its way.

    Parameters
    ----------
    walks : WalkRound
    outputs : ndarray of shape (n_rows, n_coalitions, n_outputs)
        Of :meth:`WalkRound.coalitions`.
    background_outputs : ndarray of shape (n_background, n_outputs)
    predictions : ndarray of shape (n_rows, n_outputs)

    Returns
    -------
    ndarray of shape (n_rows, n_walks, n_players, n_outputs)
        Adding up to the prediction minus the output for the background row of the walk.
    """
    orders = walks.all_orders()
    n_walks, n_players = orders.shape
    n_rows, _, n_outputs = outputs.shape
    passed = np.empty((n_rows, n_walks, n_players + 1, n_outputs))
    passed[:, :, 0] = background_outputs[walks.walk_references()]
    passed[:, :, 1:-1] = outputs.reshape(n_rows, n_walks, n_players - 1, n_outputs)
    passed[:, :, -1] = predictions[:, None]
    places = np.argsort(orders, axis=1)[None, :, :, None]
    return np.take_along_axis(np.diff(passed, axis=2), places, axis=2)


class WalkMeans:
    """Shapley values and standard errors from rounds of walks, of some rows.

    A walk and its reverse together are free of errors of interactions of two players, and an
    order of its own for each background row lets the errors of others average out over the
    background. How far rounds differ tells the standard error, once there are some; neighbours,
    which walk the same order, err together. Of a single round, how far a walk differs from its
    reverse does, or two neighbours from the next two: on tables that is two to five times the
    true spread, but nothing where players add the same both ways, as to a majority.

    Parameters
    ----------
    n_rows : int
    order : ndarray of int, shape (n_background,)
        Of :func:`neighbours`.
    weights : ndarray of shape (n_background,)
        Of the background rows, summing to 1.
    n_players, n_outputs : int

    Notes
    -----
    Castro, Gómez and Tejada (2009) for walks; Mitchell, Cooper, Frank and Holmes (2022) for
    reversing each.
    """

    def __init__(
        self, n_rows: int, order: np.ndarray, weights: np.ndarray, n_players: int, n_outputs: int
    ) -> None:
        n_background, shape = len(order), (n_players, n_outputs)
        self.weights = weights
        self.pair_of = np.empty(n_background, dtype=np.intp)
        self.pair_of[order] = np.arange(n_background) // 2
        n_pairs = -(-n_background // 2)
        self.counts, self.total = np.zeros(n_background), np.zeros((n_rows, n_background, *shape))
        # Of pairs, whose members are met together: the rounds, the sums over them of what the
        # pair adds to the values, of its squares, and of squared half differences.
        self.pair_counts, self.sums = np.zeros(n_pairs), np.zeros((n_rows, n_pairs, *shape))
        self.squares, self.reversals = np.zeros_like(self.sums), np.zeros_like(self.sums)

    def add(self, walks: WalkRound, contributions: np.ndarray) -> None:
        """Add a round.

        Parameters
        ----------
        walks : WalkRound
        contributions : ndarray of shape (n_rows, n_walks, n_players, n_outputs)
            Of :func:`walk_contributions`.
        """
        n_met, both = len(walks.orders), walks.reversed_walks
        means, back = contributions[:, :n_met].copy(), contributions[:, n_met:]
        weights = self.weights[walks.references, None, None]
        firsts = np.arange(0, n_met, 2)
        reversals = np.empty((len(means), len(firsts), *means.shape[2:]))
        if len(both) < n_met:
            share = np.add.reduceat(weights, firsts)
            # The error of the mean of two is half of what two such means differ by.
            share[n_met // 2 :] *= np.sqrt(2)
            reversals[:] = _differences_of_pairs(means) * share**2 / 2
        if len(both):
            halves = np.zeros_like(means)
            halves[:, both] = (means[:, both] - back) / 2
            together = np.add.reduceat((halves * weights) ** 2, firsts, axis=1)
            reversed_pairs = np.unique(both // 2)
            reversals[:, reversed_pairs] = together[:, reversed_pairs]
            means[:, both] = (means[:, both] + back) / 2
        self.counts[walks.references] += 1
        self.total[:, walks.references] += means
        pairs = self.pair_of[walks.references[firsts]]
        added = np.add.reduceat(means * weights, firsts, axis=1)
        self.pair_counts[pairs] += 1
        self.sums[:, pairs] += added
        self.squares[:, pairs] += added**2
        self.reversals[:, pairs] += reversals

    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """Return values and standard errors, shape (n_rows, n_players, n_outputs)."""
        average = self.total / self.counts[:, None, None]
        values = (average * self.weights[:, None, None]).sum(axis=1)
        counts = self.pair_counts[:, None, None]
        spread = np.maximum(self.squares - self.sums**2 / counts, 0)
        variance = spread / (counts * np.maximum(counts - 1, 1)) + self.reversals / counts**3
        return values, np.sqrt(variance.sum(axis=1))

    def keep(self, rows: np.ndarray) -> None:
        """Go on with some rows only."""
        self.total, self.sums, self.squares, self.reversals = (
            kept[rows] for kept in (self.total, self.sums, self.squares, self.reversals)
        )


def neighbours(rows: np.ndarray, outputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return an order of background rows in which every two, from the first on, are alike.

    Rows are halved at the median of the cell, or of the output, in which they differ most, until
    two are left.

    Parameters
    ----------
    rows : ndarray of shape (n_background, n_cells)
    outputs : ndarray of shape (n_background, n_outputs)
    weights : ndarray of shape (n_background,)
        Summing to 1.

    Returns
    -------
    ndarray of int, shape (n_background,)
    """
    # All outputs together tell rows apart as far as all cells do.
    points = np.hstack(
        [
            standardised(values.astype(float), weights) / np.sqrt(max(1, values.shape[1]))
            for values in (np.nan_to_num(rows), outputs)
        ]
    )
    done, waiting = [], [np.arange(len(rows))]
    while waiting:
        part = waiting.pop()
        if len(part) <= 2:
            done.append(part)
            continue
        widest = int(np.argmax(points[part].var(axis=0)))
        part = part[np.argsort(points[part, widest], kind="stable")]
        half = 2 * -(-len(part) // 4)
        waiting += [part[half:], part[:half]]
    return np.concatenate(done)


def _differences_of_pairs(means: np.ndarray) -> np.ndarray:
    """Return the squared difference of each pair's mean from that of the next or last pair."""
    firsts = np.arange(0, means.shape[1], 2)
    of_pairs = np.add.reduceat(means, firsts, axis=1)
    of_pairs[:, : means.shape[1] // 2] /= 2
    other = np.arange(len(firsts)) ^ 1
    # The last of an odd number of pairs has the one before.
    other[-1] = len(firsts) - 2
    return (of_pairs - of_pairs[:, other]) ** 2


def _balanced_orders(
    n_players: int, n_orders: int, random_state: np.random.RandomState
) -> np.ndarray:
    """Draw orders, of which n_players at a time have each player in each place once."""
    squares = []
    for _ in range(-(-n_orders // n_players)):
        players, shifts = random_state.permutation(n_players), random_state.permutation(n_players)
        rows = random_state.permutation(n_players)
        squares.append(players[(rows[:, None] + shifts) % n_players])
    return np.concatenate(squares)[:n_orders]
