"""Linear algebra on one thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import ParamSpec, TypeVar

import numpy as np  # noqa: F401  the controller sees only libraries that are loaded
import scipy.linalg  # noqa: F401
from threadpoolctl import ThreadpoolController

_Params = ParamSpec("_Params")
_Result = TypeVar("_Result")


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def on_one_thread(function: Callable[_Params, _Result]) -> Callable[_Params, _Result]:
    """Let a function do its linear algebra on one thread.

    For matrices of a thousand rows a second thread gains at most a quarter, and costs up to a
    hundred times the work where the cores are busy, as they are in parallel workers: the threads
    wait for one another. The last bits of the results do not depend on the number of cores, either.
    """

    @wraps(function)
    def limited(*args: _Params.args, **kwargs: _Params.kwargs) -> _Result:
        with _controller().limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return limited
