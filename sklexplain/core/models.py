"""Model: an estimator, net, module or function as one callable from rows to outputs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy.special import logit
from sklearn.base import is_regressor

from .adapters import (
    AdaptedRegressor,
    OutputError,
    as_columns,
    is_plain,
    is_unlabelled_skorch,
    torch_parts,
    unwrapped,
    uses_torch,
    wrong_rows,
)
from .parcels import sent_once
from .tables import RowCodec

OUTPUTS = ("auto", "predict", "predict_proba", "decision_function")
LINKS = ("identity", "logit")


class ModelError(RuntimeError):
    """The explained model raised an error; what it raised is the cause."""


class NonFiniteOutputError(ModelError, ValueError):
    """The explained model returned NaN or an infinite value."""


@sent_once
class Model:
    """One callable for every kind of model: numeric rows in, (n_samples, n_outputs) out.

    Parameters
    ----------
    estimator : fitted estimator, Pipeline, FrozenEstimator, skorch net, nn.Module or function
    output : {"auto", "predict", "predict_proba", "decision_function"}, default="auto"
        Which of the estimator's methods to explain; ``"auto"`` takes probabilities where there
        are any, then decision values, then predictions.
    link : {"identity", "logit"}, default="identity"
        A function of the outputs that is explained in their place: the log-odds of probabilities.
    codec : RowCodec, optional
        Turns numeric rows back into what the estimator was fitted on.

    Attributes
    ----------
    method : str
        The method that was chosen.
    module : nn.Module or None
        The torch module that can be run on tensors directly, rows in the estimator's own units.
    head : callable or None
        Maps the module's output to the explained outputs, tensors to tensors.
    class_names : tuple of str
        The classes, where the outputs belong to classes.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        output: str = "auto",
        link: str = "identity",
        codec: RowCodec | None = None,
    ) -> None:
        if link not in LINKS:
            raise ValueError(f"link={link!r} is not one of {LINKS}")
        self.estimator = estimator
        self.link = link
        self.codec = RowCodec() if codec is None else codec
        self.module, self.head = None, None
        core = unwrapped(estimator)
        if is_plain(core):
            self.method = "predict" if output == "auto" else output
            if self.method != "predict":
                raise ValueError(
                    f"output={output!r} needs an estimator; wrap the function or module with "
                    'as_estimator(model, task="classifier")'
                )
        else:
            self.method = chosen_method(core, output)
        classes: Any = () if self.method == "predict" else getattr(core, "classes_", ())
        self.class_names = tuple(str(name) for name in classes)
        if not self.codec.categories:
            self.module, self.head = torch_parts(core, self.method)

    @property
    def uses_torch(self) -> bool:
        """Whether running it keeps the cores busy with torch's own threads."""
        return self.is_torch or uses_torch(self.estimator)

    @property
    def is_torch(self) -> bool:
        """Whether tensors can be run without leaving the device."""
        return self.module is not None

    def output_names(self, n_outputs: int) -> tuple[str, ...]:
        """Return the outputs' names; () for a single one, whose axis is dropped."""
        if n_outputs == 1:
            return ()
        if len(self.class_names) == n_outputs:
            return self.class_names
        return tuple(f"output {i}" for i in range(n_outputs))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Run rows of shape (n_samples, …) and return (n_samples, n_outputs) in float64."""
        if self.module is not None:
            from ..inference import forward

            with naming_errors():
                outputs = self.head(forward(self.module, rows))  # type: ignore[misc]
            if len(outputs) != len(rows):
                raise wrong_rows(len(rows), tuple(outputs.shape))
            return self._linked(outputs.double().cpu().numpy())
        estimator = self.estimator
        function = estimator if is_plain(estimator) else getattr(estimator, self.method)
        decoded = self.codec.decode(rows)
        with naming_errors():
            outputs = function(decoded)
        return self._linked(as_columns(outputs, len(rows), self.method))

    def run_tensor(self, rows: Any, module: Any = None) -> Any:
        """Run a tensor that is already on the module's device; return outputs in float64 there.

        Parameters
        ----------
        rows : tensor of shape (n_samples, …)
        module : nn.Module, optional
            Run in place of the model's own: a copy of it.
        """
        module = self.module if module is None else module
        with naming_errors():
            outputs = self.head(module(rows))  # type: ignore[misc]
        if len(outputs) != len(rows):
            raise wrong_rows(len(rows), tuple(outputs.shape))
        return outputs.double().logit() if self.link == "logit" else outputs.double()

    def _linked(self, outputs: np.ndarray) -> np.ndarray:
        if self.link == "identity":
            return outputs
        if np.any((outputs < 0) | (outputs > 1)):
            raise ValueError(
                'link="logit" needs outputs between 0 and 1, but the model gives '
                f'{outputs.min():.4g} to {outputs.max():.4g}; use output="predict_proba" or '
                'link="identity"'
            )
        if np.any((outputs == 0) | (outputs == 1)):
            raise ValueError(
                'link="logit" needs probabilities strictly between 0 and 1, but the model gives '
                'exactly 0 or 1; calibrate the classifier or use link="identity"'
            )
        return logit(outputs)


@contextmanager
def naming_errors() -> Iterator[None]:
    """Tell errors of the model from errors of whoever runs it."""
    try:
        yield
    except (ModelError, OutputError, MemoryError):
        raise
    except Exception as error:
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(error, torch.cuda.OutOfMemoryError):
            raise
        raise ModelError(f"the model raised {type(error).__name__}: {error}") from error


def chosen_method(estimator: Any, output: str) -> str:
    """Return the estimator's method that `output` means.

    Raises
    ------
    ValueError
        If `output` is unknown, or if the estimator lacks that method.
    """
    if output not in OUTPUTS:
        raise ValueError(f"output={output!r} is not one of {OUTPUTS}")
    if output == "auto":
        # skorch's nets have a predict_proba that gives probabilities only of classifiers.
        tagged = hasattr(estimator, "__sklearn_tags__")
        if tagged and (is_regressor(estimator) or is_unlabelled_skorch(estimator)):
            return "predict"
        candidates = ("predict_proba", "decision_function")
        output = next((name for name in candidates if hasattr(estimator, name)), "predict")
    if not hasattr(estimator, output):
        if isinstance(estimator, AdaptedRegressor):
            raise ValueError(
                f"output={output!r}, but a function, module or net without a task only predicts; "
                'wrap it with as_estimator(model, task="classifier")'
            )
        available = [name for name in OUTPUTS[1:] if hasattr(estimator, name)]
        raise ValueError(
            f"output={output!r}, but {type(estimator).__name__} has only {available}; choose one "
            "of these"
        )
    return output
