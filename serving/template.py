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
from pathlib import Path

from serving import warm_client
from serving.restarts import Restarts
from tasks.platform.stage import run_lock

log = logging.getLogger("baton.serve")

_SECONDS_BETWEEN_LOOKS = 1.0


def start_template(address: Path) -> subprocess.Popen[bytes]:
    """Start the process that forks runs.

    Parameters
    ----------
    address : Path
        Where it will listen, a socket.
    """
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        descriptor = listener.fileno()
        template = [sys.executable, "-m", "serving.warm", str(descriptor), str(os.getpid())]
        return subprocess.Popen(template, pass_fds=[descriptor], stdin=subprocess.DEVNULL)


async def keep_template(address: Path) -> None:
    """Start the template, again whenever it was killed; until it stands, runs start cold.

    Parameters
    ----------
    address : Path
        Where it will listen, a socket.
    """
    restarts = Restarts()
    while True:
        try:
            template = start_template(address)
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
