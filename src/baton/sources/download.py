"""Files from the web: resumed where they broke off, verified, kept.

What is downloaded, and from where, belongs in the problem that wants it. Trying again after a
failure belongs to the task that calls it: what was received so far is kept for that.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import httpx
from filelock import FileLock
from pydantic import NonNegativeInt, TypeAdapter, ValidationError

from baton import disk
from baton.atomic import write_bytes
from baton.errors import InputError
from baton.lineage import digest_of_file

_SECONDS_BETWEEN_WORDS = 5.0
_TIMEOUT_SECONDS = 30.0
_SLOWEST = 1000.0
"""Bytes per second: a server that sends fewer for as long as it may be silent is given up."""
_MOST_GROWTH = 100
"""Times by which what a server packed may grow: tables grow by some twenty."""
_SMALL = 1 << 24
"""Bytes that may come of any few."""

_AS_IT_IS = {"Accept-Encoding": "identity"}
_PASSING = {408, 425, 429}
"""Status codes from 400 to 499 of a server that may answer when it is asked again."""

_NAME = re.compile(r'[^\x00-\x1f\x7f\\<>:"|?*]{0,179}[^\x00-\x1f\x7f\\<>:"|?*. ]')
"""What can be a name on every system, and is neither ``.`` nor ``..``."""
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_BESIDE = (".json", ".lock", ".partial")
"""Ends of the names of what stands beside a copy."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Remote:
    """What a server says of a file."""

    url: str
    size: NonNegativeInt
    etag: str
    sha256: str = ""
    """Digest of the copy, where it is noted beside one."""


_REMOTE = TypeAdapter(Remote)


def describe(url: str, folder: Path) -> Remote:
    """Size and version of a file, of the copy that is kept if there is one.

    Raises
    ------
    InputError
        If the server has no such file, or it is no address of one.
    ConnectionError
        If it does not answer.
    """
    if kept := _kept(place_of(url, folder)):
        return kept
    return _told(url)


