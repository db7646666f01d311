"""Starting from stored states gives what whole passes give, and is left alone where it cannot."""

from unittest.mock import patch

import numpy as np
import pytest
import sklearn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sklexplain import GRUClassifier, LSTMRegressor
from sklexplain.core.device_batches import _DeviceRun
from sklexplain.core.mask_groups import mask_groups
from sklexplain.core.models import Model
from sklexplain.core.perturb import evaluate
from sklexplain.core.players import make_players
from sklexplain.core.prefix import PrefixRunner

N_TIMESTEPS, N_FEATURES = 6, 2


class Net(nn.Module):
    """Recurrent layers, one after the other, and something that reads what they gave."""

    def __init__(self, *layers, before=None, read=None, width=5):
        super().__init__()
        self.before = before
        self.layers = nn.ModuleList(layers)
        self.read = read or (lambda states: states[:, -1])
        self.out = nn.Linear(width, 2)
        self.steps_run = steps_run = []
        for layer in self.layers:
            # A function, which copies of the module share, as they share its parameters.
            layer.register_forward_hook(
                lambda layer, args, output: steps_run.append(args[0].shape[0] * args[0].shape[1])
            )

    def forward(self, x):
        if self.before is not None:
            x = self.before(x)
        for layer in self.layers:
            x, _ = layer(x)
        return self.out(self.read(x))


def rnn(kind, n_inputs=N_FEATURES, **params):
    torch.manual_seed(0)
    params = {"batch_first": True, "hidden_size": 5, **params}
    return getattr(nn, kind)(n_inputs, **params).eval()


class TimeFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = rnn("GRU", batch_first=False)
        self.out = nn.Linear(5, 1)

    def forward(self, x):
        return self.out(self.layer(x.transpose(0, 1))[0][-1])


MODULES = {
    "LSTM": lambda: Net(rnn("LSTM")),
    "two layers": lambda: Net(rnn("LSTM", num_layers=2, dropout=0.5)),
    "GRU, mean over time": lambda: Net(rnn("GRU"), read=lambda states: states.mean(1)),
    "RNN, attention": lambda: Net(
        rnn("RNN"), read=lambda states: (states.softmax(1) * states).sum(1)
    ),
    "stacked": lambda: Net(rnn("LSTM"), rnn("GRU", 5, hidden_size=5)),
    "projected": lambda: Net(rnn("LSTM", proj_size=3), width=3),
    "scaled": lambda: Net(rnn("GRU"), before=lambda x: torch.tanh(3 * x - 1)),
    "time first": TimeFirst,
    "double": lambda: Net(rnn("GRU")).double(),
}

rng = np.random.default_rng(0)
X = rng.normal(size=(5, N_TIMESTEPS, N_FEATURES)).astype(np.float32)
references = rng.normal(size=(4, N_TIMESTEPS, N_FEATURES)).astype(np.float32)
coalitions = rng.random((40, N_TIMESTEPS * N_FEATURES)) < 0.9
cells = make_players("cell", (N_TIMESTEPS, N_FEATURES))


def whole_passes():
    return patch.object(_DeviceRun, "_prefixes", lambda self: (None, []))


def started_runs():
    """Count how many batches start half way."""
    return patch.object(
        PrefixRunner, "states_of", autospec=True, side_effect=PrefixRunner.states_of
    )


@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES.keys())
@pytest.mark.parametrize("pairing", [None, "one a mask", "one a row"])
def test_outputs_are_those_of_whole_passes(make, pairing):
    if pairing == "one a mask":
        pairing = rng.integers(4, size=40)
    elif pairing == "one a row":
        pairing = rng.integers(4, size=(40, 5))
    model = Model(make())
    arguments = (model, X, coalitions, references, cells)
    with started_runs() as states_of:
        outputs = evaluate(*arguments, pairing=pairing, batch_size=16)
    # Once to try the module, once for the rows.
    assert states_of.call_count >= 2
    with whole_passes():
        expected = evaluate(*arguments, pairing=pairing)
    np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-7)


def gated(states):
    # None of the rows that are tried opens the gate.
    opened = (states.abs() > 0.9).any(1).any(1, keepdim=True)
    return states[:, -1] * torch.where(opened, 10.0, 1.0)


READERS = {
    "last two": lambda states: states[:, -2:].sum(1),
    "third": lambda states: states[:, 2],
    "greatest": lambda states: states.amax(1),
    "gated": gated,
    "from the end": lambda states: states[
        torch.arange(len(states)), -1 - (states[:, -1, 0] > 0).long()
    ],
}


