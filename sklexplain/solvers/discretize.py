"""The distribution of one column, as LIME sees it: bins, categories or a normal distribution.

Each kind of column draws values from uniform numbers, gives every value a code, and says in words
what a code means. Codes of -1 mean that the column is taken as a number.

Source: Ribeiro, Singh and Guestrin (2016), and the authors' `lime` for the details.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.multiclass import type_of_target

DISCRETIZERS = ("quartile", "decile", "entropy")
_N_BINS = {"quartile": 4, "decile": 10}
_UNSEEN = -2


@dataclass(frozen=True)
class BinnedColumn:
    """A number, cut into bins; within a bin, a normal distribution cut off at its borders.

    Parameters
    ----------
    name : str
    edges : ndarray of shape (n_bins - 1,)
        A value that equals an edge belongs to the bin below.
    frequencies, means, stds, lows, highs : ndarray of shape (n_bins,)
        Of the training rows in each bin.
    """

    name: str
    edges: np.ndarray
    frequencies: np.ndarray
    means: np.ndarray
    stds: np.ndarray
    lows: np.ndarray
    highs: np.ndarray

    @classmethod
    def fit(cls, name: str, values: np.ndarray, edges: np.ndarray) -> BinnedColumn:
        """Learn the bins of training values; an edge with no value on one side is left out."""
        edges = np.unique(edges)
        occupied = np.bincount(np.searchsorted(edges, values), minlength=len(edges) + 1) > 0
        # An empty bin joins the bin above it, the last one the bin below.
        keep = occupied[:-1] & (np.cumsum(occupied[::-1])[::-1][1:] > 0)
        edges = edges[keep]
        codes = np.searchsorted(edges, values)
        inside = [values[codes == code] for code in range(len(edges) + 1)]
        return cls(
            name,
            edges,
            np.array([len(part) for part in inside]) / len(values),
            np.array([part.mean() if np.ptp(part) else part[0] for part in inside]),
            # A bin of one value draws that value: rounding must not make it vary.
            np.array([part.std() if np.ptp(part) else 0.0 for part in inside]),
            np.concatenate([[values.min()], edges]),
            np.concatenate([edges, [values.max()]]),
        )

    def code(self, values: np.ndarray) -> np.ndarray:
        """Return the bin of each value."""
        return np.searchsorted(self.edges, values)

    def draw(self, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and their bins, by inverting the distribution function."""
        borders = np.cumsum(self.frequencies)
        codes = np.minimum(np.searchsorted(borders, uniforms, side="right"), len(borders) - 1)
        within = (uniforms - borders[codes]) / self.frequencies[codes] + 1
        stds = np.where(self.stds > 0, self.stds, 1)
        lower, upper = ndtr((self.lows - self.means) / stds), ndtr((self.highs - self.means) / stds)
        lower, upper = lower[codes], upper[codes]
        values = self.means[codes] + self.stds[codes] * ndtri(lower + within * (upper - lower))
        inside = np.clip(values, self.lows[codes], self.highs[codes])
        return np.where(self.stds[codes] > 0, inside, self.means[codes]), codes

    def describe(self, values: np.ndarray) -> list[str]:
        """Return the condition that each value fulfils."""
        if not len(self.edges):
            return [self.name] * len(values)
        edges = _distinct_texts(self.edges)
        inner = [f"{low} < {self.name} ≤ {high}" for low, high in pairwise(edges)]
        conditions = [f"{self.name} ≤ {edges[0]}", *inner, f"{self.name} > {edges[-1]}"]
        return [conditions[code] for code in self.code(values)]


