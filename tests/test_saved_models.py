"""Models and explainers stored by pickle, joblib and skops answer as they did before."""

import ast
import contextlib
import pickle
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import GradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skorch import NeuralNetRegressor
from torch import nn

import sklexplain
from sklexplain import trusted_types
from sklexplain.core.tables import RowCodec

skops_io = pytest.importorskip("skops.io")

NETS = [
    f"{net}{task}"
    for net in ("FeedForward", "GRU", "LSTM", "RNN")
    for task in ("Classifier", "Regressor")
]
RNG = np.random.default_rng(0)
WINDOWS = RNG.normal(size=(40, 4, 3)).astype(np.float32)
TABLE = WINDOWS[:, -1].astype(float)
TARGET = TABLE[:, 0] - TABLE[:, 2]
CITIES = pd.DataFrame({"size": TABLE[:, 0], "city": np.where(TABLE[:, 1] > 0, "Bern", "Ulm")})


def make_net(name, **params):
    return getattr(sklexplain, name)(hidden_size=3, max_epochs=2, random_state=0, **params)


def target_of(name):
    return (TARGET > 0).astype(int) if name.endswith("Classifier") else TARGET


def by_pickle(model):
    return pickle.loads(pickle.dumps(model))


def by_joblib(model, folder):
    joblib.dump(model, folder / "model.joblib")
    return joblib.load(folder / "model.joblib")


def by_skops(model):
    """Store and load; `loads` refuses what is not trusted, so every type is on the list or here."""
    # skops leaves it to the user whether to trust the nodes of trees; so does the package.
    trees = ["sklearn.tree._tree.Tree"] if isinstance(model, sklexplain.TreeSHAP) else []
    return skops_io.loads(skops_io.dumps(model), trusted=trusted_types() + trees)


def reloaded(model, folder):
    return {
        "pickle": by_pickle(model),
        "joblib": by_joblib(model, folder),
        "skops": by_skops(model),
    }


class TestNets:
    @pytest.mark.parametrize("name", NETS)
    def test_every_net(self, tmp_path, name):
        net = make_net(name).fit(WINDOWS, target_of(name))
        method = "predict_proba" if name.endswith("Classifier") else "predict"
        expected = getattr(net, method)(WINDOWS)
        for how, again in reloaded(net, tmp_path).items():
            np.testing.assert_array_equal(getattr(again, method)(WINDOWS), expected, err_msg=how)
            assert again.history_ == net.history_
            assert type(again.module_) is type(net.module_)

    @pytest.mark.parametrize(
        "params",
        [
            {"num_layers": 2, "bidirectional": True, "dropout": 0.2},
            {"early_stopping": False, "gradient_clip": None, "standardize": False},
            {"verbose": 1},
        ],
    )
    def test_parameters(self, tmp_path, params):
        net = make_net("LSTMRegressor", **params).fit(WINDOWS, TARGET)
        for again in reloaded(net, tmp_path).values():
            np.testing.assert_array_equal(again.predict(WINDOWS), net.predict(WINDOWS))
            assert again.get_params() == net.get_params()

    def test_training_goes_on_alike(self, tmp_path):
        """The optimizer's moments are stored too: a further epoch gives the same weights."""
        net = make_net("GRURegressor", early_stopping=False).fit(WINDOWS, TARGET)
        copies = reloaded(net, tmp_path)
        y = torch.as_tensor(TARGET[:, None], dtype=torch.float32)

        def weights_after_an_epoch(model):
            torch.manual_seed(0)
            model.net_.partial_fit(WINDOWS, y)
            return [weight.detach().numpy() for weight in model.module_.parameters()]

        expected = weights_after_an_epoch(net)
        for again in copies.values():
            for one, other in zip(weights_after_an_epoch(again), expected, strict=True):
                np.testing.assert_array_equal(one, other)

    def test_precision_and_frozen_weights(self):
        net = make_net("GRURegressor").fit(WINDOWS, TARGET)
        net.module_.double()
        net.module_.output.weight.requires_grad_(False)
        again = by_skops(net)
        for (name, one), other in zip(
            again.module_.named_parameters(), net.module_.parameters(), strict=True
        ):
            assert one.dtype == torch.float64
            assert one.requires_grad == (name != "output.weight")
            np.testing.assert_array_equal(one.detach(), other.detach())

    def test_reading_draws_nothing_from_torch(self):
        stored = pickle.dumps(make_net("GRURegressor").fit(WINDOWS, TARGET))
        torch.manual_seed(0)
        expected = torch.rand(3)
        torch.manual_seed(0)
        pickle.loads(stored)
        assert torch.equal(torch.rand(3), expected)

    def test_unfitted(self, tmp_path):
        for again in reloaded(make_net("GRURegressor"), tmp_path).values():
            assert again.get_params() == make_net("GRURegressor").get_params()


