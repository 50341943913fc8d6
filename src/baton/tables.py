"""Table files: what is in one, how it becomes a table, and what each column is good for.

Three steps, each of plain functions. `describe` looks at the head of a CSV or Parquet file,
`read` turns files into one raw table of plain column types, `infer` decides what every column
is for. `build` applies such a decision to a raw table. Parameters, goals and splits belong in
``baton.problems.table``.

A CSV file is read as text and every column is typed from all of its values, never from a
sample: a column is numbers only if each of its values is one. What is nearly numbers or nearly
dates stays text in the raw table and `infer` settles it, from training rows only.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import difflib
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from baton.errors import InputError
from baton.problems.base import ROW, SPLIT, Kind, Split

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    import pyarrow as pa

NOTES = "notes"
"""Key in a raw table's ``attrs``: sentences about how the file was read."""

MISSING = (
    *("", "?", "NA", "N/A", "n/a", "<NA>", "#NA", "#N/A", "#N/A N/A", "NULL", "null"),
    *("NaN", "nan", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
"""What counts as missing in any CSV column: pandas' list and ``?``, without ``None``."""

MISSING_NUMBER = frozenset(
    {"-", "--", ".", "none", "missing", "unknown", *(token.lower() for token in MISSING)}
)
"""What counts as missing, in lower case, where the other values are numbers or dates."""

MAX_INTEGER_CLASSES = 20
NEARLY_UNIQUE = 0.9
NEARLY_NUMBERS = 0.9
NEARLY_DATES = 0.95
FEW_ROWS = 10
"""Among fewer values, that they all differ says nothing."""

_SAMPLE = 1 << 20
_DECIDING = 20_000
_DELIMITERS = (",", ";", "\t", "|")
_MANY_CLASSES = 0.5
_ID_NAME = re.compile(r"(?i:(^|[\W_])(id|uuid|guid|index|idx|key|rowid|row|nr|no))$|[a-z](ID|Id)$")
_USUAL_SIGNS = "€£§°·«»\u2018\u2019\u201c\u201d\u201e\u2013\u2014…²³µ®™½¼\u00d7"
_BROKEN = (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, RuntimeError)


# What is in a file ---------------------------------------------------------------------------


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
    _require_file(path)
    with path.open("rb") as file:
        is_parquet = file.read(4) == b"PAR1"
    source = _describe_parquet(path) if is_parquet else _describe_csv(path)
    _require_sound_names(source)
    return source


def unknown_column(what: str, name: str, source_columns: Sequence[str], where: str) -> InputError:
    """Error for a column that is not there: which ones are, and which was meant.

    Examples
    --------
    >>> print(unknown_column("target", "qualty", ["ph", "quality"], "wine.csv"))
    target 'qualty' is not a column of wine.csv: did you mean 'quality'? It has: ph, quality
    """
    lower = {column.lower(): column for column in source_columns}
    close = difflib.get_close_matches(name.lower(), list(lower), n=1)
    meant = f" did you mean '{lower[close[0]]}'?" if close else ""
    headless = bool(source_columns) and all(_is_number(column) for column in source_columns)
    hint = "; the first line looks like data: add a header line" if headless else ""
    shown = _listed(source_columns, 20, quote=False)
    return InputError(
        f"{what} {name!r} is not a column of {where}:{meant} {'It' if meant else 'it'} has: "
        f"{shown}{hint}"
    )


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{path} is a directory; give one CSV or Parquet file in it")
    if not path.exists():
        close = difflib.get_close_matches(path.name, _siblings(path), n=1)
        meant = f"did you mean {close[0]}?" if close else "check the path"
        raise InputError(f"no file {path}: {meant}")
    try:
        size = path.stat().st_size if path.is_file() else 0
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check its permissions") from None
    if size == 0:
        raise InputError(f"{path} is empty; give a CSV or Parquet file with a header and rows")


def _siblings(path: Path) -> list[str]:
    try:
        return [other.name for other in islice(path.parent.iterdir(), 1000)]
    except OSError:
        return []


def _require_sound_names(source: Source) -> None:
    names = [*source.columns, *(name for name, _ in source.unusable)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(
            f"{source.path} has more than one column named {_listed(twice)}; rename them"
        )
    reserved = [name for name in (ROW, SPLIT) if name in names]
    if reserved:
        raise InputError(
            f"{source.path} has a column {_listed(reserved)}, a name Baton keeps for itself; "
            "rename it"
        )


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) is not None


def _listed(names: Iterable[str], most: int = 5, *, quote: bool = True) -> str:
    every = [f"'{name}'" if quote else name for name in names]
    more = len(every) - most
    return ", ".join(every[:most]) + (f" and {more} more" if more > 0 else "")


# Parquet -------------------------------------------------------------------------------------


def _describe_parquet(path: Path) -> Source:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(_unreadable(path, "Parquet", error)) from None
    with file:
        if file.metadata.num_rows == 0:
            raise InputError(f"{path} has a header and no rows; add rows")
        schema = file.schema_arrow
    unusable = tuple((field.name, str(field.type)) for field in schema if _is_unusable(field.type))
    names = {name for name, _ in unusable}
    columns = tuple(name for name in schema.names if name not in names)
    return Source(path, Format.PARQUET, columns, unusable)


def _unreadable(path: Path, what: str, error: BaseException) -> str:
    reason = str(error).strip().split("\n", 1)[0].rstrip(".")
    return f"cannot read {path} as {what}: {reason or type(error).__name__}; write the file anew"


def _is_unusable(kind: pa.DataType) -> bool:
    import pyarrow.types as t

    if hasattr(kind, "storage_type"):
        return _is_unusable(kind.storage_type)
    if t.is_dictionary(kind):
        return _is_unusable(kind.value_type)
    binary = t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind)
    return bool(t.is_nested(kind) or binary or t.is_interval(kind) or "binary_view" in str(kind))


def _read_parquet(source: Source) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    some = list(source.columns) if source.unusable else None
    try:
        with pq.ParquetFile(source.path) as file:
            table = file.read(columns=some).select(list(source.columns))
    except (pa.ArrowException, OSError) as error:
        raise InputError(_unreadable(source.path, "Parquet", error)) from None
    return _table({name: _plain(table[name]) for name in table.column_names})


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Column as one of: number, boolean, text, naive timestamp (UTC), duration."""
    import pyarrow as pa
    import pyarrow.types as t

    kind = column.type
    if hasattr(kind, "storage_type"):
        return _plain(column.cast(kind.storage_type))
    if t.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if t.is_time(kind):
        column, kind = column.cast(pa.time64("ns")).cast(pa.int64()), pa.duration("ns")
        column = column.cast(kind)
    simple = _simple(kind)
    return column if simple == column.type else column.cast(simple, safe=False)


def _simple(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa
    import pyarrow.types as t

    if t.is_decimal(kind):
        return pa.float64()
    if t.is_float16(kind):
        return pa.float32()
    if t.is_timestamp(kind) or t.is_date(kind):
        return pa.timestamp("us")
    if t.is_duration(kind):
        return pa.duration("us")
    return pa.string() if "string" in str(kind) else kind


# CSV -----------------------------------------------------------------------------------------


def _describe_csv(path: Path) -> Source:
    head = _head(path)
    complete = len(head) < _SAMPLE
    _require_text(path, head)
    encoding = _encoding(head, complete=complete)
    text = head.decode(encoding, errors="replace").removeprefix("\ufeff")
    skipped, forced = _above_header(text)
    body = "".join(text.splitlines(keepends=True)[skipped:]) if skipped else text
    delimiter, records = _sniff(body, (forced,) if forced else _DELIMITERS, complete=complete)
    if complete and len(body.strip().splitlines()) < 2:
        raise InputError(f"{path} has a header and no rows; add rows")
    if not records:
        raise InputError(f"{path}: its first line is longer than {_SAMPLE} bytes; is it a CSV?")
    return Source(
        path=path,
        format=Format.CSV,
        columns=_header_names(records[0]),
        delimiter=delimiter,
        decimal=_decimal(records[1:], delimiter),
        encoding=encoding,
        skipped=skipped,
    )


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Bytes of a file, decompressed as its first bytes say."""
    stream: Any
    with path.open("rb") as file:
        magic = file.read(6)
        file.seek(0)
        if magic.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(file) as archive, archive.open(_member(path, archive)) as member:
                yield member
        elif magic.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=file) as stream:
                yield stream
        elif magic.startswith(b"BZh"):
            with bz2.BZ2File(file) as stream:
                yield stream
        elif magic.startswith(b"\xfd7zXZ"):
            with lzma.LZMAFile(file) as stream:
                yield stream
        else:
            yield file


