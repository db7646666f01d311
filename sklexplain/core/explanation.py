"""Explanation: attributions together with everything needed to read, store and draw them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any

import numpy as np

from .archives import MAX_BYTES
from .explanation_files import ARRAYS, read_explanation, write_explanation
from .explanation_parts import joined
from .explanation_shap import to_shap
from .explanation_table import html_table
from .players import Players, make_players


@dataclass(frozen=True, eq=False)
class Explanation:
    """The result of every method.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_players) or (n_samples, n_players, n_outputs)
        The attributions, in the unit of the explained output. Of permutation importance: the
        drop in the score, a "sample" being one repeat.
    base_values : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        What is explained away from: the mean output over the background, LIME's intercept, the
        score before permuting.
    predictions : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The explained outputs themselves.
    data : ndarray of shape (n_samples, *sample_shape) or None
        The explained rows; None where a value belongs to no single row.
    players : Players
    output_names : tuple of str
        One name an output; empty when values are 2-D.
    method : str
        The explainer's name.
    params : dict
        The explainer's parameters and what it reports of its run, as plain numbers and text.
    std_errors : ndarray shaped as `values`, or None
        Standard errors where the method estimates.
    index : ndarray of shape (n_samples,) or None
        Labels of the rows: dates, tickers, ….
    categories : mapping from column position to tuple of str
        What the codes in `data` mean, for columns that are not numbers.
    kind : {"attributions", "importances"}
        Whether a value belongs to one row or to the data as a whole.
    conditions : ndarray of str, shape (n_samples, n_players), or None
        What a value speaks of in this row, where that is narrower than the player:
        ``"2.1 < close[t] ≤ 3.4"``.
    diagnostics : mapping from name to ndarray shaped as `base_values`
        What a method reports of each sample and output, such as how well a surrogate fits.

    Examples
    --------
    >>> import numpy as np
    >>> from sklexplain import KernelSHAP
    >>> X = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0]])
    >>> explainer = KernelSHAP(lambda X: 3 * X[:, 0] + X[:, 1], feature_names=["open", "close"])
    >>> explanation = explainer.fit(X).explain(X)
    >>> explanation[1].values
    array([[0., 2.]])
    >>> explanation[:, "open"].values.ravel()
    array([-6.,  0.,  6.])
    >>> explanation.importances()
    array([4.        , 1.33333333])
    """

    values: np.ndarray
    base_values: np.ndarray
    predictions: np.ndarray
    data: np.ndarray | None
    players: Players
    output_names: tuple[str, ...] = ()
    method: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    std_errors: np.ndarray | None = None
    index: np.ndarray | None = None
    categories: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    kind: str = "attributions"
    conditions: np.ndarray | None = None
    diagnostics: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("values", "base_values", "predictions", "std_errors"):
            given = getattr(self, name)
            if given is None and name != "std_errors":
                raise TypeError(f"{name} is missing; give an array of numbers")
            if given is not None:
                object.__setattr__(self, name, _as_floats(given, name))
        for name in ("data", "index", "conditions"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.asarray(getattr(self, name)))
        values, n_players = self.values, self.players.n_players
        if values.ndim not in (2, 3) or values.shape[1] != n_players:
            raise ValueError(
                f"values have shape {values.shape}; expected (n_samples, {n_players}) or "
                f"(n_samples, {n_players}, n_outputs)"
            )
        per_sample = (len(values), *values.shape[2:])
        expected = {"base_values": per_sample, "predictions": per_sample}
        expected["std_errors"] = values.shape
        for name, shape in expected.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise ValueError(f"{name} has shape {array.shape}; expected {shape}")
        if self.conditions is not None and self.conditions.shape != values.shape[:2]:
            raise ValueError(
                f"conditions have shape {self.conditions.shape}; expected {values.shape[:2]}"
            )
        reports = {name: np.asarray(array) for name, array in self.diagnostics.items()}
        for name, array in reports.items():
            if array.shape != per_sample:
                raise ValueError(
                    f"diagnostics[{name!r}] has shape {array.shape}; expected {per_sample}"
                )
        object.__setattr__(self, "diagnostics", reports)
        if len(self.output_names) != (values.shape[2] if values.ndim == 3 else 0):
            raise ValueError(
                f"{len(self.output_names)} output_names for values of shape {values.shape}"
            )
        for name in ("data", "index"):
            rows = getattr(self, name)
            if rows is not None and len(rows) != len(values):
                raise ValueError(f"{name} has {len(rows)} rows; expected {len(values)}")
        if self.data is not None and self.data.shape[1:] != self.players.shape:
            raise ValueError(
                f"data has samples of shape {self.data.shape[1:]}, but the players divide "
                f"{self.players.shape}"
            )
        if self.kind not in ("attributions", "importances"):
            raise ValueError(f'kind={self.kind!r} must be "attributions" or "importances"')

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of `values`."""
        return self.values.shape

    @property
    def n_outputs(self) -> int:
        """Number of explained outputs."""
        return self.values.shape[2] if self.values.ndim == 3 else 1

    def __repr__(self) -> str:
        outputs = f" × {self.n_outputs} outputs" if self.output_names else ""
        return (
            f"Explanation({self.method}: {len(self)} samples × {self.players.n_players} players"
            f"{outputs})"
        )

    def __getitem__(self, key: Any) -> Explanation:
        """Select samples, players and outputs: ``e[3]``, ``e[:10, "close"]``, ``e[:, :, "up"]``.

        Samples by position, slice, list or mask; players and outputs by name, position, or lists
        of these. One output by name or position leaves 2-D values.
        """
        keys = key if isinstance(key, tuple) else (key,)
        if len(keys) > self.values.ndim:
            raise IndexError(f"{len(keys)} indices for an explanation of shape {self.shape}")
        selected = self._select_samples(keys[0])
        if len(keys) > 1:
            selected = selected._select_players(keys[1])
        if len(keys) > 2:
            selected = selected._select_outputs(keys[2])
        return selected

    def _select_samples(self, key: Any) -> Explanation:
        if isinstance(key, int | np.integer):
            if not -len(self) <= key < len(self):
                raise IndexError(f"sample {key} is out of range: there are {len(self)} samples")
            key = [int(key)]
        taken: dict[str, Any] = {
            name: None if getattr(self, name) is None else getattr(self, name)[key]
            for name in ARRAYS
        }
        return replace(self, **taken, diagnostics=self._diagnostics_at(key))

    def _diagnostics_at(self, key: Any) -> dict[str, np.ndarray]:
        return {name: array[key] for name, array in self.diagnostics.items()}

    def _select_players(self, key: Any) -> Explanation:
        positions = _positions(key, self.players.names, "player")
        renumbered = np.full(self.players.n_players + 1, -1)
        renumbered[positions] = np.arange(len(positions))
        players = replace(
            self.players,
            labels=renumbered[self.players.labels],
            names=tuple(self.players.names[i] for i in positions),
        )
        errors = None if self.std_errors is None else self.std_errors[:, positions]
        return replace(
            self,
            values=self.values[:, positions],
            std_errors=errors,
            players=players,
            conditions=None if self.conditions is None else self.conditions[:, positions],
        )

    def _select_outputs(self, key: Any) -> Explanation:
        positions: Any = _positions(key, self.output_names, "output")
        names = tuple(self.output_names[i] for i in positions)
        if isinstance(key, str | int | np.integer):
            positions, names = positions[0], ()
        errors = None if self.std_errors is None else self.std_errors[..., positions]
        return replace(
            self,
            values=self.values[..., positions],
            base_values=self.base_values[..., positions],
            predictions=self.predictions[..., positions],
            std_errors=errors,
            output_names=names,
            diagnostics=self._diagnostics_at((..., positions)),
        )

    def importances(self) -> np.ndarray:
        """Return one number a player, over all samples.

        Returns
        -------
        ndarray of shape (n_players,) or (n_players, n_outputs)
            The mean of the absolute attributions, without rows that `on_error` marked; of
            permutation importance the mean drop in the score, which may be negative.
        """
        values = self.values if self.kind == "importances" else np.abs(self.values)
        marked = np.isnan(values).all(axis=tuple(range(1, values.ndim)))
        return values[~marked].mean(axis=0) if marked.any() else values.mean(axis=0)

    def aggregate(self, players: Any) -> Explanation:
        """Add up the attributions of finer players into coarser ones.

        Parameters
        ----------
        players : str, array, mapping or Players
            As of :func:`make_players`; each present player must lie inside one new player.

        Returns
        -------
        Explanation
            Without standard errors, since those of single players do not add up.

        Raises
        ------
        ValueError
            If a player would have to be divided, or if the values are score drops, which do not
            add up.
        """
        if self.kind == "importances":
            raise ValueError(
                "drops in the score do not add up over players; fit PermutationImportance with "
                f"players={players!r} instead"
            )
        coarse = make_players(players, self.players.shape, self.players.feature_names)
        parents = self.players.coarser(coarse)
        belongs = (parents[:, None] == np.arange(coarse.n_players)).astype(float)
        values = np.einsum("np...,pq->nq...", self.values, belongs)
        return replace(self, values=values, std_errors=None, players=coarse, conditions=None)

    def column_names(self) -> list[str]:
        """Return a name for each column of the values laid out in two dimensions."""
        if not self.output_names:
            return list(self.players.names)
        return [
            f"{player}:{output}" for player in self.players.names for output in self.output_names
        ]

    def to_frame(self) -> Any:
        """Return the values as a DataFrame, samples in rows.

        Returns
        -------
        pandas.DataFrame
            Columns are players, or (player, output) pairs where there are several outputs.

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_frame needs pandas: pip install 'sklexplain[report]'") from error
        columns: Any = list(self.players.names)
        if self.output_names:
            columns = pd.MultiIndex.from_product(
                [self.players.names, self.output_names], names=["player", "output"]
            )
        return pd.DataFrame(self.values.reshape(len(self), -1), index=self.index, columns=columns)

    def to_shap(self) -> Any:
        """Return a `shap.Explanation` with the same numbers, for shap's plots.

        All of ``beeswarm``, ``bar``, ``heatmap``, ``scatter``, ``waterfall`` and ``force`` take it,
        the last two one row of it: ``shap.plots.waterfall(explanation.to_shap()[0])``. shap draws
        one output at a time: choose it by ``explanation[:, :, "up"].to_shap()``. A heat map needs
        two rows, and a scatter plot the data, which drops in the score do not have.

        A player of several cells shows the mean of its cells as its data, a player with columns
        of categories their names. `std_errors` are shap's `error_std`.

        Returns
        -------
        shap.Explanation

        Raises
        ------
        ImportError
            If shap is missing.

        Examples
        --------
        >>> import numpy as np
        >>> from sklexplain import KernelSHAP
        >>> X = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0]])
        >>> explainer = KernelSHAP(lambda X: X[:, 0], feature_names=["open", "close"]).fit(X)
        >>> explainer.explain(X).to_shap()[:, "open"].values
        array([-2.,  0.,  2.])
        """
        return to_shap(self)

    def player_data(self) -> np.ndarray | None:
        """Return one input value a player: its cell, or the mean of its cells.

        Returns
        -------
        ndarray of shape (n_samples, n_players), or None where there is no data
        """
        if self.data is None:
            return None
        sizes = np.bincount(
            self.players.labels[self.players.labels >= 0], minlength=self.players.n_players
        )
        return self.players.sum_cells(np.asarray(self.data, dtype=float)) / sizes

    def save(self, path: str | PathLike[str]) -> None:
        """Write the explanation to an npz file of arrays and JSON, without pickle.

        Raises
        ------
        TypeError
            If `params` or `index` hold objects that are neither numbers, text nor dates.
        """
        write_explanation(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str], *, max_bytes: int = MAX_BYTES) -> Explanation:
        """Read what :meth:`save` wrote. Nothing in the file is run, whoever wrote it.

        Parameters
        ----------
        path : str or path
        max_bytes : int, default=2**30
            The most that the file may unpack to, in bytes (1 GiB). It guards against a small file
            that fills the memory; raise it for large explanations of your own.

        Raises
        ------
        OSError
            If the file cannot be opened.
        ValueError
            If the file is not an explanation or is of another schema, if sizes or names in it do
            not agree, or if it unpacks to more than `max_bytes`.
        """
        return read_explanation(path, cls, max_bytes)

    @classmethod
    def concat(cls, explanations: Iterable[Explanation]) -> Explanation:
        """Join explanations of several sets of rows, as of :meth:`explain_batches`, in order.

        What a method reports of its run is put together: evaluations are added up, and the whole
        is exact where all parts are. Codes of categories are made to mean the same everywhere.

        Parameters
        ----------
        explanations : iterable of Explanation
            At least one. Of the same method, players, outputs and parameters.

        Returns
        -------
        Explanation

        Raises
        ------
        ValueError
            If there are none, or naming what they differ in and the position of the first that
            differs.

        Examples
        --------
        >>> import numpy as np
        >>> from sklexplain import KernelSHAP
        >>> X = np.arange(20.0).reshape(10, 2)
        >>> explainer = KernelSHAP(lambda X: X.sum(axis=1), background=X[:1]).fit(X)
        >>> len(Explanation.concat([explainer.explain(X[:4]), explainer.explain(X[4:])]))
        10
        """
        return joined(explanations)

    def _repr_html_(self) -> str:
        """Show the values of one row, or the importances, as a small table with bars."""
        return html_table(self)


def _as_floats(values: Any, name: str) -> np.ndarray:
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers: {error}") from error


def _positions(key: Any, names: tuple[str, ...], what: str) -> list[int]:
    """Return the positions that a name, position, slice, mask or list of these means."""
    if isinstance(key, slice):
        return list(range(len(names)))[key]
    listed: list[Any] = [key] if isinstance(key, str | int | np.integer) else list(key)
    if listed and all(isinstance(item, bool | np.bool_) for item in listed):
        if len(listed) != len(names):
            raise IndexError(f"a mask of {len(listed)} entries for {len(names)} {what}s")
        return [int(i) for i in np.flatnonzero(listed)]
    positions = []
    for item in listed:
        if isinstance(item, str):
            if item not in names:
                raise KeyError(f"no {what} is named {item!r}; known are {list(names)}")
            positions.append(names.index(item))
        else:
            positions.append(range(len(names))[int(item)])
    if len(set(positions)) != len(positions):
        raise ValueError(f"{what}s {[names[i] for i in positions]} hold one more than once")
    return positions
