"""What the measurements share: the machine in words, runs that take turns, tables as Markdown."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def machine(threads: int) -> str:
    """Return the processor, its cores, memory and the threads that torch uses, in words."""
    model = platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        if names:
            model += f" ({names[0].split(':', 1)[1].strip()})"
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{model}, {os.cpu_count()} cores, {gibibytes:.0f} GiB of memory, {threads} torch thread(s)"
    )


def versions(*packages: str) -> str:
    """Return Python's version and those of packages."""
    return ", ".join([f"Python {platform.python_version()}", *map(_with_version, packages)])


def _with_version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} not installed"


def seconds(function: Callable, *args: object) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start


def in_turn(runs: dict[str, Callable[[], object]], n_rounds: int) -> dict[str, list[float]]:
    """Time runs side by side, so that a machine that slows down slows all of them.

    The order is turned round each time: who goes first finds the caches as the last one left them.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(n_rounds):
        for name in list(runs)[:: 1 if turn % 2 else -1]:
            times[name].append(seconds(runs[name]))
    return times


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return the median of the ratios within the rounds, with the smallest and the largest."""
    found = [one / other for one, other in zip(ours, theirs, strict=True)]
    return f"{statistics.median(found):.2f} ({min(found):.2f}–{max(found):.2f})"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, the first column to the left and the others to the right."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def publish(name: str, *paragraphs: str) -> None:
    """Print a report and write it to the results."""
    text = "\n\n".join(paragraphs) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)
