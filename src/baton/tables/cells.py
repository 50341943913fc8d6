"""Cells that have types of their own, as the text that a CSV file would have of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 1 << 15
"""Rows of a batch."""


def as_text(value: Any) -> str | None:
    """Cell as text; None where it is empty.

    Examples
    --------
    >>> [as_text(one) for one in ("", None, 3.0, 0.1, True, date(2024, 5, 6), [1, "a"])]
    [None, None, '3', '0.1', 'True', '2024-05-06', '[1, "a"]']
    >>> as_text(timedelta(hours=26, seconds=5)), as_text(datetime(2024, 5, 6, 7, 8))
    ('26:00:05', '2024-05-06 07:08:00')
    """
    match value:
        case None | "":
            return None
        case str():
            return value if value.isascii() else value.encode("utf-8", "replace").decode()
        case float() if value.is_integer() and abs(value) < 2**53:
            return str(int(value))
        case date() | time() | timedelta():
            return _moment(value)
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _moment(value: date | time | timedelta) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if not isinstance(value, timedelta):
        return value.isoformat()
    seconds = round(value.total_seconds())
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def tables(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[pa.Table]:
    """Tables of text, some thousand rows each; one without rows where there are none."""
    import pyarrow as pa

    rows, is_first = iter(rows), True
    while (some := list(islice(rows, _ROWS))) or is_first:
        is_first = False
        by_column = zip(*some, strict=True) if some else [()] * len(columns)
        arrays = [pa.array(map(as_text, cells), pa.string()) for cells in by_column]
        yield pa.Table.from_arrays(arrays, names=list(columns))
