"""How training goes: seeds, early stopping, clipping, weights, callbacks."""

import copy
import io
import pickle
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import skorch
import torch
import tqdm
from sklearn import config_context
from sklearn.base import clone
from skorch.callbacks import Callback, EpochScoring
from skorch.dataset import ValidSplit
from torch import nn

from sklexplain import GRUClassifier, GRURegressor, LSTMRegressor
from sklexplain._progress import progress_shown_by
from sklexplain.recurrent import TrainingDivergedError


class RecordEpochs(Callback):
    """Keep the weights of every epoch."""

    def on_train_begin(self, net, **kwargs):
        self.weights_ = []

    def on_epoch_end(self, net, **kwargs):
        self.weights_.append(copy.deepcopy(net.module_.state_dict()))


class Interrupt(Callback):
    """What Ctrl-C does in the second batch of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, **kwargs):
        if len(net.history) == self.epoch and len(net.history[-1, "batches"]) == 2:
            raise KeyboardInterrupt


def weights_of(model):
    return torch.cat([weight.detach().flatten() for weight in model.module_.parameters()])


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_equal_seeds_give_equal_bits(regressor, windows, target, dropout):
    model = regressor.set_params(dropout=dropout, max_epochs=3)
    first = weights_of(clone(model).fit(windows, target))
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002 - the global state is what must not matter
    assert torch.equal(first, weights_of(clone(model).fit(windows, target)))
    other = clone(model).set_params(random_state=1).fit(windows, target)
    assert not torch.equal(first, weights_of(other))


def test_global_generators_are_left_alone(classifier, windows, labels):
    torch.manual_seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    model = classifier.set_params(dropout=0.4, max_epochs=2).fit(windows, labels)
    model.predict_proba(windows)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]


def test_fits_in_threads_do_not_disturb_each_other(windows, target, quick):
    models = [LSTMRegressor(**{**quick, "dropout": 0.3, "max_epochs": 3}) for _ in range(4)]
    alone = clone(models[0]).fit(windows, target)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda model: model.fit(windows, target), models))
    assert all(torch.equal(weights_of(alone), weights_of(model)) for model in together)


def test_best_epoch_is_restored(windows, target, quick):
    # A high learning rate makes the validation loss go up and down.
    model = GRURegressor(
        **{**quick, "lr": 0.2, "n_iter_no_change": 4}, callbacks=[("record", RecordEpochs())]
    ).fit(windows, target)
    losses = model.history_["valid_loss"]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1
    assert model.best_epoch_ == best + 1
    assert model.n_iter_ == len(losses) == best + 1 + 4
    recorded = dict(model.net_.callbacks_)["record"].weights_[best]
    kept = model.module_.state_dict()
    assert all(torch.equal(kept[name], recorded[name]) for name in kept)

    # The loss of record is the mean squared error on the last rows, in units of the spread.
    n_train = 270
    residual = (model.predict(windows[n_train:]) - target[n_train:]) / target[:n_train].std()
    assert np.mean(residual**2) == pytest.approx(losses[best], rel=1e-3)


def test_validation_rows_are_the_last_and_train_nothing(windows, target, quick):
    params = {**quick, "max_epochs": 1}
    changed = target.copy()
    changed[270:] = 1e4
    first, second = (GRURegressor(**params).fit(windows, y) for y in (target, changed))
    assert torch.equal(weights_of(first), weights_of(second))
    third = GRURegressor(**params, validation_fraction=0.09).fit(windows, changed)
    assert not torch.equal(weights_of(first), weights_of(third))


def test_without_early_stopping_all_rows_train(windows, target, quick):
    model = GRURegressor(**{**quick, "early_stopping": False, "max_epochs": 4})
    model.fit(windows, target)
    assert model.n_iter_ == model.best_epoch_ == 4
    assert list(model.history_) == ["train_loss"]
    sizes = model.net_.history[0, "batches", :, "train_batch_size"]
    assert sum(sizes) == 300


@pytest.mark.parametrize("clip", [1e-3, 1.0])
def test_gradient_clip_bounds_a_step(windows, target, clip):
    # One batch, one epoch of plain gradient descent at lr=1: the step is the clipped gradient.
    model = GRURegressor(
        hidden_size=8,
        max_epochs=1,
        batch_size=300,
        lr=1.0,
        early_stopping=False,
        gradient_clip=clip,
        net_params={"optimizer": torch.optim.SGD},
        callbacks=[("start", RecordStart())],
        random_state=0,
    ).fit(windows, target)
    start = dict(model.net_.callbacks_)["start"].weights_
    step = torch.linalg.vector_norm(weights_of(model) - start).item()
    assert step <= clip * 1.001
    if clip < 0.01:
        assert step == pytest.approx(clip, rel=1e-2)


class RecordStart(Callback):
    """Keep the weights that training starts from."""

    def on_train_begin(self, net, **kwargs):
        weights = net.module_.parameters()
        self.weights_ = torch.cat([weight.detach().flatten().clone() for weight in weights])


@pytest.mark.parametrize("estimator", [GRURegressor, GRUClassifier])
def test_rows_of_weight_zero_have_no_say(estimator, windows, target, quick):
    y = (target > 100).astype(int)
    changed_y, changed_X = y.copy(), windows.copy()
    ignored = np.arange(0, 300, 7)
    changed_y[ignored] = 1 - changed_y[ignored]
    changed_X[ignored] += 1000.0
    weight = np.ones(300)
    weight[ignored] = 0.0
    model = estimator(**{**quick, "max_epochs": 4})
    first = weights_of(clone(model).fit(windows, y, sample_weight=weight))
    assert torch.equal(first, weights_of(clone(model).fit(changed_X, changed_y, weight)))
    assert not torch.equal(first, weights_of(clone(model).fit(windows, y)))


@pytest.mark.parametrize("n_targets", [1, 2])
def test_equal_weights_are_no_weights(windows, target, n_targets, quick):
    y = np.column_stack([target, windows[:, 0, 0]])[:, :n_targets]
    model = GRURegressor(**{**quick, "max_epochs": 3})
    plain = clone(model).fit(windows, y)
    weighted = clone(model).fit(windows, y, sample_weight=np.full(300, 2.5))
    np.testing.assert_allclose(plain.predict(windows), weighted.predict(windows), rtol=1e-4)
    np.testing.assert_allclose(
        plain.history_["valid_loss"], weighted.history_["valid_loss"], rtol=1e-3
    )


def test_weighted_rows_lead(windows, target, quick):
    # Two groups that contradict each other: the heavy one decides.
    y = np.where(np.arange(300) % 2, target, -target)
    weight = np.where(np.arange(300) % 2, 20.0, 1.0)
    model = GRURegressor(**quick).fit(windows, y, sample_weight=weight)
    heavy, light = model.predict(windows[1::2]), model.predict(windows[::2])
    assert np.abs(heavy - y[1::2]).mean() < 0.25 * np.abs(light - y[::2]).mean()


def test_skorch_callbacks_and_parameters_come_through(windows, target, quick):
    scoring = EpochScoring("r2", lower_is_better=False)
    model = GRURegressor(
        **quick,
        callbacks=[("r2", scoring)],
        net_params={
            "optimizer": torch.optim.SGD,
            "optimizer__momentum": 0.9,
            "criterion": nn.HuberLoss,
            "train_split": ValidSplit(3),
            "max_epochs": 2,
        },
    ).fit(windows, target)
    net = model.net_
    assert isinstance(net.optimizer_, torch.optim.SGD)
    assert isinstance(net.criterion_, nn.HuberLoss)
    assert model.n_iter_ == 2
    assert net.history[0, "batches", -1, "valid_batch_size"] == 100
    # The score is taken on raw predictions and raw targets, which agree in their units.
    assert net.history[-1, "r2"] > -1.0
    assert not hasattr(scoring, "best_score_")


def test_training_can_go_on_with_skorch(windows, target, quick):
    model = GRURegressor(**{**quick, "max_epochs": 1}).fit(windows, target)
    scale = model.module_.input_scale.clone()
    X, y = windows.astype(np.float32) * 2, target.astype(np.float32)[:, None]
    before = weights_of(model)
    model.net_.partial_fit(X, y)
    assert not torch.equal(before, weights_of(model))
    assert torch.equal(model.module_.input_scale, scale)


def test_progress_bar_shows_losses_and_leaves_a_picklable_model(windows, target, capsys, quick):
    model = GRURegressor(**{**quick, "max_epochs": 3, "verbose": 1}).fit(windows, target)
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert f"valid_loss={model.history_['valid_loss'][-1]:.4g}" in shown
    clone_of = pickle.loads(pickle.dumps(model))
    assert np.array_equal(clone_of.predict(windows), model.predict(windows))
    GRURegressor(**{**quick, "max_epochs": 3}).fit(windows, target)
    silent = capsys.readouterr()
    assert silent.out == silent.err == ""
    GRURegressor(**{**quick, "max_epochs": 3, "verbose": 2}).fit(windows, target)
    assert "valid_loss" in capsys.readouterr().out


def test_progress_bar_says_what_it_counts_and_is_closed_however_training_ends(
    windows, target, quick
):
    bars = []

    class Bar(tqdm.tqdm):
        def close(self):
            self.closed = True
            super().close()

    def make_bar(*args, **params):
        bars.append(Bar(*args, file=io.StringIO(), **params))
        return bars[-1]

    progress = {"verbose": 1, "max_epochs": 50}
    with progress_shown_by(make_bar):
        diverging = {"lr": 1e30, "gradient_clip": None, "standardize": False}
        with pytest.raises(TrainingDivergedError):
            GRURegressor(
                **{**quick, **progress, **diverging, "net_params": {"optimizer": torch.optim.SGD}}
            ).fit(windows, target)
        stopped = GRURegressor(**{**quick, **progress, "lr": 0.3, "n_iter_no_change": 2})
        stopped.fit(windows, target)
    failed, early = bars
    assert failed.desc.startswith("training")
    assert failed.n < failed.total
    assert failed.closed
    assert early.n == early.total == stopped.n_iter_ < 50
    assert early.closed


def test_ctrl_c_keeps_the_best_epoch_so_far(windows, target, quick):
    model = GRURegressor(**quick, callbacks=[Interrupt(epoch=4)]).fit(windows, target)
    assert model.n_iter_ == len(model.history_["valid_loss"]) == 3
    assert model.predict(windows).shape == (300,)
    with pytest.raises(KeyboardInterrupt, match="before its first epoch"):
        GRURegressor(**quick, callbacks=[Interrupt(epoch=1)]).fit(windows, target)


def test_failed_fit_keeps_the_model_before_it(windows, target, quick):
    model = GRURegressor(**{**quick, "max_epochs": 1}).fit(windows, target)
    net = model.net_
    with pytest.raises(TrainingDivergedError):
        model.set_params(standardize=False, net_params={"optimizer": torch.optim.SGD}).set_params(
            lr=1e30, gradient_clip=None, max_epochs=3
        ).fit(windows, target)
    assert model.net_ is net


@pytest.mark.parametrize(
    ("params", "what"),
    [
        ({"lr": 1e30, "gradient_clip": None}, "loss became (nan|inf) in epoch 1"),
        # One step whose result no loss shows.
        (
            {
                "lr": 1e37,
                "gradient_clip": None,
                "early_stopping": False,
                "batch_size": 300,
                "max_epochs": 1,
            },
            "A weight",
        ),
    ],
)
def test_divergence_says_what_to_change(windows, target, params, what, quick):
    model = GRURegressor(**{**quick, "standardize": False, **params})
    model.set_params(net_params={"optimizer": torch.optim.SGD})
    with pytest.raises(TrainingDivergedError, match=what) as caught:
        model.fit(windows, target * 1e6)
    for remedy in ("Lower lr", "standardize=True", "gradient_clip", "X and y"):
        assert remedy in str(caught.value)


def test_metadata_routing_passes_weights(windows, target, quick):
    weight = np.linspace(1, 2, 300)
    model = GRURegressor(**{**quick, "max_epochs": 2})
    expected = weights_of(clone(model).fit(windows, target, weight))
    with config_context(enable_metadata_routing=True):
        routed = clone(model).set_fit_request(sample_weight=True).fit(windows, target, weight)
    assert torch.equal(expected, weights_of(routed))


def test_whole_batches_train_as_a_data_loader_does(windows, target, quick):
    # torch's own loader, in the order of the rows, takes the same steps one row at a time.
    params = {**quick, "max_epochs": 3}
    ordered = {"iterator_train__shuffle": False}
    ours = GRURegressor(**params, net_params=ordered).fit(windows, target)
    loader = {**ordered, "iterator_train": torch.utils.data.DataLoader}
    theirs = GRURegressor(**params, net_params=loader).fit(windows, target)
    assert isinstance(theirs.net_, skorch.NeuralNet)
    assert torch.equal(weights_of(ours), weights_of(theirs))
