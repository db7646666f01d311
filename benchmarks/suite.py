"""Everything side by side: measures every section and writes RESULTS.md and results.json.

One process, fixed threads, runs that take turns; the files are written anew after every case, so
that one that fails or kills the process loses nothing of the others.

    python benchmarks/suite.py [--quick] [--rounds 5] [--only deep_shap,lime_speed]
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import time
from datetime import date
from pathlib import Path

from comparisons import Comparison, Effort
from report import Section, fix_threads, measured, quiet
from side_by_side import machine, table, versions

HERE = Path(__file__).parent
QUICK = HERE.parent / "build" / "bench-quick"
SECTIONS = [
    "time_to_error",
    "deep_shap",
    "lime_speed",
    "permutation_speed",
    "stored_states",
    "engine_overhead",
    "method_overhead",
    "fit_recurrent",
    "predict_recurrent",
    "import_time",
    "growth",
]
PACKAGES = [
    "numpy", "scipy", "scikit-learn", "torch", "skorch", "shap", "lime", "captum", "shapiq",
]  # fmt: skip
LEGEND = """\
Everything ran in one process with {threads} thread(s) for torch and BLAS, unless a line says
otherwise. What is compared takes turns, {rounds} times; the ratio is the median of the ratios
within the rounds, with the smallest and the largest in brackets. *equal* says what is the same on
both sides: the samples, or the error that both reached. Cells with a slash are ours / theirs.
"within the spread": the median misses the goal, and not every round does; "even": slower by no
more than 5 %, which is what two runs of the same may differ by."""
QUICK_LEGEND = """\
**A quick look**: fewer rows, cases and rounds than `make bench`, and not to be quoted."""


def overview(sections: list[Section]) -> str:
    """Return the lines that have a goal, in brief."""
    rows = []
    for section in sections:
        for line in section.lines:
            if not isinstance(line, Comparison):
                rows.append([section.title, *line.brief()])
            elif line.goal is not None:
                median = statistics.median(line.ratios)
                against = f"{line.work}; {line.theirs.name}"
                rows.append([section.title, against, str(line.goal), f"{median:.2f}", line.reached])
        rows += [[section.title, case, "", "", "**failed**"] for case in section.failures]
    return table(["what", "against", "goal", "measured", "reached"], rows)


def write(folder: Path, sections: list[Section], options: argparse.Namespace, seconds: float):
    """Write both files; what is there is replaced at once, never half."""
    about = machine(options.threads)
    installed = versions(*PACKAGES)
    text = [
        "# Side by side",
        *([QUICK_LEGEND.replace("\n", " ")] if options.quick else []),
        f"{about}; {installed}. {date.today().isoformat()}, {seconds / 60:.1f} minutes. "
        f"`make bench{'-quick' if options.quick else ''}` measures all of it anew.",
        LEGEND.format(threads=options.threads, rounds=options.rounds).replace("\n", " "),
        "## In brief",
        overview(sections),
        *(section.markdown() for section in sections),
    ]
    record = {
        "machine": about,
        "versions": installed,
        "date": date.today().isoformat(),
        "seconds": round(seconds, 1),
        "threads": options.threads,
        "rounds": options.rounds,
        "quick": options.quick,
        "sections": [section.record() for section in sections],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("RESULTS.md", "\n\n".join(text) + "\n"),
        ("results.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n"),
    ):
        partial = folder / f"{name}.partial"
        partial.write_text(content, encoding="utf-8")
        os.replace(partial, folder / name)


def run(options: argparse.Namespace) -> list[Section]:
    """Measure the sections that were asked for, and write them as they grow."""
    effort = Effort(options.rounds, options.quick)
    start = time.perf_counter()
    sections: list[Section] = []
    for key in options.only:
        try:
            module = importlib.import_module(key)
        except Exception as error:
            sections.append(Section(key, key, failures={key: f"{type(error).__name__}: {error}"}))
            continue
        for n, section in enumerate(measured(module, effort)):
            if n == 0:
                sections.append(section)
            seconds = time.perf_counter() - start
            write(options.out, sections, options, seconds)
            print(f"{seconds:5.0f} s  {section.title}, {n + 1} measured", flush=True)
    write(options.out, sections, options, time.perf_counter() - start)
    return sections


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options with their defaults."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rows, cases and rounds")
    parser.add_argument("--rounds", type=int, help="timed pairs of each comparison")
    parser.add_argument("--threads", type=int, default=1, help="of torch and BLAS")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas between")
    parser.add_argument("--out", type=Path, help="the folder of RESULTS.md and results.json")
    options = parser.parse_args(arguments)
    options.only = options.only.split(",")
    if options.rounds is None:
        options.rounds = 2 if options.quick else 5
    if options.out is None:
        # A part of the sections, or a quick look at them, must not stand for the whole.
        whole = not options.quick and options.only == SECTIONS
        options.out = HERE if whole else QUICK
    return options


def main(arguments: list[str] | None = None) -> None:
    options = parsed(arguments)
    fix_threads(options.threads)
    import torch

    torch.set_num_threads(options.threads)
    quiet()
    sections = run(options)
    print((options.out / "RESULTS.md").read_text(encoding="utf-8"))
    failed = sum(len(section.failures) for section in sections)
    if failed:
        raise SystemExit(f"{failed} case(s) failed; the others are in {options.out}")


if __name__ == "__main__":
    main()
