"""What of new rows cannot be read as the columns that a model was trained on.

How columns are read stands in ``features``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from baton.errors import InputError
from baton.tables.features import converted
from baton.tables.levels import levels_of, lost, text_of
from baton.tables.roles import Role, Schema
from baton.words.text import counted

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Unread:
    """Cells of a column that have a value which cannot be read as what the column was."""

    column: str
    role: Role
    n_unread: int
    n_given: int
    """Cells that have a value."""
    example: str

    def __str__(self) -> str:
        return (
            f"'{self.column}' was a {self.role}: {self.n_unread:,} of {self.n_given:,} values, such"
            f" as '{self.example}', cannot be read so and count as missing"
        )


def unread(raw: pd.DataFrame, schema: Schema) -> tuple[Unread, ...]:
    """Columns of new rows with cells that cannot be read.

    Raises
    ------
    InputError
        If of a column no cell can be read.
    """
    found = tuple(_unread(raw, schema))
    for one in found:
        if one.n_unread == one.n_given:
            raise InputError(
                f"column '{one.column}' was a {one.role} when the model was trained, and"
                f" {'none' if one.n_given > 1 else 'not one'} of its"
                f" {counted(one.n_given, 'value')} can be read so (such as '{one.example}'): mend"
                " the column or leave its cells empty"
            )
    return found


def _unread(raw: pd.DataFrame, schema: Schema) -> Iterator[Unread]:
    import pandas as pd

    for column in schema.columns:
        is_text = column.name in raw and raw[column.name].dtype.kind not in "biufmM"
        if not is_text or column.role in {Role.CATEGORY, Role.DROPPED}:
            continue
        cells = raw[column.name]
        given = levels_of(text_of(cells)).without_missing()
        bad = lost(cells, pd.Series(converted(cells, column)).to_numpy())
        if bad.total:
            example = str(bad.values[0])
            yield Unread(column.name, column.role, bad.total, given.total, example)
