"""KernelSHAP: Shapley values of any model."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from tqdm.auto import tqdm

from ..core.background import make_background
from ..core.explanation import Explanation
from ..core.models import LINKS, OUTPUTS, Model
from ..core.perturb import evaluate_chunks, unmasked_outputs
from ..solvers.coalitions import all_coalitions
from ..solvers.shapley import exact_shapley
from .base import AttributionExplainer

_MOST_EXACT_PLAYERS = 12


class KernelSHAP(AttributionExplainer):
    """Shapley values of any model, against a background of real rows.

    A value says how much a player moved the output of this row away from the base value (the mean
    output over the background), on average over all orders in which players can be filled in. The
    values of a row add up to its prediction minus the base value. Absent players are taken from
    background rows, so the background is the question: "compared with which rows?"

    Parameters
    ----------
    estimator : estimator, Pipeline, nn.Module or function
        Cloned and fitted, unless it is a `FrozenEstimator`, a bare module or a function, which
        are taken as they are.
    players : str, array of int, mapping or Players, default="auto"
        What is present or absent together: see :func:`make_players`.
    background : int, array-like, DataFrame or Background, default=100
        A number of training rows to draw, the rows themselves, or ``Background.kmeans(X, n)``.
    output : {"auto", "predict", "predict_proba", "decision_function"}, default="auto"
        What is explained; ``"auto"`` takes probabilities where there are any.
    link : {"identity", "logit"}, default="identity"
        ``"logit"`` explains the log-odds of probabilities; base value, predictions and values are
        then log-odds. The link is applied to each output, before averaging over the background.
    batch_size : int or "auto", default="auto"
        Masked rows run at a time.
    feature_names : list of str, default=None
        Names of the variables where X is an array.
    n_jobs : int, default=None
        Workers, through joblib. Torch models use their own threads instead.
    random_state : int, RandomState or None, default=None
        Of the draw of background rows.
    verbose : int, default=0
        1 shows a progress bar.

    Attributes
    ----------
    estimator_ : estimator
    background_ : Background
    base_values_ : ndarray of shape (n_outputs,)
        Mean output over the background.
    players_ : Players
    output_names_ : tuple of str
        Empty for a single output.
    importances_, importances_std_ : ndarray of shape (n_players,)
        Mean and standard deviation of the absolute values over up to 100 background rows,
        computed when first asked for.
    feature_importances_ : ndarray of shape (n_columns,)
        The same, where players are columns.

    Notes
    -----
    Lundberg and Lee (2017). Up to 12 players, all coalitions are run on all background rows, and
    the values are exact: ``(2**n_players - 2) * n_background`` evaluations a row.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain import KernelSHAP
    >>> X = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0]])
    >>> explainer = KernelSHAP(lambda X: 3 * X[:, 0] + X[:, 1], background=X[:2]).fit(X)
    >>> explainer.transform([[4.0, 2.0]])
    array([[9., 0.]])
    """

    _parameter_constraints: dict[str, Any] = {
        **AttributionExplainer._parameter_constraints,
        "background": "no_validation",
        "output": [StrOptions(set(OUTPUTS))],
        "link": [StrOptions(set(LINKS))],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        players: Any = "auto",
        background: Any = 100,
        output: str = "auto",
        link: str = "identity",
        batch_size: int | str = "auto",
        feature_names: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.players = players
        self.background = background
        self.output = output
        self.link = link
        self.batch_size = batch_size
        self.feature_names = feature_names
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> KernelSHAP:
        """Fit the estimator and keep the background.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_columns) or \
                (n_samples, n_timesteps, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
        **fit_params : dict
            For the estimator's `fit`.

        Returns
        -------
        self : KernelSHAP
        """
        rows = self._fit_estimator(X, y, **fit_params)
        if self.players_.n_players > _MOST_EXACT_PLAYERS:
            raise ValueError(
                f"players={self.players!r} makes {self.players_.n_players} players, but KernelSHAP "
                f"enumerates at most {_MOST_EXACT_PLAYERS}; group columns or time steps into fewer "
                "players"
            )
        self._keep_background(rows)
        return self

    def _keep_background(self, rows: np.ndarray) -> None:
        background = self.background
        if hasattr(background, "columns"):
            background = self._rows(background)
        self.background_ = make_background(background, rows, random_state=self.random_state)
        self.importance_rows_ = self.background_.rows
        outputs = unmasked_outputs(self._model(), self.background_.rows, "background row")
        self.base_values_ = self.background_.mean(outputs)
        self.output_names_ = self._model().output_names(len(self.base_values_))
        self.__dict__.pop("_importances_cache", None)

    def _model(self) -> Model:
        return Model(
            self.explained_estimator_, output=self.output, link=self.link, codec=self.codec_
        )

    def _explain_rows(self, rows: np.ndarray) -> Explanation:
        model, players = self._model(), self.players_
        predictions = unmasked_outputs(model, rows)
        n_outputs = len(self.base_values_)
        coalitions = all_coalitions(players.n_players)
        values = np.empty((len(rows), players.n_players, n_outputs))
        n_evals = len(rows) * (len(coalitions) - 2) * len(self.background_)
        with tqdm(
            total=n_evals,
            desc="KernelSHAP",
            unit="eval",
            unit_scale=True,
            disable=not self.verbose,
        ) as progress:
            for part, inner in evaluate_chunks(
                model,
                rows,
                coalitions[1:-1],
                self.background_.rows,
                players,
                weights=self.background_.weights,
                batch_size=self.batch_size,
                n_jobs=self.n_jobs,
                on_progress=progress.update,
            ):
                # Nobody present is the base value for every row; everybody is the prediction.
                coalition_values = np.empty((len(inner), len(coalitions), n_outputs))
                coalition_values[:, 0] = self.base_values_
                coalition_values[:, 1:-1] = inner
                coalition_values[:, -1] = predictions[part]
                values[part] = exact_shapley(coalition_values)
        return self._explanation(rows, values, predictions)

    def _explanation(
        self, rows: np.ndarray, values: np.ndarray, predictions: np.ndarray
    ) -> Explanation:
        base = np.broadcast_to(self.base_values_, predictions.shape).copy()
        single = not self.output_names_
        return Explanation(
            values=values[..., 0] if single else values,
            base_values=base[:, 0] if single else base,
            predictions=predictions[:, 0] if single else predictions,
            data=rows,
            players=self.players_,
            output_names=self.output_names_,
            method="KernelSHAP",
            params={
                "n_background": len(self.background_),
                "output": self._model().method,
                "link": self.link,
                "exact": True,
            },
        )
