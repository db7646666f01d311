"""cross_explain against the folds done by hand and against cross_validate."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import t
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RepeatedKFold,
    ShuffleSplit,
    TimeSeriesSplit,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from sklexplain import LIME, Explanation, KernelSHAP, cross_explain, make_players, plot
from sklexplain.evaluation.agreement import corrected_sem, kendall_w, top_k_jaccard

from .cases import ATTRIBUTIONS, X, data_for, frame, labels, permutation, rng, windowed, y

FOLDS = KFold(4, shuffle=True, random_state=1)
PARTS = ("values", "base_values", "predictions", "data")


def by_hand(explainer, rows, target, splits):
    """Each fold's explanation, with the rows it is of."""
    for train, test in splits:
        fitted = clone(explainer).fit(rows[train], target[train])
        yield test, fitted.explain(rows[test])


@pytest.mark.parametrize("name", ATTRIBUTIONS)
class TestOutOfFold:
    def test_equals_the_folds_by_hand(self, name):
        explainer = ATTRIBUTIONS[name]
        rows, target = data_for(name)
        result = cross_explain(explainer, rows, target, cv=FOLDS)
        explanation = result.explanation
        assert len(explanation) == len(rows)
        for fold, (test, single) in enumerate(by_hand(explainer, rows, target, FOLDS.split(rows))):
            for part in PARTS:
                np.testing.assert_array_equal(
                    getattr(explanation, part)[test], getattr(single, part)
                )
            if single.std_errors is not None:
                np.testing.assert_array_equal(explanation.std_errors[test], single.std_errors)
            if single.conditions is not None:
                np.testing.assert_array_equal(explanation.conditions[test], single.conditions)
            for report, values in single.diagnostics.items():
                np.testing.assert_array_equal(explanation.diagnostics[report][test], values)
            importances = single.importances()
            importances = importances.mean(axis=1) if importances.ndim == 2 else importances
            np.testing.assert_array_equal(result.importances_[fold], importances)

    def test_workers_change_nothing(self, name):
        explainer = ATTRIBUTIONS[name]
        rows, target = data_for(name)
        alone = cross_explain(explainer, rows, target, cv=FOLDS)
        together = cross_explain(explainer, rows, target, cv=FOLDS, n_jobs=2)
        for part in PARTS:
            np.testing.assert_array_equal(
                getattr(alone.explanation, part), getattr(together.explanation, part)
            )
        np.testing.assert_array_equal(alone.importances_, together.importances_)
        np.testing.assert_array_equal(alone.scores["test_score"], together.scores["test_score"])


