import numpy as np
import pytest
from sklearn.utils import check_random_state

from sklexplain.solvers.coalitions import all_coalitions
from sklexplain.solvers.shapley import exact_shapley
from sklexplain.solvers.walks import WalkMeans, neighbours, walk_contributions, walk_rounds


def game(n_players, n_background, seed, order=3, alike=False):
    """Return a function of coalitions and background rows with interactions up to an order.

    Every two background rows play the same game if they are `alike`.
    """
    rng = np.random.default_rng(seed)

    def strengths():
        drawn = rng.normal(size=n_background)
        if alike:
            drawn[1::2] = drawn[::2][: len(drawn[1::2])]
        return drawn

    terms = [
        (rng.choice(n_players, size, replace=False), strengths())
        for size in range(1, order + 1)
        for _ in range(4)
    ]
    offset = strengths()

    def value(coalitions, references):
        total = offset[references].copy()
        for members, strength in terms:
            total += coalitions[:, members].all(axis=1) * strength[references]
        # An explained row's prediction is the same, whatever it is compared with.
        whole = sum(strength for _, strength in terms) + offset
        return total - coalitions.mean(axis=1) * (whole - 1)[references]

    return value


def contributions(value, walks, n_background):
    n_players = walks.orders.shape[1]
    everybody = np.arange(n_background)
    return walk_contributions(
        walks,
        value(walks.coalitions(), walks.pairing())[None, :, None],
        value(np.zeros((n_background, n_players), dtype=bool), everybody)[:, None],
        value(np.ones((1, n_players), dtype=bool), everybody[:1])[:, None],
    )


def walked(value, n_players, n_background, n_walks, seed):
    """Return values and standard errors, shape (n_players,) each."""
    order = np.arange(n_background)
    means = WalkMeans(1, order, np.full(n_background, 1 / n_background), n_players, 1)
    for walks in walk_rounds(n_players, order, n_walks, check_random_state(seed)):
        means.add(walks, contributions(value, walks, n_background))
    return tuple(found[0, :, 0] for found in means.values())


def exact(value, n_players, n_background):
    """Return the Shapley values against each background row, by enumeration."""
    coalitions = all_coalitions(n_players)
    games = np.stack([value(coalitions, np.full(len(coalitions), b)) for b in range(n_background)])
    return exact_shapley(games[:, :, None])[:, :, 0]


def rounds(n_players, n_background, n_walks, seed=0):
    order = np.random.default_rng(seed).permutation(n_background)
    return list(walk_rounds(n_players, order, n_walks, check_random_state(seed)))


@pytest.mark.parametrize("n_players", [2, 5, 8])
def test_walks_meet_every_size_from_every_background_row(n_players):
    (walks,) = rounds(n_players, 3, 6)
    coalitions, references = walks.coalitions(), walks.pairing()
    assert len(coalitions) == len(references) == 6 * (n_players - 1)
    sizes = coalitions.sum(axis=1).reshape(6, n_players - 1)
    np.testing.assert_array_equal(sizes, np.tile(np.arange(1, n_players), (6, 1)))
    by_walk = references.reshape(6, n_players - 1)
    assert (by_walk == by_walk[:, :1]).all()
    assert sorted(by_walk[:3, 0]) == sorted(by_walk[3:, 0]) == [0, 1, 2]
    np.testing.assert_array_equal(walks.all_orders()[3:], walks.orders[:, ::-1])


@pytest.mark.parametrize("n_background", [1, 2, 3, 8, 9])
@pytest.mark.parametrize("more", [0, 1, 3, 8, 9, 16, 23, 40])
def test_the_budget_is_kept_and_spent_on_whole_rows(n_background, more):
    n_walks = n_background + more
    found = rounds(4, n_background, n_walks)
    spent = sum(walks.n_walks for walks in found)
    assert n_walks - 4 < spent <= n_walks
    np.testing.assert_array_equal(np.sort(found[0].references), np.arange(n_background))
    for walks in found[1:]:
        # Only in the first round is anything left unreversed.
        np.testing.assert_array_equal(walks.reversed_walks, np.arange(len(walks.orders)))
        assert len(np.unique(walks.references)) == len(walks.references)


def test_in_every_round_players_take_every_place_equally_often():
    for walks in rounds(5, 20, 80):
        places = np.argsort(walks.orders, axis=1)
        for player in range(5):
            assert (np.bincount(places[:, player], minlength=5) == 4).all()


