"""Hearing what is announced: the events of a server, for a process that is no flow run."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection
from uuid import UUID

from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter, EventNameFilter
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from baton.chain.events import EventName
from baton.settings import Settings
from serving.asking import Pace
from serving.embedded import found
from serving.restarts import Restarts

log = logging.getLogger(__name__)

_SECONDS_AFTER_A_MISS = 3.0
_TO_BEGIN = tuple(
    f"prefect.flow-run.{name}"
    for name in ("Scheduled", "Late", "AwaitingRetry", "AwaitingConcurrencySlot", "Resuming")
)
"""Names of the states of a run that is to begin, now or later."""


async def promotions(settings: Settings) -> AsyncIterator[None]:
    """Yield whenever a version of any model was promoted, and once when listening begins.

    Without a server, and while one is away, it looks for one again; what was announced meanwhile
    is found by whoever looks when this yields.

    Parameters
    ----------
    settings : Settings
        Say where the server is: PREFECT_API_URL, else the `baton up` of this home.
    """
    wanted = EventFilter(event=EventNameFilter(name=[EventName.MODEL_PROMOTED.value]))
    while True:
        if (told := _server(settings)) is not None:
            try:
                with temporary_settings(told):
                    async with get_events_subscriber(filter=wanted) as events:
                        yield
                        async for _ in events:
                            yield
            except Exception as error:  # noqa: BLE001  of a server that went away: looked for again
                log.info("the Prefect server is not heard: %s", error)
        await asyncio.sleep(_SECONDS_AFTER_A_MISS)


def _server(settings: Settings) -> dict[object, str] | None:
    """Settings by which Prefect reaches the server; None where there is none."""
    if settings.prefect_api_url:
        return {}  # Prefect reads its own variables
    there = found(settings)
    if there is None:
        return None
    return {PREFECT_API_URL: there.prefect, PREFECT_API_AUTH_STRING: there.secret}


async def keep_hearing(pace: Pace, deployments: Collection[UUID]) -> None:
    """Tell a pace of the runs of deployments as their server does, until this is cancelled.

    What is lost on the way, and all while the server does not let itself be heard, is found by
    asking.

    Parameters
    ----------
    pace : Pace
    deployments : collection of UUID
    """
    restarts = Restarts()
    while PREFECT_API_URL.value():
        try:
            await _hear(pace, deployments, restarts)
        except Exception as error:  # noqa: BLE001  whatever it is, runs are asked for
            log.info("runs are asked for, as the server is not heard: %s", error)
        pace.hears(False)
        await asyncio.sleep(restarts.pause(time.monotonic()) or 0.0)


async def _hear(pace: Pace, deployments: Collection[UUID], restarts: Restarts) -> None:
    """Hear a server until the connection ends."""
    own = [f"prefect.deployment.{one}" for one in deployments]
    wanted = EventFilter(
        event=EventNameFilter(name=list(_TO_BEGIN)), any_resource=EventAnyResourceFilter(id=own)
    )
    # Without attempts of its own: while it is away, the server is asked often.
    async with get_events_subscriber(filter=wanted, reconnection_attempts=0) as events:
        pace.hears(True)
        restarts.stood(time.monotonic())
        async for event in events:
            pace.told(event.resource.id.rpartition(".")[2])
