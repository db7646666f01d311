"""Workers: tasks that share something large, run through joblib wherever it is told to run them."""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from time import perf_counter
from typing import Any

from joblib import Parallel, delayed, effective_n_jobs
from joblib.externals.loky import reusable_executor
from joblib.parallel import get_active_backend
from sklearn import config_context, get_config
from threadpoolctl import ThreadpoolController

from .parcels import Parcel
from .parcels import sent as bring

_here = threading.local()
# What it costs to start worker processes, with their imports, and to hand work to running ones.
_COLD_SECONDS, _WARM_SECONDS = 1.5, 0.05
# What it costs to start threads, twice over: small parts that are timed look slower than the whole.
_THREAD_SECONDS = 0.1
# Tasks a worker from which one may be run here first to see how long it takes: of fewer, that one
# would leave the workers idle for too long.
_FEWEST_TO_TRY = 4
# Seconds that a run which was given up waits for its threads to notice.
_LONGEST_WAIT = 1.5


@dataclass
class _Foregone:
    """What processes would have saved so far, had they been started."""

    seconds: float = 0.0


_foregone = _Foregone()


class CancelledRun(Exception):
    """Raised in a worker thread whose results nobody waits for any more."""


def run_tasks(
    function: Callable[..., Any],
    shared: Any,
    tasks: Iterable[tuple[Any, ...]],
    *,
    n_jobs: int | None = None,
    threads: bool = False,
    tried: bool = False,
) -> Iterator[Any]:
    """Yield ``function(shared, *task)`` of every task, in order.

    joblib's own configuration says where: ``parallel_config(backend=…)`` moves the work to
    threads, processes or a cluster. Where it says nothing, work that is done before processes
    would have started stays here. `shared` is sent to each worker once, not with every task.
    Workers keep to one thread each of torch and of linear algebra, since there are as many workers
    as there should be threads.

    Parameters
    ----------
    function : callable
    shared : object
        What all tasks need: a model, a background.
    tasks : iterable of tuple
        Further arguments, small.
    n_jobs : int, optional
        As of joblib. With one worker, tasks run here and now.
    threads : bool, default=False
        Whether threads serve better than processes, unless joblib is told otherwise: they do
        where the model lets go of Python's lock.
    tried : bool, default=False
        Whether the caller knows already that the work is worth workers.

    Yields
    ------
    object
    """
    n_workers = effective_n_jobs(n_jobs)
    if n_workers == 1:
        for task in tasks:
            yield function(shared, *task)
        return
    tasks = deque(tasks)
    if len(tasks) == 1:
        yield function(shared, *tasks[0])
        return
    backend, _ = get_active_backend(prefer="threads" if threads else None)
    if not (threads or tried or _is_configured()):
        yield from _begun_here(function, shared, tasks, n_workers)
        if not tasks:
            return
    cancelled = threading.Event()
    # Not by scikit-learn's own Parallel, which also carries the filters of warnings: these belong
    # to the whole process, and threads that set and restore them lose them.
    settings = get_config()
    with ExitStack() as stack:
        if getattr(backend, "supports_sharedmem", False):
            sent: Any = _InPlace(shared, cancelled)
            # A thread inside torch must not outlive the interpreter.
            stack.callback(sent.wait)
            stack.enter_context(_controller().limit(limits=1, user_api="blas"))
        else:
            sent = stack.enter_context(bring(shared, backend))
        stack.callback(cancelled.set)
        # In a tuple, because joblib's Dask backend scatters bare arrays, and what was scattered is
        # lost with the worker that holds it.
        yield from Parallel(
            n_jobs=n_jobs,
            prefer="threads" if threads else None,
            # Arrays from a memory map are read-only, and slow for functions that go row by row.
            max_nbytes=None,
            return_as="generator" if backend.supports_return_generator else "list",
        )(delayed(_run_task)(function, sent, (task,), settings) for task in tasks)


def worth_workers(here: float, divided: float, *, threads: bool = False) -> bool:
    """Whether workers save more of some work than it costs to bring it to them.

    Where joblib is told where to run, it is not asked.

    Parameters
    ----------
    here, divided : float
        Seconds that the work takes in this thread, and divided among the workers.
    threads : bool, default=False
        Whether they are threads.
    """
    if _is_configured():
        return True
    saved = here - divided
    if threads:
        return saved > _THREAD_SECONDS
    worth = _is_worth_processes(saved)
    if not worth:
        _forego(saved)
    return worth


