"""Places that hold a table's files: a file, a folder, a glob, an address on the web.

What the files are belongs in ``baton.tables``; what is sent by a pipe in ``piped``.
"""

from __future__ import annotations

import glob
import re
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from baton.errors import InputError
from baton.settings import settings
from baton.sources import download, local

PIPED = "-"
"""What stands for the standard input."""

_MOST_FILES = 10_000


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
    if scheme := re.match(r"([a-z][a-z0-9+.-]*):/", text):
        raise ValueError(
            f"files and http addresses are read, not {scheme[1]}: download it and give its path,"
            " or query a database by sql and url"
        )
    if text == PIPED:
        raise ValueError("the standard input is read by the command itself: path=- on its line")
    return str(local.absolute(text))


def is_web(place: str) -> bool:
    """Whether a place is an address on the web."""
    return place.lower().startswith(("http://", "https://"))


def files(place: str) -> tuple[Path, ...]:
    """Files of a place, in the order of their names; one from the web is downloaded and kept.

    Raises
    ------
    InputError
        If there is none.
    ConnectionError
        If a server does not answer; a repeat goes on where it broke off.
    """
    if is_web(place):
        return (download.download(place, _downloads(), lambda _: None),)
    path = Path(place)
    if path.is_dir():
        found = [one for one in sorted(path.iterdir()) if _is_part(one)]
        below = f"; files in its folders are named by {path}/**/*" if any(path.iterdir()) else ""
        missing = f"{path} is a directory without files{below}"
    elif glob.has_magic(place) and not path.exists():
        names = islice(glob.iglob(place, recursive=True), _MOST_FILES + 1)  # noqa: PTH207
        found = sorted(one for one in map(Path, names) if _is_part(one))
        missing = f"no file is named like {place}: check the path"
    else:
        return (path,)
    if not found:
        raise InputError(missing)
    if len(found) > _MOST_FILES:
        raise InputError(f"{place} names more than {_MOST_FILES:,} files; put them together first")
    return tuple(found)


def _is_part(path: Path) -> bool:
    """Whether a file is part of a table, and not what a system or a writer left beside it."""
    return path.is_file() and not path.name.startswith((".", "_"))


def forget(place: str) -> None:
    """Forget the copy of a file of the web if the server has another version now."""
    if is_web(place):
        download.forget(place, _downloads())


def name_of(place: str) -> str:
    """Short name of a place: that of the file, or of the folder that a glob looks in.

    Examples
    --------
    >>> name_of("/data/wine.csv.gz"), name_of("/data/wine/*.csv"), name_of("https://a.org/x/w.csv")
    ('wine', 'wine', 'w')
    """
    path = Path(urlsplit(place).path if is_web(place) else place)
    plain = [part for part in path.parts if not glob.has_magic(part)]
    parent = path.name if path.exists() or not glob.has_magic(place) else plain[-1]
    return parent.split(".")[0]


def title_of(place: str) -> str:
    """Name of a place for people: that of the file or folder, of a glob with its folder.

    Examples
    --------
    >>> title_of("/data/wine.csv.gz"), title_of("/data/wine/*.csv"), title_of("https://a.org/w.csv")
    ('wine.csv.gz', 'wine/*.csv', 'w.csv')
    """
    path = Path(urlsplit(place).path if is_web(place) else place)
    if is_web(place) or path.exists():
        return path.name or place
    begin = next((n for n, part in enumerate(path.parts) if glob.has_magic(part)), len(path.parts))
    return "/".join(path.parts[max(begin - 1, 1) :])


def _downloads() -> Path:
    return settings().home / "downloads"
