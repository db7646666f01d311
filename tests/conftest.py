import os

# Workers of pytest-xdist already use the cores. Torch, BLAS and OpenMP read this when they are
# first loaded, which is after this file.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest
from hypothesis import settings

# Timing is no property of the code under test, and a shared machine is slow at times.
settings.register_profile("sklexplain", deadline=None, max_examples=25)
settings.load_profile("sklexplain")


@pytest.fixture
def rng():
    return np.random.default_rng(0)
