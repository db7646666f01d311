"""What pictures of many rows share: whose attributions they draw, and the values behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..core.explanation import Explanation
from .style import shortened


@dataclass(frozen=True)
class PlayerData:
    """What stood in the players' cells.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_players)
        The cell, or the mean of the player's cells; NaN where it is no number or missing.
    categories : dict from player to tuple of str
        What the codes of a player mean that is a column of text.
    averaged : bool, default=False
        Whether a player has more than one cell.
    """

    values: np.ndarray
    categories: dict[int, tuple[str, ...]] = field(default_factory=dict)
    averaged: bool = False


def player_data(explanation: Explanation) -> PlayerData | None:
    """Return what stood in the players' cells, or None where the explanation has no data."""
    if explanation.data is None:
        return None
    players = explanation.players
    numbers = explanation
    if explanation.data.dtype == object:
        cells = [_number(cell) for cell in explanation.data.ravel()]
        numbers = Explanation(
            values=explanation.values,
            base_values=explanation.base_values,
            predictions=explanation.predictions,
            data=np.reshape(cells, explanation.data.shape),
            players=players,
            output_names=explanation.output_names,
        )
    # A copy, because codes without an order are taken out below.
    values = np.array(numbers.player_data(), dtype=float)
    categories = {}
    for column, names in explanation.categories.items():
        # Codes stand for text only in tables, whose cells are their columns.
        player = int(players.labels[column]) if len(players.shape) == 1 else -1
        if player < 0:
            continue
        if np.count_nonzero(players.labels == player) == 1:
            categories[player] = tuple(str(name) for name in names)
        else:
            values[:, player] = np.nan
    held = np.bincount(players.labels[players.labels >= 0], minlength=players.n_players)
    return PlayerData(values, categories, averaged=bool(np.any(held > 1)))


def player_label(explanation: Explanation, player: int) -> str:
    """Return a player's name, and what its value is where it has several cells."""
    name = explanation.players.names[player]
    several = np.count_nonzero(explanation.players.labels == player) > 1
    return f"{shortened(name)}, mean of its cells" if several else name


def _number(cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError):
        return np.nan


def check_explainer(explainer: Any, display: str) -> None:
    """Refuse what is no fitted explainer.

    Raises
    ------
    TypeError
        If it cannot explain.
    NotFittedError
        If it is not fitted.
    """
    if isinstance(explainer, type) or not hasattr(explainer, "explain"):
        given = explainer.__name__ if isinstance(explainer, type) else type(explainer).__name__
        raise TypeError(
            f"{display}.from_estimator takes a fitted explainer such as KernelSHAP(model).fit(X, "
            f"y), got {given}"
        )
    check_is_fitted(explainer)


def explained_rows(explainer: Any, X: Any, display: str) -> Explanation:
    """Explain rows with a fitted explainer, after checking that it gives every row a value."""
    check_explainer(explainer, display)
    if hasattr(explainer, "explanation_"):
        check_attributions(explainer.explanation_, display)
    return explainer.explain(X)


def check_attributions(explanation: Explanation, display: str) -> None:
    """Refuse what has no rows to draw.

    Raises
    ------
    ValueError
        If values belong to no single row, if there are none, or if they are not finite.
    """
    if explanation.kind == "importances":
        raise ValueError(
            f"{display} draws a point a row, but the score drops of {explanation.method} belong to "
            'no single row; draw them with ImportanceDisplay (kind="box" shows the repeats), or '
            "explain rows with KernelSHAP, LIME or DeepSHAP"
        )
    if not len(explanation):
        raise ValueError(f"{display} needs at least one explained row, but there is none")
    if not explanation.players.n_players:
        raise ValueError(f"{display} needs at least one player, but none was selected")


def chosen_player(player: str | int, names: tuple[str, ...], argument: str = "player") -> int:
    """Return the position of a player given by name or position.

    Raises
    ------
    ValueError
        If there is no such player.
    """
    if isinstance(player, str):
        if player not in names:
            shown = ", ".join(repr(name) for name in names[:10])
            more = ", …" if len(names) > 10 else ""
            raise ValueError(f"{argument}={player!r} is not a player; known are {shown}{more}")
        return names.index(player)
    if isinstance(player, bool) or not isinstance(player, int | np.integer):
        raise ValueError(f"{argument}={player!r} must be a player's name or position")
    if not -len(names) <= player < len(names):
        raise ValueError(f"{argument}={player} is out of range: there are {len(names)} players")
    return int(player) % len(names)
