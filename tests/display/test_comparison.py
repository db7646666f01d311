from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression

from sklexplain import ComparisonDisplay, KernelSHAP, PermutationImportance

from .images import check_picture


@pytest.fixture
def methods(explanation_of):
    """Make explanations by several methods that agree only partly."""

    def make(n_methods=3, **params):
        made = {}
        for place in range(n_methods):
            one = explanation_of(**params)
            rng = np.random.default_rng(place)
            made[f"method {place}"] = replace(one, values=rng.normal(size=one.shape) + one.values)
        return made

    return make


def test_bars_are_shares_of_each_methods_sum(methods, explanation_of, ax):
    explanations = methods(2) | {"drops": explanation_of(kind="importances")}
    display = ComparisonDisplay.from_explanation(explanations, ax=ax)
    for name, explanation in explanations.items():
        sizes = explanation.importances()
        widths = [bar.get_width() for bar in display.bars_[name]]
        assert_allclose(widths, (sizes / np.abs(sizes).sum())[display.shown_])
    assert min(display.shares_["drops"]) < 0
    assert "share of\neach method's sum" in display.ax_.get_xlabel()


def test_correlations_equal_scipys(methods, ax):
    explanations = methods(4, shape=(9,))
    display = ComparisonDisplay.from_explanation(explanations, ax=ax)
    importances = np.stack([one.importances() for one in explanations.values()])
    expected = spearmanr(importances, axis=1).statistic
    assert_allclose(display.correlations_, expected)
    assert_allclose(display.mesh_.get_array(), expected)
    texts = [float(text.get_text().replace("−", "-")) for text in display.texts_]
    assert_allclose(np.reshape(texts, (4, 4)), expected, atol=0.005)


def test_correlations_of_permuted_ranks_are_spearmans_formula(ax):
    ranks = np.array([[1, 2, 3, 4, 5], [2, 1, 4, 3, 5], [5, 4, 3, 2, 1]], dtype=float)
    display = ComparisonDisplay(dict(zip("abc", ranks, strict=True)), "vwxyz").plot(ax)
    squares = ((ranks[:, None] - ranks) ** 2).sum(axis=2)
    assert_allclose(display.correlations_, 1 - 6 * squares / (5 * 24))
    shown = [text.get_text() for text in display.texts_]
    assert shown == ["1", ".80", "−1", ".80", "1", "−.80", "−1", "−.80", "1"]


def test_a_method_that_ranks_nothing_correlates_with_nothing(ax):
    display = ComparisonDisplay({"a": [1, 2, 3], "b": [0, 0, 0]}, "xyz").plot(ax)
    assert [text.get_text() for text in display.texts_] == ["1", "–", "–", "–"]
    assert_allclose(display.shares_["b"], 0)
    one_player = ComparisonDisplay({"a": [1], "b": [2]}, "x").plot(Figure().subplots())
    assert np.isnan(one_player.correlations_).all()


def test_rows_of_the_heat_map_name_the_bars_colours(methods, ax):
    display = ComparisonDisplay.from_explanation(methods(3), ax=ax)
    names = [label.get_text() for label in display.matrix_ax_.get_yticklabels()]
    assert names == list(display.bars_)
    marks = [patch.get_facecolor() for patch in display.matrix_ax_.patches]
    bars = [bars[0].get_facecolor() for bars in display.bars_.values()]
    assert marks == [color for color in bars for _ in range(2)]
    assert len(set(bars)) == 3


def test_a_list_is_named_by_its_methods(methods, ax):
    listed = list(methods(3).values())
    listed[1] = replace(listed[1], method="LIME")
    display = ComparisonDisplay.from_explanation(listed, ax=ax)
    assert list(display.bars_) == ["KernelSHAP", "LIME", "KernelSHAP (2)"]


def test_max_display_keeps_the_largest_mean_shares(methods, ax):
    explanations = methods(3, shape=(80,))
    display = ComparisonDisplay.from_explanation(explanations, max_display=6, ax=ax)
    mean = np.mean([np.abs(shares) for shares in display.shares_.values()], axis=0)
    assert_array_equal(display.shown_, np.argsort(-mean)[:6])
    assert "74 smaller ones not shown" in display.ax_.get_xlabel()


def test_time_steps_stay_in_order(methods, ax):
    explanations = methods(2, players="timestep", shape=(9, 2))
    display = ComparisonDisplay.from_explanation(explanations, max_display=4, ax=ax)
    assert np.all(np.diff(display.shown_) > 0)


