"""Batches, their joining and writing, and rows at which a model fails."""

import re
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from torch import nn

from sklexplain import LIME, SHAP, DeepSHAP, Explanation, KernelSHAP, TreeSHAP
from sklexplain.core.explanation_parts import write_parts
from sklexplain.core.models import ModelError, NonFiniteOutputError
from sklexplain.explainers import chunks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4))
Y = X[:, 0] - X[:, 1] * X[:, 2]
FRAME = pd.DataFrame(X, columns=list("abcd"))
BROKEN = 99.0
CAUSE = "ArithmeticError: ninety-nine|returned nan"


def smooth(rows):
    rows = np.asarray(rows)
    if (rows == BROKEN).any():
        raise ArithmeticError("ninety-nine")
    return np.tanh(rows[:, 0] * rows[:, 1]) + rows[:, 2]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))

    def forward(self, x):
        # Beyond double precision for broken rows: infinite, and times 0 not a number.
        return self.layers(x) + 0 * (1e307 * x).sum(1, keepdim=True)


class Forest(RandomForestRegressor):
    def predict(self, X):
        if (np.asarray(X) == BROKEN).any():
            raise ArithmeticError("ninety-nine")
        return super().predict(X)


Forest.__module__ = RandomForestRegressor.__module__
FOREST = FrozenEstimator(Forest(5, max_depth=3, random_state=0).fit(X, Y))
EXPLAINERS = {
    "KernelSHAP": partial(KernelSHAP, smooth, background=20, max_evals=300),
    "KernelSHAP, sampled": partial(KernelSHAP, smooth, background=20, max_evals=100),
    "LIME": partial(LIME, smooth, n_samples=100),
    "LIME, groups": partial(LIME, smooth, n_samples=100, players={"ab": [0, 1]}),
    "DeepSHAP": partial(DeepSHAP, Net().double(), background=20),
    "TreeSHAP": partial(TreeSHAP, FOREST, background=20),
    "SHAP": partial(SHAP, FOREST, background=20),
}
METHODS = pytest.mark.parametrize("name", EXPLAINERS)


def agree(one, other, **tolerance):
    tolerance = tolerance or {"rtol": 1e-6, "atol": 1e-9}
    for part in ("values", "base_values", "predictions", "std_errors", "data"):
        ours, theirs = getattr(one, part), getattr(other, part)
        assert (ours is None) == (theirs is None), part
        if ours is not None:
            np.testing.assert_allclose(ours, theirs, err_msg=part, **tolerance)
    assert one.players.names == other.players.names
    assert one.output_names == other.output_names
    assert set(one.diagnostics) == set(other.diagnostics)