@dataclass(frozen=True)
class CategoricalColumn:
    """A column whose values have no order, drawn by their training frequencies.

    Parameters
    ----------
    name : str
    categories : ndarray of shape (n_categories,)
        Sorted.
    frequencies : ndarray of shape (n_categories,)
    """

    name: str
    categories: np.ndarray
    frequencies: np.ndarray

    @classmethod
    def fit(cls, name: str, values: np.ndarray) -> CategoricalColumn:
        """Learn the categories of training values."""
        categories, counts = np.unique(values, return_counts=True)
        return cls(name, categories, counts / len(values))

    def code(self, values: np.ndarray) -> np.ndarray:
        """Return the position of each value's category, and a code of its own if unseen."""
        places = np.minimum(np.searchsorted(self.categories, values), len(self.categories) - 1)
        return np.where(self.categories[places] == values, places, _UNSEEN)

    def unseen(self, values: np.ndarray) -> np.ndarray:
        """Return which values no training row had."""
        return self.code(values) == _UNSEEN

    def draw(self, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and their categories."""
        borders = np.cumsum(self.frequencies)
        codes = np.minimum(np.searchsorted(borders, uniforms, side="right"), len(borders) - 1)
        return self.categories[codes], codes

    def describe(self, values: np.ndarray, labels: Sequence[str] | None = None) -> list[str]:
        """Return the condition that each value fulfils; `labels` say what integers mean."""
        texts = [f"{value:g}" if labels is None else labels[int(value)] for value in values]
        return [f"{self.name} = {text}" for text in texts]


@dataclass(frozen=True)
class NormalColumn:
    """A number that is drawn from a normal distribution and kept as a number.

    Parameters
    ----------
    name : str
    mean, std : float
        Of the training rows.
    """

    name: str
    mean: float
    std: float

    @classmethod
    def fit(cls, name: str, values: np.ndarray) -> NormalColumn:
        """Learn mean and standard deviation; a constant has a standard deviation of 0."""
        if np.ptp(values) == 0:
            return cls(name, float(values[0]), 0.0)
        return cls(name, float(values.mean()), float(values.std()))

    def code(self, values: np.ndarray) -> np.ndarray:
        """Return -1 for every value."""
        return np.full(len(values), -1)

    def draw(self, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return values and the code -1."""
        # The generator may give 0, whose normal quantile is minus infinity.
        scores = ndtri(np.maximum(uniforms, np.finfo(float).tiny))
        return self.mean + self.std * scores, np.full(len(uniforms), -1)

    def describe(self, values: np.ndarray) -> list[str]:
        """Return the name: a coefficient here speaks of the column as such."""
        return [self.name] * len(values)


Column = BinnedColumn | CategoricalColumn | NormalColumn


def fit_column(
    name: str, values: np.ndarray, discretizer: str | None, target: Any = None
) -> BinnedColumn | NormalColumn:
    """Learn the distribution of a column of numbers.

    Parameters
    ----------
    name : str
    values : ndarray of shape (n_samples,)
    discretizer : {"quartile", "decile", "entropy"} or None
        ``"entropy"`` takes the splits of a decision tree of depth 3 on this column: of a
        classification tree by entropy, or where the target is continuous of a regression tree.
        A column with no more distinct values than bins gets one bin for each.
    target : array-like of shape (n_samples,) or (n_samples, n_targets), optional
        Needed by ``"entropy"``.

    Returns
    -------
    BinnedColumn or NormalColumn

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.solvers.discretize import fit_column
    >>> column = fit_column("close", np.arange(101.0), "quartile")
    >>> column.edges
    array([25., 50., 75.])
    >>> column.describe([30.0, 99.0])
    ['25 < close ≤ 50', 'close > 75']
    """
    if discretizer is None:
        return NormalColumn.fit(name, values)
    if discretizer == "entropy":
        edges = _tree_edges(values, target)
    else:
        n_bins = _N_BINS[discretizer]
        distinct = np.unique(values)
        if len(distinct) <= n_bins:
            edges = (distinct[1:] + distinct[:-1]) / 2
        else:
            edges = np.percentile(values, np.linspace(0, 100, n_bins + 1)[1:-1])
    return BinnedColumn.fit(name, values, edges)


def _tree_edges(values: np.ndarray, target: Any) -> np.ndarray:
    if type_of_target(target).startswith("continuous"):
        tree: Any = DecisionTreeRegressor(max_depth=3, random_state=0)
    else:
        tree = DecisionTreeClassifier(criterion="entropy", max_depth=3, random_state=0)
    fitted = tree.fit(values[:, None], target).tree_
    edges = fitted.threshold[fitted.children_left >= 0]
    return edges if len(edges) else np.array([np.median(values)])


def _distinct_texts(edges: np.ndarray) -> list[str]:
    """Return edges with as many digits, at least four, as tell neighbours apart."""
    for digits in range(4, 17):
        texts = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(texts)) == len(texts):
            return texts
    return [repr(float(edge)) for edge in edges]
