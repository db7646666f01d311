"""TreeSHAP: exact Shapley values of trees and ensembles of trees, through the shap package."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.base import _fit_context, is_classifier
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import StrOptions

from ..core.background import Background, make_background
from ..core.explanation import Explanation
from ..core.models import OUTPUTS, Model, unwrapped
from ..core.perturb import unmasked_outputs
from ..core.players import Players
from ..core.tables import RowCodec
from .base import COLUMNWISE, AttributionExplainer

_FORESTS = ("Tree", "Forest", "ExtraTrees", "IsolationForest")
_ROWS_PER_TASK = 256


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
    feature_names : list of str, default=None
        Names of the columns where X is an array.
    n_jobs : int, default=None
        Workers over the rows, through joblib.
    random_state : int, RandomState or None, default=None
        Of the draw of background rows.
    verbose : int, default=0
        Unused: there is nothing to wait for.

    Attributes
    ----------
    estimator_ : estimator
    background_ : Background or None
    base_values_ : ndarray of shape (n_outputs,)
        Mean output over the background, or over the training rows as the trees recorded them.
    players_ : Players
    output_names_ : tuple of str
        Empty for a single output.
    importances_, importances_std_ : ndarray of shape (n_players,)
        Mean and standard deviation of the absolute values over up to 100 rows, computed when
        first asked for.
    feature_importances_ : ndarray of shape (n_columns,)
        The same, where players are columns.

    Notes
    -----
    Lundberg et al. (2020). Rows whose value equals a threshold of a tree are moved off it, to the
    middle of the interval that they belong to, because the extension rounds thresholds: unmoved,
    such rows can be sent down the wrong branch.

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
        "n_jobs": [Integral, None],
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
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.players = players
        self.background = background
        self.output = output
        self.feature_names = feature_names
        self.n_jobs = n_jobs
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
            If the estimator is not a tree model that shap's extension takes.
        ImportError
            If shap is missing.
        """
        rows = self._fit_estimator(X, y, **fit_params)
        self.background_ = self._make_background(rows)
        self.importance_rows_ = rows[:100] if self.background_ is None else self.background_.rows
        self.tree_ = FittedTrees(
            self.explained_estimator_, self.output, self.background_, self.codec_
        )
        outputs = unmasked_outputs(self.tree_.model, self.importance_rows_)
        if self.background_ is None:
            # One number for all rows, whatever shap calls the expected value of a package's trees.
            moved = self.tree_.values(self.importance_rows_, None).sum(axis=1)
            self.base_values_ = np.median(outputs - moved, axis=0)
        else:
            self.base_values_ = self.background_.mean(outputs)
        self.output_names_ = self.tree_.model.output_names(outputs.shape[1])
        self.__dict__.pop("_importances_cache", None)
        return self

    def _check_rows(self, rows: np.ndarray, players: Players) -> None:
        _import_shap()
        if self.codec_.categories:
            named = [self.codec_.columns[column] for column in self.codec_.categories]  # type: ignore[index]
            raise TypeError(
                f"TreeSHAP follows numbers down the trees, but {named} are not numeric; encode "
                "them before, or use KernelSHAP, which explains whole pipelines"
            )
        self._make_background(rows)

    def _make_background(self, rows: np.ndarray) -> Background | None:
        background = self.background
        if background is None:
            return None
        if hasattr(background, "columns"):
            background = self._encoded(background)[0]
        made = make_background(background, rows, random_state=self.random_state)
        if not np.allclose(made.weights, made.weights[0]):
            raise ValueError(
                "background has rows of different weight, which TreeSHAP cannot use; give plain "
                "rows, or use KernelSHAP"
            )
        return made

    def _explain_rows(self, rows: np.ndarray, codec: RowCodec | None = None) -> Explanation:
        cells = self.tree_.values(rows, self.n_jobs)
        values = np.stack([self.players_.sum_cells(part) for part in np.moveaxis(cells, 2, 0)], -1)
        predictions = unmasked_outputs(self.tree_.model, rows)
        base = np.broadcast_to(self.base_values_, predictions.shape).copy()
        gaps = np.abs(values.sum(axis=1) + base - predictions)
        single = not self.output_names_
        return Explanation(
            values=values[..., 0] if single else values,
            base_values=base[:, 0] if single else base,
            predictions=predictions[:, 0] if single else predictions,
            data=rows,
            players=self.players_,
            output_names=self.output_names_,
            method="TreeSHAP",
            params={
                "n_background": 0 if self.background_ is None else len(self.background_),
                "output": self.tree_.model.method,
            },
            diagnostics={"completeness_gap": gaps[:, 0] if single else gaps},
        )


