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
    missing : mapping from column position to object
        How a column of objects writes a missing value: None and NaN are different to encoders.
    """

    columns: tuple[Any, ...] | None = None
    dtypes: tuple[Any, ...] | None = None
    categories: Mapping[int, np.ndarray] = field(default_factory=dict)
    missing: Mapping[int, Any] = field(default_factory=dict)

    def __getstate__(self) -> dict[str, Any]:
        # Column types as text, because safe formats do not know those of pandas.
        dtypes = None if self.dtypes is None else [_type_as_text(dtype) for dtype in self.dtypes]
        return {**self.__dict__, "dtypes": dtypes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        dtypes = state["dtypes"]
        if dtypes is not None:
            dtypes = tuple(_type_from_text(dtype) for dtype in dtypes)
        self.__dict__.update({**state, "dtypes": dtypes})

    @classmethod
    def from_rows(cls, X: Any) -> RowCodec:
        """Learn the columns and categories of `X`.

        Raises
        ------
        ValueError
            If a DataFrame has two columns of the same name.
        """
        X = as_pandas(X)
        if not _is_frame(X):
            return cls()
        if not X.columns.is_unique:
            twice = sorted({str(name) for name in X.columns[X.columns.duplicated()]})
            raise ValueError(f"X has several columns named {twice}; names must be unique")
        return cls(tuple(X.columns), tuple(X.dtypes)).extended(X)

    @property
    def feature_names(self) -> list[str] | None:
        """Column names as text; None for arrays."""
        return None if self.columns is None else [str(name) for name in self.columns]

    def extended(self, X: Any) -> RowCodec:
        """Return a codec that also knows the categories of `X`; known codes stay as they are."""
        X = as_pandas(X)
        if self.columns is None or not _is_frame(X):
            return self
        categories, missing = dict(self.categories), dict(self.missing)
        for position, dtype in enumerate(self.dtypes or ()):
            if _is_numeric(dtype) or self.columns[position] not in X.columns:
                continue
            column = X[self.columns[position]]
            if position not in missing and isinstance(dtype, np.dtype) and column.hasnans:
                missing[position] = column[column.isna()].iloc[0]
            seen = np.asarray(column.dropna().unique(), dtype=object)
            known = categories.get(position, np.empty(0, dtype=object))
            known_values = set(known)
            new = [value for value in seen if value not in known_values]
            fresh = np.empty(len(new), dtype=object)
            fresh[:] = new
            categories[position] = np.concatenate([known, fresh])
        return RowCodec(self.columns, self.dtypes, categories, missing)

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
        X = as_pandas(X, name)
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
            elif dtype != frame[column].dtype:
                frame[column] = _restored(frame[column], dtype)
        return frame

    def _decoded(self, codes: np.ndarray, position: int, dtype: Any) -> Any:
        import pandas as pd

        known = self.categories[position]
        values = np.empty(len(codes), dtype=object)
        present = ~np.isnan(codes)
        values[present] = known[codes[present].astype(np.intp)]
        values[~present] = self.missing.get(position, np.nan)
        if isinstance(dtype, pd.CategoricalDtype):
            # A cast to the learned categories would turn those seen since into missing values.
            new = [value for value in known if value not in dtype.categories]
            if new:
                dtype = pd.CategoricalDtype([*dtype.categories, *new], dtype.ordered)
        return pd.Series(values, dtype=object).astype(dtype)


def as_pandas(X: Any, name: str = "X") -> Any:
    """Return a polars DataFrame as one of pandas, its names kept, and all else as it is.

    Raises
    ------
    TypeError
        If `X` is a query of polars, or a single column.
    ImportError
        If pandas, or pyarrow, which carries the columns over, is missing.
    """
    kind = type(X)
    if kind.__module__.split(".")[0] != "polars":
        return X
    if kind.__name__ != "DataFrame":
        raise TypeError(
            f"{name} is a polars {kind.__name__}; give a DataFrame, such as lazy_frame.collect() "
            "or series.to_frame()"
        )
    try:
        return X.to_pandas()
    except ImportError as error:
        raise ImportError(
            "polars DataFrames need pandas and pyarrow: pip install 'sklexplain[cli]'"
        ) from error


def _type_as_text(dtype: Any) -> str | dict[str, Any]:
    categories = getattr(dtype, "categories", None)
    if categories is None:
        return str(dtype)
    return {
        "categories": categories.tolist(),
        "of": str(categories.dtype),
        "ordered": bool(dtype.ordered),
    }


def _type_from_text(stored: str | dict[str, Any]) -> Any:
    import pandas as pd

    if isinstance(stored, str):
        return pd.api.types.pandas_dtype(stored)
    categories = pd.Index(stored["categories"], dtype=stored["of"])
    return pd.CategoricalDtype(categories, stored["ordered"])


def _is_frame(X: Any) -> bool:
    return hasattr(X, "columns") and hasattr(X, "dtypes") and hasattr(X, "iloc")


def _is_numeric(dtype: Any) -> bool:
    return getattr(dtype, "kind", "O") in "biuf"


def _restored(column: Any, dtype: Any) -> Any:
    """Return a column of floats as its learned type, unless that would change a value."""
    try:
        with np.errstate(invalid="ignore"):
            cast = column.astype(dtype)
    except (TypeError, ValueError, OverflowError):
        return column
    values = cast.to_numpy(dtype=float, na_value=np.nan)
    return cast if np.array_equal(values, column.to_numpy(), equal_nan=True) else column


def _frame(rows: np.ndarray, columns: tuple[Any, ...]) -> Any:
    import pandas as pd

    return pd.DataFrame(rows, columns=list(columns))


def _numeric_array(X: Any, name: str) -> np.ndarray:
    if isinstance(X, np.ma.MaskedArray) and np.ma.is_masked(X):
        raise ValueError(
            f"{name} is an array with masked entries, whose mask would be lost; give "
            f"{name}.filled(np.nan), or fill it with values"
        )
    try:
        array = check_array(
            X,
            allow_nd=True,
            dtype=(np.float64, np.float32),
            ensure_all_finite=False,
            input_name=name,
        )
    except (TypeError, ValueError, OverflowError) as error:
        if "could not convert" in str(error):
            raise ValueError(
                f"{name} is an array that holds something else than numbers ({error}); give "
                "columns of text as a DataFrame"
            ) from error
        if isinstance(error, TypeError) and f"for {name}" in str(error):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} cannot be read as rows of numbers: {error}") from error
    if array.ndim > 3 or 0 in array.shape[1:]:
        what = "no time steps or no features" if array.ndim <= 3 else f"{array.ndim} dimensions"
        raise ValueError(
            f"{name} has {what} {array.shape}; give a table (n_samples, n_columns) or windows "
            "(n_samples, n_timesteps, n_features)"
        )
    return array
