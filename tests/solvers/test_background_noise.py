import numpy as np
import pytest

from sklexplain.solvers.background_noise import background_features, noise_features


def background(n_rows=20, n_cells=6, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n_rows, n_cells))
    return rows, rng.normal(size=(n_rows, 2))


def equal(n_rows):
    return np.full(n_rows, 1 / n_rows)


class TestBackgroundFeatures:
    @pytest.mark.parametrize("weights", [equal(20), np.arange(20) / 190])
    def test_average_to_nothing_over_the_background(self, weights):
        """So that fitting them takes nothing away from the values."""
        rows, outputs = background()
        features = background_features(rows, np.arange(6), outputs, weights)
        np.testing.assert_allclose(np.einsum("pbr,b->pr", features, weights), 0, atol=1e-12)

    @pytest.mark.parametrize("n_rows", [2, 3, 4, 10])
    def test_tell_all_rows_apart(self, n_rows):
        """Any dependence on which of a few rows is met can be fitted."""
        rows, outputs = background(n_rows)
        features = background_features(rows, np.arange(6), outputs, equal(n_rows))
        for player in features:
            assert np.linalg.matrix_rank(player, tol=1e-6) == n_rows - 1

    def test_have_lengths_of_about_one(self):
        rows, outputs = background(60)
        features = background_features(rows, np.arange(6), outputs, equal(60))
        lengths = (features**2).sum(axis=2).mean(axis=1)
        assert np.all((lengths > 0.7) & (lengths < 1.3))

    def test_of_a_player_follow_its_own_cells(self):
        rows, outputs = background(60)
        features = background_features(rows, np.array([0, 0, 1, 1, 1, 1]), outputs, equal(60))
        alike = features @ np.moveaxis(features, 1, 2)
        for player, cells in enumerate([slice(0, 2), slice(2, 6)]):
            own = rows[:, cells] @ rows[:, cells].T
            shares = [np.corrcoef(own.ravel(), kernel.ravel())[0, 1] for kernel in alike]
            assert shares[player] > shares[1 - player] + 0.2

    def test_of_other_scale_are_the_same(self):
        rows, outputs = background(30)
        plain = background_features(rows, np.arange(6), outputs, equal(30))
        scaled = background_features(rows * 1e6 + 3, np.arange(6), -2 * outputs, equal(30))
        np.testing.assert_allclose(
            scaled @ np.moveaxis(scaled, 1, 2), plain @ np.moveaxis(plain, 1, 2), atol=1e-6
        )

    @pytest.mark.parametrize("value", [0.0, 0.1, 1e9])
    def test_constant_columns_say_nothing(self, value):
        rows, outputs = background(30)
        constant = np.hstack([rows, np.full((30, 1), value)])
        labels = np.r_[np.arange(6), 0]
        found = background_features(constant, labels, outputs, equal(30))
        assert np.all(np.isfinite(found))
        alone = background_features(constant[:, -1:], np.zeros(1, int), 0 * outputs, equal(30))
        np.testing.assert_allclose(alone, 0, atol=1e-6)

    def test_equal_rows_are_alike(self):
        rows, outputs = background(10)
        twice = background_features(
            np.repeat(rows, 2, axis=0), np.arange(6), np.repeat(outputs, 2, axis=0), equal(20)
        )
        np.testing.assert_allclose(twice[:, ::2], twice[:, 1::2], atol=1e-8)
        same = background_features(np.ones((5, 6)), np.arange(6), np.ones((5, 2)), equal(5))
        np.testing.assert_allclose(same, 0, atol=1e-12)

    @pytest.mark.parametrize(("n_rows", "n_players"), [(100, 40), (1000, 12), (300, 3), (5, 60)])
    def test_are_few_enough_to_be_solved(self, n_rows, n_players):
        rows, outputs = background(n_rows, n_players)
        features = background_features(rows, np.arange(n_players), outputs, equal(n_rows))
        assert features.shape[:2] == (n_players, n_rows)
        assert n_players * features.shape[2] <= 1000

    def test_missing_values(self):
        rows, outputs = background(10)
        rows[3, 2] = np.nan
        features = background_features(rows, np.arange(6), outputs, equal(10))
        assert np.all(np.isfinite(features))


class TestNoiseFeatures:
    def test_hold_all_noise_of_an_additive_model(self):
        """Such a model's half differences depend on the background player by player."""
        rng = np.random.default_rng(0)
        rows, outputs = background(5)
        signs = rng.choice([-1.0, 1.0], size=(200, 6))
        references = rng.integers(5, size=200)
        parts = rng.normal(size=(6, 5))
        noise = (signs * (parts - parts.mean(axis=1, keepdims=True))[:, references].T).sum(axis=1)
        features = noise_features(
            signs, references, background_features(rows, np.arange(6), outputs, equal(5))
        )
        left = noise - features @ np.linalg.lstsq(features, noise, rcond=None)[0]
        np.testing.assert_allclose(left, 0, atol=1e-8)
        lengths = (features**2).sum(axis=1)
        assert 0.5 < lengths.mean() < 1.5

    def test_a_single_row_makes_none(self):
        assert noise_features(np.ones((7, 3)), np.zeros(7, int), None).shape == (7, 0)
