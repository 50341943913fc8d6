"""From a feature table in the user's columns to the matrix that a model is fitted on.

What is learned here (category levels, which parts of a date vary) is learned from training
rows alone and travels with the model as JSON. A column per category level, for models that can
only weigh and add, belongs in ``baton.encoding.one_hot``; cleaning a raw table in its problem.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from baton.encoding.precision import offset_and_knots, told_apart
from baton.encoding.statistics import MOST_CODES, looked_up
from baton.encoding.words import LOOKS, is_prose, vocabulary, word_columns
from baton.errors import InputError
from baton.terms import ColumnType

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    Matrix = np.ndarray[tuple[int, int], np.dtype[np.float32]]

MAX_LEVELS = MOST_CODES + 1
"""Most category levels of one column that are told apart; rarer ones become one level."""

OTHER = "(other)"

UNKNOWN = -1.0
"""Code of a missing or unseen category for models that take no missing value."""

_DATE_PARTS = ("year", "month", "day", "weekday", "hour", "minute")
_MICROSECONDS_PER_DAY = 86_400 * 10**6
GREATEST = float(np.finfo(np.float32).max)
"""What a greater number, infinity too, becomes: trees compare in float32."""


class ColumnEncoding(BaseModel, frozen=True, extra="forbid"):
    """How one column of the user becomes one or more columns of the matrix."""

    name: str
    role: ColumnType
    levels: tuple[str, ...] = ()
    """Levels of a category; a level's place is its code."""
    keeps_rest: bool = True
    """Whether a last level `OTHER` stands for every level that is not listed."""
    parts: tuple[str, ...] = ()
    """Parts of a datetime that vary in training."""
    averages: tuple[tuple[float, ...], ...] = ()
    """The target's averages of each level, where they stand for its code."""
    prior: tuple[float, ...] = ()
    """The same of a missing level, or one that is not listed; empty where codes are used."""
    words: tuple[str, ...] = ()
    """Words, and pairs of words, of a text that become columns."""
    weights: tuple[float, ...] = ()
    """Their inverse document frequencies."""
    offset: float = 0.0
    """What is subtracted from a number, or from a datetime's days."""
    knots: tuple[float, ...] = ()
    """Numbers whose places stand for the values, where float32 would make several of them one."""

    @property
    def is_coded(self) -> bool:
        """Whether it becomes one column of codes."""
        return self.role is ColumnType.CATEGORY and not self.prior

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns that it becomes."""
        if self.role is ColumnType.DATETIME:
            return tuple(f"{self.name} ({part})" for part in self.parts)
        if self.role is ColumnType.TEXT:
            looks = (f"{self.name} ({one})" for one in LOOKS)
            return (*(f"{self.name}: {word}" for word in self.words), *looks)
        if len(self.prior) > 1:
            return tuple(f"{self.name} (share of class {n})" for n in range(len(self.prior)))
        return (self.name,)


class Encoder(BaseModel, frozen=True, extra="forbid"):
    """A fitted encoding of a feature table."""

    columns: tuple[ColumnEncoding, ...]
    fills: tuple[float, ...] = ()
    """What a missing value becomes, one per column of the matrix; empty if it stays missing."""

    @classmethod
    def fit(cls, table: pd.DataFrame, *, fills_missing: bool = False) -> Encoder:
        """Learn the encoding from training rows.

        Parameters
        ----------
        table : DataFrame of shape (n, k)
            Columns of numbers, booleans, datetimes or categoricals, target not among them.
        fills_missing : bool
            For models that take no missing value: a number becomes the median of the training
            rows, a category becomes a level of its own, −1.

        Raises
        ------
        InputError
            If the table has no column.
        """
        fitted = cls(columns=column_encodings(table))
        if not fills_missing:
            return fitted
        matrix = fitted.transform(table)
        fills = [
            UNKNOWN if kind == "c" else median(matrix[:, place])
            for place, kind in enumerate(fitted.feature_types)
        ]
        return fitted.model_copy(update={"fills": tuple(fills)})

    @property
    def column_names(self) -> list[str]:
        """Names of the user's columns, in order."""
        return [column.name for column in self.columns]

    def names_of(self, column: ColumnEncoding) -> tuple[str, ...]:
        """Names of the matrix's columns that a column of the user becomes."""
        return column.names

    @property
    def names(self) -> list[str]:
        """Names of the matrix's columns, in order."""
        return [name for column in self.columns for name in self.names_of(column)]

    @property
    def sources(self) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """For every column of the matrix, the place of the user's column it comes from."""
        widths = [len(self.names_of(column)) for column in self.columns]
        return np.repeat(np.arange(len(self.columns)), widths)

    @property
    def feature_types(self) -> list[str]:
        """XGBoost's type of every column of the matrix: ``c`` for a category, else ``q``."""
        return ["c" if column.is_coded else "q" for column in self.columns for _ in column.names]

    def transform(self, table: pd.DataFrame) -> Matrix:
        """Encode rows.

        Parameters
        ----------
        table : DataFrame of shape (n, ≥ k)
            The user's columns; others are ignored.

        Returns
        -------
        array of shape (n, number of `names`), float32, NaN where a value is missing or unseen.

        Raises
        ------
        InputError
            If a column is missing.
        """
        self.require_columns(table)
        matrix = np.empty((len(table), len(self.names)), dtype=np.float32)
        place = 0
        for column in self.columns:
            for values in encode(table[column.name], column):
                matrix[:, place] = values
                place += 1
        if self.fills:
            return np.where(np.isnan(matrix), np.asarray(self.fills, dtype=np.float32), matrix)
        return matrix

    def require_columns(self, table: pd.DataFrame) -> None:
        """See that a table has every column.

        Raises
        ------
        InputError
            If one is missing.
        """
        missing = [name for name in self.column_names if name not in table.columns]
        if missing:
            raise InputError(f"columns are missing: {', '.join(missing)}")


