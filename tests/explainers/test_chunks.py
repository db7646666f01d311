"""With several workers small chunks are explained together, and kept one by one."""

import joblib
import numpy as np
import pytest

from sklexplain import LIME, KernelSHAP
from sklexplain.core.models import Model, ModelError
from sklexplain.explainers import attribution, chunks

X = np.random.default_rng(0).normal(size=(50, 4))
GROUPS = {"ab": [0, 1], "cd": [2, 3]}


def smooth(rows):
    return np.tanh(rows[:, 0] * rows[:, 1]) + rows[:, 2]


class Failing:
    """A model that fails for one row."""

    def __init__(self, row):
        self.row = row

    def __call__(self, rows):
        if (rows == self.row).all(axis=1).any():
            raise RuntimeError("this one")
        return smooth(rows)


METHODS = {
    "KernelSHAP": lambda model, **params: KernelSHAP(model, background=30, max_evals=100, **params),
    "LIME": lambda model, **params: LIME(model, n_samples=100, **params),
    "LIME, groups": lambda model, **params: LIME(model, n_samples=100, players=GROUPS, **params),
}


@pytest.fixture(autouse=True)
def chunks_of_five_rows(monkeypatch):
    monkeypatch.setattr(attribution, "rows_per_chunk", lambda evals: 5)
    with joblib.parallel_config("threading"):
        yield


@pytest.fixture
def explained(monkeypatch):
    """Return how many rows were explained at a time."""
    sizes = []
    for cls in (KernelSHAP, LIME):
        original = cls._explain_rows

        def counting(self, rows, *arguments, original=original):
            sizes.append(len(rows))
            return original(self, rows, *arguments)

        monkeypatch.setattr(cls, "_explain_rows", counting)
    return sizes


def files(folder):
    return [path for path in folder.rglob("*.npz") if path.stem not in ("answers", "draws")]


@pytest.mark.parametrize("name", METHODS)
class TestEveryMethod:
    def test_chunks_are_explained_together_and_kept_one_by_one(self, name, tmp_path, explained):
        make = METHODS[name]
        alone = make(smooth, random_state=0).fit(X).explain(X)
        explained.clear()
        together = make(smooth, random_state=0, memory=tmp_path, n_jobs=2).fit(X).explain(X)
        # The first by itself, to see how long it takes; then up to eight.
        assert explained == [5, 40, 5]
        assert len(files(tmp_path)) == 10
        np.testing.assert_allclose(together.values, alone.values, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(together.std_errors, alone.std_errors, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(together.data, X)
        # Found with any number of workers, each by itself.
        explained.clear()
        again = make(smooth, random_state=0, memory=tmp_path).fit(X).explain(X[10:35])
        assert explained == []
        np.testing.assert_array_equal(again.values, together.values[10:35])

    def test_missing_ones_are_found_among_those_that_are_there(self, name, tmp_path, explained):
        make = METHODS[name]
        some = make(smooth, random_state=0, memory=tmp_path).fit(X)
        for start in (5, 20, 45):
            some.explain(X[start : start + 5])
        explained.clear()
        whole = make(smooth, random_state=0, memory=tmp_path, n_jobs=2).fit(X).explain(X)
        assert explained == [5, 30]
        alone = make(smooth, random_state=0).fit(X).explain(X)
        np.testing.assert_allclose(whole.values, alone.values, rtol=1e-9, atol=1e-12)

    def test_chunks_before_a_failure_are_kept(self, name, tmp_path, explained):
        model = Failing(X[33])
        explainer = METHODS[name](model, random_state=0, memory=tmp_path, n_jobs=2).fit(X[:10])
        explained.clear()
        with pytest.raises(ModelError, match="row 33"):
            explainer.explain(X)
        assert explained == [5, 40, *[5] * 6]
        assert len(files(tmp_path)) == 6

    def test_chunks_before_a_row_that_is_refused_are_kept(self, name, tmp_path, monkeypatch):
        cls = KernelSHAP if name == "KernelSHAP" else LIME
        explained = cls._explain_rows

        def refusing(self, rows, *arguments):
            if (rows == X[33]).all(axis=1).any():
                raise ValueError("row 33 is far from all draws")
            return explained(self, rows, *arguments)

        monkeypatch.setattr(cls, "_explain_rows", refusing)
        explainer = METHODS[name](smooth, random_state=0, memory=tmp_path, n_jobs=2).fit(X[:10])
        with pytest.raises(ValueError, match="row 33 is far"):
            explainer.explain(X)
        assert len(files(tmp_path)) == 6

    def test_rows_that_fail_are_marked(self, name):
        model = Failing(X[33])
        make = METHODS[name]
        with pytest.warns(RuntimeWarning, match=r"failed for 1 rows, which are NaN \(row 33\)"):
            marked = make(model, random_state=0, on_error="nan", n_jobs=2).fit(X[:10]).explain(X)
        whole = make(smooth, random_state=0).fit(X[:10]).explain(X)
        others = np.arange(50) != 33
        np.testing.assert_allclose(
            marked.values[others], whole.values[others], rtol=1e-9, atol=1e-12
        )
        assert np.isnan(marked.values[33]).all()


@pytest.mark.parametrize("name", ["LIME", "LIME, groups"])
def test_evaluations_are_counted_once(name, tmp_path, monkeypatch):
    n_rows = []
    run = Model.__call__

    def counting(self, rows):
        n_rows.append(len(rows))
        return run(self, rows)

    explainer = METHODS[name](smooth, random_state=0, memory=tmp_path, n_jobs=2).fit(X)
    # These chunks are found later.
    explainer.explain(X[:5])
    # By its answers, the model is recognised.
    monkeypatch.setattr(LIME, "_answers", lambda self, rows: smooth(rows)[:, None])
    monkeypatch.setattr(Model, "__call__", counting)
    explanation = explainer.explain(X)
    assert explanation.params["n_evals_run"] == sum(n_rows)
    assert sum(n_rows) == 45 * (1 if name == "LIME" else 100)


def test_slow_chunks_are_explained_one_by_one(tmp_path, explained, monkeypatch):
    monkeypatch.setattr(chunks, "_SECONDS_TOGETHER", 0)
    METHODS["LIME"](smooth, random_state=0, memory=tmp_path, n_jobs=2).fit(X).explain(X)
    assert explained == [5] * 10


def test_no_more_are_explained_together_than_fit_a_large_chunk():
    assert chunks.chunks_together(100, 1) == 1
    assert chunks.chunks_together(100, 2) == 8
    assert chunks.chunks_together(2000, 8) == 5
    assert chunks.chunks_together(10_000, 8) == 1


def test_batches_are_larger_for_several_workers():
    explainer = METHODS["KernelSHAP"](smooth, random_state=0).fit(X)
    assert [len(batch) for batch in explainer.explain_batches(X)] == [5] * 10
    explainer.set_params(n_jobs=2)
    assert [len(batch) for batch in explainer.explain_batches(X)] == [40, 10]
