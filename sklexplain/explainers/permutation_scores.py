"""What permutation importance measures: scores, and the drops in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import Bunch, _safe_indexing, check_random_state
from sklearn.utils.random import sample_without_replacement

from ..core.explanation import Explanation
from ..core.perturb import replaced
from ..core.players import Players
from ..core.tables import RowCodec

# Returns what answers a scorer's questions about some rows.
Answerer = Callable[[Any], Any]


class Sample(NamedTuple):
    """Rows that are measured on."""

    rows: np.ndarray
    y: Any
    sample_weight: Any
    orders: np.ndarray  # (n_repeats, n_rows): where the cells of a permuted player come from


@dataclass(frozen=True)
class ScoreDrops:
    """Everything that scoring under a permuted player needs; sent to the workers.

    Parameters
    ----------
    estimator : fitted estimator
    scorer : callable
    rows : ndarray of shape (n_samples, *sample_shape)
        Encoded by `codec`.
    y : array-like or None
    sample_weight : array-like or None
        For the scorer.
    codec : RowCodec
    players : Players
    seed : int
        Every player meets the same permutations, as in scikit-learn.
    n_repeats : int
    n_drawn : int
        Rows drawn for each player.
    """

    estimator: Any
    scorer: Any
    rows: np.ndarray
    y: Any
    sample_weight: Any
    codec: RowCodec
    players: Players
    seed: int
    n_repeats: int
    n_drawn: int

    def score(
        self, rows: np.ndarray, y: Any, sample_weight: Any, answering: Answerer | None = None
    ) -> dict[str, float]:
        """Return each scorer's score of some rows, by the estimator or by what answers for it."""
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        decoded = self.codec.decode(rows)
        estimator = self.estimator if answering is None else answering(decoded)
        score = self.scorer(estimator, decoded, y, **weights)
        return score if isinstance(score, dict) else {"score": score}

    def drawn_sample(self) -> Sample:
        """Return the rows that are measured on, and in what orders they are permuted."""
        random_state = check_random_state(self.seed)
        rows, y, sample_weight = self.rows, self.y, self.sample_weight
        if self.n_drawn < len(rows):
            drawn = sample_without_replacement(len(rows), self.n_drawn, random_state=random_state)
            rows, y, sample_weight = rows[drawn], part_of(y, drawn), part_of(sample_weight, drawn)
        # Each repeat shuffles the order left by the one before, as scikit-learn does.
        orders = np.empty((self.n_repeats, len(rows)), dtype=np.intp)
        order = np.arange(len(rows))
        shuffled = np.arange(len(rows))
        for repeat in range(self.n_repeats):
            random_state.shuffle(shuffled)
            order = orders[repeat] = order[shuffled]
        return Sample(rows, y, sample_weight, orders)

    def permuted_scores(self, player: int) -> list[dict[str, float]]:
        """Return the scores of each repeat with one player permuted."""
        return self.scores_of(player, self.drawn_sample())

    def scores_of(
        self, player: int, sample: Sample, answering: Callable[[int, Any], Any] | None = None
    ) -> list[dict[str, float]]:
        """Return the scores of each repeat with one player of a sample permuted.

        Parameters
        ----------
        player : int
        sample : Sample
        answering : callable, optional
            Of a repeat and its rows: what stands in for the estimator.
        """
        cells = self.players.members(player)
        permuted = sample.rows.copy()
        scores = []
        for repeat, order in enumerate(sample.orders):
            replaced(sample.rows, order, cells, out=permuted)
            answerer = None if answering is None else partial(answering, repeat)
            try:
                scores.append(self.score(permuted, sample.y, sample.sample_weight, answerer))
            except Exception as error:
                name = self.players.names[player]
                error.add_note(
                    f"with {name!r} permuted among {len(permuted)} rows, repeat {repeat}"
                )
                raise
        return scores


def combined(measured: list[dict[str, Bunch]], *, by_fold: bool) -> dict[str, Bunch]:
    """Return each scorer's drops in all folds, and their mean over repeats and folds."""
    results = {}
    for name in measured[0]:
        importances = np.stack([fold[name].importances for fold in measured])
        baselines = np.array([fold[name].baseline_score for fold in measured])
        results[name] = Bunch(
            importances=importances if by_fold else importances[0],
            importances_mean=importances.mean(axis=(0, 2)),
            importances_std=importances.std(axis=(0, 2)),
            baseline_score=baselines if by_fold else baselines[0],
        )
    return results


def explanation_of(
    measured: list[dict[str, Bunch]], players: Players, params: dict[str, Any]
) -> Explanation:
    """Return the drops of each fold as one explanation, whose samples are repeats."""
    names = tuple(measured[0])
    values = np.stack(
        [np.concatenate([fold[name].importances.T for fold in measured]) for name in names],
        axis=-1,
    )
    baselines = np.stack(
        [
            np.repeat([fold[name].baseline_score for fold in measured], params["n_repeats"])
            for name in names
        ],
        axis=-1,
    )
    labels = [f"repeat {repeat}" for repeat in range(params["n_repeats"])]
    if len(measured) > 1:
        labels = [f"fold {fold}, {label}" for fold in range(len(measured)) for label in labels]
    single = len(names) == 1
    return Explanation(
        values=values[..., 0] if single else values,
        base_values=baselines[..., 0] if single else baselines,
        predictions=baselines[..., 0] if single else baselines,
        data=None,
        players=players,
        output_names=() if single else names,
        method="PermutationImportance",
        params=params,
        index=np.asarray(labels),
        kind="importances",
    )


def n_drawn(max_samples: float, n_rows: int) -> int:
    """Return how many rows a number or a share of them means."""
    if not isinstance(max_samples, Integral):
        if int(max_samples * n_rows) == 0:
            raise ValueError(
                f"max_samples={max_samples} of the {n_rows} rows measured on is less than one row"
            )
        return int(max_samples * n_rows)
    if max_samples > n_rows:
        raise ValueError(f"max_samples={max_samples} is more than the {n_rows} rows measured on")
    return int(max_samples)


def part_of(values: Any, rows: np.ndarray, X: Any = None) -> Any:
    """Return the rows of an array that has one entry a sample; anything else as it is."""
    if values is None or (X is not None and not _one_a_sample(values, X)):
        return values
    return _safe_indexing(values, rows)


def _one_a_sample(values: Any, X: Any) -> bool:
    return hasattr(values, "__len__") and not isinstance(values, str) and len(values) == len(X)
