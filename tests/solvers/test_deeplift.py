"""DeepLIFT against hand computations, peers and the properties that it must have."""

import copy
import gc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from sklexplain.solvers.deeplift import deeplift, deeplift_pairs
from sklexplain.solvers.deeplift_tape import Tape, UnsupportedOperationError

from .deeplift_nets import FEATURES, STEPS, Call, HandWritten, Last, mlp, ready

LIMITS = {torch.float32: 1e-5, torch.float64: 1e-10}


@pytest.fixture(autouse=True)
def _one_thread():
    # Nets this small only wait for a second thread.
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def rows(n, shape=(STEPS, FEATURES), dtype=torch.float64, seed=1):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def assert_complete(module, X, references, **kwargs):
    result = deeplift(module, X, references, **kwargs)
    assert torch.isfinite(result.values).all()
    assert result.relative_gap <= LIMITS[X.dtype]
    total = result.values.flatten(1, -2).sum(1)
    expected = result.outputs - result.reference_outputs.mean(0)
    scale = result.distances.max()
    torch.testing.assert_close(total / scale, expected / scale, rtol=0, atol=LIMITS[X.dtype])
    return result


ACTIVATIONS = [
    nn.ReLU(inplace=True), nn.LeakyReLU(0.1), nn.ELU(), nn.GELU(), nn.GELU("tanh"), nn.SiLU(),
    nn.Softplus(), nn.Sigmoid(), nn.Tanh(), nn.Hardsigmoid(), nn.SELU(), nn.Mish(), nn.ReLU6(),
    nn.Hardtanh(), nn.LogSigmoid(), nn.Softsign(), nn.PReLU(), nn.Hardswish(), nn.CELU(),
    nn.Softmax(-1), nn.LogSoftmax(-1), nn.LayerNorm(6), nn.Dropout(0.5), nn.Softshrink(),
    nn.Tanhshrink(), nn.GLU(), nn.RMSNorm(6), nn.BatchNorm1d(6), nn.Identity(), nn.Softmin(-1),
]  # fmt: skip
RECURRENT = st.builds(
    lambda kind, **params: kind(FEATURES, 4, batch_first=True, **params),
    st.sampled_from([nn.LSTM, nn.GRU, nn.RNN]),
    num_layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    bias=st.booleans(),
) | st.sampled_from(
    [
        nn.LSTM(FEATURES, 4, 2, batch_first=True, proj_size=2, bidirectional=True),
        nn.RNN(FEATURES, 4, 2, batch_first=True, nonlinearity="relu"),
        nn.GRU(FEATURES, 4, 2, batch_first=True, dropout=0.5),
        HandWritten(nn.LSTM(FEATURES, 4)),
        HandWritten(nn.GRU(FEATURES, 4)),
    ]
)
CONVOLUTIONS = st.builds(
    lambda kernel, stride, dilation, pool, act: nn.Sequential(
        nn.Conv1d(STEPS, 4, kernel, stride, padding=2, dilation=dilation), act, pool,
        nn.BatchNorm1d(4), nn.Flatten(), nn.LazyLinear(2)
    ),
    st.integers(1, 3), st.integers(1, 2), st.integers(1, 2),
    st.sampled_from([nn.MaxPool1d(2), nn.AvgPool1d(2), nn.AdaptiveMaxPool1d(2),
                     nn.AdaptiveAvgPool1d(2), nn.MaxPool1d(2, 1, 1)]),
    st.sampled_from(ACTIVATIONS[:6]),
)  # fmt: skip
TRANSFORMERS = st.builds(
    lambda first, act: Call(
        lambda X, layer, out: out(layer(X).mean(1)),
        nn.TransformerEncoderLayer(FEATURES, 1, 5, norm_first=first, activation=act,
                                   batch_first=True),
        nn.Linear(FEATURES, 2),
    ),
    st.booleans(),
    st.sampled_from(["relu", "gelu"]),
)  # fmt: skip
NETS = (
    st.lists(st.sampled_from(ACTIVATIONS[:24]), min_size=1, max_size=3).map(lambda a: mlp(*a))
    | RECURRENT.map(Last)
    | CONVOLUTIONS
    | TRANSFORMERS
)


