"""A table file by its head: its format, its columns, and how it is written.

Whatever is refused before a file is read in whole is refused here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from baton.errors import InputError
from baton.tables import columnar, csv_file, excel, foreign, json_lines
from baton.tables.files import head as first_bytes
from baton.tables.files import require_file
from baton.tables.formats import Format, Source
from baton.terms import RESERVED
from baton.words.text import quoted

if TYPE_CHECKING:
    from pathlib import Path

_SAMPLE = 1 << 20


def describe(path: Path, sheet: str = "") -> Source:
    """Look at the head of a table file.

    Parameters
    ----------
    path : Path
        A CSV, JSON lines, Parquet, Arrow or Feather file, or a workbook of Excel; any of them may
        be compressed (gzip, bzip2, xz, zip). The content decides, not the suffix.
    sheet : str
        Sheet of a workbook; not needed where only one holds anything.

    Returns
    -------
    Source

    Raises
    ------
    InputError
        If the file is missing, empty, has no rows, is of no format that is read, or its header has
        a name twice or a name that Baton keeps for itself.
    """
    require_file(path)
    head = first_bytes(path, _SAMPLE)
    source = _described(path, head, sheet)
    if sheet and source.format is not Format.EXCEL:
        raise InputError(f"{path} is {source.format} and has no sheet {sheet!r}; leave sheet out")
    _require_sound_names(source)
    return source


def describe_all(paths: Sequence[Path], sheet: str = "") -> tuple[Source, ...]:
    """Look at the heads of the files that make up one table.

    Raises
    ------
    InputError
        If one cannot be read, or has not the columns of the first one.
    """
    sources = tuple(describe(path, sheet) for path in paths)
    for other in sources[1:]:
        _require_like(sources[0], other)
    return sources


def _described(path: Path, head: bytes, sheet: str) -> Source:
    complete = len(head) < _SAMPLE
    if head.startswith(b"PAR1"):
        return columnar.describe(path, Format.PARQUET)
    if head.startswith((b"ARROW1", columnar.ARROW_STREAM)):
        return columnar.describe(path, Format.ARROW)
    if head.startswith(b"PK\x03\x04"):
        return excel.describe(path, sheet)
    foreign.refuse(str(path), head)
    if json_lines.is_begun(head):
        return json_lines.describe(path, head, complete=complete)
    return csv_file.describe(path, head, complete=complete)


def _require_sound_names(source: Source) -> None:
    names = (*source.columns, *dict(source.unusable))
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


def _require_like(first: Source, other: Source) -> None:
    lacking = [name for name in first.columns if name not in other.columns]
    more = [name for name in other.columns if name not in first.columns]
    if lacking or more:
        differs = [f"lacks {quoted(lacking)}"] if lacking else []
        differs += [f"has {quoted(more)} more"] if more else []
        raise InputError(
            f"{other.path} is not like {first.path.name}: it {' and '.join(differs)}; files of one"
            " table have the same columns"
        )
