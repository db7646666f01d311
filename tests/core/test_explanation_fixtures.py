"""Files that earlier versions wrote are read as they were meant."""

import numpy as np
import pytest

from sklexplain import Explanation
from sklexplain.core.explanation_sets import load_all
from tests.explanations import assert_same
from tests.fixtures.make_explanations import FOLDER, KINDS

SCHEMAS = sorted({path.name.split("-")[0] for path in FOLDER.glob("*.npz")})


def assert_equal(read, expected):
    assert_same(read, expected)
    assert read.diagnostics.keys() == expected.diagnostics.keys()
    for name, array in expected.diagnostics.items():
        np.testing.assert_array_equal(read.diagnostics[name], array)
    if expected.conditions is None:
        assert read.conditions is None
    else:
        np.testing.assert_array_equal(read.conditions, expected.conditions)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("schema", SCHEMAS)
def test_single(schema, kind):
    assert_equal(Explanation.load(FOLDER / f"{schema}-{kind}.npz"), KINDS[kind]())


@pytest.mark.parametrize("schema", SCHEMAS)
def test_several_in_one_file(schema):
    read = load_all(FOLDER / f"{schema}-all.npz")
    assert list(read) == list(KINDS)
    for kind, explanation in read.items():
        assert_equal(explanation, KINDS[kind]())


def test_there_are_files_of_this_version():
    assert "schema1" in SCHEMAS
