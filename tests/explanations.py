"""Explanations of any shape, made of random numbers."""

import numpy as np

from sklexplain import Explanation, make_players

NAMES = ("open", "close", "volume")


def make_explanation(n_samples=5, shape=(4, 3), players="feature", outputs=(), seed=0, **params):
    rng = np.random.default_rng(seed)
    players = make_players(players, shape, NAMES[: shape[-1]])
    values = rng.normal(size=(n_samples, players.n_players, *([len(outputs)] if outputs else [])))
    base = rng.normal(size=(n_samples, *values.shape[2:]))
    defaults = {
        "values": values,
        "base_values": base,
        "predictions": base + values.sum(axis=1),
        "data": rng.normal(size=(n_samples, *shape)),
        "players": players,
        "output_names": tuple(outputs),
        "std_errors": rng.uniform(size=values.shape),
        "index": np.arange(n_samples) + 100,
        "method": "Test",
    }
    return Explanation(**{**defaults, **params})


def assert_same(first, second):
    for name in ("values", "base_values", "predictions", "data", "std_errors", "index"):
        one, other = getattr(first, name), getattr(second, name)
        if one is None or other is None:
            assert one is other
        else:
            np.testing.assert_array_equal(one, other)
            assert np.asarray(one).dtype == np.asarray(other).dtype
    assert first.players == second.players
    assert first.players.level == second.players.level
    assert first.players.feature_names == second.players.feature_names
    for name in ("output_names", "method", "params", "categories", "kind"):
        assert getattr(first, name) == getattr(second, name)
