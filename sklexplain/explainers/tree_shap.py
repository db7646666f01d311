"""TreeSHAP: exact Shapley values of trees and ensembles of trees, through the shap package."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import StrOptions

from ..core.background import Background
from ..core.built_rows import unmasked_outputs
from ..core.explanation import Explanation
from ..core.failures import RowNames
from ..core.models import OUTPUTS
from ..core.players import Players
from ..core.tables import RowCodec
from .attribution import AttributionExplainer
from .base import N_JOBS
from .docs import documented
from .fitted_trees import FittedTrees, import_shap, refuse_known

_NOTABLE_GAP = 1e-3
# Following the training rows down all trees takes as long as some evaluations.
_COST_OF_ROW = 20


@documented
class TreeSHAP(AttributionExplainer):
    """Exact Shapley values of trees, forests and gradient boosting.

    The algorithm follows the paths of the trees instead of evaluating coalitions, so it is exact
    for any number of columns. The C extension of the shap package does the work (``pip install
    'sklexplain[shap]'``); this class gives it the interface of the other methods.

    Parameters
    ----------
    estimator : estimator or Pipeline
        Of scikit-learn: trees, forests, extra trees, (histogram) gradient boosting; or of XGBoost
        and LightGBM, where installed. Scalers of single columns may come before it in a Pipeline.
    players : str, array of int, mapping or Players, default="auto"
        Whose columns' values are added up: see :func:`make_players`. The sum of the values of
        several columns is not the Shapley value of the group as one player, which
        :class:`KernelSHAP` computes.
    background : int, array-like, DataFrame, Background or None, default=None
        With rows, absent columns are taken from them, as in KernelSHAP ("interventional"; the cost
        grows with their number, and all of them count). None follows the training rows down the
        trees ("path-dependent"): faster, needs no rows, and gives columns credit for what they
        tell about the columns they are correlated with.
    output : {"auto", "predict", "predict_proba", "decision_function"}, default="auto"
        What is explained. Trees and forests average probabilities, and are exact in them. Boosting
        adds up log-odds, so ``"auto"`` takes its decision function (the margin). Its probabilities,
        for two classes and with a background, are exact in their sum but not in the division:
        for each background row the log-odds' values are scaled to the probabilities' difference.
    %(feature_names)s
    n_jobs : int, default=None
        Workers over the rows, through joblib.
    %(memory)s
    %(on_error)s
    random_state : int, RandomState or None, default=None
        Of the draw of background rows.
    %(verbose)s

    Attributes
    ----------
    estimator_ : estimator
    background_ : Background or None
    base_values_ : ndarray of shape (n_outputs,)
        Mean output over the background, or over the training rows as the trees recorded them.
    players_ : Players
    output_names_ : tuple of str
        Empty for a single output.
    %(importances)s

    Notes
    -----
    Lundberg et al. (2020). The extension rounds values and thresholds, and can send a row that
    lies on a threshold down the wrong branch. So it is given ranks: the number of a column's
    threshold, and for a value the number of thresholds below it, which no rounding confuses.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from sklexplain import TreeSHAP
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> explainer = TreeSHAP(RandomForestRegressor(10, random_state=0)).fit(X, X[:, 0])
    >>> int(np.argmax(explainer.feature_importances_))
    0
    """

    _parameter_constraints: dict[str, Any] = {
        **AttributionExplainer._parameter_constraints,
        "background": "no_validation",
        "output": [StrOptions(set(OUTPUTS))],
        "n_jobs": N_JOBS,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        players: Any = "auto",
        background: Any = None,
        output: str = "auto",
        feature_names: Any = None,
        n_jobs: int | None = None,
        memory: Any = None,
        on_error: str = "raise",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.players = players
        self.background = background
        self.output = output
        self.feature_names = feature_names
        self.n_jobs = n_jobs
        self.memory = memory
        self.on_error = on_error
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> TreeSHAP:
        """Fit the estimator and keep the background.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_columns)
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
        **fit_params : dict
            For the estimator's `fit`.

        Returns
        -------
        self : TreeSHAP

        Raises
        ------
        TypeError
            If the estimator is not a tree model, or one whose predictions are no sum over trees, as
            with a logarithmic link.
        ImportError
            If shap is missing.
        """
        refuse_known(self.estimator)
        rows = self._fit_estimator(X, y, **fit_params)
        self.background_ = self._weighless_background(rows)
        self.importance_rows_ = self._rows_of_importances(rows)
        self.tree_ = FittedTrees(
            self.explained_estimator_, self.output, self.background_, self.codec_
        )
        outputs = unmasked_outputs(self.tree_.model, self.importance_rows_)
        # A few rows tell whether the values add up.
        tried = slice(100 if self.background_ is None else 20)
        moved = self.tree_.values(self.importance_rows_[tried], None).sum(axis=1)
        if self.background_ is None:
            # One number for all rows, whatever shap calls the expected value of a package's trees.
            self.base_values_ = np.median(outputs - moved, axis=0)
        else:
            references = self.background_.rows
            self.base_values_ = self.background_.mean(
                unmasked_outputs(self.tree_.model, references, "background row")
            )
        gaps = np.abs(moved + self.base_values_ - outputs[tried])
        if _notable(gaps, outputs, self.base_values_):
            raise TypeError(
                f"TreeSHAP cannot explain this {type(self.tree_.tree).__name__}: the values of its "
                f"trees miss its predictions by up to {gaps.max():.3g}, as they do where a link "
                "function follows (poisson, gamma) or splits are categorical; use KernelSHAP, "
                "which explains any model"
            )
        self.output_names_ = self.tree_.model.output_names(outputs.shape[1])
        self.__dict__.pop("_importances_cache", None)
        return self

    def _check_rows(self, rows: np.ndarray, players: Players) -> None:
        import_shap()
        if self.codec_.categories:
            named = [self.codec_.columns[column] for column in self.codec_.categories]  # type: ignore[index]
            raise TypeError(
                f"TreeSHAP follows numbers down the trees, but {named} are not numeric; encode "
                "them before, or use KernelSHAP, which explains whole pipelines"
            )
        self._weighless_background(rows)

    def _weighless_background(self, rows: np.ndarray) -> Background | None:
        if self.background is None:
            return None
        made = self._make_background(rows)
        if not np.allclose(made.weights, made.weights[0]):
            raise ValueError(
                "background has rows of different weight, which TreeSHAP cannot use; give plain "
                "rows, or use KernelSHAP"
            )
        return made

    def _evals_per_row(self) -> int:
        return _COST_OF_ROW if self.background_ is None else len(self.background_)

    def _answers(self, rows: np.ndarray) -> np.ndarray:
        return unmasked_outputs(self.tree_.model, rows)

    def _learned(self) -> Any:
        from shap import __version__ as shap_version

        background = self.background_
        return shap_version, None if background is None else background.rows

    def _explain_rows(
        self,
        rows: np.ndarray,
        codec: RowCodec | None = None,
        numbers: np.ndarray | None = None,
    ) -> Explanation:
        cells = self.tree_.values(rows, self.n_jobs, bool(self.verbose))
        values = np.stack([self.players_.sum_cells(part) for part in np.moveaxis(cells, 2, 0)], -1)
        predictions = unmasked_outputs(self.tree_.model, rows, RowNames(numbers))
        gaps = np.abs(values.sum(axis=1) + self.base_values_ - predictions)
        if len(rows) and _notable(gaps, predictions, self.base_values_):
            warnings.warn(
                f"the values miss the prediction by up to {gaps.max():.3g}; see "
                'diagnostics["completeness_gap"], or use KernelSHAP',
                ConvergenceWarning,
                stacklevel=3,
            )
        params = {
            "n_background": 0 if self.background_ is None else len(self.background_),
            "output": self.tree_.model.method,
        }
        return self._explained(rows, values, predictions, params, {"completeness_gap": gaps})


def _notable(gaps: np.ndarray, outputs: np.ndarray, base_values: np.ndarray) -> bool:
    """Whether values miss the outputs by more than rounding and a part of their distance."""
    distances = np.abs(outputs - base_values).max(axis=0)
    rounding = 1e-5 * np.abs(outputs).max(axis=0)
    return bool(np.any(gaps.max(axis=0) > _NOTABLE_GAP * distances + rounding))
