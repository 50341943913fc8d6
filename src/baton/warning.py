"""A warning of a chain's data or model: its kind, the columns it is about, and what to do.

Who warns of what belongs in ``baton.checks`` and ``baton.evaluation.usefulness``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from baton.words.text import quoted

if TYPE_CHECKING:
    import pyarrow as pa


class WarningKind(StrEnum):
    """What is wrong, in the order in which a reader should hear of it."""

    LEAK = "leak"
    """Columns that are the target."""
    USELESS = "useless"
    """A model that is no better than one that ignores every column."""
    SUSPECT = "suspect"
    """A column that is almost the target."""
    DUPLICATES = "duplicates"
    """Rows that stand on both sides of the split."""
    TIME = "time"
    """A date beside a split at random."""
    GROUP = "group"
    """A key that repeats, its rows on both sides of the split."""
    SHIFT = "shift"
    """Held-out rows that look different from the training rows."""
    LABELS = "labels"
    """Labels that look wrong."""
    IMBALANCE = "imbalance"
    """A class of few rows."""
    METRIC = "metric"
    """A metric that is not defined on the held-out rows, so that another one decides."""
    KEYS = "keys"
    """Rows that name a row of another table which is not there."""
    COLUMNS = "columns"
    """Columns that are constant, all different, or were lost in reading."""
    UNREAD = "unread"
    """Cells of new rows that are not what their column was."""
    UNKNOWN = "unknown"
    """Categories of new rows that the model does not know."""
    ASIDE = "aside"
    """Columns of new rows that the model did not learn from."""


@dataclass(frozen=True)
class DataWarning:
    """One warning."""

    kind: WarningKind
    columns: tuple[str, ...]
    """Those that it is about; of none where it is about rows."""
    message: str
    """The fact and what to do, in one line."""

    def as_json(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {"kind": self.kind.value, "columns": list(self.columns), "message": self.message}


def sorted_warnings(found: Iterable[DataWarning]) -> list[DataWarning]:
    """Put what matters most first."""
    order = list(WarningKind)
    return sorted(found, key=lambda one: order.index(one.kind))


def left_aside(columns: tuple[str, ...]) -> list[DataWarning]:
    """Say that the model knows nothing of some columns of new rows."""
    if not columns:
        return []
    said = f"left aside: {quoted(columns)}; the table that the model learnt from had no such column"
    return [DataWarning(WarningKind.ASIDE, columns, said)]


def as_table(found: Iterable[DataWarning]) -> pa.Table:
    """Table with a line for each warning: ``kind``, ``columns``, ``message``."""
    import pyarrow as pa

    names = pa.list_(pa.string())
    schema = pa.schema([("kind", pa.string()), ("columns", names), ("message", pa.string())])
    return pa.Table.from_pylist([one.as_json() for one in found], schema=schema)


def of_table(table: pa.Table) -> tuple[DataWarning, ...]:
    """Warnings of a table that :func:`as_table` made."""
    return tuple(
        DataWarning(WarningKind(line["kind"]), tuple(line["columns"]), line["message"])
        for line in table.to_pylist()
    )
