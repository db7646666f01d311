import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklexplain.solvers.coalitions import all_coalitions
from sklexplain.solvers.shapley import exact_shapley
from tests.references import shapley_by_orders


@st.composite
def games(draw, most_players=5, max_games=3):
    n_players = draw(st.integers(1, most_players))
    shape = (draw(st.integers(1, max_games)), 2**n_players, draw(st.integers(1, 2)))
    return draw(arrays(np.float64, shape, elements=st.floats(-100, 100)))


def n_players_of(values):
    return values.shape[1].bit_length() - 1


class TestExactShapley:
    @given(values=games())
    def test_mean_over_all_orders(self, values):
        attributions = exact_shapley(values)
        for game, attribution in zip(values, attributions, strict=True):

            def value(present, game=game):
                return game[sum(2**player for player in present)]

            expected = shapley_by_orders(value, n_players_of(values))
            np.testing.assert_allclose(attribution, expected, atol=1e-10)

    @given(values=games(most_players=8))
    def test_efficiency(self, values):
        total = exact_shapley(values).sum(axis=1)
        np.testing.assert_allclose(total, values[:, -1] - values[:, 0], atol=1e-9)

    @given(values=games(), data=st.data())
    def test_symmetry(self, values, data):
        """Renaming the players renames their values."""
        n_players = n_players_of(values)
        order = data.draw(st.permutations(range(n_players)))
        renamed = np.empty_like(values)
        for position, coalition in enumerate(all_coalitions(n_players)):
            there = sum(2 ** order[player] for player in np.flatnonzero(coalition))
            renamed[:, there] = values[:, position]
        np.testing.assert_allclose(
            exact_shapley(renamed)[:, order], exact_shapley(values), atol=1e-10
        )

    @given(values=games(), data=st.data())
    def test_null_player(self, values, data):
        player = data.draw(st.integers(0, n_players_of(values) - 1))
        present = all_coalitions(n_players_of(values))[:, player]
        without = np.flatnonzero(~present)
        values[:, without + 2**player] = values[:, without]
        np.testing.assert_allclose(exact_shapley(values)[:, player], 0, atol=1e-10)

    @given(values=games(max_games=1), factor=st.floats(-3, 3))
    def test_linearity(self, values, factor):
        other = np.sin(values)
        np.testing.assert_allclose(
            exact_shapley(values + factor * other),
            exact_shapley(values) + factor * exact_shapley(other),
            atol=1e-9,
        )

    @pytest.mark.parametrize("n_players", [1, 2, 12])
    def test_additive_game(self, n_players):
        worth = np.linspace(-1, 2, n_players)
        values = all_coalitions(n_players) @ worth + 7
        np.testing.assert_allclose(exact_shapley(values[None, :, None])[0, :, 0], worth, atol=1e-12)

    def test_unanimity_of_twelve_players(self):
        """A game that only the full coalition wins is shared equally, to full precision."""
        values = np.zeros((1, 2**12, 1))
        values[0, -1] = 1
        attributions = exact_shapley(values)
        assert np.all(np.isfinite(attributions))
        np.testing.assert_allclose(attributions[0, :, 0], 1 / 12, rtol=1e-12)
        # The veto of a single player among the others.
        values[0] = all_coalitions(12)[:, [3]] & (all_coalitions(12).sum(axis=1) > 6)[:, None]
        attributions = exact_shapley(values)[0, :, 0]
        # In half of all orders he is among the last six, and then he decides.
        assert attributions[3] == pytest.approx(0.5)
        np.testing.assert_allclose(np.delete(attributions, 3), 0.5 / 11)
