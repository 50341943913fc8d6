"""Files and the disk they lie on: what is damaged is put aside, what cannot be written is said.

Writing a file in one step belongs in ``baton.atomic``.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from baton.errors import InputError, StorageError

ASIDE = ".aside"
"""What the name of a file that was put aside ends with; a number follows if there are several."""

RESERVE = 16 * 2**20
"""Bytes that a stage leaves free: the databases of a home need room to say that it failed."""

_OF_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO}
_IN_WORDS = (
    "No space left on device",
    "Disk quota exceeded",
    "Read-only file system",
    "database or disk is full",
    "attempt to write a readonly database",
    "disk I/O error",
)
"""What libraries say that pass on the words of the system or of SQLite, not the error."""

log = logging.getLogger(__name__)


def put_aside(path: Path) -> Path:
    """Give a file another name beside it, so that nothing is lost, and say so in the log.

    Returns
    -------
    Path
        Where it is now.

    Examples
    --------
    >>> place = Path(getfixture("tmp_path")) / "raw.parquet"
    >>> for content in ("one", "two"):
    ...     _ = place.write_text(content)
    ...     print(put_aside(place).name)
    raw.parquet.aside
    raw.parquet.aside2
    """
    names = (path.with_name(f"{path.name}{ASIDE}{n if n > 1 else ''}") for n in count(1))
    place = next(name for name in names if not name.exists())
    path.rename(place)
    log.info("%s is replaced; what stood there is kept as %s", path, place.name)
    return place


def require_below(place: Path, folder: Path) -> None:
    """Check that a place is below a folder, whatever links there are.

    Raises
    ------
    InputError
        If a link leads out.
    """
    if not place.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{place} leads out of {folder}: take that link away")


def require_room(folder: Path, size: int = 0) -> None:
    """Check that a folder can be written, has room for so many bytes, and more in reserve.

    Raises
    ------
    StorageError
        If it has not.
    """
    if not os.access(folder, os.W_OK):
        raise StorageError(
            f"{folder} cannot be written ({free(folder)}): make it yours to write and repeat the"
            " chain: what it has made stays"
        )
    if shutil.disk_usage(folder).free < size + RESERVE:
        wanted = f"{_megabytes(size)} to be written and " if size else ""
        raise StorageError(
            f"the disk of {folder} is full: {wanted}{_megabytes(RESERVE)} in reserve are wanted,"
            f" {free(folder)}; make room and repeat the chain: what it has made stays"
        )


@contextmanager
def told(place: Path) -> Iterator[None]:
    """Say in one line which disk does not take what is written, how much is free, and what to do.

    Parameters
    ----------
    place : Path
        What is written to, where the error does not say it.

    Raises
    ------
    StorageError
        Instead of an error that the disk is the reason of.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        if not is_of_disk(error):
            raise
        raise StorageError(_said(error, place)) from None


def is_of_disk(error: BaseException) -> bool:
    """Tell whether a disk is the reason of an error: full, read-only, not ours, or broken."""
    if isinstance(error, OSError) and error.errno in _OF_DISK:
        return True
    return any(words in str(error) for words in _IN_WORDS)


def _said(error: Exception, place: Path) -> str:
    name = getattr(error, "filename", None)
    where = Path(str(name)) if name else place
    reason = getattr(error, "strerror", None) or next(w for w in _IN_WORDS if w in str(error))
    return (
        f"{where} cannot be written or read ({reason}; {free(where)}): make room, or make it"
        " yours to write, and repeat the chain: what it has made stays"
    )


def free(place: Path) -> str:
    """Say how much is free on the disk of a file or folder, which need not be there yet."""
    there = next(one for one in (place, *place.absolute().parents) if one.exists())
    return f"{_megabytes(shutil.disk_usage(there).free)} are free"


def _megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MB"
