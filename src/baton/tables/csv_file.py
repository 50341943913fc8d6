"""CSV files: what the head of one says, and its cells as text, in whole or by batches.

How the first lines are understood stands in ``csv_head``, how bytes become characters in
``encodings``.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from baton.errors import InputError
from baton.tables.csv_head import DELIMITERS, above_header, decimal_mark, header_names, sniff
from baton.tables.encodings import encoding_of, guess_encoding
from baton.tables.files import BROKEN, grown, largest, opened, unreadable
from baton.tables.formats import Format, Source
from baton.tables.typed import MISSING
from baton.words.text import counted

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

_CHUNK = 1 << 20
_TELLING = 1 << 16
"""Bytes of lines that are not ASCII from which an encoding is guessed."""


def describe(path: Path, head: bytes, *, complete: bool) -> Source:
    """How a CSV file is written, by its first bytes, which may be all of it.

    Raises
    ------
    InputError
        If it is empty, has no rows, or is no text.
    """
    _require_text(path, head)
    encoding = encoding_of(head, complete=complete)
    text = head.decode(encoding, errors="replace").removeprefix("\ufeff")
    skipped, forced = above_header(text)
    body = "".join(text.splitlines(keepends=True)[skipped:]) if skipped else text
    delimiter, records = sniff(body, forced or DELIMITERS, complete=complete)
    if complete and len(body.strip().splitlines()) < 2:
        raise InputError(f"{path} has a header and no rows; add rows")
    if not records:
        raise InputError(f"{path}: its first line is longer than {len(head)} bytes; is it a CSV?")
    return Source(
        path=path,
        format=Format.CSV,
        columns=header_names(records[0]),
        delimiter=delimiter,
        decimal=decimal_mark(records[1:], delimiter),
        encoding=encoding,
        skipped=skipped,
    )


def _require_text(path: Path, head: bytes) -> None:
    if not head.strip(b" \t\r\n\xef\xbb\xbf"):
        raise InputError(f"{path} is empty; give a file with a header and rows")
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in head and not wide:
        raise InputError(
            f"{path} is neither text nor a table file that is read; save the table as CSV, .xlsx or"
            " Parquet"
        )


def settled(source: Source) -> Source:
    """Source in the encoding that all of its bytes are in, not only those of its head.

    Raises
    ------
    InputError
        If the file is damaged, or unpacks to so much that it was made to fill the memory.
    """
    if source.encoding != "utf-8" or _is_utf8(source.path):
        return source
    return replace(source, encoding=guess_encoding(_telling(source.path)))


def _is_utf8(path: Path) -> bool:
    decoder, size, most = codecs.getincrementaldecoder("utf-8")(), 0, largest(path)
    try:
        with opened(path) as stream:
            while chunk := stream.read(_CHUNK):
                decoder.decode(chunk)
                size += len(chunk)
                if size > most:
                    raise grown(path, "unpack it and give the file itself")
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    except BROKEN as error:
        raise InputError(unreadable(path, "CSV", error)) from None
    return True


def _telling(path: Path) -> bytes:
    """Some lines that are not ASCII."""
    found = bytearray()
    with opened(path) as stream:
        while len(found) < _TELLING and (line := stream.readline(_TELLING)):
            found += b"" if line.isascii() else line
    return bytes(found)


def read(
    source: Source, only: Sequence[str] | None = None, missing: Sequence[str] = MISSING
) -> pa.Table:
    """All cells of a file, or of some of its columns, as text; those that say *missing* are.

    Parameters
    ----------
    source : Source
    only : sequence of str, optional
        Columns that are wanted; all of them if not given.
    missing : sequence of str
        What counts as missing in any column.

    Raises
    ------
    InputError
        If the file does not parse.
    """
    from pyarrow import csv as arrow_csv

    with _told(source), _utf8(source) as stream:
        size = source.path.stat().st_size
        options = _options(source, min(max(size // 8, 1 << 24), 1 << 28), only, missing)
        return arrow_csv.read_csv(stream, **options)


def of_bytes(source: Source, content: bytes) -> pa.Table:
    """Cells of a part of a file as text: its lines up to the header, and others below them.

    Raises
    ------
    InputError
        If they do not parse.
    """
    from pyarrow import csv as arrow_csv

    text = content.decode(source.encoding, errors="replace").encode()
    with _told(source):
        return arrow_csv.read_csv(io.BytesIO(text), **_options(source, len(text)))


def batches(source: Source, block_size: int = 1 << 22) -> Iterator[pa.Table]:
    """Cells of a file as text, some thousand rows at a time.

    Raises
    ------
    InputError
        If the file does not parse.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    with _told(source), _utf8(source) as stream:
        for batch in arrow_csv.open_csv(stream, **_options(source, block_size)):
            yield pa.Table.from_batches([batch])


