"""What a table's columns hold: text that is a date, whole numbers that are flags or ids.

Databases differ in what they can declare; SQLite has neither dates nor flags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import polars as pl
import polars.selectors as cs

from baton.relational.schema import Attribute
from baton.terms import ColumnType

MAX_LEVELS = 255
"""Most different texts of a category; a column with more is a name, a number or a remark."""

SHOWN_LEVELS = 5
"""Levels of a category whose share among a row's children is a feature, the most frequent."""

_IS_ID = re.compile(r"^(id|key)$|[_ ](id|key)$|[a-z](ID|Id|Key)$")
_IS_FLAG = re.compile(r"[a-z]Flag$|[_ ]flag$|^(is|has)([_ ]|[A-Z])")
_FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d")


def typed(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns in the types that their values have.

    Dates and times become datetimes without a zone, in UTC; columns that are ids by their name
    become text; 0 and 1 become flags where the name says so.
    """
    return frame.with_columns(_typed(frame[name]) for name in frame.columns)


def _typed(values: pl.Series) -> pl.Series:
    if values.dtype == pl.String:
        return _dated(values)
    if values.dtype == pl.Date:
        return values.cast(pl.Datetime("us"))
    if isinstance(values.dtype, pl.Datetime):
        return _in_utc(values)
    if values.dtype.is_integer():
        return _whole(values)
    if values.dtype.is_numeric():
        numbers = values.cast(pl.Float64)
        is_id = _IS_ID.search(values.name) and (numbers.drop_nans().drop_nulls() % 1 == 0).all()
        numbers = numbers.fill_nan(None)
        return numbers.cast(pl.Int64).cast(pl.String) if is_id else numbers
    return values


def _in_utc(values: pl.Series) -> pl.Series:
    if getattr(values.dtype, "time_zone", None):
        values = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return values.cast(pl.Datetime("us"))


def _dated(values: pl.Series) -> pl.Series:
    """Text that is ISO 8601 throughout as datetimes, other text as it is."""
    known = values.drop_nulls()
    if known.is_empty() or not known.head(20).str.contains(r"^\d{4}-\d{2}-\d{2}").all():
        return values
    for form in _FORMATS:
        found = values.str.to_datetime(form, strict=False, time_unit="us")
        if found.null_count() == values.null_count():
            return found
    return values


def _whole(values: pl.Series) -> pl.Series:
    if _IS_ID.search(values.name):
        return values.cast(pl.String)
    if _IS_FLAG.search(values.name) and values.drop_nulls().is_in([0, 1]).all():
        return values.cast(pl.Boolean)
    return values


def described(
    frame: pl.DataFrame, without: set[str], *, is_whole: bool = False
) -> tuple[Attribute, ...]:
    """Columns of a typed table that features can be made of, keys and empty ones left out.

    Texts of too many levels for a category are among them only where the table is wanted whole.
    """
    found = ((name, _type(frame[name])) for name in frame.columns if name not in without)
    return tuple(
        Attribute(name, one)
        for name, one in found
        if one is not None and (is_whole or one is not ColumnType.TEXT)
    )


def _type(values: pl.Series) -> ColumnType | None:
    if values.null_count() == len(values):
        return None
    if values.dtype == pl.Boolean:
        return ColumnType.FLAG
    if values.dtype.is_numeric():
        return ColumnType.NUMBER
    if isinstance(values.dtype, pl.Datetime):
        return ColumnType.DATETIME
    if values.dtype == pl.String:
        return _of_text(values)
    return None


def _of_text(values: pl.Series) -> ColumnType | None:
    """Type of a text; of very many ids nothing is to be made."""
    if values.n_unique() <= MAX_LEVELS:
        return ColumnType.CATEGORY
    return None if _IS_ID.search(values.name) else ColumnType.TEXT


def level_flags(frame: pl.DataFrame, columns: Iterable[Attribute]) -> pl.DataFrame:
    """Whether each category has one of its most frequent levels: a flag for each, by its name."""
    return frame.select(
        (pl.col(column.name) == level).alias(f"{column.name} = {level}")
        for column in columns
        if column.type is ColumnType.CATEGORY
        for level in _frequent(frame[column.name])
    )


def _frequent(values: pl.Series) -> list[str]:
    counts = (
        values.drop_nulls().value_counts().sort(["count", values.name], descending=[True, False])
    )
    return counts[values.name].head(SHOWN_LEVELS).to_list() if len(counts) > 1 else []


def datetimes(frame: pl.DataFrame) -> list[str]:
    """Names of the datetime columns."""
    return frame.select(cs.datetime()).columns