def _told(url: str) -> Remote:
    """What the server says of a file now."""
    with (
        _reached(url, "cannot be reached"),
        _asked("HEAD", url, {}) as answer,
    ):
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
        If the server has no such file, or it is no address of one.
    ConnectionError
        If the server does not answer, or breaks off; a repeat goes on where it broke off.
    """
    place = place_of(url, folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(place.with_name(place.name + ".lock")):
        if _kept(place):
            return place
        partial = place.with_name(place.name + ".partial")
        if partial.is_symlink():  # it is not written through
            partial.unlink()
        remote = _receive(url, partial)
        _require_sound(partial, remote, verify)
        _note(place, replace(remote, sha256=digest_of_file(partial)))
        partial.replace(place)
        _ledger(partial).unlink(missing_ok=True)
    return place


def checked_url(url: str) -> str:
    """Address on the web whose files can be kept under their own names.

    Raises
    ------
    InputError
        If it is none, or holds what would be kept with the run: a user, a password, a query.
    """
    try:
        is_plain = _is_plain(urlsplit(url))
    except ValueError:
        is_plain = False
    if not is_plain:
        raise InputError(
            "an address without a user, a password and a query is wanted,"
            " of names that a file can have"
        )
    return url


def _is_plain(parts: SplitResult) -> bool:
    parts.port  # noqa: B018  raises ValueError where it is no number
    asks = parts.query or parts.fragment or "@" in parts.netloc
    names = [parts.netloc.replace(":", "_"), *parts.path.split("/")[1:]]
    is_web = parts.scheme in {"http", "https"} and bool(parts.hostname)
    return is_web and not asks and all(map(is_name, names))


def is_name(name: str) -> bool:
    """Tell whether a file can have a name on every system."""
    return bool(_NAME.fullmatch(name)) and not _RESERVED.fullmatch(name)


def place_of(url: str, folder: Path) -> Path:
    """Where the copy of a file is kept: below the folder, whatever the address is.

    Raises
    ------
    InputError
        If the address names no such place, or a link leads out of the folder.
    """
    parts = urlsplit(checked_url(url))
    if not parts.path or parts.path.lower().endswith(_BESIDE):
        raise InputError(f"{url} is no address of a file that can be kept")
    place = folder / parts.netloc.replace(":", "_") / parts.path.lstrip("/")
    disk.require_below(place.parent, folder)
    return place


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
        if kept and kept != _told(url):
            disk.put_aside(place)


def _note(place: Path, remote: Remote) -> None:
    write_bytes(_ledger(place), _REMOTE.dump_json(remote))


def _noted(place: Path) -> Remote | None:
    """What was kept of a file; None where there is nothing of it that can be read."""
    try:
        return _REMOTE.validate_json(_ledger(place).read_bytes(), strict=True)
    except (OSError, ValidationError):
        return None


def _kept(place: Path) -> Remote | None:
    """What is known of a copy; None if there is none. One that is not whole is put aside."""
    if not place.is_file():
        return None
    noted = _noted(place)
    if noted and noted.sha256 and noted.sha256 == digest_of_file(place):
        return replace(noted, sha256="")
    disk.put_aside(place)
    return None


@contextmanager
def _reached(url: str, what: str) -> Iterator[None]:
    """Say in one line what became of a request, and whether another one may do better."""
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
        raise InputError(f"{url} leads nowhere ({error})") from None
    except httpx.HTTPError as error:
        raise ConnectionError(f"{url} {what} ({error})") from None


@contextmanager
def _asked(method: str, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
    with httpx.stream(
        method,
        url,
        headers=_AS_IT_IS | headers,
        follow_redirects=True,
        timeout=_TIMEOUT_SECONDS,
    ) as answer:
        yield answer


def _receive(url: str, partial: Path) -> Remote:
    """Receive what is missing of a file; all of it if the server has another version now."""
    have = partial.stat().st_size if partial.is_file() else 0
    known = _noted(partial) or Remote(url, 0, "")
    if have and have == known.size:
        return known
    is_known = bool(known.etag) and not known.etag.startswith("W/")
    have = have if is_known else 0
    headers = {"Range": f"bytes={have}-", "If-Range": known.etag} if have else {}
    with _reached(url, "broke off"), _asked("GET", url, headers) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            partial.unlink(missing_ok=True)
            raise ConnectionError(f"{url} is another file now: a repeat begins anew")
        _require_there(answer, url)
        return _take(answer, url, partial, have)


def _take(answer: httpx.Response, url: str, partial: Path, have: int) -> Remote:
    """Write what is sent to the end of what is here, if it begins there."""
    begin = have if answer.status_code == httpx.codes.PARTIAL_CONTENT else 0
    if begin != _first_byte(answer):
        raise ConnectionError(f"{url} was asked for bytes from {have} on, and sent other ones")
    remote = _remote(url, answer, begin)
    if _is_packed(answer):  # a repeat could not say where it broke off
        _ledger(partial).unlink(missing_ok=True)
    else:
        _note(partial, remote)
    _write(answer, partial, remote, begin)
    size = partial.stat().st_size
    if remote.size and size != remote.size and not _is_packed(answer):
        raise ConnectionError(f"{url} broke off after {size} of {remote.size} bytes")
    return remote


def _first_byte(answer: httpx.Response) -> int:
    """Where in the file what is sent begins; at 0 only if it is all of it."""
    if answer.status_code != httpx.codes.PARTIAL_CONTENT:
        return 0
    found = re.match(r"bytes ([1-9]\d{0,17})-", answer.headers.get("Content-Range", ""))
    return int(found[1]) if found else -1


def _is_packed(answer: httpx.Response) -> bool:
    """Tell whether a server packed what it sends, which it was not asked for."""
    return str(answer.headers.get("Content-Encoding", "identity")).lower() != "identity"


def _write(answer: httpx.Response, partial: Path, remote: Remote, done: int) -> None:
    pace, begun = _Pace(remote, done), done
    with partial.open("ab" if done else "wb") as file:
        for part in answer.iter_bytes():
            file.write(part)
            done += len(part)
            pace.check(done)
            if done > max(_MOST_GROWTH * answer.num_bytes_downloaded, _SMALL) and not begun:
                raise InputError(
                    f"{remote.url} unpacks to more than {_MOST_GROWTH} times what was sent:"
                    " if it is to be trusted, download it by hand"
                )


@dataclass
class _Pace:
    """How fast a file comes: said from time to time, and given up where it is next to nothing."""

    remote: Remote
    done: int

    def __post_init__(self) -> None:
        self._spoken = self._looked = time.monotonic()

    def check(self, done: int) -> None:
        """Take note that so many bytes are here."""
        now = time.monotonic()
        if now - self._spoken > _SECONDS_BETWEEN_WORDS:
            self._spoken = now
            log.info("%s: %.0f of %.0f MB", self.remote.url, done / 1e6, self.remote.size / 1e6)
        if (waited := now - self._looked) > _TIMEOUT_SECONDS:
            if done - self.done < _SLOWEST * waited:
                raise ConnectionError(f"{self.remote.url} comes too slowly: {done} bytes are here")
            self._looked, self.done = now, done


def _remote(url: str, answer: httpx.Response, before: int = 0) -> Remote:
    said = answer.headers.get("Content-Length", "")
    size = int(said) if said.isdecimal() else 0
    return Remote(url, before + size, answer.headers.get("ETag", ""))


def _require_there(answer: httpx.Response, url: str) -> None:
    code = answer.status_code
    if code in {httpx.codes.NOT_FOUND, httpx.codes.FORBIDDEN, httpx.codes.GONE}:
        raise InputError(f"there is no {url} (HTTP {code})")
    if answer.is_client_error and code not in _PASSING:
        raise InputError(f"{url} is refused (HTTP {code} {answer.reason_phrase})")
    if not answer.is_success:
        raise ConnectionError(f"{url} answered HTTP {code}")


def _require_sound(partial: Path, remote: Remote, verify: Callable[[Path], None]) -> None:
    try:
        verify(partial)
    except ValueError as error:
        partial.unlink()
        raise ConnectionError(f"{remote.url} is not whole ({error})") from None
