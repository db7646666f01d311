"""ImportanceDisplay: bars with error bars, or boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.explanation import Explanation
from .boxes import draw_boxes
from .many_rows import check_explainer
from .measures import chosen_name, measure_of, one_output
from .style import INK, NEGATIVE, POSITIVE, axes_or_new, shortened, shortened_apart, thinned

_FORMS = ("bar", "box")


class ImportanceDisplay:
    """Bars of the players' importances with error bars, or boxes of what they are means of.

    Time steps stand side by side in the order of time; other players lie below one another, the
    largest on top. Make one with :meth:`from_explanation` or :meth:`from_estimator`.

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
    draws : ndarray of shape (n_draws, n_players), default=None
        What the importances are means of: repeats and folds, or the sizes of single rows'
        attributions. Needed for boxes.
    draw_measure : str, default=""
        What the draws are, for the note below boxes.
    whiskers : tuple of two floats, default=(0, 100)
        The percentiles at the ends of a box's whiskers.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : matplotlib BarContainer or None
        In the order drawn: from top to bottom, or from left to right. None where boxes are drawn.
    errorbar_ : matplotlib ErrorbarContainer or None
    boxes_ : dict of lists of artists, or None
        Keys as of :meth:`matplotlib.axes.Axes.boxplot`; None where bars are drawn.
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
        draws: np.ndarray | None = None,
        draw_measure: str = "",
        whiskers: tuple[float, float] = (0, 100),
    ) -> None:
        self.importances = np.asarray(importances, dtype=float)
        self.names = tuple(str(name) for name in names)
        self.errors = None if errors is None else np.asarray(errors, dtype=float)
        self.measure = shortened(measure, 50)
        self.error_measure = error_measure
        self.in_time = in_time
        self.draws = None if draws is None else np.asarray(draws, dtype=float)
        self.draw_measure = draw_measure
        self.whiskers = whiskers
        if self.draws is not None and self.draws.shape[1:] != self.importances.shape:
            raise ValueError(
                f"draws has shape {self.draws.shape}; expected (n_draws, {len(self.importances)}), "
                "one column a player"
            )
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
        kind: str = "bar",
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
        explained rows: the first says how certain a bar is, the second how much rows differ. The
        boxes show the same repeats (of all folds) or rows.

        Parameters
        ----------
        explanation : Explanation
        kind : {"bar", "box"}, default="bar"
            As of :meth:`plot`.
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
        _check_form(kind)
        name = chosen_name(explanation, output)
        explanation = one_output(explanation, output)
        if not len(explanation):
            raise ValueError("the explanation has no rows, so nothing has an importance")
        repeats = explanation.kind == "importances"
        sizes = explanation.values if repeats else np.abs(explanation.values)
        several = len(explanation) > 1
        drawn = _counted_draws(explanation)
        if measure is None:
            measure = measure_of(explanation, unit, output=name)
        display = cls(
            explanation.importances(),
            explanation.players.names,
            errors=sizes.std(axis=0) if several else None,
            measure=measure,
            error_measure=f"whiskers: standard deviation over {drawn}" if several else "",
            in_time=explanation.players.level == "timestep",
            draws=sizes,
            draw_measure=drawn,
            # Few repeats are all shown; of many rows the farthest are left out.
            whiskers=(0, 100) if repeats else (5, 95),
        )
        return display.plot(ax, kind=kind, max_display=max_display, title=title)

    @classmethod
    def from_estimator(
        cls,
        explainer: Any,
        X: Any = None,
        y: Any = None,
        *,
        kind: str = "bar",
        output: str | int | None = None,
        measure: str | None = None,
        unit: str = "",
        ax: Any = None,
        max_display: int | None = None,
        title: str | None = None,
    ) -> ImportanceDisplay:
        """Draw the importances of a fitted explainer.

        Parameters
        ----------
        explainer : fitted explainer
        X : array-like or DataFrame, default=None
            Rows to explain, or to measure score drops on. By default what `fit` measured, or the
            explainer's own `importances_`, over training rows and the mean over outputs.
        y : array-like, default=None
            Targets of `X`, for score drops.
        kind, output, measure, unit
            As of :meth:`from_explanation`.
        ax, max_display, title
            As of :meth:`plot`.

        Returns
        -------
        ImportanceDisplay

        Raises
        ------
        TypeError
            If `explainer` is none, or if `y` is given to one that explains rows by themselves.
        ValueError
            If boxes or one output of attributions are asked for without `X`.
        NotFittedError
            If the explainer is not fitted.

        Examples
        --------
        >>> from matplotlib.figure import Figure
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.linear_model import Ridge
        >>> from sklexplain import ImportanceDisplay, PermutationImportance
        >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
        >>> explainer = PermutationImportance(Ridge(), cv=3, random_state=0).fit(X, y)
        >>> display = ImportanceDisplay.from_estimator(
        ...     explainer, kind="box", ax=Figure().add_subplot()
        ... )
        >>> len(display.boxes_["boxes"])
        10
        """
        _check_form(kind)
        check_explainer(explainer, cls.__name__)
        how: dict[str, Any] = {"measure": measure, "unit": unit, "kind": kind}
        where: dict[str, Any] = {"ax": ax, "max_display": max_display, "title": title}
        measured = getattr(explainer, "explanation_", None)
        if y is not None and measured is None:
            raise TypeError(f"{type(explainer).__name__} explains rows without y; leave y out")
        if y is not None and X is None:
            raise ValueError("y is given without X; give the rows it belongs to")
        if X is not None:
            measured = explainer.explain(X) if y is None else explainer.explain(X, y)
        if measured is not None:
            return cls.from_explanation(measured, output=output, **how, **where)
        if kind == "box" or output is not None:
            asked = 'kind="box"' if kind == "box" else f"output={output!r}"
            raise ValueError(
                f"{asked} needs explained rows, and {type(explainer).__name__} keeps none; give X"
            )
        told = f"mean |attribution|, {unit}" if unit else "mean |attribution|"
        display = cls(
            explainer.importances_,
            explainer.players_.names,
            errors=explainer.importances_std_,
            measure=told if measure is None else measure,
            error_measure="whiskers: standard deviation over training rows",
            in_time=explainer.players_.level == "timestep",
        )
        return display.plot(**where)

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "bar",
        max_display: int | None = None,
        title: str | None = None,
    ) -> ImportanceDisplay:
        """Draw the bars or boxes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; by default on a new pyplot figure.
        kind : {"bar", "box"}, default="bar"
            A box holds the middle half of the draws, its line is the median and its diamond the
            mean, by which the players are ordered.
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
        _check_form(kind)
        if kind == "box" and self.draws is None:
            raise ValueError(
                'kind="box" needs draws, the numbers that the importances are means of'
            )
        self.shown_ = self._chosen(max_display)
        self.ax_ = axes_or_new(ax, (6, 4))
        self.figure_ = self.ax_.figure
        self.bars_: Any = None
        self.errorbar_: Any = None
        self.boxes_: dict[str, list[Any]] | None = None
        lengths = self.importances[self.shown_]
        colors = [NEGATIVE if length < 0 else POSITIVE for length in lengths]
        if kind == "box":
            self._draw_boxes(colors)
        else:
            self._draw_bars(lengths, colors)
        self._label(title)
        return self

    def _draw_bars(self, lengths: np.ndarray, colors: list[str]) -> None:
        errors = None if self.errors is None else self.errors[self.shown_]
        places = np.arange(len(lengths))
        whisker = {"fmt": "none", "ecolor": INK, "elinewidth": 1.1, "capsize": 2.5}
        if self.in_time:
            self.bars_ = self.ax_.bar(places, lengths, color=colors)
            if errors is not None:
                self.errorbar_ = self.ax_.errorbar(places, lengths, yerr=errors, **whisker)
        else:
            self.bars_ = self.ax_.barh(places, lengths, height=0.7, color=colors)
            if errors is not None:
                self.errorbar_ = self.ax_.errorbar(lengths, places, xerr=errors, **whisker)

    def _draw_boxes(self, colors: list[str]) -> None:
        assert self.draws is not None
        self.boxes_ = draw_boxes(
            self.ax_,
            self.draws[:, self.shown_],
            range(len(colors)),
            horizontal=not self.in_time,
            whiskers=self.whiskers,
            colors=colors,
        )

    def _note(self) -> str:
        """Return what whiskers mean, for the space below the axis."""
        if self.boxes_ is None:
            return self.error_measure
        low, high = self.whiskers
        reach = "all" if (low, high) == (0, 100) else f"{low:g} to {high:g} %"
        of_what = f" of {self.draw_measure}" if self.draw_measure else ""
        return f"box: middle half{of_what}\ndiamond: mean, whiskers: {reach}"

    def _chosen(self, max_display: int | None) -> np.ndarray:
        if self.in_time:
            n_steps = len(self.importances)
            return np.arange(n_steps)[-(max_display or n_steps) :]
        by_size = np.argsort(-np.abs(self.importances), kind="stable")[: max_display or 15]
        return by_size[np.argsort(-self.importances[by_size], kind="stable")]

    def _label(self, title: str | None) -> None:
        ax = self.ax_
        names = shortened_apart([self.names[player] for player in self.shown_])
        notes = [self._note()] if self._note() else []
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


def _check_form(kind: str) -> None:
    if kind not in _FORMS:
        raise ValueError(f"kind={kind!r} is not one of {_FORMS}")


def _counted_draws(explanation: Explanation) -> str:
    """Return how many of what the importances are means over."""
    if explanation.kind != "importances":
        return f"{len(explanation)} rows"
    n_folds = explanation.params.get("n_folds", 0)
    return f"{len(explanation)} repeats" + (f" in {n_folds} folds" if n_folds else "")
