"""DeepSHAP must add up for any net, however it is dressed, and agree with peers where these do."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from sklexplain import Background, DeepSHAP, SlidingWindow, as_estimator, make_players
from sklexplain.recurrent import (
    FeedForwardClassifier,
    FeedForwardRegressor,
    GRUClassifier,
    GRURegressor,
    LSTMClassifier,
    LSTMRegressor,
    RNNClassifier,
    RNNRegressor,
)
from sklexplain.solvers.deeplift_tape import UnsupportedOperationError

rng = np.random.default_rng(0)
windows = rng.normal(size=(60, 4, 3)).astype(np.float32)
target = windows[:, -1, 0] * windows[:, 0, 1] + windows[:, 1, 2]
labels = np.array(["low", "mid", "high"])[np.digitize(target, [-0.4, 0.4])]
table = pd.DataFrame(rng.normal(size=(60, 3)), columns=["open", "close", "volume"])
flat = pd.DataFrame(windows.reshape(60, 12), columns=[f"c{i}" for i in range(12)])
SMALL = {"hidden_size": 4, "max_epochs": 2, "random_state": 0, "early_stopping": False}


@pytest.fixture(autouse=True)
def _one_thread():
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def made(estimator, X=windows, y=target, **params):
    return DeepSHAP(estimator, background=10, random_state=0, **params).fit(X, y)


def check(explainer, X, method="predict", rtol=1e-5):
    """Completeness, predictions and base values, against the estimator itself."""
    explanation = explainer.explain(X)
    outputs = np.asarray(getattr(explainer.estimator_, method)(X), dtype=float)
    scale = np.abs(outputs - explainer.base_values_.reshape(outputs.shape[1:])).max()
    np.testing.assert_allclose(explanation.predictions, outputs, rtol=1e-5, atol=rtol * scale)
    total = explanation.values.sum(axis=1) + explanation.base_values
    np.testing.assert_allclose(total, outputs, rtol=1e-6, atol=rtol * scale)
    assert explanation.diagnostics["completeness_gap"].shape == outputs.shape
    assert explanation.diagnostics["completeness_gap"].max() <= rtol * max(scale, 1)
    assert explanation.params["output"] == method
    return explanation


def mlp(dtype=torch.float32, n_outputs=1, activation=nn.ReLU, width=12):
    torch.manual_seed(0)
    layers = nn.Linear(12, width), activation(), nn.Linear(width, width), activation()
    return nn.Sequential(nn.Flatten(), *layers, nn.Linear(width, n_outputs)).to(dtype).eval()


class Last(nn.Module):
    def __init__(self, n_outputs=1, kind=nn.LSTM, squeeze=False):
        super().__init__()
        self.recurrent = kind(3, 4, batch_first=True)
        self.out, self.squeeze = nn.Linear(4, n_outputs), squeeze

    def forward(self, x):
        outputs = self.out(self.recurrent(x)[0][:, -1])
        return outputs[:, 0] if self.squeeze else outputs


class Sorting(nn.Module):
    def forward(self, x):
        return torch.cumprod(x.flatten(1), dim=1)[:, :2]


class TestOwnNets:
    @pytest.mark.parametrize(
        "kind", [GRURegressor, LSTMRegressor, RNNRegressor, FeedForwardRegressor]
    )
    @pytest.mark.parametrize("y", [target, np.column_stack([target, -3 * target])], ids=["1", "2"])
    def test_regressors(self, kind, y):
        explanation = check(made(kind(**SMALL), y=y), windows)
        names = () if y.ndim == 1 else ("output 0", "output 1")
        assert explanation.output_names == names
        assert explanation.method == "DeepSHAP"
        assert explanation.params["n_background"] == 10

    @pytest.mark.parametrize(
        "kind", [GRUClassifier, LSTMClassifier, RNNClassifier, FeedForwardClassifier]
    )
    @pytest.mark.parametrize("output", ["predict_proba", "decision_function"])
    @pytest.mark.parametrize("y", [labels, target > 0], ids=["three", "two"])
    def test_classifiers(self, kind, output, y):
        explainer = made(kind(**SMALL), y=y, output=output)
        explanation = check(explainer, windows, output)
        single = output == "decision_function" and y.dtype == bool
        names = () if single else tuple(str(name) for name in np.unique(y))
        assert explanation.output_names == explainer.output_names_ == names

    def test_classes_get_probabilities(self):
        check(made(GRUClassifier(**SMALL), y=labels), windows, "predict_proba")
        with pytest.raises(TypeError, match=r"gives 'predict'.*KernelSHAP"):
            made(GRUClassifier(**SMALL), y=labels, output="predict")

    def test_flat_windows_and_frames(self):
        check(made(GRURegressor(n_timesteps=4, **SMALL), X=flat), flat)
        explanation = check(made(FeedForwardRegressor(**SMALL), X=flat), flat[10:20])
        assert explanation.players.names == tuple(flat.columns)
        assert explanation.index.tolist() == list(range(10, 20))

    def test_search(self):
        search = GridSearchCV(GRURegressor(**SMALL), {"lr": [0.01, 0.1]}, cv=2)
        check(made(search), windows)


class TestSkorch:
    @pytest.mark.parametrize("adapted", [False, True])
    def test_regressor(self, adapted):
        net = NeuralNetRegressor(Last, max_epochs=2, verbose=0, train_split=None)
        y = target[:, None]
        inner = as_estimator(net.fit(windows, y)) if adapted else net
        explainer = made(inner, y=y)
        explanation = explainer.explain(windows)
        total = explanation.values.sum(axis=1) + explanation.base_values
        np.testing.assert_allclose(total, np.ravel(explainer.predict(windows)), atol=1e-6)

    @pytest.mark.parametrize("adapted", [False, True])
    def test_classifier(self, adapted):
        codes = np.digitize(target, [-0.4, 0.4])
        net = NeuralNetClassifier(
            Last, module__n_outputs=3, criterion=nn.CrossEntropyLoss, max_epochs=2, verbose=0,
            train_split=None,
        )  # fmt: skip
        inner = as_estimator(net.fit(windows, codes)) if adapted else net
        explanation = check(made(inner, y=codes), windows, "predict_proba")
        assert explanation.output_names == ("0", "1", "2")

    @pytest.mark.parametrize("adapted", [False, True])
    def test_two_classes(self, adapted):
        y = (target > 0).astype(np.float32)
        net = NeuralNetBinaryClassifier(
            Last, module__squeeze=True, max_epochs=2, verbose=0, train_split=None
        )
        inner = as_estimator(net.fit(windows, y)) if adapted else net
        explanation = check(made(inner, y=y), windows, "predict_proba")
        np.testing.assert_allclose(explanation.values.sum(axis=2), 0, atol=1e-6)


class TestModules:
    @pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
    @pytest.mark.parametrize("net", [mlp(), mlp(activation=nn.GELU), Last(2), Last(kind=nn.GRU)])
    def test_precision(self, net, dtype, limit):
        net = pickle.loads(pickle.dumps(net)).to(dtype)
        explanation = made(net).explain(windows)
        total = explanation.values.sum(axis=1) + explanation.base_values
        with torch.no_grad():
            outputs = net(torch.as_tensor(windows).to(dtype)).double().numpy()
        scale = np.abs(outputs - explanation.base_values.reshape(outputs.shape)).max()
        np.testing.assert_allclose(total.reshape(outputs.shape), outputs, atol=limit * scale)
        assert explanation.diagnostics["completeness_gap"].max() <= 3 * limit * scale

    @pytest.mark.parametrize("task", ["regressor", "classifier"])
    def test_as_estimator(self, task):
        classes = ["a", "b"] if task == "classifier" else None
        inner = as_estimator(mlp(n_outputs=2), task, classes)
        method = "predict_proba" if task == "classifier" else "predict"
        explanation = check(made(inner), windows, method)
        assert explanation.output_names == (("a", "b") if classes else ("output 0", "output 1"))

    def test_linear_net_has_a_closed_form(self):
        net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).double()
        explanation = made(net, players="cell").explain(windows)
        weight = net[1].weight.detach().numpy()
        distance = windows - made(net).background_.rows.mean(axis=0)
        expected = distance.reshape(60, 12, 1).astype(float) * weight.T
        np.testing.assert_allclose(explanation.values, expected, atol=1e-6)

    def test_state_is_untouched(self):
        net = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.Dropout(0.5), nn.BatchNorm1d(4))
        net.train()[1].eval()
        before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        made(net).explain(windows)
        assert [part.training for part in net.modules()] == [True, True, False, True, True]
        for name, tensor in net.state_dict().items():
            torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
        assert all(p.grad is None and p.requires_grad for p in net.parameters())
        assert not any(part._forward_hooks for part in net.modules())


@pytest.mark.filterwarnings("ignore")
class TestAgainstPeers:
    rows = torch.as_tensor(windows[20:40])
    references = torch.as_tensor(windows[:12])

    def cells(self, net):
        explainer = DeepSHAP(net, background=windows[:12], players="cell").fit(windows)
        values = explainer.explain(windows[20:40]).values
        return values.reshape(20, 4, 3, *values.shape[2:])

    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_shap(self, n_outputs):
        shap = pytest.importorskip("shap")
        net = mlp(n_outputs=n_outputs)
        expected = shap.DeepExplainer(net, self.references).shap_values(self.rows)
        found = self.cells(net).reshape(20, 4, 3, n_outputs)
        np.testing.assert_allclose(found, expected.reshape(found.shape), atol=1e-4)

    def test_captum(self):
        attr = pytest.importorskip("captum.attr")
        net = mlp()
        expected = attr.DeepLiftShap(net).attribute(self.rows, self.references)
        np.testing.assert_allclose(self.cells(net), expected.detach().numpy(), atol=1e-4)


class TestPipelines:
    def test_scaler_before_the_windows(self):
        pipeline = make_pipeline(StandardScaler(), SlidingWindow(4), GRURegressor(**SMALL))
        explainer = made(pipeline, X=table)
        explanation = check(explainer, table)
        assert explanation.players.names == tuple(table.columns)
        made_rows = explainer.estimator_[:-1].transform(table)
        np.testing.assert_allclose(explanation.data, made_rows)
        alone = DeepSHAP(
            FrozenEstimator(explainer.estimator_[-1]), background=explainer.background_
        ).fit(made_rows)
        np.testing.assert_allclose(explanation.values, alone.transform(made_rows), atol=1e-6)

    def test_scalers_after_the_windows(self):
        pipeline = make_pipeline(
            PCA(3), SlidingWindow(4, flatten=True), RobustScaler(), "passthrough", MinMaxScaler(),
            GRURegressor(n_timesteps=4, **SMALL),
        )  # fmt: skip
        explainer = made(pipeline, X=table.to_numpy(), players="timestep")
        explanation = check(explainer, table.to_numpy())
        assert explanation.players.names == ("t-3", "t-2", "t-1", "t")

    def test_scaler_of_a_frame(self, recwarn):
        pipeline = make_pipeline(StandardScaler(), MinMaxScaler(), FeedForwardRegressor(**SMALL))
        explanation = check(made(pipeline, X=flat), flat)
        assert not [w for w in recwarn if "feature names" in str(w.message)]
        # In the user's own units.
        np.testing.assert_array_equal(explanation.data, flat)

    @pytest.mark.parametrize(
        ("params", "y"),
        [
            ({"transformer": StandardScaler()}, 100 * target + 50),
            ({"transformer": StandardScaler()}, np.column_stack([target, 5 * target + 1])),
            ({"func": lambda v: (v - 3) / 10, "inverse_func": lambda v: 10 * v + 3}, target),
        ],
        ids=["one", "several", "function"],
    )
    def test_targets(self, params, y):
        check(made(TransformedTargetRegressor(GRURegressor(**SMALL), **params), y=y), windows)

    def test_mixed_targets(self):
        """The inverse is a whole matrix where a transformer turns the targets."""
        y = np.column_stack([target, windows[:, 0, 0] + target])
        regressor = TransformedTargetRegressor(GRURegressor(**SMALL), transformer=PCA(2))
        check(made(regressor, y=y), windows)

    @pytest.mark.parametrize(
        "inverse",
        [np.exp, lambda v: np.maximum(v, 0), np.abs, np.sinh],
        ids=["exp", "clipped", "abs", "sinh"],
    )
    def test_targets_that_are_bent(self, inverse):
        regressor = TransformedTargetRegressor(
            GRURegressor(**SMALL), func=np.asarray, inverse_func=inverse, check_inverse=False
        )
        with pytest.raises(TypeError, match=r"linear transformer.*KernelSHAP"):
            made(regressor)

    def test_target_around_windows(self):
        pipeline = make_pipeline(StandardScaler(), SlidingWindow(4), LSTMRegressor(**SMALL))
        regressor = TransformedTargetRegressor(pipeline, transformer=StandardScaler())
        check(made(regressor, X=table, y=40 * target + 7), table)


class TestPlayers:
    @pytest.mark.parametrize(
        "players", ["feature", "timestep", {"recent": [(3, 0), (3, 1)], "rest": [(0, 0)]}], ids=str
    )
    def test_sums_of_cells(self, players):
        net = Last(2)
        cells = made(net, players="cell").explain(windows).values
        values = made(net, players=players).explain(windows).values
        partition = make_players(players, (4, 3))
        expected = [
            cells[:, partition.members(p).ravel()].sum(axis=1) for p in range(len(partition))
        ]
        np.testing.assert_allclose(values, np.stack(expected, axis=1), atol=1e-6)


class TestBackground:
    def test_kinds(self):
        net = mlp()
        drawn = DeepSHAP(net, background=7, random_state=1).fit(windows)
        given = DeepSHAP(net, background=drawn.background_.rows).fit(windows)
        np.testing.assert_array_equal(drawn.transform(windows), given.transform(windows))
        assert len(DeepSHAP(net).fit(windows).background_) == 60

    def test_weights(self):
        centres = Background.kmeans(windows, 4, random_state=0)
        net = mlp(torch.float64)
        values = DeepSHAP(net, background=centres).fit(windows).transform(windows)
        expected = 0
        for row, weight in zip(centres.rows, centres.weights, strict=True):
            one = DeepSHAP(net, background=row[None]).fit(windows)
            expected = expected + weight * one.transform(windows)
        np.testing.assert_allclose(values, expected, atol=1e-9)

    def test_one_row(self):
        explainer = DeepSHAP(Last(), background=windows[:1]).fit(windows)
        np.testing.assert_allclose(explainer.transform(windows[:1]), 0, atol=1e-7)
        explanation = explainer.explain(windows)
        assert np.ptp(explanation.base_values) == 0

    def test_frame(self):
        net = nn.Sequential(nn.Linear(12, 3), nn.Tanh(), nn.Linear(3, 1))
        framed = DeepSHAP(net, background=flat[:5]).fit(flat).transform(flat)
        plain = DeepSHAP(net, background=flat[:5].to_numpy()).fit(flat.to_numpy())
        np.testing.assert_allclose(framed, plain.transform(flat.to_numpy()), atol=1e-7)


class TestInterface:
    @pytest.mark.parametrize("batch_size", [1, 7, "auto"])
    def test_rows_do_not_meet(self, batch_size):
        net = Last(2).double()
        whole = made(net).explain(windows).values
        parts = made(net, batch_size=batch_size)
        np.testing.assert_allclose(parts.explain(windows).values, whole, atol=1e-12)
        for row in (0, 17):
            alone = parts.explain(windows[row : row + 1]).values
            np.testing.assert_allclose(alone, whole[row : row + 1], atol=1e-12)
        np.testing.assert_allclose(parts.explain(windows[::-1]).values, whole[::-1], atol=1e-12)

    def test_memory_does_not_matter(self):
        from sklearn import config_context

        explainer = made(Last(2).double())
        whole = explainer.transform(windows)
        with config_context(working_memory=0.05):
            np.testing.assert_allclose(explainer.transform(windows), whole, atol=1e-12)

    def test_table_of_values(self):
        explainer = made(GRUClassifier(**SMALL), y=labels)
        explanation = explainer.explain(windows[:5])
        np.testing.assert_array_equal(
            explainer.transform(windows[:5]), explanation.values.reshape(5, -1)
        )
        names = [f"{x}:{c}" for x in ("x0", "x1", "x2") for c in ("high", "low", "mid")]
        assert explainer.get_feature_names_out().tolist() == names
        explainer.set_output(transform="pandas")
        assert explainer.transform(windows[:5]).columns.tolist() == names

    def test_importances(self):
        explainer = made(FeedForwardRegressor(**SMALL), X=flat)
        values = np.abs(
            explainer.transform(pd.DataFrame(explainer.importance_rows_, columns=flat.columns))
        )
        np.testing.assert_allclose(explainer.feature_importances_, values.mean(axis=0))
        np.testing.assert_allclose(explainer.importances_std_, values.std(axis=0))

    def test_clone_and_pickle(self):
        explainer = made(
            TransformedTargetRegressor(GRURegressor(**SMALL), transformer=StandardScaler())
        )
        values = explainer.transform(windows)
        loaded = pickle.loads(pickle.dumps(explainer))
        np.testing.assert_array_equal(loaded.transform(windows), values)
        again = clone(explainer).fit(windows, target)
        np.testing.assert_allclose(again.transform(windows), values, atol=1e-6)

    def test_delegation(self):
        explainer = made(GRUClassifier(**SMALL), y=labels)
        inner = GRUClassifier(**SMALL).fit(windows, labels)
        np.testing.assert_array_equal(explainer.predict(windows), inner.predict(windows))
        assert explainer.score(windows, labels) == inner.score(windows, labels)
        assert explainer.classes_.tolist() == inner.classes_.tolist()

    def test_progress(self, capsys):
        made(mlp(), verbose=1).explain(windows)
        assert "DeepSHAP: 100%" in capsys.readouterr().err


class TestUncovered:
    def test_error(self):
        with pytest.raises(UnsupportedOperationError, match=r"(?s)cumprod.*KernelSHAP"):
            made(Sorting()).explain(windows)

    def test_gradient(self):
        explainer = made(Sorting(), unsupported="gradient")
        with pytest.warns(ConvergenceWarning) as caught:
            explanation = explainer.explain(windows)
        messages = " ".join(str(w.message) for w in caught)
        assert "no rule covers" in messages
        assert "cumprod" in messages
        assert "miss the prediction by up to" in messages
        total = explanation.values.sum(axis=1) + explanation.base_values
        missed = np.abs(total - explanation.predictions)
        gaps = explanation.diagnostics["completeness_gap"]
        # The gap is the largest over the background rows, the values are their mean.
        assert np.all(missed <= gaps + 1e-6)
        assert gaps.max() > 0.1
        assert "cumprod" in " ".join(explanation.params["uncovered"])

    def test_covered_nets_do_not_warn(self, recwarn):
        made(Last(2), unsupported="gradient").explain(windows)
        # Outputs that hardly differ, at a large value: all that is left is rounding.
        net = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 1))
        with torch.no_grad():
            net[3].weight.mul_(1e-6)
            net[3].bias.fill_(1000)
        made(net).explain(windows)
        assert not [w for w in recwarn if w.category is ConvergenceWarning]


class TestErrors:
    @pytest.mark.parametrize(
        "estimator",
        [
            RandomForestRegressor(),
            MLPRegressor(),
            make_pipeline(StandardScaler(), SlidingWindow(3), LinearRegression()),
            TransformedTargetRegressor(LinearRegression(), transformer=StandardScaler()),
            GridSearchCV(RandomForestRegressor(), {}),
            lambda rows: rows[:, 0],
        ],
        ids=["forest", "mlp", "windows", "target", "search", "function"],
    )
    def test_no_net(self, estimator, monkeypatch):
        def fit(*args, **kwargs):
            raise AssertionError("fitted for nothing")

        for kind in (RandomForestRegressor, MLPRegressor, LinearRegression, StandardScaler):
            monkeypatch.setattr(kind, "fit", fit)
        with pytest.raises(TypeError, match=r"needs a torch net.*KernelSHAP.*TreeSHAP"):
            DeepSHAP(estimator).fit(table, target)

    def test_no_net_in_a_wrapped_function(self):
        with pytest.raises(TypeError, match=r"needs a torch net.*KernelSHAP"):
            DeepSHAP(as_estimator(lambda rows: rows[:, 0])).fit(flat)

    def test_steps_that_mix_columns(self, monkeypatch):
        monkeypatch.setattr(PCA, "fit_transform", None)
        with pytest.raises(TypeError, match=r"the step PCA .*KernelSHAP"):
            made(make_pipeline(PCA(3), FeedForwardRegressor(**SMALL)), X=table)

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"background": 0}, "background=0 must be"),
            ({"background": windows[:, :2]}, "background rows have shape"),
            ({"output": "proba"}, "'output' parameter"),
            ({"unsupported": "ignore"}, "'unsupported' parameter"),
            ({"batch_size": 0}, "'batch_size' parameter"),
        ],
    )
    def test_parameters(self, params, message):
        with pytest.raises(ValueError, match=message):
            DeepSHAP(mlp(), **params).fit(windows)

    def test_missing_values(self):
        holes = windows.copy()
        holes[3, 0, 0] = np.nan
        explainer = made(mlp())
        with pytest.raises(ValueError, match="NaN or infinite values"):
            explainer.explain(holes)
