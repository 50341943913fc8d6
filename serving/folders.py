"""Watched folders: each file begins a chain, once, when it is whole.

The system says when something changes; a slow look at all there is finds what came while nobody
watched. When a file is whole is decided in ``baton.sources.whole``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from watchfiles import awatch

from baton.sources.whole import Stamp, Waiting
from serving.taking import LOOK_SECONDS, Taking, Trouble

log = logging.getLogger("baton.arriving")

_STEP_SECONDS = 0.5


@dataclass
class Folder:
    """A folder that is watched.

    Parameters
    ----------
    taking : Taking
        What is done with its files.
    path : Path

    Raises
    ------
    InputError
        If the problem takes no file, or a parameter is none of it.
    """

    taking: Taking
    path: Path
    waiting: Waiting = field(default_factory=Waiting)
    trouble: Trouble = field(init=False)

    def __post_init__(self) -> None:
        self.trouble = Trouble(f"folder {self.path}")
        self.taking.check(str(self.path / "any"))

    @property
    def is_waiting(self) -> bool:
        """Whether there are files that were not whole when it was looked last."""
        return bool(self.waiting)

    @property
    def is_there(self) -> bool:
        """Whether there is such a folder."""
        return self.path.is_dir()

    def look(self) -> None:
        """Take the files that are whole now, and were not taken before."""
        now, found = time.monotonic(), self._found()
        self.taking.forget_but({str(path) for path in found})
        due = {path: stamp for path, stamp in found.items() if self._is_due(path, stamp)}
        for path in self.waiting.whole(due, now):
            if not self.taking.ending.is_set():
                self.taking.take(str(path), _state(due[path]))

    def _is_due(self, path: Path, stamp: Stamp) -> bool:
        taken = self.taking.noted(str(path))
        return taken != _state(stamp) and self.taking.is_due(str(path))

    def _found(self) -> dict[Path, Stamp]:
        """Files of the folder that may count."""
        found = {}
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.path) as entries:
            for entry in entries:
                is_meant = self.taking.is_meant(entry.name)
                if is_meant and not _is_text(entry.name):
                    is_meant = False
                    self.taking.pass_over(entry.path, "its name is no text in UTF-8; rename it")
                with suppress(FileNotFoundError):  # it was there a moment ago
                    if is_meant and entry.is_file():
                        stat = entry.stat()
                        found[Path(entry.path)] = (stat.st_size, stat.st_mtime_ns)
        return found


def _state(stamp: Stamp) -> bytes:
    """State of a file, as its note has it."""
    return "{} {}".format(*stamp).encode()


def _is_text(name: str) -> bool:
    """Tell whether a file's name can be written down."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


async def keep_watching(folders: Sequence[Folder]) -> None:
    """Take what arrives in these folders, until the process ends."""
    while folders:
        there = [one.path for one in folders if one.is_there]
        for one in folders:
            if one.path not in there:
                one.trouble.say("missing", f"there is no folder {one.path} yet")
        try:
            await _watch(folders, there)
        except (OSError, RuntimeError) as error:  # such as a system that watches no more folders
            log.warning("folders are looked at every %g s: %s", LOOK_SECONDS, error)
            await _look(folders)
            await asyncio.sleep(LOOK_SECONDS)


async def _watch(folders: Sequence[Folder], there: Sequence[Path]) -> None:
    """Look when something changes and from time to time; return when a folder comes or goes."""
    if not there:
        await asyncio.sleep(LOOK_SECONDS)
        return
    last = -LOOK_SECONDS
    changes = awatch(
        *there,
        watch_filter=None,
        recursive=False,
        rust_timeout=int(1000 * _STEP_SECONDS),
        yield_on_timeout=True,
    )
    async for some in changes:
        now = time.monotonic()
        if some or now - last >= LOOK_SECONDS or any(one.is_waiting for one in folders):
            last = now
            await _look(folders)
        if [one.path for one in folders if one.is_there] != there:
            return


async def _look(folders: Sequence[Folder]) -> None:
    """Look at each folder; one that cannot be read keeps none of the others."""
    for one in folders:
        try:
            await asyncio.to_thread(one.look)
        except OSError as error:
            one.trouble.say(type(error).__name__, f"folder {one.path} cannot be read: {error}")
        else:
            if one.is_there:
                one.trouble.over()
