"""KernelSHAP: Shapley values of any model."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from .._progress import tqdm
from ..core.adapters import made_of_trees, uses_torch
from ..core.built_rows import unmasked_outputs
from ..core.explanation import Explanation
from ..core.failures import RowNames
from ..core.models import LINKS, OUTPUTS, Model
from ..core.players import Players
from ..core.tables import RowCodec
from ..solvers.walks import least_walks
from .attribution import AttributionExplainer
from .base import N_JOBS
from .control_variate import DeepControlVariate, deep_control_variate
from .deep_shap import EVALS_PER_REFERENCE
from .docs import documented
from .kernel_shap_rows import MOST_EXACT_PLAYERS, RowSolver, exact_evals
from .pruning import pruned_players, refuse_pruning

# What `max_evals="auto"` spends on an exact answer.
_MOST_AUTO_EXACT = 4096
# Evaluations a background row beyond which a net's own contributions are no help any more.
_MOST_DEEP_EVALS = 8


@documented
class KernelSHAP(AttributionExplainer):
    """Shapley values of any model, against a background of real rows.

    A value says how much a player moved the output of this row away from the base value (the mean
    output over the background), on average over all orders in which the players can be filled
    in. The values of a row add up to its prediction minus the base value. Absent players are
    taken from background rows, so the background is the question: "compared with which rows?"
    Compared with the training rows, a value says what sets this row apart from an average one;
    compared with one row, what makes the difference to that row. Rows mixed from two may be
    unlike any real one where players are correlated: group such columns into one player
    (:func:`cluster_players`).

    Parameters
    ----------
    estimator : estimator, Pipeline, nn.Module or function
        Cloned and fitted, unless it is a `FrozenEstimator`, a bare module or a function, which
        are taken as they are.
    players : str, array of int, mapping or Players, default="auto"
        What is present or absent together: see :func:`make_players`.
    background : int, array-like, DataFrame or Background, default=100
        A number of training rows to draw, the rows themselves, or ``Background.kmeans(X, n)``.
        More rows make the base value more representative, and cost nothing where the values are
        sampled.
    max_evals : int, "auto" or "exact", default="auto"
        The most model evaluations for one explained row; a row of the model's input is one
        evaluation. ``"auto"`` is ``2048 + 16 * n_players`` (more where `sampling` needs it), or
        what exact values cost if that is at most 4,096. ``"exact"`` enumerates all coalitions
        of up to 20 players whatever it costs. Whenever enumeration,
        ``(2**n_players - 2) * n_background + 1`` evaluations, costs no more than the budget, the
        values are exact. Otherwise look at `std_errors`: four times the budget halves them at
        least.
    tol : float or None, default=None
        Stop sampling for a row once its largest standard error is below `tol` times the distance
        of its prediction from the base value. 0.02 is enough for pictures. The evaluations used
        are in the explanation's ``diagnostics["n_evals"]``.
    prune_tol : float or None, default=None
        For players that are time steps or cells of windows: old steps that together change the
        output by less than `prune_tol` of its distance from the base value become one player
        named ``t ≤ -k``. Found by `fit` on a few training rows, the same for all explained rows.
    control_variate : {"auto", "deep"} or None, default="auto"
        What is known of the model before sampling. ``"deep"`` traces a torch net back against each
        background row, as :class:`DeepSHAP` does, and samples only what that misses; it counts as
        two evaluations a background row. ``"auto"`` does so for nets that can be traced, where the
        budget is 4 to 8 evaluations a background row. There it took a quarter to a third off the
        error for one trained LSTM and added a quarter for an easier one; from 10 on it gains
        nothing. None treats every model as a black box.
    sampling : {"auto", "pairs", "walks"}, default="auto"
        How evaluations are spent where not all coalitions are run: on pairs of complementary
        coalitions, from which a regression tells the values, or on walks from every background
        row to the explained one, a player at a time. ``"auto"`` takes whichever came nearer when
        it was measured: see the notes. ``"walks"`` needs ``n_players - 1`` evaluations a
        background row, and comes nearer with twice that.
    output : {"auto", "predict", "predict_proba", "decision_function"}, default="auto"
        What is explained; ``"auto"`` takes probabilities where there are any.
    link : {"identity", "logit"}, default="identity"
        ``"logit"`` explains the log-odds of probabilities; base value, predictions and values are
        then log-odds. The link is applied to each output, before averaging over the background.
    batch_size : int or "auto", default="auto"
        Masked rows run at a time.
    %(feature_names)s
    %(n_jobs)s
    %(memory)s
    %(on_error)s
    random_state : int, RandomState or None, default=None
        Of the draw of background rows and of coalitions.
    %(verbose)s

    Attributes
    ----------
    estimator_ : estimator
    background_ : Background
    base_values_ : ndarray of shape (n_outputs,)
        Mean output over the background.
    players_ : Players
    max_evals_ : int
        The budget that ``"auto"`` came to.
    output_names_ : tuple of str
        Empty for a single output.
    %(importances)s

    Notes
    -----
    Lundberg and Lee (2017). What is done when:

    ======================================= ====================================================
    enumeration within the budget           all coalitions on all background rows; exact
    fewer than 1,024 pairs of coalitions    paired sampling; regression with three-player
                                            interactions and background terms, solved by pairs
    more pairs                              the same, solved by features; three-player terms up
                                            to 14 players
    40 background rows or more, and         a walk from every background row to the explained
    trees with a budget of p - 1            row, one player after the other in an order of its
    evaluations a background row, or 15     own, and its reverse; as often as the budget allows
    players and twice that
    one background row                      the regression without background terms
    ======================================= ====================================================

    For the regression, coalitions are drawn in complementary pairs (Covert and Lee, 2021), sizes by
    leverage (Musco and Witter, 2025), without replacement within a size. A pair meets *one*
    background row, in turn, where other implementations run every coalition on all of them. The
    noise that this brings is fitted and removed: see
    :class:`sklexplain.solvers.shapley.PairedRegression`. All rows share one design, so the result
    for a row does not depend on the others. Walks are those of Castro, Gómez and Tejada (2009),
    reversed as by Mitchell and others (2022). Where the budget does not reverse all, rows that are
    alike walk opposite orders. Standard errors after one round are rough: on tables two to five
    times the true spread, but too small, down to 0, where players add the same both ways, as to a
    majority. After more rounds, how far these differ tells them, and only then may `tol` end a row.

    A player whose cells equal those of every background row has the value 0 and costs nothing.

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
        "max_evals": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto", "exact"})],
        "tol": [Interval(Real, 0, None, closed="neither"), None],
        "prune_tol": [Interval(Real, 0, 1, closed="neither"), None],
        "control_variate": [StrOptions({"auto", "deep"}), None],
        "sampling": [StrOptions({"auto", "pairs", "walks"})],
        "output": [StrOptions(set(OUTPUTS))],
        "link": [StrOptions(set(LINKS))],
        "batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
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
        tol: float | None = None,
        prune_tol: float | None = None,
        control_variate: str | None = "auto",
        sampling: str = "auto",
        output: str = "auto",
        link: str = "identity",
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
        self.background = background
        self.max_evals = max_evals
        self.tol = tol
        self.prune_tol = prune_tol
        self.control_variate = control_variate
        self.sampling = sampling
        self.output = output
        self.link = link
        self.batch_size = batch_size
        self.feature_names = feature_names
        self.n_jobs = n_jobs
        self.memory = memory
        self.on_error = on_error
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

        Raises
        ------
        ValueError
            If the players, the background, the budget, `output` or `link` do not fit the rows or
            the estimator, or if the model gives NaN or infinite values.
        TypeError
            If `estimator` is no model, or `players` or `background` of no known kind.
        """
        rows = self._fit_estimator(X, y, **fit_params)
        random_state = check_random_state(self.random_state)
        design_seed = int(random_state.randint(np.iinfo(np.int32).max))
        self.background_ = self._make_background(rows)
        self._refuse_missing(self.background_.rows, "background")
        self.importance_rows_ = self._rows_of_importances(rows)
        outputs = unmasked_outputs(self._model(), self.background_.rows, "background row")
        self.base_values_ = self.background_.mean(outputs)
        self.output_names_ = self._model().output_names(len(self.base_values_))
        if self.prune_tol is not None:
            self.players_ = pruned_players(
                self._model(),
                rows,
                self.background_,
                self.players_,
                self.prune_tol,
                random_state,
                batch_size=self.batch_size,
                n_jobs=self.n_jobs,
            )
        self.max_evals_ = self._budget(self.players_.n_players, len(self.background_))
        self.solver_ = RowSolver(
            self.players_,
            self.background_,
            outputs,
            self.base_values_,
            self.max_evals_,
            design_seed,
            self._control_variate(),
            self.sampling,
            made_of_trees(self.explained_estimator_),
        )
        self.__dict__.pop("_importances_cache", None)
        return self

    def _control_variate(self) -> DeepControlVariate | None:
        """Return the net's own contributions, where they are wanted, to be had and affordable."""
        if self.control_variate is None or self.enumerates or self.sampling == "walks":
            return None
        n_evals = EVALS_PER_REFERENCE * len(self.background_)
        # What is left must do for the regression.
        needed = n_evals + max(n_evals, 4 * self.players_.n_players + 1)
        affordable = needed <= self.max_evals_
        worth_it = affordable and self.max_evals_ <= _MOST_DEEP_EVALS * len(self.background_)
        if self.control_variate == "auto" and not (
            worth_it and self.link == "identity" and uses_torch(self.explained_estimator_)
        ):
            return None
        if not affordable:
            raise ValueError(
                f'control_variate="deep" costs {n_evals} of max_evals={self.max_evals_}; raise '
                f"max_evals to {needed}, take fewer background rows, or leave it out"
            )
        if self.link != "identity":
            raise ValueError(f'control_variate="deep" needs link="identity", not {self.link!r}')
        try:
            return deep_control_variate(
                self.explained_estimator_,
                self.output,
                self.codec_,
                self.background_,
                self.players_,
            )
        except (TypeError, NotImplementedError):
            if self.control_variate == "deep":
                raise
            return None

    def _check_rows(self, rows: np.ndarray, players: Players) -> None:
        if self.sampling == "walks" and self.control_variate == "deep":
            raise ValueError('control_variate="deep" needs sampling="pairs", not "walks"')
        background = self._make_background(rows)
        if self.prune_tol is None:
            self._budget(players.n_players, len(background))
        else:
            # How many players are left for the budget is known after pruning.
            refuse_pruning(self.prune_tol, players)

    def _budget(self, n_players: int, n_background: int) -> int:
        """Return the evaluations allowed for one row."""
        exact = exact_evals(n_players, n_background)
        if self.max_evals == "exact":
            if n_players > MOST_EXACT_PLAYERS:
                raise ValueError(
                    f'max_evals="exact" enumerates at most {MOST_EXACT_PLAYERS} players, but '
                    f"players={self.players!r} makes {n_players}; use a number of evaluations, or "
                    "group columns or time steps into fewer players"
                )
            return exact
        walks = 0
        if self.sampling == "walks":
            walks = least_walks(n_background) * (n_players - 1) + 1
        if self.max_evals == "auto":
            return exact if exact <= _MOST_AUTO_EXACT else max(walks, 2048 + 16 * n_players)
        budget = int(self.max_evals)
        needed = min(exact, 4 * n_players + 1)
        if budget < needed:
            raise ValueError(
                f"max_evals={budget} is too few for {n_players} players: the regression needs at "
                f"least {needed}; a good start is {2048 + 16 * n_players}"
            )
        if budget < min(exact, walks):
            raise ValueError(
                f'max_evals={budget} is too few for sampling="walks" of {n_players} players from '
                f"{n_background} background rows, which takes at least {walks}; raise max_evals, "
                "take fewer background rows, or leave sampling out"
            )
        return budget

    @property
    def enumerates(self) -> bool:
        """Whether the budget allows for exact values."""
        return exact_evals(self.players_.n_players, len(self.background_)) <= self.max_evals_

    def _evals_per_row(self) -> int:
        exact = exact_evals(self.players_.n_players, len(self.background_))
        return exact if self.enumerates else self.max_evals_

    def _answers(self, rows: np.ndarray) -> np.ndarray:
        return unmasked_outputs(self._model(), rows)

    def _learned(self) -> Any:
        background = self.background_
        drawn = None if self.enumerates else self.solver_.design_seed
        return background.rows, background.weights, self.max_evals_, drawn

    def _model(self, codec: RowCodec | None = None) -> Model:
        return Model(
            self.explained_estimator_,
            output=self.output,
            link=self.link,
            codec=self.codec_ if codec is None else codec,
        )

    def _explain_rows(
        self,
        rows: np.ndarray,
        codec: RowCodec | None = None,
        numbers: np.ndarray | None = None,
    ) -> Explanation:
        model = self._model(codec)
        predictions = unmasked_outputs(model, rows, RowNames(numbers))
        shape = (len(rows), self.players_.n_players, len(self.base_values_))
        values, errors = np.zeros(shape), np.zeros(shape)
        n_evals = np.ones(len(rows), dtype=np.int64)
        sampled = False
        planned = self._evals_per_row()
        with tqdm(
            total=planned * len(rows),
            desc="KernelSHAP",
            unit="eval",
            unit_scale=True,
            disable=not self.verbose,
        ) as progress:
            progress.update(len(rows))
            solving = self.solver_.solve(
                model,
                rows,
                predictions,
                tol=self.tol,
                batch_size=self.batch_size,
                n_jobs=self.n_jobs,
                on_progress=progress.update,
                row_numbers=numbers,
            )
            for part in solving:
                where = np.ix_(part.members, part.active)
                values[where], errors[where] = part.values, part.std_errors
                n_evals[part.members] = part.n_evals
                sampled |= part.sampled
                # Rows with fewer players, or that reach `tol`, leave less to do than planned.
                progress.total -= (planned - part.n_evals) * len(part.members)
        params = {
            "n_background": len(self.background_),
            "max_evals": self.max_evals_,
            "tol": self.tol,
            "output": model.method,
            "link": self.link,
            "exact": not sampled,
        }
        evals = np.broadcast_to(n_evals[:, None], predictions.shape)
        return self._explained(
            rows,
            values,
            predictions,
            params,
            {"n_evals": evals},
            std_errors=errors if sampled else None,
        )

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "solver_" in state:
            # The regressions are large, and cheap to make again.
            state = {**state, "solver_": replace(state["solver_"], regressions={})}
        return state
