"""Box plots that importances and categories share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .style import INK


def draw_boxes(
    ax: Any,
    draws: Sequence[np.ndarray] | np.ndarray,
    places: Any,
    *,
    horizontal: bool,
    whiskers: tuple[float, float],
    colors: Sequence[str] | None = None,
    width: float = 0.62,
    zorder: float = 2,
) -> dict[str, list[Any]]:
    """Draw a box for each column of draws: middle half, median, and a diamond at the mean.

    By hand, because `Axes.boxplot` asks for matplotlib's backend, which loads pyplot and may open
    a window system.

    Parameters
    ----------
    ax : matplotlib Axes
    draws : ndarray of shape (n_draws, n_boxes), or a sequence of arrays
    places : sequence of float
        The boxes' middles, on the axis across them.
    horizontal : bool
        Whether the boxes lie.
    whiskers : tuple of two floats
        The percentiles at their ends.
    colors : sequence of str, default=None
        What the boxes are filled with; by default only outlined.
    width : float, default=0.62
    zorder : float, default=2
        What is drawn later lies on top.

    Returns
    -------
    dict from str to list of artists
        ``"boxes"``, ``"medians"``, ``"means"``, ``"whiskers"`` and ``"caps"``, as of
        :meth:`matplotlib.axes.Axes.boxplot`.
    """
    columns = draws.T if isinstance(draws, np.ndarray) else draws
    low, high = whiskers
    marks = np.array([np.percentile(column, [low, 25, 50, 75, high]) for column in columns])
    middles = np.asarray(places, dtype=float)
    crowded = len(middles) > 30

    def lines(along: Any, across: Any, **how: Any) -> list[Any]:
        """Draw a line for each pair of rows."""
        pairs = zip(along, across, strict=True)
        how = {"color": INK, "linewidth": 0.9, "zorder": zorder, **how}
        drawn = [ax.plot(*(pair if horizontal else pair[::-1]), **how) for pair in pairs]
        return [line for (line,) in drawn]

    heights = marks[:, 3] - marks[:, 1]
    how: dict[str, Any] = {"edgecolor": INK, "linewidth": 0.7, "zorder": zorder}
    how["facecolor"] = "none" if colors is None else list(colors)
    if horizontal:
        boxes = ax.barh(middles, heights, width, left=marks[:, 1], **how)
    else:
        boxes = ax.bar(middles, heights, width, bottom=marks[:, 1], **how)
    twice = np.repeat(middles, 2)
    sides = middles[:, None] + [[-width / 2, width / 2]]
    ends = marks[:, [0, 4]].ravel()
    return {
        "boxes": list(boxes),
        "whiskers": lines(marks[:, [[0, 1], [4, 3]]].reshape(-1, 2), np.c_[twice, twice]),
        "caps": lines(
            np.c_[ends, ends],
            np.repeat(middles[:, None] + (sides - middles[:, None]) / 2, 2, axis=0),
        ),
        "medians": lines(
            marks[:, [2, 2]],
            sides,
            color=INK if colors is None else "white",
            linewidth=0.9 if crowded else 1.6,
            solid_capstyle="butt",
        ),
        "means": lines(
            [[np.mean(column)] for column in columns],
            middles[:, None],
            linestyle="",
            marker="D",
            markersize=1.5 if crowded else 3.5,
            markerfacecolor="white",
            markeredgecolor=INK,
            markeredgewidth=0.4 if crowded else 0.7,
        ),
    }
