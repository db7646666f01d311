"""LIME: a linear model that imitates any model near one row."""

from __future__ import annotations

from dataclasses import fields, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import has_fit_parameter

from .._progress import tqdm
from ..core.built_rows import run_rows
from ..core.checkpoints import Checkpoints
from ..core.explanation import Explanation
from ..core.models import OUTPUTS, Model
from ..core.players import Players
from ..core.tables import RowCodec
from ..solvers.discretize import DISCRETIZERS
from ..solvers.surrogate import SELECTIONS, Surrogates
from .attribution import AttributionExplainer
from .base import N_JOBS, checked_memory
from .docs import documented
from .lime_draws import (
    ColumnDraws,
    are_cells,
    categorical_positions,
    make_draws,
    refuse_missing,
)
from .lime_fits import Fitter, fit_rows
from .lime_outputs import DrawOutputs, Run
from .lime_reading import ReadableExplainer, explained_columns, explained_outputs
from .recognition import checkpoints_of

_MOST_SHARED_ROWS, _MOST_OWN_ROWS = 100, 20


@documented
class LIME(ReadableExplainer, AttributionExplainer):
    """Coefficients of a linear model that imitates the estimator around each row.

    The row is perturbed, the estimator answers for the perturbed rows, and a ridge regression that
    gives near ones more weight is fitted to the answers. How the row is perturbed depends on the
    players:

    - **Players of one cell** (columns of a table, ``players="cell"`` of windows): every cell is
      drawn from its distribution in the training rows. With a `discretizer` it is first cut into
      bins; a coefficient then says what it does to the output that the value lies in its bin (``2.1
      < close ≤ 3.4``) rather than in another one. The same holds for categorical columns. Without
      one (``discretizer=None``) numbers are drawn from a normal distribution, and a coefficient is
      a slope, for one standard deviation.
    - **Players of several cells** (features over all time steps, time steps, groups): each is
      present or replaced by that of a training row, by the flip of a coin. A coefficient says what
      it does to the output that the player is the row's own. `discretizer`, `center` and
      `categorical_features` are not used.

    Parameters
    ----------
    estimator : estimator, Pipeline, nn.Module or function
        Cloned and fitted, unless it is a `FrozenEstimator`, a bare module or a function, which
        are taken as they are.
    players : str, array of int, mapping or Players, default="auto"
        What is perturbed together: see :func:`make_players`. ``"auto"`` is columns of tables and
        whole features of windows.
    n_samples : int, default=5000
        Rows that a surrogate is fitted to: the explained row and ``n_samples - 1`` draws.
    kernel_width : float, default=None
        The weight of a draw at distance d is ``exp(-d² / (2 kernel_width²))``. Distances are in
        standard deviations; a bin, category or replaced player that differs counts 1. None is
        ``0.75 * sqrt(n_players)``.
    discretizer : {"quartile", "decile", "entropy"} or None, default="quartile"
        ``"entropy"`` takes the splits of a small decision tree that predicts `y` from the column.
    center : {"mean", "row"}, default="mean"
        Around what normal draws lie, with ``discretizer=None``: the training mean, or the row.
    categorical_features : list of int or str, default=None
        Columns, or features of windows, whose values have no order. Columns of a DataFrame that
        are not numbers always are.
    feature_selection : {"auto", "none", "forward", "highest_weights", "lasso_path"}, \
            default="auto"
        How `n_features` players are chosen: see the solver's
        :func:`~sklexplain.solvers.surrogate.select_features`.
    n_features : int, default=None
        Players with a coefficient other than 0, for each row and output. None keeps all.
    surrogate : linear regressor, default=None
        None is ``Ridge(alpha=1)``. Any Ridge is solved for many rows at once; another regressor
        that takes `sample_weight` and has `coef_` is fitted row by row.
    labels : list or int, default=None
        Of several outputs, those to explain: a list of class labels (or positions, or names of
        outputs), or the number of classes with the highest output, row by row. None explains all.
    output : {"auto", "predict", "predict_proba", "decision_function"}, default="auto"
        What is explained; ``"auto"`` takes probabilities where there are any.
    batch_size : int or "auto", default="auto"
        Perturbed rows run at a time.
    %(feature_names)s
    %(n_jobs)s
    memory : str, path or joblib.Memory, default=None
        Where finished chunks of rows are kept, about 100,000 evaluations each, so that a run that
        was stopped or killed goes on where it was: started again with the same model, rows and
        parameters (and a number as `random_state`), it computes what is missing. With several
        workers, up to two seconds' worth of chunks are finished together. The outputs of draws
        that serve all rows are kept as well. Fitted estimators are kept too: the same one is not
        fitted twice on the same rows. Those are read and written by pickle, so give a folder that
        nobody else writes to.
    %(on_error)s
    random_state : int, RandomState or None, default=None
        Of the draws, which are fixed by `fit`.
    %(verbose)s

    Attributes
    ----------
    estimator_ : estimator
    draws_ : ColumnDraws or ReplacementDraws
        How rows are perturbed.
    kernel_width_ : float
    players_ : Players
    output_names_ : tuple of str
        Empty for a single output; ``"top 1"``, … where `labels` is a number.
    importances_, importances_std_ : ndarray of shape (n_players,)
        Mean and standard deviation of the absolute coefficients over up to 100 training rows (20
        where each row needs draws of its own), computed when first asked for.
    feature_importances_ : ndarray of shape (n_columns,)
        The same, where players are columns.

    Notes
    -----
    In the explanation, `base_values` are the intercepts, `conditions` say what each coefficient
    speaks of, `std_errors` are over draws (the limit of the bootstrap; of a surrogate other than
    Ridge by a jackknife over ten groups of draws) and `diagnostics` hold

    - ``"surrogate_predictions"``: the surrogate's own output for the row;
    - ``"local_r2"``: its weighted R², how far the linear story goes;
    - ``"effective_draws"``: (Σw)² / Σw², how many draws the kernel leaves;
    - ``"n_evals"``: the evaluations that the row's result rests on;
    - ``"labels"``: the classes, where `labels` is a number.

    Binned draws, and normal draws around the mean, do not depend on the explained row: they are run
    through the estimator once, when first needed, and serve every later row
    (``params["n_evals_run"]`` says what a call has run). Rows stay independent of one another.

    Source: Ribeiro, Singh and Guestrin (2016) and the authors' package `lime`, whose distributions,
    kernel, ridge and selection rules these are. Departures, on purpose: a column with no more
    distinct values than bins has a bin for each, and a bin of a single value draws that value
    (`lime` draws between values that never occur, or 0); a constant column does not vary and has
    coefficient 0 (`lime` varies it by a standard deviation of 1); so has a category that no
    training row has, with a warning. Where players are replaced, what the values of the replacing
    rows do to the output is taken out by regression first; expected coefficients stay the same,
    and are found with fewer draws.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain import LIME
    >>> X = np.random.default_rng(0).normal(size=(500, 3))
    >>> explainer = LIME(lambda X: 2 * X[:, 0] - X[:, 1], discretizer=None, random_state=0).fit(X)
    >>> explainer.transform([[1.0, 1.0, 1.0]]).round(1) + 0
    array([[ 2., -1.,  0.]])
    """

    _parameter_constraints: dict[str, Any] = {
        **AttributionExplainer._parameter_constraints,
        "n_samples": [Interval(Integral, 2, None, closed="left")],
        "kernel_width": [Interval(Real, 0, None, closed="neither"), None],
        "discretizer": [StrOptions(set(DISCRETIZERS)), None],
        "center": [StrOptions({"mean", "row"})],
        "categorical_features": ["array-like", None],
        "feature_selection": [StrOptions(set(SELECTIONS))],
        "n_features": [Interval(Integral, 1, None, closed="left"), None],
        "surrogate": [HasMethods(["fit", "predict"]), None],
        "labels": ["array-like", Interval(Integral, 1, None, closed="left"), None],
        "output": [StrOptions(set(OUTPUTS))],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_jobs": N_JOBS,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        players: Any = "auto",
        n_samples: int = 5000,
        kernel_width: float | None = None,
        discretizer: str | None = "quartile",
        center: str = "mean",
        categorical_features: Any = None,
        feature_selection: str = "auto",
        n_features: int | None = None,
        surrogate: Any = None,
        labels: Any = None,
        output: str = "auto",
        batch_size: int | str = "auto",
        feature_names: Any = None,
        n_jobs: int | None = None,
        memory: Any = None,
        on_error: str = "raise",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.players = players
        self.n_samples = n_samples
        self.kernel_width = kernel_width
        self.discretizer = discretizer
        self.center = center
        self.categorical_features = categorical_features
        self.feature_selection = feature_selection
        self.n_features = n_features
        self.surrogate = surrogate
        self.labels = labels
        self.output = output
        self.batch_size = batch_size
        self.feature_names = feature_names
        self.n_jobs = n_jobs
        self.memory = memory
        self.on_error = on_error
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> LIME:
        """Fit the estimator and learn the distributions of the training rows.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_columns) or \
                (n_samples, n_timesteps, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
        **fit_params : dict
            For the estimator's `fit`.

        Returns
        -------
        self : LIME

        Raises
        ------
        ValueError
            If X has missing values and its cells are to be drawn, or if a parameter does not fit
            the data.
        """
        if self.discretizer == "entropy" and y is None:
            raise ValueError('discretizer="entropy" needs y, but fit was called without it')
        if self.surrogate is not None and not has_fit_parameter(self.surrogate, "sample_weight"):
            raise ValueError(
                f"surrogate={self.surrogate!r} takes no sample_weight; use a linear regressor "
                "that does, such as Ridge or Lasso"
            )
        rows = self._fit_estimator(X, y, **fit_params)
        n_players = self.players_.n_players
        self.kernel_width_ = 0.75 * float(np.sqrt(n_players))
        if self.kernel_width is not None:
            self.kernel_width_ = float(self.kernel_width)
        random_state = check_random_state(self.random_state)
        categorical = categorical_positions(self.categorical_features, self.players_.feature_names)
        self.draws_ = make_draws(
            rows,
            self.players_,
            self.n_samples - 1,
            discretizer=self.discretizer,
            center=self.center,
            categorical=categorical | set(self.codec_.categories),
            target=np.asarray(y) if self.discretizer == "entropy" else None,
            seed=random_state.randint(np.iinfo(np.int32).max),
        )
        self._outputs = DrawOutputs(self.draws_)
        model = self._model(self.codec_)
        names = model.output_names(run_rows(model, rows[:1]).shape[1])
        self._label_positions, self.output_names_ = explained_outputs(self.labels, names)
        most = _MOST_OWN_ROWS if self.draws_.around_row else _MOST_SHARED_ROWS
        self.importance_rows_ = rows[np.sort(random_state.permutation(len(rows))[:most])]
        self.__dict__.pop("_importances_cache", None)
        return self

    def _check_rows(self, rows: np.ndarray, players: Players) -> None:
        if self.n_features is not None and self.n_features > players.n_players:
            raise ValueError(
                f"n_features={self.n_features} is more than the {players.n_players} players"
            )
        categorical_positions(self.categorical_features, players.feature_names)
        if are_cells(players):
            refuse_missing(rows, players)

    def _model(self, codec: RowCodec) -> Model:
        return Model(self.explained_estimator_, output=self.output, codec=codec)

    def _evals_per_row(self) -> float:
        # Where draws serve all rows, a row costs its surrogate, which is fitted much faster than
        # a model answers.
        return self.n_samples if self.draws_.around_row else self.n_samples / 20

    def _answers(self, rows: np.ndarray) -> np.ndarray:
        return run_rows(self._model(self.codec_), rows)

    def _learned(self) -> Any:
        return self.draws_, self.kernel_width_

    def _checkpoints(self) -> Checkpoints | None:
        checkpoints = super()._checkpoints()
        if checkpoints is not None and not self.draws_.around_row:
            # Whatever is made of them, they are the same draws.
            self._outputs.checkpoints = checkpoints_of(
                checked_memory(self.memory).location,
                self.explained_estimator_,
                ("LIME's draws", self.draws_, self.output),
                self._answers,
                self.importance_rows_,
            )
        return checkpoints

    def _explain_rows(
        self,
        rows: np.ndarray,
        codec: RowCodec | None = None,
        numbers: np.ndarray | None = None,
    ) -> Explanation:
        codec = self.codec_ if codec is None else codec
        draws, model = self.draws_, self._model(codec)
        if isinstance(draws, ColumnDraws):
            refuse_missing(rows, self.players_)
            draws.warn_of_unseen(rows, codec.categories, numbers)
        fitter = Fitter(
            draws,
            self.kernel_width_,
            self.surrogate,
            self.feature_selection,
            None if self.n_features is None else int(self.n_features),
        )
        with tqdm(
            total=self._outputs.n_left(len(rows)),
            desc="LIME",
            unit="eval",
            unit_scale=True,
            disable=not self.verbose,
        ) as progress:
            run = Run(model, self.batch_size, self.n_jobs, progress.update, numbers)
            own = self._outputs.of_rows(run, rows)
            columns = explained_columns(self._label_positions, own)
            pieces = list(fit_rows(fitter, self._outputs, run, rows, own, columns))
            # Draws that are kept are not run.
            progress.total = run.n_evals
        fitted = _joined([surrogates for surrogates, _ in pieces])
        diagnostics = {
            "surrogate_predictions": fitted.predictions,
            "local_r2": fitted.scores,
            "effective_draws": np.concatenate([n_effective for _, n_effective in pieces]),
            "n_evals": np.full(len(rows), self.n_samples),
        }
        if isinstance(self.labels, Integral):
            names = np.asarray(model.output_names(own.shape[1]))
            diagnostics["labels"] = names[columns]
        predictions = np.take_along_axis(own, columns, axis=1)
        explanation = self._explanation(rows, fitted, predictions, diagnostics)
        params = {**explanation.params, "output": model.method, "n_evals_run": run.n_evals}
        return replace(
            explanation, params=params, conditions=draws.conditions(rows, codec.categories)
        )

    def _explanation(
        self,
        rows: np.ndarray,
        fitted: Surrogates,
        predictions: np.ndarray,
        diagnostics: dict[str, np.ndarray],
    ) -> Explanation:
        single = not self.output_names_
        intercepts = fitted.predictions - np.einsum(
            "rp,rpo->ro", self.draws_.positions(rows), fitted.coef
        )

        def of_outputs(array: np.ndarray) -> np.ndarray:
            """Return one number a row, or one a row and output."""
            array = array if array.ndim > 1 else np.repeat(array[:, None], predictions.shape[1], 1)
            return array[:, 0] if single else array

        return Explanation(
            values=fitted.coef[..., 0] if single else fitted.coef,
            base_values=of_outputs(intercepts),
            predictions=of_outputs(predictions),
            data=rows,
            players=self.players_,
            output_names=self.output_names_,
            method="LIME",
            params={
                "n_samples": self.n_samples,
                "kernel_width": self.kernel_width_,
                "sampling": self.draws_.sampling,
                "discretizer": self.discretizer,
                "feature_selection": self.feature_selection,
                "n_features": self.n_features,
            },
            std_errors=fitted.std_errors[..., 0] if single else fitted.std_errors,
            diagnostics={name: of_outputs(array) for name, array in diagnostics.items()},
        )


def _joined(pieces: list[Surrogates]) -> Surrogates:
    return Surrogates(
        *(np.concatenate([getattr(piece, f.name) for piece in pieces]) for f in fields(Surrogates))
    )