def column_encodings(table: pd.DataFrame) -> tuple[ColumnEncoding, ...]:
    """Learn how each column of training rows becomes numbers.

    Raises
    ------
    InputError
        If the table has no column.
    """
    if table.shape[1] == 0:
        raise InputError("no column is left to learn from; keep at least one beside the target")
    return tuple(_encoding(table[name]) for name in table.columns)


def median(values: Any) -> float:
    """Median of the numbers that are known; 0 if none is."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else 0.0


def _encoding(values: pd.Series) -> ColumnEncoding:
    from pandas.api import types

    name = str(values.name)
    if types.is_bool_dtype(values.dtype):
        return ColumnEncoding(name=name, role=ColumnType.FLAG)
    if types.is_numeric_dtype(values.dtype):
        offset, knots = offset_and_knots(_numbers(values))
        return ColumnEncoding(name=name, role=ColumnType.NUMBER, offset=offset, knots=knots)
    if types.is_datetime64_any_dtype(values.dtype):
        parts = _varying_parts(values)
        (days,) = _date_parts(values, ("days",))
        offset, knots = offset_and_knots(days)
        return ColumnEncoding(
            name=name, role=ColumnType.DATETIME, parts=parts, offset=offset, knots=knots
        )
    if _is_text(values):
        words, weights = vocabulary(values)
        return ColumnEncoding(name=name, role=ColumnType.TEXT, words=words, weights=weights)
    return ColumnEncoding(name=name, role=ColumnType.CATEGORY, levels=_levels(values))


def _is_text(values: pd.Series) -> bool:
    """Whether it is free text; what was made a category is none."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        return False
    known = values.dropna().astype(str)
    return is_prose(known.unique().tolist(), len(known))


def level_counts(values: pd.Series) -> pd.Series:
    """How often each level of a category occurs, missing ones left out."""
    counts = values.dropna().astype(str).value_counts()
    return counts[counts > 0]


def _levels(values: pd.Series) -> tuple[str, ...]:
    counts = level_counts(values)
    ordered = sorted(counts.index, key=lambda level: (-counts[level], level))
    if len(ordered) <= MAX_LEVELS:
        return tuple(ordered)
    ordered = [level for level in ordered if level != OTHER]
    return (*ordered[: MAX_LEVELS - 1], OTHER)


def _varying_parts(values: pd.Series) -> tuple[str, ...]:
    import pandas as pd

    known = pd.to_datetime(values.dropna(), utc=True)  # as they are encoded
    varying = [part for part in _DATE_PARTS if getattr(known.dt, part).nunique() > 1]
    return (*varying, "days")