def _member(path: Path, archive: zipfile.ZipFile) -> str:
    names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX")]
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise InputError(f"{path} is a spreadsheet; save its sheet as CSV")
    if len(names) != 1:
        raise InputError(f"{path} holds {len(names)} files ({_listed(names)}); zip only one CSV")
    return names[0]


def _head(path: Path) -> bytes:
    try:
        with _opened(path) as stream:
            return stream.read(_SAMPLE)
    except _BROKEN as error:
        raise InputError(_unreadable(path, "CSV", error)) from None


def _require_text(path: Path, head: bytes) -> None:
    if not head.strip(b" \t\r\n\xef\xbb\xbf"):
        raise InputError(f"{path} is empty; give a CSV or Parquet file with a header and rows")
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in head and not wide:
        raise InputError(f"{path} is neither CSV nor Parquet; save the table as one of them")
    if head.lstrip()[:1] in (b"{", b"[") and head.lstrip()[1:2] in (b"{", b'"', b"\n", b"\r"):
        raise InputError(f"{path} looks like JSON; save the table as CSV or Parquet")


def _encoding(data: bytes, *, complete: bool) -> str:
    """Name of the encoding: a byte-order mark, else UTF-8 if it fits, else a guess."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final=complete)
    except UnicodeDecodeError:
        return _guess_encoding(data)
    return "utf-8"


def _guess_encoding(data: bytes) -> str:
    import charset_normalizer

    telling = b"\n".join(line for line in data.splitlines() if not line.isascii())[: 1 << 16]
    if _looks_western(telling):
        return "cp1252"
    best = charset_normalizer.from_bytes(telling).best()
    return best.encoding if best is not None else "latin-1"


def _looks_western(data: bytes) -> bool:
    """Whether bytes read as cp1252 are mostly plain letters with the odd accent between them."""
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    special = [c for c in text if not c.isascii()]
    usual = sum(c.isalpha() or c in _USUAL_SIGNS for c in special)
    letters = sum(c.isalpha() for c in text)
    return usual == len(special) and len(special) <= max(0.4 * letters, 1)


def _above_header(text: str) -> tuple[int, str]:
    """Lines to skip, and the delimiter if one of them is Excel's ``sep=;``."""
    skipped, forced = 0, ""
    for line in text.splitlines():
        excel = re.fullmatch(r"sep=(.)", line.strip("\r\n"))
        if line.strip() and not excel:
            break
        forced = excel[1] if excel else forced
        skipped += 1
    return skipped, forced


def _sniff(text: str, delimiters: Sequence[str], *, complete: bool) -> tuple[str, list[list[str]]]:
    """Delimiter under which most records are as long as the header, and those records."""
    choices = {delimiter: _records(text, delimiter, complete) for delimiter in delimiters}
    best = max(choices, key=lambda delimiter: _regularity(choices[delimiter]))
    return best, choices[best]


