"""How rows become windows, and where training ends and testing begins."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklexplain.cli.options import Request
from sklexplain.cli.samples import chosen_rows, divided
from sklexplain.cli.tables import checked_table


def request(**options):
    return Request(Path("data.csv"), "value", Path("out"), model="ridge", **options)


def samples_of(frame, **options):
    asked = request(**options)
    return divided(checked_table(frame, asked), asked)


def series(n_rows, start=0):
    return pd.DataFrame({"when": np.arange(n_rows), "value": start + np.arange(n_rows) % 97 * 1.5})


@given(
    window=st.integers(1, 6),
    horizon=st.integers(0, 5),
    test_size=st.floats(0.1, 0.5),
    n_rows=st.integers(60, 100),
)
def test_training_knows_nothing_that_the_first_test_window_does_not(
    window, horizon, test_size, n_rows
):
    frame = series(n_rows).assign(row=np.arange(n_rows) * 1.0)
    samples = samples_of(
        frame, window=window, horizon=horizon, test_size=test_size, features=("row",), time="when"
    )
    last_rows = (samples.train.reshape(len(samples.train), -1)[:, -1]).astype(int)
    first_test = int(samples.test.reshape(len(samples.test), -1)[0, -1])
    assert last_rows.max() + horizon <= first_test
    values = frame["value"].to_numpy()
    np.testing.assert_array_equal(samples.train_target, values[last_rows + horizon])
    n_all = n_rows - window - horizon + 1
    assert len(samples.test) == np.ceil(test_size * n_all)
    # No more is lost than the targets that were not known yet.
    assert len(samples.train) == n_all - len(samples.test) - max(0, horizon - 1)


def test_groups_are_divided_at_one_time_and_windows_stay_inside():
    early = series(80).assign(unit="early", mark=0.0)
    late = series(80).assign(when=lambda t: t["when"] + 30, unit="late", mark=1.0)
    mixed = pd.concat([late, early]).sample(frac=1, random_state=0)
    asked = {"window": 5, "time": "when", "group": "unit", "features": ("mark",)}
    samples = samples_of(mixed, **asked, test_size=0.15)
    for windows in (samples.train, samples.test):
        assert (windows.min(axis=(1, 2)) == windows.max(axis=(1, 2))).all()
    moments = [int(label.split(", ")[1]) for label in samples.labels]
    assert moments == sorted(moments)
    # The late group goes on for 30 rows after the early one has ended.
    assert len(samples.test) == 23
    assert {label.split(",")[0] for label in samples.labels} == {"late"}
    samples = samples_of(mixed, **asked, test_size=0.5)
    first = int(samples.labels[0].split(", ")[1])
    assert {label.split(",")[0] for label in samples.labels} == {"early", "late"}
    n_later = int((mixed["when"] >= first).sum())
    assert len(samples.test) == n_later


def test_groups_without_times_are_each_divided_near_their_end():
    frame = pd.concat(
        [series(100).assign(unit="long", mark=0.0), series(50).assign(unit="short", mark=1.0)]
    )
    samples = samples_of(frame, window=3, group="unit", features=("mark",), test_size=0.2)
    tests = samples.test[:, 0, 0]
    assert (tests == 0).sum() == pytest.approx(20, abs=1)
    assert (tests == 1).sum() == pytest.approx(10, abs=1)
    # The last training rows, which a net validates on, are of both.
    assert set(samples.train[-10:, 0, 0]) == {0.0, 1.0}


def test_the_target_is_no_feature_where_its_own_row_is_seen():
    frame = series(40).assign(other=1.0)
    assert checked_table(frame, request(horizon=0, window=1)).features == ("when", "other")
    assert checked_table(frame, request(horizon=1)).features == ("when", "value", "other")


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"] * 20, "classification"),
        ([True, False] * 20, "classification"),
        ([1, 2] * 20, "classification"),
        ([1.5, 2.5] * 20, "regression"),
        (list(range(40)), "regression"),
    ],
)
def test_the_task_goes_by_the_target(values, task):
    frame = pd.DataFrame({"value": values, "other": np.arange(40.0)})
    table = checked_table(frame, request(window=2))
    assert table.task == task
    assert bool(table.notes) == (values[:2] == [1, 2])


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["2024-01-31", "2024-02-01"], ["2024-01-31", "2024-02-01"]),
        (["31.01.2024", "01.02.2024"], ["2024-01-31", "2024-02-01"]),
        (["01/31/2024", "02/01/2024"], ["2024-01-31", "2024-02-01"]),
        (
            ["2024-03-31T01:30+01:00", "2024-03-31T03:30+02:00"],
            ["2024-03-31 00:30", "2024-03-31 01:30"],
        ),
        (["2024-01-31 23:59:58", "2024-02-01"], ["2024-01-31 23:59:58", "2024-02-01 00:00:00"]),
    ],
)  # fmt: skip
def test_dates_are_read_in_the_one_way_they_can(written, expected):
    from sklexplain.cli.times import parse_times
    from sklexplain.cli.times import written as shown

    times = parse_times(pd.Series(written), "column")
    assert shown(times).tolist() == expected


@given(st.integers(1, 200), st.integers(1, 60))
def test_explained_rows_are_distinct_and_end_with_the_last(n_rows, n_wanted):
    rows = chosen_rows(n_rows, n_wanted)
    assert len(np.unique(rows)) == len(rows) == min(n_rows, n_wanted)
    assert rows[-1] == n_rows - 1


def test_separators_and_decimal_commas(tmp_path):
    from sklexplain.cli.files import read_frame

    path = tmp_path / "data.csv"
    for text in ("a;b\n1,5;2\n", "a\tb\n1.5\t2\n", "a|b\n1.5|2\n", "\ufeffa, b\n1.5, 2\n"):
        path.write_text(text, encoding="utf-8")
        frame = read_frame(path)
        assert frame.columns.tolist() == ["a", "b"]
        assert frame.to_numpy().tolist() == [[1.5, 2.0]]
