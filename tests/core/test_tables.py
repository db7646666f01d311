import time

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from sklexplain.core.tables import RowCodec

COLUMNS = {
    "int": np.array([1, 2, 3]),
    "int8": np.array([1, -2, 3], dtype=np.int8),
    "bool": np.array([True, False, True]),
    "float32": np.array([0.1, np.nan, 0.3], dtype=np.float32),
    "float": np.array([0.1, np.inf, np.nan]),
    "str": pd.array(["a", None, "b"], dtype="str"),
    "string": pd.array(["a", None, "b"], dtype="string"),
    "object": pd.Series(["a", np.nan, 3], dtype=object),
    "object with None": pd.Series(["a", None, "b"], dtype=object),
    "category": pd.Categorical(["u", "v", None], categories=["v", "u", "w"]),
    "ordered": pd.Categorical(["lo", "hi", "lo"], categories=["lo", "hi"], ordered=True),
    "category of ints": pd.Categorical([3, 1, 3]),
    "date": pd.to_datetime(["2024-01-01", None, "2024-01-03"]),
    "zoned": pd.to_datetime(["2024-01-01", None, "2024-01-03"]).tz_localize("Europe/Zurich"),
    "period": pd.period_range("2024-01", periods=3, freq="M"),
    "duration": pd.to_timedelta([1, 2, None], unit="D"),
    "Int64": pd.array([1, None, 3], dtype="Int64"),
    "boolean": pd.array([True, None, False], dtype="boolean"),
    "Float64": pd.array([1.5, None, 3], dtype="Float64"),
}


class TestRoundTrip:
    @pytest.mark.parametrize("name", COLUMNS)
    def test_column_keeps_its_values_and_type(self, name):
        frame = pd.DataFrame({name: COLUMNS[name]})
        codec = RowCodec.from_rows(frame)
        rows = codec.encode(frame)
        assert rows.dtype == np.float64
        assert_frame_equal(codec.decode(rows), frame, check_exact=True)

    def test_columns_stay_in_order_and_rows_may_be_mixed(self):
        frame = pd.DataFrame(COLUMNS)
        codec = RowCodec.from_rows(frame)
        rows = codec.encode(frame)
        mixed = rows[[2, 0, 0]]
        expected = frame.iloc[[2, 0, 0]].reset_index(drop=True)
        assert_frame_equal(codec.decode(mixed), expected)
        assert codec.feature_names == list(COLUMNS)

    @given(
        st.lists(
            st.tuples(st.text(max_size=3), st.integers(-(2**40), 2**40), st.booleans()),
            min_size=1,
            max_size=6,
        )
    )
    def test_any_text_and_numbers(self, records):
        frame = pd.DataFrame(records, columns=["text", "number", "flag"])
        codec = RowCodec.from_rows(frame)
        assert_frame_equal(codec.decode(codec.encode(frame)), frame)

    def test_none_and_nan_stay_apart(self):
        for missing in (None, np.nan):
            frame = pd.DataFrame({"a": pd.Series(["x", missing], dtype=object)})
            codec = RowCodec.from_rows(frame)
            value = codec.decode(codec.encode(frame))["a"].iloc[1]
            assert value is None if missing is None else np.isnan(value)

    def test_columns_are_found_by_name(self):
        frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
        codec = RowCodec.from_rows(frame)
        np.testing.assert_array_equal(
            codec.encode(frame[["b", "a"]].assign(c=0)), codec.encode(frame)
        )

    def test_columns_named_by_numbers(self):
        frame = pd.DataFrame([[1, 2], [3, 4]], columns=[10, 20])
        codec = RowCodec.from_rows(frame)
        assert codec.feature_names == ["10", "20"]
        assert_frame_equal(codec.decode(codec.encode(frame)), frame)

    def test_array_where_a_frame_was_fitted(self):
        codec = RowCodec.from_rows(pd.DataFrame({"a": [1.0], "b": [2.0]}))
        np.testing.assert_array_equal(codec.encode(np.array([[3.0, 4.0]])), [[3, 4]])
        with pytest.raises(ValueError, match=r"shape \(1, 3\), but fit saw a DataFrame of 2"):
            codec.encode(np.ones((1, 3)))

    @pytest.mark.parametrize(
        ("learned", "value"),
        [
            (np.array([1, 2]), 1.5),
            (np.array([1, 2], dtype=np.int8), 300.0),
            (np.array([1, 2]), np.nan),
            (np.array([True, False]), 5.0),
            (np.array([True, False]), np.nan),
            (np.array([0.5], dtype=np.float32), 0.1),
        ],
    )
    def test_a_value_that_the_learned_type_cannot_hold_stays(self, learned, value):
        codec = RowCodec.from_rows(pd.DataFrame({"a": learned}))
        rows = codec.encode(pd.DataFrame({"a": [value]}))
        np.testing.assert_array_equal(codec.decode(rows)["a"].to_numpy(dtype=float), [value])


