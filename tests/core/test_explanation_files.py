import contextlib
import io
import json
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklexplain import Explanation
from tests.explanations import assert_same, make_explanation

INDICES = st.one_of(
    st.none(),
    st.just(np.array(["a", "ß", "<b>"])),
    st.just(np.array(["2024-01-01", "NaT", "2024-01-03"], dtype="datetime64[ns]")),
    st.just(np.array([3, 1, 2])),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


class TestSave:
    @given(
        shape=st.sampled_from([(3,), (2, 2)]),
        outputs=st.sampled_from([(), ("up",), ("up", "däwn")]),
        index=INDICES,
        params=st.dictionaries(st.text(), JSON, max_size=3),
        values=arrays(np.float64, 18, elements=st.floats()),
        optional=st.booleans(),
        kind=st.sampled_from(["attributions", "importances"]),
    )
    def test_round_trip(
        self, tmp_path_factory, shape, outputs, index, params, values, optional, kind
    ):
        explanation = make_explanation(
            3,
            shape,
            "auto",
            outputs,
            index=index,
            params=params,
            kind=kind,
            categories={0: ("a", "b")} if optional else {},
            **({} if optional else {"data": None, "std_errors": None}),
        )
        explanation.values.flat = values[: explanation.values.size]
        path = tmp_path_factory.mktemp("saved") / "explanation.npz"
        explanation.save(path)
        assert_same(Explanation.load(path), explanation)

    def test_numpy_numbers_in_params(self, tmp_path):
        params = {"n": np.int64(3), "x": np.float32(0.5), "b": np.bool_(True), "s": np.str_("a")}
        make_explanation(params=params).save(tmp_path / "e")
        assert Explanation.load(tmp_path / "e").params == {"n": 3, "x": 0.5, "b": True, "s": "a"}

    def test_objects_in_the_index_become_text(self, tmp_path):
        days = pd.period_range("2024-01", periods=5, freq="M")
        make_explanation(index=np.asarray(days)).save(tmp_path / "e")
        assert Explanation.load(tmp_path / "e").index.tolist() == [str(day) for day in days]

    def test_after_selecting_players(self, tmp_path):
        part = make_explanation()[:, ["volume", "open"]]
        part.save(tmp_path / "e")
        assert_same(Explanation.load(tmp_path / "e"), part)

    @pytest.mark.parametrize(
        "params", [{"params": {"model": object()}}, {"data": np.full((5, 4, 3), "x", dtype=object)}]
    )
    def test_objects_are_refused_and_leave_no_file(self, tmp_path, params):
        with pytest.raises(TypeError):
            make_explanation(**params).save(tmp_path / "e")
        assert not (tmp_path / "e").exists()

    def test_file_holds_no_pickle(self, tmp_path):
        make_explanation(index=np.array(["a", 1, None, 2, "b"], dtype=object)).save(tmp_path / "e")
        with np.load(tmp_path / "e", allow_pickle=False) as archive:
            assert {archive[name].dtype.kind for name in archive.files} <= set("iufUM")


class Exploit:
    called = False

    def __reduce__(self):
        return (setattr, (Exploit, "called", True))


class TestLoad:
    @pytest.fixture
    def saved(self, tmp_path):
        make_explanation().save(tmp_path / "e.npz")
        with np.load(tmp_path / "e.npz") as archive:
            return tmp_path / "e.npz", dict(archive)

    def test_pickled_objects_never_run(self, saved, tmp_path):
        path, content = saved
        for name in content:
            poisoned = {**content, name: np.array([Exploit()], dtype=object)}
            np.savez(path, **poisoned)
            with pytest.raises(ValueError, match="not a saved Explanation"):
                Explanation.load(path)
        (tmp_path / "p").write_bytes(pickle.dumps(Exploit()))
        with pytest.raises(ValueError, match="not a saved Explanation"):
            Explanation.load(tmp_path / "p")
        assert not Exploit.called

    def test_other_files(self, tmp_path):
        contents = {
            "text": b"values: 1",
            "empty": b"",
            "npy": self.bytes_of(np.save, np.ones(3)),
            "npz": self.bytes_of(np.savez, np.ones(3)),
            "header": self.bytes_of(np.savez, header=np.asarray("[1]"), player_labels=np.ones(3)),
            "schema": self.bytes_of(np.savez, header=np.asarray('{"schema": 1}')),
        }
        zipped = io.BytesIO()
        with zipfile.ZipFile(zipped, "w") as archive:
            archive.writestr("a.txt", "b")
        contents["zip"] = zipped.getvalue()
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
            with pytest.raises(ValueError, match=f"{name} is not a saved Explanation"):
                Explanation.load(tmp_path / name)

    def bytes_of(self, save, *args, **kwargs):
        file = io.BytesIO()
        save(file, *args, **kwargs)
        return file.getvalue()

    def test_damaged_file(self, saved):
        path, _ = saved
        content = bytearray(path.read_bytes())
        for place in range(0, len(content), 97):
            damaged = content.copy()
            damaged[place] ^= 0xFF
            path.write_bytes(damaged)
            # Some bytes carry nothing that is read; whatever is noticed must be a ValueError.
            with contextlib.suppress(ValueError):
                Explanation.load(path)

    def test_newer_schema(self, saved):
        path, content = saved
        header = json.loads(str(content["header"]))
        # What a newer version stores is unknown: neither the arrays nor the other keys are read.
        np.savez(path, header=np.asarray(json.dumps({"schema": header["schema"] + 1})))
        with pytest.raises(ValueError, match="has schema 2, but this version reads 1; update"):
            Explanation.load(path)

    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            Explanation.load(tmp_path / "nothing")
