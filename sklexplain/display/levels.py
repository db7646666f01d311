"""Numbers with few different values: points of equal value go aside to be seen."""

from __future__ import annotations

import numpy as np

from .swarm import swarm

_MOST_LEVELS = 10


def separate_levels(x: np.ndarray) -> np.ndarray:
    """Return the different values where they are few, repeated and apart; else none."""
    levels = np.unique(x)
    few = 1 < len(levels) <= _MOST_LEVELS and len(x) >= 3 * len(levels)
    return levels if few and smallest_gap(levels) >= np.ptp(levels) / 20 else levels[:0]


def smallest_gap(levels: np.ndarray) -> float:
    """Return the smallest distance of sorted values; 1 where there is one value."""
    return float(np.diff(levels).min()) if len(levels) > 1 else 1.0


def moved_aside(
    x: np.ndarray,
    y: np.ndarray,
    levels: np.ndarray,
    *,
    diameter: float,
    size: tuple[float, float],
) -> np.ndarray:
    """Return how far to move points along x, so that those at one level do not overlap.

    Parameters
    ----------
    x, y : ndarray of shape (n,)
    levels : ndarray
        The values of x whose points are moved.
    diameter : float
        Of a point, in points.
    size : tuple of two floats
        Width and height of the axes, in points.
    """
    offsets = np.zeros(len(x))
    gap = smallest_gap(levels)
    width, height = size
    for level in levels:
        here = x == level
        offsets[here] = swarm(
            y[here],
            diameter=diameter / height * (np.ptp(y) or 1.0),
            step=diameter / width * (np.ptp(levels) + gap),
            room=0.32 * gap,
        )
    return offsets
