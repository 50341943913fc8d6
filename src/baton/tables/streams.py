"""CSV files read piece by piece: the types of their columns are those of a sample of all the file.

A file that is read in whole belongs in ``reading``. Which is done follows from its size.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from baton.errors import InputError
from baton.tables import csv_file
from baton.tables.arrow import plain, table_of, trim, without_null_types
from baton.tables.files import opened
from baton.tables.formats import Format, Source
from baton.tables.reading import NOTES, reading_notes
from baton.tables.typed import MISSING, typed_table, with_points
from baton.words.text import elide

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_SAMPLES = 32
_SAMPLED_BYTES = 1 << 20
_PIECE = 1 << 23
"""Bytes of the file that one piece is read from."""


def size_of(sources: Sequence[Source]) -> int:
    """Bytes of files that can be read piece by piece; 0 where one cannot."""
    if any(source.format is not Format.CSV or not _is_plain(source) for source in sources):
        return 0
    return sum(source.path.stat().st_size for source in sources)


def _is_plain(source: Source) -> bool:
    """Whether the bytes stand in the file as they are: it is not packed, and every mark is one."""
    with opened(source.path) as stream:
        return isinstance(stream, io.BufferedReader) and source.encoding in {"utf-8", "cp1252"}


def sample(sources: Sequence[Source]) -> pd.DataFrame:
    """Some rows of the files, from their beginnings and from places spread over them.

    They say what the columns are. ``attrs["notes"]`` are as those of `read`, and say so.
    """
    found = typed_sample(sources)
    raw: pd.DataFrame = without_null_types(found).to_pandas()
    notes = dict.fromkeys(note for source in sources for note in reading_notes(source))
    told = f"columns are what they are in a sample of {len(raw):,} rows, as the table is large"
    raw.attrs[NOTES] = [*notes, told]
    return raw


def typed_sample(sources: Sequence[Source]) -> pa.Table:
    """The same in Arrow; of a column without a value the type is null."""
    import pyarrow as pa

    tables = [table for source in sources for table in _blocks(source)]
    first = sources[0]
    text = pa.concat_tables([table.select(list(first.columns)) for table in tables])
    return typed_table(text, first.decimal)


def _blocks(source: Source) -> Iterator[pa.Table]:
    """Rows of blocks of a file, but for those that are cut off, or that quotes make unreadable."""
    step = max(source.path.stat().st_size // _SAMPLES, _SAMPLED_BYTES)
    with source.path.open("rb") as file:
        head = b"".join(file.readline() for _ in range(source.skipped + 1))
        for place in range(0, source.path.stat().st_size, step):
            file.seek(max(place, len(head)))
            if place:
                file.readline()
            lines = file.read(_SAMPLED_BYTES) + file.readline()
            try:
                yield csv_file.of_bytes(source, head + lines)
            except InputError:
                if not place:
                    raise


def pieces(sources: Sequence[Source], types: pa.Schema) -> Iterator[pd.DataFrame]:
    """Rows of the files, piece by piece, in the types of a sample.

    Raises
    ------
    InputError
        If a file does not parse, or a cell is not of its column's type; with its line.
    """
    for source in map(csv_file.settled, sources):
        line = source.skipped + 2
        for table in csv_file.batches(source, _PIECE):
            yield _as_typed(table.select(types.names), types, source, line).to_pandas()
            line += len(table)


def _as_typed(table: pa.Table, types: pa.Schema, source: Source, line: int) -> pa.Table:
    columns = {}
    for field in types:
        cells = trim(table[field.name], MISSING)
        found = _cast(cells, field.type, source.decimal)
        if found is None:
            raise _stranger(cells, field, source, line)
        columns[field.name] = found
    return table_of(columns)


def _cast(text: Any, kind: pa.DataType, decimal: str) -> Any:
    """Text as a type of a raw table, None where a cell is of another."""
    import pyarrow as pa

    if pa.types.is_string(kind):
        return text
    text = with_points(text) if decimal == "," else text
    is_time = pa.types.is_timestamp(kind)
    for one in (kind, pa.timestamp("us", "UTC")) if is_time else (kind,):
        try:
            return plain(text.cast(one))
        except pa.ArrowInvalid:
            continue
    return None


def _stranger(text: Any, field: Any, source: Source, line: int) -> InputError:
    """Error for the first cell that is of another type than its column."""
    low, high = 0, len(text)
    while high - low > 1:
        middle = (low + high) // 2
        is_before = _cast(text.slice(low, middle - low), field.type, source.decimal) is None
        low, high = (low, middle) if is_before else (middle, high)
    cell, kind = elide(str(text[low]), 40), _WORDS.get(str(field.type), str(field.type))
    return InputError(
        f"{source.path} line {line + low}: column '{field.name}' is {kind} in a sample of the rows,"
        f" and {cell!r} is none; mend that cell, leave it empty, or have the table read in whole,"
        " with a larger BATON_STREAM_BYTES"
    )


_WORDS = {
    "int64": "a whole number",
    "double": "a number",
    "bool": "true or false",
    "timestamp[us]": "a date",
}
"""Types of a raw table in words."""
