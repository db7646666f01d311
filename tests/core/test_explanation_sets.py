import json

import numpy as np
import pytest

from sklexplain import Explanation, KernelSHAP
from sklexplain.core.explanation_sets import load_all, save_all
from sklexplain.core.players import make_players


@pytest.fixture(scope="module")
def attributions():
    X = np.arange(12.0).reshape(4, 3)
    return KernelSHAP(lambda X: X.sum(axis=1), feature_names=["a", "b", "ç < d"]).fit(X).explain(X)


@pytest.fixture(scope="module")
def drops():
    players = make_players("feature", (5, 2), ["a", "b"])
    return Explanation(
        values=np.eye(2)[:, :, None] * np.ones(3),
        base_values=np.ones((2, 3)),
        predictions=np.zeros((2, 3)),
        data=None,
        players=players,
        output_names=("r2", "mae", "rmse"),
        kind="importances",
        index=np.array(["first", "second"]),
        diagnostics={"n_evals": np.ones((2, 3), dtype=int)},
    )


def assert_equal(one, other):
    for name in ("values", "base_values", "predictions", "std_errors", "data", "index"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name in ("players", "output_names", "method", "params", "kind"):
        assert getattr(one, name) == getattr(other, name)
    assert one.diagnostics.keys() == other.diagnostics.keys()


def test_what_was_saved_is_loaded_in_order(attributions, drops, tmp_path):
    # More than ten, because the arrays of 1 and of 10 begin alike.
    saved = {f"{i}. 'x': {{}}": [attributions, drops][i % 2] for i in range(12)}
    save_all(tmp_path / "all.npz", saved)
    loaded = load_all(tmp_path / "all.npz")
    assert list(loaded) == list(saved)
    for name, explanation in saved.items():
        assert_equal(explanation, loaded[name])
    assert [path.name for path in tmp_path.iterdir()] == ["all.npz"]


def test_a_single_saved_explanation_goes_by_its_method(attributions, tmp_path):
    attributions.save(tmp_path / "one.npz")
    (loaded,) = load_all(tmp_path / "one.npz").items()
    assert loaded[0] == "KernelSHAP"
    assert_equal(loaded[1], attributions)


def test_a_failed_save_leaves_the_earlier_file(attributions, drops, tmp_path):
    path = tmp_path / "all.npz"
    save_all(path, {"good": attributions})
    bad = Explanation(np.ones((1, 2)), [0], [0], None, drops.players, params={"object": object()})
    with pytest.raises(TypeError, match="params hold"):
        save_all(path, {"good": attributions, "bad": bad})
    assert list(load_all(path)) == ["good"]
    assert [file.name for file in tmp_path.iterdir()] == ["all.npz"]


def test_errors(attributions, tmp_path):
    path = tmp_path / "all.npz"
    with pytest.raises(ValueError, match="explanations is empty"):
        save_all(path, {})
    path.write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"all\.npz holds no saved explanations"):
        load_all(path)
    np.savez(path, a=np.ones(3))
    with pytest.raises(ValueError, match=r"all\.npz is not a saved Explanation"):
        load_all(path)
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(ValueError, match=r"one\.npy"):
        load_all(tmp_path / "one.npy")
    np.savez(path, contents=json.dumps({"schema": 2, "names": ["a"]}))
    with pytest.raises(ValueError, match=r"schema 2, but this version reads 1; update sklexplain"):
        load_all(path)
    with pytest.raises(FileNotFoundError):
        load_all(tmp_path / "none.npz")
