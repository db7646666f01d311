import tracemalloc

import joblib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.linear_model import LinearRegression
from torch import nn

from sklexplain import make_players
from sklexplain.core.built_rows import run_rows
from sklexplain.core.models import Model
from sklexplain.core.perturb import evaluate, evaluate_chunks, replaced, rows_in_batch
from sklexplain.core.tables import RowCodec
from tests.references import masked_row

LEVELS = {1: ["column"], 2: ["feature", "timestep", "cell"]}


def wave(rows):
    """Two outputs, each depending on every cell, and on where it is."""
    flat = rows.reshape(len(rows), -1)
    places = np.arange(1, flat.shape[1] + 1)
    return np.column_stack([np.sin(flat * places).sum(axis=1), (flat / places).prod(axis=1)])


class Wave(nn.Module):
    def __init__(self, dtype=torch.float64):
        super().__init__()
        self.one = nn.Parameter(torch.ones((), dtype=dtype))
        self.batches = []

    def forward(self, rows):
        self.batches.append((tuple(rows.shape), rows.dtype, torch.is_inference_mode_enabled()))
        flat = rows.flatten(1) * self.one
        places = torch.arange(1, flat.shape[1] + 1, dtype=flat.dtype)
        return torch.stack([torch.sin(flat * places).sum(1), (flat / places).prod(1)], dim=1)


class Noting:
    """A function that notes the size of every batch."""

    def __init__(self):
        self.n_rows, self.n_bytes = [], []

    def __call__(self, rows):
        self.n_rows.append(len(rows))
        self.n_bytes.append(rows.nbytes)
        return wave(rows)


def naive(X, coalitions, references, players, pairing=None, weights=None):
    """One masked row at a time."""
    outputs = np.zeros((len(X), len(coalitions), 2))
    if weights is None:
        weights = [1 / len(references)] * len(references)
    for n, row in enumerate(X):
        for m, coalition in enumerate(coalitions):
            present = set(np.flatnonzero(coalition))
            if pairing is None:
                for reference, weight in zip(references, weights, strict=True):
                    outputs[n, m] += (
                        weight * wave(masked_row(row, reference, players, present)[None])[0]
                    )
            else:
                reference = references[pairing[m] if pairing.ndim == 1 else pairing[m, n]]
                outputs[n, m] = wave(masked_row(row, reference, players, present)[None])[0]
    return outputs


def make_problem(shape=(3,), level=None, n_rows=4, n_coalitions=5, n_references=3, seed=0):
    rng = np.random.default_rng(seed)
    players = make_players(level or LEVELS[len(shape)][0], shape)
    return (
        rng.normal(size=(n_rows, *shape)),
        rng.uniform(size=(n_coalitions, players.n_players)) < 0.5,
        rng.normal(size=(n_references, *shape)),
        players,
    )


def pairings(kind, X, coalitions, references, seed=0):
    rng = np.random.default_rng(seed)
    if kind == "shared":
        return {"pairing": rng.integers(len(references), size=len(coalitions))}
    if kind == "per row":
        return {"pairing": rng.integers(len(references), size=(len(coalitions), len(X)))}
    if kind == "weighted":
        return {"weights": rng.dirichlet(np.ones(len(references)))}
    return {}


KINDS = ["all", "weighted", "shared", "per row"]


