"""shap's own plots must take what to_shap gives, and draw the explanation's numbers."""

import re
import warnings

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from sklexplain import KernelSHAP, PermutationImportance, TreeSHAP
from tests.explanations import NAMES, make_explanation

shap = pytest.importorskip("shap")

OUTPUTS = ("up", "flat", "down")
ROW_NAMES = np.array([f"row {i}" for i in range(30)])
CASES = {
    "table": make_explanation(30, (3,), "column"),
    # As many rows as players as outputs: nothing may be told apart by its length.
    "square": make_explanation(3, (3,), "column"),
    "features of windows": make_explanation(30),
    "time steps": make_explanation(30, players="timestep"),
    "cells": make_explanation(30, (3, 3), players="cell"),
    "one of three outputs": make_explanation(30, outputs=OUTPUTS)[:, :, "flat"],
    "one of three outputs, square": make_explanation(3, outputs=OUTPUTS)[:, :, "flat"],
    "one player": make_explanation(30)[:, "close"],
    "without data": make_explanation(30, data=None, std_errors=None, index=None),
    "score drops": make_explanation(30, data=None, kind="importances", index=ROW_NAMES),
    "text as index": make_explanation(30, index=ROW_NAMES),
}


@pytest.fixture(autouse=True)
def no_window():
    shown = mpl.get_backend()
    mpl.use("Agg")
    with warnings.catch_warnings():
        # Those of shap's own calls of matplotlib.
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        warnings.filterwarnings("ignore", "invalid value", module="shap")
        yield
    mpl.pyplot.close("all")
    mpl.use(shown)


@pytest.fixture(params=CASES)
def explanation(request):
    return CASES[request.param]


