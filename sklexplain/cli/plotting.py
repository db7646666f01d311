"""`sklexplain plot`: one picture of a file of explanations."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np

from .wrong import WrongUsage, listed, suggestion

_SUFFIXES = (".png", ".svg", ".pdf")
_DPI = 150
_OF_ONE_ROW = ("waterfall", "force", "local")


def draw(
    path: Path,
    out: Path,
    *,
    kind: str = "auto",
    method: str | None = None,
    output: str | None = None,
    sample: str | None = None,
    player: str | None = None,
    max_display: int | None = None,
    unit: str = "",
    title: str | None = None,
) -> str:
    """Draw an explanation of a file into another file.

    Parameters
    ----------
    path : Path
        Of ``save_all`` or ``Explanation.save``.
    out : Path
        Its suffix says what kind of picture it is.
    kind : str, default="auto"
        As of :func:`sklexplain.plot`.
    method : str, default=None
        The explanation's name; None takes the first whose values belong to rows, or the first. For
        a comparison, names with commas; None takes all of the first one's players.
    output, sample, player : str, default=None
        Names, labels or positions.
    max_display : int, default=None
    unit : str, default=""
    title : str, default=None

    Returns
    -------
    str
        What was drawn and where it is.

    Raises
    ------
    WrongUsage
        If an option is unknown or the picture has no use for it.
    ValueError
        If the file holds no such thing.
    OSError
        If a file cannot be read or written.
    """
    if out.suffix.lower() not in _SUFFIXES:
        raise WrongUsage(f"--out {out} must end in {', '.join(_SUFFIXES)}")
    if max_display is not None and max_display < 1:
        raise WrongUsage(f"--max-display {max_display} must be 1 or more")
    _require_matplotlib()
    from ..display import KINDS, class_of, plot

    if kind not in KINDS:
        raise WrongUsage(
            f"--kind {kind!r} is not known{suggestion(kind, KINDS)}; known are {', '.join(KINDS)}"
        )
    explanations = _loaded(path)
    if kind == "comparison":
        subject: Any = _several(explanations, method, path)
        name = ", ".join(subject)
    else:
        name = _name(explanations, method, kind, path)
        subject = explanations[name]
    params: dict[str, Any] = {}
    if sample is not None:
        params["sample"] = _position(_one(subject, "sample"), sample, path)
    elif kind in _OF_ONE_ROW and len(subject) > 1:
        raise WrongUsage(f"--kind {kind} shows one row; name it with --sample: {_rows_of(subject)}")
    if output is not None:
        params["output"] = _output(subject, output, path)
    optional = {"player": player, "max_display": max_display, "unit": unit, "title": title}
    params |= {option: value for option, value in optional.items() if value not in (None, "")}
    if kind != "auto":
        _refuse_useless(params, class_of(kind), kind)
    display = plot(subject, kind, **params)
    try:
        display.figure_.savefig(out, dpi=_DPI, bbox_inches="tight")
    except OSError as error:
        raise OSError(
            f"cannot write {out}: {error.strerror or error}; choose another file with --out"
        ) from error
    others = [other for other in explanations if other not in name.split(", ")]
    hint = f" (also there: {listed(others)}; --method)" if others and method is None else ""
    return f"{type(display).__name__} of {name} is in {out.absolute()}{hint}"


def _require_matplotlib() -> None:
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            "pictures need matplotlib, which is not installed. Run: pip install "
            "'sklexplain[report]'"
        ) from error
    # There may be no screen.
    matplotlib.use("agg")


def _loaded(path: Path) -> Any:
    from ..core.explanation_sets import load_all

    try:
        return load_all(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} does not exist") from error
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror or error}") from error


def _check_name(explanations: Any, name: str, path: Path) -> str:
    if name not in explanations:
        raise ValueError(
            f"{path} has no explanation {name!r} for --method{suggestion(name, explanations)}; it "
            f"has {listed(explanations)}"
        )
    return name


def _name(explanations: Any, method: str | None, kind: str, path: Path) -> str:
    if method is not None:
        return _check_name(explanations, method, path)
    if kind == "sequence":
        for name, explanation in explanations.items():
            if explanation.players.level == "cell":
                return name
    if kind not in ("importance", "box"):
        for name, explanation in explanations.items():
            if explanation.kind == "attributions":
                return name
    return next(iter(explanations))


def _several(explanations: Any, methods: str | None, path: Path) -> dict[str, Any]:
    if methods is not None:
        names = [name.strip() for name in methods.split(",") if name.strip()]
        return {name: explanations[_check_name(explanations, name, path)] for name in names}
    first = next(iter(explanations.values()))
    return {name: one for name, one in explanations.items() if one.players == first.players}


def _one(subject: Any, option: str) -> Any:
    if isinstance(subject, dict):
        raise WrongUsage(f"--{option} has no meaning for --kind comparison")
    return subject


def _position(explanation: Any, sample: str, path: Path) -> int:
    if explanation.index is not None:
        found = np.flatnonzero(np.asarray(explanation.index).astype(str) == sample)
        if len(found):
            return int(found[0])
    try:
        position = int(sample)
    except ValueError:
        position = len(explanation)
    if not -len(explanation) <= position < len(explanation):
        raise ValueError(f"{path} has no row {sample!r} for --sample; give {_rows_of(explanation)}")
    return position


def _rows_of(explanation: Any) -> str:
    last = len(explanation) - 1
    labels = "" if explanation.index is None else f", or a label: {listed(explanation.index, 3)}"
    return f"a position from 0 to {last}{labels}"


def _output(subject: Any, output: str, path: Path) -> str:
    one = next(iter(subject.values())) if isinstance(subject, dict) else subject
    if output not in one.output_names:
        known = listed(one.output_names) if one.output_names else "a single one; leave --output out"
        raise ValueError(f"{path} has no output {output!r} for --output; it has {known}")
    return output


def _refuse_useless(params: dict[str, Any], display: type, kind: str) -> None:
    accepted = inspect.signature(display.from_explanation).parameters  # type: ignore[attr-defined]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values()):
        return
    for name in params:
        if name not in accepted:
            option = name.replace("_", "-")
            raise WrongUsage(f"--{option} has no meaning for --kind {kind}")
