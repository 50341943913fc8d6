"""The home: whether it is there, whose it is, who may read it, and what room it has."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from baton.cli.checkup.finding import Finding, bad, doubtful, good
from baton.disk import RESERVE
from baton.settings import Settings

_SMALL = 2**30
"""Free bytes below which a few chains may be too many."""

_SECRETS = ("auth", "serve.token", "announce.token")


def findings(settings: Settings) -> Iterator[Finding]:
    """What is to be said of the home."""
    home = settings.home
    if not home.exists():
        yield good("home", f"{home} is not there yet: the first `baton run` makes it")
    elif not home.is_dir():
        yield bad("home", f"{home} is no folder", "set BATON_HOME to one")
        return
    else:
        yield of_owner(home)
        yield of_mode(home)
        yield from of_secrets(home)
    yield of_room(home)


def of_owner(home: Path) -> Finding:
    """Whose it is, and whether it can be written."""
    owner, own = home.stat().st_uid, os.geteuid() if hasattr(os, "geteuid") else None
    if not os.access(home, os.W_OK | os.X_OK):
        return bad("home", f"{home} cannot be written", "make it yours, or set BATON_HOME")
    if own is not None and owner != own:
        fact = f"{home} is of user {owner}, and this is user {own}"
        return doubtful(
            "home", fact, "run Baton as that user, or set BATON_HOME to a folder of yours"
        )
    return good("home", str(home))


def of_mode(home: Path) -> Finding:
    """Who else may read it."""
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode & 0o077 and not mode & stat.S_ISVTX:
        return doubtful("home's mode", f"{mode:o}: others may look into it", f"chmod 700 {home}")
    return good("home's mode", f"{mode:o}")


def of_secrets(home: Path) -> Iterator[Finding]:
    """Files of secrets that others may read."""
    for place in (home / name for name in _SECRETS):
        if place.is_file() and stat.S_IMODE(place.stat().st_mode) & 0o077:
            yield bad(place.name, f"others may read the secret in {place}", f"chmod 600 {place}")


def of_room(home: Path) -> Finding:
    """What is free on its disk."""
    there = next(one for one in (home, *home.parents) if one.exists())
    free = shutil.disk_usage(there).free
    said = (
        f"{free / 2**30:.1f} GB are free" if free >= _SMALL else f"{free / 2**20:.0f} MB are free"
    )
    mend = "make room: `baton clean` removes what nothing needs"
    if free < RESERVE:
        return bad("disk", f"{said}: no stage begins", mend)
    return doubtful("disk", said, mend) if free < _SMALL else good("disk", said)
