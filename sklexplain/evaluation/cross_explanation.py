"""CrossExplanation: what cross_explain found, fold by fold and together."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from scipy.stats import t

from ..core.explanation import Explanation
from .agreement import corrected_sem, kendall_w, top_k_jaccard


@dataclass(frozen=True, eq=False)
class CrossExplanation:
    """Explanations of rows by models that did not see them, with what differs between the folds.

    Made by :func:`cross_explain`.

    Parameters
    ----------
    explanation : Explanation
        The rows that were held out, in the order of X; rows that never were are not in it. Where a
        row was held out several times, values, base values, predictions, data and diagnostics are
        means over these folds, and standard errors the mean of theirs, which is an upper bound of
        that of the mean; conditions are left out. NaN marks the output of a class that the fold's
        model did not know. Of permutation importance: the repeats of all folds, one after another.
    importances_ : ndarray of shape (n_folds, n_players)
        Each fold's mean absolute attribution over its held-out rows (and over outputs, those of
        unknown classes left out); of permutation importance the mean drop in the (first) score.
    n_train, n_test : ndarray of int, shape (n_folds,)
        Rows of each fold.
    scores : dict of ndarray of shape (n_folds,)
        ``test_score`` (or ``test_<name>`` of several scorers), ``fit_time`` and ``score_time`` as
        of :func:`~sklearn.model_selection.cross_validate`, and ``explain_time``; times in seconds.
        Permutation importance measures while it fits, and its time is in ``fit_time``.
    rows : ndarray of int, shape (n_held_out,)
        Positions in X of the rows that were held out; of attributions, those that the explanation
        holds.
    n_times : ndarray of int, shape (n_samples,)
        How often each row of X was held out.
    values_std : ndarray shaped as ``explanation.values``, or None
        Standard deviation (divisor n − 1) of the values of a row over the folds that held it out,
        NaN where that was one. None where no row was held out twice, and for permutation
        importance.
    estimators : list of fitted explainers, or None
        With ``return_estimator=True``.
    indices : dict of lists of ndarray, or None
        ``"train"`` and ``"test"``, with ``return_indices=True``.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import Ridge
    >>> from sklexplain import PermutationImportance, cross_explain
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> result = cross_explain(PermutationImportance(Ridge(alpha=0.1), random_state=0), X, y, cv=5)
    >>> result
    CrossExplanation(PermutationImportance: 5 folds × 10 players, 442 of 442 rows held out)
    >>> result.importances_.shape
    (5, 10)
    >>> result.kendall_w() > 0.8
    True
    >>> result.top_k_jaccard(2)
    1.0
    """

    explanation: Explanation
    importances_: np.ndarray
    n_train: np.ndarray
    n_test: np.ndarray
    scores: dict[str, np.ndarray]
    rows: np.ndarray
    n_times: np.ndarray
    values_std: np.ndarray | None = None
    estimators: list[Any] | None = None
    indices: dict[str, list[np.ndarray]] | None = None

    @property
    def n_folds(self) -> int:
        """Number of folds, repeats counted."""
        return len(self.importances_)

    @property
    def player_names(self) -> tuple[str, ...]:
        """The players, in the order of the importances."""
        return self.explanation.players.names

    @property
    def held_out(self) -> np.ndarray:
        """Which rows of X were held out at least once, bool of shape (n_samples,)."""
        return self.n_times > 0

    @property
    def importances_mean(self) -> np.ndarray:
        """Mean of the folds' importances, shape (n_players,)."""
        return self.importances_.mean(axis=0)

    @property
    def importances_sem(self) -> np.ndarray:
        """Standard error of that mean, shape (n_players,); NaN with a single fold.

        Corrected for training sets that overlap (Nadeau and Bengio 2003): see
        :func:`~sklexplain.evaluation.agreement.corrected_sem`.
        """
        return corrected_sem(self.importances_, self.n_train, self.n_test)

    def confidence_interval(self, level: float = 0.95) -> np.ndarray:
        """Return an interval for each player's mean importance.

        Parameters
        ----------
        level : float, default=0.95
            Between 0 and 1.

        Returns
        -------
        ndarray of shape (n_players, 2)
            mean ∓ t · sem, with the quantile of Student's t of J − 1 degrees of freedom. NaN with
            a single fold.

        Raises
        ------
        ValueError
            If `level` is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise ValueError(f"level={level!r} must be between 0 and 1, such as 0.95")
        if self.n_folds < 2:
            return np.full((len(self.player_names), 2), np.nan)
        half = t.ppf((1 + level) / 2, self.n_folds - 1) * self.importances_sem
        return np.column_stack([self.importances_mean - half, self.importances_mean + half])

    def kendall_w(self) -> float:
        """Return how far the folds rank the players alike, from 0 to 1.

        See :func:`~sklexplain.evaluation.agreement.kendall_w`.
        """
        return kendall_w(self.importances_)

    def top_k_jaccard(self, k: int) -> float:
        """Return how far the folds agree on the k most important players, from 0 to 1.

        Parameters
        ----------
        k : int

        See Also
        --------
        sklexplain.evaluation.agreement.top_k_jaccard : The definition.
        """
        return top_k_jaccard(self.importances_, k)

    def to_frame(self) -> Any:
        """Return the importances as a DataFrame, players in rows.

        Returns
        -------
        pandas.DataFrame
            Columns ``mean``, ``sem`` and ``fold 0``, ``fold 1``, ….

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_frame needs pandas: pip install 'sklexplain[report]'") from error
        columns = {"mean": self.importances_mean, "sem": self.importances_sem}
        columns |= {f"fold {number}": fold for number, fold in enumerate(self.importances_)}
        return pd.DataFrame(columns, index=pd.Index(self.player_names, name="player"))

    def __repr__(self) -> str:
        return (
            f"CrossExplanation({self.explanation.method}: {self.n_folds} folds × "
            f"{len(self.player_names)} players, {len(self.rows)} of {len(self.n_times)} rows held "
            "out)"
        )

    def _repr_html_(self) -> str:
        """Show the players' importances with their standard errors, and the scores."""
        mean, sem = self.importances_mean, self.importances_sem
        order = np.argsort(-np.abs(mean), kind="stable")[:20]
        widest = max(float(np.abs(mean).max(initial=0)), np.finfo(float).tiny)
        rows = "".join(
            f"<tr><td>{escape(self.player_names[i])}</td>"
            f'<td style="text-align:right">{mean[i]:.4g}</td>'
            f'<td style="text-align:right">{"" if np.isnan(sem[i]) else f"± {sem[i]:.2g}"}</td>'
            f'<td style="min-width:12em"><div style="background:'
            f"{'#0072B2' if mean[i] >= 0 else '#D55E00'};height:0.9em;width:"
            f'{100 * abs(mean[i]) / widest:.1f}%"></div></td></tr>'
            for i in order
        )
        drops = self.explanation.kind == "importances"
        measure = "drop in the score" if drops else "mean |attribution|"
        notes = [
            f"{name.removeprefix('test_')} {scores.mean():.4g} (sd {scores.std():.2g})"
            for name, scores in self.scores.items()
            if name.startswith("test_")
        ]
        if self.n_folds > 1 and len(self.player_names) > 1:
            notes.append(f"Kendall's W of the folds' rankings {self.kendall_w():.2f}")
        return (
            f"<p>{escape(repr(self))}</p><table><thead><tr><th>player</th><th>{measure}</th>"
            f"<th>standard error</th><th></th></tr></thead><tbody>{rows}</tbody></table>"
            f"<p>{escape('; '.join(notes))}</p>"
        )
