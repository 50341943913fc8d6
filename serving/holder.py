"""Who holds a home: recorded in it, so that another command can say whose end it waits for.

Holding it, by a lock, belongs in ``serving/embedded.py``.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from baton.atomic import write_bytes
from baton.settings import Settings

_FILE = "holder.json"


@dataclass(frozen=True)
class Holder:
    """A Baton that is alone in a home."""

    pid: int
    command: str
    since: datetime
    """Local time, to the second, with its offset."""
    prefect: str = ""
    """Address of its Prefect API, once that answers."""

    def __str__(self) -> str:
        return f"`{self.command}` (process {self.pid}, since {self.since:%Y-%m-%d %H:%M:%S})"


_HOLDER = TypeAdapter(Holder)


def record(settings: Settings, prefect: str = "") -> None:
    """Record this process as the one that holds the home, and where its Prefect API answers."""
    words = [word for word in sys.argv[1:3] if not word.startswith("-")]  # values may be secret
    command = " ".join([Path(sys.argv[0]).name, *words])
    now = datetime.now().astimezone().replace(microsecond=0)
    found = held_by(settings)
    since = found.since if found and found.pid == os.getpid() else now
    held = Holder(os.getpid(), command, since, prefect)
    write_bytes(_path(settings), _HOLDER.dump_json(held))


def forget(settings: Settings) -> None:
    """Take the record away."""
    _path(settings).unlink(missing_ok=True)


def held_by(settings: Settings) -> Holder | None:
    """Return the last one that held the home; one that was killed leaves its record behind."""
    try:
        return _HOLDER.validate_json(_path(settings).read_bytes())
    except (OSError, ValidationError):
        return None


def waiting_for(settings: Settings) -> str:
    """Say in one line whose end is waited for."""
    found = held_by(settings)
    return f"waiting for {found or 'another Baton'} to leave {settings.home} …"


def _path(settings: Settings) -> Path:
    return settings.home / _FILE
