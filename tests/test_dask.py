"""Dask's workers are two real processes here; whatever they compute is known from one process."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sklexplain import (
    LIME,
    Explanation,
    KernelSHAP,
    PermutationImportance,
    SlidingWindow,
    as_estimator,
    cross_explain,
)
from sklexplain.core import parcels
from sklexplain.core.models import Model

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")
pd = pytest.importorskip("pandas")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 14))
Y = X[:, 0] * X[:, 1] + X[:, 2]
WINDOWS = RNG.normal(size=(50, 6, 3))


def product(rows):
    rows = np.asarray(rows).reshape(len(rows), -1)
    return rows[:, 0] * rows[:, 1] + np.tanh(rows).sum(axis=1)


@pytest.fixture(scope="module")
def client():
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        memory_limit=0,
        dashboard_address=None,
    )
    with cluster, distributed.Client(cluster) as client:
        yield client


def same_numbers(found, expected):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * scale)


def test_a_model_is_sent_to_the_cluster_once(client):
    explainer = KernelSHAP(as_estimator(product), background=20, max_evals=1000, random_state=0)
    explainer.fit(X)
    parcels._on_cluster.clear()
    sizes = set()
    for _ in range(3):
        with parallel_config(backend="dask", n_jobs=2):
            found = explainer.explain(X[:40])
        models = [future for future in parcels._on_cluster.values() if future.type is Model]
        sizes.add(tuple(future.key for future in models))
        assert all(key[0] == client.id for key in parcels._on_cluster)
    assert len(sizes) == 1
    assert len(sizes.pop()) == 1
    same_numbers(found.values, explainer.set_params(n_jobs=1).explain(X[:40]).values)


@pytest.mark.usefixtures("client")
class TestThroughJoblib:
    @pytest.mark.parametrize(
        "explainer",
        [
            KernelSHAP(as_estimator(product), background=20, random_state=0),
            LIME(as_estimator(product), n_samples=400, random_state=0),
        ],
        ids=["KernelSHAP", "LIME"],
    )
    def test_explanations_are_those_of_one_process(self, explainer):
        expected = explainer.fit(X).explain(X[:20])
        with parallel_config(backend="dask"):
            found = explainer.fit(X).explain(X[:20])
        same_numbers(found.values, expected.values)
        same_numbers(found.std_errors, expected.std_errors)

    def test_permutation_importance(self):
        explainer = PermutationImportance(Ridge(), n_repeats=3, random_state=0)
        expected = explainer.fit(X, Y).explanation_.values
        with parallel_config(backend="dask"):
            found = explainer.fit(X, Y).explanation_.values
        same_numbers(found, expected)

    def test_folds(self):
        explainer = KernelSHAP(Ridge(), background=20, random_state=0)
        expected = cross_explain(explainer, X, Y, cv=3)
        with parallel_config(backend="dask"):
            found = cross_explain(explainer, X, Y, cv=3)
        same_numbers(found.explanation.values, expected.explanation.values)


@pytest.mark.usefixtures("client")
class TestBlocks:
    kernel = KernelSHAP(product, background=20, random_state=0).fit(X)
    windows = KernelSHAP(product, background=20, random_state=0).fit(WINDOWS)

    def test_an_array_is_explained_block_by_block(self):
        lazy = self.kernel.explain(da.from_array(X, chunks=(25, 5)))
        assert len(lazy.blocks) == 3
        found, expected = lazy.compute(), self.kernel.explain(X)
        same_numbers(found.values, expected.values)
        same_numbers(found.predictions, expected.predictions)
        np.testing.assert_array_equal(found.data, X)
        assert len(lazy.blocks[2].compute()) == 10

    def test_windows_are_never_divided(self):
        lazy = self.windows.explain(da.from_array(WINDOWS, chunks=(20, 2, 1)))
        assert len(lazy.blocks) == 3
        same_numbers(lazy.compute().values, self.windows.explain(WINDOWS).values)

    def test_it_is_a_collection_of_dask(self, client):
        lazy = self.kernel.explain(da.from_array(X, chunks=(30, 14)))
        expected = self.kernel.explain(X).values
        [computed] = dask.compute(lazy)
        same_numbers(computed.values, expected)
        same_numbers(client.compute(lazy).result().values, expected)

    def test_transform_keeps_the_blocks_of_an_array(self):
        rows = da.from_array(X, chunks=(25, 14))
        found = self.kernel.transform(rows)
        assert found.chunks == ((25, 25, 10), (14,))
        assert found.dtype == float
        same_numbers(found.compute(), self.kernel.transform(X))

    def test_transform_takes_blocks_of_unknown_length(self):
        rows = da.from_array(X, chunks=(25, 14))
        found = self.kernel.transform(rows[rows[:, 0] > 0]).compute()
        same_numbers(found, self.kernel.transform(X[X[:, 0] > 0]))

    def test_parts_are_written_where_they_are_computed(self, tmp_path):
        paths = self.kernel.explain(da.from_array(X, chunks=(25, 14))).save_parts(tmp_path / "new")
        assert [path.name for path in paths] == [f"part-00000{i}.npz" for i in range(3)]
        found = Explanation.concat(Explanation.load(path) for path in paths)
        same_numbers(found.values, self.kernel.explain(X).values)


@pytest.mark.usefixtures("client")
class TestFrames:
    frame = pd.DataFrame(X[:, :5], columns=list("abcde"), index=[f"row {i:02d}" for i in range(60)])

    def fitted(self):
        return LIME(as_estimator(product), n_samples=300, random_state=0).fit(self.frame)

    def test_partitions_are_explained_with_their_labels(self):
        explainer = self.fitted()
        found = explainer.explain(dd.from_pandas(self.frame, npartitions=3)).compute()
        expected = explainer.explain(self.frame)
        same_numbers(found.values, expected.values)
        assert list(found.index) == list(self.frame.index)
        assert (found.conditions == expected.conditions).all()

    def test_transform_gives_a_frame_of_the_same_partitions(self):
        explainer = self.fitted()
        lazy = dd.from_pandas(self.frame, npartitions=3)
        found = explainer.transform(lazy)
        assert found.divisions == lazy.divisions
        assert list(found.columns) == list(explainer.get_feature_names_out())
        assert {dtype.kind for dtype in found.dtypes} == {"f"}
        computed = found.compute()
        assert list(computed.index) == list(self.frame.index)
        same_numbers(computed.to_numpy(), explainer.transform(self.frame))

    def test_partitions_may_be_empty(self):
        explainer = self.fitted()
        lazy = dd.from_pandas(self.frame, npartitions=3)
        kept = lazy[lazy.index > "row 30"]
        expected = explainer.explain(self.frame[self.frame.index > "row 30"])
        same_numbers(explainer.explain(kept).compute().values, expected.values)
        same_numbers(explainer.transform(kept).compute().to_numpy(), expected.values)


class SlowAndKnown:
    """Writes into a folder, as its process's number, that it runs; takes a moment for each call."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, rows):
        (self.folder / str(os.getpid())).touch()
        time.sleep(0.02)
        return product(rows)


