"""Sections of comparisons as Markdown and JSON, and a script that measures one alone."""

from __future__ import annotations

import argparse
import os
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from comparisons import Comparison, Effort
from profiles import profiled
from side_by_side import machine, table

# Read by every library when it is loaded, so set before any is imported.
THREAD_VARIABLES = [
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
]  # fmt: skip

PROFILES = """\
Where the time of the lines goes that miss their goal (own time under Python's profiler, which
makes many small calls look longer):""".replace("\n", " ")


@dataclass
class Section:
    """What one module measured.

    Parameters
    ----------
    key : str
        The module's name.
    title, note : str
    lines : list
        Of one kind, each with `HEADER`, `cells()` and `record()`.
    failures : mapping of str to str
        By the name of the case.
    profiles : mapping of str to str
        Of the lines that miss their goal, by their work: where their time goes.
    picture : str, optional
        The name of a file.
    seconds : float
    """

    key: str
    title: str
    note: str = ""
    lines: list[Any] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    profiles: dict[str, str] = field(default_factory=dict)
    picture: str | None = None
    seconds: float = 0.0

    def markdown(self) -> str:
        """Return heading, note, table, picture and what failed."""
        parts = [f"## {self.title}", self.note]
        if self.lines:
            parts.append(table(self.lines[0].HEADER, [line.cells() for line in self.lines]))
        if self.profiles:
            parts.append(PROFILES)
            parts.append("\n".join(f"- {work}: {told}" for work, told in self.profiles.items()))
        if self.picture:
            parts.append(f"![{self.title}]({self.picture})")
        parts += [
            f"**Failed**: {case}: `{' '.join(error.split())}`"
            for case, error in self.failures.items()
        ]
        return "\n\n".join(part for part in parts if part)

    def record(self) -> dict[str, Any]:
        """Return everything as JSON knows it."""
        return {
            "key": self.key,
            "title": self.title,
            "note": self.note,
            "lines": [line.record() for line in self.lines],
            "failures": self.failures,
            "profiles": self.profiles,
            "seconds": round(self.seconds, 1),
        }


def measured(module: ModuleType, effort: Effort) -> Iterator[Section]:
    """Measure the cases of a module; yield the section as it is after each.

    Parameters
    ----------
    module : module
        With `TITLE`, `NOTE`, `CASES` (of which `QUICK_CASES` are enough for a quick look) and
        `compare(case, effort)`, which returns the lines of one case; perhaps with
        `draw(lines)`, which returns a picture's name.
    effort : Effort

    Yields
    ------
    Section
        The same one each time. A case that fails is noted and the others are measured.
    """
    section = Section(module.__name__, module.TITLE, " ".join(module.NOTE.split()))
    cases = getattr(module, "QUICK_CASES", module.CASES) if effort.quick else module.CASES
    start = time.perf_counter()
    for case in cases:
        try:
            lines = module.compare(case, effort)
            section.lines += lines
            for line in lines:
                # Profiled after all were timed.
                if isinstance(line, Comparison) and line.missed and line.ours.run is not None:
                    section.profiles.setdefault(line.work, profiled(line.ours.run))
            if hasattr(module, "draw") and not effort.quick:
                section.picture = module.draw(section.lines)
        except Exception as error:
            traceback.print_exc()
            section.failures[case] = f"{type(error).__name__}: {error}"
        section.seconds = time.perf_counter() - start
        yield section


def fix_threads(n_threads: int) -> None:
    """Give every library so many threads; before torch, numpy and their like are imported."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = str(n_threads)


def quiet() -> None:
    """Leave out what libraries say about one another's versions."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=UserWarning)


def run_alone(module: ModuleType) -> None:
    """Measure a single module and print its section."""
    import torch

    parser = argparse.ArgumentParser(description=module.__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="timed pairs of each comparison")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--quick", action="store_true", help="fewer rows and cases")
    parser.add_argument("--only", help=f"cases, separated by commas: {', '.join(module.CASES)}")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    quiet()
    if options.only:
        module.CASES = module.QUICK_CASES = options.only.split(",")
    print(f"{machine(options.threads)}, {options.rounds} rounds\n")
    section = None
    for section in measured(module, Effort(options.rounds, options.quick)):
        print(f"… {section.seconds:.0f} s", flush=True)
    if section is not None:
        print(section.markdown())
