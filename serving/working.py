"""The process of a worker as the command starts it: in a session of its own, ended as a whole.

What that process does belongs in ``serving/worker.py``, which imports much.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from baton.settings import settings
from serving.child import NOT_FOR_OTHERS, ProcessError
from serving.offspring import adopt, end_offspring
from tasks.platform.places import MANIFEST

_SECONDS_TO_END = 10.0


def work(pool: str, name: str, limit: int | None) -> int:
    """Have a worker work until it ends, and return its exit code.

    Parameters
    ----------
    pool : str
        Name of a work pool.
    name : str
        Of the worker.
    limit : int, optional
        Runs at once.

    Raises
    ------
    ProcessError
        If it was killed. Nothing that it had started is left.
    """
    command = [sys.executable, "-m", "serving.worker", f"--pool={pool}", f"--name={name}"]
    with _started([*command, *([f"--limit={limit}"] if limit else [])]) as process:
        code = process.wait()
    if code < 0:
        raise ProcessError(
            f"the worker was killed by signal {-code}; its runs ended with it, and"
            " are begun again by the next worker"
        )
    return code


@contextmanager
def _started(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process that Ctrl-C in a terminal does not reach; it and its offspring end after."""
    adopt()
    process = subprocess.Popen(
        command,
        cwd=MANIFEST.parent,
        env=_told(),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        umask=NOT_FOR_OTHERS,
    )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SECONDS_TO_END)
        end_offspring()


def _told() -> dict[str, str]:
    """Environment: a login stands in it, and in no command line."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    own = {"BATON_HOME": str(settings().home), "BATON_PARENT_PID": str(os.getpid())}
    return kept | own | {"PYTHONUNBUFFERED": "1"}
