"""LIME as an estimator: what its numbers mean, what it does with bad input, and what it costs."""

import pickle
import warnings
from dataclasses import replace

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.feature_selection import SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import ARDRegression, Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from torch import nn

from sklexplain import LIME, Explanation, SlidingWindow, as_estimator, make_sequences

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 4)) * [1.0, 2.0, 5.0, 0.1] + [0.0, 10.0, -3.0, 1.0]
COEF = np.array([2.0, -1.0, 0.0, 10.0])
NAMES = ["open", "close", "volume", "noise"]
frame = pd.DataFrame(X, columns=NAMES)
windows = rng.normal(size=(120, 3, 2))
levels = np.array(["down", "flat", "up"])


def linear(rows):
    return np.asarray(rows) @ COEF


def classes(rows):
    scores = np.column_stack([linear(rows), 1 + 0 * rows[:, 0], 2 * rows[:, 0]])
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


CLASSIFIER = as_estimator(classes, task="classifier", classes=levels)


class Counting:
    """A function that counts the rows that it is asked for."""

    def __init__(self, function=linear):
        self.function, self.n_rows = function, 0

    def __call__(self, rows):
        self.n_rows += len(rows)
        return self.function(rows)


def explain(model, rows=X[:6], training=X, y=None, **params):
    return LIME(model, n_samples=500, random_state=0, **params).fit(training, y).explain(rows)


class TestMeaning:
    @pytest.mark.parametrize("center", ["mean", "row"])
    def test_slopes_of_a_linear_model(self, center):
        explanation = explain(linear, discretizer=None, center=center, surrogate=Ridge(1e-9))
        expected = COEF * X.std(axis=0)
        np.testing.assert_allclose(explanation.values, np.tile(expected, (6, 1)), atol=1e-6)
        np.testing.assert_allclose(explanation.base_values, linear(X).mean(), rtol=1e-6)
        np.testing.assert_allclose(explanation.predictions, linear(X[:6]))
        for name, value in (("surrogate_predictions", linear(X[:6])), ("local_r2", 1)):
            np.testing.assert_allclose(explanation.diagnostics[name], value, rtol=1e-6)
        assert np.all(explanation.std_errors < 1e-6)

    def test_bins_against_all_other_bins(self):
        """A coefficient is the mean output inside the bin less that outside, all else alike."""
        explanation = explain(lambda rows: rows[:, 0], players={"a": [0]}, kernel_width=50.0)
        bins = np.digitize(X[:, 0], np.percentile(X[:, 0], [25, 50, 75]), right=True)
        for row in range(6):
            same = bins == bins[row]
            difference = X[same, 0].mean() - X[~same, 0].mean()
            error = explanation.std_errors[row, 0]
            # The truncated normal of a bin has not quite the mean of its rows.
            assert abs(explanation.values[row, 0] - difference) < 4 * error + 0.1
            np.testing.assert_allclose(explanation.values[row, 1:], 0, atol=0.3)

    @pytest.mark.parametrize("players", ["feature", "timestep", {"both": [0, 1]}])
    def test_present_or_replaced(self, players):
        """Of an additive model, what a player adds beyond its mean over the training rows."""
        weights = rng.normal(size=windows.shape[1:])

        def additive(rows):
            return (rows * weights).sum(axis=(1, 2))

        explainer = LIME(additive, players=players, random_state=0, surrogate=Ridge(1e-9))
        explanation = explainer.fit(windows).explain(windows[:4])
        distance = (windows[:4] - windows.mean(axis=0)) * weights
        expected = explanation.players.sum_cells(distance)
        np.testing.assert_allclose(explanation.values, expected, atol=1e-6)
        np.testing.assert_allclose(
            explanation.base_values + explanation.values.sum(axis=1), additive(windows[:4])
        )
        assert explanation.conditions is None

    def test_the_scheme_follows_the_players(self):
        cells = explain(lambda rows: rows[:, 0, 0], windows[:2], windows, players="cell")
        features = explain(lambda rows: rows[:, 0, 0], windows[:2], windows)
        assert cells.params["sampling"] == "from the training distribution"
        assert features.params["sampling"] == "replaced from training rows"
        assert features.players.names == ("x0", "x1")
        one_step = explain(lambda rows: rows[:, 0, 0], windows[:2, :1], windows[:, :1])
        assert one_step.params["sampling"] == "from the training distribution"

    def test_players_in_any_order(self):
        swapped = explain(
            linear, players={"d": [3], "a": [0], "c": [2], "b": [1]}, discretizer=None
        )
        assert swapped.players.names == ("d", "a", "c", "b")
        expected = (COEF * X.std(axis=0))[[3, 0, 2, 1]]
        np.testing.assert_allclose(swapped.values[0], expected, atol=0.05)

    def test_entropy_bins_follow_the_target(self):
        target = np.where(X[:, 2] > -1, "high", "low")
        model = LogisticRegression().fit(X, target)
        explanation = explain(FrozenEstimator(model), y=target, discretizer="entropy")
        texts = {text for text in explanation.conditions[:, 2]}
        edge = (X[X[:, 2] <= -1, 2].max() + X[X[:, 2] > -1, 2].min()) / 2
        assert texts <= {f"x2 ≤ {edge:.4g}", f"x2 > {edge:.4g}"}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"discretizer": None},
        {"discretizer": None, "center": "row", "categorical_features": [3]},
        {"players": {"ab": ["x0", "x1"]}},
        {"n_features": 2},
    ],
    ids=str,
)
class TestStandardErrors:
    def test_are_the_spread_over_seeds(self, params):
        def bent(rows):
            return rows[:, 0] * rows[:, 1] + np.sin(rows[:, 2]) + np.abs(rows[:, 3] - 1)

        training = X.copy()
        training[:, 3] = np.round(X[:, 3])
        runs = [
            LIME(
                bent,
                n_samples=400,
                random_state=seed,
                feature_selection="highest_weights",
                **params,
            )
            .fit(training)
            .explain(training[:2])
            for seed in range(60)
        ]
        values = np.array([run.values for run in runs])
        errors = np.array([run.std_errors for run in runs])
        # Where a player is chosen in some runs only, its coefficient is no longer one number.
        always = (values != 0).all(axis=0)
        assert always.any()
        ratio = np.sqrt((errors**2).mean(axis=0)[always] / values.var(axis=0, ddof=1)[always])
        # The spread over 60 seeds is known to 9 %.
        assert np.all(np.abs(ratio - 1) < 0.35)
        assert abs(ratio.mean() - 1) < 0.15


