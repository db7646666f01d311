import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklexplain.windows import SlidingWindow, make_windows

# A window looks at the rows before its own: moving or removing rows must change it.
NOT_ROW_INDEPENDENT = {
    "check_methods_subset_invariance": "a window holds the rows before its own, and needs them",
    "check_methods_sample_order_invariance": "the order of the rows is the order of time",
}


# The default window of 20 rows is longer than some of the tables that the checks use.
@parametrize_with_checks(
    [
        SlidingWindow(window=3),
        SlidingWindow(window=3, flatten=True),
        SlidingWindow(window=3, flatten=True, pad="nan"),
    ],
    expected_failed_checks=lambda estimator: NOT_ROW_INDEPENDENT,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@st.composite
def tables(draw, max_rows=25):
    shape = (draw(st.integers(1, max_rows)), draw(st.integers(1, 3)))
    dtype = draw(st.sampled_from([np.float64, np.float32]))
    return draw(arrays(dtype, shape, elements=st.floats(-100, 100, width=32)))


@st.composite
def grouped_rows(draw):
    """Lengths of groups, window, horizon and stride, with at least one group long enough."""
    window = draw(st.integers(1, 5))
    horizon = draw(st.integers(0, 3))
    lengths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))
    lengths.insert(draw(st.integers(0, len(lengths))), window + horizon)
    return lengths, window, horizon, draw(st.integers(1, 4))


