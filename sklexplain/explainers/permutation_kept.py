"""Scores of permuted players that outlive the process that measured them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.checkpoints import Checkpoints
from .base import checked_memory
from .permutation_scores import ScoreDrops
from .recognition import checkpoints_of

Scores = list[dict[str, float]]

_SCORES = "scores"


class KeptScores:
    """The scores of each player's repeats, kept player by player.

    Parameters
    ----------
    memory : str, path, joblib.Memory or None
        None keeps nothing.
    drops : ScoreDrops
        What is measured.
    baseline : dict from scorer name to float
        The scores with nothing permuted, by which the model is recognised, with all else.
    """

    def __init__(self, memory: Any, drops: ScoreDrops, baseline: dict[str, float]) -> None:
        self.names = list(baseline)
        self.n_repeats = drops.n_repeats
        self.checkpoints: Checkpoints | None = None
        location = None if memory is None else checked_memory(memory).location
        if location is not None:
            scores = np.array([list(baseline.values())], dtype=float)
            self.checkpoints = checkpoints_of(
                location, drops.estimator, _recognised_by(drops), lambda rows: scores, drops.rows
            )

    def load(self, n_players: int) -> list[Scores | None]:
        """Return what is known of each player."""
        return [self._load(player) for player in range(n_players)]

    def _load(self, player: int) -> Scores | None:
        kept = None if self.checkpoints is None else self.checkpoints.load(_entry(player))
        if kept is None or kept[_SCORES].shape != (self.n_repeats, len(self.names)):
            return None
        return [dict(zip(self.names, map(float, repeat), strict=True)) for repeat in kept[_SCORES]]

    def store(self, player: int, scores: Sequence[dict[str, float]]) -> None:
        """Keep the scores of a player's repeats."""
        if self.checkpoints is not None:
            array = np.array([[repeat[name] for name in self.names] for repeat in scores])
            self.checkpoints.store(_entry(player), {_SCORES: array})


def _entry(player: int) -> str:
    return f"player-{player}"


def _recognised_by(drops: ScoreDrops) -> tuple[Any, ...]:
    codec, players = drops.codec, drops.players
    categories = {column: list(values) for column, values in codec.categories.items()}
    targets = [
        None if values is None else np.asarray(values) for values in (drops.y, drops.sample_weight)
    ]
    return (
        "permutation importance",
        drops.scorer,
        drops.rows,
        targets,
        (codec.columns, categories),
        (players.labels, players.names, players.shape),
        (drops.seed, drops.n_repeats, drops.n_drawn),
    )
