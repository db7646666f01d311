"""The progress bar of long work: tqdm's, unless a front end has put its own in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_maker: ContextVar[Callable[..., Any] | None] = ContextVar("maker of progress bars", default=None)


def tqdm(*args: Any, **params: Any) -> Any:
    """Return a progress bar, to be used as one of tqdm.

    Parameters
    ----------
    *args, **params
        Of :class:`tqdm.auto.tqdm`.
    """
    make = _maker.get()
    if make is not None:
        return make(*args, **params)
    from tqdm.auto import tqdm as suited_to_the_place

    return suited_to_the_place(*args, **params)


@contextmanager
def progress_shown_by(make: Callable[..., Any]) -> Iterator[None]:
    """Show the progress of the work inside a block by bars of one's own.

    Parameters
    ----------
    make : callable
        Takes tqdm's arguments, and returns what has its `n`, `total`, `update`, `set_postfix` and
        `close`, is iterable and a context manager. `total` may be corrected while the work runs.
    """
    token = _maker.set(make)
    try:
        yield
    finally:
        _maker.reset(token)
