"""SummaryDisplay: every row's attributions at a glance, coloured by the values behind them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.explanation import Explanation
from .many_rows import check_attributions, explained_rows, player_data
from .measures import chosen_name, measure_of, one_output
from .style import INK, MUTED, POSITIVE, axes_or_new, shortened, shortened_apart, value_colormap
from .swarm import MOST_VECTOR_POINTS, axes_points, color_shares, fitting_diameter, swarm

_FORMS = ("beeswarm", "bar")


class SummaryDisplay:
    """A point for every row and player, coloured by the player's value.

    Players lie below one another, that with the largest mean size on top. A point's place is the
    attribution, its colour the value that stood in the player's cell: from it one reads whether
    high values raise the prediction or lower it. Make one with :meth:`from_explanation` or
    :meth:`from_estimator`.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_players)
        Attributions.
    names : sequence of str, length n_players
    data : ndarray of shape (n_samples, n_players), default=None
        The values behind them; NaN, drawn grey, where there is no number.
    measure : str, default="attribution"
        What a point's place is, for the axis.
    size_measure : str, default="mean |attribution|"
        What a bar's length is.
    averaged : bool, default=False
        Whether `data` holds means over several cells, which the picture then says.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    points_ : list of matplotlib PathCollection
        One a player, from top to bottom; empty where bars are drawn.
    rows_ : ndarray of int
        The row of each point; the order is mixed, so that no rows cover all others.
    colorbar_ : matplotlib Colorbar or None
        None where no value has a colour.
    bars_ : matplotlib BarContainer or None
        From top to bottom; None where points are drawn.
    shown_ : ndarray of int
        The players from top to bottom.

    Notes
    -----
    The first and last colour are a player's 5th and 95th percentile, so that a single far value
    does not take all of the colours. How far a point stands above or below its line means nothing:
    points make room for one another.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from sklexplain import KernelSHAP, SummaryDisplay
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> explanation = KernelSHAP(Ridge(), random_state=0).fit(X, y).explain(X[:50])
    >>> display = SummaryDisplay.from_explanation(explanation, ax=Figure().add_subplot())
    >>> [display.names[player] for player in display.shown_[:2]]
    ['bmi', 's5']
    """

    def __init__(
        self,
        values: np.ndarray,
        names: Sequence[str],
        data: np.ndarray | None = None,
        *,
        measure: str = "attribution",
        size_measure: str = "mean |attribution|",
        averaged: bool = False,
    ) -> None:
        self.values = np.asarray(values, dtype=float)
        self.names = tuple(str(name) for name in names)
        self.data = None if data is None else np.asarray(data, dtype=float)
        self.measure = shortened(measure, 50)
        self.size_measure = shortened(size_measure, 50)
        self.averaged = averaged
        if self.values.shape[1:] != (len(self.names),) or not len(self.values):
            raise ValueError(
                f"values has shape {self.values.shape}; expected (n_samples, {len(self.names)}), "
                "one column a name, and at least one row"
            )
        if self.data is not None and self.data.shape != self.values.shape:
            raise ValueError(
                f"data has shape {self.data.shape}, but values has {self.values.shape}"
            )
        if not np.isfinite(self.values).all():
            row, player = np.argwhere(~np.isfinite(self.values))[0]
            raise ValueError(
                f"the attribution of {self.names[player]!r} in row {row} is "
                f"{self.values[row, player]}, which has no place on the axis; leave the row out"
            )

    @classmethod
    def from_explanation(
        cls,
        explanation: Explanation,
        *,
        kind: str = "beeswarm",
        output: str | int | None = None,
        measure: str | None = None,
        unit: str = "",
        ax: Any = None,
        max_display: int | None = None,
        title: str | None = None,
    ) -> SummaryDisplay:
        """Draw the attributions of explained rows.

        The colour of a player of several cells, such as a feature over all time steps of a
        window, is the mean of these cells, :meth:`Explanation.player_data`; the axis says so.
        Columns of text have no order, and stay grey.

        Parameters
        ----------
        explanation : Explanation
        kind : {"beeswarm", "bar"}, default="beeswarm"
            As of :meth:`plot`.
        output : str or int, default=None
            Which output or class; needed where there are several.
        measure : str, default=None
            What an attribution is; by default told from the method.
        unit : str, default=""
            Its unit.
        ax, max_display, title
            As of :meth:`plot`.

        Returns
        -------
        SummaryDisplay

        Raises
        ------
        ValueError
            If values are score drops, which belong to no row, or if there is no row.
        """
        _check_form(kind)
        check_attributions(explanation, cls.__name__)
        name = chosen_name(explanation, output)
        explanation = one_output(explanation, output)
        held = player_data(explanation)
        data = None
        if held is not None:
            data = held.values
            data[:, list(held.categories)] = np.nan
        if measure is None:
            measure = measure_of(explanation, unit, single_row=True, output=name)
            size_measure = measure_of(explanation, unit, output=name)
        else:
            size_measure = f"mean size of {measure}"
        display = cls(
            explanation.values,
            explanation.players.names,
            data,
            measure=measure,
            size_measure=size_measure,
            averaged=held is not None and held.averaged,
        )
        return display.plot(ax, kind=kind, max_display=max_display, title=title)

    @classmethod
    def from_estimator(
        cls,
        explainer: Any,
        X: Any,
        *,
        kind: str = "beeswarm",
        output: str | int | None = None,
        measure: str | None = None,
        unit: str = "",
        ax: Any = None,
        max_display: int | None = None,
        title: str | None = None,
    ) -> SummaryDisplay:
        """Explain rows with a fitted explainer and draw them.

        Parameters
        ----------
        explainer : fitted explainer
            That gives every row its attributions: any but permutation importance.
        X : array-like or DataFrame
            The rows to explain.
        kind, output, measure, unit, ax, max_display, title
            As of :meth:`from_explanation`.

        Returns
        -------
        SummaryDisplay

        Raises
        ------
        TypeError
            If `explainer` is none.
        ValueError
            If it measures score drops.
        NotFittedError
            If it is not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> from sklexplain import KernelSHAP, SummaryDisplay
        >>> X = np.random.default_rng(0).normal(size=(30, 3))
        >>> explainer = KernelSHAP(lambda X: X[:, 0] + 3 * X[:, 2]).fit(X)
        >>> ax = Figure().add_subplot()
        >>> SummaryDisplay.from_estimator(explainer, X, ax=ax).shown_
        array([2, 0, 1])
        """
        _check_form(kind)
        explanation = explained_rows(explainer, X, cls.__name__)
        return cls.from_explanation(
            explanation,
            kind=kind,
            output=output,
            measure=measure,
            unit=unit,
            ax=ax,
            max_display=max_display,
            title=title,
        )

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "beeswarm",
        max_display: int | None = None,
        title: str | None = None,
    ) -> SummaryDisplay:
        """Draw the points or bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; by default on a new pyplot figure.
        kind : {"beeswarm", "bar"}, default="beeswarm"
            Points, or bars of their mean size.
        max_display : int, default=None
            Most players to show, those with the largest mean size; by default 15.
        title : str, default=None

        Returns
        -------
        self : SummaryDisplay
        """
        if max_display is not None and max_display < 1:
            raise ValueError(f"max_display={max_display} must be at least 1")
        _check_form(kind)
        sizes = np.abs(self.values).mean(axis=0)
        order = np.argsort(-sizes, kind="stable")
        self.shown_ = order[: max_display or 15]
        self.ax_ = axes_or_new(ax, (6, 4))
        self.figure_ = self.ax_.figure
        self.points_: list[Any] = []
        self.colorbar_: Any = None
        self.bars_: Any = None
        n_shown = len(self.shown_)
        self.ax_.set_ylim(n_shown - 0.4, -0.6)
        if kind == "bar":
            self.bars_ = self.ax_.barh(
                range(n_shown), sizes[self.shown_], height=0.7, color=POSITIVE
            )
        else:
            self._draw_points()
        self._label(kind, title, sizes[order[n_shown:]])
        return self

    def _draw_points(self) -> None:
        ax = self.ax_
        shown = self.values[:, self.shown_]
        low, high = min(0.0, shown.min()), max(0.0, shown.max())
        margin = 0.04 * (high - low) or 1.0
        ax.set_xlim(low - margin, high + margin)
        width, height = axes_points(ax)
        # The colour bar and the names still take their part of the width.
        width, per_row = 0.7 * width, 0.85 * height / (len(self.shown_) + 0.2)
        scale = width / (high - low + 2 * margin)
        diameter = fitting_diameter(
            list((shown - low + margin).T * scale), width=width, room=_ROOM * per_row
        )
        # In the order of the rows, the last ones would cover what all others have to say.
        self.rows_ = np.random.default_rng(1).permutation(len(shown))
        ax.hlines(range(len(self.shown_)), 0, 1, transform=ax.get_yaxis_transform(), **_GUIDE)
        colored = None
        for place, player in enumerate(self.shown_):
            values = self.values[self.rows_, player]
            colors = np.full(len(values), np.nan)
            if self.data is not None:
                colors = color_shares(self.data[self.rows_, player])
            offsets = swarm(values, diameter=diameter / scale, step=diameter / per_row, room=_ROOM)
            points = ax.scatter(
                values,
                place - offsets,
                s=diameter**2,
                c=colors,
                cmap=value_colormap(),
                vmin=0,
                vmax=1,
                plotnonfinite=True,
                linewidths=0,
                rasterized=shown.size > MOST_VECTOR_POINTS,
                zorder=3,
            )
            self.points_.append(points)
            colored = points if np.isfinite(colors).any() else colored
        if colored is not None:
            self.colorbar_ = self.figure_.colorbar(
                colored, ax=ax, ticks=[0, 1], aspect=40, fraction=0.05, pad=0.02
            )
            self.colorbar_.set_ticklabels(["low", "high"])
            self.colorbar_.set_label("feature value", labelpad=-8)
            self.colorbar_.ax.tick_params(length=0)
            self.colorbar_.outline.set_visible(False)

    def _label(self, kind: str, title: str | None, sizes_left_out: np.ndarray) -> None:
        ax = self.ax_
        names = shortened_apart([self.names[player] for player in self.shown_])
        small = {"fontsize": "small" if len(names) <= 20 else "x-small"}
        ax.set_yticks(
            range(len(names)), names, parse_math=False, **(small if len(names) > 12 else {})
        )
        ax.tick_params(axis="y", length=0)
        lines = [self.size_measure if kind == "bar" else self.measure]
        if kind == "beeswarm" and self.colorbar_ is not None and self.averaged:
            lines.append("colour: mean of the player's cells")
        if kind == "beeswarm" and self._greys():
            lines.append("grey: missing, or text without an order")
        if len(sizes_left_out):
            largest = sizes_left_out.max()
            lines.append(f"{len(sizes_left_out)} smaller ones not shown, at most {largest:.3g}")
        ax.set_xlabel("\n".join(lines), parse_math=False)
        ax.axvline(0, color=INK, linewidth=0.8, zorder=2)
        ax.spines[["top", "right", "left"]].set_visible(False)
        if title:
            ax.set_title(shortened(title, 60), loc="left", parse_math=False)

    def _greys(self) -> bool:
        """Whether a point shown has no colour although there is data."""
        return self.data is not None and bool(np.isnan(self.data[:, self.shown_]).any())


# Of a row's height, to either side.
_ROOM = 0.4
_GUIDE = {"colors": MUTED, "linewidth": 0.4, "linestyles": ":", "zorder": 1}


def _check_form(kind: str) -> None:
    if kind not in _FORMS:
        raise ValueError(f"kind={kind!r} is not one of {_FORMS}")
