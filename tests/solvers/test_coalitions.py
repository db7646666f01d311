from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklexplain.solvers.coalitions import (
    PairedDesign,
    all_coalitions,
    kernel_shares,
    paired_design,
)


@pytest.mark.parametrize("n_players", [1, 2, 5, 12])
def test_player_is_a_bit_of_the_position(n_players):
    coalitions = all_coalitions(n_players)
    assert coalitions.dtype == bool
    assert coalitions.shape == (2**n_players, n_players)
    for position in {0, 1, 2**n_players // 3, 2**n_players - 2, 2**n_players - 1}:
        present = [player for player in range(n_players) if position >> player & 1]
        assert np.flatnonzero(coalitions[position]).tolist() == present


def test_empty_first_and_full_last():
    coalitions = all_coalitions(4)
    assert not coalitions[0].any()
    assert coalitions[-1].all()
    assert len(np.unique(coalitions, axis=0)) == 16


def design_of(n_players, n_pairs, n_background=10, seed=0, weights=None):
    if weights is None:
        weights = np.full(n_background, 1 / n_background)
    return paired_design(n_players, n_pairs, weights, np.random.RandomState(seed))


def n_pairs_of_size(n_players, size):
    """How many pairs there are of a coalition of this size and its complement."""
    return comb(n_players, size) // (2 if 2 * size == n_players else 1)


def codes(coalitions):
    """One number for each pair, the same for a coalition and its complement."""
    numbers = coalitions @ 2 ** np.arange(coalitions.shape[1])
    return np.minimum(numbers, 2 ** coalitions.shape[1] - 1 - numbers)


@pytest.mark.parametrize("n_players", [2, 3, 6, 7, 13])
def test_shares_of_the_shapley_kernel(n_players):
    kernel = np.zeros(n_players // 2 + 1)
    for size in range(1, n_players):
        weight = (n_players - 1) / (comb(n_players, size) * size * (n_players - size))
        kernel[min(size, n_players - size)] += comb(n_players, size) * weight
    np.testing.assert_allclose(kernel_shares(n_players), kernel[1:] / kernel.sum())


class TestPairedDesign:
    @given(
        n_players=st.integers(2, 40),
        n_pairs=st.integers(1, 300),
        n_background=st.integers(2, 50),
        seed=st.integers(0, 1000),
    )
    def test_shape_and_turns(self, n_players, n_pairs, n_background, seed):
        design = design_of(n_players, n_pairs, n_background, seed)
        assert len(design) == n_pairs
        assert design.coalitions.shape == (n_pairs, n_players)
        sizes = design.coalitions.sum(axis=1)
        assert np.all((sizes > 0) & (sizes < n_players))
        np.testing.assert_array_equal(design.sizes, np.minimum(sizes, n_players - sizes))
        # Each background row is met equally often, up to one.
        met = np.bincount(design.references, minlength=n_background)
        assert met.max() - met.min() <= 1
        # Each size is drawn equally often, the middle one, whose pairs count twice, half as often.
        drawn = np.bincount(design.sizes, minlength=n_players // 2 + 1)[1:].astype(float)
        expected = np.ones(n_players // 2)
        if n_players % 2 == 0:
            expected[-1] = 0.5
        np.testing.assert_array_less(
            np.abs(drawn - n_pairs * expected / expected.sum()), 1 + 1e-9 + (len(drawn) == 1)
        )

    def test_rows_are_met_by_their_weight(self):
        weights = np.array([0.5, 0.3, 0.2, 0.0])
        met = np.bincount(design_of(8, 1000, weights=weights).references, minlength=4)
        np.testing.assert_allclose(met, 1000 * weights, atol=1)
        # Where there are fewer pairs than rows, the chances are the weights.
        few = [design_of(8, 2, seed=seed, weights=weights).references for seed in range(2000)]
        shares = np.bincount(np.concatenate(few), minlength=4) / 4000
        np.testing.assert_allclose(shares, weights, atol=0.03)

    @pytest.mark.parametrize("n_players", [5, 6, 9])
    def test_no_coalition_is_met_again_before_all_were(self, n_players):
        design = design_of(n_players, 400)
        for size in range(1, n_players // 2 + 1):
            drawn = codes(design.coalitions[design.sizes == size])
            n_all = n_pairs_of_size(n_players, size)
            for start in range(0, len(drawn), n_all):
                part = drawn[start : start + n_all]
                assert len(np.unique(part)) == len(part)

    def test_all_coalitions_of_a_size_are_drawn_alike(self):
        counts = np.zeros(2**6)
        for seed in range(300):
            counts += np.bincount(codes(design_of(6, 10, seed=seed).coalitions), minlength=2**6)
        for size in (1, 2, 3):
            members = list(combinations(range(6), size))
            of_size = np.unique(codes(np.array([np.isin(range(6), m) for m in members])))
            expected = counts[of_size].mean()
            assert np.all(np.abs(counts[of_size] - expected) < 5 * np.sqrt(expected))

    def test_background_rows_do_not_depend_on_coalitions(self):
        table = np.zeros((4, 5))
        for seed in range(400):
            design = design_of(8, 40, n_background=5, seed=seed)
            np.add.at(table, (design.sizes - 1, design.references), 1)
        expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
        assert np.sum((table - expected) ** 2 / expected) < 30

    @pytest.mark.parametrize("n_players", [2, 7, 8, 25])
    def test_every_beginning_is_a_design(self, n_players):
        """So that a run can stop early, and go on where it stopped."""
        whole = design_of(n_players, 600)
        for length in (60, 200, 599):
            beginning = whole[:length]
            assert len(beginning) == length
            for part, full in (
                (beginning.sizes, whole.sizes),
                (beginning.references, whole.references),
            ):
                found = np.bincount(part, minlength=full.max() + 1)
                expected = np.bincount(full) * length / 600
                assert np.all(np.abs(found - expected) <= 2 + 1e-9)

    @pytest.mark.parametrize(("n_players", "n_pairs"), [(5, 14), (8, 60), (8, 127), (30, 400)])
    def test_a_single_row_meets_every_coalition_once(self, n_players, n_pairs):
        design = design_of(n_players, n_pairs, n_background=1)
        assert len(np.unique(codes(design.coalitions))) == n_pairs
        assert np.all(design.references == 0)

    def test_a_single_row_cannot_meet_more_than_there_are(self):
        with pytest.raises(ValueError, match="4 players have 7 pairs of coalitions, fewer than 8"):
            design_of(4, 8, n_background=1)

    def test_seeds(self):
        first, again, other = (design_of(8, 50, seed=seed) for seed in (0, 0, 1))
        np.testing.assert_array_equal(first.coalitions, again.coalitions)
        np.testing.assert_array_equal(first.references, again.references)
        assert np.any(first.coalitions != other.coalitions)

    def test_weights_restore_the_shapley_kernel(self):
        design = design_of(9, 333)
        by_size = np.bincount(design.sizes, design.weights)[1:]
        np.testing.assert_allclose(by_size / by_size.sum(), kernel_shares(9))
        assert design.weights.mean() == pytest.approx(1)
        for size in range(1, 5):
            assert np.ptp(design.weights[design.sizes == size]) < 1e-12

    def test_unseen_shares(self):
        singles = np.eye(6, dtype=bool)
        pair = np.array([[1, 1, 0, 0, 0, 0]], dtype=bool)
        design = PairedDesign(np.vstack([singles, ~pair]), np.zeros(7, int))
        np.testing.assert_allclose(design.unseen_shares, [0] * 6 + [1 - 1 / 15])
