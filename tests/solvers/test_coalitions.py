import numpy as np
import pytest

from sklexplain.solvers.coalitions import all_coalitions


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
