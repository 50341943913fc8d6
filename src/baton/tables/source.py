"""A table file by its head: its format, its columns, and how it is written.

Whatever is refused before a file is read in whole is refused here.
"""

from __future__ import annotations

import codecs
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from baton.errors import InputError
from baton.tables.arrow import is_unusable
from baton.tables.csv_head import DELIMITERS, above_header, decimal_mark, header_names, sniff
from baton.tables.encodings import encoding_of
from baton.tables.files import content, require_file, unreadable
from baton.terms import RESERVED
from baton.words.text import quoted

if TYPE_CHECKING:
    from pathlib import Path

_SAMPLE = 1 << 20


class Format(StrEnum):
    """How a file holds a table."""

    CSV = "CSV"
    PARQUET = "Parquet"


@dataclass(frozen=True)
class Source:
    """A table file and what its head says."""

    path: Path
    format: Format
    columns: tuple[str, ...]
    """Names of all columns that can be read, in order."""
    unusable: tuple[tuple[str, str], ...] = ()
    """Columns that no model takes (lists, structs, bytes): name and type."""
    delimiter: str = ","
    decimal: str = "."
    encoding: str = "utf-8"
    skipped: int = 0
    """Lines above the header."""


def describe(path: Path) -> Source:
    """Look at the head of a table file.

    Parameters
    ----------
    path : Path
        A Parquet file, or a CSV file that may be compressed (gzip, bzip2, xz, zip). The content
        decides, not the suffix.

    Returns
    -------
    Source

    Raises
    ------
    InputError
        If the file is missing, empty, has no rows, is neither CSV nor Parquet, or its header has
        a name twice or a name that Baton keeps for itself.
    """
    require_file(path)
    with path.open("rb") as file:
        is_parquet = file.read(4) == b"PAR1"
    source = _describe_parquet(path) if is_parquet else _describe_csv(path)
    _require_sound_names(source)
    return source


def _require_sound_names(source: Source) -> None:
    names = [*source.columns, *(name for name, _ in source.unusable)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(
            f"{source.path} has more than one column named {quoted(twice)}; rename them"
        )
    reserved = [name for name in sorted(RESERVED) if name in names]
    if reserved:
        raise InputError(
            f"{source.path} has a column {quoted(reserved)}, a name Baton keeps for itself; "
            "rename it"
        )


def _describe_parquet(path: Path) -> Source:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(unreadable(path, "Parquet", error)) from None
    with file:
        if file.metadata.num_rows == 0:
            raise InputError(f"{path} has a header and no rows; add rows")
        schema = file.schema_arrow
    unusable = tuple((field.name, str(field.type)) for field in schema if is_unusable(field.type))
    names = {name for name, _ in unusable}
    columns = tuple(name for name in schema.names if name not in names)
    return Source(path, Format.PARQUET, columns, unusable)


def _describe_csv(path: Path) -> Source:
    head = content(path, _SAMPLE)
    complete = len(head) < _SAMPLE
    _require_text(path, head)
    encoding = encoding_of(head, complete=complete)
    text = head.decode(encoding, errors="replace").removeprefix("\ufeff")
    skipped, forced = above_header(text)
    body = "".join(text.splitlines(keepends=True)[skipped:]) if skipped else text
    delimiter, records = sniff(body, forced or DELIMITERS, complete=complete)
    if complete and len(body.strip().splitlines()) < 2:
        raise InputError(f"{path} has a header and no rows; add rows")
    if not records:
        raise InputError(f"{path}: its first line is longer than {_SAMPLE} bytes; is it a CSV?")
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
        raise InputError(f"{path} is empty; give a CSV or Parquet file with a header and rows")
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in head and not wide:
        raise InputError(f"{path} is neither CSV nor Parquet; save the table as one of them")
    start = head.lstrip()
    if start[:1] in (b"{", b"[") and start[1:2] in (b"{", b'"', b"\n", b"\r"):
        raise InputError(f"{path} looks like JSON; save the table as CSV or Parquet")
