"""What the explainers share: fitting the inner estimator, reading rows, delegating to it."""

from __future__ import annotations

import os
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from sklearn import __version__ as sklearn_version
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils import get_tags
from sklearn.utils._param_validation import Interval
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, check_memory, column_or_1d

from .._version import __version__
from ..core.adapters import as_estimator, is_plain, unwrapped
from ..core.placement import takes_any_float
from ..core.players import Players, make_players
from ..core.tables import RowCodec, as_pandas
from .diagram import DiagramMixin
from .pipelines import allows_nan, makes_windows, split_at_windows

# Parameter constraint: joblib takes any number of workers but 0.
N_JOBS = [
    Interval(Integral, 1, None, closed="left"),
    Interval(Integral, None, -1, closed="right"),
    None,
]


def _estimator_has(method: str) -> Callable[[Any], bool]:
    def check(self: Any) -> bool:
        estimator = getattr(self, "estimator_", None)
        getattr(frozen_if_plain(self.estimator) if estimator is None else estimator, method)
        return True

    return check


def frozen_if_plain(estimator: Any) -> Any:
    """Return `estimator` itself, or a frozen estimator around a bare module or function."""
    return as_estimator(estimator) if is_plain(estimator) else estimator


def _check_is_model(estimator: Any) -> None:
    if isinstance(estimator, type):
        raise TypeError(
            f"estimator={estimator.__name__} is a class; give an instance, {estimator.__name__}(…)"
        )
    if not (is_plain(estimator) or hasattr(estimator, "fit")):
        raise TypeError(
            f"estimator={estimator!r} can neither be fitted nor called; give an estimator, a "
            "Pipeline, a trained torch module or a function of the rows"
        )


def checked_memory(memory: Any) -> Any:
    """Return a joblib.Memory; an error names the folder that cannot be one."""
    try:
        return check_memory(os.fspath(memory) if isinstance(memory, os.PathLike) else memory)
    except ValueError as error:
        raise TypeError(
            f"memory={memory!r} is neither a folder nor a joblib.Memory; give one of these, or None"
        ) from error
    except OSError as error:
        raise OSError(
            error.errno,
            f"memory={str(memory)!r} cannot be written to ({error.strerror}); give another folder",
        ) from error


def _fitted(estimator: Any, X: Any, y: Any, fit_params: dict[str, Any], versions: Any) -> Any:
    """Fit an estimator; a cache knows it by its parameters, the data and the versions."""
    return estimator.fit(X, y, **fit_params)


def is_frozen(estimator: Any) -> bool:
    """Whether fitting the explainer leaves this estimator as it is."""
    return is_plain(estimator) or isinstance(estimator, FrozenEstimator)


