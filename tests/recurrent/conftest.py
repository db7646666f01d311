"""Small windows with a known driver, and small settings that learn it quickly."""

import numpy as np
import pytest
import torch

from sklexplain import recurrent

KINDS = ("GRU", "LSTM", "RNN", "FeedForward")
QUICK = {"hidden_size": 8, "max_epochs": 30, "batch_size": 32, "lr": 0.02, "random_state": 0}


@pytest.fixture(autouse=True)
def _one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@pytest.fixture
def quick():
    """Hyperparameters that learn the windows below in a fraction of a second."""
    return dict(QUICK)


@pytest.fixture(scope="session")
def windows():
    """Windows (300, 6, 3) in raw units far from 0 and 1, each feature in its own."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 6, 3)) * [1.0, 50.0, 0.01] + [10.0, -300.0, 0.0]


@pytest.fixture(scope="session")
def target(windows):
    """What the last two steps of two features decide; feature 2 plays no part."""
    return 5.0 * (windows[:, -1, 0] - 10.0) + 0.1 * (windows[:, -2, 1] + 300.0) + 100.0


@pytest.fixture(scope="session")
def labels(target):
    return np.array(["down", "same", "up"])[np.digitize(target, [96.0, 104.0])]


@pytest.fixture(params=KINDS)
def regressor(request):
    return getattr(recurrent, f"{request.param}Regressor")(**QUICK)


@pytest.fixture(params=KINDS)
def classifier(request):
    return getattr(recurrent, f"{request.param}Classifier")(**QUICK)
