import pickle
import subprocess
import sys
from dataclasses import replace
from itertools import combinations, pairwise
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklexplain import (
    LIME,
    SHAP,
    DeepSHAP,
    KernelSHAP,
    PermutationImportance,
    TreeSHAP,
    cross_explain,
    get_explanation_scorer,
    register_scorers,
)
from sklexplain.evaluation import judgements
from sklexplain.evaluation.scorers import SCORER_NAMES, options_of
from sklexplain.evaluation.subject import read_subject, subject_of

from ..references import masked_row

COEF = np.array([3.0, -2.0, 1.0, 0.5])
ANY_METHOD = tuple(name for name in SCORER_NAMES if name != "lime_fidelity")
NEEDS_OTHERS = ("completeness", "deletion_auc", "insertion_auc", "stability")


def linear(rows):
    return rows @ COEF


def curved(rows):
    flat = rows.reshape(len(rows), -1)
    return np.sin(2 * flat[:, 0]) * flat[:, 1] + flat[:, 2] * flat[:, -1] ** 2 + flat[:, 3]


def table(n_rows=30, n_columns=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n_rows, n_columns))


@pytest.fixture(scope="module")
def explained_line():
    return KernelSHAP(linear, background=20).fit(table()), table(8, seed=1)


@pytest.fixture(scope="module")
def explained_curve():
    return KernelSHAP(curved, background=5).fit(table()), table(6, seed=1)


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return KernelSHAP(LogisticRegression(max_iter=500), background=10).fit(X, y), X[::30], y


class TestLinearModels:
    """Whose Shapley values are coef * (x - background mean)."""

    def test_are_explained_perfectly(self, explained_line):
        scores = get_explanation_scorer(["infidelity", "fidelity", "completeness"])(*explained_line)
        assert scores["infidelity"] == pytest.approx(0, abs=1e-20)
        assert scores["fidelity"] == pytest.approx(1, abs=1e-12)
        assert scores["completeness"] == pytest.approx(0, abs=1e-12)

    def test_have_known_areas(self, explained_line):
        explainer, X = explained_line
        contributions = COEF * (X - explainer.background_.rows.mean(axis=0))
        distances = contributions.sum(axis=1)
        towards = np.sort(contributions * np.sign(distances)[:, None], axis=1)[:, ::-1]
        steps = (np.arange(4) + 0.5) / 4
        scale = np.abs(distances).mean()
        scores = get_explanation_scorer(["deletion_auc", "insertion_auc"])(explainer, X)
        assert scores["deletion_auc"] == pytest.approx(-np.mean(towards @ steps) / scale)
        assert scores["insertion_auc"] == pytest.approx(np.mean(towards @ steps[::-1]) / scale)

    def test_sensitivity_grows_with_the_radius(self, explained_line):
        explainer, X = explained_line
        near, far = (
            get_explanation_scorer("max_sensitivity", radius=radius)(explainer, X)
            for radius in (0.01, 0.03)
        )
        assert far == pytest.approx(3 * near)
        values = explainer.transform(X)
        reach = COEF * explainer.background_.rows.std(axis=0)
        bound = 0.01 * np.linalg.norm(reach) / np.linalg.norm(values, axis=1)
        assert -bound.mean() <= near < 0


