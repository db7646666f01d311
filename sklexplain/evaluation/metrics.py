"""How good attributions are: arrays in, one number a row out.

No model is run here. What a metric needs of the model (outputs of coalitions, attributions of
nearby rows) is given to it, so that it can be checked against other packages on the same numbers.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np


def weighted_r2(outputs: np.ndarray, fitted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted R² of each row: the share of variance that a simpler model explains.

    Parameters
    ----------
    outputs : ndarray of shape (n_rows, n_coalitions)
        Of the model.
    fitted : ndarray of shape (n_rows, n_coalitions)
        Of the simpler model.
    weights : ndarray of shape (n_coalitions,)

    Returns
    -------
    ndarray of shape (n_rows,)
        At most 1, which is a perfect fit; not bounded below. Where the outputs do not vary: 1 for
        a perfect fit, else 0, as in :func:`sklearn.metrics.r2_score`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.evaluation.metrics import weighted_r2
    >>> weighted_r2(np.array([[0.0, 1.0, 2.0]]), np.array([[0.0, 1.0, 1.0]]), np.ones(3))
    array([0.5])
    """
    means = np.average(outputs, axis=1, weights=weights)
    spread = ((outputs - means[:, None]) ** 2) @ weights
    missed = ((outputs - fitted) ** 2) @ weights
    # What rounding leaves of a constant output is no variance.
    rounding = weights.sum() * (1e-12 * np.abs(outputs).max(axis=1, initial=0)) ** 2
    varies = spread > rounding
    ratios = np.divide(missed, spread, out=(missed > rounding).astype(float), where=varies)
    return 1 - ratios


def completeness_gap(
    values: np.ndarray, base_values: np.ndarray, predictions: np.ndarray
) -> np.ndarray:
    """Return how far the values of each row miss its prediction.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_players)
    base_values, predictions : ndarray of shape (n_rows,)

    Returns
    -------
    ndarray of shape (n_rows,)
        ``|base + sum of values - prediction|`` over the mean distance of predictions from base
        values, ``mean |prediction - base|``, or as it is where that is 0. From 0, lower is
        better. The distance is a mean because a row as average as the background has none.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.evaluation.metrics import completeness_gap
    >>> completeness_gap(np.array([[1.0, 2.0]]), np.array([1.0]), np.array([5.0]))
    array([0.25])
    """
    gaps = np.abs(base_values + values.sum(axis=1) - predictions)
    return gaps / _scale(predictions - base_values)


def removal_order(
    values: np.ndarray, base_values: np.ndarray, predictions: np.ndarray
) -> np.ndarray:
    """Return the players of each row, the one that moved the output furthest its way first.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_players)
    base_values, predictions : ndarray of shape (n_rows,)
        Where the prediction lies below the base value, the most negative value comes first.

    Returns
    -------
    ndarray of int, shape (n_rows, n_players)
        Equal values keep the order of the players.
    """
    directions = np.where(predictions < base_values, -1.0, 1.0)
    return np.argsort(-directions[:, None] * values, axis=1, kind="stable")


