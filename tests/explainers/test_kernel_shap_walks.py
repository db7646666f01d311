"""KernelSHAP of many players: walks from every background row."""

import numpy as np
import pytest
import shap
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.frozen import FrozenEstimator

from sklexplain import Background, KernelSHAP

N_COLUMNS, N_BACKGROUND = 20, 40
rng = np.random.default_rng(0)
X = rng.normal(size=(300, N_COLUMNS))
y = X[:, 0] * X[:, 1] + np.maximum(X[:, 2], X[:, 3]) + X[:, 4] * X[:, 5] * X[:, 6]
model = GradientBoostingRegressor(max_depth=4, random_state=0).fit(X, y)
background, rows = X[:N_BACKGROUND], X[-4:]
ROUND = 2 * (N_COLUMNS - 1) * N_BACKGROUND
EXACT = shap.TreeExplainer(model, background, feature_perturbation="interventional").shap_values(
    rows
)


def explained(max_evals, rows=rows, seed=0, **params):
    explainer = KernelSHAP(
        FrozenEstimator(model), background=background, max_evals=max_evals, random_state=seed
    )
    return explainer.set_params(**params).fit(X).explain(rows)


def error(explanation):
    return np.linalg.norm(explanation.values - EXACT) / np.linalg.norm(EXACT)


def test_values_are_near_shaps_exact_ones_and_come_nearer():
    one, many = (
        np.mean([error(explained(1 + n_rounds * ROUND, seed=seed)) for seed in range(4)])
        for n_rounds in (1, 16)
    )
    assert one < 0.1
    # Sixteen times the evaluations leave about a quarter of the error.
    assert 0.15 * one < many < 0.4 * one


