"""A table at a glance, before anything is learnt: its first rows, and what each column is good for.

Pure functions. What is decided of columns, and what of them is refused, is thought in
``baton.tables``; a chain decides by all rows, and by those to learn from alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from baton.errors import InputError
from baton.showing.columns import examples_of
from baton.tables.columns import infer_column
from baton.tables.features import target_values
from baton.tables.reading import NOTES, column_names, first_rows, read
from baton.tables.roles import Role
from baton.tables.source import describe_all
from baton.tables.target import target_kind, target_role
from baton.terms import Kind
from baton.words.text import shown

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from baton.tables.formats import Source

WHOLE_BYTES = 32 * 2**20
"""Bytes up to which all of a table is looked at."""

PART_ROWS = 20_000
"""Rows that are looked at of a larger one."""

SHOWN_ROWS = 8
MOST_COLUMNS = 500
_LONGEST = 40
_USUAL = ("target", "label", "class", "y", "outcome", "response")
"""Names of columns to be predicted, in lower case."""


@dataclass(frozen=True)
class ColumnGlance:
    """What is made of a column."""

    name: str
    role: str
    """What a model would take it for; ``dropped`` if it would be left out."""
    note: str
    """Why it would be left out, or how it is read."""
    missing: int
    """Rows without a value."""
    distinct: int
    """Different values."""
    examples: str
    """Its most frequent values, or the range of its numbers."""
    answer: str
    """What predicting it would be; empty if it cannot be predicted."""
    refusal: str
    """Why it cannot be predicted."""

    @property
    def is_left_out(self) -> bool:
        """Whether nothing would be learnt from it."""
        return self.role == Role.DROPPED.value


@dataclass(frozen=True)
class Glance:
    """What is made of a table."""

    format: str
    n_files: int
    n_rows: int
    """Rows that were looked at."""
    is_whole: bool
    """Whether these are all."""
    names: tuple[str, ...]
    """All columns."""
    rows: tuple[tuple[str | None, ...], ...]
    """The first rows, None where there is no value."""
    columns: tuple[ColumnGlance, ...]
    """The first columns, those to be left out among them."""
    notes: tuple[str, ...]
    """What was peculiar about the file."""

    @property
    def guess(self) -> str:
        """Column that is likeliest to be predicted: by its name, else the last that could be."""
        able = [one.name for one in self.columns if one.answer]
        usual = [name for wish in _USUAL for name in able if name.lower() == wish]
        return next(iter([*usual, *reversed(able)]), "")

    def column(self, name: str) -> ColumnGlance | None:
        """What is made of the column of this name, if it was looked at."""
        return next((one for one in self.columns if one.name == name), None)


def glance(paths: Sequence[Path], sheet: str = "") -> Glance:
    """Look at a table.

    Parameters
    ----------
    paths : sequence of Path
        Files that make it up.
    sheet : str
        Of a workbook, where several hold something.

    Raises
    ------
    InputError
        If they are no table.
    """
    sources = describe_all(paths, sheet)
    is_whole = sum(path.stat().st_size for path in paths) <= WHOLE_BYTES
    raw = read(sources) if is_whole else first_rows(sources[0], PART_ROWS)
    return _seen(sources, raw, is_whole=is_whole or (len(raw) < PART_ROWS and len(sources) == 1))


def _seen(sources: Sequence[Source], raw: pd.DataFrame, *, is_whole: bool) -> Glance:
    names = column_names(raw)
    first = raw.head(SHOWN_ROWS)[names[:MOST_COLUMNS]]
    return Glance(
        format=str(sources[0].format),
        n_files=len(sources),
        n_rows=len(raw),
        is_whole=is_whole,
        names=tuple(names),
        rows=tuple(tuple(map(_cell, row)) for row in first.itertuples(index=False)),
        columns=tuple(_looked_at(name, raw[name]) for name in names[:MOST_COLUMNS]),
        notes=tuple(raw.attrs.get(NOTES, ())),
    )


def _cell(value: Any) -> str | None:
    import pandas as pd

    return None if pd.isna(value) else shown(value, _LONGEST)


def _looked_at(name: str, values: pd.Series) -> ColumnGlance:
    column = infer_column(name, values)
    answer, refusal = _predicted(name, values)
    return ColumnGlance(
        name,
        column.role.value,
        column.note,
        int(values.isna().sum()),
        int(values.nunique()),
        _examples(values),
        answer,
        refusal,
    )


def _examples(values: pd.Series) -> str:
    import pyarrow as pa

    try:
        return examples_of(pa.array(values, from_pandas=True))
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # values of several types
        return examples_of(pa.array(values.map(str, na_action="ignore"), from_pandas=True))


def _predicted(name: str, values: pd.Series) -> tuple[str, str]:
    """What predicting a column would be, or why it cannot be."""
    try:
        found = target_values(values, target_role(values))
        kind, _ = target_kind(name, found, None)
    except InputError as error:
        return "", str(error)
    classes = f" of {found.nunique()} classes" if kind is Kind.CLASSIFICATION else ""
    return f"{kind}{classes}", ""
