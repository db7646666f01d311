"""Explainers in a notebook: scikit-learn's diagram, with the estimator that was fitted in it."""

from __future__ import annotations

from copy import copy
from typing import Any

from sklearn.frozen import FrozenEstimator

from ..core.adapters import as_estimator, is_plain


class DiagramMixin:
    """What scikit-learn's HTML diagram asks of an explainer."""

    estimator: Any
    # False in the copy that a diagram is made of, whose properties are all read.
    _computes_importances = True

    def _sk_visual_block_(self) -> Any:
        """Return the diagram's content: once fitted, the fitted estimator, not the one given."""
        # Private to scikit-learn, and of another place in other versions: where it is missing,
        # scikit-learn shows the explainer as a single block.
        from sklearn.utils._repr_html.estimator import _VisualBlock

        inner = getattr(self, "estimator_", self.estimator)
        model = _bare_model(inner)
        if model is None:
            name, block = type(inner).__name__, inner
        else:
            # A function or module is known by its own name, not by that of its wrappers.
            name = getattr(model, "__name__", type(model).__name__)
            block = _VisualBlock("single", model, names=name, name_details=str(model))
        return _VisualBlock(
            "parallel", [block], names=[f"estimator: {name}"], name_details=[str(inner)]
        )

    def _get_fitted_attr_html(self, doc_link: str = "") -> Any:
        """Return the table of fitted attributes, which must cost no evaluation of the model.

        scikit-learn reads every property, and the importances would explain up to 100 rows.
        """
        shown = copy(self)
        shown._computes_importances = False
        attributes = super(DiagramMixin, shown)._get_fitted_attr_html(doc_link)  # type: ignore[misc]
        # A property that has no value is listed as the property itself.
        for name in [n for n, entry in attributes.items() if isinstance(entry["value"], property)]:
            del attributes[name]
        return attributes


def _bare_model(estimator: Any) -> Any:
    """Return the function, module or net that an estimator only wraps; None for any other."""
    frozen = as_estimator(estimator) if is_plain(estimator) else estimator
    inside = frozen.estimator if isinstance(frozen, FrozenEstimator) else None
    model = getattr(inside, "model", None)
    return (
        model if model is not None and type(inside).__module__ == as_estimator.__module__ else None
    )