def test_outputs_are_chosen_for_all_or_by_name(methods, ax):
    classes = methods(2, output_names=("down", "up"))
    display = ComparisonDisplay.from_explanation(classes, output="up", ax=ax)
    expected = classes["method 0"].importances()[:, 1]
    assert_allclose(display.importances["method 0"], expected)
    display = ComparisonDisplay.from_explanation(
        classes, output={"method 0": "up", "method 1": 0}, ax=Figure().subplots()
    )
    assert_allclose(display.importances["method 1"], classes["method 1"].importances()[:, 0])
    with pytest.raises(ValueError, match="2 outputs; choose one with output"):
        ComparisonDisplay.from_explanation(classes, ax=ax)
    with pytest.raises(ValueError, match=r"output names \['LIME'\], but the explanations are"):
        ComparisonDisplay.from_explanation(classes, output={"LIME": "up"}, ax=ax)


def test_fitted_explainers_explain_the_same_rows(ax):
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = X @ [3.0, -2.0, 1.0]
    shap = KernelSHAP(LinearRegression(), background=X).fit(X, y)
    drops = PermutationImportance(LinearRegression(), random_state=0).fit(X, y)
    display = ComparisonDisplay.from_estimator({"SHAP": shap, "drops": drops}, X[:20], ax=ax)
    expected = np.abs((X[:20] - X.mean(axis=0)) * [3, -2, 1]).mean(axis=0)
    assert_allclose(display.importances["SHAP"], expected, rtol=1e-6)
    assert_allclose(display.importances["drops"], drops.importances_)
    with pytest.raises(TypeError, match=r"takes fitted explainers.*got LinearRegression"):
        ComparisonDisplay.from_estimator([shap, LinearRegression()], X, ax=ax)


def test_what_cannot_be_compared_is_named(methods, explanation_of, ax):
    one = explanation_of()
    with pytest.raises(
        TypeError, match="got a single Explanation; draw one with ImportanceDisplay"
    ):
        ComparisonDisplay.from_explanation(one, ax=ax)
    with pytest.raises(ValueError, match="compares 2 to 8 methods, got 1"):
        ComparisonDisplay.from_explanation([one], ax=ax)
    with pytest.raises(ValueError, match="compares 2 to 8 methods, got 9"):
        ComparisonDisplay.from_explanation(methods(9), ax=ax)
    with pytest.raises(TypeError, match="'ndarray' is a ndarray; give explanations"):
        ComparisonDisplay.from_explanation([one, np.zeros(3)], ax=ax)
    other = explanation_of(feature_names=["a", "b", "c", "d"])
    with pytest.raises(ValueError, match=r"'b' has other players than 'a'.*aggregate"):
        ComparisonDisplay.from_explanation({"a": one, "b": other}, ax=ax)
    with pytest.raises(ValueError, match=r"importances\['b'\] has shape \(1,\), but there are 2"):
        ComparisonDisplay({"a": [1, 2], "b": [1]}, ["x", "y"])
    with pytest.raises(ValueError, match="max_display=0 must be at least 1"):
        ComparisonDisplay.from_explanation([one, one], max_display=0, ax=ax)


@pytest.mark.parametrize("size", [(6, 4), (10, 7)])
@pytest.mark.parametrize("n_methods", [2, 4, 8])
@pytest.mark.parametrize(
    ("n_players", "name"), [(3, "x"), (80, "a column with a rather long name"), (12, "$^")]
)
def test_nothing_leaves_the_figure_or_overlaps(methods, size, n_methods, n_players, name):
    figure = Figure(figsize=size, layout="constrained")
    names = [f"{name} {i}" for i in range(n_players)]
    frame = figure.subplots()
    explanations = methods(n_methods, shape=(n_players,), feature_names=names)
    explanations["PermutationImportance"] = explanations.pop("method 0")
    display = ComparisonDisplay.from_explanation(explanations, ax=frame, title="Title $^")
    figure.draw_without_rendering()
    assert figure.bbox.padded(1).contains(*frame.get_tightbbox().p0)
    assert figure.bbox.padded(1).contains(*frame.get_tightbbox().p1)
    axes = display.ax_, display.matrix_ax_
    bars = [axes[0], axes[0].xaxis.label, *axes[0].get_xticklabels()]
    matrix = axes[1].get_tightbbox()
    assert not any(part.get_window_extent().overlaps(matrix) for part in bars)
    for labels in (*(one.get_yticklabels() for one in axes), display.ax_.get_xticklabels()):
        boxes = [label.get_window_extent() for label in labels]
        assert not any(a.overlaps(b) for a, b in pairwise(boxes))
    boxes = [text.get_window_extent() for text in display.texts_]
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


@pytest.mark.parametrize("n_players", [3, 80])
def test_reference_image(methods, tmp_path, n_players):
    names = [f"a rather long name, number {i}" for i in range(n_players)]
    explanations = methods(n_players // 20 or 2, shape=(n_players,), feature_names=names)
    check_picture(
        f"comparison_{n_players}",
        lambda ax: ComparisonDisplay.from_explanation(explanations, ax=ax),
        tmp_path,
    )
