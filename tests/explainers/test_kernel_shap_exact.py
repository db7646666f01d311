"""Up to twelve players KernelSHAP is exact, so it must agree with any other exact computation."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_selection import SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from torch import nn

from sklexplain import Background, KernelSHAP, SlidingWindow, as_estimator, make_players
from sklexplain.recurrent import GRUClassifier, GRURegressor
from tests.references import shapley_of_row

rng = np.random.default_rng(0)
X = rng.normal(size=(60, 4))
y = X[:, 0] * X[:, 1] + np.sin(X[:, 2])
labels = np.array(["low", "mid", "high"])[np.digitize(y, [-0.5, 0.5])]
frame = pd.DataFrame(X, columns=["open", "close", "volume", "noise"])
windows = rng.normal(size=(30, 3, 2))
windows_target = windows[:, -1, 0] * windows[:, 0, 1]


def tangle(rows):
    """Depends on every cell and every pair of cells."""
    flat = np.asarray(rows).reshape(len(rows), -1)
    return np.cumsum(flat, axis=1).prod(axis=1) + np.sin(flat @ np.arange(1, flat.shape[1] + 1))


def by_hand(function, rows, background, players, weights=None):
    """Attributions of each row by all orders of the players, outputs in the last axis."""
    if weights is None:
        weights = [1 / len(background)] * len(background)

    def columns(batch):
        outputs = np.asarray(function(batch), dtype=float)
        return outputs.reshape(len(batch), -1)

    return np.stack([shapley_of_row(columns, row, background, weights, players) for row in rows])


def check_parts(explanation, function, rows, background, weights=None):
    """Base value, predictions and efficiency."""
    base = np.average(np.asarray(function(background), float), axis=0, weights=weights)
    predictions = np.asarray(function(rows), float)
    np.testing.assert_allclose(explanation.predictions, predictions, atol=1e-5)
    np.testing.assert_allclose(
        explanation.base_values, np.broadcast_to(base, predictions.shape), atol=1e-5
    )
    np.testing.assert_allclose(
        explanation.values.sum(axis=1),
        explanation.predictions - explanation.base_values,
        atol=1e-9,
    )


class TestAgainstEnumeration:
    @pytest.mark.parametrize(
        ("shape", "players"),
        [
            ((1,), "auto"),
            ((4,), "auto"),
            ((4,), {"pair": [0, 3]}),
            ((5,), [0, 1, 0, 1, 2]),
            ((3, 2), "auto"),
            ((3, 2), "timestep"),
            ((2, 2), "cell"),
            ((3, 2), {"recent": [(2, 0), (2, 1)], "old": [(0, 0)]}),
            ((3, 2), np.zeros((3, 2), dtype=int)),
        ],
        ids=str,
    )
    def test_any_players(self, shape, players):
        samples = np.random.default_rng(1).normal(size=(12, *shape))
        explainer = KernelSHAP(tangle, players=players, background=samples[:5]).fit(samples)
        explanation = explainer.explain(samples[5:8])
        expected = by_hand(tangle, samples[5:8], samples[:5], make_players(players, shape))
        np.testing.assert_allclose(explanation.values, expected[..., 0], atol=1e-9)
        check_parts(explanation, tangle, samples[5:8], samples[:5])
        np.testing.assert_array_equal(explanation.data, samples[5:8])
        assert explanation.output_names == ()
        assert explanation.std_errors is None

    def test_several_outputs(self):
        def function(rows):
            return np.column_stack([tangle(rows), -rows[:, 0], rows[:, 1] ** 2])

        explanation = KernelSHAP(function, background=X[:6]).fit(X).explain(X[10:13])
        expected = by_hand(function, X[10:13], X[:6], make_players("auto", (4,)))
        np.testing.assert_allclose(explanation.values, expected, atol=1e-9)
        check_parts(explanation, function, X[10:13], X[:6])
        assert explanation.output_names == ("output 0", "output 1", "output 2")

    @pytest.mark.parametrize(
        ("output", "names"),
        [
            ("auto", ("high", "low", "mid")),
            ("predict_proba", ("high", "low", "mid")),
            ("decision_function", ("high", "low", "mid")),
        ],
    )
    def test_classifier(self, output, names):
        inner = SVC().fit(X, labels)
        if output != "decision_function":
            inner = LogisticRegression().fit(X, labels)
        explainer = KernelSHAP(FrozenEstimator(inner), background=X[:6], output=output).fit(X)
        method = inner.decision_function if output == "decision_function" else inner.predict_proba
        explanation = explainer.explain(X[10:13])
        expected = by_hand(method, X[10:13], X[:6], make_players("auto", (4,)))
        np.testing.assert_allclose(explanation.values, expected, atol=1e-9)
        check_parts(explanation, method, X[10:13], X[:6])
        assert explanation.output_names == explainer.output_names_ == names

    def test_one_decision_value(self):
        inner = LogisticRegression().fit(X, labels == "low")
        explainer = KernelSHAP(
            FrozenEstimator(inner), background=X[:6], output="decision_function"
        ).fit(X)
        # The decision values are linear: each column brings its coefficient times its distance.
        expected = inner.coef_[0] * (X[10:13] - X[:6].mean(axis=0))
        np.testing.assert_allclose(explainer.explain(X[10:13]).values, expected, atol=1e-9)

    def test_log_odds(self):
        inner = LogisticRegression().fit(X, labels)

        def log_odds(rows):
            return logit(inner.predict_proba(rows))

        explainer = KernelSHAP(FrozenEstimator(inner), background=X[:6], link="logit").fit(X)
        explanation = explainer.explain(X[10:13])
        expected = by_hand(log_odds, X[10:13], X[:6], make_players("auto", (4,)))
        np.testing.assert_allclose(explanation.values, expected, atol=1e-9)
        check_parts(explanation, log_odds, X[10:13], X[:6])

    @pytest.mark.parametrize(
        "background",
        [
            Background.kmeans(X, 3, random_state=0),
            Background(X[:3], [1, 5, 0]),
            X[:1],
            X[:1].tolist(),
            frame[:3],
        ],
        ids=["kmeans", "weights", "one row", "list", "frame"],
    )
    def test_backgrounds(self, background):
        explainer = KernelSHAP(tangle, background=background).fit(X)
        kept = explainer.background_
        explanation = explainer.explain(X[10:12])
        expected = by_hand(tangle, X[10:12], kept.rows, explainer.players_, kept.weights)
        np.testing.assert_allclose(explanation.values, expected[..., 0], atol=1e-9)
        check_parts(explanation, tangle, X[10:12], kept.rows, kept.weights)
        if isinstance(background, Background):
            np.testing.assert_array_equal(kept.weights, background.weights)

    def test_drawn_background(self):
        explainer = KernelSHAP(tangle, background=7, random_state=3).fit(X)
        assert len(explainer.background_) == 7
        again = KernelSHAP(tangle, background=7, random_state=3).fit(X)
        np.testing.assert_array_equal(explainer.background_.rows, again.background_.rows)
        assert len(KernelSHAP(tangle).fit(X).background_) == 60

    def test_background_with_missing_values(self):
        with pytest.raises(ValueError, match=r"background holds NaN.*first in row 1"):
            KernelSHAP(Ridge(), background=[[0.0] * X.shape[1], [np.nan] * X.shape[1]]).fit(
                X, X[:, 0]
            )

    @pytest.mark.parametrize("link", ["identity", "logit"])
    def test_recurrent_classifier(self, link):
        inner = GRUClassifier(hidden_size=3, max_epochs=2, random_state=0, early_stopping=False)
        inner.fit(windows, np.where(windows_target > 0, "up", "down"))

        def function(rows):
            proba = inner.predict_proba(rows).astype(float)
            return logit(proba) if link == "logit" else proba

        explainer = KernelSHAP(
            FrozenEstimator(inner), players="timestep", background=windows[:4], link=link
        ).fit(windows)
        explanation = explainer.explain(windows[10:12])
        expected = by_hand(function, windows[10:12], windows[:4], explainer.players_)
        np.testing.assert_allclose(explanation.values, expected, atol=1e-5)
        check_parts(explanation, function, windows[10:12], windows[:4])


@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning")
class TestAgainstShap:
    def check(self, model, method, rows, background):
        import shap

        explainer = KernelSHAP(model, background=background).fit(X, y)
        masker = shap.maskers.Independent(background, max_samples=len(background))
        reference = shap.ExactExplainer(method, masker)(rows)
        explanation = explainer.explain(rows)
        np.testing.assert_allclose(explanation.values, reference.values, atol=1e-6)
        np.testing.assert_allclose(
            explanation.base_values, reference.base_values.reshape(explanation.base_values.shape)
            if np.ndim(reference.base_values) else reference.base_values, atol=1e-6
        )  # fmt: skip

    def test_random_forest(self):
        forest = RandomForestRegressor(10, random_state=0).fit(X, y)
        self.check(FrozenEstimator(forest), forest.predict, X[20:26], X[:15])

    def test_random_forest_classifier(self):
        forest = RandomForestClassifier(10, random_state=0).fit(X, labels)
        self.check(FrozenEstimator(forest), forest.predict_proba, X[20:26], X[:15])

    def test_torch_net(self):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1)).eval()

        def method(rows):
            with torch.no_grad():
                return net(torch.as_tensor(rows, dtype=torch.float32))[:, 0].numpy()

        self.check(net, method, X[20:26], X[:15])


def polynomial(weights):
    """Product and sum of all columns, differently weighted."""
    return lambda rows: rows @ weights + np.prod(1 + rows * weights, axis=1)


SETTINGS = settings(max_examples=15)


class TestAxioms:
    @SETTINGS
    @given(n_columns=st.integers(1, 6), n_background=st.integers(1, 4), seed=st.integers(0, 1000))
    def test_efficiency(self, n_columns, n_background, seed):
        rows = np.random.default_rng(seed).normal(size=(9, n_columns))
        explainer = KernelSHAP(tangle, background=rows[:n_background]).fit(rows)
        explanation = explainer.explain(rows[-3:])
        check_parts(explanation, tangle, rows[-3:], rows[:n_background])

    @SETTINGS
    @given(seed=st.integers(0, 1000))
    def test_symmetry(self, seed):
        """Columns that the model treats alike, equal in the row and in the background."""
        rows = np.random.default_rng(seed).normal(size=(8, 4))
        rows[:, 3] = rows[:, 1]
        weights = np.array([0.5, -1.0, 2.0, -1.0])
        values = KernelSHAP(polynomial(weights), background=rows[:5]).fit(rows).transform(rows[5:])
        np.testing.assert_allclose(values[:, 1], values[:, 3], atol=1e-10)
        assert np.all(np.abs(values[:, 1] - values[:, 0]) > 1e-9)

    @SETTINGS
    @given(seed=st.integers(0, 1000))
    def test_renaming_columns_renames_values(self, seed):
        generator = np.random.default_rng(seed)
        rows, order = generator.normal(size=(8, 5)), generator.permutation(5)
        weights = generator.normal(size=5)
        plain = KernelSHAP(polynomial(weights), background=rows[:5]).fit(rows).transform(rows[5:])
        turned = rows[:, order]
        explainer = KernelSHAP(polynomial(weights[order]), background=turned[:5]).fit(turned)
        np.testing.assert_allclose(explainer.transform(turned[5:]), plain[:, order], atol=1e-9)

    @SETTINGS
    @given(seed=st.integers(0, 1000), unused=st.integers(0, 3))
    def test_null_player(self, seed, unused):
        rows = np.random.default_rng(seed).normal(size=(8, 4))
        weights = np.delete(np.ones(4), unused)

        def function(rows):
            return polynomial(weights)(np.delete(rows, unused, axis=1))

        values = KernelSHAP(function, background=rows[:5]).fit(rows).transform(rows[5:])
        np.testing.assert_allclose(values[:, unused], 0, atol=1e-10)

    @SETTINGS
    @given(seed=st.integers(0, 1000), factor=st.floats(-3, 3))
    def test_linearity(self, seed, factor):
        rows = np.random.default_rng(seed).normal(size=(8, 4))

        def both(rows):
            return tangle(rows) + factor * rows[:, 1] ** 2

        def explain(function):
            return KernelSHAP(function, background=rows[:5]).fit(rows).transform(rows[5:])

        expected = explain(tangle) + factor * explain(lambda rows: rows[:, 1] ** 2)
        np.testing.assert_allclose(explain(both), expected, atol=1e-8)

    def test_linear_model_has_a_closed_form(self):
        explainer = KernelSHAP(LinearRegression(), background=X[:10]).fit(X, y)
        expected = explainer.estimator_.coef_ * (X - X[:10].mean(axis=0))
        np.testing.assert_allclose(explainer.transform(X), expected, atol=1e-10)

    def test_twelve_players(self):
        rows = rng.normal(size=(4, 12))
        weights = rng.normal(size=12)
        explainer = KernelSHAP(lambda X: X @ weights, background=rows[:2], max_evals="exact")
        explainer.fit(rows)
        expected = weights * (rows[2:] - rows[:2].mean(axis=0))
        np.testing.assert_allclose(explainer.transform(rows[2:]), expected, atol=1e-10)


class TestRowIndependence:
    @pytest.mark.parametrize("model", ["function", "torch"])
    def test_alone_or_together_in_any_batches(self, model):
        estimator = tangle
        if model == "torch":
            torch.manual_seed(0)
            estimator = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2)).double()
        together = KernelSHAP(estimator, background=X[:7]).fit(X).transform(X)
        for params in ({"batch_size": 1}, {"batch_size": 13}, {"n_jobs": 2}):
            explainer = KernelSHAP(estimator, background=X[:7], **params).fit(X)
            with joblib.parallel_config("threading"):
                rows = X[:5] if params == {"batch_size": 1} else X
                np.testing.assert_allclose(
                    explainer.transform(rows), together[: len(rows)], atol=1e-12
                )
        explainer = KernelSHAP(estimator, background=X[:7]).fit(X)
        for row in (0, 31, 59):
            np.testing.assert_allclose(
                explainer.transform(X[row : row + 1]), together[row : row + 1], atol=1e-12
            )
        np.testing.assert_allclose(explainer.transform(X[::-1]), together[::-1], atol=1e-12)

    def test_processes(self):
        forest = RandomForestRegressor(3, random_state=0)
        one = KernelSHAP(forest, background=5, random_state=0).fit(X, y).transform(X[:6])
        two = KernelSHAP(forest, background=5, random_state=0, n_jobs=2).fit(X, y).transform(X[:6])
        np.testing.assert_allclose(one, two, atol=1e-12)

    def test_importances_do_not_disturb(self):
        explainer = KernelSHAP(tangle, background=6, random_state=0).fit(X)
        before = explainer.transform(X[:4])
        values = explainer.transform(X)
        np.testing.assert_allclose(explainer.importances_, np.abs(values).mean(axis=0))
        np.testing.assert_allclose(explainer.importances_std_, np.abs(values).std(axis=0))
        np.testing.assert_array_equal(explainer.transform(X[:4]), before)
        explainer.fit(X + 1)
        values = explainer.transform(X + 1)
        np.testing.assert_allclose(explainer.importances_, np.abs(values).mean(axis=0))

    def test_importances_against_one_row_are_not_those_of_that_row(self):
        explainer = KernelSHAP(tangle, background=X[:1], random_state=0).fit(X)
        assert (explainer.importances_ > 0).all()

    def test_no_workers_are_refused_before_fitting(self):
        with pytest.raises(ValueError, match="n_jobs"):
            KernelSHAP(tangle, background=X[:1], n_jobs=0).fit(X)


class TestTables:
    def test_rows_are_labelled(self):
        dated = frame.set_index(pd.date_range("2024-01-01", periods=60))
        explainer = KernelSHAP(Ridge(), background=5, random_state=0).fit(dated, y)
        explanation = explainer.explain(dated[10:13])
        assert explanation.players.names == tuple(frame.columns)
        assert explanation.index.tolist() == dated.index[10:13].to_numpy().tolist()
        plain = KernelSHAP(Ridge(), background=5, random_state=0).fit(X, y).explain(X[10:13])
        np.testing.assert_allclose(explanation.values, plain.values, atol=1e-12)

    def test_columns_of_text(self):
        table = pd.DataFrame(
            {
                "sector": rng.choice(["tech", "oil", "bank"], size=60),
                "size": pd.Categorical(rng.choice(["s", "m"], size=60)),
                "x": X[:, 0],
            }
        )
        table.loc[3, "sector"] = None
        encoded = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["sector", "size"]), remainder="passthrough"
        )
        target = X[:, 0] * (table["sector"] == "oil")
        inner = make_pipeline(
            encoded, MLPRegressor(hidden_layer_sizes=(5,), max_iter=20, random_state=0)
        )
        with pytest.warns(UserWarning, match="Maximum iterations"):
            inner.fit(table, target)
        explainer = KernelSHAP(FrozenEstimator(inner), background=table[:5]).fit(table)
        # Among the explained rows, a sector that fit has never seen.
        rows = pd.concat([table[5:8], pd.DataFrame({"sector": ["wood"], "size": ["s"], "x": 0.5})])
        explanation = explainer.explain(rows)
        for number, row in enumerate(rows.itertuples(index=False)):

            def function(masked, row=row):
                """Masked rows are flags here: where the cell is the row's own."""
                mixed = table[:5].copy()
                for column, own in zip(table.columns, masked.T, strict=True):
                    values = mixed[column].astype(object)
                    values[own == 1] = getattr(row, column)
                    mixed[column] = values
                return inner.predict(mixed)[:, None]

            flags = make_players("column", (3,))
            expected = shapley_of_row(function, np.ones(3), np.zeros((5, 3)), [0.2] * 5, flags)
            np.testing.assert_allclose(explanation.values[number], expected[:, 0], atol=1e-9)
        assert explanation.categories[0][-1] == "wood"
        assert explanation.index.tolist() == [5, 6, 7, 0]

    def test_pandas_output(self):
        explainer = KernelSHAP(LogisticRegression(), background=5, random_state=0)
        explainer.set_output(transform="pandas").fit(frame, labels)
        table = explainer.transform(frame[10:13])
        names = [f"{column}:{label}" for column in frame for label in ("high", "low", "mid")]
        assert table.columns.tolist() == explainer.get_feature_names_out().tolist() == names
        assert table.index.tolist() == [10, 11, 12]
        values = explainer.explain(frame[10:13]).values
        np.testing.assert_array_equal(table["close:mid"], values[:, 1, 2])
        single = KernelSHAP(Ridge(), background=5).set_output(transform="pandas").fit(frame, y)
        assert single.transform(frame[:2]).columns.tolist() == list(frame.columns)


