"""Nets as plain arrays, so that reading a model need not unpickle its weights.

skorch puts its modules and optimizers into a pickle inside the state that is pickled, or that
`skops` stores. Whoever loads such a model safely would still run that inner pickle, so these nets
keep arrays in its place, and build their modules anew from the parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from skorch.utils import get_map_location
from torch import nn

from .modules import RawUnitsModule
from .seeds import isolated_seed

_MODULE, _CRITERION, _OPTIMIZER = "module_", "criterion_", "optimizer_"
_WEIGHTS = "weights"


class ArraysInState:
    """The part of a net that stores weights as arrays and restores them."""

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        weights: dict[str, Any] = {}
        for name in (_MODULE, _CRITERION, _OPTIMIZER):
            part = state.pop(name, None)
            if part is not None:
                weights[name] = _as_arrays(part.state_dict())
        if _MODULE in weights:
            module = self.__dict__[_MODULE]
            frozen = [name for name, it in module.named_parameters() if not it.requires_grad]
            weights |= {"frozen": frozen, "training": module.training}
        return {**state, _WEIGHTS: weights}

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        weights = state.pop(_WEIGHTS)
        # A net trained on a card is read where there is none.
        net: Any = self
        device = get_map_location(state["device"])
        state["device"] = net._check_device(state["device"], device)
        self.__dict__.update(state)
        if _MODULE in weights:
            # What initial weights would draw from torch's generators is nobody's to miss.
            with isolated_seed(0, torch.device("cpu")):
                self._restore(weights)

    def _restore(self, weights: Mapping[str, Any]) -> None:
        net: Any = self
        if not (isinstance(net.module, type) and issubclass(net.module, RawUnitsModule)):
            raise ValueError(f"module={net.module!r} is no module of a {type(self).__name__}")
        for name, kind in ((_MODULE, net.module), (_CRITERION, net.criterion)):
            if name not in weights:
                continue
            part = net.initialized_instance(kind, net.get_params_for(name.rstrip("_")))
            if isinstance(part, nn.Module):
                part = net.torch_compile(part, name=name.rstrip("_"))
                # Assigned, so that weights of another precision stay as they are.
                part.load_state_dict(_as_tensors(weights[name]), assign=True)
                part = part.to(net.device)
            net.__dict__[name] = part
        module = net.__dict__[_MODULE]
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(name not in weights["frozen"])
        module.train(weights["training"])
        if _OPTIMIZER in weights:
            net.initialize_optimizer()
            net.optimizer_.load_state_dict(_as_tensors(weights[_OPTIMIZER]))


def _as_arrays(state: Any) -> Any:
    """Return a state of tensors, however nested, with arrays in their place."""
    if isinstance(state, torch.Tensor):
        if state.dtype == torch.bfloat16:
            # numpy has no such type; float32 holds its values exactly.
            state = state.float()
        return state.numpy(force=True)
    if isinstance(state, Mapping):
        return {name: _as_arrays(value) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return [_as_arrays(value) for value in state]
    return state


def _as_tensors(state: Any) -> Any:
    if isinstance(state, np.ndarray | np.generic):
        return torch.from_numpy(np.array(state))
    if isinstance(state, Mapping):
        return {name: _as_tensors(value) for name, value in state.items()}
    if isinstance(state, list):
        return [_as_tensors(value) for value in state]
    return state