@pytest.mark.parametrize("budget", [ROUND // 2, ROUND - 100, 2 * ROUND, 2 * ROUND + 100])
def test_values_add_up_and_evaluations_are_counted(budget):
    calls = []

    def counted(X):
        calls.append(len(X))
        return model.predict(X)

    explanation = explained(1 + budget, estimator=counted, sampling="walks")
    total = explanation.values.sum(axis=1) + explanation.base_values
    np.testing.assert_allclose(total, explanation.predictions, atol=1e-10)
    spent = explanation.diagnostics["n_evals"]
    assert len(set(spent)) == 1
    # Walks are whole, and both ways.
    assert 1 + budget - 4 * (N_COLUMNS - 1) < spent[0] <= 1 + budget
    # The fit runs the background, and a few rows to see what the model returns.
    assert spent.sum() <= sum(calls) <= spent.sum() + N_BACKGROUND + 20


def test_half_a_round_is_nearer_than_pairs_on_trees():
    walks, pairs = (
        np.mean([error(explained(1 + ROUND // 2, seed=s, sampling=sampling)) for s in range(4)])
        for sampling in ("auto", "pairs")
    )
    assert walks < 0.8 * pairs
    assert walks < 0.2


def test_trees_of_few_columns_are_walked_too_and_other_models_are_not():
    few, target = X[:, :8], X[:, 0] * X[:, 1]
    budget = {"max_evals": 2 * 7 * 40 + 1, "background": few[:40], "random_state": 0}
    tree = FrozenEstimator(GradientBoostingRegressor(random_state=0).fit(few, target))

    def values(estimator, sampling):
        return KernelSHAP(estimator, sampling=sampling, **budget).fit(few).transform(few[-2:])

    for estimator, sampling in (
        (tree, "walks"),
        (tree.estimator.predict, "walks"),
        (lambda X: tree.predict(X), "pairs"),
    ):
        other = {"walks": "pairs", "pairs": "walks"}[sampling]
        chosen = values(estimator, "auto")
        np.testing.assert_array_equal(chosen, values(estimator, sampling))
        assert np.abs(chosen - values(estimator, other)).max() > 1e-6


def test_walks_need_a_budget():
    with pytest.raises(ValueError, match=r"max_evals=500 .* at least 761; raise max_evals"):
        explained(500, sampling="walks")
    assert explained("auto", sampling="walks", background=X[:200]).diagnostics["n_evals"][0] > 3800
    with pytest.raises(ValueError, match='control_variate="deep" needs sampling="pairs"'):
        explained(2000, sampling="walks", control_variate="deep")
    calls = []
    explainer = KernelSHAP(calls.append, background=background, sampling="walks")
    for wrong in ({"max_evals": 500}, {"control_variate": "deep"}):
        with pytest.raises(ValueError, match="walks"):
            explainer.set_params(**wrong).fit(X)
        # The model was not run for it.
        assert calls == []
        explainer.set_params(max_evals=2000)


@pytest.mark.parametrize("n_rounds", [0.5, 0.8, 1, 2, 4])
def test_standard_errors_cover_the_truth(n_rounds):
    scores = []
    for seed in range(30):
        explanation = explained(1 + int(n_rounds * ROUND), seed=seed)
        # A column that no tree splits on has neither value nor error.
        scores.append((explanation.values - EXACT) / np.maximum(explanation.std_errors, 1e-12))
    scores = np.concatenate(scores)[:, :7]
    assert np.mean(np.abs(scores) <= 2) > 0.93
    # Nor are they so large that they would say nothing.
    assert np.sqrt(np.mean(scores**2)) > 0.25


def test_a_row_does_not_depend_on_the_others():
    together = explained(1 + ROUND)
    np.testing.assert_allclose(
        explained(1 + ROUND, rows[2:3]).values, together[2].values, atol=1e-12
    )


def test_a_player_the_model_ignores_has_no_value():
    explainer = KernelSHAP(
        lambda X: X[:, 0] * X[:, 1] * X[:, 2], background=background, max_evals=1 + ROUND
    )
    explanation = explainer.fit(X).explain(rows)
    np.testing.assert_allclose(explanation.values[:, 3:], 0, atol=1e-12)


def test_one_round_does_not_end_a_row_whose_error_it_does_not_see():
    def majority(X):
        return (X.sum(axis=1) > 10.5).astype(float)

    none, everybody = np.zeros((4, 21)), np.ones((1, 21))
    none += np.arange(4)[:, None] * 1e-9
    explainer = KernelSHAP(
        majority, background=none, sampling="walks", max_evals=20_000, tol=0.01, random_state=0
    )
    found = explainer.fit(none).explain(everybody)
    assert found.diagnostics["n_evals"][0] > 2 * 2 * 20 * 4
    assert np.abs(found.values - 1 / 21).max() < 4 * found.std_errors.max()


def test_tol_ends_rows_early():
    loose = explained(1 + 16 * ROUND, tol=0.2)
    strict = explained(1 + 16 * ROUND, tol=1e-6)
    assert loose.diagnostics["n_evals"].max() < strict.diagnostics["n_evals"].min()
    np.testing.assert_array_equal(strict.diagnostics["n_evals"], 1 + 16 * ROUND)
    distance = np.abs(loose.predictions - loose.base_values)
    stopped = loose.diagnostics["n_evals"] < 1 + 16 * ROUND
    assert (loose.std_errors.max(axis=1) <= 0.2 * distance)[stopped].all()


def test_weighted_background():
    counts = np.arange(N_BACKGROUND) % 2 + 1
    weighted = Background(background, counts / counts.sum())
    # Not more than 100 rows, of which shap would draw some.
    repeated = np.repeat(background, counts, axis=0)
    exact = shap.TreeExplainer(model, repeated, feature_perturbation="interventional").shap_values(
        rows
    )
    found = explained(1 + 16 * ROUND, background=weighted)
    assert np.linalg.norm(found.values - exact) < 0.05 * np.linalg.norm(exact)


def test_fewer_evaluations_than_half_a_round_are_left_to_the_regression():
    explanation = explained(ROUND // 2)
    assert (explanation.diagnostics["n_evals"] <= ROUND // 2).all()
    assert (explanation.diagnostics["n_evals"] > ROUND // 2 - 3).all()


def test_a_regression_serves_smooth_models_of_fewer_players():
    smooth = explained(1 + ROUND // 2, estimator=lambda X: np.tanh(X).sum(axis=1))
    assert (smooth.diagnostics["n_evals"] > ROUND // 2 - 3).all()
