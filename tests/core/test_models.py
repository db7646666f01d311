import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from sklexplain import as_estimator
from sklexplain.core.adapters import uses_torch
from sklexplain.core.models import Model
from sklexplain.core.tables import RowCodec
from sklexplain.recurrent import GRUClassifier, GRURegressor

# Float64, as scikit-learn gives it, whatever the model's own type.
X = np.random.default_rng(0).normal(size=(60, 4))
windows = X.reshape(20, 3, 4)
y = X[:, 0] - 2 * X[:, 1]
labels = (y > 0).astype(int) + (y > 2)
binary = (y > 0).astype(int)


class Net(nn.Module):
    def __init__(self, n_outputs=1, dtype=torch.float32):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5)).to(dtype)
        self.head = nn.Linear(8, n_outputs, dtype=dtype)

    def forward(self, X):
        return self.head(self.body(X))

    def by_hand(self, rows):
        """The same in numpy."""
        first, last = self.body[0], self.head
        hidden = np.tanh(rows @ first.weight.detach().numpy().T + first.bias.detach().numpy())
        return hidden @ last.weight.detach().numpy().T + last.bias.detach().numpy()


class ReturnsTuple(Net):
    def forward(self, X):
        return super().forward(X), X


def fitted_net(kind, n_outputs, target, module=Net, **params):
    net = kind(module, module__n_outputs=n_outputs, max_epochs=2, verbose=0, **params)
    if "train_split" not in params:
        net.set_params(train_split=None)
    return net.fit(X.astype(np.float32), target)


@pytest.fixture(scope="module")
def regressor():
    return fitted_net(NeuralNetRegressor, 1, y.astype(np.float32)[:, None])


@pytest.fixture(scope="module")
def classifier():
    return fitted_net(NeuralNetClassifier, 3, labels, criterion=nn.CrossEntropyLoss)


class Flat(Net):
    def forward(self, X):
        return super().forward(X).squeeze(-1)


@pytest.fixture(scope="module")
def binary_classifier():
    return fitted_net(NeuralNetBinaryClassifier, 1, binary.astype(np.float32), module=Flat)


class TestEstimators:
    @pytest.mark.parametrize(
        "estimator",
        [
            LinearRegression(),
            make_pipeline(StandardScaler(), Ridge()),
            TransformedTargetRegressor(Ridge(), func=np.arcsinh, inverse_func=np.sinh),
            GridSearchCV(Ridge(), {"alpha": [1, 10]}, cv=2),
        ],
    )
    def test_regressors_predict(self, estimator):
        estimator.fit(X, y)
        for wrapped in (estimator, FrozenEstimator(estimator), as_estimator(estimator)):
            model = Model(wrapped)
            assert model.method == "predict"
            assert not model.is_torch
            np.testing.assert_array_equal(model(X), estimator.predict(X)[:, None])
            assert model.output_names(1) == ()

    @pytest.mark.parametrize(
        ("estimator", "output", "method"),
        [
            (LogisticRegression(), "auto", "predict_proba"),
            (make_pipeline(StandardScaler(), LogisticRegression()), "auto", "predict_proba"),
            (LogisticRegression(), "decision_function", "decision_function"),
            (LogisticRegression(), "predict", "predict"),
            (RidgeClassifier(), "auto", "decision_function"),
            (SVC(), "auto", "decision_function"),
        ],
    )
    def test_classifiers(self, estimator, output, method):
        estimator.fit(X, labels)
        for wrapped in (estimator, FrozenEstimator(estimator)):
            model = Model(wrapped, output=output)
            assert model.method == method
            expected = getattr(estimator, method)(X).reshape(len(X), -1)
            np.testing.assert_allclose(model(X), expected, rtol=1e-12)
            if method == "predict":
                assert model.output_names(1) == ()
            else:
                assert model.output_names(3) == ("0", "1", "2")

    def test_two_classes_have_one_decision_value(self):
        model = Model(RidgeClassifier().fit(X, binary))
        assert model(X).shape == (60, 1)
        assert model.output_names(1) == ()

    def test_string_labels(self):
        target = np.array(["low", "high"])[binary]
        estimator = LogisticRegression().fit(X, target)
        model = Model(estimator)
        assert model.output_names(2) == ("high", "low")
        np.testing.assert_array_equal(model(X), estimator.predict_proba(X))
        with pytest.raises(ValueError, match=r"labels that are not numbers.*predict_proba"):
            Model(estimator, output="predict")(X)

    def test_several_targets(self):
        estimator = LinearRegression().fit(X, np.column_stack([y, -y, 2 * y]))
        model = Model(estimator)
        np.testing.assert_array_equal(model(X), estimator.predict(X))
        assert model.output_names(3) == ("output 0", "output 1", "output 2")
        many = MultiOutputClassifier(LogisticRegression()).fit(X, np.column_stack([binary, labels]))
        with pytest.raises(ValueError, match=r"list of 2 arrays.*one target at a time"):
            Model(many)(X)

    def test_tables_are_given_back_as_they_were(self):
        frame = pd.DataFrame({"text": ["a", "b", "a"], "number": [1, 2, 3]})
        codec = RowCodec.from_rows(frame)
        seen = []

        def function(rows):
            seen.append(rows)
            return rows["number"] + (rows["text"] == "b") * 10

        outputs = Model(function, codec=codec)(codec.encode(frame))
        np.testing.assert_array_equal(outputs, [[1], [12], [3]])
        pd.testing.assert_frame_equal(seen[0], frame)

    @pytest.mark.parametrize(
        ("estimator", "output", "message"),
        [
            (LinearRegression(), "predict_proba", r"LinearRegression has only \['predict'\]"),
            (RidgeClassifier(), "predict_proba", r"only \['predict', 'decision_function'\]"),
            (LinearRegression(), "probability", "'probability' is not one of"),
            (StandardScaler(), "auto", r"StandardScaler has only \[\]"),
        ],
    )
    def test_outputs_that_are_not_there(self, estimator, output, message):
        with pytest.raises(ValueError, match=message):
            Model(estimator.fit(X, binary), output=output)


