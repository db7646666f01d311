"""LIME beside the `lime` package: over seeds, the same mean of everything that both report.

Both are random, so equality is a statistical statement. For each quantity the difference of the
two means over 20 seeds is divided by its standard error. No quotient of all that this file looks
at may pass the value that one of them would pass by chance in one run of a hundred (Bonferroni),
and nine in ten must lie within two standard errors.
"""

import numpy as np
import pytest
from lime.lime_tabular import LimeTabularExplainer, RecurrentTabularExplainer
from scipy import stats
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge

from sklexplain import LIME, as_estimator

N_SEEDS, N_SAMPLES, N_QUANTITIES = 20, 1500, 250
ROWS = [7, 30]
LIMIT = stats.t.ppf(1 - 0.005 / N_QUANTITIES, 2 * N_SEEDS - 2)

rng = np.random.default_rng(0)
X = np.column_stack(
    [
        rng.normal(size=(400, 2)),
        rng.exponential(size=400) * 10,
        rng.integers(0, 4, 400),
        rng.normal(size=400),
    ]
)


def curve(rows):
    """Bent, interacting, and with a step for one category; the last column is idle."""
    return (
        np.sin(2 * rows[:, 0])
        + rows[:, 1] * rows[:, 2] / 10
        + 1.5 * (rows[:, 3] == 2)
        + np.sqrt(rows[:, 2].clip(0))
    )


def probabilities(rows):
    scores = np.column_stack([0 * rows[:, 0], curve(rows) - 2, rows[:, 1] + (rows[:, 3] == 1)])
    odds = np.exp(scores)
    return odds / odds.sum(axis=1, keepdims=True)


target = (curve(X) > np.median(curve(X))).astype(int)
CLASSIFIER = as_estimator(probabilities, task="classifier", classes=[0, 1, 2])


def peer_report(explanation, label, n_columns):
    """Coefficients, intercept, score and local prediction of `lime`."""
    coef = np.zeros(n_columns)
    for column, weight in explanation.local_exp[label]:
        coef[column] = weight
    prediction = np.ravel(explanation.local_pred).item()
    return [*coef, explanation.intercept[label], explanation.score, prediction]


def our_report(explanation, row, output):
    own = (row,) if output is None else (row, output)
    return [
        *(explanation.values[row] if output is None else explanation.values[row, :, output]),
        explanation.base_values[own],
        explanation.diagnostics["local_r2"][own],
        explanation.diagnostics["surrogate_predictions"][own],
    ]


