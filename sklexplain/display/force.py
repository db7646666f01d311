"""ForceDisplay: what pushes one row's prediction up, against what pushes it down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.explanation import Explanation
from .one_row import (
    checked_max_display,
    explained,
    gap_of,
    largest_first,
    length_text,
    limits_with_room,
    one_row,
    place_text,
    set_number_axis,
    text_width,
    width_in_points,
)
from .style import INK, MUTED, NEGATIVE, POSITIVE, axes_or_new, require_matplotlib, shortened


@dataclass(frozen=True)
class _Push:
    """One piece of the bar: its length with sign, its text and its colour."""

    length: float
    text: str
    color: str


class ForceDisplay:
    """One row as a bar: pushes up from the left meet pushes down from the right.

    Where they meet is the prediction. The largest are next to it, the others of each direction
    are added up, and so is the gap that a method leaves between its values and the prediction.
    Make one with :meth:`from_explanation` or :meth:`from_estimator`.

    Parameters
    ----------
    values : ndarray of shape (n_players,)
        Lengths of the pieces, with signs.
    labels : sequence of str, length n_players
    base_value : float
        The prediction without any push.
    prediction : float
        Where the pushes meet.
    gap : float, default=0.0
        What base value and values leave of the prediction, drawn as a piece of its own.
    measure : str, default="attribution"
        What a piece is, for the note below the axis.
    predicted : str, default="prediction"
        What the axis is.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    pieces_ : list of matplotlib Polygon
        Pushes up from the prediction outwards, then pushes down from the prediction outwards.
    texts_ : list of matplotlib Annotation
        The labels of the pieces, in the same order.
    base_line_, prediction_line_ : matplotlib Line2D
    shown_ : ndarray of int
        The players with a piece of their own, the largest first.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from sklexplain import ForceDisplay, KernelSHAP
    >>> X = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0]])
    >>> explainer = KernelSHAP(lambda X: 3 * X[:, 0] - X[:, 1], feature_names=["open", "close"])
    >>> explanation = explainer.fit(X).explain(X[:1])
    >>> display = ForceDisplay.from_explanation(explanation, ax=Figure().add_subplot())
    >>> [text.get_text() for text in display.texts_]
    ['close = 0 (+2.00)', 'open = 0 (−6.00)']
    """

    def __init__(
        self,
        values: np.ndarray,
        labels: Sequence[str],
        *,
        base_value: float,
        prediction: float,
        gap: float = 0.0,
        measure: str = "attribution",
        predicted: str = "prediction",
    ) -> None:
        self.values = np.asarray(values, dtype=float)
        self.labels = tuple(str(label) for label in labels)
        self.base_value = float(base_value)
        self.prediction = float(prediction)
        self.gap = float(gap)
        self.measure = shortened(measure, 50)
        self.predicted = shortened(predicted, 50)
        if len(self.labels) != len(self.values):
            raise ValueError(
                f"labels has length {len(self.labels)}, but there are {len(self.values)} values"
            )

    @classmethod
    def from_explanation(
        cls,
        explanation: Explanation,
        *,
        sample: int | None = None,
        output: str | int | None = None,
        unit: str = "",
        ax: Any = None,
        max_display: int | None = None,
        title: str | None = None,
    ) -> ForceDisplay:
        """Draw one row of an explanation.

        Parameters
        ----------
        explanation : Explanation
        sample : int, default=None
            Position of the row; needed where there are several.
        output : str or int, default=None
            Which output or class; needed where there are several.
        unit : str, default=""
            Of the prediction.
        ax, max_display, title
            As of :meth:`plot`; the default title is the row's label, where the explanation has
            labels.

        Returns
        -------
        ForceDisplay

        Raises
        ------
        ValueError
            If the values are score drops or slopes, which do not add up to a prediction, or if a
            row or an output has to be chosen.
        """
        name = cls.__name__
        row = one_row(explanation, sample, output, display=name, unit=unit)
        display = cls(
            row.values,
            row.labels,
            base_value=row.base_value,
            prediction=row.prediction,
            gap=gap_of(row, display=name),
            measure=row.measure,
            predicted=row.predicted,
        )
        return display.plot(
            ax, max_display=max_display, title=row.row_name if title is None else title
        )

    @classmethod
    def from_estimator(
        cls, explainer: Any, X: Any, *, sample: int | None = None, **params: Any
    ) -> ForceDisplay:
        """Explain rows and draw one of them.

        Parameters
        ----------
        explainer : explainer
            Fitted; its ``explain(X)`` is called.
        X : array-like or DataFrame
            The rows; each costs its evaluations, so give one where one is enough.
        sample : int, default=None
            As of :meth:`from_explanation`.
        **params : dict
            For :meth:`from_explanation`.

        Returns
        -------
        ForceDisplay
        """
        explanation = explained(explainer, X, sample, cls.__name__)
        return cls.from_explanation(explanation, sample=sample, **params)

    def plot(
        self, ax: Any = None, *, max_display: int | None = None, title: str | None = None
    ) -> ForceDisplay:
        """Draw the bar and its labels.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; by default on a new pyplot figure.
        max_display : int, default=None
            Most players with a piece of their own, the largest in size; by default 8.
        title : str, default=None

        Returns
        -------
        self : ForceDisplay
        """
        self.shown_ = largest_first(self.values, checked_max_display(max_display, 8))
        ups, downs = self._pushes(1), self._pushes(-1)
        self.ax_ = axes_or_new(ax, (6, 4))
        self.figure_ = self.ax_.figure
        self._set_limits(ups, downs)
        self.pieces_: list[Any] = []
        self.texts_: list[Any] = []
        self._draw_side(ups, -1)
        self._draw_side(downs, 1)
        self._draw_ends()
        self.ax_.set_yticks([])
        self.ax_.spines[["top", "right", "left"]].set_visible(False)
        set_number_axis(self.ax_, f"{self.predicted}\nin brackets: {self.measure}")
        if title:
            self.ax_.set_title(shortened(title, 60), loc="left", parse_math=False)
        return self

    def _pushes(self, sign: int) -> list[_Push]:
        """Return the pieces of one direction, from the prediction outwards."""
        color = POSITIVE if sign > 0 else NEGATIVE
        pushes = [
            _Push(self.values[player], self.labels[player], color)
            for player in self.shown_
            if self.values[player] * sign > 0
        ]
        others = np.delete(self.values, self.shown_)
        others = others[others * sign > 0]
        if len(others):
            noun = "other" if len(others) == 1 else "others"
            pushes.append(_Push(others.sum(), f"{len(others)} {noun}", color))
        if self.gap * sign > 0:
            pushes.append(_Push(self.gap, "not explained", MUTED))
        return [
            _Push(push.length, f"{push.text} ({length_text(push.length)})", push.color)
            for push in pushes
        ]

    def _set_limits(self, ups: list[_Push], downs: list[_Push]) -> None:
        """Make room for the bar, and for labels that start at a piece and run inwards."""
        low = self.prediction - sum(push.length for push in ups)
        high = self.prediction - sum(push.length for push in downs)
        self._span = high - low
        # Laid out, the axes take nearly the whole figure, since nothing stands beside them.
        room = 1.2 * width_in_points(self.ax_)
        left: list[tuple[float, float]] = []
        right: list[tuple[float, float]] = []
        for pushes, direction, texts in ((ups, -1, right), (downs, 1, left)):
            for push, middle in zip(pushes, self._middles(pushes, direction), strict=True):
                texts.append((middle, min(text_width(push.text) / room + 0.02, 0.6)))
        base_text, prediction_text = self._end_texts()
        ends = sorted(
            [(self.base_value, base_text, "normal"), (self.prediction, prediction_text, "bold")]
        )
        for texts, (x, text, weight) in zip((left, right), ends, strict=True):
            texts.append((x, text_width(text, weight=weight) / room + 0.02))
        self.ax_.set_xlim(*limits_with_room(low, high, left, right))
        spare = max(0.0, (6 - len(ups) - len(downs)) / 2)
        self.ax_.set_ylim(-len(downs) - 1.6 - spare, len(ups) + 1.6 + spare)

    def _middles(self, pushes: list[_Push], direction: int) -> np.ndarray:
        sizes = np.abs([push.length for push in pushes])
        return self.prediction + direction * (np.cumsum(sizes) - sizes / 2)

    def _draw_side(self, pushes: list[_Push], direction: int) -> None:
        """Draw one direction: its pieces, and its labels above the bar or below it.

        Labels run inwards, over the pieces that are larger than theirs, whose labels are nearer to
        the bar: so no line that leads to a label crosses another label.
        """
        polygon = require_matplotlib("matplotlib.patches").Polygon
        low, high = self.ax_.get_xlim()
        near = self.prediction
        for place, (push, middle) in enumerate(
            zip(pushes, self._middles(pushes, direction), strict=True)
        ):
            far = near + direction * abs(push.length)
            # The tip points towards the prediction, and enters the piece that lies there.
            tip = direction * min(0.012 * (high - low), abs(push.length))
            corners = [(near + tip, 0.5), (near, 0), (near + tip, -0.5)]
            last = place == len(pushes) - 1
            corners += [(far, -0.5), (far, 0.5)] if last else _notch(far, tip)
            piece = polygon(corners, facecolor=push.color, edgecolor="white", linewidth=0.5)
            self.pieces_.append(self.ax_.add_patch(piece))
            side = -direction
            height = side * (place + 1.9)
            self.ax_.plot([middle, middle], [side * 0.5, height], color=MUTED, linewidth=0.6)
            self.texts_.append(
                self.ax_.annotate(
                    push.text,
                    (middle, height),
                    xytext=(-3 * direction, 0),
                    textcoords="offset points",
                    ha="left" if direction < 0 else "right",
                    va="center",
                    color=INK,
                    fontsize="small",
                    parse_math=False,
                )
            )
            near = far

    def _end_texts(self) -> tuple[str, str]:
        base = place_text(self.base_value, self._span)
        return f"base value {base}", f"prediction {place_text(self.prediction, self._span)}"

    def _draw_ends(self) -> None:
        """Mark base value and prediction, the left one below the bar and the right one above.

        There, between the pieces and their labels, no line leads to a label.
        """
        base_text, prediction_text = self._end_texts()
        base_right = self.base_value > self.prediction
        self.base_line_ = self._mark(self.base_value, base_text, base_right, color=MUTED)
        self.prediction_line_ = self._mark(
            self.prediction, prediction_text, not base_right, color=INK, fontweight="bold"
        )

    def _mark(self, x: float, text: str, right: bool, color: str, **style: Any) -> Any:
        end = 1.2 if right else -1.2
        (line,) = self.ax_.plot(
            [x, x], [-0.62 * np.sign(end), end], color=INK, linewidth=1.1, linestyle=":"
        )
        self.ax_.annotate(
            text,
            (x, np.sign(end)),
            xytext=(3 if right else -3, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            color=color,
            fontsize="small",
            **style,
        )
        return line


def _notch(x: float, tip: float) -> list[tuple[float, float]]:
    """Return the corners of an end into which the tip of the next piece fits."""
    return [(x + tip, -0.5), (x, 0), (x + tip, 0.5)]