class TestFunctions:
    def test_one_and_several_outputs(self):
        np.testing.assert_array_equal(Model(lambda X: X[:, 0])(X), X[:, :1])
        np.testing.assert_array_equal(Model(lambda X: X[:, :2])(X), X[:, :2])
        np.testing.assert_array_equal(Model(lambda X: X[:, 0] > 0)(X), X[:, :1] > 0)
        np.testing.assert_array_equal(Model(lambda X: list(X[:, 0]))(X), X[:, :1])
        assert Model(lambda X: X)(X).dtype == np.float64

    def test_windows(self):
        model = Model(lambda X: X[:, -1].sum(axis=1))
        np.testing.assert_array_equal(model(windows), windows[:, -1].sum(axis=1)[:, None])

    @pytest.mark.parametrize(
        "function",
        [
            lambda X: X[:-1, 0],
            lambda X: np.append(X[:, 0], 0),
            lambda X: X[:, 0].sum(),
            lambda X: X[:, :, None],
        ],
    )
    def test_wrong_number_of_rows(self, function):
        with pytest.raises(ValueError, match=r"output of shape .* for 60 rows; it must return one"):
            Model(function)(X)

    @pytest.mark.parametrize("model", [lambda X: X, Net()])
    def test_no_other_outputs(self, model):
        with pytest.raises(ValueError, match=r"needs an estimator; .*as_estimator\(.*classifier"):
            Model(model, output="predict_proba")
        with pytest.raises(ValueError, match=r"only predicts; wrap it with as_estimator\("):
            Model(as_estimator(model), output="predict_proba")


