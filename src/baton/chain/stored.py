"""Reading what stands at rest, checked to be what was announced."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baton.errors import InputError
from baton.lineage import digest_of_file, lineage_of
from baton.settings import settings
from baton.stores import shelf

if TYPE_CHECKING:
    import pyarrow as pa

    from baton.chain.events import PageRef, TableRef


def path_of(results: Path, reference: TableRef | PageRef) -> Path:
    """File of a table or a page, wherever it is by now.

    Parameters
    ----------
    results : Path
        Folder of results.
    reference : TableRef or PageRef
    """
    return results / reference.key


def is_there(results: Path, reference: TableRef | PageRef) -> bool:
    """Tell whether a table or a page may be asked for: it is here, or machines share results.

    Parameters
    ----------
    results : Path
        Folder of results.
    reference : TableRef or PageRef
    """
    return shelf.is_used() or path_of(results, reference).is_file()


def brought(results: Path, reference: TableRef | PageRef) -> Path:
    """File of a table or a page; where machines share results, it is fetched if it is not here.

    Parameters
    ----------
    results : Path
        Folder of results.
    reference : TableRef or PageRef

    Raises
    ------
    StorageError
        If what is shared does not answer.
    """
    return shelf.take(path_of(results, reference))


def lineage(results: Path, reference: TableRef) -> dict[str, Any]:
    """Lineage of a table, read from its head; empty if it is not on this machine.

    Parameters
    ----------
    results : Path
        Folder of results.
    reference : TableRef

    Raises
    ------
    InputError
        If the file is altered.
    """
    if not brought(results, reference).is_file():
        return {}
    import pyarrow.parquet as pq

    return lineage_of(pq.read_schema(checked(results, reference)))


def read_table(results: Path, reference: TableRef, **options: Any) -> pa.Table:
    """Read a table by reference, after checking that it is the file that was announced.

    Parameters
    ----------
    results : Path
        Folder of results.
    reference : TableRef
    **options
        Passed to :func:`pyarrow.parquet.read_table`, such as ``columns`` and ``filters``.

    Raises
    ------
    InputError
        If the file is missing, altered or not Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pa.memory_map(str(_present(results, reference))) as source:
        content = source.read_buffer()
        if hashlib.sha256(content).hexdigest() == reference.digest:
            return pq.read_table(pa.BufferReader(content), **options)
    _renew(path_of(results, reference), reference)
    return pq.read_table(path_of(results, reference), **options)


def checked(results: Path, reference: TableRef | PageRef) -> Path:
    """File of a table or a page, after checking that it is the one that was announced.

    Parameters
    ----------
    results : Path
        Folder of results.
    reference : TableRef or PageRef

    Raises
    ------
    InputError
        If the file is missing or altered.
    """
    path = _present(results, reference)
    if digest_at(path) != reference.digest:
        _renew(path, reference)
    return path


def _present(results: Path, reference: TableRef | PageRef) -> Path:
    path = brought(results, reference)
    if not path.is_file():
        raise InputError(f"result {reference.key} is missing: run its chain again")
    return path


def _renew(path: Path, reference: TableRef | PageRef) -> None:
    """Fetch the file that was announced, where machines share results and it is there."""
    if not shelf.renew(path, reference.digest):
        raise InputError(
            f"result {reference.key} is not the file that was announced (SHA-256 differs):"
            " run its chain again, which puts it aside and makes it anew"
        )


_LARGE = 64 * 2**20
_seen: dict[Path, tuple[tuple[int, ...], str]] = {}
"""Of large files that this process has read: what the system says of them, and their digest."""


def digest_at(path: Path) -> str:
    """SHA-256 of a file; a large one that nobody has touched since is not read again."""
    now = path.stat()
    if now.st_size < _LARGE or not settings().fast:
        return digest_of_file(path)
    state = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)
    if _seen.get(path, ((), ""))[0] != state:
        _seen[path] = (state, digest_of_file(path))
    return _seen[path][1]


def digest_of_folder(folder: Path, without: str = "") -> str:
    """SHA-256 over the names and bytes of a folder's files.

    Parameters
    ----------
    folder : Path
    without : str
        Name of files that do not count.
    """
    content = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != without:
            content.update(path.name.encode() + b"\0" + path.read_bytes())
    return content.hexdigest()


def model_folder(card: Path) -> Path:
    """Folder of a model's own files, by the ``MLmodel`` that MLflow keeps beside them.

    Raises
    ------
    InputError
        If that file is missing, or tells of no such folder.
    """
    from baton.chain import yaml_files

    content = yaml_files.read(card)
    try:
        found: Path = (card.parent / content["flavors"]["python_function"]["data"]).resolve()
        is_beside = found.is_relative_to(card.parent.resolve()) and found.is_dir()
    except (KeyError, TypeError, ValueError, OSError):
        is_beside = False
    if not is_beside:
        raise InputError(f"{card} tells of no model that MLflow loads from files beside it")
    return found