@METHODS
class TestEveryMethod:
    @settings(max_examples=5, deadline=None)
    @given(data=st.data())
    def test_batches_order_and_chunks_do_not_matter(self, name, data):
        explainer = EXPLAINERS[name](random_state=0).fit(X, Y)
        whole = explainer.explain(X)
        batch_rows = data.draw(st.integers(1, 41))
        parts = list(explainer.explain_batches(X, batch_rows=batch_rows))
        assert [len(part) for part in parts[:-1]] == [batch_rows] * (len(parts) - 1)
        agree(Explanation.concat(parts), whole)
        order = np.array(data.draw(st.permutations(range(len(X)))))
        agree(explainer.explain(X[order]), whole[order])
        edges = sorted(data.draw(st.sets(st.integers(1, 39), max_size=4)))
        pieces = (part for part in np.split(X, edges))
        agree(Explanation.concat(explainer.explain_batches(pieces)), whole)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chunks, "_MOST_ROWS", data.draw(st.integers(1, 41)))
            agree(explainer.set_params(on_error="nan").explain(X), whole)

    def test_failing_rows_are_marked(self, name, monkeypatch):
        monkeypatch.setattr(chunks, "_MOST_ROWS", 15)
        rows, bad = X.copy(), [3, 17, 18, 39]
        rows[bad, 1] = BROKEN
        explainer = EXPLAINERS[name](random_state=0, on_error="nan").fit(X, Y)
        match = r"failed for 4 rows.*row 3, 17, 18, 39\).*row 3\b"
        with pytest.warns(RuntimeWarning, match=match) as caught:
            explanation = explainer.explain(rows)
        assert re.search(CAUSE, str(caught[0].message))
        good = np.setdiff1d(np.arange(len(X)), bad)
        expected = EXPLAINERS[name](random_state=0).fit(X, Y).explain(rows[good])
        agree(explanation[good], expected, rtol=1e-9, atol=1e-12)
        assert np.isnan(explanation.values[bad]).all()
        assert np.isnan(explanation.predictions[bad]).all()
        np.testing.assert_array_equal(explanation.data, rows)
        np.testing.assert_allclose(
            explanation.importances(), expected.importances(), rtol=1e-6, atol=1e-12
        )

    def test_failing_rows_leave_the_others_bit_for_bit(self, name):
        rows, bad = X.copy(), [3, 17]
        rows[bad, 1] = BROKEN
        good = np.setdiff1d(np.arange(len(X)), bad)
        explainer = EXPLAINERS[name](random_state=0, on_error="nan").fit(X, Y)
        with pytest.warns(RuntimeWarning, match="failed for 2 rows"):
            values = explainer.explain(rows).values[good]
        expected = EXPLAINERS[name](random_state=0).fit(X, Y).explain(rows[good])
        np.testing.assert_array_equal(values, expected.values)

    def test_errors_name_rows_through_chunks_and_batches(self, name, tmp_path, monkeypatch):
        monkeypatch.setattr(chunks, "_MOST_ROWS", 7)
        rows = X.copy()
        rows[23, 1] = BROKEN
        plain = EXPLAINERS[name](random_state=0).fit(X, Y)
        kept = EXPLAINERS[name](random_state=0, memory=tmp_path).fit(X, Y)
        for explainer in (plain, kept):
            with pytest.raises(ModelError, match=rf"({CAUSE}).*\brow 23\b"):
                explainer.explain(rows)
            with pytest.raises(ModelError, match=rf"({CAUSE}).*\brow 23\b"):
                list(explainer.explain_batches(rows, batch_rows=10))

    def test_a_batch_without_a_working_row(self, name):
        explainer = EXPLAINERS[name](random_state=0, on_error="nan").fit(X, Y)
        batches = [X[:5], np.full((2, 4), BROKEN), X[5:]]
        with pytest.warns(RuntimeWarning, match=r"row 5, 6\)"):
            joined = Explanation.concat(explainer.explain_batches(batches))
        assert np.isnan(joined.values[[5, 6]]).all()
        agree(joined[[*range(5), *range(7, 42)]], explainer.explain(X))


class TestFailures:
    def test_rows_that_failed_are_tried_again(self, tmp_path):
        switch = tmp_path / "broken"
        switch.touch()

        def flaky(rows):
            if switch.exists() and (rows[:, 0] == X[7, 0]).any():
                raise ConnectionError("server away")
            return rows.sum(axis=1)

        make = partial(KernelSHAP, flaky, background=X[:3], memory=tmp_path / "kept")
        with pytest.warns(RuntimeWarning, match="row 7\\).*server away"):
            first = make(on_error="nan").fit(X).explain(X)
        assert np.isnan(first.values[7]).all()
        with pytest.raises(ModelError, match=r"server away.*row 7"):
            make().fit(X).explain(X)
        switch.unlink()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            second = make().fit(X).explain(X)
        expected = KernelSHAP(flaky, background=X[:3]).fit(X).explain(X)
        agree(second, expected)
        np.testing.assert_array_equal(np.delete(second.values, 7, 0), np.delete(first.values, 7, 0))

    def test_non_finite_outputs_count_as_failures(self):
        def model(rows):
            return np.where(rows[:, 0] == BROKEN, np.nan, rows[:, 1])

        rows = X.copy()
        rows[4, 0] = BROKEN
        with pytest.raises(NonFiniteOutputError):
            KernelSHAP(model, background=5).fit(X).explain(rows)
        with pytest.warns(RuntimeWarning, match=r"row 4\).*returned nan"):
            explanation = KernelSHAP(model, background=5, on_error="nan").fit(X).explain(rows)
        assert np.isnan(explanation.values).all(axis=1).nonzero()[0].tolist() == [4]

    def test_errors_of_the_library_are_raised_all_the_same(self):
        explainer = KernelSHAP(smooth, background=5, on_error="nan").fit(X)
        with pytest.raises(ValueError, match="is expecting 4 features"):
            explainer.explain(X[:, :3])

    @pytest.mark.parametrize("cls", [KernelSHAP, LIME, DeepSHAP, TreeSHAP, SHAP])
    def test_unknown_choice(self, cls):
        with pytest.raises(ValueError, match=r"'on_error' parameter.*Got 'skip'"):
            cls(FOREST, on_error="skip").fit(X, Y)


