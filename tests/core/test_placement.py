"""Which models let go of Python's lock is known from a second thread that tries to get it."""

import sys
import threading
import time
import warnings

import numpy as np
import pytest
import torch
from sklearn.ensemble import (
    BaggingRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
    StackingRegressor,
    VotingRegressor,
)
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from sklexplain import KernelSHAP, as_estimator
from sklexplain.core.placement import prefers_threads, workers_for

X = np.random.default_rng(0).normal(size=(200, 4))
Y = X[:, 0] * X[:, 1]
BOOSTING = GradientBoostingRegressor(n_estimators=3)


def row_by_row(rows):
    return np.array([sum(value * value for value in row) for row in rows])


def seconds_to_get_the_lock(run):
    """Return the mean time that a sleeping thread needs to go on while another runs."""
    over = threading.Event()
    delays = []

    def sleep_and_wake():
        while not over.is_set():
            began = time.perf_counter()
            time.sleep(0.0005)
            delays.append(time.perf_counter() - began - 0.0005)

    # Python asks for its lock so seldom that a busy machine cannot be mistaken for a held lock.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.1)
    try:
        sleeper = threading.Thread(target=sleep_and_wake)
        sleeper.start()
        until = time.perf_counter() + 0.5
        while time.perf_counter() < until:
            run()
        over.set()
        sleeper.join()
    finally:
        sys.setswitchinterval(interval)
    return np.mean(delays)


@pytest.mark.parametrize(
    ("model", "n_rows"),
    [
        (HistGradientBoostingRegressor(max_iter=20), 10_000),
        (SVR(), 2_000),
        (as_estimator(torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.Tanh())), 20_000),
        (GradientBoostingRegressor(), 300_000),
        (as_estimator(row_by_row), 60_000),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, int) else "",
)
def test_threads_where_the_lock_is_free(model, n_rows):
    model.fit(X, Y)
    rows = np.random.default_rng(1).normal(size=(n_rows, 4)).astype(np.float32)
    free = seconds_to_get_the_lock(lambda: model.predict(rows)) < 0.02
    assert prefers_threads(model) == free


@pytest.mark.parametrize(
    ("estimator", "expected"),
    [
        (make_pipeline(StandardScaler(), Ridge()), True),
        (make_pipeline(StandardScaler(), BOOSTING), False),
        (VotingRegressor([("ridge", Ridge()), ("boosting", BOOSTING)]), False),
        (StackingRegressor([("ridge", Ridge())], BOOSTING, cv=2), False),
        (BaggingRegressor(BOOSTING, n_estimators=2), False),
        (BaggingRegressor(Ridge(), n_estimators=2), False),
        (RandomForestRegressor(2), False),
    ],
    ids=["pipeline", "boosting last", "vote", "stack", "bag of boosting", "bag", "forest"],
)
def test_what_holds_models_is_as_they_are_unless_it_starts_workers(estimator, expected):
    assert prefers_threads(estimator.fit(X, Y)) is expected


def test_a_module_on_a_card_is_not_divided():
    module = torch.nn.Linear(4, 1)
    assert workers_for(module, 2) == 2
    assert workers_for(module.to("meta"), 2) == 1
    assert workers_for(as_estimator(module), 2) == 1
    assert workers_for(Ridge(), 2) == 2


def test_threads_leave_the_filters_of_warnings_alone():
    filters = list(warnings.filters)
    for model in (RandomForestRegressor(5).fit(X, Y), HistGradientBoostingRegressor().fit(X, Y)):
        explainer = KernelSHAP(as_estimator(model), background=5, n_jobs=4, random_state=0).fit(X)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            explainer.explain(X[:40])
    assert warnings.filters == filters
