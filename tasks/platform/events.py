"""Announcing: the one place that emits events.

Prefect's own ``emit_event`` forgets an event without a word when the server is away; here
the server must acknowledge, or the stage fails.
"""

from __future__ import annotations

import logging
import uuid
from datetime import UTC, datetime
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas import State
from prefect.runtime import flow_run
from prefect.settings import get_current_settings
from prefect.states import Completed
from pydantic import SecretStr

from baton.chain.events import Announcement, ChainFailed, Event
from baton.chain.runs import announcement
from tasks.platform import api, openlineage

_NAMESPACE = uuid.UUID("b5f0a9c4-6d0e-5d5c-9f6e-0b8a7f0a4a11")
_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between attempts: a server that starts again is waited for."""

OCCURRENCE = "baton.occurrence"
"""Label of an event's resource by which one that is announced again is known."""

log = logging.getLogger(__name__)


def event_id(event: Announcement, run_id: str, attempt: int) -> uuid.UUID:
    """Id of an event: the same for every delivery of one attempt of one run.

    A later attempt has another id, because a server drops an id it has seen and the
    attempt may be there precisely because the first event came to nothing.
    """
    return uuid.uuid5(_NAMESPACE, f"{run_id} {attempt} {event.event} {event.model_dump_json()}")


def occurrence(event: Announcement) -> str:
    """Id of what happened: the same for every announcement that says the same."""
    return str(uuid.uuid5(_NAMESPACE, f"{event.event} {event.model_dump_json()}"))


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
    deliver(_body(event, str(flow_run.id), flow_run.run_count))
    log.info("announced %s", event.event.value)
    openlineage.completed(event)
    return Completed(
        name="Cached" if cached else None,
        message=announcement(event.event, cached=cached),
    )


def tell_failure(event: ChainFailed, attempt: int) -> None:
    """Emit that a chain failed; whether anybody hears it changes nothing about that.

    Parameters
    ----------
    event : ChainFailed
    attempt : int
        Of its run.
    """
    try:
        deliver(_body(event, event.flow_run_id, attempt))
    except RuntimeError as error:
        log.warning("%s", error)


def tell(event: Event, there: api.Access | None = None) -> None:
    """Emit an event that no flow run stands behind: a person's.

    Parameters
    ----------
    event : Event
    there : Access, optional
        Server that is told; that of this process's settings if not given.

    Raises
    ------
    RuntimeError
        If the server did not acknowledge it.
    """
    deliver(_body(event, str(uuid.uuid4()), 0) | {"related": []}, there)


def tell_once(event: Announcement) -> None:
    """Emit an event that no flow run stands behind; told twice, it is the same event.

    Parameters
    ----------
    event : Announcement

    Raises
    ------
    RuntimeError
        If the server did not acknowledge it.
    """
    deliver(_body(event, "", 0) | {"related": []})


def tell_attempt(event: Event, sender: str, attempt: int, there: api.Access) -> None:
    """Emit an event that is kept by whoever tells it, and told again if it is not acknowledged.

    Parameters
    ----------
    event : Event
    sender : str
        Id of what stands behind it: the same attempt is the same event to a server.
    attempt : int
    there : Access
        Server that is told.

    Raises
    ------
    ApiError
        If the server did not acknowledge it, or refused it.
    """
    body = _body(event, sender, attempt) | {"related": []}
    with api.Client(there, waits=()) as client:
        client.post("/events", [body])


def _body(event: Announcement, run_id: str, attempt: int) -> dict[str, Any]:
    """What is posted of an event."""
    run = {
        "prefect.resource.id": f"prefect.flow-run.{run_id}",
        "prefect.resource.role": "flow-run",
    }
    return {
        "id": str(event_id(event, run_id, attempt)),
        "occurred": datetime.now(UTC).isoformat(),
        "event": event.event.value,
        "resource": {
            "prefect.resource.id": event.resource_id,
            "prefect.resource.name": event.about,
            OCCURRENCE: occurrence(event),
            **event.labels,
        },
        "related": [run],
        "payload": event.payload(),
    }


def deliver(body: dict[str, Any], there: api.Access | None = None) -> None:
    """Post an event until the server acknowledges it: this process's, if no other is given.

    Raises
    ------
    RuntimeError
        If it never did, or said that it will not.
    """
    try:
        with api.Client(there or access(), _WAITS) as client:
            client.post("/events", [body])
    except api.ApiError as error:
        reason = f"event {body['event']} was not acknowledged by the server: {error}"
        raise RuntimeError(reason) from None


def access() -> api.Access:
    """Access to the server of this process by Prefect's settings: a profile may say where it is."""
    found = get_current_settings()
    return api.Access(
        found.api.url or str(get_client(sync_client=True).api_url),
        auth_string=_revealed(found.api.auth_string),
        key=_revealed(found.api.key),
        certificates=found.api.ssl_cert_file or "",
        is_verified=not found.api.tls_insecure_skip_verify,
        headers=found.client.custom_headers,
    )


def _revealed(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