@pytest.mark.parametrize("name", READERS)
def test_whatever_reads_the_outputs_has_all_of_them(name):
    module = Net(rnn("LSTM"), read=READERS[name])
    late = np.concatenate([X, 50 * X])
    model = Model(module)
    outputs = evaluate(model, late, coalitions, references, cells)
    with whole_passes():
        expected = evaluate(model, late, coalitions, references, cells)
    np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_packages_own_nets_leave_out_what_they_do_not_read(bidirectional):
    params = {"max_epochs": 1, "early_stopping": False, "device": "cpu", "random_state": 0}
    model = LSTMRegressor(bidirectional=bidirectional, **params)
    module = model.fit(X, X[:, -1, 0]).module_.eval()
    with torch.no_grad():
        runner = PrefixRunner.of(module, torch.tensor(X), torch.tensor(references))
    if bidirectional:
        assert runner is None
    else:
        assert runner.omits_outputs
        assert PrefixRunner.again(module, runner.structure).omits_outputs


def test_rows_that_do_not_change_prove_nothing():
    class Centred(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.out = rnn("LSTM"), nn.Linear(5, 1)

        def forward(self, x):
            return self.out(self.layer(x - x.mean(1, keepdim=True))[0][:, -1])

    torch.manual_seed(0)
    module = Centred().eval()
    padded, fewer = X.copy(), references.copy()
    padded[:, N_TIMESTEPS // 2 :] = fewer[:, N_TIMESTEPS // 2 :] = 0
    outputs = evaluate(Model(module), padded, coalitions, fewer, cells)
    with whole_passes():
        expected = evaluate(Model(module), padded, coalitions, fewer, cells)
    np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-7)


@given(
    st.sampled_from(["cell", "timestep", "feature", "pruned"]),
    st.floats(0.0, 1.0),
    st.integers(1, 50),
    st.sampled_from([1, 7, "auto"]),
    st.sampled_from([None, "mask", "row"]),
    st.integers(0, 2**16),
)
@settings(max_examples=60, deadline=None)
def test_any_players_and_coalitions(level, share, n_masks, batch_size, pairing, seed):
    draws = np.random.default_rng(seed)
    if level == "pruned":
        labels = np.repeat([0, 0, 0, 0, 1, 2], N_FEATURES).reshape(N_TIMESTEPS, N_FEATURES)
        players = make_players(labels, (N_TIMESTEPS, N_FEATURES))
    else:
        players = make_players(level, (N_TIMESTEPS, N_FEATURES))
    masks = draws.random((n_masks, players.n_players)) < share
    shapes = {None: None, "mask": n_masks, "row": (n_masks, len(X))}
    paired = None if pairing is None else draws.integers(4, size=shapes[pairing])
    model = Model(MODULES["two layers"]())
    arguments = {"pairing": paired, "batch_size": batch_size}
    outputs = evaluate(model, X, masks, references, players, **arguments)
    with whole_passes():
        expected = evaluate(model, X, masks, references, players, **arguments)
    np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-7)


class TestSaving:
    @pytest.mark.parametrize(("old_present", "most"), [(True, 0.6), (False, 0.6)])
    def test_pruned_steps_are_run_once(self, old_present, most):
        """A group of old steps is the row's or the reference's: either way its state is known."""
        labels = np.repeat([0, 0, 0, 0, 1, 2], N_FEATURES).reshape(N_TIMESTEPS, N_FEATURES)
        players = make_players(labels, (N_TIMESTEPS, N_FEATURES))
        masks = np.random.default_rng(0).random((200, 3)) < 0.5
        masks[:, 0] = old_present
        net = Net(rnn("LSTM"))
        pairing = np.arange(200) % 4
        evaluate(Model(net), X, masks, references, players, pairing=pairing, batch_size=64)
        assert sum(net.steps_run) < most * len(X) * 200 * N_TIMESTEPS

    def test_single_cells_take_about_half_the_steps(self):
        net = Net(rnn("LSTM"))
        masks = np.tile(~np.eye(12, dtype=bool), (20, 1))
        pairing = np.arange(240) % 4
        evaluate(Model(net), X, masks, references, cells, pairing=pairing, batch_size=64)
        share = sum(net.steps_run) / (len(X) * 240 * N_TIMESTEPS)
        # (1 + … + 6) / 36 of the steps, and what it takes to store the states.
        assert 0.58 < share < 0.65

    def test_working_memory_bounds_the_states(self):
        model = Model(Net(rnn("LSTM")))
        with sklearn.config_context(working_memory=0.002):
            outputs = evaluate(model, X, coalitions, references, cells, batch_size=16)
        with whole_passes():
            expected = evaluate(model, X, coalitions, references, cells)
        np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-7)


