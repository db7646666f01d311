"""What pictures of one row share: its values, what they speak of, and whether they add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.explanation import Explanation
from .measures import measure_of, one_output
from .style import require_matplotlib, shortened, shortened_apart

# A gap that is smaller than this part of the picture could not be seen.
_SMALLEST_GAP = 1e-3


@dataclass(frozen=True)
class OneRow:
    """One row and one output of an explanation.

    Parameters
    ----------
    values : ndarray of shape (n_players,)
    labels : tuple of str
        What each value speaks of: ``"close = 412.3"``, or LIME's condition.
    base_value, prediction : float
    std_errors : ndarray of shape (n_players,) or None
    measure : str
        What a value is called.
    predicted : str
        What the prediction is called, for an axis.
    row_name : str
        The row's label; empty where it has none.
    method : str
    diagnostics : dict of str to object
    """

    values: np.ndarray
    labels: tuple[str, ...]
    base_value: float
    prediction: float
    std_errors: np.ndarray | None
    measure: str
    predicted: str
    row_name: str
    method: str
    diagnostics: dict[str, Any]

    @property
    def reach(self) -> float:
        """How far the values could lead, by which a gap is small or not."""
        moved = abs(self.prediction - self.base_value)
        return max(float(np.abs(self.values).sum()), moved, float(np.finfo(float).tiny))

    @property
    def slopes(self) -> bool:
        """Whether the values are slopes of a surrogate, which are no parts of its output."""
        surrogate = self.diagnostics.get("surrogate_predictions")
        if surrogate is None:
            return False
        total = self.base_value + float(self.values.sum())
        return abs(total - float(surrogate)) > _SMALLEST_GAP * self.reach


def one_row(
    explanation: Explanation,
    sample: int | None,
    output: str | int | None,
    *,
    display: str,
    unit: str = "",
) -> OneRow:
    """Return one row of an explanation, for the class named `display`.

    Raises
    ------
    ValueError
        If the values are score drops, if a row or an output has to be chosen, or if a value is
        NaN or infinite.
    """
    refuse_score_drops(explanation, display)
    sample = chosen_sample(sample, len(explanation))
    name = _output_name(explanation, output)
    row = one_output(explanation, output)[sample]
    finite = np.isfinite(row.values[0])
    if not finite.all():
        player = int(np.argmin(finite))
        raise ValueError(
            f"the attribution of {row.players.names[player]!r} in row {sample} is "
            f"{row.values[0, player]}, which {display} cannot draw; choose another row"
        )
    if name and "labels" in row.diagnostics:
        # LIME's highest classes differ from row to row; "top 1" would not say which it is here.
        name = str(row.diagnostics["labels"][0])
    log_odds = row.params.get("link") == "logit"
    unit = unit or ("log-odds" if log_odds else "")
    predicted = f"prediction of {name!r}" if name else "prediction"
    errors = row.std_errors
    return OneRow(
        values=row.values[0],
        labels=row_labels(row),
        base_value=float(row.base_values[0]),
        prediction=float(row.predictions[0]),
        std_errors=None if errors is None else errors[0],
        measure=measure_of(row, unit, single_row=True),
        predicted=f"{predicted}, {unit}" if unit else predicted,
        row_name="" if row.index is None else str(row.index[0]),
        method=row.method,
        diagnostics={name: array[0] for name, array in row.diagnostics.items()},
    )


def explained(explainer: Any, X: Any, sample: int | None, display: str) -> Explanation:
    """Explain rows with a fitted explainer, after checking that one of them can be drawn."""
    if not hasattr(explainer, "transform") and hasattr(explainer, "explanation_"):
        refuse_score_drops(explainer.explanation_, display)
    if not hasattr(explainer, "explain"):
        raise TypeError(
            f"{display}.from_estimator takes a fitted explainer such as KernelSHAP(model).fit(X, "
            f"y), got {type(explainer).__name__}"
        )
    chosen_sample(sample, len(X))
    return explainer.explain(X)


def refuse_score_drops(explanation: Explanation, display: str) -> None:
    """Raise a ValueError where values belong to no single row."""
    if explanation.kind == "importances":
        raise ValueError(
            f"{display} draws one row, but the score drops of {explanation.method} belong to no "
            "single row; draw them with ImportanceDisplay, or explain rows with KernelSHAP, LIME "
            "or DeepSHAP"
        )


def chosen_sample(sample: int | None, n_samples: int) -> int:
    """Return the position of the row to draw.

    Raises
    ------
    ValueError
        If there are several rows and none was chosen, or if there is no such row.
    """
    if sample is None:
        if n_samples != 1:
            raise ValueError(
                f"there are {n_samples} explained rows; choose one with sample=0 … "
                f"sample={n_samples - 1}"
            )
        return 0
    if isinstance(sample, bool) or not isinstance(sample, int | np.integer):
        raise ValueError(f"sample={sample!r} must be an integer, the position of a row")
    if not -n_samples <= sample < n_samples:
        raise ValueError(f"sample={sample} is out of range: there are {n_samples} explained rows")
    return int(sample) % n_samples


def row_labels(row: Explanation) -> tuple[str, ...]:
    """Return what the values of an explanation of one row speak of.

    A player whose cells belong to one variable shows its value, or their mean; a player of
    several variables has no value to show.
    """
    names, told = row.players.names, []
    for player, name in enumerate(names):
        condition = name if row.conditions is None else str(row.conditions[0, player])
        if condition == name:
            told.append(("", _player_value(row, player)))
        else:
            # What stands around the name in "0.2 < load ≤ 1.5"; all of it where there is no name.
            before, _, after = condition.partition(name)
            told.append((before, after))
    short = {
        room: shortened_apart(names, room)
        for room in {_room_for_name(before, after) for before, after in told}
    }
    return tuple(
        shortened(f"{before}{short[_room_for_name(before, after)][player]}{after}", 34)
        for player, (before, after) in enumerate(told)
    )


def _room_for_name(before: str, after: str) -> int:
    return max(34 - len(before) - len(after), 12)


def _player_value(row: Explanation, player: int) -> str:
    if row.data is None:
        return ""
    cells = np.flatnonzero(row.players.labels == player)
    features = np.unique(cells % row.players.shape[-1])
    if len(features) != 1:
        return ""
    held = np.asarray(row.data[0], dtype=float).ravel()[cells]
    categories = row.categories.get(int(features[0]))
    if categories is not None:
        if np.ptp(held) != 0 or not np.isfinite(held[0]):
            return ""
        return f" = {shortened(str(categories[int(held[0])]), 14)}"
    if not np.isfinite(held).all():
        return " = missing" if len(held) == 1 else ""
    if len(held) == 1:
        return f" = {number_text(held[0])}"
    return f" (mean {number_text(held.mean())})"


def _output_name(explanation: Explanation, output: str | int | None) -> str:
    names = explanation.output_names
    if not names:
        return ""
    if isinstance(output, str):
        return output
    return names[output] if output is not None and -len(names) <= output < len(names) else names[0]


def number_text(value: float) -> str:
    """Return a number in four digits, large ones in full."""
    return _plain(f"{value:,.0f}" if 1e4 <= abs(value) < 1e10 else f"{value:.4g}")


def length_text(value: float) -> str:
    """Return a difference with its sign in three digits, large ones in full."""
    text = f"{value:+,.0f}" if 1e3 <= abs(value) < 1e10 else f"{value:+#.3g}"
    return "0" if value == 0 else _plain(text.removesuffix("."))


def place_text(value: float, span: float) -> str:
    """Return a number on an axis in as many digits as tell a hundredth of `span`."""
    decimals = 2 - int(np.floor(np.log10(span))) if span > 0 else 3
    return _plain(f"{value:,.{decimals}f}") if 0 <= decimals <= 9 else number_text(value)


def _plain(text: str) -> str:
    return "0" if text == "-0" else text.replace("-", "−")


def gap_of(row: OneRow, *, display: str) -> float:
    """Return what base value and values leave of the prediction; 0 where it is too small to see.

    Raises
    ------
    ValueError
        If the values are slopes of a surrogate, which are not parts of the prediction.
    """
    if row.slopes:
        raise ValueError(
            f"{display} adds up parts of the prediction, but these values of {row.method} are "
            'slopes; draw them with LocalDisplay, or explain with discretizer="quartile"'
        )
    gap = row.prediction - row.base_value - float(row.values.sum())
    return gap if abs(gap) > _SMALLEST_GAP * row.reach else 0.0


def checked_max_display(max_display: int | None, default: int) -> int:
    """Return how many players to show."""
    if max_display is None:
        return default
    if max_display < 1:
        raise ValueError(f"max_display={max_display} must be at least 1")
    return max_display


def largest_first(values: np.ndarray, max_display: int) -> np.ndarray:
    """Return the players to show by themselves; one left over would be no shorter as "1 other"."""
    order = np.argsort(-np.abs(values), kind="stable")
    return order if len(order) <= max_display + 1 else order[:max_display]


def text_width(text: str, fontsize: str = "small", weight: str = "normal") -> float:
    """Return the width of a text in points."""
    fonts = require_matplotlib("matplotlib.font_manager")
    paths = require_matplotlib("matplotlib.textpath")
    properties = fonts.FontProperties(size=fontsize, weight=weight)
    width, _, _ = paths.text_to_path.get_text_width_height_descent(text, properties, ismath=False)
    return float(width)


def width_in_points(ax: Any) -> float:
    """Return the width of axes before they are laid out."""
    return float(ax.get_window_extent().width * 72 / ax.figure.dpi)


def limits_with_room(
    low: float,
    high: float,
    left: Sequence[tuple[float, float]],
    right: Sequence[tuple[float, float]],
) -> tuple[float, float]:
    """Widen the limits of an axis so that texts beside points have room.

    Parameters
    ----------
    low, high : float
        Of the data.
    left, right : sequence of (x, part)
        A text that ends left of x, or starts right of it, and takes that part of the axis.
    """
    span = (high - low) or abs(high) * 1e-3 or 1.0
    low, high = low - 0.02 * span, high + 0.02 * span
    # More than most of the axis is never given to texts.
    widest = 8 * span
    for _ in range(30):
        length = min(high - low, widest)
        low = min([low, *(x - part * length for x, part in left)])
        high = max([high, *(x + part * length for x, part in right)])
    return low, high


def set_number_axis(ax: Any, label: str) -> None:
    """Write the numbers of a horizontal axis in full, few enough to stand side by side."""
    ax.locator_params(axis="x", nbins=max(4, int(width_in_points(ax) // 100)))
    ax.xaxis.set_major_formatter(lambda x, _: f"{x + 0:,.10g}".replace("-", "−"))
    ax.set_xlabel(label, parse_math=False)