class TestBatches:
    explainer = KernelSHAP(smooth, background=5, feature_names=list("abcd")).fit(X)

    def test_memory_maps_are_read_batch_by_batch(self, tmp_path):
        mapped = np.lib.format.open_memmap(
            tmp_path / "X.npy", mode="w+", dtype=X.dtype, shape=X.shape
        )
        mapped[:] = X
        batches = self.explainer.explain_batches(mapped, batch_rows=7)
        mapped[7:] += 1
        agree(next(batches), self.explainer.explain(X[:7]))
        # The second batch is read when it is asked for.
        agree(next(batches), self.explainer.explain(X[7:14] + 1))

    def test_nothing_is_asked_for_in_advance(self):
        asked = []

        def source():
            for i in range(0, 40, 10):
                asked.append(i)
                yield X[i : i + 10]

        batches = self.explainer.explain_batches(source())
        assert asked == []
        next(batches)
        assert asked == [0]

    def test_frames_keep_labels(self):
        explainer = KernelSHAP(smooth, background=5).fit(FRAME)
        for frame in (FRAME, FRAME.set_index(pd.date_range("2020", periods=40))):
            joined = Explanation.concat(explainer.explain_batches(frame, batch_rows=9))
            whole = explainer.explain(frame)
            assert (joined.index is None) == (whole.index is None)
            if whole.index is not None:
                np.testing.assert_array_equal(joined.index, whole.index)

    def test_categories_of_batches_are_put_into_one_code(self):
        frame = pd.DataFrame({"size": X[:, 0], "kind": list("aabbccddee") * 4})
        weights = dict(zip("abcde", range(5), strict=True))

        def model(table):
            return table["size"] * table["kind"].map(weights).astype(float)

        explainer = KernelSHAP(model, background=4).fit(frame.iloc[:4])
        batches = [frame.iloc[6:10], frame.iloc[2:6], frame.iloc[:8]]
        joined = Explanation.concat(explainer.explain_batches(batches))
        whole = explainer.explain(pd.concat(batches))
        np.testing.assert_allclose(joined.values, whole.values)
        kinds = [
            [part.categories[1][int(code)] for code in part.data[:, 1]] for part in (joined, whole)
        ]
        assert kinds[0] == kinds[1] == list(pd.concat(batches)["kind"])

    @pytest.mark.parametrize("batch_rows", [0, -1, 2.5, "7"])
    def test_batch_rows_that_are_none(self, batch_rows):
        with pytest.raises(ValueError, match=r"batch_rows=.* must be a positive number of rows"):
            self.explainer.explain_batches(X, batch_rows=batch_rows)

    def test_batch_rows_with_batches(self):
        with pytest.raises(ValueError, match="X is a list of batches"):
            self.explainer.explain_batches([X, X], batch_rows=3)


