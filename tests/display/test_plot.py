"""What holds for every display, and the function that chooses one."""

import subprocess
import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from sklexplain import ImportanceDisplay, SequenceDisplay, plot

DISPLAYS = [ImportanceDisplay, SequenceDisplay]


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
from sklexplain import ImportanceDisplay
ImportanceDisplay([1.0, 2.0], ["a", "b"]).plot(Figure().subplots())
print("matplotlib.pyplot" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "False\n", result.stderr


@pytest.mark.parametrize("display", DISPLAYS)
def test_without_axes_a_new_pyplot_figure_is_made(explanation_of, display):
    with mpl.rc_context({"backend": "agg"}):
        plt.switch_backend("agg")
        drawn = display.from_explanation(explanation_of("cell", (5, 3)))
        assert drawn.figure_ is plt.gcf()
        plt.close("all")


@pytest.mark.parametrize("display", DISPLAYS)
def test_plot_can_be_repeated_and_returns_the_display(explanation_of, display):
    drawn = display.from_explanation(explanation_of("cell", (5, 3)), ax=Figure().subplots())
    other = Figure()
    assert drawn.plot(other.subplots(), max_display=2) is drawn
    assert drawn.figure_ is other
    assert len(drawn.shown_) == 2


@pytest.mark.parametrize(
    ("players", "shape", "display"),
    [
        ("column", (4,), ImportanceDisplay),
        ("cell", (4,), ImportanceDisplay),
        ("feature", (5, 3), ImportanceDisplay),
        ("timestep", (5, 3), ImportanceDisplay),
        ("cell", (5, 3), SequenceDisplay),
    ],
)
def test_plot_chooses_by_the_players(explanation_of, ax, players, shape, display):
    assert type(plot(explanation_of(players, shape), ax=ax)) is display


def test_plot_takes_a_kind_and_names_the_known_ones(explanation_of, ax):
    explanation = explanation_of("cell", (5, 3))
    assert type(plot(explanation, "importance", ax=ax)) is ImportanceDisplay
    with pytest.raises(ValueError, match="kind='pie' is not one of"):
        plot(explanation, "pie", ax=ax)


def test_a_missing_matplotlib_is_named_with_the_line_that_installs_it(explanation_of, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"matplotlib.*pip install 'sklexplain\[report\]'"):
        ImportanceDisplay.from_explanation(explanation_of())
