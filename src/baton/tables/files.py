"""Table files as bytes: whether a file can be read at all, and what it holds decompressed.

What the bytes mean is not known here, but for a workbook, which is an archive that is not unpacked.
"""

from __future__ import annotations

import bz2
import difflib
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import PurePosixPath
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
        raise InputError(f"{path} is a directory; give a file in it")
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
        raise InputError(f"{path} is empty; give a file with a header and rows")


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
            with zipfile.ZipFile(file) as archive:
                member = None if is_workbook(archive) else _member(path, archive)
                if member is not None:
                    with archive.open(member) as stream:
                        yield stream
                    return
            file.seek(0)
        if opener:
            with opener(file) as stream:
                yield stream
        else:
            yield file


def is_workbook(archive: zipfile.ZipFile) -> bool:
    """Whether an archive is a workbook of Excel's."""
    return "[Content_Types].xml" in archive.namelist()


def _member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The one file of an archive; it is read where it stands, never unpacked to a disk."""
    members = [
        one
        for one in archive.infolist()
        if not one.is_dir() and not one.filename.startswith("__MACOSX")
    ]
    names = [one.filename for one in members]
    if "mimetype" in names:
        raise InputError(f"{path} is an OpenDocument file; save its sheet as .xlsx or CSV")
    for name in names:
        if name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts:
            raise InputError(f"{path} holds {name!r}, which leads out of its folder: zip it anew")
    if len(members) != 1:
        inside = f" ({quoted(names)})" if names else ""
        raise InputError(
            f"{path} holds {len(names)} files{inside}; unpack it and give one of them, or the"
            " folder if they are parts of one table"
        )
    if members[0].flag_bits & 1:
        raise InputError(f"{path} is encrypted; unpack it with its password and give the file")
    return members[0]


@contextmanager
def seekable(path: Path) -> Iterator[IO[bytes]]:
    """Bytes of a file in any order: from the disk, or unpacked in memory if it is packed."""
    with opened(path) as stream:
        plain = isinstance(stream, io.BufferedReader)
        yield stream if plain else io.BytesIO(whole(path, stream))


def head(path: Path, most: int) -> bytes:
    """First bytes of a file, decompressed.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    try:
        with opened(path) as stream:
            return stream.read(most)
    except BROKEN as error:
        raise InputError(unreadable(path, "a table", error)) from None


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
        raise grown(path, "unpack it and give the file itself")
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
