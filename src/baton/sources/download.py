"""Files from the web: resumed where they broke off, verified, kept.

What is downloaded, and from where, belongs in the problem that wants it. Trying again after a
failure belongs to the task that calls it: what was received so far is kept for that.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from filelock import FileLock

from baton import disk
from baton.atomic import write_bytes
from baton.errors import InputError

_CHECKSUM = "sha256"
_SECONDS_BETWEEN_WORDS = 5.0
_TIMEOUT_SECONDS = 30.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Remote:
    """What a server says of a file."""

    url: str
    size: int
    etag: str


def describe(url: str, folder: Path) -> Remote:
    """Size and version of a file, of the copy that is kept if there is one.

    Raises
    ------
    InputError
        If the server has no such file.
    ConnectionError
        If it does not answer.
    """
    if kept := _kept(place_of(url, folder)):
        return kept
    return _asked(url)


def _asked(url: str) -> Remote:
    """What the server says of a file now."""
    try:
        answer = httpx.head(url, follow_redirects=True, timeout=_TIMEOUT_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConnectionError(f"{url} cannot be reached ({error})") from None
    _require_there(answer, url)
    return _remote(url, answer)


def download(url: str, folder: Path, verify: Callable[[Path], None]) -> Path:
    """Download a file unless it is kept already.

    Parameters
    ----------
    url : str
    folder : Path
        Where copies are kept, under the server's name.
    verify : callable
        Given the whole file before it is kept; raises ValueError if it is not what it should be.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the server has no such file.
    ConnectionError
        If the server does not answer, or breaks off; a repeat goes on where it broke off.
    """
    place = place_of(url, folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_name(place.name + ".lock")):
        if _kept(place):
            return place
        partial = place.with_name(place.name + ".partial")
        remote = _receive(url, partial)
        _require_whole(partial, remote, verify)
        _note(place, remote, _digest(partial))
        partial.replace(place)
        _ledger(partial).unlink(missing_ok=True)
    return place


def place_of(url: str, folder: Path) -> Path:
    """Where the copy of a file is kept."""
    parts = urlsplit(url)
    return folder / parts.netloc.replace(":", "_") / Path(parts.path.lstrip("/"))


def _ledger(place: Path) -> Path:
    return place.with_name(place.name + ".json")


def forget(url: str, folder: Path) -> None:
    """Forget the copy of a file if the server has another version now: it is put aside.

    Raises
    ------
    InputError
        If the server has no such file.
    ConnectionError
        If it does not answer.
    """
    place = place_of(url, folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_name(place.name + ".lock")):
        kept = _kept(place)
        if kept and kept != _asked(url):
            disk.put_aside(place)


def _kept(place: Path) -> Remote | None:
    """What is known of a copy; None if there is none. One that is not whole is put aside."""
    if not place.is_file():
        return None
    try:
        noted = json.loads(_ledger(place).read_text("utf-8"))
        digest, found = noted.pop(_CHECKSUM, None), Remote(**noted)
    except (OSError, ValueError, TypeError, AttributeError):
        digest = found = None
    if found and digest == _digest(place):
        return found
    disk.put_aside(place)
    return None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _note(place: Path, remote: Remote, digest: str = "") -> None:
    noted = asdict(remote) | ({_CHECKSUM: digest} if digest else {})
    write_bytes(_ledger(place), json.dumps(noted).encode())


def _receive(url: str, partial: Path) -> Remote:
    """Receive what is missing of a file; all of it if the server has another version now."""
    have = partial.stat().st_size if partial.is_file() else 0
    known = _known(partial, url)
    etag = known.etag
    if have and have == known.size:
        return known
    headers = {"Range": f"bytes={have}-", "If-Range": etag} if have and etag else {}
    try:
        with httpx.stream(
            "GET", url, headers=headers, follow_redirects=True, timeout=_TIMEOUT_SECONDS
        ) as answer:
            _require_there(answer, url)
            goes_on = answer.status_code == httpx.codes.PARTIAL_CONTENT
            remote = _remote(url, answer, have if goes_on else 0)
            _note(partial, remote)
            _write(answer, partial, remote, have if goes_on else 0)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConnectionError(f"{url} broke off ({error})") from None
    return remote


def _known(partial: Path, url: str) -> Remote:
    """What the server said of the file when it began to send it."""
    try:
        return Remote(**json.loads(_ledger(partial).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return Remote(url, 0, "")


def _write(answer: httpx.Response, partial: Path, remote: Remote, done: int) -> None:
    spoken = time.monotonic()
    with partial.open("ab" if done else "wb") as file:
        for part in answer.iter_bytes():
            file.write(part)
            done += len(part)
            if time.monotonic() - spoken > _SECONDS_BETWEEN_WORDS:
                spoken = time.monotonic()
                log.info("%s: %.0f of %.0f MB", remote.url, done / 1e6, remote.size / 1e6)


def _remote(url: str, answer: httpx.Response, before: int = 0) -> Remote:
    size = before + int(answer.headers.get("Content-Length", 0))
    return Remote(url, size, answer.headers.get("ETag", ""))


def _require_there(answer: httpx.Response, url: str) -> None:
    if answer.status_code in {httpx.codes.NOT_FOUND, httpx.codes.FORBIDDEN, httpx.codes.GONE}:
        raise InputError(f"there is no {url} (HTTP {answer.status_code})")
    if not answer.is_success:
        raise ConnectionError(f"{url} answered HTTP {answer.status_code}")


def _require_whole(partial: Path, remote: Remote, verify: Callable[[Path], None]) -> None:
    size = partial.stat().st_size
    if remote.size and size != remote.size:
        raise ConnectionError(f"{remote.url} broke off after {size} of {remote.size} bytes")
    try:
        verify(partial)
    except ValueError as error:
        partial.unlink()
        raise ConnectionError(f"{remote.url} is not whole ({error})") from None
