"""Background: the rows that stand in for absent players."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.utils import check_random_state
from sklearn.utils.random import sample_without_replacement
from sklearn.utils.validation import check_array


@dataclass(frozen=True, eq=False)
class Background:
    """Rows that stand in for absent players, with weights.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, *sample_shape)
    weights : ndarray of shape (n_rows,), optional
        Not negative; scaled to sum to 1. Equal by default.

    Raises
    ------
    ValueError
        If there is no row, if rows are neither of a table nor windows or hold text, or if the
        weights do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain import Background
    >>> background = Background(np.array([[0.0, 1.0], [4.0, 1.0]]), weights=[3, 1])
    >>> background.mean(background.rows)
    array([1., 1.])
    """

    rows: np.ndarray
    weights: np.ndarray = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        rows = np.asarray(self.rows)
        if rows.ndim not in (2, 3) or rows.size == 0:
            raise ValueError(
                f"background has shape {rows.shape}; it needs at least one row, shaped as X is"
            )
        if rows.dtype.kind not in "biufO":
            raise ValueError(
                f"background holds {rows.dtype}, which are no numbers; give columns of text as a "
                "DataFrame to the explainer's background"
            )
        try:
            weights = np.asarray(
                np.ones(len(rows)) if self.weights is None else self.weights, float
            )
        except (TypeError, ValueError) as error:
            raise ValueError(f"background weights must be numbers: {error}") from error
        if weights.shape != (len(rows),):
            raise ValueError(
                f"background has {len(rows)} rows, but weights of shape {weights.shape}"
            )
        if not np.all(np.isfinite(weights)) or weights.min() < 0 or weights.sum() == 0:
            raise ValueError("background weights must be finite, not negative and not all zero")
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "weights", weights / weights.sum())

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Background({len(self)} rows of shape {self.rows.shape[1:]})"

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the weighted mean of values given per background row (axis 0)."""
        return np.tensordot(self.weights, values, axes=1)

    @property
    def constant_cells(self) -> np.ndarray:
        """Which cells hold the same value in every row, bool of shape sample_shape."""
        return np.all(self.rows == self.rows[:1], axis=0)

    @classmethod
    def kmeans(cls, X: Any, n_clusters: int = 10, *, random_state: Any = None) -> Background:
        """Summarise `X` by k-means centres, weighted by the rows they stand for.

        Far fewer rows than a sample needs, at the price of a bias: a centre is no real row, and
        the spread within a cluster is lost.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_columns) or (n_samples, n_timesteps, n_features)
            Numeric.
        n_clusters : int, default=10
        random_state : int, RandomState or None, default=None

        Returns
        -------
        Background
        """
        values = check_array(X, allow_nd=True, dtype=float, input_name="X")
        whole = isinstance(n_clusters, int | np.integer) and not isinstance(n_clusters, bool)
        if not whole or not 1 <= n_clusters <= len(values):
            raise ValueError(
                f"n_clusters={n_clusters!r} must be an integer from 1 to the {len(values)} rows "
                "of X"
            )
        flat = values.reshape(len(values), -1)
        # Columns of different scale must count alike when rows are compared.
        scale = flat.std(axis=0)
        scale[scale == 0] = 1
        fitted = KMeans(n_clusters, n_init=3, random_state=random_state).fit(flat / scale)
        counts = np.bincount(fitted.labels_, minlength=n_clusters)
        centres = fitted.cluster_centers_ * scale
        # Where the iterations stopped early, a centre is not yet the mean of its rows; then the
        # background would not have the mean of the data.
        sums = np.zeros_like(centres)
        np.add.at(sums, fitted.labels_, flat)
        centres[counts > 0] = sums[counts > 0] / counts[counts > 0, None]
        return cls(centres.reshape(-1, *values.shape[1:]), counts)


def make_background(background: Any, rows: np.ndarray, *, random_state: Any = None) -> Background:
    """Return the background that an explainer's parameter means.

    Parameters
    ----------
    background : int, array-like or Background
        A number of rows to draw from `rows` without replacement (all of them when there are
        fewer), or the rows themselves.
    rows : ndarray of shape (n_samples, *sample_shape)
        The training rows.
    random_state : int, RandomState or None, default=None

    Raises
    ------
    ValueError, TypeError
        If the number is below 1, or if the rows are not shaped as the training rows are.
    """
    if isinstance(background, int | np.integer) and not isinstance(background, bool):
        if background < 1:
            raise ValueError(f"background={background} must be at least one row")
        if background >= len(rows):
            return Background(rows)
        drawn = sample_without_replacement(
            len(rows), int(background), random_state=check_random_state(random_state)
        )
        return Background(rows[np.sort(drawn)])
    if not isinstance(background, Background):
        if isinstance(background, str | bool | None) or not hasattr(background, "__len__"):
            raise TypeError(
                f"background={background!r} must be a number of rows, an array or DataFrame of "
                "rows shaped as X is, or Background.kmeans(X, n)"
            )
        background = Background(np.asarray(background))
    if background.rows.shape[1:] != rows.shape[1:]:
        raise ValueError(
            f"background rows have shape {background.rows.shape[1:]}, but rows of X have "
            f"{rows.shape[1:]}; give rows of the same columns and time steps"
        )
    return background
