"""The commands behind `sklexplain`, a thin layer over the package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from .._version import __version__

if TYPE_CHECKING:
    from .demo import Demo

app = typer.Typer(
    help="Explain recurrent and other models the scikit-learn way.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sklexplain {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for report.html; made where there is none.")
    ] = Path("sklexplain-demo"),
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    quick: Annotated[bool, typer.Option("--quick", hidden=True)] = False,
) -> None:
    """Explain a GRU on Google's real share prices and write a page about it."""
    with _errors_in_one_line(debug):
        report = _report_path(out)
        with _progress() as progress:
            task = progress.add_task("Loading scikit-learn and torch", total=None)

            def on_step(step: str) -> None:
                progress.update(task, description=step)

            from .demo import STEPS, run_demo
            from .demo_page import write_demo_page

            cheap = {"max_epochs": 3, "n_repeats": 2, "n_background": 5, "max_evals": 200}
            done = run_demo(on_step=on_step, **(cheap if quick else {}))
            on_step(STEPS[-1])
            report = write_demo_page(done, report)
        _print_results(done)
        # Not wrapped, so that the path can be copied whole.
        typer.echo(f"The report is in {report}")


def _report_path(out: Path) -> Path:
    """Return where the report goes, having made sure that it can be written."""
    report = out / "report.html"
    try:
        out.mkdir(parents=True, exist_ok=True)
        # The only sure test, and it leaves no empty page behind if the run fails.
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise OSError(
            f"cannot write {report}: {error.strerror or error}; choose another folder with --out"
        ) from error
    return report


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _print_results(demo: Demo) -> None:
    from .demo import ERROR

    console = Console()
    scores = Table(title="Next day's close, test days", title_justify="left")
    scores.add_column("prediction")
    for column in ("R²", "mean absolute error"):
        scores.add_column(column, justify="right")
    for name, (r2, error) in demo.scores().items():
        scores.add_row(name, f"{r2:.3f}", f"${error:.2f}")
    console.print(scores)

    permuted, shap = demo.by_feature[:, :, ERROR].importances(), demo.shap.importances()
    features = Table(title="What the GRU relies on", title_justify="left")
    features.add_column("feature")
    for column in ("error added when permuted", "mean |SHAP value|"):
        features.add_column(column, justify="right")
    for player in sorted(range(len(permuted)), key=lambda i: -permuted[i]):
        features.add_row(
            demo.shap.players.names[player], f"${permuted[player]:.2f}", f"${shap[player]:.2f}"
        )
    console.print(features)


@contextmanager
def _errors_in_one_line(debug: bool) -> Iterator[None]:
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if debug:
            raise
        message = " ".join(str(error).split()) or type(error).__name__
        typer.echo(f"sklexplain: {message}", err=True)
        raise typer.Exit(1) from error