class TestAgainstLoops:
    @given(
        shape=st.sampled_from([(1,), (3,), (2, 3), (3, 1)]),
        level=st.integers(0, 2),
        sizes=st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 5)),
        kind=st.sampled_from(KINDS),
        batch_size=st.integers(1, 200) | st.just("auto"),
        on_torch=st.booleans(),
        seed=st.integers(0, 9),
    )
    def test_any_shape_and_batch_size(self, shape, level, sizes, kind, batch_size, on_torch, seed):
        levels = LEVELS[len(shape)]
        problem = make_problem(shape, levels[level % len(levels)], *sizes, seed)
        paired = pairings(kind, *problem[:3], seed)
        model = Model(Wave() if on_torch else wave)
        outputs = evaluate(model, *problem, batch_size=batch_size, **paired)
        np.testing.assert_allclose(outputs, naive(*problem, **paired), atol=1e-10)
        assert outputs.dtype == np.float64

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("batch_size", [1, 2, 7, 1000])
    @pytest.mark.parametrize("on_torch", [False, True])
    def test_batches_smaller_than_the_references(self, kind, batch_size, on_torch):
        problem = make_problem((3,), n_references=5)
        paired = pairings(kind, *problem[:3])
        model = Model(Wave() if on_torch else wave)
        outputs = evaluate(model, *problem, batch_size=batch_size, **paired)
        np.testing.assert_allclose(outputs, naive(*problem, **paired), atol=1e-10)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("batch_size", [1, 7, 1000])
    def test_float32_module(self, kind, batch_size):
        problem = make_problem((2, 3), "cell")
        paired = pairings(kind, *problem[:3])
        module = Wave(torch.float32)
        outputs = evaluate(Model(module), *problem, batch_size=batch_size, **paired)
        np.testing.assert_allclose(outputs, naive(*problem, **paired), atol=1e-5)
        assert {dtype for _, dtype, _ in module.batches} == {torch.float32}
        assert all(inference for _, _, inference in module.batches)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("n_rows", [1, 9])
    @pytest.mark.parametrize("backend", ["threading", "loky"])
    def test_workers(self, kind, n_rows, backend):
        problem = make_problem((3,), n_rows=n_rows, n_coalitions=8)
        paired = pairings(kind, *problem[:3])
        with joblib.parallel_config(backend=backend):
            outputs = evaluate(Model(wave), *problem, n_jobs=2, **paired)
        np.testing.assert_allclose(outputs, naive(*problem, **paired), atol=1e-12)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("on_torch", [False, True])
    def test_tiny_memory(self, kind, on_torch):
        problem = make_problem((3, 4), "cell", n_rows=6, n_coalitions=40, n_references=5)
        paired = pairings(kind, *problem[:3])
        with config_context(working_memory=0.002):
            outputs = evaluate(Model(Wave() if on_torch else wave), *problem, **paired)
        np.testing.assert_allclose(outputs, naive(*problem, **paired), atol=1e-10)

    def test_tables_reach_the_model_as_tables(self):
        import pandas as pd

        X, coalitions, references, players = make_problem((3,))
        codec = RowCodec.from_rows(pd.DataFrame(X, columns=list("abc")))

        def function(frame):
            assert list(frame.columns) == list("abc")
            return wave(frame.to_numpy())

        outputs = evaluate(Model(function, codec=codec), X, coalitions, references, players)
        expected = naive(X, coalitions, references, players)
        np.testing.assert_allclose(outputs, expected, atol=1e-12)

    @pytest.mark.parametrize("kind", ["shared", "per row"])
    @pytest.mark.parametrize("dtypes", [("f4", "f4"), ("f8", "f8"), ("f4", "f8"), ("i8", "f4")])
    def test_every_value_arrives_bit_for_bit(self, kind, dtypes):
        X, coalitions, references, players = make_problem((6,), n_rows=3, n_references=2)
        special = np.array([np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38])
        if dtypes[0] != "i8":
            X[0] = special
        references[1] = special[::-1]
        X, references = X.astype(dtypes[0]), references.astype(dtypes[1])
        pairing = pairings(kind, X, coalitions, references)["pairing"]
        batches = []

        def noting(rows):
            batches.append(rows.copy())
            return np.zeros(len(rows))

        evaluate(Model(noting), X, coalitions, references, players, pairing=pairing)
        absent = references[pairing.T.reshape(-1, len(coalitions))]
        expected = np.where(coalitions, X[:, None], absent)
        assert batches[0].dtype == expected.dtype
        assert batches[0].tobytes() == expected.tobytes()

    def test_inputs_are_left_alone(self):
        problem = make_problem((2, 2), "cell")
        copies = [np.array(array) for array in problem[:3]]
        evaluate(Model(wave), *problem)
        for array, copy in zip(problem[:3], copies, strict=True):
            np.testing.assert_array_equal(array, copy)

    def test_no_coalitions(self):
        X, _, references, players = make_problem()
        for model in (Model(wave), Model(Wave())):
            outputs = evaluate(model, X, np.empty((0, 3), dtype=bool), references, players)
            assert outputs.shape[:2] == (4, 0)