class TestSlidingWindow:
    @settings(max_examples=60, deadline=None)
    @given(X=tables(), data=st.data(), pad=st.sampled_from(["edge", "zero", "nan"]))
    def test_equals_a_loop_over_rows(self, X, data, pad):
        window = data.draw(st.integers(1, len(X)))
        result = SlidingWindow(window, pad=pad).fit_transform(X)
        assert result.dtype == X.dtype
        assert result.shape == (len(X), window, X.shape[1])
        padding = {"edge": X[0], "zero": np.zeros_like(X[0]), "nan": np.full_like(X[0], np.nan)}
        for row in range(len(X)):
            for timestep in range(window):
                source = row - window + 1 + timestep
                expected = X[source] if source >= 0 else padding[pad]
                np.testing.assert_array_equal(result[row, timestep], expected)

    @settings(max_examples=40, deadline=None)
    @given(n_rows=st.integers(1, 30), data=st.data())
    def test_no_window_holds_a_later_row(self, n_rows, data):
        window = data.draw(st.integers(1, n_rows))
        row_numbers = np.arange(float(n_rows))[:, None]
        windows = SlidingWindow(window).fit_transform(row_numbers)[:, :, 0]
        np.testing.assert_array_equal(windows[:, -1], row_numbers[:, 0])
        assert (np.diff(windows, axis=1) >= 0).all()

    @settings(max_examples=30, deadline=None)
    @given(X=tables(), data=st.data())
    def test_changing_the_future_changes_no_earlier_window(self, X, data):
        window = data.draw(st.integers(1, len(X)))
        now = data.draw(st.integers(0, len(X) - 1))
        changed = X.copy()
        changed[now + 1 :] += 1
        transformer = SlidingWindow(window).fit(X)
        np.testing.assert_array_equal(
            transformer.transform(X)[: now + 1], transformer.transform(changed)[: now + 1]
        )

    @settings(max_examples=30, deadline=None)
    @given(X=tables(), data=st.data())
    def test_flat_names_point_to_their_values(self, X, data):
        window = data.draw(st.integers(1, len(X)))
        frame = pd.DataFrame(X, columns=["open", "close", "volume"][: X.shape[1]])
        flat = SlidingWindow(window, flatten=True).set_output(transform="pandas")
        result = flat.fit_transform(frame)
        assert list(result.columns) == list(flat.get_feature_names_out())
        for name in frame.columns:
            for lag in range(window):
                label = f"{name}[t-{lag}]" if lag else f"{name}[t]"
                # pandas' own shift is the reference; its missing first rows are padded here.
                expected = frame[name].shift(lag).fillna(frame[name].iloc[0])
                np.testing.assert_array_equal(result[label], expected)

    def test_flat_columns_are_timestep_major(self):
        X = np.arange(12.0).reshape(4, 3)
        windows = SlidingWindow(2).fit_transform(X)
        flat = SlidingWindow(2, flatten=True).fit_transform(X)
        np.testing.assert_array_equal(flat.reshape(4, 2, 3), windows)

    def test_frame_and_array_give_equal_values(self):
        X = np.random.default_rng(0).normal(size=(9, 2))
        frame = pd.DataFrame(X, columns=["a", "b"], index=pd.date_range("2024", periods=9))
        np.testing.assert_array_equal(
            SlidingWindow(4).fit_transform(frame), SlidingWindow(4).fit_transform(X)
        )

    def test_names_of_windows_are_those_of_the_features(self):
        frame = pd.DataFrame({"open": [1.0, 2.0], "close": [3.0, 4.0]})
        transformer = SlidingWindow(2).fit(frame)
        assert transformer.feature_names_in_.tolist() == ["open", "close"]
        assert transformer.get_feature_names_out().tolist() == ["open", "close"]
        flat = clone(transformer).set_params(flatten=True).fit(frame.to_numpy())
        assert flat.get_feature_names_out().tolist() == ["x0[t-1]", "x1[t-1]", "x0[t]", "x1[t]"]

    def test_set_output_keeps_the_index(self):
        index = pd.date_range("2024-01-01", periods=4, name="date")
        frame = pd.DataFrame({"close": [1.0, 2.0, 3.0, 4.0]}, index=index)
        flat = SlidingWindow(2, flatten=True).set_output(transform="pandas")
        pd.testing.assert_index_equal(flat.fit_transform(frame).index, index)

    def test_frame_of_3d_windows_is_refused_with_the_remedy(self):
        X = np.ones((4, 2))
        asked = SlidingWindow(2).set_output(transform="pandas").fit(X)
        with pytest.raises(ValueError, match=r"pandas DataFrame. Pass flatten=True"):
            asked.transform(X)
        with config_context(transform_output="pandas"):
            with pytest.raises(ValueError, match="flatten=True"):
                SlidingWindow(2).fit_transform(X)
            kept = SlidingWindow(2).set_output(transform="default").fit_transform(X)
        assert kept.shape == (4, 2, 2)

    @pytest.mark.parametrize("window", [1, 3])
    def test_result_is_writable_and_shares_no_memory(self, window):
        X = np.arange(8.0).reshape(4, 2)
        result = SlidingWindow(window).fit_transform(X)
        result[:] = -1
        np.testing.assert_array_equal(X, np.arange(8.0).reshape(4, 2))
        assert result.flags.c_contiguous

    def test_integers_become_floats_so_that_nan_can_pad(self):
        result = SlidingWindow(2, pad="nan").fit_transform(np.array([[1], [2]]))
        assert result.dtype == np.float64
        assert np.isnan(result[0, 0, 0])

    def test_history_prepended_gives_test_rows_their_real_past(self):
        frame = pd.DataFrame({"a": np.arange(10.0)})
        train, test = frame[:6], frame[6:]
        transformer = SlidingWindow(3).fit(train)
        history = train.tail(transformer.window - 1)
        windows = transformer.transform(pd.concat([history, test]))[len(history) :]
        np.testing.assert_array_equal(windows, transformer.transform(frame)[6:])

    def test_pipeline_searches_the_window_that_generated_the_data(self):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(300, 2))
        y = np.zeros(300)
        y[3:] = X[:-3, 0] - X[1:-2, 1]
        pipeline = make_pipeline(StandardScaler(), SlidingWindow(flatten=True), Ridge())
        search = GridSearchCV(
            pipeline, {"slidingwindow__window": [1, 2, 4, 20]}, cv=TimeSeriesSplit(3)
        ).fit(X, y)
        assert search.best_params_ == {"slidingwindow__window": 4}
        assert search.best_score_ > 0.9

    def test_pickled_transformer_gives_the_same_windows(self):
        X = np.random.default_rng(0).normal(size=(5, 2))
        transformer = SlidingWindow(3).fit(X)
        restored = pickle.loads(pickle.dumps(transformer))
        np.testing.assert_array_equal(restored.transform(X), transformer.transform(X))