class TestScores:
    @pytest.mark.parametrize("scoring", [None, "r2", ["r2", "neg_mean_squared_error"]])
    def test_are_those_of_cross_validate(self, scoring):
        explainer = ATTRIBUTIONS["KernelSHAP"]
        ours = cross_explain(explainer, X, y, cv=FOLDS, scoring=scoring).scores
        theirs = cross_validate(explainer, X, y, cv=FOLDS, scoring=scoring)
        inner = cross_validate(Ridge(), X, y, cv=FOLDS, scoring=scoring)
        assert set(ours) == {*theirs, "explain_time"}
        for name in theirs:
            assert ours[name].shape == (4,)
            if name.startswith("test_"):
                np.testing.assert_array_equal(ours[name], theirs[name])
                np.testing.assert_array_equal(ours[name], inner[name])
            else:
                assert np.all(ours[name] >= 0)

    def test_default_folds_are_stratified(self):
        result = cross_explain(ATTRIBUTIONS["classes"], X, labels, return_indices=True)
        theirs = cross_validate(LogisticRegression(), X, labels, return_indices=True)
        for part in ("train", "test"):
            for ours, other in zip(result.indices[part], theirs["indices"][part], strict=True):
                np.testing.assert_array_equal(ours, other)

    def test_no_target_no_score(self):
        with pytest.warns(UserWarning, match="frozen"):
            result = cross_explain(KernelSHAP(lambda rows: rows[:, 0], background=5), X, cv=3)
        assert set(result.scores) == {"fit_time", "score_time", "explain_time"}

    def test_a_scorer_that_fails(self):
        def failing(estimator, rows, target):
            raise RuntimeError("no score")

        explainer = ATTRIBUTIONS["KernelSHAP"]
        with pytest.warns(UserWarning, match="Scoring failed"):
            result = cross_explain(explainer, X, y, cv=3, scoring=failing, error_score=-1)
        assert result.scores["test_score"].tolist() == [-1, -1, -1]
        with pytest.raises(RuntimeError, match="no score"):
            cross_explain(explainer, X, y, cv=3, scoring=failing, error_score="raise")

    @pytest.mark.parametrize("failing_fold", [0, 2])
    def test_a_scorer_of_several_numbers_that_fails_in_one_fold(self, failing_fold):
        first_rows = [X[test][0] for _, test in FOLDS.split(X)]

        def scorer(estimator, rows, target):
            if np.array_equal(rows[0], first_rows[failing_fold]):
                raise RuntimeError("no score")
            return {"one": 1.0, "two": 2.0}

        with pytest.warns(UserWarning, match="Scoring failed"):
            result = cross_explain(ATTRIBUTIONS["KernelSHAP"], X, y, cv=FOLDS, scoring=scorer)
        failed = np.arange(4) == failing_fold
        np.testing.assert_array_equal(result.scores["test_one"], np.where(failed, np.nan, 1))
        np.testing.assert_array_equal(result.scores["test_two"], np.where(failed, np.nan, 2))
        assert "test_score" not in result.scores

    def test_kept_estimators_and_rows(self):
        result = cross_explain(
            ATTRIBUTIONS["KernelSHAP"], X, y, cv=FOLDS, return_estimator=True, return_indices=True
        )
        for fitted, test in zip(result.estimators, result.indices["test"], strict=True):
            np.testing.assert_array_equal(
                fitted.explain(X[test]).values, result.explanation.values[test]
            )
        plain = cross_explain(ATTRIBUTIONS["KernelSHAP"], X, y, cv=FOLDS)
        assert plain.estimators is None
        assert plain.indices is None


