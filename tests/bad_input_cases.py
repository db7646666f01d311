"""A table of inputs that are wrong or unusual, each with its error or its result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.utils._param_validation import InvalidParameterError

import sklexplain as sx
from sklexplain.core.adapters import OutputError
from sklexplain.core.explanation_sets import load_all, save_all
from sklexplain.core.models import ModelError, NonFiniteOutputError
from sklexplain.evaluation import agreement
from tests.explanations import make_explanation

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 4))
Y = X[:, 0] - X[:, 2]
CLASSES = (Y > 0).astype(int)
WINDOWS = RNG.normal(size=(24, 5, 3))
TARGETS = WINDOWS[:, -1, 0]
FRAME = pd.DataFrame(X, columns=["open", "high", "low", "close"])
EXPLANATION = make_explanation()
# One entry a call of a model, so that a case can tell that none was run.
CALLS: list[int] = []


def model(rows: Any) -> np.ndarray:
    CALLS.append(len(rows))
    rows = np.asarray(rows, dtype=float)
    return rows.reshape(len(rows), -1).sum(axis=1)


class Recording(RegressorMixin, BaseEstimator):
    """A regressor of the mean that records being fitted and asked."""

    def fit(self, X: Any, y: Any) -> Recording:
        CALLS.append(len(X))
        self.mean_ = np.mean(y)
        return self

    def predict(self, X: Any) -> np.ndarray:
        CALLS.append(len(X))
        return np.full(len(X), self.mean_)


@dataclass(frozen=True)
class Refused:
    """Something that raises exactly `error`, with `message`, before any model is run."""

    name: str
    call: Callable[[], Any]
    error: type[Exception]
    message: str
    runs_model: bool = False


@dataclass(frozen=True)
class Taken:
    """Something unusual that gives what `expected` gives."""

    name: str
    call: Callable[[], Any]
    expected: Callable[[], Any]


def with_entry(array: np.ndarray, value: Any) -> np.ndarray:
    changed = array.copy() if array.dtype != float or isinstance(value, float) else array * 1
    changed = changed.astype(object) if isinstance(value, str) else changed
    changed[(3, *(1 for _ in array.shape[1:]))] = value
    return changed


def lazy_frame() -> Any:
    import polars

    return polars.DataFrame(X).lazy()


def series() -> Any:
    import polars

    return polars.Series(X[:, 0])


# What no explainer takes as rows, as functions because polars is loaded only when it is needed.
ROWS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "a number": (lambda: 1.0, ValueError, r"^X .*scalar array"),
    "None": (lambda: None, ValueError, r"^X .*scalar array"),
    "a dictionary": (lambda: {"a": 1}, TypeError, r"^X cannot be read as rows"),
    "text": (lambda: "abc", ValueError, r"^X is an array that holds something else"),
    "bytes": (lambda: b"abc", ValueError, r"^X is an array that holds something else"),
    "a generator": (lambda: (row for row in X), TypeError, r"^X cannot be read as rows"),
    "one dimension": (lambda: X[:, 0], ValueError, r"^X .*1D array"),
    "four dimensions": (lambda: np.ones((3, 2, 2, 2)), ValueError, "X has 4 dimensions"),
    "no rows": (lambda: X[:0], ValueError, r"^X .*0 sample"),
    "a table without rows": (lambda: FRAME[:0], ValueError, r"^X .*0 sample"),
    "no columns": (lambda: X[:, :0], ValueError, r"^X .*0 feature"),
    "no time steps": (lambda: WINDOWS[:, :0], ValueError, "X has no time steps"),
    "no features": (lambda: WINDOWS[:, :, :0], ValueError, "X has no time steps or no features"),
    "no windows": (lambda: WINDOWS[:0], ValueError, r"^X .*0 sample"),
    "sparse matrix": (lambda: sp.csr_matrix(X), TypeError, "Sparse data was passed for X"),
    "sparse array": (lambda: sp.coo_array(X), TypeError, "Sparse data was passed for X"),
    "complex": (lambda: X + 1j, ValueError, "^X .*Complex data not supported"),
    "array of text": (lambda: np.full((30, 4), "a"), ValueError, "X .*columns of text as a Data"),
    "objects": (lambda: with_entry(X, "a"), ValueError, "X .*columns of text as a DataFrame"),
    "ragged": (lambda: [[1, 2], [3]], ValueError, "^X .*inhomogeneous"),
    "structured": (lambda: np.zeros(30, "f8,f8"), TypeError, "^X cannot be read"),
    "too large": (lambda: [[10**400] * 4] * 30, ValueError, "^X .*too large"),
    "masked": (lambda: np.ma.masked_greater(X, 1), ValueError, "X .*masked"),
    "names twice": (
        lambda: pd.DataFrame(X, columns=list("aabc")),
        ValueError,
        r"X has several columns named \['a'\]",
    ),
    "polars query": (lazy_frame, TypeError, "X is a polars LazyFrame.*collect"),
    "polars column": (series, TypeError, "X is a polars Series.*to_frame"),
    "NaN": (lambda: with_entry(X, np.nan), ValueError, r"X holds NaN .*row 3"),
    "infinite": (lambda: with_entry(X, -np.inf), ValueError, r"X holds NaN or infinite.*row 3"),
    "NaN in windows": (lambda: with_entry(WINDOWS, np.nan), ValueError, r"X holds NaN .*row 3"),
}


def never_scored(*args: Any) -> float:
    CALLS.append(1)
    return 0.0


EXPLAINERS: dict[str, Callable[..., Any]] = {
    "KernelSHAP": lambda **params: sx.KernelSHAP(model, **params),
    "LIME": lambda **params: sx.LIME(model, **{"n_samples": 50, **params}),
    "SHAP": lambda **params: sx.SHAP(model, **params),
    "PermutationImportance": lambda **params: sx.PermutationImportance(
        model, **{"scoring": never_scored, **params}
    ),
}


def refused_rows() -> list[Refused]:
    """Every kind of bad rows at `fit` of every explainer, and at `explain` of one."""
    cases = [
        Refused(
            f"{name}.fit: {rows}",
            lambda make=make, bad=bad: make().fit(bad(), Y[:24]),
            error,
            message,
        )
        for name, make in EXPLAINERS.items()
        for rows, (bad, error, message) in ROWS.items()
    ]
    fitted = sx.KernelSHAP(model).fit(X)
    shaped = {
        name: case for name, case in ROWS.items() if "windows" not in name and "no f" not in name
    }
    cases += [
        Refused(
            f"KernelSHAP.explain: {rows}",
            lambda bad=bad: fitted.explain(bad()),
            error,
            message,
        )
        for rows, (bad, error, message) in shaped.items()
        if rows not in ("no time steps", "names twice", "a table without rows")
    ]
    cases += [
        Refused("explain: fewer columns", lambda: fitted.explain(X[:, :3]), ValueError, "X has 3"),
        Refused("explain: windows", lambda: fitted.explain(WINDOWS), ValueError, "X has samples"),
        Refused(
            "transform: more columns",
            lambda: fitted.transform(np.ones((2, 5))),
            ValueError,
            "X has 5 features",
        ),
    ]
    named = sx.KernelSHAP(model).fit(FRAME)
    cases += [
        Refused(
            "explain: a column lacks",
            lambda: named.explain(FRAME.drop(columns="low")),
            ValueError,
            r"X lacks the columns \['low'\]",
        ),
        Refused(
            "explain: text where numbers were",
            lambda: named.explain(FRAME.assign(low="a")),
            ValueError,
            "column 'low' of X is not numeric",
        ),
        Refused(
            "explain: array of other width",
            lambda: named.explain(X[:, :2]),
            ValueError,
            r"X has shape \(30, 2\)",
        ),
    ]
    return cases


def explainer_parameters() -> list[Refused]:
    def case(
        make: Callable[..., Any], error: type[Exception], message: str, **params: Any
    ) -> Refused:
        name = make().__class__.__name__
        ((parameter, value),) = params.items()
        return Refused(
            f"{name}: {parameter}={value!r}"[:80],
            lambda: make(**params).fit(X, Y),
            error,
            message,
        )

    invalid = InvalidParameterError
    kernel, lime, permutation, shap = (
        (EXPLAINERS[name] for name in EXPLAINERS if name != "SHAP"),
        0,
        0,
        0,
    )
    kernel, lime = EXPLAINERS["KernelSHAP"], EXPLAINERS["LIME"]
    permutation, shap = EXPLAINERS["PermutationImportance"], EXPLAINERS["SHAP"]
    everyone = [kernel, lime, permutation, shap]
    cases = []
    for make in everyone:
        cases += [
            case(make, ValueError, "players='planet' is not one of", players="planet"),
            case(make, TypeError, "players=3 is a int", players=3),
            case(make, ValueError, "integer array of shape", players=[0, 1]),
            case(make, ValueError, "unknown column 'x9'", players={"a": ["x9"]}),
            case(make, ValueError, "overlap", players={"a": [0, 1], "b": [1]}),
            case(make, ValueError, 'players="timestep" needs windows', players="timestep"),
            case(make, ValueError, "feature_names has 2 names", feature_names=["a", "b"]),
            case(make, ValueError, "feature_names holds", feature_names=list("aabc")),
            case(make, invalid, "'n_jobs' parameter", n_jobs=0),
            case(make, invalid, "'random_state' parameter", random_state="a"),
            case(make, invalid, "'verbose' parameter", verbose=-1),
            case(make, TypeError, "memory=3 is neither", memory=3),
        ]
    for make in (kernel, shap):
        cases += [
            case(make, ValueError, "background=0", background=0),
            case(make, ValueError, "background=-3", background=-3),
            case(make, TypeError, "background='all'", background="all"),
            case(make, TypeError, "background=None", background=None),
            case(make, TypeError, "background=True", background=True),
            case(make, ValueError, "background rows have shape", background=np.ones((3, 2))),
            case(make, ValueError, "background .*NaN", background=np.full((2, 4), np.nan)),
            case(make, ValueError, "background .*empty|background .*0", background=X[:0]),
            case(make, invalid, "'max_evals' parameter", max_evals=0),
            case(make, invalid, "'max_evals' parameter", max_evals="many"),
            case(make, invalid, "'output' parameter", output="class"),
            case(make, ValueError, "output='predict_proba'", output="predict_proba"),
        ]
    for make in (kernel, lime, shap):
        cases.append(case(make, invalid, "'on_error' parameter", on_error="ignore"))
    return [
        *cases,
        case(kernel, ValueError, "max_evals=5 is too few", max_evals=5),
        case(kernel, invalid, "'tol' parameter", tol=-0.1),
        case(kernel, invalid, "'link' parameter", link="probit"),
        case(kernel, invalid, "'batch_size' parameter", batch_size=0),
        case(kernel, invalid, "'batch_size' parameter", batch_size=1.5),
        case(kernel, invalid, "'control_variate' parameter", control_variate="cubic"),
        case(lime, invalid, "'n_samples' parameter", n_samples=0),
        case(lime, invalid, "'kernel_width' parameter", kernel_width=0),
        case(lime, invalid, "'discretizer' parameter", discretizer="tertile"),
        case(lime, invalid, "'feature_selection' parameter", feature_selection="all of them"),
        case(lime, invalid, "'n_features' parameter", n_features=0),
        case(lime, invalid, "'center' parameter", center="median"),
        case(lime, ValueError, "categorical_features", categorical_features=[9]),
        case(lime, ValueError, "categorical_features", categorical_features=["x9"]),
        case(lime, invalid, "'surrogate' parameter", surrogate=3),
        case(permutation, invalid, "'n_repeats' parameter", n_repeats=0),
        case(permutation, invalid, "'n_repeats' parameter", n_repeats=2.5),
        case(permutation, invalid, "'max_samples' parameter", max_samples=0.0),
        case(permutation, invalid, "'max_samples' parameter", max_samples=1.5),
        case(permutation, invalid, "'n_null' parameter", n_null=-1),
        case(permutation, invalid, "'scoring' parameter", scoring="beauty"),
        case(permutation, invalid, "'cv' parameter", cv=1),
    ]


def explained_models() -> list[Refused]:
    """What cannot be explained, and models that answer what cannot be read."""
    cases = []
    for name, explainer in {
        "KernelSHAP": sx.KernelSHAP,
        "LIME": sx.LIME,
        "SHAP": sx.SHAP,
        "DeepSHAP": sx.DeepSHAP,
        "TreeSHAP": sx.TreeSHAP,
        "PermutationImportance": sx.PermutationImportance,
    }.items():
        cases += [
            Refused(
                f"{name}: a class", lambda e=explainer: e(Ridge).fit(X, Y), TypeError, "is a class"
            ),
            Refused(
                f"{name}: text", lambda e=explainer: e("ridge").fit(X, Y), TypeError, "'ridge'"
            ),
            Refused(f"{name}: nothing", lambda e=explainer: e(None).fit(X, Y), TypeError, "=None"),
            Refused(
                f"{name}: not fitted",
                lambda e=explainer: e(Ridge()).explain(X),
                NotFittedError,
                "is not fitted yet",
            ),
        ]

    def answers(answer: Callable[[Any], Any]) -> Callable[[], Any]:
        return lambda: sx.KernelSHAP(answer).fit(X)

    return [
        *cases,
        Refused(
            "DeepSHAP: no net", lambda: sx.DeepSHAP(Ridge()).fit(X, Y), TypeError, "KernelSHAP"
        ),
        Refused(
            "TreeSHAP: no tree", lambda: sx.TreeSHAP(Ridge()).fit(X, Y), TypeError, "KernelSHAP"
        ),
        Refused(
            "TreeSHAP: windows",
            lambda: sx.TreeSHAP(RandomForestRegressor(2)).fit(WINDOWS, TARGETS),
            ValueError,
            "dim",
        ),
        Refused(
            "model answers NaN",
            answers(lambda X: np.full(len(X), np.nan)),
            NonFiniteOutputError,
            "background row 0",
            True,
        ),
        Refused(
            "model answers too few",
            answers(lambda X: np.ones(3)),
            OutputError,
            r"output of shape \(3,\) for",
            True,
        ),
        Refused(
            "model answers text",
            answers(lambda X: np.full(len(X), "up")),
            OutputError,
            "labels that are not numbers",
            True,
        ),
        Refused(
            "model answers nothing", answers(lambda X: None), OutputError, "output of shape", True
        ),
        Refused("model raises", answers(lambda X: 1 / 0), ModelError, "ZeroDivisionError", True),
        Refused(
            "link of what is no probability",
            lambda: sx.KernelSHAP(model, link="logit").fit(X * 9),
            ValueError,
            'link="logit"',
            True,
        ),
        Refused(
            "TreeSHAP: labels",
            lambda: sx.TreeSHAP(
                __import__("sklearn.ensemble").ensemble.RandomForestClassifier(2),
                output="predict",
            ).fit(X, CLASSES),
            ValueError,
            "class labels",
        ),
    ]


def adapters_and_players() -> list[Refused]:
    return [
        Refused("as_estimator: class", lambda: sx.as_estimator(Ridge), TypeError, "is a class"),
        Refused("as_estimator: number", lambda: sx.as_estimator(3), TypeError, "int can neither"),
        Refused(
            "as_estimator: unfitted", lambda: sx.as_estimator(Ridge()), NotFittedError, "not fitted"
        ),
        Refused("as_estimator: task", lambda: sx.as_estimator(model, "rank"), ValueError, "task="),
        Refused(
            "as_estimator: classes of a regressor",
            lambda: sx.as_estimator(model, classes=[0, 1]),
            ValueError,
            "classes=",
        ),
        Refused(
            "make_players: shape", lambda: sx.make_players("auto", (2, 2, 2)), ValueError, "shape"
        ),
        Refused(
            "make_players: no columns", lambda: sx.make_players("auto", (0,)), ValueError, "shape"
        ),
        Refused("make_players: empty", lambda: sx.make_players({}, (3,)), ValueError, "no player"),
        Refused(
            "make_players: empty group",
            lambda: sx.make_players({"a": []}, (3,)),
            ValueError,
            r"players\['a'\] is empty",
        ),
        Refused(
            "make_players: number as a group",
            lambda: sx.make_players({"a": 1.5}, (3,)),
            TypeError,
            r"players\['a'\]=1.5",
        ),
        Refused(
            "make_players: beyond the columns",
            lambda: sx.make_players({"a": [3]}, (3,)),
            ValueError,
            "there are 3 columns",
        ),
        Refused(
            "make_players: float labels",
            lambda: sx.make_players(np.array([0.0, 1.0, 2.0]), (3,)),
            ValueError,
            "integer array",
        ),
        Refused(
            "make_players: pair of a table",
            lambda: sx.make_players({"a": [(0, 1)]}, (3,)),
            ValueError,
            "needs windows",
        ),
        Refused(
            "make_players: unknown step",
            lambda: sx.make_players({"a": [(7, 0)]}, (2, 3)),
            ValueError,
            "time step 7",
        ),
        Refused(
            "make_players: other shape",
            lambda: sx.make_players(sx.make_players("auto", (3,)), (4,)),
            ValueError,
            "players were made for",
        ),
        Refused(
            "Players: too few labels",
            lambda: sx.Players(np.zeros(2, int), ("a",), (3,)),
            ValueError,
            "labels has 2 entries",
        ),
        Refused(
            "Players: number without a name",
            lambda: sx.Players(np.arange(3), ("a", "b"), (3,)),
            ValueError,
            "labels holds",
        ),
        Refused(
            "cluster_players: threshold",
            lambda: sx.cluster_players(X, threshold=2),
            ValueError,
            "threshold=2",
        ),
        Refused(
            "cluster_players: NaN",
            lambda: sx.cluster_players(with_entry(X, np.nan)),
            ValueError,
            "X contains NaN",
        ),
        Refused(
            "cluster_players: one row",
            lambda: sx.cluster_players(X[:1]),
            ValueError,
            "minimum of 2",
        ),
        Refused(
            "Background: 1-D", lambda: sx.Background(X[:, 0]), ValueError, "background has shape"
        ),
        Refused(
            "Background: 4-D",
            lambda: sx.Background(np.ones((2, 2, 2, 2))),
            ValueError,
            "background has shape",
        ),
        Refused("Background: empty", lambda: sx.Background(X[:0]), ValueError, "row"),
        Refused(
            "Background: text",
            lambda: sx.Background(np.full((3, 2), "a")),
            ValueError,
            "background holds",
        ),
        Refused("Background: weights", lambda: sx.Background(X[:3], [1, 2]), ValueError, "weights"),
        Refused(
            "Background: negative weights",
            lambda: sx.Background(X[:3], [1, -2, 1]),
            ValueError,
            "weights",
        ),
        Refused(
            "Background: no weight", lambda: sx.Background(X[:3], [0, 0, 0]), ValueError, "weights"
        ),
        Refused(
            "Background: NaN as a weight",
            lambda: sx.Background(X[:3], [1, np.nan, 1]),
            ValueError,
            "weights",
        ),
        Refused(
            "Background.kmeans: too many",
            lambda: sx.Background.kmeans(X, 31),
            ValueError,
            "n_clusters=31",
        ),
        Refused(
            "Background.kmeans: True",
            lambda: sx.Background.kmeans(X, True),
            ValueError,
            "n_clusters",
        ),
    ]


def estimators() -> list[Refused]:
    """Parameters and rows of the nets, all refused before an epoch."""
    invalid = InvalidParameterError
    wrong: dict[str, Any] = {
        "hidden_size": 0,
        "num_layers": 1.5,
        "dropout": 1.0,
        "max_epochs": 0,
        "batch_size": -1,
        "lr": 0.0,
        "weight_decay": -1.0,
        "early_stopping": "yes",
        "validation_fraction": 1.0,
        "n_iter_no_change": 0,
        "gradient_clip": -1.0,
        "standardize": None,
        "device": 3,
        "callbacks": "stop",
        "net_params": [],
        "random_state": "a",
        "verbose": -1,
        "bidirectional": "no",
        "n_timesteps": 0,
    }
    fit = {"max_epochs": 1, "early_stopping": False}
    cases = [
        Refused(
            f"GRURegressor: {name}={value!r}",
            lambda name=name, value=value: sx.GRURegressor(**{name: value}).fit(WINDOWS, TARGETS),
            invalid,
            f"'{name}' parameter",
        )
        for name, value in wrong.items()
    ]
    rows: dict[str, tuple[Any, type[Exception], str]] = {
        "four dimensions": (np.ones((3, 2, 2, 2)), ValueError, "X has 4 dimensions"),
        "no time steps": (WINDOWS[:, :0], ValueError, "X has no time steps"),
        "no rows": (WINDOWS[:0], ValueError, "0 sample"),
        "NaN": (with_entry(WINDOWS, np.nan), ValueError, "X contains NaN"),
        "infinite": (with_entry(WINDOWS, np.inf), ValueError, "X contains infinity"),
        "too large for float32": (WINDOWS * 1e300, ValueError, "X contains infinity"),
        "complex": (WINDOWS + 1j, ValueError, "Complex data not supported"),
        "text": (np.full((24, 3), "a"), ValueError, "X or y holds text"),
        "sparse": (sp.csr_matrix(X[:24]), TypeError, "Sparse data was passed for X"),
    }
    for net in (sx.LSTMRegressor, sx.FeedForwardRegressor):
        cases += [
            Refused(
                f"{net.__name__}: {name}",
                lambda net=net, bad=bad: net(**fit).fit(bad, TARGETS[: bad.shape[0]]),
                error,
                message,
            )
            for name, (bad, error, message) in rows.items()
        ]
    gru = sx.GRURegressor(**fit)
    return [
        *cases,
        Refused("y: NaN", lambda: gru.fit(WINDOWS, TARGETS * np.nan), ValueError, "y contains NaN"),
        Refused("y: None", lambda: gru.fit(WINDOWS, None), ValueError, "y"),
        Refused("y: text", lambda: gru.fit(WINDOWS, ["a"] * 24), ValueError, "y holds text|could"),
        Refused("y: short", lambda: gru.fit(WINDOWS, TARGETS[:3]), ValueError, "inconsistent"),
        Refused("y: too large", lambda: gru.fit(WINDOWS, TARGETS * 1e300), ValueError, "y holds"),
        Refused(
            "y: one class",
            lambda: sx.GRUClassifier(**fit).fit(WINDOWS, np.zeros(24)),
            ValueError,
            "y has one class only",
        ),
        Refused(
            "y: continuous classes",
            lambda: sx.GRUClassifier(**fit).fit(WINDOWS, TARGETS),
            ValueError,
            "Unknown label type",
        ),
        Refused(
            "sample_weight: negative",
            lambda: gru.fit(WINDOWS, TARGETS, sample_weight=-np.ones(24)),
            ValueError,
            "sample_weight",
        ),
        Refused(
            "sample_weight: zero",
            lambda: gru.fit(WINDOWS, TARGETS, sample_weight=np.zeros(24)),
            ValueError,
            "weights must contain|sample_weight is zero",
        ),
        Refused(
            "n_timesteps does not divide",
            lambda: sx.GRURegressor(n_timesteps=3, **fit).fit(X, Y),
            ValueError,
            "n_timesteps=3 does not divide the 4",
        ),
        Refused(
            "validation_fraction of few rows",
            lambda: sx.GRURegressor(max_epochs=1).fit(WINDOWS[:3], TARGETS[:3]),
            ValueError,
            "validation_fraction=0.1 of n_samples=3",
        ),
        Refused(
            "net_params sets the module",
            lambda: sx.GRURegressor(net_params={"module": 1}, **fit).fit(WINDOWS, TARGETS),
            ValueError,
            "net_params may not set 'module'",
        ),
        Refused(
            "callbacks holds no callback",
            lambda: sx.GRURegressor(callbacks=[3], **fit).fit(WINDOWS, TARGETS),
            TypeError,
            "callbacks holds 3",
        ),
        Refused(
            "device that is none",
            lambda: sx.GRURegressor(device="planet", **fit).fit(WINDOWS, TARGETS),
            ValueError,
            "device",
        ),
        Refused("predict before fit", lambda: gru.predict(WINDOWS), NotFittedError, "not fitted"),
    ]


def windows() -> list[Refused]:
    slide = sx.SlidingWindow(window=3)
    cut = sx.make_windows
    invalid = InvalidParameterError
    return [
        Refused("SlidingWindow: 0", lambda: sx.SlidingWindow(0).fit(X), invalid, "'window'"),
        Refused("SlidingWindow: 2.5", lambda: sx.SlidingWindow(2.5).fit(X), invalid, "'window'"),
        Refused(
            "SlidingWindow: long", lambda: sx.SlidingWindow(31).fit(X), ValueError, "window=31"
        ),
        Refused(
            "SlidingWindow: pad", lambda: sx.SlidingWindow(2, pad="mirror").fit(X), invalid, "'pad'"
        ),
        Refused(
            "SlidingWindow: flatten",
            lambda: sx.SlidingWindow(2, flatten=1.5).fit(X),
            invalid,
            "'flatten'",
        ),
        Refused("SlidingWindow: windows", lambda: slide.fit(WINDOWS), ValueError, "X has shape"),
        Refused("SlidingWindow: 1-D", lambda: slide.fit(X[:, 0]), ValueError, "1D array"),
        Refused("SlidingWindow: NaN", lambda: slide.fit(with_entry(X, np.nan)), ValueError, "X"),
        Refused(
            "SlidingWindow: text",
            lambda: slide.fit(np.full((9, 2), "a")),
            ValueError,
            "X holds text",
        ),
        Refused(
            "SlidingWindow: sparse",
            lambda: slide.fit(sp.csr_matrix(X)),
            TypeError,
            "Sparse data was passed for X",
        ),
        Refused("SlidingWindow: complex", lambda: slide.fit(X + 1j), ValueError, "Complex data"),
        Refused("SlidingWindow: no rows", lambda: slide.fit(X[:0]), ValueError, "0 sample"),
        Refused(
            "SlidingWindow: text column",
            lambda: slide.fit(FRAME.assign(low="a")),
            ValueError,
            r"not numeric: \['low'\]",
        ),
        Refused(
            "SlidingWindow: time runs back",
            lambda: slide.fit(FRAME.set_index(pd.date_range("2024", periods=30)[::-1])),
            ValueError,
            "time",
        ),
        Refused(
            "SlidingWindow: other columns",
            lambda: sx.SlidingWindow(2).fit(X).transform(X[:, :2]),
            ValueError,
            "X has 2 features",
        ),
        Refused(
            "SlidingWindow: not fitted",
            lambda: sx.SlidingWindow(3).transform(X),
            NotFittedError,
            "not fitted",
        ),
        Refused("make_windows: window", lambda: cut(X, window=0), invalid, "'window'"),
        Refused(
            "make_windows: horizon", lambda: cut(X, Y, window=2, horizon=-1), invalid, "'horizon'"
        ),
        Refused("make_windows: stride", lambda: cut(X, window=2, stride=0), invalid, "'stride'"),
        Refused("make_windows: too long", lambda: cut(X, window=31), ValueError, "window=31"),
        Refused(
            "make_windows: target too far",
            lambda: cut(X, Y, window=20, horizon=20),
            ValueError,
            "horizon",
        ),
        Refused("make_windows: short y", lambda: cut(X, Y[:3], window=2), ValueError, "y has 3"),
        Refused("make_windows: NaN in y", lambda: cut(X, Y * np.nan, window=2), ValueError, "y"),
        Refused(
            "make_windows: y by name", lambda: cut(X, "close", window=2), ValueError, "y='close'"
        ),
        Refused(
            "make_windows: unknown y", lambda: cut(FRAME, "shut", window=2), ValueError, "y='shut'"
        ),
        Refused(
            "make_windows: groups short",
            lambda: cut(X, window=2, groups=[1, 2]),
            ValueError,
            "groups",
        ),
        Refused(
            "make_windows: groups mixed",
            lambda: cut(X, window=2, groups=[0, 1] * 15),
            ValueError,
            "group",
        ),
        Refused(
            "make_windows: infinite", lambda: cut(with_entry(X, np.inf), window=2), ValueError, "X"
        ),
        Refused("make_sequences: samples", lambda: sx.make_sequences(0), invalid, "'n_samples'"),
        Refused("make_sequences: steps", lambda: sx.make_sequences(5, 0), invalid, "'n_timesteps'"),
        Refused(
            "make_sequences: noise", lambda: sx.make_sequences(5, noise=-1), invalid, "'noise'"
        ),
        Refused(
            "make_sequences: target",
            lambda: sx.make_sequences(5, target="cubic"),
            invalid,
            "'target'",
        ),
        Refused(
            "make_sequences: drivers",
            lambda: sx.make_sequences(5, 2, 2, drivers=9),
            ValueError,
            "drivers",
        ),
        Refused(
            "make_sequences: driver beyond",
            lambda: sx.make_sequences(5, 2, 2, drivers=[(7, 0)]),
            ValueError,
            "driver ",
        ),
        Refused(
            "make_sequences: autocorrelation",
            lambda: sx.make_sequences(5, autocorrelation=1.5),
            invalid,
            "'autocorrelation'",
        ),
        Refused(
            "load_google_stock: as_frame",
            lambda: sx.load_google_stock(as_frame="yes"),
            invalid,
            "'as_frame'",
        ),
    ]


def explanations() -> list[Refused]:
    e = EXPLANATION
    return [
        Refused("explanation[9]", lambda: e[9], IndexError, "sample 9"),
        Refused("explanation[:, unknown]", lambda: e[:, "shut"], KeyError, "shut"),
        Refused("explanation: four indices", lambda: e[0, 0, 0, 0], IndexError, "4 indices"),
        Refused(
            "aggregate: unknown", lambda: e.aggregate("planet"), ValueError, "players='planet'"
        ),
        Refused("aggregate: finer", lambda: e.aggregate("cell"), ValueError, "more than one"),
        Refused(
            "Explanation: values",
            lambda: make_explanation(values=np.ones((5, 9))),
            ValueError,
            "values have shape",
        ),
        Refused(
            "Explanation: text",
            lambda: make_explanation(values=np.full((5, 3), "a")),
            ValueError,
            "convert",
        ),
        Refused(
            "Explanation: kind", lambda: make_explanation(kind="guess"), ValueError, "kind='guess'"
        ),
        Refused(
            "Explanation: data",
            lambda: make_explanation(data=np.ones((5, 2))),
            ValueError,
            "data has samples",
        ),
        Refused(
            "Explanation: index",
            lambda: make_explanation(index=np.arange(3)),
            ValueError,
            "index has 3",
        ),
        Refused(
            "write_parts: format",
            lambda: sx.write_parts(".", [e], format="xml"),
            ValueError,
            "format='xml'",
        ),
        Refused("write_parts: number", lambda: sx.write_parts(".", 3), TypeError, "explanations=3"),
        Refused(
            "write_parts: numbers",
            lambda: sx.write_parts(".", [3]),
            TypeError,
            "explanations holds a int",
        ),
        Refused("concat: none", lambda: sx.Explanation.concat([]), ValueError, "explanations is"),
        Refused(
            "load: no file",
            lambda: sx.Explanation.load("/nowhere/e.npz"),
            FileNotFoundError,
            "nowhere",
        ),
        Refused("load: folder", lambda: sx.Explanation.load("/"), IsADirectoryError, "directory"),
        Refused(
            "load: max_bytes",
            lambda: sx.Explanation.load("e.npz", max_bytes=0),
            ValueError,
            "max_bytes=0",
        ),
        Refused(
            "load_all: max_bytes",
            lambda: load_all("e.npz", max_bytes="1"),
            TypeError,
            "max_bytes='1'",
        ),
        Refused("save: nowhere", lambda: e.save("/nowhere/e.npz"), FileNotFoundError, "nowhere"),
        Refused(
            "save_all: none", lambda: save_all("e.npz", {}), ValueError, "explanations is empty"
        ),
    ]


def drawn(explanation: sx.Explanation, kind: str) -> sx.Explanation:
    """What a display of this kind draws: one row or all."""
    return explanation[:1] if kind in ("local", "force", "waterfall") else explanation


def displays() -> list[Refused]:
    e = EXPLANATION
    both = make_explanation(outputs=("up", "down"))
    cases = [
        Refused("plot: kind", lambda: sx.plot(e, kind="pie"), ValueError, "kind='pie'"),
        Refused("plot: no explanation", lambda: sx.plot(X), TypeError, "xplanation"),
        Refused("plot: None", lambda: sx.plot(None), TypeError, "xplanation"),
    ]
    endless = make_explanation(1, (3,))
    endless.values[0, 1] = np.inf
    cases += [
        Refused(
            f"plot {kind}: infinite",
            lambda kind=kind: sx.plot(endless, kind=kind),
            ValueError,
            "the attribution of 'close' in row 0 is inf",
        )
        for kind in ("local", "force", "waterfall", "summary")
    ]
    for kind in ("importance", "summary", "local", "force", "waterfall", "dependence", "sequence"):
        cases += [
            Refused(
                f"plot {kind}: output of several",
                lambda kind=kind: sx.plot(drawn(both, kind), kind=kind),
                ValueError,
                "output",
            ),
            Refused(
                f"plot {kind}: unknown output",
                lambda kind=kind: sx.plot(drawn(both, kind), kind=kind, output="sideways"),
                KeyError,
                "sideways",
            ),
            Refused(
                f"plot {kind}: max_display",
                lambda kind=kind: sx.plot(drawn(e, kind), kind=kind, max_display=0),
                ValueError,
                "max_display",
            ),
        ]
    return [
        *cases,
        Refused(
            "plot local: sample", lambda: sx.plot(e, kind="local", sample=9), ValueError, "sample"
        ),
        Refused(
            "plot dependence: player",
            lambda: sx.plot(e, kind="dependence", player="shut"),
            ValueError,
            "shut",
        ),
        Refused(
            "write_report: no explanation",
            lambda: sx.write_report("r.html", X),
            TypeError,
            "xplanation",
        ),
        Refused(
            "write_report: none", lambda: sx.write_report("r.html", []), ValueError, "xplanation"
        ),
    ]


def evaluation() -> list[Refused]:
    recording = sx.KernelSHAP(Recording())
    return [
        Refused(
            "cross_explain: no explainer",
            lambda: sx.cross_explain(Ridge(), X, Y),
            TypeError,
            "explainer",
        ),
        Refused(
            "cross_explain: cv",
            lambda: sx.cross_explain(recording, X, Y, cv=1),
            InvalidParameterError,
            "cv|splits",
        ),
        Refused(
            "cross_explain: cv beyond rows",
            lambda: sx.cross_explain(recording, X[:3], Y[:3], cv=5),
            ValueError,
            "5",
        ),
        Refused(
            "cross_explain: short y",
            lambda: sx.cross_explain(recording, X, Y[:5]),
            ValueError,
            "y has 5 entries",
        ),
        Refused(
            "cross_explain: no rows",
            lambda: sx.cross_explain(recording, X[:0], Y[:0]),
            ValueError,
            "0|sample",
        ),
        Refused(
            "cross_explain: missing_classes",
            lambda: sx.cross_explain(recording, X, Y, missing_classes="drop"),
            InvalidParameterError,
            "missing_classes",
        ),
        Refused(
            "cross_explain: error_score",
            lambda: sx.cross_explain(recording, X, Y, error_score="skip"),
            InvalidParameterError,
            "error_score",
        ),
        Refused(
            "cross_val_predict: method",
            lambda: sx.cross_val_predict(Recording(), X, Y, method="guess"),
            InvalidParameterError,
            "method|guess",
        ),
        Refused("scorer: name", lambda: sx.get_explanation_scorer("beauty"), ValueError, "beauty"),
        Refused(
            "scorer: option",
            lambda: sx.get_explanation_scorer("infidelity", planet=1),
            TypeError,
            "planet",
        ),
        Refused(
            "compare_methods: none", lambda: sx.compare_methods([], X), ValueError, "explainers"
        ),
        Refused(
            "compare_methods: k",
            lambda: sx.compare_methods([recording, recording], X, Y, k=0),
            ValueError,
            "k=",
        ),
        Refused(
            "compare_methods: no explainer",
            lambda: sx.compare_methods([3], X),
            TypeError,
            "3|explainer",
        ),
        Refused("kendall_w: 1-D", lambda: agreement.kendall_w(X[0]), ValueError, "importances"),
        Refused(
            "kendall_w: NaN",
            lambda: agreement.kendall_w(with_entry(X, np.nan)),
            ValueError,
            "importances",
        ),
        Refused("top_k_jaccard: k", lambda: agreement.top_k_jaccard(X, 0), ValueError, "k="),
    ]


REFUSED: list[Refused] = [
    *refused_rows(),
    *explainer_parameters(),
    *explained_models(),
    *adapters_and_players(),
    *estimators(),
    *windows(),
    *explanations(),
    *displays(),
    *evaluation(),
]


def values_of(rows: Any, name: str = "KernelSHAP") -> np.ndarray:
    """Fit on rows and explain them, of which the values count."""
    explainer = EXPLAINERS[name](random_state=0)
    if name == "PermutationImportance":
        explainer.set_params(scoring="neg_mean_absolute_error", n_repeats=2)
        return explainer.fit(rows, Y[: len(rows)]).importances_
    return explainer.fit(rows).explain(rows).values


def polars_of(frame: pd.DataFrame) -> Any:
    import polars

    return polars.DataFrame({str(name): frame[name].tolist() for name in frame})


def read_only(array: np.ndarray) -> np.ndarray:
    copied = array.copy()
    copied.setflags(write=False)
    return copied


def taken_rows() -> list[Taken]:
    same: dict[str, Callable[[], Any]] = {
        "lists": lambda: X.tolist(),
        "tuples": lambda: tuple(map(tuple, X)),
        "list of rows": lambda: list(X),
        "read-only": lambda: read_only(X),
        "Fortran order": lambda: np.asfortranarray(X),
        "every second row of more": lambda: np.repeat(X, 2, axis=0)[::2],
        "big endian": lambda: X.astype(">f8"),
        "long double": lambda: X.astype(np.longdouble),
        "objects that are numbers": lambda: X.astype(object),
        "numbers as text": lambda: X.astype(str).astype(object),
        "DataFrame": lambda: FRAME,
        "names that are numbers": lambda: pd.DataFrame(X),
        "names of many kinds": lambda: pd.DataFrame(X, columns=["a", 1, (2, 3), None]),
        "nullable columns": lambda: FRAME.convert_dtypes(),
        "polars": lambda: polars_of(FRAME),
        "mask that hides nothing": lambda: np.ma.masked_greater(X, 1e9),
    }
    cases = [
        Taken(
            f"{name}: {rows}",
            lambda make=make, name=name: values_of(make(), name),
            lambda name=name: values_of(X, name),
        )
        for name in EXPLAINERS
        for rows, make in same.items()
    ]
    of_floats: dict[str, np.ndarray] = {
        "float32": X.astype(np.float32),
        "float16": X.astype(np.float16),
        "integers": (X * 9).astype(int),
        "unsigned": np.abs(X * 9).astype(np.uint8),
        "booleans": X > 0,
        "one column": X[:, :1],
        "one row": X[:1],
        "constant columns": np.ones((30, 4)),
        "windows in Fortran order": np.asfortranarray(WINDOWS),
        "read-only windows": read_only(WINDOWS),
    }
    cases += [
        Taken(
            f"{name}: {rows}",
            lambda array=array, name=name: values_of(array, name),
            lambda array=array, name=name: values_of(
                np.ascontiguousarray(array, dtype=float), name
            ),
        )
        for name in EXPLAINERS
        for rows, array in of_floats.items()
    ]

    def players(rows: Any) -> Callable[[], Any]:
        return lambda: sx.KernelSHAP(model).fit(rows()).players_.names

    return [
        *cases,
        Taken("polars keeps names", players(lambda: polars_of(FRAME)), lambda: tuple(FRAME)),
        Taken(
            "names that are no text become text",
            players(lambda: pd.DataFrame(X, columns=["a", 1, (2, 3), None])),
            lambda: ("a", "1", "(2, 3)", "None"),
        ),
        Taken(
            "columns in another order",
            lambda: sx.KernelSHAP(model).fit(FRAME).explain(FRAME[list(FRAME)[::-1]]).values,
            lambda: values_of(FRAME),
        ),
        Taken(
            "polars after pandas",
            lambda: sx.KernelSHAP(model).fit(FRAME).explain(polars_of(FRAME)).values,
            lambda: values_of(FRAME),
        ),
        Taken(
            "one row has nothing to explain",
            lambda: values_of(X[:1]),
            lambda: np.zeros((1, 4)),
        ),
        Taken(
            "constant columns have nothing to explain",
            lambda: values_of(np.ones((30, 4))),
            lambda: np.zeros((30, 4)),
        ),
        Taken(
            "NaN that the model takes",
            lambda: np.isfinite(
                sx.TreeSHAP(RandomForestRegressor(2))
                .fit(with_entry(X, np.nan), Y)
                .explain(X)
                .values
            ).all(),
            lambda: True,
        ),
        Taken(
            "one class's probability and the other's",
            lambda: (
                sx.KernelSHAP(LogisticRegression()).fit(X, CLASSES).explain(X).values.sum(axis=2)
            ),
            lambda: np.zeros((30, 4)),
        ),
        Taken(
            "SlidingWindow of lists",
            lambda: sx.SlidingWindow(2).fit_transform(X.tolist()),
            lambda: sx.SlidingWindow(2).fit_transform(X),
        ),
        Taken(
            "SlidingWindow of polars",
            lambda: sx.SlidingWindow(2).fit_transform(polars_of(FRAME)),
            lambda: sx.SlidingWindow(2).fit_transform(X),
        ),
        Taken(
            "make_windows of a read-only array",
            lambda: sx.make_windows(read_only(X), window=2)[0],
            lambda: np.stack([X[:-1], X[1:]], axis=1),
        ),
        Taken("a window of one row", lambda: sx.make_windows(X, window=1)[0], lambda: X[:, None]),
    ]


TAKEN: list[Taken] = taken_rows()
