"""The sections of a report, from explanations, rows and an estimator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.adapters import unwrapped
from ..core.explanation import Explanation
from .page import Facts, Picture, Section, Table
from .report_inputs import grouped_by_players
from .report_parts import (
    comparison_picture,
    decimals_for,
    importance_picture,
    importance_table,
    number,
    parameters_of,
    row_table,
    sequence_picture,
    summary_picture,
    waterfall_picture,
)
from .report_views import Rows, View, adds_up, position_of, views_of
from .report_words import noun_of, precision_of, reading_paragraphs

_MOST_COLUMNS = 30
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
    """Return views by their titles, with the measure where a title occurs twice."""
    titles = [view.title for view in views]
    return {
        view.title if titles.count(view.title) == 1 else view.measure.split(",")[0]: view
        for view in views
    }


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


def data_section(
    named: Mapping[str, Explanation],
    X: Any,
    y: Any,
    *,
    unit: str = "",
    title: str = "The data",
    paragraphs: Sequence[str] = (),
    more_facts: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
) -> Section:
    """Say what the held-out rows, or the explained ones, hold.

    Parameters
    ----------
    named : mapping from str to Explanation
    X, y : the held-out rows and targets, or None
    unit : str, default=""
        Of the target.
    title : str
    paragraphs : sequence of str, default=()
    more_facts : sequence of (name, value), default=()
        Shown first.
    notes : sequence of str, default=()

    Returns
    -------
    Section
    """
    explained = next((one for one in named.values() if one.data is not None), None)
    facts = list(more_facts)
    if X is not None:
        facts.append(("Held-out rows", f"{len(X):,}"))
    if explained is not None:
        told = [f"{len(one):,} by {name}" for name, one in named.items() if one.data is not None]
        facts.append(("Explained rows", ", ".join(told)))
    shape = next(iter(named.values())).players.shape
    if len(shape) == 2:
        facts += [("Time steps in a window", f"{shape[0]:,}"), ("Features", f"{shape[1]:,}")]
    else:
        facts.append(("Columns", f"{shape[0]:,}"))
    if y is not None:
        facts.append(("Target", _target_in_words(np.asarray(y), unit)))
    names = next(iter(named.values())).players.feature_names
    blocks: list[Facts | Table] = [Facts(facts)]
    source = "held-out" if X is not None else "explained"
    ranges, categories = _columns_of(X, explained, names)
    for columns, heads in (
        (ranges, ["column", "smallest", "median", "largest"]),
        (categories, ["column", "most frequent values"]),
    ):
        if columns:
            left_out = len(columns) - _MOST_COLUMNS
            caption = f"What the {source} rows hold."
            caption += f" {left_out} further columns are left out." if left_out > 0 else ""
            blocks.append(Table(heads, columns[:_MOST_COLUMNS], caption))
    return Section(title, paragraphs, blocks, notes)


def _target_in_words(y: np.ndarray, unit: str) -> str:
    if y.dtype.kind in "fc" or (y.dtype.kind in "iu" and len(np.unique(y)) > 20):
        decimals = decimals_for(y)
        low, high = (number(float(edge), decimals) for edge in (np.nanmin(y), np.nanmax(y)))
        return f"{low} to {high}{f' {unit}' if unit else ''}"
    labels, counts = np.unique(y, return_counts=True)
    told = [f"{label}: {count / len(y):.0%}" for label, count in zip(labels, counts, strict=True)]
    return ", ".join(told[:10]) + (f" and {len(told) - 10} more" if len(told) > 10 else "")


def _columns_of(
    X: Any, explained: Explanation | None, names: Sequence[str]
) -> tuple[list[list[str]], list[list[str]]]:
    """Return the ranges of the columns of numbers, and the frequent values of the others."""
    columns: list[tuple[str, np.ndarray]] = []
    if hasattr(X, "columns") and hasattr(X, "iloc"):
        columns = [(str(name), X.iloc[:, i].to_numpy()) for i, name in enumerate(X.columns)]
    elif X is not None and np.ndim(X) in (2, 3) and np.shape(X)[-1] == len(names):
        columns = [(name, np.asarray(X)[..., i].ravel()) for i, name in enumerate(names)]
    elif X is None and explained is not None and explained.data is not None:
        for i, name in enumerate(names):
            values = explained.data[..., i].ravel()
            if i in explained.categories:
                known = np.asarray(explained.categories[i], dtype=object)
                values = known[values[np.isfinite(values)].astype(int)]
            columns.append((name, values))
    are_numbers = [values.dtype.kind in "biuf" for _, values in columns]
    pairs = list(zip(columns, are_numbers, strict=True))
    return (
        [_range(name, values) for (name, values), numeric in pairs if numeric],
        [_most_frequent(name, values) for (name, values), numeric in pairs if not numeric],
    )


def _range(name: str, values: np.ndarray) -> list[str]:
    finite = values[np.isfinite(values)].astype(float)
    if not len(finite):
        return [name, "missing", "", ""]
    decimals = 0 if np.all(finite == np.round(finite)) else decimals_for(finite)
    edges = (finite.min(), np.median(finite), finite.max())
    return [name, *(number(float(edge), decimals) for edge in edges)]


def _most_frequent(name: str, values: np.ndarray) -> list[str]:
    labels, counts = np.unique([str(value) for value in values], return_counts=True)
    most = np.argsort(-counts, kind="stable")[:3]
    told = ", ".join(f"{labels[i]} ({counts[i] / counts.sum():.0%})" for i in most)
    return [name, told + (f" and {len(labels) - 3} more" if len(labels) > 3 else "")]


def model_section(
    estimator: Any,
    *,
    title: str = "The model",
    paragraphs: Sequence[str] = (),
    leave_out: Sequence[str] = (),
) -> Section:
    """Say what the model is, and its hyperparameters, those that were changed first.

    Parameters
    ----------
    estimator : fitted estimator, explainer, module or function
    title : str
    paragraphs : sequence of str, default=()
        In place of the sentence that names the estimator.
    leave_out : sequence of str, default=()
        Hyperparameters that say nothing.

    Returns
    -------
    Section
    """
    if hasattr(estimator, "players_"):
        estimator = estimator.estimator_
    core = unwrapped(estimator)
    steps = [step for _, step in getattr(core, "steps", [])]
    last = unwrapped(steps[-1]) if steps else core
    name = type(last).__name__
    told = list(paragraphs)
    if not told and len(steps) > 1:
        chain = ", ".join(type(step).__name__ for step in steps[:-1])
        told = [f"{name}, after {chain}. Hyperparameters that differ from the defaults come first."]
    elif not told:
        named = hasattr(last, "get_params")
        told = [f"{name}." + (" Those that differ from the defaults come first." if named else "")]
    blocks = [parameters_of(last, leave_out)] if hasattr(last, "get_params") else []
    return Section(title, told, blocks)


def reading_section(
    named: Mapping[str, Explanation],
    *,
    title: str = "How to read these numbers",
    paragraphs: Sequence[str] = (),
) -> Section:
    """Say what each number means and what it does not.

    Parameters
    ----------
    named : mapping from str to Explanation
    title : str
    paragraphs : sequence of str, default=()
        Added at the end.

    Returns
    -------
    Section
    """
    return Section(title, [*reading_paragraphs(named.values()), *paragraphs])
