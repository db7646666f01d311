"""What is refused before any fold is fitted: strange folds, short windows, unknown classes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from inspect import signature
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._split import GroupsConsumerMixin, _CVIterableWrapper
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import _safe_indexing
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import _num_samples

from ..core.background import Background
from ..explainers.base import is_frozen
from ..windows import SlidingWindow

Split = tuple[np.ndarray, np.ndarray]


def explainer_inside(estimator: Any) -> tuple[list[Any], Any]:
    """Return the steps before the explainer and the explainer, of pipelines and searches.

    Of fitted ones the fitted parts, of a search its best estimator.
    """
    steps: list[Any] = []
    while True:
        if isinstance(estimator, Pipeline):
            steps += [step for _, step in estimator.steps[:-1] if step not in (None, "passthrough")]
            estimator = estimator.steps[-1][1]
        elif isinstance(estimator, BaseSearchCV):
            estimator = getattr(estimator, "best_estimator_", estimator.estimator)
        else:
            return steps, estimator


def _inner(explainer: Any) -> Any:
    """Return the estimator inside an explainer, which one of another package may not have."""
    return getattr(explainer, "estimator", None)


def takes(method: Any, parameter: str) -> bool:
    """Whether a method has a parameter of this name."""
    return parameter in signature(method).parameters


def check_explainer(estimator: Any, *, needs_transform: bool = False) -> None:
    """Refuse what cannot explain rows, or has no value of its own for each."""
    if isinstance(estimator, type):
        raise TypeError(
            f"explainer={estimator.__name__} is a class; give an instance, "
            f"{estimator.__name__}(estimator)"
        )
    explainer = explainer_inside(estimator)[1]
    if not hasattr(explainer, "explain"):
        name = type(explainer).__name__
        raise TypeError(
            f"cross_explain needs an explainer, but {name} has no `explain`; put it into one, such "
            f"as KernelSHAP({name}(…)) or PermutationImportance({name}(…)), or make an explainer "
            "the last step of the pipeline"
        )
    if needs_transform and not hasattr(explainer, "transform"):
        raise TypeError(
            'method="transform" needs an explainer that transforms, but '
            f"{type(explainer).__name__} does not: its result belongs to no single row; use "
            "cross_explain"
        )


def check_lengths(X: Any, y: Any, groups: Any) -> None:
    """Refuse targets and groups that are not one a row."""
    n_samples = _num_samples(X)
    for name, values in (("y", y), ("groups", groups)):
        if values is not None and _num_samples(values) != n_samples:
            raise ValueError(
                f"{name} has {_num_samples(values)} entries, but X has {n_samples} rows; give one "
                "a row"
            )


def splits_of(cv: Any, X: Any, y: Any, split_params: dict[str, Any]) -> list[Split]:
    """Return the checked positions of each fold's training and held-out rows.

    Raises
    ------
    ValueError
        If there is no fold, if a position is no row of X or held out twice by a fold, if a part is
        empty, or if a row is both fitted and held out.
    """
    if isinstance(cv, GroupsConsumerMixin) and split_params.get("groups") is None:
        raise ValueError(
            f"cv={cv!r} keeps groups together, but there are none; give groups=…, one label a row"
        )
    n_samples = _num_samples(X)
    # Its `split` would unpack what may be no pair.
    given = cv.cv if isinstance(cv, _CVIterableWrapper) else cv.split(X, y, **split_params)
    splits = [
        (
            _positions(train, n_samples, f"fold {number}: the training part"),
            _positions(test, n_samples, f"fold {number}: the held-out part"),
        )
        for number, (train, test) in enumerate(_pairs(given))
    ]
    if not splits:
        raise ValueError("cv gives no folds; give at least one pair of rows to fit and to hold out")
    for number, (train, test) in enumerate(splits):
        shared = np.intersect1d(train, test)
        if len(shared):
            raise ValueError(
                f"fold {number}: {len(shared)} rows are both fitted and held out (first: row "
                f"{shared[0]}), so that their explanations would not be out of fold; give parts of "
                "cv without rows in common"
            )
        if len(np.unique(test)) < len(test):
            raise ValueError(f"fold {number}: the held-out part names a row more than once")
    return splits


def check_partition(splits: list[Split], n_samples: int) -> None:
    """Refuse folds that do not hold every row out exactly once."""
    n_times = np.bincount(np.concatenate([test for _, test in splits]), minlength=n_samples)
    strange = np.flatnonzero(n_times != 1)
    if len(strange):
        raise ValueError(
            f"cross_val_predict needs every row to be held out once, but row {strange[0]} is held "
            f"out {n_times[strange[0]]} times; use cross_explain, which marks rows never held out "
            "and averages over repeats"
        )


def _pairs(splits: Iterable[Any]) -> Iterable[Any]:
    for number, split in enumerate(splits):
        if not isinstance(split, tuple | list) or len(split) != 2:
            raise ValueError(
                f"fold {number} of cv is {split!r}; expected (training rows, held-out rows)"
            )
        yield split


def _positions(rows: Any, n_samples: int, where: str) -> np.ndarray:
    positions = np.asarray(rows)
    if positions.dtype == bool and positions.shape == (n_samples,):
        positions = np.flatnonzero(positions)
    if positions.ndim != 1 or len(positions) == 0:
        raise ValueError(f"{where} has no rows or is no list of them: {rows!r}")
    if positions.dtype.kind not in "iu":
        raise ValueError(
            f"{where} holds {positions.dtype.name} values; expected positions from 0 to "
            f"{n_samples - 1}, or a mask of {n_samples} entries"
        )
    strange = positions[(positions < 0) | (positions >= n_samples)]
    if len(strange):
        raise ValueError(
            f"{where} names row {strange[0]}, but X has {n_samples} rows: positions go from 0 to "
            f"{n_samples - 1}"
        )
    return positions


def check_windows(estimator: Any, X: Any, splits: list[Split]) -> None:
    """Refuse folds shorter than a window, and warn of windows that would reach across a gap."""
    windows = _windows_in(estimator)
    if not windows:
        return
    longest = max(int(step.window) for step in windows)
    gaps = []
    for number, parts in enumerate(splits):
        for name, rows in zip(("training", "held-out"), parts, strict=True):
            if len(rows) < longest:
                raise ValueError(
                    f"fold {number}: the {name} part has {len(rows)} rows, fewer than "
                    f"SlidingWindow(window={longest}) needs; use fewer folds, larger parts, or a "
                    "shorter window"
                )
            if longest > 1 and np.any(np.diff(rows) != 1):
                gaps.append(f"{name} rows of fold {number}")
    if gaps:
        more = f" and {len(gaps) - 1} more parts" if len(gaps) > 1 else ""
        warnings.warn(
            f"the {gaps[0]}{more} are not consecutive, so that windows of SlidingWindow "
            f"reach across the gaps; use TimeSeriesSplit, or make_windows before cross_explain",
            UserWarning,
            stacklevel=5,
        )


def _windows_in(estimator: Any) -> list[SlidingWindow]:
    parts = _parts(estimator)
    windows = [part for part in parts if isinstance(part, SlidingWindow)]
    for part in parts:
        if isinstance(part, FrozenEstimator):
            windows += _windows_in(part.estimator)
    return windows


def _parts(estimator: Any) -> list[Any]:
    """Return an estimator and all that it holds as parameters."""
    if not hasattr(estimator, "get_params"):
        return []
    return [estimator, *estimator.get_params(deep=True).values()]


def check_classes(estimator: Any, y: Any, splits: list[Split], missing_classes: str) -> None:
    """Refuse folds that train on one class, and refuse or warn of classes a fold cannot learn."""
    explainer = explainer_inside(estimator)[1]
    if y is None or not is_classifier(estimator) or is_frozen(_inner(explainer)):
        return
    if type_of_target(y) not in ("binary", "multiclass"):
        return
    labels = np.asarray(y).ravel()
    classes = np.unique(labels)
    unknown = []
    for number, (train, _) in enumerate(splits):
        known = np.unique(labels[train])
        absent = [label for label in classes.tolist() if label not in set(known.tolist())]
        if len(known) == 1 and absent:
            raise ValueError(
                f"fold {number} trains on rows of class {known.tolist()[0]!r} only, so that no "
                f"classifier can be fitted; {_stratify(classes)}"
            )
        if absent:
            unknown.append(f"fold {number} trains on no row of class {_listed(absent)}")
    if not unknown:
        return
    told = "; ".join(unknown)
    if missing_classes == "raise":
        raise ValueError(f'{told}; {_stratify(classes)}, or missing_classes="nan"')
    warnings.warn(
        f"{told}: what is explained of it in the rows held out there is NaN, because the fold's "
        f"model does not know the class; {_stratify(classes)}",
        UserWarning,
        stacklevel=5,
    )


def _listed(labels: list[Any]) -> str:
    return ", ".join(repr(label) for label in labels)


def _stratify(classes: np.ndarray) -> str:
    return f"StratifiedKFold keeps all {len(classes)} classes in every fold"


def check_repeats(estimator: Any, splits: list[Split]) -> None:
    """Refuse to average over repeats what is another output in each."""
    labels = getattr(explainer_inside(estimator)[1], "labels", None)
    rows = np.concatenate([test for _, test in splits])
    if isinstance(labels, Integral) and len(np.unique(rows)) < len(rows):
        raise ValueError(
            f"labels={labels} chooses outputs row by row, which may differ between repeats, so "
            "that their values have no mean; give a list of labels, or cv without repeats"
        )


def check_rows_kept(estimator: Any, X: Any, y: Any, train: np.ndarray) -> None:
    """Refuse a step that gives another number of rows than it takes.

    Found without fitting a model: only steps that are not known to keep rows are tried, with those
    before them, on the training rows of one fold.
    """
    steps, explainer = explainer_inside(estimator)
    inner = _inner(explainer)
    if isinstance(inner, Pipeline):
        steps = steps + [step for _, step in inner.steps[:-1] if step not in (None, "passthrough")]
    doubtful = [number for number, step in enumerate(steps) if not _keeps_rows(step)]
    if not doubtful:
        return
    rows = _safe_indexing(X, train)
    target = None if y is None else _safe_indexing(y, train)
    for step in steps[: doubtful[-1] + 1]:
        n_rows = _num_samples(rows)
        try:
            rows = clone(step).fit(rows, target).transform(rows)
            n_left = _num_samples(rows)
        except Exception:
            # It may need what only the real fit is given; what is wrong, that will tell.
            return
        if n_left != n_rows:
            raise ValueError(
                f"the step {type(step).__name__} turns {n_rows} rows into {n_left} before they "
                "reach the explainer, so that rows, targets and explanations would not belong "
                "together; change the rows of X and y before cross_explain"
            )


def _keeps_rows(step: Any) -> bool:
    if isinstance(step, FunctionTransformer):
        return False
    return isinstance(step, SlidingWindow) or type(step).__module__.startswith("sklearn.")


def warn_of_leaks(estimator: Any, X: Any, splits: list[Split]) -> None:
    """Warn where something was fixed before the folds, and so may have seen their rows."""
    explainer = explainer_inside(estimator)[1]
    frozen = [part for part in _parts(estimator) if isinstance(part, FrozenEstimator)]
    if frozen or is_frozen(_inner(explainer)):
        inner = frozen[0].estimator if frozen else _inner(explainer)
        # Of a bare function or module, its own name rather than that of what dresses it.
        inner = getattr(inner, "model", inner)
        name = getattr(inner, "__name__", type(inner).__name__)
        warnings.warn(
            f"{name} in {type(explainer).__name__} is frozen and not fitted in the folds: of rows "
            "that it was trained on, the scores and explanations are not out of fold",
            UserWarning,
            stacklevel=5,
        )
    held_out = np.unique(np.concatenate([test for _, test in splits]))
    fixed = set(_row_keys(getattr(explainer, "background", None)))
    if not fixed:
        return
    keys = _row_keys(_safe_indexing(X, held_out))
    found = [int(row) for row, key in zip(held_out, keys, strict=True) if key in fixed]
    if found:
        warnings.warn(
            f"background holds {len(found)} rows that a fold holds out (first: row {found[0]}); "
            "give a number, and each fold draws from its own training rows",
            UserWarning,
            stacklevel=5,
        )


def _row_keys(rows: Any) -> list[Any]:
    """Return something hashable a row, equal for equal rows; nothing where there are no rows."""
    if isinstance(rows, Background):
        rows = rows.rows
    if rows is None or isinstance(rows, str) or not hasattr(rows, "__len__"):
        return []
    try:
        array = np.ascontiguousarray(rows, dtype=float)
    except (TypeError, ValueError):
        return [tuple(row) for row in np.asarray(rows, dtype=object)]
    return [(array.shape[1:], row.tobytes()) for row in array]
