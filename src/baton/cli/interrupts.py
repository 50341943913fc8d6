"""Ctrl-C and SIGTERM: the command ends, also where a library swallows the exception."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

_SECONDS_OF_ONE = 1.0
"""Within these a second signal is the first one again: a terminal and a wrapper both send it."""

_caught: list[tuple[int, float]] = []
"""Signals that asked this process to end, and when."""


def catch() -> None:
    """Let the signals that ask a process to end raise a KeyboardInterrupt."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(signum: int, _: Any) -> None:
    """Interrupt what runs; who asks again does not want to wait for it to be put in order."""
    now = time.monotonic()
    if not _caught:
        _caught.append((signum, now))
        raise KeyboardInterrupt
    if now - _caught[0][1] > _SECONDS_OF_ONE:
        os._exit(exit_code())  # what was started ends with its parent


def exit_code() -> int:
    """Code that says which signal ended the command: 130 for Ctrl-C, 143 for SIGTERM."""
    return 128 + (_caught[0][0] if _caught else signal.SIGINT)


def unless_interrupted(check: Callable[[], None]) -> Callable[[], None]:
    """Return the check, and stop also where an interrupt was lost: a finalizer swallows it."""

    def checked() -> None:
        if _caught:
            raise KeyboardInterrupt
        check()

    return checked