class TestSplitters:
    def test_rows_never_held_out_are_marked(self):
        splitter = TimeSeriesSplit(3)
        result = cross_explain(ATTRIBUTIONS["KernelSHAP"], X, y, cv=splitter)
        held_out = np.zeros(45, dtype=bool)
        for _, test in splitter.split(X):
            held_out[test] = True
        np.testing.assert_array_equal(result.held_out, held_out)
        np.testing.assert_array_equal(result.rows, np.flatnonzero(held_out))
        np.testing.assert_array_equal(result.explanation.data, X[held_out])
        np.testing.assert_array_equal(result.explanation.index, result.rows)
        assert repr(result).endswith("33 of 45 rows held out)")
        named = cross_explain(ATTRIBUTIONS["KernelSHAP"], frame, y, cv=splitter)
        assert named.explanation.index.tolist() == frame.index[held_out].tolist()

    def test_order_of_the_rows_is_that_of_the_table(self):
        shuffled = rng.permutation(45)
        cv = [(shuffled[15:], shuffled[:15]), (shuffled[:15], shuffled[15:])]
        result = cross_explain(ATTRIBUTIONS["KernelSHAP"], frame, y, cv=iter(cv))
        np.testing.assert_array_equal(result.explanation.data, X)
        assert result.explanation.index.tolist() == frame.index.tolist()

    def test_groups_stay_together(self):
        groups = np.repeat(np.arange(9), 5)
        result = cross_explain(
            ATTRIBUTIONS["KernelSHAP"], X, y, cv=GroupKFold(3), groups=groups, return_indices=True
        )
        for train, test in zip(result.indices["train"], result.indices["test"], strict=True):
            assert not set(groups[train]) & set(groups[test])
        with config_context(enable_metadata_routing=True):
            routed = cross_explain(
                ATTRIBUTIONS["KernelSHAP"], X, y, cv=GroupKFold(3), params={"groups": groups}
            )
            with pytest.raises(ValueError, match=r"params=\{'groups'|params=\{\"groups\""):
                cross_explain(ATTRIBUTIONS["KernelSHAP"], X, y, cv=GroupKFold(3), groups=groups)
        np.testing.assert_array_equal(routed.explanation.values, result.explanation.values)

    def test_repeats_are_averaged_and_their_spread_kept(self):
        splitter = RepeatedKFold(n_splits=3, n_repeats=4, random_state=0)
        explainer = ATTRIBUTIONS["LIME"]
        result = cross_explain(explainer, X, y, cv=splitter)
        values = [[] for _ in X]
        predictions = [[] for _ in X]
        for test, single in by_hand(explainer, X, y, splitter.split(X)):
            for place, row in enumerate(test):
                values[row].append(single.values[place])
                predictions[row].append(single.predictions[place])
        assert result.n_times.tolist() == [4] * 45
        np.testing.assert_allclose(result.explanation.values, np.mean(values, axis=1))
        np.testing.assert_allclose(result.explanation.predictions, np.mean(predictions, axis=1))
        np.testing.assert_allclose(result.values_std, np.std(values, axis=1, ddof=1))
        np.testing.assert_array_equal(result.explanation.data, X)
        assert result.explanation.conditions is None
        assert result.importances_.shape == (12, 4)

    def test_rows_held_out_never_once_and_often(self):
        splitter = ShuffleSplit(4, test_size=12, random_state=0)
        explainer = ATTRIBUTIONS["KernelSHAP"]
        result = cross_explain(explainer, X, y, cv=splitter)
        pieces = list(by_hand(explainer, X, y, splitter.split(X)))
        n_times = np.bincount(np.concatenate([test for test, _ in pieces]), minlength=45)
        np.testing.assert_array_equal(result.n_times, n_times)
        assert {0, 1, 2} <= set(n_times.tolist())
        for place, row in enumerate(result.rows):
            found = [single.values[list(test).index(row)] for test, single in pieces if row in test]
            if len(found) == 1:
                np.testing.assert_array_equal(result.explanation.values[place], found[0])
                assert np.isnan(result.values_std[place]).all()
            else:
                np.testing.assert_allclose(result.values_std[place], np.std(found, axis=0, ddof=1))

    def test_windows_of_a_time_series(self):
        splitter = TimeSeriesSplit(2, test_size=25)
        table = rng.normal(size=(80, 2))
        target = table[:, 0]
        explainer = windowed(background=5)
        result = cross_explain(explainer, table, target, cv=splitter)
        assert result.explanation.data.shape == (50, 20, 2)
        assert result.player_names == ("x0", "x1")
        for test, single in by_hand(explainer, table, target, splitter.split(table)):
            np.testing.assert_array_equal(result.explanation.values[test - 30], single.values)


