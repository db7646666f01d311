"""How far several lists of importances put the players in the same order, and how certain they are.

Arrays in, arrays out: one row a rater (a fold, a method, a seed), one column a player.
"""

from __future__ import annotations

from itertools import combinations
from numbers import Integral
from typing import Any

import numpy as np
from scipy.stats import rankdata


def kendall_w(importances: Any) -> float:
    """Return Kendall's coefficient of concordance between the rows' rankings.

    Parameters
    ----------
    importances : array-like of shape (n_raters, n_players)
        Players are ranked within each row; equal ones share the mean of their ranks.

    Returns
    -------
    float
        From 0 (the rankings have nothing in common) to 1 (all the same), corrected for ties. NaN
        with a single rater or a single player, or where no row prefers any player.

    Raises
    ------
    ValueError
        If `importances` is no table of finite numbers.

    Notes
    -----
    W = 12 S / (m² (n³ − n) − m ΣT) with m raters, n players, S the sum of squared deviations of
    the rank sums from their mean, and T = Σ(t³ − t) over the groups of t tied players of a row.
    Friedman's statistic is m (n − 1) W. Source: Kendall and Babington Smith (1939); Kendall and
    Gibbons (1990), *Rank Correlation Methods*, chapter 6.

    Examples
    --------
    >>> from sklexplain.evaluation.agreement import kendall_w
    >>> kendall_w([[3.0, 2.0, 1.0], [30.0, 20.0, 10.0]])
    1.0
    >>> kendall_w([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    0.0
    """
    table = _checked(importances)
    n_raters, n_players = table.shape
    if n_raters < 2 or n_players < 2:
        return float("nan")
    ranks = rankdata(table, axis=1)
    squares = np.sum((ranks.sum(axis=0) - n_raters * (n_players + 1) / 2) ** 2)
    ties = sum(
        float(np.sum(sizes.astype(float) ** 3 - sizes))
        for sizes in (np.unique(row, return_counts=True)[1] for row in ranks)
    )
    possible = n_raters**2 * (float(n_players) ** 3 - n_players) - n_raters * ties
    return float(12 * squares / possible) if possible > 0 else float("nan")


def top_k_jaccard(importances: Any, k: int) -> float:
    """Return how far the rows agree on which k players are the largest.

    Parameters
    ----------
    importances : array-like of shape (n_raters, n_players)
    k : int
        From 1 to the number of players. Of players that tie for the last place, the earlier count.

    Returns
    -------
    float
        |A ∩ B| / |A ∪ B| of two rows' sets, from 0 (disjoint) to 1 (the same), averaged over all
        pairs of rows. NaN with a single row.

    Raises
    ------
    ValueError
        If k does not fit, or if `importances` is no table of finite numbers.

    Examples
    --------
    >>> from sklexplain.evaluation.agreement import top_k_jaccard
    >>> top_k_jaccard([[3.0, 2.0, 1.0], [3.0, 1.0, 2.0]], k=2)
    0.3333333333333333
    """
    table = _checked(importances)
    n_players = table.shape[1]
    if not isinstance(k, Integral) or isinstance(k, bool) or not 1 <= k <= n_players:
        raise ValueError(f"k={k!r} must be an integer from 1 to the {n_players} players")
    largest = np.argsort(-table, axis=1, kind="stable")[:, : int(k)]
    pairs = list(combinations([set(row.tolist()) for row in largest], 2))
    if not pairs:
        return float("nan")
    return float(np.mean([len(one & other) / len(one | other) for one, other in pairs]))


def corrected_sem(values: Any, n_train: Any, n_test: Any) -> np.ndarray:
    """Return the standard error of a mean over folds whose training sets overlap.

    Parameters
    ----------
    values : array-like of shape (n_folds, …)
    n_train, n_test : array-like of shape (n_folds,)
        Rows of each fold.

    Returns
    -------
    ndarray of shape (…)
        sqrt((1/J + n_test/n_train) s²) with J folds and s² their variance (divisor J − 1). NaN
        with a single fold.

    Notes
    -----
    The folds' results are correlated because they are trained on much the same rows, so that
    sqrt(s²/J) is too small. Source: Nadeau and Bengio (2003), "Inference for the Generalization
    Error", *Machine Learning* 52, equation 9, where J random divisions have the same sizes; where
    they differ the ratio of the totals is taken, which for K folds is 1/(K − 1). Bouckaert and
    Frank (2004) use the same for repeated cross-validation.

    Examples
    --------
    >>> from sklexplain.evaluation.agreement import corrected_sem
    >>> corrected_sem([[1.0], [3.0]], n_train=[10, 10], n_test=[10, 10]).round(4)
    array([1.7321])
    """
    table = np.asarray(values, dtype=float)
    if len(table) < 2:
        return np.full(table.shape[1:], np.nan)
    ratio = float(np.sum(n_test) / np.sum(n_train))
    return np.sqrt((1 / len(table) + ratio) * table.var(axis=0, ddof=1))


def _checked(importances: Any) -> np.ndarray:
    table = np.asarray(importances, dtype=float)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(
            f"importances has shape {table.shape}; expected one row a rater and one column a player"
        )
    if not np.isfinite(table).all():
        raise ValueError("importances holds NaN or infinite values, which have no rank")
    return table
