import pickle
import sys
from itertools import combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from sklexplain.datasets import SequenceFunction, load_google_stock, make_sequences

COLUMNS = ["open", "high", "low", "close", "volume"]


@pytest.fixture(scope="module")
def stock():
    return load_google_stock()


class TestGoogleStock:
    def test_rows_are_the_days_of_the_listing(self, stock):
        assert stock.data.shape == (1047, 5)
        assert list(stock.data.columns) == stock.feature_names == COLUMNS
        # Google's listing on 19 August 2004 closed at 100.34 dollars; its all-time high close of
        # the decade was 741.79 on 6 November 2007.
        assert stock.data["close"].iloc[0] == 100.34
        assert str(stock.data.index[0].date()) == "2004-08-19"
        assert stock.data["close"].max() == 741.79
        assert str(stock.data["close"].idxmax().date()) == "2007-11-06"

    def test_days_increase_and_are_trading_days(self, stock):
        assert stock.data.index.is_monotonic_increasing
        assert stock.data.index.is_unique
        assert np.is_busday(stock.dates).all()
        np.testing.assert_array_equal(stock.data.index.to_numpy(), stock.dates)

    def test_columns_are_what_they_are_called(self, stock):
        prices = stock.data[["open", "close"]]
        assert (prices.max(axis=1) <= stock.data["high"]).all()
        assert (prices.min(axis=1) >= stock.data["low"]).all()
        assert stock.data["volume"].dtype.kind == "i"

    def test_arrays_hold_the_values_of_the_frame(self, stock):
        arrays = load_google_stock(as_frame=False)
        assert arrays.data.dtype == np.float64
        np.testing.assert_array_equal(arrays.data, stock.data.to_numpy())
        np.testing.assert_array_equal(arrays.dates, stock.dates)
        assert arrays.frame is None
        assert arrays.feature_names == COLUMNS

    def test_description_counts_what_is_there(self, stock):
        assert f"{len(stock.data):,}" in stock.DESCR
        assert f"{stock.dates[0]}" in stock.DESCR
        assert f"{stock.dates[-1]}" in stock.DESCR

    @pytest.mark.parametrize("module", ["matplotlib", "pandas"])
    def test_missing_extra_names_the_install_line(self, monkeypatch, module):
        for name in list(sys.modules):
            if name == module or name.startswith(module + "."):
                monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError, match=rf"{module}.*pip install 'sklexplain\[report\]'"):
            load_google_stock()

    def test_arrays_need_no_pandas(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pandas", None)
        assert load_google_stock(as_frame=False).data.shape == (1047, 5)

    def test_missing_sample_data_says_what_to_do(self, monkeypatch, tmp_path):
        monkeypatch.setattr(
            "matplotlib.cbook.get_sample_data", lambda *args, **kwargs: tmp_path / "goog.npz"
        )
        with pytest.raises(FileNotFoundError, match="pip install --force-reinstall matplotlib"):
            load_google_stock()

    def test_shuffled_file_is_refused(self, monkeypatch, tmp_path):
        table = np.zeros(2, dtype=[("date", "M8[D]"), *((name, "f8") for name in COLUMNS)])
        table["date"] = ["2004-08-20", "2004-08-19"]
        np.savez(tmp_path / "goog.npz", price_data=table)
        monkeypatch.setattr(
            "matplotlib.cbook.get_sample_data", lambda *args, **kwargs: tmp_path / "goog.npz"
        )
        with pytest.raises(ValueError, match="order of time"):
            load_google_stock()


def enumerate_shapley(function, x, background):
    """Shapley values of the cells of one sample, straight from their definition."""
    n_cells = x.size

    def value(coalition):
        rows = background.copy().reshape(len(background), -1)
        rows[:, list(coalition)] = x.ravel()[list(coalition)]
        return np.mean(function(rows.reshape(background.shape)))

    values = np.zeros(n_cells)
    for cell in range(n_cells):
        others = [other for other in range(n_cells) if other != cell]
        for size in range(n_cells):
            weight = factorial(size) * factorial(n_cells - size - 1) / factorial(n_cells)
            for coalition in combinations(others, size):
                values[cell] += weight * (value((*coalition, cell)) - value(coalition))
    return values.reshape(x.shape)


class TestSequences:
    def test_linear_target_is_recovered_by_least_squares(self):
        data = make_sequences(200, 4, 3, drivers=5, noise=0.0, random_state=0)
        fitted = LinearRegression().fit(data.X.reshape(200, -1), data.y)
        np.testing.assert_allclose(fitted.coef_.reshape(4, 3), data.coef, atol=1e-12)
        assert {tuple(cell) for cell in np.argwhere(data.coef).tolist()} == set(data.drivers)
        assert len(data.drivers) == 5

    def test_interaction_is_the_product_of_paired_drivers(self):
        drivers = {(0, 1): 2.0, (2, 0): -1.0, (1, 1): 0.5}
        data = make_sequences(
            50, 3, 2, drivers=drivers, target="interaction", noise=0.0, random_state=0
        )
        a, b, c = 2.0 * data.X[:, 0, 1], -data.X[:, 2, 0], 0.5 * data.X[:, 1, 1]
        np.testing.assert_allclose(data.y, a + b + c + a * b, atol=1e-12)

    @settings(max_examples=15, deadline=None)
    @given(
        seed=st.integers(0, 1000),
        n_drivers=st.integers(2, 6),
        target=st.sampled_from(["linear", "interaction"]),
    )
    def test_shapley_values_are_those_of_the_enumeration(self, seed, n_drivers, target):
        data = make_sequences(6, 3, 2, drivers=n_drivers, target=target, random_state=seed)
        x, background = data.X[:2], data.X[2:]
        values = data.function.shapley_values(x, background)
        expected = [enumerate_shapley(data.function, row, background) for row in x]
        np.testing.assert_allclose(values, expected, atol=1e-10)
        np.testing.assert_allclose(
            values.sum(axis=(1, 2)),
            data.function(x) - data.function(background).mean(),
            atol=1e-10,
        )

    def test_noise_has_the_standard_deviation_asked_for(self):
        data = make_sequences(20_000, 2, 2, drivers=1, noise=0.3, random_state=0)
        assert np.std(data.y - data.function(data.X)) == pytest.approx(0.3, rel=0.03)

    @pytest.mark.parametrize("autocorrelation", [0.0, 0.9, -0.5])
    def test_cells_are_standard_normal_with_the_autocorrelation_asked_for(self, autocorrelation):
        X = make_sequences(20_000, 5, 2, autocorrelation=autocorrelation, random_state=0).X
        np.testing.assert_allclose(X.mean(axis=0), 0, atol=0.03)
        np.testing.assert_allclose(X.std(axis=0), 1, atol=0.03)
        correlation = np.corrcoef(X.reshape(len(X), -1), rowvar=False).reshape(5, 2, 5, 2)
        for first in range(5):
            for second in range(5):
                expected = autocorrelation ** abs(first - second) * np.eye(2)
                np.testing.assert_allclose(correlation[first, :, second], expected, atol=0.03)

    def test_same_seed_same_sequences_whatever_the_drivers(self):
        first = make_sequences(10, 4, 3, drivers=2, random_state=3)
        again = make_sequences(10, 4, 3, drivers=2, random_state=3)
        other = make_sequences(10, 4, 3, drivers=[(0, 0)], random_state=3)
        np.testing.assert_array_equal(first.y, again.y)
        np.testing.assert_array_equal(first.X, other.X)
        assert not np.array_equal(first.X, make_sequences(10, 4, 3, random_state=4).X)

    def test_tuple_holds_what_the_bunch_holds(self):
        data = make_sequences(10, 4, 3, random_state=0)
        X, y, drivers = make_sequences(10, 4, 3, return_X_y_drivers=True, random_state=0)
        np.testing.assert_array_equal(X, data.X)
        np.testing.assert_array_equal(y, data.y)
        assert drivers == data.drivers

    def test_drivers_given_as_an_array_keep_their_order(self):
        data = make_sequences(10, 4, 3, drivers=np.array([[3, 2], [0, 1]]), random_state=0)
        assert data.drivers == [(3, 2), (0, 1)]

    def test_pickle_keeps_the_function(self):
        data = make_sequences(10, 4, 3, drivers=2, target="interaction", random_state=0)
        restored = pickle.loads(pickle.dumps(data))
        np.testing.assert_array_equal(restored.function(data.X), data.function(data.X))

    @pytest.mark.parametrize(
        ("drivers", "message"),
        [
            ([(4, 0)], r"driver \(4, 0\) is out of range: timesteps go from 0 to 3"),
            ([(0, 3)], r"features from 0 to 2"),
            ([(-1, 0)], "out of range"),
            ({(0, 9): 1.0}, "out of range"),
            ([(0, 1), (0, 1)], "names a cell twice"),
            ([(0, 1, 2)], "not a pair"),
            ([(0.5, 1)], "not a pair"),
            ([0, 1], "driver 0 is not a pair"),
            ([], "drivers is empty"),
            ({(0, 1): 0.0}, "zero or not finite"),
            ({(0, 1): np.nan}, "zero or not finite"),
            (13, "drivers=13 is more than the 12 cells"),
            (0, "'drivers' parameter"),
        ],
    )
    def test_impossible_drivers_are_refused(self, drivers, message):
        with pytest.raises(ValueError, match=message):
            make_sequences(5, 4, 3, drivers=drivers)

    def test_one_driver_cannot_interact(self):
        with pytest.raises(ValueError, match="at least two drivers"):
            make_sequences(5, 4, 3, drivers=1, target="interaction")

    @pytest.mark.parametrize(
        "params", [{"noise": -1.0}, {"autocorrelation": 1.0}, {"target": "cubic"}]
    )
    def test_parameters_out_of_range_are_named(self, params):
        with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter"):
            make_sequences(5, 4, 3, **params)

    @pytest.mark.parametrize("shape", [(5, 3, 4), (5, 12), (12,)])
    def test_function_refuses_sequences_of_another_shape(self, shape):
        function = SequenceFunction(np.ones((4, 3)))
        with pytest.raises(ValueError, match="has shape"):
            function(np.zeros(shape))
