import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sklexplain.display.report_about import parameters_of
from sklexplain.display.report_parts import (
    decimals_for,
    importance_table,
    number,
    row_table,
)


def numbers_in(cells):
    return [[float(part.replace(",", "")) for part in cell.split(" ± ")] for cell in cells]


def test_the_table_holds_the_numbers_of_the_explanations(explanation_of):
    drops, values = explanation_of(kind="importances"), explanation_of()
    table = importance_table({"drop": drops, "value": values}, caption="")
    assert table.columns == ["player", "drop", "value"]
    order = np.argsort(-drops.importances())
    assert [row[0] for row in table.rows] == [drops.players.names[i] for i in order]
    for column, explanation in ((1, drops), (2, values)):
        found = numbers_in(row[column] for row in table.rows)
        sizes = explanation.values if column == 1 else np.abs(explanation.values)
        expected = np.column_stack([sizes.mean(axis=0), sizes.std(axis=0)])[order]
        np.testing.assert_allclose(found, expected, atol=0.6e-3)


def test_time_steps_keep_their_order_and_long_tables_are_cut(explanation_of):
    steps = explanation_of("timestep", (60, 2), kind="importances")
    table = importance_table({"drop": steps}, caption="Steps.", max_rows=50)
    assert [row[0] for row in table.rows] == list(steps.players.names[:50])
    assert table.caption == "Steps. 10 further rows are left out."


def test_a_table_of_different_players_is_refused(explanation_of):
    with pytest.raises(ValueError, match="'second' is of other players"):
        importance_table(
            {"first": explanation_of(), "second": explanation_of(shape=(5,))}, caption=""
        )


def test_a_row_adds_up_from_base_value_to_prediction(explanation_of):
    explanation = explanation_of(shape=(30,))
    table = row_table({"KernelSHAP": explanation[3]}, unit="dollars", max_rows=5)
    assert [row[0] for row in table.rows[::6]] == ["base value", "25 others together"]
    numbers = [float(row[1]) for row in table.rows]
    assert numbers[-1] == pytest.approx(explanation.predictions[3], abs=1e-3)
    assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=5e-3)
    assert table.columns[1] == "KernelSHAP, dollars"


def test_changed_hyperparameters_come_first():
    facts = parameters_of(Ridge(tol=1e-3), leave_out=["copy_X"])
    assert facts.items[0] == ("tol", "0.001")
    assert ("alpha", "1.0") in facts.items
    assert "copy_X" not in dict(facts.items)


@pytest.mark.parametrize(
    ("values", "decimals"),
    [([0, 0], 0), ([123.4], 1), ([12.3, -1], 2), ([0.05], 5), ([-99999], 0), ([np.nan, 1], 3)],
)
def test_the_largest_number_has_four_digits(values, decimals):
    assert decimals_for(values) == decimals


def test_numbers_have_no_negative_zero_and_thousands_apart():
    assert number(-0.0001, 2) == "0.00"
    assert number(-1234.5, 1) == "-1,234.5"
