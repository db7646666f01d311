import importlib
import io
import os
import pickle
import subprocess
import sys
import threading
import types
from functools import cached_property, partial
from pathlib import Path

import joblib
import numpy as np
import pytest
import torch
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.svm import SVR
from torch import nn

from sklexplain import GRURegressor, LSTMClassifier
from sklexplain.core.checkpoints import Checkpoints
from sklexplain.core.fingerprints import fingerprint


def fitted_models():
    X = np.random.default_rng(0).normal(size=(120, 5))
    y, windows = X[:, 0], X[:, :, None]
    torch.manual_seed(0)
    quantiles = QuantileTransformer(n_quantiles=9)
    boosted = HistGradientBoostingRegressor(max_iter=5, early_stopping=True, random_state=0)
    return {
        "ridge": Ridge().fit(X, y),
        "forest": RandomForestRegressor(5, random_state=0).fit(X, y),
        "classes": RandomForestClassifier(5, random_state=0).fit(X, np.where(y > 0, "a", "b")),
        "extra": ExtraTreesRegressor(5, random_state=0).fit(X, y),
        "boosted": GradientBoostingRegressor(n_estimators=5, random_state=0).fit(X, y),
        "histograms": boosted.fit(X, y),
        "vectors": SVR().fit(X, y),
        "neighbours": KNeighborsRegressor(algorithm="kd_tree").fit(X, y),
        "perceptron": MLPRegressor(hidden_layer_sizes=(4,), tol=9, random_state=0).fit(X, y),
        "pipeline": make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y > 0),
        "target": TransformedTargetRegressor(Ridge(), transformer=quantiles).fit(X, y),
        "search": GridSearchCV(Lasso(), {"alpha": [0.1, 1]}).fit(X, y),
        "gru": GRURegressor(max_epochs=2, random_state=0).fit(windows, y),
        "lstm": LSTMClassifier(max_epochs=2, random_state=0).fit(windows, y > 0),
        "scaled": make_pipeline(StandardScaler(), GRURegressor(max_epochs=1, random_state=0)).fit(
            X, y
        ),
        "module": nn.Sequential(nn.Linear(5, 3), nn.Tanh(), nn.LSTM(3, 2)),
    }


@pytest.fixture(scope="module")
def fitted():
    return fitted_models()