class TestCost:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("batch_size", [1, 7, 12, 1000, "auto"])
    def test_each_masked_row_is_run_once(self, kind, batch_size):
        problem = make_problem((3,), n_rows=4, n_coalitions=5, n_references=3)
        n_evals = 4 * 5 * (3 if kind in ("all", "weighted") else 1)
        paired = pairings(kind, *problem[:3])
        function, module, done = Noting(), Wave(), []
        for model in (Model(function), Model(module)):
            evaluate(model, *problem, batch_size=batch_size, on_progress=done.append, **paired)
        assert sum(function.n_rows) == n_evals
        assert sum(shape[0] for shape, _, _ in module.batches) == n_evals
        assert sum(done) == 2 * n_evals
        most = n_evals if batch_size == "auto" else batch_size
        assert max(function.n_rows) <= most
        assert max(shape[0] for shape, _, _ in module.batches) <= most

    def test_batches_are_filled(self):
        """A thousand masked rows in batches of a hundred: few more calls than ten."""
        problem = make_problem((3,), n_rows=10, n_coalitions=10, n_references=10)
        function = Noting()
        evaluate(Model(function), *problem, batch_size=100)
        assert len(function.n_rows) == 10
        for batch_size in (30, 64, 99, 130):
            function = Noting()
            evaluate(Model(function), *problem, batch_size=batch_size)
            assert len(function.n_rows) <= 2.1 * 1000 / batch_size

    def test_workers_count_the_same(self):
        problem = make_problem((3,), n_rows=5, n_coalitions=6, n_references=3)
        function, done = Noting(), []
        with joblib.parallel_config(backend="threading"):
            evaluate(Model(function), *problem, n_jobs=2, on_progress=done.append)
        assert sum(function.n_rows) == sum(done) == 5 * 6 * 3

    def test_modules_stay_in_this_process(self):
        problem = make_problem()
        module = Wave()
        evaluate(Model(module), *problem, n_jobs=2)
        assert sum(shape[0] for shape, _, _ in module.batches) == 4 * 5 * 3


class TestMemory:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_no_batch_exceeds_working_memory(self, kind, n_jobs):
        problem = make_problem((5, 8), "feature", n_rows=20, n_coalitions=30, n_references=10)
        paired = pairings(kind, *problem[:3])
        limit = 0.01 * 2**20
        function, module = Noting(), Wave(torch.float32)
        with config_context(working_memory=0.01), joblib.parallel_config(backend="threading"):
            for batch_size in ("auto", 10_000):
                for model in (Model(function), Model(module)):
                    evaluate(model, *problem, batch_size=batch_size, n_jobs=n_jobs, **paired)
        assert max(function.n_bytes) <= limit
        assert max(4 * np.prod(shape) for shape, _, _ in module.batches) <= limit
        # The bound is used, not merely kept.
        assert max(function.n_bytes) > limit / 8

    @pytest.mark.parametrize("kind", KINDS)
    def test_peak_does_not_grow_with_the_rows(self, kind):
        def peak(n_rows):
            problem = make_problem((4,), n_rows=n_rows, n_coalitions=16, n_references=50)
            paired = pairings(kind, *problem[:3])
            model = Model(lambda rows: rows[:, 0])
            with config_context(working_memory=1):
                tracemalloc.start()
                for _ in evaluate_chunks(model, *problem, **paired):
                    pass
                _, most = tracemalloc.get_traced_memory()
                tracemalloc.stop()
            return most / 2**20

        # All masked rows at once would be 50 MiB.
        assert peak(4000) < 4

    def test_one_row_that_does_not_fit_still_runs(self):
        with config_context(working_memory=0):
            assert rows_in_batch(Model(wave), (1000,), "auto") == 1

    def test_chunks_are_consecutive_rows(self):
        problem = make_problem((3,), n_rows=50, n_coalitions=20)
        expected = naive(*problem)
        with config_context(working_memory=0.001):
            pieces = list(evaluate_chunks(Model(wave), *problem))
        assert len(pieces) > 1
        assert [rows.start for rows, _ in pieces[1:]] == [rows.stop for rows, _ in pieces[:-1]]
        assert (pieces[0][0].start, pieces[-1][0].stop) == (0, 50)
        for rows, outputs in pieces:
            np.testing.assert_allclose(outputs, expected[rows], atol=1e-12)
            assert outputs.shape[0] == 1 or outputs[:, :, 0].nbytes <= 0.001 * 2**20

    def test_auto_is_the_size_that_suits_the_model(self):
        from sklexplain.inference import rows_per_batch

        module = nn.Linear(8, 4096)
        expected = rows_per_batch(module, (8,), torch.device("cpu"))
        assert rows_in_batch(Model(module), (8,), "auto") == expected
        assert rows_in_batch(Model(module), (8,), 5) == 5
        assert rows_in_batch(Model(wave), (8,), "auto") == 32_768


