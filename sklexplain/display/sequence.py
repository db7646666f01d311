"""SequenceDisplay: which feature matters at which time step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.explanation import Explanation
from ..core.players import timestep_names
from .measures import chosen_name, measure_of, one_output
from .one_row import chosen_sample, number_text
from .style import (
    INK,
    POSITIVE,
    axes_or_new,
    require_matplotlib,
    shortened,
    shortened_apart,
    signed_colormap,
    thinned,
)

# Above this a heat map is stored as a picture of its cells rather than as one path a cell.
_MOST_VECTOR_CELLS = 1500

_SCALES = ("linear", "log")
# A logarithmic scale is linear up to the largest size divided by this.
_LINEAR_PART = 30


class SequenceDisplay:
    """Heat map of features by time steps, with the series itself above it.

    Make one with :meth:`from_explanation` or :meth:`from_estimator`.

    Parameters
    ----------
    cell_values : ndarray of shape (n_timesteps, n_features)
        The colours; NaN for cells that belong to no player.
    feature_names : sequence of str, length n_features
    series : ndarray of shape (n_samples, n_timesteps), default=None
        The course of one feature in the explained rows: one is drawn as a line, several as their
        median and the band that holds the middle 80 %.
    series_name : str, default=""
    measure : str, default="importance"
        What a colour means.
    scale : {"linear", "log"}, default="linear"
        ``"log"`` shows small values beside large ones, such as earlier time steps beside the last:
        colours are linear up to a thirtieth of the largest size and logarithmic beyond, on both
        sides of zero. The colour bar says so.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Of the heat map.
    series_ax_ : matplotlib Axes or None
    figure_ : matplotlib Figure
    mesh_ : matplotlib QuadMesh
        Its array has shape (n_shown, n_timesteps): features from top to bottom.
    line_ : matplotlib Line2D or None
    colorbar_ : matplotlib Colorbar
    shown_ : ndarray of int
        The features in the order drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from sklexplain import PermutationImportance, SequenceDisplay, make_sequences
    >>> data = make_sequences(200, 4, 2, drivers={(3, 1): 2.0}, random_state=0)
    >>> model = PermutationImportance(lambda X: 2 * X[:, 3, 1], players="cell", random_state=0)
    >>> explanation = model.fit(data.X, data.y).explanation_
    >>> display = SequenceDisplay.from_explanation(explanation, ax=Figure().add_subplot())
    >>> np.argwhere(display.mesh_.get_array() > 0.1)
    array([[1, 3]])
    """

    def __init__(
        self,
        cell_values: np.ndarray,
        feature_names: Sequence[str],
        *,
        series: np.ndarray | None = None,
        series_name: str = "",
        measure: str = "importance",
        scale: str = "linear",
    ) -> None:
        if scale not in _SCALES:
            raise ValueError(f"scale={scale!r} must be one of {_SCALES}")
        self.scale = scale
        self.cell_values = np.asarray(cell_values, dtype=float)
        self.feature_names = tuple(str(name) for name in feature_names)
        self.series = None if series is None else np.atleast_2d(np.asarray(series, dtype=float))
        self.series_name = series_name
        self.measure = shortened(measure, 50)
        if self.cell_values.shape[1:] != (len(self.feature_names),):
            raise ValueError(
                f"cell_values has shape {self.cell_values.shape}; expected (n_timesteps, "
                f"{len(self.feature_names)}), one column a feature name"
            )
        if self.series is not None and self.series.shape[1] != len(self.cell_values):
            raise ValueError(
                f"series has {self.series.shape[1]} time steps, but cell_values has "
                f"{len(self.cell_values)}"
            )

    @classmethod
    def from_explanation(
        cls,
        explanation: Explanation,
        *,
        sample: int | None = None,
        output: str | int | None = None,
        data: np.ndarray | None = None,
        series: str | int | None = None,
        measure: str | None = None,
        unit: str = "",
        scale: str = "linear",
        ax: Any = None,
        max_display: int | None = None,
        title: str | None = None,
    ) -> SequenceDisplay:
        """Draw the explanation of windows.

        A cell has the colour of the player it belongs to: of the cell itself with
        ``players="cell"``, of its whole group where players are larger.

        Parameters
        ----------
        explanation : Explanation
            Of windows, (n_timesteps, n_features) each.
        sample : int, default=None
            The row to draw, with signs; by default the importances over all rows.
        output : str or int, default=None
            Which output, class or score; needed where there are several.
        data : ndarray of shape (n_samples, n_timesteps, n_features), default=None
            The windows for the upper panel; by default those in the explanation, if any.
        series : str or int, default=None
            The feature in the upper panel; by default the one with the strongest colours.
        measure : str, default=None
            What a colour means; by default told from the method.
        unit : str, default=""
            Its unit.
        scale : {"linear", "log"}, default="linear"
            As of the class.
        ax, max_display, title
            As of :meth:`plot`.

        Returns
        -------
        SequenceDisplay

        Raises
        ------
        ValueError
            If the explanation is of table rows, or `sample` of score drops is asked for.
        """
        name = chosen_name(explanation, output)
        explanation = one_output(explanation, output)
        players = explanation.players
        if len(players.shape) != 2:
            raise ValueError(
                f"SequenceDisplay draws windows, but the explained samples have shape "
                f"{players.shape}; use ImportanceDisplay for tables"
            )
        data = explanation.data if data is None else np.asarray(data)
        if data is not None and data.shape[1:] != players.shape:
            raise ValueError(
                f"data has windows of shape {data.shape[1:]}, but {players.shape} were explained"
            )
        if sample is None:
            values = explanation.importances()
        else:
            if explanation.kind == "importances":
                raise ValueError(
                    f"sample={sample}, but score drops belong to no single row; leave sample out"
                )
            values = explanation[sample].values[0]
            data = None if data is None else data[[sample]]
        if measure is None:
            measure = measure_of(explanation, unit, single_row=sample is not None, output=name)
        cell_values = np.append(values, np.nan)[players.labels].reshape(players.shape)
        feature = _chosen_feature(series, cell_values, players.feature_names)
        display = cls(
            cell_values,
            players.feature_names,
            series=None if data is None else data[:, :, feature],
            series_name=players.feature_names[feature],
            measure=measure,
            scale=scale,
        )
        return display.plot(ax, max_display=max_display, title=title)

    @classmethod
    def from_estimator(
        cls, explainer: Any, X: Any = None, *, sample: int | None = None, **params: Any
    ) -> SequenceDisplay:
        """Explain windows and draw one of them, or the importances over all.

        Parameters
        ----------
        explainer : explainer
            Fitted; its ``explain(X)`` is called. Of permutation importance, which belongs to no
            rows, what its `fit` found is drawn, with `X` as the windows of the upper panel.
        X : array-like of shape (n_samples, n_timesteps, n_features), default=None
            The windows; permutation importance needs none.
        sample, **params
            As of :meth:`from_explanation`.

        Returns
        -------
        SequenceDisplay

        Raises
        ------
        ValueError
            If there are no windows to explain, or not the one that `sample` names.
        TypeError
            If `explainer` is none.
        """
        if not hasattr(explainer, "explain"):
            raise TypeError(
                f"{cls.__name__}.from_estimator takes a fitted explainer such as "
                f"KernelSHAP(model).fit(X, y), got {type(explainer).__name__}"
            )
        if hasattr(explainer, "explanation_"):
            if X is not None:
                params = {"data": X, **params}
            return cls.from_explanation(explainer.explanation_, sample=sample, **params)
        if X is None:
            raise ValueError(f"X=None, but {type(explainer).__name__} needs windows to explain")
        if sample is not None:
            chosen_sample(sample, len(X))
        return cls.from_explanation(explainer.explain(X), sample=sample, **params)

    def plot(
        self, ax: Any = None, *, max_display: int | None = None, title: str | None = None
    ) -> SequenceDisplay:
        """Draw the heat map and the series above it.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Whose place the panels take; its own frame is hidden. By default a new pyplot figure.
        max_display : int, default=None
            Most features to show, those with the strongest colours; by default 15.
        title : str, default=None

        Returns
        -------
        self : SequenceDisplay
        """
        if max_display is not None and max_display < 1:
            raise ValueError(f"max_display={max_display} must be at least 1")
        frame = axes_or_new(ax, (6, 4))
        frame.set_axis_off()
        if title:
            above_series = {} if self.series is None else {"pad": 20}
            frame.set_title(shortened(title, 60), loc="left", parse_math=False, **above_series)
        self.figure_ = frame.figure
        height = 1.0 if self.series is None else 0.66
        self.ax_ = frame.inset_axes([0, 0, 0.94, height])
        self.series_ax_ = self.line_ = None
        self._draw_cells(max_display or 15, frame.inset_axes([0.96, 0, 0.025, height]))
        if self.series is not None:
            self.series_ax_ = frame.inset_axes([0, 0.71, 0.94, 0.29], sharex=self.ax_)
            self.line_ = _draw_series(self.series_ax_, self.series, self.series_name)
        return self

    def _draw_cells(self, max_display: int, colorbar_ax: Any) -> None:
        strongest = np.argsort(-_strength(self.cell_values), kind="stable")[:max_display]
        self.shown_ = np.sort(strongest)
        shown = self.cell_values[:, self.shown_].T
        n_shown, n_timesteps = shown.shape
        largest = float(np.nanmax(np.abs(self.cell_values), initial=0)) or 1.0
        self.mesh_ = self.ax_.pcolormesh(
            np.arange(n_timesteps + 1) - 0.5,
            np.arange(n_shown + 1) - 0.5,
            shown,
            cmap=signed_colormap(),
            norm=self._norm(largest),
            rasterized=shown.size > _MOST_VECTOR_CELLS,
            edgecolors="face",
            linewidth=0.3,
        )
        self.ax_.invert_yaxis()
        names = shortened_apart([self.feature_names[feature] for feature in self.shown_], 20)
        small = {"fontsize": "small" if n_shown <= 12 else "x-small"} if n_shown > 8 else {}
        self.ax_.set_yticks(range(n_shown), names, parse_math=False, **small)
        steps = timestep_names(n_timesteps)
        ticks = thinned(n_timesteps, 10)
        self.ax_.set_xticks(ticks, [steps[tick] for tick in ticks])
        self.ax_.tick_params(length=2)
        left_out = len(self.feature_names) - n_shown
        note = f"\n{left_out} features with weaker colours not shown" if left_out else ""
        self.ax_.set_xlabel(f"time step (t is the last of the window){note}")
        self.colorbar_ = self.figure_.colorbar(self.mesh_, cax=colorbar_ax)
        self._mark_colorbar(largest)
        self.colorbar_.outline.set_visible(False)
        # The scale is symmetric about zero so that colour means sign; show the part in use.
        low, high = np.nanmin(self.cell_values), np.nanmax(self.cell_values)
        colorbar_ax.set_ylim(min(0.0, low), max(0.0, high) or (1.0 if low == 0 else 0.0))

    def _norm(self, largest: float) -> Any:
        colors = require_matplotlib("matplotlib.colors")
        if self.scale == "linear":
            return colors.Normalize(-largest, largest)
        return colors.AsinhNorm(largest / _LINEAR_PART, -largest, largest)

    def _mark_colorbar(self, largest: float) -> None:
        measure = self.measure
        if self.scale == "log":
            measure = f"{measure}\n(logarithmic colours)"
            ticks = 10.0 ** np.floor(np.log10(largest)) * np.array([0.1, 0.3, 1, 3])
            # Nearer to zero there is no room between the labels.
            ticks = ticks[ticks > largest / 20]
            self.colorbar_.set_ticks(np.sort([*-ticks, 0, *ticks]), minor=False)
            self.colorbar_.set_ticks([], minor=True)
            self.colorbar_.ax.yaxis.set_major_formatter(lambda x, _: number_text(x))
        self.colorbar_.set_label(measure, parse_math=False)


def _draw_series(ax: Any, series: np.ndarray, name: str) -> Any:
    """Draw the course of one feature and return its line."""
    steps = np.arange(series.shape[1])
    (line,) = ax.plot(steps, np.nanmedian(series, axis=0), color=POSITIVE, marker=".")
    told = shortened(name, 40)
    if len(series) > 1:
        low, high = np.nanquantile(series, [0.1, 0.9], axis=0)
        ax.fill_between(steps, low, high, color=POSITIVE, alpha=0.2, linewidth=0)
        told += ": median and middle 80 %"
    ax.set_title(told, fontsize="small", loc="left", color=INK, parse_math=False, pad=3)
    ax.tick_params(axis="x", labelbottom=False, length=2)
    ax.spines[["top", "right"]].set_visible(False)
    ax.locator_params(axis="y", nbins=4)
    return line


def _strength(cell_values: np.ndarray) -> np.ndarray:
    """Return the largest size in each feature's row; zero where it has no player."""
    return np.nan_to_num(np.abs(cell_values)).max(axis=0)


def _chosen_feature(
    series: str | int | None, cell_values: np.ndarray, names: tuple[str, ...]
) -> int:
    if series is None:
        return int(np.argmax(_strength(cell_values)))
    if isinstance(series, str):
        if series not in names:
            raise ValueError(f"series={series!r} is not a feature; known are {list(names)}")
        return names.index(series)
    if not -len(names) <= series < len(names):
        raise ValueError(f"series={series} is out of range: there are {len(names)} features")
    return series % len(names)
