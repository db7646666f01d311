"""The modules compute what plain torch layers compute on standardised inputs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sklexplain.recurrent.modules import FeedForwardModule, RecurrentModule


@given(
    layer=st.sampled_from([nn.GRU, nn.LSTM, nn.RNN]),
    num_layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3)),
)
@settings(max_examples=25, deadline=None)
def test_output_is_linear_in_the_layers_own_final_states(layer, num_layers, bidirectional, shape):
    # h_n is torch's word for the final states; the module reads the outputs instead.
    torch.manual_seed(0)
    n_rows, n_timesteps, n_features = shape
    module = RecurrentModule(
        layer,
        n_timesteps=n_timesteps,
        n_features=n_features,
        n_outputs=2,
        scale_outputs=True,
        hidden_size=4,
        num_layers=num_layers,
        bidirectional=bidirectional,
    ).eval()
    module.input_mean += 3.0
    module.input_scale *= 2.0
    module.target_mean += 7.0
    module.target_scale *= 5.0
    X = torch.randn(n_rows, n_timesteps, n_features)
    with torch.no_grad():
        _, final = module.recurrent((X - 3.0) / 2.0)
        final = final[0] if layer is nn.LSTM else final
        last_layer = final[-2:] if bidirectional else final[-1:]
        expected = module.output(torch.cat(list(last_layer), dim=1)) * 5.0 + 7.0
        torch.testing.assert_close(module(X), expected)
        assert torch.equal(module(X), module(X.flatten(1)))


def test_feed_forward_is_a_plain_perceptron():
    torch.manual_seed(0)
    module = FeedForwardModule(
        n_columns=6, n_outputs=3, scale_outputs=False, hidden_size=5, num_layers=2
    )
    first, second = (part for part in module.hidden if isinstance(part, nn.Linear))
    X = torch.randn(4, 2, 3)
    hidden = second(first(X.reshape(4, 6)).clamp(min=0.0)).clamp(min=0.0)
    torch.testing.assert_close(module(X), module.output(hidden))


def test_dropout_reaches_a_single_layer_and_only_in_training():
    torch.manual_seed(0)
    module = RecurrentModule(
        nn.GRU, n_timesteps=3, n_features=2, n_outputs=1, scale_outputs=True, dropout=0.5
    )
    X = torch.randn(8, 3, 2)
    assert not torch.equal(module.train()(X), module(X))
    assert torch.equal(module.eval()(X), module(X))


@pytest.mark.parametrize("n_columns", [5, 7])
def test_row_that_does_not_unfold_is_refused(n_columns):
    module = RecurrentModule(nn.GRU, n_timesteps=3, n_features=2, n_outputs=1, scale_outputs=True)
    with pytest.raises(RuntimeError, match="invalid for input"):
        module(torch.zeros(2, n_columns))


def test_logits_have_no_units():
    module = FeedForwardModule(n_columns=2, n_outputs=2, scale_outputs=False)
    assert module.target_mean is None
    y = torch.from_numpy(np.arange(3))
    assert module.standardize_targets(y) is y
