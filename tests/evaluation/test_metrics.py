import numpy as np
import pytest
import torch
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn.metrics import r2_score

from sklexplain.evaluation import metrics

NUMBERS = st.floats(-1e6, 1e6).map(lambda number: number if abs(number) > 1e-30 else 0.0)
TABLES = arrays(float, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=NUMBERS)


def network(rows):
    return torch.sin(rows).sum(dim=1) + rows[:, 0] * rows[:, 1]


class TestInfidelity:
    @pytest.mark.parametrize("normalize", [False, True])
    def test_agrees_with_captum(self, normalize):
        rng = np.random.default_rng(0)
        rows, values = rng.normal(size=(2, 5, 4))
        perturbations = rng.normal(size=(5, 7, 4))
        shifted = rows[:, None] - perturbations
        outputs = network(torch.as_tensor(shifted.reshape(-1, 4))).numpy().reshape(5, 7)
        differences = network(torch.as_tensor(rows)).numpy()[:, None] - outputs
        expected = captum_infidelity(
            network,
            lambda _: (
                torch.as_tensor(perturbations.reshape(-1, 4)),
                torch.as_tensor(shifted.reshape(-1, 4)),
            ),
            torch.as_tensor(rows),
            torch.as_tensor(values),
            n_perturb_samples=7,
            normalize=normalize,
        ).numpy()
        ours = metrics.infidelity(values, perturbations, differences, normalize=normalize)
        np.testing.assert_allclose(ours, expected, rtol=1e-9)

    @given(TABLES, st.floats(0.1, 10))
    def test_normalized_ignores_the_scale_of_the_values(self, values, factor):
        rng = np.random.default_rng(0)
        removed = rng.random((1, 6, values.shape[1])) < 0.5
        differences = rng.normal(size=(len(values), 6))
        once, scaled = (
            metrics.infidelity(given, removed, differences, normalize=True)
            for given in (values, factor * values)
        )
        np.testing.assert_allclose(scaled, once, rtol=1e-6, atol=1e-9)

    @given(TABLES)
    def test_is_zero_where_values_foretell_every_removal(self, values):
        removed = (np.random.default_rng(0).random((1, 6, values.shape[1])) < 0.5).astype(float)
        differences = np.array([[keep @ row for keep in removed[0]] for row in values])
        size = 1 + np.abs(values).sum()
        assert np.all(metrics.infidelity(values, removed, differences) <= (1e-12 * size) ** 2)


class TestMaxSensitivity:
    def test_agrees_with_captum(self):
        rng = np.random.default_rng(1)
        rows = torch.as_tensor(rng.normal(size=(4, 3)))
        nearby = rows[:, None] + torch.as_tensor(rng.uniform(-0.1, 0.1, size=(4, 6, 3)))

        def attribute(inputs):
            return torch.cos(inputs) * inputs

        expected = sensitivity_max(
            lambda inputs: (attribute(inputs[0] if isinstance(inputs, tuple) else inputs),),
            rows,
            perturb_func=lambda *_: nearby.reshape(-1, 3),
            n_perturb_samples=6,
        ).numpy()
        ours = metrics.max_sensitivity(attribute(rows).numpy(), attribute(nearby).numpy())
        np.testing.assert_allclose(ours, expected, rtol=1e-12)

    def test_is_not_divided_by_nothing(self):
        moved = metrics.max_sensitivity(np.zeros((1, 2)), np.array([[[3.0, 4.0], [0.0, 1.0]]]))
        np.testing.assert_array_equal(moved, [5.0])


class TestSparsity:
    def test_agrees_with_quantus(self):
        """The numbers are those of `quantus.Sparseness` 0.6.0, which adds 1e-7 to every size.

        Quantus itself is not among the packages to test with: it brings OpenCV and scikit-image
        (700 MB in an environment of its own), for a formula of one line.
        """
        sizes = np.array([[1, -1, 1, 1], [0, 5, 0, 0], [0.3, -0.2, 0.7, 0.05], [4, 3, 2, 1]])
        quantus = [0.0, 0.74999994, 0.40999987, 0.24999999]
        np.testing.assert_allclose(metrics.sparsity(sizes), quantus, atol=2e-7)

    @given(TABLES, st.sampled_from([1e-200, 0.5, 3.0, 1e200]))
    def test_is_the_mean_difference_of_sizes_whatever_their_unit(self, values, unit):
        sizes = np.abs(values)
        apart = np.abs(sizes[:, :, None] - sizes[:, None]).mean(axis=(1, 2))
        means = sizes.mean(axis=1)
        expected = np.where(means > 0, apart / (2 * np.where(means > 0, means, 1)), 0)
        found = metrics.sparsity(values * unit)
        np.testing.assert_allclose(found, expected, atol=1e-9)
        assert np.all((found >= 0) & (found <= 1 - 1 / values.shape[1]))


