"""The models that the command can fit, and how well they and naive guesses do."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import accuracy_score, balanced_accuracy_score, mean_absolute_error, r2_score
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import Pipeline, make_pipeline

from .._progress import tqdm
from .options import NETS, Request, check_param_names, parsed_params
from .samples import Samples, flattened
from .wrong import WrongUsage

METRICS: dict[str, dict[str, Any]] = {
    "regression": {"R²": r2_score, "mean absolute error": mean_absolute_error},
    "classification": {"accuracy": accuracy_score, "balanced accuracy": balanced_accuracy_score},
}


def make_model(request: Request, task: str) -> Any:
    """Return the model, with the user's parameters checked.

    Parameters
    ----------
    request : Request
    task : {"regression", "classification"}

    Returns
    -------
    estimator
        Of windows, or of rows where a window is one.

    Raises
    ------
    WrongUsage
        If it has no such parameter, or does not take the value.
    """
    model = _net(request, task) if request.is_net else _tabular(request, task)
    core = model.steps[-1][1] if isinstance(model, Pipeline) else model
    params = parsed_params(request.params)
    check_param_names(params, core.get_params(deep=False), type(core).__name__)
    core.set_params(**params)
    try:
        core._validate_params()
    except ValueError as error:
        raise WrongUsage(f"--param: {error}") from error
    return model


def _net(request: Request, task: str) -> Any:
    from .. import recurrent
    from ..inference import resolve_device

    try:
        resolve_device(request.device)
    except ValueError as error:
        raise WrongUsage(f"--device {request.device}: {error}") from error
    kind = "Regressor" if task == "regression" else "Classifier"
    # A single row is a sequence of one step.
    steps = {"n_timesteps": 1} if request.window == 1 and request.model != "feedforward" else {}
    make = getattr(recurrent, NETS[request.model] + kind)
    return make(random_state=request.seed, device=request.device, **steps)


def _tabular(request: Request, task: str) -> Any:
    from sklearn import ensemble, linear_model
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    regression = task == "regression"
    steps: list[Any] = [FunctionTransformer(flattened)] if request.window > 1 else []
    core: Any
    if request.model == "forest":
        core = ensemble.RandomForestRegressor if regression else ensemble.RandomForestClassifier
        steps.append(core(random_state=request.seed))
    elif request.model == "boosting":
        core = (
            ensemble.HistGradientBoostingRegressor
            if regression
            else ensemble.HistGradientBoostingClassifier
        )
        steps.append(core(random_state=request.seed))
    elif regression:
        steps += [StandardScaler(), linear_model.Ridge()]
    else:
        # Ridge's penalty, on a model that has probabilities.
        steps += [StandardScaler(), linear_model.LogisticRegression(max_iter=1000)]
    return make_pipeline(*steps) if len(steps) > 1 else steps[0]


def show_progress(model: BaseEstimator, shown: bool) -> None:
    """Have a model that can, show its progress while it is fitted."""
    if "verbose" in model.get_params(deep=False) and hasattr(model, "net_params"):
        model.set_params(verbose=int(shown))


def naive_guesses(samples: Samples, task: str) -> dict[str, np.ndarray]:
    """Return what one would guess of the test targets without a model."""
    n_test = len(samples.test_target)
    guesses = {}
    if samples.last_known is not None:
        word = "value" if task == "regression" else "class"
        guesses[f"last known {word}"] = samples.last_known
    if task == "regression":
        guesses["mean of the training rows"] = np.full(n_test, samples.train_target.mean())
    else:
        classes, counts = np.unique(samples.train_target, return_counts=True)
        guesses["most frequent class"] = np.full(n_test, classes[counts.argmax()])
    return guesses


def scores_of(truth: np.ndarray, guess: np.ndarray, task: str) -> dict[str, float]:
    """Return each metric of some guesses."""
    return {name: float(metric(truth, guess)) for name, metric in METRICS[task].items()}


def cross_validated(
    model: Any, X: np.ndarray, samples: Samples, request: Request, task: str
) -> dict[str, np.ndarray]:
    """Return each metric in each fold of the training rows; each fold's test follows its training.

    Raises
    ------
    ValueError
        If the rows are too few for so many folds.
    """
    # A target is known only `horizon` rows later, and each group has its own rows.
    n_groups = len(np.unique(samples.train_groups))
    gap = max(0, request.horizon - 1) * n_groups
    first = len(X) - request.cv * (len(X) // (request.cv + 1)) - gap
    if len(X) // (request.cv + 1) < 2 or first < 10:
        raise ValueError(
            f"--cv {request.cv} divides the {len(X)} training rows of {request.data} into too "
            "small parts; use fewer folds, or give more rows"
        )
    splits = list(TimeSeriesSplit(request.cv, gap=gap).split(X))
    scores = []
    for train, test in tqdm(splits, unit="fold"):
        fitted = clone(model).fit(X[train], samples.train_target[train])
        scores.append(scores_of(samples.train_target[test], fitted.predict(X[test]), task))
    return {name: np.array([fold[name] for fold in scores]) for name in METRICS[task]}
