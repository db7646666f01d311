"""ComparisonDisplay: several methods' importances side by side, and how far they agree."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import ConstantInputWarning, spearmanr

from ..core.explanation import Explanation
from .measures import one_output
from .one_row import checked_max_display
from .style import (
    INK,
    MUTED,
    NEGATIVE,
    POSITIVE,
    axes_or_new,
    require_matplotlib,
    shortened,
    shortened_apart,
    signed_colormap,
)

# Okabe and Ito's colours, those of the other displays first.
_PALETTE = (POSITIVE, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", NEGATIVE, "#F0E442", MUTED)


class ComparisonDisplay:
    """Importances of several methods as grouped bars, beside their rank correlations.

    Methods measure in different units, so each method's importances are divided by the sum of
    their sizes: a bar is a share of that sum. The heat map holds Spearman's rank correlations of
    the importances over all players; its rows name the methods and their colours. Make one with
    :meth:`from_explanation` or :meth:`from_estimator`.

    Parameters
    ----------
    importances : mapping from str to ndarray of shape (n_players,)
        By method, 2 to 8 of them.
    names : sequence of str, length n_players
    in_time : bool, default=False
        Whether the players are time steps, which stay in their order.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Of the bars.
    matrix_ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : dict of str to matplotlib BarContainer
        By method; from top to bottom.
    mesh_ : matplotlib QuadMesh
        Of the correlations, shape (n_methods, n_methods).
    texts_ : list of matplotlib Text
        The correlations in the heat map, row by row.
    shares_ : dict of str to ndarray of shape (n_players,)
    correlations_ : ndarray of shape (n_methods, n_methods)
        NaN where a method holds all players equally important.
    shown_ : ndarray of int
        The players in the order drawn.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklexplain import ComparisonDisplay
    >>> display = ComparisonDisplay(
    ...     {"SHAP": [3.0, 1.0, 0.0], "permutation": [0.5, 0.2, 0.3]}, ["close", "open", "volume"]
    ... ).plot(Figure().add_subplot())
    >>> display.shares_["SHAP"]
    array([0.75, 0.25, 0.  ])
    >>> display.correlations_.round(3)
    array([[1. , 0.5],
           [0.5, 1. ]])
    """

    def __init__(
        self,
        importances: Mapping[str, np.ndarray],
        names: Sequence[str],
        *,
        in_time: bool = False,
    ) -> None:
        self.importances = {
            str(method): np.asarray(sizes, dtype=float) for method, sizes in importances.items()
        }
        self.names = tuple(str(name) for name in names)
        self.in_time = in_time
        _check_number(len(self.importances))
        for method, sizes in self.importances.items():
            if sizes.shape != (len(self.names),):
                raise ValueError(
                    f"importances[{method!r}] has shape {sizes.shape}, but there are "
                    f"{len(self.names)} names"
                )

    @classmethod
    def from_explanation(
        cls,
        explanation: Mapping[str, Explanation] | Iterable[Explanation],
        *,
        output: Any = None,
        ax: Any = None,
        max_display: int | None = None,
        title: str | None = None,
    ) -> ComparisonDisplay:
        """Draw the importances of several explanations.

        Parameters
        ----------
        explanation : mapping from name to Explanation, or list of Explanation
            Of the same players. Those of a list are called by their methods.
        output : str, int or mapping, default=None
            Which output or class, for all explanations, or by their names where they differ;
            needed where there are several.
        ax, max_display, title
            As of :meth:`plot`.

        Returns
        -------
        ComparisonDisplay

        Raises
        ------
        ValueError
            If there are not 2 to 8 explanations, or if their players differ.
        TypeError
            If they are not explanations.
        """
        explanations = _named(explanation)
        players = next(iter(explanations.values())).players
        return cls(
            {name: one.importances() for name, one in _of_outputs(explanations, output).items()},
            players.names,
            in_time=players.level == "timestep",
        ).plot(ax, max_display=max_display, title=title)

    @classmethod
    def from_estimator(
        cls, explainers: Mapping[str, Any] | Iterable[Any], X: Any, **params: Any
    ) -> ComparisonDisplay:
        """Explain the same rows with several explainers.

        Parameters
        ----------
        explainers : mapping from name to explainer, or list of explainers
            Fitted. Permutation importance, which belongs to no rows, gives what its `fit` found.
        X : array-like or DataFrame
            For the `explain` of the others.
        **params : dict
            For :meth:`from_explanation`.

        Returns
        -------
        ComparisonDisplay
        """
        named = dict(explainers) if isinstance(explainers, Mapping) else None
        listed = list(explainers.values()) if isinstance(explainers, Mapping) else list(explainers)
        _check_number(len(listed))
        for explainer in listed:
            if not hasattr(explainer, "explain"):
                raise TypeError(
                    "ComparisonDisplay.from_estimator takes fitted explainers such as "
                    f"KernelSHAP(model).fit(X, y), got {type(explainer).__name__}"
                )
        explanations = [
            explainer.explanation_ if hasattr(explainer, "explanation_") else explainer.explain(X)
            for explainer in listed
        ]
        if named is None:
            return cls.from_explanation(explanations, **params)
        return cls.from_explanation(dict(zip(named, explanations, strict=True)), **params)

    def plot(
        self, ax: Any = None, *, max_display: int | None = None, title: str | None = None
    ) -> ComparisonDisplay:
        """Draw the bars and the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Whose place the panels take; its own frame is hidden. By default a new pyplot figure.
        max_display : int, default=None
            Most players to show, those with the largest shares on average; by default as many as
            leave room for 30 bars, and at least 5.
        title : str, default=None

        Returns
        -------
        self : ComparisonDisplay
        """
        n_methods = len(self.importances)
        most = checked_max_display(max_display, max(5, min(12, 30 // n_methods)))
        self.shares_ = {method: _shares(sizes) for method, sizes in self.importances.items()}
        self.correlations_ = _rank_correlations(list(self.importances.values()))
        mean_size = np.mean([np.abs(shares) for shares in self.shares_.values()], axis=0)
        self.shown_ = np.argsort(-mean_size, kind="stable")[:most]
        if self.in_time:
            self.shown_ = np.sort(self.shown_)
        frame = axes_or_new(ax, (6, 4))
        frame.set_axis_off()
        if title:
            frame.set_title(shortened(title, 60), loc="left", parse_math=False)
        self.figure_ = frame.figure
        wide = 0.6 if n_methods <= 3 else 0.5
        self.ax_ = frame.inset_axes([0, 0, wide, 1])
        self.matrix_ax_ = frame.inset_axes([wide + 0.08, 0.08, 0.92 - wide, 0.8])
        self._draw_bars()
        self._draw_matrix()
        return self

    def _draw_bars(self) -> None:
        ax, n_shown = self.ax_, len(self.shown_)
        thickness = 0.8 / len(self.shares_)
        self.bars_ = {}
        for place, (method, shares) in enumerate(self.shares_.items()):
            self.bars_[method] = ax.barh(
                np.arange(n_shown) - 0.4 + thickness * (place + 0.5),
                shares[self.shown_],
                height=thickness,
                color=_PALETTE[place],
            )
        names = shortened_apart([self.names[player] for player in self.shown_], 24)
        size = "small" if n_shown <= 16 else "x-small" if n_shown <= 24 else "xx-small"
        ax.set_yticks(range(n_shown), names, parse_math=False, fontsize=size)
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(n_shown - 0.4, -0.6)
        ax.axvline(0, color=INK, linewidth=0.8)
        ax.locator_params(axis="x", nbins=4)
        ax.xaxis.set_major_formatter(lambda x, _: f"{100 * x + 0:.3g} %".replace("-", "−"))
        left_out = len(self.names) - n_shown
        note = f"\n{left_out} smaller ones not shown" if left_out else ""
        ax.set_xlabel(f"importance, share of\neach method's sum{note}")
        ax.spines[["top", "right", "left"]].set_visible(False)

    def _draw_matrix(self) -> None:
        ax, n_methods = self.matrix_ax_, len(self.shares_)
        self.mesh_ = ax.pcolormesh(
            np.arange(n_methods + 1) - 0.5,
            np.arange(n_methods + 1) - 0.5,
            self.correlations_,
            cmap=signed_colormap(),
            vmin=-1,
            vmax=1,
            edgecolors="white",
            linewidth=1,
        )
        ax.set_aspect("equal", anchor="NW")
        ax.invert_yaxis()
        self._name_methods()
        size = "small" if n_methods <= 4 else "x-small" if n_methods <= 6 else "xx-small"
        self.texts_ = [
            ax.text(
                column,
                row,
                _correlation_text(value),
                ha="center",
                va="center",
                fontsize=size,
                color="white" if abs(value) > 0.7 else INK,
            )
            for row, values in enumerate(self.correlations_)
            for column, value in enumerate(values)
        ]
        ax.set_xlabel("rank correlation\n(Spearman)", fontsize="small")
        ax.spines[:].set_visible(False)

    def _name_methods(self) -> None:
        """Name the rows beside the matrix, and mark rows and columns with the bars' colours."""
        ax, n_methods = self.matrix_ax_, len(self.shares_)
        ax.yaxis.tick_right()
        names = [shortened(method, 21) for method in self.shares_]
        size = "small" if max(map(len, names)) <= 16 else "x-small"
        ax.set_yticks(range(n_methods), names, parse_math=False, fontsize=size)
        ax.set_xticks([])
        ax.tick_params(length=0)
        mark = {"width": 0.16, "height": 0.8, "clip_on": False, "linewidth": 0}
        rectangle = require_matplotlib("matplotlib.patches").Rectangle
        for place in range(n_methods):
            color = _PALETTE[place]
            ax.add_patch(rectangle((-0.8, place - 0.4), facecolor=color, **mark))
            turned = {**mark, "width": mark["height"], "height": mark["width"]}
            ax.add_patch(rectangle((place - 0.4, -0.8), facecolor=color, **turned))


