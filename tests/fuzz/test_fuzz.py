"""Whatever is given, only documented exceptions come out, raised on purpose.

In the ordinary run the examples are the same every time, for some thirty seconds; `make fuzz`
draws others for ten minutes.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import os
import tempfile
import traceback
import warnings
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeRegressor

import sklexplain as sx
from sklexplain.core.explanation_sets import load_all
from sklexplain.core.models import ModelError
from tests.explanations import make_explanation
from tests.fuzz.inputs import ODD, PLAYERS, ROWS, arrays, mostly

# NotFittedError is a ValueError.
DOCUMENTED = (ValueError, TypeError, ImportError, ModelError)
ORDINARY = settings(
    max_examples=int(os.environ.get("SKLEXPLAIN_FUZZ_EXAMPLES", "350")),
    derandomize="SKLEXPLAIN_FUZZ_DRAW" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # A failure is shown as it was found: to make it smaller may take minutes.
    phases=[Phase.generate],
)


@contextlib.contextmanager
def only_documented(*also, on_purpose=False):
    """Let documented exceptions pass; where `on_purpose`, only those that some line raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except (*DOCUMENTED, *also) as error:
            # An error of numpy's own, deep inside, names no argument.
            last = traceback.extract_tb(error.__traceback__)[-1]
            line = linecache.getline(last.filename, last.lineno or 0).strip()
            if on_purpose and not line.startswith("raise"):
                raise AssertionError(f"not raised on purpose: {error!r} at {line}") from error
            if not str(error).strip():
                raise AssertionError(f"says nothing: {error!r}") from error


def n_rows_of(rows):
    if isinstance(rows, list):
        return len(rows)
    shape = getattr(rows, "shape", ())
    return shape[0] if isinstance(shape, tuple) and shape else 3


def model(rows):
    try:
        rows = np.asarray(rows, dtype=float)
    except ValueError as error:
        # Of text, which scores are measured on too: the user's own error, which a note explains.
        raise ValueError("the model takes numbers") from error
    return rows.reshape(len(rows), -1).sum(axis=1)


ESTIMATORS = mostly(
    st.just(model),
    st.builds(Ridge),
    st.just(DecisionTreeRegressor(max_depth=2)),
    st.just(Ridge),
)
SHARED = {
    "players": PLAYERS,
    "background": mostly(st.just(4), st.integers(-1, 9), arrays(0, 4)),
    "output": mostly(st.just("auto"), st.sampled_from(["predict", "predict_proba"])),
    "feature_names": mostly(st.none(), st.lists(st.text(max_size=2), max_size=4)),
    "random_state": mostly(st.just(0)),
    "verbose": st.one_of(st.just(0), st.just(-1), st.just("a")),
}
OWN = {
    sx.KernelSHAP: {
        "max_evals": mostly(st.just("auto"), st.integers(-1, 60), st.just("exact")),
        "tol": mostly(st.none(), st.floats(0, 1)),
        "batch_size": mostly(st.just("auto"), st.integers(0, 5)),
        "link": mostly(st.just("identity"), st.just("logit")),
    },
    sx.LIME: {
        "n_samples": mostly(st.just(30), st.integers(-1, 40)),
        "kernel_width": mostly(st.none(), st.floats(-1, 3)),
        "discretizer": mostly(st.just("quartile"), st.sampled_from(["decile", "entropy", None])),
        "feature_selection": mostly(st.just("auto"), st.just("none")),
        "n_features": mostly(st.none(), st.integers(-1, 4)),
        "categorical_features": mostly(st.none()),
    },
    sx.SHAP: {"max_evals": mostly(st.just("auto"), st.integers(-1, 60))},
    sx.TreeSHAP: {},
    sx.PermutationImportance: {
        "n_repeats": mostly(st.just(2), st.integers(-1, 3)),
        "max_samples": mostly(st.just(1.0), st.floats(-0.5, 1.5)),
        # A callable that fails is the user's, and its error too.
        "scoring": st.sampled_from([None, "r2", "beauty", 3, [], ("r2",)]),
        "cv": st.sampled_from([None, -1, 1, 2, 3, "a", 2.5]),
    },
}


@st.composite
def explainers(draw):
    """An explainer with a few parameters, which may be wrong."""
    kind = draw(st.sampled_from(list(OWN)))
    known = {**SHARED, **OWN[kind]}
    if kind in (sx.LIME, sx.PermutationImportance):
        del known["background"]
    if kind is sx.PermutationImportance:
        del known["output"]
    chosen = draw(st.lists(st.sampled_from(sorted(known)), max_size=3, unique=True))
    params = {name: draw(known[name]) for name in chosen}
    if kind is sx.LIME:
        params.setdefault("n_samples", 30)
    return kind(draw(ESTIMATORS), **params)


