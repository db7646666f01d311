import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_selection import RFE, SelectFromModel
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

from sklexplain import (
    PermutationImportance,
    SlidingWindow,
    as_estimator,
    cluster_players,
    make_players,
)
from sklexplain.recurrent import GRURegressor

rng = np.random.default_rng(0)
X = rng.normal(size=(80, 4))
y = X @ [2.0, -1.0, 0.5, 0.0] + 0.1 * rng.normal(size=80)
labels = np.array(["low", "mid", "high"])[np.digitize(y, [-1, 1])]
frame = pd.DataFrame(X, columns=["open", "close", "volume", "noise"])
windows = rng.normal(size=(50, 3, 2))
windows_target = windows[:, -1, 0] * 2 + windows[:, 0, 1]


def last_and_first(rows):
    return rows[:, -1, 0] * 2 + rows[:, 0, 1]


def two_scores(estimator, X, y):
    return {"r2": r2_score(y, estimator.predict(X)), "mean": estimator.predict(X).mean()}


def max_error(estimator, X, y, sample_weight=None):
    errors = np.abs(estimator.predict(X) - y)
    return -np.average(errors, weights=sample_weight)


class TestAgainstScikitLearn:
    """With columns as players the numbers are scikit-learn's own, to the last digits."""

    def check(self, estimator, rows, target, *, sample_weight=None, n_jobs=None, **params):
        explainer = PermutationImportance(estimator, n_jobs=n_jobs, random_state=7, **params).fit(
            rows, target, sample_weight=sample_weight
        )
        reference = permutation_importance(
            explainer.estimator_,
            rows,
            target,
            sample_weight=sample_weight,
            random_state=7,
            **params,
        )
        if "importances" in reference:
            reference = {"score": reference}
        assert list(explainer.results_) == list(reference)
        for name, expected in reference.items():
            for part in ("importances", "importances_mean", "importances_std"):
                np.testing.assert_allclose(
                    explainer.results_[name][part], expected[part], rtol=0, atol=1e-12
                )
        first = next(iter(reference.values()))
        np.testing.assert_allclose(explainer.importances_, first.importances_mean, atol=1e-12)
        np.testing.assert_allclose(explainer.importances_std_, first.importances_std, atol=1e-12)
        np.testing.assert_array_equal(explainer.feature_importances_, explainer.importances_)
        assert np.ptp(explainer.importances_) > 0.01
        return explainer

    @pytest.mark.parametrize("rows", [X, frame], ids=["array", "frame"])
    @pytest.mark.parametrize(
        "params",
        [
            {},
            {"n_repeats": 3, "max_samples": 0.37},
            {"n_repeats": 1, "max_samples": 25},
            {"max_samples": 80},
            {"scoring": "neg_mean_absolute_error"},
            {"scoring": max_error},
            {"scoring": ["r2", "neg_mean_squared_error"]},
            {"scoring": ("neg_mean_squared_error", "r2"), "max_samples": 0.5},
            {"scoring": two_scores},
        ],
        ids=lambda params: "-".join(params) or "defaults",
    )
    def test_regressor(self, rows, params):
        self.check(KNeighborsRegressor(3), rows, y, **params)

    @pytest.mark.parametrize("rows", [X, frame], ids=["array", "frame"])
    @pytest.mark.parametrize(
        "params",
        [
            {},
            {"max_samples": 0.6},
            {"scoring": "neg_log_loss"},
            {"scoring": {"a": "accuracy", "b": "roc_auc_ovr"}},
        ],
        ids=str,
    )
    def test_classifier(self, rows, params):
        self.check(LogisticRegression(), rows, labels, **params)

    @pytest.mark.parametrize("max_samples", [1.0, 0.5])
    @pytest.mark.parametrize("scoring", [None, "neg_mean_absolute_error", max_error])
    def test_sample_weight(self, max_samples, scoring):
        weights = rng.uniform(size=80) ** 4
        self.check(Ridge(), X, y, sample_weight=weights, max_samples=max_samples, scoring=scoring)

    def test_several_targets(self):
        self.check(LinearRegression(), X, np.column_stack([y, X[:, 3]]))

    def test_workers(self):
        for params in ({}, {"max_samples": 0.5}):
            self.check(RandomForestRegressor(3, random_state=0), X, y, n_jobs=2, **params)

    def test_pipeline(self):
        self.check(make_pipeline(StandardScaler(), KNeighborsRegressor(3)), frame, y)

    def test_integers_and_flags_keep_their_type(self):
        table = pd.DataFrame(
            {"count": rng.integers(5, size=80), "flag": X[:, 0] > 0, "x": X[:, 1].astype("f4")}
        )
        seen = []

        def scoring(estimator, rows, target):
            seen.append(rows.dtypes.tolist())
            return estimator.score(rows, target)

        self.check(LinearRegression(), table, table["count"] + table["flag"], scoring=scoring)
        assert all(dtypes == table.dtypes.tolist() for dtypes in seen)

    def test_columns_of_text(self):
        table = pd.DataFrame(
            {
                "sector": rng.choice(["tech", "oil", "bank"], size=80),
                "size": pd.Categorical(rng.choice(["s", "m"], size=80)),
                "x": X[:, 0],
            }
        )
        table.loc[3, "sector"] = None
        target = (table["sector"] == "oil") * 3 + X[:, 0]
        estimator = make_pipeline(
            make_column_transformer(
                (OneHotEncoder(handle_unknown="ignore"), ["sector", "size"]),
                remainder="passthrough",
            ),
            Ridge(),
        )
        explainer = self.check(estimator, table, target)
        assert explainer.players_.names == ("sector", "size", "x")
        importances = dict(zip(explainer.players_.names, explainer.importances_, strict=True))
        assert importances["sector"] > 0.3
        assert abs(importances["size"]) < 0.05

    def test_generator_goes_on_where_it_was(self):
        ours, theirs = np.random.RandomState(3), np.random.RandomState(3)
        inner = Ridge().fit(X, y)
        for _ in range(2):
            explainer = PermutationImportance(FrozenEstimator(inner), random_state=ours).fit(X, y)
            expected = permutation_importance(inner, X, y, random_state=theirs)
            np.testing.assert_allclose(
                explainer.results_["score"].importances, expected.importances, atol=1e-12
            )