class TestAgainstSlowReferences:
    def game(self, explainer, row):
        players, background = explainer.players_, explainer.background_.rows

        def value(present):
            batch = np.stack([masked_row(row, other, players, present) for other in background])
            return curved(batch).mean()

        return value

    @pytest.mark.parametrize("shape", [(4,), (3, 4)])
    def test_areas_follow_the_curve_player_by_player(self, shape):
        rng = np.random.default_rng(2)
        X = rng.normal(size=(4, *shape))
        explainer = KernelSHAP(curved, background=rng.normal(size=(3, *shape)))
        explainer.fit(rng.normal(size=(9, *shape)))
        explanation = explainer.explain(X)
        areas, distances = [], []
        for row, values in zip(X, explanation.values, strict=True):
            value = self.game(explainer, row)
            full, empty = value({0, 1, 2, 3}), value(set())
            order = np.argsort(-values if full > empty else values)
            curve = [value(set(order[removed:])) for removed in range(5)]
            area = sum((one + other) / 2 - empty for one, other in pairwise(curve)) / 4
            areas.append(area * np.sign(full - empty))
            distances.append(abs(full - empty))
        score = get_explanation_scorer("deletion_auc")(explainer, X)
        assert score == pytest.approx(-np.mean(areas) / np.mean(distances))

    def test_infidelity_is_the_mean_over_the_drawn_removals(self, explained_curve):
        explainer, X = explained_curve
        subject = read_subject(explainer, X)
        (view,) = subject.views()
        found = judgements.infidelity(subject, view, n_perturbations=4000)
        # All removals, each size being equally likely.
        for row, values, score in zip(X, view.values, found, strict=True):
            value = self.game(explainer, row)
            full = value({0, 1, 2, 3})
            expected = 0.0
            for size in range(1, 5):
                for gone in combinations(range(4), size):
                    drop = full - value({0, 1, 2, 3} - set(gone))
                    expected += (values[list(gone)].sum() - drop) ** 2 / comb(4, size) / 4
            assert score == pytest.approx(-expected, rel=0.15, abs=1e-4)

    def test_fidelity_is_the_r2_under_the_shapley_kernel(self, explained_curve):
        explainer, X = explained_curve
        subject = read_subject(explainer, X)
        (view,) = subject.views()
        found = judgements.fidelity(subject, view)
        for row, values, base, score in zip(X, view.values, view.base_values, found, strict=True):
            value = self.game(explainer, row)
            listed = [c for size in (1, 2, 3) for c in combinations(range(4), size)]
            outputs = [value(set(c)) for c in listed]
            fitted = [base + values[list(c)].sum() for c in listed]
            kernel = [3 / (comb(4, len(c)) * len(c) * (4 - len(c))) for c in listed]
            assert score == pytest.approx(r2_score(outputs, fitted, sample_weight=kernel))

    def test_no_complete_values_fit_better_than_shapley_values(self, explained_curve):
        explainer, X = explained_curve
        explanation = explainer.explain(X)
        rng = np.random.default_rng(3)
        best = judged("fidelity", explainer, X, explanation.values)
        for _ in range(5):
            moves = rng.normal(scale=0.1, size=explanation.shape)
            moves -= moves.mean(axis=1, keepdims=True)
            assert np.all(judged("fidelity", explainer, X, explanation.values + moves) < best)

    def test_sampled_fidelity_is_near_the_enumerated_one(self):
        rng = np.random.default_rng(4)
        explainer = KernelSHAP(curved, background=3).fit(rng.normal(size=(9, 10)))
        X = rng.normal(size=(4, 10))
        exact, sampled = (
            get_explanation_scorer("fidelity", n_coalitions=n)(explainer, X) for n in (1022, 400)
        )
        assert sampled == pytest.approx(exact, abs=0.05)
        assert exact < 0.99


def judged(name, explainer, X, values):
    """Return the scores of rows for other values than the explainer's."""
    explanation = replace(explainer.explain(X), values=values)
    subject = subject_of(explainer, X, None, explanation)
    return getattr(judgements, name)(subject, *subject.views())


class TestWrongValuesScoreWorse:
    @pytest.mark.parametrize("name", ["deletion_auc", "insertion_auc", "infidelity", "fidelity"])
    @pytest.mark.parametrize("wrong", [lambda v: -v, lambda v: np.roll(v, 1, axis=1)])
    @pytest.mark.parametrize("case", ["explained_line", "explained_curve"])
    def test_than_right_ones(self, name, wrong, case, request):
        explainer, X = request.getfixturevalue(case)
        values = explainer.transform(X)
        right = judged(name, explainer, X, values).mean()
        assert judged(name, explainer, X, wrong(values)).mean() < right - 1e-6

    def test_deleting_by_reversed_values_is_inserting(self, explained_curve):
        explainer, X = explained_curve
        values = explainer.transform(X)
        np.testing.assert_allclose(
            -judged("deletion_auc", explainer, X, values),
            judged("insertion_auc", explainer, X, -values),
        )


