"""Lazy rows: dask's arrays and data frames, explained block by block where the blocks are."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from joblib import parallel_config
from sklearn.utils._set_output import _get_output_config

from ..core.explanation import Explanation
from ..core.explanation_parts import warn_of_others


def is_lazy(X: Any) -> bool:
    """Whether rows are a collection of dask's, known without importing dask."""
    return type(X).__module__.partition(".")[0] == "dask" and hasattr(X, "__dask_graph__")


class LazyExplanation:
    """An explanation that is yet to be computed, block by block.

    Blocks are those of the rows that were given: of a dask array along its first axis, of a dask
    data frame its partitions. It is a dask collection, so that ``dask.compute``, ``dask.persist``
    and a distributed client's ``compute`` take it.

    Parameters
    ----------
    blocks : list of dask.delayed.Delayed
        An :class:`Explanation` each.

    Attributes
    ----------
    blocks : list of dask.delayed.Delayed

    Examples
    --------
    >>> import dask.array as da
    >>> from sklexplain import KernelSHAP
    >>> X = da.random.default_rng(0).normal(size=(100, 3), chunks=(25, 3))
    >>> explainer = KernelSHAP(lambda X: X[:, 0] + 2 * X[:, 1]).fit(X[:50].compute())
    >>> lazy = explainer.explain(X)
    >>> lazy
    LazyExplanation(4 blocks)
    >>> lazy.compute()
    Explanation(KernelSHAP: 100 samples × 3 players)
    """

    def __init__(self, blocks: list[Any]) -> None:
        from dask import delayed

        self.blocks = blocks
        self._joined = delayed(_joined)(blocks)
        self.__dask_scheduler__ = self._joined.__dask_scheduler__

    def compute(self, **options: Any) -> Explanation:
        """Compute all blocks and join them here.

        Parameters
        ----------
        **options : dict
            As of ``dask.compute``: `scheduler`, ….

        Returns
        -------
        Explanation
        """
        return self._joined.compute(**options)

    def save_parts(self, folder: str | os.PathLike[str], **options: Any) -> list[Path]:
        """Compute the blocks, each written to a file by the worker that computed it.

        No process holds more than the blocks it works on.

        Parameters
        ----------
        folder : str or path
            Made if it is not there. All workers must reach it under this name.
        **options : dict
            As of ``dask.compute``.

        Returns
        -------
        list of Path
            ``part-000000.npz``, … in the order of the blocks, for :meth:`Explanation.load`; none
            for a block without rows.
        """
        from dask import compute, delayed

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"part-{number:06d}.npz" for number in range(len(self.blocks))]
        save = delayed(_save, pure=False)
        written = [save(*pair) for pair in zip(self.blocks, paths, strict=True)]
        found = [path for path in compute(*written, **options) if path is not None]
        warn_of_others(folder, found)
        return found

    def __repr__(self) -> str:
        return f"LazyExplanation({len(self.blocks)} blocks)"

    __dask_optimize__ = None

    def __dask_graph__(self) -> Any:
        return self._joined.__dask_graph__()

    def __dask_keys__(self) -> Any:
        return self._joined.__dask_keys__()

    def __dask_layers__(self) -> Any:
        return self._joined.__dask_layers__()

    def __dask_postcompute__(self) -> Any:
        return self._joined.__dask_postcompute__()

    def __dask_postpersist__(self) -> Any:
        return self._joined.__dask_postpersist__()

    def __dask_tokenize__(self) -> Any:
        return self._joined.__dask_tokenize__()


def lazily_explained(explainer: Any, X: Any) -> LazyExplanation:
    """Return the explanations of the blocks of dask's rows, to be computed.

    Parameters
    ----------
    explainer : fitted AttributionExplainer
    X : dask array or dask DataFrame

    Returns
    -------
    LazyExplanation

    Raises
    ------
    ValueError
        If the rows are not shaped as those of `fit`, or if the explainer makes windows.
    """
    return LazyExplanation(_of_blocks(explainer, X, _explained))


