"""Players: which cells of a sample are present or absent together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from scipy.stats import rankdata
from sklearn.utils.validation import check_array

LEVELS = ("column", "feature", "timestep", "cell")


@dataclass(frozen=True, eq=False)
class Players:
    """A partition of the cells of one sample into players.

    Make one with :func:`make_players`.

    Parameters
    ----------
    labels : ndarray of int, shape (n_cells,)
        The player of each cell, cells in C order; -1 marks a cell of no player, which occurs
        only after players were selected.
    names : tuple of str, length n_players
    shape : tuple of int
        The shape of one sample: (n_columns,) or (n_timesteps, n_features).
    level : {"column", "feature", "timestep", "cell", "custom"}
    feature_names : tuple of str, length shape[-1]

    Examples
    --------
    >>> from sklexplain import make_players
    >>> players = make_players("timestep", (2, 3))
    >>> players.names, players.labels.tolist()
    (('t-1', 't'), [0, 0, 0, 1, 1, 1])
    >>> players.cell_mask([[True, False]])[0].astype(int)
    array([[1, 1, 1],
           [0, 0, 0]])
    """

    labels: np.ndarray
    names: tuple[str, ...]
    shape: tuple[int, ...]
    level: str = "custom"
    feature_names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        labels = np.array(self.labels, dtype=np.intp).ravel()
        labels.setflags(write=False)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        _check_partition(labels, self.names, self.shape)
        if not self.feature_names:
            object.__setattr__(self, "feature_names", default_names(self.shape[-1]))
        object.__setattr__(self, "feature_names", tuple(self.feature_names))
        if len(self.feature_names) != self.shape[-1]:
            raise ValueError(
                f"feature_names has {len(self.feature_names)} names, but samples of shape "
                f"{self.shape} have {self.shape[-1]} features"
            )
        if self.level not in (*LEVELS, "custom"):
            raise ValueError(f"level={self.level!r} is not one of {(*LEVELS, 'custom')}")

    @property
    def n_players(self) -> int:
        """Number of players."""
        return len(self.names)

    @property
    def n_cells(self) -> int:
        """Number of cells of one sample."""
        return len(self.labels)

    def __len__(self) -> int:
        return self.n_players

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Players)
            and self.names == other.names
            and self.shape == other.shape
            and np.array_equal(self.labels, other.labels)
        )

    def __hash__(self) -> int:
        return hash((self.names, self.shape, self.labels.tobytes()))

    def __repr__(self) -> str:
        shown = ", ".join(self.names[:4]) + (", …" if self.n_players > 4 else "")
        return f"Players({self.n_players} at {self.level} level of {self.shape}: {shown})"

    def cell_mask(self, coalitions: np.ndarray) -> np.ndarray:
        """Return which cells are present, bool of shape (n_coalitions, *shape).

        Parameters
        ----------
        coalitions : ndarray of bool, shape (n_coalitions, n_players)
        """
        return np.asarray(coalitions)[:, self.labels].reshape(-1, *self.shape)

    def members(self, player: int) -> np.ndarray:
        """Return the cells of one player, bool of shape `shape`."""
        return (self.labels == player).reshape(self.shape)

    def sum_cells(self, cell_values: np.ndarray) -> np.ndarray:
        """Add up cell values within each player.

        Parameters
        ----------
        cell_values : ndarray of shape (n_samples, *shape) or (n_samples, *shape, n_outputs)

        Returns
        -------
        ndarray of shape (n_samples, n_players) or (n_samples, n_players, n_outputs)
        """
        trailing = cell_values.shape[1 + len(self.shape) :]
        flat = cell_values.reshape(len(cell_values), self.n_cells, *trailing)
        # Slices of each player's own cells: a product with zeros would spread NaN to all players.
        cells = np.argsort(self.labels, kind="stable")
        cells = cells[self.labels[cells] >= 0]
        starts = np.searchsorted(self.labels[cells], np.arange(self.n_players))
        return np.add.reduceat(flat[:, cells], starts, axis=1)

    def coarser(self, other: Players) -> np.ndarray:
        """Return the player of `other` that holds each player of this partition.

        Raises
        ------
        ValueError
            If a player here has cells in two players of `other`.
        """
        if other.shape != self.shape:
            raise ValueError(f"players are of shape {other.shape}, the data of {self.shape}")
        parents = np.full(self.n_players, -1, dtype=np.intp)
        for player, name in enumerate(self.names):
            found = np.unique(other.labels[self.labels == player])
            if len(found) != 1:
                inside = ", ".join(repr(other.names[i]) for i in found)
                raise ValueError(
                    f"player {name!r} has cells in more than one of the new players ({inside}), "
                    'and its value cannot be divided; explain with players="cell" to add up freely'
                )
            parents[player] = found[0]
        return parents


def _check_partition(labels: np.ndarray, names: tuple[str, ...], shape: tuple[int, ...]) -> None:
    """Raise unless the labels divide the cells of `shape` among the named players."""
    if len(shape) not in (1, 2) or min(shape) < 1:
        raise ValueError(
            f"shape={shape} is no sample's; give (n_columns,) or (n_timesteps, n_features)"
        )
    if len(labels) != math.prod(shape):
        raise ValueError(
            f"labels has {len(labels)} entries, but samples of shape {shape} have "
            f"{math.prod(shape)} cells"
        )
    if not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise ValueError(f"names={names} must be text, each name once")
    found = np.unique(labels)
    if not np.array_equal(found[found != -1], np.arange(len(names))):
        raise ValueError(
            f"labels holds {found.tolist()}, but {len(names)} names number the players from 0 to "
            f"{len(names) - 1}, each with at least one cell"
        )


def default_names(n_features: int) -> tuple[str, ...]:
    """Return scikit-learn's names for nameless columns: x0, x1, …."""
    return tuple(f"x{i}" for i in range(n_features))