def test_every_order_is_as_likely():
    drawn = [tuple(rounds(3, 2, 2, seed)[0].orders[0]) for seed in range(1200)]
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == 6
    assert counts.min() > 150
    assert counts.max() < 250


@pytest.mark.parametrize("seed", range(5))
def test_interactions_of_two_players_are_exact_both_ways(seed):
    value = game(6, 4, seed, order=2)
    values, _ = walked(value, 6, 4, 8, seed)
    np.testing.assert_allclose(values, exact(value, 6, 4).mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("n_walks", [4, 6])
def test_neighbours_stand_in_for_each_others_reverse(n_walks):
    value = game(6, 4, 0, order=2, alike=True)
    values, _ = walked(value, 6, 4, n_walks, 0)
    np.testing.assert_allclose(values, exact(value, 6, 4).mean(axis=0), atol=1e-12)
    unlike = game(6, 4, 0, order=2)
    values, _ = walked(unlike, 6, 4, n_walks, 0)
    assert np.abs(values - exact(unlike, 6, 4).mean(axis=0)).max() > 1e-3


@pytest.mark.parametrize("n_walks", [5, 8, 10, 14])
def test_values_add_up(n_walks):
    value = game(7, 5, 0, order=5)
    values, _ = walked(value, 7, 5, n_walks, 0)
    none = value(np.zeros((5, 7), dtype=bool), np.arange(5))
    np.testing.assert_allclose(values.sum(), 1 - none.mean(), atol=1e-12)


@pytest.mark.parametrize("n_walks", [3, 5, 6, 10])
def test_interactions_of_more_players_are_right_on_average(n_walks):
    value = game(6, 3, 0, order=5)
    draws = np.array([walked(value, 6, 3, n_walks, seed)[0] for seed in range(2000)])
    error = draws.mean(axis=0) - exact(value, 6, 3).mean(axis=0)
    assert np.abs(error / (draws.std(axis=0) / np.sqrt(2000) + 1e-12)).max() < 4


@pytest.mark.parametrize("n_background", [4, 5, 6, 7])
@pytest.mark.parametrize("share", [1, 1.5, 2, 3.5, 4])
def test_standard_errors_bound_the_error_from_above(n_background, share):
    value = game(6, n_background, 0, order=4)
    truth = exact(value, 6, n_background).mean(axis=0)
    n_walks = int(share * n_background)
    drawn = [walked(value, 6, n_background, n_walks, seed) for seed in range(300)]
    spread = np.mean([(values - truth) ** 2 for values, _ in drawn])
    told = np.mean([errors**2 for _, errors in drawn])
    assert spread < told < 60 * spread


@pytest.mark.parametrize("n_rounds", [2, 4, 10])
def test_standard_errors_of_alike_neighbours_and_of_majorities(n_rounds):
    def majority(coalitions, references):
        return (coalitions.sum(axis=1) > 3).astype(float)

    for value, n_background in ((game(7, 6, 0, order=4, alike=True), 6), (majority, 6)):
        truth = exact(value, 7, n_background).mean(axis=0)
        n_walks = 2 * n_rounds * n_background
        drawn = [walked(value, 7, n_background, n_walks, seed) for seed in range(300)]
        spread = np.mean([(values - truth) ** 2 for values, _ in drawn])
        told = np.mean([errors**2 for _, errors in drawn])
        assert 0.85 * spread < told < 10 * spread


def test_neighbours_are_alike():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, 3)) * 10
    rows = np.repeat(centres, 2, axis=0) + rng.normal(size=(40, 3)) * 0.01
    shuffled = rng.permutation(40)
    order = neighbours(rows[shuffled], np.zeros((40, 1)), np.full(40, 1 / 40))
    pairs = shuffled[order].reshape(-1, 2) // 2
    np.testing.assert_array_equal(np.sort(order), np.arange(40))
    assert (pairs[:, 0] == pairs[:, 1]).all()


@pytest.mark.parametrize("n_rows", [1, 2, 3, 7])
def test_neighbours_of_few_or_equal_rows(n_rows):
    order = neighbours(np.ones((n_rows, 2)), np.ones((n_rows, 1)), np.full(n_rows, 1 / n_rows))
    np.testing.assert_array_equal(np.sort(order), np.arange(n_rows))
