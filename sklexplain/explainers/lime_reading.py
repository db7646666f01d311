"""Which outputs LIME explains, and how its explanations are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.explanation import Explanation
from ..core.models import Model
from ..core.tables import RowCodec
from ..solvers.pick import submodular_pick


def explained_outputs(
    labels: Any, names: tuple[str, ...]
) -> tuple[np.ndarray | int, tuple[str, ...]]:
    """Return the positions of the outputs to explain, or how many of the highest, and names."""
    if labels is None:
        return np.arange(max(1, len(names))), names
    if not names:
        raise ValueError(f"labels={labels!r} chooses among outputs, but the model has only one")
    if isinstance(labels, int | np.integer):
        if labels > len(names):
            raise ValueError(f"labels={labels} is more than the {len(names)} outputs")
        return int(labels), tuple(f"top {place}" for place in range(1, int(labels) + 1))
    positions = [position_of_label(label, names) for label in labels]
    if not positions or len(set(positions)) != len(positions):
        raise ValueError(f"labels={labels!r} must name at least one output, none of them twice")
    return np.array(positions), tuple(names[position] for position in positions)


def explained_columns(positions: np.ndarray | int, outputs: np.ndarray) -> np.ndarray:
    """Return which outputs are explained of each row, shape (n_rows, n_explained)."""
    if isinstance(positions, int):
        return np.argsort(-outputs, axis=1, kind="stable")[:, :positions]
    return np.broadcast_to(positions, (len(outputs), len(positions)))


def position_of_label(label: Any, names: tuple[str, ...]) -> int:
    """Return which output a class label, a name or a position means."""
    if str(label) in names:
        return names.index(str(label))
    if isinstance(label, int | np.integer) and -len(names) <= label < len(names):
        return int(label) % len(names)
    raise ValueError(f"label {label!r} is not one of {list(names)}")


class ReadableExplainer:
    """What :class:`LIME` offers for reading its explanations."""

    n_features: int | None
    row_shape_: tuple[int, ...]
    codec_: RowCodec
    explain: Callable[[Any], Explanation]
    _model: Callable[[RowCodec], Model]

    def as_list(self, row: Any, label: Any = None) -> list[tuple[str, float]]:
        """Return one row's explanation as `lime` gives it: conditions with their weights.

        Parameters
        ----------
        row : array-like, or Explanation
            One sample, or the explanation of one: ``explainer.explain(X)[7]``.
        label : default=None
            Which output: a class label, an output's name or position. None is the only output,
            the second of two classes, or of more classes the one with the highest output.

        Returns
        -------
        list of (str, float)
            The largest absolute weight first; players that were not selected are left out.

        Raises
        ------
        ValueError
            If several rows are given, if the label is unknown, or if one of several targets has
            to be named.
        """
        explanation = row if isinstance(row, Explanation) else self.explain(self._as_table(row))
        if len(explanation) != 1:
            raise ValueError(f"as_list takes one row, got {len(explanation)}")
        weights = explanation.values[0]
        if explanation.output_names:
            classes = bool(self._model(self.codec_).class_names)
            weights = weights[:, _output_of_label(explanation, label, classes)]
        elif label is not None:
            raise ValueError(f"label={label!r} chooses among outputs, but there is only one")
        texts = explanation.conditions
        names = explanation.players.names if texts is None else texts[0]
        order = np.argsort(-np.abs(weights), kind="stable")
        if self.n_features is not None:
            order = order[weights[order] != 0]
        return [(str(names[player]), float(weights[player])) for player in order]

    def _as_table(self, row: Any) -> Any:
        """Return one sample as a table or stack of windows that holds it alone."""
        if hasattr(row, "to_frame"):
            return row.to_frame().T.infer_objects()
        if hasattr(row, "columns"):
            return row
        row = np.asarray(row)
        return row[None] if row.ndim == len(self.row_shape_) else row

    def submodular_pick(self, X: Any, k: int, *, n_features: int = 10) -> np.ndarray:
        """Choose the k rows whose explanations together show the most (SP-LIME).

        Parameters
        ----------
        X : array-like, DataFrame or Explanation
            The candidates, or their explanation.
        k : int
        n_features : int, default=10
            Of each explanation, the conditions with the largest weights count.

        Returns
        -------
        ndarray of int, shape (k,)
            Positions of rows in the order in which they were chosen; see
            :func:`~sklexplain.solvers.pick.submodular_pick`. Of several outputs, absolute weights
            are added up.

        Raises
        ------
        ValueError
            If there are fewer than k rows.
        """
        explanation = X if isinstance(X, Explanation) else self.explain(X)
        if not 1 <= k <= len(explanation):
            raise ValueError(f"k={k} must be from 1 to the {len(explanation)} rows of X")
        sizes = np.abs(explanation.values).reshape(*explanation.shape[:2], -1).sum(axis=2)
        if n_features < sizes.shape[1]:
            small = np.argsort(-sizes, axis=1, kind="stable")[:, n_features:]
            np.put_along_axis(sizes, small, 0, axis=1)
        conditions = explanation.conditions
        if conditions is None:
            conditions = np.broadcast_to(np.asarray(explanation.players.names), sizes.shape)
        _, features = np.unique(conditions, return_inverse=True)
        features = features.reshape(sizes.shape)
        weights = np.zeros((len(sizes), features.max() + 1))
        np.put_along_axis(weights, features, sizes, axis=1)
        return submodular_pick(weights, k)


def _output_of_label(explanation: Explanation, label: Any, classes: bool) -> int:
    names = explanation.output_names
    tops = explanation.diagnostics.get("labels")
    if label is not None:
        return position_of_label(label, names if tops is None else tuple(tops[0]))
    if tops is not None or len(names) == 1:
        return 0
    if not classes:
        raise ValueError(f"there are several targets; give label, one of {list(names)}")
    return 1 if len(names) == 2 else int(np.argmax(explanation.predictions[0]))