def timestep_names(n_timesteps: int) -> tuple[str, ...]:
    """Return the names of a window's steps, the oldest first: t-2, t-1, t."""
    return tuple(f"t-{age}" if age else "t" for age in range(n_timesteps - 1, -1, -1))


def make_players(
    players: Any,
    shape: Sequence[int],
    feature_names: Iterable[str] | None = None,
) -> Players:
    """Divide the cells of a sample into players.

    Parameters
    ----------
    players : str, array of int, mapping or Players
        - ``"auto"``: ``"column"`` for tables, ``"feature"`` for windows.
        - ``"column"`` (tables only): each column.
        - ``"feature"``: each variable, over all time steps.
        - ``"timestep"`` (windows only): each time step, over all variables.
        - ``"cell"``: each cell by itself.
        - an integer array of shape `shape`: cells with equal labels form a player.
        - a mapping from a name to what belongs to it: names or indices of columns, or
          (timestep, feature) pairs. What a mapping leaves out are players of their own.
    shape : tuple of int
        The shape of one sample: (n_columns,) or (n_timesteps, n_features).
    feature_names : iterable of str, optional
        Names of the columns or variables; x0, x1, … by default.

    Returns
    -------
    Players

    Raises
    ------
    ValueError
        If the players overlap, name an unknown column or do not fit the shape.
    TypeError
        If `players` is of none of the kinds above.

    Examples
    --------
    >>> from sklexplain import make_players
    >>> make_players("timestep", (3, 2)).names
    ('t-2', 't-1', 't')
    >>> make_players({"price": ["open", "close"]}, (3,), ["open", "close", "volume"]).names
    ('price', 'volume')
    """
    if isinstance(shape, str) or not isinstance(shape, Iterable):
        raise TypeError(
            f"shape={shape!r} must be that of one sample: (n_columns,) or (n_timesteps, n_features)"
        )
    shape = tuple(int(size) for size in shape)
    if len(shape) not in (1, 2):
        raise ValueError(
            f"a sample must have shape (n_columns,) or (n_timesteps, n_features), got {shape}"
        )
    names = _checked_names(feature_names, shape[-1])
    if isinstance(players, Players):
        if players.shape != shape:
            raise ValueError(
                f"players were made for samples of shape {players.shape}, but X has {shape}"
            )
        return players
    if isinstance(players, str):
        return _level_players(players, shape, names)
    if isinstance(players, Mapping):
        return _mapped_players(players, shape, names)
    if isinstance(players, list | tuple | np.ndarray):
        return _labelled_players(players, shape, names)
    raise TypeError(
        f"players={players!r} is a {type(players).__name__}; give one of "
        f"{('auto', *LEVELS)}, an integer array of labels of shape {shape}, or a mapping from "
        "names to columns"
    )


