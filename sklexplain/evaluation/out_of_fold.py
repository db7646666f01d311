"""Putting the explanations of folds together: aligned outputs, rows in their order, means."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core.explanation import Explanation


@dataclass(frozen=True)
class OutOfFold:
    """The rows that were held out, explained by models that did not see them.

    Parameters
    ----------
    explanation : Explanation
    rows : ndarray of int
        Positions of the rows in X, increasing.
    n_times : ndarray of int, shape (n_samples,)
        How often each row of X was held out.
    values_std : ndarray shaped as the values, or None
    """

    explanation: Explanation
    rows: np.ndarray
    n_times: np.ndarray
    values_std: np.ndarray | None


def gather(
    explanations: list[Explanation], tests: list[np.ndarray], X: Any, n_samples: int
) -> OutOfFold:
    """Put the folds' explanations together.

    Parameters
    ----------
    explanations : list of Explanation
        With the outputs of :func:`with_same_outputs`.
    tests : list of ndarray of int
        The rows of X that each explains, or was measured on.
    X : array-like
        For the labels of its rows.
    n_samples : int
        Rows of X.

    Returns
    -------
    OutOfFold
        Drops in the score belong to no row, so all folds' repeats follow one another. Attributions
        are in the order of the rows; where a row was held out several times, they are averaged,
        with the standard deviation beside them.
    """
    n_times = np.bincount(np.concatenate(tests), minlength=n_samples)
    rows = np.flatnonzero(n_times)
    first = _checked(explanations)
    shared: dict[str, Any] = {
        "params": _common([explanation.params for explanation in explanations]),
        "method": ", ".join(dict.fromkeys(explanation.method for explanation in explanations)),
    }
    if first.kind == "importances":
        labels = [
            f"fold {number}, {label}"
            for number, explanation in enumerate(explanations)
            for label in _labels(explanation)
        ]
        joined = _joined(explanations, np.arange(len(labels)))
        return OutOfFold(replace(joined, **shared, index=np.asarray(labels)), rows, n_times, None)
    explanations = _with_same_codes(explanations)
    labels_of_rows = _row_labels(X, rows, n_samples)
    if n_times.max() == 1:
        joined = _joined(explanations, np.argsort(np.concatenate(tests)))
        return OutOfFold(replace(joined, **shared, index=labels_of_rows), rows, n_times, None)
    averaged, values_std = _averaged(explanations, tests, rows)
    averaged = replace(averaged, **shared, index=labels_of_rows)
    return OutOfFold(averaged, rows, n_times, values_std)


def with_same_outputs(explanations: list[Explanation], classes: list[str]) -> list[Explanation]:
    """Return the explanations with the same outputs, NaN where a fold's model lacks one.

    Parameters
    ----------
    explanations : list of Explanation
    classes : list of str
        All classes in their order; empty where the outputs are none.

    Raises
    ------
    ValueError
        If outputs cannot be matched by the names of classes.
    """
    names = [explanation.output_names for explanation in explanations]
    if len(set(names)) == 1:
        return explanations
    known = {name for of_fold in names for name in of_fold}
    if not all(names) or not known <= set(classes):
        told = "; ".join(
            f"fold {number}: {list(of_fold) or 'one output without a name'}"
            for number, of_fold in enumerate(names)
        )
        raise ValueError(
            f"the folds explain different outputs ({told}), which cannot be matched; use "
            'output="predict_proba", or StratifiedKFold, which keeps every class in every fold'
        )
    union = tuple(name for name in classes if name in known)
    return [_widened(explanation, union) for explanation in explanations]


def _widened(explanation: Explanation, names: tuple[str, ...]) -> Explanation:
    places = [names.index(name) for name in explanation.output_names]

    def widened(array: np.ndarray) -> np.ndarray:
        number = array.dtype.kind in "biuf"
        shape = (*array.shape[:-1], len(names))
        wide = np.full(shape, np.nan) if number else np.full(shape, "", dtype=array.dtype)
        wide[..., places] = array
        return wide

    errors = explanation.std_errors
    return replace(
        explanation,
        values=widened(explanation.values),
        base_values=widened(explanation.base_values),
        predictions=widened(explanation.predictions),
        std_errors=None if errors is None else widened(errors),
        diagnostics={name: widened(array) for name, array in explanation.diagnostics.items()},
        output_names=names,
    )


def _checked(explanations: list[Explanation]) -> Explanation:
    """Return the first explanation, the players of all being the same."""
    first = explanations[0]
    for number, explanation in enumerate(explanations):
        if explanation.players.names != first.players.names:
            raise ValueError(
                f"the players of fold {number}, {list(explanation.players.names)}, are not those "
                f"of fold 0, {list(first.players.names)}; what makes columns from the rows, such "
                "as an encoder, belongs inside the explainer's estimator, which is then explained "
                "by the raw columns"
            )
    return first


def _common(params: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the folds' runs have in common, and their number."""
    first, *others = params
    same = {
        name: value
        for name, value in first.items()
        if all(repr(other.get(name)) == repr(value) for other in others)
    }
    return {**same, "n_folds": len(params)}