class TestModules:
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("n_outputs", [1, 2])
    @pytest.mark.parametrize("kind", [Net, ReturnsTuple])
    def test_outputs(self, kind, n_outputs, dtype):
        net = kind(n_outputs, dtype)
        model = Model(net)
        assert model.is_torch
        outputs = model(X)
        assert outputs.dtype == np.float64
        tolerance = 1e-12 if dtype == torch.float64 else 1e-5
        np.testing.assert_allclose(outputs, net.by_hand(X), atol=tolerance)

    def test_tensors_stay_tensors(self):
        net = Net(2).eval()
        outputs = Model(net).run_tensor(torch.as_tensor(X, dtype=torch.float32))
        assert outputs.dtype == torch.float64
        np.testing.assert_allclose(outputs.detach().numpy(), net.by_hand(X), atol=1e-5)

    @pytest.mark.parametrize("training", [True, False])
    def test_mode_is_restored(self, training):
        net = Net().train(training)
        net.body[2].train(not training)
        Model(net)(X)
        as_estimator(net).predict(X)
        assert net.training == net.head.training == training
        assert net.body[2].training == (not training)
        assert all(parameter.grad is None for parameter in net.parameters())

    def test_wrong_number_of_rows(self):
        class Mean(Net):
            def forward(self, X):
                return X.mean(dim=0)

        with pytest.raises(ValueError, match=r"for 60 rows; it must return one output"):
            Model(Mean())(X)
        with pytest.raises(ValueError, match=r"for 60 rows; it must return one output"):
            Model(Mean()).run_tensor(torch.ones(60, 4))

    def test_recurrent_layers_alone(self):
        layer = nn.GRU(4, 2, batch_first=True)
        expected = layer(torch.as_tensor(windows, dtype=torch.float32))[0].flatten(1)
        np.testing.assert_allclose(Model(layer)(windows), expected.detach(), atol=1e-6)

    def test_module_with_a_predict_of_its_own(self):
        class Predicts(Net):
            def predict(self, X):
                raise NotImplementedError

        net = Predicts()
        np.testing.assert_allclose(Model(net)(X), net.by_hand(X), atol=1e-5)
        np.testing.assert_allclose(as_estimator(net).predict(X), net.by_hand(X)[:, 0], atol=1e-5)


class TestSkorch:
    """Net by net: what skorch predicts on float32 is what is explained on float64."""

    def test_regressor(self, regressor):
        model = Model(regressor)
        assert model.is_torch
        assert model.method == "predict"
        np.testing.assert_allclose(model(X), regressor.predict(X.astype(np.float32)), rtol=1e-5)

    def test_classifier(self, classifier):
        model = Model(classifier)
        assert model.is_torch
        assert model.method == "predict_proba"
        expected = classifier.predict_proba(X.astype(np.float32))
        np.testing.assert_allclose(model(X), expected, rtol=1e-5)
        np.testing.assert_allclose(model(X).sum(axis=1), 1, rtol=1e-6)
        assert model.output_names(3) == ("0", "1", "2")

    def test_classifier_predicts_labels(self, classifier):
        model = Model(classifier, output="predict")
        assert not model.is_torch
        rows = X.astype(np.float32)
        np.testing.assert_array_equal(model(rows)[:, 0], classifier.predict(rows))

    def test_binary_classifier(self, binary_classifier):
        model = Model(binary_classifier)
        assert model.is_torch
        expected = binary_classifier.predict_proba(X.astype(np.float32))
        assert expected.shape == (60, 2)
        np.testing.assert_allclose(model(X), expected, rtol=1e-5)

    def test_net_without_a_task(self):
        net = fitted_net(NeuralNet, 2, np.column_stack([y, y]).astype(np.float32),
                         criterion=nn.MSELoss)  # fmt: skip
        model = Model(net)
        assert model.method == "predict"
        np.testing.assert_allclose(model(X), net.predict(X.astype(np.float32)), rtol=1e-5)

    def test_inside_a_pipeline(self, regressor):
        single = FunctionTransformer(lambda X: X.astype(np.float32)).fit(X)
        pipeline = make_pipeline(single, regressor)
        model = Model(pipeline)
        assert model.method == "predict"
        assert not model.is_torch
        np.testing.assert_array_equal(model(X), pipeline.predict(X))

    def test_mode_is_restored(self, regressor):
        for training in (True, False):
            regressor.module_.train(training)
            Model(regressor)(X)
            assert regressor.module_.training == regressor.module_.body[2].training == training