def quotients(ours, theirs):
    """Differences of means over seeds (axis 0) in standard errors; constants must be equal."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    difference = ours.mean(axis=0) - theirs.mean(axis=0)
    error = np.sqrt((ours.var(axis=0, ddof=1) + theirs.var(axis=0, ddof=1)) / len(ours))
    equal = np.abs(difference) < 1e-9
    return np.where(equal, 0, difference / np.where(error > 0, error, np.finfo(float).tiny))


def measure(mode, discretizer, categorical, first_seed=0, **params):
    """Return the quotients of two rows, of all that is reported of one output."""
    label = None if mode == "regression" else 1
    model = curve if mode == "regression" else probabilities
    peer_params = {
        "num_samples": N_SAMPLES,
        "num_features": params.get("n_features") or X.shape[1],
        "labels": (1,),
    }
    selection = params.get("feature_selection", "none")
    around_row = params.get("center") == "row"
    ours, theirs = [], []
    for seed in range(first_seed, first_seed + N_SEEDS):
        peer = LimeTabularExplainer(
            X,
            mode=mode,
            training_labels=target,
            discretize_continuous=discretizer is not None,
            discretizer=discretizer or "quartile",
            categorical_features=categorical,
            sample_around_instance=around_row,
            feature_selection={"forward": "forward_selection"}.get(selection, selection),
            random_state=seed,
        )
        # `lime` numbers a regression's only explanation as class 1.
        theirs.append(
            [
                peer_report(peer.explain_instance(X[row], model, **peer_params), 1, X.shape[1])
                for row in ROWS
            ]
        )
        explainer = LIME(
            curve if mode == "regression" else CLASSIFIER,
            discretizer=discretizer,
            categorical_features=categorical,
            n_samples=N_SAMPLES,
            random_state=50 + seed,
            **{"feature_selection": "none", **params},
        ).fit(X, target)
        explanation = explainer.explain(X[ROWS])
        ours.append([our_report(explanation, row, label) for row in range(len(ROWS))])
    return quotients(ours, theirs)


CASES = [
    ("regression", "quartile", [3], {}),
    ("regression", "decile", [3], {}),
    ("regression", "entropy", [3], {}),
    ("regression", None, [3], {}),
    ("regression", None, None, {}),
    ("regression", None, [3], {"center": "row"}),
    ("regression", "quartile", [3], {"kernel_width": None, "feature_selection": "forward"}),
    ("classification", "quartile", [3], {}),
    ("classification", None, [3], {}),
    ("classification", None, None, {}),
    ("classification", "quartile", [3], {"feature_selection": "highest_weights"}),
    ("classification", None, [3], {"feature_selection": "lasso_path"}),
]


@pytest.fixture(scope="module")
def found():
    """All quotients of all cases."""
    results = {}
    for number, (mode, discretizer, categorical, params) in enumerate(CASES):
        if "feature_selection" in params:
            params = {**params, "n_features": 3}
        results[number] = measure(mode, discretizer, categorical, 100 * number, **params)
    return results


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda case: str(CASES[case]))
def test_means_over_seeds_agree(found, case):
    assert np.abs(found[case]).max() < LIMIT


def test_nine_in_ten_lie_within_two_standard_errors(found):
    quotient = np.concatenate([part.ravel() for part in found.values()])
    assert quotient.size <= N_QUANTITIES
    assert np.mean(np.abs(quotient) < 2) > 0.9


@pytest.mark.parametrize(
    ("params", "departure"),
    [
        ({}, {"discretizer": "decile"}),
        ({}, {"surrogate": Ridge(30)}),
        ({"discretizer": None}, {"kernel_width": 2.2}),
        ({"discretizer": None}, {"center": "row"}),
    ],
)
def test_a_departure_would_be_found(params, departure):
    """The comparison notices, for one, a kernel width of 2.2 where the default is 1.68."""
    theirs, ours = [], []
    for seed in range(N_SEEDS):
        reports = []
        for changes in (params, {**params, **departure}):
            explainer = LIME(
                curve,
                categorical_features=[3],
                n_samples=N_SAMPLES,
                random_state=seed + 100 * len(reports),
                **changes,
            )
            reports.append(our_report(explainer.fit(X).explain(X[ROWS[:1]]), 0, None))
        theirs.append(reports[0])
        ours.append(reports[1])
    assert np.abs(quotients(ours, theirs)).max() > LIMIT


def test_windows_agree_with_the_recurrent_explainer_of_lime():
    windows = np.random.default_rng(1).normal(size=(200, 3, 2))

    def model(rows):
        return rows[:, -1, 0] + np.abs(rows[:, 0, 1]) * rows[:, -1, 1]

    ours, theirs = [], []
    for seed in range(N_SEEDS):
        peer = RecurrentTabularExplainer(
            windows, mode="regression", feature_names=["a", "b"], random_state=seed,
            feature_selection="none",
        )  # fmt: skip
        report = peer.explain_instance(windows[5], model, num_samples=N_SAMPLES, num_features=6)
        coef, rest = np.split(peer_report(report, 1, 6), [6])
        # The peer's columns are all steps of one variable, then all of the next.
        theirs.append([*coef.reshape(2, 3).T.ravel(), *rest])
        explainer = LIME(model, players="cell", n_samples=N_SAMPLES, random_state=500 + seed)
        ours.append(our_report(explainer.fit(windows).explain(windows[5:6]), 0, None))
    assert np.abs(quotients(ours, theirs)).max() < LIMIT


def test_trained_classifier_agrees():
    model = LogisticRegression().fit(X, target)
    ours, theirs = [], []
    for seed in range(N_SEEDS):
        peer = LimeTabularExplainer(X, categorical_features=[3], random_state=seed)
        report = peer.explain_instance(X[3], model.predict_proba, num_samples=N_SAMPLES)
        theirs.append(peer_report(report, 1, 5))
        explainer = LIME(
            FrozenEstimator(model), categorical_features=[3], n_samples=N_SAMPLES, random_state=seed
        )
        ours.append(our_report(explainer.fit(X).explain(X[3:4]), 0, 1))
    assert np.abs(quotients(ours, theirs)).max() < LIMIT
