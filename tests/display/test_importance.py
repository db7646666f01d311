from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from sklexplain import ImportanceDisplay


def widths(display):
    return [bar.get_width() for bar in display.bars_]


def half_lengths(display, axis):
    (lines,) = display.errorbar_.lines[2]
    return [np.ptp(segment[:, axis]) / 2 for segment in lines.get_segments()]


@pytest.mark.parametrize("kind", ["attributions", "importances"])
def test_bars_are_importances_and_error_bars_standard_deviations(explanation_of, ax, kind):
    explanation = explanation_of(shape=(6,), kind=kind)
    display = ImportanceDisplay.from_explanation(explanation, ax=ax)
    sizes = explanation.values if kind == "importances" else np.abs(explanation.values)
    assert_allclose(widths(display), sizes.mean(axis=0)[display.shown_])
    assert_allclose(half_lengths(display, 0), sizes.std(axis=0)[display.shown_])


def test_bars_go_from_largest_to_smallest_and_carry_their_names(explanation_of, ax):
    explanation = explanation_of(shape=(6,), kind="importances")
    display = ImportanceDisplay.from_explanation(explanation, ax=ax)
    assert np.all(np.diff(widths(display)) <= 0)
    low, high = sorted(ax.get_ylim())
    assert ax.yaxis_inverted()
    assert low < 0
    assert high > 5
    ax.figure.draw_without_rendering()
    shown = [label.get_text() for label in ax.get_yticklabels()]
    assert shown == [explanation.players.names[i] for i in display.shown_]


def test_time_steps_stay_in_the_order_of_time(explanation_of, ax):
    explanation = explanation_of("timestep", (80, 3), kind="importances")
    display = ImportanceDisplay.from_explanation(explanation, ax=ax)
    assert_allclose([bar.get_height() for bar in display.bars_], explanation.importances())
    assert_allclose(half_lengths(display, 1), explanation.values.std(axis=0))
    last = ImportanceDisplay.from_explanation(explanation, max_display=5, ax=Figure().subplots())
    assert last.shown_.tolist() == [75, 76, 77, 78, 79]


def test_max_display_keeps_the_largest_in_size_and_says_what_is_left_out(explanation_of, ax):
    explanation = explanation_of(shape=(80,), kind="importances")
    display = ImportanceDisplay.from_explanation(explanation, max_display=4, ax=ax)
    by_size = np.argsort(-np.abs(explanation.importances()))
    assert set(display.shown_) == set(by_size[:4])
    largest_left = explanation.importances()[by_size[4]]
    assert "76 smaller ones not shown" in ax.get_xlabel()
    assert f"{largest_left:.3g}" in ax.get_xlabel()


def test_negative_bars_differ_in_colour(explanation_of, ax):
    display = ImportanceDisplay.from_explanation(explanation_of(kind="importances"), ax=ax)
    colors = {np.sign(bar.get_width()): bar.get_facecolor() for bar in display.bars_}
    assert len(set(colors.values())) == 2


def test_one_row_has_no_error_bars(explanation_of, ax):
    display = ImportanceDisplay.from_explanation(explanation_of(n_samples=1), ax=ax)
    assert display.errorbar_ is None
    assert "whiskers" not in ax.get_xlabel()


def test_several_outputs_need_a_choice(explanation_of, ax):
    explanation = explanation_of(output_names=("down", "up"))
    with pytest.raises(ValueError, match=r"2 outputs; choose one with output=.*'down', 'up'"):
        ImportanceDisplay.from_explanation(explanation, ax=ax)
    display = ImportanceDisplay.from_explanation(explanation, output="up", ax=ax)
    expected = np.abs(explanation.values[:, :, 1]).mean(axis=0)
    assert_allclose(widths(display), expected[display.shown_])


def test_the_axis_tells_the_measure_and_its_unit(explanation_of):
    def label(explanation, **params):
        drawn = ImportanceDisplay.from_explanation(explanation, ax=Figure().subplots(), **params)
        return drawn.ax_.get_xlabel().splitlines()[0]

    assert label(explanation_of(), unit="dollars") == "mean |SHAP value|, dollars"
    assert label(explanation_of(method="LIME")) == "mean |attribution|"
    assert label(explanation_of(kind="importances")) == "drop in the score"
    assert label(explanation_of(), measure="weight") == "weight"


def test_names_with_dollars_and_control_characters_are_drawn_as_they_are(explanation_of, ax):
    names = ["cost $x^$ in $", "a\x00b\nc", "n" * 200, "plain"]
    ImportanceDisplay.from_explanation(explanation_of(feature_names=names), ax=ax, title="$^$")
    ax.figure.draw_without_rendering()
    shown = {label.get_text() for label in ax.get_yticklabels()}
    assert {"cost $x^$ in $", "a b c", "plain"} < shown
    assert max(len(name) for name in shown) == 28


@pytest.mark.parametrize("size", [(6, 4), (10, 6)])
@pytest.mark.parametrize(
    ("n_players", "name"), [(3, "x"), (80, "a column with a rather long name")]
)
def test_nothing_leaves_the_figure_or_overlaps(explanation_of, size, n_players, name):
    names = [f"{name} {i}" for i in range(n_players)]
    figure = Figure(figsize=size, layout="constrained")
    explanation = explanation_of(shape=(n_players,), feature_names=names)
    ImportanceDisplay.from_explanation(explanation, ax=figure.subplots(), title="Title")
    figure.draw_without_rendering()
    ax = figure.axes[0]
    assert figure.bbox.padded(1).contains(*ax.get_tightbbox().p0)
    assert figure.bbox.padded(1).contains(*ax.get_tightbbox().p1)
    boxes = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_wrong_lengths_and_max_display_are_named(ax):
    with pytest.raises(ValueError, match="names has length 1, but there are 2 importances"):
        ImportanceDisplay([1.0, 2.0], ["a"])
    with pytest.raises(ValueError, match="max_display=0 must be at least 1"):
        ImportanceDisplay([1.0], ["a"]).plot(ax, max_display=0)
