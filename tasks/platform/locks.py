"""Lock files that nobody holds any more, and what was noted beside them.

Each output and each run has a lock of its own, so that there would be more with every chain. Who
holds which belongs in ``tasks/platform/stage.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

AGE_SECONDS = 60.0
"""Age from which a lock file that nobody holds is removed."""

ENDING_SECONDS = 86400.0
"""Age from which nobody will ask any more what a run died of."""


def sweep(folder: Path, now: float) -> int:
    """Remove what nobody holds, here and in the folders below.

    Parameters
    ----------
    folder : Path
    now : float
        Seconds since 1970.

    Returns
    -------
    int
        How many lock files were removed.

    Notes
    -----
    A lock is of a file, not of its name: it is removed by its holder alone, who is then the last.
    Whoever opened it before finds, once he has it, that it has no name any more, and begins anew.
    ``filelock`` does so, and so does ``serving/warm_client.py``.
    """
    for ending in _older(folder, {".end"}, now - ENDING_SECONDS):
        ending.unlink(missing_ok=True)
    locks = _older(folder, {".lock", ".start"}, now - AGE_SECONDS)
    return sum(_removed(lock) for lock in locks)


def stale(folder: Path, now: float) -> list[Path]:
    """Lock files that :func:`sweep` would remove.

    Parameters
    ----------
    folder : Path
    now : float
        Seconds since 1970.
    """
    found = _older(folder, {".lock", ".start"}, now - AGE_SECONDS)
    return sorted(lock for lock in found if not _is_held(lock))


def _is_held(lock: Path) -> bool:
    try:
        with FileLock(lock, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def _older(folder: Path, suffixes: set[str], least: float) -> Iterator[Path]:
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.suffix in suffixes and path.stat().st_mtime < least:
                yield path


def _removed(lock: Path) -> bool:
    try:
        with FileLock(lock, timeout=0):
            lock.unlink()
    except (Timeout, OSError):  # held, or a system on which nobody removes what is open
        return False
    return True
