"""Pictures and pages: displays take an explanation, the report takes displays."""

from __future__ import annotations

from typing import Any

from ..core.explanation import Explanation
from .force import ForceDisplay
from .importance import ImportanceDisplay
from .report import write_report
from .sequence import SequenceDisplay
from .summary import SummaryDisplay
from .waterfall import WaterfallDisplay

__all__ = [
    "ForceDisplay",
    "ImportanceDisplay",
    "SequenceDisplay",
    "SummaryDisplay",
    "WaterfallDisplay",
    "plot",
    "write_report",
]

_KINDS: dict[str, Any] = {
    "force": ForceDisplay,
    "importance": ImportanceDisplay,
    "sequence": SequenceDisplay,
    "summary": SummaryDisplay,
    "waterfall": WaterfallDisplay,
}

# Other forms of a display, by a name of their own.
_FORMS: dict[str, tuple[Any, str]] = {
    "box": (ImportanceDisplay, "box"),
}


def plot(explanation: Explanation, kind: str = "auto", **params: Any) -> Any:
    """Draw an explanation.

    Parameters
    ----------
    explanation : Explanation
    kind : str, default="auto"
        Which display: ``"importance"`` for :class:`ImportanceDisplay` and so on; ``"box"`` for
        its boxes. ``"auto"`` draws single cells of windows as a heat map, everything else as bars.
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
    if kind in _FORMS:
        display, form = _FORMS[kind]
        return display.from_explanation(explanation, kind=form, **params)
    if kind not in _KINDS:
        raise ValueError(f"kind={kind!r} is not one of {('auto', *_KINDS, *_FORMS)}")
    return _KINDS[kind].from_explanation(explanation, **params)
