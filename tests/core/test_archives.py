"""Files from strangers: names, sizes and types are refused before memory is spent on them."""

import io
import json
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from sklexplain import Explanation
from sklexplain.core.archives import Archive, write_arrays
from sklexplain.core.explanation_files import packed
from sklexplain.core.explanation_sets import load_all, save_all
from tests.explanations import make_explanation


def npy(array, **header):
    """An npy member, whose header may lie."""
    file = io.BytesIO()
    if header:
        truth = {"descr": array.dtype.str, "fortran_order": False, "shape": array.shape}
        np.lib.format.write_array_header_1_0(file, {**truth, **header})
        file.write(array.tobytes())
    else:
        np.lib.format.write_array(file, array, allow_pickle=True)
    return file.getvalue()


def zipped(path, *members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.npz"


def read_all(path, **params):
    with Archive(path, **params) as archive:
        return dict(archive)


class TestArchive:
    @given(
        array=npst.arrays(
            st.one_of(
                npst.integer_dtypes(),
                npst.floating_dtypes(),
                npst.boolean_dtypes(),
                npst.unicode_string_dtypes(max_len=3),
                npst.datetime64_dtypes(),
            ),
            npst.array_shapes(min_dims=0, min_side=0),
        ),
        by_columns=st.booleans(),
    )
    def test_reads_what_numpy_reads(self, tmp_path_factory, array, by_columns):
        path = tmp_path_factory.mktemp("archive") / "a.npz"
        array = np.asarray(array, order="F" if by_columns else "C")
        write_arrays(path, {"a": array, "b": np.arange(3)})
        read = read_all(path)
        with np.load(path) as expected:
            assert sorted(read) == sorted(expected.files)
            for name in expected.files:
                np.testing.assert_array_equal(read[name], expected[name])
                assert read[name].dtype == expected[name].dtype
        assert read["a"].flags.writeable

    @pytest.mark.parametrize(
        ("members", "message"),
        [
            ([("a.npy", npy(np.ones(2))), ("a.npy", npy(np.ones(2)))], "'a.npy' more than once"),
            ([("../a.npy", npy(np.ones(2)))], r"'\.\./a.npy', which is no array"),
            ([("/etc/a.npy", npy(np.ones(2)))], "'/etc/a.npy', which is no array"),
            ([("b\\..\\a.npy", npy(np.ones(2)))], "which is no array"),
            ([("a.pkl", b"x")], "'a.pkl', which is no array"),
            ([("a.npy", npy(np.array([{}], dtype=object)))], "which is neither numbers nor text"),
            ([("a.npy", npy(np.zeros(2, dtype="f8,i4")))], "which is neither numbers nor text"),
            ([("a.npy", npy(np.zeros(2, dtype=complex)))], "which is neither numbers nor text"),
            ([("a.npy", npy(np.ones(2), shape=(3,)))], "24 bytes, but holds 16"),
            ([("a.npy", npy(np.ones(3), shape=(2,)))], "16 bytes, but holds 24"),
            ([("a.npy", npy(np.ones(2), shape=(-1, -2)))], r"announces \(-1, -2\)"),
            ([("a.npy", npy(np.ones(2), shape=(2**40, 2**40)))], "but holds 16"),
            ([("a.npy", npy(np.ones(2), descr="<f4"))], "8 bytes, but holds 16"),
            ([("a.npy", b"\x93NUMPY\x03\x00" + npy(np.ones(2))[8:])], r"npy format \(3, 0\)"),
        ],
    )
    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_refuses(self, path, members, message):
        zipped(path, *members)
        with pytest.raises(ValueError, match=message):
            read_all(path)

    def test_members_that_unpack_beyond_the_limit_are_never_unpacked(self, path):
        zipped(path, ("a.npy", npy(np.zeros(10**7))))
        assert path.stat().st_size < 10**5
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match="unpacks to 80,000,128 bytes, beyond max_bytes"):
                read_all(path, max_bytes=10**6)
            assert tracemalloc.get_traced_memory()[1] < 10**6
        finally:
            tracemalloc.stop()
        assert read_all(path, max_bytes=10**8)["a"].shape == (10**7,)

    def test_a_member_larger_than_it_declares_is_not_unpacked_further(self, path):
        """The declared size is forged, both where the archive lists it and beside the member."""
        bomb = npy(np.zeros(10**7))
        zipped(path, ("a.npy", bomb))
        true, forged = struct.pack("<L", len(bomb)), struct.pack("<L", 128 + 80)
        content = path.read_bytes()
        assert content.count(true) == 2
        path.write_bytes(content.replace(true, forged))
        tracemalloc.start()
        try:
            with pytest.raises(ValueError, match="CRC"):
                read_all(path)
            assert tracemalloc.get_traced_memory()[1] < 10**6
        finally:
            tracemalloc.stop()

    def test_a_forged_size_that_the_header_confirms_fails_its_checksum(self, path):
        bomb = npy(np.zeros(10**6), shape=(10,))
        zipped(path, ("a.npy", bomb))
        forged = struct.pack("<L", 128 + 80)
        path.write_bytes(path.read_bytes().replace(struct.pack("<L", len(bomb)), forged))
        with pytest.raises(ValueError, match="CRC"):
            read_all(path)

    def test_encrypted(self, path):
        zipped(path, ("a.npy", npy(np.ones(2))), compression=zipfile.ZIP_STORED)
        content = bytearray(path.read_bytes())
        content[content.index(b"PK\x01\x02") + 8] |= 1
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"'a\.npy' is encrypted"):
            read_all(path)

    @pytest.mark.parametrize(
        ("max_bytes", "error"),
        [(0, ValueError), (-1, ValueError), (1e9, TypeError), (True, TypeError), ("1", TypeError)],
    )
    def test_limit_itself(self, path, max_bytes, error):
        with pytest.raises(error, match="max_bytes"):
            Archive(path, max_bytes)