@settings(max_examples=100, deadline=None)
@given(
    net=NETS,
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 10_000),
    scale=st.sampled_from([0.5, 1.0, 3.0]),
    spread=st.sampled_from([1e-2, 1.0, 5.0]),
)
def test_complete_for_random_nets_and_inputs(net, dtype, seed, scale, spread):
    module = ready(net, dtype, seed, scale)
    X = rows(3, dtype=dtype, seed=seed) * spread
    references = rows(4, dtype=dtype, seed=seed + 1) * spread
    references[0, 1] = X[0, 1]  # cells without any distance
    result = deeplift(module, X, references)
    assert torch.isfinite(result.values).all()
    # The outputs are rounded themselves, which their distances show where these are far smaller.
    with torch.no_grad():
        exact = copy.deepcopy(module).double()(torch.cat([X, references]).double())
    rounding = (torch.cat([result.outputs, result.reference_outputs]) - exact).abs().max()
    rounding = rounding + torch.finfo(dtype).eps * exact.abs().max()
    assert result.gaps.max() <= LIMITS[dtype] * result.distances.max() + 8 * rounding


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: type(a).__name__)
def test_every_activation_is_complete(activation, dtype):
    assert_complete(ready(mlp(activation), dtype), rows(4, dtype=dtype), rows(5, dtype=dtype))


def test_multipliers_of_a_small_net_by_hand():
    # y = relu(2a - b) * 3 against the reference (0, 0): m = 3 · Δrelu/Δin · weight.
    net = nn.Sequential(nn.Linear(2, 1), nn.ReLU(), nn.Linear(1, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[2.0, -1.0]]))
        net[0].bias.fill_(-1.0)
        net[2].weight.fill_(3.0)
    result = deeplift(net, torch.tensor([[2.0, 1.0]]), torch.zeros(1, 2))
    # The argument goes from -1 to 2, the relu from 0 to 2: two thirds.
    expected = torch.tensor([[[3 * 2 / 3 * 4.0], [3 * 2 / 3 * -1.0]]])
    torch.testing.assert_close(result.values, expected)


def test_product_is_the_shapley_value_of_two_players():
    net = Call(lambda X: X[:, :1] * X[:, 1:])
    x, r = torch.tensor([[3.0, 5.0]]), torch.tensor([[1.0, 2.0]])
    values = deeplift(net, x, r).values[0, :, 0]
    torch.testing.assert_close(values, torch.tensor([(3 - 1) * 3.5, (5 - 2) * 2.0]))


def test_one_step_of_a_gate_by_hand():
    # h = σ(a)·tanh(b) from (a₀, b₀): each factor's secant times the mean of the other.
    net = Call(lambda X: torch.sigmoid(X[:, :1]) * torch.tanh(X[:, 1:]))
    x, r = rows(1, (2,)), rows(1, (2,), seed=2)
    (s, t), (s0, t0) = [(torch.sigmoid(v[0, 0]), torch.tanh(v[0, 1])) for v in (x, r)]
    expected = torch.stack([(s - s0) * (t + t0) / 2, (t - t0) * (s + s0) / 2])
    torch.testing.assert_close(deeplift(net, x, r).values[0, :, 0], expected)


def test_linear_nets_are_exact():
    net = ready(Last(Call(lambda X, layer: (layer(X),), nn.Linear(FEATURES, 4))))
    X, references = rows(3), rows(6, seed=2)
    result = deeplift(net, X, references)
    X.requires_grad_()
    for output in range(2):
        (weights,) = torch.autograd.grad(net(X)[:, output].sum(), X)
        exact = weights * (X - references.mean(0))
        torch.testing.assert_close(result.values[..., output], exact.detach())