def naive_drops(predict, rows, target, players, *, n_repeats, seed):
    """Drops in R², cell by cell, the order of each repeat a shuffle of the one before."""
    # The seed that scikit-learn's function draws for all of its columns.
    seed = np.random.RandomState(seed).randint(np.iinfo(np.int32).max + 1)
    baseline = r2_score(target, predict(rows))
    drops = np.zeros((players.n_players, n_repeats))
    for player in range(players.n_players):
        random_state = np.random.RandomState(seed)
        shuffled, current = np.arange(len(rows)), rows.copy()
        for repeat in range(n_repeats):
            random_state.shuffle(shuffled)
            previous = current.copy()
            for cell in np.ndindex(players.shape):
                if players.members(player)[cell]:
                    for row in range(len(rows)):
                        current[(row, *cell)] = previous[(shuffled[row], *cell)]
            drops[player, repeat] = baseline - r2_score(target, predict(current))
    return drops


class TestPlayers:
    @pytest.mark.parametrize(
        "players",
        ["auto", "timestep", "cell", {"a": [(0, "x"), (2, "z")]}, [[0, 0], [1, 1], [0, 2]]],
        ids=str,
    )
    def test_windows_and_a_plain_function(self, players):
        explainer = PermutationImportance(
            last_and_first, players=players, feature_names=["x", "z"], n_repeats=3, random_state=1
        ).fit(windows, windows_target)
        expected = naive_drops(
            last_and_first,
            windows,
            windows_target,
            make_players(players, (3, 2), ["x", "z"]),
            n_repeats=3,
            seed=1,
        )
        np.testing.assert_allclose(explainer.results_["score"].importances, expected, atol=1e-12)
        assert explainer.players_.names == make_players(players, (3, 2), ["x", "z"]).names

    def test_only_the_cells_that_are_used_matter(self):
        explainer = PermutationImportance(last_and_first, players="cell", random_state=0)
        importances = explainer.fit(windows, windows_target).importances_.reshape(3, 2)
        used = np.array([[False, True], [False, False], [True, False]])
        assert np.all(importances[used] > 0.1)
        np.testing.assert_array_equal(importances[~used], 0)
        assert importances[2, 0] > importances[0, 1]

    def test_groups_of_columns(self):
        inner = Ridge().fit(frame, y)
        explainer = PermutationImportance(
            FrozenEstimator(inner), players={"price": ["open", "close"]}, random_state=2
        ).fit(frame, y)
        players = make_players({"price": [0, 1]}, (4,), frame.columns)

        def predict(rows):
            return inner.predict(pd.DataFrame(rows, columns=frame.columns))

        expected = naive_drops(predict, X, y, players, n_repeats=5, seed=2)
        np.testing.assert_allclose(explainer.results_["score"].importances, expected, atol=1e-12)
        assert explainer.players_.names == ("price", "volume", "noise")

    def test_module_and_net(self):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Flatten(), nn.Linear(6, 1))
        weight, bias = (p.detach().numpy().astype(float) for p in module[1].parameters())
        explainer = PermutationImportance(module, players="cell", random_state=0, n_jobs=2)
        explainer.fit(windows, windows_target)
        expected = naive_drops(
            lambda rows: rows.reshape(-1, 6) @ weight[0] + bias[0],
            windows,
            windows_target,
            make_players("cell", (3, 2)),
            n_repeats=5,
            seed=0,
        )
        np.testing.assert_allclose(explainer.results_["score"].importances, expected, atol=1e-4)

    def test_recurrent_net(self):
        inner = GRURegressor(hidden_size=4, max_epochs=2, random_state=0)
        explainer = PermutationImportance(inner, random_state=0).fit(windows, windows_target)
        expected = naive_drops(
            inner.fit(windows, windows_target).predict,
            windows,
            windows_target,
            make_players("feature", (3, 2)),
            n_repeats=5,
            seed=0,
        )
        np.testing.assert_allclose(explainer.results_["score"].importances, expected, atol=1e-5)

    def test_a_cluster_shows_what_its_columns_hide(self):
        """Two noisy copies of the driver stand in for one another; one alone is hardly missed."""
        driver, other = np.random.default_rng(5).normal(size=(2, 600))
        copies = [driver + 0.05 * np.random.default_rng(i).normal(size=600) for i in range(6)]
        table = pd.DataFrame(np.column_stack([*copies, other]), columns=[*"abcdef", "other"])
        target = driver + 0.3 * other
        forest = FrozenEstimator(
            RandomForestRegressor(30, max_features=2, random_state=0).fit(table, target)
        )
        single = PermutationImportance(forest, random_state=0).fit(table, target)
        players = cluster_players(table)
        grouped = PermutationImportance(forest, players=players, random_state=0).fit(table, target)
        hidden = dict(zip(single.players_.names, single.importances_, strict=True))
        shown = dict(zip(grouped.players_.names, grouped.importances_, strict=True))
        cluster = "a + b + c + d + 2 more"
        assert set(shown) == {cluster, "other"}
        # Column by column, none of the copies looks like the driver that moves the target most.
        assert all(hidden[name] < 0.2 for name in "abcdef")
        assert shown[cluster] > 1
        assert shown[cluster] > 5 * shown["other"]
        assert shown["other"] == pytest.approx(hidden["other"])


