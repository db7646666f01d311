from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.testing import assert_allclose, assert_array_equal

from sklexplain import KernelSHAP, PermutationImportance, SequenceDisplay

from .images import check_picture


@pytest.mark.parametrize("kind", ["attributions", "importances"])
def test_colours_are_the_importances_of_the_cells(explanation_of, ax, kind):
    explanation = explanation_of("cell", (5, 3), kind=kind)
    display = SequenceDisplay.from_explanation(explanation, ax=ax)
    expected = explanation.importances().reshape(5, 3).T
    assert_allclose(display.mesh_.get_array(), expected)
    assert display.ax_.yaxis_inverted()


def test_one_row_keeps_its_signs_and_draws_its_own_series(explanation_of, ax):
    explanation = explanation_of("cell", (5, 3), feature_names=["a", "b", "c"])
    display = SequenceDisplay.from_explanation(explanation, sample=2, series="b", ax=ax)
    assert_allclose(display.mesh_.get_array(), explanation.values[2].reshape(5, 3).T)
    assert_allclose(display.line_.get_ydata(), explanation.data[2, :, 1])
    assert display.series_ax_.get_title(loc="left") == "b"


def test_colour_means_sign(explanation_of, ax):
    display = SequenceDisplay.from_explanation(explanation_of("cell", (5, 3)), sample=0, ax=ax)
    low, high = display.mesh_.get_clim()
    assert low == -high
    assert high == np.abs(display.cell_values).max()


def test_larger_players_colour_all_of_their_cells(explanation_of, ax):
    explanation = explanation_of("feature", (5, 3))
    display = SequenceDisplay.from_explanation(explanation, ax=ax)
    assert_allclose(display.mesh_.get_array(), np.tile(explanation.importances(), (5, 1)).T)


def test_cells_of_no_player_stay_empty(explanation_of, ax):
    explanation = explanation_of("cell", (2, 2))[:, ["x0[t-1]", "x1[t]"]]
    display = SequenceDisplay.from_explanation(explanation, ax=ax)
    assert_array_equal(np.ma.getmaskarray(display.mesh_.get_array()) | np.isnan(
        np.ma.filled(display.mesh_.get_array(), np.nan)
    ), [[False, True], [True, False]])  # fmt: skip


def test_the_series_is_the_median_of_the_given_windows(explanation_of, ax):
    explanation = explanation_of("cell", (5, 3), kind="importances")
    windows = np.random.default_rng(1).normal(size=(30, 5, 3))
    display = SequenceDisplay.from_explanation(explanation, data=windows, series=0, ax=ax)
    assert_allclose(display.line_.get_ydata(), np.median(windows[:, :, 0], axis=0))
    without = SequenceDisplay.from_explanation(explanation, ax=Figure().subplots())
    assert without.series_ax_ is None


def test_max_display_keeps_the_strongest_features_in_their_order(explanation_of, ax):
    explanation = explanation_of("cell", (4, 80))
    display = SequenceDisplay.from_explanation(explanation, max_display=6, ax=ax)
    strength = explanation.importances().reshape(4, 80).max(axis=0)
    assert_array_equal(display.shown_, np.sort(np.argsort(-strength)[:6]))
    assert "74 features with weaker colours not shown" in display.ax_.get_xlabel()


@pytest.mark.parametrize("size", [(6, 4), (10, 6)])
@pytest.mark.parametrize(("n", "name"), [(3, "x"), (80, "a column with a rather long name")])
def test_nothing_leaves_the_figure_or_overlaps(explanation_of, size, n, name):
    figure = Figure(figsize=size, layout="constrained")
    names = [f"{name} {i}" for i in range(n)]
    explanation = explanation_of("cell", (n, n), n_samples=3, feature_names=names)
    frame = figure.subplots()
    display = SequenceDisplay.from_explanation(explanation, ax=frame, title="Title")
    figure.draw_without_rendering()
    assert figure.bbox.padded(1).contains(*frame.get_tightbbox().p0)
    assert figure.bbox.padded(1).contains(*frame.get_tightbbox().p1)
    for labels in (display.ax_.get_yticklabels(), display.ax_.get_xticklabels()):
        boxes = [label.get_window_extent() for label in labels]
        assert not any(a.overlaps(b) for a, b in pairwise(boxes))
    titles = [
        next(text for text in axes.findobj(Text) if text.get_text() == axes.get_title(loc="left"))
        for axes in (frame, display.series_ax_)
    ]
    assert not titles[0].get_window_extent().overlaps(titles[1].get_window_extent())


def test_what_cannot_be_drawn_is_named(explanation_of, ax):
    with pytest.raises(ValueError, match=r"shape \(4,\); use ImportanceDisplay for tables"):
        SequenceDisplay.from_explanation(explanation_of(), ax=ax)
    drops = explanation_of("cell", (5, 3), kind="importances")
    with pytest.raises(ValueError, match="sample=1, but score drops belong to no single row"):
        SequenceDisplay.from_explanation(drops, sample=1, ax=ax)
    with pytest.raises(ValueError, match=r"windows of shape \(4, 3\), but \(5, 3\)"):
        SequenceDisplay.from_explanation(drops, data=np.zeros((2, 4, 3)), ax=ax)
    with pytest.raises(ValueError, match="series='y' is not a feature"):
        SequenceDisplay.from_explanation(drops, series="y", ax=ax)
    with pytest.raises(ValueError, match="series=3 is out of range"):
        SequenceDisplay.from_explanation(drops, series=3, ax=ax)
    with pytest.raises(ValueError, match="one column a feature name"):
        SequenceDisplay(np.zeros((5, 3)), ["a"])
    with pytest.raises(ValueError, match="series has 4 time steps, but cell_values has 5"):
        SequenceDisplay(np.zeros((5, 1)), ["a"], series=np.zeros((2, 4)))