def labels(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


def by_importance(explanation):
    return np.argsort(-np.abs(explanation.values).mean(axis=0))


class TestConverted:
    def test_numbers_and_names(self, explanation):
        converted = explanation.to_shap()
        np.testing.assert_array_equal(converted.values, explanation.values)
        np.testing.assert_array_equal(converted.base_values, explanation.base_values)
        if explanation.data is None:
            assert converted.data is None
        else:
            np.testing.assert_array_equal(converted.data, explanation.player_data())
        if explanation.std_errors is None:
            assert converted.error_std is None
        else:
            np.testing.assert_array_equal(converted.error_std, explanation.std_errors)
        assert converted.feature_names == list(explanation.players.names)

    def test_single_rows_have_one_base_value(self, explanation):
        row = explanation.to_shap()[2]
        assert row.shape == (explanation.players.n_players,)
        assert row.base_values == explanation.base_values[2]
        np.testing.assert_array_equal(row.values, explanation.values[2])

    @pytest.mark.parametrize("n_samples", [3, 7])
    @pytest.mark.parametrize("data", [True, False])
    def test_shap_chooses_outputs_too(self, n_samples, data):
        whole = make_explanation(n_samples, outputs=OUTPUTS, **({} if data else {"data": None}))
        converted = whole.to_shap()
        assert converted.output_names == list(OUTPUTS)
        for position, name in enumerate(OUTPUTS):
            for chosen in (converted[..., position], converted[:, :, name]):
                ours = whole[:, :, name]
                np.testing.assert_array_equal(chosen.values, ours.values)
                np.testing.assert_array_equal(chosen.base_values, ours.base_values)
                assert chosen.feature_names == list(NAMES)

    def test_without_shap(self, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "shap", None)
        with pytest.raises(ImportError, match=re.escape("pip install 'sklexplain[shap]'")):
            make_explanation().to_shap()


class TestManyRows:
    def test_bar(self, explanation):
        axes = shap.plots.bar(explanation.to_shap(), show=False)
        order = by_importance(explanation)
        widths = [bar.get_width() for bar in axes.patches]
        np.testing.assert_allclose(widths, np.abs(explanation.values).mean(axis=0)[order])
        assert labels(axes.yaxis)[: len(order)] == [explanation.players.names[i] for i in order]

    def test_bars_of_several_outputs(self):
        whole = make_explanation(30, outputs=OUTPUTS)
        converted = whole.to_shap()
        axes = shap.plots.bar({name: converted[:, :, name] for name in OUTPUTS}, show=False)
        drawn = sorted(bar.get_width() for bar in axes.patches)
        np.testing.assert_allclose(drawn, np.sort(whole.importances(), axis=None))

    def test_beeswarm(self, explanation):
        axes = shap.plots.beeswarm(explanation.to_shap(), show=False, color_bar=False)
        order = by_importance(explanation)
        assert labels(axes.yaxis) == [explanation.players.names[i] for i in order[::-1]]
        swarms = [swarm for swarm in axes.collections if len(swarm.get_offsets())]
        for swarm, player in zip(swarms, order[::-1], strict=True):
            drawn = np.sort(swarm.get_offsets()[:, 0])
            np.testing.assert_allclose(drawn, np.sort(explanation.values[:, player]))

    def test_heatmap(self, explanation):
        rows = np.arange(len(explanation))
        axes = shap.plots.heatmap(explanation.to_shap(), instance_order=rows, show=False)
        order = by_importance(explanation)
        np.testing.assert_allclose(axes.images[0].get_array(), explanation.values.T[order])
        assert labels(axes.yaxis)[1:] == [explanation.players.names[i] for i in order]

    def test_heatmap_in_the_order_of_shap(self, explanation):
        axes = shap.plots.heatmap(explanation.to_shap(), show=False)
        drawn = np.asarray(axes.images[0].get_array())
        expected = explanation.values.T[by_importance(explanation)]
        columns = [array[:, np.lexsort(array)] for array in (drawn, expected)]
        np.testing.assert_allclose(*columns)

    def test_scatter(self, explanation):
        if explanation.data is None:
            pytest.skip("a scatter plot is of the data")
        converted = explanation.to_shap()
        for player, name in enumerate(explanation.players.names):
            axes = shap.plots.scatter(converted[:, name], color=converted, show=False)
            expected = np.column_stack(
                [explanation.player_data()[:, player], explanation.values[:, player]]
            )
            drawn = np.asarray(axes.collections[0].get_offsets())
            np.testing.assert_allclose(
                drawn[np.argsort(drawn[:, 0])], expected[np.argsort(expected[:, 0])]
            )
            assert axes.get_xlabel() == name


class TestOneRow:
    def test_bar(self, explanation):
        axes = shap.plots.bar(explanation.to_shap()[1], show=False)
        order = np.argsort(-np.abs(explanation.values[1]))
        widths = [bar.get_width() for bar in axes.patches]
        np.testing.assert_allclose(widths, explanation.values[1][order])

    def test_waterfall(self, explanation):
        figure = shap.plots.waterfall(explanation.to_shap()[1], show=False).figure
        values, base = explanation.values[1], explanation.base_values[1]
        arrows = [
            patch for patch in figure.axes[0].patches if isinstance(patch, mpl.patches.FancyArrow)
        ]
        ends = {
            (patch.get_xy()[:, 0].min().round(9), patch.get_xy()[:, 0].max().round(9))
            for patch in arrows
        }
        # From the base value to the prediction, the least first.
        steps = base + np.concatenate([[0], np.cumsum(values[np.argsort(np.abs(values))])])
        expected = np.sort(np.column_stack([steps[:-1], steps[1:]]), axis=1).round(9)
        # shap draws an arrow that is shorter than its own head out of place.
        long = np.diff(expected)[:, 0] > 0.04 * np.ptp(steps)
        assert len(arrows) == len(values)
        assert set(map(tuple, expected[long])) <= ends
        shown = {text.get_text().replace("\N{MINUS SIGN}", "-") for text in figure.axes[0].texts}
        assert {shap.utils.format_value(value, "%+0.02f").replace("\N{MINUS SIGN}", "-")
                for value in values} <= shown  # fmt: skip
        shown = " ".join(labels(figure.axes[0].yaxis))
        assert all(name in shown for name in explanation.players.names)
        ticks = [tick for axes in figure.axes[1:] for tick in axes.get_xticks()]
        assert min(np.abs(np.array(ticks) - base)) < 1e-8
        assert min(np.abs(np.array(ticks) - base - values.sum())) < 1e-8

    def test_force(self, explanation):
        shap.plots.force(explanation.to_shap()[1], matplotlib=True, show=False)
        axes = mpl.pyplot.gca()
        values, base = explanation.values[1], explanation.base_values[1]
        polygons = [p for p in axes.patches if isinstance(p, mpl.patches.Polygon)]
        edges = np.array([p.get_path().get_extents().intervalx for p in polygons]).ravel()
        upwards, downwards = np.sort(values[values >= 0])[::-1], np.sort(values[values < 0])
        for bound in (
            base + values.sum() - np.concatenate([np.cumsum(upwards), np.cumsum(downwards)])
        ):
            assert np.abs(edges - bound).min() < 1e-9
        shown = [text.get_text() for text in axes.texts]
        assert f"{base + values.sum():.2f}" in shown


class TestOwnMethods:
    """What the explainers give, from beginning to end."""

    @pytest.fixture
    def table(self, rng):
        return pd.DataFrame(
            {
                "price": rng.normal(size=40),
                "sector": rng.choice(["tech", "energy", "food"], size=40),
                "volume": rng.normal(size=40),
            },
            index=[f"day {i}" for i in range(40)],
        )

    @pytest.fixture
    def fitted(self, table):
        encoder = make_column_transformer((OneHotEncoder(), ["sector"]), remainder="passthrough")
        target = table["price"] + (table["sector"] == "tech") + table["volume"]
        return make_pipeline(encoder, Ridge()), target

    def test_categories_are_shown_by_name(self, table, fitted):
        model, target = fitted
        explanation = KernelSHAP(model, background=20).fit(table, target).explain(table)
        converted = explanation.to_shap()
        assert converted.display_data[:, 1].tolist() == table["sector"].tolist()
        np.testing.assert_array_equal(converted.display_data[:, 0], table["price"])
        shap.plots.waterfall(converted[3], show=False)
        ticks = labels(mpl.pyplot.gcf().axes[0].yaxis)
        assert f"{table['sector'].iloc[3]} = sector" in ticks
        mpl.pyplot.close("all")
        axes = shap.plots.scatter(converted[:, "sector"], show=False)
        assert set(labels(axes.xaxis)) == {"tech", "energy", "food"}
        # A linear model gives each category one value.
        places = dict(zip(labels(axes.xaxis), axes.get_xticks(), strict=True))
        drawn = np.asarray(axes.collections[0].get_offsets())
        for name, place in places.items():
            near = np.abs(drawn[:, 0] - place) < 0.5
            expected = explanation.values[table["sector"] == name, 1]
            np.testing.assert_allclose(np.sort(drawn[near, 1]), np.sort(expected))
        mpl.pyplot.close("all")
        shap.plots.force(converted[3], matplotlib=True, show=False, contribution_threshold=0)
        shown = [text.get_text() for text in mpl.pyplot.gca().texts]
        assert f"sector = {table['sector'].iloc[3]}" in shown
        for plot in (shap.plots.bar, shap.plots.beeswarm, shap.plots.heatmap):
            mpl.pyplot.close("all")
            assert "sector" in labels(plot(converted, show=False).yaxis)
        mpl.pyplot.close("all")
        axes = shap.plots.bar(converted[3], show=False)
        assert f"{table['sector'].iloc[3]} = sector" in labels(axes.yaxis)

    def test_groups_of_columns_join_their_values(self, table, fitted):
        model, target = fitted
        explainer = KernelSHAP(model, players={"stock": ["sector", "volume"]}, background=20)
        explanation = explainer.fit(table, target).explain(table)
        converted = explanation[:, "stock"].to_shap()
        expected = f"{table['sector'].iloc[0]}, {table['volume'].iloc[0]:.4g}"
        assert converted.display_data[0, 0] == expected
        # A number of its own for each text, as shap's axes of categories need.
        texts, codes = converted.display_data[:, 0], converted.data[:, 0]
        assert len(set(texts)) == len(set(codes)) == len(set(zip(texts, codes, strict=True)))

    def test_a_missing_category_has_a_place(self):
        data = np.array([[0.0, 1.5], [1.0, 2.5], [np.nan, 3.5], [0.0, np.nan]])
        explanation = make_explanation(
            4, (2,), "column", data=data, categories={0: ("tech", "food")}
        )
        converted = explanation.to_shap()
        assert converted.display_data[:, 0].tolist() == ["tech", "food", "missing", "tech"]
        axes = shap.plots.scatter(converted[:, 0], show=False)
        assert set(labels(axes.xaxis)) == {"tech", "food", "missing"}
        assert len(axes.collections[0].get_offsets()) == 4
        # Numbers stay numbers, and a missing one is shap's to draw.
        np.testing.assert_array_equal(converted.data[:, 1], data[:, 1])

    def test_drops_in_the_score(self, table):
        X, y = table[["price", "volume"]].to_numpy(), table["price"].to_numpy()
        explanation = PermutationImportance(Ridge(), random_state=0).fit(X, y).explanation_
        assert explanation.data is None
        axes = shap.plots.bar(explanation.to_shap().mean(0), show=False)
        widths = sorted(bar.get_width() for bar in axes.patches)
        np.testing.assert_allclose(widths, np.sort(explanation.importances()))

    def test_same_as_shaps_own_explainer(self, rng):
        from sklearn.ensemble import RandomForestRegressor

        X = rng.normal(size=(60, 4))
        forest = RandomForestRegressor(5, random_state=0).fit(X, X[:, 0] * X[:, 1])
        theirs = shap.TreeExplainer(forest)(X)
        ours = TreeSHAP(forest).fit(X, X[:, 0] * X[:, 1]).explain(X).to_shap()
        np.testing.assert_allclose(ours.values, theirs.values, atol=1e-6)
        np.testing.assert_allclose(ours.base_values, theirs.base_values, atol=1e-6)
        np.testing.assert_array_equal(ours.data, theirs.data)
