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
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from baton import disk
from baton.addresses import SCHEMES, Address, is_address, parse
from baton.atomic import write_bytes
from baton.errors import InputError, StorageError
from baton.lineage import digest_of_file
from baton.settings import settings
from baton.stores import objects
from baton.stores.versions import Version

PAUSES = (1.0, 4.0, 10.0)
"""Seconds before a store that did not answer is asked again."""

PASSING = "_"
"""What the name of a file begins with that is replaced or removed, as the shelf has it."""

T = TypeVar("T")

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")

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
    if _SCHEME.match(said):
        return _of_store(said)
    folder = Path(said).expanduser()
    if not folder.is_absolute():
        raise InputError(
            f"BATON_RESULTS: {said!r} is another folder from wherever it is asked for: give it from"
            f" the root, or an address such as {SCHEMES}"
        )
    return Address(objects.FOLDER, "", f"{folder.as_posix().strip('/')}/")


def _of_store(said: str) -> Address:
    if not is_address(said):
        scheme = said.partition(":")[0]
        raise InputError(f"BATON_RESULTS: {SCHEMES} or a folder are wanted, not {scheme}:")
    try:
        return parse(f"{said.rstrip('/')}/")
    except InputError as error:
        raise InputError(f"BATON_RESULTS: {error}") from None


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
        If its address is none.
    StorageError
        If it does not answer, or who asks may not.
    """
    if not is_used():
        return
    mark = place().of(f"{PASSING}{uuid4().hex}")
    patiently(lambda: objects.put(mark, b"1"))
    patiently(lambda: objects.listed(mark))
    patiently(lambda: _content(mark))
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
    is_first_there = path.name.startswith(PASSING)  # or it would not be here for long
    if not is_first_there:
        write_bytes(path, content)
    if (there := _there(path)) is not None:  # by its content: the disk may have another by now
        patiently(lambda: objects.put(there, content))
    if is_first_there:
        write_bytes(path, content)


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
    """Tell whether there is a shelf, and a file of the home is on it.

    Raises
    ------
    StorageError
        If the shelf does not answer.
    """
    return _found(path) is not None


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
    if not path.exists() and (found := _found(path)) is not None:
        patiently(lambda: _bring(*found, path))
    return path


def read(path: Path) -> bytes | None:
    """What the shelf has of a small file of the home; None if it has none.

    Raises
    ------
    StorageError
        If the shelf does not answer.
    """
    if (found := _found(path)) is None:
        return None
    return patiently(lambda: _content(found[0]))


def _content(there: Address) -> bytes:
    with objects.opened(there) as stream:
        return b"".join(iter(lambda: stream.read(_BLOCK), b""))


def take_passing(path: Path) -> Path:
    """Have a file that is replaced or removed be as it stands on the shelf, or not be there.

    For whoever has the turn alone: others could undo what is being written.

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
    if (found := _found(path)) is not None:
        patiently(lambda: _bring(*found, path))
    elif is_used():
        path.unlink(missing_ok=True)
    return path


def take_all(folder: Path, *, within: float = 0.0) -> Path:
    """Bring the files of a folder of the home that are not on this disk, or are others there.

    Those that are passing are left alone.

    Parameters
    ----------
    folder : Path
    within : float
        Seconds in which the folder is not asked for twice.

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
    if there is None or time.monotonic() - _asked.get(folder, -within) < within:
        return folder
    found = patiently(lambda: objects.listed(there))
    _asked[folder] = time.monotonic()
    wanted = [one for one in found if one[0] not in "._" and not _is(folder / one, found[one])]

    def bring(name: str) -> None:
        _bring_listed(there.of(name), found[name], folder / name)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        list(threads.map(bring, wanted))
    return folder


_asked: dict[Path, float] = {}


def _is(path: Path, found: Version) -> bool:
    """Whether a file is the one that was brought; what is written here is brought once."""
    try:
        known = path.stat()
    except OSError:
        return False
    return (known.st_size, int(known.st_mtime)) == (found.size, found.changed)


def folders(folder: Path) -> set[str]:
    """Names of the folders below a folder of the home, here or on the shelf.

    Raises
    ------
    StorageError
        If the shelf does not answer.
    """
    here = {one.name for one in folder.glob("*") if one.is_dir()}
    there = _there(folder / "any")
    return here if there is None else here | patiently(lambda: objects.folders(there))


def renew(path: Path, digest: str) -> bool:
    """Have a file be the one that was announced, if that is on the shelf; what stood here is kept.

    Parameters
    ----------
    path : Path
    digest : str
        SHA-256 of the announced file.

    Returns
    -------
    bool
        Whether it is that one now.

    Raises
    ------
    StorageError
        If the shelf does not answer.
    """
    if (found := _found(path)) is None:
        return False
    new = path.with_name(f".{uuid4().hex}.partial")
    try:
        patiently(lambda: _bring(*found, new))
        if digest_of_file(new) != digest:
            return False
        if path.exists():
            disk.put_aside(path)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return True


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
        If it does not answer, or who asks may not: nobody takes that for an answer.
    """
    for pause in (*PAUSES, None):
        try:
            return ask()
        except ConnectionError as error:
            if pause is None:
                raise _not_shared(error) from None
            log.warning("%s; asked again in %.0f s", error, pause)
            time.sleep(pause)
        except (objects.NoAccessError, objects.NoStoreError) as error:
            raise _not_shared(error) from None
    raise AssertionError("a loop that ends with an answer or an error")


def _not_shared(error: Exception) -> StorageError:
    return StorageError(
        f"results cannot be shared: {error}; repeat the chain then: what it has made stays"
    )


def _there(path: Path) -> Address | None:
    """Place on the shelf; None if there is no shelf, or the file is none of this home."""
    if not is_used():
        return None
    name = _name(path)
    return place().of(name) if name else None


def _found(path: Path) -> tuple[Address, Version] | None:
    """Place on the shelf, and what stands there; None if nothing does."""
    there = _there(path)
    version = None if there is None else patiently(lambda: objects.look(there))
    return None if there is None or version is None else (there, version)


def _name(path: Path) -> str:
    """Name below the home, also of a file whose folder of results is a link to another disk."""
    found = settings()
    if ".." in path.parts:
        return ""
    if path.is_relative_to(found.home):
        return path.relative_to(found.home).as_posix()
    results = found.results.resolve()
    if path.is_relative_to(results):
        return f"{found.results.name}/{path.relative_to(results).as_posix()}"
    return ""


def _put(there: Address, path: Path) -> None:
    with path.open("rb") as file:
        is_empty = not path.stat().st_size
        content = b"" if is_empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        patiently(lambda: objects.put(there, content))


def _bring(there: Address, found: Version, path: Path) -> None:
    """Write what stands on the shelf to the disk, as old as it is, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid4().hex}.partial")
    with disk.told(path):
        disk.require_room(settings().home, found.size)
        try:
            with objects.opened(there) as stream, partial.open("xb") as file:
                while block := stream.read(_BLOCK):
                    file.write(block)
            os.utime(partial, (found.changed, found.changed))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def _bring_listed(there: Address, found: Version, path: Path) -> None:
    try:
        patiently(lambda: _bring(there, found, path))
    except InputError as error:  # it is gone since the list was made
        log.info("%s", error)