class TestComposition:
    def test_select_from_model(self):
        target = 3 * X[:, 2] - X[:, 0]
        selector = SelectFromModel(KernelSHAP(Ridge(), background=10, random_state=0))
        selector.fit(frame, target)
        assert "volume" in selector.get_feature_names_out()
        assert "noise" not in selector.get_feature_names_out()

    def test_attributions_as_features(self):
        model = make_pipeline(
            KernelSHAP(RandomForestRegressor(5, random_state=0), background=5, random_state=0),
            Ridge(),
        )
        assert np.all(np.isfinite(cross_val_score(model, X[:30], y[:30], cv=2)))

    def test_grid_search(self):
        search = GridSearchCV(
            KernelSHAP(Ridge(), background=3, random_state=0),
            {"estimator__alpha": [1e-3, 1e4]},
            cv=2,
            n_jobs=2,
            error_score="raise",
        ).fit(X, X[:, 0])
        assert search.best_params_ == {"estimator__alpha": 1e-3}
        assert search.best_estimator_.explain(X[:2]).shape == (2, 4)

    def test_pickle(self):
        explainer = KernelSHAP(Ridge(), background=5, random_state=0).fit(frame, y)
        expected = explainer.transform(frame)
        loaded = pickle.loads(pickle.dumps(explainer))
        np.testing.assert_array_equal(loaded.transform(frame), expected)
        np.testing.assert_array_equal(loaded.importances_, explainer.importances_)

    def test_pipeline_of_windows(self):
        table = rng.normal(size=(40, 2))
        target = table[:, 0] + np.roll(table[:, 1], 1)
        pipeline = make_pipeline(
            StandardScaler(),
            SlidingWindow(3),
            GRURegressor(hidden_size=3, max_epochs=2, random_state=0),
        )
        explainer = KernelSHAP(pipeline, players="cell", background=4, random_state=0)
        explainer.fit(table, target)
        made = explainer.estimator_[:-1].transform(table)
        assert explainer.background_.rows.shape == (4, 3, 2)
        explanation = explainer.explain(table)
        np.testing.assert_allclose(explanation.data, made)
        np.testing.assert_allclose(
            explanation.predictions, explainer.estimator_.predict(table), rtol=1e-5
        )
        alone = KernelSHAP(
            FrozenEstimator(explainer.estimator_[-1]),
            players="cell",
            background=explainer.background_,
        ).fit(made)
        np.testing.assert_allclose(explanation.values, alone.explain(made).values, atol=1e-6)

    def test_explanation_reports_its_run(self, tmp_path):
        explainer = KernelSHAP(LogisticRegression(), background=5, random_state=0)
        explanation = explainer.fit(X, labels).explain(X[:3])
        assert explanation.method == "KernelSHAP"
        assert explanation.params["n_background"] == 5
        assert explanation.params["output"] == "predict_proba"
        explanation.save(tmp_path / "e")

    def test_progress(self, capsys):
        KernelSHAP(Ridge(), background=5, verbose=1, random_state=0).fit(X, y).explain(X[:3])
        assert "KernelSHAP: 100%" in capsys.readouterr().err

    def test_cost(self):
        sizes = []

        def function(rows):
            sizes.append(len(rows))
            return rows[:, 0]

        explainer = KernelSHAP(function, background=X[:5]).fit(X)
        sizes.clear()
        explainer.explain(X[:3])
        # Every coalition but the empty and the full one; the full one is the prediction.
        assert sum(sizes) == 3 * (2**4 - 2) * 5 + 3


