"""The table of a notebook: every number in its place, signed bars, and nothing that can run."""

import re

import numpy as np
import pytest

from sklexplain import LIME, KernelSHAP, make_players
from tests.explanations import NAMES, make_explanation
from tests.pages import Page, assert_asks_nothing_of_the_network

ADDS, TAKES = "#0072B2", "#D55E00"
EVIL = "<script>alert('x')</script>"


def lines(html):
    """Return the lines of the table as lists of text, its head first."""
    (table,) = Page(html).tables
    return table


def bars(html):
    """Return the (width, color) of every bar, in order."""
    found = re.findall(r"width:([0-9.]+)%;background:(#[0-9A-F]{6})", html)
    return [(float(width), color) for width, color in found]


def one_row(values=((0.5, -2.0, 1.0),), **params):
    defaults = {"values": np.array(values), "std_errors": None, "shape": (3,), "players": "column"}
    return make_explanation(1, **{**defaults, **params})


class TestOneRow:
    def test_lines(self):
        explanation = one_row(
            data=np.array([[7.0, 8.25, 9.0]]),
            base_values=np.array([10.0]),
            predictions=np.array([9.5]),
            index=np.array(["2024-05-01"]),
        )
        html = explanation._repr_html_()
        assert lines(html) == [
            ["player", "value", "attribution"],
            ["close", "8.25", "-2", ""],
            ["volume", "9", "1", ""],
            ["open", "7", "0.5", ""],
            ["base value", "10", ""],
            ["prediction", "9.5", ""],
        ]
        assert bars(html) == [(100, TAKES), (50, ADDS), (25, ADDS)]
        assert "Test: row 2024-05-01" in html

    def test_a_selected_row_is_that_row(self):
        explanation = make_explanation()
        numbers = [line[2] for line in lines(explanation[3]._repr_html_())[1:4]]
        order = np.argsort(-np.abs(explanation.values[3]))
        expected = zip(explanation.values[3, order], explanation.std_errors[3, order], strict=True)
        assert numbers == [f"{value:.4g} ± {error:.2g}" for value, error in expected]

    def test_negative_bars_end_where_positive_ones_begin(self):
        html = one_row()._repr_html_()
        cells = re.findall(r'justify-content:flex-end;border-right:1px solid">(.*?)</div><div '
                           r'style="[^"]*width:50%">(.*?)</div></div></td>', html)  # fmt: skip
        assert [(TAKES in left, ADDS in right) for left, right in cells] == [
            (True, False),
            (False, True),
            (False, True),
        ]
        # With nothing below zero the bars have the whole width.
        assert "flex-end" not in one_row(values=((0.5, 2.0, 1.0),))._repr_html_()

    def test_classifiers_show_each_output(self):
        values = np.array([[[0.2, -0.2], [0.1, -0.1], [-0.4, 0.4]]])
        explanation = one_row(
            values,
            outputs=("up", "down"),
            base_values=np.array([[0.3, 0.7]]),
            predictions=np.array([[0.2, 0.8]]),
        )
        html = explanation._repr_html_()
        table = lines(html)
        assert table[0] == ["player", "value", "attribution: up", "attribution: down"]
        assert [line[0] for line in table[1:4]] == ["volume", "open", "close"]
        assert [line[2::2] for line in table[1:4]] == [
            ["-0.4", "0.4"],
            ["0.2", "-0.2"],
            ["0.1", "-0.1"],
        ]
        assert table[4] == ["base value", "0.3", "", "0.7", ""]
        assert table[5] == ["prediction", "0.2", "", "0.8", ""]
        assert bars(html) == [(100, TAKES), (100, ADDS), (50, ADDS), (50, TAKES), (25, ADDS),
                              (25, TAKES)]  # fmt: skip

    def test_of_many_outputs_the_largest(self):
        outputs = tuple("abcdef")
        explanation = one_row(
            np.ones((1, 3, 6)),
            outputs=outputs,
            predictions=np.array([[0.1, 0.3, 0.0, 0.2, 0.05, 0.35]]),
            base_values=np.zeros((1, 6)),
        )
        html = explanation._repr_html_()
        assert [title[-1] for title in lines(html)[0][2:]] == ["a", "b", "d", "f"]
        assert "the 4 of 6 outputs that are largest" in html

    def test_players_without_room_are_added_up(self):
        values = np.arange(1, 26.0)[None] * np.where(np.arange(25) % 2, -1, 1)
        explanation = make_explanation(
            1, (25, 1), "timestep", values=values, std_errors=None, data=None, index=None
        )
        table = lines(explanation._repr_html_())
        assert len(table) == 1 + 20 + 1 + 2
        assert table[21] == ["5 other players", f"{1 - 2 + 3 - 4 + 5}", ""]
        shown = sum(float(line[1]) for line in table[1:22])
        assert shown == values.sum()
        assert "Test: one row" in explanation._repr_html_()

    def test_what_the_row_holds(self):
        explanation = make_explanation(
            1,
            (3,),
            {"stock": ["open", "close"]},
            data=np.array([[1.0, 2.5, np.nan]]),
            categories={0: ("tech", "food"), 2: ("low",)},
        )
        held = {line[0]: line[1] for line in lines(explanation._repr_html_())[1:3]}
        assert held == {"stock": "food, 2.5", "volume": "missing"}
        windows = make_explanation(1)
        held = {line[0]: line[1] for line in lines(windows._repr_html_())[1:4]}
        means = windows.data[0].mean(axis=0)
        assert held == {name: f"mean {mean:.4g}" for name, mean in zip(NAMES, means, strict=True)}

    def test_conditions_take_the_place_of_values(self, rng):
        X = rng.normal(size=(200, 3))
        explainer = LIME(
            lambda X: X[:, 0], n_samples=300, random_state=0, feature_names=["a", "b", "c"]
        )
        explanation = explainer.fit(X).explain(X[:1])
        table = lines(explanation._repr_html_())
        assert table[0] == ["player", "condition", "attribution"]
        first = int(np.argmax(np.abs(explanation.values[0])))
        assert table[1][:2] == ["abc"[first], explanation.conditions[0, first]]
        named = {line[0]: float(line[1]) for line in table[4:]}
        surrogate = explanation.base_values[0] + explanation.values[0].sum()
        assert named["prediction"] == pytest.approx(X[0, 0], rel=1e-3)
        assert named["the surrogate's prediction"] == pytest.approx(surrogate, rel=1e-3)
        assert named["the surrogate's R²"] == pytest.approx(
            explanation.diagnostics["local_r2"][0], rel=1e-3
        )

    def test_adds_up_as_shapley_values_do(self, rng):
        X = rng.normal(size=(30, 3))
        explanation = KernelSHAP(lambda X: X[:, 0] * X[:, 1] + X[:, 2], background=10).fit(X)
        table = lines(explanation.explain(X[:1])._repr_html_())
        values = sum(float(line[2]) for line in table[1:4])
        assert float(table[4][1]) + values == pytest.approx(float(table[5][1]), abs=2e-3)


