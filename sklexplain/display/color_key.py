"""Colours of categories, and the legend that says which is which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .style import CATEGORIES, UNKNOWN, require_matplotlib, shortened, shortened_apart


def category_colors(codes: np.ndarray, names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return a colour for each code, and what the colours mean.

    Parameters
    ----------
    codes : ndarray of float, shape (n,)
        Positions in `names`; NaN where missing.
    names : sequence of str

    Returns
    -------
    colors : list of str
    key : dict from label to colour
        The most frequent categories in their order; the rest is "other" and grey, as is "missing".
    """
    known = codes[np.isfinite(codes)].astype(int)
    found, counts = np.unique(known, return_counts=True)
    frequent = np.sort(found[np.argsort(-counts, kind="stable")[: len(CATEGORIES)]])
    palette = dict(zip(frequent.tolist(), CATEGORIES, strict=False))
    key = {names[code]: color for code, color in palette.items()}
    if len(found) > len(frequent):
        key["other"] = UNKNOWN
    if len(known) < len(codes):
        key["missing"] = UNKNOWN
    colors = [palette.get(int(c), UNKNOWN) if np.isfinite(c) else UNKNOWN for c in codes]
    return colors, key


def draw_key(ax: Any, key: dict[str, str], title: str) -> Any:
    """Draw a legend to the right of the axes and return it."""
    line = require_matplotlib("matplotlib.lines").Line2D
    legend = ax.legend(
        [line([], [], color=color, marker="o", linestyle="") for color in key.values()],
        shortened_apart(list(key), 14),
        title=shortened(title, 14),
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        frameon=False,
        fontsize="small",
        title_fontsize="small",
        handletextpad=0.2,
    )
    for text in (*legend.get_texts(), legend.get_title()):
        text.set_parse_math(False)
    return legend
