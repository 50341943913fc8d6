"""JSON lines: one object a line, its keys the columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from baton.errors import InputError
from baton.tables import cells
from baton.tables.files import BROKEN, grown, largest, opened, unreadable
from baton.tables.formats import Format, Source

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

_LONGEST = 1 << 24
"""Bytes of a line."""


def is_begun(head: bytes) -> bool:
    """Whether a file begins as JSON of any form."""
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    inner = start[1:].lstrip(b" \t")[:1]
    return (start[:1] == b"{" and inner in {b'"', b"}", b"\n", b"\r"}) or (
        start[:1] == b"[" and inner in {b"{", b"[", b'"', b"\n", b"\r"}
    )


def describe(path: Path, head: bytes, *, complete: bool) -> Source:
    """Columns of a file by its first lines: their keys, in the order in which they occur.

    Raises
    ------
    InputError
        If it is JSON of another form, or a line is no object.
    """
    lines = head.removeprefix(b"\xef\xbb\xbf").splitlines()
    whole = [line for line in (lines if complete else lines[:-1]) if line.strip()]
    if not whole or not _is_object(whole[0]):
        raise InputError(
            f"{path} looks like JSON that is no JSON lines; write one object a line, such as by"
            f" jq -c '.[]' {path.name}, or save the table as CSV"
        )
    found: dict[str, str] = {}
    for number, line in enumerate(lines if complete else lines[:-1], start=1):
        for key, value in (_object(path, number, line) if line.strip() else {}).items():
            found[key] = found.get(key) or _nested(value)
    unusable = tuple((name, kind) for name, kind in found.items() if kind)
    columns = tuple(name for name, kind in found.items() if not kind)
    return Source(path, Format.JSON_LINES, columns, unusable)


def batches(source: Source) -> Iterator[pa.Table]:
    """Cells of a file as text, some thousand rows at a time; a key that a line lacks is missing.

    Raises
    ------
    InputError
        If a line is no JSON object in UTF-8, or has a key that none of the first lines has.
    """
    try:
        yield from cells.tables(source.columns, _rows(source))
    except BROKEN as error:
        if isinstance(error, InputError):
            raise
        raise InputError(unreadable(source.path, "JSON lines", error)) from None


def _rows(source: Source) -> Iterator[list[Any]]:
    path, columns = source.path, source.columns
    known, left = {*columns, *dict(source.unusable)}, largest(path)
    with opened(path) as stream:
        number = 0
        while line := stream.readline(_LONGEST):
            number += 1
            left -= len(line)
            if left < 0:
                raise grown(path, "unpack it and give the file itself")
            found = _object(path, number, line) if line.strip() else {}
            if not known.issuperset(found):
                new = next(key for key in found if key not in known)
                raise InputError(
                    f"{path} line {number} has the key {new!r}, which the first lines lack; give"
                    " it in the first line too, as null where there is no value"
                )
            if found:
                yield [found.get(name) for name in columns]


def _nested(value: Any) -> str:
    """What a value is that is no cell; nothing if it is one."""
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else ""


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
        is_object = isinstance(found, dict)
        "".join(found).encode() if is_object else b""
        reason = "" if is_object else f"but {type(found).__name__}"
    except UnicodeError:
        reason = "and no UTF-8"
    except (ValueError, RecursionError) as error:
        reason = f"({error})"
    if reason:
        raise InputError(f"{path} line {number} is no JSON object {reason}; mend that line")
    return dict(found)