def _options(
    source: Source,
    block_size: int,
    only: Sequence[str] | None = None,
    missing: Sequence[str] = MISSING,
) -> dict[str, Any]:
    from pyarrow import csv as arrow_csv
    from pyarrow import string

    names = list(source.columns)
    return {
        "read_options": arrow_csv.ReadOptions(
            column_names=names,
            skip_rows=source.skipped,
            skip_rows_after_names=1,
            block_size=block_size,
        ),
        "parse_options": arrow_csv.ParseOptions(
            delimiter=source.delimiter, newlines_in_values=True
        ),
        "convert_options": arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, string()),
            include_columns=None if only is None else list(only),
            null_values=list(missing),
            strings_can_be_null=True,
        ),
    }


@contextmanager
def _told(source: Source) -> Iterator[None]:
    """Say in one line why a file does not parse."""
    import pyarrow as pa

    try:
        yield
    except pa.ArrowInvalid as error:
        raise InputError(_fault(source, error)) from None
    except BROKEN as error:
        raise InputError(unreadable(source.path, "CSV", error)) from None


class _Recoded(io.RawIOBase):
    """Bytes of a stream in UTF-8, whatever encoding it is in, and not too many."""

    def __init__(self, source: Source, stream: IO[bytes]) -> None:
        self._source, self._stream = source, stream
        is_utf8 = source.encoding == "utf-8"
        kind = codecs.getincrementaldecoder(source.encoding)
        self._decoder = None if is_utf8 else kind(errors="replace")
        self._left, self._most = b"", largest(source.path)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            chunk = self._stream.read(_CHUNK)
            self._most -= len(chunk)
            if self._most < 0:
                raise grown(self._source.path, "unpack it and give the file itself")
            decoder = self._decoder
            text = decoder.decode(chunk, final=not chunk).encode() if decoder else chunk
            self._left = text
            if not chunk:
                break
        some, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(some)] = some
        return len(some)


@contextmanager
def _utf8(source: Source) -> Iterator[Any]:
    """A file's bytes in UTF-8: from the disk if they stand there so."""
    import pyarrow as pa

    with opened(source.path) as stream:
        if source.encoding == "utf-8" and isinstance(stream, io.BufferedReader):
            yield pa.OSFile(str(source.path), "r")
        else:
            yield _Recoded(source, stream)


def _fault(source: Source, error: BaseException) -> str:
    """Why a file does not parse: the first line with too few or too many fields, if any."""
    expected = len(source.columns)
    with opened(source.path) as stream:
        text = io.TextIOWrapper(stream, source.encoding, errors="replace", newline="")
        skipped = sum(1 for _ in islice(text, source.skipped))
        reader = csv.reader(text, delimiter=source.delimiter)
        try:
            wrong = next((row for row in reader if row and len(row) != expected), None)
        except csv.Error as fault:
            return f"{source.path} line {reader.line_num + skipped}: {fault}; mend its quotes"
    if wrong is None:
        return unreadable(source.path, "CSV", error)
    return (
        f"{source.path} line {reader.line_num + skipped} has {counted(len(wrong), 'field')} "
        f"and the header {expected} (separated by {source.delimiter!r}); mend or quote that line"
    )
