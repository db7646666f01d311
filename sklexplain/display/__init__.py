"""Pictures and pages: displays take an explanation, the report takes displays."""

from __future__ import annotations

from typing import Any

from ..core.explanation import Explanation
from .comparison import ComparisonDisplay
from .dependence import DependenceDisplay
from .force import ForceDisplay
from .importance import ImportanceDisplay
from .local import LocalDisplay
from .report import write_report
from .sequence import SequenceDisplay
from .summary import SummaryDisplay
from .waterfall import WaterfallDisplay

__all__ = [
    "ComparisonDisplay",
    "DependenceDisplay",
    "ForceDisplay",
    "ImportanceDisplay",
    "LocalDisplay",
    "SequenceDisplay",
    "SummaryDisplay",
    "WaterfallDisplay",
    "plot",
    "write_report",
]

_DISPLAYS: dict[str, Any] = {
    "comparison": ComparisonDisplay,
    "dependence": DependenceDisplay,
    "force": ForceDisplay,
    "importance": ImportanceDisplay,
    "local": LocalDisplay,
    "sequence": SequenceDisplay,
    "summary": SummaryDisplay,
    "waterfall": WaterfallDisplay,
}

# Other forms of a display, by a name of their own.
_FORMS: dict[str, tuple[Any, str]] = {
    "box": (ImportanceDisplay, "box"),
}

KINDS = ("auto", *_DISPLAYS, *_FORMS)


def plot(explanation: Any, kind: str = "auto", **params: Any) -> Any:
    """Draw an explanation, or compare several.

    ``kind="auto"`` chooses by what the explanation holds, the first that applies:

    ==========================================  ================
    a list or mapping of explanations           ``"comparison"``
    cells of windows                            ``"sequence"``
    score drops                                 ``"importance"``
    one row, by LIME                            ``"local"``
    one row (or one chosen with ``sample=``)    ``"waterfall"``
    rows of a table                             ``"summary"``
    rows of windows                             ``"importance"``
    ==========================================  ================

    Parameters
    ----------
    explanation : Explanation, or mapping or list of them
    kind : str, default="auto"
        Which display: ``"importance"`` for :class:`ImportanceDisplay` and so on; ``"box"`` for
        its boxes. ``"auto"`` chooses as above.
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
    TypeError
        If `explanation` is not what the display draws.

    Examples
    --------
    >>> import numpy as np
    >>> from matplotlib.figure import Figure
    >>> from sklexplain import KernelSHAP, plot
    >>> X = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0]])
    >>> explanation = KernelSHAP(lambda X: X.sum(axis=1), background=X).fit(X).explain(X)
    >>> type(plot(explanation, ax=Figure().add_subplot())).__name__
    'SummaryDisplay'
    >>> type(plot(explanation, sample=1, ax=Figure().add_subplot())).__name__
    'WaterfallDisplay'
    """
    if kind == "auto":
        kind, params = _chosen(explanation, params)
    if not isinstance(explanation, Explanation) and kind != "comparison":
        raise TypeError(
            f"kind={kind!r} draws one Explanation, got a {type(explanation).__name__}; draw "
            'several side by side with kind="comparison"'
        )
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is not one of {KINDS}")
    if kind in _FORMS:
        params["kind"] = _FORMS[kind][1]
    return class_of(kind).from_explanation(explanation, **params)


def class_of(kind: str) -> Any:
    """Return the display class that draws a kind other than ``"auto"``."""
    return _FORMS[kind][0] if kind in _FORMS else _DISPLAYS[kind]


def _chosen(explanation: Any, params: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the kind that ``"auto"`` means, and what is passed on to its display."""
    if not isinstance(explanation, Explanation):
        # An array is not several explanations; the type error for one explanation says so.
        return "auto" if hasattr(explanation, "dtype") else "comparison", params
    windows = len(explanation.players.shape) == 2
    if windows and explanation.players.level == "cell":
        # The values of one row have signs, which their mean size over rows would hide.
        single = len(explanation) == 1 and explanation.kind != "importances"
        return "sequence", ({"sample": 0, **params} if single else params)
    if explanation.kind == "importances":
        return "importance", params
    if len(explanation) == 1 or params.get("sample") is not None:
        return ("local" if explanation.method == "LIME" else "waterfall"), params
    # A window's mean over time says little of why its value is large, so no swarm is coloured.
    return ("importance" if windows else "summary"), params
