import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression

from sklexplain import ForceDisplay, KernelSHAP, PermutationImportance

from .images import check_picture


def sizes(display):
    return [abs(float(text.get_text().rpartition("(")[2][:-1].replace("−", "-")))
            for text in display.texts_]  # fmt: skip


@pytest.mark.parametrize(("n_players", "max_display"), [(3, None), (80, None), (80, 4)])
def test_the_pushes_meet_at_the_prediction(row_explanation, ax, n_players, max_display):
    explanation = row_explanation(n_players)
    display = ForceDisplay.from_explanation(explanation, ax=ax, max_display=max_display)
    values = explanation.values[0]
    corners = np.concatenate([piece.get_xy() for piece in display.pieces_])
    prediction = explanation.predictions[0]
    # The outer ends: what pushes up lies left of the prediction, what pushes down right of it.
    assert_allclose(corners[:, 0].min(), prediction - values[values > 0].sum())
    assert_allclose(corners[:, 0].max(), prediction - values[values < 0].sum())
    assert_allclose(display.base_line_.get_xdata(), explanation.base_values[0])
    assert_allclose(display.prediction_line_.get_xdata(), prediction)


def test_pieces_are_as_long_as_their_values(row_explanation, ax):
    explanation = row_explanation(6)
    display = ForceDisplay.from_explanation(explanation, ax=ax)
    values = explanation.values[0]
    order = [*(i for i in display.shown_ if values[i] > 0),
             *(i for i in display.shown_ if values[i] < 0)]  # fmt: skip
    inner = [piece.get_xy()[1, 0] for piece in display.pieces_]
    ups = [i for i in order if values[i] > 0]
    expected = explanation.predictions[0] - np.append(0, np.cumsum(values[ups]))[:-1]
    assert_allclose(inner[: len(ups)], expected)
    labels = [text.get_text().rpartition(" (")[0] for text in display.texts_]
    assert labels == [display.labels[i] for i in order]
    assert_allclose(sizes(display), np.abs(values[order]), rtol=0.01)


def test_the_others_are_added_up_in_each_direction(row_explanation, ax):
    explanation = row_explanation(80)
    display = ForceDisplay.from_explanation(explanation, ax=ax, max_display=4)
    values = explanation.values[0]
    others = values[np.argsort(-np.abs(values))[4:]]
    told = [text.get_text() for text in display.texts_ if "others" in text.get_text()]
    assert told == [
        f"{(others > 0).sum()} others ({others[others > 0].sum():+.1f})",
        f"{(others < 0).sum()} others (−{-others[others < 0].sum():.1f})",
    ]
    assert_array_equal(display.shown_, np.argsort(-np.abs(values))[:4])


def test_what_the_values_leave_is_a_piece_of_its_own(row_explanation, ax):
    explanation = row_explanation(3, gap=-0.7)
    display = ForceDisplay.from_explanation(explanation, ax=ax)
    assert display.texts_[-1].get_text() == "not explained (−0.700)"
    values = explanation.values[0]
    expected = explanation.predictions[0] - values[values < 0].sum() + 0.7
    assert_allclose(display.pieces_[-1].get_xy()[:, 0].max(), expected)


def test_a_fitted_explainer_is_asked_for_the_rows(ax):
    X = np.random.default_rng(0).normal(size=(50, 3))
    y = X @ [3.0, -2.0, 1.0]
    explainer = KernelSHAP(LinearRegression(), background=X).fit(X, y)
    display = ForceDisplay.from_estimator(explainer, X[:5], sample=-1, ax=ax)
    assert_allclose(display.values, (X[4] - X.mean(axis=0)) * [3, -2, 1], atol=1e-8)
    drops = PermutationImportance(LinearRegression(), n_repeats=2).fit(X, y)
    with pytest.raises(ValueError, match="PermutationImportance belong to no single row"):
        ForceDisplay.from_estimator(drops, X[:1], ax=ax)


def test_what_cannot_be_drawn_is_named(explanation_of, row_explanation, ax):
    with pytest.raises(ValueError, match="ForceDisplay draws one row, but the score drops"):
        ForceDisplay.from_explanation(explanation_of(kind="importances"), ax=ax)
    with pytest.raises(ValueError, match="7 explained rows; choose one with sample=0 … sample=6"):
        ForceDisplay.from_explanation(explanation_of(), ax=ax)
    with pytest.raises(ValueError, match="max_display=0 must be at least 1"):
        ForceDisplay.from_explanation(row_explanation(), max_display=0, ax=ax)
    with pytest.raises(ValueError, match="labels has length 1, but there are 2 values"):
        ForceDisplay([1.0, 2.0], ["a"], base_value=0, prediction=3)


def test_a_row_that_nothing_pushes_can_be_drawn(ax):
    display = ForceDisplay([0.0, 0.0], ["a", "b"], base_value=2, prediction=2).plot(ax)
    ax.figure.draw_without_rendering()
    assert display.pieces_ == []


@pytest.mark.parametrize("size", [(6, 4), (10, 7)])
@pytest.mark.parametrize("sign", [None, 1, -1])
@pytest.mark.parametrize(
    ("n_players", "name", "base"),
    [(3, "x", 0.0), (80, "a column with a rather long name", 412.3), (12, "$^", -5e6)],
)
def test_nothing_leaves_the_figure_or_overlaps(row_explanation, size, n_players, name, base, sign):
    figure = Figure(figsize=size, layout="constrained")
    names = [f"{name} {i}" for i in range(n_players)]
    explanation = row_explanation(n_players, feature_names=names, base=base, scale=abs(base) or 1)
    if sign:
        values = sign * np.abs(explanation.values)
        explanation.values[:] = values
        explanation.predictions[:] = base + values.sum()
    ax = figure.subplots()
    display = ForceDisplay.from_explanation(explanation, ax=ax, title="Title $^")
    figure.draw_without_rendering()
    assert figure.bbox.padded(1).contains(*ax.get_tightbbox().p0)
    assert figure.bbox.padded(1).contains(*ax.get_tightbbox().p1)
    texts = [text.get_window_extent() for text in ax.findobj(Annotation)]
    assert len(texts) == len(display.pieces_) + 2
    pieces = [piece.get_window_extent() for piece in display.pieces_]
    leaders = [
        line.get_window_extent()
        for line in ax.lines
        if line not in (display.base_line_, display.prediction_line_)
    ]
    for place, text in enumerate(texts):
        assert not any(text.overlaps(other) for other in [*texts[place + 1 :], *pieces, *leaders])


@pytest.mark.parametrize("n_players", [3, 80])
def test_reference_image(row_explanation, tmp_path, n_players):
    names = [f"a rather long name, number {i}" for i in range(n_players)]
    explanation = row_explanation(n_players, feature_names=names, gap=-0.5)
    check_picture(
        f"force_{n_players}",
        lambda ax: ForceDisplay.from_explanation(explanation, ax=ax, unit="dollars"),
        tmp_path,
    )