@ORDINARY
@given(explainer=explainers(), rows=ROWS, more=ROWS, data=st.data())
def test_explainers(explainer, rows, more, data):
    y = data.draw(mostly(st.just(np.linspace(0, 1, n_rows_of(rows)) ** 2)))
    with only_documented(on_purpose=True):
        explainer.fit(rows, y)
        explained = data.draw(st.sampled_from([rows, rows, more]))
        scored = isinstance(explainer, sx.PermutationImportance)
        explanation = explainer.explain(explained, *([y] if scored else []))
        n_players = explainer.players_.n_players
        assert explanation.values.shape[:2] == (len(explanation), n_players)
        assert explainer.importances_.shape[0] == n_players


@ORDINARY
@given(
    players=PLAYERS,
    shape=mostly(
        st.sampled_from([(3,), (2, 3)]), st.lists(st.integers(-1, 4), max_size=3).map(tuple)
    ),
    names=mostly(st.none(), st.just(["x0", "a", "b"]), st.lists(st.text(max_size=2), max_size=4)),
    coarse=PLAYERS,
)
def test_players(players, shape, names, coarse):
    with only_documented():
        made = sx.make_players(players, shape, names)
        # A partition: each cell has one player, and each player a cell.
        assert set(made.labels) == set(range(made.n_players))
        assert made.n_cells == np.prod(shape)
        assert len(set(made.names)) == made.n_players
        parents = made.coarser(sx.make_players(coarse, shape, names))
        assert len(parents) == made.n_players


@ORDINARY
@given(rows=ROWS, y=mostly(st.none(), arrays(1, 2)), data=st.data())
def test_windows(rows, y, data):
    window = data.draw(mostly(st.integers(1, 3), st.integers(-1, 9)))
    if data.draw(st.booleans()):
        with only_documented():
            flatten = data.draw(mostly(st.booleans()))
            pad = data.draw(mostly(st.sampled_from(["edge", "zero", "nan"])))
            made = sx.SlidingWindow(window, flatten=flatten, pad=pad).fit_transform(rows)
            assert len(made) == len(rows)
    with only_documented():
        params = {
            "horizon": data.draw(mostly(st.integers(0, 2), st.integers(-1, 9))),
            "stride": data.draw(mostly(st.integers(1, 3), st.integers(-1, 9))),
            "groups": data.draw(mostly(st.none(), arrays(1, 1))),
        }
        windows, targets = sx.make_windows(rows, y, window=window, **params)
        assert windows.ndim == 3
        assert windows.shape[1] == window
        assert targets is None or len(targets) == len(windows)


