"""The commands behind `sklexplain`, a thin layer over the package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from .._version import __version__
from .options import METHODS, MODELS, PLAYERS, TASKS, Request, split_names
from .results import EXPLANATIONS, IMPORTANCES, MODEL, REPORT, RUN, check_folder
from .wrong import WrongUsage

if TYPE_CHECKING:
    from .demo import Demo
    from .explaining import Run

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


_DEBUG = typer.Option("--debug", help="Show the traceback of an error.")


@app.command()
def explain(
    data: Annotated[
        Path,
        typer.Argument(help="CSV or Parquet file, a row a time, oldest first.", metavar="DATA"),
    ],
    target: Annotated[str, typer.Option(help="Column to predict.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; made where there is none.")],
    time: Annotated[
        str | None, typer.Option(help="Column of dates or numbers that orders the rows.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(help="Column that tells series apart; no window crosses from one to another."),
    ] = None,
    features: Annotated[
        str | None,
        typer.Option(help="Columns to learn from, as a,b,c. Default: all that are numbers."),
    ] = None,
    window: Annotated[int, typer.Option(help="Rows that a prediction sees; 1 for a table.")] = 20,
    horizon: Annotated[
        int,
        typer.Option(help="Rows from the last one seen to the target; 0 for the same row."),
    ] = 1,
    model: Annotated[str, typer.Option(help=", ".join(MODELS) + ".")] = "gru",
    param: Annotated[
        list[str] | None,
        typer.Option(help="Parameter of the model, as hidden_size=64. May be repeated."),
    ] = None,
    methods: Annotated[
        str, typer.Option(help=f"Of {', '.join(METHODS)}.")
    ] = "permutation,kernelshap,lime",
    players: Annotated[
        str,
        typer.Option(
            help=f"What is explained of a window: {', '.join(PLAYERS)}. With auto, features, and "
            "by deepshap and treeshap single cells too."
        ),
    ] = "auto",
    task: Annotated[
        str, typer.Option(help=f"{', '.join(TASKS)}: auto goes by the target.")
    ] = "auto",
    test_size: Annotated[
        float, typer.Option(help="Share of the windows, the last ones, to test on and explain.")
    ] = 0.2,
    n_explain: Annotated[
        int, typer.Option(help="Most test rows to explain one by one, spread evenly.")
    ] = 50,
    cv: Annotated[
        int, typer.Option(help="Also score in this many folds of the training rows, in time order.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal results.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, …; for torch models.")] = "auto",
    unit: Annotated[str, typer.Option(help="Of the target, for the report.")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    debug: Annotated[bool, _DEBUG] = False,
) -> None:
    """Fit a model to a table of any kind and explain what it relies on.

    Writes report.html, explanations.npz (for `sklexplain plot`), importances.csv, the fitted
    model.joblib and run.json. Rows in messages are counted from 1, without the header.
    """
    with _errors_in_one_line(debug):
        request = Request(
            data=data,
            target=target,
            out=out,
            time=time,
            group=group,
            features=split_names(features),
            window=window,
            horizon=horizon,
            model=model,
            params=tuple(param or ()),
            methods=split_names(methods),
            players=players,
            task=task,
            test_size=test_size,
            n_explain=n_explain,
            cv=cv,
            seed=seed,
            device=device,
            unit=unit,
        )
        from .explaining import run

        def say(line: str) -> None:
            if not quiet:
                typer.echo(line)

        done = run(request, quiet=quiet, say=say)
        if not quiet:
            _print_run(done)


def _print_run(done: Run) -> None:
    from .explaining import readable

    console = Console(highlight=False)
    n_test = len(done.samples.test)
    metrics = list(next(iter(done.scores.values())))
    scores = Table(title=f"Scores on the last {n_test:,} targets", title_justify="left")
    scores.add_column("prediction")
    for metric in metrics:
        scores.add_column(metric, justify="right")
    for who, values in done.scores.items():
        scores.add_row(Text(who), *(f"{values[metric]:.4g}" for metric in metrics))
    if done.folds:
        scores.add_section()
        spread = (
            f"{done.folds[metric].mean():.4g} ± {done.folds[metric].std():.2g}"
            for metric in metrics
        )
        scores.add_row(f"{done.request.model}, {done.request.cv} folds", *spread)
    console.print(scores)

    importances = Table(title="The strongest players by each method", title_justify="left")
    for column in ("method", "players (importance)"):
        importances.add_column(column)
    for name, explanation in done.explanations.items():
        sizes = explanation.importances()
        sizes = sizes.mean(axis=1) if sizes.ndim == 2 else sizes
        strongest = sorted(range(len(sizes)), key=lambda i: -sizes[i])[:3]
        shown = ", ".join(f"{explanation.players.names[i]} ({sizes[i]:.3g})" for i in strongest)
        importances.add_row(readable(name), Text(shown))
    console.print(importances)
    # Not wrapped, so that paths can be copied whole.
    out = done.request.out
    typer.echo(f"The report is in {(out / REPORT).absolute()}")
    typer.echo(f"Beside it: {EXPLANATIONS} (sklexplain plot), {IMPORTANCES}, {MODEL}, {RUN}")
    typer.echo(f"Loading {MODEL} (joblib.load) runs code that is in it: load only what you trust")


@app.command()
def plot(
    explanations: Annotated[
        Path, typer.Argument(help="What `sklexplain explain` or Explanation.save wrote.")
    ],
    out: Annotated[Path, typer.Option(help="Picture to write: .png, .svg or .pdf.")],
    kind: Annotated[
        str, typer.Option(help="auto, importance, sequence, …: an unknown one lists them all.")
    ] = "auto",
    method: Annotated[
        str | None, typer.Option(help="Which explanation of the file; for comparison, which ones.")
    ] = None,
    output: Annotated[str | None, typer.Option(help="Which class or target.")] = None,
    sample: Annotated[
        str | None, typer.Option(help="Which row: its label, or its position from 0.")
    ] = None,
    player: Annotated[str | None, typer.Option(help="Which player, for dependence.")] = None,
    max_display: Annotated[int | None, typer.Option(help="Most players shown.")] = None,
    unit: Annotated[str, typer.Option(help="Of the explained output.")] = "",
    title: Annotated[str | None, typer.Option(help="Above the picture.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    debug: Annotated[bool, _DEBUG] = False,
) -> None:
    """Draw an explanation."""
    with _errors_in_one_line(debug):
        from .plotting import draw

        drawn = draw(
            explanations,
            out,
            kind=kind,
            method=method,
            output=output,
            sample=sample,
            player=player,
            max_display=max_display,
            unit=unit,
            title=title,
        )
        if not quiet:
            typer.echo(drawn)


@app.command()
def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for report.html; made where there is none.")
    ] = Path("sklexplain-demo"),
    debug: Annotated[bool, _DEBUG] = False,
    quick: Annotated[bool, typer.Option("--quick", hidden=True)] = False,
) -> None:
    """Explain a GRU on Google's real share prices and write a page about it."""
    with _errors_in_one_line(debug):
        check_folder(out)
        with _progress() as progress:
            task = progress.add_task("Loading scikit-learn and torch", total=None)

            def on_step(step: str) -> None:
                progress.update(task, description=step)

            from .demo import STEPS, run_demo
            from .demo_page import write_demo_page

            cheap = {"max_epochs": 3, "n_repeats": 2, "n_background": 5, "max_evals": 200}
            done = run_demo(on_step=on_step, **(cheap if quick else {}))
            on_step(STEPS[-1])
            report = write_demo_page(done, out / REPORT)
        _print_results(done)
        # Not wrapped, so that the path can be copied whole.
        typer.echo(f"The report is in {report}")


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
    except KeyboardInterrupt as error:
        if debug:
            raise
        typer.echo("sklexplain: interrupted", err=True)
        raise typer.Exit(130) from error
    except Exception as error:
        if debug:
            raise
        message = " ".join(str(error).split()) or type(error).__name__
        typer.echo(f"sklexplain: {message}", err=True)
        raise typer.Exit(2 if isinstance(error, WrongUsage) else 1) from error
