"""What a report says about explanations and estimators: pictures with alt texts, and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.explanation import Explanation
from ..core.players import Players
from .comparison import ComparisonDisplay
from .importance import ImportanceDisplay
from .measures import one_output
from .one_row import row_labels
from .page import Picture, Table, inline_svg, svg_axes
from .sequence import SequenceDisplay
from .style import INK, MUTED, require_matplotlib, shortened
from .summary import SummaryDisplay
from .waterfall import WaterfallDisplay

# Inches. Narrow, so that the text of a picture can be read where it fills a phone.
_WIDTH = 4.6

# As dark as ink, but not replaced by the page's own colour.
_INK_ON_COLOUR = "#1B1B1E"


def _height(n_bars: int) -> float:
    return 1.2 + 0.25 * max(n_bars, 4)


def number(value: float, decimals: int) -> str:
    """Return a number with fixed decimals, thousands apart and no negative zero."""
    return f"{round(value, decimals) + 0.0:,.{decimals}f}"


def decimals_for(values: Any, digits: int = 4) -> int:
    """Return the decimals that give the largest of some numbers this many digits."""
    sizes = np.abs(np.asarray(values, dtype=float))
    largest = float(np.max(sizes, initial=0, where=np.isfinite(sizes)))
    if largest == 0:
        return 0
    return int(np.clip(digits - 1 - np.floor(np.log10(largest)), 0, 12))


def importance_picture(
    explanation: Explanation,
    name: str,
    *,
    caption: str,
    output: str | int | None = None,
    measure: str | None = None,
    unit: str = "",
    max_display: int | None = None,
    title: str | None = None,
) -> Picture:
    """Return bars with error bars for a page.

    Parameters
    ----------
    explanation : Explanation
    name : str
        As of :func:`inline_svg`.
    caption : str
    output, measure, unit, max_display, title
        As of :meth:`ImportanceDisplay.from_explanation`.

    Returns
    -------
    Picture
    """
    n_shown = min(explanation.players.n_players, max_display or 15)
    in_time = explanation.players.level == "timestep"
    with svg_axes((_WIDTH, 2.8 if in_time else _height(n_shown))) as ax:
        display = ImportanceDisplay.from_explanation(
            explanation,
            output=output,
            measure=measure,
            unit=unit,
            ax=ax,
            max_display=max_display,
            title=title,
        )
        if not in_time:
            # As high as its bars are many, the picture has room for names in full size.
            display.ax_.tick_params(axis="y", labelsize="medium")
            display.ax_.locator_params(axis="x", nbins=5)
        largest = np.argsort(-np.abs(display.importances))[:5]
        decimals = decimals_for(display.importances)
        told = ", ".join(
            f"{display.names[i]} {number(display.importances[i], decimals)}" for i in largest
        )
        alt = (
            f"Bar chart of {display.measure} for {len(display.importances)} players. "
            f"The largest: {told}."
        )
        return Picture(inline_svg(display.figure_, alt, name), caption)


def comparison_picture(
    importances: Mapping[str, np.ndarray],
    players: Players,
    name: str,
    *,
    caption: str,
    title: str | None = None,
) -> Picture:
    """Return several methods' importances in one picture, with their rank correlations.

    Parameters
    ----------
    importances : mapping from a method's name to ndarray of shape (n_players,)
        2 to 8 of them.
    players : Players
    name : str
        As of :func:`inline_svg`.
    caption : str
    title : str, default=None

    Returns
    -------
    Picture
    """
    in_time = players.level == "timestep"
    display = ComparisonDisplay(importances, players.names, in_time=in_time)
    n_bars = len(importances) * min(players.n_players, max(5, min(12, 30 // len(importances))))
    large = require_matplotlib().rc_context({"font.size": 11.5})
    with svg_axes((5.6, min(1.3 + 0.13 * max(n_bars, 9), 5.0))) as ax, large:
        display.plot(ax, title=title)
        display.ax_.locator_params(axis="x", nbins=3)
        for text in display.texts_:
            # On a pale cell, which stays pale on dark ground: not the page's own ink.
            if text.get_color() == INK:
                text.set_color(_INK_ON_COLOUR)
        methods = list(importances)
        pairs = [
            f"{methods[i]} and {methods[j]} {display.correlations_[i, j]:.2f}"
            for i in range(len(methods))
            for j in range(i)
        ]
        alt = (
            f"Bar chart of the shares of {', '.join(methods)} for {players.n_players} players, "
            f"beside their rank correlations: {', '.join(pairs)}."
        )
        return Picture(inline_svg(display.figure_, alt, name), caption, wide=True)


def summary_picture(
    explanation: Explanation, name: str, *, caption: str, unit: str = "", title: str | None = None
) -> Picture:
    """Return each row's values as a swarm, coloured by what the rows hold.

    Parameters
    ----------
    explanation : Explanation
        Of one output, with signed values.
    name : str
        As of :func:`inline_svg`.
    caption : str
    unit, title
        As of :meth:`SummaryDisplay.from_explanation`.

    Returns
    -------
    Picture
    """
    n_shown = min(explanation.players.n_players, 12)
    with svg_axes((_WIDTH + 0.4, _height(n_shown))) as ax:
        display = SummaryDisplay.from_explanation(
            explanation, unit=unit, ax=ax, max_display=12, title=title
        )
        for dots in display.ax_.collections:
            # The darkest dots would be lost on dark ground.
            dots.set(edgecolor=MUTED, linewidth=0.4)
        low, high = display.values.min(axis=0), display.values.max(axis=0)
        decimals = decimals_for(display.values)
        told = ", ".join(
            f"{display.names[i]} {number(low[i], decimals)} to {number(high[i], decimals)}"
            for i in display.shown_[:5]
        )
        alt = (
            f"Swarm of {display.measure} of {len(display.values)} rows for "
            f"{len(display.names)} players, from the lowest to the highest: {told}."
        )
        return Picture(inline_svg(display.figure_, alt, name), caption)


def sequence_picture(
    explanation: Explanation,
    name: str,
    *,
    caption: str,
    sample: int | None = None,
    output: str | int | None = None,
    data: np.ndarray | None = None,
    series: str | int | None = None,
    measure: str | None = None,
    unit: str = "",
    title: str | None = None,
) -> Picture:
    """Return a heat map of features by time steps for a page.

    Parameters
    ----------
    explanation : Explanation
    name : str
        As of :func:`inline_svg`.
    caption : str
    sample, output, data, series, measure, unit, title
        As of :meth:`SequenceDisplay.from_explanation`.

    Returns
    -------
    Picture
    """
    n_features = min(explanation.players.shape[-1], 15)
    with svg_axes((_WIDTH, max(3.4, 1.6 + 0.22 * n_features))) as ax:
        display = SequenceDisplay.from_explanation(
            explanation,
            sample=sample,
            output=output,
            data=data,
            series=series,
            measure=measure,
            unit=unit,
            ax=ax,
            title=title,
        )
        values = np.nan_to_num(display.cell_values)
        step, feature = np.unravel_index(np.argmax(np.abs(values)), values.shape)
        age = len(values) - 1 - step
        alt = (
            f"Heat map of {display.measure} for {values.shape[1]} features by {len(values)} time "
            f"steps. The strongest cell is {display.feature_names[feature]} at "
            f"{f't-{age}' if age else 't'}, with {values[step, feature]:.4g}."
        )
        return Picture(inline_svg(display.figure_, alt, name), caption)


def importance_table(
    columns: Mapping[str, Explanation],
    *,
    caption: str,
    first_column: str = "player",
    max_rows: int = 50,
) -> Table:
    """Return the importances of one or more explanations of the same players side by side.

    Parameters
    ----------
    columns : mapping from str to Explanation
        By heading; each of one output. The first one orders the rows, unless the players are
        time steps, which keep their order.
    caption : str
    first_column : str, default="player"
    max_rows : int, default=50
        Rows beyond it are left out, and the caption says so.

    Returns
    -------
    Table
        Mean ± standard deviation, as the bars and whiskers of :class:`ImportanceDisplay`.
    """
    explanations = [one_output(explanation, None) for explanation in columns.values()]
    names = explanations[0].players.names
    for heading, explanation in zip(columns, explanations, strict=True):
        if explanation.players.names != names:
            raise ValueError(f"{heading!r} is of other players than the first explanation")
    order = np.arange(len(names))
    if explanations[0].players.level != "timestep":
        order = np.argsort(-explanations[0].importances(), kind="stable")
    cells = [_mean_and_std(explanation) for explanation in explanations]
    rows = [[names[i], *(column[i] for column in cells)] for i in order[:max_rows]]
    if len(order) > max_rows:
        caption += f" {len(order) - max_rows} further rows are left out."
    return Table([first_column, *columns], rows, caption)


def _mean_and_std(explanation: Explanation) -> list[str]:
    means = explanation.importances()
    values = explanation.values
    stds = (values if explanation.kind == "importances" else np.abs(values)).std(axis=0)
    decimals = decimals_for(means)
    if len(explanation) == 1:
        return [number(mean, decimals) for mean in means]
    return [
        f"{number(mean, decimals)} ± {number(std, decimals)}"
        for mean, std in zip(means, stds, strict=True)
    ]


def row_table(
    methods: Mapping[str, Explanation],
    *,
    unit: str = "",
    caption: str = "",
    decimals: int | None = None,
    first_column: str = "player and its value",
    max_rows: int = 20,
) -> Table:
    """Return how methods divide the prediction of one row.

    Parameters
    ----------
    methods : mapping from a name to an Explanation
        Of one row, one output and the same players each. The first one orders the players.
    unit : str, default=""
    caption : str, default=""
    decimals : int, default=None
        By default as many as the predictions need.
    first_column : str
    max_rows : int, default=20
        The other players are added up in one line.

    Returns
    -------
    Table
        From the base value to the prediction where the values of the first lead there. Standard
        errors stand behind ±.
    """
    first = next(iter(methods.values()))
    order = np.argsort(-np.abs(first.values[0]), kind="stable")
    shown, left_out = order[:max_rows], order[max_rows:]
    labels = row_labels(first) if first.conditions is None else first.players.names
    if decimals is None:
        decimals = decimals_for([first.base_values[0], first.predictions[0]], 5)
    columns = [_row_cells(one, shown, left_out, decimals) for one in methods.values()]
    names = [labels[player] for player in shown]
    if len(left_out):
        names.append(f"{len(left_out)} others together")
    names = ["base value", *names, "prediction"]
    conditions = [one.conditions[0] for one in methods.values() if one.conditions is not None]
    heads = [f"{name}, {unit}" if unit else name for name in methods]
    if conditions:
        told = [shortened(str(conditions[0][player]), 40) for player in shown]
        blank = [""] if len(left_out) else []
        columns.append(["", *told, *blank, ""])
        heads.append("what LIME compares with")
    rows = [list(cells) for cells in zip(names, *columns, strict=True)]
    return Table([first_column, *heads], rows, caption)


def _row_cells(
    one: Explanation, shown: np.ndarray, left_out: np.ndarray, decimals: int
) -> list[str]:
    values = one.values[0]
    base, prediction = float(one.base_values[0]), float(one.predictions[0])
    cells = [number(base, decimals)]
    for player in shown:
        error = "" if one.std_errors is None else f" ± {one.std_errors[0, player]:,.{decimals}f}"
        cells.append(signed(values[player], decimals) + error)
    if len(left_out):
        cells.append(signed(values[left_out].sum(), decimals))
    return [*cells, number(prediction, decimals)]


def signed(value: float, decimals: int) -> str:
    """Return a number with its sign, and none where it is shown as zero."""
    told = number(value, decimals)
    return f"+{told}" if value > 0 and float(told.replace(",", "")) else told


def waterfall_picture(
    explanation: Explanation, name: str, *, caption: str, unit: str = "", title: str | None = None
) -> Picture:
    """Return the steps from the base value to the prediction of one row.

    Parameters
    ----------
    explanation : Explanation
        Of one row and one output.
    name : str
        As of :func:`inline_svg`.
    caption : str
    unit, title
        As of :meth:`WaterfallDisplay.from_explanation`.

    Returns
    -------
    Picture
    """
    n_shown = min(explanation.players.n_players, 11)
    # The display writes in small letters, which a phone would make unreadable.
    large = require_matplotlib().rc_context({"font.size": 11})
    with svg_axes((_WIDTH, _height(n_shown + 2))) as ax, large:
        display = WaterfallDisplay.from_explanation(
            explanation, sample=0, unit=unit, ax=ax, max_display=10, title=title
        )
        largest = np.argsort(-np.abs(display.values))[:5]
        decimals = decimals_for([display.base_value, display.prediction, *display.values])
        told = ", ".join(
            f"{display.labels[i]} {signed(display.values[i], decimals)}" for i in largest
        )
        alt = (
            f"Waterfall from the base value {number(display.base_value, decimals)} to the "
            f"prediction {number(display.prediction, decimals)}. The largest steps: {told}."
        )
        return Picture(inline_svg(display.figure_, alt, name), caption)
