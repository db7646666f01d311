"""The docstrings of the estimators: what they share is written once."""

from __future__ import annotations

import textwrap
from typing import TypeVar

from sklearn.base import RegressorMixin

_SHARED = """
Parameters
----------
hidden_size : int, default=32
    Units of each hidden layer, and of each direction.
num_layers : int, default=1
    Hidden layers on top of one another.
dropout : float, default=0.0
    Share of hidden units silenced in training, between hidden layers and before the output.
{architecture}
max_epochs : int, default=100
    Most passes over the training rows.
batch_size : int, default=128
    Training rows a step.
lr : float, default=1e-3
    Step size of the optimizer, AdamW.
weight_decay : float, default=0.0
    Decoupled weight decay of the optimizer.
early_stopping : bool, default=True
    Set the last rows aside, stop when the loss on them no longer falls, and restore the weights
    of the epoch where it was lowest. Rows are taken to be in order of time; shuffle those whose
    order means nothing, a table sorted by class above all.
validation_fraction : float, default=0.1
    Share of the rows set aside, rounded down.
n_iter_no_change : int, default=10
    Epochs in a row without a lower validation loss after which training stops.
gradient_clip : float or None, default=1.0
    Largest norm of the gradient of one step.
standardize : bool, default=True
    Learn mean and spread of {scales}{targets}, on the training
    rows. They are buffers of the module, which takes and gives raw units.
device : str or torch.device, default="auto"
    ``"auto"`` is a CUDA card where there is one, else the CPU.
callbacks : list, default=None
    skorch callbacks, or pairs (name, callback). The fitted ones are in ``net_.callbacks_``.
net_params : dict, default=None
    Parameters of the skorch net, which win over those made from the arguments above, such as
    ``{{"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9}}``.
random_state : int, RandomState instance or None, default=None
    Draws initial weights, the order of the rows and dropout. Equal integers give equal results
    at an equal number of threads. torch's own generators are left as they were, so fits in
    several threads of one process take turns.
verbose : int, default=0
    1 shows a progress bar over epochs, 2 prints skorch's table.

Attributes
----------
net_ : skorch.NeuralNet
    The trained net, everything of skorch in reach.
module_ : torch.nn.Module
    Its module: a float tensor shaped like X in, {outputs} out.
device_ : torch.device
    Where the module is.
{classes}n_outputs_ : int
    Number of {output_word}.
input_shape_ : tuple of int
    Shape of one sample.
n_features_in_ : int
    Number of columns of 2-D X, of features of 3-D X.
feature_names_in_ : ndarray of str
    Column names, if X was a DataFrame.
n_iter_ : int
    Epochs trained.
best_epoch_ : int
    The epoch, from 1, whose weights are kept.
history_ : dict of str to list of float
    ``"train_loss"`` and, with early stopping, ``"valid_loss"`` of each epoch:
    {loss}.

Notes
-----
Computed in float32, as are predictions. `sample_weight` weighs the losses and the scales; a
weight of 2 is not the same as a repeated row, which changes the batches. Ctrl-C ends training
and keeps the best weights so far, as in skorch.

Examples
--------
>>> import numpy as np
>>> from sklexplain import {name}
>>> rng = np.random.default_rng(0)
>>> X = rng.normal(size=(200, 6, 2))  # 200 windows of 6 time steps of 2 features
>>> y = {example_target}
>>> model = {name}(hidden_size=8, lr=0.02, random_state=0).fit(X, y)
>>> model.predict(X).shape
(200,)
>>> bool(model.score(X, y) > 0.8)
True
"""

_BIDIRECTIONAL = """\
bidirectional : bool, default=False
    Read the sequence backwards too; the output layer sees both final states.
n_timesteps : int or None, default=None
    How a row of 2-D X unfolds: into this many time steps, where column index = time step ×
    n_features + feature. None reads 2-D X as univariate sequences, one column a time step."""
_NONLINEARITY = """
nonlinearity : {"tanh", "relu"}, default="tanh"
    Of the recurrent step."""
_CLASSES = """\
classes_ : ndarray of shape (n_classes,)
    Class labels.
"""
_ACTIVATION = """\
activation : {"relu", "tanh", "gelu", "sigmoid"}, default="relu"
    Of the hidden layers."""

_Class = TypeVar("_Class", bound=type)


def documented(cls: _Class) -> _Class:
    """Append to a docstring the parameters, attributes, notes and example that all share."""
    parameters = cls._parameter_constraints  # type: ignore[attr-defined]
    regressor = issubclass(cls, RegressorMixin)
    recurrent = "bidirectional" in parameters
    architecture = _BIDIRECTIONAL if recurrent else _ACTIVATION
    if "nonlinearity" in parameters:
        architecture += _NONLINEARITY
    shared = _SHARED.format(
        name=cls.__name__,
        architecture=architecture,
        scales="each feature (over all time steps)" if recurrent else "each column",
        targets=" and each target" if regressor else "",
        outputs="targets in raw units" if regressor else "logits",
        output_word="targets" if regressor else "classes",
        classes="" if regressor else _CLASSES,
        loss="mean squared error of standardised targets" if regressor else "cross-entropy",
        example_target="X[:, -1, 0] - X[:, -2, 1]" + ("" if regressor else " > 0"),
    )
    # The docstring in the source is indented as its class is, and so must be what follows.
    cls.__doc__ = (cls.__doc__ or "").rstrip() + "\n" + textwrap.indent(shared, "    ")
    return cls
