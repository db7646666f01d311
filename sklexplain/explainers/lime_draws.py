"""The two ways in which LIME perturbs a row.

Players of one cell are drawn from their column's distribution; players of several cells are kept
or replaced by those of a training row.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from ..core.built_rows import run_around
from ..core.models import Model
from ..core.perturb import evaluate_chunks
from ..core.players import Players
from ..solvers.discretize import CategoricalColumn, Column, NormalColumn, fit_column
from ..solvers.workspace import Workspace

# Draws that each control must stand on.
_DRAWS_PER_CONTROL = 10
_MOST_REFERENCES = 10_000


class ColumnDraws:
    """Every cell drawn by itself from its training distribution, for players of one cell.

    A coded cell (a bin, a category) enters the surrogate as "the same as the row's" or not; a
    number as its distance in standard deviations.

    Parameters
    ----------
    columns : sequence of columns
        One a player.
    players : Players
        Of one cell each.
    n_draws : int
    center : {"mean", "row"}
        Around what normal columns are drawn.
    seed : int
    """

    def __init__(
        self, columns: Sequence[Column], players: Players, n_draws: int, center: str, seed: int
    ) -> None:
        self.columns = list(columns)
        self.shape = players.shape
        self.cells = np.argsort(players.labels)
        self.is_normal = np.array([isinstance(column, NormalColumn) for column in columns])
        normal = [column for column in columns if isinstance(column, NormalColumn)]
        self.means = np.array([column.mean for column in normal])
        self.stds = np.array([column.std for column in normal])
        self.around_row = center == "row" and bool(normal)
        uniforms = check_random_state(seed).random_sample((n_draws, len(self.columns)))
        drawn = [column.draw(uniforms[:, i]) for i, column in enumerate(self.columns)]
        self.values = np.column_stack([values for values, _ in drawn])
        # Small, because codes are compared for every draw of every explained row.
        codes = np.column_stack([codes for _, codes in drawn])
        self.codes = codes.astype(np.int16 if codes.max() < 2**15 else np.int64)

    @property
    def n_players(self) -> int:
        """Number of players."""
        return len(self.columns)

    @property
    def n_draws(self) -> int:
        """Number of draws, the explained row itself not counted."""
        return len(self.values)

    @property
    def sampling(self) -> str:
        """How rows are perturbed, in words."""
        return "around the row" if self.around_row else "from the training distribution"

    def run(
        self, model: Model, rows: np.ndarray, **options: Any
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the outputs of the draws around rows, a chunk of rows at a time.

        Parameters
        ----------
        model : Model
        rows : ndarray of shape (n_rows, *sample_shape)
        **options
            Of :func:`sklexplain.core.built_rows.run_around`.

        Yields
        ------
        part : slice
            Of the rows.
        outputs : ndarray of shape (n_rows, n_draws, n_outputs)
        """
        return run_around(model, self, rows, **options)

    def rows_around(self, X: np.ndarray) -> np.ndarray:
        """Return the draws around some rows, shape (n_rows * n_draws, *sample_shape)."""
        flat = self._flat(X)
        values = np.broadcast_to(self.values, (len(flat), *self.values.shape)).copy()
        values[..., self.is_normal] += (flat[:, self.is_normal] - self.means)[:, None]
        return self._as_rows(values.reshape(-1, len(self.columns)))

    def shared_rows(self) -> np.ndarray:
        """Return the draws that serve every row, shape (n_draws, *sample_shape)."""
        return self._as_rows(self.values)

    def offsets(self, rows: np.ndarray, workspace: Workspace) -> np.ndarray:
        """Return where the row itself and the draws lie, relative to each row.

        A cell that cannot vary, and a category that no draw can have, does not move.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, *sample_shape)
        workspace : Workspace
            Where the offsets are made: they last until the next.

        Returns
        -------
        ndarray of shape (n_rows or 1, 1 + n_draws, n_players)
        """
        flat, normal = self._flat(rows), self.is_normal
        n_rows = 1 if self.around_row and normal.all() else len(flat)
        offsets = workspace.array("offsets", (n_rows, 1 + self.n_draws, len(self.columns)))
        offsets[:, 0] = 0
        if not normal.all():
            # Codes of numbers are all alike, and an unseen category is taken to be any.
            differ = workspace.array("differ", (n_rows, *self.codes.shape), bool)
            np.not_equal(self.codes, self._own_codes(flat)[:n_rows, None], out=differ)
            unseen = self.unseen(flat)[:n_rows]
            if unseen.any():
                differ &= ~unseen[:, None]
            negated = differ.view(np.int8)
            offsets[:, 1:] = np.negative(negated, out=negated)
        if normal.any():
            scale = np.where(self.stds > 0, self.stds, np.inf)
            centre = self.means if self.around_row else flat[:n_rows, None, normal]
            offsets[:, 1:, normal] = (self.values[:, normal] - centre) / scale
        return offsets

    def positions(self, rows: np.ndarray) -> np.ndarray:
        """Return where the rows lie: 1 where coded, else in standard deviations from the mean."""
        positions = np.ones((len(rows), len(self.columns)))
        scale = np.where(self.stds > 0, self.stds, 1)
        positions[:, self.is_normal] = (self._flat(rows)[:, self.is_normal] - self.means) / scale
        return positions

    def controls(self) -> None:
        """Return nothing: here the draws differ from row to row in what they are compared with."""

    def conditions(self, rows: np.ndarray, categories: Mapping[int, Any]) -> np.ndarray:
        """Return what each coefficient speaks of, text of shape (n_rows, n_players)."""
        flat = self._flat(rows)
        texts = []
        for player, column in enumerate(self.columns):
            if isinstance(column, CategoricalColumn):
                labels = categories.get(int(self.cells[player]) % self.shape[-1])
                texts.append(column.describe(flat[:, player], labels))
            else:
                texts.append(column.describe(flat[:, player]))
        return np.array(texts).T

    def unseen(self, flat: np.ndarray) -> np.ndarray:
        """Return which cells hold a category that no training row had, one column a player."""
        unseen = np.zeros(flat.shape, dtype=bool)
        for player, column in enumerate(self.columns):
            if isinstance(column, CategoricalColumn):
                unseen[:, player] = column.unseen(flat[:, player])
        return unseen

    def warn_of_unseen(
        self, rows: np.ndarray, categories: Mapping[int, Any], numbers: np.ndarray | None = None
    ) -> None:
        """Warn where a row holds a category that no draw can have."""
        unseen = self.unseen(self._flat(rows))
        if unseen.any():
            row, player = np.argwhere(unseen)[0]
            called = row if numbers is None else numbers[row]
            held = str(self.conditions(rows[row : row + 1], categories)[0, player])
            warnings.warn(
                f"row {called} has {held!r}, which no training row has, so that it cannot be "
                "compared with other values: its coefficient is 0",
                stacklevel=4,
            )

    def _own_codes(self, flat: np.ndarray) -> np.ndarray:
        codes = [column.code(flat[:, i]) for i, column in enumerate(self.columns)]
        return np.column_stack(codes).astype(self.codes.dtype)

    def _flat(self, rows: np.ndarray) -> np.ndarray:
        return rows.reshape(len(rows), -1)[:, self.cells]

    def _as_rows(self, values: np.ndarray) -> np.ndarray:
        built = np.empty_like(values)
        built[:, self.cells] = values
        return built.reshape(-1, *self.shape)


