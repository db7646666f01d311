"""What one comparison is: the same work done twice, in turn, and what was to be reached."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Parameters
    ----------
    n_rounds : int, default=5
        Timed pairs of each comparison.
    quick : bool, default=False
        Whether fewer rows and cases will do.
    """

    n_rounds: int = 5
    quick: bool = False

    def of(self, full: Any, quick: Any) -> Any:
        """Return the one or the other."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Side:
    """One of the two that are compared.

    Parameters
    ----------
    name : str
    seconds : sequence of float
        Of each round.
    evaluations : int, optional
        Rows run through the model, of the unit that the section's note names.
    error : float, optional
        Of the kind that the section's note names.
    run : callable, optional
        Does it once more, to see where the time goes.
    """

    name: str
    seconds: Sequence[float]
    evaluations: int | None = None
    error: float | None = None
    run: Callable[[], object] | None = None

    def record(self) -> dict[str, Any]:
        """Return everything as JSON knows it."""
        return {name: value for name, value in vars(self).items() if name != "run"}


@dataclass(frozen=True)
class Goal:
    """What is to be reached: so many times as fast, or at most such a part of the time."""

    at_least_as_fast: float | None = None
    at_most_the_time: float | None = None

    def __str__(self) -> str:
        if self.at_least_as_fast is not None:
            return f"≥ {self.at_least_as_fast:g} × as fast"
        if self.at_most_the_time == 1:
            return "not slower"
        return f"≤ {self.at_most_the_time:g} × its time"


def faster(times: float) -> Goal:
    return Goal(at_least_as_fast=times)


def at_most(times: float) -> Goal:
    return Goal(at_most_the_time=times)


NOT_SLOWER = at_most(1)
# The same run twice differs by as much.
EVEN = 1.05


@dataclass(frozen=True)
class Comparison:
    """One line of a table.

    Parameters
    ----------
    work : str
        The model, rows, players.
    equal : str
        What is equal on both sides.
    ours, theirs : Side
    goal : Goal, optional
        None where the line is there to be read beside another.
    as_part : bool, default=False
        Without a goal: whether the ratio is our part of the time, or how many times as fast.
    """

    work: str
    equal: str
    ours: Side
    theirs: Side
    goal: Goal | None = None
    as_part: bool = False

    HEADER: ClassVar[list[str]] = [
        "work", "against", "equal", "evaluations", "error", "seconds", "ratio", "goal", "reached",
    ]  # fmt: skip

    @property
    def tells_part(self) -> bool:
        """Whether the ratio is our part of the time."""
        return self.as_part if self.goal is None else self.goal.at_most_the_time is not None

    @property
    def ratios(self) -> list[float]:
        """Of the rounds: how many times as fast, or what part of the time, as the goal has it."""
        pairs = zip(self.ours.seconds, self.theirs.seconds, strict=True)
        if self.tells_part:
            return [ours / theirs for ours, theirs in pairs]
        return [theirs / ours for ours, theirs in pairs]

    @property
    def reached(self) -> str:
        """Whether the median meets the goal, or else whether the spread of the rounds does."""
        if self.goal is None:
            return "–"
        ratios, median = self.ratios, statistics.median(self.ratios)
        limit = self.goal.at_least_as_fast
        if limit is not None:
            met, met_once = median >= limit, max(ratios) >= limit
        else:
            limit = self.goal.at_most_the_time
            met, met_once = median <= limit, min(ratios) <= limit
            if limit == 1 and 1 < median <= EVEN:
                return "even"
        return "yes" if met else "within the spread" if met_once else "**no**"

    @property
    def missed(self) -> bool:
        """Whether there is a goal and the median misses it by more than runs differ."""
        return self.reached in ("**no**", "within the spread")

    def cells(self) -> list[str]:
        """Return the line of the table."""
        ratios = self.ratios
        unit = "× its time" if self.tells_part else "× as fast"
        return [
            self.work,
            self.theirs.name,
            self.equal,
            _both(self.ours.evaluations, self.theirs.evaluations, "{:,}"),
            _both(self.ours.error, self.theirs.error, "{:.2g}"),
            _both(
                statistics.median(self.ours.seconds),
                statistics.median(self.theirs.seconds),
                "{:.3g}",
            ),
            f"{statistics.median(ratios):.2f} {unit} ({min(ratios):.2f}–{max(ratios):.2f})",
            "" if self.goal is None else str(self.goal),
            self.reached,
        ]

    def record(self) -> dict[str, Any]:
        """Return everything as JSON knows it."""
        ratios = self.ratios
        return {
            "work": self.work,
            "equal": self.equal,
            "ours": self.ours.record(),
            "theirs": self.theirs.record(),
            "ratio": {
                "of": "ours / theirs" if self.tells_part else "theirs / ours",
                "median": statistics.median(ratios),
                "smallest": min(ratios),
                "largest": max(ratios),
                "rounds": len(ratios),
            },
            "goal": None if self.goal is None else str(self.goal),
            "reached": self.reached.strip("*"),
        }


def _both(ours: float | None, theirs: float | None, form: str) -> str:
    """Return what both have in one cell, once where it is the same."""
    shown = ["–" if value is None else form.format(value) for value in (ours, theirs)]
    return shown[0] if shown[0] == shown[1] else " / ".join(shown)
