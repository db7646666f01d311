"""What cannot work is refused by name, before a model is fitted wherever that is possible."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import LogisticRegression, Ridge

from sklexplain import Background, KernelSHAP, make_players

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 10))
y = X[:, 0] - X[:, 1]
frame = pd.DataFrame(X, columns=[f"column {i}" for i in range(10)])
windows = rng.normal(size=(60, 5, 2))


class Watched(RegressorMixin, BaseEstimator):
    """An estimator that must not be touched."""

    n_fits = 0

    def fit(self, X, y=None):
        Watched.n_fits += 1
        return self

    def predict(self, X):
        raise AssertionError("the model was run")


@pytest.fixture
def watched():
    Watched.n_fits = 0
    yield Watched()
    assert Watched.n_fits == 0, "the model was fitted"


def refused(estimator, error, message, rows=X, **params):
    with pytest.raises(error, match=message):
        KernelSHAP(estimator, **params).fit(rows, y)


class TestBeforeFitting:
    @pytest.mark.parametrize("max_evals", [1, 20, 40])
    def test_budget_too_small(self, watched, max_evals):
        message = f"max_evals={max_evals} is too few for 10 players: .* at least 41; a good start"
        refused(watched, ValueError, message, max_evals=max_evals)

    def test_budget_too_small_for_few_players(self, watched):
        message = "max_evals=6 is too few for 3 players: .* at least 7;"
        refused(watched, ValueError, message, X[:, :3], max_evals=6, background=1)

    @pytest.mark.parametrize("max_evals", [0, -3, 100.5, "all", None])
    def test_budget_that_is_none(self, watched, max_evals):
        refused(watched, ValueError, "'max_evals' parameter of KernelSHAP", max_evals=max_evals)

    def test_enumeration_of_many_players(self, watched):
        message = r'max_evals="exact" enumerates at most 20 players, but .* makes 21; .* group'
        refused(watched, ValueError, message, rng.normal(size=(60, 21)), max_evals="exact")

    @pytest.mark.parametrize("tol", [0, -0.02, np.nan, "2%"])
    def test_tolerance(self, watched, tol):
        refused(watched, ValueError, "'tol' parameter of KernelSHAP", tol=tol)

    @pytest.mark.parametrize("prune_tol", [0, -1, 1, 1.5, np.nan])
    def test_pruning_tolerance(self, watched, prune_tol):
        message = "'prune_tol' parameter of KernelSHAP"
        refused(watched, ValueError, message, windows, players="timestep", prune_tol=prune_tol)

    @pytest.mark.parametrize("empty", [X[:0], [], frame[:0]], ids=["array", "list", "frame"])
    def test_empty_background(self, watched, empty):
        rows = frame if isinstance(empty, pd.DataFrame) else X
        message = "background has shape .* it needs at least one row"
        refused(watched, ValueError, message, rows, background=empty)

    @pytest.mark.parametrize("n_rows", [0, -1])
    def test_background_of_no_rows(self, watched, n_rows):
        refused(watched, ValueError, f"background={n_rows} must be at least", background=n_rows)

    @pytest.mark.parametrize("background", ["x", None, True, 2.5])
    def test_background_of_another_kind(self, watched, background):
        message = f"background={background!r} must be a number of rows, an array or DataFrame"
        refused(watched, TypeError, message, background=background)

    @pytest.mark.parametrize(
        ("rows", "background", "shapes"),
        [
            (X, X[:, :9], r"\(9,\), but rows of X have \(10,\)"),
            (X, windows, r"\(5, 2\), but rows of X have \(10,\)"),
            (windows, windows[:, 1:], r"\(4, 2\), but rows of X have \(5, 2\)"),
            (windows, Background(windows[:, :, :1]), r"\(5, 1\), but rows of X have \(5, 2\)"),
        ],
    )
    def test_background_of_another_shape(self, watched, rows, background, shapes):
        message = "background rows have shape " + shapes
        refused(watched, ValueError, message, rows, background=background)

    def test_background_of_one_dimension(self, watched):
        refused(watched, ValueError, r"background has shape \(10,\)", background=X[0])

    def test_weights_of_the_background(self):
        for weights in ([1, 2], [-1, 2, 3], [0, 0, 0], [np.nan, 1, 1]):
            with pytest.raises(ValueError, match="weights"):
                Background(X[:3], weights)

    @pytest.mark.parametrize(
        ("players", "error", "message"),
        [
            ({"a": [0, 1], "b": [1, 2]}, ValueError, "players 'a' and 'b' overlap in 1"),
            ({"a": ["column 3", "volume"]}, ValueError, "unknown column 'volume'"),
            ({"a": [10]}, ValueError, "names column 10, but there are 10 columns"),
            ({"a": []}, ValueError, r"players\['a'\] is empty"),
            ({}, ValueError, "names no player"),
            ("timestep", ValueError, 'players="timestep" needs windows'),
            ("steps", ValueError, "players='steps' is not one of"),
            (np.zeros(9, int), ValueError, r"integer array of shape \(10,\)"),
            (np.zeros(10), ValueError, r"integer array of shape \(10,\)"),
            (make_players("column", (9,)), ValueError, r"shape \(9,\), but X has \(10,\)"),
            (3, TypeError, "players=3 is a int"),
        ],
    )
    def test_players(self, watched, players, error, message):
        refused(watched, error, message, frame, players=players)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("output", "proba"),
            ("link", "log"),
            ("batch_size", 0),
            ("n_jobs", 1.5),
            ("random_state", "seed"),
            ("verbose", -1),
        ],
    )
    def test_other_parameters(self, watched, name, value):
        refused(watched, ValueError, f"'{name}' parameter of KernelSHAP", **{name: value})

    def test_feature_names(self, watched):
        refused(watched, ValueError, "feature_names has 2 names", feature_names=["a", "b"])


class TestAtTheFirstRun:
    @pytest.mark.parametrize(
        "function",
        [
            lambda rows: rows[:-1, 0],
            lambda rows: np.r_[rows[:, 0], 0],
            lambda rows: 3.0,
            lambda rows: rows[:, :, None],
            lambda rows: rows[:1, 0],
        ],
        ids=["one less", "one more", "a number", "three axes", "always one"],
    )
    def test_wrong_number_of_rows(self, function):
        with pytest.raises(ValueError, match=r"the model returned an output of shape .* rows; it"):
            KernelSHAP(function, background=30).fit(X)

    def test_wrong_number_of_rows_where_the_background_is_one(self):
        explainer = KernelSHAP(lambda rows: rows[:1, 0], background=X[:1]).fit(X)
        with pytest.raises(ValueError, match=r"output of shape \(1,\) for 2 rows"):
            explainer.explain(X[1:3])
        with pytest.raises(ValueError, match=r"output of shape \(1,\) for \d+ rows"):
            explainer.explain(X[1:2])

    def test_labels(self):
        with pytest.raises(ValueError, match=r"labels that are not numbers \(.*'up'.*\)"):
            KernelSHAP(lambda rows: np.full(len(rows), "up")).fit(X)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_background_row_that_is_not_finite(self, value):
        with pytest.raises(ValueError, match=f"returned {value} for background row 7; expl"):
            KernelSHAP(
                lambda rows: np.where(rows[:, 0] == X[7, 0], value, 0.0), background=X[:30]
            ).fit(X)

    @pytest.mark.parametrize("max_evals", ["exact", 401, 2001])
    @pytest.mark.parametrize("tol", [None, 0.01])
    def test_masked_row_that_is_not_finite(self, max_evals, tol):
        """The message counts rows as they were given, whatever groups they are explained in."""
        background = X[:5].copy()
        background[:, 9] = 1
        rows = X[20:32].copy()
        # Every other row has another active player.
        rows[::2, 9] = 1
        rows[7, 3] = 99

        def function(rows):
            mixed = (rows[:, 3] == 99) & (rows[:, 4] != X[27, 4])
            return np.where(mixed, np.nan, rows.sum(axis=1) * rows[:, 0])

        explainer = KernelSHAP(
            function, background=background, max_evals=max_evals, tol=tol, random_state=0
        ).fit(X)
        message = r"returned nan for row 7 with players \[.*'x4'.*\] replaced by background values"
        with pytest.raises(ValueError, match=message) as caught:
            explainer.explain(rows)
        assert "'x3'" not in str(caught.value)

    def test_row_that_is_not_finite(self):
        explainer = KernelSHAP(
            lambda rows: np.where(rows[:, 0] == X[20, 0], np.inf, 0.0), background=X[:5]
        ).fit(X)
        with pytest.raises(ValueError, match="the model returned inf for row 2; explanations need"):
            explainer.explain(X[18:22])

    def test_certain_probabilities_have_no_log_odds(self):
        def certain(rows):
            return (rows[:, 0] > 0).astype(float)

        with pytest.raises(ValueError, match='link="logit" needs probabilities strictly between'):
            KernelSHAP(certain, link="logit").fit(X)
        with pytest.raises(ValueError, match='link="logit" needs outputs between 0 and 1'):
            KernelSHAP(lambda rows: rows[:, 0], link="logit").fit(X)

    def test_output_that_the_estimator_lacks(self):
        with pytest.raises(ValueError, match="output='predict_proba', but Ridge has only"):
            KernelSHAP(Ridge(), output="predict_proba").fit(X, y)


class TestExplaining:
    explainer = KernelSHAP(Ridge(), background=20, max_evals=201, random_state=0).fit(frame, y)

    def test_rows_of_another_shape(self):
        explainer = KernelSHAP(Ridge(), background=20, random_state=0).fit(X, y)
        with pytest.raises(ValueError, match="X has 9 features, but KernelSHAP is expecting"):
            explainer.explain(X[:, :9])

    def test_missing_values(self):
        rows = X[:5].copy()
        rows[3, 2] = np.nan
        explainer = KernelSHAP(Ridge(), background=20, random_state=0).fit(X, y)
        with pytest.raises(ValueError, match=r"NaN or infinite values \(first in row 3\)"):
            explainer.explain(rows)

    def test_before_fitting(self):
        with pytest.raises(Exception, match="not fitted yet"):
            KernelSHAP(LogisticRegression()).explain(X)

    def test_a_failure_leaves_the_explainer_as_it_was(self):
        before = self.explainer.transform(frame[:3])
        with pytest.raises(ValueError, match="NaN or infinite"):
            self.explainer.explain(frame * np.nan)
        np.testing.assert_array_equal(self.explainer.transform(frame[:3]), before)
