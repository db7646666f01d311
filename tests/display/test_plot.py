"""What holds for every display, and the function that chooses one."""

import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from sklexplain import (
    ComparisonDisplay,
    DependenceDisplay,
    ForceDisplay,
    ImportanceDisplay,
    LocalDisplay,
    SequenceDisplay,
    SummaryDisplay,
    WaterfallDisplay,
    plot,
)

DISPLAYS = [ImportanceDisplay, SequenceDisplay, SummaryDisplay, DependenceDisplay]


@pytest.mark.parametrize("display", DISPLAYS)
def test_pyplot_stays_untouched_when_axes_are_given(explanation_of, display):
    plt.close("all")
    settings = dict(mpl.rcParams)
    drawn = display.from_explanation(explanation_of("cell", (5, 3)), ax=Figure().subplots())
    drawn.figure_.draw_without_rendering()
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == settings


def test_pyplot_is_not_even_imported_when_axes_are_given():
    code = """
import sys
from matplotlib.figure import Figure
from sklexplain import (
    ComparisonDisplay, DependenceDisplay, ForceDisplay, ImportanceDisplay, LocalDisplay,
    SummaryDisplay, WaterfallDisplay,
)
values, names = [1.0, 2.0], ["a", "b"]
for display in (ImportanceDisplay, LocalDisplay):
    display(values, names).plot(Figure().subplots())
ImportanceDisplay(values, names, draws=[values] * 3).plot(Figure().subplots(), kind="box")
SummaryDisplay([values] * 3, names, [values] * 3).plot(Figure().subplots())
DependenceDisplay(values, values, color_data=values).plot(Figure().subplots())
DependenceDisplay(
    [0, 1], values, categories=names, color_data=[1, 0], color_categories=names
).plot(Figure().subplots())
for display in (ForceDisplay, WaterfallDisplay):
    display(values, names, base_value=0, prediction=3).plot(Figure().subplots())
ComparisonDisplay({"x": values, "y": values}, names).plot(Figure().subplots())
print("matplotlib.pyplot" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "False\n", result.stderr


ROW_DISPLAYS = [WaterfallDisplay, ForceDisplay, LocalDisplay]


@pytest.mark.parametrize("display", [*ROW_DISPLAYS, ComparisonDisplay])
def test_pyplot_stays_untouched_by_rows_and_comparisons(explanation_of, display):
    plt.close("all")
    settings = dict(mpl.rcParams)
    explanation = explanation_of(n_samples=1)
    drawn_of = [explanation] * 2 if display is ComparisonDisplay else explanation
    display.from_explanation(drawn_of, ax=Figure().subplots()).figure_.draw_without_rendering()
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == settings


@pytest.mark.parametrize("display", [*ROW_DISPLAYS, ComparisonDisplay])
def test_rows_and_comparisons_can_be_drawn_again(explanation_of, display):
    explanation = explanation_of(n_samples=1, shape=(9,))
    drawn_of = [explanation] * 2 if display is ComparisonDisplay else explanation
    with mpl.rc_context({"backend": "agg"}):
        plt.switch_backend("agg")
        drawn = display.from_explanation(drawn_of)
        assert drawn.figure_ is plt.gcf()
        plt.close("all")
    other = Figure()
    assert drawn.plot(other.subplots(), max_display=2) is drawn
    assert drawn.figure_ is other
    assert len(drawn.shown_) == 2


@pytest.mark.parametrize("display", DISPLAYS)
def test_without_axes_a_new_pyplot_figure_is_made(explanation_of, display):
    with mpl.rc_context({"backend": "agg"}):
        plt.switch_backend("agg")
        drawn = display.from_explanation(explanation_of("cell", (5, 3)))
        assert drawn.figure_ is plt.gcf()
        plt.close("all")


@pytest.mark.parametrize("display", [ImportanceDisplay, SequenceDisplay, SummaryDisplay])
def test_plot_can_be_repeated_and_returns_the_display(explanation_of, display):
    drawn = display.from_explanation(explanation_of("cell", (5, 3)), ax=Figure().subplots())
    other = Figure()
    assert drawn.plot(other.subplots(), max_display=2) is drawn
    assert drawn.figure_ is other
    assert len(drawn.shown_) == 2


@pytest.mark.parametrize(
    ("players", "shape", "n_samples", "kind", "display"),
    [
        ("column", (4,), 7, "attributions", SummaryDisplay),
        ("cell", (4,), 7, "attributions", SummaryDisplay),
        ("column", (4,), 7, "importances", ImportanceDisplay),
        ("column", (4,), 1, "attributions", WaterfallDisplay),
        ("column", (4,), 1, "importances", ImportanceDisplay),
        ("feature", (5, 3), 7, "attributions", ImportanceDisplay),
        ("timestep", (5, 3), 7, "attributions", ImportanceDisplay),
        ("feature", (5, 3), 1, "attributions", WaterfallDisplay),
        ("cell", (5, 3), 7, "attributions", SequenceDisplay),
        ("cell", (5, 3), 7, "importances", SequenceDisplay),
        ("cell", (5, 3), 1, "importances", SequenceDisplay),
        ("cell", (5, 3), 1, "attributions", SequenceDisplay),
    ],
)
def test_plot_chooses_by_what_is_explained(
    explanation_of, ax, players, shape, n_samples, kind, display
):
    explanation = explanation_of(players, shape, n_samples=n_samples, kind=kind)
    assert type(plot(explanation, ax=ax)) is display


def test_plot_draws_a_chosen_row_and_keeps_the_signs_of_a_single_one(explanation_of, ax):
    explanation = explanation_of()
    drawn = plot(explanation, sample=3, ax=ax)
    assert type(drawn) is WaterfallDisplay
    assert_allclose(drawn.values, explanation.values[3])
    assert type(plot(explanation_of(method="LIME"), sample=3, ax=ax)) is LocalDisplay
    assert type(plot(explanation_of(method="LIME", n_samples=1), ax=ax)) is LocalDisplay
    window = explanation_of("cell", (5, 3), n_samples=1)
    drawn = plot(window, ax=Figure().subplots())
    assert_allclose(drawn.cell_values, window.values[0].reshape(5, 3))


def test_plot_compares_several(explanation_of, ax):
    one, other = explanation_of(), explanation_of(method="LIME")
    assert type(plot([one, other], ax=ax)) is ComparisonDisplay
    drawn = plot({"first": one, "second": other}, ax=Figure().subplots())
    assert list(drawn.bars_) == ["first", "second"]
    with pytest.raises(TypeError, match="kind='force' draws one Explanation, got a list"):
        plot([one, other], "force", ax=ax)
    with pytest.raises(TypeError, match=r"takes a list of explanations.*got a single int"):
        plot(3, ax=ax)


def test_plot_takes_a_kind_and_names_the_known_ones(explanation_of, ax):
    explanation = explanation_of("cell", (5, 3))
    assert type(plot(explanation, "importance", ax=ax)) is ImportanceDisplay
    with pytest.raises(ValueError, match="kind='pie' is not one of"):
        plot(explanation, "pie", ax=ax)


def test_a_missing_matplotlib_is_named_with_the_line_that_installs_it(explanation_of, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"matplotlib.*pip install 'sklexplain\[report\]'"):
        ImportanceDisplay.from_explanation(explanation_of())


@pytest.mark.parametrize(
    ("kind", "display"), [("summary", SummaryDisplay), ("dependence", DependenceDisplay)]
)
def test_plot_draws_many_rows(explanation_of, ax, kind, display):
    assert type(plot(explanation_of(), kind, ax=ax)) is display


def test_plot_draws_boxes(explanation_of, ax):
    display = plot(explanation_of(kind="importances"), "box", ax=ax)
    assert type(display) is ImportanceDisplay
    assert len(display.boxes_["boxes"]) == 4


@pytest.mark.parametrize("display", [SummaryDisplay, DependenceDisplay])
def test_names_with_dollars_and_control_characters_are_drawn(explanation_of, ax, display):
    names = ["cost $x^$ in $", "a\x00b\nc", "n" * 200, "$^$"]
    explanation = explanation_of(feature_names=names)
    display.from_explanation(explanation, title="$^$", unit="$_$", ax=ax)
    ax.figure.draw_without_rendering()
