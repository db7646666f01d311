"""Shapley values of rows: enumerated where the budget allows it, otherwise sampled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from joblib import effective_n_jobs
from sklearn import get_config
from sklearn.utils import check_random_state

from ..core.background import Background
from ..core.models import Model
from ..core.perturb import evaluate_chunks
from ..core.placement import workers_for
from ..core.players import Players
from ..solvers.background_noise import background_features
from ..solvers.coalitions import PairedDesign, all_coalitions, paired_design
from ..solvers.shapley import MOST_TRIPLED_PLAYERS, PairedRegression, exact_shapley
from ..solvers.walks import (
    FEWEST_IN_ROUND,
    WalkMeans,
    WalkRound,
    least_walks,
    neighbours,
    walk_contributions,
    walk_rounds,
)
from .control_variate import DeepControlVariate, Known

# Enumerating more coalitions than this does not fit in memory, whatever the budget.
MOST_EXACT_PLAYERS = 20
# Pairs in the first stage of a run that stops by `tol`; every further stage doubles the sample.
_FIRST_PAIRS = 128
_MOST_REGRESSIONS = 8
# Background rows from which walks serve better than the regression; measured between 30 and 45.
LEAST_WALKED_ROWS = 40
_CHUNKS_PER_WORKER = 4
# Arrays as long as a round's evaluations that walks need.
_WALKED_ARRAYS = 6
# What the rows that are solved together may hold: a quarter of a million evaluations, enough to
# keep any model busy, and little beside the model's own memory.
_CHUNK_BYTES = 4 * 2**20


def exact_evals(n_players: int, n_background: int) -> int:
    """Return the evaluations that enumeration takes for one row, its prediction included."""
    return (2**n_players - 2) * n_background + 1


class Solved(NamedTuple):
    """Values of some rows and players."""

    members: np.ndarray  # (n,), positions of the rows
    active: np.ndarray  # (a,), the players that the values belong to; the others have 0
    values: np.ndarray  # (n, a, n_outputs)
    std_errors: np.ndarray  # (n, a, n_outputs)
    n_evals: int  # for each of the rows
    sampled: bool


@dataclass
class RowSolver:
    """What all rows have in common: who plays, against which background, at what cost.

    Parameters
    ----------
    players : Players
    background : Background
    background_outputs : ndarray of shape (n_background, n_outputs)
    base_values : ndarray of shape (n_outputs,)
    max_evals : int
        The most evaluations for one row, its prediction included.
    design_seed : int
        Of the coalitions: the same for all rows.
    control_variate : DeepControlVariate, optional
        Subtracted from the sampled differences, and added back as its mean.
    sampling : {"auto", "pairs", "walks"}
    jumps : bool
        Whether the model is made of trees, whose outputs are no smooth function of the cells.
    """

    players: Players
    background: Background
    background_outputs: np.ndarray
    base_values: np.ndarray
    max_evals: int
    design_seed: int
    control_variate: DeepControlVariate | None = None
    sampling: str = "auto"
    jumps: bool = False
    regressions: dict[tuple[int, bytes], PairedRegression] = field(default_factory=dict)

    def solve(
        self,
        model: Model,
        rows: np.ndarray,
        predictions: np.ndarray,
        *,
        tol: float | None = None,
        batch_size: int | str = "auto",
        n_jobs: int | None = None,
        on_progress: Callable[[int], Any] | None = None,
        row_numbers: np.ndarray | None = None,
    ) -> Iterator[Solved]:
        """Yield the values of all rows, some rows at a time.

        Parameters
        ----------
        model : Model
        rows : ndarray of shape (n_samples, *sample_shape)
        predictions : ndarray of shape (n_samples, n_outputs)
        tol : float, optional
            Rows whose largest standard error is below this share of their distance from the base
            value are finished before the budget is spent.
        batch_size, n_jobs, on_progress
            As of :func:`sklexplain.core.perturb.evaluate`.
        row_numbers : ndarray of int, shape (n_samples,), optional
            What the rows are called in errors.
        """
        numbers = np.arange(len(rows)) if row_numbers is None else row_numbers
        totals = predictions - self.base_values
        run = _Run(self, model, rows, numbers, totals, tol, batch_size, n_jobs, on_progress)
        for members, active in self._row_groups(rows):
            yield from run.solve_group(members, active)

    def _row_groups(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield rows that have the same active players, together with these players.

        A player is active unless its cells equal those of every background row.
        """
        background = self.background
        constant = background.constant_cells
        if not constant.any():
            yield np.arange(len(rows)), np.arange(self.players.n_players)
            return
        moved = ~(constant & (rows == background.rows[0])).reshape(len(rows), -1)
        active = self.players.sum_cells(moved.reshape(rows.shape).astype(float)) > 0
        patterns, group = np.unique(active, axis=0, return_inverse=True)
        for index, pattern in enumerate(patterns):
            yield np.flatnonzero(group.ravel() == index), np.flatnonzero(pattern)

    def n_walks(self, n_active: int) -> int:
        """Return how many walks the budget allows, or 0 where pairs of coalitions serve better.

        Pairs serve smooth models of few players, of whom the regression fits interactions of
        three, and few background rows, whose part it can tell. Against 100 rows, on trees of 10
        to 100 columns, the error of walks is a fifth to 1.4 of the regression's, which moreover
        takes as long as a small model; on recurrent nets of 20 players they are the same. Against
        30 rows it is the regression that is nearer, by up to a half.
        """
        n_background = len(self.background)
        least = least_walks(n_background)
        if self.sampling == "auto":
            smooth = not self.jumps
            few = n_background < LEAST_WALKED_ROWS or (smooth and n_active <= MOST_TRIPLED_PLAYERS)
            if few or self.control_variate is not None:
                return 0
            least = 2 * n_background if smooth else least
        allowed = (self.max_evals - 1) // (n_active - 1)
        return allowed if self.sampling != "pairs" and allowed >= least else 0

    @cached_property
    def background_order(self) -> np.ndarray:
        """The background rows, each two that are alike one after the other."""
        background = self.background
        cells = background.rows.reshape(len(background), -1)
        return neighbours(cells, self.background_outputs, background.weights)

    def regression(
        self, design: PairedDesign, players: Players, active: np.ndarray
    ) -> PairedRegression:
        """Return the factorised regression, kept for further calls: no row has a part in it.

        Designs are told apart by their length, since all are the beginning of one.
        """
        key = (len(design), active.tobytes())
        if key not in self.regressions:
            features = None
            if len(self.background) > 1:
                features = background_features(
                    self.background.rows.reshape(len(self.background), -1),
                    players.labels,
                    self.background_outputs,
                    self.background.weights,
                )
            if len(self.regressions) >= _MOST_REGRESSIONS:
                self.regressions.pop(next(iter(self.regressions)))
            self.regressions[key] = PairedRegression(design, features)
        return self.regressions[key]


