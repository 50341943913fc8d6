"""A profile as a plain table, a row for each bin, that any tool opens."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from baton.errors import InputError
from baton.monitoring.columns import ColumnProfile, Profile
from baton.terms import ColumnType

if TYPE_CHECKING:
    import pyarrow as pa

_OF_COLUMN = (
    "kind",
    "role",
    "says_date",
    "is_each_a_value",
    "is_closed",
    "n_rows",
    "n_missing",
)
_MEND = "the file was altered; delete it and run its chain again"


def _schema() -> pa.Schema:
    import pyarrow as pa

    types: dict[str, pa.DataType] = {
        "n_rows_of_table": pa.int64(),
        "place": pa.int32(),
        "column": pa.string(),
        "kind": pa.string(),
        "role": pa.string(),
        "says_date": pa.bool_(),
        "is_each_a_value": pa.bool_(),
        "is_closed": pa.bool_(),
        "n_rows": pa.int64(),
        "n_missing": pa.int64(),
        "bin": pa.string(),
        "label": pa.string(),
        "upper": pa.float64(),
        "level": pa.string(),
        "count": pa.int64(),
    }
    return pa.schema(list(types.items()))


def to_table(profile: Profile) -> pa.Table:
    """Return a profile as a table: a row for each bin, and for each known level without one.

    Parameters
    ----------
    profile : Profile
    """
    import pyarrow as pa

    rows = [
        {"n_rows_of_table": profile.n_rows, "place": place, **line}
        for place, column in enumerate(profile.columns)
        for line in _lines(column)
    ]
    return pa.Table.from_pylist(rows, schema=_schema())


def _lines(column: ColumnProfile) -> Iterator[dict[str, Any]]:
    own = {"column": column.name} | {name: getattr(column, name) for name in _OF_COLUMN}
    own["role"] = column.role.value
    for bin_, label, count in zip(_bins(column), column.labels, column.counts, strict=True):
        yield own | bin_ | {"label": label, "count": count}
    for level in column.rarer:
        yield own | {"bin": "rarer", "level": level}
    yield own | {"bin": "missing", "label": "missing", "count": column.n_missing}


def _bins(column: ColumnProfile) -> list[dict[str, Any]]:
    if column.has_levels:
        levels = [{"bin": "level", "level": level} for level in column.levels]
        return [*levels, {"bin": "other"}, {"bin": "unknown"}]
    return [{"bin": "interval", "upper": edge} for edge in (*column.edges, None)]


def from_table(table: pa.Table) -> Profile:
    """Return the profile that a table was made of.

    Raises
    ------
    InputError
        If it is no such table.
    """
    if lacking := [name for name in _schema().names if name not in table.column_names]:
        raise InputError(f"a profile lacks its column {lacking[0]!r}: {_MEND}")
    rows = table.to_pylist()
    try:
        columns = [_column(list(lines)) for _, lines in groupby(rows, lambda row: row["place"])]
    except (ValueError, TypeError):
        raise InputError(f"a profile cannot be read: {_MEND}") from None
    return Profile(tuple(columns), rows[0]["n_rows_of_table"] if rows else 0)


def _column(lines: list[dict[str, Any]]) -> ColumnProfile:
    first, bins = lines[0], [line for line in lines if line["bin"] not in {"rarer", "missing"}]
    own = {name: first[name] for name in _OF_COLUMN} | {"role": ColumnType(first["role"])}
    column = ColumnProfile(
        name=first["column"],
        edges=tuple(line["upper"] for line in bins if line["upper"] is not None),
        levels=tuple(line["level"] for line in bins if line["bin"] == "level"),
        rarer=tuple(line["level"] for line in lines if line["bin"] == "rarer"),
        counts=tuple(line["count"] for line in bins),
        **own,
    )
    if len(bins) != column.n_bins:
        raise ValueError(column.name)
    return column