class ReplacementDraws:
    """Players present or replaced by those of a training row, each with probability one half.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, *sample_shape)
        Training rows; of more than 10,000 a sample is kept.
    players : Players
    n_draws : int
    seed : int
    """

    around_row = True
    sampling = "replaced from training rows"

    def __init__(self, rows: np.ndarray, players: Players, n_draws: int, seed: int) -> None:
        random_state = check_random_state(seed)
        if len(rows) > _MOST_REFERENCES:
            rows = rows[random_state.choice(len(rows), _MOST_REFERENCES, replace=False)]
        self.players = players
        self.references = rows
        self.coalitions = random_state.random_sample((n_draws, players.n_players)) < 0.5
        self.pairing = random_state.randint(len(rows), size=n_draws)

    @property
    def n_players(self) -> int:
        """Number of players."""
        return self.players.n_players

    @property
    def n_draws(self) -> int:
        """Number of draws, the explained row itself not counted."""
        return len(self.coalitions)

    def run(
        self, model: Model, rows: np.ndarray, **options: Any
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the outputs of rows under every draw; as of :class:`ColumnDraws`."""
        return evaluate_chunks(
            model,
            rows,
            self.coalitions,
            self.references,
            self.players,
            pairing=self.pairing,
            **options,
        )

    def offsets(self, rows: np.ndarray, workspace: Workspace) -> np.ndarray:
        """Return 0 where a player is present and -1 where it is replaced, shared by all rows."""
        absent = np.zeros((1, 1 + self.n_draws, self.players.n_players))
        absent[0, 1:] = self.coalitions - 1.0
        return absent

    def positions(self, rows: np.ndarray) -> np.ndarray:
        """Return 1: in the row itself every player is present."""
        return np.ones((len(rows), self.players.n_players))

    def controls(self) -> np.ndarray | None:
        """Return how far replaced cells lie from their mean over the training rows.

        It is random but 0 on average whichever players are replaced, so that what a model makes
        of it can be taken out of the outputs. Cells are added up within players where they are
        many, and left alone where even players are many.
        """
        means = np.nanmean(self.references, axis=0)
        deviations = np.nan_to_num(self.references - means)[self.pairing]
        deviations *= ~self.players.cell_mask(self.coalitions)
        flat = deviations.reshape(self.n_draws, -1)
        n_players = self.players.n_players
        if self.n_draws < _DRAWS_PER_CONTROL * (n_players + flat.shape[1]):
            if self.n_draws < _DRAWS_PER_CONTROL * 2 * n_players:
                return None
            spread = np.nanstd(self.references, axis=0)
            flat = self.players.sum_cells(deviations / np.where(spread > 0, spread, 1))
        return np.concatenate([np.zeros((1, flat.shape[1])), flat])

    def conditions(self, rows: np.ndarray, categories: Mapping[int, Any]) -> None:
        """Return nothing: the players' names say what is present."""


def make_draws(
    rows: np.ndarray,
    players: Players,
    n_draws: int,
    *,
    discretizer: str | None,
    center: str,
    categorical: set[int],
    target: np.ndarray | None,
    seed: int,
) -> ColumnDraws | ReplacementDraws:
    """Learn from training rows how the players are perturbed; parameters as of :class:`LIME`."""
    if not are_cells(players):
        return ReplacementDraws(rows, players, n_draws, seed)
    flat = rows.reshape(len(rows), -1)
    columns: list[Column] = []
    for name, cell in zip(players.names, np.argsort(players.labels), strict=True):
        if cell % players.shape[-1] in categorical:
            columns.append(CategoricalColumn.fit(name, flat[:, cell]))
        else:
            columns.append(fit_column(name, flat[:, cell], discretizer, target))
    return ColumnDraws(columns, players, n_draws, center, seed)


def are_cells(players: Players) -> bool:
    """Whether every player is a single cell, which can be drawn from its distribution."""
    return players.n_players == players.n_cells


def categorical_positions(features: Any, names: Sequence[str]) -> set[int]:
    """Return the positions of the features that the user calls categorical.

    Raises
    ------
    ValueError
        If a name or position is unknown.
    """
    positions = set()
    for feature in features if features is not None else ():
        if isinstance(feature, str) and feature in names:
            positions.add(list(names).index(feature))
        elif isinstance(feature, int | np.integer) and -len(names) <= feature < len(names):
            positions.add(int(feature) % len(names))
        else:
            raise ValueError(
                f"categorical_features holds {feature!r}, which is neither a position among the "
                f"{len(names)} features nor one of {list(names)}"
            )
    return positions


def refuse_missing(rows: np.ndarray, players: Players) -> None:
    """Raise a ValueError that names the first cell that has no value to be drawn or compared."""
    missing = ~np.isfinite(rows.reshape(len(rows), -1))
    if missing.any():
        row, cell = np.argwhere(missing)[0]
        name = players.names[players.labels[cell]]
        raise ValueError(
            f"X holds NaN or infinite values (first in row {row}, {name!r}), "
            "which have no place in LIME's distributions; impute them before LIME, or group "
            "columns into players, which are then replaced as they are"
        )


def refuse_vanished(
    weights: np.ndarray, offsets: np.ndarray, numbers: np.ndarray, kernel_width: float
) -> None:
    """Raise a ValueError where the kernel leaves a row next to no draws.

    Parameters
    ----------
    weights : ndarray of shape (n_rows or 1, 1 + n_draws)
    offsets : ndarray of shape (n_rows or 1, 1 + n_draws, n_players)
    numbers : ndarray of int, shape (n_rows,)
        What the rows are called.
    kernel_width : float
    """
    n_draws = weights.shape[1] - 1
    left = weights[:, 1:].sum(axis=1)
    # Below a total weight of 1 the penalty of the ridge outweighs all that the draws say.
    if left.min() >= min(1, 0.01 * n_draws):
        return
    row = int(np.argmin(left))
    nearest = np.sqrt((offsets[row, 1:] ** 2).sum(axis=1).min())
    raise ValueError(
        f"the kernel leaves row {numbers[row]} no draws: the weights of all {n_draws} add up to "
        f"{left[row]:.2g}, because the nearest lies at distance {nearest:.3g} and kernel_width is "
        f"{kernel_width:.3g}; give a larger kernel_width, or draw around the row"
    )