class TestErrors:
    @pytest.mark.parametrize(
        ("params", "error", "message"),
        [
            ({"background": 0}, ValueError, "background=0 must be at least one row"),
            ({"background": "all"}, TypeError, "background='all' must be a number"),
            ({"background": X[:, :2]}, ValueError, r"background rows have shape \(2,\)"),
            ({"background": frame[["open"]]}, ValueError, "background has 1 features"),
            ({"output": "proba"}, ValueError, "'output' parameter"),
            ({"output": "predict_proba"}, ValueError, "Ridge has only"),
            ({"link": "log"}, ValueError, "'link' parameter"),
            ({"batch_size": 0}, ValueError, "'batch_size' parameter"),
        ],
    )
    def test_parameters(self, params, error, message):
        with pytest.raises(error, match=message):
            KernelSHAP(Ridge(), **params).fit(X, y)

    def test_log_odds_of_a_regressor(self):
        with pytest.raises(ValueError, match="needs outputs between 0 and 1"):
            KernelSHAP(Ridge(), link="logit").fit(X, y * 10)

    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            ((1, 0), r"nan for row 0 with players \['x1'\] replaced"),
            ((1, 1), "nan for row 0;"),
            ((0, 0), "nan for background row 0;"),
        ],
        ids=["coalition", "prediction", "background"],
    )
    def test_non_finite_output(self, bad, message):
        rows = np.array([[0.0, 0.0], [1.0, 1.0]])

        def function(rows):
            return np.where((rows == bad).all(axis=1), np.nan, 1.0)

        with pytest.raises(ValueError, match=message):
            KernelSHAP(function, background=rows[:1]).fit(rows).explain(rows[1:])

    def test_as_estimator_of_a_module(self):
        net = nn.Linear(4, 3)
        explainer = KernelSHAP(as_estimator(net, "classifier", ["a", "b", "c"]), background=4)
        explanation = explainer.fit(X).explain(X[:2])
        assert explanation.output_names == ("a", "b", "c")
        np.testing.assert_allclose(explanation.values.sum(axis=2), 0, atol=1e-6)
