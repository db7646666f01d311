from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LinearRegression, LogisticRegression

from sklexplain import LIME, KernelSHAP, PermutationImportance, WaterfallDisplay

from .images import check_picture


def edges(display):
    """Return where each bar starts and ends, from the bottom bar to the top one."""
    lengths = [bar.get_width() for bar in display.bars_][::-1]
    starts = [bar.get_x() for bar in display.bars_][::-1]
    return np.array(starts), np.array(starts) + lengths


@pytest.mark.parametrize(("n_players", "max_display"), [(3, None), (80, None), (80, 4)])
def test_bars_lead_from_the_base_value_to_the_prediction(
    row_explanation, ax, n_players, max_display
):
    explanation = row_explanation(n_players)
    display = WaterfallDisplay.from_explanation(explanation, ax=ax, max_display=max_display)
    starts, ends = edges(display)
    assert_allclose(starts[0], explanation.base_values[0])
    assert_allclose(starts[1:], ends[:-1])
    assert_allclose(ends[-1], explanation.predictions[0])
    assert_allclose(display.base_line_.get_xdata(), explanation.base_values[0])
    assert_allclose(display.prediction_line_.get_xdata(), explanation.predictions[0])


def test_the_largest_are_on_top_and_the_rest_is_added_up(row_explanation, ax):
    explanation = row_explanation(80)
    display = WaterfallDisplay.from_explanation(explanation, ax=ax, max_display=4)
    values = explanation.values[0]
    order = np.argsort(-np.abs(values))
    assert_array_equal(display.shown_, order[:4])
    lengths = [bar.get_width() for bar in display.bars_]
    assert_allclose(lengths, [*values[order[:4]], values[order[4:]].sum()])
    assert ax.yaxis_inverted()
    assert [label.get_text() for label in ax.get_yticklabels()][-1] == "76 others"


def test_a_single_player_is_never_hidden_behind_one_other(row_explanation, ax):
    display = WaterfallDisplay.from_explanation(row_explanation(5), ax=ax, max_display=4)
    assert len(display.shown_) == len(display.bars_) == 5


def test_what_the_values_leave_is_a_bar_of_its_own(row_explanation, ax):
    explanation = row_explanation(3, gap=-0.7)
    display = WaterfallDisplay.from_explanation(explanation, ax=ax)
    assert_allclose(display.bars_[-1].get_width(), -0.7)
    assert ax.get_yticklabels()[-1].get_text() == "not explained"
    assert_allclose(edges(display)[1][-1], explanation.predictions[0])


def test_rounding_is_not_a_gap(row_explanation, ax):
    display = WaterfallDisplay.from_explanation(row_explanation(3, gap=1e-5), ax=ax)
    assert len(display.bars_) == 3


def test_limes_bins_leave_what_its_surrogate_misses(ax):
    X = np.random.default_rng(0).normal(size=(300, 3))
    explainer = LIME(lambda X: X[:, 0] ** 2 + X[:, 1], n_samples=500, random_state=0).fit(X)
    explanation = explainer.explain(X[:4])
    display = WaterfallDisplay.from_explanation(explanation, sample=2, ax=ax)
    missed = explanation.predictions - explanation.diagnostics["surrogate_predictions"]
    assert_allclose(display.bars_[-1].get_width(), missed[2])
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels[:-1] == [explanation.conditions[2, player] for player in display.shown_]


def test_slopes_are_refused(ax):
    X = np.random.default_rng(0).normal(size=(300, 3))
    explainer = LIME(lambda X: X[:, 0] ** 2, discretizer=None, n_samples=500).fit(X)
    with pytest.raises(ValueError, match=r"LIME are slopes; draw them with LocalDisplay"):
        WaterfallDisplay.from_estimator(explainer, X[:1], ax=ax)


def test_labels_tell_the_players_values(row_explanation, ax):
    explanation = row_explanation(data=np.array([[412.3, 1_234_567.0, np.nan]]))
    display = WaterfallDisplay.from_explanation(explanation, ax=ax)
    assert set(display.labels) == {"x0 = 412.3", "x1 = 1,234,567", "x2 = missing"}


def test_categories_and_means_are_told(row_explanation, ax):
    explanation = row_explanation(data=np.array([[1.0, 2, 3]]), categories={0: ("red", "green")})
    display = WaterfallDisplay.from_explanation(explanation, ax=ax)
    assert display.labels[0] == "x0 = green"
    windows = row_explanation(
        players="feature", shape=(2, 3), data=np.arange(6.0)[None].reshape(1, 2, 3)
    )
    assert WaterfallDisplay.from_explanation(windows, ax=ax).labels[0] == "x0 (mean 1.5)"
    steps = row_explanation(players="timestep", shape=(2, 3))
    assert WaterfallDisplay.from_explanation(steps, ax=ax).labels == ("t-1", "t")


