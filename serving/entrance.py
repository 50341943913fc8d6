"""Listening on this machine alone: a socket of the loopback, and the token that is asked there.

Who is let in is decided in ``serving/guard.py``; what is answered belongs to who listens.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from baton.atomic import write_bytes
from baton.errors import InputError
from baton.settings import Settings
from serving.guard import HOST, Guard

if TYPE_CHECKING:
    from starlette.requests import Request

FREED_SECONDS = 2.0
"""How long a port may still be held by who ends just now: a Baton that was killed."""

_BY_PORT = "give another by --port, or 0 for any free one"


class Address(StrEnum):
    """What of Baton is asked over HTTP, each with a token of its own."""

    SERVE = "serve"
    """Where a champion answers."""
    ANNOUNCE = "announce"
    """Where data is announced."""
    PAGES = "pages"
    """Baton's own pages, where they stand without a `baton up`."""

    def given(self, settings: Settings) -> str:
        """Token that the setting says; empty if it says none."""
        tokens = {
            self.SERVE: settings.serve_token,
            self.ANNOUNCE: settings.announce_token,
            self.PAGES: settings.pages_token,
        }
        return tokens[self].get_secret_value()

    @property
    def maker(self) -> str:
        """Command that makes a token where there is none."""
        makers = {self.SERVE: "baton serve", self.PAGES: "python -m serving.pages"}
        return f"`{makers.get(self, 'baton up')}`"


def token_of(settings: Settings, address: Address = Address.SERVE) -> str:
    """Token that is asked of everybody: the setting's, or one that is made once and kept.

    Raises
    ------
    InputError
        If it cannot be kept, or is empty.
    """
    if given := address.given(settings):
        return given
    place = _kept(settings, address)
    try:
        if not place.exists():
            _make_token(place)
        token = place.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the token cannot be kept in {place}: {error}") from None
    if not token:
        raise InputError(f"{place} is empty: remove it, and {address.maker} makes another")
    return token


def place_of_token(settings: Settings, address: Address = Address.SERVE) -> Path | None:
    """File in which the token stands; None if the setting says it."""
    return None if address.given(settings) else _kept(settings, address)


def _kept(settings: Settings, address: Address) -> Path:
    return settings.home / f"{address}.token"


def _make_token(place: Path) -> None:
    """Make the file of a token, whole at once; of two who do, the first one's stays."""
    place.parent.mkdir(parents=True, exist_ok=True)
    made = place.with_name(f".{uuid4().hex}.token")
    write_bytes(made, secrets.token_urlsafe(32).encode())
    made.chmod(0o600)
    with suppress(FileExistsError):
        os.link(made, place)
    made.unlink()


@contextmanager
def listening(port: int, host: str = HOST, advice: str = _BY_PORT) -> Iterator[socket.socket]:
    """Socket on the loopback interface.

    Parameters
    ----------
    port : int
        0 for any free one.
    host : str, optional
        Another address, in a container.
    advice : str, optional
        What to do about a port that is taken.

    Raises
    ------
    InputError
        If the port is taken, or not to be had.
    """
    # Named, lest asyncio leave Nagle's algorithm on: every answer would take 40 ms longer.
    place = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        _bind(place, (host, port))
    except (OSError, OverflowError) as error:
        place.close()
        reason = getattr(error, "strerror", None) or "ports are 0 to 65535"
        raise InputError(f"port {port} cannot be listened on: {reason}; {advice}") from None
    with place:
        yield place


def _bind(place: socket.socket, address: tuple[str, int]) -> None:
    """Take the port, also one that is let go in a moment; others may come before it is used."""
    end = time.monotonic() + FREED_SECONDS
    while True:
        try:
            place.bind(address)
            place.listen()
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


class TooLongError(Exception):
    """A body of more bytes than it may have; its text says how many."""


async def body_of(request: Request, most: int) -> bytes:
    """Body of a request, which is not read further than it may be long.

    Raises
    ------
    TooLongError
        If it is longer.
    """
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > most:
            raise TooLongError(f"the body has more than {most} bytes")
    return bytes(found)


def run(app: Guard, place: socket.socket, seconds: int | None = None) -> None:
    """Serve until the process is told to end; what is being answered is answered first.

    Parameters
    ----------
    app : Guard
    place : socket
    seconds : int, optional
        How long that may take: what is told as it comes has no end.
    """
    import uvicorn  # by who serves alone: every command imports this module

    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=seconds
    )
    uvicorn.Server(config).run(sockets=[place])
