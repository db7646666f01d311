"""What a report says about explanations and estimators: pictures with alt texts, and tables."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.explanation import Explanation
from .importance import ImportanceDisplay
from .measures import measure_of, one_output
from .page import Facts, Picture, Table, inline_svg, svg_axes
from .sequence import SequenceDisplay


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
    with svg_axes() as ax:
        display = ImportanceDisplay.from_explanation(
            explanation,
            output=output,
            measure=measure,
            unit=unit,
            ax=ax,
            max_display=max_display,
            title=title,
        )
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
    with svg_axes() as ax:
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


def row_table(explanation: Explanation, row: int, *, unit: str = "", max_rows: int = 20) -> Table:
    """Return how the values of one row lead from the base value to its prediction.

    Parameters
    ----------
    explanation : Explanation
        Of one output, with values that add up.
    row : int
    unit : str, default=""
    max_rows : int, default=20
        The other players are added up in one line.

    Returns
    -------
    Table
    """
    one = one_output(explanation, None)[row]
    values, base, prediction = one.values[0], one.base_values[0], one.predictions[0]
    order = np.argsort(-np.abs(values), kind="stable")
    decimals = decimals_for([base, prediction], 5)
    shown = order[:max_rows]
    rows = [["base value", number(base, decimals)]]
    rows += [[one.players.names[i], f"{values[i]:+,.{decimals}f}"] for i in shown]
    if len(order) > max_rows:
        rest = values[order[max_rows:]].sum()
        rows.append([f"{len(order) - max_rows} others", f"{rest:+,.{decimals}f}"])
    rows.append(["prediction", number(prediction, decimals)])
    label = "" if one.index is None else f" of {one.index[0]}"
    heading = measure_of(one, unit, single_row=True)
    return Table(["step", heading], rows, f"From the base value to the prediction{label}")


def parameters_of(estimator: Any, leave_out: Sequence[str] = ()) -> Facts:
    """Return the hyperparameters of an estimator, those that were changed first.

    Parameters
    ----------
    estimator : estimator
    leave_out : sequence of str, default=()

    Returns
    -------
    Facts
    """
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(type(estimator)).parameters.items()
    }
    given = estimator.get_params(deep=False).items()
    items = [(name, value) for name, value in given if name not in leave_out]
    items.sort(key=lambda item: repr(item[1]) == repr(defaults.get(item[0])))
    return Facts([(name, str(value)) for name, value in items])