class Recording(RegressorMixin, BaseEstimator):
    """Notes which rows it was fitted on and scored on, known by their first column."""

    fitted, predicted = [], []

    def fit(self, X, y):
        self.fitted.append(set(X[:, 0]))
        self.mean_ = y.mean()
        return self

    def predict(self, X):
        self.predicted.append((set(X[:, 1]), self.mean_))
        return self.mean_ + X[:, 0]


class TestFolds:
    @pytest.mark.parametrize(
        ("estimator", "target", "cv", "splitter"),
        [
            (Ridge(), y, 3, KFold(3)),
            (Ridge(), y, KFold(4, shuffle=True, random_state=0), None),
            (Ridge(), y, TimeSeriesSplit(3), None),
            (LogisticRegression(), labels, 3, StratifiedKFold(3)),
            (Ridge(), y, ShuffleSplit(1, random_state=0), None),
        ],
        ids=["integer", "shuffled", "time", "stratified", "single"],
    )
    @pytest.mark.parametrize("max_samples", [1.0, 0.5])
    def test_fold_by_fold(self, estimator, target, cv, splitter, max_samples):
        explainer = PermutationImportance(
            estimator, cv=cv, n_repeats=3, max_samples=max_samples, random_state=5
        ).fit(X, target)
        random_state = np.random.RandomState(5)
        folds, baselines = [], []
        for train, test in (splitter or cv).split(X, target):
            inner = clone(estimator).fit(X[train], target[train])
            fold = permutation_importance(
                inner,
                X[test],
                target[test],
                n_repeats=3,
                max_samples=max_samples,
                random_state=random_state,
            )
            folds.append(fold.importances)
            baselines.append(inner.score(X[test], target[test]))
        result = explainer.results_["score"]
        np.testing.assert_allclose(result.importances, folds, atol=1e-12)
        np.testing.assert_allclose(result.baseline_score, baselines, atol=1e-12)
        pooled = np.concatenate(folds, axis=1)
        np.testing.assert_allclose(explainer.importances_, pooled.mean(axis=1), atol=1e-12)
        np.testing.assert_allclose(explainer.importances_std_, pooled.std(axis=1), atol=1e-12)
        np.testing.assert_allclose(explainer.explanation_.values, pooled.T, atol=1e-12)
        np.testing.assert_allclose(
            explainer.explanation_.base_values, np.repeat(baselines, 3), atol=1e-12
        )
        assert len(explainer.estimators_) == len(folds)
        # The estimator that predicts afterwards has seen all rows.
        np.testing.assert_array_equal(
            explainer.predict(X), clone(estimator).fit(X, target).predict(X)
        )

    def test_groups_stay_together(self):
        groups = np.repeat(np.arange(8), 10)
        explainer = PermutationImportance(Recording(), cv=GroupKFold(4), random_state=0)
        Recording.fitted.clear()
        explainer.fit(X, y, groups=groups)
        whole, *folds = Recording.fitted
        assert whole == set(X[:, 0])
        assert len(folds) == 4
        for fitted in folds:
            seen = set(groups[np.isin(X[:, 0], list(fitted))])
            assert len(seen) == 6
            assert len(fitted) == 60

    def test_held_out_rows_never_reach_fit(self):
        Recording.fitted.clear()
        Recording.predicted.clear()
        PermutationImportance(Recording(), cv=KFold(4), players={"a": [0], "b": [1, 2, 3]}).fit(
            X, y
        )
        folds = Recording.fitted[1:]
        for (train, test), fitted in zip(KFold(4).split(X), folds, strict=True):
            assert fitted == set(X[train, 0])
            scored = [rows for rows, mean in Recording.predicted if mean == y[train].mean()]
            assert len(scored) == 1 + 2 * 5
            assert all(rows == set(X[test, 1]) for rows in scored)

    def test_iterable_of_splits(self):
        splits = list(KFold(3).split(X))
        by_list = PermutationImportance(Ridge(), cv=splits, random_state=0).fit(X, y)
        by_splitter = PermutationImportance(Ridge(), cv=KFold(3), random_state=0).fit(X, y)
        by_generator = PermutationImportance(Ridge(), cv=KFold(3).split(X), random_state=0)
        by_generator.fit(X, y)
        np.testing.assert_array_equal(by_list.importances_, by_splitter.importances_)
        np.testing.assert_array_equal(by_generator.importances_, by_splitter.importances_)

    @pytest.mark.parametrize(
        "model", [last_and_first, as_estimator(last_and_first)], ids=["function", "frozen"]
    )
    def test_model_that_is_not_fitted(self, model):
        explainer = PermutationImportance(model, players="cell", cv=5, random_state=0)
        explainer.fit(windows, windows_target)
        assert explainer.results_["score"].importances.shape == (5, 6, 5)
        np.testing.assert_array_equal(explainer.importances_[[0, 2, 3, 5]], 0)

    def test_frame_and_weights(self):
        weights = rng.uniform(size=80) ** 4
        explainer = PermutationImportance(Ridge(), cv=KFold(2), n_repeats=2, random_state=0)
        explainer.fit(frame, y, sample_weight=weights)
        random_state = np.random.RandomState(0)
        for fold, (train, test) in enumerate(KFold(2).split(X)):
            inner = Ridge().fit(X[train], y[train], weights[train])
            expected = permutation_importance(
                inner,
                X[test],
                y[test],
                sample_weight=weights[test],
                n_repeats=2,
                random_state=random_state,
            )
            np.testing.assert_allclose(
                explainer.results_["score"].importances[fold], expected.importances, atol=1e-12
            )

    def test_windows_are_made_within_folds(self):
        table = rng.normal(size=(90, 2))
        target = table[:, 0] + np.roll(table[:, 1], 1)
        pipeline = make_pipeline(StandardScaler(), SlidingWindow(2, flatten=True), Ridge())
        explainer = PermutationImportance(pipeline, cv=TimeSeriesSplit(3), random_state=0)
        explainer.fit(table, target)
        random_state = np.random.RandomState(0)
        for fold, (train, test) in enumerate(TimeSeriesSplit(3).split(table)):
            fitted = clone(pipeline).fit(table[train], target[train])
            made = fitted[:-1].transform(table[test])
            expected = permutation_importance(
                fitted[-1], made, target[test], random_state=random_state
            )
            np.testing.assert_allclose(
                explainer.results_["score"].importances[fold], expected.importances, atol=1e-12
            )

    def test_labels_name_folds_and_repeats(self):
        explainer = PermutationImportance(Ridge(), cv=2, n_repeats=2, random_state=0).fit(X, y)
        assert explainer.explanation_.index.tolist() == [
            "fold 0, repeat 0",
            "fold 0, repeat 1",
            "fold 1, repeat 0",
            "fold 1, repeat 1",
        ]