class TestManyRows:
    def test_most_important_first(self):
        values = np.array([[0.5, -2.0, 1.0], [-0.5, 2.0, -1.0]])
        html = make_explanation(2, values=values, std_errors=None)._repr_html_()
        assert lines(html) == [
            ["player", "mean |attribution|"],
            ["close", "2", ""],
            ["volume", "1", ""],
            ["open", "0.5", ""],
        ]
        assert bars(html) == [(100, ADDS), (50, ADDS), (25, ADDS)]

    def test_drops_in_the_score_may_be_negative_and_vary(self):
        values = np.array([[0.5, -2.0, 1.0], [0.5, -1.0, 3.0]])
        explanation = make_explanation(
            2, values=values, std_errors=None, kind="importances", base_values=np.array([0.7, 0.9])
        )
        html = explanation._repr_html_()
        assert lines(html) == [
            ["player", "drop in the score"],
            ["volume", "2 ± 1", ""],
            ["close", "-1.5 ± 0.5", ""],
            ["open", "0.5 ± 0", ""],
            ["the score before", "0.8", ""],
        ]
        assert bars(html) == [(100, ADDS), (75, TAKES), (25, ADDS)]

    def test_one_repeat_is_no_row(self):
        html = one_row(kind="importances", data=None)._repr_html_()
        assert lines(html)[0] == ["player", "drop in the score"]
        assert lines(html)[1][:2] == ["close", "-2"]

    def test_each_output_has_its_bars(self):
        explanation = make_explanation(outputs=("up", "down"))
        table = lines(explanation._repr_html_())
        importances = explanation.importances()
        order = np.argsort(-importances.max(axis=1))
        assert [line[0] for line in table[1:]] == [NAMES[i] for i in order]
        for line, player in zip(table[1:], order, strict=True):
            assert line[1::2] == [f"{number:.4g}" for number in importances[player]]

    def test_players_without_room_are_counted(self):
        explanation = make_explanation(5, (30, 1), "timestep")
        table = lines(explanation._repr_html_())
        assert len(table) == 1 + 20 + 1
        assert table[-1] == ["10 other players", "", ""]


class TestAnyValues:
    @pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -np.inf, 1e-320, 1e308])
    @pytest.mark.parametrize("n_samples", [1, 2])
    def test_bars_stay_inside(self, value, n_samples):
        values = np.ones((n_samples, 3))
        values[0, 1] = value
        with np.errstate(all="ignore"):
            html = make_explanation(n_samples, values=values, std_errors=None)._repr_html_()
        assert all(0 <= width <= 100 for width, _ in bars(html))
        assert len(bars(html)) == 3

    @pytest.mark.parametrize("key", [slice(0), (0, [])])
    def test_nothing_to_show(self, key):
        assert Page(make_explanation()[key]._repr_html_()).tables == []

    @pytest.mark.parametrize("n_samples", [1, 4])
    def test_everything_named_is_escaped(self, n_samples):
        explanation = make_explanation(
            n_samples,
            (3,),
            make_players({EVIL: [0], "&": [1]}, (3,), NAMES),
            (EVIL, "b"),
            method=EVIL,
            index=np.array([EVIL] * n_samples),
            categories={1: (EVIL,)},
            data=np.zeros((n_samples, 3)),
        )
        html = explanation._repr_html_()
        conditions = np.array([[EVIL] * 3] * n_samples)
        for shown in (html, make_explanation(n_samples, conditions=conditions)._repr_html_()):
            assert "<script" not in shown
            assert_asks_nothing_of_the_network(shown)
        assert EVIL in Page(html).texts
        assert "&amp;</td>" in html

    def test_text_has_the_colour_of_the_page(self):
        for explanation in (one_row(), make_explanation()):
            html = explanation._repr_html_()
            assert set(re.findall("#[0-9A-Fa-f]{3,8}", html)) <= {ADDS, TAKES}
            assert not re.search(r"[;\"]color:", html)
