"""Pictures and pages: displays take an explanation, the report takes displays."""

from __future__ import annotations

from typing import Any

from ..core.explanation import Explanation
from .importance import ImportanceDisplay
from .report import write_report
from .sequence import SequenceDisplay
from .waterfall import WaterfallDisplay

__all__ = ["ImportanceDisplay", "SequenceDisplay", "WaterfallDisplay", "plot", "write_report"]

_KINDS: dict[str, Any] = {
    "importance": ImportanceDisplay,
    "sequence": SequenceDisplay,
    "waterfall": WaterfallDisplay,
}


def plot(explanation: Explanation, kind: str = "auto", **params: Any) -> Any:
    """Draw an explanation.

    Parameters
    ----------
    explanation : Explanation
    kind : str, default="auto"
        Which display: ``"importance"`` for :class:`ImportanceDisplay` and so on. ``"auto"`` draws
        single cells of windows as a heat map, everything else as bars.
    **params : dict
        For the display's `from_explanation`.

    Returns
    -------
    Display
        Of the class that `kind` names.

    Raises
    ------
    ValueError
        If `kind` is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from sklexplain import KernelSHAP, plot
    >>> X = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0]])
    >>> explanation = KernelSHAP(lambda X: X.sum(axis=1), background=X).fit(X).explain(X)
    >>> type(plot(explanation, ax=Figure().add_subplot())).__name__
    'ImportanceDisplay'
    """
    if kind == "auto":
        windows = len(explanation.players.shape) == 2
        kind = "sequence" if windows and explanation.players.level == "cell" else "importance"
    if kind not in _KINDS:
        raise ValueError(f"kind={kind!r} is not one of {('auto', *_KINDS)}")
    return _KINDS[kind].from_explanation(explanation, **params)
