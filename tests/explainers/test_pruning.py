"""Pruning joins the steps of a window that are too old to matter."""

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline

from sklexplain import Background, KernelSHAP, SlidingWindow, make_players
from sklexplain.core.models import Model
from sklexplain.explainers.pruning import joined_past, pruned_players
from tests.games import Counted

windows = np.random.default_rng(0).normal(size=(80, 12, 2))


def recent(windows):
    """Looks at the last three steps."""
    return windows[:, -1, 0] * windows[:, -2, 1] + np.tanh(windows[:, -3].sum(axis=1))


def everything(windows):
    return windows.sum(axis=(1, 2))


def fitted(function, X=windows, **params):
    params = {"players": "timestep", "prune_tol": 0.05, "background": 30, **params}
    return KernelSHAP(function, random_state=0, **params).fit(X)


class TestWhatIsJoined:
    def test_everything_older_than_the_model_looks(self):
        players = fitted(recent).players_
        assert players.names == ("t ≤ -3", "t-2", "t-1", "t")
        assert players.level == "timestep"
        np.testing.assert_array_equal(players.labels, np.repeat([0] * 9 + [1, 2, 3], 2))

    def test_cells(self):
        players = fitted(recent, players="cell").players_
        assert players.names[:3] == ("t ≤ -3", "x0[t-2]", "x1[t-2]")
        assert players.n_players == 7

    def test_the_cells_of_the_oldest_step(self):
        """One old step is a player already, but its cells are several."""

        def all_but_the_first(windows):
            return windows[:, 1:].sum(axis=(1, 2))

        params = {"prune_tol": 0.01, "max_evals": 2000}
        assert fitted(all_but_the_first, **params).players_.n_players == 12
        cells = fitted(all_but_the_first, players="cell", **params).players_
        assert cells.names[:2] == ("t ≤ -11", "x0[t-10]")

    @pytest.mark.parametrize("players", ["timestep", "cell"])
    def test_nothing_where_all_steps_matter(self, players):
        assert fitted(everything, players=players).players_ == make_players(players, (12, 2))

    @pytest.mark.parametrize(
        ("tolerance", "oldest"), [(0.5, "t ≤ -1"), (0.02, "t ≤ -3"), (0.001, "t ≤ -5")]
    )
    def test_more_the_more_is_tolerated(self, tolerance, oldest):
        """Each step matters a fifth of the next."""

        def fading(windows):
            return windows[:, :, 0] @ 0.2 ** np.arange(12)[::-1]

        assert fitted(fading, prune_tol=tolerance).players_.names[0] == oldest

    def test_what_matters_to_one_output_is_kept(self):
        def outputs(windows):
            return np.column_stack([recent(windows), windows[:, 5, 0]])

        assert fitted(outputs).players_.names[0] == "t ≤ -7"

    def test_weights_of_the_background_count(self):
        """Against the rows that count, the old step never changes."""
        constant = windows.copy()
        constant[:, 0] = 1
        background = Background(np.stack([constant[0], windows[1] + 9]), [1, 0])

        def first_and_last(windows):
            return windows[:, 0, 0] + windows[:, -1, 0]

        assert fitted(first_and_last, constant, background=background).players_.n_players == 2

    def test_flattened_windows(self):
        table = np.random.default_rng(0).normal(size=(80, 2))
        model = make_pipeline(SlidingWindow(6, flatten=True), LinearRegression())
        explainer = KernelSHAP(
            model, players="timestep", prune_tol=0.05, background=20, random_state=0
        ).fit(table, table[:, 0] + np.roll(table[:, 1], 1))
        assert explainer.players_.names == ("t ≤ -2", "t-1", "t")
        np.testing.assert_array_equal(explainer.players_.labels, np.repeat([0, 0, 0, 0, 1, 2], 2))
        explanation = explainer.explain(table)
        np.testing.assert_allclose(
            explanation.values.sum(axis=1), explanation.predictions - explanation.base_values
        )

    def test_joined_past_of_every_age(self):
        cells = make_players("cell", (4, 2))
        for age in (1, 2, 3):
            joined = joined_past(cells, age)
            assert joined.n_players == 1 + 2 * age
            assert joined.names[0] == f"t ≤ -{age}"
            assert joined.names[1:] == cells.names[-2 * age :]
            np.testing.assert_array_equal(
                joined.members(0), np.arange(4)[:, None] < np.full(2, 4 - age)
            )


