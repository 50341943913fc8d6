"""What of new rows cannot be read as the columns that a model was trained on, cell by cell.

How columns are read stands in ``features``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from baton.errors import InputError
from baton.tables.features import converted, used_columns
from baton.tables.levels import MISSING_NUMBER, text_of
from baton.tables.reading import DECIMAL
from baton.tables.roles import Role, Schema
from baton.words.text import counted

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class Unread:
    """Cells of a column that have a value which cannot be read as what the column was."""

    column: str
    role: Role
    n_given: int
    """Cells that have a value."""
    rows: np.ndarray
    """Positions of those that cannot be read."""
    values: pa.Array[Any]
    """What stands there."""


@dataclass(frozen=True)
class Tally:
    """The same in numbers, of rows that may have come by batches."""

    column: str
    role: Role
    n_unread: int
    n_given: int
    example: str

    def __str__(self) -> str:
        return (
            f"'{self.column}' was a {self.role}: {self.n_unread:,} of {self.n_given:,} values, such"
            f" as '{self.example}', cannot be read so and count as missing"
        )

    def __add__(self, other: Tally) -> Tally:
        return replace(
            self,
            n_unread=self.n_unread + other.n_unread,
            n_given=self.n_given + other.n_given,
            example=self.example or other.example,
        )


def unread(raw: pd.DataFrame, schema: Schema) -> Iterator[Unread]:
    """Cells of new rows that cannot be read; columns of which all can be are among them, too."""
    decimal = raw.attrs.get(DECIMAL, ".")
    for column in used_columns(schema):
        is_text = column.name in raw and raw[column.name].dtype.kind not in "biufmM"
        if not is_text or column.role in {Role.CATEGORY, Role.TEXT}:
            continue
        cells = raw[column.name]
        text, is_given = _given(cells)
        is_lost = is_given & _is_missing(converted(cells, column, decimal))
        rows = is_lost.nonzero()[0]
        yield Unread(column.name, column.role, int(is_given.sum()), rows, text.take(rows))


def _given(cells: pd.Series) -> tuple[Any, np.ndarray]:
    """Text of cells, and which of them say something."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    text = text_of(cells).combine_chunks()
    tokens = pa.array(sorted(MISSING_NUMBER), text.type)
    says_nothing = pc.is_in(pc.utf8_lower(text), value_set=tokens)
    return text, np.asarray(text.is_valid()) & ~np.asarray(says_nothing)


def _is_missing(values: Any) -> np.ndarray:
    import numpy as np
    import pandas as pd

    return np.asarray(pd.isna(values))


def tallied(found: Iterable[Unread]) -> dict[str, Tally]:
    """Cells that cannot be read in numbers, by column."""
    return {
        one.column: Tally(
            one.column,
            one.role,
            len(one.rows),
            one.n_given,
            str(one.values[0]) if len(one.rows) else "",
        )
        for one in found
    }


def require_readable(tallies: Iterable[Tally]) -> None:
    """Refuse new rows of which a column cannot be read at all.

    Raises
    ------
    InputError
        If of a column no cell can be read.
    """
    for one in tallies:
        if one.n_unread and one.n_unread == one.n_given:
            raise InputError(
                f"column '{one.column}' was a {one.role} when the model was trained, and"
                f" {'none' if one.n_given > 1 else 'not one'} of its"
                f" {counted(one.n_given, 'value')} can be read so (such as '{one.example}'): mend"
                " the column or leave its cells empty"
            )
