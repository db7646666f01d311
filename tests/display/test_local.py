from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

from sklexplain import LIME, LocalDisplay, PermutationImportance

from .images import check_picture

X = np.random.default_rng(0).normal(size=(300, 5))


def model(X):
    return 3 * X[:, 0] - 2 * X[:, 1] * X[:, 2] + 0.5 * X[:, 3]


def lime(**params):
    return LIME(model, n_samples=400, random_state=0, **params).fit(X)


def tick_texts(ax):
    return [label.get_text() for label in ax.get_yticklabels()]


def test_it_shows_what_lime_lists(ax):
    explainer = lime()
    display = LocalDisplay.from_estimator(explainer, X[:3], sample=1, ax=ax)
    expected = explainer.as_list(X[1])
    assert tick_texts(ax) == [condition for condition, _ in expected]
    assert_allclose([bar.get_width() for bar in display.bars_], [weight for _, weight in expected])


def test_whiskers_are_standard_errors(ax):
    explanation = lime().explain(X[:1])
    display = LocalDisplay.from_explanation(explanation, ax=ax)
    (lines,) = display.errorbar_.lines[2]
    lengths = [np.ptp(segment[:, 0]) / 2 for segment in lines.get_segments()]
    assert_allclose(lengths, explanation.std_errors[0, display.shown_])
    assert "whiskers: standard error" in ax.get_xlabel()


def test_the_note_tells_how_far_the_linear_story_goes(ax):
    explanation = lime().explain(X[:1])
    LocalDisplay.from_explanation(explanation, ax=ax)
    note = ax.get_xlabel().replace("−", "-")
    assert f"prediction {explanation.predictions[0]:.4g}, linear model" in note
    assert f"{explanation.diagnostics['surrogate_predictions'][0]:.4g}" in note
    assert f"intercept {explanation.base_values[0]:.4g}" in note
    assert f"local R² {explanation.diagnostics['local_r2'][0]:.2f}" in note


def test_players_that_were_not_selected_are_left_out(ax):
    display = LocalDisplay.from_estimator(lime(n_features=2), X[:1], ax=ax)
    assert len(display.bars_) == 2
    assert "3 with weight 0 not shown" in ax.get_xlabel()


def test_slopes_are_called_so_and_stand_beside_the_values(ax):
    explanation = lime(discretizer=None).explain(X[:1])
    LocalDisplay.from_explanation(explanation, ax=ax, unit="dollars")
    assert ax.get_xlabel().startswith("slope for one standard deviation, dollars\n")
    assert f"x0 = {X[0, 0]:.4g}" in tick_texts(ax)


def test_other_methods_show_names_and_values(row_explanation, ax):
    explanation = row_explanation()
    display = LocalDisplay.from_explanation(explanation, ax=ax)
    assert display.errorbar_ is None
    expected = {f"x{i} = {value:.4g}" for i, value in enumerate(explanation.data[0])}
    assert {text.replace("−", "-") for text in tick_texts(ax)} == expected
    assert ax.get_xlabel() == (
        f"SHAP value\nprediction {explanation.predictions[0]:.4g}, base value 1.5"
    )


def test_max_display_keeps_the_largest_in_size(row_explanation, ax):
    explanation = row_explanation(80)
    display = LocalDisplay.from_explanation(explanation, max_display=5, ax=ax)
    assert_array_equal(display.shown_, np.argsort(-np.abs(explanation.values[0]))[:5])
    assert "75 smaller ones not shown" in ax.get_xlabel()


def test_what_cannot_be_drawn_is_named(explanation_of, row_explanation, ax):
    with pytest.raises(ValueError, match="LocalDisplay draws one row, but the score drops"):
        LocalDisplay.from_explanation(explanation_of(kind="importances"), ax=ax)
    drops = PermutationImportance(model, n_repeats=2).fit(X, model(X))
    with pytest.raises(ValueError, match="LocalDisplay draws one row, but the score drops"):
        LocalDisplay.from_estimator(drops, X, ax=ax)
    with pytest.raises(ValueError, match="7 explained rows; choose one with sample=0 … sample=6"):
        LocalDisplay.from_explanation(explanation_of(), ax=ax)
    with pytest.raises(ValueError, match="max_display=0 must be at least 1"):
        LocalDisplay.from_explanation(row_explanation(), max_display=0, ax=ax)
    with pytest.raises(ValueError, match="errors has length 1, but there are 2 weights"):
        LocalDisplay([1.0, 2.0], ["a", "b"], errors=[0.1])


def test_zeros_only_can_be_drawn(ax):
    display = LocalDisplay([0.0, 0.0], ["a", "b"]).plot(ax)
    ax.figure.draw_without_rendering()
    assert len(display.bars_) == 1


@pytest.mark.parametrize("size", [(6, 4), (10, 7)])
@pytest.mark.parametrize(
    ("n_players", "name", "scale"),
    [(3, "x", 1.0), (80, "a column with a rather long name", 5e6), (12, "$^", 1e-4)],
)
def test_nothing_leaves_the_figure_or_overlaps(row_explanation, size, n_players, name, scale):
    figure = Figure(figsize=size, layout="constrained")
    names = [f"{name} {i}" for i in range(n_players)]
    explanation = row_explanation(
        n_players,
        feature_names=names,
        scale=scale,
        base=-scale,
        method="LIME",
        std_errors=np.full((1, n_players), scale / 3),
        conditions=np.array([[f"-123456.7 < {name} ≤ 765432.1" for name in names]]),
        diagnostics={"local_r2": np.array([0.5]), "surrogate_predictions": np.array([-scale])},
    )
    ax = figure.subplots()
    LocalDisplay.from_explanation(explanation, ax=ax, title="Title $^", unit="dollars")
    figure.draw_without_rendering()
    assert figure.bbox.padded(1).contains(*ax.get_tightbbox().p0)
    assert figure.bbox.padded(1).contains(*ax.get_tightbbox().p1)
    for labels in (ax.get_yticklabels(), ax.get_xticklabels()):
        boxes = [label.get_window_extent() for label in labels]
        assert not any(a.overlaps(b) for a, b in pairwise(boxes))


@pytest.mark.parametrize("n_players", [3, 80])
def test_reference_image(row_explanation, tmp_path, n_players):
    names = [f"a rather long name, number {i}" for i in range(n_players)]
    explanation = row_explanation(
        n_players,
        feature_names=names,
        method="LIME",
        std_errors=np.linspace(0.05, 0.4, n_players)[None],
        conditions=np.array([[f"0.5 < {name} ≤ 1.5" for name in names]]),
        diagnostics={"local_r2": np.array([0.83])},
    )
    check_picture(
        f"local_{n_players}",
        lambda ax: LocalDisplay.from_explanation(explanation, ax=ax, unit="dollars"),
        tmp_path,
    )
