"""MethodComparison: the result of comparing explainers, as arrays and as tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from itertools import combinations
from typing import Any

import numpy as np

from ..core.explanation import Explanation

_AGREEMENT = ("rank_correlation", "sign_agreement", "top_k_overlap")


@dataclass(frozen=True, eq=False)
class MethodComparison:
    """How several explainers agree on the same rows, how faithful they are and what they cost.

    Made by :func:`compare_methods`.

    Parameters
    ----------
    names : tuple of str, length n_methods
    explanations : tuple of Explanation
    scores : dict from metric to ndarray of shape (n_methods, n_rows)
        Greater is better in each.
    n_evals : ndarray of int, shape (n_methods,)
        Rows that were run through the model to explain all rows.
    seconds : ndarray of shape (n_methods,)
        For all rows.
    rank_correlation, sign_agreement, top_k_overlap : ndarray of shape \
            (n_rows, n_methods, n_methods)
        Spearman's correlation of the values' sizes, the share of players of the same sign, and the
        share of the k largest players that two methods have in common.
    k : int
    """

    names: tuple[str, ...]
    explanations: tuple[Explanation, ...]
    scores: Mapping[str, np.ndarray]
    n_evals: np.ndarray
    seconds: np.ndarray
    rank_correlation: np.ndarray
    sign_agreement: np.ndarray
    top_k_overlap: np.ndarray
    k: int

    @property
    def n_rows(self) -> int:
        """Number of explained rows."""
        return len(self.rank_correlation)

    def __repr__(self) -> str:
        return f"MethodComparison({', '.join(self.names)}: {self.n_rows} rows)"

    def methods(self) -> dict[str, np.ndarray]:
        """Return the columns of the table of methods, each of shape (n_methods,).

        The scores are averaged over the rows; evaluations and seconds are for one row.
        """
        columns = {metric: by_row.mean(axis=1) for metric, by_row in self.scores.items()}
        columns["evals_per_row"] = self.n_evals / self.n_rows
        columns["seconds_per_row"] = self.seconds / self.n_rows
        return columns

    def agreement(self) -> dict[tuple[str, str], dict[str, float]]:
        """Return for each pair of methods how far they agree, averaged over the rows."""
        return {
            (self.names[i], self.names[j]): {
                measure: float(getattr(self, measure)[:, i, j].mean()) for measure in _AGREEMENT
            }
            for i, j in combinations(range(len(self.names)), 2)
        }

    def to_frame(self, what: str = "methods") -> Any:
        """Return one of the tables as a DataFrame.

        Parameters
        ----------
        what : {"methods", "agreement", "rows"}, default="methods"
            One row a method: scores and cost. One row a pair of methods: how far they agree on
            average. Or one row an explained row and pair.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        ValueError
            If `what` is none of these.
        ImportError
            If pandas is missing.
        """
        if what not in ("methods", "agreement", "rows"):
            raise ValueError(f'what={what!r} must be "methods", "agreement" or "rows"')
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_frame needs pandas: pip install 'sklexplain[report]'") from error
        if what == "methods":
            return pd.DataFrame(self.methods(), index=pd.Index(self.names, name="method"))
        pairs = list(combinations(range(len(self.names)), 2))
        named = [(self.names[i], self.names[j]) for i, j in pairs]
        if what == "agreement":
            index = pd.MultiIndex.from_tuples(named, names=["first", "second"])
            return pd.DataFrame(list(self.agreement().values()), index=index)
        labels = self.explanations[0].index
        labels = np.arange(self.n_rows) if labels is None else labels
        index = pd.MultiIndex.from_tuples(
            [(label, *pair) for label in labels for pair in named], names=["row", "first", "second"]
        )
        first, second = np.transpose(pairs)
        columns = {name: getattr(self, name)[:, first, second].ravel() for name in _AGREEMENT}
        return pd.DataFrame(columns, index=index)

    def _repr_html_(self) -> str:
        """Show the table of methods and the table of pairs."""
        methods = self.methods()
        first = _html_table(
            ["method", *methods],
            [
                [name, *(column[i] for column in methods.values())]
                for i, name in enumerate(self.names)
            ],
        )
        second = _html_table(
            ["methods", *_AGREEMENT],
            [
                [" and ".join(pair), *measures.values()]
                for pair, measures in self.agreement().items()
            ],
        )
        return f"<p>{escape(repr(self))}; top k = {self.k}</p>{first}{second}"


def _html_table(header: list[str], rows: list[list[Any]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        f"<tr><td>{escape(str(row[0]))}</td>"
        + "".join(f'<td style="text-align:right">{number:.4g}</td>' for number in row[1:])
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
