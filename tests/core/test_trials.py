"""Whether work is worth workers is seen from a part of it, and remembered."""

import time

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from torch import nn

from sklexplain import KernelSHAP, as_estimator
from sklexplain.core import perturb, trials, workers
from sklexplain.core.built_rows import run_rows
from sklexplain.core.models import Model
from sklexplain.core.perturb import evaluate
from sklexplain.core.players import make_players
from sklexplain.explainers import kernel_shap_rows

X = np.random.default_rng(0).normal(size=(8, 5))
COALITIONS = np.random.default_rng(1).random((64, 5)) < 0.5
PLAYERS = make_players("column", (5,))


class Slow(RegressorMixin, BaseEstimator):
    """Takes so many seconds a row, and notes how many rows it is given at a time."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds
        self.sizes = []

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict(self, X):
        self.sizes.append(len(X))
        time.sleep(self.seconds * len(X))
        return X.sum(axis=1)


class Unhashable(Slow):
    """Compares by value, and so cannot be a key."""

    def __eq__(self, other):
        return isinstance(other, Unhashable)

    __hash__ = None


@pytest.fixture(autouse=True)
def nothing_foregone(monkeypatch):
    monkeypatch.setattr(workers, "_foregone", workers._Foregone())
    monkeypatch.setattr(workers, "_pool_is_warm", lambda: False)


def run(estimator, n_jobs=2):
    pairing = np.arange(len(COALITIONS)) % len(X)
    return evaluate(Model(estimator), X, COALITIONS, X, PLAYERS, pairing=pairing, n_jobs=n_jobs)


@pytest.mark.parametrize("kind", [Slow, Unhashable])
def test_quick_work_stays_here_and_its_model_is_tried_once(kind):
    estimator = kind()
    first = run(estimator)
    # Two small parts, and the rest.
    assert estimator.sizes == [16, 16, 480]
    estimator.sizes.clear()
    np.testing.assert_array_equal(run(estimator), first)
    assert estimator.sizes == ([512] if kind is Slow else [16, 16, 480])
    np.testing.assert_array_equal(run(kind(), n_jobs=1), first)


def test_slow_work_leaves():
    estimator = Slow(0.01)
    outputs = run(estimator)
    # The rest was run by copies in other processes.
    assert estimator.sizes == [16, 16]
    np.testing.assert_allclose(outputs, run(Slow()), rtol=1e-12)


def test_longer_runs_correct_what_short_ones_said():
    estimator = Slow()
    model = Model(estimator)
    run(estimator)
    trials._rates[estimator] = trials._Rate(1e-4, 5e-5)
    trials.learn(model, 2e-5)
    assert trials._rates[estimator] == pytest.approx((2e-5, 1e-5))
    trials.learn(model, 1e-3)
    assert trials._rates[estimator] == pytest.approx((2e-5, 1e-5))


def test_rates_die_with_their_estimators():
    estimator = Slow()
    run(estimator)
    before = len(trials._rates)
    del estimator
    assert len(trials._rates) == before - 1


def test_rows_already_built_are_tried_as_well():
    estimator = Slow()
    outputs = run_rows(Model(estimator), np.repeat(X, 40, axis=0), n_jobs=2)
    np.testing.assert_allclose(outputs[:, 0], np.repeat(X, 40, axis=0).sum(axis=1))
    assert estimator.sizes[:2] == [10, 10]
    assert sum(estimator.sizes) == 320


def test_torch_is_tried_with_its_own_threads_and_with_one():
    seen = []

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(5, 1)

        def forward(self, X):
            seen.append(torch.get_num_threads())
            return self.linear(X)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        explainer = KernelSHAP(
            as_estimator(Net().eval()), background=X, max_evals=200, n_jobs=2, random_state=0
        ).fit(X)
        seen.clear()
        explainer.explain(X)
        assert 1 in seen
        assert 2 in seen
        seen.clear()
        with joblib.parallel_config(backend="threading"):
            explainer.explain(X)
        # Threads that were asked for have one each.
        assert 1 in seen
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_workers_serve_what_comes_after_as_well(monkeypatch):
    seen = []
    monkeypatch.setattr(trials, "worth_workers", lambda here, *rest, **kw: seen.append(here))
    monkeypatch.setattr(perturb, "learn", lambda *rate: None)
    # Chunks of two rows.
    monkeypatch.setattr(kernel_shap_rows, "_CHUNK_BYTES", 500)
    rows = np.repeat(X, 5, axis=1)
    explainer = KernelSHAP(Slow(), background=X.repeat(5, 1), max_evals=101, n_jobs=2).fit(rows)
    trials._rates[explainer.explained_estimator_] = trials._Rate(1.0, 0.5)
    explainer.explain(rows[:7])
    # The last evaluation of each row is that of the row itself.
    assert seen == [2 * 100 + 5 * 101, 2 * 100 + 3 * 101, 2 * 100 + 101, 100]
