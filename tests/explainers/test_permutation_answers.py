"""The engine's answers lead to the scores that the estimator's own predictions lead to."""

from unittest.mock import patch

import numpy as np
import pytest
import sklearn
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import mean_absolute_error
from skorch import NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from sklexplain import (
    GRUClassifier,
    GRURegressor,
    LSTMRegressor,
    PermutationImportance,
    as_estimator,
)
from sklexplain.core.models import ModelError
from sklexplain.explainers import permutation
from sklexplain.explainers.permutation_answers import Answering, engine_model

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 5, 2)).astype(np.float32)
y = (X[:, 3, 0] - X[:, 4, 1]).astype(np.float32)
labels = np.array(["down", "same", "up"])[np.digitize(y, [-0.5, 0.5])]
NET = {"hidden_size": 6, "max_epochs": 3, "lr": 0.02, "random_state": 0}


class Net(nn.Module):
    def __init__(self, n_outputs=1):
        super().__init__()
        self.layer = nn.LSTM(2, 6, batch_first=True)
        self.out = nn.Linear(6, n_outputs)

    def forward(self, x):
        return self.out(self.layer(x)[0][:, -1])


def skorch_regressor():
    torch.manual_seed(0)
    return as_estimator(NeuralNetRegressor(Net, max_epochs=2, verbose=0).fit(X, y[:, None]))


def skorch_classifier():
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        Net, module__n_outputs=3, criterion=nn.CrossEntropyLoss, max_epochs=2, verbose=0
    )
    return as_estimator(net.fit(X, np.digitize(y, [-0.5, 0.5])))


def absolute_error_of_short_windows(estimator, X, y):
    """A scorer that asks about rows of its own making."""
    return -mean_absolute_error(y[::2], estimator.predict(X[::2]))


CASES = {
    "regressor": (lambda: GRURegressor(**NET), y, None),
    "several scorers": (lambda: LSTMRegressor(**NET), y, ["r2", "neg_mean_absolute_error"]),
    "two targets": (lambda: GRURegressor(**NET), np.column_stack([y, -y]), "r2"),
    "own scorer": (lambda: GRURegressor(**NET), y, absolute_error_of_short_windows),
    "two classes": (
        lambda: GRUClassifier(**NET),
        y > 0,
        ["accuracy", "roc_auc", "neg_log_loss", "average_precision"],
    ),
    "three classes": (
        lambda: GRUClassifier(**NET),
        labels,
        ["accuracy", "neg_log_loss", "roc_auc_ovr"],
    ),
    "module": (lambda: torch.manual_seed(0) and Net(), y, "r2"),
    "skorch": (skorch_regressor, y[:, None], "r2"),
    "skorch classifier": (skorch_classifier, np.digitize(y, [-0.5, 0.5]), "accuracy"),
    "frozen": (lambda: FrozenEstimator(GRURegressor(**NET).fit(X, y)), y, None),
}


def measured(make, target, scoring, *, by_engine=True, **params):
    explainer = PermutationImportance(
        make(), players="cell", scoring=scoring, n_repeats=3, random_state=0, **params
    )
    if by_engine:
        return explainer.fit(X, target)
    with patch.object(permutation, "engine_model", lambda *_: None):
        return explainer.fit(X, target)


@pytest.mark.parametrize(("make", "target", "scoring"), CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("params", [{}, {"max_samples": 0.5, "n_jobs": 2}])
def test_scores_are_those_of_the_estimators_own_predictions(make, target, scoring, params):
    quick = measured(make, target, scoring, **params)
    plain = measured(make, target, scoring, by_engine=False, **params)
    assert engine_model(quick.explained_estimator_, quick.codec_) is not None
    for name, results in plain.results_.items():
        np.testing.assert_allclose(
            quick.results_[name].importances, results.importances, rtol=1e-5, atol=1e-6
        )


def test_little_memory_divides_the_players():
    expected = measured(lambda: GRURegressor(**NET), y, None).importances_
    with sklearn.config_context(working_memory=0.01):
        divided = measured(lambda: GRURegressor(**NET), y, None).importances_
    np.testing.assert_allclose(divided, expected, rtol=1e-5, atol=1e-7)


class OwnScore(GRURegressor):
    def score(self, X, y, sample_weight=None):
        return -float(np.mean((np.asarray(self.predict(X)) - y) ** 4))


def test_an_estimator_with_a_score_of_its_own_is_asked_itself():
    explainer = PermutationImportance(OwnScore(**NET), random_state=0).fit(X, y)
    assert engine_model(explainer.explained_estimator_, explainer.codec_) is None
    expected = OwnScore(**NET).fit(X, y).score(X, y)
    assert explainer.results_["score"].baseline_score == expected


class TestAnswering:
    def test_has_what_the_estimator_has(self):
        net = GRUClassifier(**NET).fit(X, labels)
        model = engine_model(net, PermutationImportance(net).fit(X, labels).codec_)
        answering = Answering(net, model, X).to(np.zeros((1, 60, 3)), 0, X)
        np.testing.assert_array_equal(answering.classes_, net.classes_)
        np.testing.assert_allclose(answering.predict_proba(X), 1 / 3)
        assert set(answering.predict(X)) == {net.classes_[0]}
        # Other rows are none of its business.
        np.testing.assert_array_equal(answering.predict(X[:5]), net.predict(X[:5]))
        regressor = GRURegressor(**NET).fit(X, y)
        model = engine_model(regressor, PermutationImportance(regressor).fit(X, y).codec_)
        assert not hasattr(Answering(regressor, model, X), "predict_proba")


class Root(nn.Module):
    """A root that exists as long as the first two columns of a row are its own."""

    def forward(self, x):
        return (1e-3 - (x[:, :1] - x[:, 1:2]).abs()).sqrt()


def test_an_output_that_is_not_finite_names_row_and_player():
    rows = np.abs(X).reshape(60, 10)
    rows[:, 1] = rows[:, 0]
    names = [f"c{i}" for i in range(10)]
    explainer = PermutationImportance(
        as_estimator(Root()), feature_names=names, scoring=lambda e, X, y: 0.0
    )
    with pytest.raises(ModelError, match=r"returned nan for row \d+ with players \['c0'\]"):
        explainer.fit(rows, y)