class TestOutputs:
    @pytest.mark.parametrize("name", ANY_METHOD)
    def test_of_a_classifier_is_the_predicted_class(self, iris, name):
        explainer, X, y = iris
        if name in NEEDS_OTHERS:
            X = X[:2]
            assert len(set(explainer.predict(X))) == 1
            label = explainer.predict(X)[0]
            own = get_explanation_scorer(name, output=label)(explainer, X, y[: len(X)])
        else:
            own = np.mean(
                [
                    get_explanation_scorer(name, output=label)(explainer, X[i : i + 1])
                    for i, label in enumerate(explainer.predict(X))
                ]
            )
            if name == "max_sensitivity":
                assert own < 0
        assert get_explanation_scorer(name)(explainer, X, y[: len(X)]) == pytest.approx(own)

    def test_of_several_targets_are_averaged(self):
        X = table()
        targets = np.column_stack([linear(X), curved(X)])
        explainer = KernelSHAP(LinearRegression(), background=5).fit(X, targets)
        scorer = get_explanation_scorer("sparsity")
        both = [get_explanation_scorer("sparsity", output=i)(explainer, X) for i in (0, 1)]
        assert both[0] != pytest.approx(both[1])
        assert scorer(explainer, X) == pytest.approx(np.mean(both))

    def test_of_lime_may_be_chosen_row_by_row(self, iris):
        _, X, _ = iris
        classifier = LogisticRegression(max_iter=500)
        settings = {"n_samples": 200, "random_state": 0}
        everything = LIME(classifier, **settings).fit(*load_iris(return_X_y=True))
        highest = LIME(classifier, labels=1, **settings).fit(*load_iris(return_X_y=True))
        scorer = get_explanation_scorer(["lime_fidelity", "deletion_auc", "infidelity"])
        assert scorer(highest, X) == pytest.approx(scorer(everything, X))


class TestEveryKindOfInput:
    @pytest.mark.parametrize("name", ANY_METHOD)
    @pytest.mark.parametrize("shape", [(1,), (3,), (3, 1), (3, 2)])
    def test_constant_models_give_numbers(self, name, shape):
        X = np.random.default_rng(0).normal(size=(6, *shape))
        explainer = KernelSHAP(lambda rows: np.full(len(rows), 0.1), background=3).fit(X)
        score = get_explanation_scorer(name)(explainer, X)
        expected = {"deletion_auc": -0.5, "insertion_auc": 0.5, "fidelity": 1, "stability": 1}
        assert score == pytest.approx(expected.get(name, 0), abs=1e-9)

    def test_a_single_player_is_a_straight_line(self):
        explainer = KernelSHAP(lambda rows: rows[:, 0] ** 3, background=3).fit(table(9, 1))
        scores = get_explanation_scorer(ANY_METHOD)(explainer, table(5, 1, seed=1))
        assert scores["deletion_auc"] == pytest.approx(-0.5)
        assert scores["insertion_auc"] == pytest.approx(0.5)
        assert scores["fidelity"] == pytest.approx(1)
        assert scores["sparsity"] == 0

    @settings(max_examples=15, deadline=None)
    @given(st.integers(1, 4), st.integers(1, 3), st.booleans(), st.integers(0, 999))
    def test_scores_stay_in_their_ranges(self, n_steps, n_features, windows, seed):
        rng = np.random.default_rng(seed)
        shape = (n_steps, n_features) if windows else (n_steps,)
        weights = rng.normal(size=shape)

        def model(rows):
            return np.tanh((rows * weights).reshape(len(rows), -1)).sum(axis=1)

        explainer = KernelSHAP(model, background=3).fit(rng.normal(size=(6, *shape)))
        scores = get_explanation_scorer(ANY_METHOD, n_perturbations=3)(
            explainer, rng.normal(size=(3, *shape))
        )
        # Additive in the cells, so that the curves stay between their ends on the whole.
        assert scores["deletion_auc"] >= -0.5 - 1e-9
        assert all(scores[name] <= 1e-9 for name in ("completeness", "infidelity"))
        assert scores["max_sensitivity"] <= 0
        assert scores["fidelity"] <= 1
        assert 0 <= scores["stability"] <= 1
        assert 0 <= scores["sparsity"] <= 1 - 1 / explainer.players_.n_players

    @pytest.mark.parametrize("name", [n for n in ANY_METHOD if n not in NEEDS_OTHERS])
    def test_rows_are_judged_alone(self, explained_curve, name):
        explainer, X = explained_curve
        alone = [get_explanation_scorer(name)(explainer, X[i : i + 1]) for i in range(len(X))]
        assert get_explanation_scorer(name)(explainer, X) == pytest.approx(np.mean(alone))

    def test_workers_change_nothing(self):
        X = table()
        one, two = (
            get_explanation_scorer(ANY_METHOD)(
                KernelSHAP(Ridge(), background=5, n_jobs=n_jobs, random_state=0).fit(X, curved(X)),
                X[:4],
            )
            for n_jobs in (None, 2)
        )
        assert one == pytest.approx(two, rel=1e-12, abs=1e-12)

    def test_the_front_door_is_judged_as_what_it_chose(self):
        X = table()
        grouped = {"players": {"pair": [0, 1]}, "background": 10, "random_state": 0}
        explainers = [
            SHAP(Ridge(), **grouped).fit(X, linear(X)),
            KernelSHAP(Ridge(), **grouped).fit(X, linear(X)),
        ]
        scorer = get_explanation_scorer(["infidelity", "fidelity", "deletion_auc"])
        assert scorer(explainers[0], X) == pytest.approx(scorer(explainers[1], X))


