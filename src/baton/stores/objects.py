"""Object stores, by pyarrow: what stands in a bucket, and its bytes.

Credentials are those that the store's own library finds, in the environment or its files. Copies
of what is read belong in ``baton.sources.buckets``, what is shared in ``shelf``.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from mmap import mmap
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from baton.addresses import Address
from baton.errors import InputError
from baton.settings import settings
from baton.stores.pyarrow_internals import Refusal, is_missing, refusal, said
from baton.stores.versions import Version

if TYPE_CHECKING:
    from pyarrow import NativeFile
    from pyarrow.fs import FileInfo, FileSystem

FOLDER = "file"
"""Scheme of a folder, which stands in a bucket's place where machines share a disk."""

_PARTIAL = ".partial"
_CONNECT_SECONDS = 5.0
_SILENT_SECONDS = 10.0
"""How long a store that was reached may send nothing."""
_ATTEMPTS = 3

_FIXES = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE,",
    "gs": "name a file of credentials by GOOGLE_APPLICATION_CREDENTIALS, one",
}
_AZURE = "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET,"


class NoAccessError(InputError):
    """The credentials do not suffice: what stands there may be as it should."""


class NoStoreError(InputError):
    """There is no such bucket, or the address of the store is none."""


def look(place: Address) -> Version | None:
    """What a store says of an object; None if there is none.

    Raises
    ------
    NoAccessError, NoStoreError
        If it may not be asked, or there is no such bucket.
    ConnectionError
        If the store does not answer.
    """
    with _told(place):
        info = _info(place)
        if info is None or not info.is_file:
            return None
        return _version(info, _etag(place))


def listed(place: Address) -> dict[str, Version]:
    """Names of all objects that stand together in a folder, with what a list tells of each.

    Raises
    ------
    NoAccessError, NoStoreError, ConnectionError
        As :func:`look` does.
    """
    files = (one for one in _within(place) if one.is_file)
    return {one.base_name: _version(one) for one in files if not _is_partial(place, one)}


def folders(place: Address) -> set[str]:
    """Names of the folders that stand in a folder.

    Raises
    ------
    NoAccessError, NoStoreError, ConnectionError
        As :func:`look` does.
    """
    from pyarrow.fs import FileType

    return {one.base_name for one in _within(place) if one.type is FileType.Directory}


def _within(place: Address) -> list[FileInfo]:
    """What stands together in a folder; nothing where the folder is not there."""
    from pyarrow.fs import FileSelector

    store = _store(place)
    with _told(place):
        try:
            infos: list[FileInfo] = store.get_file_info(FileSelector(_path(place, place.folder)))
        except OSError as error:
            if not is_missing(error):
                raise
            infos = []  # nothing is below it, or the bucket is not there
        if not infos:
            require_bucket(place)
        return infos


def _is_partial(place: Address, info: FileInfo) -> bool:
    """Whether a file of a folder is still being written: a store shows none that is."""
    return place.scheme == FOLDER and info.base_name.endswith(_PARTIAL)


def require_bucket(place: Address) -> None:
    """See that there is a bucket.

    Raises
    ------
    NoAccessError, NoStoreError, ConnectionError
        As :func:`look` does.
    """
    if place.scheme == FOLDER:  # which is made as it is written to
        return
    store = _store(place)
    with _told(place):
        if not _is_there(store.get_file_info(_path(place, ""))):
            raise _no_bucket(place)


@contextmanager
def opened(place: Address) -> Iterator[Stream]:
    """Bytes of an object, from its first to its last.

    Raises
    ------
    NoAccessError, NoStoreError, ConnectionError
        As :func:`look` does; and an InputError if there is no such object.
    """
    with _told(place):
        stream = _store(place).open_input_stream(_path(place, place.key))
    with stream:
        yield Stream(stream, place)


def put(place: Address, content: bytes | mmap) -> None:
    """Write an object: whoever reads it sees what was there before, or all that is new.

    Raises
    ------
    NoAccessError, NoStoreError, ConnectionError
        As :func:`look` does.

    Notes
    -----
    A stream that is left by an exception is closed, and what was written of it stands there then.
    So it is written in a thread, which no signal interrupts.
    """
    with ThreadPoolExecutor(1) as thread:
        thread.submit(_put, place, content).result()


def _put(place: Address, content: bytes | mmap) -> None:
    store, path = _store(place), _path(place, place.key)
    with _told(place):
        if place.scheme != FOLDER:
            with store.open_output_stream(path) as stream:
                stream.write(content)
            return
        store.create_dir(path.rpartition("/")[0])
        partial = f"{path}.{uuid4().hex}{_PARTIAL}"
        with store.open_output_stream(partial) as stream:
            stream.write(content)
        store.move(partial, path)


