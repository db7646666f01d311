"""Where enumeration is not affordable KernelSHAP samples, and says how far off it is."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from torch import nn

from sklexplain import Background, KernelSHAP
from tests.games import NAMES, Counted, games, known_values

FEW = settings(max_examples=20)
LINEAR = NAMES.index("linear")


def drawn(n_rows, n_columns, seed=1):
    return np.random.default_rng(seed).normal(size=(n_rows, n_columns))


def explained(rows, background, function=games, **params):
    explainer = KernelSHAP(function, background=background, **{"random_state": 0, **params})
    return explainer.fit(drawn(3, rows.shape[1])).explain(rows)


def root_mean_square(values, axis=None):
    return np.sqrt(np.mean(np.square(values), axis=axis))


def relative_errors(explanation, truth):
    """Of each game, over rows and players."""
    return root_mean_square(explanation.values - truth, (0, 1)) / root_mean_square(truth, (0, 1))


class TestTruth:
    @pytest.mark.parametrize(
        ("n_players", "n_background", "first_budget"),
        [
            (2, 2000, 41),
            (3, 500, 101),
            (4, 300, 101),
            (7, 50, 101),
            (12, 30, 201),
            (25, 20, 201),
            (40, 10, 401),
            (12, 1, 101),
            (33, 1, 201),
        ],
    )
    def test_errors_vanish_as_the_budget_grows(self, n_players, n_background, first_budget):
        background, rows = drawn(n_background, n_players), drawn(3, n_players, seed=2)
        truth = known_values(rows, background)

        def error(budget):
            runs = (
                explained(rows, background, max_evals=budget, random_state=seed)
                for seed in range(4)
            )
            return root_mean_square([relative_errors(run, truth) for run in runs], 0)

        few, many = error(first_budget), error(16 * (first_budget - 1) + 1)
        # Sixteen times the evaluations: a quarter of the error, or less.
        assert np.all(many <= 0.25 * few + 1e-9), (few, many)
        assert np.all(many <= 0.16), many

    @pytest.mark.parametrize("kind", ["array", "kmeans", "one row"])
    def test_errors_cancel_over_seeds(self, kind):
        """What is systematic is small beside what the standard errors admit."""
        background, rows = Background(drawn(100, 8)), drawn(2, 8, seed=2)
        if kind == "kmeans":
            background = Background.kmeans(drawn(300, 8), 12, random_state=0)
        if kind == "one row":
            background = Background(drawn(1, 8))
        truth = known_values(rows, background.rows, background.weights)
        runs = [
            explained(rows, background, max_evals=161, random_state=seed) for seed in range(150)
        ]
        errors = np.array([run.values - truth for run in runs])
        spread = root_mean_square(errors, (0, 1, 2))
        systematic = root_mean_square(errors.mean(axis=0), (0, 1))
        # Chance alone leaves 1 / sqrt(150) = 0.08 of the spread; a penalty costs some bias.
        assert np.all(systematic <= 0.4 * spread + 1e-9), dict(
            zip(NAMES, systematic / spread, strict=True)
        )

    def test_against_a_single_row_two_players_together_cause_no_error(self):
        """A pair of complementary coalitions is free of interactions of even order."""
        background, rows = drawn(1, 9), drawn(3, 9, seed=2)
        errors = relative_errors(
            explained(rows, background, max_evals=201), known_values(rows, background)
        )
        assert errors[NAMES.index("pairs")] < 1e-12

    def test_weights_of_the_background_count(self):
        background = Background(drawn(20, 10), np.r_[np.full(10, 9.0), np.ones(10)])
        rows = drawn(3, 10, seed=2)
        explanation = explained(rows, background, max_evals=2801)
        truth = known_values(rows, background.rows, background.weights)
        unweighted = known_values(rows, background.rows)
        errors = relative_errors(explanation, truth)
        assert np.all(errors < 0.05)
        assert np.all(errors < 0.5 * relative_errors(explanation, unweighted))

    @pytest.mark.parametrize("weights", [None, [0.4, 0.3, 0.2, 0.1, 0]])
    def test_background_rows_are_met_in_turn_or_by_their_weight(self, weights):
        background = Background(np.hstack([np.arange(5)[:, None], drawn(5, 9)]), weights)
        met = np.zeros(6)

        def function(rows):
            np.add.at(met, rows[:, 0].astype(int), 1)
            return games(rows)[:, 1]

        explainer = KernelSHAP(function, background=background, max_evals=2001, random_state=0)
        explainer.fit(background.rows)
        met[:] = 0
        explainer.explain(np.full((1, 10), 5.0))
        # One of each pair takes the first column from the background, the other from the row.
        np.testing.assert_allclose(met[:5], 1000 * background.weights, atol=1)
        assert met[5] == 1001

    @FEW
    @given(
        n_players=st.integers(2, 9),
        n_background=st.integers(1, 12),
        n_outputs=st.integers(1, 3),
        link=st.sampled_from(["identity", "logit"]),
        extra=st.integers(0, 40),
        seed=st.integers(0, 1000),
    )
    def test_efficiency(self, n_players, n_background, n_outputs, link, extra, seed):
        budget = 4 * n_players + 1 + extra
        assume(budget < (2**n_players - 2) * n_background + 1)
        background = drawn(n_background, n_players, seed)

        def function(rows):
            outputs = 1e3 * games(rows)[:, :n_outputs]
            return 1 / (1 + np.exp(-outputs / 1e3)) if link == "logit" else outputs

        explanation = explained(
            drawn(3, n_players, seed + 1), background, function, max_evals=budget, link=link
        )
        assert explanation.std_errors is not None
        gap = explanation.values.sum(axis=1) - explanation.predictions + explanation.base_values
        assert np.all(np.abs(gap) <= 1e-6 * np.abs(explanation.predictions).max())

    def test_two_players_on_more_rows_than_the_budget(self):
        background, rows = drawn(40, 2), drawn(3, 2, seed=2)
        explanation = explained(rows, background, max_evals=61)
        truth = known_values(rows, background)
        assert np.all(np.abs(explanation.values - truth) <= 4 * explanation.std_errors + 1e-9)
        # What one of two gets too much, the other gets too little.
        np.testing.assert_allclose(explanation.std_errors[:, 0], explanation.std_errors[:, 1])


class TestStandardErrors:
    @pytest.mark.parametrize(
        ("n_players", "n_background", "max_evals"),
        [(8, 100, 301), (10, 100, 401), (12, 30, 301), (8, 10, 2101), (8, 1, 121), (10, 1, 601)],
    )
    def test_two_of_them_cover_the_truth(self, n_players, n_background, max_evals):
        background, rows = drawn(n_background, n_players), drawn(2, n_players, seed=2)
        truth = known_values(rows, background)
        runs = [
            explained(rows, background, max_evals=max_evals, random_state=seed)
            for seed in range(200)
        ]
        errors = np.abs([run.values - truth for run in runs])
        std_errors = np.array([run.std_errors for run in runs])
        # Against a single row some games are solved without error, and the standard errors say so.
        exact = errors.max(axis=(0, 2)) < 1e-9
        assert np.all(std_errors.max(axis=(0, 2))[exact] < 1e-8)
        assert n_background == 1 or not exact.any()
        covered = (errors <= 2 * std_errors).mean(axis=(0, 2))
        for game, name in enumerate(NAMES):
            if not exact[:, game].all():
                assert 0.9 <= covered[~exact[:, game], game].mean() <= 0.99, (name, covered)

    def test_many_players(self):
        background, rows = drawn(1, 40), drawn(2, 40, seed=2)
        truth = known_values(rows, background)
        covered = []
        for seed in range(40):
            run = explained(rows, background, max_evals=401, random_state=seed)
            covered.append(np.abs(run.values - truth) <= 2 * run.std_errors + 1e-12)
        rates = np.mean(covered, axis=(0, 1, 2))[NAMES.index("product") :]
        assert np.all((rates >= 0.9) & (rates <= 0.99)), rates

    def test_none_where_values_are_exact(self):
        explanation = explained(drawn(2, 4), drawn(5, 4))
        assert explanation.std_errors is None
        assert explanation.params["exact"]

    def test_a_constant_model_is_sampled_all_the_same(self):
        explanation = explained(drawn(2, 12), drawn(50, 12), lambda rows: np.ones(len(rows)))
        assert not explanation.params["exact"]
        np.testing.assert_array_equal(explanation.values, 0)
        np.testing.assert_array_equal(explanation.std_errors, 0)


class TestBudget:
    @FEW
    @given(
        n_players=st.integers(1, 9),
        n_background=st.integers(1, 15),
        extra=st.integers(0, 300),
        tol=st.sampled_from([None, 1e-9, 0.05]),
    )
    def test_never_exceeded(self, n_players, n_background, extra, tol):
        exact = (2**n_players - 2) * n_background + 1
        budget = min(exact, 4 * n_players + 1) + extra
        counted = Counted(games)
        background = drawn(n_background, n_players)
        explainer = KernelSHAP(
            counted, background=background, max_evals=budget, tol=tol, random_state=0
        ).fit(background)
        rows = drawn(3, n_players, seed=2)
        counted.n_evals = 0
        together = explainer.explain(rows).diagnostics["n_evals"][:, 0]
        assert counted.n_evals == together.sum()
        for row, n_evals in zip(rows, together, strict=True):
            counted.n_evals = 0
            explainer.explain(row[None])
            assert counted.n_evals == n_evals <= budget
        if exact <= budget:
            assert np.all(together == exact)
        elif tol is None:
            assert np.all(together >= budget - 1)

    def test_enumerated_when_no_dearer(self):
        background, rows = drawn(6, 5), drawn(2, 5, seed=2)
        enumerated = explained(rows, background, max_evals=30 * 6 + 1)
        np.testing.assert_allclose(enumerated.values, known_values(rows, background), atol=1e-10)
        assert enumerated.std_errors is None
        assert explained(rows, background, max_evals=30 * 6).std_errors is not None

    @pytest.mark.parametrize(
        ("n_players", "n_background", "budget"),
        [(5, 100, 3001), (5, 200, 2048 + 80), (12, 1, 4095), (13, 1, 2048 + 208), (6, 100, 2144)],
    )
    def test_auto(self, n_players, n_background, budget):
        background = drawn(n_background, n_players)
        assert KernelSHAP(games, background=background).fit(background).max_evals_ == budget

    def test_exact_whatever_it_costs(self):
        background, rows = drawn(20, 10), drawn(2, 10, seed=2)
        explanation = explained(rows, background, max_evals="exact")
        np.testing.assert_allclose(explanation.values, known_values(rows, background), atol=1e-10)
        assert np.all(explanation.diagnostics["n_evals"] == 1022 * 20 + 1)

    def test_a_thousand_background_rows_cost_a_row_no_more_than_a_hundred(self):
        rows = drawn(2, 10, seed=2)
        costs = [explained(rows, drawn(n, 10)).diagnostics["n_evals"] for n in (100, 1000)]
        np.testing.assert_array_equal(*costs)


class TestInactivePlayers:
    background = np.hstack([drawn(30, 7), np.ones((30, 3))])

    def test_get_exactly_nothing_and_cost_nothing(self):
        rows = np.hstack([drawn(3, 7, seed=2), np.ones((3, 3))])
        counted = Counted(games)
        explainer = KernelSHAP(counted, background=self.background, max_evals="exact")
        explainer.fit(self.background)
        counted.n_evals = 0
        explanation = explainer.explain(rows)
        assert counted.n_evals == 3 * ((2**7 - 2) * 30 + 1)
        assert np.all(explanation.values[:, 7:] == 0)
        truth = known_values(rows, self.background)
        np.testing.assert_allclose(explanation.values, truth, atol=1e-10)

    def test_are_left_out_of_the_sample(self):
        rows = np.hstack([drawn(3, 7, seed=2), np.ones((3, 3))])
        rows[1, 9] = 5
        explanation = explained(rows, self.background, max_evals=1201)
        assert np.all(explanation.values[[0, 2], 7:] == 0)
        assert np.all(explanation.std_errors[[0, 2], 7:] == 0)
        assert np.all(explanation.values[1, 7:9] == 0)
        assert np.all(explanation.values[1, 9] != 0)
        truth = known_values(rows, self.background)
        inside = np.abs(explanation.values - truth) <= 4 * explanation.std_errors + 1e-9
        assert inside.mean() > 0.97

    def test_all_but_one_or_all(self):
        background = drawn(1, 12)
        rows = np.repeat(background, 3, axis=0)
        rows[1, 4] += 1
        rows[2] += 1
        explanation = explained(rows, background, max_evals=301)
        assert explanation.diagnostics["n_evals"][:, 0].tolist() == [1, 1, 301]
        np.testing.assert_array_equal(explanation.values[0], 0)
        np.testing.assert_allclose(
            explanation.values[1, 4], games(rows)[1] - games(rows)[0], atol=1e-12
        )
        assert np.count_nonzero(explanation.values[1].any(axis=1)) == 1


class TestRowIndependence:
    background = np.hstack([drawn(40, 9), np.ones((40, 1))])
    rows = drawn(12, 10, seed=2)
    rows[::3, 9] = 1

    def explainer(self, **params):
        params = {"max_evals": 601, "random_state": 3, **params}
        return KernelSHAP(games, background=self.background, **params).fit(self.background)

    @pytest.mark.parametrize("tol", [None, 0.1])
    def test_alone_together_or_in_another_order(self, tol):
        explainer = self.explainer(tol=tol)
        together = explainer.explain(self.rows)
        backwards = explainer.explain(self.rows[::-1])
        np.testing.assert_allclose(backwards.values[::-1], together.values, atol=1e-10)
        np.testing.assert_allclose(backwards.std_errors[::-1], together.std_errors, atol=1e-10)
        costs = together.diagnostics["n_evals"]
        np.testing.assert_array_equal(backwards.diagnostics["n_evals"][::-1], costs)
        for row in range(12):
            alone = explainer.explain(self.rows[row : row + 1])
            np.testing.assert_allclose(alone.values[0], together.values[row], atol=1e-10)
            np.testing.assert_allclose(alone.std_errors[0], together.std_errors[row], atol=1e-10)
            np.testing.assert_array_equal(alone.diagnostics["n_evals"][0], costs[row])

    @pytest.mark.parametrize("params", [{"batch_size": 7}, {"n_jobs": 2}])
    def test_however_the_work_is_divided(self, params):
        expected = self.explainer().transform(self.rows)
        with joblib.parallel_config("threading"):
            found = self.explainer(**params).transform(self.rows)
        np.testing.assert_allclose(found, expected, atol=1e-10)

    def test_in_little_memory(self):
        expected = self.explainer(tol=0.1).explain(self.rows)
        with config_context(working_memory=0.1):
            found = self.explainer(tol=0.1).explain(self.rows)
        np.testing.assert_allclose(found.values, expected.values, atol=1e-10)
        np.testing.assert_array_equal(found.diagnostics["n_evals"], expected.diagnostics["n_evals"])

    def test_seeds(self):
        first, again = (self.explainer().transform(self.rows) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert np.abs(self.explainer(random_state=4).transform(self.rows) - first).max() > 1e-3

    def test_outputs_do_not_depend_on_each_other(self):
        together = self.explainer().explain(self.rows)
        for output in (1, 4):
            alone = KernelSHAP(
                lambda rows, output=output: games(rows)[:, output],
                background=self.background,
                max_evals=601,
                random_state=3,
            ).fit(self.background)
            values = alone.explain(self.rows).values
            # The outputs for the background rows are part of what the noise is fitted with.
            error = root_mean_square(values - together.values[..., output])
            assert error < 0.5 * root_mean_square(together.std_errors[..., output]) + 1e-9


class TestTolerance:
    background, rows = drawn(50, 10), drawn(20, 10, seed=2)

    @staticmethod
    def function(rows):
        return games(rows)[:, 1]

    def explained(self, **params):
        return explained(self.rows, self.background, self.function, **params)

    @pytest.mark.parametrize("tol", [0.02, 0.1])
    def test_rows_stop_when_they_are_sure(self, tol):
        explanation = self.explained(max_evals=3001, tol=tol)
        n_evals = explanation.diagnostics["n_evals"]
        assert n_evals.min() < n_evals.max() <= 3001
        distance = np.abs(explanation.predictions - explanation.base_values)
        worst = explanation.std_errors.max(axis=1)
        stopped = n_evals < 3001
        assert np.all(worst[stopped] <= tol * distance[stopped])

    def test_values_of_rows_that_stop_are_close(self):
        explanation = self.explained(max_evals=3001, tol=0.05)
        truth = known_values(self.rows, self.background)[..., 1]
        inside = np.abs(explanation.values - truth) <= 2 * explanation.std_errors
        assert inside.mean() > 0.85

    def test_rows_that_do_not_stop_are_as_without(self):
        explanation = self.explained(max_evals=1501, tol=1e-6)
        assert np.all(explanation.diagnostics["n_evals"] == 1501)
        expected = self.explained(max_evals=1501)
        np.testing.assert_allclose(explanation.values, expected.values, atol=1e-10)

    def test_may_be_changed_after_fitting(self):
        explainer = KernelSHAP(
            self.function, background=self.background, max_evals=1025, random_state=0
        ).fit(self.background)
        without = explainer.transform(self.rows)
        explainer.set_params(tol=0.1).explain(self.rows)
        explainer.set_params(tol=1e-6)
        np.testing.assert_allclose(explainer.transform(self.rows), without, atol=1e-10)


class TestOutputs:
    X = drawn(200, 10)
    y = X[:, 0] * X[:, 1] + X[:, 2]
    labels = np.array(["low", "mid", "high"])[np.digitize(y, [-0.5, 0.5])]
    rows = drawn(4, 10, seed=2)

    def fitted(self, estimator, y, **params):
        params = {"background": self.X[:100], "max_evals": 801, "random_state": 0, **params}
        return KernelSHAP(estimator, **params).fit(self.X, y)

    def test_several_targets(self):
        targets = np.column_stack([self.y, -self.y, self.X[:, 3]])
        explainer = self.fitted(LinearRegression(), targets)
        explanation = explainer.explain(self.rows)
        away = self.rows - self.X[:100].mean(axis=0)
        truth = away[:, :, None] * explainer.estimator_.coef_.T
        assert explanation.shape == (4, 10, 3)
        assert np.all(np.abs(explanation.values - truth) <= 5 * explanation.std_errors + 1e-9)
        assert np.all(relative_errors(explanation, truth) < 0.02)

    def test_class_probabilities(self):
        explainer = self.fitted(LogisticRegression(), self.labels)
        explanation = explainer.explain(self.rows)
        assert explanation.output_names == ("high", "low", "mid")
        exact = self.fitted(FrozenEstimator(explainer.estimator_), None, max_evals="exact")
        errors = relative_errors(explanation, exact.explain(self.rows).values)
        assert np.all(errors < 0.1)

    def test_two_classes_are_each_others_opposite(self):
        values = self.fitted(LogisticRegression(), self.y > 0).explain(self.rows).values
        np.testing.assert_allclose(values[..., 0], -values[..., 1], atol=1e-10)

    def test_decision_values_are_the_log_odds(self):
        decisions = self.fitted(LogisticRegression(), self.y > 0, output="decision_function")
        explanation = decisions.explain(self.rows)
        assert explanation.output_names == ()
        log_odds = self.fitted(
            FrozenEstimator(decisions.estimator_), self.y > 0, link="logit"
        ).explain(self.rows)
        np.testing.assert_allclose(explanation.values, log_odds.values[..., 1], atol=1e-8)
        truth = decisions.estimator_.coef_ * (self.rows - self.X[:100].mean(axis=0))
        assert root_mean_square(explanation.values - truth) < 0.02 * root_mean_square(truth)

    def test_tables(self):
        names = [f"column {i}" for i in range(10)]
        frame = pd.DataFrame(self.X, columns=names)
        params = {"background": frame[:100], "max_evals": 401, "random_state": 0}
        explainer = KernelSHAP(LogisticRegression(), **params).fit(frame, self.labels)
        explanation = explainer.explain(frame[150:153])
        assert explanation.players.names == tuple(names)
        assert explanation.index.tolist() == [150, 151, 152]
        plain = self.fitted(LogisticRegression(), self.labels, max_evals=401)
        np.testing.assert_allclose(
            explanation.values, plain.explain(self.X[150:153]).values, atol=1e-10
        )
        table = explainer.set_output(transform="pandas").transform(frame[150:153])
        assert table.columns[:3].tolist() == ["column 0:high", "column 0:low", "column 0:mid"]
        np.testing.assert_array_equal(table["column 4:mid"], explanation.values[:, 4, 2])

    def test_background_kinds(self):
        ridge = FrozenEstimator(LinearRegression().fit(self.X, self.y))

        def errors(background):
            explainer = self.fitted(ridge, None, background=background)
            kept = explainer.background_
            truth = (self.rows - kept.mean(kept.rows)) * ridge.estimator.coef_
            explanation = explainer.explain(self.rows)
            return root_mean_square(explanation.values - truth) / root_mean_square(truth)

        assert errors(50) < 0.02
        assert errors(self.X.tolist()) < 0.02
        assert errors(Background.kmeans(self.X, 8, random_state=0)) < 0.02
        assert errors(self.X[:1]) < 1e-10


class TestWindows:
    windows = np.random.default_rng(1).normal(size=(60, 5, 3))

    @staticmethod
    def function(windows):
        return np.tanh(windows[:, -1].sum(axis=1)) * windows[:, -2, 0] + windows[:, 0, 1]

    @pytest.mark.parametrize(
        ("players", "names", "budget"),
        [
            ("feature", ["x0", "x1", "x2"], 101),
            ("timestep", ["t-4", "t-3", "t-2", "t-1", "t"], 401),
            ("cell", ["x0[t-4]", "x1[t-4]"], 2001),
        ],
    )
    def test_levels(self, players, names, budget):
        params = {"background": self.windows[:20], "players": players, "random_state": 0}
        sampled = KernelSHAP(self.function, max_evals=budget, **params).fit(self.windows)
        explanation = sampled.explain(self.windows[20:24])
        assert list(explanation.players.names)[: len(names)] == names
        exact = KernelSHAP(self.function, max_evals="exact", **params).fit(self.windows)
        truth = exact.explain(self.windows[20:24]).values
        assert explanation.std_errors is not None
        assert root_mean_square(explanation.values - truth) < 0.15 * root_mean_square(truth)
        assert np.mean(np.abs(explanation.values - truth) <= 3 * explanation.std_errors) > 0.9


class TestNets:
    X = drawn(60, 10)

    @staticmethod
    def net():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(10, 32), nn.Tanh(), nn.Linear(32, 2)).double().eval()

    @pytest.mark.parametrize("control_variate", ["auto", "deep", None])
    @pytest.mark.parametrize(("n_background", "max_evals"), [(10, 65), (20, 141), (1, 101)])
    def test_whatever_is_known_of_them(self, control_variate, n_background, max_evals):
        params = {"background": self.X[:n_background], "control_variate": control_variate}
        exact = KernelSHAP(self.net(), max_evals="exact", **params).fit(self.X)
        truth = exact.explain(self.X[50:54]).values
        covered = []
        for seed in range(30):
            explainer = KernelSHAP(self.net(), max_evals=max_evals, random_state=seed, **params)
            explanation = explainer.fit(self.X).explain(self.X[50:54])
            assert np.all(explanation.diagnostics["n_evals"] <= max_evals)
            gap = explanation.values.sum(axis=1) + explanation.base_values - explanation.predictions
            np.testing.assert_allclose(gap, 0, atol=1e-10)
            covered.append(np.abs(explanation.values - truth) <= 2 * explanation.std_errors)
        assert 0.9 <= np.mean(covered) <= 0.99

    @pytest.mark.parametrize("max_evals", range(41, 71, 3))
    def test_any_budget_that_suffices(self, max_evals):
        """What is spent on knowing the net is not missing in the regression."""
        explainer = KernelSHAP(
            self.net(), background=self.X[:10], max_evals=max_evals, random_state=0
        ).fit(self.X)
        n_evals = explainer.explain(self.X[20:22]).diagnostics["n_evals"]
        assert np.all((n_evals <= max_evals) & (n_evals >= max_evals - 1))

    def test_too_dear_to_know(self):
        with pytest.raises(ValueError, match="costs 20 of max_evals=60; raise max_evals to 61"):
            KernelSHAP(
                self.net(), background=self.X[:10], max_evals=60, control_variate="deep"
            ).fit(self.X)


class TestComposition:
    X = drawn(120, 10)
    y = X[:, 0] - X[:, 1]

    def test_pickled_after_explaining(self):
        explainer = KernelSHAP(Ridge(), background=50, max_evals=401, random_state=0)
        fresh = len(pickle.dumps(explainer.fit(self.X, self.y)))
        values = explainer.transform(self.X[:5])
        dumped = pickle.dumps(explainer)
        # What was factorised for the sampling is not kept.
        assert len(dumped) < fresh + 1000
        np.testing.assert_array_equal(pickle.loads(dumped).transform(self.X[:5]), values)
        np.testing.assert_array_equal(explainer.transform(self.X[:5]), values)

    def test_cloned_and_fitted_again(self):
        explainer = KernelSHAP(Ridge(), background=50, max_evals=401, random_state=0)
        values = explainer.fit(self.X, self.y).transform(self.X[:5])
        again = clone(explainer).fit(self.X, self.y).transform(self.X[:5])
        np.testing.assert_array_equal(again, values)
        other = explainer.fit(self.X + 1, self.y).transform(self.X[:5] + 1)
        np.testing.assert_allclose(other, values, atol=1e-8)

    def test_searched(self):
        search = GridSearchCV(
            KernelSHAP(Ridge(), background=20, random_state=0),
            {"estimator__alpha": [1e-3, 1e4], "max_evals": [61, 401]},
            cv=2,
            error_score="raise",
        ).fit(self.X, self.y)
        assert search.best_params_["estimator__alpha"] == 1e-3
        budget = search.best_params_["max_evals"]
        explanation = search.best_estimator_.explain(self.X[:2])
        assert np.all(explanation.diagnostics["n_evals"] == budget)
