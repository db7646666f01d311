"""Where the time of a run goes, in words."""

from __future__ import annotations

import cProfile
import pstats
from collections import Counter
from collections.abc import Callable
from pathlib import Path

N_SHOWN, LEAST_SHARE = 6, 0.03


def profiled(run: Callable[[], object]) -> str:
    """Return the functions that most of a run's own time is spent in, with their shares.

    What a compiled function takes counts as its own where Python sees it (torch's operations), and
    else as that of the function that called it (a tree's `predict`, arithmetic of arrays).
    """
    profile = cProfile.Profile()
    profile.runcall(run)
    own: Counter[str] = Counter()
    for (file, _, name), (_, _, seconds, _, _) in pstats.Stats(profile).stats.items():
        own[_called(file, name)] += seconds
    total = sum(own.values())
    shares = [(name, seconds / total) for name, seconds in own.most_common(N_SHOWN)]
    told = [f"`{name}` {share:.0%}" for name, share in shares if share >= LEAST_SHARE]
    return ", ".join(told)


def _called(file: str, name: str) -> str:
    """Return what a function is called: its module and its name."""
    if file == "~":
        # Of the kinds {built-in method torch.lstm} and {method 'sub' of 'torch._C.TensorBase'}.
        words = name.strip("<>{}").replace("'", "").split()
        if words[:2] == ["built-in", "method"]:
            return words[2]
        owner = words[3] if len(words) > 3 else ""
        return f"{owner.split('.')[0]}.{words[1]}" if owner else name
    path = Path(file).with_suffix("")
    parts = path.parts
    for root in ("site-packages", "sklexplain"):
        if root in parts:
            # The last of the name: the package may lie in a folder of its name.
            start = len(parts) - 1 - parts[::-1].index(root) + (root == "site-packages")
            return ".".join([*parts[start:], name])
    return f"{path.name}.{name}"
