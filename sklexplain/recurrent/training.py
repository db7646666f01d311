"""What the estimators add to skorch: whole-batch iteration, weights, scales, guards, seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback
from skorch.dataset import Dataset
from torch.utils.data import Subset

from .._progress import tqdm
from ..inference import module_device, rows_per_batch
from .persistence import ArraysInState


class TrainingDivergedError(ValueError):
    """The training loss, or a weight, became NaN or infinite."""


class RowDataset(Dataset):
    """A skorch dataset that also holds one weight a row.

    Parameters
    ----------
    X : tensor or ndarray of shape (n_samples, ...)
    y : tensor or ndarray of shape (n_samples, ...), optional
    sample_weight : tensor of shape (n_samples,), optional
    """

    def __init__(self, X: Any, y: Any = None, sample_weight: torch.Tensor | None = None) -> None:
        super().__init__(X, y)
        self.sample_weight = sample_weight

    def part(self, rows: slice) -> RowDataset:
        """Return the dataset of some rows; weights have mean 1 within the part.

        A mean of 1 makes skorch's average over batches the exact weighted mean.
        """
        weight = None if self.sample_weight is None else self.sample_weight[rows]
        if weight is not None:
            weight = weight / weight.mean()
        return RowDataset(self.X[rows], self.y[rows], weight)


class SplitLastRows:
    """A skorch `train_split`: the last rows validate, because they are the latest in time.

    Parameters
    ----------
    n_valid : int
        Number of validation rows.
    """

    def __init__(self, n_valid: int) -> None:
        self.n_valid = n_valid

    def __call__(self, dataset: RowDataset, y: object = None) -> tuple[RowDataset, RowDataset]:
        """Return the training part and the validation part."""
        return dataset.part(slice(-self.n_valid)), dataset.part(slice(-self.n_valid, None))


def rows_of(dataset: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """Return inputs, targets and weights of a dataset, or of a subset of one, as tensors."""
    if isinstance(dataset, Subset):
        rows = torch.as_tensor(dataset.indices)
        X, y, weight = rows_of(dataset.dataset)
        return X[rows], y[rows], None if weight is None else weight[rows]
    X = torch.as_tensor(dataset.X, dtype=torch.float32)
    # skorch predicts from datasets without targets, yet every batch is a pair.
    y = torch.zeros(len(X)) if dataset.y is None else torch.as_tensor(dataset.y)
    return X, y, getattr(dataset, "sample_weight", None)


class Batch(tuple):
    """The pair (X, y) that skorch expects, which also carries the rows' weights."""

    sample_weight: torch.Tensor | None = None


