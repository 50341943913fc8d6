"""All that a process has started, and what that has started: ended as a whole.

A session or process group does not hold them: Prefect's worker gives each cold run one of its own.
A single process of Baton's own that is started and ended belongs in ``serving/child.py``.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

import psutil

_ADOPT = 36  # PR_SET_CHILD_SUBREAPER of Linux
_ROUNDS = 20
_SECONDS_TO_DIE = 1.0


def adopt() -> None:
    """Become the parent of what those leave behind that this process has started.

    So that they are found when what started them was killed. Linux knows that, other systems do
    not.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_ADOPT, 1, 0, 0, 0)


def end_offspring() -> None:
    """Kill all that descends from this process, also what is started meanwhile."""
    for _ in range(_ROUNDS):
        living = [one for one in psutil.Process().children(recursive=True) if _lives(one)]
        if not living:
            return
        for one in living:
            with suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(living, timeout=_SECONDS_TO_DIE)


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False
