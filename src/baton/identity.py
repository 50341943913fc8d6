"""Who is who: the id of a home, for telling whose runs are whose, and the person who asks.

The id stands in a file there: a container that is made anew has another host name, not another
home.
"""

from __future__ import annotations

import getpass
import hashlib
from pathlib import Path
from uuid import uuid4

from filelock import FileLock

from baton import disk
from baton.atomic import write_bytes
from baton.settings import Settings

_CHECKED = 24
"""Digits that were drawn; those after them are their check digits."""


def of_home(settings: Settings) -> str:
    """Return the id of a home, made when it is first asked for; all who ask get the same.

    A file that does not hold what was written there is put aside and another id made: runs of the
    old one are then taken for those of a machine that is gone, and begun again.

    Returns
    -------
    str of 32 hexadecimal digits
    """
    place = settings.home / "id"
    if found := _read(place):
        return found
    settings.locks.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.locks / "id.lock"):
        if found := _read(place):
            return found
        if place.exists():
            disk.put_aside(place)
        made = _with_check(uuid4().hex[:_CHECKED])
        write_bytes(place, made.encode())
        return made


def of_person() -> str:
    """Name of the person who asks, as far as the system knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # such as in a container
        return "a person"


def _read(place: Path) -> str:
    """Id in a file; empty if it is not there, or not whole."""
    try:
        found = place.read_text("ascii")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""
    return found if found == _with_check(found[:_CHECKED]) else ""


def _with_check(drawn: str) -> str:
    return drawn + hashlib.sha256(drawn.encode()).hexdigest()[: 32 - _CHECKED]