class TestLime:
    def test_fidelity_is_its_surrogates_own(self):
        X = table()
        explainer = LIME(curved, n_samples=300, random_state=0).fit(X)
        expected = explainer.explain(X[:5]).diagnostics["local_r2"].mean()
        scorer = get_explanation_scorer(["lime_fidelity", "fidelity"])
        assert scorer(explainer, X[:5]) == {"lime_fidelity": expected, "fidelity": expected}

    def test_completeness_is_that_of_the_surrogate(self):
        X = table()
        explainer = LIME(linear, discretizer=None, surrogate=Ridge(1e-9), random_state=0).fit(X)
        assert get_explanation_scorer("completeness")(explainer, X[:5]) == pytest.approx(
            0, abs=1e-6
        )

    def test_more_draws_are_more_stable(self):
        X = table()
        few, many = (
            get_explanation_scorer("stability")(LIME(curved, n_samples=n).fit(X), X[:10])
            for n in (50, 5000)
        )
        assert few < many < 1

    def test_categorical_columns_are_not_moved(self):
        X = np.column_stack([table()[:, 0], np.arange(30) % 3])
        explainer = LIME(lambda rows: rows[:, 1], categorical_features=[1], random_state=0).fit(X)
        # An unseen category would warn, and change the value.
        assert get_explanation_scorer("max_sensitivity")(explainer, X[:5]) == 0


class TestTorchAndTrees:
    def test_nets_are_judged(self):
        import torch

        torch.manual_seed(0)
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, 1)).double()
        X = np.random.default_rng(0).normal(size=(10, 3, 2))
        explainer = DeepSHAP(net, background=5).fit(X)
        scores = get_explanation_scorer(["infidelity", "fidelity", "completeness"])(explainer, X)
        assert scores["infidelity"] == pytest.approx(0, abs=1e-12)
        assert scores["fidelity"] == pytest.approx(1, abs=1e-6)
        assert scores["completeness"] == pytest.approx(0, abs=1e-6)

    def test_trees_agree_with_exact_enumeration(self):
        pytest.importorskip("shap")
        from sklearn.ensemble import RandomForestRegressor
        from sklearn.frozen import FrozenEstimator

        X = table(60)
        forest = FrozenEstimator(RandomForestRegressor(5, random_state=0).fit(X, curved(X)))
        scorer = get_explanation_scorer(["infidelity", "fidelity", "deletion_auc"])
        tree = TreeSHAP(forest, background=X[:10]).fit(X, linear(X))
        kernel = KernelSHAP(forest, background=X[:10]).fit(X, linear(X))
        assert scorer(tree, X[:5]) == pytest.approx(scorer(kernel, X[:5]))


