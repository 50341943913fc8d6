"""A study's journal: a file that several processes add lines to, each line with a checksum.

Which study has a journal, and what becomes of a damaged one, belongs in ``storage``.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from baton.lineage import digest_of

CHECKSUM = "sha256"
"""Key of a journal's line: the beginning of the digest of the rest."""

_Log = dict[str, Any]


class JournalLock:
    """Lock of a journal that is free at once when its holder dies, and leaves no half line.

    A process that is killed while it writes leaves the beginning of a line, which would make
    one broken line with what the next process writes.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._lock = FileLock(f"{journal}.lock")

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._lock.acquire()
        _drop_half_line(self._journal)
        return True

    def release(self) -> None:
        """Give the lock back."""
        self._lock.release()


def _drop_half_line(journal: Path) -> None:
    with journal.open("r+b") as file:
        size = file.seek(0, 2)
        if size == 0:
            return
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def checksum(entry: _Log) -> str:
    """Checksum of a line's content."""
    return digest_of(json.loads(json.dumps(entry)))[:16]


class Journal(JournalFileBackend):
    """Optuna's journal file, written by fewer and safer steps.

    Parameters
    ----------
    path : Path
    is_fast : bool
        Whether lines may wait for each other, and the disk for the end of a trial. Else each line
        is on the disk when it was appended.
    """

    def __init__(self, path: Path, *, is_fast: bool) -> None:
        lock: Any = JournalLock(path)
        super().__init__(str(path), lock_obj=lock)
        self.path, self.lock, self.is_fast = path, lock, is_fast
        self._waiting = threading.local()
        self._read_to = (0, 0)  # number of a line, and where it begins

    def read_logs(self, log_number_from: int) -> Iterator[_Log]:  # type: ignore[override]
        """Lines from a number on, without opening a file that has no more of them.

        The end of the file without the end of a line is being written, or was by a process that
        is gone.
        """
        number, begin = self._read_to
        if number > log_number_from:
            number, begin = 0, 0
        if self.path.stat().st_size == begin:
            return
        with self.path.open("rb") as file:
            file.seek(begin)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                number, begin = number + 1, begin + len(line)
                self._read_to = number, begin
                if number > log_number_from:
                    yield json.loads(line)

    def append_logs(self, logs: list[_Log]) -> None:
        """Append lines, or have them wait for the end of what is written together."""
        waiting = getattr(self._waiting, "logs", None)
        if waiting is None:
            self._write(logs)
        else:
            waiting += logs

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write what this thread appends meanwhile at once, at the end."""
        if not self.is_fast:
            yield
            return
        self._waiting.logs = []
        try:
            yield
        finally:
            logs, self._waiting.logs = self._waiting.logs, None
            if logs:
                self._write(logs)

    def _write(self, logs: list[_Log]) -> None:
        lines = [_line(log | {CHECKSUM: checksum(log)}) for log in logs]
        self.lock.acquire()
        try:
            with self.path.open("ab") as file:
                file.write(b"".join(lines))
                file.flush()
                if not self.is_fast or any(map(_is_to_last, logs)):
                    os.fsync(file.fileno())
        finally:
            self.lock.release()


def _line(log: _Log) -> bytes:
    return json.dumps(log, separators=(",", ":")).encode() + b"\n"


def _is_to_last(log: _Log) -> bool:
    """Whether a line is of a study or of a trial's end: what else is lost is done again."""
    state = log.get("state")
    return "trial_id" not in log if state is None else TrialState(state).is_finished()


class StudyJournal(JournalStorage):
    """Optuna's storage of a journal, some of whose writing may be done together."""

    def __init__(self, journal: Journal) -> None:
        self.together = journal.together
        super().__init__(journal)
