"""Data to try the package on: real prices, and sequences whose explanation is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils.validation import check_array

__all__ = ["SequenceFunction", "load_google_stock", "make_sequences"]

_STOCK_COLUMNS = ["open", "high", "low", "close", "volume"]

_STOCK_DESCR = """\
Google's share price
--------------------

One row for each of the 1,047 trading days from 2004-08-19, the first day of Google's listing on
NASDAQ, to 2008-10-14, in the order of time. The data are real; matplotlib installs them with its
sample data (goog.npz).

    ====== ================================= =====================
    open   first price of the day            US dollars
    high   highest price of the day          US dollars
    low    lowest price of the day           US dollars
    close  last price of the day             US dollars
    volume shares traded                     number, an integer
    ====== ================================= =====================

The file's seventh column, the close adjusted for splits and dividends, is left out: there were
none in these years, and it equals the close on every day.
"""


def _require(module: str) -> Any:
    """Import a module of the extra `report`."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(
            f"load_google_stock needs {module.split('.')[0]}, which is not installed. Run: "
            "pip install 'sklexplain[report]'"
        ) from error


@validate_params({"as_frame": ["boolean"]}, prefer_skip_nested_validation=True)
def load_google_stock(*, as_frame: bool = True) -> Bunch:
    """Load 1,047 trading days of Google's share price, 2004 to 2008.

    Needs matplotlib, which brings the data, and with ``as_frame=True`` pandas: both come with
    ``pip install 'sklexplain[report]'``. Nothing is downloaded.

    Parameters
    ----------
    as_frame : bool, default=True
        If True, `data` is a DataFrame with the dates as index.

    Returns
    -------
    stock : :class:`~sklearn.utils.Bunch`
        data : DataFrame or ndarray of shape (1047, 5)
            Open, high, low, close and volume, in the order of time.
        target : None
            What to predict is for the user to say; ``make_windows(stock.data, y="close", ...)``
            makes the next close the target.
        frame : DataFrame or None
            The same as `data` with ``as_frame=True``, otherwise None.
        feature_names : list of str
            Names of the columns.
        dates : ndarray of shape (1047,) and dtype datetime64[D]
            The trading days.
        DESCR : str
            Description of the data.

    Raises
    ------
    ImportError
        If matplotlib, or pandas where it is needed, is not installed.
    FileNotFoundError
        If matplotlib is installed without its sample data.

    Examples
    --------
    >>> from sklexplain.datasets import load_google_stock
    >>> stock = load_google_stock()
    >>> stock.data.shape
    (1047, 5)
    >>> stock.data.loc["2008-10-14", "close"].item()
    362.71
    """
    path = _require("matplotlib.cbook").get_sample_data("goog.npz", asfileobj=False)
    try:
        with np.load(path, allow_pickle=False) as archive:
            table = archive["price_data"]
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{path} is missing: this matplotlib was installed without its sample data. "
            "Run: pip install --force-reinstall matplotlib"
        ) from error
    dates = table["date"].astype("datetime64[D]")
    if not (np.diff(dates) > np.timedelta64(0, "D")).all():
        raise ValueError(f"The days in {path} are not in the order of time.")

    frame = None
    if as_frame:
        pandas = _require("pandas")
        index = pandas.DatetimeIndex(dates, name="date")
        frame = pandas.DataFrame({name: table[name] for name in _STOCK_COLUMNS}, index=index)
        data = frame
    else:
        data = np.column_stack([table[name] for name in _STOCK_COLUMNS]).astype(np.float64)
    return Bunch(
        data=data,
        target=None,
        frame=frame,
        feature_names=list(_STOCK_COLUMNS),
        dates=dates,
        DESCR=_STOCK_DESCR,
    )


