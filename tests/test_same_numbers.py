"""One explainer, one row, one `random_state`: one number, however and wherever it is computed."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joblib import parallel_config
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression

from sklexplain import (
    LIME,
    SHAP,
    DeepSHAP,
    Explanation,
    KernelSHAP,
    PermutationImportance,
    TreeSHAP,
    as_estimator,
)

TOLERANCE = 1e-6
N_ROWS = 8

RNG = np.random.default_rng(0)
# Numbers that float32 holds, so that both types hold the same.
TABLE = RNG.normal(size=(120, 14)).astype(np.float32)
FEW = TABLE[:, :4].copy()
WINDOWS = RNG.normal(size=(60, 5, 3)).astype(np.float32)
TARGET = (FEW[:, 0] * FEW[:, 1] + np.sin(FEW[:, 2])).astype(np.float64)


def products(rows):
    """Compute in the type of the rows, as much that users write does."""
    flat = rows.reshape(len(rows), -1)
    return np.tanh(flat).sum(axis=1) + flat[:, 0] * flat[:, 1] - flat[:, 2] ** 2


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(3, 8, batch_first=True)
        self.out = torch.nn.Linear(8, 2)

    def forward(self, x):
        return self.out(self.lstm(x)[0][:, -1])


@cache
def recurrent():
    torch.manual_seed(0)
    return Net()


@cache
def fitted(kind, rows):
    models = {
        "forest": RandomForestRegressor(8, random_state=0),
        "boosting": GradientBoostingRegressor(n_estimators=8, random_state=0),
        "linear": LinearRegression(),
        "logistic": LogisticRegression(),
    }
    X = {"table": TABLE, "few": FEW}[rows].astype(np.float64)
    y = TARGET > 0 if kind == "logistic" else TARGET
    return as_estimator(models[kind].fit(X, y))


CASES = {
    "KernelSHAP, exact": (lambda: KernelSHAP(products, background=9, random_state=0), FEW),
    "KernelSHAP, exact, linear": (
        lambda: KernelSHAP(fitted("linear", "few"), background=9, random_state=0),
        FEW,
    ),
    "KernelSHAP, sampled": (
        lambda: KernelSHAP(products, background=15, max_evals=130, random_state=0),
        TABLE,
    ),
    "KernelSHAP, sampled, boosting": (
        lambda: KernelSHAP(
            fitted("boosting", "table"), background=15, max_evals=130, random_state=0
        ),
        TABLE,
    ),
    "KernelSHAP, sampled, net": (
        lambda: KernelSHAP(
            recurrent(),
            players="cell",
            background=15,
            max_evals=130,
            control_variate=None,
            random_state=0,
        ),
        WINDOWS,
    ),
    "KernelSHAP, sampled to a tolerance": (
        lambda: KernelSHAP(products, background=15, max_evals=600, tol=0.1, random_state=0),
        TABLE,
    ),
    "LIME, bins": (lambda: LIME(products, n_samples=100, random_state=0), FEW),
    "LIME, normal, forest": (
        lambda: LIME(
            fitted("forest", "few"), n_samples=100, discretizer=None, center="row", random_state=0
        ),
        FEW,
    ),
    "LIME, classes": (lambda: LIME(fitted("logistic", "few"), n_samples=100, random_state=0), FEW),
    "LIME, windows": (lambda: LIME(recurrent(), n_samples=100, random_state=0), WINDOWS),
    "DeepSHAP": (lambda: DeepSHAP(recurrent(), background=9, random_state=0), WINDOWS),
    "TreeSHAP": (lambda: TreeSHAP(fitted("forest", "table")), TABLE),
    "TreeSHAP, background": (
        lambda: TreeSHAP(fitted("boosting", "table"), background=9, random_state=0),
        TABLE,
    ),
    "SHAP": (lambda: SHAP(fitted("forest", "few"), background=9, random_state=0), FEW),
}


@cache
def expected(case):
    """Return the values of one process, one call and float64."""
    make, rows = CASES[case]
    rows = rows.astype(np.float64)
    return make().fit(rows).explain(rows[:N_ROWS])


def assert_same(found, reference):
    for name in ("values", "predictions", "base_values", "std_errors"):
        ours, theirs = getattr(found, name), getattr(reference, name)
        if theirs is None:
            assert ours is None
            continue
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * np.abs(theirs).max())


def with_part_of_a_run(explainer, rows, n_parts):
    """Explain with checkpoints of which some are lost, as those of a run that was stopped."""
    with tempfile.TemporaryDirectory() as folder:
        explainer.memory = folder
        list(explainer.explain_batches(rows, batch_rows=max(1, len(rows) // n_parts)))
        kept = sorted(path for path in Path(folder).rglob("*.npz"))
        for path in kept[::2]:
            path.unlink()
        return Explanation.concat(
            explainer.explain_batches(rows, batch_rows=max(1, len(rows) // n_parts))
        )


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=6, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    n_jobs=st.sampled_from([None, 1, 2]),
    backend=st.sampled_from([None, "sequential", "threading", "loky"]),
    batch_size=st.sampled_from(["auto", 13, 1000]),
    fitted_on=st.sampled_from([np.float32, np.float64]),
    explained_in=st.sampled_from([np.float32, np.float64]),
    order=st.permutations(range(N_ROWS)),
    n_parts=st.sampled_from([1, 2, 5]),
    resumed=st.booleans(),
)
def test_attributions(
    case, n_jobs, backend, batch_size, fitted_on, explained_in, order, n_parts, resumed
):
    make, rows = CASES[case]
    explainer = make()
    given_params = {"n_jobs": n_jobs, "batch_size": batch_size}
    explainer.set_params(
        **{n: given_params[n] for n in given_params if n in explainer.get_params(deep=False)}
    )
    order = np.asarray(order)
    asked = rows[:N_ROWS][order].astype(explained_in)
    with parallel_config(**({} if backend is None else {"backend": backend})):
        explainer.fit(rows.astype(fitted_on))
        if resumed:
            found = with_part_of_a_run(explainer, asked, n_parts)
        elif n_parts == 1:
            found = explainer.explain(asked)
        else:
            found = Explanation.concat(
                explainer.explain_batches(part for part in np.array_split(asked, n_parts))
            )
    assert_same(found, expected(case)[order])


@settings(max_examples=8, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    n_jobs=st.sampled_from([1, 2]),
    backend=st.sampled_from([None, "sequential", "threading", "loky"]),
    dtype=st.sampled_from([np.float32, np.float64]),
    resumed=st.booleans(),
    kind=st.sampled_from(["forest", "boosting", "net"]),
)
def test_permutation_importance(n_jobs, backend, dtype, resumed, kind):
    """Its rows are permuted among themselves, so their order is part of the question."""
    rows, target = (WINDOWS, WINDOWS[:, -1, :2]) if kind == "net" else (TABLE, TARGET)
    model = as_estimator(recurrent()) if kind == "net" else fitted(kind, "table")

    def importances(dtype, **params):
        explainer = PermutationImportance(model, n_repeats=2, random_state=0, **params)
        return explainer.fit(rows.astype(dtype), target).explanation_

    reference = importances(np.float64)
    with (
        tempfile.TemporaryDirectory() as folder,
        parallel_config(**({} if backend is None else {"backend": backend})),
    ):
        memory = folder if resumed else None
        found = importances(dtype, n_jobs=n_jobs, memory=memory)
        if resumed:
            for path in sorted(Path(folder).rglob("*.npz"))[::2]:
                path.unlink()
            found = importances(dtype, n_jobs=n_jobs, memory=memory)
    assert_same(found, reference)


@pytest.mark.parametrize("case", ["KernelSHAP, exact, linear", "LIME, normal, forest"])
def test_large_numbers_in_float32_round_nothing_that_float64_does_not(case):
    """A price of a thousand has seven digits in float32; a difference of prices has four."""
    make, rows = CASES[case]
    prices = (rows + np.float32(1000)).astype(np.float32)
    reference = make().fit(prices.astype(np.float64)).explain(prices[:N_ROWS].astype(np.float64))
    assert_same(make().fit(prices).explain(prices[:N_ROWS]), reference)
