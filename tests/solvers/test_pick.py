from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklexplain.solvers.pick import submodular_pick


def coverage(weights, rows):
    importances = np.sqrt(np.abs(weights).sum(axis=0))
    return sum(
        importance
        for feature, importance in enumerate(importances)
        if any(weights[row, feature] != 0 for row in rows)
    )


@given(st.integers(0, 1000), st.integers(1, 7), st.integers(1, 6), st.data())
def test_each_step_adds_the_most(seed, n_rows, n_features, data):
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(n_rows, n_features)) * (rng.random((n_rows, n_features)) < 0.4)
    k = data.draw(st.integers(1, n_rows))
    chosen = list(submodular_pick(weights, k))
    assert len(set(chosen)) == k
    for step in range(k):
        others = [row for row in range(n_rows) if row not in chosen[:step]]
        best = max(coverage(weights, [*chosen[:step], row]) for row in others)
        assert coverage(weights, chosen[: step + 1]) == pytest.approx(best)
    best = max(coverage(weights, rows) for rows in combinations(range(n_rows), k))
    assert coverage(weights, chosen) >= (1 - 1 / np.e) * best - 1e-12


def test_a_second_row_of_the_same_kind_is_passed_over():
    weights = np.array([[5.0, 1.0, 0.0], [5.0, 0.9, 0.0], [0.0, 0.0, 0.1]])
    assert submodular_pick(weights, 2).tolist() == [0, 2]
