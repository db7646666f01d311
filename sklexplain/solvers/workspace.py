"""Memory that is used again: a fresh large array costs the system more than filling it does."""

from __future__ import annotations

import numpy as np


class Workspace:
    """Named arrays that a series of calculations uses one after the other, in one thread."""

    def __init__(self) -> None:
        self._kept: dict[str, np.ndarray] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: type = np.float64) -> np.ndarray:
        """Return an array of any content; what was got by the same name before is overwritten.

        Parameters
        ----------
        name : str
        shape : tuple of int
        dtype : type, default=float64
        """
        size = int(np.prod(shape))
        kept = self._kept.get(name)
        if kept is None or kept.dtype != dtype or kept.size < size:
            kept = self._kept[name] = np.empty(size, dtype=dtype)
        return kept[:size].reshape(shape)
