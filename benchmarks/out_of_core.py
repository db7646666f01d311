"""Memory of explaining a million memory-mapped windows in batches, beside that of ten thousand.

Run as ``python benchmarks/out_of_core.py``, for a minute or two; each run has a process of its own.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from side_by_side import machine, publish, table, versions

SHAPE = (8, 3)
N_BACKGROUND = 4
BATCH_ROWS = 5_000
SIZES = (10_000, 1_000_000)
SEED = 0


def write_windows(path, n_rows):
    """Write random windows to a file without holding them all."""
    rng = np.random.default_rng(SEED)
    windows = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, *SHAPE))
    for start in range(0, n_rows, BATCH_ROWS):
        windows[start : start + BATCH_ROWS] = rng.normal(size=(BATCH_ROWS, *SHAPE))
    windows.flush()


def explainer_of(method, background):
    """Return a fitted explainer of a small net or of a cheap function."""
    import torch

    from sklexplain import DeepSHAP, KernelSHAP

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    if method == "KernelSHAP":

        def cheap(windows):
            return windows[:, -1, 0] * windows[:, 0, 1] + windows[:, :, 2].sum(axis=1)

        return KernelSHAP(cheap, background=background, random_state=SEED).fit(background)
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(24, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1)
    )
    return DeepSHAP(net, background=background).fit(background)


def held_mib(kind):
    """Return a line of what the kernel says of this process, such as VmHWM or RssAnon."""
    status = Path("/proc/self/status").read_text()
    values = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if "kB" in line}
    return int(values[kind]) / 1024


class OwnPeak:
    """The most memory of its own that the process held, looked at every ten milliseconds.

    The whole peak counts the pages of the mapped file as well, which the kernel keeps for as long
    as nobody else needs the memory.
    """

    def __init__(self):
        self.over = threading.Event()
        self.mib = held_mib("RssAnon")
        self.watcher = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        """Look until told to stop."""
        while not self.over.wait(0.01):
            self.mib = max(self.mib, held_mib("RssAnon"))

    def __enter__(self):
        self.watcher.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self.watcher.join()


def run_one(method, kind, n_rows, folder):
    """Explain the first rows of the file, write parts, and print what it took."""
    from sklexplain.core.explanation_parts import write_parts

    windows = np.load(Path(folder) / "windows.npy", mmap_mode="r")[:n_rows]
    explainer = explainer_of(method, np.array(windows[:N_BACKGROUND]))
    # What is loaded with the first call is none of the rows' business.
    explainer.explain(np.array(windows[:10]))
    began, before = time.perf_counter(), held_mib("RssAnon")
    parts = Path(folder) / f"{method}-{kind}-{n_rows}"
    batches = explainer.explain_batches(windows, batch_rows=BATCH_ROWS)
    with OwnPeak() as own:
        paths = write_parts(parts, batches, format=kind)
    size = sum(path.stat().st_size for path in paths)
    report = {
        "seconds": time.perf_counter() - began,
        "before": before,
        "peak": own.mib,
        "whole": held_mib("VmHWM"),
        "files": len(paths),
        "mib": size / 2**20,
    }
    print(json.dumps(report))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--run", nargs=4, help="method, kind, rows, folder: one run, in this process"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    if options.run:
        method, kind, n_rows, folder = options.run
        run_one(method, kind, int(n_rows), folder)
        return
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        write_windows(Path(folder) / "windows.npy", max(options.sizes))
        for method, kind in (("DeepSHAP", "npz"), ("KernelSHAP", "parquet")):
            for n_rows in options.sizes:
                command = [sys.executable, __file__, "--run", method, kind, str(n_rows), folder]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found = json.loads(done.stdout)
                lines.append(
                    [
                        f"{method}, {kind}",
                        f"{n_rows:,}",
                        f"{found['before']:.0f}",
                        f"{found['peak']:.0f}",
                        f"{found['whole']:.0f}",
                        f"{n_rows / found['seconds']:,.0f}",
                        f"{found['files']:,}",
                        f"{found['mib']:.1f}",
                    ]
                )
    publish(
        "out_of_core",
        "# Memory of explaining more windows than it holds",
        f"{machine(1)}; {versions('torch', 'numpy')}.",
        f"Windows of {SHAPE[0]} × {SHAPE[1]} in float32, read from a `numpy.memmap` in batches of "
        f"{BATCH_ROWS:,} by `explain_batches` and written by `write_parts` as they come; "
        f"{N_BACKGROUND} background rows. DeepSHAP explains a small feed-forward net by its three "
        "features, KernelSHAP a cheap function of the windows, exactly. \"Before\" is what the "
        "process held once ten rows had been explained, \"own peak\" the most that it held after, "
        "looked at every 10 ms, and \"with the file\" the kernel's record of the whole (VmHWM): it "
        "counts the pages of the mapped file, which stay until others need the memory.",
        table(
            ["method, parts", "rows", "before, MiB", "own peak, MiB", "with the file, MiB",
             "rows/s", "files", "files, MiB"],
            lines,
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
