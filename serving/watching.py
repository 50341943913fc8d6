"""Watched folders: each file begins a chain, once, when it is whole.

The system says when something changes; a slow look at all there is finds what came while nobody
watched. When a file is whole is decided in ``baton.sources.whole``, what becomes of it in
``tasks/arrivals.py``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from watchfiles import awatch

from baton import problems
from baton.chain.manifest import Watch
from baton.errors import InputError
from baton.lineage import digest_of
from baton.settings import settings
from baton.sources.whole import Stamp, Waiting, is_data
from tasks.arrivals import DamagedError, arrive
from tasks.platform import orders
from tasks.platform.api import Access
from tasks.platform.orders import Asked

log = logging.getLogger("baton.arriving")

LOOK_SECONDS = 30.0
"""Between two looks at all there is, and at what could not be taken."""

_STEP_SECONDS = 0.5


@dataclass
class Watched:
    """A folder that is watched.

    Parameters
    ----------
    entry : Watch
        What prefect.yaml says of it.
    folder : Path
    there : Access or None
        Server that is told of its files.

    Raises
    ------
    InputError
        If the problem takes no file, or a parameter is none of it.
    """

    entry: Watch
    folder: Path
    there: Access | None
    waiting: Waiting = field(default_factory=Waiting)
    _taken: dict[Path, Stamp] = field(default_factory=dict)
    _later: dict[Path, float] = field(default_factory=dict)
    """Files that could not be taken, with when they are looked at again."""
    _unnamed: set[Path] = field(default_factory=set)
    """Files whose names are no text, which was said."""

    def __post_init__(self) -> None:
        try:
            self._asked(self.folder / "any")
        except InputError as error:
            raise InputError(f"prefect.yaml: watch {self.entry.folder!r}: {error}") from None

    @property
    def is_waiting(self) -> bool:
        """Whether there are files that were not whole when it was looked last."""
        return bool(self.waiting)

    def look(self) -> None:
        """Take the files that are whole now, and were not taken before."""
        now, found = time.monotonic(), self._found()
        for path in self._taken.keys() - found.keys():  # it is gone
            del self._taken[path]
            self._note(path).unlink(missing_ok=True)
        due = {
            path: stamp
            for path, stamp in found.items()
            if not self._is_taken(path, stamp) and now >= self._later.get(path, 0.0)
        }
        for path in self.waiting.whole(due, now):
            self._take(path, due[path])

    def _found(self) -> dict[Path, Stamp]:
        """Files of the folder that may count."""
        found = {}
        with suppress(FileNotFoundError, NotADirectoryError), os.scandir(self.folder) as entries:
            for entry in entries:
                path = Path(entry.path)
                is_meant = is_data(path) and fnmatchcase(entry.name, self.entry.files)
                if is_meant and not _is_text(entry.name):
                    is_meant = False
                    self._warn_once(path)
                with suppress(FileNotFoundError):  # it was there a moment ago
                    if is_meant and entry.is_file():
                        stat = entry.stat()
                        found[path] = (stat.st_size, stat.st_mtime_ns)
        return found

    def _warn_once(self, path: Path) -> None:
        if path not in self._unnamed:
            self._unnamed.add(path)
            log.warning("%r is passed over: its name is no text in UTF-8; rename it", str(path))

    def _is_taken(self, path: Path, stamp: Stamp) -> bool:
        if path not in self._taken:
            with suppress(OSError, ValueError):  # it was never taken
                size, changed = self._note(path).read_text("ascii").split()
                self._taken[path] = (int(size), int(changed))
        return self._taken.get(path) == stamp

    def _note(self, path: Path) -> Path:
        """File that says which state of a file was taken: a repetition is not counted anew."""
        what = digest_of([self.entry.model_dump(mode="json"), str(path)])[:32]
        return settings().home / "arrivals" / "watched" / what

    def _take(self, path: Path, stamp: Stamp) -> None:
        """Take a file; whatever is wrong with one keeps none of the others."""
        try:
            arrival, was_known = arrive(self._asked(path), self.there, key=self._key(path))
            said = "is known as" if was_known else "is"
            log.info("%s %s arrival %d, chain %s", path, said, arrival.number, arrival.chain)
        except DamagedError as error:
            log.warning("%s: %s", path, error)
        except InputError as error:
            self._put_off(path, str(error))
            return
        except Exception as error:  # noqa: BLE001  whatever it is, it keeps no other file
            self._put_off(path, f"{type(error).__name__}: {error}")
            return
        self._later.pop(path, None)
        self._taken[path] = stamp
        self._note(path).parent.mkdir(parents=True, exist_ok=True)
        self._note(path).write_text("{} {}".format(*stamp), "ascii")

    def _put_off(self, path: Path, reason: str) -> None:
        """Look at a file again later."""
        log.warning("%s: %s; looked at again", path, " ".join(reason.split())[:500])
        self._later[path] = time.monotonic() + LOOK_SECONDS

    def _asked(self, path: Path) -> Asked:
        """Chain that a file begins."""
        named = problems.get(self.entry.problem).piped
        if not named:
            raise InputError(f"problem {self.entry.problem!r} takes no file")
        given = {**self.entry.parameters, named[0]: str(path)}
        if self.entry.begins == "predict":
            return orders.new_rows(self.entry.problem, given)
        return orders.data_set(self.entry.problem, given)

    def _key(self, path: Path) -> str:
        """Period in a file's name; empty if there is none."""
        found = re.search(self.entry.key, path.name) if self.entry.key else None
        return found[found.lastindex or 0] if found else ""


def _is_text(name: str) -> bool:
    """Tell whether a file's name can be written down."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


async def keep_watching(watched: Sequence[Watched]) -> None:
    """Take what arrives in these folders, until the process ends."""
    while watched:
        there = [one.folder for one in watched if one.folder.is_dir()]
        missing = {str(one.folder) for one in watched} - {str(one) for one in there}
        if missing:
            log.warning("there is no folder %s yet", ", ".join(sorted(missing)))
        try:
            await _watch(watched, there)
        except (OSError, RuntimeError) as error:  # such as a system that watches no more folders
            log.warning("folders are looked at every %g s: %s", LOOK_SECONDS, error)
            await _look(watched)
            await asyncio.sleep(LOOK_SECONDS)


async def _watch(watched: Sequence[Watched], there: Sequence[Path]) -> None:
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
        if some or now - last >= LOOK_SECONDS or any(one.is_waiting for one in watched):
            last = now
            await _look(watched)
        if [one.folder for one in watched if one.folder.is_dir()] != there:
            return


async def _look(watched: Sequence[Watched]) -> None:
    """Look at each folder; one that cannot be read keeps none of the others."""
    for one in watched:
        try:
            await asyncio.to_thread(one.look)
        except OSError as error:
            log.warning("folder %s is looked at again: %s", one.folder, error)