def explainers():
    classes = (TARGET > 0).astype(int)
    gru = make_net("GRURegressor")
    windowed = make_pipeline(
        StandardScaler(), sklexplain.SlidingWindow(window=3), make_net("LSTMRegressor")
    )
    cities = make_pipeline(OneHotEncoder(handle_unknown="ignore"), Ridge())
    lime = {"n_samples": 60, "random_state": 0}
    return {
        "KernelSHAP": (sklexplain.KernelSHAP(Ridge()), TABLE, TARGET),
        "KernelSHAP, sampled": (
            sklexplain.KernelSHAP(gru, players="cell", max_evals=100, random_state=0),
            WINDOWS,
            TARGET,
        ),
        "KernelSHAP, windows in a pipeline": (sklexplain.KernelSHAP(windowed), TABLE, TARGET),
        "KernelSHAP, DataFrame": (sklexplain.KernelSHAP(cities), CITIES, TARGET),
        "KernelSHAP, classifier": (
            sklexplain.KernelSHAP(LogisticRegression(), link="logit"),
            TABLE,
            classes,
        ),
        "DeepSHAP": (sklexplain.DeepSHAP(gru), WINDOWS, TARGET),
        "TreeSHAP": (sklexplain.TreeSHAP(RandomForestRegressor(4, random_state=0)), TABLE, TARGET),
        "TreeSHAP, background": (
            sklexplain.TreeSHAP(GradientBoostingClassifier(n_estimators=4), background=20),
            TABLE,
            classes,
        ),
        "SHAP": (sklexplain.SHAP(Ridge()), TABLE, TARGET),
        "SHAP, net": (sklexplain.SHAP(gru, players="cell"), WINDOWS, TARGET),
        "LIME": (sklexplain.LIME(Ridge(), **lime), TABLE, TARGET),
        "LIME, not binned": (sklexplain.LIME(Ridge(), discretizer=None, **lime), TABLE, TARGET),
        "LIME, windows": (sklexplain.LIME(gru, **lime), WINDOWS, TARGET),
        "LIME, DataFrame": (sklexplain.LIME(cities, **lime), CITIES, TARGET),
    }


class TestExplainers:
    @pytest.mark.parametrize("name", explainers())
    def test_explains_alike(self, tmp_path, name):
        explainer, X, y = explainers()[name]
        explainer.fit(X, y)
        expected = explainer.explain(X[:3])
        for how, again in reloaded(explainer, tmp_path).items():
            explanation = again.explain(X[:3])
            np.testing.assert_array_equal(explanation.values, expected.values, err_msg=how)
            np.testing.assert_array_equal(explanation.base_values, expected.base_values)
            assert explanation.players == expected.players

    @pytest.mark.parametrize("players", ["auto", "cell"])
    def test_permutation_importance(self, tmp_path, players):
        explainer = sklexplain.PermutationImportance(
            make_net("GRURegressor"), players=players, n_repeats=2, random_state=0
        ).fit(WINDOWS, TARGET)
        for again in reloaded(explainer, tmp_path).values():
            np.testing.assert_array_equal(again.importances_, explainer.importances_)
            np.testing.assert_array_equal(
                again.explain(WINDOWS, TARGET).values, explainer.explain(WINDOWS, TARGET).values
            )


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(["a", "b"], dtype="category"),
        pd.Series(pd.Categorical([3, 1], [3, 1, 2], ordered=True)),
        pd.Series(["a", "b"]),
        pd.Series(["a", None], dtype="string"),
        pd.Series([1, None], dtype="Int64"),
        pd.Series(pd.to_datetime(["2024-01-01", None])),
        pd.Series(pd.to_datetime(["2024-01-01", "2024-01-02"], utc=True)),
        pd.Series([True, False]),
        pd.Series(["a", 1], dtype=object),
    ],
    ids=lambda column: str(column.dtype),
)
def test_columns_of_every_type(tmp_path, column):
    codec = RowCodec.from_rows(column.to_frame("c"))
    expected = codec.decode(codec.encode(column.to_frame("c")))
    for again in (by_pickle(codec), by_joblib(codec, tmp_path)):
        assert again.dtypes == codec.dtypes
        pd.testing.assert_frame_equal(again.decode(again.encode(column.to_frame("c"))), expected)
    if not isinstance(column[0], pd.Timestamp):
        assert by_skops(codec).dtypes == codec.dtypes


