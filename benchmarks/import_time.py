"""How long `import sklexplain` takes beside `import sklearn`, each in a process of its own.

python benchmarks/import_time.py [--rounds 5]
"""

from __future__ import annotations

import subprocess
import sys

from comparisons import Comparison, Effort, Side, at_most
from report import run_alone

TITLE = "Import"
NOTE = """
The import alone, in a new process each time, in turn; the start of Python is not counted. The
package loads its names when they are first used: the second line loads three of them, and all of
scikit-learn that they rest on.
"""
CASES = ["import"]
CODE = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
OURS, NAMES, THEIRS = (
    "import sklexplain",
    "from sklexplain import KernelSHAP, LIME, PermutationImportance",
    "import sklearn",
)


def import_seconds(statement: str) -> float:
    command = [sys.executable, "-c", CODE.format(statement)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(_case: str, effort: Effort) -> list[Comparison]:
    statements = (OURS, NAMES, THEIRS)
    times: dict[str, list[float]] = {statement: [] for statement in statements}
    for turn in range(effort.of(2, 1) * effort.n_rounds + 1):
        for statement in statements[:: 1 if turn % 2 else -1]:
            times[statement].append(import_seconds(statement))
    # The first round only fills the disk's cache.
    whole, names, theirs = (Side(statement, times[statement][1:]) for statement in statements)
    return [
        Comparison(OURS, "–", whole, theirs, at_most(1.2)),
        Comparison(NAMES, "–", names, theirs, as_part=True),
    ]


if __name__ == "__main__":
    run_alone(sys.modules[__name__])