class TestRecurrent:
    def test_regressor_runs_its_module(self):
        estimator = GRURegressor(hidden_size=3, max_epochs=1, random_state=0)
        estimator.fit(windows, windows[:, -1, 0])
        model = Model(FrozenEstimator(estimator))
        assert model.is_torch
        np.testing.assert_allclose(model(windows)[:, 0], estimator.predict(windows), rtol=1e-6)

    @pytest.mark.parametrize("n_classes", [2, 3])
    def test_classifier_runs_its_module(self, n_classes):
        target = np.array(["a", "b", "c"])[np.arange(20) % n_classes]
        estimator = GRUClassifier(hidden_size=3, max_epochs=1, random_state=0, early_stopping=False)
        estimator.fit(windows, target)
        model = Model(estimator)
        assert model.is_torch
        assert model.method == "predict_proba"
        np.testing.assert_allclose(model(windows), estimator.predict_proba(windows), rtol=1e-5)
        assert model.output_names(n_classes) == ("a", "b", "c")[:n_classes]
        if hasattr(estimator, "decision_function"):
            model = Model(estimator, output="decision_function")
            expected = estimator.decision_function(windows).reshape(20, -1)
            np.testing.assert_allclose(model(windows), expected, rtol=1e-4, atol=1e-6)


class TestLogit:
    def test_log_odds(self):
        estimator = LogisticRegression().fit(X, binary)
        odds = Model(estimator, link="logit")(X)
        np.testing.assert_allclose(odds[:, 1], estimator.decision_function(X), rtol=1e-9)
        np.testing.assert_allclose(odds[:, 0], -odds[:, 1], rtol=1e-6)

    def test_tensors(self, classifier):
        model = Model(classifier, link="logit")
        probabilities = Model(classifier)(X)
        expected = np.log(probabilities) - np.log1p(-probabilities)
        np.testing.assert_allclose(model(X), expected, rtol=1e-6)
        classifier.module_.eval()
        with torch.inference_mode():
            tensor = model.run_tensor(torch.as_tensor(X, dtype=torch.float32))
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-5)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (1.0, "exactly 0 or 1; calibrate"),
            (0.0, "exactly 0 or 1"),
            (1.5, r"gives 0.5 to 1.5; use output=\"predict_proba\""),
            (-0.5, r"gives -0.5 to 0.5"),
        ],
    )
    def test_outputs_without_log_odds(self, value, message):
        with pytest.raises(ValueError, match=message):
            Model(lambda X: np.where(X[:, 0] > 1, value, 0.5), link="logit")(X)

    def test_forest_of_certain_trees(self):
        forest = RandomForestClassifier(5, random_state=0).fit(X, binary)
        with pytest.raises(ValueError, match="calibrate the classifier"):
            Model(forest, link="logit")(X)

    def test_unknown(self):
        with pytest.raises(ValueError, match="link='log' is not one of"):
            Model(lambda X: X, link="log")


