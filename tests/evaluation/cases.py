"""Small data and explainers, each a second or less to fit five times."""

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklexplain import (
    LIME,
    DeepSHAP,
    FeedForwardRegressor,
    GRURegressor,
    KernelSHAP,
    PermutationImportance,
    SlidingWindow,
    TreeSHAP,
)

rng = np.random.default_rng(0)
X = rng.normal(size=(45, 4))
y = X @ [3.0, -2.0, 1.0, 0.0] + 0.1 * rng.normal(size=45)
labels = np.array(["a", "b", "c"])[np.digitize(X[:, 0] + X[:, 1], [-0.5, 0.5])]
frame = pd.DataFrame(
    X, columns=["open", "high", "low", "close"], index=[f"day {i}" for i in range(45)]
)
windows = rng.normal(size=(45, 3, 2))


def net(**params):
    return FeedForwardRegressor(hidden_size=4, max_epochs=2, random_state=0, **params)


def gru(**params):
    return GRURegressor(hidden_size=4, max_epochs=2, random_state=0, **params)


ATTRIBUTIONS = {
    "KernelSHAP": KernelSHAP(Ridge(), background=7, max_evals=60, random_state=0),
    "LIME": LIME(make_pipeline(StandardScaler(), Ridge()), n_samples=100, random_state=0),
    "LIME replaced": LIME(Ridge(), players=[0, 0, 1, 2], n_samples=100, random_state=0),
    "TreeSHAP": TreeSHAP(RandomForestRegressor(5, random_state=0)),
    "DeepSHAP": DeepSHAP(net(), background=7, random_state=0),
    "classes": KernelSHAP(LogisticRegression(), background=7, random_state=0),
    "windows": KernelSHAP(gru(), background=7, max_evals=10, random_state=0),
}


def data_for(name):
    """X and y that suit an explainer of `ATTRIBUTIONS`."""
    if name == "windows":
        return windows, windows[:, -1, 0]
    return X, labels if name == "classes" else y


def windowed(window=20, explainer=KernelSHAP, **params):
    """An explainer around scaler, windows and a recurrent net."""
    pipeline = make_pipeline(StandardScaler(), SlidingWindow(window), gru())
    return explainer(pipeline, random_state=0, **params)


def permutation(estimator=None, **params):
    return PermutationImportance(
        Ridge() if estimator is None else estimator, n_repeats=3, random_state=0, **params
    )