class TwoCalls(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = rnn("GRU")

    def forward(self, x):
        return self.layer(x)[0][:, -1] + self.layer(2 * x)[0][:, -1]


class GivenState(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = rnn("GRU")

    def forward(self, x):
        return self.layer(x, x.mean((1, 2)).expand(1, 5, -1).transpose(1, 2).contiguous())[0][:, -1]


class SkipsTheLayer(nn.Module):
    """Reads the sequence a second time, past the layer: correct from any start."""

    def __init__(self):
        super().__init__()
        self.layer = rnn("GRU")

    def forward(self, x):
        return self.layer(x)[0][:, -1] + x.sum((1, 2))[:, None]


UNSUITED = {
    "bidirectional": lambda: Net(rnn("LSTM", bidirectional=True), width=10),
    "called twice": TwoCalls,
    "given a state": GivenState,
    "scaled by its window": lambda: Net(rnn("GRU"), before=lambda x: x - x.mean(1, keepdim=True)),
    "reversed": lambda: Net(rnn("GRU"), before=lambda x: x.flip(1)),
    "coarser steps": lambda: Net(rnn("GRU"), before=lambda x: x[:, ::2]),
    "no layer": lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 1)),
}


@pytest.mark.parametrize("make", UNSUITED.values(), ids=UNSUITED.keys())
def test_modules_that_cannot_be_started_half_way_are_run_whole(make):
    module = make()
    with torch.inference_mode():
        assert PrefixRunner.of(module, torch.tensor(X), torch.tensor(references)) is None
    model = Model(module)
    outputs = evaluate(model, X, coalitions, references, cells, batch_size=16)
    with whole_passes():
        expected = evaluate(model, X, coalitions, references, cells, batch_size=16)
    np.testing.assert_array_equal(outputs, expected)


def test_a_module_that_also_reads_past_the_layer_is_right():
    model = Model(SkipsTheLayer())
    outputs = evaluate(model, X, coalitions, references, cells, batch_size=16)
    with whole_passes():
        expected = evaluate(model, X, coalitions, references, cells)
    np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("flat", [False, True])
def test_the_packages_own_nets(flat):
    y = X.sum((1, 2))
    rows, others = (a.reshape(len(a), -1) if flat else a for a in (X, references))
    params = {"max_epochs": 2, "hidden_size": 4, "early_stopping": False, "random_state": 0}
    params["n_timesteps"] = N_TIMESTEPS if flat else None
    players = make_players("column", (12,)) if flat else cells
    for net in (LSTMRegressor(**params).fit(rows, y), GRUClassifier(**params).fit(rows, y > 0)):
        model = Model(net)
        with started_runs() as states_of:
            outputs = evaluate(model, rows, coalitions, others, players, batch_size=16)
        assert states_of.call_count >= 2
        with whole_passes():
            expected = evaluate(model, rows, coalitions, others, players)
        np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-7)


def test_threads_do_not_disturb_one_another():
    model = Model(Net(rnn("LSTM", num_layers=2)))
    rows = np.tile(X, (20, 1, 1)) + np.arange(100)[:, None, None].astype(np.float32) / 50
    outputs = evaluate(model, rows, coalitions, references, cells, n_jobs=3, batch_size=16)
    with whole_passes():
        expected = evaluate(model, rows, coalitions, references, cells)
    np.testing.assert_allclose(outputs, expected, rtol=1e-6, atol=1e-7)


class TestGroups:
    labels = np.repeat(np.arange(4), 2)

    def test_every_coalition_is_in_one_group_that_it_may_start_from(self):
        masks = np.random.default_rng(0).random((50, 4)) < 0.5
        groups = mask_groups(masks, self.labels, 4, 1)
        positions = np.concatenate([group.masks for group in groups])
        assert sorted(positions) == list(range(50))
        for group in groups:
            assert (masks[group.masks, : group.lead] == group.own).all()

    def test_small_groups_join_those_that_start_earlier(self):
        masks = ~np.eye(4, dtype=bool)
        groups = mask_groups(masks, self.labels, 4, 2)
        assert [(group.lead, sorted(group.masks)) for group in groups] == [
            (2, [2, 3]),
            (0, [0, 1]),
        ]

    def test_nothing_to_save(self):
        assert mask_groups(np.zeros((5, 1), dtype=bool), np.zeros(8, dtype=int), 4, 1) != []
        mixed = np.tile([0, 1], 4)
        assert mask_groups(np.array([[True, False]] * 5), mixed, 4, 1) == []