class TestAsEstimator:
    def test_function(self):
        estimator = as_estimator(lambda X: X[:, 0] * 2)
        np.testing.assert_array_equal(estimator.predict(X), X[:, 0] * 2)
        assert is_regressor(estimator)
        assert estimator.score(X, X[:, 0] * 2) == 1
        assert clone(estimator).fit(X, y) is not None
        assert as_estimator(estimator) is estimator

    def test_function_of_several_outputs(self):
        assert as_estimator(lambda X: X[:, :2]).predict(X).shape == (60, 2)

    def test_function_as_classifier(self):
        estimator = as_estimator(lambda X: expit(X[:, 0]), "classifier", ["down", "up"])
        assert is_classifier(estimator)
        assert estimator.classes_.tolist() == ["down", "up"]
        np.testing.assert_allclose(estimator.predict_proba(X)[:, 1], expit(X[:, 0]))
        np.testing.assert_allclose(estimator.predict_proba(X).sum(axis=1), 1)
        np.testing.assert_array_equal(estimator.predict(X), np.where(X[:, 0] > 0, "up", "down"))
        model = Model(estimator)
        np.testing.assert_allclose(model(X)[:, 0], 1 - expit(X[:, 0]))
        assert model.output_names(2) == ("down", "up")

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_module(self, dtype):
        net = Net(2, dtype)
        estimator = as_estimator(net)
        np.testing.assert_allclose(estimator.predict(X), net.by_hand(X), atol=1e-5)
        np.testing.assert_allclose(estimator.predict(pd.DataFrame(X)), net.by_hand(X), atol=1e-5)
        assert Model(estimator).is_torch

    @pytest.mark.parametrize("n_outputs", [1, 2, 3])
    def test_module_as_classifier(self, n_outputs):
        net = Net(n_outputs)
        logits = net.by_hand(X)
        if n_outputs == 1:
            logits = np.hstack([np.zeros_like(logits), logits])
        estimator = as_estimator(net, "classifier", classes=list("abc")[: logits.shape[1]])
        expected = softmax(logits, axis=1)
        np.testing.assert_allclose(estimator.predict_proba(X), expected, atol=1e-6)
        np.testing.assert_array_equal(estimator.predict(X), np.array(list("abc"))[logits.argmax(1)])
        model = Model(estimator)
        assert model.is_torch
        np.testing.assert_allclose(model(X), expected, atol=1e-6)

    def test_skorch_regressor(self, regressor):
        estimator = as_estimator(regressor)
        expected = regressor.predict(X.astype(np.float32))[:, 0]
        assert is_regressor(estimator)
        np.testing.assert_allclose(estimator.predict(X), expected, rtol=1e-5)
        assert Model(estimator).is_torch
        np.testing.assert_allclose(Model(estimator)(X)[:, 0], expected, rtol=1e-5)

    @pytest.mark.parametrize("task", ["regressor", "classifier"])
    @pytest.mark.parametrize("name", ["classifier", "binary_classifier"])
    def test_skorch_classifier_knows_its_task(self, request, name, task):
        net = request.getfixturevalue(name)
        estimator = as_estimator(net, task)
        rows = X.astype(np.float32)
        assert is_classifier(estimator)
        np.testing.assert_array_equal(estimator.classes_, net.classes_)
        np.testing.assert_allclose(estimator.predict_proba(X), net.predict_proba(rows), rtol=1e-5)
        np.testing.assert_array_equal(estimator.predict(X), net.predict(rows))
        assert Model(estimator).is_torch

    def test_fitting_leaves_the_model_as_it_is(self, regressor):
        before = as_estimator(regressor).predict(X)
        np.testing.assert_array_equal(clone(as_estimator(regressor)).fit(X, -y).predict(X), before)

    def test_pickle(self):
        net = Net(2)
        estimator = pickle.loads(pickle.dumps(as_estimator(net, "classifier")))
        np.testing.assert_allclose(
            estimator.predict_proba(X), softmax(net.by_hand(X), 1), atol=1e-6
        )

    def test_wrong_number_of_classes(self):
        with pytest.raises(ValueError, match=r"3 probabilities a row for 2 classes; name them"):
            as_estimator(Net(3), "classifier").predict_proba(X)

    def test_what_is_no_trained_model(self):
        with pytest.raises(TypeError, match="int can neither be called nor predict"):
            as_estimator(3)
        with pytest.raises(TypeError, match="Net is a class; give a trained instance"):
            as_estimator(Net)
        with pytest.raises(ValueError, match=r"classes=\['a'\] are for task=\"classifier\""):
            as_estimator(Net(), classes=["a"])
        with pytest.raises(ValueError, match="task='cluster' must be"):
            as_estimator(Net(), "cluster")
        with pytest.raises(ValueError, match="not trained yet"):
            as_estimator(NeuralNetRegressor(Net))
        with pytest.raises(ValueError, match="not fitted"):
            as_estimator(Ridge())


class TestUsesTorch:
    @pytest.mark.parametrize(
        ("estimator", "expected"),
        [
            (Ridge(), False),
            (Net(), True),
            (as_estimator(Net()), True),
            (as_estimator(lambda X: X), False),
            (make_pipeline(StandardScaler(), as_estimator(Net())), True),
            (make_pipeline(StandardScaler(), Ridge()), False),
            (TransformedTargetRegressor(as_estimator(Net())).fit(X, y), True),
        ],
    )
    def test_through_wrappers(self, estimator, expected):
        assert uses_torch(estimator) == expected

    def test_recurrent(self):
        fitted = GRURegressor(hidden_size=2, max_epochs=1).fit(windows, windows[:, 0, 0])
        assert uses_torch(FrozenEstimator(fitted))


class Duck(BaseEstimator):
    """Predicts, and says nothing of what it is."""

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict(self, X):
        return X[:, 0]


def test_estimator_of_no_type():
    np.testing.assert_array_equal(Model(Duck())(X), X[:, :1])
    np.testing.assert_array_equal(as_estimator(Duck()).predict(X), X[:, 0])
