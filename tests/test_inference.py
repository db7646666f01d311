import numpy as np
import pytest
import torch
from torch import nn

from sklexplain.inference import (
    evaluating,
    forward,
    module_device,
    module_dtype,
    resolve_device,
    rows_per_batch,
)


class Counting(nn.Module):
    """Doubles its input and notes every batch it is given."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def forward(self, X):
        self.batches.append((len(X), X.dtype, torch.is_grad_enabled()))
        return 2 * X


class TestDevice:
    def test_names(self):
        assert resolve_device("cpu") == torch.device("cpu")
        assert resolve_device(torch.device("cpu")) == torch.device("cpu")
        assert resolve_device().type == ("cuda" if torch.cuda.is_available() else "cpu")

    @pytest.mark.parametrize("device", ["gpu", "cuda:99", 2.5, None])
    def test_unusable(self, device):
        with pytest.raises(ValueError, match=r"device=.* cannot be used here .*device=\"cpu\""):
            resolve_device(device)

    def test_of_a_module(self):
        assert module_device(nn.Linear(2, 1)).type == "cpu"
        assert module_device(nn.ReLU()).type == "cpu"


class TestDtype:
    def test_first_floating_point_state(self):
        assert module_dtype(nn.Linear(2, 1)) == torch.float32
        assert module_dtype(nn.Linear(2, 1).double()) == torch.float64
        assert module_dtype(nn.ReLU()) == torch.float32
        counter = nn.Module()
        counter.register_buffer("steps", torch.zeros(1, dtype=torch.int64))
        assert module_dtype(counter) == torch.float32
        counter.register_buffer("scale", torch.zeros(1, dtype=torch.float64))
        assert module_dtype(counter) == torch.float64


class TestRowsPerBatch:
    cpu = torch.device("cpu")

    @pytest.mark.parametrize(
        ("module", "row_shape", "widest"),
        [
            (nn.Linear(10, 64), (10,), 64),
            (nn.Linear(500, 4), (500,), 500),
            (nn.Linear(4, 64), (20, 4), 20 * 64),
            (nn.LSTM(4, 64, batch_first=True), (20, 4), 2 * 20 * 64),
            (nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 300)), (4,), 300),
            (nn.Conv1d(20, 7, 3), (20, 50), 20 * 50),
        ],
    )
    def test_widest_activation_fills_four_mebibytes(self, module, row_shape, widest):
        rows = rows_per_batch(module, row_shape, self.cpu)
        assert rows & (rows - 1) == 0
        assert rows * widest * 4 <= 4 * 2**20 < 2 * rows * widest * 4 or rows == 8192

    def test_limits(self):
        assert rows_per_batch(nn.Linear(1, 1), (1,), self.cpu) == 8192
        assert rows_per_batch(nn.Linear(1, 10**6), (1,), self.cpu) == 32
        assert rows_per_batch(nn.Linear(1, 1), (1,), torch.device("cuda")) == 2**18

    def test_long_windows_of_recurrent_nets_keep_a_batch_worth_its_call(self):
        assert rows_per_batch(nn.GRU(1, 32), (5_000, 1), self.cpu) == 128

    def test_rows_that_unfold_inside_count_as_unfolded(self):
        module = nn.Module()
        module.recurrent, module.n_timesteps = nn.GRU(4, 64), 20
        assert rows_per_batch(module, (80,), self.cpu) == rows_per_batch(module, (20, 4), self.cpu)


class TestEvaluating:
    def test_modes_are_restored_part_by_part(self):
        module = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2), nn.Dropout())
        module[1].eval()
        with evaluating(module):
            assert not any(child.training for child in module.modules())
            assert not torch.is_grad_enabled()
        assert module.training
        assert [child.training for child in module] == [True, False, True]
        assert torch.is_grad_enabled()

    def test_modes_are_restored_after_an_error(self):
        module = nn.Dropout()
        with pytest.raises(RuntimeError), evaluating(module):
            raise RuntimeError
        assert module.training


class TestForward:
    @pytest.mark.parametrize("batch_size", [1, 3, 4, 10, 11, None])
    def test_batches_do_not_change_the_outputs(self, batch_size):
        module, X = Counting(), np.arange(20.0).reshape(10, 2)
        outputs = forward(module, X, batch_size=batch_size)
        np.testing.assert_array_equal(outputs.numpy(), 2 * X)
        size = 10 if batch_size is None else min(batch_size, 10)
        assert [n for n, _, _ in module.batches][:-1] == [size] * (-(-10 // size) - 1)
        assert sum(n for n, _, _ in module.batches) == 10

    def test_no_autograd_state(self):
        module = nn.Linear(2, 1)
        outputs = forward(module, np.ones((3, 2)))
        assert not outputs.requires_grad
        assert outputs.is_inference()
        assert outputs.dtype == torch.float32

    def test_dropout_is_off_and_stays_on(self):
        module = nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.9))
        X = np.ones((50, 2))
        np.testing.assert_array_equal(forward(module, X), forward(module, X))
        assert module.training

    @pytest.mark.parametrize(
        "X",
        [
            np.ones((3, 2), dtype=np.float64),
            np.ones((3, 2), dtype=np.int64),
            np.ones((2, 3)).T,
            np.ones((3, 2))[::-1],
            torch.ones(3, 2, dtype=torch.float64),
        ],
    )
    def test_rows_take_the_type_of_the_module(self, X):
        for dtype in (torch.float32, torch.float64):
            module = nn.Linear(2, 1).to(dtype)
            outputs = forward(module, X)
            assert outputs.dtype == dtype
            expected = module(torch.ones(3, 2, dtype=dtype)).detach()
            torch.testing.assert_close(outputs, expected)

    def test_first_of_several_outputs(self):
        module = nn.GRU(2, 3, batch_first=True)
        X = np.random.default_rng(0).normal(size=(7, 4, 2))
        expected = module(torch.as_tensor(X, dtype=torch.float32))[0].detach()
        for batch_size in (2, 7):
            outputs = forward(module, X, batch_size=batch_size)
            torch.testing.assert_close(outputs, expected)

    def test_no_rows(self):
        assert forward(nn.Linear(2, 5), np.empty((0, 2))).shape == (0, 5)


@pytest.mark.parametrize("n_rows", [1, 3])
def test_reversed_rows(n_rows):
    rows = np.arange(12.0).reshape(4, 3)
    expected = forward(nn.Identity(), rows[::-1][:n_rows].copy())
    torch.testing.assert_close(forward(nn.Identity(), rows[::-1][:n_rows]), expected)