class TestFingerprint:
    def test_models_keep_theirs_through_files_and_questions(self, fitted):
        X = np.random.default_rng(1).normal(size=(9, 5))
        for name, model in fitted.items():
            expected = fingerprint(model)
            assert fingerprint(pickle.loads(pickle.dumps(model))) == expected, name
            file = io.BytesIO()
            joblib.dump(model, file)
            file.seek(0)
            assert fingerprint(joblib.load(file)) == expected, name
            if hasattr(model, "predict"):
                model.predict(X[:, :, None] if name in ("gru", "lstm") else X)
            assert fingerprint(model) == expected, name
        assert len({fingerprint(model) for model in fitted.values()}) == len(fitted)

    def test_models_fitted_in_another_process_have_the_same(self, fitted):
        code = (
            "from tests.core.test_checkpoints import fingerprint, fitted_models\n"
            "for name, model in fitted_models().items():\n"
            "    print(name, fingerprint(model), sep=':')\n"
        )
        printed = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": "7"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        theirs = dict(line.split(":") for line in printed.splitlines())
        assert theirs == {name: fingerprint(model) for name, model in fitted.items()}

    def test_any_weight_attribute_hook_or_class_counts(self):
        def made():
            torch.manual_seed(0)
            module = Scaled(2.0)
            module.register_buffer("shift", torch.zeros(1), persistent=False)
            return module

        seen = {fingerprint(made())}
        assert seen == {fingerprint(made())}
        module = made()
        with torch.no_grad():
            module.linear.weight[0, 0] += 1e-6
        seen.add(fingerprint(module))
        module = made()
        module.shift += 1
        seen.add(fingerprint(module))
        seen.add(fingerprint(Scaled(3.0)))
        module = made()
        module.register_forward_hook(lambda module, inputs, output: 2 * output)
        seen.add(fingerprint(module))
        seen.add(fingerprint(made().double()))
        assert len(seen) == 6
        assert fingerprint(made().eval()) == fingerprint(made())

    def test_functions_count_by_what_they_do(self):
        def made(scale, offset=0, *, code="scale * x + offset", **names):
            space = {"scale": scale, "np": np, **names}
            exec(f"def model(x, offset={offset}):\n    return {code}", space)
            return space["model"]

        assert fingerprint(made(2)) == fingerprint(made(2))
        others = [
            made(2),
            made(3),
            made(2, 1),
            made(2, code="scale * x - offset"),
            made(2, code="np.sin(x)"),
            made(2, code="np.cos(x)"),
            made(2, code="helper(x)", helper=lambda x: x),
            made(2, code="helper(x)", helper=lambda x: -x),
            made(2, code="x in {1, 2}"),
            made(2, code="x in {1, 3}"),
        ]
        assert len({fingerprint(other) for other in others}) == len(others)

    def test_functions_that_call_themselves(self):
        def factorial(n):
            return n * factorial(n - 1) if n else 1

        assert fingerprint(factorial) == fingerprint(factorial)

    def test_members_of_a_users_class_count(self):
        def made(**members):
            return type("Model", (), {"__call__": lambda self, x: x > self.limit, **members})()

        def limit(self):
            return 3.0

        told = [
            {"limit": 3.0},
            {"limit": 5.0},
            {"limit": np.array([3.0])},
            {"limit": property(limit)},
            {"limit": cached_property(lambda self: 4.0)},
            {"limit": 3.0, "scale": partial(pow, 2)},
            {"limit": 3.0, "scale": partial(pow, 3)},
        ]
        assert len({fingerprint(made(**members)) for members in told}) == len(told)
        for members in told:
            assert fingerprint(made(**members)) == fingerprint(made(**members))
        # A lock that all instances share tells nothing, and neither do slots.
        shared = {"limit": 3.0, "waiting": threading.Lock(), "__slots__": ("answer",)}
        assert fingerprint(made(**shared)) == fingerprint(made(**shared))

    @pytest.mark.parametrize(
        "code",
        [
            "import helpers\ndef model(x): return helpers.predict(x)",
            "def model(x):\n    import helpers\n    return helpers.predict(x)",
            "from helpers import predict as model",
            "from helpers import predict\ndef model(x): return [predict(part) for part in x]",
            "import helpers\nclass model:\n    def __call__(self, x): return helpers.predict(x)",
            "import helpers\nfrom functools import cache\n@cache\ndef model(x):\n    "
            "return helpers.predict(x)",
        ],
    )
    def test_what_lies_in_another_module_of_the_users_counts(self, code, tmp_path, monkeypatch):
        (tmp_path / "helpers.py").write_text("LIMIT = 3.0\ndef predict(x): return x > LIMIT\n")
        monkeypatch.syspath_prepend(tmp_path)
        helpers = importlib.import_module("helpers")
        try:
            space = {"__name__": "__main__"}
            exec(code, space)
            before = fingerprint(space["model"])
            assert fingerprint(space["model"]) == before
            helpers.LIMIT = 5.0
            assert fingerprint(space["model"]) != before
        finally:
            del sys.modules["helpers"]

    def test_modules_that_happen_to_be_imported_do_not_count(self, monkeypatch):
        def model(x):
            return x.unheard_of()

        before = fingerprint(model)
        monkeypatch.setitem(sys.modules, "unheard_of", types.ModuleType("unheard_of"))
        assert fingerprint(model) == before

    def test_values_count_and_not_how_they_lie_in_memory(self):
        array = np.arange(12.0).reshape(3, 4)
        for same in (array.copy(), np.asfortranarray(array), np.repeat(array, 2, axis=1)[:, ::2]):
            assert fingerprint(same) == fingerprint(array)
        shared = [1.5, 2.5]
        assert fingerprint([shared, shared]) == fingerprint([[1.5, 2.5], [1.5, 2.5]])
        others = [array, array.astype("f4"), array.T, array.ravel(), array + 1e-12, list(array)]
        assert len({fingerprint(other) for other in others}) == len(others)

    @pytest.mark.parametrize("value", [threading.Lock(), (i for i in range(3)), sys.stdout])
    def test_what_cannot_be_recognised(self, value):
        with pytest.raises(TypeError, match="cannot be recognised in another process"):
            fingerprint({"deep": [value]})


class Scaled(nn.Module):
    def __init__(self, scale):
        super().__init__()
        self.linear = nn.Linear(2, 1)
        self.scale = scale

    def forward(self, x):
        return self.scale * self.linear(x)


class TestCheckpoints:
    def test_models_are_told_apart_by_their_answers(self, tmp_path):
        answers = np.array([[1.0], [-50.0], [np.nan]])
        first = Checkpoints.of_run(tmp_path, "identity", answers)
        first.store("entry", {"values": np.ones(2)})
        # Rounding of another processor, and another model.
        near = Checkpoints.of_run(tmp_path, "identity", answers * (1 + 1e-12))
        far = Checkpoints.of_run(tmp_path, "identity", answers * (1 + 1e-4))
        assert near.folder == first.folder
        np.testing.assert_array_equal(near.load("entry")["values"], 1)
        assert far.folder != first.folder
        assert far.load("entry") is None
        # Neither is lost.
        assert Checkpoints.of_run(tmp_path, "identity", answers).folder == first.folder
        again = Checkpoints.of_run(tmp_path, "identity", answers * (1 + 1e-4))
        assert again.folder == far.folder
        assert Checkpoints.of_run(tmp_path, "other", answers).folder != first.folder

    def test_an_entry_is_replaced_whole(self, tmp_path):
        checkpoints = Checkpoints(tmp_path)
        for size in (100_000, 3):
            checkpoints.store("entry", {"values": np.arange(size), "text": np.array("é")})
            loaded = checkpoints.load("entry")
            np.testing.assert_array_equal(loaded["values"], np.arange(size))
            assert str(loaded["text"]) == "é"
        assert [path.name for path in tmp_path.iterdir()] == ["entry.npz"]

    def test_many_writers_of_one_entry(self, tmp_path):
        def write(number):
            for _ in range(10):
                Checkpoints(tmp_path).store("entry", {"values": np.full(2000, number)})

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            loaded = Checkpoints(tmp_path).load("entry")
            assert loaded is None or len(set(loaded["values"])) == 1
        assert len(list(tmp_path.iterdir())) == 1
