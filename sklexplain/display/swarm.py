"""Swarms of points that stand side by side instead of on one another, and their colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

# More points than these make a vector picture large and slow to show.
MOST_VECTOR_POINTS = 2000

# In points. The colours of the smallest are hard to see, and only many rows need them.
_DIAMETERS = (4.5, 3.9, 3.3)
_SMALLEST_DIAMETERS = (2.7, 2.0)
_MANY = 1000


def swarm(positions: np.ndarray, *, diameter: float, step: float, room: float) -> np.ndarray:
    """Return how far to move points aside, so that those near one another do not overlap.

    Points of one bin, a diameter wide, stand in a column that is symmetrical about zero. Where the
    longest column would leave the room, all columns shrink by the same factor. The order within a
    column is mixed, always in the same way: a sorted one would draw slanting stripes.

    Parameters
    ----------
    positions : ndarray of shape (n,)
        Along the axis that keeps its values.
    diameter : float
        Of a point, in the unit of `positions`.
    step, room : float
        Distance of neighbours in a column, and the farthest any may go to either side.

    Returns
    -------
    ndarray of shape (n,)
    """
    n_points = len(positions)
    if not n_points:
        return np.empty(0)
    bins = np.floor((positions - positions.min()) / (diameter or 1.0) + 0.5)
    _, bins, sizes = np.unique(bins, return_inverse=True, return_counts=True)
    order = np.lexsort((np.random.default_rng(0).permutation(n_points), bins))
    starts = np.cumsum(sizes) - sizes
    ranks = np.arange(n_points) - np.repeat(starts, sizes)
    step = min(step, 2 * room / max(1, sizes.max() - 1))
    offsets = np.empty(n_points)
    offsets[order] = (ranks - (np.repeat(sizes, sizes) - 1) / 2) * step
    return offsets


def color_limits(values: np.ndarray) -> tuple[float, float]:
    """Return the values with the first and the last colour: the 5th and 95th percentile.

    Where these are equal, as in a rare flag, the 1st and 99th, then the smallest and largest; a
    single far value so does not take all of the colours. Without any number, 0 and 1.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 1.0
    for share in (5, 1, 0):
        low, high = np.percentile(known, [share, 100 - share])
        if high > low:
            return float(low), float(high)
    return float(low) - 0.5, float(low) + 0.5


def color_shares(values: np.ndarray) -> np.ndarray:
    """Return where each value lies between the colour limits, 0 to 1; NaN where it is missing."""
    low, high = color_limits(values)
    return np.clip((values - low) / (high - low), 0, 1)


def fitting_diameter(columns: Sequence[np.ndarray], *, width: float, room: float) -> float:
    """Return the largest diameter at which most swarms need not shrink.

    Parameters
    ----------
    columns : sequence of ndarray
        The positions of each swarm, in points.
    width : float
        Of the axis, in points.
    room : float
        As of :func:`swarm`, in points.
    """
    diameters = _DIAMETERS + (_SMALLEST_DIAMETERS if len(columns[0]) > _MANY else ())
    for diameter in diameters:
        n_bins = max(1, int(width / diameter))
        longest = [
            np.histogram(column, bins=n_bins, range=(0, width))[0].max() for column in columns
        ]
        if np.median(longest) * diameter <= 2 * room:
            return diameter
    return diameters[-1]


def axes_points(ax: Any) -> tuple[float, float]:
    """Return width and height of axes in points, before a layout makes room for labels."""
    scale = 72 / ax.figure.dpi
    return max(ax.bbox.width * scale, 1.0), max(ax.bbox.height * scale, 1.0)
