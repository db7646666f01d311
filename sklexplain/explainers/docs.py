"""The explainers' docstrings: parameters that several have are documented once."""

from __future__ import annotations

import textwrap
from typing import TypeVar

_SHARED = {
    "feature_names": """\
feature_names : list of str, default=None
    Names of the variables where X is an array.
""",
    "n_jobs": """\
n_jobs : int, default=None
    Workers, through joblib: threads or processes, whichever suits the estimator, unless
    ``joblib.parallel_config`` says where. The numbers are the same.
""",
    "memory": """\
memory : str, path or joblib.Memory, default=None
    Where finished chunks of rows are kept, about 100,000 evaluations each, so that a run that was
    stopped or killed goes on where it was: started again with the same model, rows and parameters
    (and a number as `random_state`), it computes what is missing. With several workers, up to two
    seconds' worth of chunks are finished together. Fitted estimators are kept too:
    the same one is not fitted twice on the same rows. Those are read and written by pickle, so
    give a folder that nobody else writes to.
""",
    "on_error": """\
on_error : {"raise", "nan"}, default="raise"
    Where the model raises an error or returns NaN for a row: raise a `ModelError`, or mark all
    results of the row NaN, warn, and go on with the others.
""",
    "verbose": """\
verbose : int, default=0
    1 shows a progress bar.
""",
    "importances": """\
importances_, importances_std_ : ndarray of shape (n_players,)
    Mean and standard deviation of the absolute values over up to 100 training rows,
    computed when first asked for.
feature_importances_ : ndarray of shape (n_columns,)
    The same, where players are columns.
""",
}

_Class = TypeVar("_Class", bound=type)


def documented(cls: _Class) -> _Class:
    """Put the shared descriptions in place of lines such as ``%(memory)s``."""
    doc = cls.__doc__ or ""
    for name, text in _SHARED.items():
        doc = doc.replace(f"    %({name})s\n", textwrap.indent(text, "    "))
    cls.__doc__ = doc
    return cls