@dataclass(frozen=True)
class _Run:
    """What one call to explain adds to a solver."""

    solver: RowSolver
    model: Model
    rows: np.ndarray
    numbers: np.ndarray
    totals: np.ndarray
    tol: float | None
    batch_size: int | str
    n_jobs: int | None
    on_progress: Callable[[int], Any] | None
    evals_ahead: int = 0

    def solve_group(self, members: np.ndarray, active: np.ndarray) -> Iterator[Solved]:
        """Yield the values of rows that have the same active players, in chunks."""
        solver = self.solver
        n_active, n_outputs = len(active), self.totals.shape[1]
        if n_active < 2:
            # Whoever plays alone brings all that there is.
            values = self.totals[members][:, None][:, :n_active]
            yield Solved(members, active, values, np.zeros_like(values), 1, False)
            return
        players = _only(solver.players, active)
        needed = exact_evals(n_active, len(solver.background))
        exact = n_active <= MOST_EXACT_PLAYERS and needed <= solver.max_evals
        n_walks = 0 if exact else solver.n_walks(n_active)
        sampled = 2 * solver.max_evals
        if n_walks:
            sampled = _WALKED_ARRAYS * min(solver.max_evals, 2 * len(solver.background) * n_active)
        if solver.control_variate is not None:
            sampled += 2 * len(solver.background) * n_active
        per_row = 8 * n_outputs * (2**n_active if exact else sampled)
        most_bytes = min(_CHUNK_BYTES, get_config()["working_memory"] * 2**20)
        n_workers = effective_n_jobs(workers_for(self.model.estimator, self.n_jobs))
        if n_workers > 1:
            # What is divided must be worth dividing.
            most_bytes *= _CHUNKS_PER_WORKER * n_workers
        per_chunk = max(1, int(most_bytes / per_row))
        for start in range(0, len(members), per_chunk):
            part = members[start : start + per_chunk]
            n_ahead = len(members) - start - len(part)
            run = replace(self, evals_ahead=n_ahead * (needed if exact else solver.max_evals))
            if exact:
                values = run._enumerated(part, players)
                yield Solved(part, active, values, np.zeros_like(values), needed, False)
            elif n_walks:
                yield from run._walked(part, players, active, n_walks)
            else:
                yield from run._sampled(part, players, active)

    def _engine_options(self, members: np.ndarray) -> dict[str, Any]:
        return {
            "batch_size": self.batch_size,
            "n_jobs": self.n_jobs,
            "row_numbers": self.numbers[members],
            "on_progress": self.on_progress,
            "evals_ahead": self.evals_ahead,
        }

    def _enumerated(self, members: np.ndarray, players: Players) -> np.ndarray:
        coalitions = all_coalitions(players.n_players)
        base_values = self.solver.base_values
        # Nobody present is the base value for every row; everybody is the prediction.
        coalition_values = np.empty((len(members), len(coalitions), len(base_values)))
        coalition_values[:, 0] = base_values
        coalition_values[:, -1] = base_values + self.totals[members]
        for part, inner in evaluate_chunks(
            self.model,
            self.rows[members],
            coalitions[1:-1],
            self.solver.background.rows,
            players,
            weights=self.solver.background.weights,
            **self._engine_options(members),
        ):
            coalition_values[part, 1:-1] = inner
        return exact_shapley(coalition_values)

    def _sampled(
        self, members: np.ndarray, players: Players, active: np.ndarray
    ) -> Iterator[Solved]:
        solver = self.solver
        known = Known.of(
            solver.control_variate,
            self.rows[members],
            players,
            solver.background.weights,
            self.totals.shape[1],
        )
        if self.on_progress is not None:
            self.on_progress(known.n_evals * len(members))
        n_pairs = (solver.max_evals - 1 - known.n_evals) // 2
        whole = paired_design(
            players.n_players,
            n_pairs,
            solver.background.weights,
            check_random_state(solver.design_seed),
        )
        # Positions among the members, of those whose sampling goes on.
        waiting = np.arange(len(members))
        seen = np.empty((len(members), 0, self.totals.shape[1]))
        for design in self._stages(whole):
            n_seen, fresh = seen.shape[1], design[seen.shape[1] :]
            totals, means = self.totals[members[waiting]], known.means[waiting]
            seen = np.pad(seen, ((0, 0), (0, len(fresh)), (0, 0)))
            values, errors = np.empty_like(means), np.empty_like(means)
            # Workers go on while the rows that they are done with are solved.
            for part, drawn in self._half_differences(members[waiting], players, fresh):
                seen[part, n_seen:] = drawn - known.half_differences(fresh, waiting[part])
                values[part], errors[part] = _solve_outputs(
                    solver.regression(design, players, active),
                    seen[part],
                    totals[part] - means[part].sum(axis=1),
                )
            values += means
            done = np.ones(len(waiting), dtype=bool)
            if len(design) < n_pairs and self.tol is not None:
                distance = np.abs(totals).max(axis=1)
                done = errors.max(axis=(1, 2)) <= self.tol * distance
            n_evals = 1 + known.n_evals + 2 * len(design)
            finished = members[waiting[done]]
            yield Solved(finished, active, values[done], errors[done], n_evals, True)
            waiting, seen = waiting[~done], seen[~done]
            if len(waiting) == 0:
                return

    def _walked(
        self, members: np.ndarray, players: Players, active: np.ndarray, n_walks: int
    ) -> Iterator[Solved]:
        solver, n_players = self.solver, players.n_players
        order = solver.background_order
        random_state = check_random_state(solver.design_seed)
        waiting = np.arange(len(members))
        weights, n_outputs = solver.background.weights, self.totals.shape[1]
        means = WalkMeans(len(members), order, weights, n_players, n_outputs)
        n_evals, n_left = 1, n_walks
        for walks in walk_rounds(n_players, order, n_walks, random_state):
            means.add(walks, self._walk(members[waiting], players, walks))
            n_evals += walks.n_walks * (n_players - 1)
            n_left -= walks.n_walks
            values, errors = means.values()
            done = np.full(len(waiting), n_left < FEWEST_IN_ROUND)
            # One round alone may not see its error.
            if self.tol is not None and means.pair_counts.min() > 1:
                distance = np.abs(self.totals[members[waiting]]).max(axis=1)
                done |= errors.max(axis=(1, 2)) <= self.tol * distance
            yield Solved(members[waiting[done]], active, values[done], errors[done], n_evals, True)
            waiting = waiting[~done]
            if len(waiting) == 0:
                return
            means.keep(~done)

    def _walk(self, members: np.ndarray, players: Players, walks: WalkRound) -> np.ndarray:
        """Return what players add on each walk, shape (n, n_walks, p, o)."""
        solver = self.solver
        shape = (len(members), walks.n_walks, players.n_players, self.totals.shape[1])
        contributions = np.empty(shape)
        predictions = self.totals[members] + solver.base_values
        for part, outputs in evaluate_chunks(
            self.model,
            self.rows[members],
            walks.coalitions(),
            solver.background.rows,
            players,
            pairing=walks.pairing(),
            **self._engine_options(members),
        ):
            contributions[part] = walk_contributions(
                walks, outputs, solver.background_outputs, predictions[part]
            )
        return contributions

    def _stages(self, whole: PairedDesign) -> Iterator[PairedDesign]:
        """Yield the whole design, or growing beginnings of it with `tol`."""
        if self.tol is not None:
            size = max(_FIRST_PAIRS, 3 * whole.coalitions.shape[1])
            while size < len(whole):
                yield whole[:size]
                size *= 2
        yield whole

    def _half_differences(
        self, members: np.ndarray, players: Players, design: PairedDesign
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield half of the coalitions' outputs minus their complements', shape (n, K, o)."""
        for part, outputs in evaluate_chunks(
            self.model,
            self.rows[members],
            np.concatenate([design.coalitions, ~design.coalitions]),
            self.solver.background.rows,
            players,
            pairing=np.concatenate([design.references, design.references]),
            **self._engine_options(members),
        ):
            yield part, (outputs[:, : len(design)] - outputs[:, len(design) :]) / 2


def _only(players: Players, active: np.ndarray) -> Players:
    """Return the partition into the active players; the cells of the others join the first.

    They equal the background's, so it does not matter whom they go with.
    """
    if len(active) == players.n_players:
        return players
    renumbered = np.zeros(players.n_players, dtype=np.intp)
    renumbered[active] = np.arange(len(active))
    names = tuple(players.names[player] for player in active)
    return replace(players, labels=renumbered[players.labels], names=names, level="custom")


def _solve_outputs(
    regression: PairedRegression, halves: np.ndarray, totals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Solve every output of every row as a game of its own."""
    n_rows, n_pairs, n_outputs = halves.shape
    games = np.moveaxis(halves, 2, 1).reshape(-1, n_pairs)
    solved = regression.solve(games, totals.reshape(-1))
    values, errors = (np.moveaxis(part.reshape(n_rows, n_outputs, -1), 1, 2) for part in solved)
    return values, errors
