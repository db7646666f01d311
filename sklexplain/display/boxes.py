"""Box plots that importances and categories share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .style import INK, require_matplotlib


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
    """Draw a box for each column of draws; a diamond is its mean.

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
    """
    line = {"color": INK, "linewidth": 0.9}
    crowded = len(places) > 30
    middle = {
        "color": INK if colors is None else "white",
        "linewidth": 0.9 if crowded else 1.6,
    }
    boxes = ax.boxplot(
        draws,
        positions=places,
        widths=width,
        whis=whiskers,
        showfliers=False,
        showmeans=True,
        patch_artist=True,
        manage_ticks=False,
        zorder=zorder,
        boxprops={"edgecolor": INK, "linewidth": 0.7, "facecolor": "none"},
        medianprops=middle,
        meanprops={
            "marker": "D",
            "markersize": 1.5 if crowded else 3.5,
            "markerfacecolor": "white",
            "markeredgecolor": INK,
            "markeredgewidth": 0.4 if crowded else 0.7,
        },
        whiskerprops=line,
        capprops=line,
        **_direction(horizontal),
    )
    for box, color in zip(boxes["boxes"], colors or (), strict=bool(colors)):
        box.set_facecolor(color)
    return boxes


def _direction(horizontal: bool) -> dict[str, Any]:
    """Return the keyword that lays boxes down, which versions before 3.10 call otherwise."""
    version = require_matplotlib().__version_info__
    if (version.major, version.minor) >= (3, 10):
        return {"orientation": "horizontal" if horizontal else "vertical"}
    return {"vert": not horizontal}