class Exploit:
    called = False

    def __reduce__(self):
        return (setattr, (Exploit, "called", True))


class TestTrust:
    def test_a_pickle_inside_the_state_of_a_net_is_never_read(self):
        """skorch stores weights as a pickle of its own, which it runs when skops sets the state."""
        net = make_net("GRURegressor").fit(WINDOWS, TARGET).net_
        state = {**net.__getstate__(), "__cuda_dependent_attributes__": pickle.dumps(Exploit())}
        again = type(net).__new__(type(net))
        again.__setstate__(state)
        assert not Exploit.called
        # The same state in skorch's own net shows what the test is about.
        foreign = NeuralNetRegressor(nn.Linear, module__in_features=1, module__out_features=1)
        state = {
            **foreign.initialize().__getstate__(),
            "__cuda_dependent_attributes__": pickle.dumps(Exploit()),
        }
        # What the exploit returns is no dictionary, but by then it has run.
        with contextlib.suppress(TypeError):
            NeuralNetRegressor.__new__(NeuralNetRegressor).__setstate__(state)
        assert Exploit.called
        Exploit.called = False

    def test_nothing_binary_in_a_file_but_arrays(self, tmp_path):
        net = make_net("GRURegressor").fit(WINDOWS, TARGET)
        skops_io.dump(net, tmp_path / "net.skops")
        with zipfile.ZipFile(tmp_path / "net.skops") as archive:
            for name in archive.namelist():
                assert name == "schema.json" or name.endswith(".npy")
                if name.endswith(".npy"):
                    with archive.open(name) as member:
                        np.load(member, allow_pickle=False)

    def test_a_module_of_another_kind_is_refused(self):
        net = make_net("GRURegressor").fit(WINDOWS, TARGET).net_
        state = {**net.__getstate__(), "module": nn.Linear}
        with pytest.raises(ValueError, match="is no module of a RegressorNet"):
            type(net).__new__(type(net)).__setstate__(state)

    def test_nets_of_skorch_itself_are_not_trusted(self):
        net = NeuralNetRegressor(nn.Linear, module__in_features=1, module__out_features=1)
        stored = skops_io.dumps(net.initialize())
        with pytest.raises(Exception, match="NeuralNetRegressor") as caught:
            skops_io.loads(stored, trusted=trusted_types())
        assert type(caught.value).__name__ == "UntrustedTypesFoundException"

    def test_every_trusted_type_exists(self):
        for name in trusted_types():
            module, _, attribute = name.rpartition(".")
            assert hasattr(__import__(module, fromlist=[attribute]), attribute), name

    def test_torch_never_unpickles(self):
        """`torch.load` runs code unless it is told not to; the package does not call pickle."""
        package = Path(sklexplain.__file__).parent
        for path in package.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call):
                    continue
                called = ast.unparse(node.func)
                where = f"{path}:{node.lineno}"
                if called in ("torch.load", "torch.hub.load"):
                    words = {word.arg: ast.unparse(word.value) for word in node.keywords}
                    assert words.get("weights_only") == "True", where
                if called in ("np.load", "numpy.load"):
                    words = {word.arg: ast.unparse(word.value) for word in node.keywords}
                    assert words.get("allow_pickle") == "False", where
                assert called not in (
                    "pickle.load",
                    "pickle.loads",
                    "joblib.load",
                    "dill.loads",
                    "pd.read_pickle",
                    "eval",
                    "exec",
                ), where
