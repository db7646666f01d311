"""The sections of a report that show explanations: of all rows, and of single ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.explanation import Explanation
from .page import Picture, Section, Table
from .report_inputs import grouped_by_players
from .report_parts import (
    comparison_picture,
    importance_picture,
    importance_table,
    number,
    row_table,
    sequence_picture,
    summary_picture,
    waterfall_picture,
)
from .report_views import Rows, View, adds_up, position_of, views_of
from .report_words import noun_of, precision_of

_MOST_COMPARED = 8


def importance_sections(
    named: Mapping[str, Explanation],
    *,
    output: str | int | None = None,
    unit: str = "",
    data: Any = None,
) -> list[Section]:
    """Show the importances of every method side by side, one section for each kind of players.

    Parameters
    ----------
    named : mapping from str to Explanation
    output : str or int, default=None
        As of :func:`views_of`.
    unit : str, default=""
    data : array-like, default=None
        Rows whose course is drawn above heat maps where the explanation holds none.

    Returns
    -------
    list of Section
    """
    sections = []
    titles: list[str] = []
    for number_of_group, group in enumerate(grouped_by_players(named)):
        views = views_of(group, output, unit)
        level = views[0].explanation.players.level
        title = f"Which {noun_of(level, plural=True)} it relies on"
        title += f" ({titles.count(title) + 1})" if title in titles else ""
        titles.append(title)
        blocks = importance_blocks(views, f"global-{number_of_group}", unit=unit, data=data)
        sections.append(Section(title, [agreement(views)], blocks))
    return sections


def importance_blocks(
    views: Sequence[View],
    prefix: str,
    *,
    unit: str = "",
    series: str | None = None,
    data: Any = None,
    in_full: bool = True,
) -> list[Picture | Table]:
    """Draw and tabulate the importances of some explanations of equal players.

    Parameters
    ----------
    views : sequence of View
    prefix : str
        Of the pictures' names, different for every call on a page.
    unit : str, default=""
        Of the explained output.
    series : str, default=None
        As of :meth:`SequenceDisplay.from_explanation`, for single cells.
    data : array-like, default=None
        Of which the series is drawn where the explanation holds no rows.
    in_full : bool, default=True
        Whether what compares the methods follows: which way values go, shares, and a table.

    Returns
    -------
    list of Picture and Table
    """
    blocks: list[Picture | Table] = []
    for place, view in enumerate(views):
        drawn: dict[str, Any] = {
            "caption": view.caption,
            "measure": view.measure,
            "title": view.title,
        }
        name = f"{prefix}-{place}"
        if is_sequence(view.explanation):
            of_rows = view.explanation.data
            if of_rows is None and np.shape(data)[1:] == view.explanation.players.shape:
                of_rows = np.asarray(data)
            blocks.append(
                sequence_picture(view.explanation, name, series=series, data=of_rows, **drawn)
            )
        else:
            blocks.append(importance_picture(view.explanation, name, **drawn))
    if not in_full:
        return blocks
    players = views[0].explanation.players
    swarmed = next((view for view in views if view.signed), None)
    if swarmed is not None and players.level not in ("timestep", "cell"):
        blocks.append(
            summary_picture(
                swarmed.explanation, f"{prefix}-swarm", unit=unit, title=swarmed.title,
                caption=f"Which way: one dot for each of {len(swarmed.explanation)} rows. Dots on "
                "the right raise their prediction, and the colour is what the row holds.",
            )
        )  # fmt: skip
    if 2 <= len(views) <= _MOST_COMPARED and not is_sequence(views[0].explanation):
        shares = {name: view.explanation.importances() for name, view in _told_apart(views).items()}
        blocks.append(
            comparison_picture(
                shares, players, f"{prefix}-shares",
                caption="How far the measures agree. Left: each in shares of its own sum. Right: "
                "rank correlations; 1 is the same order, 0 none in common.",
            )
        )  # fmt: skip
    columns = {}
    for view in views:
        heading, again = view.heading, 2
        while heading in columns:
            heading, again = f"{view.heading} ({again})", again + 1
        columns[heading] = view.explanation
    blocks.append(
        importance_table(
            columns,
            first_column=noun_of(players.level),
            max_rows=15 if is_sequence(views[0].explanation) else 50,
            caption="Mean ± standard deviation over the repeats or the rows.",
        )
    )
    return blocks


def _told_apart(views: Sequence[View]) -> dict[str, View]:
    """Return views by their titles, or by the measure where a title occurs twice."""
    titles = [view.title for view in views]
    named: dict[str, View] = {}
    for view in views:
        name = view.title if titles.count(view.title) == 1 else view.measure.split(",")[0]
        # Beside a matrix there is no room for the whole.
        name = name.replace("ermutation importance", "ermutation")
        named[name if name not in named else f"{name} {len(named) + 1}"] = view
    return named


def is_sequence(explanation: Explanation) -> bool:
    """Whether a heat map of features by time steps shows more than bars would."""
    players = explanation.players
    return len(players.shape) == 2 and players.level not in ("feature", "timestep")


def agreement(views: Sequence[View]) -> str:
    """Say whether the methods agree on what comes first."""
    firsts = {}
    for view in views:
        sizes = view.explanation.importances()
        several = view.explanation.kind == "importances"
        heading = f"{view.title} ({view.measure})" if several else view.title
        firsts[heading] = view.explanation.players.names[int(np.argmax(sizes))]
    noun = noun_of(views[0].explanation.players.level)
    if len(views) == 1:
        return f"The {noun} that comes first is {next(iter(firsts.values()))}."
    if len(set(firsts.values())) == 1:
        return f"Every measure puts the same {noun} first: {next(iter(firsts.values()))}."
    told = "; ".join(f"{name} by {heading}" for heading, name in firsts.items())
    return (
        f"What comes first differs: {told}. The measures answer different questions, so this is no "
        "contradiction; how to read them is said at the end."
    )


def detail_sections(
    named: Mapping[str, Explanation], rows: Rows, chosen: Mapping[int, str], *, unit: str = ""
) -> list[Section]:
    """Show some rows in detail, every method that explained them beside the others.

    Parameters
    ----------
    named : mapping from str to Explanation
    rows : Rows
    chosen : mapping from a row's position to why it is shown
    unit : str, default=""

    Returns
    -------
    list of Section
    """
    if not chosen:
        return []
    intro = (
        "A value says how far a player moves this one prediction up or down. Orange lowers it, "
        "blue raises it."
    )
    sections = [Section("Single predictions", [intro])]
    for row, why in chosen.items():
        blocks = row_blocks(named, rows, row, f"row-{row}", unit=unit)
        title = f"{rows.label(row)} ({why})" if why != "chosen" else rows.label(row)
        sections.append(Section(title, [row_sentence(rows, row, unit)], blocks, level=3))
    return sections


def row_sentence(rows: Rows, row: int, unit: str = "") -> str:
    """Say what was predicted of a row and what was true."""
    position, reference = rows.output_of(row), rows.reference
    one = reference[row] if position is None else reference[row][:, :, position]
    prediction, base = float(one.predictions[0]), float(one.base_values[0])
    decimals = rows.decimals()
    unit = f" {unit}" if unit else ""
    of = "" if position is None else f" for {reference.output_names[position]}"
    told = (
        f"The model gives {number(prediction, decimals)}{unit}{of}; the base value is "
        f"{number(base, decimals)}{unit}."
    )
    truth = rows.true_value(row)
    if truth is None:
        return told
    if isinstance(truth, str):
        return f"{told} The true class is {truth}."
    miss = number(abs(prediction - truth), decimals)
    return f"{told} The true value is {number(truth, decimals)}{unit}, so it is {miss}{unit} off."


def row_blocks(
    named: Mapping[str, Explanation],
    rows: Rows,
    row: int,
    prefix: str,
    *,
    unit: str = "",
    series: str | None = None,
) -> list[Picture | Table]:
    """Draw one row's prediction, and tabulate what each method says of it.

    Parameters
    ----------
    named : mapping from str to Explanation
    rows : Rows
    row : int
        Position among `rows`.
    prefix : str
        Of the pictures' names, different for every call on a page.
    unit : str, default=""
    series : str, default=None
        As of :meth:`SequenceDisplay.from_explanation`.

    Returns
    -------
    list of Picture and Table
    """
    blocks: list[Picture | Table] = []
    single = {name: _at(named[name], rows, row, name) for name in rows.places}
    known = {name: one for name, one in single.items() if one is not None}
    tables: list[Table] = []
    for group in grouped_by_players(known):
        name, first = min(group.items(), key=lambda item: not adds_up(item[1]))
        picture = f"{prefix}-{len(blocks)}"
        if is_sequence(first):
            blocks += [
                sequence_picture(
                    one, f"{picture}-{place}", sample=0, series=series, unit=unit, title=which,
                    caption="The prediction, divided among the single numbers of the window; "
                    f"above, the series itself. {precision_of(one, unit)}",
                )
                for place, (which, one) in enumerate(group.items())
            ]  # fmt: skip
            continue
        if adds_up(first):
            caption = "From the base value to the prediction, the largest steps first."
            blocks.append(waterfall_picture(first, picture, caption=caption, unit=unit, title=name))
        told = {name: first} | group
        tables.append(
            row_table(
                told,
                unit=unit,
                caption=_row_caption(told),
                decimals=rows.decimals(),
                first_column=f"{noun_of(first.players.level)} and its value",
            )
        )
    return blocks + tables


def _at(explanation: Explanation, rows: Rows, row: int, name: str) -> Explanation | None:
    """Return the row and the output that is shown, where this explanation has both."""
    place = rows.places[name][row]
    if place is None:
        return None
    one = explanation[place]
    if not one.output_names:
        return one
    position = rows.output_of(row)
    wanted: str | int = 0 if position is None else rows.reference.output_names[position]
    found = position_of(wanted, one.output_names)
    return None if found is None else one[:, :, found]


def _row_caption(methods: Mapping[str, Explanation]) -> str:
    apart = [name for name, one in methods.items() if not adds_up(one)]
    told = []
    if len(apart) < len(methods):
        told.append("The values lead from the base value to the prediction.")
    for name in apart:
        local = methods[name].diagnostics.get("local_r2")
        fits = "" if local is None else f"; its linear model's local R² is {float(local[0]):.2f}"
        told.append(f"Those of {name} are weights and need not add up{fits}.")
    if any(one.std_errors is not None for one in methods.values()):
        told.append("±: standard error.")
    return " ".join(told)
