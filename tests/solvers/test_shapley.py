import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklexplain.solvers import shapley
from sklexplain.solvers.background_noise import background_features
from sklexplain.solvers.coalitions import PairedDesign, all_coalitions, paired_design
from sklexplain.solvers.shapley import PairedRegression, exact_shapley
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


def complete_design(n_players, n_background=1, n_times=1):
    """Every pair of coalitions against every background row, the same number of times."""
    half = all_coalitions(n_players)[1 : 2 ** (n_players - 1)]
    pairs = np.repeat(half, n_background * n_times, axis=0)
    references = np.tile(np.repeat(np.arange(n_background), n_times), len(half))
    return PairedDesign(pairs, references)


def half_differences(design, values):
    """From values of shape (n_games, n_background, 2**n_players)."""
    code = design.coalitions @ 2 ** np.arange(design.coalitions.shape[1])
    full = values.shape[2] - 1
    with_pair = values[:, design.references, code]
    return (with_pair - values[:, design.references, full - code]) / 2


def features_of(n_background, n_players, seed=0):
    rng = np.random.default_rng(seed)
    return background_features(
        rng.normal(size=(n_background, n_players)),
        np.arange(n_players),
        rng.normal(size=(n_background, 1)),
        np.full(n_background, 1 / n_background),
    )


def signs_of(design):
    return np.where(design.coalitions, 1.0, -1.0)


@pytest.fixture(params=["by pairs", "by features"])
def either_way(request, monkeypatch):
    if request.param == "by features":
        monkeypatch.setattr(shapley, "_MOST_DUAL_PAIRS", 0)


