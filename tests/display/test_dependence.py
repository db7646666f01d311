from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge

from sklexplain import (
    DependenceDisplay,
    Explanation,
    KernelSHAP,
    PermutationImportance,
    make_players,
)
from sklexplain.display.interaction import interaction_strengths, strongest_interaction
from sklexplain.display.style import CATEGORIES, UNKNOWN


@pytest.fixture(scope="module")
def product():
    """Exact Shapley values of x0 x1 + sin(x2) + x3 with an independent background of mean 0."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 6))
    values = np.zeros_like(X)
    values[:, 0] = values[:, 1] = X[:, 0] * X[:, 1] / 2
    values[:, 2] = np.sin(X[:, 2])
    values[:, 3] = X[:, 3]
    return Explanation(
        values,
        np.zeros(400),
        values.sum(axis=1),
        X,
        make_players("column", (6,)),
        method="KernelSHAP",
    )


@pytest.fixture(scope="module")
def cities(product):
    """Like `product`, but x0 is one of five cities."""
    data = product.data.copy()
    data[:, 0] = np.random.default_rng(1).choice(5, 400, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    values = product.values.copy()
    values[:, 0] = np.cos(data[:, 0]) + 0.3 * data[:, 1]
    names = ("Oslo", "Rome", "Paris", "Vienna", "Zagreb")
    return replace(product, data=data, values=values, categories={0: names})


class TestInteraction:
    def test_the_other_factor_of_a_product_is_found(self, product):
        for player, partner in ((0, 1), (1, 0)):
            assert strongest_interaction(product.values[:, player], product.data, player) == partner

    @pytest.mark.parametrize("n_rows", [7, 90, 300, 1234])
    def test_the_order_is_that_of_shap(self, n_rows):
        shap = pytest.importorskip("shap")
        rng = np.random.default_rng(n_rows)
        X = rng.normal(size=(n_rows, 8))
        values = X * X[:, ::-1] + 0.2 * X[:, [3]] + 0.1 * rng.normal(size=X.shape)
        for player in range(8):
            theirs = shap.utils.approximate_interactions(player, values, X)
            ours = interaction_strengths(values[:, player], X, player)
            assert_allclose(ours[theirs], np.sort(ours)[::-1], rtol=1e-9)

    def test_that_a_value_is_missing_counts_as_in_shap(self):
        shap = pytest.importorskip("shap")
        rng = np.random.default_rng(0)
        X = rng.normal(size=(200, 4))
        X[rng.random(200) < 0.3, 2] = np.nan
        values = X[:, 0] * np.isnan(X[:, 2]) + 0.01 * X[:, 1]
        theirs = shap.utils.approximate_interactions(0, np.repeat(values[:, None], 4, 1), X)
        assert theirs[0] == 2
        assert strongest_interaction(values, X, 0) == 2

    def test_nothing_interacts_where_nothing_varies(self):
        X = np.random.default_rng(0).normal(size=(50, 3))
        assert strongest_interaction(np.zeros(50), X, 0) is None
        assert strongest_interaction(X[:, 0], X[:, :1], 0) is None


def test_points_lie_at_value_and_attribution_coloured_by_the_interaction(product, ax):
    display = DependenceDisplay.from_explanation(product, player="x0", ax=ax)
    x, y = np.asarray(display.points_.get_offsets()).T
    assert_array_equal(x, product.data[display.rows_, 0])
    assert_array_equal(y, product.values[display.rows_, 0])
    assert display.color_name == "x1"
    assert display.colorbar_.ax.get_ylabel() == "x1"
    limits = np.percentile(product.data[:, 1], [5, 95])
    assert_allclose(display.colorbar_.mappable.get_clim(), limits)
    shades = display.colorbar_.mappable.to_rgba(product.data[display.rows_, 1])
    assert_allclose(display.points_.get_facecolors(), shades)
    assert display.histogram_ax_.get_xlabel() == "x0"
    assert display.ax_.get_ylabel() == "SHAP value"


def test_the_histogram_counts_every_row_drawn(product, ax):
    display = DependenceDisplay.from_explanation(product, player=2, ax=ax)
    assert sum(bar.get_height() for bar in display.histogram_) == 400
    for bar in list(display.histogram_)[:-1]:
        left, right = bar.get_x(), bar.get_x() + bar.get_width()
        inside = (product.data[:, 2] >= left - 1e-9) & (product.data[:, 2] < right - 1e-9)
        assert bar.get_height() == inside.sum()


def test_the_player_is_by_default_the_most_important(product, ax):
    display = DependenceDisplay.from_explanation(product, ax=ax)
    assert display.name == product.players.names[np.argmax(product.importances())]


@pytest.mark.parametrize(("given", "told"), [("x4", "x4"), (-1, "x5"), (None, "")])
def test_the_interaction_can_be_chosen(product, ax, given, told):
    display = DependenceDisplay.from_explanation(product, player=0, interaction=given, ax=ax)
    assert display.color_name == told
    assert (display.colorbar_ is None) is (given is None)


def test_a_player_called_auto_can_be_the_interaction(product, ax):
    named = replace(
        product, players=make_players("column", (6,), ["x", "y", "auto", "a", "b", "c"])
    )
    assert (
        DependenceDisplay.from_explanation(named, player="x", ax=ax, interaction="auto").color_name
        == "auto"
    )


def test_missing_values_are_left_out_or_grey_and_both_are_said(product, ax):
    data = product.data.copy()
    data[:10, 0] = np.nan
    data[5:25, 1] = np.nan
    explanation = replace(product, data=data)
    display = DependenceDisplay.from_explanation(explanation, player=0, interaction=1, ax=ax)
    assert set(display.rows_) == set(range(10, 400))
    colors = display.points_.get_facecolors()
    grey = (colors == to_rgba(UNKNOWN)).all(axis=1)
    assert set(display.rows_[grey]) == set(range(10, 25))
    told = display.histogram_ax_.get_xlabel()
    assert "10 rows without a value not shown" in told
    assert "grey: x1 is missing" in told


def test_categories_stand_side_by_side_with_a_box_each(cities, ax):
    display = DependenceDisplay.from_explanation(cities, player=0, ax=ax)
    codes = cities.data[:, 0]
    x, y = np.asarray(display.points_.get_offsets()).T
    assert_array_equal(np.round(x), codes[display.rows_])
    assert_array_equal(y, cities.values[display.rows_, 0])
    medians = [line.get_ydata()[0] for line in display.boxes_["medians"]]
    assert_allclose(medians, [np.median(cities.values[codes == code, 0]) for code in range(5)])
    assert [bar.get_height() for bar in display.histogram_] == np.bincount(
        codes.astype(int)
    ).tolist()
    ax.figure.draw_without_rendering()
    names = [label.get_text() for label in display.histogram_ax_.get_xticklabels()]
    assert names == list(cities.categories[0])


def test_max_display_keeps_the_most_frequent_categories(cities, ax):
    display = DependenceDisplay.from_explanation(cities, player=0, max_display=2, ax=ax)
    assert set(cities.data[display.rows_, 0]) == {0, 1}
    assert "3 rarer categories not shown" in display.histogram_ax_.get_xlabel()


def test_the_colour_of_a_category_is_told_by_a_legend(cities, ax):
    display = DependenceDisplay.from_explanation(cities, player=1, interaction=0, ax=ax)
    assert display.colorbar_ is None
    assert [text.get_text() for text in display.legend_.get_texts()] == list(cities.categories[0])
    expected = [to_rgba(CATEGORIES[int(code)]) for code in cities.data[display.rows_, 0]]
    assert_allclose(display.points_.get_facecolors(), expected)


def test_more_categories_than_colours_share_grey(product, ax):
    data = product.data.copy()
    data[:, 5] = np.arange(400) % 9
    data[:4, 5] = np.nan
    many = replace(product, data=data, categories={5: tuple("abcdefghi")})
    display = DependenceDisplay.from_explanation(many, player=0, interaction=5, ax=ax)
    labels = [text.get_text() for text in display.legend_.get_texts()]
    assert len(labels) == len(CATEGORIES) + 2
    assert labels[-2:] == ["other", "missing"]


def test_flags_are_spread_so_that_every_row_is_seen(product, ax):
    data = product.data.copy()
    data[:, 3] = np.arange(400) % 2
    display = DependenceDisplay.from_explanation(replace(product, data=data), player=3, ax=ax)
    x = np.asarray(display.points_.get_offsets())[:, 0]
    assert_array_equal(np.round(x), data[display.rows_, 3])
    assert np.abs(x - np.round(x)).max() <= 0.32 + 1e-9
    assert len(np.unique(x)) > 10
    assert [bar.get_height() for bar in display.histogram_] == [200, 200]


def test_windows_draw_the_mean_of_a_players_cells_and_say_so(explanation_of, ax):
    explanation = explanation_of("feature", (5, 3), n_samples=30)
    display = DependenceDisplay.from_explanation(explanation, player=2, interaction=0, ax=ax)
    assert_allclose(display.data, explanation.data[:, :, 2].mean(axis=1))
    assert display.histogram_ax_.get_xlabel() == "x2, mean of its cells"
    assert display.colorbar_.ax.get_ylabel() == "x0, mean of its cells"


def test_a_fitted_explainer_explains_the_rows(ax):
    X = np.random.default_rng(0).normal(size=(80, 3))
    explainer = KernelSHAP(lambda X: X[:, 0] * X[:, 2] + 0.1 * X[:, 1], background=X).fit(X)
    display = DependenceDisplay.from_estimator(explainer, X, player="x0", unit="points", ax=ax)
    # Of a product with independent factors: the mean over both orders of entering.
    first, third = X[:, 0], X[:, 2]
    mean = (first * third).mean()
    alone = first * third.mean() - mean
    last = first * third - first.mean() * third
    assert_allclose(display.values, (alone + last) / 2, atol=1e-6)
    assert display.color_name == "x2"
    assert display.ax_.get_ylabel() == "SHAP value, points"


def test_one_output_is_chosen(explanation_of, ax):
    explanation = explanation_of(output_names=("down", "up"))
    with pytest.raises(ValueError, match=r"2 outputs; choose one with output=.*'down', 'up'"):
        DependenceDisplay.from_explanation(explanation, ax=ax)
    display = DependenceDisplay.from_explanation(explanation, output="up", player=1, ax=ax)
    assert_array_equal(display.values, explanation.values[:, 1, 1])


@pytest.mark.parametrize("size", [(6, 4), (10, 7)])
@pytest.mark.parametrize("name", ["x", "a column with a rather long name and $^$"])
@pytest.mark.parametrize("player", [0, 1])
def test_nothing_leaves_the_figure(cities, size, name, player):
    players = make_players("column", (6,), [f"{name} {i}" for i in range(6)])
    long = {0: tuple(f"{name}, {city}" for city in cities.categories[0])}
    figure = Figure(figsize=size, layout="constrained")
    DependenceDisplay.from_explanation(
        replace(cities, players=players, categories=long),
        player=player,
        interaction=1 - player,
        unit="dollars",
        title="Title",
        ax=figure.subplots(),
    )
    figure.draw_without_rendering()
    for ax in figure.axes:
        assert figure.bbox.padded(1).contains(*ax.get_tightbbox().p0)
        assert figure.bbox.padded(1).contains(*ax.get_tightbbox().p1)


def test_what_cannot_be_drawn_is_refused(product, explanation_of, ax):
    def draw(explanation=product, **params):
        return DependenceDisplay.from_explanation(explanation, ax=ax, **params)

    with pytest.raises(ValueError, match=r"player='y' is not a player; known are 'x0', 'x1'"):
        draw(player="y")
    with pytest.raises(ValueError, match=r"player=6 is out of range: there are 6 players"):
        draw(player=6)
    with pytest.raises(ValueError, match=r"interaction='y' is not a player"):
        draw(interaction="y")
    with pytest.raises(ValueError, match=r"player=1\.5 must be a player's name or position"):
        draw(player=1.5)
    with pytest.raises(ValueError, match="max_display=0 must be at least 1"):
        draw(max_display=0)
    with pytest.raises(ValueError, match="belong to no single row"):
        draw(explanation_of(kind="importances"))
    with pytest.raises(ValueError, match="the explanation has no data"):
        draw(replace(product, data=None))
    with pytest.raises(ValueError, match="'x0' has no numeric value in any row"):
        draw(replace(product, data=np.full((400, 6), np.nan)), player=0)
    with pytest.raises(ValueError, match="the attribution in row 1 is inf"):
        DependenceDisplay([1.0, 2.0], [0.0, np.inf])
    with pytest.raises(ValueError, match=r"values has shape \(1,\), data \(2,\)"):
        DependenceDisplay([1.0, 2.0], [0.0])
    with pytest.raises(TypeError, match=r"takes a fitted explainer.*got Ridge"):
        DependenceDisplay.from_estimator(Ridge(), product.data, ax=ax)
    with pytest.raises(NotFittedError):
        DependenceDisplay.from_estimator(KernelSHAP(Ridge()), product.data, ax=ax)
    fitted = PermutationImportance(Ridge()).fit(np.eye(4), np.arange(4.0))
    with pytest.raises(ValueError, match="belong to no single row"):
        DependenceDisplay.from_estimator(fitted, np.eye(4), ax=ax)


def test_an_unknown_player_is_told_before_rows_are_explained(ax):
    calls = []

    def model(X):
        calls.append(len(X))
        return X.sum(axis=1)

    X = np.random.default_rng(0).normal(size=(20, 3))
    explainer = KernelSHAP(model, background=X).fit(X)
    calls.clear()
    with pytest.raises(ValueError, match="player='close' is not a player"):
        DependenceDisplay.from_estimator(explainer, X, player="close", ax=ax)
    with pytest.raises(ValueError, match="interaction='open' is not a player"):
        DependenceDisplay.from_estimator(explainer, X, interaction="open", ax=ax)
    assert calls == []


@pytest.mark.parametrize("n_players", [3, 80])
def test_numbers_equal_their_reference(matches_reference, n_players):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, n_players))
    values = X * np.linspace(1, 0.1, n_players)
    values[:, 0] = np.sin(X[:, 0]) - X[:, 0] * X[:, 2] / 2
    long = "" if n_players == 3 else "a rather long name of a column "
    players = make_players("column", (n_players,), [f"{long}x{i}" for i in range(n_players)])
    explanation = Explanation(values, np.zeros(200), np.zeros(200), X, players, method="DeepSHAP")

    def draw(ax):
        DependenceDisplay.from_explanation(explanation, player=0, title="A product", ax=ax)

    matches_reference(f"dependence_{n_players}", draw)


@pytest.mark.parametrize("player", [0, 1])
def test_categories_equal_their_reference(cities, matches_reference, player):
    def draw(ax):
        DependenceDisplay.from_explanation(
            cities[:150], player=player, interaction=1 - player, title="Cities", ax=ax
        )

    matches_reference(f"dependence_categories_{'colour' if player else 'place'}", draw)
