"""The demonstration's page: the report's sections, with what is special about prices."""

from __future__ import annotations

import platform
from importlib.metadata import version
from os import PathLike
from pathlib import Path

import numpy as np

from .._version import __version__
from ..display.page import Picture, Section, inline_svg, svg_axes, write_page
from ..display.report_scores import scores_section
from ..display.report_sections import agreement, importance_blocks, row_blocks, row_sentence
from ..display.report_views import rows_of, views_of
from ..display.style import INK, NEGATIVE, POSITIVE
from .demo import ERROR, PRICES, UNIT, WINDOW, Demo
from .demo_about import about_data, about_model, dollars, how_to_read

_TITLE = "What a GRU relies on when it predicts Google's share price"


def write_demo_page(demo: Demo, path: str | PathLike[str]) -> Path:
    """Write the page of a demonstration and return its absolute path.

    Parameters
    ----------
    demo : Demo
    path : str or PathLike
        Overwritten if it exists.

    Returns
    -------
    Path
    """
    sections = [
        _scores(demo),
        _features(demo),
        _time(demo),
        _one_day(demo),
        about_data(demo),
        about_model(demo),
        how_to_read(demo),
    ]
    packages = ", ".join(f"{name} {version(name)}" for name in ("scikit-learn", "torch", "numpy"))
    footer = (
        f"Made with sklexplain {__version__} by `sklexplain demo` (Python "
        f"{platform.python_version()}, {packages}). Seeds are fixed: another run on the same "
        "versions gives the same numbers."
    )
    return write_page(path, _TITLE, _lead(demo), sections, footer=footer)


def _lead(demo: Demo) -> str:
    (_, error), (_, naive_error) = demo.scores().values()
    told = (
        f"A recurrent neural net read {WINDOW} trading days of open, high, low, close and volume "
        f"and predicted the close of the next day. On the {len(demo.test_target)} days that it "
        f"had not seen it was {dollars(error)} off on average. Guessing that tomorrow's close "
        f"is today's was {dollars(naive_error)} off. "
    )
    if error >= naive_error:
        apart = float(np.abs(demo.predictions - demo.naive).mean())
        return told + (
            "So the net does not beat the simplest guess there is, as is usual for share prices. "
            f"Its own predictions lie {dollars(apart)} from today's close on average. This page "
            "shows from which inputs it reads them."
        )
    return told + (
        "So the net is a little nearer than the simplest guess there is. One share and one "
        "period are no evidence that it would be so again. This page shows which inputs it reads."
    )


def _scores(demo: Demo) -> Section:
    nearer = np.abs(demo.predictions - demo.test_target) < np.abs(demo.naive - demo.test_target)
    return scores_section(
        demo.score_board(),
        numbers=(
            (
                "GRU nearer than the naive guess",
                f"{nearer.sum()} of {len(nearer)} days",
                f"{nearer.mean():.0%} of the test days",
            ),
        ),
        blocks=(_predictions_picture(demo),),
        notes=(
            "A high R² is no achievement here: prices move little from one day to the next, so "
            "even the naive guess has one. Compare with the naive guess, not with zero.",
        ),
        first_column="prediction of the next close",
        caption=f"Scores on the last {len(nearer)} days, which took no part in the training",
    )


def _predictions_picture(demo: Demo) -> Picture:
    with svg_axes((5.4, 2.9)) as ax:
        closes = demo.prices["close"]
        first = demo.test_dates[0]
        shown = closes[closes.index >= first - (demo.test_dates[-1] - first) / 3]
        ax.plot(shown.index, shown, color=INK, linewidth=1.0, label="close")
        ax.plot(
            demo.test_dates,
            demo.predictions,
            color=POSITIVE,
            linewidth=1.6,
            label="GRU, a day ahead",
        )
        ax.axvline(first, color=NEGATIVE, linewidth=1, linestyle="--")
        ax.annotate(
            "test days ▸", (first, 0.03), xycoords=("data", "axes fraction"),
            xytext=(5, 0), textcoords="offset points", color=NEGATIVE,
        )  # fmt: skip
        ax.set_ylabel("dollars")
        ax.spines[["top", "right"]].set_visible(False)
        locator = ax.xaxis.get_major_locator()
        ax.xaxis.set_major_formatter(_date_formatter(locator))
        ax.legend(frameon=False, loc="upper right")
        alt = (
            f"Line chart of the close from {shown.index[0]:%Y-%m-%d} to {shown.index[-1]:%Y-%m-%d} "
            "and of the GRU's predictions for the test days, which follow it closely."
        )
        svg = inline_svg(ax.figure, alt, "predictions")
    return Picture(
        svg, "The close, and what the GRU had predicted for each test day the day before."
    )