class TestExplainers:
    def test_permutation_importance_is_measured_on_held_out_rows(self):
        result = cross_explain(permutation(), X, y, cv=FOLDS)
        assert result.explanation.kind == "importances"
        assert len(result.explanation) == 4 * 3
        for fold, (train, test) in enumerate(FOLDS.split(X)):
            fitted = permutation().fit(X[train], y[train])
            drops = fitted.explain(X[test], y[test])
            np.testing.assert_array_equal(result.importances_[fold], drops.importances())
            repeats = result.explanation.values[3 * fold : 3 * fold + 3]
            np.testing.assert_array_equal(repeats, drops.values)
        assert result.explanation.index[3] == "fold 1, repeat 0"
        assert result.held_out.all()

    def test_sample_weights_are_divided_as_the_rows_are(self):
        weights = rng.uniform(0.1, 3, size=45)
        result = cross_explain(permutation(), X, y, cv=FOLDS, params={"sample_weight": weights})
        for fold, (train, test) in enumerate(FOLDS.split(X)):
            fitted = permutation().fit(X[train], y[train], sample_weight=weights[train])
            drops = fitted.explain(X[test], y[test], sample_weight=weights[test])
            np.testing.assert_array_equal(result.importances_[fold], drops.importances())

    def test_sample_weights_are_routed(self):
        weights = rng.uniform(0.1, 3, size=45)
        with config_context(enable_metadata_routing=True):
            explainer = KernelSHAP(
                Ridge().set_fit_request(sample_weight=True).set_score_request(sample_weight=True),
                background=7,
                random_state=0,
            )
            result = cross_explain(explainer, X, y, cv=FOLDS, params={"sample_weight": weights})
        for train, test in FOLDS.split(X):
            by_hand = Ridge().fit(X[train], y[train], sample_weight=weights[train])
            np.testing.assert_array_equal(
                result.explanation.predictions[test], by_hand.predict(X[test])
            )
        scores = [
            Ridge().fit(X[train], y[train], weights[train]).score(X[test], y[test], weights[test])
            for train, test in FOLDS.split(X)
        ]
        np.testing.assert_array_equal(result.scores["test_score"], scores)

    def test_weights_that_its_scorer_did_not_ask_for_stay_away(self):
        weights = rng.uniform(0.1, 3, size=45)
        with config_context(enable_metadata_routing=True):
            scorer = get_scorer("r2").set_score_request(sample_weight=False)
            model = Ridge().set_fit_request(sample_weight=True)
            explainer = permutation(model, scoring=scorer)
            arguments = {"cv": FOLDS, "scoring": scorer, "params": {"sample_weight": weights}}
            results = [
                cross_explain(explainer, X, y, **arguments),
                cross_explain(make_pipeline(FunctionTransformer(), explainer), X, y, **arguments),
            ]
            for fold, (train, test) in enumerate(FOLDS.split(X)):
                fitted = clone(explainer).fit(X[train], y[train], sample_weight=weights[train])
                drops = fitted.explain(X[test], y[test]).importances()
                for result in results:
                    np.testing.assert_array_equal(result.importances_[fold], drops)

    def test_permutation_importance_runs_no_more_rows_than_it_measures_on(self):
        n_rows = []

        class Counting(Ridge):
            def predict(self, X):
                n_rows.append(len(X))
                return super().predict(X)

        result = cross_explain(permutation(Counting()), X, y, cv=FOLDS, return_estimator=True)
        # Each row once to be scored, once as it is, and with each of 4 players permuted 3 times.
        assert sum(n_rows) == 45 * (1 + 1 + 4 * 3)
        for fitted, importances in zip(result.estimators, result.importances_, strict=True):
            np.testing.assert_array_equal(fitted.importances_, importances)

    def test_several_scorers(self):
        scoring = ["neg_mean_absolute_error", "r2"]
        several = cross_explain(permutation(scoring=scoring), X, y, cv=FOLDS)
        first = cross_explain(permutation(scoring=scoring[0]), X, y, cv=FOLDS)
        np.testing.assert_allclose(several.importances_, first.importances_)

    def test_explainer_behind_a_scaler(self):
        explainer = KernelSHAP(Ridge(), background=7, random_state=0)
        pipeline = make_pipeline(StandardScaler(), explainer)
        result = cross_explain(pipeline, X, y, cv=FOLDS)
        for train, test in FOLDS.split(X):
            fitted = clone(pipeline).fit(X[train], y[train])
            np.testing.assert_array_equal(
                result.explanation.values[test], fitted.transform(X[test])
            )

    def test_search_is_tuned_in_each_fold(self):
        search = GridSearchCV(ATTRIBUTIONS["KernelSHAP"], {"estimator__alpha": [0.1, 1e6]}, cv=2)
        result = cross_explain(search, X, y, cv=FOLDS, return_estimator=True)
        best = clone(ATTRIBUTIONS["KernelSHAP"]).set_params(estimator__alpha=0.1)
        assert [fitted.best_params_["estimator__alpha"] for fitted in result.estimators] == [
            0.1
        ] * 4
        expected = cross_explain(best, X, y, cv=FOLDS)
        np.testing.assert_array_equal(result.explanation.values, expected.explanation.values)

    def test_categories_mean_the_same_in_every_fold(self):
        table = frame.assign(weekday=np.resize(["mon", "tue", "wed", "thu", "fri"], 45))
        encoder = make_column_transformer(
            (OneHotEncoder(handle_unknown="ignore"), ["weekday"]), remainder="passthrough"
        )
        explainer = KernelSHAP(make_pipeline(encoder, Ridge()), background=7, random_state=0)
        # Folds whose training rows meet the weekdays in different orders.
        cv = [(np.arange(15, 45), np.arange(15)), (np.arange(1, 15), np.r_[0, 15:45])]
        result = cross_explain(explainer, table, y, cv=[*cv])
        names = np.asarray(result.explanation.categories[4])
        told = names[result.explanation.data[:, 4].astype(int)]
        assert told[1:15].tolist() == table["weekday"].tolist()[1:15]
        assert told[15:].tolist() == table["weekday"].tolist()[15:]

    def test_random_state_instance_is_drawn_from_beforehand(self):
        def explained(n_jobs):
            explainer = KernelSHAP(
                RandomForestRegressor(3, random_state=np.random.RandomState(0)),
                background=7,
                random_state=np.random.RandomState(1),
            )
            cv = [(np.arange(30), np.arange(30, 45))] * 2
            return cross_explain(
                explainer, X, y, cv=cv, n_jobs=n_jobs, return_estimator=n_jobs == 1
            )

        alone, together = explained(1), explained(2)
        np.testing.assert_array_equal(alone.importances_, together.importances_)
        first, second = (fitted.background_.rows for fitted in alone.estimators)
        assert not np.array_equal(first, second)
        assert not np.array_equal(alone.importances_[0], alone.importances_[1])

    def test_an_explainer_of_another_package(self):
        class Linear(BaseEstimator):
            """x · coef as an explanation, and nothing else that explainers have."""

            def fit(self, X, y):
                self.model_ = Ridge().fit(X, y)
                return self

            def explain(self, X):
                outputs = self.model_.predict(X)
                base = np.full(len(X), self.model_.intercept_)
                players = make_players("column", (4,))
                return Explanation(X * self.model_.coef_, base, outputs, X, players)

        result = cross_explain(Linear(), X, y, cv=FOLDS, scoring=lambda *parts: 0.5)
        for train, test in FOLDS.split(X):
            coef = Ridge().fit(X[train], y[train]).coef_
            np.testing.assert_array_equal(result.explanation.values[test], X[test] * coef)
        assert result.scores["test_score"].tolist() == [0.5] * 4


