"""The files that `sklexplain explain` leaves, each whole or not at all."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import numpy as np

from .._version import __version__
from .options import Request

if TYPE_CHECKING:
    from ..core.explanation import Explanation

MODEL, EXPLANATIONS, IMPORTANCES, REPORT, RUN = FILES = (
    "model.joblib",
    "explanations.npz",
    "importances.csv",
    "report.html",
    "run.json",
)


def check_folder(out: Path) -> None:
    """Make the folder where there is none, and make sure that it can be written.

    Raises
    ------
    OSError
        If it cannot.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        # The only sure test.
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise OSError(
            f"cannot write {out / REPORT}: {error.strerror or error}; choose another folder with "
            "--out"
        ) from error


def remove_earlier(out: Path) -> None:
    """Remove the files of an earlier run, which would be taken for those of this one."""
    for name in FILES:
        with suppress(FileNotFoundError):
            (out / name).unlink()


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        write(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_model(out: Path, model: Any) -> None:
    """Write the fitted model."""
    import joblib

    _write_whole(out / MODEL, lambda path: joblib.dump(model, path))


def write_explanations(out: Path, explanations: Mapping[str, Explanation]) -> None:
    """Write what is finished so far: all explanations, and their importances as a table."""
    from ..core.explanation_sets import save_all

    save_all(out / EXPLANATIONS, explanations)
    _write_whole(out / IMPORTANCES, lambda path: _write_importances(path, explanations))


def _write_importances(path: Path, explanations: Mapping[str, Explanation]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["method", "output", "player", "importance", "std"])
        for method, explanation in explanations.items():
            for output in explanation.output_names or ("",):
                one = explanation[:, :, output] if output else explanation
                sizes = one.values if one.kind == "importances" else np.abs(one.values)
                rows = zip(one.players.names, one.importances(), sizes.std(axis=0), strict=True)
                for player, importance, std in rows:
                    table.writerow([method, output, player, f"{importance:.9g}", f"{std:.9g}"])


def write_run(out: Path, request: Request, learned: Mapping[str, Any]) -> None:
    """Write what was asked for and what came out, for whoever uses the model later."""
    asked = {
        name: str(value) if isinstance(value, Path) else value
        for name, value in asdict(request).items()
    }
    told = json.dumps(
        {"sklexplain": __version__, "request": asked, **learned},
        indent=2,
        ensure_ascii=False,
        default=_plain,
    )
    _write_whole(out / RUN, lambda path: path.write_text(told + "\n", encoding="utf-8"))


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