class TestInsideScikitLearn:
    X, y = table(60), linear(table(60)) + 0.1 * table(60, seed=5)[:, 0]

    def lime(self, **params):
        settings = {"discretizer": None, "n_samples": 200, "random_state": 0, **params}
        return LIME(LinearRegression(), **settings)

    def test_a_grid_search_finds_the_faithful_surrogate(self):
        search = GridSearchCV(
            self.lime(),
            {"n_features": [1, 2, 4]},
            scoring=get_explanation_scorer("lime_fidelity"),
            cv=2,
        ).fit(self.X, self.y)
        assert search.best_params_ == {"n_features": 4}
        # The column left out last has a coefficient of 1/2, that of the largest is 3.
        assert np.all(np.diff(search.cv_results_["mean_test_score"]) > 0)

    def test_several_metrics_at_once(self):
        search = GridSearchCV(
            self.lime(),
            {"n_features": [1, 4]},
            scoring=get_explanation_scorer(["fidelity", "sparsity"]),
            refit="sparsity",
            cv=2,
            n_jobs=2,
        ).fit(self.X, self.y)
        assert search.best_params_ == {"n_features": 1}
        alone = cross_val_score(
            self.lime(n_features=1),
            self.X,
            self.y,
            scoring=get_explanation_scorer("sparsity"),
            cv=2,
        )
        assert search.best_score_ == alone.mean() == pytest.approx(0.75)

    def test_beside_scores_of_the_model(self):
        scoring = {"faith": get_explanation_scorer("deletion_auc"), "r2": "r2"}
        scores = cross_validate(KernelSHAP(LinearRegression()), self.X, self.y, scoring=scoring)
        assert scores["test_r2"].min() > 0.99
        assert np.all(scores["test_faith"] > -0.5)

    def test_a_pipeline_that_ends_with_an_explainer(self):
        pipeline = make_pipeline(StandardScaler(), KernelSHAP(LinearRegression(), background=10))
        pipeline.fit(self.X, self.y)
        scorer = get_explanation_scorer(["fidelity", "deletion_auc"])
        expected = scorer(pipeline[-1], pipeline[:-1].transform(self.X))
        assert scorer(pipeline, self.X) == expected

    def test_explains_once_for_all_metrics(self):
        calls = []

        class Watched(KernelSHAP):
            def explain(self, X):
                calls.append(len(X))
                return super().explain(X)

        explainer = Watched(linear, background=5).fit(self.X)
        get_explanation_scorer(["fidelity", "sparsity", "infidelity"])(explainer, self.X[:7])
        assert calls == [7]

    @pytest.mark.parametrize(
        "scoring",
        [
            ["sparsity", "r2"],
            ("sparsity", "r2"),
            {"sparsity": "sparsity", "r2": "r2"},
            {"sparsity": get_explanation_scorer("sparsity"), "r2": "r2"},
        ],
    )
    def test_cross_explain_knows_the_names(self, scoring):
        explainer = KernelSHAP(LinearRegression())
        scores = cross_explain(explainer, self.X, self.y, cv=2, scoring=scoring).scores
        expected = cross_validate(
            explainer,
            self.X,
            self.y,
            cv=2,
            scoring={"sparsity": get_explanation_scorer("sparsity"), "r2": "r2"},
        )
        for name in ("test_sparsity", "test_r2"):
            np.testing.assert_allclose(scores[name], expected[name])
        single = cross_explain(explainer, self.X, self.y, cv=2, scoring="sparsity").scores
        np.testing.assert_allclose(single["test_score"], expected["test_sparsity"])

    def test_survives_pickling(self, explained_line):
        scorer = get_explanation_scorer(["infidelity", "sparsity"], n_perturbations=5)
        assert pickle.loads(pickle.dumps(scorer))(*explained_line) == scorer(*explained_line)


class TestNames:
    """Run last in this file: registering lasts as long as the process."""

    def test_importing_registers_nothing(self):
        code = (
            "import sklearn.metrics, sklexplain, sklexplain.evaluation.scorers\n"
            "print('lime_fidelity' in sklearn.metrics.get_scorer_names())"
        )
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert ran.stdout.strip() == "False"

    @pytest.mark.parametrize("search", [GridSearchCV, HalvingGridSearchCV])
    def test_work_as_text_once_registered(self, search):
        register_scorers()
        lime = TestInsideScikitLearn().lime()
        data = TestInsideScikitLearn.X, TestInsideScikitLearn.y
        named, called = (
            search(lime, {"n_features": [1, 4]}, scoring=scoring, cv=2).fit(*data)
            for scoring in ("lime_fidelity", get_explanation_scorer("lime_fidelity"))
        )
        assert named.best_params_ == {"n_features": 4}
        # Halving draws its rows in an order of its own.
        np.testing.assert_allclose(
            named.cv_results_["mean_test_score"],
            called.cv_results_["mean_test_score"],
            rtol=1e-12,
        )

    def test_work_in_lists_once_registered(self):
        register_scorers()
        scores = cross_validate(
            TestInsideScikitLearn().lime(),
            TestInsideScikitLearn.X,
            TestInsideScikitLearn.y,
            scoring=["lime_fidelity", "r2"],
            cv=2,
        )
        assert scores["test_lime_fidelity"].shape == scores["test_r2"].shape == (2,)

    def test_registering_leaves_unknown_names_unknown(self):
        register_scorers()
        with pytest.raises(ValueError, match="fidelity_of_lime"):
            cross_validate(
                KernelSHAP(Ridge()), table(), linear(table()), scoring="fidelity_of_lime"
            )


