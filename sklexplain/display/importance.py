"""ImportanceDisplay: bars with error bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.explanation import Explanation
from .measures import measure_of, one_output
from .style import INK, NEGATIVE, POSITIVE, axes_or_new, shortened, thinned


class ImportanceDisplay:
    """Bars of the players' importances, with error bars.

    Time steps stand side by side in the order of time; other players lie below one another, the
    largest on top. Make one with :meth:`from_explanation`.

    Parameters
    ----------
    importances : ndarray of shape (n_players,)
        Lengths of the bars; may be negative.
    names : sequence of str, length n_players
    errors : ndarray of shape (n_players,), default=None
        Half the length of the error bars.
    measure : str, default="importance"
        What a bar's length is, for the axis.
    error_measure : str, default=""
        What the error bars are, for the note below the axis.
    in_time : bool, default=False
        Whether the players are time steps, oldest first.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : matplotlib BarContainer
        In the order drawn: from top to bottom, or from left to right.
    errorbar_ : matplotlib ErrorbarContainer or None
    shown_ : ndarray of int
        The players in the order drawn.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from sklexplain import ImportanceDisplay, PermutationImportance
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> explanation = PermutationImportance(Ridge(), random_state=0).fit(X, y).explanation_
    >>> display = ImportanceDisplay.from_explanation(explanation, ax=Figure().add_subplot())
    >>> [explanation.players.names[i] for i in display.shown_[:2]]
    ['bmi', 's5']
    """

    def __init__(
        self,
        importances: np.ndarray,
        names: Sequence[str],
        *,
        errors: np.ndarray | None = None,
        measure: str = "importance",
        error_measure: str = "",
        in_time: bool = False,
    ) -> None:
        self.importances = np.asarray(importances, dtype=float)
        self.names = tuple(str(name) for name in names)
        self.errors = None if errors is None else np.asarray(errors, dtype=float)
        self.measure = shortened(measure, 50)
        self.error_measure = error_measure
        self.in_time = in_time
        for what, array in (("names", self.names), ("errors", self.errors)):
            if array is not None and len(array) != len(self.importances):
                raise ValueError(
                    f"{what} has length {len(array)}, but there are {len(self.importances)} "
                    "importances"
                )

    @classmethod
    def from_explanation(
        cls,
        explanation: Explanation,
        *,
        output: str | int | None = None,
        measure: str | None = None,
        unit: str = "",
        ax: Any = None,
        max_display: int | None = None,
        title: str | None = None,
    ) -> ImportanceDisplay:
        """Draw the importances of an explanation.

        The bars are :meth:`Explanation.importances`. The error bars are the standard deviation
        over the repeats of permutation importance, or of the absolute attributions over the
        explained rows: the first says how certain a bar is, the second how much rows differ.

        Parameters
        ----------
        explanation : Explanation
        output : str or int, default=None
            Which output, class or score; needed where there are several.
        measure : str, default=None
            What a bar's length is; by default told from the method.
        unit : str, default=""
            Its unit.
        ax, max_display, title
            As of :meth:`plot`.

        Returns
        -------
        ImportanceDisplay
        """
        explanation = one_output(explanation, output)
        repeats = explanation.kind == "importances"
        sizes = explanation.values if repeats else np.abs(explanation.values)
        several = len(explanation) > 1
        noun = "repeats" if repeats else "rows"
        display = cls(
            explanation.importances(),
            explanation.players.names,
            errors=sizes.std(axis=0) if several else None,
            measure=measure_of(explanation, unit) if measure is None else measure,
            error_measure=(
                f"whiskers: standard deviation over {len(explanation)} {noun}" if several else ""
            ),
            in_time=explanation.players.level == "timestep",
        )
        return display.plot(ax, max_display=max_display, title=title)

    def plot(
        self, ax: Any = None, *, max_display: int | None = None, title: str | None = None
    ) -> ImportanceDisplay:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; by default on a new pyplot figure.
        max_display : int, default=None
            Most players to show: the largest in size, or the latest of time steps. By default 15,
            and every time step.
        title : str, default=None

        Returns
        -------
        self : ImportanceDisplay
        """
        if max_display is not None and max_display < 1:
            raise ValueError(f"max_display={max_display} must be at least 1")
        self.shown_ = self._chosen(max_display)
        self.ax_ = axes_or_new(ax, (6, 4))
        self.figure_ = self.ax_.figure
        lengths = self.importances[self.shown_]
        errors = None if self.errors is None else self.errors[self.shown_]
        colors = [NEGATIVE if length < 0 else POSITIVE for length in lengths]
        places = np.arange(len(lengths))
        whisker = {"fmt": "none", "ecolor": INK, "elinewidth": 1.1, "capsize": 2.5}
        self.errorbar_ = None
        if self.in_time:
            self.bars_ = self.ax_.bar(places, lengths, color=colors)
            if errors is not None:
                self.errorbar_ = self.ax_.errorbar(places, lengths, yerr=errors, **whisker)
        else:
            self.bars_ = self.ax_.barh(places, lengths, height=0.7, color=colors)
            if errors is not None:
                self.errorbar_ = self.ax_.errorbar(lengths, places, xerr=errors, **whisker)
        self._label(title)
        return self

    def _chosen(self, max_display: int | None) -> np.ndarray:
        if self.in_time:
            n_steps = len(self.importances)
            return np.arange(n_steps)[-(max_display or n_steps) :]
        by_size = np.argsort(-np.abs(self.importances), kind="stable")[: max_display or 15]
        return by_size[np.argsort(-self.importances[by_size], kind="stable")]

    def _label(self, title: str | None) -> None:
        ax = self.ax_
        names = [shortened(self.names[player]) for player in self.shown_]
        notes = [self.error_measure] if self.error_measure else []
        left_out = np.setdiff1d(np.arange(len(self.importances)), self.shown_)
        if len(left_out):
            largest = self.importances[left_out][np.argmax(np.abs(self.importances[left_out]))]
            which = "earlier time steps" if self.in_time else "smaller ones"
            notes.append(f"{len(left_out)} {which} not shown, at most {largest:.3g} in size")
        note = "\n".join(notes)
        if self.in_time:
            ticks = thinned(len(names), 10)
            ax.set_xticks(ticks, [names[tick] for tick in ticks], parse_math=False)
            ax.set_ylabel(self.measure, parse_math=False)
            ax.set_xlabel("time step" + (f"\n{note}" if note else ""), parse_math=False)
            ax.axhline(0, color=INK, linewidth=0.8)
        else:
            small = {"fontsize": "small" if len(names) <= 20 else "x-small"}
            small = small if len(names) > 12 else {}
            ax.set_yticks(range(len(names)), names, parse_math=False, **small)
            ax.set_ylim(len(names) - 0.4, -0.6)
            ax.tick_params(axis="y", length=0)
            ax.set_xlabel(self.measure + (f"\n{note}" if note else ""), parse_math=False)
            ax.axvline(0, color=INK, linewidth=0.8)
        ax.spines[["top", "right", "bottom" if self.in_time else "left"]].set_visible(False)
        if title:
            ax.set_title(shortened(title, 60), loc="left", parse_math=False)