def encode(values: pd.Series, column: ColumnEncoding) -> Iterator[Any]:
    """Yield what a column becomes, float64, NaN where a value is missing or unseen."""
    match column.role:
        case ColumnType.NUMBER:
            yield told_apart(_numbers(values), column.offset, column.knots)
        case ColumnType.FLAG:
            yield _numbers(_flags(values))
        case ColumnType.CATEGORY if column.prior:
            yield from looked_up(places_of(values, column), column.averages, column.prior).T
        case ColumnType.CATEGORY:
            yield _codes(values, column.levels, keeps_rest=column.keeps_rest)
        case ColumnType.DATETIME:
            *parts, days = _date_parts(values, column.parts)
            yield from (*parts, told_apart(days, column.offset, column.knots))
        case ColumnType.TEXT:
            yield from word_columns(values, column.words, column.weights)


def _numbers(values: pd.Series) -> Any:
    """Numbers, also from text; what is too large for the matrix, infinity too, is its limit."""
    import pandas as pd
    from pandas.api import types

    if not types.is_numeric_dtype(values.dtype):
        values = pd.to_numeric(values.astype(object), errors="coerce")
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    return np.clip(numbers, -GREATEST, GREATEST)


def _flags(values: pd.Series) -> pd.Series:
    """Booleans that came as text, as numbers."""
    from pandas.api import types

    if types.is_numeric_dtype(values.dtype):  # booleans among them
        return values
    known = {"true": 1, "false": 0}
    return values.astype(object).map(lambda one: known.get(str(one).strip().lower(), one))


def places_of(values: pd.Series, column: ColumnEncoding) -> Any:
    """Place of every row's level among those listed, −1 for none: int array of shape (n,)."""
    codes = _codes(values, column.levels, keeps_rest=column.keeps_rest)
    return np.where(np.isnan(codes), -1, codes).astype(np.intp)


def _codes(values: pd.Series, levels: tuple[str, ...], *, keeps_rest: bool) -> Any:
    import pandas as pd

    has_rest = keeps_rest and levels[-1:] == (OTHER,)

    known = pd.Index(levels)
    if isinstance(values.dtype, pd.CategoricalDtype):  # translate the levels, not the rows
        of_level = np.append(_or_last(_places(values.cat.categories, known), known, has_rest), -1)
        codes = of_level[values.cat.codes.to_numpy()]
    else:
        codes = _or_last(_places(pd.Index(values), known), known, has_rest)
        codes = np.where(values.isna(), -1, codes)
    return np.where(codes < 0, np.nan, codes)


def _places(values: pd.Index, known: pd.Index) -> Any:
    """Places of values among the levels.

    3 and 3.0 are one, as JSON beside a null makes them; so are True and true, as a file that
    holds nothing else in the column is read.
    """
    from pandas.api import types

    names = values.astype(str)
    places = known.get_indexer(names)
    if not types.is_numeric_dtype(values.dtype):
        words = names.where(~names.isin(["True", "False"]), names.str.lower())
        return np.where(places < 0, known.get_indexer(words), places)
    is_float = types.is_float_dtype(values.dtype)
    others = names.str.removesuffix(".0") if is_float else names + ".0"
    return np.where(places < 0, known.get_indexer(others), places)


def _or_last(codes: Any, known: pd.Index, has_rest: bool) -> Any:
    return np.where(codes < 0, len(known) - 1, codes) if has_rest else codes


def _date_parts(values: pd.Series, parts: tuple[str, ...]) -> Iterator[Any]:
    import pandas as pd

    if not pd.api.types.is_datetime64_any_dtype(values.dtype):  # each line may be written its way
        values = pd.to_datetime(values.astype(object), utc=True, errors="coerce", format="mixed")
    times = pd.to_datetime(values, utc=True).dt.tz_localize(None)
    for part in parts:
        if part == "days":
            microseconds = times.astype("datetime64[us]").astype("int64").to_numpy()
            days = microseconds / _MICROSECONDS_PER_DAY
            yield np.where(times.isna(), np.nan, days)
        else:
            yield getattr(times.dt, part).to_numpy(dtype=np.float64, na_value=np.nan)
