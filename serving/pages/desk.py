"""What the pages stand on: the settings, prefect.yaml, and the server that is asked.

What is asked of the server is in ``tasks/platform/server.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request

from baton.chain.manifest import Manifest
from baton.settings import Settings
from serving import embedded
from serving.embedded import Addresses
from tasks.platform.api import Access, ApiError, Client
from tasks.platform.server import Server

_WAITS = (0.25, 0.5)
"""Seconds between attempts: somebody waits for the page."""


class AwayError(ApiError):
    """There is no Prefect server to ask."""


@dataclass
class Desk:
    """What a page is made from."""

    settings: Settings
    manifest: Manifest
    folder: Path
    """What relative paths are meant from."""
    _reached: tuple[Addresses, Server] | None = field(default=None, repr=False)

    @property
    def addresses(self) -> Addresses:
        """Where Prefect and MLflow are.

        Raises
        ------
        AwayError
            If no Baton stands in the home, and no server is named.
        """
        return self._reach()[0]

    @property
    def server(self) -> Server:
        """The server that serves the chain.

        Raises
        ------
        AwayError
            If no Baton stands in the home, and no server is named.
        """
        return self._reach()[1]

    def _reach(self) -> tuple[Addresses, Server]:
        there = embedded.named(self.settings) or embedded.found(self.settings)
        if there is None:
            raise AwayError(f"no Baton stands in {self.settings.home}: start `baton up`")
        if self._reached is None or self._reached[0] != there:
            access = there.access if there.secret else Access.of(self.settings, there.prefect)
            self._reached = there, Server(Client(access, _WAITS))
        return self._reached


def _desk_of(request: Request) -> Desk:
    return cast(Desk, request.app.state.desk)


TheDesk = Annotated[Desk, Depends(_desk_of)]
"""The desk, for a page's function."""