def test_a_fitted_explainer_is_asked_for_the_rows(ax):
    X = np.random.default_rng(0).normal(size=(50, 3))
    y = X @ [3.0, -2.0, 1.0] + 5
    explainer = KernelSHAP(LinearRegression(), background=X).fit(X, y)
    display = WaterfallDisplay.from_estimator(explainer, X[:5], sample=3, ax=ax)
    assert_allclose(display.values, (X[3] - X.mean(axis=0)) * [3, -2, 1], atol=1e-8)
    assert_allclose(display.base_value, y.mean())
    drops = PermutationImportance(LinearRegression(), n_repeats=2).fit(X, y)
    with pytest.raises(ValueError, match="PermutationImportance belong to no single row"):
        WaterfallDisplay.from_estimator(drops, X[:1], ax=ax)
    with pytest.raises(TypeError, match=r"takes a fitted explainer.*got LinearRegression"):
        WaterfallDisplay.from_estimator(LinearRegression(), X[:1], ax=ax)


def test_log_odds_are_called_so(row_explanation, ax):
    explanation = row_explanation(params={"link": "logit"})
    WaterfallDisplay.from_explanation(explanation, ax=ax)
    assert ax.get_xlabel() == "prediction, log-odds\nbars: SHAP value, log-odds"


def test_the_class_that_lime_found_highest_is_named(ax):
    X = np.random.default_rng(0).normal(size=(200, 2))
    y = np.where(X[:, 0] > 0, "up", "down")
    explainer = LIME(LogisticRegression(), labels=1, n_samples=300, random_state=0).fit(X, y)
    explanation = explainer.explain(X[:2])
    WaterfallDisplay.from_explanation(explanation, sample=0, ax=ax)
    predicted = explainer.predict(X[:1])[0]
    assert ax.get_xlabel().startswith(f"prediction of '{predicted}'\n")


def test_what_cannot_be_drawn_is_named(explanation_of, row_explanation, ax):
    with pytest.raises(ValueError, match="score drops of PermutationImportance belong to no"):
        WaterfallDisplay.from_explanation(explanation_of(kind="importances"), ax=ax)
    several = explanation_of()
    with pytest.raises(ValueError, match="7 explained rows; choose one with sample=0 … sample=6"):
        WaterfallDisplay.from_explanation(several, ax=ax)
    with pytest.raises(ValueError, match="sample=7 is out of range: there are 7"):
        WaterfallDisplay.from_explanation(several, sample=7, ax=ax)
    with pytest.raises(ValueError, match="sample='x' must be an integer"):
        WaterfallDisplay.from_explanation(several, sample="x", ax=ax)
    with pytest.raises(ValueError, match="2 outputs; choose one with output"):
        WaterfallDisplay.from_explanation(explanation_of(output_names=("a", "b")), sample=0, ax=ax)
    with pytest.raises(ValueError, match="max_display=0 must be at least 1"):
        WaterfallDisplay.from_explanation(row_explanation(), max_display=0, ax=ax)
    with pytest.raises(ValueError, match="labels has length 1, but there are 2 values"):
        WaterfallDisplay([1.0, 2.0], ["a"], base_value=0, prediction=3)


@pytest.mark.parametrize("size", [(6, 4), (10, 7)])
@pytest.mark.parametrize(
    ("n_players", "name", "base"),
    [(3, "x", 0.0), (80, "a column with a rather long name", 412.3), (12, "$^", -5e6)],
)
def test_nothing_leaves_the_figure_or_overlaps(row_explanation, size, n_players, name, base):
    figure = Figure(figsize=size, layout="constrained")
    names = [f"{name} {i}" for i in range(n_players)]
    explanation = row_explanation(n_players, feature_names=names, base=base, scale=abs(base) or 1)
    ax = figure.subplots()
    display = WaterfallDisplay.from_explanation(explanation, ax=ax, title="Title $^")
    figure.draw_without_rendering()
    assert figure.bbox.padded(1).contains(*ax.get_tightbbox().p0)
    assert figure.bbox.padded(1).contains(*ax.get_tightbbox().p1)
    ticks = [label.get_window_extent() for label in ax.get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in pairwise(ticks))
    texts = [text.get_window_extent() for text in ax.findobj(Annotation)]
    assert len(texts) == len(display.bars_) + 2
    for place, text in enumerate(texts):
        assert not any(text.overlaps(other) for other in [*texts[place + 1 :], *ticks])


@pytest.mark.parametrize("n_players", [3, 80])
def test_reference_image(row_explanation, tmp_path, n_players):
    names = [f"a rather long name, number {i}" for i in range(n_players)]
    explanation = row_explanation(n_players, feature_names=names, gap=-0.5)
    check_picture(
        f"waterfall_{n_players}",
        lambda ax: WaterfallDisplay.from_explanation(explanation, ax=ax, unit="dollars"),
        tmp_path,
    )