class TestRowWise:
    CASES = pytest.mark.parametrize(
        "params",
        [
            {},
            {"discretizer": None},
            {"discretizer": None, "center": "row"},
            {"players": {"ab": ["x0", "x1"]}},
            {"n_features": 2},
            {"n_features": 2, "feature_selection": "lasso_path"},
            {"surrogate": Lasso(0.01)},
        ],
        ids=str,
    )

    @CASES
    def test_neighbours_do_not_matter(self, params):
        explainer = LIME(linear, n_samples=300, random_state=0, **params).fit(X)
        whole = explainer.explain(X[:9])
        alone = clone(explainer).fit(X).explain(X[4:5])
        for name in ("values", "base_values", "predictions", "std_errors"):
            np.testing.assert_allclose(getattr(alone, name), getattr(whole, name)[4:5], rtol=1e-12)
        for name, array in whole.diagnostics.items():
            np.testing.assert_allclose(alone.diagnostics[name], array[4:5], rtol=1e-12)
        again = explainer.explain(X[:9])
        np.testing.assert_allclose(again.values, whole.values, rtol=1e-12)

    @CASES
    @pytest.mark.parametrize(
        "changes",
        [{"batch_size": 7}, {"n_jobs": 2}, {"working_memory": 0.05}]
        + [
            {"n_jobs": 2, "working_memory": 0.05, "backend": name} for name in ("threading", "loky")
        ],
        ids=str,
    )
    def test_cost_saving_does_not_matter(self, params, changes):
        explainer = LIME(linear, n_samples=300, random_state=0, **params)
        expected = explainer.fit(X).explain(X[:9])
        # So little that every row or two is a chunk.
        memory, backend = changes.get("working_memory"), changes.get("backend", "threading")
        settings = {k: v for k, v in changes.items() if k in ("batch_size", "n_jobs")}
        changed = clone(explainer).set_params(**settings).fit(X)
        with config_context(working_memory=memory), joblib.parallel_config(backend):
            found = changed.explain(X[:9])
        np.testing.assert_allclose(found.values, expected.values, rtol=1e-9)
        np.testing.assert_allclose(found.std_errors, expected.std_errors, rtol=1e-6, atol=1e-12)

    def test_seeds(self):
        one = explain(linear)
        np.testing.assert_array_equal(one.values, explain(linear).values)
        other = LIME(linear, n_samples=500, random_state=1).fit(X).explain(X[:6])
        assert np.all(other.values != one.values)
        unseeded = LIME(linear, n_samples=300).fit(X)
        np.testing.assert_array_equal(unseeded.transform(X[:2]), unseeded.transform(X[:2]))

    def test_first_call_gives_the_bits_of_the_second(self):
        def rounds_by_batch(rows):
            # As float32 nets do, whose matrix products are divided by the number of rows.
            return linear(rows) + 1e-7 * (len(rows) % 8)

        explainer = LIME(rounds_by_batch, n_samples=300, random_state=0).fit(X)
        first, second = explainer.explain(X[:7]), explainer.explain(X[:7])
        for name in ("values", "base_values", "predictions", "std_errors"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        alone = clone(explainer).fit(X)
        alone.explain(X[7:8])
        np.testing.assert_array_equal(alone.explain(X[:7]).values, first.values)


class TestCost:
    @pytest.mark.parametrize(
        ("params", "shared"),
        [
            ({}, True),
            ({"discretizer": None}, True),
            ({"discretizer": None, "center": "row"}, False),
            ({"players": {"ab": ["x0", "x1"]}}, False),
        ],
    )
    def test_evaluations_are_counted_and_shared(self, params, shared):
        model = Counting()
        explainer = LIME(model, n_samples=50, random_state=0, **params).fit(X)
        for n_known, n_rows in ((0, 1), (49, 4), (49, 7)):
            before = model.n_rows
            explanation = explainer.explain(X[:n_rows])
            run = model.n_rows - before
            assert run == (n_rows + 49 - n_known if shared else 50 * n_rows)
            assert explanation.params["n_evals_run"] == run
            np.testing.assert_array_equal(explanation.diagnostics["n_evals"], 50)

    def test_trees_are_called_once_for_draws_and_rows(self):
        forest = RandomForestRegressor(5, random_state=0).fit(X, linear(X))
        sizes = []

        class Noting(RandomForestRegressor):
            def predict(self, X):
                sizes.append(len(X))
                return super().predict(X)

        forest.__class__ = Noting
        Noting.__module__ = RandomForestRegressor.__module__
        explainer = LIME(FrozenEstimator(forest), n_samples=50, random_state=0).fit(X)
        sizes.clear()
        explanation = explainer.explain(X[:3])
        assert sizes == [49 + 3]
        assert explanation.params["n_evals_run"] == 52
        np.testing.assert_array_equal(explainer.explain(X[:3]).values, explanation.values)
        assert sizes == [52, 3]
        function = LIME(lambda X: forest.predict(X), n_samples=50, random_state=0)
        np.testing.assert_array_equal(function.fit(X).explain(X[:3]).values, explanation.values)

    def test_a_row_at_which_trees_fail_is_named_and_keeps_the_draws(self):
        forest = RandomForestRegressor(5, random_state=0).fit(X, linear(X))
        sizes = []

        class Failing(RandomForestRegressor):
            def predict(self, X):
                if (X[:, 0] == 1234).any():
                    raise RuntimeError("no such value")
                sizes.append(len(X))
                return super().predict(X)

        forest.__class__ = Failing
        Failing.__module__ = RandomForestRegressor.__module__
        explainer = LIME(FrozenEstimator(forest), n_samples=50, random_state=0).fit(X)
        rows = X[:3].copy()
        rows[1, 0] = 1234
        sizes.clear()
        with pytest.raises(RuntimeError, match="row 1"):
            explainer.explain(rows)
        assert 49 in sizes
        sizes.clear()
        explainer.explain(X[:3])
        assert sizes == [3]

    def test_fitting_again_draws_again(self):
        model = Counting()
        explainer = LIME(model, n_samples=50).fit(X)
        explainer.explain(X[:1])
        explainer.fit(X[:100]).explain(X[:1])
        assert model.n_rows == 2 * (50 + 1)

    def test_memory_keeps_the_draws_whatever_is_made_of_them(self, tmp_path):
        log = tmp_path / "log"

        def counting(rows):
            with log.open("ab") as file:
                file.write(b"." * len(rows))
            return linear(rows)

        for params, n_run in (({}, 499 + 6), ({}, 0), ({"kernel_width": 0.5}, 6)):
            log.write_bytes(b"")
            found = explain(counting, memory=str(tmp_path), **params)
            np.testing.assert_array_equal(found.values, explain(linear, **params).values)
            assert found.params["n_evals_run"] == n_run
            # One row tells the number of outputs, and a few whether it is the same model.
            assert n_run < log.stat().st_size < n_run + 100

    def test_memory_is_bounded(self):
        sizes = []

        def noting(rows):
            sizes.append(rows.nbytes)
            return linear(rows)

        with config_context(working_memory=0.01):
            explain(noting, players={"ab": ["x0", "x1"]})
        assert max(sizes) <= 0.01 * 2**20


class TestOutputs:
    def test_one_surrogate_a_class(self):
        explanation = explain(CLASSIFIER)
        assert explanation.output_names == tuple(levels)
        np.testing.assert_allclose(explanation.predictions, classes(X[:6]))
        # Probabilities add up to 1, so their changes add up to 0.
        np.testing.assert_allclose(explanation.values.sum(axis=2), 0, atol=1e-12)
        np.testing.assert_allclose(explanation.base_values.sum(axis=1), 1)
        for output, name in enumerate(levels):
            single = explain(lambda rows, output=output: classes(rows)[:, output])
            np.testing.assert_allclose(explanation[:, :, name].values, single.values)

    @pytest.mark.parametrize(
        ("labels", "kept"),
        [(["up"], [2]), (["up", "down"], [2, 0]), ([1], [1]), (np.array(["flat"]), [1])],
    )
    def test_labels(self, labels, kept):
        whole, part = explain(CLASSIFIER), explain(CLASSIFIER, labels=labels)
        np.testing.assert_allclose(part.values, whole.values[:, :, kept])
        np.testing.assert_allclose(part.predictions, whole.predictions[:, kept])
        assert part.output_names == tuple(levels[kept])

    def test_top_labels_row_by_row(self):
        whole, top = explain(CLASSIFIER, X[:30]), explain(CLASSIFIER, X[:30], labels=2)
        assert top.output_names == ("top 1", "top 2")
        order = np.argsort(-whole.predictions, axis=1)[:, :2]
        assert len(np.unique(order[:, 0])) > 1
        np.testing.assert_array_equal(top.diagnostics["labels"], levels[order])
        expected = np.take_along_axis(whole.values, order[:, None], axis=2)
        np.testing.assert_allclose(top.values, expected)
        np.testing.assert_allclose(
            top.predictions, np.take_along_axis(whole.predictions, order, axis=1)
        )

    def test_several_targets(self):
        explanation = explain(lambda rows: np.column_stack([linear(rows), rows[:, 0]]))
        assert explanation.output_names == ("output 0", "output 1")
        np.testing.assert_allclose(explanation.values[..., 0], explain(linear).values)

    @pytest.mark.parametrize(
        ("model", "labels", "message"),
        [
            (linear, ["up"], "the model has only one"),
            (CLASSIFIER, ["sideways"], r"label 'sideways' is not one of \['down', 'flat', 'up'\]"),
            (CLASSIFIER, ["up", 2], "none of them twice"),
            (CLASSIFIER, [], "at least one"),
            (CLASSIFIER, 4, "labels=4 is more than the 3 outputs"),
        ],
    )
    def test_bad_labels(self, model, labels, message):
        with pytest.raises(ValueError, match=message):
            LIME(model, labels=labels).fit(X)

    def test_transform_and_names(self):
        explainer = LIME(CLASSIFIER, n_samples=100, random_state=0).fit(frame.to_numpy())
        table = explainer.transform(X[:3])
        np.testing.assert_array_equal(table, explainer.explain(X[:3]).values.reshape(3, -1))
        assert explainer.get_feature_names_out()[:4].tolist() == [
            "x0:down", "x0:flat", "x0:up", "x1:down",
        ]  # fmt: skip

    def test_torch_module(self):
        module = nn.Sequential(nn.Flatten(), nn.Linear(6, 1))
        weight = module[1].weight.detach().numpy().reshape(3, 2)
        explanation = explain(
            module, windows[:3], windows, players="cell", discretizer=None, surrogate=Ridge(1e-6)
        )
        expected = (weight * windows.std(axis=0)).ravel()
        np.testing.assert_allclose(explanation.values, np.tile(expected, (3, 1)), atol=1e-4)
        assert not torch.is_inference_mode_enabled()


class TestSurrogates:
    @pytest.mark.parametrize(
        ("surrogate", "tolerance"), [(LinearRegression(), 1e-8), (Ridge(1.0, positive=True), None)]
    )
    def test_any_linear_regressor(self, surrogate, tolerance):
        explanation = explain(linear, discretizer=None, surrogate=surrogate)
        expected = COEF * X.std(axis=0)
        if tolerance is None:
            assert (explanation.values >= 0).all()
            expected = expected.clip(0)
        else:
            np.testing.assert_allclose(
                explanation.values, np.tile(expected, (6, 1)), atol=tolerance
            )
        np.testing.assert_array_equal(explanation.values[0] > 0.1, expected > 0.1)

    def test_lasso_leaves_idle_players_out(self):
        explanation = explain(linear, discretizer=None, surrogate=Lasso(0.2))
        np.testing.assert_array_equal(explanation.values[:, 2], 0)
        assert (explanation.values[:, [0, 1, 3]] != 0).all()

    @pytest.mark.parametrize("surrogate", [KNeighborsRegressor(), ARDRegression()])
    def test_without_sample_weight(self, surrogate):
        with pytest.raises(ValueError, match="takes no sample_weight"):
            LIME(linear, surrogate=surrogate).fit(X)


class TestConditions:
    def test_bins_and_categories_of_a_frame(self):
        table = frame.assign(sector=np.where(X[:, 0] > 0, "tech", "bank"))
        model = make_pipeline(
            make_column_transformer((OneHotEncoder(), ["sector"]), remainder="passthrough"), Ridge()
        )
        explainer = LIME(model, n_samples=300, random_state=0).fit(table, linear(X))
        explanation = explainer.explain(table[:5])
        low, middle, high = (f"{q:.4g}" for q in np.percentile(X[:, 1], [25, 50, 75]))
        expected = {
            0: f"close ≤ {low}",
            1: f"{low} < close ≤ {middle}",
            2: f"{middle} < close ≤ {high}",
            3: f"close > {high}",
        }
        bins = np.digitize(X[:5, 1], np.percentile(X[:, 1], [25, 50, 75]), right=True)
        assert explanation.conditions[:, 1].tolist() == [expected[code] for code in bins]
        assert explanation.conditions[:, 4].tolist() == [
            f"sector = {name}" for name in table["sector"][:5]
        ]

    def test_cells_of_windows_are_named_by_step(self):
        explainer = LIME(
            lambda rows: rows[:, 0, 0], players="cell", feature_names=["close", "volume"]
        ).fit(windows)
        pairs = explainer.as_list(windows[0])
        assert len(pairs) == 6
        assert any("close[t-1]" in text for text, _ in pairs)
        assert "close[t-2]" in pairs[0][0]

    def test_numbers_are_named_alone(self):
        assert explain(linear, discretizer=None).conditions[0].tolist() == ["x0", "x1", "x2", "x3"]

    def test_survive_storing(self, tmp_path):
        explanation = explain(CLASSIFIER, labels=1)
        explanation.save(tmp_path / "e.npz")
        loaded = Explanation.load(tmp_path / "e.npz")
        np.testing.assert_array_equal(loaded.conditions, explanation.conditions)
        np.testing.assert_array_equal(
            loaded.diagnostics["labels"], explanation.diagnostics["labels"]
        )
        assert loaded.params == explanation.params


class TestAsList:
    def test_largest_first_and_only_selected(self):
        explainer = LIME(linear, n_samples=500, random_state=0, n_features=2).fit(X)
        explanation = explainer.explain(X[3:4])
        pairs = explainer.as_list(X[3])
        assert len(pairs) == 2
        sizes = [abs(weight) for _, weight in pairs]
        assert sizes == sorted(sizes, reverse=True)
        known = dict(zip(explanation.conditions[0], explanation.values[0], strict=True))
        assert dict(pairs) == pytest.approx({text: known[text] for text, _ in pairs})
        for same in (X[3:4], explanation, X[3].tolist()):
            assert dict(explainer.as_list(same)) == pytest.approx(dict(pairs))

    def test_of_frames(self):
        explainer = LIME(Ridge(), n_samples=200, random_state=0).fit(frame, linear(X))
        assert explainer.as_list(frame.iloc[3]) == explainer.as_list(frame[3:4])

    def test_labels(self):
        explainer = LIME(CLASSIFIER, n_samples=200, random_state=0).fit(X)
        explanation = explainer.explain(X[:1])
        highest = levels[np.argmax(explanation.predictions[0])]
        assert explainer.as_list(X[0]) == explainer.as_list(X[0], highest)
        assert explainer.as_list(X[0], "up") == explainer.as_list(X[0], 2)
        with pytest.raises(ValueError, match="label 'x' is not one of"):
            explainer.as_list(X[0], "x")
        tops = LIME(CLASSIFIER, n_samples=200, random_state=0, labels=2).fit(X)
        assert tops.as_list(X[0]) == explainer.as_list(X[0], highest)

    def test_second_of_two_classes(self):
        model = LogisticRegression().fit(X, linear(X) > 0)
        explainer = LIME(FrozenEstimator(model), n_samples=200, random_state=0).fit(X)
        assert explainer.as_list(X[0]) == explainer.as_list(X[0], True)

    def test_errors(self):
        explainer = LIME(linear, n_samples=100).fit(X)
        with pytest.raises(ValueError, match="one row, got 2"):
            explainer.as_list(X[:2])
        with pytest.raises(ValueError, match="there is only one"):
            explainer.as_list(X[0], 1)
        several = LIME(lambda rows: rows[:, :2], n_samples=100).fit(X)
        with pytest.raises(ValueError, match="several targets; give label"):
            several.as_list(X[0])


class TestSubmodularPick:
    @pytest.mark.parametrize("n_features", [1, 10])
    def test_rows_of_different_kinds_come_first(self, n_features):
        """Most rows use the first column, one the last; only the bin tells the first rows apart."""
        explainer = LIME(linear, n_samples=50, random_state=0).fit(X)
        whole = explainer.explain(X[:8])
        values = np.full(whole.shape, 0.0 if n_features == 10 else 0.01)
        values[:, 0] = 5
        values[6] = [0, 0, 0, 1]
        conditions = np.tile(["a", "b", "c", "d"], (8, 1)).astype("U9")
        conditions[4, 0] = "other a"
        picked = explainer.submodular_pick(
            replace(whole, values=values, conditions=conditions), 3, n_features=n_features
        )
        assert set(picked) == {0, 4, 6}
        by_player = replace(whole, values=values, conditions=None)
        assert set(explainer.submodular_pick(by_player, 2, n_features=n_features)) == {0, 6}

    def test_of_an_explanation_and_of_several_outputs(self):
        explainer = LIME(CLASSIFIER, n_samples=200, random_state=0).fit(X)
        picked = explainer.submodular_pick(X[:20], 3)
        assert len(set(picked)) == 3
        np.testing.assert_array_equal(
            explainer.submodular_pick(explainer.explain(X[:20]), 3), picked
        )

    @pytest.mark.parametrize("k", [0, 21])
    def test_errors(self, k):
        with pytest.raises(ValueError, match="must be from 1 to the 20 rows"):
            LIME(linear, n_samples=100).fit(X).submodular_pick(X[:20], k)


class TestKnownDrivers:
    @pytest.mark.parametrize("seed", range(3))
    @pytest.mark.parametrize(
        ("level", "params"),
        [
            ("cell", {}),
            ("cell", {"discretizer": None}),
            ("feature", {}),
            ("timestep", {}),
        ],
    )
    def test_come_first_in_at_least_95_percent_of_rows(self, level, params, seed):
        sequences = make_sequences(300, random_state=seed)
        explainer = LIME(sequences.function, players=level, random_state=seed, **params)
        rows = sequences.X[:20]
        found = np.abs(explainer.fit(sequences.X).explain(rows).values)
        cells = np.zeros(sequences.X.shape[1:])
        cells[tuple(np.transpose(sequences.drivers))] = 1
        drivers = set(np.flatnonzero(explainer.players_.sum_cells(cells[None])[0]))
        first = np.argsort(-found, axis=1)[:, : len(drivers)]
        assert np.mean([set(row) == drivers for row in first]) >= 0.95


class TestBadInput:
    @pytest.mark.parametrize("discretizer", ["quartile", "decile", "entropy", None])
    def test_constant_columns_have_no_effect(self, discretizer):
        training = X.copy()
        training[:, 1] = 4.0
        rows = training[:3].copy()
        rows[1, 1] = 7.0
        seen = []

        def noting(batch):
            seen.append(batch[:, 1])
            return linear(batch)

        explanation = explain(noting, rows, training, linear(X), discretizer=discretizer)
        np.testing.assert_allclose(explanation.values[:, 1], 0, atol=1e-9)
        assert set(np.concatenate(seen)) == {4.0, 7.0}
        assert (explanation.values[:, 0] != 0).all()

    def test_all_columns_constant(self):
        explanation = explain(linear, np.ones((2, 4)), np.ones((50, 4)))
        np.testing.assert_array_equal(explanation.values, 0)
        np.testing.assert_array_equal(explanation.diagnostics["local_r2"], 1)

    def test_fewer_distinct_values_than_bins(self):
        training = X.copy()
        training[:, 0] = np.tile([0, 0, 0, 0, 1], 40)
        seen = []

        def noting(batch):
            seen.append(batch[:, 0])
            return 3 * batch[:, 0]

        explanation = explain(noting, training[3:5], training, discretizer="decile")
        assert set(np.concatenate(seen)) == {0.0, 1.0}
        assert explanation.conditions[:, 0].tolist() == ["x0 ≤ 0.5", "x0 > 0.5"]
        np.testing.assert_allclose(explanation.values[:, 0], [-3, 3], atol=0.2)

    @pytest.mark.parametrize("discretizer", ["quartile", None])
    def test_unseen_categories(self, discretizer):
        table = pd.DataFrame({"a": X[:, 0], "kind": np.tile(["u", "v"], 100)})
        model = make_pipeline(
            make_column_transformer(
                (OneHotEncoder(handle_unknown="ignore"), ["kind"]), remainder="passthrough"
            ),
            Ridge(),
        )
        explainer = LIME(model, n_samples=300, random_state=0, discretizer=discretizer)
        explainer.fit(table, X[:, 0] + 3.0 * (table["kind"] == "u"))
        rows = pd.DataFrame({"a": X[:3, 0], "kind": ["u", "w", "v"]})
        with pytest.warns(UserWarning, match="row 1 has 'kind = w', which no training row has"):
            explanation = explainer.explain(rows)
        assert explanation.values[1, 1] == explanation.std_errors[1, 1] == 0
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            known = explainer.explain(rows.iloc[[0, 2]])
        np.testing.assert_allclose(explanation.values[[0, 2]], known.values)
        assert np.abs(known.values[:, 1]).min() > 2

    def test_too_many_features(self):
        with pytest.raises(ValueError, match="n_features=5 is more than the 4 players"):
            LIME(linear, n_features=5).fit(X)

    @pytest.mark.parametrize("discretizer", ["quartile", None])
    def test_narrow_kernel(self, discretizer):
        params = {"kernel_width": 0.01, "n_samples": 100, "random_state": 0}
        explainer = LIME(linear, discretizer=discretizer, **params).fit(X)
        with pytest.raises(ValueError, match=r"leaves row \d no draws.*give a larger kernel_width"):
            explainer.explain(X[:3])

    def test_row_far_from_the_training_rows(self):
        rows = X[:3].copy()
        rows[1] += 1000
        explainer = LIME(linear, discretizer=None, n_samples=100, random_state=0).fit(X)
        with pytest.raises(ValueError, match=r"leaves row 1 no draws.*draw around the row"):
            explainer.explain(rows)
        explainer.set_params(center="row").fit(X).explain(rows)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_missing_values(self, value):
        model = HistGradientBoostingRegressor(max_iter=3).fit(X, linear(X))
        broken = X.copy()
        broken[5, 2] = value
        message = r"NaN or infinite values \(first in row 5, 'x2'\)"
        with pytest.raises(ValueError, match=message):
            LIME(FrozenEstimator(model)).fit(broken)
        explainer = LIME(FrozenEstimator(model), n_samples=100).fit(X)
        with pytest.raises(ValueError, match=message):
            explainer.explain(broken)

    def test_missing_values_are_replaced_as_they_are(self):
        broken = X.copy()
        broken[::7, 2] = np.nan
        model = HistGradientBoostingRegressor(max_iter=3).fit(broken, linear(X))
        explanation = explain(
            FrozenEstimator(model), broken[:8], broken, players={"ab": ["x0", "x1"]}
        )
        assert np.isfinite(explanation.values).all()

    @pytest.mark.parametrize("features", [["nothing"], [4], [1.5]])
    def test_unknown_categorical_features(self, features):
        with pytest.raises(ValueError, match="categorical_features holds"):
            LIME(linear, categorical_features=features).fit(X)

    def test_entropy_without_a_target(self):
        with pytest.raises(ValueError, match="needs y"):
            LIME(linear, discretizer="entropy").fit(X)

    @pytest.mark.parametrize(
        "params",
        [
            {"n_samples": 1},
            {"kernel_width": 0},
            {"discretizer": "halves"},
            {"center": "median"},
            {"feature_selection": "best"},
            {"n_features": 0},
            {"labels": 0},
            {"output": "proba"},
            {"batch_size": 0},
        ],
        ids=str,
    )
    def test_parameters_are_checked(self, params):
        with pytest.raises(ValueError, match=next(iter(params))):
            LIME(linear, **params).fit(X)

    def test_non_finite_outputs_name_the_row(self):
        def broken(rows):
            return np.where(rows[:, 0] == X[4, 0], np.nan, rows[:, 0])

        with pytest.raises(ValueError, match="returned nan for row 4"):
            explain(broken)
        with pytest.raises(ValueError, match=r"returned nan for draw \d+"):
            explain(lambda rows: np.where(rows[:, 0] > 1, np.nan, rows[:, 0]), X[X[:, 0] < 0][:2])


class TestAsAnEstimator:
    def test_composes(self):
        y = linear(X)
        search = GridSearchCV(
            LIME(Ridge(), n_samples=50), {"estimator__alpha": [0.1, 10]}, cv=2
        ).fit(X, y)
        assert search.best_estimator_.predict(X[:2]).shape == (2,)
        selector = SelectFromModel(
            LIME(Ridge(), n_samples=300, discretizer=None, random_state=0), threshold=0.5
        ).fit(X, y)
        np.testing.assert_array_equal(selector.get_support(), [True, True, False, True])

    def test_importances_are_of_training_rows(self):
        explainer = LIME(linear, n_samples=200, random_state=0, discretizer=None).fit(X)
        values = np.abs(explainer.explain(explainer.importance_rows_).values)
        np.testing.assert_allclose(explainer.importances_, values.mean(axis=0))
        assert len(explainer.importance_rows_) == 100
        assert stats.rankdata(explainer.feature_importances_)[2] == 1

    def test_pickled(self):
        explainer = LIME(Ridge(), n_samples=100, random_state=0).fit(X, linear(X))
        expected = explainer.explain(X[:3])
        np.testing.assert_array_equal(
            pickle.loads(pickle.dumps(explainer)).explain(X[:3]).values, expected.values
        )

    def test_after_sliding_windows(self):
        y = X[:, 0]
        model = make_pipeline(SlidingWindow(window=3, flatten=True), Ridge())
        explainer = LIME(model, n_samples=500, discretizer=None, random_state=0).fit(frame, y)
        explanation = explainer.explain(frame)
        assert len(explanation) == len(X)
        assert explanation.players.names[np.argmax(explanation.importances())] == "open[t]"
        pairs = explainer.as_list(explanation[50])
        assert pairs[0][0] == "open[t]"
