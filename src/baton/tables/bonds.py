"""Which rows hang together: columns of times and groups, and those that look like such.

How rows are parted by them belongs in ``baton.bonds``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from baton.errors import InputError
from baton.tables.columns import role_of, sounds_like_key
from baton.tables.features import converted
from baton.tables.levels import text_of
from baton.tables.roles import Column, Role, Schema
from baton.words.text import counted

if TYPE_CHECKING:
    import pandas as pd

_ORDERED = (Role.NUMBER, Role.DATETIME, Role.DURATION)
_FEWEST_TIMES = 10
_ROWS_PER_KEY = 1.5
_FEWEST_KEYS = 5


def time_values(series: pd.Series) -> pd.Series:
    """When each row was: numbers or dates, none missing.

    Raises
    ------
    InputError
        If the column holds neither, or some rows have no value that can be read.
    """
    import pandas as pd

    column = role_of(str(series.name), series, keep=True)
    if column.role not in _ORDERED:
        raise InputError(
            f"time {series.name!r} holds neither dates nor numbers, so no row is later than"
            " another; choose another column"
        )
    found = pd.Series(converted(series, column), series.index)
    if missing := int(found.isna().sum()):
        raise InputError(
            f"time {series.name!r} cannot be read in {counted(missing, 'row')}; fill it in or leave"
            " those rows out"
        )
    return found


def group_values(series: pd.Series) -> pd.Series:
    """What each row belongs to, as text; rows that do not say so belong together."""
    return text_of(series).to_pandas().astype("str").set_axis(series.index)


def proposals(raw: pd.DataFrame, schema: Schema) -> list[str]:
    """Sentences on columns of dates, or of a key that repeats, that nobody asked to split by."""
    return [*_of_times(raw, schema), *_of_keys(raw, schema)]


def _of_times(raw: pd.DataFrame, schema: Schema) -> Iterator[str]:
    dates = [one.name for one in schema.columns if one.role is Role.DATETIME]
    for name in dates[:1]:
        if raw[name].nunique() >= _FEWEST_TIMES:
            yield (
                f"'{name}' is a date and held-out rows are drawn at random: if new rows come"
                f" later, -p time={name} scores on the latest ones"
            )


def _of_keys(raw: pd.DataFrame, schema: Schema) -> Iterator[str]:
    for name in [one.name for one in schema.columns if _may_be_key(one)]:
        n_rows, n_keys = int(raw[name].notna().sum()), raw[name].nunique()
        if n_keys >= _FEWEST_KEYS and n_rows >= _ROWS_PER_KEY * n_keys:
            yield (
                f"'{name}' looks like a key of which {n_keys:,} values repeat in {n_rows:,} rows:"
                f" if new rows are of others, -p group={name} holds out whole ones"
            )
            return


def _may_be_key(column: Column) -> bool:
    return column.role in {Role.NUMBER, Role.CATEGORY} and sounds_like_key(column.name)
