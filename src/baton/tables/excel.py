"""Workbooks of Excel: which sheet holds the table, and its cells as text."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from baton.errors import InputError
from baton.tables import cells
from baton.tables.csv_head import header_names
from baton.tables.files import BROKEN, grown, largest, seekable, unreadable
from baton.tables.formats import Format, Source
from baton.words.text import did_you_mean, listed

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

    Rows = Sequence[Sequence[Any]]


def describe(path: Path, sheet: str = "") -> Source:
    """Columns of a sheet: its first row that is not empty.

    Parameters
    ----------
    path : Path
    sheet : str
        Name of the sheet; not needed where only one holds anything.

    Raises
    ------
    InputError
        If the workbook is damaged, there is no such sheet, several hold something, or the sheet
        has no rows below its header.
    """
    with _book(path) as book:
        name = _chosen(path, book, sheet)
        rows = _filled(book.get_sheet_by_name(name).to_python())
    if len(rows) < 2:
        raise InputError(f"{path} sheet {name!r} has a header and no rows; add rows")
    header = [cells.as_text(one) or "" for one in rows[0]]
    return Source(path, Format.EXCEL, header_names(header), sheet=name)


def batches(source: Source) -> Iterator[pa.Table]:
    """Cells of the sheet as text, some thousand rows at a time."""
    with _book(source.path) as book:
        rows = _filled(book.get_sheet_by_name(source.sheet).to_python())
    yield from cells.tables(source.columns, rows[1:])


def _filled(rows: Rows) -> list[Sequence[Any]]:
    """Rows that are not empty."""
    return [row for row in rows if any(cell not in {None, ""} for cell in row)]


def _chosen(path: Path, book: Any, sheet: str) -> str:
    names = list(book.sheet_names)
    if sheet:
        if sheet not in names:
            meant = did_you_mean(sheet, names)
            raise InputError(f"{path} has no sheet {sheet!r}; {meant}it has: {listed(names, 20)}")
        return sheet
    filled = [name for name in names if book.get_sheet_by_name(name).height]
    if len(filled) > 1:
        raise InputError(
            f"{path} has {len(filled)} sheets with something in them; choose one by -p sheet=…:"
            f" {listed(filled, 20)}"
        )
    if not filled:
        raise InputError(f"{path} is empty; give a sheet with a header and rows")
    return str(filled[0])


@contextmanager
def _book(path: Path) -> Iterator[Any]:
    import python_calamine as calamine

    try:
        with seekable(path) as stream:
            _require_sound(path, stream)
            with calamine.load_workbook(stream) as book:
                yield book
    except InputError:
        raise
    except (calamine.CalamineError, ValueError, *BROKEN) as error:
        raise InputError(unreadable(path, "Excel", error)) from None


def _require_sound(path: Path, stream: IO[bytes]) -> None:
    """See that a workbook is what its directory says, and not made to fill the memory."""
    with zipfile.ZipFile(stream) as archive:
        if sum(one.file_size for one in archive.infolist()) > largest(path):
            raise grown(path, "save the sheet as CSV")
        if any(one.flag_bits & 1 for one in archive.infolist()):
            raise InputError(f"{path} is encrypted; save it without a password")
        if broken := archive.testzip():
            raise InputError(unreadable(path, "Excel", ValueError(f"{broken} is damaged")))
    stream.seek(0)
