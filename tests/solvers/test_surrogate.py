"""Surrogates solved together must be those that scikit-learn and `lime` find one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lime.lime_base import LimeBase
from sklearn.linear_model import LinearRegression, Ridge

from sklexplain.solvers.regressors import fit_regressors
from sklexplain.solvers.surrogate import fit_surrogates, kernel_weights

LIME_NAMES = {"forward": "forward_selection"}


def make_problem(seed=0, n_rows=3, n_draws=200, n_players=5, n_outputs=2, shared=False, level=0):
    """Offsets, weights, outputs and positions, with coefficients that are far from each other."""
    rng = np.random.default_rng(seed)
    offsets = rng.normal(size=(1 if shared else n_rows, n_draws, n_players))
    offsets[:, 0] = 0
    weights = kernel_weights(offsets, 0.75 * np.sqrt(n_players) * 2)
    coef = rng.normal(size=(n_rows, n_players, n_outputs)) * np.arange(1, n_players + 1)[:, None]
    outputs = offsets @ coef + rng.normal(size=(n_rows, n_draws, n_outputs)) + level
    positions = rng.normal(size=(n_rows, n_players))
    return offsets, weights, outputs, positions


def one_by_one(problem):
    """Yield each row and output with its own draws."""
    offsets, weights, outputs, positions = problem
    for row in range(len(outputs)):
        own = 0 if len(offsets) == 1 else row
        for output in range(outputs.shape[2]):
            yield (
                (row, output),
                offsets[own],
                weights[own],
                outputs[row, :, output],
                positions[row],
            )


class TestKernel:
    def test_is_that_of_lime(self, rng):
        offsets = rng.normal(size=(2, 6, 3))
        distances = np.linalg.norm(offsets, axis=2)
        expected = np.sqrt(np.exp(-(distances**2) / 1.7**2))
        np.testing.assert_allclose(kernel_weights(offsets, 1.7), expected)


class TestAgainstScikitLearn:
    @given(
        st.integers(0, 1000),
        st.integers(1, 4),
        st.integers(1, 6),
        st.integers(1, 3),
        st.booleans(),
        st.sampled_from([0.01, 1.0, 30.0]),
    )
    def test_ridge(self, seed, n_rows, n_players, n_outputs, shared, alpha):
        problem = make_problem(seed, n_rows, 40, n_players, n_outputs, shared, level=5)
        fitted = fit_surrogates(*problem, alpha=alpha)
        for (row, output), offsets, weights, outputs, _ in one_by_one(problem):
            ridge = Ridge(alpha).fit(offsets, outputs, sample_weight=weights)
            np.testing.assert_allclose(fitted.coef[row, :, output], ridge.coef_, atol=1e-9)
            assert fitted.predictions[row, output] == pytest.approx(ridge.intercept_)
            score = ridge.score(offsets, outputs, sample_weight=weights)
            assert fitted.scores[row, output] == pytest.approx(score)

    def test_no_penalty_and_features_that_determine_each_other(self):
        offsets, weights, outputs, positions = make_problem(n_players=3)
        offsets = np.concatenate([offsets, offsets[..., :1], 0 * offsets[..., :1]], axis=2)
        positions = np.ones((3, 5))
        problem = offsets, weights, outputs, positions
        fitted = fit_surrogates(*problem, alpha=0)
        for (row, output), rows, weight, target, _ in one_by_one(problem):
            expected = LinearRegression().fit(rows, target, sample_weight=weight)
            np.testing.assert_allclose(fitted.coef[row, :, output], expected.coef_, atol=1e-8)
        np.testing.assert_allclose(fitted.coef[:, 4], 0, atol=1e-12)

    def test_small_changes_of_a_large_output(self):
        low, high = (fit_surrogates(*make_problem(level=level)) for level in (0, 1e9))
        np.testing.assert_allclose(high.coef, low.coef, rtol=1e-5)
        np.testing.assert_allclose(high.std_errors, low.std_errors, rtol=1e-4)
        np.testing.assert_allclose(high.scores, low.scores, rtol=1e-5)

    @pytest.mark.parametrize(("value", "score"), [(0.0, 1), (3.7, 1)])
    def test_constant_outputs_are_explained_in_full(self, value, score):
        offsets, weights, outputs, positions = make_problem()
        fitted = fit_surrogates(offsets, weights, np.full_like(outputs, value), positions)
        np.testing.assert_array_equal(fitted.coef, 0)
        np.testing.assert_array_equal(fitted.scores, score)
        np.testing.assert_array_equal(fitted.predictions, value)

    @pytest.mark.parametrize("shared", [False, True])
    @pytest.mark.parametrize("n_features", [None, 2])
    def test_rows_do_not_depend_on_their_neighbours(self, shared, n_features):
        offsets, weights, outputs, positions = make_problem(n_rows=6, shared=shared)
        whole = fit_surrogates(offsets, weights, outputs, positions, n_features=n_features)
        part = [4, 1]
        own = slice(None) if shared else part
        alone = fit_surrogates(
            offsets[own], weights[own], outputs[part], positions[part], n_features=n_features
        )
        for name in ("coef", "predictions", "scores", "std_errors"):
            np.testing.assert_array_equal(getattr(alone, name), getattr(whole, name)[part])


class TestSelection:
    @given(
        st.integers(0, 1000),
        st.sampled_from(["forward", "highest_weights", "lasso_path", "auto"]),
        st.integers(1, 8),
        st.booleans(),
    )
    def test_is_that_of_lime(self, seed, selection, n_features, shared):
        problem = make_problem(seed, 2, 60, 8, 2, shared)
        fitted = fit_surrogates(*problem, selection=selection, n_features=n_features)
        for (row, output), offsets, weights, outputs, position in one_by_one(problem):
            used = LimeBase(None).feature_selection(
                offsets + position,
                outputs,
                weights,
                n_features,
                LIME_NAMES.get(selection, selection),
            )
            expected = np.zeros(8)
            ridge = Ridge(1).fit(offsets[:, used], outputs, sample_weight=weights)
            expected[used] = ridge.coef_
            np.testing.assert_allclose(fitted.coef[row, :, output], expected, atol=1e-9)
            assert fitted.predictions[row, output] == pytest.approx(ridge.intercept_)
            errors = fitted.std_errors[row, :, output]
            assert set(np.flatnonzero(errors)) == set(used)

    def test_none_ignores_the_number(self):
        problem = make_problem()
        some = fit_surrogates(*problem, selection="none", n_features=1)
        np.testing.assert_array_equal(some.coef, fit_surrogates(*problem).coef)

    def test_forward_takes_determined_features_last(self):
        offsets, weights, outputs, _ = make_problem(n_players=3)
        offsets = np.concatenate([offsets[..., :1], 0 * offsets[..., :1], offsets], axis=2)
        positions = np.ones((3, 5))
        three = fit_surrogates(
            offsets, weights, outputs, positions, selection="forward", n_features=3
        )
        # The first feature is there twice and one is constant: any three that are found hold all.
        used = three.coef != 0
        assert (used[:, 3] & used[:, 4] & (used[:, 0] ^ used[:, 2])).all()
        all_five = fit_surrogates(
            offsets, weights, outputs, positions, selection="forward", n_features=5
        )
        assert np.isfinite(all_five.coef).all()
        np.testing.assert_allclose(all_five.scores, three.scores, rtol=1e-3)


class TestStandardErrors:
    """Three ways to the same number: the formula, the bootstrap, and drawing again."""

    @staticmethod
    def draw(rng, n_draws=400, heteroscedastic=True):
        offsets = rng.normal(size=(1, n_draws, 3))
        offsets[:, 0] = 0
        noise = rng.normal(size=(1, n_draws)) * (1 + heteroscedastic * np.abs(offsets[..., 0]) * 2)
        outputs = (offsets @ [1.0, 0.0, -1.0] + offsets[..., 1] ** 2 + noise)[..., None]
        outputs[:, 0] = 0
        return offsets, kernel_weights(offsets, 1.5), outputs, np.ones((1, 3))

    @pytest.mark.parametrize("n_features", [None, 2])
    def test_is_the_spread_over_draws(self, rng, n_features):
        fits = [
            fit_surrogates(*self.draw(rng), n_features=n_features, selection="highest_weights")
            for _ in range(400)
        ]
        coef = np.array([fit.coef[0, :, 0] for fit in fits])
        errors = np.array([fit.std_errors[0, :, 0] for fit in fits])
        # Noise and curvature leave the first and the last feature chosen nearly always.
        kept = [0, 1, 2] if n_features is None else [0, 2]
        chosen = (coef[:, kept] != 0).all(axis=1)
        assert chosen.mean() > 0.95
        spread = coef[chosen][:, kept].std(axis=0)
        # A standard deviation of 400 numbers is known to 3.5 %.
        np.testing.assert_allclose(errors[chosen][:, kept].mean(axis=0), spread, rtol=0.15)

    def test_is_that_of_the_bootstrap(self, rng):
        offsets, weights, outputs, positions = self.draw(rng)
        fitted = fit_surrogates(offsets, weights, outputs, positions)
        drawn = np.column_stack([np.zeros(1000, int), rng.integers(1, 400, size=(1000, 399))])
        again = fit_surrogates(
            offsets[0, drawn], weights[0, drawn], outputs[0, drawn], np.ones((1000, 3))
        )
        np.testing.assert_allclose(fitted.std_errors[0], again.coef.std(axis=0), rtol=0.12)

    def test_jackknife_of_other_regressors(self, rng):
        problems = [self.draw(rng) for _ in range(60)]
        jackknife = [fit_regressors(Ridge(1), *problem).std_errors[0, :, 0] for problem in problems]
        formula = [fit_surrogates(*problem).std_errors[0, :, 0] for problem in problems]
        np.testing.assert_allclose(
            np.square(jackknife).mean(axis=0), np.square(formula).mean(axis=0), rtol=0.3
        )


class TestControls:
    @staticmethod
    def draw(rng, n_draws=300):
        """Outputs that depend on which players are replaced and on what replaces them."""
        present = rng.uniform(size=(n_draws, 3)) < 0.5
        offsets = np.concatenate([np.zeros((1, 3)), present - 1.0])[None]
        replacing = rng.normal(size=(n_draws, 3)) * ~present
        controls = np.concatenate([np.zeros((1, 3)), replacing])
        outputs = offsets @ [2.0, 0.0, -1.0] + controls @ [3.0, 1.0, -2.0]
        outputs = outputs + np.prod(1 + offsets, axis=2)
        return (
            offsets,
            kernel_weights(offsets, 1.3),
            outputs[..., None],
            np.ones((1, 3)),
        ), controls

    def test_same_mean_smaller_spread(self, rng):
        plain, controlled, errors = [], [], []
        for _ in range(300):
            problem, controls = self.draw(rng)
            plain.append(fit_surrogates(*problem).coef[0, :, 0])
            fitted = fit_surrogates(*problem, controls=controls)
            controlled.append(fitted.coef[0, :, 0])
            errors.append(fitted.std_errors[0, :, 0])
        difference = np.subtract(plain, controlled)
        standard_error = difference.std(axis=0) / np.sqrt(len(difference))
        assert np.abs(difference.mean(axis=0) / standard_error).max() < 4
        assert (np.std(controlled, axis=0) < 0.25 * np.std(plain, axis=0)).all()
        np.testing.assert_allclose(np.mean(errors, axis=0), np.std(controlled, axis=0), rtol=0.15)

    def test_score_is_of_the_whole_output(self, rng):
        problem, controls = self.draw(rng)
        fitted = fit_surrogates(*problem, controls=controls)
        offsets, weights, outputs, _ = (part[0] for part in problem)
        predicted = offsets @ fitted.coef[0, :, 0] + fitted.predictions[0, 0]
        mean = np.average(outputs[:, 0], weights=weights)
        unexplained = np.average((outputs[:, 0] - predicted) ** 2, weights=weights)
        total = np.average((outputs[:, 0] - mean) ** 2, weights=weights)
        assert fitted.scores[0, 0] == pytest.approx(1 - unexplained / total)


class TestOtherRegressors:
    @pytest.mark.parametrize("selection", ["none", "forward"])
    @pytest.mark.parametrize("shared", [False, True])
    def test_ridge_is_the_batched_one(self, selection, shared):
        problem = make_problem(shared=shared)
        options = {"selection": selection, "n_features": 2}
        batched = fit_surrogates(*problem, alpha=3.0, **options)
        single = fit_regressors(Ridge(3.0), *problem, **options)
        for name in ("coef", "predictions", "scores"):
            # This Ridge sees positions plus offsets; only the batched one is relative to the row.
            np.testing.assert_allclose(getattr(single, name), getattr(batched, name), atol=1e-8)
