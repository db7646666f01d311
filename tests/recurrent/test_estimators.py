"""What a fitted estimator knows, and what it predicts."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from sklexplain import GRUClassifier, GRURegressor, LSTMRegressor, RNNRegressor


def test_regressor_learns_the_driver(regressor, windows, target):
    model = regressor.fit(windows[:200], target[:200])
    assert model.score(windows[200:], target[200:]) > 0.8


def test_classifier_learns_the_driver(classifier, windows, labels):
    model = classifier.fit(windows[:200], labels[:200])
    baseline = np.mean(labels[200:] == "same")
    assert model.score(windows[200:], labels[200:]) > baseline + 0.25


def test_order_in_time_is_what_a_recurrent_net_adds(windows, quick):
    # Which of two steps came first decides; a linear model on the summed columns cannot see it.
    signs = np.sign(windows[:, -1, 0] - 10) * np.sign(windows[:, -2, 0] - 10)
    model = GRUClassifier(**{**quick, "max_epochs": 60, "early_stopping": False})
    ours = model.fit(windows[:250], signs[:250]).score(windows[250:], signs[250:])
    flat = StandardScaler().fit_transform(windows.reshape(300, -1))
    linear = LogisticRegression().fit(flat[:250], signs[:250])
    assert ours > linear.score(flat[250:], signs[250:]) + 0.2


def test_units_of_the_data_do_not_matter(regressor, windows, target):
    plain = regressor.fit(windows, target).predict(windows)
    # Powers of two change no digit, so training takes the very same steps.
    scaled = regressor.fit(windows * 1024.0, target * 64.0).predict(windows * 1024.0)
    np.testing.assert_allclose(scaled, plain * 64.0, rtol=1e-5)
    moved = regressor.fit(windows * 7.0 + 3.0, target * 0.3 - 5.0).predict(windows * 7.0 + 3.0)
    assert r2_score(plain, (moved + 5.0) / 0.3) > 0.95


def test_scales_are_those_of_the_training_rows(windows, target, quick):
    model = GRURegressor(**quick).fit(windows, target)
    train = slice(0, 270)
    buffers = dict(model.module_.named_buffers())
    expected = {
        "input_mean": windows[train].mean((0, 1)),
        "input_scale": windows[train].std((0, 1)),
        "target_mean": target[train].mean(),
        "target_scale": target[train].std(),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(buffers[name].numpy().squeeze(), values, rtol=1e-3, err_msg=name)


def test_without_standardize_the_module_computes_in_the_datas_units(windows, target, quick):
    model = GRURegressor(**{**quick, "standardize": False, "max_epochs": 1}).fit(windows, target)
    assert torch.equal(model.module_.input_scale, torch.ones(3))
    assert torch.equal(model.module_.target_mean, torch.zeros(1))


def test_constant_column_and_constant_target_do_no_harm(regressor, windows, target):
    X = windows.copy()
    X[:, :, 2] = 1e6
    X[:, :, 1] = 0.0
    prediction = regressor.set_params(max_epochs=2).fit(X, np.full(300, 3.0)).predict(X)
    assert np.isfinite(prediction).all()


@pytest.mark.parametrize("estimator", [GRURegressor, LSTMRegressor, RNNRegressor])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_flattened_windows_give_the_same_bits(estimator, bidirectional, windows, target, quick):
    params = {**quick, "max_epochs": 3, "bidirectional": bidirectional}
    folded = estimator(**params).fit(windows, target)
    flat = windows.reshape(300, -1)
    unfolded = estimator(n_timesteps=6, **params).fit(flat, target)
    assert np.array_equal(folded.predict(windows), unfolded.predict(flat))
    assert unfolded.module_.n_timesteps == 6
    assert (folded.n_features_in_, unfolded.n_features_in_) == (3, 18)
    assert (folded.input_shape_, unfolded.input_shape_) == ((6, 3), (18,))


def test_columns_without_n_timesteps_are_steps_of_one_feature(windows, target, quick):
    series = windows[:, :, 0]
    params = {**quick, "max_epochs": 3}
    flat = GRURegressor(**params).fit(series, target)
    folded = GRURegressor(**params).fit(series[:, :, None], target)
    assert np.array_equal(flat.predict(series), folded.predict(series[:, :, None]))


@pytest.mark.parametrize("n_targets", [1, 2])
def test_targets_keep_their_shape(regressor, windows, target, n_targets):
    y = np.column_stack([target, -target])[:, :n_targets]
    model = regressor.fit(windows[:200], y[:200])
    prediction = model.predict(windows[200:])
    assert prediction.shape == (100, n_targets)
    assert prediction.dtype == np.float32
    assert model.n_outputs_ == n_targets
    assert (r2_score(y[200:], prediction, multioutput="raw_values") > 0.8).all()


def test_module_alone_predicts_the_same(regressor, windows, target):
    model = regressor.set_params(dropout=0.3).fit(windows, target)
    module = model.module_.eval()
    with torch.no_grad():
        outputs = module(torch.tensor(windows, dtype=torch.float32))
    assert outputs.shape == (300, 1)
    np.testing.assert_allclose(model.predict(windows), outputs[:, 0].numpy(), rtol=1e-5)
    np.testing.assert_allclose(
        model.net_.predict(windows.astype(np.float32)), outputs.numpy(), rtol=1e-5
    )


def test_predict_leaves_the_modes_of_the_module_and_of_torch(windows, target, quick):
    model = GRURegressor(**{**quick, "dropout": 0.5, "max_epochs": 2}).fit(windows, target)
    model.module_.train()
    first, second = model.predict(windows), model.predict(windows)
    assert np.array_equal(first, second)
    assert model.module_.training
    assert torch.is_grad_enabled()


def test_probabilities_are_the_softmax_of_the_logits(classifier, windows, labels):
    model = classifier.set_params(max_epochs=3).fit(windows, labels)
    logits = model.decision_function(windows).astype(float)
    assert logits.shape == (300, 3)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(windows), expected, rtol=1e-4, atol=1e-6)
    assert np.array_equal(model.predict(windows), model.classes_[expected.argmax(axis=1)])
    assert list(model.classes_) == ["down", "same", "up"]


def test_binary_decision_is_the_log_odds_of_the_second_class(classifier, windows, target):
    y = target > 100.0
    model = classifier.set_params(max_epochs=3).fit(windows, y)
    odds = model.predict_proba(windows).astype(float)
    np.testing.assert_allclose(
        model.decision_function(windows), np.log(odds[:, 1] / odds[:, 0]), rtol=1e-3, atol=1e-4
    )
    with torch.no_grad():
        assert model.module_(torch.zeros(1, 6, 3)).shape == (1, 2)


def test_names_of_columns_are_kept_and_forgotten(windows, target, quick):
    frame = pd.DataFrame(windows[:, 0], columns=["open", "high", "low"])
    model = GRURegressor(**{**quick, "max_epochs": 1}).fit(frame, target)
    assert list(model.feature_names_in_) == ["open", "high", "low"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame[["low", "high", "open"]])
    assert not hasattr(model.fit(windows, target), "feature_names_in_")


def test_lists_and_torch_tensors_are_arrays_too(windows, target, quick):
    model = GRURegressor(**{**quick, "max_epochs": 1}).fit(windows.tolist(), target.tolist())
    expected = model.predict(windows)
    assert np.array_equal(model.predict(torch.from_numpy(windows)), expected)


def test_deeper_nets_have_the_layers_asked_for(windows, target, quick):
    model = LSTMRegressor(**{**quick, "num_layers": 2, "dropout": 0.2, "max_epochs": 1})
    recurrent = model.fit(windows, target).module_.recurrent
    assert (recurrent.num_layers, recurrent.hidden_size, recurrent.dropout) == (2, 8, 0.2)
    rnn = RNNRegressor(**{**quick, "nonlinearity": "relu", "max_epochs": 1})
    assert rnn.fit(windows, target).module_.recurrent.nonlinearity == "relu"
