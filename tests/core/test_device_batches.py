"""What a graphics card needs of the engine, seen on the processor: no batch waits for the host."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from sklexplain import DeepSHAP, KernelSHAP
from sklexplain.core.models import Model
from sklexplain.core.perturb import evaluate
from sklexplain.core.players import make_players
from sklexplain.inference import rows_per_batch

# Each makes the host wait for a card, or sends data over the bus.
WAITING = {
    "item",
    "tolist",
    "cpu",
    "numpy",
    "to",
    "nonzero",
    "__bool__",
    "__int__",
    "__float__",
    "__index__",
    "__array__",
    "equal",
    "allclose",
    "as_tensor",
    "tensor",
    "from_numpy",
    "masked_select",
    "unique",
}


class Waits(TorchFunctionMode):
    """Counts the calls after which host and device have met."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", "")
        # A conversion of the type alone stays where it is.
        moves = name != "to" or any(isinstance(arg, torch.device | str) for arg in args[1:])
        if name in WAITING and moves:
            self.names.append(name)
        return function(*args, **(kwargs or {}))


class Net(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.n_batches = 0
        if kind == "recurrent":
            self.layer = nn.LSTM(2, 4, batch_first=True)
            self.out = nn.Linear(4, 1)
        else:
            self.out = nn.Linear(12, 1)

    def forward(self, x):
        self.n_batches += 1
        if self.kind == "recurrent":
            return self.out(self.layer(x)[0][:, -1])
        return self.out(torch.tanh(x.flatten(1)))


rng = np.random.default_rng(0)
X = rng.normal(size=(8, 6, 2)).astype(np.float32)
background = rng.normal(size=(5, 6, 2)).astype(np.float32)


@pytest.mark.parametrize("kind", ["recurrent", "feed-forward"])
@pytest.mark.parametrize("level", ["cell", "feature"])
@pytest.mark.parametrize("pairing", [None, "one a mask", "one a row"])
def test_waits_do_not_grow_with_the_batches(kind, level, pairing):
    torch.manual_seed(0)
    players = make_players(level, (6, 2))
    coalitions = rng.random((64, players.n_players)) < 0.7
    paired = {"one a mask": rng.integers(5, size=64), "one a row": rng.integers(5, size=(64, 8))}
    counted = []
    for batch_size in (64, 4):
        net = Net(kind)
        with Waits() as waits:
            evaluate(
                Model(net),
                X,
                coalitions,
                background,
                players,
                pairing=paired.get(pairing),
                batch_size=batch_size,
            )
        counted.append((net.n_batches, len(waits.names)))
    (few_batches, few), (many_batches, many) = counted
    assert many_batches > 4 * few_batches
    # Groups of coalitions that start from one state are sent once each, batches never.
    assert many <= few + 4 * 6


@pytest.mark.parametrize("explainer", [KernelSHAP, DeepSHAP])
def test_rows_cross_over_once_a_chunk(explainer):
    torch.manual_seed(0)
    fitted = explainer(
        Net("recurrent"), players="cell", background=background, random_state=0, batch_size=8
    ).fit(X)
    fitted.explain(X)
    with Waits() as few:
        fitted.explain(X)
    with Waits() as many:
        fitted.explain(np.tile(X, (4, 1, 1)))
    per_chunk = 4 if explainer is DeepSHAP else 1
    assert len(many.names) <= per_chunk * len(few.names) + 4 * 6


def test_batches_fill_a_card():
    """Of a gigabyte of activations, where a processor's cache holds four megabytes."""
    net = Net("recurrent")
    on_card = rows_per_batch(net, (6, 2), torch.device("cuda"))
    on_processor = rows_per_batch(net, (6, 2), torch.device("cpu"))
    assert on_card == 2**18
    assert on_processor == 8192