@dataclass(frozen=True, eq=False)
class SequenceFunction:
    r"""The function behind :func:`make_sequences`, with its exact Shapley values.

    .. math:: f(x) = \sum_c w_c x_c + \sum_{(a, b)} w_a w_b \, x_a x_b

    over the cells c = (timestep, feature), all but the drivers with weight zero, and over the
    pairs (a, b) of interacting drivers, no driver in more than one.

    Parameters
    ----------
    coef : ndarray of shape (n_timesteps, n_features)
        The weights w.
    pairs : tuple of pairs of (timestep, feature), default=()
        The drivers that interact.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.datasets import SequenceFunction
    >>> function = SequenceFunction(np.array([[2.0, 0.0], [0.0, 3.0]]))
    >>> X = np.ones((1, 2, 2))
    >>> function(X)
    array([5.])
    >>> function.shapley_values(X, background=np.zeros((1, 2, 2)))
    array([[[2., 0.],
            [0., 3.]]])
    """

    coef: np.ndarray
    pairs: tuple[tuple[tuple[int, int], tuple[int, int]], ...] = ()

    def __call__(self, X: Any) -> np.ndarray:
        """Return the targets without noise.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps, n_features)
            Sequences.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Values of the function.
        """
        X = self._check(X, "X")
        y = np.einsum("ntf,tf->n", X, self.coef)
        for (first, second), weight in self._products():
            y += weight * X[:, *first] * X[:, *second]
        return y

    def shapley_values(self, X: Any, background: Any) -> np.ndarray:
        r"""Return the exact Shapley values of every cell.

        The value of a coalition is the mean of the function over the background rows that stand
        in for the absent cells. A linear term then gives its cell
        :math:`w (x - \bar{z})` with the background mean :math:`\bar{z}`, and a product of two
        cells gives the first :math:`w_a w_b (x_a - z_a)(x_b + z_b) / 2`, averaged over the
        background rows z, since two players share their interaction equally.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps, n_features)
            Sequences to explain.
        background : array-like of shape (n_background, n_timesteps, n_features)
            Sequences whose cells stand in for absent ones.

        Returns
        -------
        values : ndarray of shape (n_samples, n_timesteps, n_features)
            They add up to the function at `X` less its mean over the background.
        """
        X = self._check(X, "X")
        background = self._check(background, "background")
        values = self.coef * (X - background.mean(axis=0))
        for (first, second), weight in self._products():
            for cell, other in ((first, second), (second, first)):
                x, x_other = X[:, *cell], X[:, *other]
                z, z_other = background[:, *cell], background[:, *other]
                # The mean over z of (x - z)(x_other + z_other), multiplied out to avoid an
                # array of samples by background rows.
                mean = x * x_other + x * z_other.mean() - z.mean() * x_other - (z * z_other).mean()
                values[:, *cell] += weight / 2 * mean
        return values

    def _products(self) -> list[tuple[tuple[tuple[int, int], tuple[int, int]], float]]:
        return [(pair, self.coef[pair[0]] * self.coef[pair[1]]) for pair in self.pairs]

    def _check(self, X: Any, name: str) -> np.ndarray:
        X = check_array(X, dtype=np.float64, allow_nd=True, ensure_2d=False, input_name=name)
        if X.shape[1:] != self.coef.shape:
            raise ValueError(
                f"{name} has shape {X.shape}: expected (n_samples, *{self.coef.shape})."
            )
        return X


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "n_timesteps": [Interval(Integral, 1, None, closed="left")],
        "n_features": [Interval(Integral, 1, None, closed="left")],
        "drivers": [Interval(Integral, 1, None, closed="left"), Mapping, "array-like"],
        "target": [StrOptions({"linear", "interaction"})],
        "noise": [Interval(Real, 0, None, closed="left")],
        "autocorrelation": [Interval(Real, -1, 1, closed="neither")],
        "return_X_y_drivers": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_sequences(
    n_samples: int = 1000,
    n_timesteps: int = 20,
    n_features: int = 5,
    *,
    drivers: int | Sequence[tuple[int, int]] | Mapping[tuple[int, int], float] = 3,
    target: str = "linear",
    noise: float = 0.1,
    autocorrelation: float = 0.0,
    return_X_y_drivers: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> Bunch | tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """Make sequences whose target is a known function of a few known cells.

    Every cell is standard normal. The target depends on the driving cells alone, so that an
    explanation of a model trained on it can be checked against the truth, and an explanation of
    the function itself against its exact Shapley values.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of sequences.
    n_timesteps : int, default=20
        Rows of each sequence, oldest first.
    n_features : int, default=5
        Columns of each sequence.
    drivers : int, list of (timestep, feature) or mapping to weights, default=3
        The cells that drive the target: how many to draw at random, which ones, or which ones
        with which weights. Weights that are not given are drawn from 0.5 to 2 with random signs.
    target : {"linear", "interaction"}, default="linear"
        The function: the weighted sum of the drivers, or that sum plus the product of the first
        two weighted drivers, of the next two, and so on. A last odd one has no product.
    noise : float, default=0.1
        Standard deviation of the normal noise added to the target.
    autocorrelation : float, default=0.0
        Correlation of a cell with the same feature one time step before, in (-1, 1): each
        feature is a stationary autoregressive process of first order with unit variance.
    return_X_y_drivers : bool, default=False
        If True, return ``(X, y, drivers)`` instead of a Bunch.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws. `X` depends on it, the shape and `autocorrelation` only, so that
        different drivers can be compared on the same sequences.

    Returns
    -------
    sequences : :class:`~sklearn.utils.Bunch`
        X : ndarray of shape (n_samples, n_timesteps, n_features)
            The sequences.
        y : ndarray of shape (n_samples,)
            The targets, noise included.
        drivers : list of (timestep, feature)
            The driving cells, in the order given or drawn.
        coef : ndarray of shape (n_timesteps, n_features)
            The weight of every cell, zero for all but the drivers.
        function : :class:`SequenceFunction`
            The function of the targets, without noise: ``function(X)``, and
            ``function.shapley_values(X, background)``, for a linear target
            ``coef * (X - background.mean(axis=0))``.

    Raises
    ------
    ValueError
        If a driver lies outside the sequences, is given twice or has no weight, or there are
        more drivers than cells.

    Examples
    --------
    >>> from sklexplain.datasets import make_sequences
    >>> sequences = make_sequences(
    ...     100, 10, 4, drivers={(9, 0): 2.0, (7, 3): -1.0}, noise=0.0, random_state=0
    ... )
    >>> sequences.X.shape
    (100, 10, 4)
    >>> sequences.drivers
    [(9, 0), (7, 3)]
    >>> bool(abs(sequences.y - (2 * sequences.X[:, 9, 0] - sequences.X[:, 7, 3])).max() < 1e-12)
    True
    """
    rng = check_random_state(random_state)
    X = rng.standard_normal((n_samples, n_timesteps, n_features))
    innovation = np.sqrt(1 - autocorrelation**2)
    for timestep in range(1, n_timesteps):
        X[:, timestep] = autocorrelation * X[:, timestep - 1] + innovation * X[:, timestep]

    shape = (n_timesteps, n_features)
    cells, weights = _draw_drivers(drivers, shape, rng)
    if target == "interaction" and len(cells) < 2:
        raise ValueError('target="interaction" needs at least two drivers, got one.')
    coef = np.zeros(shape)
    coef[tuple(np.transpose(cells))] = weights
    pairs = tuple(zip(cells[::2], cells[1::2], strict=False)) if target == "interaction" else ()
    function = SequenceFunction(coef, pairs)
    y = function(X) + noise * rng.standard_normal(n_samples)
    if return_X_y_drivers:
        return X, y, cells
    return Bunch(X=X, y=y, drivers=cells, coef=coef, function=function)


def _draw_drivers(
    drivers: Any, shape: tuple[int, int], rng: np.random.RandomState
) -> tuple[list[tuple[int, int]], np.ndarray]:
    n_cells = shape[0] * shape[1]
    if isinstance(drivers, Integral):
        if int(drivers) > n_cells:
            raise ValueError(
                f"drivers={drivers} is more than the {n_cells} cells of a sequence of shape "
                f"{shape}."
            )
        drawn = rng.choice(n_cells, size=int(drivers), replace=False)
        cells = [(int(cell) // shape[1], int(cell) % shape[1]) for cell in drawn]
    else:
        cells = [_as_cell(driver, shape) for driver in drivers]
        if not cells:
            raise ValueError("drivers is empty: give at least one (timestep, feature).")
        if len(set(cells)) < len(cells):
            raise ValueError(f"drivers={cells} names a cell twice.")
    if isinstance(drivers, Mapping):
        weights = np.asarray(list(drivers.values()), dtype=np.float64)
        if not (np.isfinite(weights) & (weights != 0)).all():
            raise ValueError(
                f"drivers={drivers} has weights that are zero or not finite. Leave out the cells "
                "that drive nothing."
            )
    else:
        weights = rng.uniform(0.5, 2.0, size=len(cells)) * rng.choice([-1, 1], size=len(cells))
    return cells, weights


def _as_cell(driver: Any, shape: tuple[int, int]) -> tuple[int, int]:
    if np.shape(driver) != (2,) or not all(isinstance(axis, Integral) for axis in driver):
        raise ValueError(f"driver {driver!r} is not a pair (timestep, feature) of integers.")
    timestep, feature = (int(axis) for axis in driver)
    if not (0 <= timestep < shape[0] and 0 <= feature < shape[1]):
        raise ValueError(
            f"driver {(timestep, feature)} is out of range: timesteps go from 0 to {shape[0] - 1} "
            f"and features from 0 to {shape[1] - 1}."
        )
    return timestep, feature
