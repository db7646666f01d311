"""The demonstration's page: the pictures, and what each number means and does not mean."""

from __future__ import annotations

import platform
from importlib.metadata import version
from os import PathLike
from pathlib import Path

import numpy as np

from .._version import __version__
from ..core.explanation import Explanation
from ..display.page import Numbers, Picture, Section, Table, inline_svg, svg_axes, write_page
from ..display.report_parts import (
    importance_picture,
    importance_table,
    row_table,
    sequence_picture,
)
from ..display.style import INK, NEGATIVE, POSITIVE
from .demo import ERROR, PRICES, R2, WINDOW, Demo
from .demo_about import data_section, dollars, limits_section, model_section

_TITLE = "What a GRU relies on when it predicts Google's share price"
_WORSE = "mean absolute error added, dollars"


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
        data_section(demo),
        model_section(demo),
        limits_section(),
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
    scores = demo.scores()
    (r2, error), (naive_r2, naive_error) = scores.values()
    nearer = np.abs(demo.predictions - demo.test_target) < np.abs(demo.naive - demo.test_target)
    rows = [[name, f"{score:.3f}", dollars(miss)] for name, (score, miss) in scores.items()]
    return Section(
        "How well it predicts",
        blocks=[
            Numbers(
                [
                    ("GRU", dollars(error), f"mean absolute error; R² {r2:.3f}"),
                    (
                        "“Tomorrow is today”",
                        dollars(naive_error),
                        f"mean absolute error; R² {naive_r2:.3f}",
                    ),
                    (
                        "GRU nearer than the naive guess",
                        f"{nearer.sum()} of {len(nearer)} days",
                        f"{nearer.mean():.0%} of the test days",
                    ),
                ]
            ),
            _predictions_picture(demo),
            Table(
                ["prediction of the next close", "R²", "mean absolute error"],
                rows,
                f"Scores on the last {len(nearer)} days, which took no part in the training",
            ),
        ],
        notes=[
            "The mean absolute error is how far a prediction is off on an average day. R² is 1 "
            "for perfect predictions and 0 for always saying the mean price of the test days. A "
            "high R² is no achievement here: prices move little from one day to the next, so even "
            "the naive guess has one. Compare with the naive guess, not with zero.",
        ],
    )


def _predictions_picture(demo: Demo) -> Picture:
    with svg_axes((6.0, 2.9)) as ax:
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
    by_error, by_r2 = (demo.by_feature[:, :, score] for score in (ERROR, R2))
    together = demo.by_price[:, PRICES, ERROR]
    names = demo.by_feature.players.names
    first = names[int(np.argmax(by_error.importances()))]
    largest_shap = names[int(np.argmax(demo.shap.importances()))]
    base = float(demo.shap.base_values[0])
    agreement = (
        f"Both methods put {first} first."
        if first == largest_shap
        else f"The methods disagree on what comes first: {first} or {largest_shap}."
    )
    return Section(
        "Which features it relies on",
        [
            "Permutation importance asks: how much worse do the predictions get when one feature "
            "is taken from other days, in the whole window, and the rest left as it is? KernelSHAP "
            "asks: how many dollars does a feature move a prediction away from the average "
            f"prediction ({dollars(base)} over {demo.shap.params['n_background']} training "
            "windows), on average over all orders in which the features can be filled in? "
            + agreement,
        ],
        [
            importance_picture(
                by_error,
                "permutation",
                measure=_WORSE,
                title="Permutation importance",
                caption=f"How many dollars the mean absolute error grows when a feature is "
                f"permuted. Whiskers: standard deviation over {len(by_error)} permutations.",
            ),
            importance_picture(
                demo.shap,
                "kernelshap",
                unit="dollars",
                title="KernelSHAP",
                caption="How far a feature moves a prediction, up or down. Whiskers: standard "
                f"deviation over the {len(demo.shap)} test days, so how much days differ, not "
                "how uncertain the bar is: these values are exact for this background.",
            ),
            importance_table(
                {
                    "permutation: error added, dollars": by_error,
                    "KernelSHAP: mean |value|, dollars": demo.shap,
                    "permutation: drop in R²": by_r2,
                },
                first_column="feature",
                caption="Mean ± standard deviation, as in the pictures",
            ),
        ],
        [
            "A bar tells how much this net uses a feature, not how much the feature matters in "
            "the world, and not whether it raises or lowers the price. The four prices of a day "
            "are nearly equal, so the net can read the same from any of them and the credit is "
            "divided between them more or less by chance; permuting one alone also makes days "
            "that cannot be, such as a close above the high. All four permuted together cost "
            f"{dollars(float(together.importances()[0]))}"
            ", which is what the price level is worth to the net. "
            "The two pictures are in the same unit but answer different questions, so their "
            "lengths need not agree."
        ],
    )