class TestConcat:
    explanation = TestBatches.explainer.explain(X)

    def test_one_part_is_itself(self):
        agree(Explanation.concat([self.explanation]), self.explanation, rtol=0)

    @pytest.mark.parametrize(
        ("other", "message"),
        [
            (lambda: KernelSHAP(smooth, background=5).fit(X).explain(X), "differ in players"),
            (lambda: TestConcat.explanation[:, ["a", "b"]], "differ in players"),
            (lambda: LIME(smooth, n_samples=50).fit(X).explain(X), "differ in method"),
            (
                lambda: (
                    KernelSHAP(smooth, background=4, feature_names=list("abcd")).fit(X).explain(X)
                ),
                r"differ in params\['max_evals'\]",
            ),
        ],
    )
    def test_what_does_not_belong_together(self, other, message):
        with pytest.raises(ValueError, match=message):
            Explanation.concat([self.explanation, self.explanation, other()])

    def test_nothing(self):
        with pytest.raises(ValueError, match="explanations is empty"):
            Explanation.concat([])

    def test_reports_are_put_together(self):
        explainer = LIME(smooth, n_samples=50, random_state=0).fit(X)
        joined = Explanation.concat(explainer.explain_batches(X, batch_rows=10))
        assert joined.params["n_evals_run"] == 49 + len(X)
        # A row that equals the only background row in a cell has fewer players, and is exact.
        wide = RNG.normal(size=(6, 12))
        sampled = KernelSHAP(lambda X: X.prod(axis=1), background=wide[:1], max_evals=200).fit(wide)
        rows = wide[1:].copy()
        rows[0, 2:] = wide[0, 2:]
        parts = list(sampled.explain_batches(rows, batch_rows=1))
        assert [part.params["exact"] for part in parts] == [True] + [False] * 4
        joined = Explanation.concat(parts)
        assert joined.params["exact"] is False
        assert np.all(joined.std_errors[0] == 0)
        agree(joined, sampled.explain(rows))


class TestWriteParts:
    def test_npz(self, tmp_path):
        explainer = TestBatches.explainer
        paths = write_parts(tmp_path / "new", explainer.explain_batches(X, batch_rows=15))
        assert [path.name for path in paths] == [f"part-00000{i}.npz" for i in range(3)]
        agree(Explanation.concat(map(Explanation.load, paths)), explainer.explain(X))

    def test_parquet(self, tmp_path):
        pytest.importorskip("pyarrow")
        rng = np.random.default_rng(0)
        weights = rng.normal(size=(4, 2))
        explainer = KernelSHAP(lambda X: np.asarray(X) @ weights, background=5).fit(FRAME)
        frame = FRAME.set_index(pd.date_range("2020", periods=40))
        write_parts(tmp_path, explainer.explain_batches(frame, batch_rows=15), format="parquet")
        table = pd.read_parquet(tmp_path)
        whole = explainer.explain(frame)
        assert list(table.index) == list(frame.index)
        np.testing.assert_allclose(table["b:output 1"], whole.values[:, 1, 1])
        np.testing.assert_allclose(table["prediction:output 0"], X @ weights[:, 0])
        np.testing.assert_allclose(table["base_value:output 1"], whole.base_values[:, 1])
        assert sorted(path.suffix for path in tmp_path.iterdir()) == [".parquet"] * 3

    def test_parts_of_an_earlier_run_are_told_of(self, tmp_path):
        explainer = KernelSHAP(smooth, background=5).fit(X)
        earlier = write_parts(tmp_path, explainer.explain_batches(X, batch_rows=15))
        with pytest.warns(RuntimeWarning, match=r"from part-000002\.npz on \(1 in all\)"):
            paths = write_parts(tmp_path, explainer.explain_batches(X[:30], batch_rows=15))
        assert len(Explanation.concat(map(Explanation.load, paths))) == 30
        # Nothing is lost, and as many parts replace one another silently.
        assert all(path.exists() for path in earlier)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            write_parts(tmp_path, explainer.explain_batches(X, batch_rows=15))

    def test_unknown_format(self, tmp_path):
        with pytest.raises(ValueError, match="format='csv' is not one of"):
            write_parts(tmp_path, [], format="csv")
