"""Adapters: what a model is made of, and trained models dressed as scikit-learn estimators."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from .tables import RowCodec

# Where models of trees come from.
_TREES = (
    "sklearn.tree.",
    "sklearn.ensemble._forest",
    "sklearn.ensemble._gb",
    "sklearn.ensemble._hist_gradient_boosting",
    "lightgbm.",
    "xgboost.",
    "catboost.",
)
# Tensor to tensor: from a module's output to what is explained.
Head = Callable[[Any], Any]


class OutputError(ValueError):
    """A model's output cannot be read: its shape or its type is not what an explainer takes."""


def unwrapped(estimator: Any) -> Any:
    """Return what stands inside frozen and adapting wrappers, where it runs on the same rows."""
    while isinstance(estimator, FrozenEstimator):
        estimator = estimator.estimator
    return estimator


def is_plain(model: Any) -> bool:
    """Whether `model` is a bare function or torch module rather than an estimator."""
    # A module may have a `predict` of its own, which is not scikit-learn's.
    return _is_torch_module(model) or (callable(model) and not hasattr(model, "predict"))


def torch_parts(estimator: Any, method: str) -> tuple[Any, Head | None]:
    """Return the module inside a torch-backed estimator and what turns its output into `method`'s.

    The module is None where there is none, or where running it alone would skip part of the
    estimator's work.
    """
    if "torch" not in sys.modules:
        return None, None
    if isinstance(estimator, _Adapter):
        inner = estimator.model
        if _is_skorch(inner):
            return torch_parts(inner, method)
        if not _is_torch_module(inner):
            return None, None
        if method == "predict":
            return (None, None) if is_classifier(estimator) else (inner, _columns)
        return inner, _probabilities if method == "predict_proba" else _log_odds
    if _is_torch_module(estimator):
        return estimator, _columns
    if _is_skorch(estimator):
        if method == "predict" and is_classifier(estimator):
            return None, None
        nonlinearity = estimator._get_predict_nonlinearity()
        return estimator.module_, lambda output: _columns(nonlinearity(_first(output)))
    # The package's own estimators: a module in raw units that gives predictions or logits.
    if hasattr(estimator, "net_") and _is_torch_module(getattr(estimator, "module_", None)):
        if not is_classifier(estimator):
            return estimator.module_, _columns
        if method == "predict_proba":
            return estimator.module_, _probabilities
        if method == "decision_function":
            return estimator.module_, _log_odds
    return None, None


def uses_torch(estimator: Any) -> bool:
    """Whether predicting runs a torch net, whose own threads already use the cores."""
    core = innermost(estimator)
    return torch_module(core) is not None or _is_skorch(core)


def torch_module(estimator: Any) -> Any:
    """Return the torch module that runs when the estimator predicts; None where there is none."""
    core = innermost(estimator)
    for module in (core, getattr(core, "module_", None)):
        if _is_torch_module(module):
            return module
    return None


def innermost(estimator: Any) -> Any:
    """Return the model that predicts, inside pipelines, searches and wrappers."""
    if isinstance(estimator, Pipeline):
        return innermost(estimator.steps[-1][1])
    if isinstance(estimator, FrozenEstimator):
        return innermost(estimator.estimator)
    if isinstance(estimator, _Adapter):
        return innermost(estimator.model)
    for fitted in ("regressor_", "best_estimator_"):
        if hasattr(estimator, fitted):
            return innermost(getattr(estimator, fitted))
    return estimator


def made_of_trees(estimator: Any) -> bool:
    """Whether a model predicts by decision trees, so that its output jumps where a cell moves.

    Parameters
    ----------
    estimator : estimator, torch module, function or bound method of an estimator

    Returns
    -------
    bool
    """
    core = innermost(estimator)
    core = innermost(getattr(core, "__self__", core))
    parts = getattr(core, "estimators_", None)
    if isinstance(parts, list) and parts:
        # A vote, a bag, a stack with what is on top of it.
        parts = [*parts, getattr(core, "final_estimator_", parts[0])]
        return all(made_of_trees(part) for part in parts if not isinstance(part, str))
    starts_elsewhere = getattr(core, "init", None) not in (None, "zero")
    return type(core).__module__.startswith(_TREES) and not starts_elsewhere


def _first(output: Any) -> Any:
    return output[0] if isinstance(output, tuple) else output


def _columns(output: Any) -> Any:
    output = _first(output)
    return output.reshape(len(output), -1)


def _probabilities(output: Any) -> Any:
    import torch

    logits = _columns(output)
    if logits.shape[1] == 1:
        positive = torch.sigmoid(logits)
        return torch.cat([1 - positive, positive], dim=1)
    return torch.softmax(logits, dim=1)


def _log_odds(output: Any) -> Any:
    """One column for two classes, as scikit-learn's decision functions have it."""
    logits = _columns(output)
    return logits[:, 1:] - logits[:, :1] if logits.shape[1] == 2 else logits


