"""Places that hold a table's files: a file, a folder, a glob, an address on the web or in a bucket.

What the files are belongs in ``baton.tables``; what is sent by a pipe in ``piped``.
"""

from __future__ import annotations

import glob
import re
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from baton import addresses
from baton.errors import InputError
from baton.settings import settings
from baton.sources import buckets, download, local
from baton.sources.buckets import MOST_FILES

PIPED = "-"
"""What stands for the standard input."""


def checked(value: str) -> str:
    """Place as a process with another working folder understands it.

    Raises
    ------
    ValueError
        If it is an address that cannot be read, or no file can have such a name.
    """
    text = str(value)
    if is_web(text):
        return download.checked_url(text)
    if is_bucket(text):
        return str(addresses.parse(text))
    if scheme := re.match(r"([a-z][a-z0-9+.-]*):/", text):
        raise ValueError(
            f"files, http addresses and buckets ({addresses.SCHEMES}) are read, not {scheme[1]}:"
            " download it and give its path, or query a database by sql and url"
        )
    if text == PIPED:
        raise ValueError("the standard input is read by the command itself: path=- on its line")
    return str(local.absolute(text))


def is_web(place: str) -> bool:
    """Whether a place is an address on the web."""
    return place.lower().startswith(("http://", "https://"))


def is_bucket(place: str) -> bool:
    """Whether a place is an address in an object store."""
    return addresses.is_address(place)


def is_remote(place: str) -> bool:
    """Whether a place is on no disk of this machine."""
    return is_web(place) or is_bucket(place)


def files(place: str) -> tuple[Path, ...]:
    """Files of a place, in the order of their names; what is elsewhere is downloaded and kept.

    Raises
    ------
    InputError
        If there is none.
    ConnectionError
        If a server does not answer; a repeat goes on where it broke off.
    """
    if is_bucket(place):
        return tuple(buckets.files(addresses.parse(place), _downloads()))
    if is_web(place):
        return (download.download(place, _downloads(), lambda _: None),)
    path = Path(place)
    if path.is_dir():
        found = [one for one in sorted(path.iterdir()) if _is_part(one)]
        below = f"; files in its folders are named by {path}/**/*" if any(path.iterdir()) else ""
        missing = f"{path} is a directory without files{below}"
    elif glob.has_magic(place) and not path.exists():
        names = islice(glob.iglob(place, recursive=True), MOST_FILES + 1)  # noqa: PTH207
        found = sorted(one for one in map(Path, names) if _is_part(one))
        missing = f"no file is named like {place}: check the path"
    else:
        return (path,)
    if not found:
        raise InputError(missing)
    if len(found) > MOST_FILES:
        raise InputError(f"{place} names more than {MOST_FILES:,} files; put them together first")
    return tuple(found)


def _is_part(path: Path) -> bool:
    """Whether a file is part of a table, and not what a system or a writer left beside it."""
    return path.is_file() and not path.name.startswith((".", "_"))


def forget(place: str) -> None:
    """Forget the copy of a file of the web if the server has another version now.

    A bucket is asked each time.
    """
    if is_web(place):
        download.forget(place, _downloads())


def name_of(place: str) -> str:
    """Short name of a place: that of the file, or of the folder that a glob looks in.

    Examples
    --------
    >>> name_of("/data/wine.csv.gz"), name_of("/data/wine/*.csv"), name_of("https://a.org/x/w.csv")
    ('wine', 'wine', 'w')
    >>> name_of("s3://cellar/2021/wine.csv"), name_of("s3://cellar/wine/"), name_of("s3://cellar/*")
    ('wine', 'wine', 'cellar')
    """
    path = _path_of(place)
    plain = [part for part in path.parts if not glob.has_magic(part)]
    parent = path.name if path.exists() or not glob.has_magic(place) else plain[-1]
    return parent.split(".")[0]


def _path_of(place: str) -> Path:
    """Path of a place; of an address that below its server, or from its bucket on."""
    if is_bucket(place):
        address = addresses.parse(place)
        return Path(address.bucket.partition("@")[0]) / address.key
    return Path(urlsplit(place).path if is_web(place) else place)


def title_of(place: str) -> str:
    """Name of a place for people: that of the file or folder, of a glob with its folder.

    Examples
    --------
    >>> title_of("/data/wine.csv.gz"), title_of("/data/wine/*.csv"), title_of("https://a.org/w.csv")
    ('wine.csv.gz', 'wine/*.csv', 'w.csv')
    >>> title_of("s3://cellar/2021/wine.csv"), title_of("s3://cellar/*.csv")
    ('wine.csv', 'cellar/*.csv')
    """
    path = _path_of(place)
    is_one = is_remote(place) and not (is_bucket(place) and glob.has_magic(path.name))
    if is_one or path.exists():
        return path.name or place
    begin = next((n for n, part in enumerate(path.parts) if glob.has_magic(part)), len(path.parts))
    return "/".join(path.parts[max(begin - 1, int(path.is_absolute())) :])


def _downloads() -> Path:
    return settings().home / "downloads"