def lazily_transformed(explainer: Any, X: Any) -> Any:
    """Return the attributions of dask's rows as the same kind of collection, to be computed.

    Parameters
    ----------
    explainer : fitted AttributionExplainer
    X : dask array or dask DataFrame

    Returns
    -------
    dask array of shape (n_samples, n_players * n_outputs) or dask DataFrame
        Blocks along rows as those of `X`; the index too, of a data frame.

    Raises
    ------
    ValueError
        As of :func:`lazily_explained`, and where `set_output` asks for another kind of table.
    """
    if _get_output_config("transform", explainer)["dense"] != "default":
        raise ValueError(
            "set_output cannot turn a dask collection into another kind of table; leave it at "
            '"default", and give a dask DataFrame to get one back'
        )
    names = list(explainer.get_feature_names_out())
    if _is_frame(X):
        import dask.dataframe as dd
        import pandas as pd

        blocks = _of_blocks(explainer, X, _as_frame)
        meta = pd.DataFrame(columns=names, index=X._meta.index[:0], dtype=float)
        return dd.from_delayed(blocks, meta=meta, divisions=X.divisions)
    import dask.array as da

    blocks = _of_blocks(explainer, X, _transformed)
    lengths = X.chunks[0]
    return da.concatenate(
        [
            da.from_delayed(block, shape=(length, len(names)), dtype=float)
            for block, length in zip(blocks, lengths, strict=True)
        ],
        axis=0,
        allow_unknown_chunksizes=True,
    )


def _of_blocks(explainer: Any, X: Any, function: Callable[[Any, Any], Any]) -> list[Any]:
    """Return what a function of explainer and rows is of each block, delayed."""
    from dask import delayed

    _check(explainer, X)
    if not _is_frame(X) and X.numblocks[1:] != (1,) * (X.ndim - 1):
        # A row is explained as a whole.
        X = X.rechunk(dict.fromkeys(range(1, X.ndim), -1))
    sent = copy.copy(explainer)
    # Blocks already keep the workers busy, and bars of theirs nobody sees.
    sent.verbose = 0
    # Under one name, so that it goes to each worker once.
    shared = delayed(sent, name=f"explainer-{uuid4().hex}", traverse=False)
    run = delayed(function, pure=False)
    return [run(shared, block) for block in np.ravel(X.to_delayed())]


def _check(explainer: Any, X: Any) -> None:
    """Refuse what can be refused before anything is computed."""
    if explainer.window_steps_:
        raise ValueError(
            "X is a dask collection, but the explained pipeline makes windows, which would not "
            "reach from one block into the next; make the windows first, and explain what follows"
        )
    if _is_frame(X):
        columns = explainer.codec_.columns
        missing = [name for name in columns or () if name not in X.columns]
        if missing:
            raise ValueError(f"X lacks the columns {missing} that fit saw")
        n_columns, expected = len(X.columns), explainer.row_shape_
        if columns is None and (n_columns,) != expected:
            raise ValueError(f"X has {n_columns} columns, but fit saw samples of shape {expected}")
    elif X.shape[1:] != explainer.row_shape_:
        raise ValueError(
            f"X has samples of shape {X.shape[1:]}, but the explainer was fitted on "
            f"{explainer.row_shape_}"
        )


def _is_frame(X: Any) -> bool:
    return hasattr(X, "columns")


def _explained(explainer: Any, rows: Any) -> Explanation | None:
    # A data frame that was filtered may have partitions without rows.
    if len(rows) == 0:
        return None
    with parallel_config(backend="sequential"):
        return explainer.explain(rows)


def _transformed(explainer: Any, rows: Any) -> np.ndarray:
    explanation = _explained(explainer, rows)
    if explanation is None:
        return np.empty((0, len(explainer.get_feature_names_out())))
    return explanation.values.reshape(len(explanation), -1)


def _as_frame(explainer: Any, rows: Any) -> Any:
    import pandas as pd

    columns = list(explainer.get_feature_names_out())
    return pd.DataFrame(_transformed(explainer, rows), index=rows.index, columns=columns)


def _joined(explanations: list[Explanation | None]) -> Explanation:
    return Explanation.concat(part for part in explanations if part is not None)


def _save(explanation: Explanation | None, path: Path) -> Path | None:
    if explanation is None:
        return None
    explanation.save(path)
    return path