def _records(text: str, delimiter: str, complete: bool, most: int = 1000) -> list[list[str]]:
    """First records that are whole; a field too long for the csv module ends them."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    records: list[list[str]] = []
    whole = complete
    try:
        records.extend(islice(reader, most))
    except csv.Error:
        whole = True
    cut = not whole and len(records) < most
    return [record for record in (records[:-1] if cut else records) if any(record)]


def _regularity(records: list[list[str]]) -> tuple[bool, float, int]:
    width = len(records[0]) if records else 0
    same = sum(len(record) == width for record in records)
    return width > 1, same / max(len(records), 1), width


def _header_names(header: Sequence[str]) -> tuple[str, ...]:
    """Names without blanks around them; a nameless column is called as pandas calls it.

    Examples
    --------
    >>> _header_names(["", " a ", "Unnamed: 0"])
    ('Unnamed: 0.1', 'a', 'Unnamed: 0')
    """
    names = [name.strip() for name in header]
    for position, name in enumerate(names):
        if not name:
            fresh = (f"Unnamed: {position}{suffix}" for suffix in ("", ".1", ".2", ".3"))
            names[position] = next(one for one in fresh if one not in names)
    return tuple(names)


def _decimal(records: Sequence[Sequence[str]], delimiter: str) -> str:
    """``,`` if some cell can only be a decimal comma and none can only be a decimal point."""
    if delimiter == ",":
        return "."
    cells = {cell.strip() for record in records for cell in record}
    grouped = r"[+-]?[1-9]\d{0,2}([.,]\d{3})+"
    sure = [cell for cell in cells if not re.fullmatch(grouped, cell)]
    comma = any(re.fullmatch(r"[+-]?(\d{1,3}(\.\d{3})+|\d+),\d+", cell) for cell in sure)
    point = any(re.fullmatch(r"[+-]?(\d{1,3}(,\d{3})+|\d+)\.\d+", cell) for cell in sure)
    return "," if comma and not point else "."


def _read_csv(source: Source, only: Sequence[str] | None = None) -> tuple[pa.Table, str]:
    """Table of text, all columns or some, and the encoding it was read by."""
    import pyarrow as pa

    try:
        encoding = source.encoding
        try:
            return _parse(source, encoding, only), encoding
        except pa.ArrowInvalid as error:
            if "invalid UTF8" not in str(error) or encoding != "utf-8":
                raise
        with _opened(source.path) as stream:
            encoding = _guess_encoding(stream.read())
        return _parse(source, encoding, only), encoding
    except pa.ArrowInvalid as error:
        raise InputError(_csv_fault(source, encoding, error)) from None
    except _BROKEN as error:
        raise InputError(_unreadable(source.path, "CSV", error)) from None


def _parse(source: Source, encoding: str, only: Sequence[str] | None) -> pa.Table:
    from pyarrow import csv as arrow_csv
    from pyarrow import string

    names = list(source.columns)
    size = source.path.stat().st_size
    return arrow_csv.read_csv(
        _stream(source.path, encoding),
        read_options=arrow_csv.ReadOptions(
            column_names=names,
            skip_rows=source.skipped,
            skip_rows_after_names=1,
            block_size=min(max(size // 8, 1 << 24), 1 << 28),
        ),
        parse_options=arrow_csv.ParseOptions(delimiter=source.delimiter, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, string()),
            include_columns=list(only) if only else None,
            null_values=list(MISSING),
            strings_can_be_null=True,
        ),
    )


def _stream(path: Path, encoding: str) -> Any:
    import pyarrow as pa

    with _opened(path) as stream:
        if encoding == "utf-8" and isinstance(stream, io.BufferedReader):
            return pa.OSFile(str(path))
        data = stream.read()
    if encoding == "utf-8":
        return pa.BufferReader(data)
    return pa.BufferReader(data.decode(encoding, errors="replace").encode())


def _csv_fault(source: Source, encoding: str, error: BaseException) -> str:
    """Why a file does not parse: the first line with too few or too many fields, if any."""
    expected = len(source.columns)
    with _opened(source.path) as stream:
        text = io.TextIOWrapper(stream, encoding, errors="replace", newline="")
        skipped = sum(1 for _ in islice(text, source.skipped))
        reader = csv.reader(text, delimiter=source.delimiter)
        try:
            wrong = next((row for row in reader if row and len(row) != expected), None)
        except csv.Error as fault:
            return f"{source.path} line {reader.line_num + skipped}: {fault}; mend its quotes"
    if wrong is None:
        return _unreadable(source.path, "CSV", error)
    return (
        f"{source.path} line {reader.line_num + skipped} has {_counted(len(wrong), 'field')} "
        f"and the header {expected} (separated by {source.delimiter!r}); mend or quote that line"
    )


# From text to types --------------------------------------------------------------------------


def _table(columns: dict[str, pa.ChunkedArray]) -> pa.Table:
    import pyarrow as pa

    return pa.Table.from_arrays(list(columns.values()), names=list(columns))


def _typed_table(table: pa.Table, decimal: str) -> pa.Table:
    """Every column of text as the narrowest type that all of its values have."""
    with ThreadPoolExecutor() as pool:
        columns = pool.map(lambda name: _typed(table[name], decimal), table.column_names)
        return _table(dict(zip(table.column_names, columns, strict=True)))


def _typed(text: pa.ChunkedArray, decimal: str) -> pa.ChunkedArray:
    typed = _strict(text, decimal)
    if typed is not None:
        return typed
    trimmed = _trimmed(text, MISSING)
    typed = _strict(trimmed, decimal)
    return trimmed if typed is None else typed


def _strict(text: pa.ChunkedArray, decimal: str) -> pa.ChunkedArray | None:
    import pyarrow as pa

    if text.null_count == len(text):
        return pa.chunked_array([pa.nulls(len(text))])
    text = _with_points(text) if decimal == "," else text
    whole = _cast(text, pa.int64())
    if whole is not None:
        return None if _are_codes(text) else whole
    others = (pa.float64(), pa.bool_(), pa.timestamp("us"), pa.timestamp("us", "UTC"))
    return next((typed for kind in others if (typed := _cast(text, kind)) is not None), None)


def _cast(text: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray | None:
    """Text as that type, or None; the first value is tried alone, which mostly settles it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first = pc.index(text.is_valid(), value=True).as_py()
    try:
        text.slice(first, 1).cast(kind)
        return _plain(text.cast(kind))
    except pa.ArrowInvalid:
        return None


def _are_codes(digits: pa.ChunkedArray) -> bool:
    """Whether whole numbers are codes: hexadecimal, or all of one width with leading zeros."""
    import pyarrow.compute as pc

    if not pc.any(pc.match_substring_regex(digits, "^[+-]?0[0-9xX]")).as_py():
        return False
    width = pc.min_max(pc.utf8_length(digits)).as_py()
    hexadecimal = pc.any(pc.match_substring_regex(digits, "[xX]")).as_py()
    return bool(hexadecimal or width["min"] == width["max"])