def torch_threads() -> int:
    """Return how many threads of its own torch runs a model in, 1 before it is loaded."""
    torch = sys.modules.get("torch")
    return 1 if torch is None else torch.get_num_threads()


def _is_configured() -> bool:
    """Whether the caller has said where parallel work is to run."""
    by_preference = {type(get_active_backend(prefer=kind)[0]) for kind in ("threads", "processes")}
    return len(by_preference) == 1


def _begun_here(
    function: Callable[..., Any], shared: Any, tasks: deque[tuple[Any, ...]], n_workers: int
) -> Iterator[Any]:
    """Run tasks in this process until the rest is worth the processes, if ever it is."""
    spent, n_done = 0.0, 0
    if len(tasks) < _FEWEST_TO_TRY * n_workers:
        return
    share = 1 - 1 / n_workers
    while tasks:
        if _is_worth_processes(spent / max(1, n_done) * len(tasks) * share):
            return
        began = perf_counter()
        result = function(shared, *tasks.popleft())
        seconds = perf_counter() - began
        spent, n_done = spent + seconds, n_done + 1
        yield result
    _forego(spent * share)


def _is_worth_processes(saved: float) -> bool:
    """Whether processes save more than they cost to start, with what they would have saved before.

    Many calls that are too short for it alone are worth starting processes together.
    """
    gain = saved - _WARM_SECONDS
    return gain > 0 and (_pool_is_warm() or _foregone.seconds + gain > _COLD_SECONDS)


def _forego(saved: float) -> None:
    """Remember what processes would have saved."""
    if not _pool_is_warm():
        _foregone.seconds += max(0.0, saved - _WARM_SECONDS)


def _pool_is_warm() -> bool:
    """Whether joblib keeps worker processes from an earlier call."""
    executor = reusable_executor._executor
    return executor is not None and not executor._flags.shutdown


def check_not_cancelled() -> None:
    """Stop a worker thread between two batches where the run was given up.

    Raises
    ------
    CancelledRun
    """
    event = getattr(_here, "cancelled", None)
    if event is not None and event.is_set():
        raise CancelledRun


def _run_task(
    function: Callable[..., Any],
    sent: Any,
    task: tuple[tuple[Any, ...]],
    settings: dict[str, Any],
) -> Any:
    if isinstance(sent, _InPlace):
        if sent.cancelled.is_set():
            raise CancelledRun
        _here.cancelled = sent.cancelled
    value = sent.value if isinstance(sent, _InPlace | Parcel) else sent
    try:
        with (
            config_context(**settings),
            one_torch_thread(),
            _one_openmp_thread(sent),
            _at_work(sent),
        ):
            return function(value, *task[0])
    finally:
        _here.cancelled = None


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Keep torch to one thread in this worker; a module that is about to load it starts so too."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    if before > 1:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if before > 1:
            torch.set_num_threads(before)


def _one_openmp_thread(sent: Any) -> Any:
    """Keep OpenMP to one thread in this thread, which has a setting of its own."""
    if isinstance(sent, _InPlace):
        return _controller().limit(limits=1, user_api="openmp")
    return nullcontext()


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


class _InPlace:
    """Something shared by threads, and how they learn that it is over."""

    def __init__(self, value: Any, cancelled: threading.Event) -> None:
        self.value = value
        self.cancelled = cancelled
        self.n_at_work = 0
        self.changed = threading.Condition()

    def wait(self) -> None:
        """Wait until no thread works for a run that is over, or until it takes too long."""
        with self.changed:
            self.changed.wait_for(lambda: self.n_at_work == 0, timeout=_LONGEST_WAIT)


@contextmanager
def _at_work(sent: Any) -> Iterator[None]:
    if not isinstance(sent, _InPlace):
        yield
        return
    with sent.changed:
        sent.n_at_work += 1
    try:
        yield
    finally:
        with sent.changed:
            sent.n_at_work -= 1
            sent.changed.notify_all()
