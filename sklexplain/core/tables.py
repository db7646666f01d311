"""Tables as numbers: how the user's rows become an array that can be masked, and back again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array


@dataclass(frozen=True)
class RowCodec:
    """Turns rows into a numeric array and a masked array back into rows the model knows.

    Arrays stay arrays. A DataFrame becomes an array in which columns that are not numbers
    (text, categories, dates) are codes: masking only moves values between rows, so codes serve.

    Parameters
    ----------
    columns : tuple, optional
        The column labels of a DataFrame; None for arrays.
    dtypes : tuple, optional
        The column types of a DataFrame.
    categories : mapping from column position to ndarray
        The values that the codes of a column mean.
    """

    columns: tuple[Any, ...] | None = None
    dtypes: tuple[Any, ...] | None = None
    categories: Mapping[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def from_rows(cls, X: Any) -> RowCodec:
        """Learn the columns and categories of `X`."""
        if not _is_frame(X):
            return cls()
        return cls(tuple(X.columns), tuple(X.dtypes)).extended(X)

    @property
    def feature_names(self) -> list[str] | None:
        """Column names as text; None for arrays."""
        return None if self.columns is None else [str(name) for name in self.columns]

    def extended(self, X: Any) -> RowCodec:
        """Return a codec that also knows the categories of `X`; known codes stay as they are."""
        if self.columns is None or not _is_frame(X):
            return self
        categories = dict(self.categories)
        for position, dtype in enumerate(self.dtypes or ()):
            if _is_numeric(dtype):
                continue
            seen = X[self.columns[position]].dropna().unique()
            known = categories.get(position, np.empty(0, dtype=object))
            new = [value for value in np.asarray(seen, dtype=object) if value not in set(known)]
            fresh = np.empty(len(new), dtype=object)
            fresh[:] = new
            categories[position] = np.concatenate([known, fresh])
        return RowCodec(self.columns, self.dtypes, categories)

    def encode(self, X: Any, name: str = "X") -> np.ndarray:
        """Return rows as a numeric array of shape (n_samples, …).

        Raises
        ------
        ValueError
            If columns are missing, or if an array is not numeric or of more than three
            dimensions.
        """
        if self.columns is None:
            return _numeric_array(X, name)
        if not _is_frame(X):
            array = np.asarray(X)
            if array.ndim != 2 or array.shape[1] != len(self.columns):
                raise ValueError(
                    f"{name} has shape {array.shape}, but fit saw a DataFrame of "
                    f"{len(self.columns)} columns"
                )
            X = _frame(array, self.columns)
        missing = [column for column in self.columns if column not in X.columns]
        if missing:
            raise ValueError(f"{name} lacks the columns {missing} that fit saw")
        encoded = np.empty((len(X), len(self.columns)))
        for position, column in enumerate(self.columns):
            values = X[column]
            if position in self.categories:
                codes = {value: code for code, value in enumerate(self.categories[position])}
                encoded[:, position] = values.map(codes).to_numpy(dtype=float, na_value=np.nan)
            else:
                try:
                    encoded[:, position] = values.to_numpy(dtype=float, na_value=np.nan)
                except (TypeError, ValueError) as error:
                    raise ValueError(
                        f"column {column!r} of {name} is not numeric, but it was when fitted: "
                        f"{error}"
                    ) from error
        return encoded

    def decode(self, rows: np.ndarray) -> Any:
        """Return a numeric array as the kind of rows that was learned."""
        if self.columns is None or rows.ndim != 2:
            return rows
        frame = _frame(rows, self.columns)
        for position, column in enumerate(self.columns):
            dtype = (self.dtypes or ())[position]
            if position in self.categories:
                frame[column] = self._decoded(rows[:, position], position, dtype)
            elif dtype != frame[column].dtype and _fits(rows[:, position], dtype):
                frame[column] = frame[column].astype(dtype)
        return frame

    def _decoded(self, codes: np.ndarray, position: int, dtype: Any) -> Any:
        import pandas as pd

        known = self.categories[position]
        values = np.empty(len(codes), dtype=object)
        present = ~np.isnan(codes)
        values[present] = known[codes[present].astype(np.intp)]
        values[~present] = None
        return pd.Series(values).astype(dtype)


def _is_frame(X: Any) -> bool:
    return hasattr(X, "columns") and hasattr(X, "dtypes") and hasattr(X, "iloc")


def _is_numeric(dtype: Any) -> bool:
    return getattr(dtype, "kind", "O") in "biuf"


def _fits(values: np.ndarray, dtype: Any) -> bool:
    """Whether a float column can be cast back without changing a value."""
    if getattr(dtype, "kind", "O") not in "iub":
        return True
    return bool(np.all(np.isfinite(values)) and np.all(values == np.floor(values)))


def _frame(rows: np.ndarray, columns: tuple[Any, ...]) -> Any:
    import pandas as pd

    return pd.DataFrame(rows, columns=list(columns))


def _numeric_array(X: Any, name: str) -> np.ndarray:
    array = check_array(
        X,
        allow_nd=True,
        dtype=(np.float64, np.float32),
        ensure_all_finite=False,
        input_name=name,
    )
    if array.ndim > 3:
        raise ValueError(
            f"{name} has {array.ndim} dimensions {array.shape}; give a table (n_samples, "
            "n_columns) or windows (n_samples, n_timesteps, n_features)"
        )
    return array
