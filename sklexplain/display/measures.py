"""What the numbers of an explanation are called, and which of its outputs is drawn."""

from __future__ import annotations

from ..core.explanation import Explanation
from .style import shortened

_SHAPLEY_METHODS = ("KernelSHAP", "DeepSHAP", "TreeSHAP")


def measure_of(
    explanation: Explanation, unit: str = "", *, single_row: bool = False, output: str = ""
) -> str:
    """Return what a number is, for an axis: "mean |SHAP value|, dollars".

    Parameters
    ----------
    explanation : Explanation
    unit : str, default=""
        The unit of the explained output or of the score.
    single_row : bool, default=False
        Whether the number is a value of one row, rather than one of `importances()`.
    output : str, default=""
        The class, target or score that the number is of, where there are several.
    """
    if explanation.kind == "importances":
        scoring = output or explanation.params.get("scoring")
        measure = f"drop in {scoring}" if scoring else "drop in the score"
    else:
        measure = "SHAP value" if explanation.method in _SHAPLEY_METHODS else "attribution"
        measure = measure if single_row else f"mean |{measure}|"
        measure += f" for {shortened(output, 16)!r}" if output else ""
    return f"{measure}, {unit}" if unit else measure


def chosen_name(explanation: Explanation, output: str | int | None) -> str:
    """Return the name of the output chosen among several; empty where there is no choice."""
    if explanation.n_outputs < 2 or output is None:
        return ""
    return output if isinstance(output, str) else explanation.output_names[output]


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
