"""Randomness that a net draws from torch, kept apart from the caller's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_generator_lock = threading.RLock()


@contextmanager
def isolated_seed(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch for the length of a block, and give the caller's generator states back after.

    Initial weights and dropout can only draw from torch's process-wide generators, so two
    threads take turns. ``torch.manual_seed`` is avoided because it also seeds cards that are
    not forked here.
    """
    cards = [device] if device.type == "cuda" else []
    with _generator_lock, torch.random.fork_rng(devices=cards):
        torch.default_generator.manual_seed(seed)
        if cards:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
