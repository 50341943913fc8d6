"""The shelf: results and records of a home, where every machine of a team finds them.

A home's own folder is what is read and written, as fast as a disk is. Where BATON_RESULTS names a
place, a file is put there as it is written, before it is announced, and taken from there by a
machine that lacks it. Names are those below the home. Without such a place nothing is done here.

What a file must be is known to who asks for it, by a digest; who may write it, by a lock.
"""

from __future__ import annotations

import logging
import mmap
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from baton.addresses import SCHEMES, Address, is_address, parse
from baton.atomic import write_bytes
from baton.errors import InputError, StorageError
from baton.settings import settings
from baton.stores import objects
from baton.stores.versions import Version

PAUSES = (1.0, 4.0, 10.0)
"""Seconds before a store that did not answer is asked again."""

PASSING = "_"
"""What the name of a file begins with that is replaced or removed, as the shelf has it."""

T = TypeVar("T")

_BLOCK = 1 << 22
_AT_ONCE = 8

log = logging.getLogger(__name__)


def is_used() -> bool:
    """Tell whether there is a shelf."""
    return bool(settings().shelf)


def place() -> Address:
    """Address that the names of files are appended to.

    Raises
    ------
    InputError
        If BATON_RESULTS is neither an address of a store nor a folder.
    """
    said = settings().shelf
    if "://" in said:
        if not is_address(said):
            scheme = said.partition("://")[0]
            raise InputError(f"BATON_RESULTS: {SCHEMES} or a folder are wanted, not {scheme}://")
        try:
            return parse(f"{said.rstrip('/')}/")
        except InputError as error:
            raise InputError(f"BATON_RESULTS: {error}") from None
    folder = Path(said).expanduser().absolute().as_posix().strip("/")
    return Address(objects.FOLDER, "", f"{folder}/")


def shown(there: Address) -> str:
    """How a place on the shelf is given to whoever reads tables: an address, or a path.

    Examples
    --------
    >>> shown(Address("s3", "cellar", "baton/uploads/wine.csv"))
    's3://cellar/baton/uploads/wine.csv'
    >>> shown(Address(objects.FOLDER, "", "mnt/shared/wine.csv"))
    '/mnt/shared/wine.csv'
    """
    return f"/{there.key}" if there.scheme == objects.FOLDER else str(there)


def seen(path: Path) -> str:
    """Where every machine reads a file of the home: the path itself, if there is no shelf."""
    there = _there(path)
    return str(path) if there is None else shown(there)


def require() -> None:
    """See that the shelf, if there is one, can be written and read.

    Raises
    ------
    InputError
        If its address is none, or who asks may not.
    StorageError
        If it does not answer.
    """
    if not is_used():
        return
    mark = place().of(f"{PASSING}{uuid4().hex}")
    patiently(lambda: objects.put(mark, b""))
    patiently(lambda: objects.remove(mark))


def write(path: Path, content: bytes) -> None:
    """Write a file of the home in one step, and put it on the shelf.

    Parameters
    ----------
    path : Path
        In a folder that exists. A file that is there is replaced.
    content : bytes

    Raises
    ------
    OSError
        If the disk does not take it.
    StorageError
        If the shelf does not.
    """
    there = _there(path)
    if there is not None and path.name.startswith(PASSING):  # or it would not be here for long
        patiently(lambda: objects.put(there, content))
        write_bytes(path, content)
        return
    write_bytes(path, content)
    put(path)


def put(*paths: Path) -> None:
    """Put files of the home on the shelf, in this order; what stood there is replaced.

    Raises
    ------
    StorageError
        If the shelf does not take one.
    """
    for path in paths:
        if (there := _there(path)) is not None:
            _put(there, path)


def has(path: Path) -> bool:
    """Tell whether a file of the home is on the shelf, too; true where there is none.

    Raises
    ------
    StorageError
        If the shelf does not answer.
    """
    there = _there(path)
    return there is None or patiently(lambda: objects.look(there)) is not None


def take(path: Path) -> Path:
    """Bring a file of the home that is not on this disk, if it is on the shelf.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Path
        The same.

    Raises
    ------
    StorageError
        If the shelf does not answer.
    """
    there = None if path.exists() else _there(path)
    if there is not None and (found := patiently(lambda: objects.look(there))) is not None:
        patiently(lambda: _bring(there, path, found))
    return path


def take_all(folder: Path) -> Path:
    """Bring all files of a folder of the home that are not on this disk.

    Those that are replaced or removed are as they stand on the shelf, or are not there.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Path
        The same.

    Raises
    ------
    StorageError
        If the shelf does not answer.
    """
    there = _there(folder / "any")
    if there is None:
        return folder
    found = patiently(lambda: objects.listed(there))
    for path in folder.glob(f"{PASSING}*"):
        if path.name not in found:
            path.unlink(missing_ok=True)
    wanted = [one for one in found if one.startswith(PASSING) or not (folder / one).exists()]

    def bring(name: str) -> None:
        _bring_listed(there.of(name), folder / name, found[name])

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(bring, wanted))
    return folder


def drop(path: Path) -> None:
    """Take a file away from the shelf.

    Raises
    ------
    StorageError
        If the shelf does not answer.
    """
    if (there := _there(path)) is not None:
        patiently(lambda: objects.remove(there))


def patiently(ask: Callable[[], T]) -> T:
    """Ask a store; once more after a while where it does not answer.

    Raises
    ------
    StorageError
        If it does not answer.
    """
    for pause in PAUSES:
        try:
            return ask()
        except ConnectionError as error:
            log.warning("%s; asked again in %.0f s", error, pause)
            time.sleep(pause)
    try:
        return ask()
    except ConnectionError as error:
        raise StorageError(
            f"results cannot be shared: {error}; repeat the chain then: what it has made stays"
        ) from None


def _there(path: Path) -> Address | None:
    """Place on the shelf; None if there is no shelf, or the file is none of this home."""
    if not is_used() or not path.is_relative_to(settings().home):
        return None
    start = place()
    return start.of(path.relative_to(settings().home).as_posix())


def _put(there: Address, path: Path) -> None:
    with path.open("rb") as file:
        is_empty = not path.stat().st_size
        content = b"" if is_empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        patiently(lambda: objects.put(there, content))


def _bring(there: Address, path: Path, found: Version) -> None:
    """Write what stands on the shelf to the disk, as old as it is, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid4().hex}.partial")
    try:
        with objects.opened(there) as stream, partial.open("xb") as file:
            while block := stream.read(_BLOCK):
                file.write(block)
        os.utime(partial, (found.changed, found.changed))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _bring_listed(there: Address, path: Path, found: Version) -> None:
    try:
        patiently(lambda: _bring(there, path, found))
    except InputError:
        if not path.name.startswith(PASSING):  # it is gone since the list was made
            raise
