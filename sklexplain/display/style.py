"""What all pictures share: the palette, and figures made with or without pyplot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from itertools import zip_longest
from typing import Any

# Okabe and Ito's colours, which people with any kind of colour blindness tell apart. The same
# two as in Explanation's table: blue adds, vermilion takes away.
POSITIVE = "#0072B2"
NEGATIVE = "#D55E00"
NEUTRAL = "#F7F7F7"

# For categories, the rest of the same palette; yellow is too pale for points on white.
CATEGORIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")

# Points and cells about which nothing is known.
UNKNOWN = "#9A9AA3"

# Text and lines that a page may recolour for its own background; see `page.inline_svg`.
INK = "#1B1B1F"
MUTED = "#6B6B76"

_PAGE_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sklexplain",
    "font.size": 9.5,
    "axes.titlesize": "medium",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def require_matplotlib(module: str = "matplotlib") -> Any:
    """Import matplotlib, or a module of it.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            "pictures need matplotlib, which is not installed. Run: "
            "pip install 'sklexplain[report]'"
        ) from error


def axes_or_new(ax: Any, figsize: tuple[float, float]) -> Any:
    """Return `ax`, or the axes of a new pyplot figure where it is None."""
    if ax is not None:
        return ax
    pyplot = require_matplotlib("matplotlib.pyplot")
    _, ax = pyplot.subplots(figsize=figsize, layout="constrained")
    return ax


def page_axes(figsize: tuple[float, float] = (5.0, 3.6)) -> Any:
    """Return the axes of a figure for a page, which pyplot does not know."""
    figure = require_matplotlib("matplotlib.figure").Figure(figsize=figsize, layout="constrained")
    return figure.add_subplot()


@contextmanager
def page_style() -> Iterator[None]:
    """Draw in the page's style, whatever the user's own settings are."""
    with require_matplotlib("matplotlib.style").context(["default", _PAGE_STYLE]):
        yield


def signed_colormap() -> Any:
    """Return the colours of heat maps: vermilion below zero, blue above."""
    colors = require_matplotlib("matplotlib.colors")
    return colors.LinearSegmentedColormap.from_list("signed", [NEGATIVE, NEUTRAL, POSITIVE])


def value_colormap() -> Any:
    """Return the colours of values from low to high, with grey for those that are missing.

    Ordered by lightness, and without the blue and vermilion that stand for signs.
    """
    colors = require_matplotlib("matplotlib.colors")
    plasma = require_matplotlib("matplotlib").colormaps["plasma"]
    shades = [plasma(0.12 + 0.72 * shade / 255) for shade in range(256)]
    return colors.ListedColormap(shades, "values").with_extremes(bad=UNKNOWN)


def shortened(name: str, most: int = 28) -> str:
    """Return a name that fits beside a picture, its middle left out where it is too long."""
    name = _printable(name)
    if len(name) <= most:
        return name
    tail = (most - 1) // 3
    return f"{name[: most - 1 - tail]}…{name[-tail:]}"


def shortened_apart(names: Sequence[str], most: int = 28) -> list[str]:
    """Return names that fit beside a picture, different wherever the names are.

    Names that differ only in their middle, such as numbered sensors, are cut around that place.

    Examples
    --------
    >>> from sklexplain.display.style import shortened_apart
    >>> shortened_apart(["load", "sensor number 17, left", "sensor number 18, left"], 14)
    ['load', 'sens… 17, left', 'sens… 18, left']
    """
    names = [_printable(name) for name in names]
    short = [shortened(name, most) for name in names]
    _tell_apart(range(len(names)), names, short, most)
    owners: dict[str, str] = {}
    for place, name in enumerate(names):
        # Names that repeat themselves may differ in nothing but their length.
        text, number = short[place], 1
        while owners.setdefault(text, name) != name:
            number += 1
            text = f"{short[place][: most - len(str(number)) - 1]}…{number}"
        short[place] = text
    return short


def _tell_apart(places: Sequence[int], names: list[str], short: list[str], most: int) -> None:
    """Cut different names of the same short form around the first letter that differs."""
    groups: dict[str, list[int]] = {}
    for place in places:
        groups.setdefault(short[place], []).append(place)
    for alike in groups.values():
        if len({names[place] for place in alike}) == 1:
            continue
        letters = zip_longest(*(names[place] for place in alike))
        differ = next(place for place, these in enumerate(letters) if len(set(these)) > 1)
        head, start = most // 3, differ
        # A number or a word is shown from its first letter.
        while start > max(head, differ - head) and names[alike[0]][start - 1].isalnum():
            start -= 1
        for place in alike:
            name, room = names[place], most - head - 1
            rest = name[min(start, max(head, len(name) - room)) :]
            short[place] = f"{name[:head]}…{rest if len(rest) <= room else rest[: room - 1] + '…'}"
        if len({short[place] for place in alike}) > 1:
            _tell_apart(alike, names, short, most)


def _printable(name: str) -> str:
    # Control characters are neither visible nor allowed in SVG.
    return "".join(letter if letter.isprintable() else " " for letter in str(name))


def thinned(n_ticks: int, most: int) -> list[int]:
    """Return evenly spaced positions, counted from the last, which is always among them."""
    step = max(1, -(-n_ticks // most))
    return list(range(n_ticks - 1, -1, -step))[::-1]
