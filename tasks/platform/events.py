"""Announcing: the one place that emits events.

Prefect's own ``emit_event`` forgets an event without a word when the server is away; here
the server must acknowledge, or the stage fails.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas import State
from prefect.runtime import flow_run
from prefect.states import Completed

from baton.chain.events import Event

_NAMESPACE = uuid.UUID("b5f0a9c4-6d0e-5d5c-9f6e-0b8a7f0a4a11")
_ATTEMPTS = 8
_LONGEST_WAIT_SECONDS = 15.0

log = logging.getLogger(__name__)


def event_id(event: Event, run_id: str, attempt: int) -> uuid.UUID:
    """Id of an event: the same for every delivery of one attempt of one run.

    A later attempt has another id, because a server drops an id it has seen and the
    attempt may be there precisely because the first event came to nothing.
    """
    return uuid.uuid5(_NAMESPACE, f"{run_id} {attempt} {event.event} {event.model_dump_json()}")


def announce(event: Event, *, cached: bool = False) -> State[Any]:
    """Emit the event and return the stage's final state.

    Parameters
    ----------
    event : Event
    cached : bool
        True if the stage found its output made already.

    Returns
    -------
    State
        ``Completed``, named ``Cached`` if so.

    Raises
    ------
    RuntimeError
        If the server did not acknowledge the event.
    """
    run_id = str(flow_run.id)
    body = {
        "id": str(event_id(event, run_id, flow_run.run_count)),
        "occurred": datetime.now(UTC).isoformat(),
        "event": event.event.value,
        "resource": {
            "prefect.resource.id": event.resource_id,
            "prefect.resource.name": event.problem,
            "baton.chain": event.chain,
            **event.labels,
        },
        "related": [
            {
                "prefect.resource.id": f"prefect.flow-run.{run_id}",
                "prefect.resource.role": "flow-run",
            }
        ],
        "payload": event.payload(),
    }
    deliver(body)
    log.info("announced %s", event.event.value)
    return Completed(
        name="Cached" if cached else None,
        message=f"{'already there; ' if cached else ''}announced {event.event.value}",
    )


def deliver(body: dict[str, Any]) -> None:
    """Post an event until the server acknowledges it.

    Raises
    ------
    RuntimeError
        If it never did.
    """
    reason = ""
    with get_client(sync_client=True) as client:
        for wait in _waits():
            try:
                response = client._client.post("/events", json=[body])
                response.raise_for_status()
            except httpx.HTTPError as error:
                reason = f"{type(error).__name__}: {error}"
                log.warning("event %s not acknowledged (%s)", body["event"], reason)
                time.sleep(wait)
            else:
                return
    raise RuntimeError(f"event {body['event']} was not acknowledged by the server: {reason}")


def _waits() -> Iterator[float]:
    """Seconds to wait after each failed attempt."""
    for attempt in range(_ATTEMPTS):
        yield min(0.5 * 2**attempt, _LONGEST_WAIT_SECONDS) if attempt < _ATTEMPTS - 1 else 0.0
