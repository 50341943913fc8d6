"""Keeping the template of warm runs: it is started, again when it was killed, and asked.

What the template does belongs in ``serving/warm.py``, and who asks it for which runs in
``serving/serve.py`` and ``serving/worker.py``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serving import warm, warm_client
from serving.restarts import Restarts
from tasks.platform.stage import run_lock

log = logging.getLogger("baton.serve")

_SECONDS_BETWEEN_LOOKS = 1.0


class Template(Protocol):
    """The process that forks runs."""

    returncode: int | None

    def poll(self) -> int | None:
        """Its exit code; None as long as it lives."""


@dataclass
class Forked:
    """A template that was forked off this process."""

    pid: int
    returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code; None as long as it lives."""
        if self.returncode is None:
            done, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if done else None
        return self.returncode


def start_template(address: Path) -> subprocess.Popen[bytes]:
    """Start the process that forks runs.

    Parameters
    ----------
    address : Path
        Where it will listen, a socket.
    """
    with _listening(address) as listener:
        descriptor = listener.fileno()
        template = [sys.executable, "-m", "serving.warm", str(descriptor), str(os.getpid())]
        return subprocess.Popen(template, pass_fds=[descriptor], stdin=subprocess.DEVNULL)


def fork_template(address: Path, loaded: float) -> Forked | None:
    """Fork the process that forks runs off this one: what is imported is not imported again.

    Parameters
    ----------
    address : Path
        Where it will listen, a socket.
    loaded : float
        Time of the latest change of the sources before this process imported any.

    Returns
    -------
    Forked, optional
        None if it cannot be; it is started in another way then.
    """
    parent = os.getpid()
    try:
        with _listening(address) as listener:
            pid = os.fork()
            if pid == 0:
                warm.become(listener, parent, loaded)
            return Forked(pid)
    except OSError as error:
        log.info("the template is not forked: %s", error)
        return None


def _listening(address: Path) -> socket.socket:
    """Socket at an address, whatever was left there."""
    address.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(address))
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


async def keep_template(address: Path, first: Template | None = None) -> None:
    """Start the template, again whenever it was killed; until it stands, runs start cold.

    Parameters
    ----------
    address : Path
        Where it will listen, a socket.
    first : Template, optional
        One that was started there already.
    """
    restarts = Restarts()
    while True:
        try:
            template, first = first or start_template(address), None
        except OSError as error:  # such as a TMPDIR too long for a socket
            log.warning("runs start cold: no socket at %s (%s)", address, error)
            return
        while template.poll() is None:
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
            restarts.stood(time.monotonic())
        if template.returncode == 0:  # it cannot fork here
            return
        log.warning("the template of runs ended with code %d", template.returncode)
        await asyncio.sleep(restarts.pause(time.monotonic()) or 0.0)


def warm_command(address: Path) -> list[str]:
    """Command that runs ``prefect.engine`` in a fork of the template that listens there."""
    locks = str(run_lock("").parent)
    return [sys.executable, "-I", "-S", warm_client.__file__, str(address), locks]
