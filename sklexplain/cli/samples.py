"""From a checked table to windows for training and, later in time, for testing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..windows import make_windows
from .options import Request
from .tables import Table


@dataclass(frozen=True)
class Samples:
    """Windows in the order of their targets' time, divided once.

    Parameters
    ----------
    train, test : ndarray of shape (n_samples, window, n_features), or (n_samples, n_features)
        Two-dimensional where a window is a single row.
    train_target, test_target : ndarray of shape (n_samples,)
    train_groups : ndarray of int, shape (n_train,)
        The number of each training window's group.
    last_known : ndarray of shape (n_test,), or None
        The target's value in the last row of each test window, where that lies before the target.
    labels : ndarray of str, shape (n_test,)
        Of the rows of the test targets.
    """

    train: np.ndarray
    train_target: np.ndarray
    train_groups: np.ndarray
    test: np.ndarray
    test_target: np.ndarray
    last_known: np.ndarray | None
    labels: np.ndarray


def divided(table: Table, request: Request) -> Samples:
    """Make windows and divide them at a point in time.

    The last targets are the test; those of one time stay on one side. Without times, what counts is
    how far along its own group a row is. A training target that lies after the last row of its
    group's first test window, as with a horizon of several rows, is left out of the training,
    because it was not known when that window was.

    Parameters
    ----------
    table : Table
    request : Request

    Returns
    -------
    Samples

    Raises
    ------
    ValueError
        If too few windows are left on one side, or the training rows lack a class.
    """
    codes = np.zeros(len(table.rows), dtype=int)
    if table.groups is not None:
        codes = np.unique(table.groups, return_inverse=True)[1]
    windows, targets, ends = make_windows(
        table.rows,
        table.target,
        window=request.window,
        horizon=request.horizon,
        groups=codes,
        return_index=True,
    )
    ahead = ends + request.horizon
    moments = _moments(table, codes)[ahead]
    order = np.argsort(moments, kind="stable")
    windows, targets, ends, ahead = windows[order], targets[order], ends[order], ahead[order]
    moments = moments[order]
    n_test = int(np.ceil(len(moments) * request.test_size))
    is_test = moments >= moments[-n_test]
    is_train = ~is_test & (ahead <= _last_known_rows(codes, ends, is_test)[codes[ahead]])
    _check_division(table, request, targets, is_train, is_test)
    if request.window == 1:
        windows = windows[:, 0]
    return Samples(
        train=windows[is_train],
        train_target=targets[is_train],
        train_groups=codes[ahead][is_train],
        test=windows[is_test],
        test_target=targets[is_test],
        last_known=table.target[ends[is_test]] if request.horizon else None,
        labels=table.labels[ahead[is_test]],
    )


def _moments(table: Table, codes: np.ndarray) -> np.ndarray:
    """Return when each row is: its time, or which part of its group has gone by."""
    if table.times is not None:
        return np.asarray(table.times)
    sizes = np.bincount(codes)
    _, starts = np.unique(codes, return_index=True)
    return (np.arange(len(codes)) - starts[codes]) / sizes[codes]


def _last_known_rows(codes: np.ndarray, ends: np.ndarray, is_test: np.ndarray) -> np.ndarray:
    """Return for each group the last row of its first test window."""
    last = np.full(codes.max() + 1, len(codes))
    np.minimum.at(last, codes[ends[is_test]], ends[is_test])
    return last


def _check_division(
    table: Table,
    request: Request,
    targets: np.ndarray,
    is_train: np.ndarray,
    is_test: np.ndarray,
) -> None:
    n_train, n_test = int(is_train.sum()), int(is_test.sum())
    if n_train < 10:
        raise ValueError(
            f"{request.data} leaves {n_train} rows to train on and {n_test} to test on, because "
            f"targets of one time are not divided and training ends {request.horizon} rows before "
            "the test; give more rows, or a smaller --test-size or --horizon"
        )
    train, test = targets[is_train], targets[is_test]
    where = f"{request.data}: column {request.target!r}"
    if table.task == "classification":
        unseen = np.setdiff1d(test, train)
        if len(unseen):
            raise ValueError(
                f"{where} is {str(unseen[0])!r} only in the test rows, the last {n_test}; use a "
                "larger share to train on (--test-size), or shuffle the rows of the file if "
                "their order means nothing"
            )
    if len(np.unique(train)) == 1:
        raise ValueError(
            f"{where} is constant ({train[0]}) in the training rows, the first {n_train}; use a "
            "smaller --test-size, or name another --target"
        )


def flattened(windows: np.ndarray) -> np.ndarray:
    """Return windows as rows of a table, the oldest time step first."""
    return windows.reshape(len(windows), -1)


def chosen_rows(n_rows: int, n_wanted: int) -> np.ndarray:
    """Return positions spread evenly over the rows, the last one among them.

    Examples
    --------
    >>> from sklexplain.cli.samples import chosen_rows
    >>> chosen_rows(10, 4).tolist()
    [0, 3, 6, 9]
    >>> chosen_rows(3, 4).tolist()
    [0, 1, 2]
    """
    if n_wanted >= n_rows:
        return np.arange(n_rows)
    if n_wanted == 1:
        return np.array([n_rows - 1])
    positions: Any = np.round(np.linspace(0, n_rows - 1, n_wanted))
    return positions.astype(int)
