"""AttributionExplainer: what the explainers share that give every row a value a player."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import TransformerMixin
from sklearn.utils import _safe_indexing
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from .._progress import progress_shown_by, tqdm
from ..core.background import Background, make_background
from ..core.checkpoints import Checkpoints
from ..core.explanation import Explanation
from ..core.placement import workers_for
from ..core.tables import RowCodec
from .base import BaseExplainer, checked_memory
from .chunks import ChunkedRun, chunks_together, rows_per_chunk
from .lazy import is_lazy, lazily_explained, lazily_transformed
from .recognition import checkpoints_of

# What values do not depend on, or only by what `fit` made of it.
_WITHOUT_INFLUENCE = {
    "estimator",
    "players",
    "background",
    "random_state",
    "batch_size",
    "feature_names",
    "n_jobs",
    "memory",
    "on_error",
    "verbose",
}


class AttributionExplainer(TransformerMixin, BaseExplainer):
    """An explainer whose result has one value a player for every explained row."""

    background_: Any

    _parameter_constraints: dict[str, Any] = {
        **BaseExplainer._parameter_constraints,
        "on_error": [StrOptions({"raise", "nan"})],
    }

    def explain(self, X: Any) -> Any:
        """Explain rows; the result for a row does not depend on the others.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_columns) or \
                (n_samples, n_timesteps, n_features)
            Or a dask array or DataFrame, which is explained block by block.

        Returns
        -------
        Explanation
            Of dask's rows a :class:`~sklexplain.explainers.lazy.LazyExplanation`, whose
            ``compute()`` gives the explanation.

        Raises
        ------
        ValueError
            If the rows are not shaped as those of `fit`, or hold NaN that the estimator does not
            take.
        ModelError
            If the model raises an error, or returns NaN or infinite values (then it is a
            ValueError too), unless ``on_error="nan"``.
        NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        if is_lazy(X):
            return lazily_explained(self, X)
        return self._explained_table(X, self._checkpoints())

    def explain_batches(self, X: Any, *, batch_rows: int | None = None) -> Iterator[Explanation]:
        """Explain more rows than memory holds, one batch after the other.

        Nothing is held of a batch once the next is asked for. Rows are numbered through all
        batches in errors and warnings.

        Parameters
        ----------
        X : array, DataFrame, or iterable of these
            One array or table, such as a `numpy.memmap`, of which `batch_rows` rows at a time are
            read; or anything that gives batches: a list, a generator, a reader of files.
        batch_rows : int, default=None
            Rows of a batch where `X` is one array or table. None is what about 100,000
            evaluations explain, four times that for each of several workers; at most 10,000.

        Returns
        -------
        iterator of Explanation
            To be joined by :meth:`Explanation.concat`, or written by
            :func:`~sklexplain.core.explanation_parts.write_parts`.

        Raises
        ------
        ValueError
            If `batch_rows` is not positive, or given with an iterable of batches; and as of
            :meth:`explain`, when the batch is explained.
        NotFittedError
            Before `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from sklexplain import KernelSHAP
        >>> X = np.arange(20.0).reshape(10, 2)
        >>> explainer = KernelSHAP(lambda X: X.sum(axis=1), background=X[:1]).fit(X)
        >>> [len(explanation) for explanation in explainer.explain_batches(X, batch_rows=4)]
        [4, 4, 2]
        """
        check_is_fitted(self)
        whole = hasattr(X, "shape")
        if batch_rows is not None:
            if not isinstance(batch_rows, Integral) or batch_rows < 1:
                raise ValueError(f"batch_rows={batch_rows!r} must be a positive number of rows")
            if not whole:
                raise ValueError(
                    f"batch_rows={batch_rows} divides one array or table, but X is a "
                    f"{type(X).__name__} of batches, which are taken as they are"
                )
        if not whole:
            return self._explained_batches(X)
        if batch_rows is None:
            size = rows_per_chunk(self._evals_per_row())
            size *= chunks_together(size, self._n_workers())
        else:
            size = int(batch_rows)
        starts = range(0, len(X), size)
        return self._explained_batches(_safe_indexing(X, slice(i, i + size)) for i in starts)

    def _explained_batches(self, batches: Iterable[Any]) -> Iterator[Explanation]:
        checkpoints, first = self._checkpoints(), 0
        for batch in batches:
            yield self._explained_table(batch, checkpoints, first)
            first += len(batch)

    def _n_workers(self) -> int:
        n_jobs = getattr(self, "n_jobs", None)
        return effective_n_jobs(workers_for(self.explained_estimator_, n_jobs))

    def _explained_table(
        self, X: Any, checkpoints: Checkpoints | None, first: int = 0
    ) -> Explanation:
        rows, codec = self._encoded(X)
        explanation = self._explained_rows(rows, codec, checkpoints, first)
        return copy_with_labels(explanation, codec, X)

    def _explained_rows(
        self, rows: np.ndarray, codec: RowCodec, checkpoints: Checkpoints | None, first: int = 0
    ) -> Explanation:
        """Explain rows of which the first is called number `first`."""
        skips = self.on_error == "nan"
        numbers = np.arange(first, first + len(rows))
        if len(rows) == 0 or (checkpoints is None and not skips):
            return self._explain_rows(rows, codec, numbers)
        run = ChunkedRun(
            lambda part, called: self._explain_rows(part, codec, called),
            size=rows_per_chunk(self._evals_per_row()),
            n_workers=self._n_workers(),
            meaning={column: list(values) for column, values in codec.categories.items()},
            checkpoints=checkpoints,
            skips_failures=skips,
            working_row=self.importance_rows_[:1],
        )
        with (
            tqdm(
                total=len(rows), desc=type(self).__name__, unit="row", disable=not self.verbose
            ) as progress,
            progress_shown_by(_hidden),
        ):
            explanation = run.run(rows, numbers, progress.update)
        message = run.warning()
        if message:
            warnings.warn(message, RuntimeWarning, stacklevel=4)
        return explanation

    def _explain_rows(
        self,
        rows: np.ndarray,
        codec: RowCodec | None = None,
        numbers: np.ndarray | None = None,
    ) -> Explanation:
        """Explain rows, which errors call by their `numbers`, from 0 by default."""
        raise NotImplementedError

    memory: Any
    on_error: str
    verbose: int

    def _evals_per_row(self) -> float:
        """Return about how many evaluations a row costs, or what takes as long."""
        raise NotImplementedError

    def _answers(self, rows: np.ndarray) -> np.ndarray:
        """Return what the model gives for rows, shape (n_rows, n_outputs)."""
        raise NotImplementedError

    def _learned(self) -> Any:
        """Return what `fit` drew or learned, beside the model, that values depend on."""
        raise NotImplementedError

    def _checkpoints(self) -> Checkpoints | None:
        """Return where finished chunks of this model and these parameters are kept, if at all."""
        location = None if self.memory is None else checked_memory(self.memory).location
        if location is None:
            return None
        params = {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in _WITHOUT_INFLUENCE
        }
        codec, players = self.codec_, self.players_
        read = (codec.columns, None if codec.dtypes is None else list(map(str, codec.dtypes)))
        played = (players.labels, players.names, players.shape, players.level)
        method = (type(self).__name__, params, read, played, self._learned())
        return checkpoints_of(
            location, self.explained_estimator_, method, self._answers, self.importance_rows_
        )

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

    def transform(self, X: Any) -> Any:
        """Return the attributions of rows as a table.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_columns) or \
                (n_samples, n_timesteps, n_features)
            Or a dask array or DataFrame.

        Returns
        -------
        ndarray of shape (n_samples, n_players * n_outputs)
            Columns as of :meth:`get_feature_names_out`: players, and within a player its outputs.
            Of dask's rows the same kind of collection, not yet computed.
        """
        if is_lazy(X):
            check_is_fitted(self)
            return lazily_transformed(self, X)
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
            sizes = np.abs(
                self._explained_rows(
                    self.importance_rows_[:most_rows], self.codec_, self._checkpoints()
                ).values
            )
            sizes = sizes.reshape(*sizes.shape[:2], -1).mean(axis=2)
            self._importances_cache = (sizes.mean(axis=0), sizes.std(axis=0))
        return self._importances_cache

    importance_rows_: np.ndarray


def _hidden(*args: Any, **params: Any) -> Any:
    """Return a progress bar that is not shown, inside one that is."""
    from tqdm.auto import tqdm as make

    return make(*args, **{**params, "disable": True})


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
