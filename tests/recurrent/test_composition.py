"""The estimators inside scikit-learn's own tools, and through files."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler

from sklexplain import GRUClassifier, GRURegressor


def through_pickle(model, path):
    return pickle.loads(pickle.dumps(model))


def through_joblib(model, path):
    joblib.dump(model, path / "model.joblib")
    return joblib.load(path / "model.joblib")


def through_memory_map(model, path):
    joblib.dump(model, path / "model.joblib")
    return joblib.load(path / "model.joblib", mmap_mode="r")


def through_deepcopy(model, path):
    return copy.deepcopy(model)


@pytest.mark.parametrize(
    "through", [through_pickle, through_joblib, through_memory_map, through_deepcopy]
)
def test_model_survives(through, regressor, windows, target, tmp_path):
    model = regressor.set_params(max_epochs=2).fit(windows, target)
    copied = through(model, tmp_path)
    assert np.array_equal(copied.predict(windows), model.predict(windows))
    assert copied.module_ is copied.net_.module_
    assert copied.history_ == model.history_
    assert copied.device_ == model.device_


def test_classifier_survives_a_pickle(classifier, windows, labels):
    model = classifier.set_params(max_epochs=2).fit(windows, labels)
    copied = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copied.predict_proba(windows), model.predict_proba(windows))


def test_clone_is_unfitted_and_equal(regressor, windows, target):
    model = regressor.set_params(max_epochs=1, net_params={"batch_size": 64})
    cloned = clone(model.fit(windows, target))
    assert not hasattr(cloned, "net_")
    assert not hasattr(cloned, "module_")
    assert cloned.get_params() == model.get_params()


def test_pipeline_feeds_windows_and_flat_rows(windows, target, quick):
    params = {**quick, "max_epochs": 5}
    alone = GRURegressor(**params).fit(windows, target).predict(windows)
    folding = make_pipeline(FunctionTransformer(), GRURegressor(**params)).fit(windows, target)
    assert np.array_equal(folding.predict(windows), alone)
    flat = windows.reshape(300, -1)
    scaled = make_pipeline(MinMaxScaler(), GRURegressor(n_timesteps=6, **quick)).fit(flat, target)
    assert scaled.score(flat, target) > 0.8


def test_grid_search_in_two_processes_chooses_what_one_chooses(windows, target, quick):
    grid = {"hidden_size": [2, 8], "lr": [1e-5, 0.02]}
    model = GRURegressor(**{**quick, "max_epochs": 8})
    searches = [
        GridSearchCV(model, grid, cv=TimeSeriesSplit(2), n_jobs=n_jobs).fit(windows, target)
        for n_jobs in (1, 2)
    ]
    first, second = (search.cv_results_["mean_test_score"] for search in searches)
    np.testing.assert_allclose(first, second, atol=1e-3)
    assert searches[1].best_params_["lr"] == 0.02


def test_cross_validate_scores_every_fold(windows, labels, quick):
    model = GRUClassifier(**quick)
    folds = cross_validate(
        model, windows, labels, cv=3, scoring=["accuracy", "neg_log_loss"], error_score="raise"
    )
    assert (folds["test_accuracy"] > 0.6).all()
    assert (folds["test_neg_log_loss"] > -1.0).all()


def test_transformed_target_is_transformed_back(windows, target, quick):
    y = np.exp(target / 20.0)
    model = TransformedTargetRegressor(GRURegressor(**quick), func=np.log, inverse_func=np.exp)
    model.fit(windows[:200], y[:200])
    assert r2_score(target[200:], 20.0 * np.log(model.predict(windows[200:]))) > 0.8


def test_read_only_input_brings_no_warning(windows, target, quick):
    X = windows.astype(np.float32)
    X.setflags(write=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = GRURegressor(**{**quick, "max_epochs": 1}).fit(X, target)
        model.predict(X)
