"""Which outputs and rows of the explanations a report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from ..core.explanation import Explanation
from .report_inputs import RowMatch, match_rows
from .report_parts import decimals_for
from .report_words import caption_of, measured

# More outputs than this are averaged rather than drawn one by one.
_MOST_OUTPUTS = 4


@dataclass(frozen=True)
class View:
    """One output of one explanation, with what is to be said of its importances.

    Parameters
    ----------
    title : str
        Above the picture.
    explanation : Explanation
        Of a single output.
    measure : str
        What an importance is, with its unit.
    caption : str
    signed : bool
        Whether the values say which way a prediction moves.
    """

    title: str
    explanation: Explanation
    measure: str
    caption: str
    signed: bool

    @property
    def heading(self) -> str:
        """What stands above a column of a table."""
        return f"{self.title}: {self.measure}"


def views_of(
    named: Mapping[str, Explanation], output: str | int | None = None, unit: str = ""
) -> list[View]:
    """Return what is shown of some explanations' outputs.

    Of permutation importance every score. Of two classes the second, of up to four outputs each,
    of more their mean, unless `output` names one.

    Parameters
    ----------
    named : mapping from str to Explanation
    output : str or int, default=None
    unit : str, default=""
        Of the explained output.

    Returns
    -------
    list of View
    """
    views = []
    for name, explanation in named.items():
        for of, single in _single_outputs(explanation, output):
            score = of if explanation.kind == "importances" else ""
            several = bool(of) and explanation.n_outputs > 1
            told = caption_of(single, unit, score)
            # A score is told by the measure, an output has to be named.
            title = f"{name}, {of}" if several and not score else name
            signed = single.kind == "attributions" and bool((single.values < 0).any())
            views.append(View(title, single, measured(single, unit, score), told, signed))
    return views


def _single_outputs(
    explanation: Explanation, output: str | int | None
) -> list[tuple[str, Explanation]]:
    names = explanation.output_names
    if not names:
        return [("", explanation)]
    if explanation.kind == "importances":
        return [(name, explanation[:, :, name]) for name in names[:_MOST_OUTPUTS]]
    chosen = position_of(output, names)
    if chosen is None and len(names) == 2 and shows_probabilities(explanation):
        chosen = 1
    if chosen is not None:
        return [(names[chosen], explanation[:, :, chosen])]
    if len(names) <= _MOST_OUTPUTS:
        return [(name, explanation[:, :, name]) for name in names]
    first = explanation[:, :, 0]
    sizes = np.abs(explanation.values).mean(axis=2)
    return [(f"mean over {len(names)} outputs", replace(first, values=sizes, std_errors=None))]


def position_of(output: str | int | None, names: Sequence[str]) -> int | None:
    """Return the position of an output; None where it is none of these."""
    if isinstance(output, Integral):
        return int(output) % len(names) if -len(names) <= output < len(names) else None
    return names.index(output) if output in names else None


def check_output(named: Mapping[str, Explanation], output: str | int | None) -> None:
    """Refuse an output that no explanation of rows has.

    Raises
    ------
    ValueError
        Naming the outputs that there are.
    """
    if output is None:
        return
    listed = [one for one in named.values() if one.kind == "attributions"]
    if not any(one.output_names and position_of(output, one.output_names) is not None
               for one in listed):  # fmt: skip
        known = sorted({name for one in listed for name in one.output_names})
        raise ValueError(
            f"output={output!r} is an output of none of the explanations, which have "
            + (f"{known}" if known else "a single one; leave output out")
        )


def shows_probabilities(explanation: Explanation) -> bool:
    """Whether the outputs are the probabilities of classes."""
    outputs = explanation.predictions
    return bool(
        outputs.ndim == 2
        and np.all(outputs >= -1e-9)
        and np.allclose(outputs.sum(axis=1), 1, atol=1e-3)
    )


def adds_up(explanation: Explanation) -> bool:
    """Whether the values of each row lead from its base value to its prediction."""
    gaps = explanation.values.sum(axis=1) + explanation.base_values - explanation.predictions
    scale = max(float(np.ptp(explanation.predictions)), 1e-12)
    scale = max(scale, float(np.abs(explanation.values).max(initial=0)))
    # Float32 nets leave gaps far below what a table shows.
    return float(np.abs(gaps).max(initial=0)) <= 1e-3 * scale


@dataclass(frozen=True)
class Rows:
    """The rows that can be shown in detail, and where each method has them.

    Make them with :func:`rows_of`.

    Parameters
    ----------
    reference : Explanation
        Whose rows they are.
    places : mapping from an explanation's name to RowMatch
        Where the other explanations of rows have them.
    truth : ndarray of shape (n_samples, …) or None
        The true targets, where they are known.
    known : ndarray of bool, shape (n_samples,)
        Whose true target is known.
    output : int or None
        The output to show; None where there is one, or where it is each row's own class.
    classes : bool
        Whether the targets are names of outputs.
    """

    reference: Explanation
    places: Mapping[str, RowMatch]
    truth: np.ndarray | None
    known: np.ndarray
    output: int | None
    classes: bool

    def __len__(self) -> int:
        return len(self.reference)

    def label(self, row: int) -> str:
        """Return what a row is called."""
        index = self.reference.index
        if index is None:
            return f"row {row}"
        label = str(index[row])
        return f"row {label}" if label.isdigit() else label

    def output_of(self, row: int) -> int | None:
        """Return the position of the output that is shown of a row."""
        if not self.reference.output_names or self.output is not None:
            return self.output
        return int(np.argmax(self.reference.predictions[row]))

    def predictions(self) -> np.ndarray:
        """Return the shown output of every row."""
        outputs = self.reference.predictions
        if outputs.ndim == 1:
            return outputs
        return outputs[:, self.output] if self.output is not None else outputs.max(axis=1)

    def decimals(self) -> int:
        """Return with how many decimals predictions are told, the same for every row."""
        return decimals_for([*self.reference.predictions.flat, *self.reference.base_values.flat])

    def true_value(self, row: int) -> Any:
        """Return a row's target as it belongs to the shown output; None where unknown."""
        if self.truth is None or not self.known[row]:
            return None
        return str(self.truth[row]) if self.classes else float(self.truth[row])

    def errors(self) -> np.ndarray | None:
        """Return how far each prediction is from the truth; NaN where that is unknown."""
        if self.truth is None or not self.known.any():
            return None
        if not self.classes:
            return np.where(self.known, np.abs(self.predictions() - self.truth), np.nan)
        names = self.reference.output_names
        places = [
            names.index(str(label)) if known else 0
            for label, known in zip(self.truth, self.known, strict=True)
        ]
        of_truth = self.reference.predictions[np.arange(len(self)), places]
        return np.where(self.known, -of_truth, np.nan)