@pytest.mark.usefixtures("either_way")
class TestPairedRegression:
    @pytest.mark.parametrize("n_players", [2, 3, 4, 5, 7, 8])
    @pytest.mark.parametrize("n_background", [1, 4])
    def test_complete_designs_give_exact_values(self, n_players, n_background):
        """Whatever the game and the penalty: what is fitted and what is left add up."""
        shape = (5, n_background, 2**n_players)
        values = np.random.default_rng(n_players).normal(size=shape)
        design = complete_design(n_players, n_background, n_times=4 if n_players < 4 else 1)
        features = features_of(n_background, n_players) if n_background > 1 else None
        mean = values.mean(axis=1)
        found, errors = PairedRegression(design, features).solve(
            half_differences(design, values), mean[:, -1] - mean[:, 0]
        )
        np.testing.assert_allclose(found, exact_shapley(mean[..., None])[..., 0], atol=1e-8)
        if n_background == 1:
            np.testing.assert_allclose(errors, 0, atol=1e-12)

    @pytest.mark.parametrize("n_players", [2, 5, 6, 20])
    def test_additive_games_are_solved_by_any_design(self, n_players):
        worth = np.linspace(-1, 3, n_players)
        design = paired_design(n_players, 4 * n_players, np.ones(3) / 3, np.random.RandomState(0))
        halves = signs_of(design) @ worth / 2
        for features in (None, features_of(3, n_players)):
            found, errors = PairedRegression(design, features).solve(halves[None], [worth.sum()])
            np.testing.assert_allclose(found[0], worth, atol=1e-9)
            np.testing.assert_allclose(errors, 0, atol=1e-9)

    def test_values_add_up_to_the_total(self):
        design = paired_design(6, 30, np.ones(1), np.random.RandomState(0))
        halves = np.random.default_rng(0).normal(size=(9, 30))
        totals = np.linspace(-3, 3, 9)
        found, errors = PairedRegression(design).solve(halves, totals)
        np.testing.assert_allclose(found.sum(axis=1), totals, atol=1e-12)
        # A total is shared out; it is known, and adds nothing to the errors.
        shifted, same = PairedRegression(design).solve(halves, totals + 6)
        np.testing.assert_allclose(same, errors)
        np.testing.assert_allclose(shifted.sum(axis=1), totals + 6, atol=1e-12)

    @pytest.mark.parametrize("n_players", [5, 12])
    def test_standard_errors_are_the_spread_of_pure_noise(self, n_players):
        design = paired_design(n_players, 150, np.ones(5) / 5, np.random.RandomState(0))
        regression = PairedRegression(design, features_of(5, n_players))
        worth = np.arange(n_players)
        noise = np.random.default_rng(0).normal(size=(2000, 150))
        found, errors = regression.solve(
            signs_of(design) @ worth / 2 + noise, np.full(2000, worth.sum())
        )
        np.testing.assert_allclose(found.mean(axis=0), worth, atol=0.03)
        spread = found.std(axis=0)
        ratio = np.sqrt((errors**2).mean(axis=0)) / spread
        assert np.all((ratio > 0.85) & (ratio < 1.2))

    def test_games_are_solved_one_by_one(self):
        design = paired_design(7, 60, np.ones(4) / 4, np.random.RandomState(0))
        regression = PairedRegression(design, features_of(4, 7))
        # Of different noise, hence of different penalty.
        halves = np.random.default_rng(0).normal(size=(6, 60)) * np.logspace(-3, 2, 6)[:, None]
        halves += signs_of(design) @ np.arange(7) / 2
        together = regression.solve(halves, np.full(6, 21.0))
        for game in range(6):
            alone = regression.solve(halves[game : game + 1], np.full(1, 21.0))
            for one, all_of_them in zip(alone, together, strict=True):
                np.testing.assert_allclose(one[0], all_of_them[game], atol=1e-10)

    def test_scale_and_sign_of_a_game(self):
        design = paired_design(7, 60, np.ones(4) / 4, np.random.RandomState(0))
        regression = PairedRegression(design, features_of(4, 7))
        halves = np.random.default_rng(0).normal(size=(1, 60))
        values, errors = regression.solve(halves, np.ones(1))
        scaled, scaled_errors = regression.solve(-1e4 * halves, np.full(1, -1e4))
        np.testing.assert_allclose(scaled, -1e4 * values, rtol=1e-8)
        np.testing.assert_allclose(scaled_errors, 1e4 * errors, rtol=1e-8)

    def test_interactions_of_three_are_fitted(self):
        """Few pairs tell the values of a game of triples, which plain regression does not."""
        design = paired_design(9, 110, np.ones(1), np.random.RandomState(0))
        signs = signs_of(design)
        triples = [(0, 1, 2), (2, 3, 4), (5, 7, 8)]
        halves = sum(signs[:, list(t)].prod(axis=1) for t in triples)
        truth = np.zeros(9)
        for members in triples:
            truth[list(members)] += 2 / 3
        found, _ = PairedRegression(design).solve(halves[None], [6.0])
        plain = (
            2
            * np.linalg.lstsq(
                signs * np.sqrt(design.weights)[:, None],
                halves * np.sqrt(design.weights),
                rcond=None,
            )[0]
        )
        plain += (6 - plain.sum()) / 9
        error, plain_error = (np.linalg.norm(v - truth) for v in (found[0], plain))
        assert error < 0.02
        assert plain_error > 20 * error

    def test_too_few_pairs(self):
        singles = PairedDesign(np.eye(5, dtype=bool), np.zeros(5, int))
        with pytest.raises(ValueError, match="5 pairs cannot determine 5 players"):
            PairedRegression(singles)
        two_together = np.repeat([[True, True, False, False, False]], 9, axis=0)
        with pytest.raises(ValueError, match="9 pairs do not tell all 5 players apart"):
            PairedRegression(PairedDesign(two_together, np.zeros(9, int)))


def test_pairs_and_features_give_the_same(monkeypatch):
    design = paired_design(8, 100, np.ones(1), np.random.RandomState(0))
    halves = np.random.default_rng(0).normal(size=(5, 100)) + signs_of(design) @ np.arange(8)
    by_pairs = PairedRegression(design).solve(halves, np.full(5, 28.0))
    monkeypatch.setattr(shapley, "_MOST_DUAL_PAIRS", 0)
    by_features = PairedRegression(design).solve(halves, np.full(5, 28.0))
    for one, other in zip(by_pairs, by_features, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-7)
