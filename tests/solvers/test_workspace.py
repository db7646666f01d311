import numpy as np

from sklexplain.solvers.workspace import Workspace


def test_memory_is_used_again():
    workspace = Workspace()
    first = workspace.array("a", (4, 3))
    smaller = workspace.array("a", (2, 3))
    assert smaller.shape == (2, 3)
    assert np.shares_memory(first, smaller)
    assert not np.shares_memory(first, workspace.array("b", (4, 3)))
    larger = workspace.array("a", (5, 3))
    assert larger.shape == (5, 3)
    assert larger.flags.c_contiguous
    assert workspace.array("a", (5, 3), bool).dtype == bool