class TestWhatItCosts:
    def test_few_evaluations(self):
        counted = Counted(recent)
        fitted(counted)
        # The background; the rows, their references, and two coalitions for each age.
        assert counted.n_evals <= 30 + 20 + 10 + 2 * 20 * 10 * 11

    def test_long_windows_become_cheap(self):
        long = np.random.default_rng(0).normal(size=(30, 100, 1))

        def function(windows):
            return np.tanh(windows[:, -3:, 0].sum(axis=1))

        counted = Counted(function)
        # Too few for the regression of 100 players, enough for the four that are left.
        explainer = fitted(counted, long, background=10, max_evals=150)
        assert explainer.players_.n_players == 4
        counted.n_evals = 0
        explanation = explainer.explain(long[:5])
        assert counted.n_evals == 5 * (14 * 10 + 1)
        assert explanation.params["exact"]

    def test_batches_stay_as_small_as_asked(self):
        sizes = []

        def function(windows):
            sizes.append(len(windows))
            return recent(windows)

        fitted(function, batch_size=32)
        assert max(sizes) <= 32

    def test_too_small_a_budget_for_the_players_left(self):
        with pytest.raises(ValueError, match="max_evals=20 is too few for 12 players"):
            fitted(everything, max_evals=20)
        with pytest.raises(ValueError, match=r'max_evals="exact" enumerates at most 20 players'):
            fitted(everything, players="cell", max_evals="exact")


class TestValues:
    @pytest.mark.parametrize("max_evals", ["exact", 301])
    def test_agree_with_those_of_all_steps(self, max_evals):
        """The model ignores the past, so joining it changes nobody's value."""
        rows = windows[60:65]
        pruned = fitted(recent, max_evals=max_evals).explain(rows)
        plain = fitted(recent, max_evals="exact", prune_tol=None, background=30).explain(rows)
        truth = np.column_stack([plain.values[:, :9].sum(axis=1), plain.values[:, 9:]])
        np.testing.assert_allclose(truth[:, 0], 0, atol=1e-10)
        if max_evals == "exact":
            np.testing.assert_allclose(pruned.values, truth, atol=1e-10)
        else:
            assert np.mean(np.abs(pruned.values - truth) <= 3 * pruned.std_errors) > 0.9

    def test_what_is_pruned_is_small(self):
        """The joined player's share of the output is about what was tolerated, or less."""
        weights = 0.7 ** np.arange(12)[::-1]

        def fading(windows):
            return windows[:, :, 0] @ weights + 0.1 * np.prod(windows[:, -2:, 0], axis=1)

        explanation = fitted(fading, prune_tol=0.1).explain(windows)
        assert explanation.players.names[0].startswith("t ≤ ")
        distance = np.abs(explanation.predictions - explanation.base_values).mean()
        assert 0.01 * distance < np.abs(explanation.values[:, 0]).mean() < 0.15 * distance

    def test_every_row_has_the_same_players(self):
        explainer = fitted(recent)
        together = explainer.explain(windows[:6])
        alone = explainer.explain(windows[3:4])
        assert alone.players == together.players
        np.testing.assert_allclose(alone.values[0], together.values[3], atol=1e-12)

    def test_seeds(self):
        first, again = (fitted(recent, prune_tol=0.3).players_ for _ in range(2))
        assert first == again

    def test_solver_alone(self):
        players = pruned_players(
            Model(recent),
            windows,
            Background(windows[:5]),
            make_players("timestep", (12, 2)),
            0.05,
            np.random.RandomState(0),
        )
        assert players.names == ("t ≤ -3", "t-2", "t-1", "t")


class TestErrors:
    @pytest.mark.parametrize(
        ("X", "players"),
        [
            (windows, "auto"),
            (windows, "feature"),
            (windows, {"old": [(0, 0), (0, 1)]}),
            (windows[:, 0], "auto"),
            (windows[:, 0], "cell"),
        ],
    )
    def test_players_that_are_no_steps(self, X, players):
        counted = Counted(everything)
        message = r'prune_tol=0.05 joins old time steps.*use players="timestep" or players="cell"'
        with pytest.raises(ValueError, match=message):
            fitted(counted, X, players=players)
        assert counted.n_evals == 0

    def test_before_a_model_is_fitted(self):
        class Watched(Ridge):
            def fit(self, X, y):
                raise AssertionError("must not be fitted")

        with pytest.raises(ValueError, match="prune_tol"):
            KernelSHAP(Watched(), prune_tol=0.1).fit(windows[:, 0], windows[:, 0, 0])

    def test_frozen_estimator_of_a_table(self):
        model = FrozenEstimator(Ridge().fit(windows[:, 0], windows[:, 0, 0]))
        with pytest.raises(ValueError, match="level 'cell' of a table"):
            KernelSHAP(model, players="cell", prune_tol=0.1).fit(windows[:, 0])
