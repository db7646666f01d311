"""Permutation importance: how much the score drops when a player's values are shuffled."""

from __future__ import annotations

from contextlib import nullcontext
from numbers import Integral
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import _fit_context, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import Bunch, _safe_indexing, check_random_state
from sklearn.utils._param_validation import Interval, RealNotInt
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from .._progress import tqdm
from ..core.adapters import uses_torch
from ..core.explanation import Explanation
from ..core.placement import prefers_threads, workers_for
from ..core.workers import run_tasks
from .base import N_JOBS, BaseExplainer, frozen_if_plain, is_frozen
from .docs import documented
from .permutation_answers import answered_scores, engine_model
from .permutation_kept import KeptScores
from .permutation_null import null_importances, p_values
from .permutation_routing import weights_for
from .permutation_scores import ScoreDrops, combined, explanation_of, n_drawn, part_of


@documented
class PermutationImportance(BaseExplainer):
    """Importance of each player: the drop in the score when its values are permuted.

    The estimator is scored, then scored again with one player's cells taken from other rows of
    the same data, `n_repeats` times. A player the model relies on costs it score; one it ignores
    costs nothing. Works on tables and on windows, for single columns and for groups.

    Parameters
    ----------
    estimator : estimator, Pipeline, nn.Module or function
        Cloned and fitted, unless it is a `FrozenEstimator`, a bare module or a function, which
        are taken as they are.
    players : str, array of int, mapping or Players, default="auto"
        What is permuted together: see :func:`make_players`. ``"auto"`` permutes columns of tables
        and whole features of windows. Group correlated columns with :func:`cluster_players`:
        permuting them one by one hides them.
    scoring : str, callable, list, tuple or dict, default=None
        As of scikit-learn's `permutation_importance`; None is the estimator's own score. With
        several scorers, `importances_` belongs to the first and `results_` holds all.
    n_repeats : int, default=5
        Permutations of each player.
    cv : int, splitter, iterable or None, default=None
        None measures on the rows given to `fit` (or on `X_val`), by the estimator fitted on all
        of them. Else an estimator is fitted on each training part and measured on the rows held
        out; the results are averaged, and each fold's are kept.
    max_samples : int or float, default=1.0
        Rows drawn without replacement for each player, as a number or a share.
    n_null : int, default=0
        Times that everything is measured anew with the target permuted: what an estimator makes
        of players that say nothing. Costs `n_null` further fits, and brings `pvalues_`.
    %(feature_names)s
    %(n_jobs)s
    memory : str, path or joblib.Memory, default=None
        Where the scores of each player are kept, so that a run that was stopped or killed goes on
        where it was, given a number as `random_state`; but not those with permuted targets
        (`n_null`). Fitted estimators are kept too: the same one is not fitted twice on the same
        rows. Those are read and written by pickle, so give a folder that nobody else writes to.
    random_state : int, RandomState or None, default=None
    %(verbose)s

    Attributes
    ----------
    estimator_ : estimator
        Fitted on all rows.
    importances_ : ndarray of shape (n_players,)
        Mean drop in the first score over repeats (and folds).
    importances_std_ : ndarray of shape (n_players,)
        Standard deviation of these drops.
    feature_importances_ : ndarray of shape (n_columns,)
        The same, where players are columns.
    results_ : dict from scorer name to Bunch
        `importances` of shape (n_players, n_repeats), with `cv` (n_folds, n_players, n_repeats);
        `importances_mean`, `importances_std`; `baseline_score`, with `cv` one a fold. The name is
        ``"score"`` where `scoring` is one scorer.
    pvalues_ : ndarray of shape (n_players,)
        Only with `n_null`: how often a player that says nothing would seem as important as this
        one, ``(1 + n_null_at_least_as_large) / (1 + n_null)``; `results_` has it for each scorer,
        with `null_importances` of shape (n_null, n_players). Not corrected for the number of
        players.
    explanation_ : Explanation
        The drops as an explanation, whose samples are repeats.
    players_ : Players
    estimators_ : list of estimators
        Each fold's; only with `cv`.

    Notes
    -----
    Breiman (2001); Fisher, Rudin and Dominici (2019). With columns as players and equal
    `random_state` the numbers are those of :func:`sklearn.inspection.permutation_importance`.

    The p-values are those of Altmann, Toloşi, Sander and Lengauer (2010), from the permutations
    themselves rather than from a distribution fitted to them, which keeps them valid for any
    `n_null`. They take rows to be exchangeable, and are too small where neighbouring rows are
    alike, as in most time series.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.linear_model import Ridge
    >>> from sklexplain import PermutationImportance
    >>> X, y, coef = make_regression(n_features=4, n_informative=2, coef=True, random_state=0)
    >>> explainer = PermutationImportance(Ridge(), random_state=0).fit(X, y)
    >>> (explainer.importances_ > 0.01) == (coef != 0)
    array([ True,  True,  True,  True])
    """

    _parameter_constraints: dict[str, Any] = {
        **BaseExplainer._parameter_constraints,
        "scoring": "no_validation",
        "n_repeats": [Interval(Integral, 1, None, closed="left")],
        "cv": ["cv_object"],
        "n_null": [Interval(Integral, 0, None, closed="left")],
        "max_samples": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="right"),
        ],
        "n_jobs": N_JOBS,
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        players: Any = "auto",
        scoring: Any = None,
        n_repeats: int = 5,
        cv: Any = None,
        max_samples: float = 1.0,
        n_null: int = 0,
        feature_names: Any = None,
        n_jobs: int | None = None,
        memory: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.estimator = estimator
        self.players = players
        self.scoring = scoring
        self.n_repeats = n_repeats
        self.cv = cv
        self.max_samples = max_samples
        self.n_null = n_null
        self.feature_names = feature_names
        self.n_jobs = n_jobs
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        groups: Any = None,
        **fit_params: Any,
    ) -> PermutationImportance:
        """Fit the estimator and measure the importances.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_columns) or \
                (n_samples, n_timesteps, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
        sample_weight : array-like of shape (n_samples,), default=None
            For the estimator, if its `fit` takes weights, and for the scorer.
        X_val, y_val, sample_weight_val : array-like, default=None
            Rows to measure on in place of those that were fitted.
        groups : array-like of shape (n_samples,), default=None
            For a splitter that keeps groups together.
        **fit_params : dict
            For the estimator's `fit`.

        Returns
        -------
        self : PermutationImportance

        Raises
        ------
        ValueError
            If the players, the scorer, `max_samples` or the lengths do not fit; if `cv` and `X_val`
            are both given, or only one of `X_val` and `y_val`; if `sample_weight` is given to an
            estimator that takes none.
        TypeError
            If `estimator` is no model, or cannot be scored without `scoring`.
        """
        if self.cv is not None and X_val is not None:
            raise ValueError("cv and X_val both say which rows to measure on; give one of them")
        if (X_val is None) != (y_val is None) and y is not None:
            missing = "X_val" if X_val is None else "y_val"
            raise ValueError(f"{missing} is missing; X_val and y_val are given together")
        if self.scoring is not None:
            # What no scorer is called is told before a model is fitted.
            check_scoring(scoring=self.scoring)
        if self.n_null and (y is None or is_frozen(self.estimator)):
            raise ValueError(
                f"n_null={self.n_null} fits the estimator to permuted targets, but "
                + ("there is no y" if y is None else "the estimator is not fitted by the explainer")
                + "; leave n_null out"
            )
        given = {"sample_weight": sample_weight, "groups": groups, **fit_params}
        routed = self._routed({name: value for name, value in given.items() if value is not None})
        self._fit_estimator(X, y, **routed.estimator.fit)
        random_state = check_random_state(self.random_state)
        splitter = None if self.cv is None else check_cv(self.cv, y, classifier=is_classifier(self))
        if splitter is not None:
            measured = self._measure_folds(X, y, splitter, routed, random_state)
        elif X_val is not None:
            measured = [self._measure(X_val, y_val, sample_weight_val, random_state)]
        else:
            weight = routed.scorer.score.get("sample_weight")
            measured = [self._measure(X, y, weight, random_state)]
        self.results_ = combined(measured, by_fold=self.cv is not None)
        if self.n_null:
            held_out = {"X_val": X_val, "y_val": y_val, "sample_weight_val": sample_weight_val}
            self._measure_null(X, y, {**given, **held_out}, splitter, random_state)
        first = next(iter(self.results_.values()))
        self.importances_ = first.importances_mean
        self.importances_std_ = first.importances_std
        self.explanation_ = self._as_explanation(measured)
        return self

    def explain(self, X: Any, y: Any = None, *, sample_weight: Any = None) -> Explanation:
        """Measure the importances on other rows, by the estimator fitted on all training rows.

        Parameters
        ----------
        X : array-like or DataFrame
        y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        Explanation
            Its `kind` is ``"importances"``: a sample is a repeat, a value the drop in the score.
            Its outputs are the scorers, where there are several.
        """
        check_is_fitted(self)
        random_state = check_random_state(self.random_state)
        measured = self._measure(X, y, sample_weight, random_state)
        return self._as_explanation([measured])

    def get_metadata_routing(self) -> MetadataRouter:
        """Return which metadata goes to the estimator, the scorer and the splitter.

        Returns
        -------
        MetadataRouter
        """
        router = super().get_metadata_routing()
        scorer = check_scoring(frozen_if_plain(self.estimator), scoring=self.scoring)
        router.add(scorer=scorer, method_mapping=MethodMapping().add(caller="fit", callee="score"))
        splitter = check_cv(self.cv)
        return router.add(
            splitter=splitter, method_mapping=MethodMapping().add(caller="fit", callee="split")
        )

    def _routed(self, given: dict[str, Any]) -> Bunch:
        """Divide what `fit` was given between the estimator, the scorer and the splitter."""
        if get_config()["enable_metadata_routing"] and not is_frozen(self.estimator):
            return process_routing(self, "fit", **given)
        weight = given.pop("sample_weight", None)
        groups = given.pop("groups", None)
        return Bunch(
            estimator=Bunch(fit={**weights_for(self.estimator, weight), **given}),
            scorer=Bunch(score={} if weight is None else {"sample_weight": weight}),
            splitter=Bunch(split={} if groups is None else {"groups": groups}),
        )

    def _fit_params(self, params: dict[str, Any]) -> dict[str, Any]:
        # Already divided by _routed.
        return params

    def _measure_folds(
        self,
        X: Any,
        y: Any,
        splitter: Any,
        routed: Bunch,
        random_state: np.random.RandomState,
    ) -> list[dict[str, Bunch]]:
        weight = routed.scorer.score.get("sample_weight")
        check_consistent_length(X, y, weight, routed.splitter.split.get("groups"))
        self.estimators_, measured = [], []
        n_folds = splitter.get_n_splits(X, y, **routed.splitter.split)
        with self._progress(n_folds) as progress:
            for train, test in splitter.split(X, y, **routed.splitter.split):
                part = {
                    name: part_of(value, train, X) for name, value in routed.estimator.fit.items()
                }
                # Not a clone, because `cv` may be a generator, which cannot be copied.
                fold = type(self)(**{**self.get_params(deep=False), "cv": None})
                fold._fit_estimator(_safe_indexing(X, train), part_of(y, train, X), **part)
                if fold.players_.names != self.players_.names:
                    raise ValueError(
                        "the players differ between folds: the windows or columns depend on the "
                        "rows"
                    )
                self.estimators_.append(fold.estimator_)
                held_out = (_safe_indexing(X, test), part_of(y, test, X), part_of(weight, test, X))
                measured.append(fold._measure(*held_out, random_state, progress))
        return measured

    def _measure_null(
        self,
        X: Any,
        y: Any,
        given: dict[str, Any],
        splitter: Any,
        random_state: np.random.RandomState,
    ) -> None:
        """Add to each scorer's results what it finds where the target is permuted."""
        # Workers do not start workers of their own, and a chance fit is not worth keeping.
        params = {"cv": splitter, "n_null": 0, "n_jobs": 1, "memory": None, "verbose": 0}
        explainer = type(self)(**{**self.get_params(deep=False), **params})
        null = null_importances(
            explainer,
            X,
            y,
            given,
            seeds=random_state.randint(np.iinfo(np.int32).max, size=self.n_null),
            n_jobs=1 if uses_torch(self.explained_estimator_) else self.n_jobs,
            show_progress=bool(self.verbose),
        )
        for name, results in self.results_.items():
            results.null_importances = np.stack([drops[name] for drops in null])
            results.pvalues = p_values(results.importances_mean, results.null_importances)
        self.pvalues_ = next(iter(self.results_.values())).pvalues

    def _scorer(self) -> Any:
        # What follows the windows of a search has lost the search's own scorer.
        searched = getattr(self.estimator_, "scorer_", None) if self.window_steps_ else None
        if self.scoring is None and callable(searched):
            return searched
        return check_scoring(self.explained_estimator_, scoring=self.scoring)

    def _progress(self, n_measured: int) -> Any:
        return tqdm(
            total=n_measured * self.players_.n_players,
            desc="permutation importance",
            unit="player",
            disable=not self.verbose,
        )

    def _measure(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        random_state: np.random.RandomState,
        progress: Any = None,
    ) -> dict[str, Bunch]:
        """Return for each scorer the score of the rows and the drops in it, player by player."""
        check_consistent_length(X, y, sample_weight)
        if sample_weight is not None:
            # Older versions of scikit-learn hand to numpy what they were given.
            sample_weight = np.asarray(sample_weight)
        rows, codec = self._encoded(X)
        estimator = self.explained_estimator_
        # Drawn first and once, so that every player meets the same permutations, as in
        # scikit-learn.
        seed = random_state.randint(np.iinfo(np.int32).max + 1)
        task = ScoreDrops(
            estimator,
            self._scorer(),
            rows,
            y,
            sample_weight,
            codec,
            self.players_,
            seed,
            int(self.n_repeats),
            n_drawn(self.max_samples, len(rows)),
        )
        try:
            baseline = task.score(rows, y, sample_weight)
        except Exception as error:
            error.add_note(f"while scoring the {len(rows)} rows as they are")
            raise
        kept = KeptScores(self.memory, task, baseline)
        scores: list[Any] = kept.load(self.players_.n_players)
        missing = [player for player, found in enumerate(scores) if found is None]
        with self._progress(1) if progress is None else nullcontext(progress) as progress:
            n_jobs = workers_for(estimator, self.n_jobs)
            model = engine_model(estimator, codec)
            if model is None:
                measured = run_tasks(
                    ScoreDrops.permuted_scores,
                    task,
                    ((player,) for player in missing),
                    n_jobs=n_jobs,
                    threads=prefers_threads(estimator),
                )
            else:
                measured = answered_scores(task, model, missing, n_jobs)
            progress.update(len(scores) - len(missing))
            for player, player_scores in zip(missing, measured, strict=True):
                scores[player] = player_scores
                kept.store(player, player_scores)
                progress.update()
        return {
            name: Bunch(
                baseline_score=baseline[name],
                importances=baseline[name]
                - np.array([[repeat[name] for repeat in player] for player in scores]),
            )
            for name in baseline
        }

    def _as_explanation(self, measured: list[dict[str, Bunch]]) -> Explanation:
        params = {
            "n_repeats": self.n_repeats,
            "n_folds": len(measured) if self.cv is not None else 0,
            "max_samples": self.max_samples,
            "scoring": self.scoring if isinstance(self.scoring, str) else None,
            "n_null": self.n_null,
        }
        return explanation_of(measured, self.players_, params)
