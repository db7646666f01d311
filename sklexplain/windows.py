"""Windows over the rows of a table: one as a transformer step, one as a function for training sets.

Both give arrays (n_samples, n_timesteps, n_features), time first, oldest row first, and neither
lets a window see a row later than its own.
"""

from __future__ import annotations

from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    OneToOneFeatureMixin,
    TransformerMixin,
    _fit_context,
)
from sklearn.utils._param_validation import Interval, StrOptions, validate_params
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from sklexplain._tables import (
    check_finite,
    check_kind,
    check_time_order,
    column_of,
    group_bounds,
    time_index,
)

__all__ = ["SlidingWindow", "make_windows"]

_FLOATS = (np.float64, np.float32, np.float16)


class SlidingWindow(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Give every row of a table its recent past: one window of rows per row.

    Row i of the output holds rows ``i - window + 1`` to ``i`` of the input, oldest first. The
    number of rows stays the same, as a :class:`~sklearn.pipeline.Pipeline` needs; the first
    ``window - 1`` windows reach back before the table and are padded.

    Parameters
    ----------
    window : int, default=20
        Rows per window, the current one included.
    flatten : bool, default=False
        If True, the output is 2-D, with column ``timestep * n_features + feature``, so that any
        scikit-learn step can follow.
    pad : {"edge", "zero", "nan"}, default="edge"
        What stands in for the rows before the first one: the first row repeated, zeros (the mean,
        after a :class:`~sklearn.preprocessing.StandardScaler`), or NaN for a model that
        accepts missing values.

    Attributes
    ----------
    n_features_in_ : int
        Number of columns seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, where `fit` saw a DataFrame whose column names are all strings.

    See Also
    --------
    make_windows : Windows with their targets, incomplete ones dropped, for one or many series.

    Notes
    -----
    Nothing but the columns is learned in `fit`, so `transform` pads the first rows of a test
    table too. Give those rows their real history by prepending the last training rows and
    dropping as many predictions::

        history = X_train.tail(window - 1)
        y_pred = pipeline.predict(pd.concat([history, X_test]))[len(history) :]

    Rows must be in the order of time, so cross-validate with
    :class:`~sklearn.model_selection.TimeSeriesSplit` rather than with shuffled folds. The table
    is one series; for several, use :func:`make_windows` with `groups`.

    Floating types are kept, all others become float64. A 3-D array does not fit in a DataFrame:
    where ``set_output(transform="pandas")`` or the global configuration asks for one,
    `transform` raises unless `flatten` is True.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.windows import SlidingWindow
    >>> X = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    >>> SlidingWindow(window=2).fit_transform(X).shape
    (3, 2, 2)
    >>> flat = SlidingWindow(window=2, flatten=True)
    >>> flat.fit_transform(X)
    array([[ 1., 10.,  1., 10.],
           [ 1., 10.,  2., 20.],
           [ 2., 20.,  3., 30.]])
    >>> flat.get_feature_names_out(["close", "volume"]).tolist()
    ['close[t-1]', 'volume[t-1]', 'close[t]', 'volume[t]']
    """

    _parameter_constraints: dict = {
        "window": [Interval(Integral, 1, None, closed="left")],
        "flatten": ["boolean"],
        "pad": [StrOptions({"edge", "zero", "nan"})],
    }

    def __init__(self, window: int = 20, *, flatten: bool = False, pad: str = "edge") -> None:
        self.window = window
        self.flatten = flatten
        self.pad = pad

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None) -> SlidingWindow:
        """Check the table and remember its columns.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Numeric table in the order of time.
        y : None
            Ignored, present by convention.

        Returns
        -------
        self : SlidingWindow
            The fitted transformer.

        Raises
        ------
        ValueError
            If the table has fewer rows than a window, NaN or infinity, columns that are not
            numeric, or a time index that does not increase.
        """
        self._check(X, reset=True)
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Return the window that ends at each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Numeric table in the order of time.

        Returns
        -------
        windows : ndarray of shape (n_rows, window, n_features)
            Or (n_rows, window * n_features) with ``flatten=True``.

        Raises
        ------
        ValueError
            As in `fit`, and if a DataFrame is asked for while `flatten` is False.
        """
        check_is_fitted(self)
        container = _get_output_config("transform", self)["dense"]
        if container != "default" and not self.flatten:
            raise ValueError(
                f"SlidingWindow gives a 3-D array, which does not fit in a {container} DataFrame. "
                'Pass flatten=True, or keep arrays with set_output(transform="default").'
            )
        rows = self._check(X, reset=False)
        past = self.window - 1
        if self.pad == "edge":
            padding = np.repeat(rows[:1], past, axis=0)
        else:
            fill = 0.0 if self.pad == "zero" else np.nan
            padding = np.full((past, rows.shape[1]), fill, dtype=rows.dtype)
        # An explicit copy: the view shares memory between windows and is read-only.
        windows = _window_view(np.concatenate([padding, rows]), self.window).copy(order="C")
        return windows.reshape(len(rows), -1) if self.flatten else windows

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> np.ndarray:
        """Return the names of the last axis of the output.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the input columns; by default `feature_names_in_`, or ``x0``, ``x1``, ….

        Returns
        -------
        names : ndarray of str objects
            With ``flatten=True`` one name a column, ``close[t-19]`` … ``close[t]``, the order
            being that of the columns; otherwise the names of the input features.
        """
        features = super().get_feature_names_out(input_features)
        if not self.flatten:
            return features
        lags = [f"[t-{lag}]" for lag in range(self.window - 1, 0, -1)] + ["[t]"]
        return np.array([f"{name}{lag}" for lag in lags for name in features], dtype=object)

    def _check(self, X: Any, *, reset: bool) -> np.ndarray:
        check_kind(X)
        rows = validate_data(self, X, reset=reset, dtype=_FLOATS, ensure_all_finite=False)
        check_finite(rows, "X", X)
        check_time_order(X)
        if self.window > len(rows):
            raise ValueError(
                f"window={self.window} is longer than the table: X has n_samples={len(rows)} "
                "rows, so that no window would be free of padding. Use a shorter window, or "
                "prepend the rows that came before."
            )
        return rows

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32", "float16"]
        return tags


@validate_params(
    {
        "X": "no_validation",
        "y": "no_validation",
        "window": [Interval(Integral, 1, None, closed="left")],
        "horizon": [Interval(Integral, 0, None, closed="left")],
        "stride": [Interval(Integral, 1, None, closed="left")],
        "groups": "no_validation",
        "return_index": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def make_windows(
    X: Any,
    y: ArrayLike | str | None = None,
    *,
    window: int,
    horizon: int = 1,
    stride: int = 1,
    groups: ArrayLike | str | None = None,
    return_index: bool = False,
) -> tuple[np.ndarray, np.ndarray | None] | tuple[np.ndarray, np.ndarray | None, np.ndarray]:
    """Cut a table into complete windows and the targets that follow them.

    The window that ends at row i holds rows ``i - window + 1`` to ``i``, oldest first, and its
    target is ``y[i + horizon]``. Windows that would start before their series or whose target
    would lie after it are dropped, so nothing is padded and nothing crosses from one group into
    the next.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Numeric table in the order of time, within each group.
    y : array-like of shape (n_rows,) or (n_rows, n_targets), or str, default=None
        Target of every row, unshifted: `horizon` does the shifting. A string names a column of
        the DataFrame `X`, which stays an input too. With None there are no targets, `horizon` is
        ignored, and the windows go up to the last row: those to forecast from.
    window : int
        Rows per window.
    horizon : int, default=1
        Rows from the last row of a window to its target. 0 takes the target of that same row.
    stride : int, default=1
        Rows from one window to the next, counted from the first window of each group.
    groups : array-like of shape (n_rows,) or str, default=None
        Which series each row belongs to: a ticker, a machine. The rows of a group must be
        contiguous. A string names a column of the DataFrame `X`, which is then no input. Groups
        too short for one window and its target give none.
    return_index : bool, default=False
        If True, also return `index`.

    Returns
    -------
    windows : ndarray of shape (n_windows, window, n_features)
        Floating types of `X` are kept, all others become float64.
    targets : ndarray of shape (n_windows,) or (n_windows, n_targets), or None
        Of the type of `y`; None if `y` is None.
    index : ndarray of shape (n_windows,)
        Position in `X` of the last row of each window; the target is at ``index + horizon``.
        Only with ``return_index=True``.

    Raises
    ------
    ValueError
        If no group is long enough, lengths differ, X or y has NaN or infinity, columns are not
        numeric, a group's rows are not contiguous, or a time index does not increase.

    See Also
    --------
    SlidingWindow : The same windows as a step of a pipeline, one for every row.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.windows import make_windows
    >>> X = np.arange(10.0).reshape(5, 2)
    >>> windows, targets = make_windows(X, [0, 1, 2, 3, 4], window=2)
    >>> windows[0]
    array([[0., 1.],
           [2., 3.]])
    >>> targets
    array([2, 3, 4])

    Two machines, whose windows do not mix:

    >>> *_, index = make_windows(X, window=2, groups=list("aaabb"), return_index=True)
    >>> index
    array([1, 2, 4])
    """
    target = column_of(X, y, "y") if isinstance(y, str) else y
    if isinstance(y, str) and horizon == 0:
        raise ValueError(
            f"horizon=0 with y={y!r} puts every target in its own window. Use horizon >= 1, or "
            "pass y as an array and X without that column."
        )
    labels = groups
    if isinstance(groups, str):
        labels = column_of(X, groups, "groups")
        X = X[[name for name in X.columns if name != groups]]

    check_kind(X)
    rows = check_array(
        X, dtype=_FLOATS, ensure_all_finite=False, estimator="make_windows", input_name="X"
    )
    check_finite(rows, "X", X)
    bounds = group_bounds(labels, len(rows))
    check_time_order(X, bounds[:-1])
    targets = None if target is None else _check_target(target, X, len(rows))

    ahead = horizon if targets is not None else 0
    longest = int(np.diff(bounds).max())
    if window + ahead > longest:
        where = "the table has" if labels is None else "the longest group has"
        what = f"window={window} is" if window > longest else f"window={window} and {horizon=} are"
        raise ValueError(
            f"{what} too long: {where} {longest} rows and one window with its target takes "
            f"{window + ahead}. Use a shorter window or horizon, or more rows."
        )
    ends = [np.arange(start + window - 1, stop - ahead, stride) for start, stop in pairwise(bounds)]
    index = np.concatenate(ends)
    windows = np.empty((len(index), window, rows.shape[1]), dtype=rows.dtype)
    view = _window_view(rows, window)
    filled = 0
    # Basic slices are copied once, straight into place, where an index array would first gather.
    for group_ends in ends:
        if len(group_ends):
            first, last = group_ends[[0, -1]] - (window - 1)
            windows[filled : filled + len(group_ends)] = view[first : last + 1 : stride]
            filled += len(group_ends)
    if targets is not None:
        targets = targets[index + horizon]
    return (windows, targets, index) if return_index else (windows, targets)


def _window_view(rows: np.ndarray, window: int) -> np.ndarray:
    """View of shape (n_rows - window + 1, window, n_features) on the rows."""
    # Contiguous rows make each window one block of memory, which copies several times faster.
    view = sliding_window_view(np.ascontiguousarray(rows), window, axis=0)
    return view.transpose(0, 2, 1)


def _check_target(y: Any, X: Any, n_rows: int) -> np.ndarray:
    targets = check_array(
        y,
        ensure_2d=False,
        dtype=None,
        ensure_all_finite=False,
        estimator="make_windows",
        input_name="y",
    )
    if len(targets) != n_rows:
        raise ValueError(
            f"X has {n_rows} rows but y has {len(targets)}. Pass the target of every row, "
            "unshifted: `horizon` does the shifting."
        )
    check_finite(targets, "y", y)
    times, target_times = time_index(X), time_index(y)
    if times is not None and target_times is not None and not times.equals(target_times):
        raise ValueError(
            "X and y have as many rows but different time indices. Align them with "
            "y.reindex(X.index), or pass y.to_numpy() to match rows by position."
        )
    return targets
