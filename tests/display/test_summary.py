from dataclasses import replace
from itertools import pairwise
from time import process_time

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge

from sklexplain import KernelSHAP, PermutationImportance, SummaryDisplay


def places(points):
    return np.asarray(points.get_offsets())


def names_shown(ax):
    ax.figure.draw_without_rendering()
    return [label.get_text() for label in ax.get_yticklabels()]


def test_points_lie_at_the_attributions_in_the_rows_of_their_players(explanation_of, ax):
    explanation = explanation_of(shape=(6,), n_samples=40)
    display = SummaryDisplay.from_explanation(explanation, ax=ax)
    for row, (player, points) in enumerate(zip(display.shown_, display.points_, strict=True)):
        assert_allclose(places(points)[:, 0], explanation.values[display.rows_, player])
        assert np.all(np.abs(places(points)[:, 1] - row) <= 0.4 + 1e-12)
    assert names_shown(ax) == [explanation.players.names[player] for player in display.shown_]


def test_the_order_is_that_of_shap(explanation_of, ax):
    shap = pytest.importorskip("shap")
    explanation = explanation_of(shape=(6,), n_samples=40)[:, [3, 0, 5, 1, 4, 2]]
    peer = shap.plots.beeswarm(
        explanation.to_shap(), ax=Figure().subplots(), show=False, color_bar=False, plot_size=None
    )
    theirs = [label.get_text() for label in peer.get_yticklabels()]
    SummaryDisplay.from_explanation(explanation, ax=ax)
    assert names_shown(ax) == theirs[::-1]


def test_colours_go_from_low_to_high_and_missing_values_are_grey(explanation_of, ax):
    explanation = explanation_of(shape=(2,), n_samples=101)
    data = explanation.data.copy()
    data[:, 0] = np.arange(101.0)
    data[7, 0] = np.nan
    display = SummaryDisplay.from_explanation(replace(explanation, data=data), ax=ax)
    points = display.points_[display.shown_.tolist().index(0)]
    order = np.argsort(display.rows_)
    shares = np.ma.filled(points.get_array(), np.nan)[order]
    assert np.isnan(shares[7])
    assert shares[0] == 0
    assert shares[-1] == 1
    rising = np.delete(shares, 7)
    assert np.all(np.diff(rising) >= 0)
    ax.figure.draw_without_rendering()
    colors = points.get_facecolors()[order]
    assert np.ptp(colors[7, :3]) < 0.06
    assert np.ptp(colors[0, :3]) > 0.3
    assert "grey: missing" in ax.get_xlabel()


def test_text_stays_grey_and_without_any_number_there_is_no_colorbar(explanation_of, ax):
    explanation = explanation_of(shape=(2,))
    codes = np.tile([0.0, 1.0], (7, 1))
    text = replace(explanation, data=codes, categories={0: ("a", "b"), 1: ("c", "d")})
    display = SummaryDisplay.from_explanation(text, ax=ax)
    assert display.colorbar_ is None
    assert all(np.ma.getmaskarray(points.get_array()).all() for points in display.points_)
    one = replace(explanation, categories={0: ("a", "b")})
    assert SummaryDisplay.from_explanation(one, ax=Figure().subplots()).colorbar_ is not None
    objects = np.array([["a", 1.0]] * 7, dtype=object)
    display = SummaryDisplay.from_explanation(
        replace(explanation, data=objects), ax=Figure().subplots()
    )
    assert np.isnan(display.data[:, 0]).all()
    assert_array_equal(display.data[:, 1], 1)


def test_windows_show_the_mean_of_a_players_cells_and_say_so(explanation_of, ax):
    explanation = explanation_of("feature", (5, 3), n_samples=20)
    display = SummaryDisplay.from_explanation(explanation, ax=ax)
    assert_allclose(display.data, explanation.data.mean(axis=1))
    assert "mean of the player's cells" in ax.get_xlabel()
    cells = SummaryDisplay.from_explanation(explanation_of("cell", (5, 3)), ax=Figure().subplots())
    assert "mean of" not in cells.ax_.get_xlabel()


def test_bars_are_the_mean_sizes(explanation_of, ax):
    explanation = explanation_of(shape=(6,), n_samples=40)
    display = SummaryDisplay.from_explanation(explanation, kind="bar", ax=ax, max_display=4)
    expected = np.sort(explanation.importances())[::-1]
    assert_allclose([bar.get_width() for bar in display.bars_], expected[:4])
    assert ax.get_xlabel().startswith("mean |SHAP value|\n2 smaller ones not shown, at most")
    assert f"{expected[4]:.3g}" in ax.get_xlabel()
    assert display.points_ == []


def test_one_output_is_chosen(explanation_of, ax):
    explanation = explanation_of(output_names=("down", "up"))
    with pytest.raises(ValueError, match=r"2 outputs; choose one with output=.*'down', 'up'"):
        SummaryDisplay.from_explanation(explanation, ax=ax)
    display = SummaryDisplay.from_explanation(explanation, output="up", ax=ax)
    assert_array_equal(display.values, explanation.values[:, :, 1])


