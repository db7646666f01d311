"""The demonstration: a GRU on real share prices, from the table to an explained prediction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator

from ..core.explanation import Explanation
from ..datasets import load_google_stock
from ..display.report_scores import Scores, regression_scores
from ..explainers.deep_shap import DeepSHAP
from ..explainers.kernel_shap import KernelSHAP
from ..explainers.lime import LIME
from ..explainers.permutation import PermutationImportance
from ..windows import make_windows

WINDOW = 20
UNIT = "dollars"
TRAIN_SHARE = 0.8
R2 = "r2"
PRICES = "the four prices together"
ERROR = "neg_mean_absolute_error"
STEPS = (
    "Loading the prices",
    "Fitting the GRU",
    "Permuting features",
    "Permuting time steps",
    "Permuting single cells",
    "Computing Shapley values of features",
    "Computing Shapley values of time steps",
    "Computing Shapley values of single cells",
    "Fitting a linear surrogate to one day",
    "Writing the page",
)


@dataclass(frozen=True)
class Demo:
    """What was done and what came out; see :func:`run_demo`.

    Parameters
    ----------
    prices : DataFrame
        The daily table.
    model : GRURegressor
        Fitted on the training windows.
    train_windows, test_windows : ndarray of shape (n_windows, 20, 5)
    train_target, test_target : ndarray of shape (n_windows,)
        The close of the day after the window.
    test_dates : DatetimeIndex
        The days that the test targets are of.
    predictions, naive : ndarray of shape (n_test,)
        Of the model, and the last close of each test window.
    by_feature, by_price, by_timestep, by_cell : Explanation
        Permutation importances on the test windows, of both scores.
    shap : Explanation
        Exact Shapley values of the features for every test window, in dollars.
    shap_by_timestep, shap_by_cell : Explanation
        Shapley values of the days (sampled) and of the single numbers (DeepSHAP) of every test
        window.
    lime : Explanation
        LIME's weights of the features for the first test window.
    """

    prices: Any
    model: Any
    train_windows: np.ndarray
    train_target: np.ndarray
    test_windows: np.ndarray
    test_target: np.ndarray
    test_dates: Any
    predictions: np.ndarray
    naive: np.ndarray
    by_feature: Explanation
    by_price: Explanation
    by_timestep: Explanation
    by_cell: Explanation
    shap: Explanation
    shap_by_timestep: Explanation
    shap_by_cell: Explanation
    lime: Explanation

    def scores(self) -> dict[str, tuple[float, float]]:
        """Return R² and mean absolute error in dollars, of the model and of the naive guess."""
        board = self.score_board().values
        return {name: (row["R²"], row["mean absolute error"]) for name, row in board.items()}

    def score_board(self) -> Scores:
        """Return all scores of the model and of the naive guess."""
        guesses = {"GRU": self.predictions, "tomorrow is today": self.naive}
        return regression_scores(self.test_target, guesses, UNIT)

    def explanations(self) -> dict[str, Explanation]:
        """Return the explanations of features and of single numbers, one a method, by name."""
        return {
            "permutation importance": self.by_feature,
            "KernelSHAP": self.shap,
            "DeepSHAP": self.shap_by_cell,
            "LIME": self.lime,
        }


def run_demo(
    *,
    on_step: Callable[[str], None] = lambda step: None,
    max_epochs: int = 200,
    n_repeats: int = 10,
    n_background: int = 100,
    max_evals: int | str = "auto",
    random_state: int = 0,
) -> Demo:
    """Fit a GRU on the first 80 % of the days and explain it on the others.

    Parameters
    ----------
    on_step : callable, optional
        Called with each of `STEPS` but the last when it begins.
    max_epochs : int, default=200
        Of the training, which stops early.
    n_repeats : int, default=10
        Permutations of each player.
    n_background : int, default=100
        Training windows that stand in for absent features.
    max_evals : int or "auto", default="auto"
        Model evaluations for the time steps of one test window.
    random_state : int, default=0
        Equal seeds give equal numbers.

    Returns
    -------
    Demo

    Raises
    ------
    ImportError
        If an extra is missing.
    """
    steps = iter(STEPS)
    on_step(next(steps))
    prices = load_google_stock().data
    names = list(prices.columns)
    windows, target, last_rows = make_windows(
        prices, "close", window=WINDOW, horizon=1, return_index=True
    )
    n_train = int(TRAIN_SHARE * len(windows))
    train_windows, train_target = windows[:n_train], target[:n_train]
    test_windows, test_target = windows[n_train:], target[n_train:]
    test_dates = prices.index[last_rows[n_train:] + 1]

    with _one_thread():
        on_step(next(steps))
        model = _fitted_model(train_windows, train_target, max_epochs, random_state)

        def permuted(players: Any) -> Explanation:
            importance = PermutationImportance(
                FrozenEstimator(model),
                players=players,
                scoring=[R2, ERROR],
                n_repeats=n_repeats,
                feature_names=names,
                random_state=random_state,
            )
            return importance.fit(test_windows, test_target).explanation_

        on_step(next(steps))
        by_feature = permuted("feature")
        by_price = permuted({PRICES: ["open", "high", "low", "close"]})
        on_step(next(steps))
        by_timestep = permuted("timestep")
        on_step(next(steps))
        by_cell = permuted("cell")
        on_step(next(steps))
        dates = test_dates.strftime("%Y-%m-%d").to_numpy(dtype=str)

        def shapley(players: str, max_evals: Any) -> Explanation:
            explainer = KernelSHAP(
                FrozenEstimator(model),
                players=players,
                background=n_background,
                max_evals=max_evals,
                feature_names=names,
                random_state=random_state,
            ).fit(train_windows, train_target)
            return replace(explainer.explain(test_windows), index=dates)

        shap = shapley("feature", "exact")
        on_step(next(steps))
        shap_by_timestep = shapley("timestep", max_evals)
        on_step(next(steps))
        by_net = DeepSHAP(
            FrozenEstimator(model),
            players="cell",
            background=n_background,
            feature_names=names,
            random_state=random_state,
        ).fit(train_windows, train_target)
        shap_by_cell = replace(by_net.explain(test_windows), index=dates)
        on_step(next(steps))
        surrogate = LIME(FrozenEstimator(model), feature_names=names, random_state=random_state)
        lime = surrogate.fit(train_windows, train_target).explain(test_windows[:1])
        predictions = model.predict(test_windows)
    return Demo(
        prices=prices,
        model=model,
        train_windows=train_windows,
        train_target=train_target,
        test_windows=test_windows,
        test_target=test_target,
        test_dates=test_dates,
        predictions=predictions,
        naive=test_windows[:, -1, names.index("close")],
        by_feature=by_feature,
        by_price=by_price,
        by_timestep=by_timestep,
        by_cell=by_cell,
        shap=shap,
        shap_by_timestep=shap_by_timestep,
        shap_by_cell=shap_by_cell,
        lime=lime,
    )


def _fitted_model(windows: np.ndarray, target: np.ndarray, max_epochs: int, seed: int) -> Any:
    """Return a GRU whose settings had the lowest validation loss of those tried."""
    from ..recurrent import GRURegressor

    return GRURegressor(
        lr=0.01,
        batch_size=64,
        max_epochs=max_epochs,
        n_iter_no_change=30,
        random_state=seed,
    ).fit(windows, target)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch on one thread: a net this small is no slower, and sums do not depend on cores."""
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
