from functools import partial

import numpy as np
import pytest
from matplotlib.figure import Figure

from sklexplain import Explanation, make_players

from .images import check_picture


@pytest.fixture
def matches_reference(tmp_path):
    """Compare ``(name, draw)`` with a reference image; such tests have "reference" in the name."""
    return partial(check_picture, folder=tmp_path)


@pytest.fixture
def ax():
    return Figure(figsize=(6, 4), layout="constrained").add_subplot()


@pytest.fixture
def explanation_of():
    """Make explanations with random values, the last players the largest."""

    def make(
        players="column",
        shape=(4,),
        *,
        kind="attributions",
        n_samples=7,
        feature_names=None,
        output_names=(),
        method=None,
    ):
        rng = np.random.default_rng(0)
        players = make_players(players, shape, feature_names)
        outputs = (len(output_names),) if output_names else ()
        sizes = np.linspace(0.1, 1, players.n_players).reshape(-1, *(1 for _ in outputs))
        values = rng.normal(size=(n_samples, players.n_players, *outputs)) * sizes
        if kind == "importances":
            values = values * 0.1 + sizes - 0.3
        constant = np.zeros((n_samples, *outputs))
        return Explanation(
            values=values,
            base_values=constant,
            predictions=constant + values.sum(axis=1),
            data=None if kind == "importances" else rng.normal(size=(n_samples, *shape)),
            players=players,
            output_names=tuple(output_names),
            method=method or ("PermutationImportance" if kind == "importances" else "KernelSHAP"),
            kind=kind,
        )

    return make


@pytest.fixture
def row_explanation():
    """Make explanations of one row, whose values and gap add up to the prediction."""

    def make(
        n_players=3,
        *,
        players="column",
        shape=None,
        data=None,
        feature_names=None,
        base=1.5,
        scale=1.0,
        gap=0.0,
        method="KernelSHAP",
        **parts,
    ):
        rng = np.random.default_rng(0)
        players = make_players(players, shape or (n_players,), feature_names)
        values = rng.normal(size=(1, players.n_players)) * scale
        data = rng.normal(size=(1, *players.shape)) if data is None else data
        base_values = np.array([float(base)])
        return Explanation(
            values=values,
            base_values=base_values,
            predictions=base_values + values.sum(axis=1) + gap,
            data=data,
            players=players,
            method=method,
            **parts,
        )

    return make