def remove(place: Address) -> None:
    """Remove an object; one that is not there is none to remove.

    Raises
    ------
    NoAccessError, NoStoreError, ConnectionError
        As :func:`look` does.
    """
    store = _store(place)
    with _told(place):
        try:
            store.delete_file(_path(place, place.key))
        except OSError as error:
            if not is_missing(error):
                raise


class Stream:
    """Bytes of an object, whose errors say what was read."""

    def __init__(self, stream: NativeFile, place: Address) -> None:
        self._stream, self._place = stream, place

    def read(self, size: int) -> bytes:
        """Return the next bytes, so many at most; none at the end."""
        with _told(self._place):
            return bytes(self._stream.read(size))


def _info(place: Address) -> FileInfo | None:
    """What a store says of an address; None if there is nothing, in a bucket that is there."""
    info: FileInfo = _store(place).get_file_info(_path(place, place.key))
    if _is_there(info):
        return info
    require_bucket(place)
    return None


def _is_there(info: FileInfo) -> bool:
    from pyarrow.fs import FileType

    return info.type is not FileType.NotFound


def _etag(place: Address) -> str:
    with _store(place).open_input_stream(_path(place, place.key)) as stream:
        told = {str(name).lower(): value for name, value in (stream.metadata() or {}).items()}
    return bytes(told.get("etag", b"")).decode(errors="replace")


def _version(info: FileInfo, etag: str = "") -> Version:
    return Version(int(info.size), int((info.mtime_ns or 0) // 10**9), etag)


def _path(place: Address, key: str) -> str:
    """Path of a key as pyarrow takes it; of Azure without the account, which its store knows."""
    return f"{place.bucket.partition('@')[0]}/{key}".rstrip("/")


def _store(place: Address) -> FileSystem:
    with _told(place):
        return _made(place.scheme, place.bucket, settings().s3_endpoint)


@cache
def _made(scheme: str, bucket: str, endpoint: str) -> FileSystem:
    from pyarrow.fs import FileSystem, LocalFileSystem

    if scheme == "s3":
        return _s3(bucket, endpoint)
    if scheme == FOLDER:
        return LocalFileSystem()
    limit = f"?retry_limit_seconds={_SILENT_SECONDS * _ATTEMPTS:.0f}" if scheme == "gs" else ""
    return FileSystem.from_uri(f"{scheme}://{bucket}/{limit}")[0]


def _s3(bucket: str, endpoint: str) -> FileSystem:
    """A store that speaks S3: in the region that the environment says, or AWS of the bucket."""
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem, resolve_s3_region

    small: dict[str, Any] = {"allow_delayed_open": True}  # is written by one request
    return S3FileSystem(
        endpoint_override=_checked(endpoint) or None,
        region=None if endpoint else resolve_s3_region(bucket),
        background_writes=False,  # which would copy what is written, without a limit
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_SILENT_SECONDS,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS),
        **small,
    )


def _checked(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    is_plain = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
    if endpoint and (not is_plain or parts.path.strip("/") or parts.query):
        raise NoStoreError(
            "BATON_S3_ENDPOINT, or AWS_ENDPOINT_URL, is no address such as http://127.0.0.1:9000,"
            " without a user and a path"
        )
    return endpoint.rstrip("/")


@contextmanager
def _told(place: Address) -> Iterator[None]:
    """Say in one line what became of a question, and whether another one may do better."""
    from pyarrow import ArrowException

    try:
        yield
    except (ConnectionError, InputError):
        raise
    except NotImplementedError:
        raise NoStoreError(f"this pyarrow was built without {place.scheme}://") from None
    except (OSError, ArrowException) as error:
        raise _error(place, error) from None


def _error(place: Address, error: Exception) -> Exception:
    if is_missing(error):
        return InputError(f"there is no object {place}: check the key")
    why, reason = refusal(error), said(error)
    if why is Refusal.DENIED:
        fix = _FIXES.get(place.scheme, _AZURE)
        return NoAccessError(
            f"access to {place} is denied ({reason}): {fix} of somebody who may list and read it"
        )
    if why is Refusal.NO_BUCKET:
        return _no_bucket(place)
    if why is Refusal.ELSEWHERE:
        return NoStoreError(f"{place.root} is in another region: set AWS_REGION to its own")
    return ConnectionError(
        f"{place} cannot be reached{_where(place)} ({reason}): check the network{_own(place)}"
    )


def _no_bucket(place: Address) -> NoStoreError:
    return NoStoreError(f"there is no bucket {place.root}{_where(place)}: check its name")


def _where(place: Address) -> str:
    """The store that is asked, where it is not the one that everybody knows."""
    endpoint = settings().s3_endpoint if place.scheme == "s3" else ""
    return f" at {endpoint}" if endpoint else ""


def _own(place: Address) -> str:
    """What is to be checked beside the network."""
    return ", and the store's address in BATON_S3_ENDPOINT" if place.scheme == "s3" else ""
