"""What each scorer measures of an explainer: the arrays a metric needs, and the metric.

Every function takes a subject and one of its outputs and returns one number a row, with the sign
by which greater is better.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state

from ..explainers.lime_draws import categorical_positions
from ..solvers.coalitions import all_coalitions, kernel_shares, paired_design
from . import metrics
from .subject import Subject, View


def lime_fidelity(subject: Subject, view: View) -> np.ndarray:
    """Weighted R² of LIME's surrogates on their own draws.

    Range: at most 1. Costs nothing beyond the explanation. A narrow kernel, which leaves a
    surrogate few draws to imitate, raises it; look at ``diagnostics["effective_draws"]`` too.
    Source: Ribeiro, Singh and Guestrin (2016).
    """
    if "local_r2" not in view.explanation.diagnostics:
        raise TypeError(
            f"lime_fidelity judges LIME's surrogates, but {subject.explanation.method} has none; "
            "use the scorer fidelity, which any method has"
        )
    return view.diagnostic("local_r2")


def fidelity(
    subject: Subject, view: View, n_coalitions: int = 128, random_state: Any = 0
) -> np.ndarray:
    """Weighted R² of the simple model that the values stand for.

    Of LIME its own surrogate, as `lime_fidelity`. Of the others the additive model
    ``base + sum of the present players' values`` against the model's mean outputs over the
    background, on coalitions weighted by the Shapley kernel: all ``2**n_players - 2`` of them
    where `n_coalitions` is as many, else complementary pairs. A single player has only the empty
    and the full coalition.

    LIME's surrogates are judged on single draws and the others on mean outputs, so that the number
    compares settings of one method, but not LIME with another; `infidelity` does that.

    Range: at most 1; not bounded below. 1 is an additive model. Cost a row: `n_coalitions` times
    the background rows. Source: the loss that defines Shapley values, Lundberg and Lee (2017),
    theorem 2, as a share of the outputs' variance.
    """
    if "local_r2" in view.explanation.diagnostics:
        return view.diagnostic("local_r2")
    coalitions, weights = _kernel_coalitions(subject.n_players, n_coalitions, random_state)
    outputs = view.of_model(subject.outputs(coalitions))
    fitted = view.base_values[:, None] + view.values @ coalitions.T
    return metrics.weighted_r2(outputs, fitted, weights)


def _kernel_coalitions(
    n_players: int, most: int, random_state: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Return coalitions and the weight that the Shapley kernel gives each."""
    if n_players == 1:
        return np.array([[False], [True]]), np.ones(2)
    if n_players < 63 and 2**n_players - 2 <= most:
        coalitions = all_coalitions(n_players)[1:-1]
        sizes = coalitions.sum(axis=1)
        smaller = np.minimum(sizes, n_players - sizes)
        shares = kernel_shares(n_players)[smaller - 1]
        return coalitions, shares / np.bincount(smaller)[smaller]
    n_pairs = max(1, most // 2)
    design = paired_design(n_players, n_pairs, np.ones(1), check_random_state(random_state))
    return np.vstack([design.coalitions, ~design.coalitions]), np.tile(design.weights, 2)


def completeness(subject: Subject, view: View) -> np.ndarray:
    """How far the values miss the prediction, ``-|base + sum of values - prediction|``.

    Over the mean distance of the predictions from the base values. Of LIME, its surrogate's output
    for the row takes the place of the sum, because slopes do not add up.

    Range: at most 0, which is complete. Costs nothing beyond the explanation. Source: Sundararajan,
    Taly and Yan (2017); "efficiency" of Shapley values.
    """
    values = view.values
    if "surrogate_predictions" in view.explanation.diagnostics:
        values = (view.diagnostic("surrogate_predictions") - view.base_values)[:, None]
    return -metrics.completeness_gap(values, view.base_values, view.predictions)


def deletion_auc(subject: Subject, view: View) -> np.ndarray:
    """Area under the output while players are removed, largest value first; negative.

    Removed players take the values of the background rows; the outputs are averaged over them.
    Where a prediction lies below the mean output of the background, the most negative value goes
    first.

    Range: -1 to 0 where the output stays between its ends, -0.5 for a straight line. Cost a row:
    ``n_players - 1`` times the background rows, and the background once. Source: Petsiuk, Das and
    Saenko (2018); normalised by :func:`sklexplain.evaluation.metrics.curve_areas`.
    """
    return -_areas(subject, view, deleting=True)


def insertion_auc(subject: Subject, view: View) -> np.ndarray:
    """Area under the output while players are filled in, largest value first.

    The reverse of `deletion_auc`, from background rows to the row itself.

    Range: 0 to 1 where the output stays between its ends, 0.5 for a straight line. Cost and source
    as of `deletion_auc`.
    """
    return _areas(subject, view, deleting=False)


def _areas(subject: Subject, view: View, *, deleting: bool) -> np.ndarray:
    n_rows, n_players = view.values.shape
    outputs = subject.empty_outputs
    empty = view.of_model(np.broadcast_to(outputs, (n_rows, len(outputs))))
    full = view.predictions
    curves = np.empty((n_rows, n_players + 1))
    curves[:, 0], curves[:, -1] = (full, empty) if deleting else (empty, full)
    orders = metrics.removal_order(view.values, empty, full)
    # Rows of the same order ask for the same coalitions.
    distinct, group = np.unique(orders, axis=0, return_inverse=True)
    group = group.reshape(-1)
    for number, order in enumerate(distinct if n_players > 1 else ()):
        members = np.flatnonzero(group == number)
        places = np.argsort(order)
        first = places < np.arange(1, n_players)[:, None]
        inner = subject.outputs(~first if deleting else first, members)
        curves[members, 1:-1] = view.of_model(inner, members)
    return metrics.curve_areas(curves, empty, full)


def infidelity(
    subject: Subject,
    view: View,
    n_perturbations: int = 64,
    normalize: bool = False,
    random_state: Any = 0,
) -> np.ndarray:
    """How badly the values foretell what removing players does; negative.

    The mean squared difference between the sum of the removed players' values and the drop in the
    output (a mean over the background rows). Sets of players are drawn, all sizes from one player
    to all being equally likely, and are the same for all rows. With `normalize` only the
    proportions of a row's values are judged, which suits LIME's slopes.

    Range: at most 0, in the squared unit of the output; 0 for the Shapley values of an additive
    model. Cost a row: at most `n_perturbations` times the background rows. Source: Yeh et al.
    (2019), definition 2.1, with the subset perturbations of their section 2.3.
    """
    rng = check_random_state(random_state)
    sizes = rng.randint(1, subject.n_players + 1, size=n_perturbations)
    ranks = np.argsort(rng.random_sample((n_perturbations, subject.n_players)), axis=1)
    removed = ranks < sizes[:, None]
    distinct, which = np.unique(removed, axis=0, return_inverse=True)
    outputs = view.of_model(subject.outputs(~distinct))[:, which.reshape(-1)]
    return -metrics.infidelity(
        view.values,
        removed[None].astype(float),
        view.predictions[:, None] - outputs,
        normalize=normalize,
    )


def max_sensitivity(
    subject: Subject,
    view: View,
    radius: float = 0.02,
    n_perturbations: int = 10,
    random_state: Any = 0,
) -> np.ndarray:
    """How far the values move, relative to their size, when the row hardly does; negative.

    `n_perturbations` rows are drawn around each row, every cell within `radius` standard deviations
    (over the background rows) of its value, and explained; the largest move counts. Categorical
    columns stay as they are.

    Range: at most 0. Cost a row: `n_perturbations` explanations. Source: Yeh et al. (2019),
    definition 3.1.
    """
    rng = check_random_state(random_state)
    rows = subject.rows
    # Of a column without a value there is nothing to move.
    present = np.ma.masked_invalid(subject.background.rows)
    reach = radius * np.ma.filled(present.std(axis=0), 0.0)
    names = subject.explanation.players.feature_names
    fixed = set(subject.codec.categories)
    fixed |= categorical_positions(getattr(subject.explainer, "categorical_features", None), names)
    reach[..., sorted(fixed)] = 0
    # One design for all rows keeps the result for a row independent of the others.
    moves = rng.uniform(-1, 1, size=(n_perturbations, *rows.shape[1:])) * reach
    nearby = np.stack(
        [
            view.values_of(
                subject.explainer._explain_rows((rows + move).astype(rows.dtype), subject.codec)
            )
            for move in moves
        ],
        axis=1,
    )
    return -metrics.max_sensitivity(view.values, nearby)


def stability(subject: Subject, view: View, n_runs: int = 3, random_state: Any = 0) -> np.ndarray:
    """How alike the values are when the explainer is run with other seeds.

    Copies of the explainer with other `random_state`, around the same fitted estimator, are fitted
    on the judged rows (an explainer does not keep its training rows) and explain them: what varies
    is the draw of background rows, coalitions and perturbations. With fewer rows than the
    background is to have, all of them are drawn every time, and only the rest varies.
    ``1 - ‖a - b‖ / (‖a‖ + ‖b‖)`` over pairs of runs.

    Range: 0 to 1, which is equal values. Cost: `n_runs` fits of the explainer (not of the
    estimator) and as many explanations.
    """
    rng = check_random_state(random_state)
    explainer = subject.explainer
    runs = []
    for seed in rng.randint(np.iinfo(np.int32).max, size=n_runs):
        copy = clone(explainer).set_params(estimator=FrozenEstimator(explainer.estimator_))
        if "random_state" in copy.get_params(deep=False):
            copy.set_params(random_state=int(seed))
        runs.append(view.values_of(copy.fit(subject.X, subject.y).explain(subject.X)))
    return metrics.stability(np.stack(runs))


def sparsity(subject: Subject, view: View) -> np.ndarray:
    """Gini index of the values' sizes: how few players hold the attribution.

    Range: 0 (all alike) to ``1 - 1 / n_players`` (one holds everything). Costs nothing beyond the
    explanation. Source: Hurley and Rickard (2009); Chalasani et al. (2020).
    """
    return metrics.sparsity(view.values)
