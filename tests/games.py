"""Games of many players whose Shapley values are known, cheap enough to play thousands of times."""

import numpy as np
from sklearn.tree import DecisionTreeRegressor

from sklexplain.solvers.coalitions import all_coalitions
from sklexplain.solvers.shapley import exact_shapley

NAMES = ("linear", "pairs", "tree", "product", "sine", "largest")
_BLOCK = 5


def _tree():
    rows = np.random.default_rng(7).normal(size=(300, _BLOCK))
    target = np.sign(rows[:, 0] * rows[:, 1]) + rows[:, 2] * (rows[:, 3] > 0)
    return DecisionTreeRegressor(max_depth=5, random_state=0).fit(rows, target).tree_


_TREE = _tree()


def _play(block, number):
    """All games of one block of five columns, shape (n, 6)."""
    weights = np.random.default_rng(number).normal(size=_BLOCK)
    linear = block @ weights
    return np.column_stack(
        [
            linear,
            linear + block[:, 0] * block[:, 1] - block[:, 2] * block[:, 3],
            _TREE.predict(block.astype(np.float32))[:, 0],
            np.prod(1 + 0.5 * np.tanh(block), axis=1),
            np.sin(linear),
            block.max(axis=1),
        ]
    )


def _blocks(rows):
    """Cut the columns into blocks of five, the last one filled up with zeros."""
    filled = np.pad(rows, ((0, 0), (0, -rows.shape[1] % _BLOCK)))
    return [filled[:, start : start + _BLOCK] for start in range(0, filled.shape[1], _BLOCK)]


def games(rows):
    """Outputs of the games named in `NAMES`: a sum over blocks of columns, each with interactions.

    Returns
    -------
    ndarray of shape (n_samples, 6)
    """
    return sum(_play(block, number) for number, block in enumerate(_blocks(rows)))


def known_values(rows, background_rows, weights=None):
    """Shapley values of `games`, columns as players: each block by all of its coalitions.

    Returns
    -------
    ndarray of shape (n_samples, n_columns, 6)
    """
    if weights is None:
        weights = np.full(len(background_rows), 1 / len(background_rows))
    present = all_coalitions(_BLOCK)[None, :, None]
    values = []
    for number, (own, other) in enumerate(
        zip(_blocks(rows), _blocks(background_rows), strict=True)
    ):
        mixed = np.where(present, own[:, None, None], other[None, None])
        outputs = _play(mixed.reshape(-1, _BLOCK), number).reshape(*mixed.shape[:3], -1)
        values.append(exact_shapley(np.einsum("nkbo,b->nko", outputs, weights)))
    return np.concatenate(values, axis=1)[:, : rows.shape[1]]


class Counted:
    """A function that counts the rows it is asked for."""

    def __init__(self, function):
        self.function = function
        self.n_evals = 0

    def __call__(self, rows):
        self.n_evals += len(rows)
        return self.function(rows)
