"""What the pages stand on: the settings, prefect.yaml, and the server that is asked.

What is asked of the server is in ``tasks/platform/server.py``.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request

from baton.chain.events import ModelRef
from baton.chain.manifest import Manifest
from baton.settings import Settings
from serving import embedded
from serving.embedded import Addresses
from serving.pages.clerk import Clerk
from tasks.platform.api import Access, ApiError, Client
from tasks.platform.server import Server

_SECONDS_STANDING = 5.0
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
    clerk: Clerk = field(init=False, repr=False)
    """Who is asked for what takes the libraries of all stages."""
    _reached: tuple[Addresses, Server] | None = field(default=None, repr=False)
    _found: tuple[float, Addresses | None] = field(default=(-math.inf, None), repr=False)

    def __post_init__(self) -> None:
        self.clerk = Clerk(self.settings)

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
        there = embedded.named(self.settings) or self._standing()
        if there is None:
            raise AwayError(f"no Baton stands in {self.settings.home}: start `baton up`")
        if self._reached is None or self._reached[0] != there:
            access = there.access if there.secret else Access.of(self.settings, there.prefect)
            self._reached = there, Server(Client(access, _WAITS))
        return self._reached

    def _standing(self) -> Addresses | None:
        """The `baton up` of the home, looked for anew only after some seconds."""
        at, there = self._found
        if there is None or time.monotonic() - at > _SECONDS_STANDING:
            there = embedded.found(self.settings)
            self._found = time.monotonic(), there
        return there

    def run_page(self, flow_run_id: str) -> str:
        """Address of Prefect's page of a run."""
        path = f"/runs/flow-run/{flow_run_id}"
        given = self.settings.prefect_ui_url.rstrip("/")
        return f"{given}{path}" if given else self.addresses.prefect_page(path)

    def model_page(self, model: ModelRef) -> str:
        """Address of MLflow's page of a version; empty if its pages are not shown."""
        return self.addresses.mlflow_at(f"/models/{model.name}/versions/{model.version}")


def _desk_of(request: Request) -> Desk:
    return cast(Desk, request.app.state.desk)


TheDesk = Annotated[Desk, Depends(_desk_of)]
"""The desk, for a page's function."""
