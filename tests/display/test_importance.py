from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.linear_model import Ridge

from sklexplain import ImportanceDisplay, KernelSHAP, PermutationImportance


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
@pytest.mark.parametrize("kind", ["bar", "box"])
def test_nothing_leaves_the_figure_or_overlaps(explanation_of, size, n_players, name, kind):
    names = [f"{name} {i}" for i in range(n_players)]
    figure = Figure(figsize=size, layout="constrained")
    explanation = explanation_of(shape=(n_players,), feature_names=names)
    ImportanceDisplay.from_explanation(explanation, kind=kind, ax=figure.subplots(), title="Title")
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


def box_edges(box):
    """Return where a lying box begins and ends."""
    return box.get_x(), box.get_x() + box.get_width()


def test_boxes_hold_the_middle_half_of_the_repeats_and_a_diamond_their_mean(explanation_of, ax):
    explanation = explanation_of(shape=(6,), kind="importances")
    display = ImportanceDisplay.from_explanation(explanation, kind="box", ax=ax)
    drawn = explanation.values[:, display.shown_]
    assert_allclose(
        [box_edges(box) for box in display.boxes_["boxes"]],
        np.percentile(drawn, [25, 75], axis=0).T,
    )
    medians = [line.get_xdata()[0] for line in display.boxes_["medians"]]
    assert_allclose(medians, np.median(drawn, axis=0))
    means = [line.get_xdata()[0] for line in display.boxes_["means"]]
    assert_allclose(means, explanation.importances()[display.shown_])
    ends = [line.get_xdata()[0] for line in display.boxes_["caps"]]
    assert_allclose(np.reshape(ends, (-1, 2)), np.c_[drawn.min(axis=0), drawn.max(axis=0)])
    assert display.bars_ is None
    assert "7 repeats" in ax.get_xlabel()


def test_boxes_of_attributions_hold_the_sizes_that_bars_are_means_of(explanation_of, ax):
    explanation = explanation_of(shape=(6,), n_samples=50)
    display = ImportanceDisplay.from_explanation(explanation, kind="box", ax=ax)
    sizes = np.abs(explanation.values[:, display.shown_])
    ends = [line.get_xdata()[0] for line in display.boxes_["caps"]]
    assert_allclose(np.reshape(ends, (-1, 2)), np.percentile(sizes, [5, 95], axis=0).T)
    assert "50 rows" in ax.get_xlabel()
    bars = ImportanceDisplay.from_explanation(explanation, ax=Figure().subplots())
    assert display.shown_.tolist() == bars.shown_.tolist()


def test_the_order_is_that_of_shap(explanation_of, ax):
    shap = pytest.importorskip("shap")
    explanation = explanation_of(shape=(6,), n_samples=40)[:, [3, 0, 5, 1, 4, 2]]
    peer = shap.plots.bar(explanation.to_shap(), ax=ax, show=False)
    # shap writes the names at each place twice: as a value and in grey.
    theirs = [label.get_text() for label in peer.get_yticklabels()][: len(explanation.players)]
    display = ImportanceDisplay.from_explanation(explanation, ax=Figure().subplots())
    assert [display.names[player] for player in display.shown_] == theirs


@pytest.fixture(scope="module")
def table():
    from sklearn.datasets import load_diabetes

    return load_diabetes(return_X_y=True, as_frame=True)


def test_score_drops_of_a_fitted_explainer_are_those_it_measured(table, ax):
    explainer = PermutationImportance(Ridge(), cv=3, n_repeats=4, random_state=0).fit(*table)
    display = ImportanceDisplay.from_estimator(explainer, ax=ax)
    assert_allclose(widths(display), explainer.importances_[display.shown_])
    assert_allclose(half_lengths(display, 0), explainer.importances_std_[display.shown_])
    assert "12 repeats in 3 folds" in ax.get_xlabel()


def test_score_drops_on_other_rows_are_those_of_sklearn(table, ax):
    X, y = table
    explainer = PermutationImportance(Ridge(), n_repeats=3, random_state=0).fit(X[:300], y[:300])
    display = ImportanceDisplay.from_estimator(explainer, X[300:], y[300:], ax=ax)
    model = Ridge().fit(X[:300], y[:300])
    peer = permutation_importance(model, X[300:], y[300:], n_repeats=3, random_state=0)
    assert_allclose(display.importances, peer.importances_mean)
    assert_allclose(display.errors, peer.importances_std)


def test_attributions_of_a_linear_model_are_known(table):
    X, y = table
    explainer = KernelSHAP(Ridge(), background=X, random_state=0).fit(X, y)
    model = Ridge().fit(X, y)
    expected = np.abs(model.coef_ * (X - X.mean())).mean(axis=0)
    display = ImportanceDisplay.from_estimator(explainer, X, ax=Figure().subplots())
    assert_allclose(display.importances, expected, rtol=1e-3)
    kept = ImportanceDisplay.from_estimator(explainer, ax=Figure().subplots())
    assert_allclose(kept.importances, explainer.importances_)
    assert "training rows" in kept.ax_.get_xlabel()
    with pytest.raises(ValueError, match=r'kind="box" needs explained rows.*give X'):
        ImportanceDisplay.from_estimator(explainer, kind="box", ax=Figure().subplots())
    with pytest.raises(TypeError, match="KernelSHAP explains rows without y"):
        ImportanceDisplay.from_estimator(explainer, X, y, ax=Figure().subplots())


def test_what_cannot_be_drawn_is_refused(table, ax):
    with pytest.raises(TypeError, match=r"takes a fitted explainer.*got Ridge"):
        ImportanceDisplay.from_estimator(Ridge(), ax=ax)
    with pytest.raises(NotFittedError):
        ImportanceDisplay.from_estimator(PermutationImportance(Ridge()), ax=ax)
    explainer = PermutationImportance(Ridge(), n_repeats=1).fit(*table)
    with pytest.raises(ValueError, match="y is given without X"):
        ImportanceDisplay.from_estimator(explainer, y=table[1], ax=ax)
    with pytest.raises(ValueError, match="kind='pie' is not one of"):
        ImportanceDisplay.from_estimator(explainer, kind="pie", ax=ax)
    with pytest.raises(ValueError, match='kind="box" needs draws'):
        ImportanceDisplay([1.0], ["a"]).plot(ax, kind="box")
    with pytest.raises(ValueError, match=r"draws has shape \(3, 1\); expected \(n_draws, 2\)"):
        ImportanceDisplay([1.0, 2.0], ["a", "b"], draws=np.ones((3, 1)))
    with pytest.raises(ValueError, match="has no rows"):
        ImportanceDisplay.from_explanation(explainer.explanation_[:0], ax=ax)


@pytest.mark.parametrize("kind", ["bar", "box"])
@pytest.mark.parametrize(("n_players", "length"), [(3, 1), (80, 5)])
def test_pictures_equal_their_references(
    explanation_of, matches_reference, kind, n_players, length
):
    names = [f"{'a rather long name ' * (length // 5)}x{i}" for i in range(n_players)]
    explanation = explanation_of(shape=(n_players,), kind="importances", feature_names=names)

    def draw(ax):
        ImportanceDisplay.from_explanation(explanation, kind=kind, title="Score drops", ax=ax)

    matches_reference(f"importance_{kind}_{n_players}", draw)


def test_boxes_of_time_steps_equal_their_reference(explanation_of, matches_reference):
    explanation = explanation_of("timestep", (20, 3), kind="importances")
    matches_reference(
        "importance_box_timestep",
        lambda ax: ImportanceDisplay.from_explanation(explanation, kind="box", ax=ax),
    )
