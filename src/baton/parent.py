"""Ending with one's parent: no process that Baton starts outlives it, not even kill -9.

``python -m baton.parent PARENT MODULE [ARGUMENT]…`` is ``python -m MODULE [ARGUMENT]…`` that
ends, with all of its process group, when process PARENT is gone: for the commands of others.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable

_SECONDS_BETWEEN_LOOKS = 0.5


def die_with(parent: int, *, group: bool = False, first: Callable[[], None] = lambda: None) -> None:
    """End this process when its parent has ended; asked again, it is watched but once.

    Parameters
    ----------
    parent : int
        Process id of the parent; 0 for nothing to do.
    group : bool
        End the whole process group, which this process must lead.
    first : callable
        What is done before.
    """
    name = f"parent {parent}"
    if parent and all(one.name != name for one in threading.enumerate()):
        threading.Thread(target=_watch, args=(parent, group, first), daemon=True, name=name).start()


def _watch(parent: int, group: bool, first: Callable[[], None]) -> None:
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    first()
    if group:
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def main() -> None:
    """Watch the parent and become the module."""
    parent, module, *arguments = sys.argv[1:]
    die_with(int(parent), group=True)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
