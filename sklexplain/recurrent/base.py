"""From hyperparameters and arrays to a trained skorch net, and back to predictions."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    _fit_context,
    clone,
    is_regressor,
)
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    column_or_1d,
    validate_data,
)
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping, GradientNormClipping
from skorch.utils import noop
from torch import nn

from ..inference import forward, module_device, resolve_device
from .seeds import isolated_seed
from .training import (
    BatchIterator,
    ClassifierNet,
    EpochProgress,
    LearnScales,
    RegressorNet,
    RowDataset,
    SplitLastRows,
    StopOnDivergence,
)


class BaseNetEstimator(BaseEstimator):
    """Everything that the eight estimators share; subclasses say which module and which task."""

    _parameter_constraints: dict = {
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "num_layers": [Interval(Integral, 1, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "gradient_clip": [Interval(Real, 0, None, closed="neither"), None],
        "standardize": ["boolean"],
        "device": [str, torch.device],
        "callbacks": [list, None],
        "net_params": [dict, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    _net_class: ClassVar[type[NeuralNet]]
    _net_defaults: ClassVar[dict[str, Any]] = {}
    input_shape_: tuple[int, ...]

    @property
    def module_(self) -> nn.Module:
        """The trained torch module: raw units in, raw units (or logits) out."""
        return self.net_.module_

    @property
    def device_(self) -> torch.device:
        """Where the module is."""
        return module_device(self.module_)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train on windows and their targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps, n_features) or (n_samples, n_columns)
            In order of time where `early_stopping` is on, because the last rows validate.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets, or class labels of shape (n_samples,).
        sample_weight : array-like of shape (n_samples,), optional
            Weights of the rows in the loss, in the validation loss and in the scales.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the data cannot be used: their shape, NaN, text, too few rows to validate on.
        TrainingDivergedError
            If the loss or a weight becomes NaN or infinite. It is a ValueError.
        """
        rows, y = self._check_X(X, y, reset=True)
        targets = self._encode_targets(y)
        weight = self._check_weight(sample_weight, rows)
        n_valid = self._n_valid_rows(targets, weight)
        device = resolve_device(self.device)
        data = RowDataset(
            torch.from_numpy(rows),
            torch.from_numpy(targets),
            None if weight is None else torch.from_numpy(weight),
        ).part(slice(None))

        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        with isolated_seed(seed, device):
            net = self._make_net(self.input_shape_, n_valid, device, weighted=weight is not None)
            net.fit(data, None)
        # skorch ends training at Ctrl-C and leaves the epoch unfinished in its history.
        n_epochs = sum("train_batch_count" in epoch for epoch in net.history)
        if not n_epochs:
            raise KeyboardInterrupt("Training was interrupted before its first epoch ended.")
        self.net_ = net
        self.n_iter_ = n_epochs
        early_stopping = dict(net.callbacks_).get("early_stopping")
        self.best_epoch_ = getattr(early_stopping, "best_epoch_", 0) or self.n_iter_
        self.history_ = {
            name: [float(epoch[name]) for epoch in net.history if name in epoch]
            for name in ("train_loss", "valid_loss")
            if name in net.history[0]
        }
        return self

    def _make_net(
        self, input_shape: tuple[int, ...], n_valid: int, device: torch.device, *, weighted: bool
    ) -> NeuralNet:
        """Return the skorch net, not yet initialised."""
        net_params = self.net_params or {}
        for name in net_params:
            if name == "callbacks" or name.split("__")[0] == "module":
                raise ValueError(
                    f"net_params may not set {name!r}: the estimator's own parameters say that."
                )
        if weighted and net_params.get("iterator_train", BatchIterator) is not BatchIterator:
            raise ValueError(
                "sample_weight cannot pass through the iterator_train in net_params. Leave one "
                "of them out."
            )
        module, module_params = self._module_params(input_shape)
        params: dict[str, Any] = {
            "module": module,
            "optimizer": torch.optim.AdamW,
            "lr": self.lr,
            "max_epochs": self.max_epochs,
            "batch_size": self.batch_size,
            "dataset": RowDataset,
            "iterator_train": BatchIterator,
            "iterator_train__shuffle": True,
            "iterator_valid": BatchIterator,
            "train_split": SplitLastRows(n_valid) if n_valid else None,
            "callbacks": self._make_callbacks(n_valid),
            "criterion__reduction": "none" if weighted else "mean",
            "device": device,
            "verbose": self.verbose,
            "module__n_outputs": self.n_outputs_,
            "module__scale_outputs": is_regressor(self),
            **{f"module__{name}": value for name, value in module_params.items()},
        }
        if self.verbose < 2:
            params["callbacks__print_log"] = None
        # An optimizer that the user chose need not know the word, unless the user says it.
        if self.weight_decay or "optimizer" not in net_params:
            params["optimizer__weight_decay"] = self.weight_decay
        return self._net_class(**{**params, **self._net_defaults, **net_params})

    def _make_callbacks(self, n_valid: int) -> list[tuple[str, Any] | Any]:
        callbacks: list[tuple[str, Any] | Any] = [("stop_on_divergence", StopOnDivergence())]
        if self.standardize:
            callbacks.append(("learn_scales", LearnScales()))
        if self.gradient_clip is not None:
            callbacks.append(("gradient_clip", GradientNormClipping(self.gradient_clip)))
        if self.verbose == 1:
            callbacks.append(("progress", EpochProgress()))
        for callback in self.callbacks or []:
            if not hasattr(callback[-1] if isinstance(callback, tuple) else callback, "initialize"):
                raise TypeError(
                    f"callbacks holds {callback!r}. Give skorch callbacks or (name, callback) pairs"
                )
        # Cloned, because skorch keeps state in its callbacks and a parameter must not change.
        callbacks += clone(self.callbacks or [], safe=False)
        if n_valid:
            # Last, because it ends an epoch for every callback that follows it.
            early_stopping = EarlyStopping(
                patience=self.n_iter_no_change, threshold=0, load_best=True, sink=noop
            )
            callbacks.append(("early_stopping", early_stopping))
        return callbacks

    def _check_X(self, X: Any, y: Any = None, *, reset: bool) -> Any:
        """Return X as float32 (with y, when fitting), having checked its shape and names."""
        name = type(self).__name__
        shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
        ndim = len(shape)
        if ndim > 3:
            raise ValueError(
                f"X has {ndim} dimensions, but {name} takes (n_samples, n_timesteps, n_features) "
                "or (n_samples, n_columns). Reshape X."
            )
        if not reset and 3 in (ndim, len(self.input_shape_) + 1) and shape[1:] != self.input_shape_:
            raise ValueError(
                f"X has samples of shape {shape[1:]}, but {name} was fitted on samples of shape "
                f"{self.input_shape_}. Give X of that shape, or fit again."
            )
        if ndim == 3 and 0 in shape[1:]:
            raise ValueError(f"X has no time steps or no features: its shape is {shape}.")
        # Writeable, because torch shares the memory and warns of memory it may not write.
        params: dict[str, Any] = {"dtype": np.float32, "order": "C", "force_writeable": True}
        if ndim == 3:
            params |= {"ensure_2d": False, "allow_nd": True}
        try:
            if not reset:
                return validate_data(self, X, reset=False, **params)
            params |= {"multi_output": True, "y_numeric": is_regressor(self)}
            X, y = validate_data(self, X, y, **params)
        except ValueError as error:
            if "could not convert" not in str(error):
                raise
            raise ValueError(
                f"{name} takes numbers, but X or y holds text ({error}). Encode it first, for "
                "example with sklearn.preprocessing.OneHotEncoder."
            ) from error
        self.input_shape_ = X.shape[1:]
        if ndim == 3:
            self.n_features_in_ = X.shape[2]
        return X, y

    def _check_weight(self, sample_weight: Any, X: np.ndarray) -> np.ndarray | None:
        if sample_weight is None:
            return None
        return _check_sample_weight(sample_weight, X, dtype=np.float32, ensure_non_negative=True)

    def _n_valid_rows(self, targets: np.ndarray, weight: np.ndarray | None) -> int:
        """Return how many of the last rows validate, having checked that both parts can serve."""
        if not self.early_stopping:
            n_valid = 0
        else:
            n_rows = len(targets)
            n_valid = int(self.validation_fraction * n_rows)
            if not 0 < n_valid < n_rows:
                raise ValueError(
                    f"validation_fraction={self.validation_fraction} of n_samples={n_rows} leaves "
                    f"{n_valid} rows to validate on and {n_rows - n_valid} to train on. Give more "
                    "rows, change validation_fraction, or set early_stopping=False."
                )
        n_train = len(targets) - n_valid
        if weight is not None and not (
            weight[:n_train].any() and (n_valid == 0 or weight[n_train:].any())
        ):
            raise ValueError(
                "sample_weight is zero for every row of the training part or of the validation "
                f"part (the last {n_valid} rows). Give some row of each a positive weight, or set "
                "early_stopping=False."
            )
        self._check_training_part(targets[:n_train])
        return n_valid

    def _check_training_part(self, targets: np.ndarray) -> None:
        """Raise if the rows that are left for training cannot serve."""

    def _forward(self, X: ArrayLike) -> torch.Tensor:
        """Return the module's outputs for checked rows, on its device."""
        check_is_fitted(self, "net_")
        rows = self._check_X(X, reset=False)
        module = self.module_
        if getattr(module, "n_timesteps", None) is None:
            # Flat rows tell `forward` that no layer repeats over time steps.
            rows = rows.reshape(len(rows), -1)
        return forward(module, rows)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