class TestClasses:
    def unknown_in_fold(self, explainer, **params):
        last, rest = np.flatnonzero(labels == "c"), np.flatnonzero(labels != "c")
        cv = [(rest, last), (np.r_[rest[9:], last], rest[:9]), (np.r_[rest[:9], last], rest[9:])]
        return last, rest, cross_explain(explainer, X, labels, cv=cv, **params)

    @pytest.mark.parametrize("method", ["KernelSHAP", "LIME"])
    def test_unknown_class_is_nan_and_the_rest_by_hand(self, method):
        explainers = {
            "KernelSHAP": ATTRIBUTIONS["classes"],
            "LIME": LIME(LogisticRegression(), n_samples=100, random_state=0),
        }
        explainer = explainers[method]
        with pytest.warns(UserWarning, match="fold 0 trains on no row of class 'c': what is"):
            last, rest, result = self.unknown_in_fold(explainer)
        explanation = result.explanation
        assert explanation.output_names == ("a", "b", "c")
        single = clone(explainer).fit(X[rest], labels[rest]).explain(X[last])
        for part in ("values", "predictions", "base_values"):
            whole = getattr(explanation, part)
            np.testing.assert_array_equal(whole[last][..., :2], getattr(single, part))
            assert np.isnan(whole[last][..., 2]).all()
            assert np.isfinite(whole[rest]).all()
        np.testing.assert_allclose(result.importances_[0], single.importances().mean(axis=1))
        assert np.isfinite(result.importances_mean).all()

    def test_can_be_refused(self):
        with pytest.raises(ValueError, match="class 'c'; StratifiedKFold keeps all 3 classes"):
            self.unknown_in_fold(ATTRIBUTIONS["classes"], missing_classes="raise")

    def test_repeats_average_over_the_folds_that_know_the_class(self):
        last, rest = np.flatnonzero(labels == "c"), np.flatnonzero(labels != "c")
        held_out = np.r_[last[:3], rest[:3]]
        cv = [
            (rest[3:], held_out),
            (np.setdiff1d(np.arange(45), held_out), held_out),
        ]
        with pytest.warns(UserWarning, match="fold 0 trains on no row of class 'c'"):
            result = cross_explain(ATTRIBUTIONS["classes"], X, labels, cv=cv)
        first, second = (
            clone(ATTRIBUTIONS["classes"]).fit(X[train], labels[train]).explain(X[result.rows])
            for train, _ in cv
        )
        values = result.explanation.values
        np.testing.assert_array_equal(values[..., 2], second.values[..., 2])
        np.testing.assert_allclose(values[..., :2], (first.values + second.values[..., :2]) / 2)

    def test_outputs_that_have_no_names(self):
        explainer = KernelSHAP(
            LogisticRegression(), background=5, output="decision_function", random_state=0
        )
        with (
            pytest.warns(UserWarning, match="trains on no row"),
            pytest.raises(ValueError, match=r"explain different outputs \(fold 0: one output"),
        ):
            self.unknown_in_fold(explainer)


