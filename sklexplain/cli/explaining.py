"""`sklexplain explain`: from a file to a fitted model and what it relies on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .files import read_frame
from .options import METHODS, NETS, Request
from .progress import Steps
from .results import (
    REPORT,
    check_folder,
    remove_earlier,
    write_explanations,
    write_model,
    write_run,
)
from .tables import Table, checked_table

if TYPE_CHECKING:
    from ..core.explanation import Explanation
    from .samples import Samples


class RunFailed(RuntimeError):
    """A step failed after others had left their files."""


@dataclass
class Run:
    """What was done and what came out.

    Parameters
    ----------
    request : Request
    table : Table
    samples : Samples
    model : fitted estimator
    scores : dict from guess to dict from metric to float
        On the test rows, of the model and of naive guesses.
    folds : dict from metric to ndarray of shape (cv,)
        Empty without `cv`.
    explanations : dict from name to Explanation
    """

    request: Request
    table: Table
    samples: Samples
    model: Any
    scores: dict[str, dict[str, float]]
    folds: dict[str, np.ndarray] = field(default_factory=dict)
    explanations: dict[str, Explanation] = field(default_factory=dict)


def run(
    request: Request,
    *,
    quiet: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Run:
    """Do what was asked and write the files.

    Parameters
    ----------
    request : Request
    quiet : bool, default=False
        Show no progress.
    say : callable, default does nothing
        Told, line by line, what was found in the data.

    Returns
    -------
    Run

    Raises
    ------
    WrongUsage
        If an option does not fit the model.
    ValueError, OSError
        If the data or the folder cannot be used; nothing was fitted.
    RunFailed
        If a step failed later; what was finished before is there.
    """
    n_steps = 3 + bool(request.cv) + len(request.methods)
    steps = Steps(n_steps, quiet=quiet)
    with steps.step(f"Reading {request.data}"):
        table = checked_table(read_frame(request.data), request)
        check_folder(request.out)
        # What takes seconds is imported when nothing is left that could be refused without it.
        from .models import make_model
        from .samples import divided

        samples = divided(table, request)
        model = make_model(request, table.task)
    for line in told(request, table, samples):
        say(line)
    # Warnings come line by line; each is told once.
    with _warnings_told(say):
        return _fitted_and_explained(request, table, samples, model, steps, quiet=quiet)


def _fitted_and_explained(
    request: Request, table: Table, samples: Samples, model: Any, steps: Steps, *, quiet: bool
) -> Run:
    from .methods import explanations_by
    from .models import cross_validated, naive_guesses, scores_of, show_progress

    name = NETS.get(request.model, request.model)
    with steps.step(f"Fitting the {name} model"), _naming(f"fitting the {name} model", request):
        show_progress(model, not quiet)
        model.fit(samples.train, samples.train_target)
        show_progress(model, False)
    guesses = {name: model.predict(samples.test), **naive_guesses(samples, table.task)}
    done = Run(
        request,
        table,
        samples,
        model,
        {who: scores_of(samples.test_target, guess, table.task) for who, guess in guesses.items()},
    )
    if request.cv:
        doing = f"Cross-validating in {request.cv} folds"
        with steps.step(doing), _naming("cross-validation", request):
            done.folds = cross_validated(model, samples.train, samples, request, table.task)
    remove_earlier(request.out)
    write_model(request.out, model)
    write_run(request.out, request, _learned(done))
    for method in request.methods:
        label = METHODS[method]
        with steps.step(label), _naming(label, request, done):
            found = explanations_by(
                method, model, samples, request, table.features, verbose=int(not quiet)
            )
            done.explanations |= dict(found)
            write_explanations(request.out, done.explanations)
    with steps.step("Writing the report"), _naming("the report", request, done):
        _write_report(done)
    return done


def told(request: Request, table: Table, samples: Samples) -> Iterator[str]:
    """Yield what was found in the data, in a few lines."""
    groups = ""
    if table.groups is not None:
        groups = f" in {len(np.unique(table.groups))} groups of {request.group!r}"
    yield (
        f"{request.data}: {len(table.rows):,} rows{groups}; features: {', '.join(table.features)}"
    )
    when = "in the same row"
    if request.horizon:
        when = f"{request.horizon} row{'s' if request.horizon > 1 else ''} ahead"
    what = f"windows of {request.window} rows" if request.window > 1 else "rows"
    n_train, n_test = len(samples.train), len(samples.test)
    yield (
        f"target: {request.target} {when} ({table.task}); {n_train:,} {what} to train on, the last "
        f"{n_test:,} ({samples.labels[0]} to {samples.labels[-1]}) to test on"
    )
    for note in table.notes:
        yield f"note: {note}"


def _learned(done: Run) -> dict[str, Any]:
    table, samples = done.table, done.samples
    learned: dict[str, Any] = {
        "task": table.task,
        "features": table.features,
        "input_shape": samples.train.shape[1:],
        "n_train": len(samples.train),
        "n_test": len(samples.test),
        "first_test_target": str(samples.labels[0]),
        "scores": done.scores,
        "notes": table.notes,
    }
    if table.task == "classification":
        learned["classes"] = done.model.classes_
    if done.folds:
        learned["cross_validation"] = done.folds
    return learned


def _write_report(done: Run) -> None:
    from ..display.report import write_report
    from .models import naive_guesses

    request, samples, table = done.request, done.samples, done.table
    ahead = f", {request.horizon} row{'s' if request.horizon > 1 else ''} ahead"
    # The report has a constant guess of its own.
    guesses = {
        name: guess
        for name, guess in naive_guesses(samples, table.task).items()
        if name.startswith("last known")
    }
    write_report(
        request.out / REPORT,
        {readable(name): explanation for name, explanation in done.explanations.items()},
        estimator=done.model,
        X=samples.test,
        y=samples.test_target,
        baseline=guesses or "auto",
        unit=request.unit,
        title=f"What predicts {request.target}{ahead if request.horizon else ''}",
    )


def readable(name: str) -> str:
    """Return what an explanation's name stands for.

    Examples
    --------
    >>> from sklexplain.cli.explaining import readable
    >>> readable("deepshap-cells")
    'DeepSHAP by cell'
    """
    method, _, level = name.partition("-")
    return METHODS[method] + (" by cell" if level else "")


@contextmanager
def _naming(doing: str, request: Request, done: Run | None = None) -> Iterator[None]:
    """Name in an error what failed, and what is there all the same."""
    try:
        yield
    except Exception as error:
        left = ""
        if done is not None:
            finished = ["the model", *done.explanations]
            left = f" (finished before: {', '.join(finished)}, in {request.out})"
        reason = " ".join(str(error).split()) or type(error).__name__
        raise RunFailed(f"{doing} failed: {reason}{left}") from error


@contextmanager
def _warnings_told(say: Callable[[str], None]) -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        yield
    for message in dict.fromkeys(
        " ".join(str(warning.message).split())
        for warning in caught
        if not issubclass(warning.category, DeprecationWarning | PendingDeprecationWarning)
    ):
        say(f"note: {message}")
