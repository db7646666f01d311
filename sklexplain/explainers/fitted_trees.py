"""Fitted trees, as shap's extension takes them without losing a row's way."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline

from .._progress import tqdm
from ..core.adapters import is_plain, unwrapped, uses_torch
from ..core.background import Background
from ..core.models import Model
from ..core.tables import RowCodec
from ..core.workers import run_tasks
from .inside import opened, package, refuse_strange

_FORESTS = ("Tree", "Forest")
# The rooms of scikit-learn whose models are sums of trees.
_TREE_MODULES = (
    "sklearn.tree.",
    "sklearn.ensemble._forest",
    "sklearn.ensemble._gb",
    "sklearn.ensemble._hist_gradient_boosting.",
)
_ROWS_PER_TASK = 64
# The extension numbers nodes in 16 bits where there is a background.
_MOST_NODES = 2**15 - 1


class FittedTrees:
    """A fitted tree model with shap's explainer of it: one meaning for every kind of output."""

    def __init__(
        self, estimator: Any, output: str, background: Background | None, codec: RowCodec
    ) -> None:
        self._made_of = (estimator, output, background, codec)
        self.scalers, self.tree = trees_in(estimator)
        self.codec = codec
        self.boosted = not any(name in type(self.tree).__name__ for name in _FORESTS)
        method = self._method(output, background is not None)
        self.model = self._made_model(estimator, method, codec)
        self.probability = self.boosted and self.model.method == "predict_proba"
        self.thresholds = self._found_thresholds(background is not None)
        self.explainer = self._made_explainer(background)

    def __getstate__(self) -> dict[str, Any]:
        # shap's explainer refers to memory of its extension, which no safe format can store, and
        # is quickly made again.
        return {"made_of": list(self._made_of)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(*state["made_of"])  # type: ignore[misc]

    @property
    def is_exact(self) -> bool:
        """Whether the values are Shapley values: not if margins are bent to probabilities."""
        return not self.probability

    def values(
        self, rows: np.ndarray, n_jobs: int | None, show_progress: bool = False
    ) -> np.ndarray:
        """Return the values of cells, shape (n_rows, n_columns, n_outputs)."""
        ranks = self._ranked(self._scaled(rows))
        most = max(1, min(_ROWS_PER_TASK, -(-len(rows) // effective_n_jobs(n_jobs))))
        parts = []
        with tqdm(
            total=len(rows), desc="TreeSHAP", unit="row", disable=not show_progress
        ) as progress:
            for part in run_tasks(
                _cell_values,
                self.explainer,
                ((ranks[i : i + most],) for i in range(0, len(rows), most)),
                n_jobs=n_jobs,
            ):
                parts.append(part)
                progress.update(len(part))
        values = np.concatenate(parts)
        values = values[:, :, None] if values.ndim == 2 else values
        return np.concatenate([-values, values], axis=2) if self.probability else values

    def _method(self, output: str, interventional: bool) -> str:
        """Return the output to explain, refusing what the algorithm cannot."""
        if not is_classifier(self.tree):
            return output
        if output == "predict":
            raise ValueError(
                'output="predict" gives class labels, which are no sum over trees; use '
                '"predict_proba" or "decision_function"'
            )
        if not self.boosted:
            return output
        possible = interventional and len(self.tree.classes_) == 2
        if output == "auto":
            return "decision_function"
        if output == "predict_proba" and not possible:
            raise ValueError(
                'output="predict_proba" of a boosted classifier needs two classes and a '
                'background; give background=100, use output="decision_function", or KernelSHAP'
            )
        return output

    def _made_model(self, estimator: Any, method: str, codec: RowCodec) -> Model:
        if method != "decision_function" or hasattr(unwrapped(estimator), "decision_function"):
            return Model(estimator, output=method, codec=codec)
        # XGBoost and LightGBM have their margins under another name.
        raw = {"xgboost": "output_margin", "lightgbm": "raw_score"}.get(package(self.tree))
        if raw is None:
            return Model(estimator, output=method, codec=codec)
        model = Model(partial(estimator.predict, **{raw: True}), codec=codec)
        model.method, model.class_names = method, tuple(str(name) for name in self.tree.classes_)
        return model

    def _shap(self, **kind: Any) -> Any:
        shap = import_shap()
        try:
            return shap.TreeExplainer(self.tree, **kind)
        except Exception as error:
            reason = f" ({str(error).strip().rstrip('.!')})"
            raise _no_trees(self.tree, reason) from error

    def _made_explainer(self, background: Background | None) -> Any:
        if background is None:
            explainer = self._shap(feature_perturbation="tree_path_dependent")
        else:
            rows = self._ranked(self._scaled(background.rows))
            with warnings.catch_warnings():
                # What many rows cost is in the docstring, and the caller's choice.
                warnings.filterwarnings("ignore", message="Passing .* background samples")
                explainer = self._shap(
                    # Otherwise shap draws 100 rows of its own.
                    data=import_shap().maskers.Independent(rows, max_samples=len(rows)),
                    feature_perturbation="interventional",
                    model_output="probability" if self.probability else "raw",
                )
        trees = explainer.model
        if background is not None and trees.children_left.shape[1] > _MOST_NODES:
            raise _no_trees(
                self.tree, f" of more than {_MOST_NODES} nodes a tree with a background"
            )
        for column, thresholds in enumerate(self.thresholds):
            here = _splits(trees, column)
            trees.thresholds[here] = np.searchsorted(thresholds, trees.thresholds[here])
        return explainer

    def _scaled(self, rows: np.ndarray) -> np.ndarray:
        if not self.scalers:
            return rows
        # As the table that the scalers were fitted on, in its types.
        table = self.codec.decode(rows)
        for scaler in self.scalers:
            table = scaler.transform(table)
        return np.asarray(table)

    def _found_thresholds(self, interventional: bool) -> list[np.ndarray]:
        """Return the sorted thresholds of each column over all trees; none if to be left alone."""
        # Path-dependent values of other packages come from these packages, not from the extension.
        if not interventional and package(self.tree) != "sklearn":
            return []
        trees = self._shap(feature_perturbation="tree_path_dependent").model
        if np.any(trees.threshold_types > 0):
            # Categorical splits have sets of codes in the place of thresholds.
            return []
        return [
            np.unique(trees.thresholds[_splits(trees, column)])
            for column in range(self.tree.n_features_in_)
        ]

    def _ranked(self, rows: np.ndarray) -> np.ndarray:
        """Return the number of thresholds below each value, less a half."""
        if not self.thresholds:
            return rows
        # The packages compare in different precision, and that decides the branch.
        double = package(self.tree) == "lightgbm" or "Hist" in type(self.tree).__name__
        seen = rows.astype(float if double else np.float32)
        ranks = np.full(rows.shape, np.nan)
        for column, thresholds in enumerate(self.thresholds):
            present = ~np.isnan(seen[:, column])
            below = np.searchsorted(thresholds, seen[present, column], side="left")
            ranks[present, column] = below - 0.5
        return ranks


def _cell_values(explainer: Any, ranks: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        # Both shapes that shap has had are understood.
        warnings.filterwarnings("ignore", message="LightGBM binary classifier")
        return explainer.shap_values(ranks, check_additivity=False)


def _splits(trees: Any, column: int) -> np.ndarray:
    """Return which nodes of shap's trees split at a column."""
    return (trees.children_left >= 0) & (trees.features == column)


def trees_in(estimator: Any) -> tuple[list[Any], Any]:
    """Return the scalers before a tree model, and the tree model.

    Raises
    ------
    TypeError
        If anything else stands before it.
    """
    core = unwrapped(estimator)
    core = unwrapped(getattr(core, "best_estimator_", core))
    if not isinstance(core, Pipeline):
        return [], core
    steps = [step for _, step in core.steps[:-1] if step not in (None, "passthrough")]
    refuse_strange(steps, "TreeSHAP")
    scalers, tree = trees_in(core.steps[-1][1])
    return steps + scalers, tree


def refuse_known(estimator: Any) -> None:
    """Refuse, before it is fitted, an estimator that is no sum over trees."""
    import_shap()
    steps, core = opened(estimator)
    other = package(core) == "sklearn" and not type(core).__module__.startswith(_TREE_MODULES)
    if isinstance(unwrapped(estimator), TransformedTargetRegressor):
        raise _no_trees(unwrapped(estimator))
    if other or package(core) == "sklexplain" or is_plain(core) or uses_torch(core):
        raise _no_trees(core)
    refuse_strange(steps, "TreeSHAP")


def _no_trees(core: Any, reason: str = "") -> TypeError:
    return TypeError(
        f"TreeSHAP cannot explain {type(core).__name__}{reason}; it explains trees, forests and "
        "gradient boosting. KernelSHAP explains any model, DeepSHAP torch nets"
    )


def import_shap() -> Any:
    """Return the shap package, which is optional."""
    try:
        import shap
    except ImportError as error:
        raise ImportError("TreeSHAP needs shap: pip install 'sklexplain[shap]'") from error
    return shap