class TestResult:
    def test_summaries(self):
        result = cross_explain(ATTRIBUTIONS["KernelSHAP"], frame, y, cv=FOLDS)
        folds = result.importances_
        np.testing.assert_array_equal(result.importances_mean, folds.mean(axis=0))
        # 45 rows in four folds: each is held out once and fitted three times.
        by_hand = np.sqrt((1 / 4 + 1 / 3) * folds.var(axis=0, ddof=1))
        np.testing.assert_allclose(result.importances_sem, by_hand)
        np.testing.assert_allclose(
            result.importances_sem, corrected_sem(folds, result.n_train, result.n_test)
        )
        assert result.kendall_w() == kendall_w(folds)
        assert result.top_k_jaccard(2) == top_k_jaccard(folds, 2)
        interval = result.confidence_interval(0.9)
        half = t.ppf(0.95, 3) * by_hand
        np.testing.assert_allclose(interval[:, 0], folds.mean(axis=0) - half)
        np.testing.assert_allclose(interval[:, 1], folds.mean(axis=0) + half)
        with pytest.raises(ValueError, match="level=95 must be between 0 and 1"):
            result.confidence_interval(95)

    def test_frame(self):
        table = cross_explain(ATTRIBUTIONS["KernelSHAP"], frame, y, cv=FOLDS).to_frame()
        assert table.index.tolist() == ["open", "high", "low", "close"]
        assert table.columns.tolist() == ["mean", "sem", "fold 0", "fold 1", "fold 2", "fold 3"]
        np.testing.assert_allclose(table.filter(like="fold").mean(axis=1), table["mean"])

    def test_single_fold(self):
        result = cross_explain(ATTRIBUTIONS["KernelSHAP"], X, y, cv=ShuffleSplit(1, random_state=0))
        assert np.isnan(result.importances_sem).all()
        assert np.isnan(result.confidence_interval()).all()
        assert "±" not in result._repr_html_()

    def test_names_are_escaped(self):
        table = frame.rename(columns={"open": "<script>alert(1)</script>"})
        html = cross_explain(ATTRIBUTIONS["KernelSHAP"], table, y, cv=3)._repr_html_()
        assert "&lt;script&gt;" in html
        assert "<script" not in html
        assert "±" in html
        assert "score" in html

    def test_can_be_drawn_and_stored(self, tmp_path):
        result = cross_explain(ATTRIBUTIONS["KernelSHAP"], frame, y, cv=FOLDS)
        display = plot(result.explanation, kind="importance", ax=Figure().add_subplot())
        np.testing.assert_allclose(display.importances, result.explanation.importances())
        result.explanation.save(tmp_path / "out_of_fold.npz")
        again = type(result.explanation).load(tmp_path / "out_of_fold.npz")
        np.testing.assert_array_equal(again.values, result.explanation.values)
        assert result.explanation.params["n_folds"] == 4

    def test_the_true_order_is_found(self):
        result = cross_explain(ATTRIBUTIONS["KernelSHAP"], X, y, cv=FOLDS)
        assert np.argsort(-result.importances_mean).tolist() == [0, 1, 2, 3]
        assert result.kendall_w() > 0.9
        assert np.all(result.importances_mean[:3] > 3 * result.importances_sem[:3])
