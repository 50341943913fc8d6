"""Hearing what is announced: the events of a server, for a process that is no flow run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from baton.chain.events import EventName
from baton.settings import Settings
from serving.embedded import found

log = logging.getLogger(__name__)

_SECONDS_AFTER_A_MISS = 3.0


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