def _checked_names(feature_names: Iterable[str] | None, n_features: int) -> tuple[str, ...]:
    if feature_names is None:
        return default_names(n_features)
    names = tuple(str(name) for name in feature_names)
    if len(names) != n_features:
        raise ValueError(f"feature_names has {len(names)} names, but X has {n_features} features")
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"feature_names holds {twice} more than once; names must be unique")
    return names


def _level_players(level: str, shape: tuple[int, ...], names: tuple[str, ...]) -> Players:
    windows = len(shape) == 2
    if level == "auto":
        level = "feature" if windows else "column"
    if level not in LEVELS:
        raise ValueError(f"players={level!r} is not one of {('auto', *LEVELS)}")
    if level == "timestep" and not windows:
        raise ValueError(
            'players="timestep" needs windows of shape (n_samples, n_timesteps, n_features), but X '
            "is a table; make windows first (SlidingWindow, make_windows)"
        )
    if level == "column" and windows:
        raise ValueError(
            'players="column" is for tables, but X is 3-D; use "feature", "timestep" or "cell"'
        )
    if not windows:
        return Players(np.arange(shape[0]), names, shape, level, names)
    n_timesteps, n_features = shape
    steps = timestep_names(n_timesteps)
    cells = np.arange(n_timesteps * n_features).reshape(shape)
    if level == "feature":
        return Players(cells % n_features, names, shape, level, names)
    if level == "timestep":
        return Players(cells // n_features, steps, shape, level, names)
    cell_names = tuple(f"{name}[{step}]" for step in steps for name in names)
    return Players(cells, cell_names, shape, level, names)


def _labelled_players(labels: Any, shape: tuple[int, ...], names: tuple[str, ...]) -> Players:
    array = np.asarray(labels)
    if array.shape != shape or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(
            f"players as labels must be an integer array of shape {shape} (one label a cell), got "
            f"shape {array.shape} of {array.dtype}"
        )
    unique, inverse = np.unique(array, return_inverse=True)
    inverse = inverse.reshape(shape)
    cell_players = _level_players("cell", shape, names)
    player_names = []
    for player, label in enumerate(unique):
        cells = np.flatnonzero(inverse.ravel() == player)
        alone = len(cells) == 1
        player_names.append(cell_players.names[cells[0]] if alone else f"group {label}")
    return Players(inverse, tuple(player_names), shape, "custom", names)


def _mapped_players(
    mapping: Mapping[str, Any], shape: tuple[int, ...], names: tuple[str, ...]
) -> Players:
    if not mapping:
        raise ValueError("players={} names no player; name at least one group of columns")
    labels = np.full(shape, -1, dtype=np.intp)
    player_names = [str(name) for name in mapping]
    if len(set(player_names)) != len(player_names):
        raise ValueError(f"players names groups {player_names}; names must be unique as text")
    for player, (name, members) in enumerate(mapping.items()):
        if isinstance(members, str | int | np.integer):
            members = [members]
        if not isinstance(members, Iterable):
            raise TypeError(
                f"players[{name!r}]={members!r}; give a column, or a list of columns or of "
                "(timestep, feature) pairs"
            )
        listed = list(members)
        if not listed:
            raise ValueError(f"players[{name!r}] is empty; give it at least one column")
        for member in listed:
            cells = _cells_of(member, name, shape, names)
            taken = labels[cells]
            others = taken[(taken != -1) & (taken != player)]
            if others.size:
                other = player_names[int(others.flat[0])]
                raise ValueError(
                    f"players {other!r} and {name!r} overlap in {member!r}; every cell belongs to "
                    "one player"
                )
            labels[cells] = player
    for feature, feature_name in enumerate(names):
        left_out = labels[..., feature] == -1
        if np.any(left_out):
            if feature_name in player_names:
                raise ValueError(
                    f"players has a group named {feature_name!r} that leaves out cells of the "
                    "column of that name; name the group differently"
                )
            labels[..., feature] = np.where(left_out, len(player_names), labels[..., feature])
            player_names.append(feature_name)
    return Players(labels, tuple(player_names), shape, "custom", names)


def _cells_of(member: Any, group: str, shape: tuple[int, ...], names: tuple[str, ...]) -> Any:
    """Return the index of the cells that one member of a mapped group means."""
    if isinstance(member, tuple | list):
        if len(shape) != 2 or len(member) != 2:
            raise ValueError(
                f"players[{group!r}] holds {member!r}; a pair means (timestep, feature) and needs "
                f"windows, but samples have shape {shape}"
            )
        step, feature = member
        if not isinstance(step, int | np.integer) or not -shape[0] <= step < shape[0]:
            raise ValueError(
                f"players[{group!r}] names time step {step!r}, but there are {shape[0]} steps"
            )
        return (int(step), _feature_index(feature, group, names))
    return (..., _feature_index(member, group, names))


def _feature_index(feature: Any, group: str, names: tuple[str, ...]) -> int:
    if isinstance(feature, str):
        if feature not in names:
            raise ValueError(
                f"players[{group!r}] names the unknown column {feature!r}; known are {list(names)}"
            )
        return names.index(feature)
    if isinstance(feature, int | np.integer) and not isinstance(feature, bool):
        if not -len(names) <= feature < len(names):
            raise ValueError(
                f"players[{group!r}] names column {feature}, but there are {len(names)} columns"
            )
        return int(feature) % len(names)
    raise TypeError(
        f"players[{group!r}] holds {feature!r}; give column names, column indices or "
        "(timestep, feature) pairs"
    )


def cluster_players(
    X: Any,
    *,
    threshold: float = 0.7,
    feature_names: Iterable[str] | None = None,
) -> Players:
    """Group correlated columns into players, so that they are permuted or masked together.

    Permuting one of two correlated columns misleads: the model still finds the information in the
    other, so both look unimportant, and it is asked about rows that cannot occur.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_columns) or \
            (n_samples, n_timesteps, n_features)
        Of windows, the features are grouped, correlated over all samples and time steps.
    threshold : float in [0, 1], default=0.7
        Clusters are merged while the mean absolute Spearman correlation between their columns is
        at least this.
    feature_names : iterable of str, optional
        By default the column names of a DataFrame, else x0, x1, ….

    Returns
    -------
    Players
        For the `players` parameter of any explainer. A cluster is named after its columns.

    Notes
    -----
    Average-linkage clustering of 1 - |Spearman correlation|, after scikit-learn's example on
    permutation importance with multicollinear features. A constant column correlates with none.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain import cluster_players
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(size=(2, 200))
    >>> X = np.column_stack([a, b, a + 0.1 * rng.normal(size=200)])
    >>> cluster_players(X, feature_names=["a", "b", "a_again"]).names
    ('a + a_again', 'b')
    """
    if not isinstance(threshold, Real) or not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold!r} must be a correlation between 0 and 1")
    if feature_names is None and hasattr(X, "columns"):
        feature_names = [str(name) for name in X.columns]
    values = check_array(X, allow_nd=True, dtype=float, input_name="X", ensure_min_samples=2)
    shape = values.shape[1:]
    if len(shape) > 2:
        raise ValueError(f"X must be 2-D or 3-D, got {values.ndim}-D of shape {values.shape}")
    names = _checked_names(feature_names, shape[-1])
    clusters = _correlation_clusters(values.reshape(-1, shape[-1]), threshold)
    members = [np.flatnonzero(clusters == cluster) for cluster in np.unique(clusters)]
    members.sort(key=lambda columns: columns[0])
    labels = np.empty(shape[-1], dtype=np.intp)
    for player, columns in enumerate(members):
        labels[columns] = player
    cluster_names = tuple(_joined([names[column] for column in columns]) for columns in members)
    return Players(np.broadcast_to(labels, shape), cluster_names, shape, "custom", names)


def _correlation_clusters(table: np.ndarray, threshold: float) -> np.ndarray:
    if table.shape[1] == 1:
        return np.zeros(1, dtype=np.intp)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.nan_to_num(np.corrcoef(rankdata(table, axis=0), rowvar=False))
    distance = np.clip(1 - np.abs((correlation + correlation.T) / 2), 0, 1)
    np.fill_diagonal(distance, 0)
    tree = hierarchy.average(squareform(distance, checks=False))
    return hierarchy.fcluster(tree, t=1 - threshold + 1e-12, criterion="distance")


def _joined(names: list[str], most: int = 4) -> str:
    shown = " + ".join(names[:most])
    return shown if len(names) <= most else f"{shown} + {len(names) - most} more"