def rows_of(
    named: Mapping[str, Explanation],
    *,
    X: Any = None,
    y: Any = None,
    estimator: Any = None,
    output: str | int | None = None,
) -> Rows | None:
    """Bring the rows of the explanations, of the held-out data and of the targets together.

    Parameters
    ----------
    named : mapping from str to Explanation
    X, y : the held-out rows and targets, or None
    estimator : fitted estimator, default=None
        Told apart classes from numbers.
    output : str or int, default=None

    Returns
    -------
    Rows or None
        None where no explanation is of rows.
    """
    of_rows = {name: one for name, one in named.items() if one.kind == "attributions"}
    if not of_rows:
        return None
    reference = _reference(list(of_rows.values()))
    places = {
        name: _match(reference, one.index, one.data, len(one)) for name, one in of_rows.items()
    }
    truth, known = None, np.zeros(len(reference), dtype=bool)
    shown = _shown_output(reference, output)
    classes = False
    if y is not None:
        in_X = _match(reference, getattr(X, "index", None), _as_numbers(X), len(X)).positions
        targets, classes, usable = _targets(reference, np.asarray(y), estimator, shown)
        if usable:
            known = in_X >= 0
            truth = targets[np.maximum(in_X, 0)]
    return Rows(reference, places, truth, known, shown, classes)


def _reference(explanations: list[Explanation]) -> Explanation:
    """Return the explanation whose rows are shown: one that adds up, of few players if possible."""

    def rank(explanation: Explanation) -> tuple[bool, bool]:
        return (explanation.players.level in ("cell", "timestep"), not adds_up(explanation))

    return min(explanations, key=rank)


