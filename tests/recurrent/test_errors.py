"""Bad input is refused before training, in words that name it and say what would be right."""

import numpy as np
import pytest
import torch

from sklexplain import FeedForwardRegressor, GRUClassifier, GRURegressor


def bad(array, value):
    array = np.array(array, dtype=object if isinstance(value, str) else float)
    array.flat[0] = value
    return array


REGRESSOR_CASES = {
    "X holds NaN": (lambda X, y: (bad(X, np.nan), y), {}, "X contains NaN"),
    "X holds text": (lambda X, y: (bad(X, "up"), y), {}, "takes numbers.*'up'"),
    "X too large": (
        lambda X, y: (bad(X, 1e300), y),
        {},
        "X contains infinity or a value too large",
    ),
    "X of four dimensions": (lambda X, y: (X[None], y), {}, "X has 4 dimensions.*n_timesteps"),
    "X of one dimension": (lambda X, y: (X[:, 0, 0], y), {}, "Expected 2D array, got 1D"),
    "no time steps": (lambda X, y: (X[:, :0], y), {}, "no time steps"),
    "y holds NaN": (lambda X, y: (X, bad(y, np.nan)), {}, "y contains NaN"),
    "y holds text": (lambda X, y: (X, bad(y, "up")), {}, "takes numbers.*'up'"),
    "y is text": (lambda X, y: (X, y.astype(str)), {}, "takes numbers.*y holds text"),
    "y too large": (lambda X, y: (X, bad(y, 1e300)), {}, "y .*too large for float32"),
    "y too short": (lambda X, y: (X, y[:-1]), {}, r"inconsistent numbers of samples: \[300, 299\]"),
    "y missing": (lambda X, y: (X, None), {}, "requires y"),
    "too few rows": (
        lambda X, y: (X[:9], y[:9]),
        {},
        "validation_fraction=0.1 of n_samples=9 leaves 0 rows.*early_stopping=False",
    ),
    "steps that do not divide": (
        lambda X, y: (X.reshape(300, -1), y),
        {"n_timesteps": 4},
        "n_timesteps=4 does not divide the 18 columns",
    ),
    "steps that contradict": (
        lambda X, y: (X, y),
        {"n_timesteps": 4},
        "n_timesteps=4, but X has 6 time steps",
    ),
    "unknown device": (lambda X, y: (X, y), {"device": "toaster"}, "device='toaster'"),
    "callbacks in net_params": (
        lambda X, y: (X, y),
        {"net_params": {"callbacks": []}},
        "net_params may not set 'callbacks'",
    ),
    "module in net_params": (
        lambda X, y: (X, y),
        {"net_params": {"module__hidden_size": 4}},
        "net_params may not set 'module__hidden_size'",
    ),
    "no size": (lambda X, y: (X, y), {"hidden_size": 0}, "'hidden_size' parameter"),
    "all dropped": (lambda X, y: (X, y), {"dropout": 1.0}, "'dropout' parameter"),
}


@pytest.mark.parametrize("case", REGRESSOR_CASES)
def test_regressor_refuses(case, windows, target, quick):
    change, params, message = REGRESSOR_CASES[case]
    X, y = change(windows, target)
    with pytest.raises(ValueError, match=message), np.errstate(over="ignore"):
        GRURegressor(**quick).set_params(**params).fit(X, y)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.zeros(300), "zero"),
        (np.r_[np.ones(270), np.zeros(30)], "last 30 rows"),
        (np.r_[np.zeros(270), np.ones(30)], "last 30 rows"),
        (np.ones(299), "sample_weight.shape"),
        (-np.ones(300), "[Nn]egative"),
    ],
)
def test_weights_that_cannot_serve_are_refused(windows, target, weight, message, quick):
    with pytest.raises(ValueError, match=message):
        GRURegressor(**quick).fit(windows, target, sample_weight=weight)


def test_weights_need_a_loss_for_each_row(windows, target, quick):
    class MeanOnly(torch.nn.MSELoss):
        def __init__(self, reduction):
            super().__init__()

    model = GRURegressor(**quick, net_params={"criterion": MeanOnly})
    with pytest.raises(ValueError, match="one loss a row"):
        model.fit(windows, target, sample_weight=np.ones(300))
    loader = GRURegressor(**quick, net_params={"iterator_train": torch.utils.data.DataLoader})
    with pytest.raises(ValueError, match="iterator_train"):
        loader.fit(windows, target, sample_weight=np.ones(300))


def test_what_is_no_callback_is_refused(windows, target, quick):
    for callbacks in (["stop"], [("stop", 3)]):
        with pytest.raises(TypeError, match=r"callbacks holds .*Give skorch callbacks"):
            GRURegressor(**quick, callbacks=callbacks).fit(windows, target)


def test_one_class_is_refused(windows, quick):
    with pytest.raises(ValueError, match="one class only, 'up'"):
        GRUClassifier(**quick).fit(windows, ["up"] * 300)


def test_numbers_are_no_classes(windows, target, quick):
    with pytest.raises(ValueError, match="Unknown label type"):
        GRUClassifier(**quick).fit(windows, target)


def test_class_that_only_validates_is_refused(windows, quick):
    y = np.repeat(["down", "up"], [275, 25])
    with pytest.raises(ValueError, match=r"classes \['up'\] occur only in the last rows.*Shuffle"):
        GRUClassifier(**quick).fit(windows, y)
    GRUClassifier(**{**quick, "early_stopping": False, "max_epochs": 1}).fit(windows, y)


@pytest.mark.parametrize("estimator", [GRURegressor, FeedForwardRegressor])
def test_another_shape_than_fitted_is_refused(estimator, windows, target, quick):
    model = estimator(**{**quick, "max_epochs": 1}).fit(windows, target)
    for X in (windows[:, :5], windows[:, :, :2], windows.reshape(300, -1), windows[:, 0, 0]):
        with pytest.raises(ValueError, match=r"was fitted on samples of shape \(6, 3\)"):
            model.predict(X)
    flat = model.fit(windows.reshape(300, -1), target)
    with pytest.raises(ValueError, match=r"was fitted on samples of shape \(18,\)"):
        flat.predict(windows)
    with pytest.raises(ValueError, match="17 features"):
        flat.predict(windows.reshape(300, -1)[:, 1:])


def test_nan_is_refused_at_prediction_too(windows, target, quick):
    model = GRURegressor(**{**quick, "max_epochs": 1}).fit(windows, target)
    with pytest.raises(ValueError, match="X contains NaN"):
        model.predict(bad(windows, np.nan))
