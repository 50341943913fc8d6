"""The champions that answer beside the chain: which, where, and the process of each.

What runs in such a process belongs in ``serving/answers.py``. Its socket is opened here and stays
open while it is started again: who asks meanwhile waits, and nobody else can take the port.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import httpx

from baton.chain.manifest import Answering
from baton.errors import InputError
from baton.settings import Settings
from serving.child import Child
from serving.embedded import guarded
from serving.entrance import listening
from serving.guard import HOST
from serving.restarts import Restarts

_ASK_SECONDS = 0.5
_GIVE_ANOTHER = {
    True: "give another by --serve PROBLEM:PORT, or 0 for any free one",
    False: "give another in prefect.yaml",
}


@dataclass(frozen=True)
class Asked:
    """A champion that is to answer."""

    name: str
    """A problem's, or a model's."""
    port: int
    """0 for any free one."""
    is_given: bool = True
    """By the command, not by prefect.yaml."""


def asked_of(
    given: Sequence[str], declared: Sequence[Answering], settings: Settings
) -> tuple[Asked, ...]:
    """Champions that are to answer, those of prefect.yaml first.

    Parameters
    ----------
    given : sequence of str
        ``PROBLEM`` or ``PROBLEM:PORT``. Without a port: where prefect.yaml has it, else the port
        of the settings, and the next ones up.
    declared : sequence of Answering
    settings : Settings

    Raises
    ------
    InputError
        If one cannot be understood, or two want one port.
    """
    found = [Asked(one.asked, one.port, is_given=False) for one in declared]
    pairs = [_parted(one) for one in given]
    found += [Asked(name, port) for name, port in pairs if port is not None]
    for name in dict.fromkeys(name for name, port in pairs if port is None):
        if name not in {one.name for one in found}:
            found.append(Asked(name, _next(settings.serve_port, found)))
    _require_apart(found)
    return tuple(found)


def _parted(given: str) -> tuple[str, int | None]:
    name, colon, port = given.partition(":")
    if not name or (colon and not (port.isascii() and port.isdigit())):
        raise InputError(f"--serve takes PROBLEM or PROBLEM:PORT, got {given!r}")
    if colon and (len(port) > 5 or int(port) > 65535):
        raise InputError(f"--serve {given}: ports are 0 to 65535")
    return name, int(port) if colon else None


def _next(port: int, found: Sequence[Asked]) -> int:
    """Port that nobody of these has, from this one up; any free one for 0."""
    taken = {one.port for one in found}
    while port and port in taken:
        port = (port + 1) % 65536
    return port


def _require_apart(found: Sequence[Asked]) -> None:
    by_port: dict[int, str] = {}
    for one in found:
        if one.port and one.port in by_port:
            raise InputError(
                f"port {one.port} is given twice, for {by_port[one.port]} and {one.name}; give"
                " each its own: --serve PROBLEM:PORT"
            )
        by_port[one.port] = one.name


@dataclass(frozen=True)
class Place:
    """Where a champion answers."""

    name: str
    socket: socket.socket

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.socket.getsockname()[1])

    @property
    def address(self) -> str:
        """Where this machine reaches it."""
        return f"http://{HOST}:{self.port}"

    def is_up(self) -> bool:
        """Tell whether its process answers, with a model or without."""
        try:
            return httpx.get(f"{self.address}/health", timeout=_ASK_SECONDS).is_success
        except httpx.HTTPError:
            return False


@contextmanager
def opened(asked: Sequence[Asked], settings: Settings) -> Iterator[list[Place]]:
    """Sockets of those who are to answer, open as long as the context lasts.

    Raises
    ------
    InputError
        If a port is taken.
    """
    with ExitStack() as stack:
        yield [
            Place(
                one.name,
                stack.enter_context(
                    listening(one.port, settings.serve_host, _GIVE_ANOTHER[one.is_given])
                ),
            )
            for one in asked
        ]


def started(place: Place, environment: dict[str, str], settings: Settings) -> Child:
    """Start the process that answers at a place; it is kept up however often it dies."""
    name, descriptor = f"answers-{place.name}-{place.port}", place.socket.fileno()
    return Child(
        name,
        guarded("serving.answers", place.name, str(descriptor)),
        environment,
        settings.logs / f"{name}.log",
        is_ready=place.is_up,
        restarts=Restarts(),
        descriptors=(descriptor,),
    )
