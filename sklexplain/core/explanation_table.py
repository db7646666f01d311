"""Explanations as small HTML tables with bars, for notebooks."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from .explanation_shap import category_texts

if TYPE_CHECKING:
    from .explanation import Explanation

_MOST_PLAYERS = 20
_MOST_OUTPUTS = 4
# The colours of the displays: blue adds, vermilion takes away. Both stand out from white and from
# black; text and lines keep the colour of the page, which may be light or dark.
_ADDS, _TAKES = "#0072B2", "#D55E00"
_LEFT = "text-align:left;overflow-wrap:anywhere;max-width:24em"
_RIGHT = "text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"


@dataclass(frozen=True)
class _Table:
    """What a table shows, players in the order of its lines."""

    caption: str
    measure: str
    players: list[str]
    details: list[str] | None  # what the row holds of each player
    detail_title: str
    numbers: np.ndarray  # (n_players, n_outputs)
    errors: np.ndarray | None  # (n_players, n_outputs)
    others: tuple[str, np.ndarray] | None  # what the players left out come to, (n_outputs,)
    outputs: list[str]
    frame: dict[str, np.ndarray]  # lines below the players, (n_outputs,) each


def html_table(explanation: Explanation) -> str:
    """Return one row's values, or the importances over many rows, as a table with bars.

    Everything that a user can name is escaped, and nothing is loaded or run.
    """
    if len(explanation) == 0 or explanation.players.n_players == 0:
        return f"<p>{escape(repr(explanation))}</p>"
    single = len(explanation) == 1 and explanation.kind == "attributions"
    return _html(_row_table(explanation) if single else _importance_table(explanation))


def _row_table(explanation: Explanation) -> _Table:
    values = _by_output(explanation.values[0])
    shown = _shown_outputs(explanation)
    order = np.argsort(-np.abs(values[:, shown]).max(axis=1), kind="stable")
    kept, left = order[:_MOST_PLAYERS], order[_MOST_PLAYERS:]
    others = None
    if len(left):
        others = (f"{len(left)} other players", values[left][:, shown].sum(axis=0))
    errors = None
    if explanation.std_errors is not None:
        errors = _by_output(explanation.std_errors[0])[kept][:, shown]
    # LIME's values add up to what its surrogate predicts, not to the model's prediction.
    frame = {"base value": explanation.base_values, "prediction": explanation.predictions}
    if "surrogate_predictions" in explanation.diagnostics:
        frame["the surrogate's prediction"] = explanation.diagnostics["surrogate_predictions"]
    if "local_r2" in explanation.diagnostics:
        frame["the surrogate's R²"] = explanation.diagnostics["local_r2"]
    details = _details(explanation)
    label = "one row" if explanation.index is None else f"row {explanation.index[0]}"
    return _Table(
        caption=f"{explanation.method}: {label}{_of_outputs(explanation)}",
        measure="attribution",
        players=[explanation.players.names[i] for i in kept],
        details=None if details is None else [details[i] for i in kept],
        detail_title="value" if explanation.conditions is None else "condition",
        numbers=values[kept][:, shown],
        errors=errors,
        others=others,
        outputs=[explanation.output_names[i] for i in shown] if explanation.output_names else [],
        frame={name: np.ravel(numbers[0])[shown] for name, numbers in frame.items()},
    )


def _importance_table(explanation: Explanation) -> _Table:
    drops = explanation.kind == "importances"
    importances = _by_output(explanation.importances())
    shown = _shown_outputs(explanation)
    order = np.argsort(-np.abs(importances[:, shown]).max(axis=1), kind="stable")
    kept = order[:_MOST_PLAYERS]
    n_left = len(order) - len(kept)
    errors = None
    if drops and len(explanation) > 1:
        errors = _by_output(explanation.values.std(axis=0))[kept][:, shown]
    return _Table(
        caption=repr(explanation) + _of_outputs(explanation),
        measure="drop in the score" if drops else "mean |attribution|",
        players=[explanation.players.names[i] for i in kept],
        details=None,
        detail_title="",
        numbers=importances[kept][:, shown],
        errors=errors,
        # Neither means of absolute values nor drops add up.
        others=(f"{n_left} other players", np.array([])) if n_left else None,
        outputs=[explanation.output_names[i] for i in shown] if explanation.output_names else [],
        frame={"the score before": explanation.base_values.mean(axis=0).ravel()[shown]}
        if drops
        else {},
    )


def _by_output(numbers: np.ndarray) -> np.ndarray:
    """Return numbers of players with an axis of outputs."""
    return numbers if numbers.ndim == 2 else numbers[:, None]


def _shown_outputs(explanation: Explanation) -> np.ndarray:
    """Return the outputs that a table has room for, in their order: the largest on average."""
    if explanation.n_outputs <= _MOST_OUTPUTS:
        return np.arange(explanation.n_outputs)
    sizes = explanation.predictions.mean(axis=0)
    return np.sort(np.argsort(-sizes, kind="stable")[:_MOST_OUTPUTS])


def _of_outputs(explanation: Explanation) -> str:
    n_outputs = explanation.n_outputs
    if n_outputs <= _MOST_OUTPUTS:
        return ""
    return f", the {_MOST_OUTPUTS} of {n_outputs} outputs that are largest"


def _details(explanation: Explanation) -> list[str] | None:
    """Return what the one explained row holds of each player: its condition, else its value."""
    data = explanation.player_data()
    if data is None:
        return None if explanation.conditions is None else list(map(str, explanation.conditions[0]))
    labels = explanation.players.labels
    sizes = np.bincount(labels[labels >= 0], minlength=explanation.players.n_players)
    texts = [
        f"mean {value:.4g}" if size > 1 else f"{value:.4g}"
        for value, size in zip(data[0], sizes, strict=True)
    ]
    for player, column in category_texts(explanation).items():
        texts[player] = column[0]
    if explanation.conditions is None:
        return texts
    conditions = map(str, explanation.conditions[0])
    return [condition or text for condition, text in zip(conditions, texts, strict=True)]


def _html(table: _Table) -> str:
    n_columns = max(1, len(table.outputs))
    bar_width = "12em" if n_columns == 1 else "7em"
    magnitudes = np.abs(table.numbers[np.isfinite(table.numbers)])
    widest = max(float(magnitudes.max(initial=0)), np.finfo(float).tiny)
    signed = bool((table.numbers < 0).any())
    titles = ["player"] + ([] if table.details is None else [table.detail_title])
    head = "".join(f'<th scope="col" style="{_LEFT}">{title}</th>' for title in titles)
    for output in table.outputs or [""]:
        title = f"{table.measure}: {output}" if output else table.measure
        head += f'<th scope="col" colspan="2" style="{_LEFT}">{escape(title)}</th>'
    lines = []
    for position, player in enumerate(table.players):
        line = _text_cell(player)
        if table.details is not None:
            line += _text_cell(table.details[position])
        for column, number in enumerate(table.numbers[position]):
            error = None if table.errors is None else table.errors[position, column]
            line += _number_cell(number, error) + _bar_cell(number, widest, signed, bar_width)
        lines.append(line)
    totals: dict[str, np.ndarray] = dict([table.others] if table.others else []) | table.frame
    for name, numbers in totals.items():
        line = _text_cell(name, span=len(titles))
        for column in range(n_columns):
            number = _number_cell(numbers[column]) if column < len(numbers) else "<td></td>"
            line += number + "<td></td>"
        lines.append(line)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    caption_style = "text-align:left;white-space:nowrap"
    return (
        f'<table><caption style="{caption_style}">{escape(table.caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _text_cell(text: str, span: int = 1) -> str:
    spanning = f' colspan="{span}"' if span > 1 else ""
    return f'<td{spanning} style="{_LEFT}">{escape(text)}</td>'


def _number_cell(number: float, error: float | None = None) -> str:
    uncertain = "" if error is None else f" ± {error:.2g}"
    return f'<td style="{_RIGHT}">{number:.4g}{uncertain}</td>'


def _bar_cell(number: float, widest: float, signed: bool, width: str) -> str:
    """Return a bar that starts at the left, or in the middle where some numbers are negative."""
    share = 100 * (abs(number) / widest) if np.isfinite(number) else 0.0
    bar = (
        f'<div style="height:0.9em;width:{share:.1f}%;background:'
        f'{_ADDS if number >= 0 else _TAKES}"></div>'
    )
    if signed:
        left, right = ("", bar) if number >= 0 else (bar, "")
        half = "box-sizing:border-box;display:flex;width:50%"
        bar = (
            f'<div style="{half};justify-content:flex-end;border-right:1px solid">{left}</div>'
            f'<div style="{half}">{right}</div>'
        )
    return (
        f'<td><div aria-hidden="true" style="display:flex;width:{width};min-height:0.9em">{bar}'
        "</div></td>"
    )
