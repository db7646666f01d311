"""What is being done and how long it will take yet, on the terminal's error stream."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from .._progress import progress_shown_by


class Steps:
    """Numbered steps, each with a bar if its work reports how far it is.

    On a terminal the step at work has a moving line; what is finished leaves a line behind, and
    that is all where the error stream is a file.

    Parameters
    ----------
    n_steps : int
    quiet : bool, default=False
        Show nothing.

    Examples
    --------
    >>> from sklexplain.cli.progress import Steps
    >>> steps = Steps(2, quiet=True)
    >>> with steps.step("Reading"):
    ...     pass
    >>> steps.n_done
    1
    """

    def __init__(self, n_steps: int, *, quiet: bool = False) -> None:
        self.n_steps = n_steps
        self.n_done = 0
        self.quiet = quiet
        self._console = Console(stderr=True, quiet=quiet, highlight=False)

    @contextmanager
    def step(self, doing: str) -> Iterator[None]:
        """Show that something is being done, and how far the bars made meanwhile are."""
        started = time.monotonic()
        doing = f"{self.n_done + 1}/{self.n_steps} {doing}"
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeLeftColumn(),
        )
        shown = not self.quiet and self._console.is_terminal
        with Progress(
            *columns, console=self._console, transient=True, disable=not shown
        ) as progress:
            task = progress.add_task(doing, total=None)

            def make_bar(*args: Any, **params: Any) -> StepBar:
                return StepBar(progress, task, *args, **params)

            with progress_shown_by(make_bar):
                yield
        self.n_done += 1
        seconds = time.monotonic() - started
        self._console.print(f"{doing}: {seconds:.1f} s", markup=False, soft_wrap=True)


class TimeLeftColumn(ProgressColumn):
    """How long the work will take yet, once something of it is done."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """Return the column's text."""
        seconds = task.time_remaining
        if seconds is None or task.finished:
            return Text("")
        return Text(f"{int(seconds) // 60}:{int(seconds) % 60:02} min left")


class StepBar:
    """A bar with tqdm's interface that moves the line of a step.

    Parameters
    ----------
    progress : Progress
    task : TaskID
    iterable : iterable, default=None
    desc : str, default=None
        Unused: the step says what is done.
    total : int, default=None
        None takes the length of `iterable`.
    disable : bool, default=False
    **others
        Of tqdm, without meaning here.
    """

    def __init__(
        self,
        progress: Progress,
        task: TaskID,
        iterable: Iterable[Any] | None = None,
        desc: str | None = None,
        total: float | None = None,
        *,
        disable: bool = False,
        **others: Any,
    ) -> None:
        self._progress, self._task, self._iterable = progress, task, iterable
        self._disabled = disable
        self.n = 0.0
        if total is None and hasattr(iterable, "__len__"):
            total = len(iterable)  # type: ignore[arg-type]
        self.total = total
        if not disable:
            progress.reset(task, total=total)

    def __iter__(self) -> Iterator[Any]:
        for item in self._iterable or ():
            yield item
            self.update()

    def update(self, n: float = 1) -> None:
        """Move the bar."""
        self.n += n
        if not self._disabled:
            self._progress.update(self._task, completed=self.n, total=self.total)

    def set_postfix(self, *args: Any, **params: Any) -> None:
        """Say nothing further: the line is full."""

    def close(self) -> None:
        """Show that work goes on, but not how far it is, until there is another bar."""
        if not self._disabled:
            self._progress.reset(self._task, total=None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
