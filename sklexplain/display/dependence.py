"""DependenceDisplay: how one player's attribution follows its value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.explanation import Explanation
from .boxes import draw_boxes
from .color_key import category_colors, draw_key
from .interaction import chosen_interaction
from .levels import moved_aside, separate_levels, smallest_gap
from .many_rows import check_attributions, chosen_player, explained_rows, player_data, player_label
from .measures import chosen_name, measure_of, one_output
from .style import INK, MUTED, POSITIVE, axes_or_new, require_matplotlib, shortened, value_colormap
from .swarm import MOST_VECTOR_POINTS, axes_points, color_limits

_MOST_CATEGORIES = 12
_MOST_BINS = 50


class DependenceDisplay:
    """One player's attributions against its values, with a histogram of the values below.

    A slope tells what the value does; a spread at equal value tells that other players have a say.
    The colour is the value of one of these. Make one with :meth:`from_explanation` or
    :meth:`from_estimator`.

    Parameters
    ----------
    data : ndarray of shape (n_samples,)
        The player's values, or codes of its categories; rows with NaN are not drawn.
    values : ndarray of shape (n_samples,)
        Its attributions.
    name : str, default="value"
    categories : sequence of str, default=None
        What codes in `data` mean. Categories stand side by side with a box each.
    color_data : ndarray of shape (n_samples,), default=None
        Values of another player, for the colour; NaN is grey.
    color_name : str, default=""
    color_categories : sequence of str, default=None
        What codes in `color_data` mean.
    measure : str, default="attribution"
        What an attribution is, for the axis.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    points_ : matplotlib PathCollection
    rows_ : ndarray of int
        The row of each point; the order is mixed, so that no rows cover all others.
    histogram_ax_ : matplotlib Axes
    histogram_ : matplotlib BarContainer
    boxes_ : dict of lists of artists, or None
        As of :meth:`matplotlib.axes.Axes.boxplot`, for categories.
    colorbar_ : matplotlib Colorbar or None
    legend_ : matplotlib Legend or None
        Where the colour means categories.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from sklexplain import DependenceDisplay, KernelSHAP
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> explanation = KernelSHAP(lambda X: X[:, 0] * X[:, 2] + X[:, 3]).fit(X).explain(X)
    >>> display = DependenceDisplay.from_explanation(
    ...     explanation, player="x0", ax=Figure().add_subplot()
    ... )
    >>> display.color_name
    'x2'
    """

    def __init__(
        self,
        data: np.ndarray,
        values: np.ndarray,
        *,
        name: str = "value",
        categories: Sequence[str] | None = None,
        color_data: np.ndarray | None = None,
        color_name: str = "",
        color_categories: Sequence[str] | None = None,
        measure: str = "attribution",
    ) -> None:
        self.data = np.asarray(data, dtype=float)
        self.values = np.asarray(values, dtype=float)
        self.name = str(name)
        self.categories = None if categories is None else tuple(str(c) for c in categories)
        self.color_data = None if color_data is None else np.asarray(color_data, dtype=float)
        self.color_name = str(color_name)
        self.color_categories = (
            None if color_categories is None else tuple(str(c) for c in color_categories)
        )
        self.measure = shortened(measure, 40)
        for what, array in (("values", self.values), ("color_data", self.color_data)):
            if array is not None and (array.shape != self.data.shape or array.ndim != 1):
                raise ValueError(
                    f"{what} has shape {array.shape}, data {self.data.shape}; both need one "
                    "number a row"
                )
        if not np.isfinite(self.values).all():
            row = int(np.flatnonzero(~np.isfinite(self.values))[0])
            raise ValueError(
                f"the attribution in row {row} is {self.values[row]}, which has no place on the "
                "axis; leave the row out"
            )
        if not np.isfinite(self.data).any():
            raise ValueError(
                f"{self.name!r} has no numeric value in any row, so there is nothing to draw its "
                "attributions against"
            )

    @classmethod
    def from_explanation(
        cls,
        explanation: Explanation,
        *,
        player: str | int | None = None,
        interaction: str | int | None = "auto",
        output: str | int | None = None,
        measure: str | None = None,
        unit: str = "",
        ax: Any = None,
        max_display: int | None = None,
        title: str | None = None,
    ) -> DependenceDisplay:
        """Draw one player of an explanation.

        The value of a player of several cells, such as a feature over all time steps of a window,
        is the mean of these cells, :meth:`Explanation.player_data`; the axis says so.

        Parameters
        ----------
        explanation : Explanation
        player : str or int, default=None
            Name or position; by default the player with the largest mean size.
        interaction : str, int or None, default="auto"
            Whose value is the colour. ``"auto"`` chooses the strongest: rows are sorted by the
            player's value and cut into pieces, and in each the attributions are correlated with
            every other player's value; the largest sum of absolute correlations wins. This is the
            rule of `shap.utils.approximate_interactions`. None draws one colour.
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
        DependenceDisplay

        Raises
        ------
        ValueError
            If values are score drops, if there are no data, or if `player` or `interaction` is not
            a player.
        """
        check_attributions(explanation, cls.__name__)
        name, explanation = chosen_name(explanation, output), one_output(explanation, output)
        held = player_data(explanation)
        if held is None:
            raise ValueError(
                "the explanation has no data, so attributions have no values to be drawn against; "
                "explain rows with KernelSHAP, LIME or DeepSHAP"
            )
        names = explanation.players.names
        if player is None:
            player = int(np.argmax(explanation.importances()))
        player = chosen_player(player, names)
        values = explanation.values[:, player]
        other = chosen_interaction(interaction, names, values, held.values, player)
        colored: dict[str, Any] = {}
        if other is not None:
            colored = {
                "color_data": held.values[:, other],
                "color_name": player_label(explanation, other),
                "color_categories": held.categories.get(other),
            }
        if measure is None:
            measure = measure_of(explanation, unit, single_row=True, output=name)
        display = cls(
            held.values[:, player],
            values,
            name=player_label(explanation, player),
            categories=held.categories.get(player),
            measure=measure,
            **colored,
        )
        return display.plot(ax, max_display=max_display, title=title)

    @classmethod
    def from_estimator(
        cls,
        explainer: Any,
        X: Any,
        *,
        player: str | int | None = None,
        interaction: str | int | None = "auto",
        output: str | int | None = None,
        measure: str | None = None,
        unit: str = "",
        ax: Any = None,
        max_display: int | None = None,
        title: str | None = None,
    ) -> DependenceDisplay:
        """Explain rows with a fitted explainer and draw one player.

        Parameters
        ----------
        explainer : fitted explainer
            That gives every row its attributions: any but permutation importance.
        X : array-like or DataFrame
            The rows to explain.
        player, interaction, output, measure, unit, ax, max_display, title
            As of :meth:`from_explanation`.

        Returns
        -------
        DependenceDisplay

        Raises
        ------
        TypeError
            If `explainer` is none.
        ValueError
            As of :meth:`from_explanation`; unknown players are told before rows are explained.
        NotFittedError
            If it is not fitted.

        Examples
        --------
        >>> import numpy as np
        >>> from matplotlib.figure import Figure
        >>> from sklexplain import DependenceDisplay, KernelSHAP
        >>> X = np.random.default_rng(0).normal(size=(30, 3))
        >>> explainer = KernelSHAP(lambda X: X[:, 0] + 3 * X[:, 2]).fit(X)
        >>> DependenceDisplay.from_estimator(explainer, X, ax=Figure().add_subplot()).name
        'x2'
        """
        players = getattr(explainer, "players_", None)
        if players is not None:
            for argument, given in (("player", player), ("interaction", interaction)):
                if given is not None and (argument, given) != ("interaction", "auto"):
                    chosen_player(given, players.names, argument)
        return cls.from_explanation(
            explained_rows(explainer, X, cls.__name__),
            player=player,
            interaction=interaction,
            output=output,
            measure=measure,
            unit=unit,
            ax=ax,
            max_display=max_display,
            title=title,
        )

    def plot(
        self, ax: Any = None, *, max_display: int | None = None, title: str | None = None
    ) -> DependenceDisplay:
        """Draw the points and the histogram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Whose place the panels take; its own frame is hidden. By default a new pyplot figure.
        max_display : int, default=None
            Most categories to show, the most frequent ones; by default 12. Numbers are all shown.
        title : str, default=None

        Returns
        -------
        self : DependenceDisplay
        """
        if max_display is not None and max_display < 1:
            raise ValueError(f"max_display={max_display} must be at least 1")
        frame = axes_or_new(ax, (6, 4))
        frame.set_axis_off()
        if title:
            frame.set_title(shortened(title, 60), loc="left", parse_math=False)
        self.figure_ = frame.figure
        right = 1.0 if self.color_data is None else 0.94 if self.color_categories is None else 0.8
        self.ax_ = frame.inset_axes([0, 0.22, right, 0.78])
        self.histogram_ax_ = frame.inset_axes([0, 0, right, 0.17], sharex=self.ax_)
        self.boxes_: dict[str, list[Any]] | None = None
        self.colorbar_: Any = None
        self.legend_: Any = None
        rows = np.flatnonzero(np.isfinite(self.data))
        notes = []
        if len(rows) < len(self.data):
            notes.append(f"{len(self.data) - len(rows)} rows without a value not shown")
        if self.categories is None:
            x = self.data[rows]
            levels = separate_levels(x)
            self._draw_histogram(x, levels)
        else:
            codes = self._frequent_categories(rows, max_display or _MOST_CATEGORIES, notes)
            rows = rows[np.isin(self.data[rows], codes)]
            x = np.searchsorted(codes, self.data[rows]).astype(float)
            levels = np.arange(len(codes), dtype=float)
            self._draw_categories(rows, x, codes, notes)
        area = 14 if len(rows) <= 500 else 7 if len(rows) <= 3000 else 3
        width, height = axes_points(frame)
        # Labels still take their part of the axes.
        size = 0.8 * right * width, 0.6 * height
        x = x + moved_aside(x, self.values[rows], levels, diameter=1.1 * area**0.5, size=size)
        mixed = np.random.default_rng(0).permutation(len(rows))
        self.rows_ = rows[mixed]
        self.points_ = self.ax_.scatter(
            x[mixed],
            self.values[self.rows_],
            s=area,
            linewidths=0,
            rasterized=len(rows) > MOST_VECTOR_POINTS,
            zorder=2,
            **self._colors(frame, right, notes),
        )
        self._label(notes)
        return self

    def _draw_histogram(self, x: np.ndarray, levels: np.ndarray) -> None:
        if len(levels):
            counts = np.unique(x, return_counts=True)[1]
            places, widths = levels, np.full(len(levels), 0.6 * smallest_gap(levels))
            self.histogram_ax_.set_xticks(levels, [f"{level:g}" for level in levels])
        else:
            counts, edges = np.histogram(x, bins=min(int(len(x) ** 0.5) + 1, _MOST_BINS))
            places, widths = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
        self.histogram_ = self.histogram_ax_.bar(places, counts, widths, color=MUTED)

    def _frequent_categories(self, rows: np.ndarray, most: int, notes: list[str]) -> np.ndarray:
        codes, counts = np.unique(self.data[rows], return_counts=True)
        frequent = np.sort(np.argsort(-counts, kind="stable")[:most])
        if len(frequent) < len(codes):
            notes.append(f"{len(codes) - len(frequent)} rarer categories not shown")
        return codes[frequent]

    def _draw_categories(
        self, rows: np.ndarray, x: np.ndarray, codes: np.ndarray, notes: list[str]
    ) -> None:
        assert self.categories is not None
        places = np.arange(len(codes))
        self.histogram_ = self.histogram_ax_.bar(
            places, [np.count_nonzero(x == place) for place in places], 0.6, color=MUTED
        )
        self.boxes_ = draw_boxes(
            self.ax_,
            [self.values[rows[x == place]] for place in places],
            places,
            horizontal=False,
            whiskers=(5, 95),
            width=0.8,
            zorder=3,
        )
        notes.append("box: middle half, diamond: mean, whiskers: 5 to 95 %")
        names = [shortened(self.categories[int(code)], 16) for code in codes]
        slant: dict[str, Any] = {}
        if sum(map(len, names)) + 2 * len(names) > 60:
            slant = {"rotation": 30, "ha": "right", "rotation_mode": "anchor", "fontsize": "small"}
        self.histogram_ax_.set_xticks(places, names, parse_math=False, **slant)
        self.histogram_ax_.set_xlim(-0.6, len(codes) - 0.4)

    def _colors(self, frame: Any, right: float, notes: list[str]) -> dict[str, Any]:
        """Return the colours of the points, and draw what they mean."""
        if self.color_data is None:
            return {"color": POSITIVE}
        held = self.color_data[self.rows_]
        if self.color_categories is not None:
            colors, key = category_colors(held, self.color_categories)
            self.legend_ = draw_key(self.ax_, key, self.color_name)
            return {"color": colors}
        normalize = require_matplotlib("matplotlib.colors").Normalize
        shades = require_matplotlib("matplotlib.cm").ScalarMappable(
            normalize(*color_limits(self.color_data)), value_colormap()
        )
        bar = frame.inset_axes([right + 0.02, 0.22, 0.025, 0.78])
        self.colorbar_ = self.figure_.colorbar(shades, cax=bar)
        name = shortened(self.color_name)
        self.colorbar_.set_label(name, parse_math=False)
        self.colorbar_.outline.set_visible(False)
        if np.isnan(held).any():
            notes.append(f"grey: {name} is missing")
        return {"c": shades.to_rgba(held)}

    def _label(self, notes: list[str]) -> None:
        ax, below = self.ax_, self.histogram_ax_
        ax.set_ylabel(self.measure, parse_math=False)
        ax.axhline(0, color=INK, linewidth=0.8, zorder=1)
        ax.tick_params(axis="x", labelbottom=False, length=0)
        below.set_xlabel("\n".join([shortened(self.name, 50), *notes]), parse_math=False)
        below.set_ylabel("rows", fontsize="small")
        below.locator_params(axis="y", nbins=2, integer=True)
        below.tick_params(axis="y", labelsize="small")
        for panel in (ax, below):
            panel.spines[["top", "right"]].set_visible(False)
