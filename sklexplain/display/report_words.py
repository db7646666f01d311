"""What each number means and what it does not, method by method, in plain language."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..core.explanation import Explanation
from .measures import measure_of

_SHAPLEY = ("KernelSHAP", "DeepSHAP", "TreeSHAP", "SHAP")

# Whether a score is better when larger does not show in its drop, except for negated errors.
_SCORES = {
    "r2": "drop in R²",
    "neg_mean_absolute_error": "mean absolute error added",
    "neg_mean_squared_error": "mean squared error added",
    "neg_root_mean_squared_error": "root mean squared error added",
    "neg_median_absolute_error": "median absolute error added",
    "neg_log_loss": "log loss added",
    "balanced_accuracy": "drop in balanced accuracy",
    "roc_auc": "drop in the area under the ROC curve",
}
_IN_TARGET_UNIT = ("mean_absolute_error", "root_mean_squared_error", "median_absolute_error")

_NOUNS = {
    "column": ("column", "columns"),
    "feature": ("feature", "features"),
    "timestep": ("time step", "time steps"),
    "cell": ("cell", "single cells"),
    "custom": ("group", "groups"),
}


def noun_of(level: str, *, plural: bool = False) -> str:
    """Return what players of a level are called: "feature", "time steps"."""
    return _NOUNS.get(level, _NOUNS["custom"])[plural]


def measured(explanation: Explanation, unit: str = "", score: str = "") -> str:
    """Return what an importance is, for an axis: "mean absolute error added, dollars".

    Parameters
    ----------
    explanation : Explanation
    unit : str, default=""
        Of the target.
    score : str, default=""
        The scorer, where the explanation holds drops in several scores.
    """
    if explanation.method == "LIME":
        return f"mean |weight|, {unit}" if unit else "mean |weight|"
    if explanation.kind != "importances":
        return measure_of(explanation, unit)
    score = score or str(explanation.params.get("scoring") or "")
    if not score:
        return "drop in the score"
    told = _SCORES.get(score, f"drop in {score}")
    return f"{told}, {unit}" if unit and score.endswith(_IN_TARGET_UNIT) else told


def caption_of(explanation: Explanation, unit: str = "", score: str = "") -> str:
    """Say what the bars or colours of one explanation are, and how certain."""
    noun = noun_of(explanation.players.level)
    n_samples = len(explanation)
    if explanation.kind == "importances":
        told = measured(explanation, unit, score)
        worse = told.removeprefix("drop in ").split(" added")[0].split(",")[0]
        verb = "grows" if " added" in told else "drops"
        worse = worse if worse.startswith(("the ", "R²")) else f"the {worse}"
        amount = f", in {unit}," if told.endswith(f", {unit}") and unit else ""
        return (
            f"How much {worse}{amount} {verb} when a {noun} is permuted, mean of {n_samples} "
            f"repeats."
        )
    amount = f", in {unit}" if unit else ""
    what = (
        f"How far a {noun} moves a prediction, up or down{amount}"
        if explanation.method != "LIME"
        else f"Size of the weight that a {noun} has in the local linear models{amount}"
    )
    over = f"mean over {n_samples} rows" if n_samples > 1 else "one row"
    return f"{what}; {over}. {precision_of(explanation, unit)}"


def precision_of(explanation: Explanation, unit: str = "") -> str:
    """Say how the values were come by and how certain they are."""
    if explanation.method == "DeepSHAP":
        return (
            "DeepSHAP traces the net back operation by operation: the values of a row add up to "
            "its prediction, but their division is approximate."
        )
    if explanation.std_errors is None:
        exact = explanation.method in ("KernelSHAP", "TreeSHAP")
        if explanation.params.get("n_background") == 0:
            return "The values are exact for these trees, which are their own background."
        return "The values are exact for this background." if exact else ""
    errors = explanation.std_errors.reshape(len(explanation), -1).max(axis=1)
    largest = f"{float(np.median(errors)):.2g}{f' {unit}' if unit else ''}"
    evals = explanation.diagnostics.get("n_evals")
    cost = "" if evals is None else f" from {int(np.max(evals)):,} evaluations of the model a row"
    return f"Estimated{cost}; in the median row the largest standard error of a value is {largest}."


def reading_paragraphs(explanations: Iterable[Explanation]) -> list[str]:
    """Say what the numbers of each method that was used mean and what they do not.

    Parameters
    ----------
    explanations : iterable of Explanation

    Returns
    -------
    list of str
        One paragraph a method, then those that hold for all.
    """
    listed = list(explanations)
    methods = {explanation.method for explanation in listed}
    told = []
    if any(explanation.kind == "importances" for explanation in listed):
        told.append(_PERMUTATION)
    if methods & set(_SHAPLEY):
        named = ", ".join(method for method in _SHAPLEY if method in methods)
        ways = " ".join(_WAYS[method] for method in _SHAPLEY if method in methods)
        told.append(f"Shapley values ({named}). {_SHAPLEY_MEANING} {ways}".strip())
    if "LIME" in methods:
        told.append(_LIME)
    told += [_ERRORS, _CORRELATED, _NOT_CAUSAL]
    return told


_PERMUTATION = (
    "Permutation importance asks how much worse the predictions get when the values of one player "
    "are shuffled among the rows and everything else is left as it is. It is measured against the "
    "true targets, so a player that the model uses but that does not help it scores nothing. It "
    "speaks of all rows together and has no direction: it does not say whether a large value "
    "raises or lowers a prediction. A number below zero is no harm that the player does; it is "
    "chance, and means about zero."
)
_SHAPLEY_MEANING = (
    "One value says how far one player moves one prediction away from the base value, the mean "
    "prediction over the background rows, averaged over all orders in which players can be filled "
    "in. The values of a row add up to its prediction. They do not use the true target: a model "
    "that is wrong is explained as faithfully as one that is right. They compare with the "
    "background, so other background rows give other values. They do not say what the prediction "
    "would be if the player's value were changed."
)
_WAYS = {
    "KernelSHAP": "KernelSHAP asks any model, and is either exact or estimated with standard "
    "errors.",
    "DeepSHAP": "DeepSHAP traces a neural net back: quick, with an exact sum, but an approximate "
    "division where inputs interact.",
    "TreeSHAP": "TreeSHAP reads the trees themselves and samples nothing.",
    "SHAP": "",
}
_LIME = (
    "LIME draws rows around the explained one and fits a linear model to what the model predicts "
    "for them, near ones counting more. A weight says what it does to the prediction there that "
    "the player is as it is in this row, rather than as in the rows drawn. Weights do not add up "
    "to the prediction, depend on how near is near (the kernel width), and are only as good as "
    "the linear model's local R². The importance of a player is the mean size of its weights."
)
_ERRORS = (
    "Two kinds of whiskers and ± are shown, and they answer different questions. Of permutation "
    "importance they are the standard deviation over the repeats: how much the shuffling matters. "
    "Of importances of other methods they are the standard deviation over the rows: how much rows "
    "differ, not how uncertain the mean is. A standard error, where one is given, says how far an "
    "estimated value may be from what more evaluations would give. None of them says how much "
    "another training run, or other training data, would change."
)
_CORRELATED = (
    "Players that rise and fall together share their credit more or less by chance, since the "
    "model can read the same from any of them. Each may look small where together they are large. "
    "Permuting or replacing one alone also makes rows that cannot occur, and the model's answer "
    "there is a guess. Explain such players as one group before calling any of them unimportant."
)
_NOT_CAUSAL = (
    "All of it is about this model, not about the world. A player that the model relies on need "
    "not cause anything, changing it need not change the outcome, and another model that predicts "
    "as well may rely on others."
)