class FittedTrees:
    """A fitted tree model with shap's explainer of it: one meaning for every kind of output."""

    def __init__(
        self, estimator: Any, output: str, background: Background | None, codec: RowCodec
    ) -> None:
        self.scalers, self.tree = trees_in(estimator)
        self.boosted = not any(name in type(self.tree).__name__ for name in _FORESTS)
        method = self._method(output, background is not None)
        self.model = self._made_model(estimator, method, codec)
        self.probability = self.boosted and self.model.method == "predict_proba"
        self._thresholds = self._found_thresholds()
        self.explainer = self._made_explainer(background)

    def values(self, rows: np.ndarray, n_jobs: int | None) -> np.ndarray:
        """Return the values of cells, shape (n_rows, n_columns, n_outputs)."""
        moved = self._off_thresholds(self._scaled(rows))
        most = min(_ROWS_PER_TASK, -(-len(rows) // effective_n_jobs(n_jobs)))
        parts = Parallel(n_jobs=n_jobs)(
            delayed(self.explainer.shap_values)(moved[i : i + most], check_additivity=False)
            for i in range(0, len(rows), most)
        )
        values = np.concatenate(parts)
        values = values[:, :, None] if values.ndim == 2 else values
        return np.concatenate([-values, values], axis=2) if self.probability else values

    def _method(self, output: str, interventional: bool) -> str:
        """Return the output to explain, refusing what the algorithm cannot."""
        if not is_classifier(self.tree):
            return output
        if output == "predict":
            raise ValueError(
                'output="predict" gives class labels, which are no sum over trees; use '
                '"predict_proba" or "decision_function"'
            )
        if not self.boosted:
            return output
        possible = interventional and len(self.tree.classes_) == 2
        if output == "auto":
            return "decision_function"
        if output == "predict_proba" and not possible:
            raise ValueError(
                'output="predict_proba" of a boosted classifier needs two classes and a '
                'background; give background=100, use output="decision_function", or KernelSHAP'
            )
        return output

    def _made_model(self, estimator: Any, method: str, codec: RowCodec) -> Model:
        if method != "decision_function" or hasattr(unwrapped(estimator), "decision_function"):
            return Model(estimator, output=method, codec=codec)
        # XGBoost and LightGBM have their margins under another name.
        package = type(self.tree).__module__.split(".")[0]
        raw = {"xgboost": "output_margin", "lightgbm": "raw_score"}.get(package)
        if raw is None:
            return Model(estimator, output=method, codec=codec)
        return Model(lambda rows: estimator.predict(rows, **{raw: True}), codec=codec)

    def _shap(self, **kind: Any) -> Any:
        shap = _import_shap()
        try:
            return shap.TreeExplainer(self.tree, **kind)
        except Exception as error:
            raise TypeError(
                f"TreeSHAP cannot explain {type(self.tree).__name__}: {error} It explains trees, "
                "forests and gradient boosting; KernelSHAP explains any model, DeepSHAP torch nets"
            ) from error

    def _made_explainer(self, background: Background | None) -> Any:
        if background is None:
            return self._shap(feature_perturbation="tree_path_dependent")
        rows = self._off_thresholds(self._scaled(background.rows))
        return self._shap(
            # Otherwise shap draws 100 rows of its own.
            data=_import_shap().maskers.Independent(rows, max_samples=len(rows)),
            feature_perturbation="interventional",
            model_output="probability" if self.probability else "raw",
        )

    def _scaled(self, rows: np.ndarray) -> np.ndarray:
        for scaler in self.scalers:
            rows = scaler.transform(rows)
        return rows

    def _found_thresholds(self) -> list[np.ndarray]:
        """Return the sorted thresholds of each column, over all trees."""
        trees = self._shap(feature_perturbation="tree_path_dependent").model
        inner = trees.children_left >= 0
        return [
            np.unique(trees.thresholds[inner & (trees.features == column)])
            for column in range(self.tree.n_features_in_)
        ]

    def _off_thresholds(self, rows: np.ndarray) -> np.ndarray:
        """Move values to the middle of the interval between thresholds that they lie in."""
        if not type(self.tree).__module__.startswith("sklearn."):
            return rows
        # Trees and forests compare in single precision, so that decides the interval.
        single = not type(self.tree).__name__.startswith("HistGradientBoosting")
        seen = rows.astype(np.float32) if single else rows
        moved = rows.astype(float)
        for column, thresholds in enumerate(self._thresholds):
            if len(thresholds) == 0:
                continue
            ends = np.concatenate([[thresholds[0] - 2], thresholds, [thresholds[-1] + 2]])
            middles = (ends[:-1] + ends[1:]) / 2
            present = ~np.isnan(rows[:, column])
            interval = np.searchsorted(thresholds, seen[present, column], side="left")
            moved[present, column] = middles[interval]
        return moved


def trees_in(estimator: Any) -> tuple[list[Any], Any]:
    """Return the scalers before a tree model, and the tree model.

    Raises
    ------
    TypeError
        If anything else stands before it.
    """
    core = unwrapped(estimator)
    if not isinstance(core, Pipeline):
        return [], core
    steps = [step for _, step in core.steps[:-1] if step not in (None, "passthrough")]
    strange = [step for step in steps if not isinstance(step, COLUMNWISE)]
    if strange:
        raise TypeError(
            f"TreeSHAP cannot follow the step {type(strange[0]).__name__} before the trees; use "
            "KernelSHAP, which explains whole pipelines"
        )
    scalers, tree = trees_in(core.steps[-1][1])
    return steps + scalers, tree


def _import_shap() -> Any:
    try:
        import shap
    except ImportError as error:
        raise ImportError("TreeSHAP needs shap: pip install 'sklexplain[shap]'") from error
    return shap
