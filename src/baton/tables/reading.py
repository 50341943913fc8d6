"""Table files read in whole: one or two of them as one raw table of plain column types."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from baton.errors import InputError
from baton.tables.arrow import plain, table_of, trim, without_null_types
from baton.tables.encodings import guess_encoding
from baton.tables.files import BROKEN, content, grown, largest, opened, unreadable, whole
from baton.tables.source import Format, Source
from baton.tables.typed import MISSING, missing_classes, typed_table
from baton.terms import SPLIT, Split
from baton.words.text import counted, quoted

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

NOTES = "notes"
"""Key in a raw table's ``attrs``: sentences about how the file was read."""


def read(
    train: Source,
    test: Source | None = None,
    target: str = "",
    *,
    only: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Raw table: one file, or training rows and then test rows, marked in the column `SPLIT`.

    Parameters
    ----------
    train, test : Source
        What `describe` said of the files.
    target : str
        Column in which a word for *missing* may be the name of a class (`missing_classes`).
    only : sequence of str, optional
        Columns that are wanted; all of them if not given.

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
    import numpy as np

    given = [train] if test is None else [train, test]
    loaded, sources = zip(*(_load(one, only) for one in given), strict=True)
    tables, named = _with_classes(sources, loaded, target) if target else (loaded, ())
    raw: pd.DataFrame = without_null_types(
        _join(sources, tables, target if named else "")
    ).to_pandas()
    notes = [note for source in sources for note in _reading_notes(source)]
    if test is not None:
        sides = np.repeat([Split.TRAIN.value, Split.TEST.value], [len(table) for table in tables])
        raw = raw.assign(**{SPLIT: sides})
        extra = [name for name in test.columns if name not in train.columns]
        notes += [f"ignored {quoted(extra)}: only in {test.path.name}"] if extra else []
    raw.attrs[NOTES] = [*notes, *(_class_note(target, name) for name in named)]
    return raw


def column_names(raw: pd.DataFrame) -> list[str]:
    """Names of a raw table's columns that come from a file."""
    return [name for name in raw.columns if name != SPLIT]


def _load(source: Source, only: Sequence[str] | None) -> tuple[pa.Table, Source]:
    """Table of a file, of a CSV file its columns as text, and the source as it was read.

    Bytes that are not UTF-8 may come after the head of a file; then a guess of the encoding
    takes its place.
    """
    import pyarrow as pa

    if source.format is Format.PARQUET:
        return _read_parquet(source, only), source
    try:
        return _read_csv(source, only), source
    except pa.ArrowInvalid as error:
        if "invalid UTF8" not in str(error) or source.encoding != "utf-8":
            raise InputError(_csv_fault(source, error)) from None
    except BROKEN as error:
        raise InputError(unreadable(source.path, "CSV", error)) from None
    return _load(replace(source, encoding=guess_encoding(content(source.path))), only)


def _read_parquet(source: Source, only: Sequence[str] | None) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = list(source.columns if only is None else only)
    some = wanted if source.unusable or only is not None else None
    try:
        with pq.ParquetFile(source.path) as file:
            if file.metadata.num_rows * len(source.columns) > largest(source.path):
                raise grown(source.path, "a table of so many equal values teaches nothing")
            table = file.read(columns=some).select(wanted)
    except (pa.ArrowException, OSError) as error:
        raise InputError(unreadable(source.path, "Parquet", error)) from None
    return table_of({name: _plain(source, name, table[name]) for name in table.column_names})


def _plain(source: Source, name: str, column: pa.ChunkedArray[Any]) -> pa.ChunkedArray[Any]:
    import pyarrow as pa

    found = plain(column)
    try:
        found.validate(full=True)
    except pa.ArrowInvalid as error:
        fault = f"column {name!r}: {error}"
        raise InputError(unreadable(source.path, "Parquet", ValueError(fault))) from None
    return found


def _with_classes(
    sources: Sequence[Source], tables: Sequence[pa.Table], target: str
) -> tuple[Sequence[pa.Table], tuple[str, ...]]:
    """Tables in which words for *missing* that are classes stand in the target, and these words.

    Only where the target lacks cells as it was read are the files read again, word by word.
    """
    if all(
        one.format is not Format.CSV or not table[target].null_count
        for one, table in zip(sources, tables, strict=True)
    ):
        return tables, ()
    is_csv = [source.format is Format.CSV for source in sources]
    as_written = [
        _read_csv(source, None, missing=("",)) if found else table
        for source, table, found in zip(sources, tables, is_csv, strict=True)
    ]
    named = missing_classes(as_written[0], target) if is_csv[0] else ()
    if not named:
        return tables, ()
    kept = [word for word in MISSING if word not in named]
    found = []
    for table, written, is_text in zip(tables, as_written, is_csv, strict=True):
        place = table.column_names.index(target)
        column = trim(written[target], kept) if is_text else table[target]
        found.append(table.set_column(place, target, column))
    return found, named


def _class_note(target: str, name: str) -> str:
    return (
        f"'{name}' is a class of target '{target}', as no other column has that word; leave those"
        " cells empty if it says missing"
    )


def _read_csv(
    source: Source, only: Sequence[str] | None, missing: Sequence[str] = MISSING
) -> pa.Table:
    from pyarrow import csv as arrow_csv
    from pyarrow import string

    names = list(source.columns)
    size = source.path.stat().st_size
    return arrow_csv.read_csv(
        _stream(source),
        read_options=arrow_csv.ReadOptions(
            column_names=names,
            skip_rows=source.skipped,
            skip_rows_after_names=1,
            block_size=min(max(size // 8, 1 << 24), 1 << 28),
        ),
        parse_options=arrow_csv.ParseOptions(delimiter=source.delimiter, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(names, string()),
            include_columns=None if only is None else list(only),
            null_values=list(missing),
            strings_can_be_null=True,
        ),
    )


def _stream(source: Source) -> Any:
    """A file in UTF-8: from the disk if it is such as it stands there, else from memory."""
    import pyarrow as pa

    is_utf8 = source.encoding == "utf-8"
    with opened(source.path) as stream:
        if is_utf8 and isinstance(stream, io.BufferedReader):
            return pa.OSFile(str(source.path), "r")
        data = whole(source.path, stream)
    return pa.BufferReader(
        data if is_utf8 else data.decode(source.encoding, errors="replace").encode()
    )


def _csv_fault(source: Source, error: BaseException) -> str:
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


def _join(sources: Sequence[Source], tables: Sequence[pa.Table], words: str) -> pa.Table:
    """One typed table: CSV files written alike are typed by the values of both.

    The column of `words` stays text.
    """
    is_csv = [source.format is Format.CSV for source in sources]
    if all(is_csv) and len({source.decimal for source in sources}) == 1:
        return typed_table(_concat(sources, tables), sources[0].decimal, words)
    typed = [
        typed_table(table, source.decimal, words) if source.format is Format.CSV else table
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


def _reading_notes(source: Source) -> Iterator[str]:
    if source.encoding != "utf-8":
        yield f"{source.path.name} is not UTF-8: read as {source.encoding}"
    if source.decimal == ",":
        yield f"{source.path.name} has decimal commas: '1,5' is read as 1.5"
    for name, kind in source.unusable:
        yield f"dropped '{name}': {kind} is neither a number, a date nor text"
