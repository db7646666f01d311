"""Trials: whether work is worth workers, seen from a small part of it that is run here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from time import perf_counter
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from sklearn.base import BaseEstimator

from .models import Model
from .placement import prefers_threads
from .workers import one_torch_thread, torch_threads, worth_workers

# Of so many evaluations, whose outputs fit into any memory, this share is run first.
MOST_TRIED_EVALS = 2**23
TRIED_SHARE = 16


class _Rate(NamedTuple):
    """Seconds that a model takes for an evaluation: as it runs here, and in one of the workers."""

    here: float
    in_worker: float


# By the estimator, so that later calls know it too.
_rates: WeakKeyDictionary[Any, _Rate] = WeakKeyDictionary()


def _known_by(model: Model) -> Any:
    estimator = model.estimator
    may_be_key = isinstance(estimator, BaseEstimator) and type(estimator).__hash__ is not None
    return estimator if may_be_key else model


def learn(model: Model, here: float) -> None:
    """Correct the rate of a model by a longer run: of few evaluations, each takes longer."""
    rate = _rates[_known_by(model)]
    if here < rate.here:
        _rates[_known_by(model)] = _Rate(here, rate.in_worker * here / rate.here)


def tried_part(
    run: Callable[[slice], np.ndarray],
    length: int,
    evals_each: int,
    model: Model,
    n_workers: int,
    evals_ahead: int = 0,
) -> tuple[list[np.ndarray], bool]:
    """Run a small part of some work, to see whether the rest of it is worth workers.

    Torch may use all cores by itself, which for small nets brings less than workers of one thread
    each: then both are tried. Of a model that was tried before it is known.

    Parameters
    ----------
    run : callable
        Runs a part of the work.
    length, evals_each : int
        Of the work, and the evaluations of each part of length 1.
    model : Model
    n_workers : int
    evals_ahead : int, default=0
        What comes after this work and gains from the same workers.

    Returns
    -------
    outputs : list of ndarray
        Of the parts that were run, from the beginning.
    worth : bool
    """
    threads = prefers_threads(model.estimator)
    outputs: list[np.ndarray] = []
    done = 0
    known_by = _known_by(model)
    if known_by not in _rates:
        size = -(-length // (2 * TRIED_SHARE))
        both = threads and model.uses_torch and torch_threads() > 1
        seconds = []
        # The first part only warms up.
        for limits in (nullcontext, nullcontext, one_torch_thread)[: 2 + both]:
            began = perf_counter()
            with limits():
                outputs.append(run(slice(done, done + size)))
            seconds.append((perf_counter() - began) / (size * evals_each))
            done += size
        _rates[known_by] = _Rate(seconds[1], seconds[-1])
    rate, left = _rates[known_by], (length - done) * evals_each + evals_ahead
    here, divided = rate.here * left, rate.in_worker * left / n_workers
    return outputs, worth_workers(here, divided, threads=threads)