def _labels(explanation: Explanation) -> list[str]:
    if explanation.index is None:
        return [str(row) for row in range(len(explanation))]
    return [str(label) for label in explanation.index]


def _row_labels(X: Any, rows: np.ndarray, n_samples: int) -> np.ndarray | None:
    """Return the labels of X's rows; their positions where these are not simply 0, 1, 2, …."""
    index = getattr(X, "index", None)
    labels = np.arange(n_samples) if index is None or callable(index) else np.asarray(index)
    labels = labels[rows]
    return None if np.array_equal(labels, np.arange(n_samples)) else labels


def _with_same_codes(explanations: list[Explanation]) -> list[Explanation]:
    """Return the explanations with codes that mean the same in all of them."""
    categories: dict[int, tuple[str, ...]] = {}
    for explanation in explanations:
        for column, values in explanation.categories.items():
            known = categories.get(column, ())
            new = dict.fromkeys(value for value in values if value not in known)
            categories[column] = (*known, *new)
    if not categories:
        return explanations
    return [_recoded(explanation, categories) for explanation in explanations]


def _recoded(explanation: Explanation, categories: dict[int, tuple[str, ...]]) -> Explanation:
    data = explanation.data
    if data is not None:
        data = np.array(data, dtype=float)
        for column, values in explanation.categories.items():
            codes = np.array([categories[column].index(value) for value in values], dtype=float)
            present = ~np.isnan(data[:, column])
            data[present, column] = codes[data[present, column].astype(np.intp)]
    return replace(explanation, data=data, categories=categories)


def _joined(explanations: list[Explanation], order: np.ndarray) -> Explanation:
    first = explanations[0]

    def joined(arrays: list[Any]) -> Any:
        if any(array is None for array in arrays):
            return None
        return np.concatenate(arrays)[order]

    return replace(
        first,
        index=None,
        diagnostics={
            name: joined([explanation.diagnostics[name] for explanation in explanations])
            for name in first.diagnostics
        },
        **{
            name: joined([getattr(explanation, name) for explanation in explanations])
            for name in (
                "values", "base_values", "predictions", "data", "std_errors", "conditions"
            )
        },
    )  # fmt: skip


def _averaged(
    explanations: list[Explanation], tests: list[np.ndarray], rows: np.ndarray
) -> tuple[Explanation, np.ndarray]:
    """Return the mean over the folds that held a row out, and the standard deviation of values."""
    first = explanations[0]
    places = [np.searchsorted(rows, test) for test in tests]

    def mean(arrays: list[Any]) -> Any:
        if any(array is None for array in arrays):
            return None
        return mean_by_row(arrays, places, len(rows))[0]

    values, values_std = mean_by_row(
        [explanation.values for explanation in explanations], places, len(rows)
    )
    averaged = replace(
        first,
        values=values,
        index=None,
        conditions=None,
        diagnostics={
            name: mean([explanation.diagnostics[name] for explanation in explanations])
            for name, array in first.diagnostics.items()
            if array.dtype.kind in "biuf"
        },
        **{
            name: mean([getattr(explanation, name) for explanation in explanations])
            for name in ("base_values", "predictions", "data", "std_errors")
        },
    )
    return averaged, values_std


def mean_by_row(
    arrays: list[np.ndarray], places: list[np.ndarray], n_rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of what several arrays say of the same rows.

    Parameters
    ----------
    arrays : list of ndarray of shape (n_i, …)
        NaN is unknown and left out.
    places : list of ndarray of int, shape (n_i,)
        The row that each entry belongs to; no row twice in one array.
    n_rows : int

    Returns
    -------
    mean, std : ndarray of shape (n_rows, …)
        NaN where nothing is known; the standard deviation (divisor n − 1) also where one entry is.

    Notes
    -----
    Welford's updates, by which the mean of equal numbers is that number to the last bit.
    """
    shape = (n_rows, *arrays[0].shape[1:])
    mean, squares, count = np.full(shape, np.nan), np.zeros(shape), np.zeros(shape, dtype=int)
    for array, place in zip(arrays, places, strict=True):
        known = ~np.isnan(array)
        count[place] += known
        n_known, old = count[place], mean[place]
        new = known & (n_known == 1)
        change = np.where(known & ~new, array - old, 0.0)
        updated = np.where(new, array, old + change / np.maximum(n_known, 1))
        squares[place] += np.where(known & ~new, change * (array - updated), 0.0)
        mean[place] = updated
    return mean, np.where(count > 1, np.sqrt(squares / np.maximum(count - 1, 1)), np.nan)
