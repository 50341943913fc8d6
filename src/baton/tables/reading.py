"""Table files read: all of a table as one raw table, or new rows of it by batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from baton.errors import InputError
from baton.tables import columnar, csv_file, excel, json_lines
from baton.tables.arrow import table_of, trim, without_null_types
from baton.tables.formats import Format, Source
from baton.tables.typed import MISSING, missing_classes, typed_table
from baton.terms import SPLIT, Split
from baton.words.text import quoted

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

NOTES = "notes"
"""Key in a raw table's ``attrs``: sentences about how the file was read."""

DECIMAL = "decimal"
"""Key in the ``attrs`` of new rows, and in the metadata of their table: the decimal mark."""

_BATCHES = {
    Format.CSV: csv_file.batches,
    Format.JSON_LINES: json_lines.batches,
    Format.EXCEL: excel.batches,
    Format.PARQUET: columnar.batches,
    Format.ARROW: columnar.batches,
}


def read(
    train: Sequence[Source],
    test: Sequence[Source] = (),
    target: str = "",
    *,
    only: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Raw table: training rows, and then test rows if there are any, marked in the column `SPLIT`.

    Parameters
    ----------
    train, test : sequence of Source
        What `describe` said of the files of either side.
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
        If a file does not parse or the files do not agree in a column's type.
    """
    import numpy as np

    sources = [_settled(source) for source in (*train, *test)]
    tables = [_load(source, only) for source in sources]
    tables, named = _with_classes(sources, tables, len(train), target) if target else (tables, ())
    joined = _join(sources, tables, target if named else "")
    raw: pd.DataFrame = without_null_types(joined).to_pandas()
    notes = dict.fromkeys(note for source in sources for note in reading_notes(source))
    if test:
        lengths = [sum(map(len, tables[: len(train)])), sum(map(len, tables[len(train) :]))]
        raw = raw.assign(**{SPLIT: np.repeat([Split.TRAIN.value, Split.TEST.value], lengths)})
        extra = [name for name in test[0].columns if name not in train[0].columns]
        if extra:
            notes[f"ignored {quoted(extra)}: only in {test[0].path.name}"] = None
    raw.attrs[NOTES] = [*notes, *(_class_note(target, name) for name in named)]
    return raw


def first_rows(source: Source, most: int) -> pd.DataFrame:
    """First rows of a file, as `read` has them, by themselves: later ones may type them otherwise.

    Parameters
    ----------
    source : Source
    most : int
        Rows that are read, at most.

    Raises
    ------
    InputError
        If what was read of the file does not parse.
    """
    import pyarrow as pa

    found: list[pa.Table] = []
    batches = _BATCHES[source.format](source)
    while (left := most - sum(map(len, found))) > 0 and (table := next(batches, None)) is not None:
        found.append(table.slice(0, left))
    table = pa.concat_tables(found).select(list(source.columns))
    if source.format.is_text:
        table = typed_table(table, source.decimal)
    raw: pd.DataFrame = without_null_types(table).to_pandas()
    raw.attrs[NOTES] = list(reading_notes(source))
    return raw


def new_rows(sources: Sequence[Source]) -> Iterator[pa.Table]:
    """Rows to be predicted, as they stand in the files, some thousand at a time.

    What a file gives as text stays text: each cell is read by itself, as the column was that a
    model learnt from, whatever stands in the other rows. All tables have one schema.

    Raises
    ------
    InputError
        If a file does not parse, or has another type in a column than the first one.
    """
    import pyarrow as pa

    schema = None
    marks = {source.decimal for source in sources}
    metadata = {DECIMAL: "," if "," in marks else "."}
    for source in sources:
        for table in _BATCHES[source.format](_settled(source)):
            trimmed = _trimmed(table.select(list(sources[0].columns)), source)
            schema = schema or without_null_types(trimmed).schema.with_metadata(metadata)
            try:
                yield trimmed.cast(schema)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                raise InputError(_disagreement(sources[0], source, schema, trimmed)) from None


def attrs_of(schema: pa.Schema) -> dict[str, str]:
    """What the metadata of a table of new rows says, as the ``attrs`` of a frame."""
    found = schema.metadata or {}
    return {DECIMAL: found[DECIMAL.encode()].decode()} if DECIMAL.encode() in found else {}


def _trimmed(table: pa.Table, source: Source) -> pa.Table:
    if not source.format.is_text:
        return table
    return table_of({name: trim(table[name], MISSING) for name in table.column_names})


def column_names(raw: pd.DataFrame) -> list[str]:
    """Names of a raw table's columns that come from a file."""
    return [name for name in raw.columns if name != SPLIT]


def _settled(source: Source) -> Source:
    return csv_file.settled(source) if source.format is Format.CSV else source


def _load(source: Source, only: Sequence[str] | None) -> pa.Table:
    """Table of a file; of one that is text, its columns as text."""
    import pyarrow as pa

    match source.format:
        case Format.CSV:
            return csv_file.read(source, only)
        case Format.PARQUET | Format.ARROW:
            return columnar.read(source, only)
    table = pa.concat_tables(list(_BATCHES[source.format](source)))
    return table if only is None else table.select(list(only))


def _with_classes(
    sources: Sequence[Source], tables: list[pa.Table], n_train: int, target: str
) -> tuple[list[pa.Table], tuple[str, ...]]:
    """Tables in which words for *missing* that are classes stand in the target, and these words.

    The training rows show which are; only where the target lacks cells is a CSV file read again,
    word by word.
    """
    is_text = [source.format.is_text for source in sources]
    learnt = [place for place, found in enumerate(is_text[:n_train]) if found]
    if not any(_may_name(sources[place], tables[place], target) for place in learnt):
        return tables, ()
    as_written = list(map(_as_written, sources, tables))
    shown = _concat([sources[place] for place in learnt], [as_written[place] for place in learnt])
    named = missing_classes(shown, target)
    if not named:
        return tables, ()
    kept = [word for word in MISSING if word not in named]
    found = []
    for table, written, is_written in zip(tables, as_written, is_text, strict=True):
        place = table.column_names.index(target)
        column = trim(written[target], kept) if is_written else table[target]
        found.append(table.set_column(place, target, column))
    return found, named


def _may_name(source: Source, table: pa.Table, target: str) -> bool:
    """Whether the target may hold such a word; of CSV, words for *missing* are not there yet."""
    return source.format is not Format.CSV or table[target].null_count > 0


def _as_written(source: Source, table: pa.Table) -> pa.Table:
    return csv_file.read(source, missing=("",)) if source.format is Format.CSV else table


def _class_note(target: str, name: str) -> str:
    return (
        f"'{name}' is a class of target '{target}', as no other column has that word; leave those"
        " cells empty if it says missing"
    )


def _join(sources: Sequence[Source], tables: Sequence[pa.Table], words: str) -> pa.Table:
    """One typed table: files of text that are written alike are typed by the values of all.

    The column of `words` stays text.
    """
    are_text = all(source.format.is_text for source in sources)
    if are_text and len({source.decimal for source in sources}) == 1:
        return typed_table(_concat(sources, tables), sources[0].decimal, words)
    typed = [
        typed_table(table, source.decimal, words) if source.format.is_text else table
        for source, table in zip(sources, tables, strict=True)
    ]
    return _concat(sources, typed)


def _concat(sources: Sequence[Source], tables: Sequence[pa.Table]) -> pa.Table:
    """Rows of all, in the columns of the first."""
    import pyarrow as pa

    first, *others = tables
    if not others:
        return first
    names = first.column_names
    alike = [
        table.select([name for name in names if name in table.column_names]) for table in others
    ]
    for source, table in zip(sources[1:], alike, strict=True):
        if _differing(first.schema, table.schema):
            raise InputError(_disagreement(sources[0], source, first.schema, table))
    try:
        return pa.concat_tables([first, *alike], promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise InputError(f"the files of {sources[0].path.parent} do not agree: {error}") from None


def _differing(one: pa.Schema, other: pa.Schema) -> str:
    """First column whose types have none in common; nothing if there is no such column."""
    import pyarrow as pa

    for field in other:
        try:
            pa.unify_schemas(
                [pa.schema([one.field(field.name)]), pa.schema([field])],
                promote_options="permissive",
            )
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            return str(field.name)
    return ""


def _disagreement(first: Source, other: Source, schema: pa.Schema, table: pa.Table) -> str:
    name = _differing(schema, table.schema)
    if not name:
        return f"{other.path.name} is of other types than {first.path.name}; make them agree"
    return (
        f"column '{name}' is {schema.field(name).type} in {first.path.name} and "
        f"{table.schema.field(name).type} in {other.path.name}; make them agree"
    )


def reading_notes(source: Source) -> Iterator[str]:
    """What is peculiar about how a file is written, in sentences."""
    if source.encoding != "utf-8":
        yield f"{source.path.name} is not UTF-8: read as {source.encoding}"
    if source.decimal == ",":
        yield f"{source.path.name} has decimal commas: '1,5' is read as 1.5"
    for name, kind in source.unusable:
        yield f"dropped '{name}': {kind} is neither a number, a date nor text"
