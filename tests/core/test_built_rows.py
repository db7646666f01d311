"""Draws that are built around rows, by the workers that run them."""

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

from sklexplain.core import built_rows, trials
from sklexplain.core.built_rows import run_around
from sklexplain.core.models import Model, ModelError

X = np.random.default_rng(0).normal(size=(40, 3))
NUMBERS = np.arange(40) + 100


class Shifts:
    """Each row, moved by a different step a draw."""

    n_draws = 5

    def __init__(self):
        self.sizes = []

    def rows_around(self, X):
        self.sizes.append(len(X))
        return (X[:, None] + np.arange(self.n_draws)[:, None]).reshape(-1, X.shape[1])


class Square(RegressorMixin, BaseEstimator):
    def __init__(self, bad=np.inf):
        self.bad = bad

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X):
        if (X[:, 0] > self.bad).any():
            raise RuntimeError("too large")
        return (X**2).sum(axis=1)


EXPECTED = ((X[:, None] + np.arange(5)[:, None]) ** 2).sum(axis=2)


def outputs_of(draws=None, rows=X, model=None, **options):
    draws = Shifts() if draws is None else draws
    options = {"rows_per_chunk": 7, "row_numbers": NUMBERS[: len(rows)], **options}
    pieces = list(run_around(Model(model or Square().fit(X)), draws, rows, **options))
    edges = [part.start for part, _ in pieces] + [pieces[-1][0].stop]
    assert edges[0] == 0
    assert edges[-1] == len(rows)
    assert [part.stop for part, _ in pieces] == edges[1:]
    return np.concatenate([outputs for _, outputs in pieces])


@pytest.mark.parametrize("backend", ["threading", "loky"])
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("n_rows", [1, 7, 9, 40])
@pytest.mark.parametrize("batch_size", [3, 16, "auto"])
def test_are_the_model_on_every_draw(backend, n_jobs, n_rows, batch_size):
    done = []
    with joblib.parallel_config(backend):
        outputs = outputs_of(
            rows=X[:n_rows], n_jobs=n_jobs, batch_size=batch_size, on_progress=done.append
        )
    np.testing.assert_allclose(outputs[..., 0], EXPECTED[:n_rows], rtol=1e-12)
    assert sum(done) == n_rows * 5


@pytest.mark.parametrize("worth", [True, False])
def test_rows_that_were_tried_are_not_run_again(worth, monkeypatch):
    monkeypatch.setattr(trials, "worth_workers", lambda *args, **options: worth)
    draws = Shifts()
    with joblib.parallel_config("threading"):
        outputs = outputs_of(draws, n_jobs=2)
    np.testing.assert_allclose(outputs[..., 0], EXPECTED, rtol=1e-12)
    assert sum(draws.sizes) == 40
    assert draws.sizes[:2] == [2, 2]
    assert max(draws.sizes) <= 7


def test_batches_are_bounded():
    sizes = []

    def noting(rows):
        sizes.append(len(rows))
        return rows[:, 0]

    outputs_of(model=noting, batch_size=3)
    assert max(sizes) == 3
    assert sum(sizes) == 200


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_a_failure_names_the_draw_and_its_row(n_jobs, backend):
    # Only its last draw exceeds the bound.
    rows = np.zeros((40, 3))
    rows[17] = 0.5
    with (
        joblib.parallel_config(backend),
        pytest.raises(ModelError, match="draw 4 around row 117"),
    ):
        outputs_of(rows=rows, model=Square(bad=4.2).fit(X), n_jobs=n_jobs)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_output_that_is_not_finite_names_the_draw_and_its_row(n_jobs):
    rows = np.ones((40, 3))
    rows[23] = np.inf
    with pytest.raises(ValueError, match="returned inf for draw 0 around row 123"):
        outputs_of(rows=rows, n_jobs=n_jobs)


def test_draws_of_few_rows_are_divided(monkeypatch):
    divided = []
    run_rows = built_rows.run_rows
    monkeypatch.setattr(
        built_rows,
        "run_rows",
        lambda model, rows, **options: (
            divided.append(len(rows)) or run_rows(model, rows, **options)
        ),
    )
    with joblib.parallel_config("threading"):
        outputs_of(rows=X[:5], n_jobs=2)
        assert divided == [25]
        outputs_of(rows=X[:8], n_jobs=2)
        assert divided == [25]
