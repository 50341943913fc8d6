"""Cells of new rows that a model cannot take as they stand: a line for each, and counts by column.

Which cells cannot be read is found in ``baton.tables.unread``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from baton.encoding.native import Encoder, places_of
from baton.tables.roles import Role
from baton.tables.unread import Tally, Unread, tallied
from baton.terms import ROW, ColumnType
from baton.warning import DataWarning, WarningKind

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

UNKNOWN = "a category that the model does not know"


@dataclass(frozen=True)
class Unknown:
    """Cells of a column whose category is none that a model knows."""

    column: str
    n_given: int
    rows: np.ndarray
    """Row ids."""
    values: np.ndarray
    """What stands there, as text."""


def unknown_categories(encoder: Encoder, features: pd.DataFrame) -> Iterator[Unknown]:
    """Cells of each column of categories that were not in the training rows.

    Of a column whose rare levels are one to the model, an unknown level is one of these.
    """
    for column in encoder.columns:
        if column.role is not ColumnType.CATEGORY:
            continue
        values = features[column.name]
        is_given = values.notna().to_numpy()
        is_new = is_given & (places_of(values, column) < 0)
        cells = values[is_new].astype(str).to_numpy()
        rows = features[ROW].to_numpy()[is_new]
        yield Unknown(column.name, int(is_given.sum()), rows, cells)


def unread_numbers(encoder: Encoder, features: pd.DataFrame) -> Iterator[Unread]:
    """Cells of columns of numbers that are none, where no reader of a table has seen to it."""
    import pandas as pd
    import pyarrow as pa

    for column in encoder.columns:
        values = features[column.name]
        if column.role is not ColumnType.NUMBER or values.dtype.kind in "biuf":
            continue
        is_given = values.notna().to_numpy()
        is_none = is_given & pd.to_numeric(values, errors="coerce").isna().to_numpy()
        cells = pa.array(values[is_none].astype(str), pa.string())
        rows = features[ROW].to_numpy()[is_none]
        yield Unread(column.name, Role.NUMBER, int(is_given.sum()), rows, cells)


@dataclass
class Doubts:
    """What is known of the doubtful cells of rows that come by batches."""

    unread: dict[str, Tally] = field(default_factory=dict)
    unknown: dict[str, Tally] = field(default_factory=dict)

    def add(self, unread: Iterable[Unread], unknown: Iterable[Unknown], begin: int) -> pa.Table:
        """Count the cells of a batch that begins at this row, and return a line for each."""
        unread, unknown = list(unread), list(unknown)
        _count(self.unread, tallied(unread))
        _count(self.unknown, {one.column: _tally(one) for one in unknown})
        lines = [_lines(one, one.values.to_pylist(), _unread(one.role), begin) for one in unread]
        lines += [_lines(one, one.values.tolist(), UNKNOWN, begin) for one in unknown]
        return _table(lines)

    def warnings(self) -> list[DataWarning]:
        """Say what was found, a warning for each column."""
        where = "new_doubts lists them by row"
        unread = [
            DataWarning(WarningKind.UNREAD, (name,), f"{tally}; {where}")
            for name, tally in self.unread.items()
            if tally.n_unread
        ]
        return unread + [
            DataWarning(
                WarningKind.UNKNOWN,
                (name,),
                f"'{name}': {one.n_unread:,} of {one.n_given:,} values, such as '{one.example}',"
                f" are categories that the model does not know and count as missing; {where}",
            )
            for name, one in self.unknown.items()
            if one.n_unread
        ]


def _count(known: dict[str, Tally], found: dict[str, Tally]) -> None:
    for name, tally in found.items():
        known[name] = known[name] + tally if name in known else tally


def _tally(one: Unknown) -> Tally:
    example = str(one.values[0]) if len(one.values) else ""
    return Tally(one.column, Role.CATEGORY, len(one.rows), one.n_given, example)


def _unread(role: str) -> str:
    return f"cannot be read as a {role}"


def _lines(one: Unread | Unknown, values: list[Any], reason: str, begin: int) -> pa.Table:
    import pyarrow as pa

    count = len(one.rows)
    return pa.table(
        {
            ROW: pa.array(np.asarray(one.rows) + begin, pa.int64()),
            "column": pa.array([one.column] * count, pa.string()),
            "value": pa.array(values, pa.string()),
            "reason": pa.array([reason] * count, pa.string()),
        }
    )


def _table(lines: list[pa.Table]) -> pa.Table:
    """All lines in the order of the rows; a table without rows where there is none."""
    import pyarrow as pa

    kinds: dict[str, pa.DataType] = {ROW: pa.int64()}
    kinds |= dict.fromkeys(("column", "value", "reason"), pa.string())
    schema = pa.schema(kinds)
    return pa.concat_tables([schema.empty_table(), *lines]).sort_by(ROW)