def _time(demo: Demo) -> Section:
    by_step = demo.by_timestep[:, :, ERROR]
    drops = by_step.importances()
    steps = by_step.players.names
    order = np.argsort(-drops)
    negative = _negative_note(by_step)
    return Section(
        "Which days of the window it relies on",
        [
            "The same two questions, of whole days and of single numbers. Day t is the last of the "
            f"window, t-{WINDOW - 1} the first. Permuting day {steps[order[0]]} costs "
            f"{dollars(drops[order[0]])}, the next largest, {steps[order[1]]}, "
            f"{dollars(drops[order[1]])}."
        ],
        [
            importance_picture(
                by_step,
                "timesteps",
                measure=_WORSE,
                title="By day of the window",
                caption="All five features of one day permuted. Whiskers: standard deviation over "
                f"{len(by_step)} permutations.",
            ),
            sequence_picture(
                demo.by_cell[:, :, ERROR],
                "cells",
                data=demo.test_windows,
                series="close",
                measure=_WORSE,
                title="By feature and day",
                caption="One feature of one day permuted. Above: the close in the "
                f"{len(demo.test_windows)} test windows, in dollars.",
            ),
            importance_picture(
                demo.shap_by_timestep,
                "shap-timesteps",
                unit="dollars",
                title="SHAP values by day of the window",
                caption="How far one day, with all its features, moves a prediction. "
                + _precision(demo.shap_by_timestep),
            ),
            sequence_picture(
                demo.shap_by_cell,
                "shap-cells",
                series="close",
                unit="dollars",
                title="SHAP values by feature and day",
                caption="How far one feature of one day moves a prediction, on average over the "
                "test windows. " + _precision(demo.shap_by_cell),
            ),
        ],
        [
            "A pale day is one that this net does not use while the other days are there. It may "
            "still hold information: neighbouring days are alike, and the net takes it from "
            "whichever it has learned to read. " + negative
        ],
    )


def _precision(explanation: Explanation) -> str:
    """Say how the values were come by and how certain they are."""
    errors = explanation.std_errors
    if explanation.method == "DeepSHAP":
        return (
            "By DeepSHAP, which traces the net back operation by operation: the values of a window "
            "add up to its prediction, but their division is approximate."
        )
    if errors is None:
        return "The values are exact for this background."
    evals = int(explanation.diagnostics["n_evals"].max())
    return (
        f"Estimated from {evals:,} evaluations of the net a window; the standard error of a value "
        f"is {dollars(float(np.median(errors.max(axis=1))))} at the most, in the median window."
    )


def _negative_note(explanation: Explanation) -> str:
    drops = explanation.importances()
    if not (drops < 0).any():
        return ""
    return (
        f"Values below zero (here down to {dollars(drops.min()).replace('$-', '−$')}) mean that "
        "the predictions got no worse, or by chance slightly better."
    )


def _one_day(demo: Demo) -> Section:
    shap = demo.shap
    assert shap.index is not None
    gap = float(np.abs(shap.values.sum(axis=1) + shap.base_values - shap.predictions).max())
    closeness = "to less than a cent" if gap < 0.01 else f"to {dollars(gap)}"
    return Section(
        "How one prediction comes about",
        [
            f"For {shap.index[0]}, the first test day, the net predicted "
            f"{dollars(float(demo.predictions[0]))}; the close was "
            f"{dollars(float(demo.test_target[0]))}. The table leads from the average prediction "
            "to this one, feature by feature."
        ],
        [
            row_table({"SHAP value": shap[0]}, unit="dollars"),
            _beside_lime(demo),
            sequence_picture(
                demo.shap_by_cell,
                "one-day",
                sample=0,
                series="close",
                unit="dollars",
                title=f"The window before {shap.index[0]}",
                caption="The same prediction, divided among the single numbers of the window. "
                "Orange cells lower it, blue ones raise it. Above: the close, in dollars.",
            ),
        ],
        [
            "A value says how far the feature, over the whole window, moves this prediction from "
            "the base value. It compares with the background: against other days the same "
            "prediction would be divided differently. The values of a day add up to its "
            f"prediction, {closeness} on every test day.",
            "LIME replaces features at random by those of training windows and fits a linear model "
            "to what the net then predicts, near windows counting more. A weight says what it does "
            "to the prediction that the feature is this day's own. The linear model explains "
            f"{float(demo.lime.diagnostics['local_r2'][0]):.0%} of the variation around this day "
            "(its weighted R²), and its weights do not add up to the prediction; so the columns "
            "need not agree, though they should tell the same story.",
        ],
    )


def _beside_lime(demo: Demo) -> Table:
    """Return SHAP values and LIME's weights of the first test day, feature by feature."""
    shap, lime = demo.shap.values[0], demo.lime.values[0]
    assert demo.lime.std_errors is not None
    errors = demo.lime.std_errors[0]
    rows = [
        [demo.shap.players.names[i], f"{shap[i]:+.2f}", f"{lime[i]:+.2f} ± {errors[i]:.2f}"]
        for i in np.argsort(-np.abs(shap))
    ]
    return Table(
        ["feature", "SHAP value, dollars", "LIME weight, dollars"],
        rows,
        "The same day by two methods (LIME ± standard error)",
    )