class TestOtherRows:
    def test_validation_rows(self):
        weights = rng.uniform(size=30)
        explainer = PermutationImportance(Ridge(), random_state=3)
        explainer.fit(X[:50], y[:50], X_val=X[50:], y_val=y[50:], sample_weight_val=weights)
        inner = Ridge().fit(X[:50], y[:50])
        expected = permutation_importance(
            inner, X[50:], y[50:], sample_weight=weights, random_state=3
        )
        np.testing.assert_allclose(
            explainer.results_["score"].importances, expected.importances, atol=1e-12
        )
        assert explainer.results_["score"].baseline_score == inner.score(X[50:], y[50:], weights)

    @pytest.mark.parametrize("rows", [X, frame], ids=["array", "frame"])
    def test_explain(self, rows):
        explainer = PermutationImportance(Ridge(), random_state=3).fit(rows[:50], y[:50])
        importances = explainer.importances_.copy()
        explanation = explainer.explain(rows[50:], y[50:])
        expected = permutation_importance(
            Ridge().fit(X[:50], y[:50]), X[50:], y[50:], random_state=3
        )
        np.testing.assert_allclose(explanation.values, expected.importances.T, atol=1e-12)
        np.testing.assert_allclose(explanation.importances(), expected.importances_mean, atol=1e-12)
        assert explanation.kind == "importances"
        np.testing.assert_array_equal(explainer.importances_, importances)

    def test_windowed_validation_rows(self):
        table = rng.normal(size=(90, 2))
        target = table[:, 0] + np.roll(table[:, 1], 1)
        pipeline = make_pipeline(SlidingWindow(2, flatten=True), Ridge())
        explainer = PermutationImportance(pipeline, random_state=0)
        explainer.fit(table[:60], target[:60], X_val=table[60:], y_val=target[60:])
        fitted = pipeline.fit(table[:60], target[:60])
        expected = permutation_importance(
            fitted[-1], fitted[0].transform(table[60:]), target[60:], random_state=0
        )
        np.testing.assert_allclose(
            explainer.results_["score"].importances, expected.importances, atol=1e-12
        )


