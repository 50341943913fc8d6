"""A process that Baton starts: kept up while it should live, and ended with all it started.

Which processes there are, and what they run, belongs in ``serving/embedded.py``.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from serving.restarts import Restarts
from tasks.platform.places import MANIFEST

START_SECONDS = 180.0
"""Longest that a process may take until it does what it is for."""

NOT_FOR_OTHERS = 0o077
"""Rights that files and folders of a home do not give."""

_STOP_SECONDS = 4.0
_MOST_DEATHS = 5
_LONGEST_LOG_BYTES = 10 * 2**20


class ProcessError(RuntimeError):
    """An embedded process did not start or ended by itself."""


def default_restarts() -> Restarts:
    """When a process is started again that all else depends on."""
    return Restarts(most=_MOST_DEATHS)


@dataclass
class Child:
    """A process, and how it is started."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    """File of its output."""
    is_brief: bool = False
    """It ends by itself when its work is done."""
    is_ready: Callable[[], bool] = lambda: True
    """Tells whether it does what it is for."""
    prepare: Callable[[], None] = lambda: None
    """Called before each start."""
    restarts: Restarts = field(default_factory=default_restarts)
    descriptors: tuple[int, ...] = ()
    """Open files that it is given."""
    stdin: int = subprocess.DEVNULL
    """Open file that it has for its standard input, and those whom it starts have as well."""
    process: subprocess.Popen[bytes] = field(init=False)
    _due: float | None = None
    """When it is started again."""
    _awaited: float | None = None
    """When it is ready at the latest."""

    def __post_init__(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(b"")
        self.start()

    def start(self) -> None:
        """Start it, in a process group of its own."""
        self.prepare()
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=MANIFEST.parent,
                env=self.environment,
                stdin=self.stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=NOT_FOR_OTHERS,
                pass_fds=self.descriptors,
            )

    @property
    def has_failed(self) -> bool:
        """Tell whether it has ended although it should not have."""
        code = self.process.poll()
        return code is not None and not (self.is_brief and code == 0)

    def failure(self) -> str:
        """Tell how the process ended, with the last thing it said."""
        lines = [line for line in self.log.read_text("utf-8", "replace").splitlines() if line]
        code = self.process.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        said = f": {lines[-1].strip()[:200]}" if lines else ""
        return f"the {self.name} process {how}{said} (log: {self.log})"

    def check(self) -> None:
        """Raise a ProcessError if it has failed."""
        if self.has_failed:
            raise ProcessError(self.failure())

    def tend(self, now: float, say: Callable[[str], None]) -> None:
        """Start it again if it has died, after a pause, and see that it stands then.

        Its log is kept from growing for ever, too.

        Parameters
        ----------
        now : float
            Seconds of a clock that never goes back.
        say : callable
            Told in one line of its death, and when it is back.

        Raises
        ------
        ProcessError
            If it cannot stay up.
        """
        self._turn_log_over()
        if self._due is not None:
            if now >= self._due:
                self.start()
                self._due, self._awaited = None, now + START_SECONDS
        elif self.has_failed:
            self._has_died(now, say)
        elif self._awaited is not None:
            self._look(now, say)

    def _turn_log_over(self) -> None:
        """Begin a long log anew, and keep beside it what it said before.

        The process has it open for appending: it writes on, at the file's new end.
        """
        if self.log.stat().st_size > _LONGEST_LOG_BYTES:
            shutil.copyfile(self.log, self.log.with_name(f"{self.log.name}.1"))
            os.truncate(self.log, 0)

    def _has_died(self, now: float, say: Callable[[str], None]) -> None:
        pause = self.restarts.pause(now)
        if pause is None:
            raise ProcessError(f"{self.failure()}; it does not stay up")
        self.signal(signal.SIGKILL)  # what it started itself may hold its port
        say(f"{self.failure()}; it is started again in {pause:g} s")
        self._due, self._awaited = now + pause, None

    def _look(self, now: float, say: Callable[[str], None]) -> None:
        if self.is_ready():
            self._awaited = None
            self.restarts.stood(now)
            say(f"the {self.name} process is back")
        elif now > (self._awaited or now):
            if not self.restarts.is_endless:
                raise ProcessError(self.lateness())
            self.signal(signal.SIGKILL)

    def lateness(self) -> str:
        """Tell that it is not ready, and where to look."""
        return f"the {self.name} process did not get ready (log: {self.log})"

    def signal(self, signum: int) -> None:
        """Send a signal to it and to all it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signum)


def end(children: Sequence[Child]) -> None:
    """End processes, the last one first, in some seconds whatever they do."""
    for child in reversed(children):
        child.signal(signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    for child in reversed(children):
        with suppress(subprocess.TimeoutExpired):
            child.process.wait(max(deadline - time.monotonic(), 0.0))
    for child in reversed(children):
        child.signal(signal.SIGKILL)  # what did not end, and what they started themselves
        child.process.wait()