def _is_torch_module(model: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _is_skorch(model: Any) -> bool:
    skorch = sys.modules.get("skorch")
    return skorch is not None and isinstance(model, skorch.NeuralNet)


def is_unlabelled_skorch(model: Any) -> bool:
    """Whether a skorch net's outputs belong to no classes."""
    return _is_skorch(model) and not is_classifier(model)


def wrong_rows(n_rows: int, shape: tuple[int, ...]) -> OutputError:
    """Return the error for a model that does not return one output a row."""
    return OutputError(
        f"the model returned an output of shape {shape} for {n_rows} rows; it must return one "
        "output (or one row of outputs) a row"
    )


def as_columns(outputs: Any, n_rows: int, method: str) -> np.ndarray:
    """Return what `method` returned as (n_rows, n_outputs), float64."""
    if isinstance(outputs, list) and len(outputs) and np.ndim(outputs[0]) == 2:
        raise OutputError(
            f"{method} returns a list of {len(outputs)} arrays (a classifier of several targets); "
            "explain one target at a time"
        )
    array = np.asarray(outputs)
    if array.ndim == 0 or array.ndim > 2 or len(array) != n_rows:
        raise wrong_rows(n_rows, array.shape)
    try:
        array = array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise OutputError(
            f"{method} returns labels that are not numbers ({array.ravel()[0]!r}); use "
            'output="predict_proba" or output="decision_function"'
        ) from error
    return array.reshape(n_rows, -1)


class _Adapter(BaseEstimator):
    """A trained model that is no scikit-learn estimator, dressed as one."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any, y: Any = None) -> _Adapter:
        """Do nothing: the model is trained."""
        return self

    def _outputs(self, X: Any, method: str) -> np.ndarray:
        module, head = torch_parts(self, method)
        codec = RowCodec.from_rows(X)
        if module is not None:
            from ..inference import forward

            return head(forward(module, codec.encode(X))).cpu().numpy()  # type: ignore[misc]
        return as_columns(self.model(X), len(X), method)


class AdaptedRegressor(RegressorMixin, _Adapter):
    """A trained model that predicts numbers."""

    def predict(self, X: Any) -> np.ndarray:
        """Return the model's outputs; one column is flattened."""
        outputs = self._outputs(X, "predict")
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs


class _AdaptedClassifier(ClassifierMixin, _Adapter):
    def __init__(self, model: Any, classes: Sequence[Any] | None = None) -> None:
        super().__init__(model)
        self.classes = classes

    @property
    def classes_(self) -> np.ndarray:
        """The class labels."""
        if self.classes is not None:
            return np.asarray(self.classes)
        if _is_skorch(self.model):
            return np.asarray(self.model.classes_)
        return np.arange(2)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability of each class."""
        outputs = self._outputs(X, "predict_proba")
        if outputs.shape[1] == 1:
            outputs = np.hstack([1 - outputs, outputs])
        if outputs.shape[1] != len(self.classes_):
            raise OutputError(
                f"the model gives {outputs.shape[1]} probabilities a row for "
                f"{len(self.classes_)} classes; name them with as_estimator(…, classes=[…])"
            )
        return outputs

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class."""
        return self.classes_[np.argmax(self.predict_proba(X), axis=1)]


def as_estimator(
    obj: Any, task: str = "regressor", classes: Sequence[Any] | None = None
) -> FrozenEstimator:
    """Turn a trained model that is no scikit-learn estimator into a frozen one.

    Parameters
    ----------
    obj : nn.Module, skorch net, fitted estimator or function
        A module takes a tensor of rows; a function takes rows as they are given to the explainer
        and returns (n_samples,) or (n_samples, n_outputs).
    task : {"regressor", "classifier"}, default="regressor"
        An estimator or a skorch classifier knows its own. As a classifier, a module's outputs are
        logits (one for each class, or a single one for two classes) and a function's are
        probabilities.
    classes : sequence, optional
        The class labels, in the order of the outputs. By default a skorch net's own, else 0 and 1.

    Returns
    -------
    sklearn.frozen.FrozenEstimator
        Its `fit` does nothing; it predicts and scores as any estimator.

    Raises
    ------
    TypeError
        If `obj` can neither be called nor predict, or is a class.
    ValueError
        If `task` is unknown, or `classes` are given to a regressor.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain import as_estimator
    >>> model = as_estimator(lambda X: X[:, 0] + 2 * X[:, 1])
    >>> model.predict(np.array([[1.0, 2.0]]))
    array([5.])
    """
    if task not in ("regressor", "classifier"):
        raise ValueError(f'task={task!r} must be "regressor" or "classifier"')
    if isinstance(obj, type):
        raise TypeError(f"{obj.__name__} is a class; give a trained instance of it")
    if isinstance(obj, FrozenEstimator):
        return obj
    if is_plain(obj) or _is_skorch(obj):
        if _is_skorch(obj) and not getattr(obj, "initialized_", False):
            raise ValueError("the skorch net is not trained yet; call its fit first")
        if task == "classifier" or (_is_skorch(obj) and is_classifier(obj)):
            return FrozenEstimator(_AdaptedClassifier(obj, classes))
        if classes is not None:
            raise ValueError(f'classes={classes!r} are for task="classifier", but {task=}')
        return FrozenEstimator(AdaptedRegressor(obj))
    if hasattr(obj, "predict"):
        check_is_fitted(obj)
        return FrozenEstimator(obj)
    raise TypeError(
        f"{type(obj).__name__} can neither be called nor predict; give a trained torch module, a "
        "skorch net, a fitted estimator or a function of the rows"
    )
