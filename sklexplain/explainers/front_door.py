"""SHAP: one front door to the methods that compute Shapley values."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import _fit_context
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from ..core.background import make_background
from ..core.explanation import Explanation
from ..core.models import OUTPUTS
from ..core.players import Players
from ..core.tables import RowCodec
from .attribution import AttributionExplainer
from .base import N_JOBS
from .deep_shap import DeepSHAP
from .docs import documented
from .kernel_shap import KernelSHAP
from .tree_shap import TreeSHAP


@documented
class SHAP(AttributionExplainer):
    """Shapley values by the method that suits the fitted estimator.

    The first line of this table that applies is used; ``repr`` says which it was.

    ==================================== ============================= =====================
    estimator                            players                       method
    ==================================== ============================= =====================
    trees, forests and gradient boosting columns                       :class:`TreeSHAP`,
    that it is exact for                                               exact
    any                                  few enough to enumerate       :class:`KernelSHAP`,
                                         within `max_evals`            exact
    torch nets that can be traced        any                           :class:`DeepSHAP`
    any other                            any                           :class:`KernelSHAP`,
                                                                       sampled
    ==================================== ============================= =====================

    Trees come first only with shap installed, with a background of equal weights, and not for the
    probabilities of boosting, which are no sum over trees.

    Parameters
    ----------
    estimator : estimator, Pipeline, nn.Module or function
        Cloned and fitted, unless it is a `FrozenEstimator`, a bare module or a function, which
        are taken as they are.
    players : str, array of int, mapping or Players, default="auto"
        What is present or absent together: see :func:`make_players`.
    background : int, array-like, DataFrame or Background, default=100
        A number of training rows to draw, the rows themselves, or ``Background.kmeans(X, n)``.
    max_evals : int, "auto" or "exact", default="auto"
        Of :class:`KernelSHAP`.
    output : {"auto", "predict", "predict_proba", "decision_function"}, default="auto"
        What is explained; ``"auto"`` takes probabilities where there are any, except that of
        boosted trees it takes the decision function, as :class:`TreeSHAP` does.
    %(feature_names)s
    %(n_jobs)s
    %(memory)s
    %(on_error)s
    random_state : int, RandomState or None, default=None
    %(verbose)s

    Attributes
    ----------
    explainer_ : TreeSHAP, DeepSHAP or KernelSHAP
        The fitted explainer that was chosen.
    estimator_, players_, background_, base_values_, output_names_
        Of that explainer.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklexplain import SHAP
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> SHAP(LinearRegression()).fit(X, X[:, 0])
    SHAP(estimator=LinearRegression()) by KernelSHAP, exact
    """

    _parameter_constraints: dict[str, Any] = {
        **AttributionExplainer._parameter_constraints,
        "background": "no_validation",
        "max_evals": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto", "exact"})],
        "output": [StrOptions(set(OUTPUTS))],
        "n_jobs": N_JOBS,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        players: Any = "auto",
        background: Any = 100,
        max_evals: int | str = "auto",
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
        self.max_evals = max_evals
        self.output = output
        self.feature_names = feature_names
        self.n_jobs = n_jobs
        self.memory = memory
        self.on_error = on_error
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> SHAP:
        """Fit the estimator, and choose and fit the method.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_columns) or \
                (n_samples, n_timesteps, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
        **fit_params : dict
            For the estimator's `fit`.

        Returns
        -------
        self : SHAP
        """
        self._fit_estimator(X, y, **fit_params)
        # Fitted once, whatever is tried.
        fitted = FrozenEstimator(self.estimator_)
        shared = {
            "players": self.players,
            "background": self.background,
            "output": self.output,
            "feature_names": self.feature_names,
            "random_state": self.random_state,
            "verbose": self.verbose,
        }
        self.explainer_ = self._chosen(fitted, shared, X, y)
        self.background_ = self.explainer_.background_
        self.base_values_ = self.explainer_.base_values_
        self.output_names_ = self.explainer_.output_names_
        self.players_ = self.explainer_.players_
        self.importance_rows_ = self.explainer_.importance_rows_
        self.__dict__.pop("_importances_cache", None)
        return self

    def _chosen(self, fitted: Any, shared: dict[str, Any], X: Any, y: Any) -> Any:
        """Return the first explainer of the table that takes the estimator, fitted."""
        if self.players_.level == "column":
            trees = TreeSHAP(fitted, n_jobs=self.n_jobs, **shared)
            if _explains(trees, X, y) and trees.tree_.is_exact:
                return trees
        kernel = KernelSHAP(fitted, max_evals=self.max_evals, n_jobs=self.n_jobs, **shared)
        kernel.fit(X, y)
        if kernel.enumerates:
            return kernel
        deep = DeepSHAP(fitted, **shared)
        return deep if _explains(deep, X, y) else kernel

    def _check_rows(self, rows: np.ndarray, players: Players) -> None:
        background = self.background
        if hasattr(background, "columns"):
            background = self._encoded(background, "background")[0]
        make_background(background, rows, random_state=0)

    @property
    def method_(self) -> str:
        """The method that was chosen, in words."""
        name = type(self.explainer_).__name__
        if isinstance(self.explainer_, KernelSHAP):
            return f"{name}, {'exact' if self.explainer_.enumerates else 'sampled'}"
        return name

    def _explain_rows(
        self,
        rows: np.ndarray,
        codec: RowCodec | None = None,
        numbers: np.ndarray | None = None,
    ) -> Explanation:
        return self.explainer_._explain_rows(rows, codec, numbers)

    def _evals_per_row(self) -> float:
        return self.explainer_._evals_per_row()

    def _answers(self, rows: np.ndarray) -> np.ndarray:
        return self.explainer_._answers(rows)

    def _learned(self) -> Any:
        return self.method_, self.explainer_._learned()

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        chosen = f" by {self.method_}" if hasattr(self, "explainer_") else ""
        return super().__repr__(N_CHAR_MAX) + chosen


def _explains(explainer: Any, X: Any, y: Any) -> bool:
    """Fit the explainer and try it on one row; False if it does not take this estimator.

    What is wrong whatever the method, KernelSHAP says, because it comes last.
    """
    verbose, explainer.verbose = explainer.verbose, 0
    try:
        explainer.fit(X, y)
        explainer._explain_rows(explainer.importance_rows_[:1])
    except (TypeError, ValueError, ImportError, NotImplementedError):
        return False
    finally:
        explainer.verbose = verbose
    return True