class TestBadInput:
    def test_unknown_metric_names_the_known(self):
        with pytest.raises(ValueError, match=r"unknown metric 'faith'.*'deletion_auc'"):
            get_explanation_scorer("faith")

    @pytest.mark.parametrize("names", [[], ["sparsity", "sparsity"], [3]])
    def test_lists_of_metrics(self, names):
        with pytest.raises(ValueError, match="metric"):
            get_explanation_scorer(names)

    def test_option_of_no_metric_names_the_known(self):
        with pytest.raises(TypeError, match=r"'n_runs'.*\['n_perturbations', 'normalize'"):
            get_explanation_scorer("infidelity", n_runs=3)

    @pytest.mark.parametrize(
        ("name", "option", "value"),
        [
            ("infidelity", "n_perturbations", 0),
            ("fidelity", "n_coalitions", 1),
            ("stability", "n_runs", 1),
            ("max_sensitivity", "radius", 0.0),
            ("infidelity", "normalize", "yes"),
            ("stability", "random_state", "now"),
        ],
    )
    def test_option_out_of_range(self, name, option, value):
        with pytest.raises(ValueError, match=option):
            get_explanation_scorer(name, **{option: value})

    @pytest.mark.parametrize("name", SCORER_NAMES)
    def test_every_option_has_a_check(self, name):
        for option in options_of(name):
            with pytest.raises(ValueError, match=option):
                get_explanation_scorer(name, **{option: object()})

    def test_importances_of_the_data_as_a_whole(self):
        explainer = PermutationImportance(Ridge()).fit(table(), linear(table()))
        with pytest.raises(TypeError, match="PermutationImportance has one importance a player"):
            get_explanation_scorer("sparsity")(explainer, table())

    @pytest.mark.parametrize("model", [Ridge(), DummyRegressor()])
    def test_estimators_that_explain_nothing(self, model):
        model.fit(table(), linear(table()))
        with pytest.raises(TypeError, match="lacks explain and transform"):
            get_explanation_scorer("sparsity")(model, table())

    def test_a_class(self):
        with pytest.raises(TypeError, match="KernelSHAP is a class"):
            get_explanation_scorer("sparsity")(KernelSHAP, table())

    def test_an_explainer_that_is_not_fitted(self):
        with pytest.raises(NotFittedError):
            get_explanation_scorer("sparsity")(KernelSHAP(Ridge()), table())

    def test_rows_of_another_shape(self, explained_line):
        with pytest.raises(ValueError, match="X has 3 features"):
            get_explanation_scorer("sparsity")(explained_line[0], table(n_columns=3))

    def test_no_rows(self, explained_line):
        with pytest.raises(ValueError, match="X has no rows"):
            get_explanation_scorer("sparsity")(explained_line[0], table(0))

    def test_an_output_where_there_is_one(self, explained_line):
        with pytest.raises(ValueError, match="there is only one"):
            get_explanation_scorer("sparsity", output="up")(*explained_line)

    def test_an_unknown_output(self):
        X, y = load_iris(return_X_y=True)
        explainer = KernelSHAP(LogisticRegression(max_iter=500), background=5).fit(X, y)
        with pytest.raises(ValueError, match=r"'rose' is not one of \['0', '1', '2'\]"):
            get_explanation_scorer("sparsity", output="rose")(explainer, X[:2])

    def test_lime_fidelity_of_another_method(self, explained_line):
        with pytest.raises(TypeError, match="KernelSHAP has none; use the scorer fidelity"):
            get_explanation_scorer("lime_fidelity")(*explained_line)
