"""Explanations as those of the shap package, for its plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .explanation import Explanation


def to_shap(explanation: Explanation) -> Any:
    """Return a `shap.Explanation`; see :meth:`Explanation.to_shap`."""
    try:
        import shap
    except ImportError as error:
        raise ImportError("to_shap needs shap: pip install 'sklexplain[shap]'") from error
    players = explanation.players
    data, texts = explanation.player_data(), category_texts(explanation)
    display_data = None
    if data is not None and texts:
        display_data = data.astype(object)
        for player, column in texts.items():
            display_data[:, player] = column
            # shap places and colours by numbers: the mean of several codes means nothing, and
            # NaN has no place on an axis of categories.
            if np.isnan(data[:, player]).any() or np.sum(players.labels == player) > 1:
                data[:, player] = np.unique(column, return_inverse=True)[1]
    # No instance_names: with them, shap fails to copy a single row, as its bar plot does.
    return shap.Explanation(
        values=explanation.values,
        base_values=explanation.base_values,
        data=data,
        display_data=display_data,
        feature_names=list(players.names),
        output_names=list(explanation.output_names) or None,
        error_std=explanation.std_errors,
    )


def category_texts(explanation: Explanation) -> dict[int, list[str]]:
    """Return what the rows hold of each player that has a column of categories, as text.

    Returns
    -------
    dict from player to list of str, one a sample
        A player of several columns joins their values; a missing category reads "missing".
    """
    categories, players = explanation.categories, explanation.players
    if explanation.data is None or not categories:
        return {}
    rows = explanation.data.reshape(len(explanation), -1)
    columns = np.arange(rows.shape[1]) % players.shape[-1]
    concerned = np.unique(players.labels[np.isin(columns, list(categories))])
    return {
        int(player): [
            ", ".join(
                _text(row[cell], categories.get(int(columns[cell])))
                for cell in np.flatnonzero(players.labels == player)
            )
            for row in rows
        ]
        for player in concerned[concerned >= 0]
    }


def _text(value: float, names: tuple[str, ...] | None) -> str:
    if names is None:
        return f"{value:.4g}"
    return "missing" if np.isnan(value) else names[int(value)]
