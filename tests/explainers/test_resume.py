"""A run that was killed goes on where it was, and nothing is mistaken for something else."""

import errno
import os
import pickle
import subprocess
import sys
import textwrap
import time
import warnings
from functools import partial

import joblib
import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from torch import nn

import sklexplain.explainers.recognition
from sklexplain import LIME, SHAP, DeepSHAP, KernelSHAP, PermutationImportance, TreeSHAP
from sklexplain.core.checkpoints import Checkpoints
from sklexplain.explainers import chunks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = X[:, 0] - X[:, 1] * X[:, 2]
GROUPS = {"ab": [0, 1], "cd": [2, 3]}


def smooth(rows):
    return np.tanh(rows[:, 0] * rows[:, 1]) + rows[:, 2]


torch.manual_seed(0)
NET = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
FOREST = RandomForestRegressor(5, max_depth=3, random_state=0).fit(X, Y)
EXPLAINERS = {
    "KernelSHAP": partial(KernelSHAP, smooth, background=30, max_evals=300),
    "KernelSHAP, sampled": partial(KernelSHAP, smooth, background=30, max_evals=100),
    "KernelSHAP, net": partial(KernelSHAP, NET, background=20, max_evals=120),
    "LIME": partial(LIME, smooth, n_samples=100),
    "LIME, groups": partial(LIME, smooth, n_samples=100, players=GROUPS),
    "DeepSHAP": partial(DeepSHAP, NET, background=20),
    "TreeSHAP": partial(TreeSHAP, FrozenEstimator(FOREST), background=20),
    "SHAP": partial(SHAP, FrozenEstimator(FOREST), background=20),
}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Chunks of 20 rows at most."""
    monkeypatch.setattr(chunks, "_MOST_ROWS", 20)


@pytest.fixture
def computed(monkeypatch):
    """Count the rows that are explained, found ones not counted."""
    rows = []
    for cls in (KernelSHAP, LIME, DeepSHAP, TreeSHAP, SHAP):
        original = cls._explain_rows

        def counting(self, part, *arguments, original=original):
            rows.append(len(part))
            return original(self, part, *arguments)

        monkeypatch.setattr(cls, "_explain_rows", counting)
    return rows


def entries(folder):
    return sorted(path for path in folder.rglob("*.npz") if path.stem != "answers")


@pytest.mark.parametrize("name", EXPLAINERS)
class TestEveryMethod:
    def test_second_run_computes_nothing_and_returns_the_same(self, name, tmp_path, computed):
        first = EXPLAINERS[name](memory=tmp_path, random_state=0).fit(X, Y).explain(X)
        explainer = EXPLAINERS[name](memory=tmp_path, random_state=0).fit(X, Y)
        computed.clear()
        second = explainer.explain(X)
        assert computed == []
        for part in ("values", "base_values", "predictions", "data"):
            np.testing.assert_array_equal(getattr(first, part), getattr(second, part))
        assert (first.std_errors is None) == (second.std_errors is None)
        for report, array in first.diagnostics.items():
            np.testing.assert_array_equal(second.diagnostics[report], array)
        told = {k: v for k, v in first.params.items() if k != "n_evals_run"}
        assert told == {k: v for k, v in second.params.items() if k != "n_evals_run"}

    def test_agrees_with_a_run_in_one_piece(self, name, tmp_path):
        whole = EXPLAINERS[name](random_state=0).fit(X, Y).explain(X)
        parts = EXPLAINERS[name](memory=tmp_path, random_state=0).fit(X, Y).explain(X)
        np.testing.assert_allclose(parts.values, whole.values, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(parts.predictions, whole.predictions, rtol=1e-6)
        if whole.std_errors is not None:
            np.testing.assert_allclose(parts.std_errors, whole.std_errors, rtol=1e-6, atol=1e-9)

    def test_computes_what_is_missing(self, name, tmp_path, computed):
        make = partial(EXPLAINERS[name], memory=tmp_path, random_state=0)
        first = make().fit(X, Y).explain(X)
        n_parts = sum(path.stem != "draws" for path in entries(tmp_path))
        size = -(-len(X) // n_parts)
        lost = next(path for path in entries(tmp_path) if path.stem != "draws")
        lost.unlink()
        explainer = make().fit(X, Y)
        computed.clear()
        second = explainer.explain(X)
        # SHAP's own call and that of the method that it chose, or one call.
        assert set(computed) == {size}
        assert len(computed) == 1 + (name == "SHAP")
        np.testing.assert_array_equal(first.values, second.values)

    def test_importances_are_kept_too(self, name, tmp_path, computed):
        make = partial(EXPLAINERS[name], memory=tmp_path, random_state=0)
        first = make().fit(X, Y).importances_
        explainer = make().fit(X, Y)
        computed.clear()
        np.testing.assert_array_equal(explainer.importances_, first)
        assert computed == []


class TestNothingIsConfused:
    def n_computed(self, computed, explainer, rows=X):
        computed.clear()
        explainer.explain(rows)
        return sum(computed)

    @pytest.mark.parametrize(
        "changes",
        [
            {"background": X[30:]},
            {"players": GROUPS},
            {"random_state": 1},
            {"max_evals": 120},
            {"tol": 0.5},
            {"output": "predict"},
        ],
        ids=str,
    )
    def test_what_changes_values_is_told_apart(self, changes, tmp_path, computed):
        params = {"background": X[:30], "max_evals": 100, "memory": tmp_path, "random_state": 0}
        explainer = KernelSHAP(smooth, **params).fit(X)
        assert self.n_computed(computed, explainer) == len(X)
        changed = KernelSHAP(smooth, **{**params, **changes}).fit(X)
        assert self.n_computed(computed, changed) == len(X)
        assert self.n_computed(computed, explainer) == 0

    @pytest.mark.parametrize(
        "changes", [{"batch_size": 7}, {"verbose": 1}, {"on_error": "nan"}, {"n_jobs": 2}], ids=str
    )
    def test_what_does_not_is_found(self, changes, tmp_path, computed):
        params = {"background": X[:30], "max_evals": 100, "memory": tmp_path, "random_state": 0}
        KernelSHAP(smooth, **params).fit(X).explain(X)
        changed = KernelSHAP(smooth, **params, **changes).fit(X)
        assert self.n_computed(computed, changed) == 0

    def test_joblib_memory_and_folder_are_one(self, tmp_path, computed):
        params = {"background": X[:30], "random_state": 0}
        KernelSHAP(smooth, memory=str(tmp_path), **params).fit(X).explain(X)
        memory = joblib.Memory(tmp_path, verbose=0)
        assert self.n_computed(computed, KernelSHAP(smooth, memory=memory, **params).fit(X)) == 0
        nowhere = KernelSHAP(smooth, memory=joblib.Memory(None), **params).fit(X)
        assert self.n_computed(computed, nowhere) == len(X)

    def models(self):
        def scaled(scale):
            return lambda rows: scale * rows[:, 0] * rows[:, 1]

        other = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        other.load_state_dict(NET.state_dict())
        with torch.no_grad():
            other[2].bias += 1e-5
        return [
            Ridge(),
            Ridge(alpha=1 + 1e-9),
            LinearRegression(),
            scaled(1.0),
            scaled(1 + 1e-12),
            smooth,
            FrozenEstimator(FOREST),
            HistGradientBoostingRegressor(max_iter=3),
            HistGradientBoostingRegressor(max_iter=4),
            NET,
            other,
        ]

    def test_models(self, tmp_path, computed):
        explainers = [
            KernelSHAP(model, background=X[:9], memory=tmp_path, random_state=0).fit(X, Y)
            for model in self.models()
        ]
        plain = [
            KernelSHAP(model, background=X[:9], random_state=0).fit(X, Y) for model in self.models()
        ]
        for explainer in explainers:
            assert self.n_computed(computed, explainer, X[:20]) == 20
        for explainer, without in zip(explainers, plain, strict=True):
            assert self.n_computed(computed, explainer, X[:20]) == 0
            found, made = explainer.explain(X[:20]), without.explain(X[:20])
            np.testing.assert_allclose(found.values, made.values, rtol=1e-9, atol=1e-12)

    def test_models_that_differ_in_what_cannot_be_seen(self, tmp_path, computed, monkeypatch):
        # Outside of Python, say: only the answers show it.
        monkeypatch.setenv("HIDDEN_SCALE", "1")
        explainer = KernelSHAP(scaled_from_outside, background=X[:9], memory=tmp_path).fit(X)
        assert self.n_computed(computed, explainer, X[:20]) == 20
        assert self.n_computed(computed, explainer, X[:20]) == 0
        monkeypatch.setenv("HIDDEN_SCALE", "1.001")
        assert self.n_computed(computed, explainer, X[:20]) == 20
        monkeypatch.setenv("HIDDEN_SCALE", "1")
        assert self.n_computed(computed, explainer, X[:20]) == 0

    def test_models_that_differ_in_a_class_and_answer_known_rows_alike(self, tmp_path, computed):
        far = X[:5] + 10
        explainer = KernelSHAP(Limited(), background=X[:9], memory=tmp_path).fit(X)
        assert self.n_computed(computed, explainer, far) == 5
        Limited.limit = 20.0
        try:
            assert self.n_computed(computed, explainer, far) == 5
            assert (explainer.explain(far).predictions == 0).all()
        finally:
            Limited.limit = 5.0
        assert self.n_computed(computed, explainer, far) == 0

    @pytest.mark.parametrize("method", ["KernelSHAP", "LIME"])
    def test_versions(self, method, tmp_path, computed, monkeypatch):
        make = partial(EXPLAINERS[method], memory=tmp_path, random_state=0)
        assert self.n_computed(computed, make().fit(X)) == len(X)
        monkeypatch.setattr(sklexplain.explainers.recognition, "__version__", "99.0.0")
        assert self.n_computed(computed, make().fit(X)) == len(X)
        monkeypatch.undo()

    def test_rows_in_another_type_or_order(self, tmp_path, computed):
        explainer = KernelSHAP(smooth, background=X[:9], memory=tmp_path).fit(X)
        explainer.explain(X)
        assert self.n_computed(computed, explainer, X.astype(np.float32)) == len(X)
        assert self.n_computed(computed, explainer, X[::-1]) == len(X)
        assert self.n_computed(computed, explainer, np.asfortranarray(X)) == 0

    def test_categories(self, tmp_path, computed):
        pd = pytest.importorskip("pandas")
        frame = pd.DataFrame({"size": X[:, 0], "kind": np.where(X[:, 1] > 0, "a", "b")})

        def model(table):
            return table["size"] * table["kind"].map({"a": 1.0, "b": 2.0, "c": 3.0, "d": 9.0})

        explainer = KernelSHAP(model, background=9, memory=tmp_path, random_state=0).fit(frame)
        # New categories get the same code.
        with_c, with_d = frame.iloc[:5].copy(), frame.iloc[:5].copy()
        with_c.loc[0, "kind"], with_d.loc[0, "kind"] = "c", "d"
        assert self.n_computed(computed, explainer, with_c) == 5
        assert self.n_computed(computed, explainer, with_d) == 5
        assert explainer.explain(with_d).predictions[0] == 9 * X[0, 0]

    def test_what_cannot_be_recognised_is_not_stored(self, tmp_path):
        generator = (number for number in range(3))

        def model(rows):
            return rows[:, 0] + 0 * (generator is None)

        explainer = KernelSHAP(model, background=9, memory=tmp_path).fit(X)
        with pytest.warns(RuntimeWarning, match=r"memory: nothing is stored, because .*generator"):
            explanation = explainer.explain(X)
        expected = explanation.predictions - explanation.base_values
        np.testing.assert_allclose(explanation.values.sum(axis=1), expected)
        assert entries(tmp_path) == []


def scaled_from_outside(rows):
    return rows[:, 0] * float(os.environ["HIDDEN_SCALE"])


class Limited:
    limit = 5.0

    def __call__(self, rows):
        return np.where(rows[:, 0] > self.limit, rows[:, 0], 0.0)


class TestPermutationImportance:
    def scored(self, log):
        def score(estimator, rows, y):
            with log.open("ab") as file:
                file.write(b".")
            return -float(np.mean((estimator.predict(rows) - y) ** 2))

        return score

    def test_players_are_kept(self, tmp_path):
        log = tmp_path / "log"
        params = {"n_repeats": 3, "memory": tmp_path, "random_state": 0}
        make = partial(PermutationImportance, Ridge(), scoring=self.scored(log), **params)
        first = make().fit(X, Y)
        assert log.stat().st_size == 1 + 4 * 3
        again = make().fit(X, Y)
        np.testing.assert_array_equal(
            again.results_["score"].importances, first.results_["score"].importances
        )
        assert log.stat().st_size == 1 + 4 * 3 + 1
        lost = [path for path in entries(tmp_path) if path.stem == "player-2"]
        lost[0].unlink()
        np.testing.assert_array_equal(make().fit(X, Y).importances_, first.importances_)
        assert log.stat().st_size == 1 + 4 * 3 + 1 + 1 + 3
        # Other rows, targets and seeds are others.
        for rows, y, seed in ((X[:50], Y[:50], 0), (X, 2 * Y, 0), (X, Y, 1)):
            before = log.stat().st_size
            explainer = PermutationImportance(
                Ridge(), scoring=self.scored(log), **{**params, "random_state": seed}
            )
            explainer.fit(rows, y)
            assert log.stat().st_size == before + 1 + 4 * 3

    def test_nets_are_kept_player_by_player(self, tmp_path):
        make = partial(PermutationImportance, NET, scoring="r2", memory=tmp_path, random_state=0)
        first = make().fit(X, Y)
        entries(tmp_path)[1].unlink()
        np.testing.assert_allclose(make().fit(X, Y).importances_, first.importances_, rtol=1e-6)
        plain = PermutationImportance(NET, scoring="r2", random_state=0).fit(X, Y)
        np.testing.assert_allclose(plain.importances_, first.importances_, rtol=1e-6)


class TestDamage:
    def kept(self, tmp_path):
        make = partial(EXPLAINERS["KernelSHAP"], memory=tmp_path, random_state=0)
        return make, make().fit(X).explain(X)

    @pytest.mark.parametrize("kind", ["truncated", "empty", "flipped", "foreign"])
    def test_damaged_entries_are_computed_anew(self, kind, tmp_path, computed):
        make, first = self.kept(tmp_path)
        path = entries(tmp_path)[0]
        content = path.read_bytes()
        middle = len(content) // 2
        path.write_bytes(
            {
                "truncated": content[:middle],
                "empty": b"",
                "flipped": content[:700] + bytes([content[700] ^ 1]) + content[701:],
                "foreign": b"no archive",
            }[kind]
        )
        computed.clear()
        with pytest.warns(RuntimeWarning, match=r"npz is damaged and computed anew"):
            second = make().fit(X).explain(X)
        assert len(computed) == 1
        np.testing.assert_array_equal(first.values, second.values)
        computed.clear()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            make().fit(X).explain(X)
        assert computed == []

    def test_every_flipped_byte_is_noticed_or_harmless(self, tmp_path):
        make, first = self.kept(tmp_path)
        path = entries(tmp_path)[0]
        content = path.read_bytes()
        explainer = make().fit(X)
        for position in np.random.default_rng(0).integers(len(content), size=60):
            changed = bytearray(content)
            changed[position] ^= 0x10
            path.write_bytes(changed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                np.testing.assert_array_equal(explainer.explain(X).values, first.values)

    def test_no_entry_is_unpickled(self, tmp_path):
        make, first = self.kept(tmp_path)
        path = entries(tmp_path)[0]

        class Bomb:
            def __reduce__(self):
                return (os.mkdir, (str(tmp_path / "exploded"),))

        with path.open("wb") as file:
            np.savez(file, header=np.array([Bomb()], dtype=object))
        with pytest.warns(RuntimeWarning, match="damaged"):
            np.testing.assert_array_equal(make().fit(X).explain(X).values, first.values)
        assert not (tmp_path / "exploded").exists()
        pickle.loads(pickle.dumps(Bomb()))
        assert (tmp_path / "exploded").exists()

    def test_full_disk_costs_the_checkpoints_only(self, tmp_path, monkeypatch):
        expected = EXPLAINERS["KernelSHAP"](random_state=0).fit(X).explain(X)
        explainer = EXPLAINERS["KernelSHAP"](memory=tmp_path, random_state=0).fit(X)
        n_written = []

        def full(file, **arrays):
            if len(n_written) == 2:
                file.write(b"the first half")
                raise OSError(errno.ENOSPC, "No space left on device")
            n_written.append(original(file, **arrays))

        original = np.savez
        monkeypatch.setattr(np, "savez", full)
        with pytest.warns(RuntimeWarning, match="no longer stored.*No space left") as caught:
            explanation = explainer.explain(X)
        assert len([w for w in caught if "no longer stored" in str(w.message)]) == 1
        assert str(tmp_path) in str(caught[0].message)
        np.testing.assert_allclose(explanation.values, expected.values, rtol=1e-9, atol=1e-12)
        # The answers and a first chunk were written; nothing half.
        assert len(entries(tmp_path)) == 1
        assert list(tmp_path.rglob("*.unfinished")) == []

    def test_folder_that_cannot_be_written_to(self, tmp_path):
        explainer = EXPLAINERS["KernelSHAP"](memory=tmp_path, random_state=0).fit(X)
        # Also of root: a file stands where the folder would be.
        (tmp_path / "sklexplain").write_text("")
        with pytest.warns(RuntimeWarning, match=r"no longer stored, because .*sklexplain"):
            explanation = explainer.explain(X)
        expected = EXPLAINERS["KernelSHAP"](random_state=0).fit(X).explain(X)
        np.testing.assert_allclose(explanation.values, expected.values, rtol=1e-9, atol=1e-12)

    def test_folder_that_cannot_be_made_is_refused_by_fit(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(OSError, match=r"memory='.*inside' cannot be written to"):
            KernelSHAP(smooth, memory=tmp_path / "file" / "inside").fit(X)

    def test_what_a_killed_writer_left_is_removed(self, tmp_path):
        checkpoints = Checkpoints.of_run(tmp_path, "run", np.ones((1, 1)))
        old, fresh = (checkpoints.folder / f"{name}.unfinished" for name in ("old", "fresh"))
        old.touch()
        fresh.touch()
        os.utime(old, (time.time() - 7200, time.time() - 7200))
        Checkpoints.of_run(tmp_path, "run", np.ones((1, 1)))
        assert not old.exists()
        assert fresh.exists()


# Cheap to start: no torch, one model that notes every row it is asked.
SCRIPT = textwrap.dedent(
    """
    import os, sys
    import numpy as np
    from sklexplain import KernelSHAP
    from sklexplain.explainers import chunks

    chunks.EVALS_PER_CHUNK = 5000
    log = os.open(sys.argv[2], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def model(rows):
        os.write(log, b"." * len(rows))
        return np.sin(rows[:, 0] * rows[:, 1]) + rows[:, 2]

    X = np.random.default_rng(0).normal(size=(300, 12))
    explainer = KernelSHAP(
        model, background=30, max_evals=500, memory=sys.argv[1], random_state=0
    ).fit(X)
    os.ftruncate(log, 0)
    np.save(sys.argv[3], explainer.explain(X).values)
    """
)
N_CHUNKS, EVALS_PER_CHUNK = 30, 5000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes by fork")
def test_killed_at_twenty_moments(tmp_path):
    # One interpreter that has imported everything, and a fork of it for every run.
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    driver = subprocess.run(
        [sys.executable, "-c", DRIVER, str(script), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert driver.returncode == 0, driver.stderr
    lines = [line.split() for line in driver.stdout.splitlines()]
    assert len(lines) == 20
    for n_kept, n_evals, n_in_all, same in (tuple(map(int, line)) for line in lines):
        assert same
        # What was kept is not run again: probes are all that a resumed run adds.
        assert n_evals <= (N_CHUNKS - n_kept) * EVALS_PER_CHUNK + 100
        assert n_in_all <= (N_CHUNKS + 1) * EVALS_PER_CHUNK + 200
    # They were killed at the beginning, in the middle and near the end.
    kept = [int(line[0]) for line in lines]
    assert min(kept) < N_CHUNKS / 4
    assert max(kept) > N_CHUNKS * 3 / 4
    assert len(set(kept)) > 8


DRIVER = textwrap.dedent(
    """
    import os, random, signal, sys, time
    from pathlib import Path
    import numpy as np
    import sklexplain.explainers.kernel_shap

    script, folder = sys.argv[1], Path(sys.argv[2])
    code = compile(Path(script).read_text(), script, "exec")

    def started(memory, log, out):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                sys.argv = [script, str(memory), str(log), str(out)]
                exec(code, {"__name__": "__main__"})
                status = 0
            finally:
                os._exit(status)
        return pid

    def finished(pid):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert finished(started(folder / "whole", folder / "log", folder / "whole.npy")) == 0
    expected = np.load(folder / "whole.npy")
    entries = len(list((folder / "whole").rglob("*.npz"))) - 1
    assert entries == 30, entries
    draw = random.Random(0)
    for attempt in range(20):
        memory, log = folder / f"memory{attempt}", folder / f"log{attempt}"
        out = folder / f"{attempt}.npy"
        pid = started(memory, log, out)
        # In the middle of a batch, between batches, or while something is written.
        moment = (attempt + draw.random()) / 20 * 150_000
        while not log.exists() or log.stat().st_size < moment:
            time.sleep(0.0005)
        time.sleep(0.01 * draw.random())
        os.kill(pid, signal.SIGKILL)
        finished(pid)
        n_kept = sum(path.stem != "answers" for path in memory.rglob("*.npz"))
        n_before = log.stat().st_size if log.exists() else 0
        assert finished(started(memory, log, out)) == 0
        n_evals = log.stat().st_size
        same = np.array_equal(np.load(out), expected)
        print(n_kept, n_evals, n_before + n_evals, int(same))
    """
)


def test_a_new_process_finds_what_another_one_made(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("size=(300, 12)", "size=(40, 12)"))
    values = []
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, script, tmp_path / "memory", tmp_path / "log", tmp_path / "out.npy"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
        )
        values.append(np.load(tmp_path / "out.npy"))
    assert (tmp_path / "log").stat().st_size <= 100
    np.testing.assert_array_equal(*values)
