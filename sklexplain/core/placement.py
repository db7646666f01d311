"""Placement: whether a model runs in threads or in processes, and among how many of them.

Threads start at once and copy nothing, but only one of them at a time may hold Python's lock. So
they serve models that let go of it while they compute: torch modules, and of scikit-learn nearly
all but the gradient boosting that is not histogram based, which keeps the lock through all its
trees (``tests/core/test_placement.py`` measures it). Left out are those of scikit-learn that start
workers of their own when they predict, forests among them: that sets and restores the filters of
warnings, which belong to the whole process, and threads that do so at the same time lose them.

Functions of the user's own are taken to keep the lock, as are estimators from elsewhere; whoever
knows better says so with ``joblib.parallel_config(backend="threading")``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .adapters import innermost, torch_module, uses_torch

# Members of an ensemble that are looked at: those of a forest are all alike.
_MOST_MEMBERS = 20
_MEMBERS = ("final_estimator_", "estimator_")
_KEEP_THE_LOCK = {"GradientBoostingClassifier", "GradientBoostingRegressor"}


def prefers_threads(estimator: Any) -> bool:
    """Whether threads serve this estimator better than processes.

    Parameters
    ----------
    estimator : estimator, torch module or function

    Returns
    -------
    bool
    """
    core = innermost(estimator)
    if uses_torch(core):
        return True
    if type(core).__name__ in _KEEP_THE_LOCK or _starts_workers(core):
        return False
    return _is_of_scikit_learn(core, prefers_threads)


def _starts_workers(core: Any) -> bool:
    # Linear models do so when they are fitted only.
    return hasattr(core, "n_jobs") and not type(core).__module__.startswith("sklearn.linear_model.")


def _is_of_scikit_learn(core: Any, holds_for: Callable[[Any], bool]) -> bool:
    """Whether something holds for all that predicts in an estimator of scikit-learn's."""
    if not type(core).__module__.startswith("sklearn."):
        return False
    # Votes, stacks and bags are as fit as their members.
    parts = getattr(core, "estimators_", None)
    members = list(parts[:_MOST_MEMBERS]) if isinstance(parts, list) else []
    members += [getattr(core, name) for name in _MEMBERS if hasattr(core, name)]
    return all(holds_for(member) for member in members if not isinstance(member, str))


def takes_any_float(estimator: Any) -> bool:
    """Whether an estimator is known to take float64 rows where it was given float32.

    Then all arithmetic on rows can be done in float64, so that both types give the same numbers.
    Functions and skorch's nets may insist on the type that they were made for.

    Parameters
    ----------
    estimator : fitted estimator, torch module or function

    Returns
    -------
    bool
    """
    core = innermost(estimator)
    if torch_module(core) is not None:
        # The package's own estimators and bare modules are run by code that converts.
        return core is torch_module(core) or type(core).__module__.startswith("sklexplain.")
    return _is_of_scikit_learn(core, takes_any_float)


def workers_for(estimator: Any, n_jobs: int | None) -> int | None:
    """Return the workers among which an estimator is divided: one where it is on a graphics card.

    Parameters
    ----------
    estimator : estimator, torch module or function
    n_jobs : int or None
        As of joblib.

    Returns
    -------
    int or None
    """
    module = torch_module(estimator)
    if module is not None:
        from ..inference import module_device

        if module_device(module).type != "cpu":
            return 1
    return n_jobs