@settings(ORDINARY, max_examples=max(1, ORDINARY.max_examples // 2))
@given(rows=ROWS, more=ROWS, data=st.data())
def test_nets(rows, more, data):
    kind = data.draw(st.sampled_from([sx.GRURegressor, sx.FeedForwardClassifier]))
    known = {
        "hidden_size": mostly(st.integers(1, 4), st.just(-1)),
        "dropout": mostly(st.floats(-0.5, 1.5)),
        "lr": mostly(st.floats(-1, 1)),
        "batch_size": mostly(st.integers(1, 9), st.just(0)),
        "early_stopping": mostly(st.booleans()),
        "validation_fraction": mostly(st.floats(-0.5, 1.5)),
        "net_params": mostly(st.none(), st.just({"module": 1})),
        "callbacks": mostly(st.none()),
        "device": mostly(st.just("cpu")),
    }
    chosen = data.draw(st.lists(st.sampled_from(sorted(known)), max_size=2, unique=True))
    params = {name: data.draw(known[name]) for name in chosen}
    y = data.draw(mostly(st.just(np.arange(n_rows_of(rows)) % 2), arrays(0, 2)))
    with only_documented():
        net = kind(max_epochs=1, **{"early_stopping": False, **params}).fit(rows, y)
        again = rows if data.draw(st.booleans()) else more
        assert len(net.predict(again)) == len(again)


@ORDINARY
@given(rows=ROWS, weights=mostly(st.none(), arrays(0, 2)), data=st.data())
def test_backgrounds_and_clusters(rows, weights, data):
    with only_documented():
        assert np.isclose(sx.Background(np.asarray(rows), weights).weights.sum(), 1)
    with only_documented():
        n_clusters = data.draw(mostly(st.integers(-1, 7)))
        assert len(sx.Background.kmeans(rows, n_clusters, random_state=0)) == n_clusters
    with only_documented():
        players = sx.cluster_players(rows, threshold=data.draw(mostly(st.floats(-0.5, 1.5))))
        assert players.n_cells == np.prod(players.shape)


PARTS = {
    "values": mostly(arrays(0, 4)),
    "base_values": arrays(0, 2),
    "predictions": arrays(0, 2),
    "data": st.one_of(st.none(), arrays(0, 4)),
    "std_errors": st.one_of(st.none(), arrays(0, 3)),
    "index": st.one_of(st.none(), arrays(0, 2)),
    "conditions": st.one_of(st.none(), arrays(0, 3)),
    "kind": mostly(st.sampled_from(["attributions", "importances"])),
    "params": st.dictionaries(st.text(max_size=2), ODD, max_size=2),
}


@ORDINARY
@given(
    n_samples=st.integers(0, 5),
    shape=st.sampled_from([(3,), (1,), (2, 3)]),
    outputs=st.sampled_from([(), ("up",), ("up", "down")]),
    data=st.data(),
)
def test_explanations(n_samples, shape, outputs, data):
    chosen = data.draw(st.lists(st.sampled_from(sorted(PARTS)), max_size=2, unique=True))
    parts = {name: data.draw(PARTS[name]) for name in chosen}
    with only_documented():
        explanation = make_explanation(n_samples, shape, "auto", outputs, **parts)
        key = data.draw(mostly(st.integers(-6, 6), st.just(slice(None)), arrays(1, 1)))
        with only_documented(IndexError, KeyError):
            part = explanation[data.draw(st.sampled_from([key, (slice(None), key)]))]
            assert part.values.ndim >= 2
        with only_documented():
            coarse = explanation.aggregate(data.draw(PLAYERS))
            np.testing.assert_allclose(
                coarse.values.sum(axis=1), explanation.values.sum(axis=1), atol=1e-6
            )
        with tempfile.TemporaryDirectory() as folder, only_documented():
            path = Path(folder, "e.npz")
            explanation.save(path)
            loaded = sx.Explanation.load(path)
            np.testing.assert_array_equal(loaded.values, explanation.values)


@ORDINARY
@given(kind=st.sampled_from(["table", "all"]), data=st.data())
def test_damaged_files(kind, data):
    content = bytearray(STORED[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.sampled_from([1, 1, 1, 4, 50]))
        change = data.draw(st.binary(max_size=length))
        content[place : place + length] = change
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "e.npz")
        path.write_bytes(content)
        for load in (sx.Explanation.load, load_all):
            with only_documented():
                load(path)


FIXTURES = Path(__file__).parents[1] / "fixtures" / "explanations"
STORED = {name: (FIXTURES / f"schema1-{name}.npz").read_bytes() for name in ("table", "all")}


@settings(ORDINARY, max_examples=max(1, ORDINARY.max_examples // 4))
@given(data=st.data(), n_samples=st.integers(1, 4), outputs=st.sampled_from([(), ("up", "down")]))
def test_plots(data, n_samples, outputs):
    from matplotlib.figure import Figure

    shape = data.draw(st.sampled_from([(3,), (1,), (2, 3)]))
    players = data.draw(st.sampled_from(["auto", "cell"]))
    explanation = make_explanation(n_samples, shape, players, outputs)
    explanation.values.flat[0] = data.draw(st.sampled_from([0.0, 1.0, np.nan, np.inf, 1e300]))
    known = {
        "output": mostly(st.sampled_from(["up", 0, None])),
        "max_display": mostly(st.integers(1, 4), st.just(-1)),
        "sample": mostly(st.just(0), st.integers(-2, 4)),
        "unit": mostly(st.text(max_size=2)),
        "title": mostly(st.text(max_size=2)),
        "player": mostly(st.sampled_from(["open", 0])),
    }
    chosen = data.draw(st.lists(st.sampled_from(sorted(known)), max_size=3, unique=True))
    params = {name: data.draw(known[name]) for name in chosen}
    kinds = ["auto", "importance", "box", "summary", "local", "force", "waterfall", "sequence"]
    with only_documented(KeyError, IndexError):
        kind = data.draw(mostly(st.sampled_from([*kinds, "dependence"])))
        display = sx.plot(explanation, kind=kind, ax=Figure().add_subplot(), **params)
        display.figure_.savefig(io.BytesIO(), format="raw", dpi=20)