class TestWriteArrays:
    def test_failure_keeps_the_old_file_and_leaves_no_other(self, path):
        class Unwritable:
            def __array__(self, *args, **kwargs):
                raise OSError(28, "No space left on device")

        write_arrays(path, {"a": np.ones(2)})
        with pytest.raises(OSError, match="No space left"):
            write_arrays(path, {"a": np.zeros(2), "b": Unwritable()})
        assert [file.name for file in path.parent.iterdir()] == ["a.npz"]
        np.testing.assert_array_equal(read_all(path)["a"], [1, 1])


def rewritten(path, content):
    with path.open("wb") as file:
        np.savez(file, **content)


class TestExplanations:
    """What an archive of arrays may still get wrong as an explanation."""

    def test_limit_names_the_parameter(self, path):
        make_explanation().save(path)
        for load in (Explanation.load, load_all):
            with pytest.raises(ValueError, match="beyond max_bytes=100"):
                load(path, max_bytes=100)
        assert len(Explanation.load(path, max_bytes=10**6)) == 5

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"extra": np.ones(2)}, r"\['extra'\], which no explanation has"),
            ({"values": np.ones((5, 2))}, "values have shape"),
            ({"values": np.full((5, 3), "a")}, "could not convert"),
            ({"base_values": np.ones(4)}, "base_values has shape"),
            ({"std_errors": np.ones((5, 2))}, "std_errors has shape"),
            ({"data": np.ones((5, 4, 2))}, "data has samples of shape"),
            ({"index": np.arange(4)}, "index has 4 rows"),
            ({"player_labels": np.zeros(12, dtype=int)}, r"labels holds \[0\], but 3 names"),
            ({"player_labels": np.arange(12) % 3 * 10**9}, "labels holds"),
            ({"player_labels": np.zeros(10**6, dtype=np.int8)}, "labels has 1000000 entries"),
            ({"diagnostics.fit": np.ones(7)}, r"diagnostics\['fit'\] has shape"),
            ({"conditions": np.full((5, 2), "a")}, "conditions have shape"),
        ],
    )
    def test_parts_that_do_not_agree(self, path, change, message):
        rewritten(path, {**packed(make_explanation()), **change})
        with pytest.raises(ValueError, match=message):
            Explanation.load(path)

    @pytest.mark.parametrize(
        ("part", "value", "message"),
        [
            (("players", "names"), ["a", "a", "b"], "each name once"),
            (("players", "names"), [1, 2, 3], "must be text"),
            (("players", "shape"), [0, 3], r"shape=\(0, 3\) is no sample's"),
            (("players", "shape"), [2**62, 2**62], "labels has 12 entries"),
            (("players", "level"), "planet", "level='planet'"),
            (("players", "feature_names"), ["a"], "feature_names has 1 names"),
            (("output_names",), ["up"], "1 output_names"),
            (("kind",), "guess", "'guess.*importances"),
            (("schema",), 0, "has schema 0, but this version reads 1"),
            (("schema",), None, "has schema None"),
        ],
    )
    def test_headers_that_do_not_agree(self, path, part, value, message):
        content = packed(make_explanation())
        header = json.loads(str(content["header"]))
        *outer, last = part
        place = header
        for key in outer:
            place = place[key]
        place[last] = value
        rewritten(path, {**content, "header": np.asarray(json.dumps(header))})
        with pytest.raises(ValueError, match=message):
            Explanation.load(path)

    def test_header_nested_too_deeply(self, path):
        content = packed(make_explanation())
        rewritten(path, {**content, "header": np.asarray("[" * 10**6)})
        with pytest.raises(ValueError, match="not a saved Explanation"):
            Explanation.load(path)

    def test_sets_refuse_members_of_no_explanation(self, path):
        save_all(path, {"a": make_explanation()})
        content = read_all(path)
        for stranger, named in {"b": "b", "1.values": "1.values", "0.extra": "extra"}.items():
            rewritten(path, {**content, stranger: np.ones(2)})
            with pytest.raises(ValueError, match=named):
                load_all(path)

    def test_sets_refuse_names_used_twice(self, path):
        save_all(path, {"a": make_explanation()})
        contents = np.asarray('{"schema": 1, "names": ["a", "a"]}')
        rewritten(path, {**read_all(path), "contents": contents})
        with pytest.raises(ValueError, match="each used once"):
            load_all(path)

    def test_sets_of_another_schema(self, path):
        rewritten(path, {"contents": np.asarray('{"schema": 7}')})
        with pytest.raises(ValueError, match="has schema 7, but this version reads 1"):
            load_all(path)
