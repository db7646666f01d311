import numpy as np
import pytest
from sklearn.utils import check_random_state

from sklexplain.solvers.coalitions import all_coalitions
from sklexplain.solvers.shapley import exact_shapley
from sklexplain.solvers.walks import walk_contributions, walk_design, walk_evals


def game(n_players, n_background, seed, order=3):
    """Return a function of coalitions and background rows with interactions up to an order."""
    rng = np.random.default_rng(seed)
    terms = [
        (rng.choice(n_players, size, replace=False), rng.normal(size=n_background))
        for size in range(1, order + 1)
        for _ in range(4)
    ]
    offset = rng.normal(size=n_background)

    def value(coalitions, references):
        total = offset[references].copy()
        for members, strength in terms:
            total += coalitions[:, members].all(axis=1) * strength[references]
        # An explained row's prediction is the same, whatever it is compared with.
        whole = sum(strength for _, strength in terms) + offset
        return total - coalitions.mean(axis=1) * (whole - 1)[references]

    return value


def contributions(value, design):
    n_background, n_players = design.orders.shape
    everybody = np.arange(n_background)
    return walk_contributions(
        design,
        value(design.coalitions(), design.references())[None, :, None],
        value(np.zeros((n_background, n_players), dtype=bool), everybody)[:, None],
        value(np.ones((1, n_players), dtype=bool), everybody[:1])[:, None],
    )


def exact(value, n_players, n_background):
    """Return the Shapley values against each background row, by enumeration."""
    coalitions = all_coalitions(n_players)
    games = np.stack([value(coalitions, np.full(len(coalitions), b)) for b in range(n_background)])
    return exact_shapley(games[:, :, None])[:, :, 0]


@pytest.mark.parametrize("n_players", [2, 5, 8])
def test_walks_meet_every_size_from_every_background_row(n_players):
    design = walk_design(n_players, 3, check_random_state(0))
    coalitions, references = design.coalitions(), design.references()
    assert len(coalitions) == len(references) == walk_evals(n_players, 3)
    sizes = coalitions.sum(axis=1).reshape(2, 3, n_players - 1)
    np.testing.assert_array_equal(sizes[0], np.tile(np.arange(1, n_players), (3, 1)))
    np.testing.assert_array_equal(sizes[1], np.tile(np.arange(1, n_players)[::-1], (3, 1)))
    np.testing.assert_array_equal(references.reshape(2, 3, -1)[:, :, 0], [[0, 1, 2]] * 2)


@pytest.mark.parametrize("seed", range(5))
def test_interactions_of_two_players_are_exact(seed):
    value = game(6, 4, seed, order=2)
    means, _ = contributions(value, walk_design(6, 4, check_random_state(seed)))
    np.testing.assert_allclose(means[0, :, :, 0], exact(value, 6, 4), atol=1e-12)


def test_contributions_add_up_against_every_background_row():
    value = game(7, 5, 0, order=5)
    means, _ = contributions(value, walk_design(7, 5, check_random_state(0)))
    none = value(np.zeros((5, 7), dtype=bool), np.arange(5))
    np.testing.assert_allclose(means[0, :, :, 0].sum(axis=1), 1 - none, atol=1e-12)


def test_interactions_of_more_players_are_right_on_average():
    value = game(6, 3, 0, order=5)
    draws = np.array(
        [contributions(value, walk_design(6, 3, check_random_state(i)))[0][0] for i in range(3000)]
    )[..., 0]
    error = draws.mean(axis=0) - exact(value, 6, 3)
    assert np.abs(error / (draws.std(axis=0) / np.sqrt(3000) + 1e-12)).max() < 4


def test_half_differences_bound_the_error_from_above():
    value = game(6, 3, 0, order=4)
    truth = exact(value, 6, 3)
    drawn = [contributions(value, walk_design(6, 3, check_random_state(i))) for i in range(500)]
    spread = np.mean([(means[0, :, :, 0] - truth) ** 2 for means, _ in drawn])
    told = np.mean([halves**2 for _, halves in drawn])
    assert spread < told
