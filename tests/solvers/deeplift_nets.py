"""Nets of many kinds, for the tests of DeepLIFT."""

import copy

import torch
from torch import nn
from torch.nn import functional as F

STEPS, FEATURES = 5, 3


class Call(nn.Module):
    """A function of the input and of some modules."""

    def __init__(self, function, *parts):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, X):
        return self.function(X, *self.parts)


class Last(nn.Module):
    """A linear layer on the last state of a recurrent one."""

    def __init__(self, recurrent, n_outputs=2):
        super().__init__()
        self.recurrent = recurrent
        self.output = nn.LazyLinear(n_outputs)

    def forward(self, X):
        return self.output(self.recurrent(X)[0][:, -1])


class HandWritten(nn.Module):
    """The equations of a fused layer, step by step, as users write them."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, X):
        layer, width = self.layer, self.layer.hidden_size
        hidden = X.new_zeros(X.shape[0], width)
        cell = hidden.clone()
        outputs = torch.zeros(X.shape[0], X.shape[1], width, dtype=X.dtype)
        for t in range(X.shape[1]):
            inputs = X[:, t] @ layer.weight_ih_l0.T + layer.bias_ih_l0
            recurrent = F.linear(hidden, layer.weight_hh_l0, layer.bias_hh_l0)
            if isinstance(layer, nn.LSTM):
                i, f, g, o = (inputs + recurrent).chunk(4, dim=1)
                cell = torch.sigmoid(f) * cell + i.sigmoid() * g.tanh()
                hidden = F.sigmoid(o) * torch.tanh(cell)
            elif isinstance(layer, nn.GRU):
                r, z, n = inputs.split(width, dim=1)
                hr, hz, hn = recurrent.split(width, dim=1)
                r, z = torch.sigmoid(r + hr), torch.sigmoid(z + hz)
                n = torch.tanh(n + r * hn)
                hidden = (1 - z) * n + z * hidden
            else:
                act = torch.relu if layer.nonlinearity == "relu" else torch.tanh
                hidden = act(inputs + recurrent)
            outputs[:, t] = hidden
        return outputs, hidden


def mlp(*activations, width=6, n_outputs=2):
    layers = [nn.Flatten()]
    for activation in activations:
        layers += [nn.LazyLinear(width), activation]
    return nn.Sequential(*layers, nn.LazyLinear(n_outputs))


def ready(module, dtype=torch.float64, seed=0, scale=1.5):
    """Return the module in evaluation mode, its lazy layers made, its weights spread out."""
    torch.manual_seed(seed)
    module = copy.deepcopy(module).float()
    with torch.no_grad():
        module.eval()(torch.randn(2, STEPS, FEATURES))
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if tensor.is_floating_point() and "running_var" not in name:
                tensor.mul_(scale).add_(0.1 * torch.randn_like(tensor))
    return module.to(dtype)