def curve_areas(curves: np.ndarray, base_values: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Return the normalised area between the curve of each row and its base value.

    Parameters
    ----------
    curves : ndarray of shape (n_rows, n_players + 1)
        Outputs after 0, 1, … players were removed, or inserted.
    base_values, predictions : ndarray of shape (n_rows,)
        The ends of the curves: the outputs without any player, and with all of them.

    Returns
    -------
    ndarray of shape (n_rows,)
        By trapezoids, counted positive towards the prediction, over the mean distance of the ends.
        Between 0 and 1 on average where no curve leaves the range between its ends; a straight
        line has 0.5. It is 0.5 too where no row's ends differ. The distance is a mean because a
        row as average as the background has none.

    Notes
    -----
    Petsiuk, Das and Saenko (2018). Under deletion in a good order the area is small, under
    insertion large; a deletion is an insertion in the reversed order, read backwards.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.evaluation.metrics import curve_areas
    >>> curve_areas(np.array([[3.0, 1.0, 0.0]]), np.array([0.0]), np.array([3.0])).round(3)
    array([0.417])
    """
    distances = predictions - base_values
    if not np.any(distances):
        return np.full(len(curves), 0.5)
    areas = np.trapezoid(curves - base_values[:, None], axis=1) / (curves.shape[1] - 1)
    return np.where(distances < 0, -areas, areas) / _scale(distances)


def infidelity(
    values: np.ndarray,
    perturbations: np.ndarray,
    differences: np.ndarray,
    *,
    normalize: bool = False,
) -> np.ndarray:
    """Return the infidelity of each row: how badly its values foretell what perturbing does.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_players)
    perturbations : ndarray of shape (n_rows or 1, n_perturbations, n_players)
        What was taken from each player, in the unit by which its value is a slope. Of values that
        are contributions, as Shapley values are: 1 where the player was removed, else 0.
    differences : ndarray of shape (n_rows, n_perturbations)
        The drop in the output that each perturbation caused.
    normalize : bool, default=False
        Scale the values of each row by the one factor that fits best, so that only their
        proportions are judged.

    Returns
    -------
    ndarray of shape (n_rows,)
        The mean over perturbations of ``(perturbation · values - difference)²``, in the squared
        unit of the output. From 0, lower is better.

    Notes
    -----
    Yeh, Hsieh, Suggala, Inouye and Ravikumar (2019), definition 2.1. The numbers are those of
    `captum.metrics.infidelity` for the same perturbations.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.evaluation.metrics import infidelity
    >>> removed = np.array([[[1, 0], [1, 1]]])
    >>> infidelity(np.array([[2.0, 1.0]]), removed, np.array([[2.0, 5.0]]))
    array([2.])
    """
    foretold = np.einsum(
        "nmp,np->nm",
        np.broadcast_to(perturbations, (len(values), *perturbations.shape[1:])),
        values,
    )
    if normalize:
        squares = (foretold**2).sum(axis=1)
        products = (foretold * differences).sum(axis=1)
        factors = np.divide(products, squares, out=np.zeros_like(squares), where=squares > 0)
        foretold = foretold * factors[:, None]
    return ((foretold - differences) ** 2).mean(axis=1)


def max_sensitivity(values: np.ndarray, nearby_values: np.ndarray) -> np.ndarray:
    """Return how far the values of each row move, at most, when the row itself hardly does.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_players)
    nearby_values : ndarray of shape (n_rows, n_nearby, n_players)
        The values of rows near each row.

    Returns
    -------
    ndarray of shape (n_rows,)
        The largest ``‖nearby - values‖ / ‖values‖``; not divided where the values are all 0. From
        0, lower is better.

    Notes
    -----
    Yeh et al. (2019), definition 3.1, divided by the size of the values as
    `captum.metrics.sensitivity_max` does, whose numbers these are for the same rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.evaluation.metrics import max_sensitivity
    >>> max_sensitivity(np.array([[3.0, 4.0]]), np.array([[[3.0, 4.0], [3.0, 5.0]]]))
    array([0.2])
    """
    sizes = np.linalg.norm(values, axis=1)
    moved = np.linalg.norm(nearby_values - values[:, None], axis=2).max(axis=1)
    return moved / np.where(sizes > 0, sizes, 1)


def stability(runs: np.ndarray) -> np.ndarray:
    """Return how alike the values of each row are when the same explainer is run again.

    Parameters
    ----------
    runs : ndarray of shape (n_runs, n_rows, n_players)
        At least two runs.

    Returns
    -------
    ndarray of shape (n_rows,)
        ``1 - ‖a - b‖ / (‖a‖ + ‖b‖)``, the mean over pairs of runs. In [0, 1], higher is better: 1
        for equal runs (all zeros included), 0 for opposite ones. By the triangle inequality it
        cannot leave this range.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.evaluation.metrics import stability
    >>> stability(np.array([[[1.0, 0.0], [2.0, 0.0]], [[1.0, 0.0], [-2.0, 0.0]]]))
    array([1., 0.])
    """
    # To sizes near 1, whose squares neither overflow nor vanish.
    largest = np.abs(runs).max(axis=(0, 2))
    agreements = []
    for first, second in combinations(runs / np.where(largest > 0, largest, 1)[:, None], 2):
        sizes = np.linalg.norm(first, axis=1) + np.linalg.norm(second, axis=1)
        apart = np.linalg.norm(first - second, axis=1)
        # Rounding may leave the distance of opposite values a little above their sizes.
        agreements.append(1 - np.minimum(apart / np.where(sizes > 0, sizes, 1), 1))
    return np.mean(agreements, axis=0)


def sparsity(values: np.ndarray) -> np.ndarray:
    """Return how few players hold the attribution of each row: the Gini index of its sizes.

    Parameters
    ----------
    values : ndarray of shape (n_rows, n_players)

    Returns
    -------
    ndarray of shape (n_rows,)
        0 where all players count alike (or none at all), ``1 - 1 / n_players`` where one holds
        everything. Higher is sparser.

    Notes
    -----
    Hurley and Rickard (2009); used for attributions by Chalasani et al. (2020), and as
    `Sparseness` by Quantus.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain.evaluation.metrics import sparsity
    >>> sparsity(np.array([[1.0, -1.0, 1.0, 1.0], [0.0, 5.0, 0.0, 0.0]]))
    array([0.  , 0.75])
    """
    n_players = values.shape[1]
    sizes = np.sort(np.abs(values), axis=1)
    largest = sizes[:, -1:]
    # To sums of at least 1, which neither overflow nor vanish.
    sizes = np.divide(sizes, largest, out=np.zeros_like(sizes), where=largest > 0)
    totals = sizes.sum(axis=1)
    places = 2 * np.arange(1, n_players + 1) - n_players - 1
    gini = sizes @ places / (n_players * np.where(totals > 0, totals, 1))
    # Equal sizes may come out a rounding error below 0.
    return np.clip(gini, 0, 1 - 1 / n_players)


def _scale(distances: np.ndarray) -> float:
    """Return the mean distance of predictions from base values; 1 where there is none."""
    return float(np.abs(distances).mean()) or 1.0