@pytest.mark.usefixtures("client")
class TestAKilledWorker:
    @pytest.mark.parametrize("lazily", [False, True], ids=["joblib", "blocks"])
    def test_costs_time_and_no_results(self, tmp_path, lazily):
        model = SlowAndKnown(tmp_path)
        explainer = KernelSHAP(model, background=10, max_evals=200, random_state=0).fit(X)
        rows = np.concatenate([X] * 2)
        expected = explainer.explain(rows).values
        here = {os.getpid()}
        killed = threading.Event()

        def kill_one():
            while not killed.is_set():
                running = {int(path.name) for path in tmp_path.iterdir()} - here
                if running:
                    os.kill(running.pop(), signal.SIGKILL)
                    killed.set()
                time.sleep(0.005)

        killer = threading.Thread(target=kill_one)
        killer.start()
        try:
            if lazily:
                found = explainer.explain(da.from_array(rows, chunks=(10, 14))).compute().values
            else:
                with parallel_config(backend="dask"):
                    found = explainer.explain(rows).values
            assert killed.is_set()
        finally:
            killed.set()
            killer.join()
        same_numbers(found, expected)


class TestRefusals:
    """Everything here is refused before any model is run."""

    kernel = KernelSHAP(product, background=20, random_state=0).fit(X)

    def test_rows_of_another_shape(self):
        with pytest.raises(ValueError, match=r"samples of shape \(13,\).*fitted on \(14,\)"):
            self.kernel.explain(da.zeros((10, 13), chunks=5))
        with pytest.raises(ValueError, match=r"samples of shape \(2, 14\)"):
            self.kernel.transform(da.zeros((10, 2, 14), chunks=5))

    def test_missing_columns(self):
        frame = pd.DataFrame(X[:, :3], columns=list("abc"))
        explainer = KernelSHAP(product).fit(frame)
        with pytest.raises(ValueError, match=r"X lacks the columns \['c'\]"):
            explainer.explain(dd.from_pandas(frame[["a", "b"]], npartitions=2))

    def test_windows_made_by_the_pipeline(self):
        pipeline = make_pipeline(SlidingWindow(window=3), as_estimator(product))
        explainer = KernelSHAP(pipeline, background=5).fit(X)
        with pytest.raises(ValueError, match="make the windows first"):
            explainer.explain(da.from_array(X, chunks=(20, 14)))

    def test_another_kind_of_table(self):
        explainer = KernelSHAP(product).fit(X).set_output(transform="pandas")
        with pytest.raises(ValueError, match="set_output"):
            explainer.transform(da.from_array(X, chunks=(20, 14)))


def test_nothing_of_dask_is_imported_for_rows_in_memory():
    code = (
        "import sys, numpy as np\n"
        "from sklexplain import KernelSHAP\n"
        "X = np.eye(4)\n"
        "KernelSHAP(lambda X: X[:, 0], n_jobs=2).fit(X).transform(X)\n"
        "print([name for name in ('dask', 'distributed') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_example_runs_and_says_where_to_look():
    script = Path(__file__).parents[1] / "examples" / "explain_on_a_cluster.py"
    command = [sys.executable, str(script), "--rows", "80"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert re.search(r"dashboard: http://127\.0\.0\.1:\d+/status", done.stdout)
    assert "80 rows in 4 files, explained by 2 workers" in done.stdout
    [difference] = re.findall(r"largest difference: (\S+) of", done.stdout)
    assert float(difference) < 1e-6