def _with_points(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers with decimal commas (1.234,5) with decimal points (1234.5), if all are such."""
    import pyarrow.compute as pc

    commas = r"^\s*[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d*)?([eE][+-]?\d+)?\s*$"
    if not pc.all(pc.match_substring_regex(text, commas)).as_py():
        return text
    return pc.replace_substring(pc.replace_substring(text, ".", ""), ",", ".")


def _trimmed(text: pa.ChunkedArray, missing: Sequence[str] = ("",)) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute as pc

    trimmed = pc.utf8_trim_whitespace(text)
    absent = pc.is_in(trimmed, value_set=pa.array(missing, trimmed.type))
    return pc.if_else(absent, pa.scalar(None, trimmed.type), trimmed)


# From files to the raw table -----------------------------------------------------------------


def read(train: Source, test: Source | None = None) -> pd.DataFrame:
    """Raw table: one file, or training rows and then test rows, marked in the column `SPLIT`.

    Parameters
    ----------
    train, test : Source
        What `describe` said of the files.

    Returns
    -------
    DataFrame of shape (rows, columns of `train`)
        Numbers, booleans, text, datetimes (naive, UTC) and durations; ``attrs["notes"]`` says in
        sentences what was peculiar about the files.

    Raises
    ------
    InputError
        If a file does not parse or the two files do not agree in a column's type.
    """
    sources = [train] if test is None else [train, test]
    parts = [
        _read_csv(source) if source.format is Format.CSV else (_read_parquet(source), "")
        for source in sources
    ]
    joined = _join(sources, [table for table, _ in parts])
    raw: pd.DataFrame = _without_null_types(joined).to_pandas()
    notes = [
        note
        for source, (_, encoding) in zip(sources, parts, strict=True)
        for note in _reading_notes(source, encoding)
    ]
    if test is not None:
        raw = raw.assign(**{SPLIT: _sides(len(parts[0][0]), len(parts[1][0]))})
        extra = [name for name in test.columns if name not in train.columns]
        notes += [f"ignored {_listed(extra)}: only in {test.path.name}"] if extra else []
    raw.attrs[NOTES] = notes
    return raw


def count_rows(source: Source) -> int:
    """Rows that `read` gives for a file."""
    if source.format is Format.CSV:
        return len(_read_csv(source, only=source.columns[:1])[0])
    import pyarrow.parquet as pq

    return int(pq.read_metadata(source.path).num_rows)


def _sides(train: int, test: int) -> np.ndarray:
    import numpy as np

    return np.repeat([Split.TRAIN.value, Split.TEST.value], [train, test])


def _join(sources: Sequence[Source], tables: Sequence[pa.Table]) -> pa.Table:
    is_csv = [source.format is Format.CSV for source in sources]
    if all(is_csv) and len({source.decimal for source in sources}) == 1:
        return _typed_table(_concat(sources, tables), sources[0].decimal)
    typed = [
        _typed_table(table, source.decimal) if source.format is Format.CSV else table
        for source, table in zip(sources, tables, strict=True)
    ]
    return _concat(sources, typed)


def _concat(sources: Sequence[Source], tables: Sequence[pa.Table]) -> pa.Table:
    import pyarrow as pa

    if len(tables) == 1:
        return tables[0]
    train, test = tables
    test = test.select([name for name in train.column_names if name in test.column_names])
    try:
        return pa.concat_tables([train, test], promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        raise InputError(_disagreement(sources, train, test)) from None


def _disagreement(sources: Sequence[Source], train: pa.Table, test: pa.Table) -> str:
    import pyarrow as pa

    def differs(name: str) -> bool:
        pair = [pa.schema([table.schema.field(name)]) for table in (train, test)]
        try:
            pa.unify_schemas(pair, promote_options="permissive")
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            return True
        return False

    name = next(filter(differs, test.column_names))
    return (
        f"column '{name}' is {train.schema.field(name).type} in {sources[0].path.name} and "
        f"{test.schema.field(name).type} in {sources[1].path.name}; make them agree"
    )


def _without_null_types(table: pa.Table) -> pa.Table:
    import pyarrow as pa

    def known(column: pa.ChunkedArray) -> pa.ChunkedArray:
        return column.cast(pa.float64()) if pa.types.is_null(column.type) else column

    return _table({name: known(table[name]) for name in table.column_names})


def _reading_notes(source: Source, encoding: str) -> Iterator[str]:
    if encoding not in ("", "utf-8"):
        yield f"{source.path.name} is not UTF-8: read as {encoding}"
    if source.decimal == ",":
        yield f"{source.path.name} has decimal commas: '1,5' is read as 1.5"
    for name, kind in source.unusable:
        yield f"dropped '{name}': {kind} is neither a number, a date nor text"


# What columns are good for -------------------------------------------------------------------


class Role(StrEnum):
    """What a column is for a model."""

    NUMBER = "number"
    BOOLEAN = "boolean"
    CATEGORY = "category"
    DATETIME = "datetime"
    DURATION = "duration"
    DROPPED = "dropped"


@dataclass(frozen=True)
class Column:
    """A column's role."""

    name: str
    role: Role
    style: str = ""
    """How its text is read: decimal ``point`` or ``comma``, ``time``, or a date format."""
    note: str = ""
    """Why it is dropped, or what was done to its values."""


@dataclass(frozen=True)
class Schema:
    """What a raw table's columns are for: all that `build` needs to know."""

    columns: tuple[Column, ...]
    target: Column | None = None
    kind: Kind | None = None
    notes: tuple[str, ...] = ()


def infer(
    raw: pd.DataFrame, target: str, kind: Kind | None = None, drop: Sequence[str] = ()
) -> Schema:
    """Decide what every column is for.

    Only training rows decide where the table has the column `SPLIT`.

    Parameters
    ----------
    raw : DataFrame
        A table of `read`.
    target : str
        What is to be learnt.
    kind : Kind, optional
        Classification or regression; by default it follows from the target's values.
    drop : sequence of str
        Columns to leave out.

    Returns
    -------
    Schema

    Raises
    ------
    InputError
        If the target or the other columns leave nothing to learn.
    """
    if target not in raw:
        raise unknown_column("target", target, _names(raw), "the table")
    known = _target_role(raw[target])
    values = _target_values(raw[target], known)
    has_target = values.notna().to_numpy()
    is_train = has_target & _is_train(raw)
    kind, kind_note = _kind(target, values[is_train], kind)
    _require_known_classes(target, kind, values, is_train)
    train = raw if is_train.all() else raw[is_train]
    others = [name for name in _names(raw) if name != target and name not in drop]
    columns = tuple(_column(name, train[name]) for name in others)
    _require_usable(target, columns)
    _require_finite(raw, columns)
    _require_agreement(raw, columns)
    notes = (
        kind_note,
        *raw.attrs.get(NOTES, ()),
        *_row_notes(target, len(raw) - int(has_target.sum())),
        *([f"target '{target}' {known.note}"] if known.note else []),
        *_column_notes(columns),
    )
    return Schema(columns, known, kind, notes)


def infer_unlabelled(raw: pd.DataFrame, drop: Sequence[str] = ()) -> Schema:
    """Decide what every column is for where there is no target: nothing is dropped for its values.

    Few rows say too little about a column's use, and the model that is asked knows which columns
    it was trained on.
    """
    columns = (_column(name, raw[name], keep=True) for name in _names(raw) if name not in drop)
    return Schema(tuple(columns))


def _names(raw: pd.DataFrame) -> list[str]:
    return [name for name in raw.columns if name != SPLIT]


def _is_train(raw: pd.DataFrame) -> np.ndarray:
    import numpy as np

    if SPLIT not in raw:
        return np.ones(len(raw), dtype=bool)
    return (raw[SPLIT] == Split.TRAIN.value).to_numpy(dtype=bool)


def _column(name: str, series: pd.Series, *, keep: bool = False) -> Column:
    column = _settled(name, series, keep=keep)
    if keep or column.role is Role.DROPPED or series.dtype.kind not in "biufmM":
        return column
    reason = _why_useless(name, series)
    return Column(name, Role.DROPPED, note=reason) if reason else column


def _settled(name: str, series: pd.Series, *, keep: bool) -> Column:
    match series.dtype.kind:
        case "i" | "u" | "f":
            return Column(name, Role.NUMBER)
        case "b" if not series.hasnans:
            return Column(name, Role.BOOLEAN)
        case "M":
            return Column(name, Role.DATETIME)
        case "m":
            return Column(name, Role.DURATION, note="is counted in seconds")
    text = _text_if_any(series)
    if text is None:
        return Column(name, Role.DROPPED, note="neither a number, a date nor text")
    return _text_column(name, _levels(text), len(text), keep=keep)


def _why_useless(name: str, series: pd.Series) -> str:
    """Reason to drop a column of numbers, booleans, dates or durations, or nothing."""
    missing = int(series.isna().sum())
    if missing == len(series):
        return "no values"
    low, high = series.min(), series.max()
    if low == high and not missing:
        return "the same value in every row"
    whole = series.dtype.kind in "iu"
    if whole and len(series) > 2 and _is_row_number(name, series):
        return "a row number or id: every value is different"
    return ""


def _is_row_number(name: str, series: pd.Series) -> bool:
    nameless = re.fullmatch(r"Unnamed: \d+(\.\d+)?|__index_level_\d+__", name)
    if not nameless and not _ID_NAME.search(name):
        return False
    if series.is_monotonic_increasing or series.is_monotonic_decreasing:
        return bool(series.is_unique)
    return bool(nameless and series.is_unique)


def _require_usable(target: str, columns: Sequence[Column]) -> None:
    if any(column.role is not Role.DROPPED for column in columns):
        return
    reasons = [f"'{column.name}' is left out ({column.note})" for column in columns]
    why = "; ".join(reasons[:3]) or "there is no other column"
    raise InputError(f"no column is left to predict '{target}' from: {why}; add a column of use")


def _require_finite(raw: pd.DataFrame, columns: Sequence[Column]) -> None:
    import numpy as np

    for column in columns:
        if column.role is Role.NUMBER and raw[column.name].dtype.kind == "f":
            count = int(np.isinf(raw[column.name].to_numpy()).sum())
            if count:
                raise InputError(
                    f"column '{column.name}' has {_counted(count, 'infinite value')}; "
                    f"replace them, leave them empty or drop the column: -p drop={column.name}"
                )


def _require_agreement(raw: pd.DataFrame, columns: Sequence[Column]) -> None:
    """Refuse test rows whose text is not what the training rows' text was read as."""
    if SPLIT not in raw:
        return
    test = raw[~_is_train(raw)]
    for column in columns:
        if column.style:
            levels = _levels(_text(test[column.name])).without_missing()
            share = levels.share(_reader(column)(levels.values))
            if levels.total and share < NEARLY_NUMBERS:
                raise InputError(
                    f"column '{column.name}' is a {column.role} in the training file and mostly "
                    f"not in the test file (such as '{levels.values[0]}'); make them agree"
                )


def _row_notes(target: str, without: int) -> list[str]:
    rows = _counted(without, "row")
    return [f"{rows} without a value of '{target}' left out"] if without else []


def _column_notes(columns: Sequence[Column]) -> list[str]:
    """One sentence per column that was read in a special way and per reason to drop columns."""
    dropped: dict[str, list[str]] = {}
    for column in columns:
        if column.role is Role.DROPPED:
            dropped.setdefault(column.note, []).append(column.name)
    kept = [column for column in columns if column.role is not Role.DROPPED and column.note]
    return [
        *(f"dropped {_listed(names)}: {reason}" for reason, names in dropped.items()),
        *(f"'{column.name}' {column.note}" for column in kept[:20]),
        *([f"{len(kept) - 20} more columns were read in such ways"] if len(kept) > 20 else []),
    ]


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


# The target ----------------------------------------------------------------------------------


def _target_role(series: pd.Series) -> Column:
    name = str(series.name)
    column = _settled(name, series, keep=True)
    match column.role:
        case Role.DATETIME:
            raise InputError(
                f"target '{name}' is a date, which Baton does not predict; choose another target, "
                "such as the days until it"
            )
        case Role.DROPPED:
            raise InputError(f"target '{name}' is {column.note}; choose another target")
        case Role.NUMBER if column.style and not _is_target_number(series, column):
            return Column(name, Role.CATEGORY)
    return column


def _is_target_number(series: pd.Series, column: Column) -> bool:
    """Whether text is read as numbers in a target: a class must not be lost as a stray value."""
    levels = _levels(_text(series)).without_missing()
    numbers = _reader(column)(levels.values)
    return levels.share(numbers) == 1 or len(numbers) > MAX_INTEGER_CLASSES


def _target_values(series: pd.Series, column: Column) -> pd.Series:
    """Target as numbers, booleans or text, missing where there is none."""
    import pandas as pd

    if column.role is Role.CATEGORY:
        text: pd.Series = _text(series).to_pandas().astype("str")
        return text.set_axis(series.index)
    return pd.Series(_converted(series, column), series.index)


def _kind(target: str, values: pd.Series, wanted: Kind | None) -> tuple[Kind, str]:
    """Kind of a target of numbers, booleans or text, and the sentence that says why."""
    sizes = values.value_counts()
    _require_variety(target, values, sizes)
    is_number = values.dtype.kind in "iuf"
    natural, what = _natural_kind(values, sizes)
    kind = wanted or natural
    if kind is Kind.REGRESSION and not is_number and values.dtype.kind != "b":
        raise InputError(
            f"target '{target}' is text (such as '{sizes.index[0]}'), which cannot be regressed; "
            "add -p kind=classification or choose a target of numbers"
        )
    if kind is Kind.CLASSIFICATION and len(sizes) > _MANY_CLASSES * len(values):
        other = "add -p kind=regression or choose another target"
        raise InputError(
            f"target '{target}' has {len(sizes)} different values in {len(values)} rows, too many "
            f"to classify; {other if is_number else 'choose another target'}"
        )
    other_kind = Kind.REGRESSION if natural is Kind.CLASSIFICATION else Kind.CLASSIFICATION
    is_close = is_number and what.endswith("integers")
    why = "as asked" if wanted else f"-p kind={other_kind} for the other" if is_close else ""
    return kind, f"target '{target}' has {what}: {kind}" + (f"; {why}" if why else "")


def _require_variety(target: str, values: pd.Series, sizes: pd.Series) -> None:
    import numpy as np

    if sizes.empty:
        raise InputError(f"target '{target}' has no values; choose another target")
    if values.dtype.kind == "f" and (count := int(np.isinf(values.to_numpy()).sum())):
        raise InputError(
            f"target '{target}' has {_counted(count, 'infinite value')}; "
            "leave them empty and those rows are left out"
        )
    if len(sizes) == 1:
        raise InputError(
            f"target '{target}' has one value only ('{sizes.index[0]}'), so there is nothing to "
            "learn; choose another target"
        )


def _natural_kind(values: pd.Series, sizes: pd.Series) -> tuple[Kind, str]:
    if values.dtype.kind not in "iuf":
        return Kind.CLASSIFICATION, f"{len(sizes)} classes"
    if values.dtype.kind == "f" and not (values % 1 == 0).all():
        return Kind.REGRESSION, "numbers with fractions"
    few = len(sizes) <= MAX_INTEGER_CLASSES and sizes.median() >= 5
    kind = Kind.CLASSIFICATION if few or len(sizes) == 2 else Kind.REGRESSION
    return kind, f"{len(sizes):,} distinct integers"


def _require_known_classes(
    target: str, kind: Kind, values: pd.Series, is_train: np.ndarray
) -> None:
    if kind is Kind.REGRESSION or is_train.all():
        return
    known = set(values[is_train].unique())
    strange = [value for value in values[~is_train].dropna().unique() if value not in known]
    if strange:
        raise InputError(
            f"the test file has classes of '{target}' that no training row has: "
            f"{_listed(strange)}; leave those rows out or train on some"
        )


# Text columns --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Levels:
    """Distinct values of a text column, and how many rows have each."""

    values: pa.Array
    counts: np.ndarray

    @property
    def total(self) -> int:
        return int(self.counts.sum())

    def share(self, read: np.ndarray) -> float:
        """Part of the rows whose value could be read."""
        import pandas as pd

        return float(self.counts[pd.notna(read)].sum() / max(self.total, 1))

    def without_missing(self) -> _Levels:
        """Levels without those that say *missing* among numbers or dates."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        tokens = pa.array(sorted(MISSING_NUMBER), self.values.type)
        real = ~np.asarray(pc.is_in(pc.utf8_lower(self.values), value_set=tokens))
        return _Levels(self.values.filter(pa.array(real)), self.counts[real])

    def part(self, most: int) -> _Levels:
        """At most so many of the levels, evenly spread."""
        import numpy as np

        if len(self.values) <= most:
            return self
        some = np.linspace(0, len(self.values) - 1, most).astype(int)
        return _Levels(self.values.take(some), self.counts[some])


def _text(series: pd.Series) -> pa.ChunkedArray:
    """Column as trimmed text, blank ones missing.

    Raises
    ------
    InputError
        If its values are lists, structs or bytes.
    """
    text = _text_if_any(series)
    if text is None:
        raise InputError(f"column '{series.name}' holds neither text nor numbers; drop it")
    return text


def _text_if_any(series: pd.Series) -> pa.ChunkedArray | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _arrow(series)
    if _is_unusable(column.type):
        return None
    column = _plain(column)
    if pa.types.is_boolean(column.type):
        column = pc.if_else(column, "True", "False")
    return _trimmed(column.cast(pa.large_string()))


def _arrow(series: pd.Series) -> pa.ChunkedArray:
    """Column of pyarrow; values of mixed types as text."""
    import pyarrow as pa

    try:
        array = pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        array = pa.array(series.map(str, na_action="ignore"), from_pandas=True)
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _levels(text: pa.ChunkedArray) -> _Levels:
    counted = text.drop_null().value_counts()
    return _Levels(counted.field("values"), counted.field("counts").to_numpy())


def _text_column(name: str, levels: _Levels, rows: int, *, keep: bool) -> Column:
    if not levels.total:
        return Column(
            name, Role.CATEGORY if keep else Role.DROPPED, note="" if keep else "no values"
        )
    distinct = len(levels.values)
    if distinct == 1 and levels.total == rows and not keep:
        return Column(name, Role.DROPPED, note="the same value in every row")
    special = _special_column(name, levels)
    if special or keep:
        return special or Column(name, Role.CATEGORY)
    if distinct > NEARLY_UNIQUE * levels.total and distinct >= FEW_ROWS:
        every = "every" if distinct == levels.total else "nearly every"
        return Column(name, Role.DROPPED, note=f"text, and {every} value is different")
    nothing = next((v for v in levels.values[:1000].to_pylist() if v.lower() == "none"), None)
    return Column(name, Role.CATEGORY, note=f"has the category '{nothing}'" if nothing else "")


def _special_column(name: str, levels: _Levels) -> Column | None:
    """Text that is nearly all numbers, dates or times of day, if it is.

    Of very many distinct values a part decides, evenly spread.
    """
    levels = levels.part(_DECIDING)
    real = levels.without_missing()
    for role, styles, threshold in _likely(real.part(200).values.to_pylist()):
        fitting = _best(real, [Column(name, role, style) for style in styles], threshold)
        if fitting is not None:
            return replace(fitting, note=_reading_note(fitting, levels))
    return None


def _likely(sample: Sequence[str]) -> Iterator[tuple[Role, Sequence[str], float]]:
    """Roles, and ways to read them, whose shape half of a sample has; plain text has none."""

    def shaped(shape: str) -> list[str]:
        found = [text for text in sample if re.match(shape, text)]
        return found if 2 * len(found) >= len(sample) else []

    if shaped(r"[+-]?\s*[$€£¥]?\s*[+-]?\.?\d"):
        yield Role.NUMBER, ("point", "comma"), NEARLY_NUMBERS
    if dates := shaped(_DATE_SHAPE):
        yield Role.DATETIME, _date_styles(dates[0]), NEARLY_DATES
    if shaped(r"\d{1,3}:\d\d"):
        yield Role.DURATION, ("time",), NEARLY_DATES


def _best(real: _Levels, candidates: Sequence[Column], threshold: float) -> Column | None:
    """Candidate that reads most of the rows, the first of equals, if it reads enough of them."""
    sample = real.part(200)
    likely = [one for one in candidates if _share(sample, one) >= threshold / 2]
    shares = [_share(real, one) for one in likely]
    enough = bool(shares) and max(shares) >= threshold
    return likely[shares.index(max(shares))] if enough else None


def _share(levels: _Levels, column: Column) -> float:
    return levels.share(_reader(column)(levels.values))


def _date_styles(example: str) -> Sequence[str]:
    """Formats that have the shape of a value."""
    dates = next(formats for shape, formats in _DATES.items() if re.match(shape, example))
    if ":" not in example or dates == (ISO,):
        return dates
    times = _TIMES_12 if example[-1] in "mM" else _TIMES_24
    return [date + time for date in dates for time in times]


ISO = "ISO8601"
_DATES = {
    r"\d{4}-\d\d": (ISO,),
    r"\d{1,2}/\d{1,2}/\d\d": ("%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y"),
    r"\d{1,2}\.\d{1,2}\.\d\d": ("%d.%m.%Y", "%d.%m.%y"),
    r"\d{1,2}-\d{1,2}-\d{4}": ("%d-%m-%Y", "%m-%d-%Y"),
    r"\d{4}/\d{1,2}/\d": ("%Y/%m/%d",),
    r"\d{4}\.\d{1,2}\.\d": ("%Y.%m.%d",),
    r"\d{1,2} [A-Za-z]{3,9} \d{4}": ("%d %b %Y", "%d %B %Y"),
    r"\d{1,2}-[A-Za-z]{3,9}-\d\d": ("%d-%b-%Y", "%d-%b-%y"),
    r"[A-Za-z]{3,9} \d{1,2}, \d{4}": ("%b %d, %Y", "%B %d, %Y"),
    r"[A-Za-z]{3,9} \d{1,2} \d{4}": ("%b %d %Y", "%B %d %Y"),
}
"""Formats by the shape of a value; of two that fit equally well the first is taken."""
_DATE_SHAPE = "|".join(_DATES)
_TIMES_24 = (" %H:%M:%S", " %H:%M", "T%H:%M:%S", ", %H:%M", ", %H:%M:%S", " %H:%M:%S.%f")
_TIMES_12 = (" %I:%M:%S %p", " %I:%M %p", ", %I:%M %p", " %I:%M%p")


def _reader(column: Column) -> Callable[[pa.Array], np.ndarray]:
    """Function from distinct texts to numbers, dates or seconds, missing where it is none."""
    readers = {Role.NUMBER: _numbers, Role.DATETIME: _dates, Role.DURATION: _seconds}
    return lambda values: readers[column.role](values, column.style)


def _numbers(values: pa.Array, style: str) -> np.ndarray:
    """Numbers with group separators, a currency sign or a per-cent sign, else NaN."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    group, point = (",", r"\.") if style == "point" else (r"[.\x{00a0}' ]", ",")
    whole = rf"(\d{{1,3}}({group}\d{{3}})+|0|[1-9]\d*)"
    bare = pc.replace_substring_regex(values, r"^([+-]?)\s*[$€£¥]?\s*(.*?)\s*[%€£¥$]?$", r"\1\2")
    fits = pc.match_substring_regex(
        bare, rf"^[+-]?({whole}({point}\d*)?|0*{point}\d+)([eE][+-]?\d+)?$"
    )
    plain = pc.replace_substring_regex(bare, group, "")
    pointed = plain if style == "point" else pc.replace_substring(plain, ",", ".")
    numbers = pc.if_else(fits, pointed, pa.scalar(None, pointed.type)).cast(pa.float64())
    finite = pc.if_else(pc.is_finite(numbers), numbers, None)
    return np.asarray(finite.to_numpy(zero_copy_only=False), dtype=float)


def _dates(values: pa.Array, style: str) -> np.ndarray:
    """Naive timestamps, in UTC where the text says an offset, else NaT."""
    import numpy as np
    import pandas as pd

    texts = values.to_pandas()
    if style == ISO:
        iso = r"\d{4}-\d{2}-\d{2}(?:[T ].*)?|(?:18|19|20|21)\d\d-\d\d"
        texts = texts.where(texts.str.fullmatch(iso))
        dates = pd.to_datetime(texts, format=ISO, errors="coerce", utc=True)
        dates = dates.dt.tz_localize(None)
    else:
        dates = pd.to_datetime(texts, format=style, errors="coerce")
    return np.asarray(dates.to_numpy(), dtype="datetime64[us]")


def _seconds(values: pa.Array, style: str) -> np.ndarray:  # noqa: ARG001
    """Seconds of a time of day or a duration such as 12:30 or 12:30:59.5, else NaN."""
    import numpy as np
    import pandas as pd

    texts = values.to_pandas()
    parts = texts.str.extract(r"^(\d{1,3}):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?$")
    hours, minutes, seconds = (pd.to_numeric(parts[i]) for i in range(3))
    return np.asarray(3600 * hours + 60 * minutes + seconds.fillna(0), dtype=float)


def _reading_note(column: Column, levels: _Levels) -> str:
    """What was read, an example where that is not plain, and how many values were lost."""
    import pandas as pd
    import pyarrow as pa

    read = _reader(column)(levels.values)
    lost = pd.isna(read)
    text = levels.values.filter(pa.array(~lost))[0].as_py()
    first = read[~lost][0]
    match column.role:
        case Role.DATETIME:
            what = f"is read as dates: '{text}' as {str(first)[:10]}"
        case Role.DURATION:
            what = f"is read as seconds: '{text}' as {first:g}"
        case _:
            what = f"is read as numbers: '{text}' as {first:g}"
    return what + _doubt(column, levels) + _loss(levels, lost)


def _doubt(column: Column, levels: _Levels) -> str:
    swapped = column.style.replace("%m", "%?").replace("%d", "%m").replace("%?", "%d")
    if column.role is not Role.DATETIME or swapped == column.style or "%m" not in swapped:
        return ""
    other = Column(column.name, column.role, swapped)
    if _share(levels, other) < _share(levels, column):
        return ""
    order = "month" if column.style.startswith("%m") else "day"
    return f", {order} first, though the other order fits too"


def _loss(levels: _Levels, lost: np.ndarray) -> str:
    import pyarrow as pa

    if not lost.any():
        return ""
    count = int(levels.counts[lost].sum())
    example = levels.values.filter(pa.array(lost))[0].as_py()
    return f"; {_counted(count, 'value')} such as '{example}' taken as missing"


# From the raw table to features --------------------------------------------------------------


def build(raw: pd.DataFrame, schema: Schema, *, with_target: bool = True) -> pd.DataFrame:
    """Feature table of a raw table.

    Parameters
    ----------
    raw : DataFrame
        A table of `read`.
    schema : Schema
        What `infer` said of it, or of the table a model was trained on.
    with_target : bool
        Whether to add the target and leave out the rows without one.

    Returns
    -------
    DataFrame
        `ROW` (position in `raw`), the columns of use and, if asked for, the target: `float` for
        regression; `int`, `bool` or text for classification.

    Raises
    ------
    InputError
        If `raw` lacks a column or a column's type is not what it was.
    """
    import numpy as np
    import pandas as pd

    used = [column for column in schema.columns if column.role is not Role.DROPPED]
    for column in used:
        if column.name not in raw:
            raise unknown_column("column", column.name, _names(raw), "the table")
    columns = {column.name: _converted(raw[column.name], column) for column in used}
    table = pd.DataFrame({ROW: np.arange(len(raw)), **columns})
    if not with_target or schema.target is None:
        return table
    target = _target_values(raw[schema.target.name], schema.target).reset_index(drop=True)
    known = target.notna()
    table[schema.target.name] = target
    table = table if known.all() else table[known].reset_index(drop=True)
    return table.assign(**{schema.target.name: _as_kind(table[schema.target.name], schema.kind)})


def _as_kind(values: pd.Series, kind: Kind | None) -> pd.Series:
    if kind is Kind.REGRESSION:
        return values.astype(float)
    if values.dtype.kind == "f":
        return values.astype("int64") if (values % 1 == 0).all() else values.astype("str")
    return values


def _converted(series: pd.Series, column: Column) -> Any:
    """Values of a column in its role."""
    numeric = series.dtype.kind in "biuf"
    match column.role:
        case Role.NUMBER | Role.BOOLEAN if numeric:
            return _plain_numbers(series, column.role)
        case Role.DATETIME if series.dtype.kind == "M":
            return series.to_numpy().astype("datetime64[us]")
        case Role.DURATION if series.dtype.kind == "m":
            return series.dt.total_seconds().to_numpy()
        case Role.CATEGORY:
            return _categories(series)
    if series.isna().all():
        return _nothing(column.role, len(series))
    if numeric or series.dtype.kind in "mM":
        raise InputError(
            f"column '{column.name}' was a {column.role} and is {series.dtype} here; "
            "make them agree"
        )
    return _read_levels(series, column)


def _plain_numbers(series: pd.Series, role: Role) -> np.ndarray:
    is_plain = series.dtype.kind == ("b" if role is Role.BOOLEAN else series.dtype.kind)
    if is_plain and not (series.dtype.kind != "f" and series.hasnans):
        return series.to_numpy()
    return series.to_numpy(dtype=float, na_value=float("nan"))


def _nothing(role: Role, count: int) -> np.ndarray:
    import numpy as np

    if role is Role.DATETIME:
        return np.full(count, np.datetime64("NaT"), dtype="datetime64[us]")
    return np.full(count, np.nan)


def _encoded(series: pd.Series) -> tuple[np.ndarray, pa.Array]:
    """Position of each row's text in the distinct ones (-1 if missing), and those."""
    text = _text(series)
    encoded = text.combine_chunks().dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), encoded.dictionary


def _categories(series: pd.Series) -> pd.Categorical:
    import numpy as np
    import pandas as pd

    codes, values = _encoded(series)
    levels = np.asarray(values.to_pylist(), dtype=object)
    order = np.argsort(levels, kind="stable")
    rank = np.append(np.argsort(order), -1)
    return pd.Categorical.from_codes(rank[codes], pd.Index(levels[order], dtype="str"))


def _read_levels(series: pd.Series, column: Column) -> np.ndarray:
    import numpy as np

    codes, values = _encoded(series)
    read = _reader(column)(values)
    return np.asarray(np.append(read, _nothing(column.role, 1))[codes])
