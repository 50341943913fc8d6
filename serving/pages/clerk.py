"""The clerk: a process that does for the pages what takes the libraries of all stages.

It is started when it is first asked, and ends when it was not asked for long: MLflow and the
models' libraries take seconds to import and much memory, and no other page is to wait for them.
What it does is in ``back_office``; a question and its answer are a line of JSON each.
"""

from __future__ import annotations

import json
import os
import socket
import time
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from threading import Lock, Thread
from typing import Any

from baton.errors import InputError
from baton.settings import Settings
from serving.child import Child
from serving.embedded import guarded

_SECONDS = 180.0
"""Longest that an answer may take."""

_SECONDS_KEPT = 900.0
"""After these without a question the process ends."""

_SECONDS_BETWEEN_LOOKS = 5.0
_ATTEMPTS = 3
"""One may just have ended."""


class ClerkError(RuntimeError):
    """The clerk could not answer: with why, in one line."""


@dataclass
class _Line:
    """A clerk that listens: its process, and the questions that it has not answered yet."""

    child: Child
    place: socket.socket
    asked: dict[int, Future[Any]] = field(default_factory=dict)
    numbers: Any = field(default_factory=count)
    last: float = field(default_factory=time.monotonic)
    lock: Lock = field(default_factory=Lock)
    is_open: bool = True

    def ask(self, what: str, given: dict[str, Any]) -> Future[Any] | None:
        """Send a question; None if nobody listens any more."""
        found: Future[Any] = Future()
        with self.lock:
            if not self.is_open:
                return None
            number, self.last = next(self.numbers), time.monotonic()
            self.asked[number] = found
            line = json.dumps({"number": number, "what": what, "given": given})
            try:
                self.place.sendall(line.encode() + b"\n")
            except OSError:  # the other end is closed, and has not heard it
                self.asked.pop(number, None)
                self.is_open = False
                return None
        return found

    def read(self) -> None:
        """Hand each answer to whoever waits for it, until the clerk ends."""
        with self.place.makefile("rb") as lines, suppress(OSError):
            for line in lines:
                self._take(json.loads(line))
        with self.lock:
            self.is_open = False
            left, self.asked = self.asked, {}
        self.child.process.wait()
        for one in left.values():
            one.set_exception(ClerkError(self.child.failure()))
        self.place.close()

    def _take(self, answer: dict[str, Any]) -> None:
        with self.lock:
            waiting, self.last = self.asked.pop(answer["number"], None), time.monotonic()
        if waiting is None:
            return
        with suppress(InvalidStateError):  # nobody waits any more
            if "refused" in answer:
                waiting.set_exception(InputError(answer["refused"]))
            elif "broken" in answer:
                waiting.set_exception(ClerkError(answer["broken"]))
            else:
                waiting.set_result(answer["answer"])

    def tend(self) -> None:
        """End the clerk once it was not asked for long."""
        while self.is_open:
            with self.lock:
                if not self.asked and time.monotonic() - self.last > _SECONDS_KEPT:
                    self.is_open = False
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        with suppress(OSError):
            self.place.shutdown(socket.SHUT_WR)


@dataclass
class Clerk:
    """Who is asked for what takes the libraries of all stages."""

    settings: Settings
    _line: _Line | None = field(default=None, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def ask(self, what: str, **given: Any) -> Any:
        """Have something done.

        Parameters
        ----------
        what : str
            A function of ``back_office``.
        **given
            Its arguments, ready for JSON.

        Returns
        -------
        Any
            As JSON has it.

        Raises
        ------
        InputError
            If it cannot be done.
        ClerkError
            If something went wrong, or it takes too long.
        """
        found = self._asked(what, given)
        try:
            return found.result(_SECONDS)
        except FutureTimeoutError:
            found.cancel()
            raise ClerkError(f"it takes longer than {_SECONDS:g} s; try it again") from None

    def _asked(self, what: str, given: dict[str, Any]) -> Future[Any]:
        for _ in range(_ATTEMPTS):
            if found := self._listening().ask(what, given):
                return found
        raise ClerkError("the clerk ends as soon as it is started: its log says why")

    def end(self) -> None:
        """End it, once it has answered; the next question starts another."""
        with self._lock:
            if self._line is not None:
                with suppress(OSError):
                    self._line.place.shutdown(socket.SHUT_WR)

    def _listening(self) -> _Line:
        with self._lock:
            if self._line is None or not self._line.is_open:
                self._line = self._started()
            return self._line

    def _started(self) -> _Line:
        own, other = socket.socketpair()
        with other:
            number = other.fileno()
            line = _Line(self._child(number), own)
        for work in (line.read, line.tend):
            Thread(target=work, daemon=True, name=f"clerk: {work.__name__}").start()
        return line

    def _child(self, descriptor: int) -> Child:
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        return Child(
            "clerk",
            guarded("serving.back_office", str(descriptor)),
            kept | {"BATON_HOME": str(self.settings.home)},
            self.settings.logs / "clerk.log",
            descriptors=(descriptor,),
        )
