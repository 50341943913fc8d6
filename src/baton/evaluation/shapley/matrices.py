"""What an estimator is given: matrices, dense or sparse, and data frames."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Groups:
    """Which columns of the matrix each of the user's columns became; they stand side by side."""

    sources: Array
    n_features: int

    def sum(self, values: Array) -> Array:
        """Sum (n, n_encoded, n_outputs) to the user's columns."""
        if np.array_equal(self.sources, np.arange(self.n_features)):
            return values
        present, starts = np.unique(self.sources, return_index=True)
        summed = np.zeros((len(values), self.n_features, values.shape[2]), dtype=values.dtype)
        summed[:, present] = np.add.reduceat(values, starts, axis=1)
        return summed

    def blocks(self, matrix: Any) -> list[Any]:
        """Part a matrix, dense or sparse, into the user's columns."""
        edges = np.searchsorted(self.sources, np.arange(self.n_features + 1))
        return [matrix[:, begin:end] for begin, end in itertools.pairwise(edges)]


def n_rows_of(X: Any) -> int:
    """Number of rows, of a sparse matrix too."""
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)  # a sparse matrix has no len


def head(X: Any, n_rows: int) -> Any:
    """First rows."""
    return X.iloc[:n_rows] if hasattr(X, "iloc") else X[:n_rows]


def feature_names(estimator: Any, X: Any) -> tuple[str, ...]:
    """Names of the columns: the table's, else the estimator's, else the places x0 to xk."""
    if hasattr(X, "columns"):
        return tuple(map(str, X.columns))
    given = getattr(estimator, "feature_names_in_", None)
    if given is not None and len(given) == X.shape[1]:
        return tuple(map(str, given))
    return tuple(f"x{place}" for place in range(X.shape[1]))


def is_sparse(X: Any) -> bool:
    """Whether it is one of scipy's sparse matrices."""
    return hasattr(X, "toarray")


def is_numeric(X: Any) -> bool:
    """Whether every column holds numbers or flags."""
    from pandas.api.types import is_numeric_dtype

    return all(map(is_numeric_dtype, X.dtypes if hasattr(X, "dtypes") else [X.dtype]))


def numbers(X: Any) -> Array:
    """Dense array of shape (n, n_features), float64; missing values are NaN."""
    if hasattr(X, "columns"):
        return np.asarray(X.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(X.toarray() if is_sparse(X) else X, dtype=np.float64)


def placed(X: Any, background: Any, groups: Groups) -> tuple[Array, Array, Callable[[Array], Any]]:
    """The user's columns as places of rows, and the way back to the matrix.

    A date or a category is one column however many it is encoded to. Equal values are one place.
    """
    from scipy.sparse import hstack, vstack

    has_zeros = is_sparse(X)
    whole = vstack([X, background], format="csr") if has_zeros else np.vstack([X, background])
    blocks = groups.blocks(whole)
    places = np.column_stack([_first_places(block) for block in blocks])

    def restore(found: Array) -> Any:
        parts = [block[found[:, place].astype(np.intp)] for place, block in enumerate(blocks)]
        return hstack(parts, format="csr") if has_zeros else np.hstack(parts)

    n_rows = n_rows_of(X)
    return places[:n_rows], places[n_rows:], restore


def _first_places(block: Any) -> Array:
    """For every row, the place of the first row that equals it."""
    first: dict[Any, int] = {}
    found = np.empty(block.shape[0])
    for place in range(block.shape[0]):
        row = block[place]
        key = (row.indices.tobytes(), row.data.tobytes()) if is_sparse(row) else row.tobytes()
        found[place] = first.setdefault(key, place)
    return found


def coded(X: Any, background: Any) -> tuple[Array, Array, Callable[[Array], Any]]:
    """Rows as numbers, and the way back to what the estimator takes."""
    if not hasattr(X, "columns"):
        return numbers(X), numbers(background), lambda coded: coded
    import pandas as pd

    whole = pd.concat([X, background], ignore_index=True)
    columns = [_coded_column(whole.iloc[:, place]) for place in range(whole.shape[1])]
    coded = np.column_stack([values for values, _ in columns])

    def restore(found: Array) -> pd.DataFrame:
        restored = [back(found[:, place]) for place, (_, back) in enumerate(columns)]
        frame = pd.concat([pd.Series(one) for one in restored], axis=1)
        frame.columns = whole.columns
        return frame

    return coded[: len(X)], coded[len(X) :], restore


def _coded_column(values: pd.Series) -> tuple[Array, Callable[[Array], Any]]:
    import pandas as pd

    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "fiub":
        return values.to_numpy(np.float64), lambda found: found.astype(values.dtype)
    codes, levels = pd.factorize(values.array, use_na_sentinel=True)

    def back(found: Array) -> Any:
        return pd.Series(levels).array.take(found.astype(np.intp), allow_fill=True)

    return codes.astype(np.float64), back
