"""WaterfallDisplay: one row from its base value to its prediction, step by step."""

from __future__ import annotations

from collections.abc import Sequence
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
from .style import INK, MUTED, NEGATIVE, POSITIVE, axes_or_new, shortened

_NOT_EXPLAINED = "not explained"


class WaterfallDisplay:
    """One row, from the base value at the bottom to the prediction at the top.

    Each bar starts where the one below it ends; the largest is at the top. What is not shown by
    itself is added up in one bar, and so is the gap that a method leaves between its values and
    the prediction. Make one with :meth:`from_explanation` or :meth:`from_estimator`.

    Parameters
    ----------
    values : ndarray of shape (n_players,)
        Lengths of the bars, with signs.
    labels : sequence of str, length n_players
    base_value : float
        Where the bars start.
    prediction : float
        Where they end.
    gap : float, default=0.0
        What base value and values leave of the prediction, drawn as a bar of its own.
    measure : str, default="attribution"
        What a bar is, for the note below the axis.
    predicted : str, default="prediction"
        What the axis is.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : matplotlib BarContainer
        From top to bottom: players, the sum of those left out, what is not explained.
    base_line_, prediction_line_ : matplotlib Line2D
    shown_ : ndarray of int
        The players with a bar of their own, from top to bottom.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from sklexplain import KernelSHAP, WaterfallDisplay
    >>> X = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0]])
    >>> explainer = KernelSHAP(lambda X: 3 * X[:, 0] + X[:, 1], feature_names=["open", "close"])
    >>> explanation = explainer.fit(X).explain(X)
    >>> display = WaterfallDisplay.from_explanation(
    ...     explanation, sample=2, ax=Figure().add_subplot()
    ... )
    >>> display.prediction
    14.0
    >>> np.round([bar.get_width() for bar in display.bars_], 3) + 0
    array([6., 0.])
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
    ) -> WaterfallDisplay:
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
        WaterfallDisplay

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
    ) -> WaterfallDisplay:
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
        WaterfallDisplay
        """
        explanation = explained(explainer, X, sample, cls.__name__)
        return cls.from_explanation(explanation, sample=sample, **params)

    def plot(
        self, ax: Any = None, *, max_display: int | None = None, title: str | None = None
    ) -> WaterfallDisplay:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; by default on a new pyplot figure.
        max_display : int, default=None
            Most players with a bar of their own, the largest in size; by default 10.
        title : str, default=None

        Returns
        -------
        self : WaterfallDisplay
        """
        self.shown_ = largest_first(self.values, checked_max_display(max_display, 10))
        lengths, labels = self._bars()
        # The path runs from the bottom to the top, the bars are listed from the top.
        ends = self.base_value + np.cumsum(lengths[::-1])[::-1]
        self.ax_ = axes_or_new(ax, (6, 4))
        self.figure_ = self.ax_.figure
        colors = [NEGATIVE if length < 0 else POSITIVE for length in lengths]
        if self.gap:
            colors[-1] = MUTED
        places = np.arange(len(lengths))
        self.bars_ = self.ax_.barh(places, lengths, left=ends - lengths, color=colors, height=0.7)
        for place in places[1:]:
            self.ax_.plot([ends[place]] * 2, [place - 1, place], color=INK, linewidth=0.7)
        self._label(labels, title)
        self._write_lengths(lengths, ends, labels)
        self._draw_ends(len(lengths), float(np.ptp(np.append(ends, self.base_value))))
        return self

    def _bars(self) -> tuple[np.ndarray, list[str]]:
        """Return lengths and labels, from top to bottom."""
        lengths = list(self.values[self.shown_])
        labels = [self.labels[player] for player in self.shown_]
        n_others = len(self.values) - len(self.shown_)
        if n_others:
            lengths.append(self.values.sum() - self.values[self.shown_].sum())
            labels.append(f"{n_others} others")
        if self.gap:
            lengths.append(self.gap)
            labels.append(_NOT_EXPLAINED)
        return np.array(lengths), labels

    def _label(self, labels: list[str], title: str | None) -> None:
        ax, n_bars = self.ax_, len(labels)
        ax.set_yticks(range(n_bars), labels, parse_math=False, fontsize=_size(n_bars))
        ax.tick_params(axis="y", length=0)
        # A row above the bars and one below them hold the labels of the two lines.
        ax.set_ylim(n_bars + 0.5, -1.5)
        set_number_axis(ax, f"{self.predicted}\nbars: {self.measure}")
        ax.spines[["top", "right", "left"]].set_visible(False)
        if title:
            ax.set_title(shortened(title, 60), loc="left", parse_math=False)

    def _draw_ends(self, n_bars: int, span: float) -> None:
        """Mark where the bars start and end."""
        line = {"color": INK, "linewidth": 0.9, "linestyle": ":"}
        base, prediction = self.base_value, self.prediction
        (self.base_line_,) = self.ax_.plot([base] * 2, [n_bars - 1, n_bars + 0.4], **line)
        (self.prediction_line_,) = self.ax_.plot([prediction] * 2, [-1.4, 0], **line)
        self._write(base, n_bars, f"base value {place_text(base, span)}", MUTED)
        told = f"prediction {place_text(prediction, span)}"
        self._write(prediction, -1, told, INK, fontweight="bold")

    def _write(self, x: float, place: float, text: str, color: str, **style: Any) -> None:
        """Write beside a vertical line, where the picture has room."""
        low, high = self.ax_.get_xlim()
        right = x < (low + high) / 2
        self.ax_.annotate(
            text,
            (x, place),
            xytext=(4 if right else -4, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            color=color,
            fontsize="small",
            parse_math=False,
            **style,
        )

    def _write_lengths(self, lengths: np.ndarray, ends: np.ndarray, labels: list[str]) -> None:
        """Write each bar's length where it ends, and make room for that."""
        size = _size(len(lengths))
        texts = [length_text(length) for length in lengths]
        beside = max(text_width(label, size) for label in labels)
        usual = width_in_points(self.ax_)
        room = max(1.2 * usual - beside, 0.4 * usual)
        parts = [(text_width(text, size) + 8) / room for text in texts]
        sides: tuple[list, list] = ([], [])
        for length, end, part in zip(lengths, ends, parts, strict=True):
            sides[int(length >= 0)].append((end, part))
        starts = np.append(ends, self.base_value)
        self.ax_.set_xlim(*limits_with_room(starts.min(), starts.max(), *sides))
        for place, (length, end, text) in enumerate(zip(lengths, ends, texts, strict=True)):
            self.ax_.annotate(
                text,
                (end, place),
                xytext=(3 if length >= 0 else -3, 0),
                textcoords="offset points",
                ha="left" if length >= 0 else "right",
                va="center",
                color=INK,
                fontsize=size,
            )


def _size(n_bars: int) -> str:
    return "small" if n_bars <= 16 else "x-small" if n_bars <= 24 else "xx-small"