class TestStability:
    @given(st.integers(2, 4), TABLES, st.integers(0, 99))
    def test_stays_in_its_range(self, n_runs, values, seed):
        runs = values * np.random.default_rng(seed).normal(size=(n_runs, *values.shape))
        found = metrics.stability(runs)
        assert np.all((found >= 0) & (found <= 1))

    @given(TABLES)
    def test_equal_runs_are_perfectly_stable_and_opposite_ones_not_at_all(self, values):
        np.testing.assert_array_equal(metrics.stability(np.stack([values, values])), 1)
        opposite = metrics.stability(np.stack([values, -values]))
        np.testing.assert_allclose(opposite, np.where(np.any(values, axis=1), 0, 1), atol=1e-12)


class TestWeightedR2:
    @given(st.integers(0, 10_000))
    def test_is_that_of_scikit_learn(self, seed):
        rng = np.random.default_rng(seed)
        outputs, fitted = rng.normal(size=(2, 3, 8))
        weights = rng.uniform(0.1, 2, size=8)
        expected = [
            r2_score(one, other, sample_weight=weights)
            for one, other in zip(outputs, fitted, strict=True)
        ]
        np.testing.assert_allclose(metrics.weighted_r2(outputs, fitted, weights), expected)

    def test_of_outputs_that_do_not_vary(self):
        outputs = np.full((2, 4), 0.1 + 0.2)
        fitted = np.array([[0.3] * 4, [0.3, 0.3, 0.3, 0.4]])
        np.testing.assert_array_equal(metrics.weighted_r2(outputs, fitted, np.ones(4)), [1, 0])


class TestCurveAreas:
    @given(TABLES)
    def test_of_an_additive_model_lie_around_a_half(self, values):
        """Removing the largest first can only be below the straight line, the smallest above."""
        values = np.abs(values)
        base, predictions = np.zeros(len(values)), values.sum(axis=1)
        order = metrics.removal_order(values, base, predictions)
        ranked = np.take_along_axis(values, order, axis=1)
        left = predictions[:, None] - np.cumsum(ranked, axis=1)
        curves = np.column_stack([predictions, left])
        areas = metrics.curve_areas(curves, base, predictions)
        slack = 1e-9
        assert areas.mean() <= 0.5 + slack
        # Player j in order leaves the curve a rectangle of j - 1/2 steps.
        steps = (np.arange(values.shape[1]) + 0.5) / values.shape[1]
        scale = predictions.mean() or 1
        expected = ranked @ steps / scale if predictions.any() else np.full(len(values), 0.5)
        np.testing.assert_allclose(areas, expected, atol=1e-6)

    def test_turn_over_where_the_prediction_lies_below_the_base(self):
        curve = np.array([[3.0, 1.0, 0.0]])
        above = metrics.curve_areas(curve, np.array([0.0]), np.array([3.0]))
        below = metrics.curve_areas(-curve, np.array([0.0]), np.array([-3.0]))
        np.testing.assert_array_equal(above, below)

    def test_are_a_straight_line_where_nothing_moves(self):
        found = metrics.curve_areas(np.ones((2, 3)), np.ones(2), np.ones(2))
        np.testing.assert_array_equal(found, 0.5)


class TestCompletenessGap:
    def test_is_relative_to_the_mean_distance(self):
        values = np.array([[1.0, 1.0], [0.0, 0.0]])
        gaps = metrics.completeness_gap(values, np.array([1.0, 1.0]), np.array([5.0, 1.0]))
        np.testing.assert_allclose(gaps, [1.0, 0.0])

    def test_is_as_it_is_where_no_prediction_differs(self):
        gaps = metrics.completeness_gap(np.array([[0.5]]), np.ones(1), np.ones(1))
        np.testing.assert_array_equal(gaps, [0.5])
