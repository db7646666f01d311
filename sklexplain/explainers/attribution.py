"""AttributionExplainer: what the explainers share that give every row a value a player."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..core.background import Background, make_background
from ..core.explanation import Explanation
from ..core.tables import RowCodec
from .base import BaseExplainer


class AttributionExplainer(TransformerMixin, BaseExplainer):
    """An explainer whose result has one value a player for every explained row."""

    background_: Any

    def explain(self, X: Any) -> Explanation:
        """Explain rows; the result for a row does not depend on the others.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_columns) or \
                (n_samples, n_timesteps, n_features)

        Returns
        -------
        Explanation

        Raises
        ------
        ValueError
            If the rows are not shaped as those of `fit`, hold NaN that the estimator does not take,
            or get a NaN or infinite output from the model.
        NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        rows, codec = self._encoded(X)
        return copy_with_labels(self._explain_rows(rows, codec), codec, X)

    def _explain_rows(self, rows: np.ndarray, codec: RowCodec | None = None) -> Explanation:
        raise NotImplementedError

    background: Any
    random_state: Any

    def _make_background(self, rows: np.ndarray) -> Background:
        background = self.background
        if hasattr(background, "columns"):
            background = self._encoded(background, "background")[0]
        return make_background(background, rows, random_state=self.random_state)

    def _rows_of_importances(self, rows: np.ndarray, most: int = 100) -> np.ndarray:
        """Return training rows to average over; a background of one row would say nothing."""
        return make_background(most, rows, random_state=self.random_state).rows

    base_values_: np.ndarray

    def _explained(
        self,
        rows: np.ndarray,
        values: np.ndarray,
        predictions: np.ndarray,
        params: dict[str, Any],
        diagnostics: dict[str, np.ndarray],
        std_errors: np.ndarray | None = None,
    ) -> Explanation:
        """Return arrays whose last axis is outputs as an explanation."""
        # A single output has no axis.
        output: Any = ... if self.output_names_ else (..., 0)
        return Explanation(
            values=values[output],
            base_values=np.broadcast_to(self.base_values_, predictions.shape)[output].copy(),
            predictions=predictions[output],
            data=rows,
            players=self.players_,
            output_names=self.output_names_,
            method=type(self).__name__,
            params=params,
            std_errors=None if std_errors is None else std_errors[output],
            diagnostics={name: report[output] for name, report in diagnostics.items()},
        )

    def transform(self, X: Any) -> np.ndarray:
        """Return the attributions of rows as a table.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_columns) or \
                (n_samples, n_timesteps, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_players * n_outputs)
            Columns as of :meth:`get_feature_names_out`: players, and within a player its outputs.
        """
        explanation = self.explain(X)
        return explanation.values.reshape(len(explanation), -1)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : ignored
            The names were learned by `fit`.
        """
        check_is_fitted(self)
        names = self.output_names_
        if not names:
            return np.asarray(self.players_.names, dtype=object)
        return np.asarray(
            [f"{player}:{output}" for player in self.players_.names for output in names],
            dtype=object,
        )

    output_names_: tuple[str, ...]

    @property
    def importances_(self) -> np.ndarray:
        """Mean absolute attribution over up to 100 training rows, shape (n_players,)."""
        return self._importances()[0]

    @property
    def importances_std_(self) -> np.ndarray:
        """Standard deviation of the absolute attributions over these rows, shape (n_players,)."""
        return self._importances()[1]

    def _importances(self, most_rows: int = 100) -> tuple[np.ndarray, np.ndarray]:
        """Explain some training rows once, when the importances are first asked for."""
        check_is_fitted(self)
        if not hasattr(self, "_importances_cache"):
            if not self._computes_importances:
                raise AttributeError("importances were not asked for")
            sizes = np.abs(self._explain_rows(self.importance_rows_[:most_rows]).values)
            sizes = sizes.reshape(*sizes.shape[:2], -1).mean(axis=2)
            self._importances_cache = (sizes.mean(axis=0), sizes.std(axis=0))
        return self._importances_cache

    importance_rows_: np.ndarray


def copy_with_labels(explanation: Explanation, codec: RowCodec, X: Any) -> Explanation:
    """Return the explanation with the row labels and category names of the table it explains."""
    index = getattr(X, "index", None)
    labels = None
    if index is not None and not callable(index):
        labels = np.asarray(index)
        if np.array_equal(labels, np.arange(len(labels))):
            labels = None
    categories = {
        column: tuple(str(value) for value in values) for column, values in codec.categories.items()
    }
    return replace(explanation, index=labels, categories=categories)