class TestExplanation:
    def test_samples_are_repeats(self):
        explainer = PermutationImportance(Ridge(), n_repeats=4, random_state=0).fit(frame, y)
        explanation = explainer.explanation_
        np.testing.assert_array_equal(explanation.values, explainer.results_["score"].importances.T)
        np.testing.assert_allclose(explanation.base_values, [explainer.score(frame, y)] * 4)
        assert explanation.index.tolist() == [f"repeat {i}" for i in range(4)]
        assert explanation.to_frame().columns.tolist() == list(frame.columns)

    def test_scorers_are_outputs(self, tmp_path):
        explainer = PermutationImportance(
            Ridge(), scoring=["r2", "neg_mean_squared_error"], n_repeats=2, random_state=0
        ).fit(X, y)
        explanation = explainer.explanation_
        assert explanation.output_names == ("r2", "neg_mean_squared_error")
        assert explanation.shape == (2, 4, 2)
        np.testing.assert_array_equal(
            explanation.values[..., 1], explainer.results_["neg_mean_squared_error"].importances.T
        )
        inner = explainer.estimator_
        np.testing.assert_allclose(explanation.base_values[:, 0], inner.score(X, y))
        explanation.save(tmp_path / "e")


class TestComposition:
    def test_select_from_model(self):
        selector = SelectFromModel(PermutationImportance(Ridge(), random_state=0), threshold=0.2)
        selector.fit(frame, y)
        assert selector.get_feature_names_out().tolist() == ["open", "close"]

    def test_rfe(self):
        selector = RFE(PermutationImportance(Ridge(), random_state=0), n_features_to_select=2)
        selector.fit(X, y)
        assert selector.support_.tolist() == [True, True, False, False]
        assert selector.ranking_.tolist() == [1, 1, 2, 3]

    def test_grid_search(self):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), PermutationImportance(Ridge(), random_state=0)),
            {"permutationimportance__estimator__alpha": [1e-3, 1e4]},
            n_jobs=2,
            cv=3,
            error_score="raise",
        ).fit(X, y)
        assert search.best_params_ == {"permutationimportance__estimator__alpha": 1e-3}
        direct = GridSearchCV(
            make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [1e-3, 1e4]}, cv=3
        ).fit(X, y)
        np.testing.assert_allclose(
            search.cv_results_["mean_test_score"], direct.cv_results_["mean_test_score"]
        )

    def test_pickle(self):
        explainer = PermutationImportance(Ridge(), cv=2, random_state=0).fit(X, y)
        loaded = pickle.loads(pickle.dumps(explainer))
        np.testing.assert_array_equal(loaded.importances_, explainer.importances_)
        np.testing.assert_array_equal(
            loaded.explain(X[:40], y[:40]).values, explainer.explain(X[:40], y[:40]).values
        )

    def test_weights_reach_the_last_step_of_a_pipeline(self):
        weights = rng.uniform(size=80) ** 8
        explainer = PermutationImportance(make_pipeline(StandardScaler(), Ridge()))
        explainer.fit(X, y, sample_weight=weights)
        expected = make_pipeline(StandardScaler(), Ridge()).fit(X, y, ridge__sample_weight=weights)
        np.testing.assert_allclose(explainer.predict(X), expected.predict(X))

    def test_parameters_of_fit_are_passed_on_and_divided(self):
        class Offset(Ridge):
            offsets = []

            def fit(self, X, y, offset=None):
                self.offsets.append(offset)
                return super().fit(X, y - offset)

        explainer = PermutationImportance(Offset(), cv=KFold(2))
        explainer.fit(X, y, offset=np.arange(80))
        sizes = [offset.tolist() for offset in Offset.offsets]
        assert sizes == [list(range(80)), list(range(40, 80)), list(range(40))]

    def test_progress(self, capsys):
        PermutationImportance(Ridge(), verbose=1).fit(X, y)
        assert "4/4" in capsys.readouterr().err
        PermutationImportance(Ridge()).fit(X, y)
        assert capsys.readouterr().err == ""


