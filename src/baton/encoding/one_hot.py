"""The other encoding: a column of zeros and ones per category level, in a sparse matrix.

For models that weigh and add. Dates and what a value is are ``baton.encoding.native``'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel

from baton.encoding.native import (
    GREATEST,
    ColumnEncoding,
    Encoder,
    column_encodings,
    encode,
    level_counts,
    median,
)
from baton.errors import InputError
from baton.terms import ColumnType

if TYPE_CHECKING:
    import pandas as pd


class NumberScale(BaseModel, frozen=True, extra="forbid"):
    """What training rows say about a column of numbers."""

    fill: float
    """What a missing value becomes: the median."""
    centre: float = 0.0
    scale: float = 1.0


class OneHotEncoder(Encoder, frozen=True, extra="forbid"):
    """A fitted encoding into a sparse matrix.

    All levels are told apart, however many; a missing or unseen one is a row of zeros. Missing
    numbers become the median of the training rows. Numbers are stored, zeros too; only the zeros
    of categories are not, as scikit-learn's ``DictVectorizer`` does.
    """

    encoding: Literal["one_hot"] = "one_hot"
    numbers: tuple[NumberScale, ...]
    """One for every column of the matrix that is no category's."""

    @classmethod
    def fit(
        cls,
        table: pd.DataFrame,
        *,
        fills_missing: bool = True,  # noqa: ARG003
        standardize: bool = False,
    ) -> OneHotEncoder:
        """Learn the encoding from training rows.

        Parameters
        ----------
        table : DataFrame of shape (n, k)
            Columns of numbers, booleans, datetimes or categoricals, target not among them.
        fills_missing : bool
            Of no effect: a sparse matrix is always filled.
        standardize : bool
            Whether numbers are centred and scaled to a standard deviation of 1.

        Raises
        ------
        InputError
            If the table has no column, or no value at all in any.
        """
        columns = tuple(_with_all_levels(one, table) for one in column_encodings(table))
        numbers = [
            _scale(values, standardize=standardize)
            for column in columns
            if column.role is not ColumnType.CATEGORY
            for values in encode(table[column.name], column)
        ]
        if not numbers and not any(column.levels for column in columns):
            raise InputError("no column is left to learn from; every value is missing")
        return cls(columns=columns, numbers=tuple(numbers))

    def names_of(self, column: ColumnEncoding) -> tuple[str, ...]:
        """Names of the matrix's columns that a column of the user becomes."""
        if column.role is ColumnType.CATEGORY:
            return tuple(f"{column.name}={level}" for level in column.levels)
        return column.names

    @property
    def feature_types(self) -> list[str]:
        """Every column of the matrix is a number."""
        return ["q"] * len(self.names)

    def transform(self, table: pd.DataFrame) -> Any:
        """Encode rows.

        Returns
        -------
        csr_matrix of shape (n, number of `names`), float64.

        Raises
        ------
        InputError
            If a column is missing.
        """
        from scipy.sparse import hstack

        self.require_columns(table)
        blocks, numbers = [], iter(self.numbers)
        for column in self.columns:
            encoded = list(encode(table[column.name], column))
            if column.role is ColumnType.CATEGORY:
                blocks.append(_indicators(encoded[0], len(column.levels)))
            else:
                blocks.append(_stored([_filled(values, next(numbers)) for values in encoded]))
        return hstack(blocks, format="csr")


def _with_all_levels(column: ColumnEncoding, table: pd.DataFrame) -> ColumnEncoding:
    if column.role is not ColumnType.CATEGORY:
        return column
    levels = tuple(sorted(level_counts(table[column.name]).index))
    return column.model_copy(update={"levels": levels, "keeps_rest": False})


def _scale(values: Any, *, standardize: bool) -> NumberScale:
    fill = median(values)
    if not standardize:
        return NumberScale(fill=fill)
    filled = np.where(np.isnan(values), fill, values)
    spread = float(filled.std())
    # What rounding leaves of a constant column is no spread.
    is_constant = spread <= 1e-12 * float(np.abs(filled).max(initial=0.0))
    return NumberScale(fill=fill, centre=float(filled.mean()), scale=1.0 if is_constant else spread)


def _filled(values: Any, number: NumberScale) -> Any:
    known = np.where(np.isnan(values), number.fill, values)
    return np.clip((known - number.centre) / number.scale, -GREATEST, GREATEST)


def _stored(columns: list[Any]) -> Any:
    """Columns of numbers as a sparse matrix that stores every one of them."""
    from scipy.sparse import csr_matrix

    values = np.column_stack(columns)
    n_rows, n_columns = values.shape
    places = np.tile(np.arange(n_columns, dtype=np.int32), n_rows)
    starts = np.arange(n_rows + 1, dtype=np.int32) * n_columns
    return csr_matrix((values.ravel(), places, starts), shape=values.shape)


def _indicators(codes: Any, n_levels: int) -> Any:
    """One where the code is, nothing where it is NaN."""
    from scipy.sparse import csr_matrix

    is_known = ~np.isnan(codes)
    starts = np.concatenate([[0], np.cumsum(is_known)]).astype(np.int32)
    places = codes[is_known].astype(np.int32)
    return csr_matrix((np.ones(len(places)), places, starts), shape=(len(codes), n_levels))
