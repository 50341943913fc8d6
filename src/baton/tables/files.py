"""Table files as bytes: whether a file can be read at all, and what it holds decompressed.

What the bytes mean is not known here.
"""

from __future__ import annotations

import bz2
import difflib
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from baton.errors import InputError
from baton.words.text import quoted

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, RuntimeError)
"""What reading a damaged or locked file raises."""

_OPENERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
_ZIP = b"PK\x03\x04"

_MOST_GROWTH = 200
"""Times by which a packed table may grow: ordinary ones grow by some twenty."""
_SMALL = 1 << 28
"""Bytes that may come of any few."""


def require_file(path: Path) -> None:
    """Refuse a path that is no readable file with content."""
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


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Bytes of a file, decompressed as its first bytes say."""
    with path.open("rb") as file:
        head = file.read(6)
        file.seek(0)
        opener = next((o for magic, o in _OPENERS.items() if head.startswith(magic)), None)
        if head.startswith(_ZIP):
            with zipfile.ZipFile(file) as archive, archive.open(_member(path, archive)) as stream:
                yield stream
        elif opener:
            with opener(file) as stream:
                yield stream
        else:
            yield file


def _member(path: Path, archive: zipfile.ZipFile) -> str:
    names = [n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX")]
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise InputError(f"{path} is a spreadsheet; save its sheet as CSV")
    if len(names) != 1:
        raise InputError(f"{path} holds {len(names)} files ({quoted(names)}); zip only one CSV")
    return names[0]


def content(path: Path, most: int | None = None) -> bytes:
    """All bytes of a CSV file, decompressed, or the first so many.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    try:
        with opened(path) as stream:
            return whole(path, stream) if most is None else stream.read(most)
    except BROKEN as error:
        raise InputError(unreadable(path, "CSV", error)) from None


def whole(path: Path, stream: IO[bytes]) -> bytes:
    """All bytes that a file's stream gives.

    Raises
    ------
    InputError
        If it unpacks to so much more than it is that it was made to fill the memory.
    """
    most = largest(path)
    data = stream.read(most + 1)
    if len(data) > most:
        raise grown(path, "unpack it and give the CSV file itself")
    return data


def largest(path: Path) -> int:
    """Bytes that a file may become in memory."""
    return max(_SMALL, _MOST_GROWTH * path.stat().st_size)


def grown(path: Path, fix: str) -> InputError:
    """Error for a file that becomes more than that."""
    return InputError(f"{path} grows to more than {_MOST_GROWTH} times its size when read: {fix}")


def unreadable(path: Path, what: str, error: BaseException) -> str:
    """Sentence on a file that is damaged or not what it seems."""
    reason = str(error).strip().split("\n", 1)[0].rstrip(".")
    return f"cannot read {path} as {what}: {reason or type(error).__name__}; write the file anew"