def test_true_is_one_repeat_as_for_scikit_learn():
    one = PermutationImportance(lambda X: X[:, 0], scoring="r2", n_repeats=1, random_state=0)
    true = PermutationImportance(lambda X: X[:, 0], scoring="r2", n_repeats=True, random_state=0)
    np.testing.assert_array_equal(one.fit(X, y).importances_, true.fit(X, y).importances_)


class TestErrors:
    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_a_model_that_fails_has_its_player_named(self, n_jobs):
        # The third column is another one only where it is permuted.
        known = X[:, 2].copy()

        def model(rows):
            if not np.array_equal(rows[:, 2], known):
                raise RuntimeError("no such rows")
            return rows[:, 0]

        explainer = PermutationImportance(model, scoring="r2", n_jobs=n_jobs, random_state=0)
        with pytest.raises(RuntimeError, match="no such rows") as caught:
            explainer.fit(X, y)
        assert caught.value.__notes__ == ["with 'x2' permuted among 80 rows, repeat 0"]

    def test_a_model_that_fails_on_rows_as_they_are_says_so(self):
        def model(rows):
            raise RuntimeError("no rows at all")

        with pytest.raises(RuntimeError, match="no rows at all") as caught:
            PermutationImportance(model, scoring="r2").fit(X, y)
        assert caught.value.__notes__ == ["while scoring the 80 rows as they are"]

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"max_samples": 81}, "max_samples=81 is more than the 80 rows"),
            ({"max_samples": 0.01}, r"max_samples=0\.01 of the 80 rows"),
            ({"max_samples": 0}, "'max_samples' parameter"),
            ({"max_samples": 1.5}, "'max_samples' parameter"),
            ({"n_repeats": 0}, "'n_repeats' parameter"),
            ({"cv": "five"}, "'cv' parameter|cv as an integer"),
            ({"scoring": "r3"}, "'r3' is not a valid scoring|'scoring' parameter"),
        ],
    )
    def test_parameters(self, params, message):
        with pytest.raises(ValueError, match=message):
            PermutationImportance(Ridge(), **params).fit(X, y)

    def test_unknown_scorer_is_told_before_fitting(self):
        class Untrainable(Ridge):
            def fit(self, X, y):
                raise RuntimeError("hours of training")

        with pytest.raises(ValueError, match="'r3'"):
            PermutationImportance(Untrainable(), scoring=["r2", "r3"]).fit(X, y)

    def test_weights_that_the_estimator_does_not_take(self):
        with pytest.raises(ValueError, match=r"KNeighborsRegressor\.fit takes none"):
            PermutationImportance(KNeighborsRegressor()).fit(X, y, sample_weight=np.ones(80))

    def test_lengths(self):
        explainer = PermutationImportance(FrozenEstimator(Ridge().fit(X, y)))
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[80, 79\]"):
            explainer.fit(X, y[:-1])
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            explainer.fit(X, y, sample_weight=np.ones(79))

    def test_two_answers_to_which_rows(self):
        with pytest.raises(ValueError, match="cv and X_val both say"):
            PermutationImportance(Ridge(), cv=3).fit(X, y, X_val=X, y_val=y)

    def test_half_of_the_rows_to_measure_on(self):
        with pytest.raises(ValueError, match="y_val is missing"):
            PermutationImportance(Ridge()).fit(X, y, X_val=X)
        with pytest.raises(ValueError, match="X_val is missing"):
            PermutationImportance(Ridge()).fit(X, y, y_val=y)


def test_forest_of_classes_on_windows():
    """3-D input and a classifier that flattens it: every kind of player on every kind of task."""

    class Flat(RandomForestClassifier):
        def fit(self, X, y):
            return super().fit(X.reshape(len(X), -1), y)

        def predict_proba(self, X):
            return super().predict_proba(X.reshape(len(X), -1))

    target = np.where(windows[:, 2, 1] > 0, "up", "down")
    explainer = PermutationImportance(
        Flat(20, random_state=0), players="timestep", scoring="roc_auc", random_state=0
    ).fit(windows, target)
    assert np.argmax(explainer.importances_) == 2
    assert explainer.importances_[2] > 0.2
