"""Where a template listens: a folder in the system's temporary one that nobody else may enter.

What listens there belongs in ``serving/warm.py``. A process that is killed leaves its folder
behind; the next one removes it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

_PREFIX = "baton-door-"
_HELD = "held"
_AGE_SECONDS = 60.0
"""Age from which a door that nobody holds was left: it is made a moment before it is held."""

_mine: list[FileLock] = []


def new_door() -> Path:
    """Place of a socket, kept for this process until it ends.

    In the temporary folder, because the path of a socket must be short.
    """
    sweep()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = FileLock(folder / _HELD)
    lock.acquire()
    _mine.append(lock)
    return folder / "door"


def close(door: Path) -> None:
    """Remove a door of this process."""
    shutil.rmtree(door.parent, ignore_errors=True)


def sweep() -> None:
    """Remove doors that nobody holds any more."""
    for lock in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/{_HELD}"):
        with suppress(Timeout, OSError):
            if time.time() - lock.stat().st_mtime > _AGE_SECONDS:
                with FileLock(lock, timeout=0):
                    shutil.rmtree(lock.parent, ignore_errors=True)