class BatchIterator:
    """Cut whole batches out of tensors; torch's DataLoader would collate them row by row.

    Parameters
    ----------
    dataset : RowDataset, skorch dataset, or Subset of one
    batch_size : int
    shuffle : bool
        Whether each pass takes a fresh random order, from torch's generator.
    """

    def __init__(self, dataset: Any, batch_size: int, shuffle: bool = False) -> None:
        self.X, self.y, self.sample_weight = rows_of(dataset)
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __len__(self) -> int:
        return -(-len(self.X) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        n_rows = len(self.X)
        order = torch.randperm(n_rows) if self.shuffle else None
        for start in range(0, n_rows, self.batch_size):
            rows: Any = slice(start, start + self.batch_size)
            if order is not None:
                rows = order[rows]
            batch = Batch((self.X[rows], self.y[rows]))
            if self.sample_weight is not None:
                batch.sample_weight = self.sample_weight[rows]
            yield batch


class _TimeSeriesNet:
    """What both nets share: a loss on standardised targets, weighted row by row."""

    batch_weight_: torch.Tensor | None = None

    def partial_fit(self, X: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().partial_fit(X, y, *args, **kwargs)  # type: ignore[misc]
        finally:
            # skorch tells callbacks nothing of a training that raises.
            for _, callback in getattr(self, "callbacks_", ()):
                if isinstance(callback, EpochProgress):
                    callback.close()

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        iterator = super().get_iterator(dataset, training=training)  # type: ignore[misc]
        if isinstance(iterator, BatchIterator) and not (
            training or hasattr(self, "iterator_valid__batch_size")
        ):
            # Without gradients, other batches are fast than those that train well.
            module = self.module_  # type: ignore[attr-defined]
            row_shape = tuple(iterator.X.shape[1:])
            iterator.batch_size = rows_per_batch(module, row_shape, module_device(module))
        return iterator

    def on_batch_begin(
        self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        super().on_batch_begin(net, batch=batch, training=training, **kwargs)  # type: ignore[misc]
        self.batch_weight_ = getattr(batch, "sample_weight", None)

    def on_train_end(self, net: Any, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        super().on_train_end(net, X=X, y=y, **kwargs)  # type: ignore[misc]
        self.batch_weight_ = None

    def get_loss(
        self, y_pred: torch.Tensor, y_true: torch.Tensor, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        standardize = self.module_.standardize_targets  # type: ignore[attr-defined]
        y_true = y_true.to(y_pred.device)
        loss = super().get_loss(  # type: ignore[misc]
            standardize(y_pred), standardize(y_true), *args, **kwargs
        )
        if self.batch_weight_ is None:
            return loss
        if loss.dim() == 0 or len(loss) != len(y_pred):
            raise ValueError(
                "sample_weight needs one loss a row, but the criterion in net_params gives "
                f"shape {tuple(loss.shape)}. Use a criterion that honours reduction='none'."
            )
        weight = self.batch_weight_.to(loss.device)
        return (loss.reshape(len(loss), -1).mean(dim=1) * weight).mean()


class RegressorNet(ArraysInState, _TimeSeriesNet, NeuralNetRegressor):
    """skorch's regressor, its loss in units of the training targets' spread."""


class ClassifierNet(ArraysInState, _TimeSeriesNet, NeuralNetClassifier):
    """skorch's classifier, its loss weighted row by row where there are weights."""


class LearnScales(Callback):
    """Learn input and target scales from the training rows, before the first step."""

    def on_epoch_begin(self, net: Any, dataset_train: Any = None, **kwargs: Any) -> None:
        """Set the module's buffers, once: training that continues keeps its scales."""
        if len(net.history) > 1:
            return
        module = net.module_
        X, y, weight = rows_of(dataset_train)
        _learn_scales(X, weight, module.input_mean, module.input_scale)
        if module.target_mean is not None:
            _learn_scales(y, weight, module.target_mean, module.target_scale)


def _learn_scales(
    values: torch.Tensor, weight: torch.Tensor | None, mean: torch.Tensor, scale: torch.Tensor
) -> None:
    """Write mean and standard deviation of the columns of `values` into `mean` and `scale`."""
    columns = values.numpy(force=True).reshape(-1, len(mean))
    repeated = None
    if weight is not None:
        repeated = np.repeat(weight.numpy(force=True), len(columns) // len(weight))
    scaler = StandardScaler().fit(columns, sample_weight=repeated)
    # A spread that float32 cannot hold would divide by zero; such a column counts as constant.
    spread = np.where(scaler.scale_ < np.finfo(np.float32).tiny, 1.0, scaler.scale_)
    mean.copy_(torch.as_tensor(scaler.mean_))
    scale.copy_(torch.as_tensor(spread))


class StopOnDivergence(Callback):
    """Raise at the first loss that is NaN or infinite, rather than train on."""

    def on_batch_end(self, net: Any, *, training: bool, loss: torch.Tensor, **kwargs: Any) -> None:
        """Check the loss of the batch."""
        value = loss.detach().mean().item()
        if not math.isfinite(value):
            name = "training" if training else "validation"
            raise TrainingDivergedError(
                f"The {name} loss became {value} in epoch {len(net.history)}. {_remedy(net)}"
            )

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Check the weights: the last step has no loss after it."""
        if not all(bool(torch.isfinite(weight).all()) for weight in net.module_.parameters()):
            raise TrainingDivergedError(
                f"A weight became NaN or infinite in epoch {len(net.history)}. {_remedy(net)}"
            )


def _remedy(net: Any) -> str:
    return (
        f"Lower lr (it is {net.lr}), set standardize=True, set gradient_clip=1.0 or less, and "
        "look for extreme values in X and y."
    )


class EpochProgress(Callback):
    """A progress bar over epochs that shows the losses."""

    bar_: Any = None

    def on_train_begin(self, net: Any, **kwargs: Any) -> None:
        """Open the bar."""
        self.bar_ = tqdm(total=net.max_epochs, desc="training", unit="epoch")

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """Move the bar by one epoch."""
        names = [name for name in ("train_loss", "valid_loss") if name in net.history[-1]]
        self.bar_.set_postfix({name: f"{net.history[-1, name]:.4g}" for name in names})
        self.bar_.update()

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        """Show training that stopped early as whole: notebooks paint any other bar red."""
        self.bar_.total = self.bar_.n
        self.close()

    def close(self) -> None:
        """Close the bar, and drop it: it cannot be pickled."""
        if self.bar_ is not None:
            self.bar_.close()
            del self.bar_
