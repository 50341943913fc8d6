"""A process that is started when somebody first asks for it.

Its socket is opened before and stays open: who asks meanwhile waits, and nobody else takes the
port. What the process answers, and to whom, is its own affair; keeping it up belongs in
``serving/child.py``.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class OnDemand:
    """A process that is not there yet.

    Parameters
    ----------
    place : socket
        Where it is asked, which listens.
    begin : callable
        Starts it.
    """

    place: socket.socket
    begin: Callable[[], object]
    is_begun: bool = False

    def tend(self) -> None:
        """Start it if somebody asks."""
        if not self.is_begun and self.is_asked():
            self.is_begun = True
            self.begin()

    def is_asked(self) -> bool:
        """Tell whether somebody has connected and was not answered yet."""
        return bool(select.select([self.place], [], [], 0)[0])
