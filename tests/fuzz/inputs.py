"""Rows, parameters and shapes of every kind, most of them wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.sparse as sp
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

NUMBERS = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(-1e3, 1e3),
    st.sampled_from([0.0, -0.0, np.nan, np.inf, -np.inf, 1e300, 5e-324]),
)
PLAIN_NUMBERS = st.integers(-8, 8).map(lambda number: number / 4)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 9),
    st.floats(allow_nan=True),
    st.text(max_size=3),
    st.just([]),
    st.just({}),
    st.just(object),
    st.lists(st.integers(-1, 3), max_size=4),
    st.just(np.arange(4)),
    st.just(np.ones((3, 2))),
)


@st.composite
def arrays(draw, least_dims=0, most_dims=4):
    """An array of some type, shape and layout."""
    shape = draw(npst.array_shapes(min_dims=least_dims, max_dims=most_dims, min_side=0, max_side=6))
    kind = draw(
        st.sampled_from(
            [
                "plain",
                "float",
                "f4",
                "f2",
                "int",
                "bool",
                "complex",
                "object",
                "text",
                "dates",
                "mixed",
            ]
        )
    )
    if kind == "plain":
        array = draw(npst.arrays(float, shape, elements=PLAIN_NUMBERS))
    elif kind == "float":
        array = draw(npst.arrays(float, shape, elements=NUMBERS))
    else:
        array = draw(npst.arrays(float, shape, elements=PLAIN_NUMBERS))
        if kind == "mixed":
            array = array.astype(object)
            if array.size:
                array.flat[draw(st.integers(0, array.size - 1))] = draw(
                    st.sampled_from(["a", None, "", (1,), {}, "1.5"])
                )
        else:
            dtypes = {
                "f4": "f4",
                "f2": "f2",
                "int": int,
                "bool": bool,
                "complex": complex,
                "object": object,
                "text": str,
                "dates": "M8[D]",
            }
            array = (
                array.astype(int).astype("M8[D]") if kind == "dates" else array.astype(dtypes[kind])
            )
    if draw(st.booleans()):
        array = np.asfortranarray(array)
    array.setflags(write=draw(st.booleans()))
    return array


@st.composite
def frames(draw):
    """A DataFrame of columns of several types, some names twice or no text."""
    n_rows = draw(st.integers(0, 6))
    columns = draw(st.lists(st.sampled_from(["a", "b", "<c>", 1, None, (2, 3), ""]), max_size=4))
    data = []
    for _ in columns:
        numbers = draw(st.lists(NUMBERS, min_size=n_rows, max_size=n_rows))
        kind = draw(st.sampled_from(["float", "float", "text", "category", "dates", "Float64"]))
        column = pd.Series(numbers, dtype=float)
        if kind in ("text", "category"):
            column = column.map(lambda number: "up" if number > 0 else "down").astype(object)
            column = column.astype("category") if kind == "category" else column
        elif kind == "dates":
            column = pd.Series(pd.Timestamp("2024-01-01"), index=range(n_rows))
        elif kind == "Float64":
            column = column.astype("Float64")
        data.append(column)
    frame = pd.concat(data, axis=1) if data else pd.DataFrame(index=range(n_rows))
    frame.columns = columns
    return frame


def _sparse(array):
    return sp.csr_matrix(np.nan_to_num(array)) if array.dtype == float else array


@st.composite
def mostly(draw, usual, *others):
    """Draw what is usual eight times out of ten: with all odd at once, the first is refused."""
    # A choice among strategies would count each of the odd ones as much as the usual one.
    if draw(st.integers(0, 9)) < 8:
        return draw(usual)
    return draw(st.one_of(*others, ODD))


def _tables(*sides):
    return npst.arrays(float, st.tuples(st.integers(2, 6), *sides), elements=PLAIN_NUMBERS)


GOOD_ROWS = st.one_of(
    _tables(st.integers(1, 4)),
    _tables(st.integers(1, 4)).map(np.ndarray.tolist),
    _tables(st.just(3)).map(lambda array: pd.DataFrame(array, columns=["x0", "a", "<c>"])),
    _tables(st.integers(1, 3), st.integers(1, 3)),
)
ROWS = mostly(
    GOOD_ROWS,
    arrays(),
    arrays(2, 3),
    frames(),
    arrays(2, 2).map(lambda array: array.tolist()),
    arrays(2, 2).map(_sparse),
)


PLAYERS = mostly(
    st.sampled_from(["auto", "column", "feature", "timestep", "cell"]),
    arrays(1, 2),
    st.dictionaries(
        st.sampled_from(["a", "b", "x0", ""]),
        st.one_of(
            ODD,
            st.lists(
                st.one_of(st.integers(-5, 5), st.tuples(st.integers(-3, 3), st.integers(-3, 3)))
            ),
        ),
        max_size=3,
    ),
)
