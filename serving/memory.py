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
_ROUNDS_OF_ALL = 120 * _ROUNDS_OF_THE_OLD
_FIRST_OF_ALL = 10 * _ROUNDS_OF_THE_OLD


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
        Seconds from one collection of the youngest to the next.

    Notes
    -----
    What outlives a look at everything was imported, or stays for another reason. To look at its
    600,000 objects takes Python's lock for .4 s, so it is frozen, and that is done after 600
    rounds, five minutes, and then every 7,200, an hour. Who calls may freeze what is there before.
    """
    gc.disable()
    Thread(target=_collect, args=(every,), daemon=True, name="collect garbage").start()


def _collect(every: float) -> None:
    for n_rounds in count(1):
        time.sleep(every)
        _look(n_rounds)


def _look(n_rounds: int) -> None:
    """Collect what is due in a round; what outlives a look at everything is left alone for long."""
    is_of_all = n_rounds % _ROUNDS_OF_ALL == _FIRST_OF_ALL
    if is_of_all:
        gc.unfreeze()
    gc.collect(_generation(n_rounds))
    if is_of_all:
        gc.freeze()


def _generation(n_rounds: int) -> int:
    if n_rounds % _ROUNDS_OF_THE_OLD == 0:
        return 2
    return 1 if n_rounds % _ROUNDS_OF_THE_MIDDLE == 0 else 0


def _trim(trim: Callable[[int], int], every: float) -> None:
    while True:
        time.sleep(every)
        trim(0)
