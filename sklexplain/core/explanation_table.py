"""Explanations as small HTML tables with bars, for notebooks."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .explanation import Explanation


def html_table(explanation: Explanation) -> str:
    """Return the importances as a small table with bars."""
    importances = explanation.importances()
    if importances.ndim == 2:
        importances = importances.mean(axis=1)
    order = np.argsort(-np.abs(importances))[:20]
    widest = max(float(np.abs(importances).max(initial=0)), np.finfo(float).tiny)
    rows = "".join(
        f"<tr><td>{escape(explanation.players.names[i])}</td>"
        f'<td style="text-align:right">{importances[i]:.4g}</td>'
        f'<td style="min-width:12em"><div style="background:'
        f"{'#0072B2' if importances[i] >= 0 else '#D55E00'};height:0.9em;width:"
        f'{100 * abs(importances[i]) / widest:.1f}%"></div></td></tr>'
        for i in order
    )
    measure = "drop in the score" if explanation.kind == "importances" else "mean |attribution|"
    return (
        f"<p>{escape(repr(explanation))}</p><table><thead><tr><th>player</th><th>{measure}</th>"
        f"<th></th></tr></thead><tbody>{rows}</tbody></table>"
    )
