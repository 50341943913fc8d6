"""Parquet and Arrow files: what one says of itself, and its columns in a few plain types."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from baton.errors import InputError
from baton.tables.arrow import is_unusable, plain, table_of
from baton.tables.files import BROKEN, grown, largest, seekable, unreadable
from baton.tables.formats import Format, Source

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

_ROWS = 1 << 16
"""Rows of a batch."""

ARROW_STREAM = b"\xff\xff\xff\xff"
"""First bytes of an Arrow stream; an Arrow file, which Feather is too, begins with its name."""


def describe(path: Path, format: Format) -> Source:
    """Columns of a Parquet or an Arrow file.

    Raises
    ------
    InputError
        If it is damaged, or has no rows.
    """
    with _told(path, format), seekable(path) as stream:
        schema, has_rows = _ABOUT[format](stream)
    if not has_rows:
        raise InputError(f"{path} has a header and no rows; add rows")
    unusable = tuple((field.name, str(field.type)) for field in schema if is_unusable(field.type))
    names = {name for name, _ in unusable}
    usable = [field for field in schema if field.name not in names]
    return Source(
        path,
        format,
        tuple(field.name for field in usable),
        unusable,
        types=tuple(str(field.type) for field in usable),
    )


def read(source: Source, only: Sequence[str] | None = None) -> pa.Table:
    """All rows of a file, its columns, or some of them, of a few plain types.

    Raises
    ------
    InputError
        If it is damaged, or holds so many more rows than bytes that it was made to.
    """
    import pyarrow as pa

    with _told(source.path, source.format):
        return pa.concat_tables(list(batches(source, only)), promote_options="permissive")


def batches(source: Source, only: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Rows of a file, its columns, or some of them, of a few plain types, some thousand at a time.

    Raises
    ------
    InputError
        If it is damaged, or holds so many more rows than bytes that it was made to.
    """
    cells, most = 0, largest(source.path)
    wanted = list(source.columns if only is None else only)
    with _told(source.path, source.format), seekable(source.path) as stream:
        for table in _TABLES[source.format](stream, wanted):
            cells += table.num_rows * table.num_columns
            if cells > most:
                raise grown(source.path, "a table of so many equal values teaches nothing")
            yield table_of({name: _plain(name, table[name]) for name in wanted})


def _plain(name: str, column: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    import pyarrow as pa

    found = plain(column)
    try:
        found.validate(full=True)
    except pa.ArrowInvalid as error:
        raise pa.ArrowInvalid(f"column {name!r}: {error}") from None
    return found


@contextmanager
def _told(path: Path, format: Format) -> Iterator[None]:
    """Say in one line that a file cannot be read as what it seems."""
    import pyarrow as pa

    try:
        yield
    except InputError:
        raise
    except (pa.ArrowException, ValueError, *BROKEN) as error:
        raise InputError(unreadable(path, format.value, error)) from None


def _about_parquet(stream: IO[bytes]) -> tuple[pa.Schema, bool]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(stream) as file:
        return file.schema_arrow, file.metadata.num_rows > 0


def _parquet_tables(stream: IO[bytes], columns: list[str]) -> Iterator[pa.Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(stream) as file:
        for batch in file.iter_batches(_ROWS, columns=columns):
            yield pa.Table.from_batches([batch])


def _about_arrow(stream: IO[bytes]) -> tuple[pa.Schema, bool]:
    schema, found = _arrow(stream)
    return schema, any(batch.num_rows for batch in found)


def _arrow_tables(stream: IO[bytes], columns: list[str]) -> Iterator[pa.Table]:
    import pyarrow as pa

    for batch in _arrow(stream)[1]:
        table = pa.Table.from_batches([batch]).select(columns)
        table.validate()
        for begin in range(0, len(table), _ROWS):
            yield table.slice(begin, _ROWS)


def _arrow(stream: IO[bytes]) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Schema and batches of an Arrow file or stream; those of a file on the disk are mapped."""
    import pyarrow as pa

    is_stream = stream.read(4) == ARROW_STREAM
    stream.seek(0)
    on_disk = isinstance(stream, io.BufferedReader)
    source = pa.memory_map(str(stream.name)) if on_disk else pa.BufferReader(stream.read())
    if is_stream:
        reader = pa.ipc.open_stream(source)
        return reader.schema, iter(reader)
    file = pa.ipc.open_file(source)
    return file.schema, (file.get_batch(n) for n in range(file.num_record_batches))


_ABOUT = {Format.PARQUET: _about_parquet, Format.ARROW: _about_arrow}
_TABLES = {Format.PARQUET: _parquet_tables, Format.ARROW: _arrow_tables}