def test_logarithmic_colours_show_small_cells_and_say_so(ax):
    values = np.array([[0.01, -0.03], [0.1, -1.0]])
    linear = SequenceDisplay(values, ["a", "b"]).plot(ax)
    assert "logarithmic" not in linear.colorbar_.ax.get_ylabel()
    display = SequenceDisplay(values, ["a", "b"], scale="log").plot(Figure().subplots())
    place = display.mesh_.norm(values.T)
    # An inverse hyperbolic sine, from -1 to 1 in size, as the colour map's places from 0 to 1.
    expected = 0.5 + 0.5 * np.arcsinh(30 * values.T) / np.arcsinh(30)
    assert_allclose(place, expected)
    assert_allclose(display.mesh_.get_array(), values.T)
    assert display.colorbar_.ax.get_ylabel().endswith("\n(logarithmic colours)")
    assert_allclose(display.colorbar_.get_ticks(), [-3, -1, -0.3, -0.1, 0, 0.1, 0.3, 1, 3])
    with pytest.raises(ValueError, match=r"scale='sqrt' must be one of \('linear', 'log'\)"):
        SequenceDisplay(values, ["a", "b"], scale="sqrt")


@pytest.mark.parametrize("largest", [1e-7, 0.099, 1.0, 1.99, 2.01, 9.9, 3e8])
def test_labels_of_logarithmic_colours_do_not_overlap(largest):
    figure = Figure(figsize=(6, 4), layout="constrained")
    values = largest * np.array([[1.0, -1.0], [0.1, -0.1]])
    display = SequenceDisplay(values, ["a", "b"], series=[1, 2], scale="log").plot(
        figure.subplots()
    )
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in display.colorbar_.ax.get_yticklabels()]
    assert len(boxes) >= 3
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_a_fitted_explainer_is_asked_for_the_windows(ax):
    X = np.random.default_rng(0).normal(size=(40, 3, 2))
    shap = KernelSHAP(lambda X: 2 * X[:, 2, 0] - X[:, 1, 1], players="cell", background=X).fit(X)
    display = SequenceDisplay.from_estimator(shap, X[:5], sample=4, ax=ax)
    expected = np.zeros((3, 2))
    expected[2, 0] = 2 * (X[4, 2, 0] - X[:, 2, 0].mean())
    expected[1, 1] = -(X[4, 1, 1] - X[:, 1, 1].mean())
    assert_allclose(display.cell_values, expected, atol=1e-8)
    assert_allclose(display.line_.get_ydata(), X[4, :, np.abs(expected).max(axis=0).argmax()])
    with pytest.raises(ValueError, match="sample=5 is out of range: there are 5 explained rows"):
        SequenceDisplay.from_estimator(shap, X[:5], sample=5, ax=ax)
    with pytest.raises(ValueError, match="X=None, but KernelSHAP needs windows to explain"):
        SequenceDisplay.from_estimator(shap, ax=ax)
    with pytest.raises(TypeError, match="takes a fitted explainer such as"):
        SequenceDisplay.from_estimator("shap", X, ax=ax)


def test_permutation_importance_gives_what_its_fit_found(ax):
    X = np.random.default_rng(0).normal(size=(40, 3, 2))
    drops = PermutationImportance(lambda X: X[:, 2, 0], players="cell", random_state=0)
    drops.fit(X, X[:, 2, 0])
    display = SequenceDisplay.from_estimator(drops, X, ax=ax)
    assert_allclose(display.cell_values, drops.importances_.reshape(3, 2))
    assert_allclose(display.line_.get_ydata(), np.median(X[:, :, 0], axis=0))
    without = SequenceDisplay.from_estimator(drops, ax=Figure().subplots())
    assert without.series_ax_ is None


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("n", [3, 80])
def test_reference_image(explanation_of, tmp_path, n, scale):
    names = [f"a rather long name, number {i}" for i in range(n)]
    explanation = explanation_of("cell", (20, n), n_samples=2, feature_names=names)
    values = explanation.values.reshape(2, 20, n)
    values *= np.exp(-0.4 * np.arange(20))[::-1, None]
    check_picture(
        f"sequence_{scale}_{n}",
        lambda ax: SequenceDisplay.from_explanation(
            explanation, sample=0, ax=ax, scale=scale, unit="dollars", title="One window"
        ),
        tmp_path,
    )


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_zeros_only_can_be_drawn(ax, scale):
    display = SequenceDisplay(np.zeros((4, 2)), ["a", "b"], scale=scale).plot(ax)
    ax.figure.draw_without_rendering()
    assert np.all(np.asarray(display.mesh_.get_array()) == 0)