def test_a_cell_that_the_net_ignores_gets_nothing():
    net = ready(
        Call(lambda X, rest: rest(X[:, 1:])[0][:, -1], nn.LSTM(FEATURES, 4, batch_first=True))
    )
    values = deeplift(net, rows(3), rows(4, seed=2)).values
    assert (values[:, 0] == 0).all()
    assert (values[:, 1:] != 0).any()


def test_symmetric_inputs_get_equal_shares():
    net = Call(lambda X: torch.tanh(X[:, :1] * 2 + X[:, 1:] * 2) ** 2)
    x, r = torch.full((1, 2), 0.7), torch.full((1, 2), -0.2)
    values = deeplift(net, x, r).values[0, :, 0]
    torch.testing.assert_close(values[0], values[1])


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn", "relu"])
def test_fused_layers_agree_with_hand_written_loops(kind):
    layer = {
        "lstm": nn.LSTM(FEATURES, 4, batch_first=True),
        "gru": nn.GRU(FEATURES, 4, batch_first=True),
        "rnn": nn.RNN(FEATURES, 4, batch_first=True),
        "relu": nn.RNN(FEATURES, 4, batch_first=True, nonlinearity="relu"),
    }[kind]
    for dtype, atol in ((torch.float32, 1e-6), (torch.float64, 1e-10)):
        net = ready(Last(layer), dtype)
        fused_layer = net.recurrent
        X, references = rows(4, dtype=dtype), rows(5, dtype=dtype, seed=2)
        fused = deeplift(net, X, references).values
        net.recurrent = HandWritten(fused_layer)
        by_hand = deeplift(net, X, references).values
        torch.testing.assert_close(fused, by_hand, rtol=0, atol=atol * float(fused.abs().max()))


def test_stacked_bidirectional_layers_agree_with_single_ones():
    net = ready(Last(nn.LSTM(FEATURES, 4, 2, batch_first=True, bidirectional=True, proj_size=3)))
    both = net.recurrent

    def one_way(X, place, layer):
        single = nn.LSTM(X.shape[-1], 4, batch_first=True, proj_size=3).to(X.dtype)
        suffix = f"_l{layer}" + ("_reverse" if place else "")
        names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"]
        for name in names:
            setattr(single, f"{name}_l0", getattr(both, name + suffix))
        return single(X.flip(1))[0].flip(1) if place else single(X)[0]

    def by_parts(X, output):
        for layer in range(2):
            X = torch.cat([one_way(X, 0, layer), one_way(X, 1, layer)], -1)
        return output(X[:, -1])

    X, references = rows(3), rows(4, seed=2)
    values = deeplift(net, X, references).values
    torch.testing.assert_close(values, deeplift(Call(by_parts, net.output), X, references).values)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_initial_states_may_depend_on_the_input(kind, batch_first):
    def encode_decode(X, encoder, decoder, output):
        X = X if batch_first else X.transpose(0, 1)
        _, state = encoder(X)
        Y, state = decoder(X.flip(0 if not batch_first else 1), state)
        hidden = state[0] if isinstance(state, tuple) else state
        return output(torch.cat([hidden[-1], Y.mean(1 if batch_first else 0)], 1))

    layers = [kind(FEATURES, 4, batch_first=batch_first) for _ in range(2)]
    net = ready(Call(encode_decode, *layers, nn.Linear(8, 2)))
    assert_complete(net, rows(3), rows(4, seed=2))


def test_given_constant_initial_states_and_2d_input():
    def forward(X, layer):
        states = torch.ones(1, X.shape[0], 4, dtype=X.dtype)
        flat, _ = layer(X[0])  # as one unbatched sequence
        return layer(X, states)[0][:, -1] + flat[-1]

    net = ready(Call(forward, nn.GRU(FEATURES, 4, batch_first=True)))
    with pytest.raises(UnsupportedOperationError, match="affect each other"):
        deeplift(net, rows(3), rows(4, seed=2))
    net.function = lambda X, layer: layer(X, torch.ones(1, len(X), 4, dtype=X.dtype))[0][:, -1]
    assert_complete(net, rows(3), rows(4, seed=2))