def test_a_fitted_explainer_explains_the_rows(ax):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    model = Ridge(alpha=1e-9).fit(X, X @ [1.0, -2.0, 0.5])
    explainer = KernelSHAP(model, background=X).fit(X, X @ [1.0, -2.0, 0.5])
    display = SummaryDisplay.from_estimator(explainer, X, unit="points", ax=ax)
    assert_allclose(display.values, (X - X.mean(axis=0)) * [1.0, -2.0, 0.5], atol=1e-6)
    assert display.shown_.tolist() == [1, 0, 2]
    assert ax.get_xlabel() == "SHAP value, points"


def test_a_classifier_needs_an_output(ax):
    X = np.random.default_rng(0).normal(size=(60, 3))
    explainer = KernelSHAP(LogisticRegression(), background=X[:10]).fit(X, X[:, 0] > 0)
    with pytest.raises(ValueError, match="choose one with output="):
        SummaryDisplay.from_estimator(explainer, X[:5], ax=ax)


def test_ten_thousand_rows_are_drawn_fast_and_as_pixels(explanation_of):
    explanation = explanation_of(shape=(80,), n_samples=10_000)
    figure = Figure(figsize=(6, 4), layout="constrained")
    started = process_time()
    display = SummaryDisplay.from_explanation(explanation, ax=figure.subplots())
    figure.draw_without_rendering()
    assert process_time() - started < 10
    assert all(points.get_rasterized() for points in display.points_)


@pytest.mark.parametrize("size", [(6, 4), (10, 7)])
@pytest.mark.parametrize("kind", ["beeswarm", "bar"])
@pytest.mark.parametrize(
    ("n_players", "name"), [(3, "x"), (80, "a column with a rather long name")]
)
def test_nothing_leaves_the_figure_or_overlaps(explanation_of, size, kind, n_players, name):
    names = [f"{name} {i}" for i in range(n_players)]
    figure = Figure(figsize=size, layout="constrained")
    explanation = explanation_of(shape=(n_players,), feature_names=names, n_samples=30)
    explanation.data[0] = np.nan
    SummaryDisplay.from_explanation(
        explanation, kind=kind, ax=figure.subplots(), title="Title", unit="dollars"
    )
    figure.draw_without_rendering()
    for ax in figure.axes:
        assert figure.bbox.padded(1).contains(*ax.get_tightbbox().p0)
        assert figure.bbox.padded(1).contains(*ax.get_tightbbox().p1)
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_what_cannot_be_drawn_is_refused(explanation_of, ax):
    with pytest.raises(ValueError, match=r'score drops.*ImportanceDisplay \(kind="box"'):
        SummaryDisplay.from_explanation(explanation_of(kind="importances"), ax=ax)
    with pytest.raises(ValueError, match="at least one explained row"):
        SummaryDisplay.from_explanation(explanation_of()[:0], ax=ax)
    with pytest.raises(ValueError, match="at least one player"):
        SummaryDisplay.from_explanation(explanation_of()[:, []], ax=ax)
    with pytest.raises(ValueError, match="kind='pie' is not one of"):
        SummaryDisplay.from_explanation(explanation_of(), kind="pie", ax=ax)
    with pytest.raises(ValueError, match="max_display=0 must be at least 1"):
        SummaryDisplay.from_explanation(explanation_of(), max_display=0, ax=ax)
    with pytest.raises(ValueError, match="the attribution of 'b' in row 0 is nan"):
        SummaryDisplay(np.array([[1, np.nan]]), ["a", "b"])
    with pytest.raises(ValueError, match=r"data has shape \(1, 1\), but values has \(1, 2\)"):
        SummaryDisplay(np.ones((1, 2)), ["a", "b"], np.ones((1, 1)))
    with pytest.raises(TypeError, match=r"takes a fitted explainer.*got Ridge"):
        SummaryDisplay.from_estimator(Ridge(), np.ones((3, 2)), ax=ax)
    with pytest.raises(TypeError, match=r"takes a fitted explainer.*got KernelSHAP"):
        SummaryDisplay.from_estimator(KernelSHAP, np.ones((3, 2)), ax=ax)
    with pytest.raises(NotFittedError):
        SummaryDisplay.from_estimator(KernelSHAP(Ridge()), np.ones((3, 2)), ax=ax)
    fitted = PermutationImportance(Ridge()).fit(np.eye(4), np.arange(4.0))
    with pytest.raises(ValueError, match="belong to no single row"):
        SummaryDisplay.from_estimator(fitted, np.eye(4), ax=ax)


@pytest.mark.parametrize("kind", ["beeswarm", "bar"])
@pytest.mark.parametrize(("n_players", "length"), [(3, 1), (80, 5)])
def test_pictures_equal_their_references(
    explanation_of, matches_reference, kind, n_players, length
):
    names = [f"{'a rather long name ' * (length // 5)}x{i}" for i in range(n_players)]
    explanation = explanation_of(shape=(n_players,), feature_names=names, n_samples=150)
    slopes = np.linspace(-1, 2, n_players)
    explanation = replace(explanation, values=explanation.data * slopes, predictions=np.zeros(150))

    def draw(ax):
        SummaryDisplay.from_explanation(explanation, kind=kind, title="All rows", ax=ax)

    matches_reference(f"summary_{kind}_{n_players}", draw)
