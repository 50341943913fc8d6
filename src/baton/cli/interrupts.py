"""Ctrl-C and SIGTERM: the command ends, also where a library swallows the exception."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

_caught: list[int] = []
"""Signals that asked this process to end."""


def catch() -> None:
    """Let the signals that ask a process to end raise a KeyboardInterrupt."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(signum: int, _: Any) -> None:
    _caught.append(signum)
    raise KeyboardInterrupt


def unless_interrupted(check: Callable[[], None]) -> Callable[[], None]:
    """Return the check, and stop also where an interrupt was lost: a finalizer swallows it."""

    def checked() -> None:
        if _caught:
            raise KeyboardInterrupt
        check()

    return checked
