"""LocalDisplay: what a method says of one row, with how certain it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.explanation import Explanation
from .one_row import OneRow, checked_max_display, explained, number_text, one_row, set_number_axis
from .style import INK, NEGATIVE, POSITIVE, axes_or_new, shortened


class LocalDisplay:
    """Conditions and weights of one row as bars, with standard errors as whiskers.

    Made for LIME, whose conditions and local fit it shows; any other method's values are drawn
    beside the players' names and values. Make one with :meth:`from_explanation` or
    :meth:`from_estimator`.

    Parameters
    ----------
    weights : ndarray of shape (n_players,)
        Lengths of the bars, with signs.
    labels : sequence of str, length n_players
        What each weight speaks of.
    errors : ndarray of shape (n_players,), default=None
        Half the length of the whiskers.
    measure : str, default="attribution"
        What a weight is, for the axis.
    note : str, default=""
        For below the axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : matplotlib BarContainer
        From top to bottom, the largest in size first.
    errorbar_ : matplotlib ErrorbarContainer or None
    shown_ : ndarray of int
        The players in the order drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from sklexplain import LIME, LocalDisplay
    >>> X = np.random.default_rng(0).normal(size=(500, 2))
    >>> explainer = LIME(lambda X: 3.0 * (X[:, 0] > 0), n_samples=500, random_state=0).fit(X)
    >>> display = LocalDisplay.from_estimator(explainer, [[2.0, 0.0]], ax=Figure().add_subplot())
    >>> [display.labels[player] for player in display.shown_]
    ['x0 > 0.628', '-0.01783 < x1 ≤ 0.5992']
    """

    def __init__(
        self,
        weights: np.ndarray,
        labels: Sequence[str],
        *,
        errors: np.ndarray | None = None,
        measure: str = "attribution",
        note: str = "",
    ) -> None:
        self.weights = np.asarray(weights, dtype=float)
        self.labels = tuple(str(label) for label in labels)
        self.errors = None if errors is None else np.asarray(errors, dtype=float)
        self.measure = shortened(measure, 50)
        self.note = note
        for what, array in (("labels", self.labels), ("errors", self.errors)):
            if array is not None and len(array) != len(self.weights):
                raise ValueError(
                    f"{what} has length {len(array)}, but there are {len(self.weights)} weights"
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
    ) -> LocalDisplay:
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
        LocalDisplay

        Raises
        ------
        ValueError
            If the values are score drops, or if a row or an output has to be chosen.
        """
        row = one_row(explanation, sample, output, display=cls.__name__, unit=unit)
        display = cls(
            row.values,
            row.labels,
            errors=row.std_errors,
            measure=_measure(row, unit),
            note=_note(row),
        )
        return display.plot(
            ax, max_display=max_display, title=row.row_name if title is None else title
        )

    @classmethod
    def from_estimator(
        cls, explainer: Any, X: Any, *, sample: int | None = None, **params: Any
    ) -> LocalDisplay:
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
        LocalDisplay
        """
        explanation = explained(explainer, X, sample, cls.__name__)
        return cls.from_explanation(explanation, sample=sample, **params)

    def plot(
        self, ax: Any = None, *, max_display: int | None = None, title: str | None = None
    ) -> LocalDisplay:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; by default on a new pyplot figure.
        max_display : int, default=None
            Most players to show, the largest in size; by default 12. Weights of exactly 0, of
            players that the method did not select, are never shown beside others.
        title : str, default=None

        Returns
        -------
        self : LocalDisplay
        """
        most = checked_max_display(max_display, 12)
        order = np.argsort(-np.abs(self.weights), kind="stable")
        n_selected = max(int(np.count_nonzero(self.weights)), 1)
        self.shown_ = order[: min(most, n_selected)]
        self.ax_ = axes_or_new(ax, (6, 4))
        self.figure_ = self.ax_.figure
        lengths = self.weights[self.shown_]
        places = np.arange(len(lengths))
        colors = [NEGATIVE if length < 0 else POSITIVE for length in lengths]
        self.bars_ = self.ax_.barh(places, lengths, height=0.7, color=colors)
        self.errorbar_ = None
        if self.errors is not None:
            self.errorbar_ = self.ax_.errorbar(
                lengths,
                places,
                xerr=self.errors[self.shown_],
                fmt="none",
                ecolor=INK,
                elinewidth=1.1,
                capsize=2.5,
            )
        self._label(n_selected, title)
        return self

    def _label(self, n_selected: int, title: str | None) -> None:
        ax, n_bars = self.ax_, len(self.shown_)
        size = "small" if n_bars <= 16 else "x-small" if n_bars <= 24 else "xx-small"
        labels = [self.labels[player] for player in self.shown_]
        ax.set_yticks(range(n_bars), labels, parse_math=False, fontsize=size)
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(n_bars - 0.4, -0.6)
        ax.axvline(0, color=INK, linewidth=0.8)
        set_number_axis(ax, self.measure)
        self._write_note(n_selected)
        ax.spines[["top", "right", "left"]].set_visible(False)
        if title:
            ax.set_title(shortened(title, 60), loc="left", parse_math=False)

    def _write_note(self, n_selected: int) -> None:
        """Write below the axis what the bars leave unsaid."""
        lines = [self.note] if self.note else []
        if self.errorbar_ is not None:
            lines.append("whiskers: standard error")
        n_hidden = n_selected - len(self.shown_)
        n_zero = len(self.weights) - n_selected
        if n_hidden:
            lines.append(f"{n_hidden} smaller ones not shown")
        if n_zero:
            lines.append(f"{n_zero} with weight 0 not shown")
        if lines:
            self.ax_.set_xlabel("\n".join([self.measure, *lines]), parse_math=False)


def _measure(row: OneRow, unit: str) -> str:
    if row.method != "LIME":
        return row.measure
    measure = "slope for one standard deviation" if row.slopes else "weight"
    return f"{measure}, {unit}" if unit else measure


def _note(row: OneRow) -> str:
    """Return what the weights add to, and how far the linear story goes."""
    told = [f"prediction {number_text(row.prediction)}"]
    surrogate = row.diagnostics.get("surrogate_predictions")
    if surrogate is not None:
        told.append(f"linear model {number_text(float(surrogate))}")
    base = "intercept" if row.method == "LIME" else "base value"
    told.append(f"{base} {number_text(row.base_value)}")
    if "local_r2" in row.diagnostics:
        told.append(f"local R² {float(row.diagnostics['local_r2']):.2f}")
    # Longer lines would not fit below the bars of a small picture with long labels.
    return "\n".join(", ".join(told[place : place + 2]) for place in range(0, len(told), 2))
