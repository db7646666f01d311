"""What is no table to window is refused, and the message says where and what to do."""

import numpy as np
import pandas as pd
import pytest

from sklexplain.windows import SlidingWindow, make_windows


class TestSlidingWindowErrors:
    def test_window_longer_than_the_table(self):
        with pytest.raises(ValueError, match=r"window=5 is longer than the table.*n_samples=4"):
            SlidingWindow(5).fit(np.ones((4, 2)))
        fitted = SlidingWindow(5).fit(np.ones((6, 2)))
        with pytest.raises(ValueError, match="prepend the rows that came before"):
            fitted.transform(np.ones((4, 2)))

    @pytest.mark.parametrize("params", [{"window": 0}, {"window": 2.5}, {"pad": "mirror"}])
    def test_parameters_out_of_range_are_named(self, params):
        with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter"):
            SlidingWindow(**params).fit(np.ones((4, 2)))

    @pytest.mark.parametrize(
        ("value", "word"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")]
    )
    def test_missing_value_is_located(self, value, word):
        frame = pd.DataFrame({"open": np.ones(6), "close": np.ones(6)})
        frame.loc[3, "close"] = value
        with pytest.raises(ValueError, match=rf"X contains {word}.*first in row 3, column 'close'"):
            SlidingWindow(2).fit(frame)
        with pytest.raises(ValueError, match=rf"X contains {word}.*first in row 3, column 1"):
            SlidingWindow(2).fit(frame.to_numpy())

    @pytest.mark.parametrize(
        "days",
        [
            ["2024-01-02", "2024-01-01", "2024-01-03"],
            ["2024-01-03", "2024-01-02", "2024-01-01"],
            ["2024-01-01", "2024-01-01", "2024-01-02"],
        ],
    )
    @pytest.mark.parametrize("kind", ["datetime", "zoned", "period", "date"])
    def test_times_that_do_not_increase(self, days, kind):
        index = pd.DatetimeIndex(days)
        if kind == "zoned":
            index = index.tz_localize("Europe/Zurich")
        elif kind == "period":
            index = index.to_period("D")
        elif kind == "date":
            index = pd.Index(index.date)
        frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=index)
        with pytest.raises(ValueError, match=r"row 1 .* follows row 0.*X\.sort_index\(\)"):
            SlidingWindow(2).fit(frame)
        in_order = frame.sort_index()[~frame.sort_index().index.duplicated()]
        assert SlidingWindow(2).fit_transform(in_order).shape == (len(in_order), 2, 1)

    def test_missing_time(self):
        index = pd.DatetimeIndex([None, "2024-01-01", "2024-01-02"])
        with pytest.raises(ValueError, match="NaT"):
            SlidingWindow(2).fit(pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=index))

    def test_index_that_holds_no_times_may_have_any_order(self):
        frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=[7, 3, 5])
        assert SlidingWindow(2).fit_transform(frame).shape == (3, 2, 1)

    def test_columns_that_are_not_numeric_are_named(self):
        frame = pd.DataFrame(
            {
                "close": [1.0, 2.0],
                "ticker": ["A", "A"],
                "day": pd.to_datetime(["2024-01-01", "2024-01-02"]),
            }
        )
        with pytest.raises(ValueError, match=r"not numeric: \['ticker', 'day'\]"):
            SlidingWindow(2).fit(frame)

    def test_nullable_and_object_columns_of_numbers_are_numeric(self):
        frame = pd.DataFrame(
            {"a": pd.array([1, 2, 3], dtype="Int64"), "b": np.array([1, 2, 3], dtype=object)}
        )
        result = SlidingWindow(1).fit_transform(frame)
        np.testing.assert_array_equal(result[:, 0], [[1, 1], [2, 2], [3, 3]])
        frame.loc[1, "a"] = pd.NA
        with pytest.raises(ValueError, match=r"NaN.*row 1, column 'a'"):
            SlidingWindow(1).fit(frame)

    @pytest.mark.parametrize(
        ("X", "message"),
        [
            (np.ones(5), "Expected 2D array"),
            (np.ones((5, 2, 2)), r"shape \(5, 2, 2\).*needs no windowing"),
            (np.array([["1.5", "GOOG"]] * 3), "X holds text \\('1.5' first\\), not numbers"),
        ],
    )
    def test_tables_are_numbers_in_two_dimensions(self, X, message):
        with pytest.raises(ValueError, match=message):
            SlidingWindow(2).fit(X)


