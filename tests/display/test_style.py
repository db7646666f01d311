"""Names beside pictures, which have little room."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from sklexplain import ImportanceDisplay, LocalDisplay, SequenceDisplay, SummaryDisplay
from sklexplain.display.style import shortened_apart

PLANT = [f"sensor number {number} of the second plant" for number in range(8, 12)]


def test_numbers_stay_whole_and_names_that_fit_stay_as_they_are():
    assert shortened_apart(["load", *PLANT], 20) == [
        "load",
        "sensor…8 of the sec…",
        "sensor…9 of the sec…",
        "sensor…10 of the se…",
        "sensor…11 of the se…",
    ]


@given(
    parts=st.lists(st.sampled_from(["plant ", "7", "x", "temperature of "]), min_size=1),
    others=st.lists(st.lists(st.sampled_from(["plant ", "7", "8", "x"]), max_size=12), min_size=1),
    most=st.integers(12, 30),
)
@settings(max_examples=500)
def test_different_names_look_different_and_fit(parts, others, most):
    names = ["".join(parts), *("".join(parts + other) for other in others)]
    short = shortened_apart(names, most)
    assert all(len(text) <= most for text in short)
    assert len(set(short)) == len(set(names))


@pytest.mark.parametrize("display", [ImportanceDisplay, SequenceDisplay, SummaryDisplay])
def test_pictures_tell_long_names_apart(display, explanation_of):
    players, shape = ("cell", (3, 4)) if display is SequenceDisplay else ("column", (4,))
    explanation = explanation_of(players, shape, feature_names=PLANT)
    drawn = display.from_explanation(explanation, ax=Figure((6, 4)).add_subplot())
    texts = [label.get_text() for label in drawn.ax_.get_yticklabels()]
    assert len(set(texts)) == 4


def test_conditions_keep_their_numbers_and_tell_the_players_apart(row_explanation):
    conditions = [[f"-0.2500 < {name} ≤ 1.7500" for name in PLANT]]
    row = row_explanation(4, feature_names=PLANT, method="LIME", conditions=conditions)
    drawn = LocalDisplay.from_explanation(row, ax=Figure((6, 4)).add_subplot())
    texts = [label.get_text() for label in drawn.ax_.get_yticklabels()]
    assert len(set(texts)) == 4
    assert all("0.2500 < " in text and text.endswith(" ≤ 1.7500") for text in texts)


@pytest.mark.parametrize(
    ("kind", "told"),
    [("attributions", "mean |SHAP value| for 'up'"), ("importances", "drop in up")],
)
@pytest.mark.parametrize("output", ["up", 1])
def test_an_axis_names_the_output_chosen_among_several(kind, told, output, explanation_of):
    explanation = explanation_of(kind=kind, output_names=("down", "up"))
    ax = Figure().add_subplot()
    assert ImportanceDisplay.from_explanation(explanation, output=output, ax=ax).measure == told
