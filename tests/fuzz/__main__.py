"""Run the fuzz tests on new examples until the time is over: `python -m tests.fuzz --seconds 600`.

The seed is printed first; with `--seed` the same examples come again.
"""

from __future__ import annotations

import argparse
import itertools
import os
import secrets
import sys
import time

from hypothesis import seed

N_EXAMPLES = 40
# Read when the tests are imported: their settings cannot be changed after.
os.environ |= {"SKLEXPLAIN_FUZZ_EXAMPLES": str(N_EXAMPLES), "SKLEXPLAIN_FUZZ_DRAW": "new"}

from tests.fuzz import test_fuzz  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    start = secrets.randbelow(10**6) if options.seed is None else options.seed
    tests = {name: test for name, test in vars(test_fuzz).items() if name.startswith("test_")}
    print(f"fuzzing {len(tests)} tests for {options.seconds:g} s, seed {start}", flush=True)
    began = time.monotonic()
    n_examples = 0
    for number in itertools.count(start):
        for name, test in tests.items():
            if time.monotonic() - began > options.seconds:
                print(f"nothing found in {n_examples} examples, seeds {start} to {number}")
                return 0
            try:
                seed(number)(test)()
            except BaseException:
                print(f"{name} failed: python -m tests.fuzz --seed {number}", flush=True)
                raise
            n_examples += N_EXAMPLES
    return 0


if __name__ == "__main__":
    sys.exit(main())
