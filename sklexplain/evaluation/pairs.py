"""How far two methods agree about single rows: arrays in, one number a row out."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

# Values are compared to this many decimals of the row's largest, so that rounding has no rank.
_DECIMALS = 9


def rank_correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of the sizes of two methods' values, row by row.

    Parameters
    ----------
    first, second : ndarray of shape (n_rows, n_players)

    Returns
    -------
    ndarray of shape (n_rows,)
        From -1 to 1. Where all sizes of a row are equal there is no order: 1 if that holds for
        both methods, else 0.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.evaluation.pairs import rank_correlation
    >>> rank_correlation(np.array([[3.0, -2.0, 1.0]]), np.array([[1.0, 2.0, 3.0]]))
    array([-1.])
    """
    ranks = [rankdata(np.abs(rounded(values)), axis=1) for values in (first, second)]
    centred = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]
    squares = [(rank**2).sum(axis=1) for rank in centred]
    product = (centred[0] * centred[1]).sum(axis=1)
    without_order = ((squares[0] == 0) & (squares[1] == 0)).astype(float)
    both = (squares[0] > 0) & (squares[1] > 0)
    sizes = np.sqrt(squares[0] * squares[1])
    return np.clip(np.divide(product, sizes, out=without_order, where=both), -1, 1)


def sign_agreement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the share of players that two methods give the same sign, row by row.

    Parameters
    ----------
    first, second : ndarray of shape (n_rows, n_players)

    Returns
    -------
    ndarray of shape (n_rows,)
        From 0 to 1. A value of 0, to rounding, has a sign of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.evaluation.pairs import sign_agreement
    >>> sign_agreement(np.array([[3.0, -2.0, 0.0, 1.0]]), np.array([[1.0, 2.0, 0.0, 3.0]]))
    array([0.75])
    """
    return (np.sign(rounded(first)) == np.sign(rounded(second))).mean(axis=1)


def top_k_overlap(first: np.ndarray, second: np.ndarray, k: int) -> np.ndarray:
    """Return the share of the k largest players that two methods have in common, row by row.

    Parameters
    ----------
    first, second : ndarray of shape (n_rows, n_players)
    k : int
        From 1 to the number of players.

    Returns
    -------
    ndarray of shape (n_rows,)
        From 0 to 1. Of players of the same size the earlier one counts.

    Notes
    -----
    "Feature agreement" of Krishna et al. (2022), *The Disagreement Problem in Explainable Machine
    Learning*.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.evaluation.pairs import top_k_overlap
    >>> top_k_overlap(np.array([[3.0, -2.0, 1.0]]), np.array([[1.0, 2.0, 3.0]]), k=2)
    array([0.5])
    """
    members = [_largest(values, k) for values in (first, second)]
    return (members[0] & members[1]).sum(axis=1) / k


def _largest(values: np.ndarray, k: int) -> np.ndarray:
    order = np.argsort(-np.abs(rounded(values)), axis=1, kind="stable")
    members = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(members, order[:, :k], True, axis=1)
    return members


def rounded(values: np.ndarray) -> np.ndarray:
    """Return the values of each row as parts of its largest, without what rounding left."""
    largest = np.abs(values).max(axis=1, keepdims=True, initial=0)
    return np.round(
        np.divide(values, largest, out=np.zeros(values.shape), where=largest > 0), _DECIMALS
    )