class TestNewCategories:
    @pytest.mark.parametrize("dtype", ["str", object, "category"])
    def test_extended(self, dtype):
        first = pd.DataFrame({"a": pd.Series(["x", "y"], dtype=dtype), "b": [1.0, 2.0]})
        later = pd.DataFrame({"a": pd.Series(["z", "x", None], dtype=dtype), "b": [0.0, 1.0, 2.0]})
        codec = RowCodec.from_rows(first)
        extended = codec.extended(later)
        np.testing.assert_array_equal(extended.encode(first), codec.encode(first))
        decoded = extended.decode(extended.encode(later))
        assert decoded["a"].iloc[:2].tolist() == ["z", "x"]
        assert decoded["a"].isna().tolist() == [False, False, True]
        assert extended.extended(later).encode(later)[0, 0] == extended.encode(later)[0, 0]

    def test_array_codec_has_none(self):
        codec = RowCodec.from_rows(np.ones((2, 2)))
        assert codec.extended(pd.DataFrame({"a": ["x"]})) is codec

    def test_many_new_values_cost_linear_time(self):
        codec = RowCodec.from_rows(pd.DataFrame({"a": [f"old {i}" for i in range(20_000)]}))
        start = time.perf_counter()
        codec.extended(pd.DataFrame({"a": [f"new {i}" for i in range(20_000)]}))
        # Comparing each new value with all old ones takes minutes.
        assert time.perf_counter() - start < 5


class TestArrays:
    codec = RowCodec()

    @pytest.mark.parametrize(
        ("rows", "dtype"),
        [
            (np.ones((2, 3), dtype=np.float32), np.float32),
            (np.ones((2, 3)), np.float64),
            (np.ones((2, 3), dtype=int), np.float64),
            (np.ones((2, 3), dtype=bool), np.float64),
            ([[1, 2], [3, 4]], np.float64),
            (np.full((2, 4, 3), np.nan), np.float64),
        ],
    )
    def test_numbers_pass(self, rows, dtype):
        encoded = self.codec.encode(rows)
        assert encoded.dtype == dtype
        np.testing.assert_array_equal(encoded, np.asarray(rows))
        assert self.codec.decode(encoded) is encoded
        assert self.codec.feature_names is None

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            (np.ones((2, 2, 2, 2)), r"rows has 4 dimensions \(2, 2, 2, 2\)"),
            (np.ones(3), "Expected 2D array"),
            (np.array([["a", "b"]]), "rows is an array that holds something else.*'a'.*DataFrame"),
            (np.array([["a", 1.0]], dtype=object), "rows is an array that holds something else"),
            (np.empty((0, 3)), "0 sample"),
        ],
    )
    def test_what_is_no_numeric_array(self, rows, message):
        with pytest.raises(ValueError, match=message):
            self.codec.encode(rows, "rows")

    def test_sparse(self):
        with pytest.raises(TypeError, match="dense data is required"):
            self.codec.encode(scipy.sparse.eye(3, format="csr"))


class TestFrameErrors:
    def test_missing_column(self):
        codec = RowCodec.from_rows(pd.DataFrame({"a": ["x"], "b": [2.0], "c": [2.0]}))
        for missing, rest in (("'a', 'c'", ["b"]), ("'b'", ["a", "c"])):
            frame = pd.DataFrame({name: [1.0] for name in rest})
            with pytest.raises(ValueError, match=rf"rows lacks the columns \[{missing}\]"):
                codec.extended(frame).encode(frame, "rows")

    def test_text_in_a_numeric_column(self):
        codec = RowCodec.from_rows(pd.DataFrame({"a": [1.0]}))
        with pytest.raises(ValueError, match="column 'a' of X is not numeric, but it was"):
            codec.encode(pd.DataFrame({"a": ["x"]}))

    def test_repeated_column(self):
        with pytest.raises(ValueError, match=r"several columns named \['a'\]"):
            RowCodec.from_rows(pd.DataFrame(np.ones((2, 3)), columns=["a", "b", "a"]))