class TestMakeWindows:
    @settings(max_examples=80, deadline=None)
    @given(case=grouped_rows())
    def test_equals_a_loop_that_keeps_to_the_group(self, case):
        lengths, window, horizon, stride = case
        groups = np.repeat([f"machine {i}" for i in range(len(lengths))], lengths)
        X = np.random.default_rng(0).normal(size=(len(groups), 2)).astype(np.float32)
        y = np.arange(len(groups))
        windows, targets, index = make_windows(
            X,
            y,
            window=window,
            horizon=horizon,
            stride=stride,
            groups=groups,
            return_index=True,
        )
        expected = []
        first = 0
        for length in lengths:
            for start in range(first, first + length, stride):
                if start + window - 1 + horizon < first + length:
                    expected.append(start + window - 1)
            first += length
        assert index.tolist() == expected
        np.testing.assert_array_equal(windows, [X[end - window + 1 : end + 1] for end in expected])
        assert targets.tolist() == [end + horizon for end in expected]
        assert windows.dtype == np.float32
        assert windows.flags.c_contiguous
        assert targets.dtype == y.dtype

    @settings(max_examples=60, deadline=None)
    @given(case=grouped_rows())
    def test_no_leak_from_the_target_the_future_or_another_group(self, case):
        lengths, window, horizon, stride = case
        groups = np.repeat(np.arange(len(lengths)), lengths)
        rows = np.arange(len(groups))
        table = np.column_stack([rows, groups])
        windows, targets = make_windows(
            table, table, window=window, horizon=horizon, stride=stride, groups=groups
        )
        ends = windows[:, -1, 0]
        assert (windows[:, :, 0] <= ends[:, None]).all()
        np.testing.assert_array_equal(targets[:, 0] - ends, horizon)
        if horizon >= 1:
            assert (windows[:, :, 0] < targets[:, :1]).all()
        assert (windows[:, :, 1] == targets[:, 1:]).all()
        np.testing.assert_array_equal(np.diff(windows[:, :, 0], axis=1), 1)

    def test_complete_windows_are_those_of_the_transformer(self):
        X = np.random.default_rng(0).normal(size=(30, 3))
        windows, targets, index = make_windows(X, window=7, return_index=True)
        np.testing.assert_array_equal(windows, SlidingWindow(7).fit_transform(X)[6:])
        np.testing.assert_array_equal(index, np.arange(6, 30))
        assert targets is None

    def test_without_targets_the_last_window_remains_to_forecast_from(self):
        X = np.arange(10.0)[:, None]
        windows, targets = make_windows(X, window=3, horizon=5)
        assert targets is None
        assert windows[-1, :, 0].tolist() == [7, 8, 9]

    def test_frame_and_array_give_equal_values(self):
        X = np.random.default_rng(0).normal(size=(12, 2))
        frame = pd.DataFrame(X, columns=["a", "b"], index=pd.date_range("2024", periods=12))
        by_name = make_windows(frame, "b", window=4, horizon=2)
        by_series = make_windows(frame, frame["b"], window=4, horizon=2)
        by_array = make_windows(X, X[:, 1], window=4, horizon=2)
        by_list = make_windows(X.tolist(), X[:, 1].tolist(), window=4, horizon=2)
        for windows, targets in (by_name, by_series, by_list):
            np.testing.assert_array_equal(windows, by_array[0])
            np.testing.assert_array_equal(targets, by_array[1])

    def test_groups_by_name_are_no_input(self):
        frame = pd.DataFrame({"ticker": list("aaabbb"), "close": np.arange(6.0)})
        windows, targets = make_windows(frame, "close", window=2, groups="ticker")
        np.testing.assert_array_equal(windows[:, :, 0], [[0, 1], [3, 4]])
        np.testing.assert_array_equal(targets, [2, 5])

    def test_panel_with_two_index_levels(self):
        index = pd.MultiIndex.from_product(
            [["a", "b"], pd.date_range("2024-01-01", periods=3)], names=["ticker", "date"]
        )
        frame = pd.DataFrame({"close": np.arange(6.0)}, index=index)
        with pytest.raises(ValueError, match=r"row 3 .*`groups`"):
            make_windows(frame, window=2)
        windows, _ = make_windows(frame, window=3, groups=index.get_level_values("ticker"))
        np.testing.assert_array_equal(windows[:, :, 0], [[0, 1, 2], [3, 4, 5]])

    @pytest.mark.parametrize(
        "y", [np.array(["up", "down", "up", "down"]), np.arange(8, dtype=np.float32).reshape(4, 2)]
    )
    def test_targets_keep_their_type_and_shape(self, y):
        _, targets = make_windows(np.ones((4, 1)), y, window=2)
        assert targets.dtype == y.dtype
        np.testing.assert_array_equal(targets, y[2:])

    def test_result_is_a_copy(self):
        X, y = np.zeros((4, 1)), np.zeros(4)
        windows, targets = make_windows(X, y, window=1, horizon=0)
        windows += 1
        targets += 1
        assert not X.any()
        assert not y.any()


def test_windows_need_no_pandas():
    # Hidden from the first import on, since scikit-learn itself loads pandas where it finds it.
    program = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise ImportError(name)

sys.meta_path.insert(0, Hidden())
import numpy as np
from sklexplain.windows import SlidingWindow, make_windows
X = np.arange(8.0).reshape(4, 2)
windows, targets = make_windows(X, X[:, 0], window=2, groups=list("aaab"))
assert (windows == SlidingWindow(2).fit_transform(X)[1:2]).all()
assert targets.tolist() == [4.0]
assert "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