class TestErrors:
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize(
        "params", [{}, {"batch_size": 1}, {"n_jobs": 2}, {"pairing": np.array([0, 1, 0, 1, 0])}]
    )
    def test_non_finite_output_names_row_and_players(self, value, params):
        X, _, references, players = make_problem((3,), n_rows=9)
        coalitions = np.ones((5, 3), dtype=bool)
        coalitions[3, [0, 2]] = False
        # Only row 7 with x0 replaced, while x1 is its own, gives no number.
        special = X[7, 1]

        def broken(rows):
            bad = (rows[:, 1] == special) & (rows[:, 0] != X[7, 0])
            return np.where(bad, value, rows[:, 0])

        message = rf"returned {value} for row 7 with players \['x0', 'x2'\] replaced"
        for memory in (1024, 0.0001):
            with (
                config_context(working_memory=memory),
                joblib.parallel_config("threading"),
                pytest.raises(ValueError, match=message),
            ):
                evaluate(Model(broken), X, coalitions, references, players, **params)

    def test_non_finite_output_of_a_module(self):
        class Root(nn.Module):
            def forward(self, rows):
                return torch.sqrt(rows[:, 0])

        X = np.array([[1.0, 0], [4.0, 0]])
        references = np.array([[9.0, 0], [-1.0, 0]])
        players = make_players("column", (2,))
        with pytest.raises(ValueError, match=r"returned nan for row 0 with players \['x0'\]"):
            evaluate(Model(Root()), X, np.array([[1, 1], [0, 1]]), references, players)

    def test_infinite_log_odds_are_explained(self):
        class Sure(nn.Module):
            def forward(self, rows):
                return rows[:, 0]

        X, references = np.array([[0.5]]), np.array([[1.0]])
        with pytest.raises(ValueError, match=r"players \['x0'\].*log-odds of 0 and 1"):
            evaluate(
                Model(Sure(), link="logit"), X, [[False]], references, make_players("cell", (1,))
            )

    def test_wrong_number_of_outputs(self):
        problem = make_problem()
        with pytest.raises(ValueError, match="it must return one output"):
            evaluate(Model(lambda rows: rows[:1, 0]), *problem, batch_size=7)


class TestRunRows:
    @pytest.mark.parametrize("shape", [(3,), (2, 2)])
    @pytest.mark.parametrize("batch_size", [1, 4, "auto"])
    @pytest.mark.parametrize("n_jobs", [None, 2])
    def test_is_the_model_on_all_rows(self, shape, batch_size, n_jobs, rng):
        rows = rng.normal(size=(11, *shape))
        done = []
        with joblib.parallel_config("threading"):
            outputs = run_rows(
                Model(wave), rows, batch_size=batch_size, n_jobs=n_jobs, on_progress=done.append
            )
        np.testing.assert_allclose(outputs, wave(rows), rtol=1e-12)
        assert sum(done) == 11
        module = run_rows(Model(Wave()), rows, batch_size=batch_size, n_jobs=n_jobs)
        np.testing.assert_allclose(module, wave(rows), rtol=1e-12)

    def test_batches_are_bounded(self, rng):
        noting = Noting()
        run_rows(Model(noting), rng.normal(size=(100, 3)), batch_size=16)
        assert sum(noting.n_rows) == 100
        assert max(noting.n_rows) <= 16
        noting = Noting()
        with config_context(working_memory=0.01):
            run_rows(Model(noting), rng.normal(size=(1000, 3)))
        assert max(noting.n_bytes) <= 0.01 * 2**20

    def test_non_finite_output_names_the_row(self):
        rows = np.array([[1.0], [2.0], [np.inf]])
        with pytest.raises(ValueError, match="returned inf for draw 2; explanations need finite"):
            run_rows(Model(lambda rows: rows[:, 0]), rows, batch_size=1, name="draw")


class TestReplaced:
    @pytest.mark.parametrize("shape", [(4,), (3, 2)])
    def test_marked_cells_come_from_other_rows(self, shape, rng):
        X = rng.normal(size=(6, *shape))
        order, cells = rng.permutation(6), rng.uniform(size=shape) < 0.5
        expected = X.copy()
        for row in range(6):
            for cell in np.ndindex(shape):
                if cells[cell]:
                    expected[(row, *cell)] = X[(order[row], *cell)]
        before = X.copy()
        np.testing.assert_array_equal(replaced(X, order, cells), expected)
        out = X.copy()
        assert replaced(X, order, cells, out=out) is out
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(X, before)


def test_an_estimator_is_run_as_it_predicts(rng):
    X, coalitions, references, players = make_problem((3,))
    estimator = LinearRegression().fit(X, X.sum(axis=1))
    outputs = evaluate(Model(estimator), X, coalitions, references, players)
    masked = np.where(coalitions[None], X[:, None], references.mean(axis=0))
    np.testing.assert_allclose(outputs[..., 0], masked @ estimator.coef_ + estimator.intercept_)
