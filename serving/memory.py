"""Memory of a long-lived process: garbage is collected beside its event loop, and goes back."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable
from itertools import count
from threading import Thread

EVERY_SECONDS = 60.0

_SECONDS_OF_THE_YOUNG = 0.5
_ROUNDS_OF_THE_MIDDLE = 10
_ROUNDS_OF_THE_OLD = 60


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


def collect_aside(every: float = _SECONDS_OF_THE_YOUNG) -> None:
    """Collect garbage in a thread of its own, and never where an event loop runs.

    Among it are cursors of SQLite. Whoever frees one waits for its connection, which may be waiting
    for the writer before it, up to a minute; where that is the thread of the event loop, the writer
    cannot go on either, and the server stands still until SQLite gives up.

    Parameters
    ----------
    every : float
        Seconds from one collection of the youngest to the next; the oldest are looked at every 60.
    """
    gc.disable()
    Thread(target=_collect, args=(every,), daemon=True, name="collect garbage").start()


def _collect(every: float) -> None:
    for n_rounds in count(1):
        time.sleep(every)
        gc.collect(_generation(n_rounds))


def _generation(n_rounds: int) -> int:
    if n_rounds % _ROUNDS_OF_THE_OLD == 0:
        return 2
    return 1 if n_rounds % _ROUNDS_OF_THE_MIDDLE == 0 else 0


def _trim(trim: Callable[[int], int], every: float) -> None:
    while True:
        time.sleep(every)
        trim(0)