def test_cells():
    def forward(X, lstm, gru, rnn):
        state = None
        for X_t in X.unbind(1):
            state = lstm(X_t, state)
        return rnn(gru(state[0], state[1]))

    cells = nn.LSTMCell(FEATURES, 4), nn.GRUCell(4, 4), nn.RNNCell(4, 2, nonlinearity="relu")
    assert_complete(ready(Call(forward, *cells)), rows(3), rows(4, seed=2))


def test_functions_of_torch():
    def forward(X):
        a, b = X[..., 0], X[..., 1:].sum(-1)
        positive = 0.5 + b**2
        c = torch.zeros_like(a)
        c[:, 1:] = a[:, :-1]
        c += positive
        d = a.clone()
        d[:, 0].mul(2)
        d.clamp_(-1, 1).sub_(b)
        return torch.stack(
            [
                (a / positive).sum(1), torch.log(positive).sum(1), positive.sqrt().mean(1),
                torch.rsqrt(positive).sum(1), (positive**1.5).sum(1), (2**a).sum(1),
                torch.einsum("nt,nt->n", a, b), torch.bmm(X, X.mT).flatten(1).sum(1),
                torch.matmul(X, X.transpose(1, 2))[:, 0, 1], a.max(1).values, b.min(1)[0],
                torch.amax(X, (1, 2)), torch.maximum(a, b).sum(1), X.std(1).sum(1),
                torch.logsumexp(X, (1, 2)), X.norm(dim=2).sum(1), (c * d).sum(1), d.abs().sum(1),
                F.normalize(X, dim=-1)[:, 0, 0], F.cosine_similarity(a, b), (1 - a).cumsum(1)[:, 2],
                torch.where(torch.arange(STEPS) > 2, a, b).sum(1), a.exp().sum(1).log1p(),
                F.pad(X, (1, 1), value=2.0)[:, 0].sum(1), X.var((1, 2)), a[:, 0].expm1().abs(),
                F.scaled_dot_product_attention(X, X, X, is_causal=True)[:, -1, 0],
                X.reshape(-1, FEATURES).tanh().view(len(X), -1)[:, 3], torch.minimum(a, b).sum(1),
                torch.lerp(a, b, 0.3).relu().sum(1), torch.addcmul(a, b, b, value=0.5).sum(1),
                F.gelu(torch.cat(torch.unbind(X, 2), 1))[:, 7], F.glu(X[:, :4], 1)[:, 1, 1],
                torch.squeeze(X[:, :1, :1]).exp().reshape(-1),
                F.silu(a).sum(1) / F.softplus(b).sum(1), 2 / positive[:, 0], 1 - a[:, 1],
            ],
            dim=1,
        )  # fmt: skip

    for dtype in LIMITS:
        assert_complete(Call(forward), rows(4, dtype=dtype), rows(3, dtype=dtype, seed=2))


def test_attention_masks_and_weights():
    mask = nn.Transformer.generate_square_subsequent_mask(STEPS, dtype=torch.float64)

    def forward(X, attention):
        attended, weights = attention(X, X, X, attn_mask=mask.to(X.dtype))
        return torch.cat([attended[:, -1], weights[:, -1]], 1)

    net = ready(Call(forward, nn.MultiheadAttention(FEATURES, 3, batch_first=True)))
    assert_complete(net, rows(3), rows(4, seed=2))


def test_groups_channels_and_two_dimensions():
    net = nn.Sequential(
        nn.Unflatten(1, (1, STEPS)), nn.Conv2d(1, 4, (2, 1)), nn.GroupNorm(2, 4), nn.ReLU(),
        nn.MaxPool2d((2, 1)), nn.InstanceNorm2d(4, affine=True), nn.ConvTranspose2d(4, 2, 2),
        nn.AdaptiveMaxPool2d(2), nn.AvgPool2d(1), nn.Flatten(), nn.LazyLinear(2),
    )  # fmt: skip
    assert_complete(ready(net), rows(3), rows(4, seed=2))