class TestMakeWindowsErrors:
    X = np.arange(20.0).reshape(10, 2)
    y = np.arange(10.0)

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"window": 11}, "window=11 is too long: the table has 10 rows"),
            ({"window": 8, "horizon": 3}, "window=8 and horizon=3 are too long.* takes 11"),
            (
                {"window": 6, "groups": [0] * 5 + [1] * 5},
                "window=6 is too long: the longest group has 5 rows",
            ),
            ({"window": 2, "groups": [0, 1] * 5}, "group 0 starts again at row 2"),
            ({"window": 2, "groups": [0] * 9}, r"10 rows but groups has shape \(9,\)"),
            ({"window": 2, "groups": [*"aaaaa", None, *"bbbb"]}, "no label in row 5"),
            ({"window": 2, "groups": [0.0] * 3 + [np.nan] * 7}, "no label in row 3"),
            ({"window": 2, "groups": "ticker"}, "groups='ticker' names a column.*ndarray"),
            ({"window": 0}, "'window' parameter"),
            ({"window": 2, "horizon": -1}, "'horizon' parameter"),
            ({"window": 2, "stride": 0}, "'stride' parameter"),
        ],
    )
    def test_arguments(self, params, message):
        with pytest.raises(ValueError, match=message):
            make_windows(self.X, self.y, **params)

    def test_longest_possible_window_is_allowed(self):
        windows, targets = make_windows(self.X, self.y, window=9)
        assert windows.shape == (1, 9, 2)
        assert targets.tolist() == [9]

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (y[1:], "X has 10 rows but y has 9.*unshifted"),
            (np.append(y[1:], np.nan), "y contains NaN.*first in row 9.*pass y unshifted"),
            (np.array([*"abcdefghi", None], dtype=object), "y contains NaN.*first in row 9"),
            (np.array([*"abcdefgh", np.nan, "i"], dtype=object), "y contains NaN.*row 8"),
            ("close", "y='close' names a column, but X is a ndarray"),
            (np.ones((10, 2, 2)), "dim 3"),
        ],
    )
    def test_targets(self, y, message):
        with pytest.raises(ValueError, match=message):
            make_windows(self.X, y, window=2)

    @pytest.mark.parametrize(
        ("X", "message"),
        [
            (y, "Expected 2D array"),
            (np.ones((4, 2, 2)), "needs no windowing"),
            (np.where(X == 7, np.nan, X), "X contains NaN.*first in row 3, column 1"),
            (np.full((5, 1), "a"), "X holds text.*Encode or drop"),
        ],
    )
    def test_tables(self, X, message):
        with pytest.raises(ValueError, match=message):
            make_windows(X, window=2)

    def test_unsorted_times(self):
        frame = pd.DataFrame(self.X, index=pd.date_range("2024", periods=10))
        with pytest.raises(ValueError, match="does not increase: row 1 "):
            make_windows(frame[::-1], window=2)

    def test_times_need_only_increase_within_groups(self):
        index = pd.DatetimeIndex(["2024-01-01", "2024-01-02"] * 5)
        frame = pd.DataFrame(self.X, index=index)
        windows, _ = make_windows(frame, window=2, groups=np.repeat(range(5), 2))
        assert len(windows) == 5
        with pytest.raises(ValueError, match="row 2 "):
            make_windows(frame, window=2, groups=np.repeat([0, 1], 5))

    def test_unknown_column(self):
        frame = pd.DataFrame(self.X, columns=["open", "close"])
        with pytest.raises(ValueError, match=r"y='volume' is not a column.*\['open', 'close'\]"):
            make_windows(frame, "volume", window=2)

    def test_column_cannot_be_its_own_target(self):
        frame = pd.DataFrame(self.X, columns=["open", "close"])
        with pytest.raises(ValueError, match=r"horizon=0 with y='close'.*its own window"):
            make_windows(frame, "close", window=2, horizon=0)

    def test_target_of_other_days(self):
        frame = pd.DataFrame(
            self.X, columns=["open", "close"], index=pd.date_range("2024", periods=10)
        )
        tomorrow = frame["close"].shift(-1).dropna()
        with pytest.raises(ValueError, match=r"different time indices.*y\.to_numpy\(\)"):
            make_windows(frame.iloc[1:], tomorrow, window=2)
        windows, _ = make_windows(frame.iloc[1:], tomorrow.to_numpy(), window=2)
        assert len(windows) == 7