def _match(reference: Explanation, labels: Any, rows: Any, n_rows: int) -> RowMatch:
    # A list has a method of that name.
    labels = None if labels is None or callable(labels) else np.asarray(labels)
    return match_rows(reference.index, reference.data, len(reference), labels, rows, n_rows)


def _as_numbers(X: Any) -> np.ndarray | None:
    try:
        return np.asarray(X, dtype=float)
    except (TypeError, ValueError):
        return None


def _shown_output(reference: Explanation, output: str | int | None) -> int | None:
    names = reference.output_names
    if not names:
        return None
    chosen = position_of(output, names)
    if chosen is None and shows_probabilities(reference):
        # Of two classes one tells all; of more, each row shows the class that it was given.
        return 1 if len(names) == 2 else None
    return 0 if chosen is None else chosen


def _targets(
    reference: Explanation, y: np.ndarray, estimator: Any, shown: int | None
) -> tuple[np.ndarray, bool, bool]:
    """Return targets, whether they are classes, and whether they belong to the outputs."""
    names = reference.output_names
    if y.ndim == 1 and names and {str(label) for label in y} <= set(names):
        return y, True, shows_probabilities(reference)
    if (estimator is not None and is_classifier(estimator)) or y.dtype.kind not in "biuf":
        return y, False, False
    if y.ndim == 2 and y.shape[1] == max(len(names), 1):
        return y[:, shown or 0].astype(float), False, True
    return y.astype(float), False, y.ndim == 1 and not names


def chosen_rows(rows: Rows, wanted: Any, *, most: int = 4) -> dict[int, str]:
    """Return which rows are shown in detail, each with why.

    Parameters
    ----------
    rows : Rows
    wanted : "auto", or sequence of int (positions) or str (labels)
        ``"auto"``: the largest and smallest prediction, the one in the middle, and the largest
        error where the targets are known.
    most : int, default=4
        Of ``"auto"``.

    Returns
    -------
    dict from int to str

    Raises
    ------
    ValueError
        If a row is unknown.
    TypeError
        If `wanted` is no sequence of positions and labels.
    """
    if isinstance(wanted, str) and wanted == "auto":
        return _telling_rows(rows, most)
    if isinstance(wanted, str) or not isinstance(wanted, Sequence | np.ndarray):
        raise TypeError(
            f'rows={wanted!r}; give "auto", or a list of positions (int) and labels (str)'
        )
    return {_position(rows, row): "chosen" for row in wanted}


def _position(rows: Rows, row: Any) -> int:
    n_rows = len(rows)
    if isinstance(row, Integral) and not isinstance(row, bool):
        if not -n_rows <= int(row) < n_rows:
            raise ValueError(f"rows names row {row}, but {n_rows} rows are explained")
        return int(row) % n_rows
    labels = [] if rows.reference.index is None else [str(one) for one in rows.reference.index]
    if str(row) not in labels:
        known = f"the labels begin {labels[:3]}" if labels else "the rows have no labels"
        raise ValueError(
            f"rows names {row!r}, which is not the label of an explained row; {known}. Positions "
            f"are whole numbers from 0 to {n_rows - 1}"
        )
    return labels.index(str(row))


def _telling_rows(rows: Rows, most: int) -> dict[int, str]:
    predictions = rows.predictions()
    own_class = rows.reference.output_names and rows.output is None
    what = "prediction" if not own_class else "probability of the predicted class"
    order = np.argsort(predictions, kind="stable")
    candidates = [
        (int(order[-1]), f"largest {what}"),
        (int(order[0]), f"smallest {what}"),
        (int(order[len(order) // 2]), f"median {what}"),
    ]
    errors = rows.errors()
    if errors is not None:
        error = "least probability given to the true class" if rows.classes else "largest error"
        candidates.append((int(np.nanargmax(errors)), error))
    chosen: dict[int, str] = {}
    for row, why in candidates:
        chosen[row] = f"{chosen[row]}, {why}" if row in chosen else why
    return dict(list(chosen.items())[:most])
