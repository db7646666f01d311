"""A torch net's answers to permuted rows: run by the engine, then handed to scorers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn import config_context, get_config
from sklearn.base import ClassifierMixin, RegressorMixin, is_classifier
from sklearn.utils import get_tags

from ..core.adapters import unwrapped
from ..core.masked_batches import equal_slices
from ..core.models import Model
from ..core.perturb import evaluate
from ..core.tables import RowCodec
from .permutation_scores import ScoreDrops

_RESPONSES = ("predict", "predict_proba", "decision_function")


def engine_model(estimator: Any, codec: RowCodec) -> Model | None:
    """Return what the engine can run in place of the estimator, for every scorer that asks it.

    Parameters
    ----------
    estimator : fitted estimator
    codec : RowCodec

    Returns
    -------
    Model or None
        None where the estimator is no torch net, or scores in a way of its own.
    """
    core = unwrapped(estimator)
    if getattr(type(core), "score", None) not in (ClassifierMixin.score, RegressorMixin.score):
        return None
    # Of a classifier everything follows from its log-odds, or from its probabilities.
    responses = ("decision_function", "predict_proba") if is_classifier(core) else ("predict",)
    for response in responses:
        if hasattr(core, response):
            model = Model(estimator, output=response, codec=codec)
            if model.is_torch:
                return model
    return None


def answered_scores(
    drops: ScoreDrops, model: Model, players: Sequence[int], n_jobs: int | None
) -> Iterator[list[dict[str, float]]]:
    """Yield the scores of each player's repeats, as :meth:`ScoreDrops.permuted_scores` does.

    The engine sees many players at once, so that recurrent nets start from stored states.

    Parameters
    ----------
    drops : ScoreDrops
    model : Model
        Of :func:`engine_model`.
    players : sequence of int
        Those to permute.
    n_jobs : int or None
        Threads among which the engine divides its batches.
    """
    sample = drops.drawn_sample()
    rows, n_players = sample.rows, drops.players.n_players
    answering = Answering(drops.estimator, model, rows)
    per_player = 8 * len(rows) * drops.n_repeats * max(1, len(model.class_names))
    most = int(get_config()["working_memory"] * 2**20 / 4 / per_player)
    for group in equal_slices(len(players), max(1, most)):
        permuted = np.asarray(players[group])
        members = permuted.repeat(drops.n_repeats)
        outputs = evaluate(
            model,
            rows,
            np.arange(n_players) != members[:, None],
            rows,
            drops.players,
            pairing=np.tile(sample.orders, (len(permuted), 1)),
            n_jobs=n_jobs,
        )
        by_player = np.moveaxis(outputs, 0, 1).reshape(-1, drops.n_repeats, *outputs[:, 0].shape)
        for player, repeats in zip(permuted, by_player, strict=True):
            # Targets were checked with the baseline, and outputs as they came.
            with config_context(assume_finite=True, skip_parameter_validation=True):
                scores = drops.scores_of(player, sample, partial(answering.to, repeats))
            yield scores


class Answering:
    """An estimator as a scorer sees it, whose answers to known rows were computed before.

    Any other question goes to the estimator itself.

    Parameters
    ----------
    estimator : fitted estimator
    model : Model
        What the outputs are of.
    rows : ndarray of shape (n_samples, *sample_shape)
    """

    def __init__(self, estimator: Any, model: Model, rows: np.ndarray) -> None:
        self.estimator = estimator
        self.method = model.method
        self.like = np.asarray(estimator.predict(rows[:1]))
        # Scorers ask for each permutation, and a frozen estimator copies them every time.
        self.tags = get_tags(estimator)
        self.rows: np.ndarray | None = None
        self.outputs: np.ndarray = np.empty((0, 0))

    def to(self, repeats: np.ndarray, repeat: int, rows: Any) -> Answering:
        """Return the estimator that answers to these rows what was computed for a repeat."""
        self.rows, self.outputs = rows, repeats[repeat]
        return self

    def __getattr__(self, name: str) -> Any:
        # Asked first, so that what the estimator lacks is lacking here too.
        theirs = getattr(self.estimator, name)
        if name not in _RESPONSES:
            return theirs

        def response(X: Any) -> np.ndarray:
            return self._answer(name, theirs, X)

        # Scorers tell methods apart by their names.
        response.__name__ = name
        return response

    def __sklearn_tags__(self) -> Any:
        return self.tags

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the score that the estimator's kind has, of the answers."""
        mixin: Any = ClassifierMixin if is_classifier(self) else RegressorMixin
        return mixin.score(self, X, y, sample_weight)

    def _answer(self, name: str, theirs: Any, X: Any) -> np.ndarray:
        if X is not self.rows:
            return theirs(X)
        if self.method == "predict":
            return self.outputs.reshape(-1, *self.like.shape[1:]).astype(self.like.dtype)
        if name == "decision_function":
            return self.outputs[:, 0] if self.outputs.shape[1] == 1 else self.outputs
        probabilities = self._probabilities()
        if name == "predict_proba":
            return probabilities
        return self.estimator.classes_[np.argmax(probabilities, axis=1)]

    def _probabilities(self) -> np.ndarray:
        if self.method == "predict_proba":
            return self.outputs
        if self.outputs.shape[1] == 1:
            positive = expit(self.outputs[:, 0])
            return np.column_stack([1 - positive, positive])
        return softmax(self.outputs, axis=1)