def _correlation_text(value: float) -> str:
    """Return a correlation without the zero before the point, which small cells lack room for."""
    if np.isnan(value):
        return "–"
    hundredths = round(100 * value)
    if hundredths % 100 == 0:
        return f"{hundredths // 100}".replace("-", "−")
    return ("−" if value < 0 else "") + f".{abs(hundredths):02d}"


def _check_number(n_methods: int) -> None:
    if not 2 <= n_methods <= len(_PALETTE):
        raise ValueError(
            f"ComparisonDisplay compares 2 to {len(_PALETTE)} methods, got {n_methods}; draw one "
            "with ImportanceDisplay"
        )


def _named(explanations: Mapping[str, Explanation] | Iterable[Explanation]) -> dict:
    """Return explanations by name, of the same players."""
    if isinstance(explanations, Explanation | str) or not isinstance(explanations, Iterable):
        raise TypeError(
            "ComparisonDisplay takes a list of explanations, or a mapping from names to them, got "
            f"a single {type(explanations).__name__}; draw one with ImportanceDisplay"
        )
    if isinstance(explanations, Mapping):
        named = {str(name): one for name, one in explanations.items()}
    else:
        named = {}
        for one in explanations:
            method = one.method if isinstance(one, Explanation) else type(one).__name__
            copies = sum(name.partition(" (")[0] == method for name in named)
            named[f"{method} ({copies + 1})" if copies else method] = one
    _check_number(len(named))
    for name, one in named.items():
        if not isinstance(one, Explanation):
            raise TypeError(f"{name!r} is a {type(one).__name__}; give explanations")
    first, *others = named
    for name in others:
        if named[name].players != named[first].players:
            raise ValueError(
                f"{name!r} has other players than {first!r}: {named[name].players} and "
                f"{named[first].players}; explain with the same players, or bring finer ones "
                "together with Explanation.aggregate"
            )
    return named


def _of_outputs(explanations: dict[str, Explanation], output: Any) -> dict[str, Explanation]:
    chosen = output if isinstance(output, Mapping) else dict.fromkeys(explanations, output)
    unknown = [name for name in chosen if name not in explanations]
    if unknown:
        raise ValueError(f"output names {unknown}, but the explanations are {list(explanations)}")
    return {name: one_output(one, chosen.get(name)) for name, one in explanations.items()}


def _shares(importances: np.ndarray) -> np.ndarray:
    """Return importances as shares of the sum of their sizes, with signs."""
    total = np.abs(importances).sum()
    return importances / total if total > 0 else np.zeros_like(importances)


def _rank_correlations(importances: list[np.ndarray]) -> np.ndarray:
    correlations = np.empty((len(importances), len(importances)))
    with warnings.catch_warnings():
        # A method that ranks nothing correlates with nothing, which the picture shows.
        warnings.simplefilter("ignore", ConstantInputWarning)
        for row, ours in enumerate(importances):
            for column, theirs in enumerate(importances):
                known = len(ours) > 1
                correlations[row, column] = spearmanr(ours, theirs)[0] if known else np.nan
    return correlations
