"""Memory that a long-lived process has freed goes back to the system."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from threading import Thread

EVERY_SECONDS = 60.0


def give_back(every: float = EVERY_SECONDS) -> bool:
    """Give back from time to time what was freed between what is in use.

    glibc keeps that, and cannot use most of it again: Prefect's server had 76 MiB in use after 10
    chains as after 40, and took 30 MiB more.

    Parameters
    ----------
    every : float
        Seconds from one time to the next.

    Returns
    -------
    bool
        Whether the C library can: others than glibc need not, or have no such function.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return False
    Thread(target=_trim, args=(trim, every), daemon=True, name="give back memory").start()
    return True


def _trim(trim: Callable[[int], int], every: float) -> None:
    while True:
        time.sleep(every)
        trim(0)