def _date_formatter(locator: object) -> object:
    from matplotlib.dates import ConciseDateFormatter

    return ConciseDateFormatter(locator)


def _features(demo: Demo) -> Section:
    views = views_of(
        {"Permutation importance": demo.by_feature[:, :, [ERROR]], "KernelSHAP": demo.shap},
        unit=UNIT,
    )
    together = float(demo.by_price[:, PRICES, ERROR].importances()[0])
    return Section(
        "Which features it relies on",
        [
            "Permutation importance asks: how much worse do the predictions get when one feature "
            "is taken from other days, in the whole window? KernelSHAP asks: how many dollars does "
            "a feature move a prediction away from the average prediction "
            f"({dollars(float(demo.shap.base_values[0]))} over {demo.shap.params['n_background']} "
            "training windows)? " + agreement(views),
        ],
        importance_blocks(views, "features", unit=UNIT),
        [
            "The four prices of a day are nearly equal, so the net can read the same from any of "
            "them and the credit is divided between them more or less by chance; permuting one "
            "alone also makes days that cannot be, such as a close above the high. All four "
            f"permuted together cost {dollars(together)}, which is what the price level is worth "
            "to the net. The two pictures are in the same unit but answer different questions, so "
            "their lengths need not agree."
        ],
    )


def _time(demo: Demo) -> Section:
    by_step = demo.by_timestep[:, :, [ERROR]]
    drops = by_step.importances()[:, 0]
    steps = by_step.players.names
    order = np.argsort(-drops)
    days = {"Permuted, by day": by_step, "KernelSHAP, by day": demo.shap_by_timestep}
    cells = {
        "Permuted, by feature and day": demo.by_cell[:, :, [ERROR]],
        "DeepSHAP, by feature and day": demo.shap_by_cell,
    }
    return Section(
        "Which days of the window it relies on",
        [
            "The same two questions, of whole days and of single numbers. Day t is the last of the "
            f"window, t-{WINDOW - 1} the first. Permuting day {steps[order[0]]} costs "
            f"{dollars(drops[order[0]])}, the next largest, {steps[order[1]]}, "
            f"{dollars(drops[order[1]])}."
        ],
        [
            *importance_blocks(views_of(days, unit=UNIT), "days", in_full=False),
            *importance_blocks(
                views_of(cells, unit=UNIT),
                "cells",
                series="close",
                data=demo.test_windows,
                in_full=False,
            ),
        ],
        [
            "A pale day is one that this net does not use while the other days are there. It may "
            "still hold information: neighbouring days are alike, and the net takes it from "
            "whichever it has learned to read."
        ],
    )


def _one_day(demo: Demo) -> Section:
    methods = {"KernelSHAP": demo.shap, "LIME": demo.lime, "DeepSHAP": demo.shap_by_cell}
    rows = rows_of(methods, X=demo.test_windows, y=demo.test_target)
    assert rows is not None
    return Section(
        "How one prediction comes about",
        [f"{rows.label(0)}, the first test day. {row_sentence(rows, 0, UNIT)}"],
        row_blocks(methods, rows, 0, "one-day", unit=UNIT, series="close"),
        [
            "A value compares with the background: against other days the same prediction would "
            "be divided differently. The columns answer different questions and need not agree, "
            "though they should tell the same story."
        ],
    )