PEERS = {
    "relu": lambda: mlp(nn.ReLU(), nn.ReLU()),
    "tanh": lambda: mlp(nn.Tanh(), nn.Tanh()),
    "conv1d": lambda: nn.Sequential(
        nn.Conv1d(STEPS, 4, 2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3), nn.Sigmoid(),
        nn.Linear(3, 2),
    ),
    "pooled1d": lambda: nn.Sequential(
        nn.Conv1d(STEPS, 4, 2), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten(), nn.LazyLinear(2)
    ),
    "pooled2d": lambda: nn.Sequential(
        nn.Unflatten(1, (1, STEPS)), nn.Conv2d(1, 4, 2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.LazyLinear(3), nn.Tanh(), nn.Linear(3, 2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.filterwarnings("ignore")
def test_same_values_as_shap(name):
    shap = pytest.importorskip("shap")
    net = ready(PEERS[name](), torch.float32)
    X, references = rows(4, dtype=torch.float32), rows(6, dtype=torch.float32, seed=2)
    ours = deeplift(net, X, references).values
    theirs = shap.DeepExplainer(net, references).shap_values(X.clone())
    torch.testing.assert_close(ours, torch.as_tensor(theirs, dtype=ours.dtype), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["relu", "tanh", "conv1d"])
@pytest.mark.filterwarnings("ignore")
def test_same_values_as_captum(name):
    # Without max pooling: there captum's own convergence delta shows that it is not complete.
    captum = pytest.importorskip("captum.attr")
    net = ready(PEERS[name](), torch.float32)
    X, references = rows(4, dtype=torch.float32), rows(6, dtype=torch.float32, seed=2)
    ours = deeplift(net, X, references).values
    for output in range(2):
        theirs = captum.DeepLiftShap(net).attribute(X.clone(), references, target=output)
        torch.testing.assert_close(ours[..., output], theirs.detach(), rtol=0, atol=1e-4)


def test_head_is_part_of_what_is_explained():
    net = ready(Last(nn.GRU(FEATURES, 4, batch_first=True)))
    X, references = rows(3), rows(4, seed=2)
    result = assert_complete(net, X, references, head=lambda logits: logits.softmax(1))
    torch.testing.assert_close(result.outputs, net(X).softmax(1).detach())
    # Two probabilities add up to one, so their contributions cancel.
    torch.testing.assert_close(result.values[..., 0], -result.values[..., 1])


def test_weights_outputs_and_a_single_output():
    net = ready(Last(nn.LSTM(FEATURES, 4, batch_first=True)))
    X, references = rows(3), rows(4, seed=2)
    every = deeplift(net, X, references[[0, 0, 1, 2, 3]]).values
    weighted = deeplift(net, X, references, weights=torch.tensor([0.4, 0.2, 0.2, 0.2]), outputs=[1])
    torch.testing.assert_close(weighted.values[..., 0], every[..., 1])
    flat = deeplift(Call(lambda X, net: net(X)[:, 1].squeeze(), net), X, references)
    torch.testing.assert_close(flat.values, deeplift(net, X, references, outputs=[1]).values)
    with pytest.raises(ValueError, match=r"outputs=\[2\]"):
        deeplift(net, X, references, outputs=[2])


def test_pairs_add_up_to_the_average_over_references():
    net = ready(Last(nn.LSTM(FEATURES, 4, batch_first=True)))
    X, references = rows(5), rows(7, seed=2)
    labels = np.tile(np.arange(FEATURES), STEPS)
    values = torch.full((5, 7, FEATURES, 2), torch.nan, dtype=X.dtype)
    n_blocks = 0
    for block in deeplift_pairs(net, X, references, labels, max_bytes=40_000):
        assert values[block.rows, block.references].isnan().all()
        values[block.rows, block.references] = block.values
        n_blocks += 1
    assert n_blocks > 1
    outputs = net(X)[:, None] - net(references)[None]
    torch.testing.assert_close(values.sum(2), outputs.detach())
    by_feature = deeplift(net, X, references).values.sum(1)
    torch.testing.assert_close(values.mean(1), by_feature)
    with pytest.raises(ValueError, match="labels names 2 cells"):
        next(deeplift_pairs(net, X, references, [0, 1]))


def test_rows_and_memory_do_not_change_the_result():
    net = ready(Last(nn.GRU(FEATURES, 4, 2, batch_first=True, bidirectional=True)))
    X, references = rows(9), rows(11, seed=2)
    whole = deeplift(net, X, references)
    small = deeplift(net, X, references, max_bytes=20_000)
    torch.testing.assert_close(whole.values, small.values)
    torch.testing.assert_close(whole.values[3:4], deeplift(net, X[3:4], references).values)
    assert deeplift(net, X[:0], references).values.shape == (0, STEPS, FEATURES, 2)


def test_leaves_the_module_and_the_generator_alone():
    net = ready(nn.Sequential(nn.Conv1d(STEPS, 4, 2), nn.BatchNorm1d(4), nn.Dropout(0.5),
                              nn.Flatten(), nn.LazyLinear(2)))  # fmt: skip
    net.train()
    net[1].eval()
    net[0].weight.requires_grad_(False)
    net[4].weight.grad = torch.ones_like(net[4].weight)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    state, gradients = torch.get_rng_state(), torch.is_grad_enabled()
    X = rows(3).requires_grad_()
    deeplift(net, X.detach(), rows(4, seed=2))
    assert [m.training for m in net] == [True, False, True, True, True]
    assert not net[0].weight.requires_grad
    assert net[4].weight.requires_grad
    assert (net[4].weight.grad == 1).all()
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert gradients == torch.is_grad_enabled()


def test_works_whatever_the_state_of_autograd():
    net = ready(Last(nn.LSTM(FEATURES, 4, batch_first=True)))
    X, references = rows(3), rows(4, seed=2)
    expected = deeplift(net, X, references).values
    with torch.no_grad():
        torch.testing.assert_close(deeplift(net, X, references).values, expected)
    with torch.inference_mode():
        values = deeplift(net, X.clone(), references.clone()).values
        assert torch.allclose(values, expected)
    torch.testing.assert_close(deeplift(net, X.requires_grad_(), references).values, expected)


def test_tapes_are_freed_without_waiting_for_the_garbage_collector():
    net = ready(
        Last(
            Call(lambda X, a, b: b(F.gelu(a(X))), nn.Linear(3, 3), nn.LSTM(3, 4, batch_first=True))
        )
    )
    gc.collect()
    gc.disable()
    try:
        deeplift(net, rows(3), rows(4), max_bytes=20_000)
        assert not any(isinstance(o, Tape) for o in gc.get_objects())
    finally:
        gc.enable()


class TestRefusals:
    def explain(self, function, *parts, **kwargs):
        return deeplift(Call(function, *parts).double(), rows(3), rows(4, seed=2), **kwargs)

    @pytest.mark.parametrize(
        ("function", "name"),
        [
            (lambda X: torch.cumprod(X, 1)[:, 0], "cumprod"),
            (lambda X: X.sort(1).values[:, 0], "sort"),
            (lambda X: X[:, 0] if X.sum() > 0 else X[:, 1], "gt"),
            (lambda X: X[:, 0] * X.mean().item(), "item"),
            (lambda X: X[:, 0] * float(X.mean()), "__float__"),
            (lambda X: X[:, 0] + X.round()[:, 0], "round"),
            (lambda X: F.one_hot(X.argmax(2)).to(X)[:, 0], "argmax"),
            (lambda X: X.gather(1, X.max(1, keepdim=True).indices)[:, 0], "gather"),
            (lambda X: torch.tanh(X, out=torch.empty_like(X))[:, 0], "tanh"),
            (lambda X: X.long().to(X)[:, 0], "long"),
            (lambda X: torch.fft.rfft(X).abs()[:, 0], "fft_rfft"),
        ],
    )
    def test_an_operation_without_a_rule_is_named_with_its_place(self, function, name):
        with pytest.raises(UnsupportedOperationError, match=name) as caught:
            self.explain(function)
        assert "test_deeplift.py:" in str(caught.value)
        assert "KernelSHAP" in str(caught.value)

    def test_the_part_of_the_module_is_named(self):
        net = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(15, 4), nn.Dropout1d()))
        net[1].append(Call(lambda X: X.sort(1)[0])).double()
        with pytest.raises(UnsupportedOperationError, match=r"in 1\.2 \(Call\)"):
            deeplift(net, rows(3), rows(4))

    def test_packed_sequences(self):
        def forward(X, layer):
            packed = nn.utils.rnn.pack_padded_sequence(X, torch.full((len(X),), STEPS), True)
            return layer(packed)[1][-1]

        with pytest.raises(UnsupportedOperationError, match="packed sequences"):
            self.explain(forward, nn.GRU(FEATURES, 4, batch_first=True))

    def test_writing_to_memory_that_another_tensor_shares(self):
        def forward(X):
            Y = X * 2
            first = Y[:, 0]
            first.add_(1)
            return Y.sum(1)

        with pytest.raises(UnsupportedOperationError, match="shares memory"):
            self.explain(forward)

    def test_rows_that_affect_each_other(self):
        with pytest.raises(UnsupportedOperationError, match="rows of a batch"):
            self.explain(lambda X: (X - X.mean(0))[:, 0])
        with pytest.raises(UnsupportedOperationError, match="statistics of the batch"):
            self.explain(
                lambda X, norm: norm(X)[:, 0], nn.BatchNorm1d(STEPS, track_running_stats=False)
            )

    def test_scripted_code_that_torch_functions_do_not_show(self):
        scripted = torch.jit.trace(nn.Tanh(), rows(2))
        with pytest.raises(UnsupportedOperationError):
            self.explain(lambda X: scripted(X)[:, 0])

    def test_module_that_does_not_return_one_tensor(self):
        with pytest.raises(TypeError, match="returned tuple"):
            self.explain(lambda X: (X[:, 0], X[:, 1]))

    def test_bad_arguments(self):
        net = ready(mlp(nn.ReLU()))
        with pytest.raises(ValueError, match="references is empty"):
            deeplift(net, rows(2), rows(0))
        with pytest.raises(ValueError, match=r"references have shape \(3, 2\)"):
            deeplift(net, rows(2), rows(2, (3, 2)))
        with pytest.raises(ValueError, match="unsupported='no'"):
            deeplift(net, rows(2), rows(2), unsupported="no")
        with pytest.raises(ValueError, match="one for each of the 2 references"):
            deeplift(net, rows(2), rows(2), weights=torch.ones(3))
        with pytest.raises(ValueError, match="floating-point"):
            deeplift(net, rows(2).long(), rows(2).long())
        X = rows(2).abs()
        X[1, 0] = 0
        with pytest.raises(ValueError, match="output for row 1 is not finite"):
            deeplift(Call(lambda X: X[:, 0].log()), X, X[:1])


def test_plain_gradient_where_no_rule_applies():
    net = Call(lambda X: torch.cumprod(X, 1)[:, -1] + torch.tanh(X[:, 0]))
    X = rows(3)
    result = deeplift(net, X, rows(4, seed=2), unsupported="gradient")
    assert len(result.uncovered) == 1
    assert result.uncovered[0].startswith("cumprod at ")
    assert "test_deeplift.py:" in result.uncovered[0]
    assert result.relative_gap > 1e-3
    # Close to the row, the gradient is right.
    near = deeplift(net, X[:1], X[:1] + 1e-7, unsupported="gradient")
    torch.testing.assert_close(
        near.values[0].flatten(0, 1).sum(0),
        (near.outputs - near.reference_outputs)[0],
        rtol=1e-3,
        atol=0,
    )
