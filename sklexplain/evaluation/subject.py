"""What is judged: a fitted explainer, the rows it was asked about, and what it said of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..core.background import Background
from ..core.built_rows import unmasked_outputs
from ..core.explanation import Explanation
from ..core.models import Model
from ..core.perturb import evaluate
from ..core.tables import RowCodec
from ..explainers.attribution import AttributionExplainer
from ..explainers.lime_reading import position_of_label


@dataclass(frozen=True)
class View:
    """One output of an explanation, which may be another one for every row.

    Parameters
    ----------
    explanation : Explanation
    positions : ndarray of int, shape (n_rows,)
        Which of the explanation's outputs it is.
    columns : ndarray of int, shape (n_rows,)
        Which of the model's outputs that is.
    """

    explanation: Explanation
    positions: np.ndarray
    columns: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """The attributions, shape (n_rows, n_players)."""
        return self.values_of(self.explanation)

    @property
    def base_values(self) -> np.ndarray:
        """Shape (n_rows,)."""
        return self._of_explanation(self.explanation.base_values)

    @property
    def predictions(self) -> np.ndarray:
        """Shape (n_rows,)."""
        return self._of_explanation(self.explanation.predictions)

    def values_of(self, explanation: Explanation) -> np.ndarray:
        """Return what another explanation of the same rows says of this output."""
        return self._of_explanation(explanation.values)

    def diagnostic(self, name: str) -> np.ndarray:
        """Return what the method reported of each row, shape (n_rows,)."""
        return self._of_explanation(self.explanation.diagnostics[name])

    def of_model(self, outputs: np.ndarray, rows: Any = slice(None)) -> np.ndarray:
        """Return this output of some rows, from outputs of shape (n_rows, …, n_outputs)."""
        return _last_axis_at(outputs, self.columns[rows])

    def _of_explanation(self, array: np.ndarray) -> np.ndarray:
        return _last_axis_at(array, self.positions) if self.explanation.output_names else array


def _last_axis_at(array: np.ndarray, positions: np.ndarray) -> np.ndarray:
    chosen = positions.reshape(-1, *[1] * (array.ndim - 1))
    return np.take_along_axis(array, chosen, axis=-1)[..., 0]


@dataclass(frozen=True)
class Subject:
    """A fitted explainer with rows and their explanation.

    Parameters
    ----------
    explainer : AttributionExplainer
    X : array-like or DataFrame
        The rows, as the explainer takes them.
    y : array-like or None
    explanation : Explanation
    model : Model
        What was explained.
    codec : RowCodec
    background : Background
        What stands in for removed players.
    """

    explainer: AttributionExplainer
    X: Any
    y: Any
    explanation: Explanation
    model: Model
    codec: RowCodec
    background: Background

    @property
    def rows(self) -> np.ndarray:
        """The explained rows as numbers, shape (n_rows, *sample_shape)."""
        rows = self.explanation.data
        assert rows is not None
        return rows

    @property
    def n_players(self) -> int:
        """Number of players."""
        return self.explanation.players.n_players

    @cached_property
    def empty_outputs(self) -> np.ndarray:
        """The outputs without any player, shape (n_outputs,), at one run of the background.

        Not the explanation's own base value, which may be an intercept or an average over
        training rows.
        """
        return self.background.mean(
            unmasked_outputs(self.model, self.background.rows, "background row")
        )

    def outputs(self, coalitions: np.ndarray, rows: Any = slice(None)) -> np.ndarray:
        """Run coalitions on all background rows; shape (n_rows, n_coalitions, n_outputs)."""
        return evaluate(
            self.model,
            self.rows[rows],
            coalitions,
            self.background.rows,
            self.explanation.players,
            weights=self.background.weights,
            batch_size=getattr(self.explainer, "batch_size", "auto"),
            n_jobs=getattr(self.explainer, "n_jobs", None),
        )

    def views(self, output: Any = None) -> list[View]:
        """Return the outputs to judge.

        Parameters
        ----------
        output : class label, output name or position, default=None
            None is the predicted class of each row where the outputs are classes, else every
            output of several.

        Raises
        ------
        ValueError
            If there is no such output.
        """
        names, n_rows = self.explanation.output_names, len(self.explanation)
        if not names:
            if output is not None:
                raise ValueError(
                    f"output={output!r} chooses among outputs, but there is only one; leave it out"
                )
            return [self.view(np.zeros(n_rows, dtype=np.intp))]
        if output is not None:
            chosen = [position_of_label(output, names)]
        elif self.model.class_names:
            return [self.view(np.argmax(self.explanation.predictions, axis=1))]
        else:
            chosen = list(range(len(names)))
        return [self.view(np.full(n_rows, position)) for position in chosen]

    def view(self, positions: np.ndarray) -> View:
        """Return the outputs at these positions of the explanation, one a row."""
        names = self.explanation.output_names
        if not names:
            return View(self.explanation, positions, positions)
        # LIME may explain some outputs only, or other ones for every row.
        by_row = self.explanation.diagnostics.get("labels")
        if by_row is None:
            by_row = np.broadcast_to(np.asarray(names), (len(positions), len(names)))
        columns = [_column(name, self.model) for name in _last_axis_at(by_row, positions)]
        return View(self.explanation, positions, np.array(columns, dtype=np.intp))


def _column(name: str, model: Model) -> int:
    if name in model.class_names:
        return model.class_names.index(name)
    return int(name.removeprefix("output "))


def read_subject(
    estimator: Any, X: Any, y: Any = None, background: Background | None = None
) -> Subject:
    """Explain rows and keep all that is needed to judge the result.

    Parameters
    ----------
    estimator : fitted explainer, or Pipeline that ends with one
    X : array-like or DataFrame
    y : array-like, optional
    background : Background, optional
        What stands in for removed players; by default the explainer's own, or up to 100 of its
        training rows where the method has none (LIME, path-dependent TreeSHAP).

    Raises
    ------
    TypeError
        If `estimator` is no explainer that has attributions for single rows.
    ValueError
        If `X` has no rows, or not of the shape that the explainer was fitted on.
    NotFittedError
        If it is not fitted.
    """
    if isinstance(estimator, Pipeline):
        check_explainer(estimator.steps[-1][1])
        check_is_fitted(estimator)
        if len(estimator.steps) > 1:
            X = estimator[:-1].transform(X)
        estimator = estimator.steps[-1][1]
    check_explainer(estimator)
    check_is_fitted(estimator)
    if np.shape(X)[0] == 0:
        raise ValueError("X has no rows; there is nothing to judge")
    return subject_of(estimator, X, y, estimator.explain(X), background)


def subject_of(
    explainer: AttributionExplainer,
    X: Any,
    y: Any,
    explanation: Explanation,
    background: Background | None = None,
) -> Subject:
    """Return a subject whose rows are explained already."""
    codec = explainer._encoded(X)[1]
    model = explained_model(explainer, explanation, codec)
    if background is None:
        background = background_of(explainer)
    return Subject(explainer, X, y, explanation, model, codec, background)


def check_explainer(estimator: Any) -> None:
    """Refuse what gives no attributions of single rows.

    Raises
    ------
    TypeError
    """
    if isinstance(estimator, AttributionExplainer):
        return
    if isinstance(estimator, type):
        raise TypeError(
            f"{estimator.__name__} is a class; give an instance, {estimator.__name__}(…)"
        )
    name = type(estimator).__name__
    if hasattr(estimator, "importances_") or name == "PermutationImportance":
        raise TypeError(
            f"{name} has one importance a player for the data as a whole, and no values of single "
            "rows (no transform) that could be judged; use KernelSHAP, SHAP or LIME"
        )
    raise TypeError(
        f"{name} is no explainer: it lacks explain and transform; wrap the estimator, as in "
        f"KernelSHAP({name}(…))"
    )


def explained_model(
    explainer: AttributionExplainer, explanation: Explanation, codec: RowCodec
) -> Model:
    """Return the model whose outputs the explanation speaks of."""
    chosen: Any = getattr(explainer, "explainer_", explainer)
    if hasattr(chosen, "tree_"):
        # The margins of some packages' trees are no method of theirs.
        return chosen.tree_.model
    return Model(
        chosen.explained_estimator_,
        output=explanation.params["output"],
        link=explanation.params.get("link", "identity"),
        codec=codec,
    )


def background_of(explainer: Any) -> Background:
    """Return the rows that the explainer compares with, or training rows that it kept."""
    background = getattr(explainer, "background_", None)
    return Background(explainer.importance_rows_) if background is None else background