class BaseNetRegressor(RegressorMixin, BaseNetEstimator):
    """The regressors' part: numeric targets, one or several."""

    _net_class: ClassVar = RegressorNet

    def _encode_targets(self, y: np.ndarray) -> np.ndarray:
        if y.dtype.kind in "US":
            name = type(self).__name__
            raise ValueError(f"{name} takes numbers, but y holds text. Labels are for classifiers.")
        with np.errstate(over="ignore"):
            targets = np.asarray(y, dtype=np.float32)
        if not np.isfinite(targets).all():
            raise ValueError("y holds values too large for float32. Rescale y.")
        self._y_is_1d = targets.ndim == 1
        targets = targets.reshape(len(targets), -1)
        self.n_outputs_ = targets.shape[1]
        return targets

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict targets.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps, n_features) or (n_samples, n_columns)
            Samples of the shape seen in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_targets)
            As `y` was in `fit`, in float32, the type that the module computes in.
        """
        outputs = self._forward(X).numpy(force=True)
        return outputs[:, 0] if self._y_is_1d else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class BaseNetClassifier(ClassifierMixin, BaseNetEstimator):
    """The classifiers' part: labels, logits and probabilities."""

    _net_class: ClassVar = ClassifierNet
    _net_defaults: ClassVar = {"criterion": nn.CrossEntropyLoss, "callbacks__valid_acc": None}

    def _encode_targets(self, y: np.ndarray) -> np.ndarray:
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.n_outputs_ = len(self.classes_)
        if self.n_outputs_ < 2:
            raise ValueError(
                f"y has one class only, {self.classes_.tolist()[0]!r}. "
                f"{type(self).__name__} needs at least two."
            )
        return codes.astype(np.int64)

    def _check_training_part(self, targets: np.ndarray) -> None:
        missing = np.setdiff1d(np.arange(self.n_outputs_), targets)
        if len(missing):
            raise ValueError(
                f"The classes {self.classes_[missing].tolist()} occur only in the last rows, "
                "which early_stopping=True sets aside to validate on. Shuffle the rows if their "
                "order means nothing, lower validation_fraction, or set early_stopping=False."
            )

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict class labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps, n_features) or (n_samples, n_columns)
            Samples of the shape seen in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        codes = self._forward(X).argmax(dim=1).numpy(force=True)
        return self.classes_[codes]

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Predict the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps, n_features) or (n_samples, n_columns)
            Samples of the shape seen in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of `classes_`, in float32.
        """
        return self._forward(X).softmax(dim=1).numpy(force=True)

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Return the logits.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_timesteps, n_features) or (n_samples, n_columns)
            Samples of the shape seen in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes, the log-odds of the second.
        """
        logits = self._forward(X).numpy(force=True)
        return logits[:, 1] - logits[:, 0] if self.n_outputs_ == 2 else logits
