"""Run torch modules at the speed of the bare forward pass: device, batch size, no autograd state.

The lowest floor: both the estimators and the engine stand on it. It imports torch, so whoever
must stay free of torch imports it inside the function that needs it.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import nn

# The widest activation of one batch should stay in the processor's cache. Measured on recurrent
# and feed-forward nets of 32 to 128 units, on one and on two cores: throughput is within 10 % of
# its best at this size and falls to a quarter at 64 MiB. A graphics card wants to be filled.
_ACTIVATION_BYTES = {"cpu": 4 * 2**20, "cuda": 2**30}
_BATCH_LIMITS = {"cpu": (32, 8192), "cuda": (1024, 2**18)}
# A recurrent layer runs its steps one after the other, so what is at hand is one step's: however
# long the window, 128 rows were faster than 32 or 64 (GRU of 32, 158 and 500 steps, by a fifth to
# a third).
_FEWEST_RECURRENT_ROWS = 128


def resolve_device(device: str | torch.device = "auto") -> torch.device:
    """Return the torch device meant by `device`; ``"auto"`` is a CUDA card where there is one.

    Raises
    ------
    ValueError
        If the device is not one that this machine's torch can use.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        raise ValueError(
            f"device={device!r} cannot be used here ({str(error).splitlines()[0]}). "
            'Use device="auto" or device="cpu".'
        ) from error
    return resolved


def module_device(module: nn.Module) -> torch.device:
    """Return the device of the module's first parameter or buffer; the CPU if it has none."""
    for tensor in _state(module):
        return tensor.device
    return torch.device("cpu")


def module_dtype(module: nn.Module) -> torch.dtype:
    """Return the type of the module's first floating-point parameter or buffer; else float32."""
    for tensor in _state(module):
        if tensor.is_floating_point():
            return tensor.dtype
    return torch.float32


def _state(module: nn.Module) -> Iterator[torch.Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def rows_per_batch(module: nn.Module, row_shape: tuple[int, ...], device: torch.device) -> int:
    """Return the number of rows at which `module` runs fastest, known by a rule, not measured.

    A rule rather than a stop-watch, because the last bits of a float32 result depend on the batch
    size, and a result should not depend on how busy the machine was.

    Parameters
    ----------
    module : nn.Module
    row_shape : tuple of int
        The shape of one sample, (n_timesteps, n_features) or (n_columns,).
    device : torch.device

    Returns
    -------
    int
        A power of two.
    """
    # A row that unfolds into time steps inside the module counts as already unfolded.
    n_timesteps = row_shape[0] if len(row_shape) > 1 else 1
    n_timesteps = max(n_timesteps, getattr(module, "n_timesteps", None) or 1)
    widest = int(np.prod(row_shape))
    for child in module.modules():
        if isinstance(child, nn.RNNBase | nn.RNNCellBase):
            # Its gates and its states are both at hand.
            widest = max(widest, 2 * n_timesteps * child.hidden_size)
        elif isinstance(child, nn.Linear):
            widest = max(widest, child.out_features * (n_timesteps if len(row_shape) > 1 else 1))
        elif isinstance(child, nn.Conv1d | nn.Conv2d):
            widest = max(widest, int(np.prod(row_shape)) // row_shape[-1] * child.out_channels)
    kind = "cpu" if device.type == "cpu" else "cuda"
    lowest, highest = _BATCH_LIMITS[kind]
    if any(isinstance(child, nn.RNNBase) for child in module.modules()):
        lowest = max(lowest, _FEWEST_RECURRENT_ROWS)
    rows = _ACTIVATION_BYTES[kind] / (4 * widest)
    return int(2 ** np.floor(np.log2(np.clip(rows, lowest, highest))))


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """Return an array of any memory layout as a tensor, copied only where torch needs it."""
    array = np.ascontiguousarray(array)
    # numpy calls a reversed axis of length 1 contiguous; torch takes no negative strides.
    return torch.as_tensor(array.copy() if min(array.strides, default=0) < 0 else array)


class _Evaluation:
    """How many threads run a module, and which of its parts were in training mode before."""

    def __init__(self, module: nn.Module) -> None:
        self.n_threads = 0
        self.training = [child for child in module.modules() if child.training]


_evaluations: WeakKeyDictionary[nn.Module, _Evaluation] = WeakKeyDictionary()
_evaluations_lock = threading.Lock()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put `module` into evaluation mode without autograd, and restore each part's mode after.

    Several threads may do so at once: the last to leave restores what the first one found.
    """
    with _evaluations_lock:
        evaluation = _evaluations.setdefault(module, _Evaluation(module))
        evaluation.n_threads += 1
        module.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        with _evaluations_lock:
            evaluation.n_threads -= 1
            if evaluation.n_threads == 0:
                del _evaluations[module]
                for child in evaluation.training:
                    child.training = True


class BatchLimit:
    """How many rows fit on a device, learned by running out of its memory.

    Attributes
    ----------
    most_rows : int or None
        None as long as everything fitted.
    """

    def __init__(self) -> None:
        self.most_rows: int | None = None

    def run(
        self, function: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor
    ) -> torch.Tensor:
        """Return ``function(batch)``, in halves where the whole does not fit.

        Raises
        ------
        torch.cuda.OutOfMemoryError
            If not even a single row fits.
        """
        if self.most_rows is not None and len(batch) > self.most_rows:
            return torch.cat([self.run(function, part) for part in batch.split(self.most_rows)])
        try:
            return function(batch)
        except RuntimeError as error:
            if len(batch) == 1 or not _is_out_of_memory(error):
                raise
        # Not inside the handler, whose traceback still holds the tensors that did not fit.
        self.most_rows = -(-len(batch) // 2)
        torch.cuda.empty_cache()
        warnings.warn(
            f"the device ran out of memory with a batch of {len(batch)} rows; going on with "
            f"{self.most_rows}. Set batch_size={self.most_rows} to begin there",
            RuntimeWarning,
            stacklevel=2,
        )
        return self.run(function, batch)


def _is_out_of_memory(error: RuntimeError) -> bool:
    told = str(error)
    return (
        isinstance(error, torch.cuda.OutOfMemoryError)
        or "CUDA error: out of memory" in told
        or "ALLOC_FAILED" in told
    )


def forward(
    module: nn.Module,
    X: np.ndarray | torch.Tensor,
    *,
    batch_size: int | None = None,
    device: torch.device | None = None,
) -> torch.Tensor:
    """Run `module` over the rows of `X` in batches and return its outputs, on its device.

    Parameters
    ----------
    module : nn.Module
        Maps a tensor (n, ...) to a tensor (n, ...), or to a tuple whose first entry is meant, as
        recurrent layers do. It runs in evaluation mode.
    X : ndarray or tensor of shape (n_samples, ...)
        Converted batch by batch to the module's type and device.
    batch_size : int, optional
        Rows a batch; by default :func:`rows_per_batch`.
    device : torch.device, optional
        Where the module lives; by default the device of its first parameter.

    Returns
    -------
    tensor of shape (n_samples, ...)
    """
    device = module_device(module) if device is None else device
    dtype = module_dtype(module)
    rows = X if isinstance(X, torch.Tensor) else as_tensor(X)
    if batch_size is None:
        batch_size = rows_per_batch(module, tuple(rows.shape[1:]), device)
    limit = BatchLimit()
    with evaluating(module):
        outputs = [
            limit.run(lambda part: _first(module(part)), batch.to(device, dtype))
            for batch in rows.split(batch_size)
        ]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def _first(output: torch.Tensor | tuple[torch.Tensor, ...]) -> torch.Tensor:
    return output[0] if isinstance(output, tuple) else output
