"""What the numbers of an explanation are called, and which of its outputs is drawn."""

from __future__ import annotations

from ..core.explanation import Explanation

_SHAPLEY_METHODS = ("KernelSHAP", "DeepSHAP", "TreeSHAP")


def measure_of(explanation: Explanation, unit: str = "", *, single_row: bool = False) -> str:
    """Return what a number is, for an axis: "mean |SHAP value|, dollars".

    Parameters
    ----------
    explanation : Explanation
    unit : str, default=""
        The unit of the explained output or of the score.
    single_row : bool, default=False
        Whether the number is a value of one row, rather than one of `importances()`.
    """
    if explanation.kind == "importances":
        scoring = explanation.params.get("scoring")
        measure = f"drop in {scoring}" if scoring else "drop in the score"
    else:
        measure = "SHAP value" if explanation.method in _SHAPLEY_METHODS else "attribution"
        measure = measure if single_row else f"mean |{measure}|"
    return f"{measure}, {unit}" if unit else measure


def one_output(explanation: Explanation, output: str | int | None) -> Explanation:
    """Return the explanation of one output.

    Raises
    ------
    ValueError
        If there are several outputs and none was chosen.
    """
    if not explanation.output_names:
        return explanation
    if output is None:
        if explanation.n_outputs > 1:
            raise ValueError(
                f"the explanation has {explanation.n_outputs} outputs; choose one with output=…: "
                f"{list(explanation.output_names)}"
            )
        output = 0
    return explanation[:, :, output]