class BaseExplainer(DiagramMixin, MetaEstimatorMixin, BaseEstimator):
    """An explainer around an estimator, which it clones, fits and answers for."""

    estimator: Any
    players: Any
    feature_names: Any
    memory: Any
    window_steps_: list[Any]

    _parameter_constraints: dict[str, Any] = {
        "estimator": "no_validation",
        "players": "no_validation",
        "feature_names": ["array-like", None],
        "memory": "no_validation",
        "verbose": ["verbose"],
    }

    def _fit_estimator(self, X: Any, y: Any, **fit_params: Any) -> np.ndarray:
        """Fit a clone of the estimator and return the rows that are to be explained.

        Sets `estimator_`, `players_` and what is needed to read further rows.
        """
        _check_is_model(self.estimator)
        memory = checked_memory(self.memory)
        X = as_pandas(X)
        if is_classifier(self) and np.asarray(y).shape[1:] == (1,):
            y = column_or_1d(y, warn=True)
        codec = RowCodec.from_rows(X)
        encoded = codec.encode(X)
        if len(encoded) == 0:
            # As of arrays without rows.
            raise ValueError(
                "X cannot be read as rows of numbers: Found array with 0 sample(s) "
                f"(shape={encoded.shape}) while a minimum of 1 is required"
            )
        if not makes_windows(self.estimator):
            # What can be refused is refused before a model is fitted.
            self.window_steps_, self.codec_ = [], codec
            self.row_shape_ = encoded.shape[1:]
            self._check_rows(encoded, self._make_players(encoded.shape[1:], X))
        self.estimator_ = self._fitted_clone(memory, X, y, self._fit_params(fit_params))
        self.window_steps_, self.explained_estimator_ = split_at_windows(self.estimator_)
        # Past the windows the estimator takes plain arrays.
        self.codec_ = RowCodec.from_rows(self._windowed(X)) if self.window_steps_ else codec
        rows = self._in_one_type(self.codec_.encode(self._windowed(X)))
        self.row_shape_ = rows.shape[1:]
        self._refuse_missing(rows)
        self.players_ = self._make_players(rows.shape[1:], X)
        self._check_rows(rows, self.players_)
        if codec.columns is not None and all(isinstance(name, str) for name in codec.columns):
            self.feature_names_in_ = np.asarray(codec.columns, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.n_features_in_ = encoded.shape[-1]
        return rows

    def _fit_params(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return what goes on to the estimator's `fit`: what it requested, where routing is on."""
        given = {name: value for name, value in params.items() if value is not None}
        if is_frozen(self.estimator) or not get_config()["enable_metadata_routing"]:
            return given
        return dict(process_routing(self, "fit", **given).estimator.fit)

    def _fitted_clone(self, memory: Any, X: Any, y: Any, fit_params: dict[str, Any]) -> Any:
        estimator = clone(frozen_if_plain(self.estimator))
        if self.memory is None or is_frozen(self.estimator):
            return estimator.fit(X, y, **fit_params)
        versions = (__version__, sklearn_version)
        return memory.cache(_fitted)(estimator, X, y, fit_params, versions)

    def _windowed(self, X: Any) -> Any:
        for step in self.window_steps_:
            X = step.transform(X)
        return X

    def _check_rows(self, rows: np.ndarray, players: Players) -> None:
        """Refuse parameters that do not fit the rows or the players; called before fitting."""

    def _encoded(self, X: Any, name: str = "X") -> tuple[np.ndarray, RowCodec]:
        """Return the rows to explain as numbers, windows already made, and what decodes them.

        The codec is not that of `fit` where X has categories that `fit` did not see.
        """
        codec = self.codec_ if self.window_steps_ else self.codec_.extended(X)
        rows = self._in_one_type(codec.encode(self._windowed(X), name))
        if rows.shape[1:] != self.row_shape_:
            if rows.ndim == 2 and len(self.row_shape_) == 1:
                raise ValueError(
                    f"{name} has {rows.shape[1]} features, but {type(self).__name__} is expecting "
                    f"{self.row_shape_[0]} features as input"
                )
            raise ValueError(
                f"{name} has samples of shape {rows.shape[1:]}, but the explainer was fitted on "
                f"{self.row_shape_}"
            )
        if hasattr(self, "explained_estimator_"):
            self._refuse_missing(rows, name)
        return rows, codec

    def _in_one_type(self, rows: np.ndarray) -> np.ndarray:
        """Return rows in float64 where the estimator takes them, so that float32 rounds nothing."""
        estimator = getattr(self, "explained_estimator_", None)
        if estimator is None or not takes_any_float(estimator):
            return rows
        return rows.astype(np.float64, copy=False)

    def _refuse_missing(self, rows: np.ndarray, name: str = "X") -> None:
        if not self.codec_.categories and not allows_nan(self.explained_estimator_):
            finite = np.isfinite(rows)
            if not finite.all():
                row = int(np.argwhere(~finite)[0][0])
                raise ValueError(
                    f"{name} holds NaN or infinite values (first in row {row}), which "
                    f"{type(unwrapped(self.explained_estimator_)).__name__} does not take; impute "
                    "or drop them"
                )

    def _make_players(self, shape: tuple[int, ...], X: Any) -> Players:
        window = self.window_steps_[-1] if self.window_steps_ else None
        names = self._input_names(X)
        if window is None or not window.flatten:
            return make_players(self.players, shape, names)
        columns = [str(name) for name in window.get_feature_names_out(names)]
        if isinstance(self.players, str) and self.players in ("feature", "timestep"):
            # Flattened windows are still windows to whoever asks for steps or features.
            unfolded = make_players(self.players, (window.window, shape[0] // window.window), names)
            return Players(unfolded.labels, unfolded.names, shape, unfolded.level, tuple(columns))
        return make_players(self.players, shape, columns)

    def _input_names(self, X: Any) -> list[str] | None:
        """Return the names of the columns of X, or of those that enter the windows."""
        names = self.feature_names
        if names is None:
            names = getattr(X, "columns", None)
        names = None if names is None else [str(name) for name in names]
        for step in self.window_steps_[:-1]:
            try:
                names = [str(name) for name in step.get_feature_names_out(names)]
            except (AttributeError, ValueError):
                return None
        return names

    def get_metadata_routing(self) -> MetadataRouter:
        """Return which metadata goes on to the estimator; see scikit-learn's user guide.

        Returns
        -------
        MetadataRouter
        """
        same = MethodMapping()
        for method in ("fit", "score"):
            same.add(caller=method, callee=method)
        router = MetadataRouter(owner=type(self).__name__)
        return router.add(estimator=frozen_if_plain(self.estimator), method_mapping=same)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(frozen_if_plain(self.estimator))
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = inner.classifier_tags
        tags.regressor_tags = inner.regressor_tags
        tags.target_tags = inner.target_tags
        tags.input_tags = inner.input_tags
        tags.input_tags.sparse = False
        if tags.classifier_tags is not None:
            # Probabilities of several targets are a list of arrays, not one output a class.
            tags.target_tags.multi_output = False
            tags.classifier_tags.multi_label = False
        return tags

    @property
    def classes_(self) -> np.ndarray:
        """The class labels of the inner estimator."""
        check_is_fitted(self)
        return self.estimator_.classes_

    @available_if(_estimator_has("predict"))
    def predict(self, X: Any) -> np.ndarray:
        """Return the inner estimator's predictions."""
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the inner estimator's class probabilities."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_estimator_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Return the logarithms of the inner estimator's class probabilities."""
        check_is_fitted(self)
        return self.estimator_.predict_log_proba(X)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X: Any) -> np.ndarray:
        """Return the inner estimator's decision values."""
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    @available_if(_estimator_has("score"))
    def score(self, X: Any, y: Any = None, **score_params: Any) -> float:
        """Return the inner estimator's score."""
        check_is_fitted(self)
        if get_config()["enable_metadata_routing"] and not is_frozen(self.estimator):
            score_params = process_routing(self, "score", **score_params).estimator.score
        return self.estimator_.score(X, y, **score_params)

    @property
    def feature_importances_(self) -> np.ndarray:
        """One importance a column of X, where the players are columns."""
        check_is_fitted(self)
        if self.players_.level != "column":
            raise AttributeError(
                f"feature_importances_ needs one player a column, but players={self.players!r}; "
                "importances_ has one number a player"
            )
        return self.importances_
