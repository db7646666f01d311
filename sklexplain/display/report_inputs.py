"""What a report is made of, named, checked and brought together before anything is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.explanation import Explanation


def named_explanations(explanations: Any) -> dict[str, Explanation]:
    """Return one explanation, a list or a mapping of them, by name.

    Raises
    ------
    ValueError
        If there are none, or one is empty.
    TypeError
        If something else than an Explanation is among them.
    """
    if isinstance(explanations, Explanation):
        explanations = [explanations]
    if not isinstance(explanations, Mapping | Sequence):
        raise TypeError(
            f"explanations is a {type(explanations).__name__}; give an Explanation, a list of "
            "them, or a mapping from names to them"
        )
    named: dict[str, Explanation] = {}
    given: Iterable[tuple[Any, Any]]
    if isinstance(explanations, Mapping):
        given = explanations.items()
    else:
        given = [(None, explanation) for explanation in explanations]
    for position, (name, explanation) in enumerate(given):
        where = f"explanations[{position if name is None else name!r}]"
        if not isinstance(explanation, Explanation):
            remedy = "; pass what its explain(X) returns" if hasattr(explanation, "explain") else ""
            remedy = "; pass its explanation_" if hasattr(explanation, "explanation_") else remedy
            raise TypeError(
                f"{where} is a {type(explanation).__name__}, not an Explanation{remedy}"
            )
        if len(explanation) == 0:
            raise ValueError(f"{where} explains no rows; leave it out or explain at least one")
        named[_free_name(name, explanation, named)] = explanation
    if not named:
        raise ValueError("explanations is empty; give at least one Explanation")
    return named


def _free_name(name: Any, explanation: Explanation, taken: Mapping[str, Any]) -> str:
    method = explanation.method or "explanation"
    readable = "permutation importance" if method == "PermutationImportance" else method
    wanted = readable if name is None else str(name)
    free, number = wanted, 2
    while free in taken:
        free, number = f"{wanted} {number}", number + 1
    return free


def grouped_by_players(named: Mapping[str, Explanation]) -> list[dict[str, Explanation]]:
    """Return the explanations of equal players together, in the order of their first."""
    groups: list[dict[str, Explanation]] = []
    for name, explanation in named.items():
        for group in groups:
            if next(iter(group.values())).players == explanation.players:
                group[name] = explanation
                break
        else:
            groups.append({name: explanation})
    return groups


def check_path(path: Any) -> Path:
    """Return where the report goes, as a Path.

    Raises
    ------
    FileNotFoundError
        If its folder does not exist.
    IsADirectoryError
        If it is a folder itself.
    """
    target = Path(path)
    if target.is_dir():
        raise IsADirectoryError(
            f"path={str(target)!r} is a folder; name the file too, as in "
            f"{str(target / 'report.html')!r}"
        )
    if not target.absolute().parent.is_dir():
        raise FileNotFoundError(
            f"path={str(target)!r}: the folder {str(target.absolute().parent)!r} does not exist; "
            "make it first, with Path(…).mkdir(parents=True)"
        )
    return target


def check_lengths(X: Any, y: Any, baseline: Mapping[str, np.ndarray]) -> None:
    """Refuse held-out rows, targets and naive predictions of different numbers.

    Raises
    ------
    ValueError
        If `y` has no `X`, or the lengths disagree.
    """
    if y is None:
        if baseline:
            raise ValueError("baseline is given without y; give y, the true targets, too")
        return
    if X is None:
        raise ValueError("y is given without X; give X, the held-out rows that y belongs to, too")
    n_rows = len(X)
    if len(y) != n_rows:
        raise ValueError(
            f"X has {n_rows} rows but y has {len(y)}; give one target for each held-out row"
        )
    for name, guesses in baseline.items():
        if len(guesses) != n_rows:
            raise ValueError(
                f"baseline {name!r} has {len(guesses)} predictions for {n_rows} rows of X; give "
                "one for each held-out row"
            )


def named_baselines(baseline: Any) -> dict[str, np.ndarray]:
    """Return naive predictions by name; none where `baseline` is ``"auto"`` or None.

    Raises
    ------
    ValueError
        If it is another text, or empty.
    """
    if baseline is None or (isinstance(baseline, str) and baseline == "auto"):
        return {}
    if isinstance(baseline, str):
        raise ValueError(
            f'baseline={baseline!r} must be "auto", None, an array of naive predictions, or a '
            "mapping from names to such arrays"
        )
    if isinstance(baseline, Mapping):
        return {str(name): np.asarray(guesses) for name, guesses in baseline.items()}
    return {"naive guess": np.asarray(baseline)}


@dataclass(frozen=True)
class RowMatch:
    """Where the rows of one collection stand in another; -1 where they do not."""

    positions: np.ndarray

    def __getitem__(self, row: int) -> int | None:
        position = int(self.positions[row])
        return None if position < 0 else position


def match_rows(
    labels: np.ndarray | None,
    rows: np.ndarray | None,
    n_rows: int,
    other_labels: np.ndarray | None,
    other_rows: np.ndarray | None,
    n_others: int,
) -> RowMatch:
    """Find rows in another collection: by label, else by equal content, else by position.

    Parameters
    ----------
    labels, other_labels : ndarray of shape (n_rows,) or (n_others,), or None
        Used where both are there and those of the others are unique.
    rows, other_rows : ndarray of shape (n_rows, …) or (n_others, …), or None
        Used where both are there and of one shape.
    n_rows, n_others : int
        Positions are trusted only where there is nothing to compare and the numbers agree.

    Returns
    -------
    RowMatch
    """
    comparable = (
        rows is not None and other_rows is not None and rows.shape[1:] == other_rows.shape[1:]
    )
    if labels is not None and other_labels is not None:
        known = {str(label): place for place, label in enumerate(other_labels)}
        found = np.asarray([known.get(str(label), -1) for label in labels])
        if len(known) == n_others and found.max(initial=-1) >= 0:
            if comparable:
                # Equal numbers of rows of different tables are no sign that they are the same.
                same = _as_bytes(other_rows[found])  # type: ignore[index]
                pairs = zip(_as_bytes(rows), same, strict=True)  # type: ignore[arg-type]
                found = np.where([ours == theirs for ours, theirs in pairs], found, -1)
            return RowMatch(found)
    if comparable:
        return RowMatch(_equal_rows(rows, other_rows))  # type: ignore[arg-type]
    if n_rows == n_others:
        return RowMatch(np.arange(n_rows))
    return RowMatch(np.full(n_rows, -1))


def _equal_rows(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    shared = min(len(rows), len(others))
    # A row that occurs twice belongs to its own place where both start alike.
    if np.array_equal(rows[:shared], others[:shared], equal_nan=True):
        return np.where(np.arange(len(rows)) < shared, np.arange(len(rows)), -1)
    known: dict[bytes, int] = {}
    for place, row in enumerate(_as_bytes(others)):
        known.setdefault(row, place)
    return np.asarray([known.get(row, -1) for row in _as_bytes(rows)])


def _as_bytes(rows: np.ndarray) -> list[bytes]:
    # Adding zero turns -0.0, which equals 0.0, into it.
    plain = np.ascontiguousarray(rows, dtype=float) + 0.0
    return [row.tobytes() for row in plain]
