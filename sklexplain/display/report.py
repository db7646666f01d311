"""write_report: explanations as one page that can be mailed to a colleague."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from .._version import __version__
from ..core.explanation import Explanation
from .page import write_page
from .report_about import data_section, model_section, reading_section
from .report_inputs import check_lengths, check_path, named_baselines, named_explanations
from .report_scores import held_out_notes, scores_of_estimator, scores_section, verdict
from .report_sections import detail_sections, importance_sections
from .report_views import check_output, chosen_rows, rows_of


def write_report(
    path: str | PathLike[str],
    explanations: Explanation | Sequence[Explanation] | Mapping[str, Explanation],
    *,
    estimator: Any = None,
    X: Any = None,
    y: Any = None,
    baseline: Any = "auto",
    rows: Any = "auto",
    output: str | int | None = None,
    unit: str = "",
    title: str = "What the model relies on",
) -> Path:
    """Write explanations as one HTML page that needs nothing beside itself.

    The page can be mailed: its pictures are inside it, it runs no script and asks the network for
    nothing. It shows the scores beside naive baselines, the importances by every method side by
    side, heat maps of windows, some rows in detail, the data and the model, and says in plain
    language what each number means and what it does not. Sections that nothing was given for
    are left out.

    Parameters
    ----------
    path : str or PathLike
        The file to write. An older one is replaced only when the new one is whole.
    explanations : Explanation, list of Explanation, or mapping from name to Explanation
        Of any methods, permutation importance among them, and of any players: those of equal
        players are compared with one another.
    estimator : fitted estimator, explainer, module or function, default=None
        For its hyperparameters and, with `X` and `y`, its scores.
    X : array-like or DataFrame of shape (n_samples, n_columns) or \
            (n_samples, n_timesteps, n_features), default=None
        Held-out rows, not seen in training: what the scores are of.
    y : array-like of shape (n_samples,) or (n_samples, n_targets), default=None
        Their true targets.
    baseline : "auto", None, array, or mapping from name to array, default="auto"
        Naive predictions of the same rows, such as the last known value of a series; one a row.
        The mean of `y`, or its most frequent class, is always shown too, unless None is given:
        a guess with a small advantage, since it knows the held-out targets.
    rows : "auto" or sequence of int or str, default="auto"
        The rows to show in detail: positions among the explained rows, or labels as text.
        ``"auto"`` takes the largest and the smallest prediction, the one in the middle and, where
        the targets are known, the largest error. ``[]`` shows none.
    output : str or int, default=None
        The class or target to show. By default of two classes the second, of up to four outputs
        each, of more their mean; and of a single row the class that it was given.
    unit : str, default=""
        Of the explained output, such as ``"dollars"``.
    title : str, default="What the model relies on"

    Returns
    -------
    Path
        The absolute path of the page.

    Raises
    ------
    ValueError
        If there are no explanations, if lengths disagree, or if a row or the output is unknown.
    TypeError
        If something else than an Explanation is among the explanations.
    FileNotFoundError
        If the folder of `path` does not exist.
    ImportError
        If matplotlib or jinja2 is missing.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.linear_model import Ridge
    >>> from sklexplain import KernelSHAP, PermutationImportance, write_report
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> model = Ridge().fit(X[:300], y[:300])
    >>> drops = PermutationImportance(FrozenEstimator(model), random_state=0).fit(X[300:], y[300:])
    >>> shap = KernelSHAP(FrozenEstimator(model), background=20, random_state=0).fit(X[:300])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_report(
    ...         Path(folder) / "report.html",
    ...         [drops.explanation_, shap.explain(X[300:])],
    ...         estimator=model,
    ...         X=X[300:],
    ...         y=y[300:],
    ...     )
    ...     page.name, "mean absolute error" in page.read_text(encoding="utf-8")
    ('report.html', True)
    """
    path = check_path(path)
    named = named_explanations(explanations)
    check_output(named, output)
    baselines = named_baselines(baseline)
    check_lengths(X, y, baselines)
    explained = rows_of(named, X=X, y=y, estimator=estimator, output=output)
    chosen = chosen_rows(explained, rows) if explained is not None else {}

    lead, sections = _lead(named), []
    if estimator is not None and y is not None:
        scores = scores_of_estimator(
            estimator, X, y, baselines, naive=baseline is not None, unit=unit
        )
        lead += " " + verdict(scores)
        sections.append(scores_section(scores, notes=held_out_notes(scores)))
    sections += importance_sections(named, output=output, unit=unit, data=X)
    if explained is not None:
        sections += detail_sections(named, explained, chosen, unit=unit)
    sections.append(data_section(named, X, y, unit=unit))
    if estimator is not None:
        sections.append(model_section(estimator))
    sections.append(reading_section(named))
    return write_page(path, title, lead, sections, footer=f"Made with sklexplain {__version__}.")


def _lead(named: Mapping[str, Explanation]) -> str:
    methods = dict.fromkeys(
        "permutation importance" if one.kind == "importances" else one.method or "attributions"
        for one in named.values()
    )
    *others, last = methods
    told = f"{', '.join(others)} and {last}" if others else last
    return f"A model explained by {told}."
