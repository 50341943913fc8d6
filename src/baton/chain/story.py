"""What happened, as a story: each event with the one that caused it.

Pure functions of a server's events; asking for them belongs in ``tasks.platform.server``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from baton.chain.events import EventName, Stage
from baton.chain.manifest import EMITTED_BY, Manifest

Json = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """An event, and what caused it."""

    event: EventName
    resource: str
    """What it is about."""
    at: datetime
    chain: str
    payload: Mapping[str, Any]
    caused_by: EventName | None = None
    """The event that started the stage which announced it; None where nothing of Baton did."""


def told(events: Sequence[Json], manifest: Manifest) -> list[Told]:
    """Events in the order in which they occurred, each with its cause.

    What was announced again, because nobody had followed, is one event.

    Parameters
    ----------
    events : sequence of dict
        As a Prefect server gives them, of any number of chains.
    manifest : Manifest
        Says who expects what.
    """
    found: list[Told] = []
    seen: set[tuple[str, str]] = set()
    for one in sorted(map(_read, events), key=lambda one: one.at):
        if (one.event, one.chain) not in seen:
            seen.add((one.event, one.chain))
            found.append(_caused(one, found, manifest))
    return found


def _read(event: Json) -> Told:
    at = datetime.fromisoformat(str(event["occurred"]).replace("Z", "+00:00"))
    payload, resource = event["payload"], event["resource"]["prefect.resource.id"]
    return Told(EventName(event["event"]), resource, at, payload["chain"], payload)


def _caused(one: Told, before: Sequence[Told], manifest: Manifest) -> Told:
    stage = EMITTED_BY.get(one.event)
    causes = [other for other in before if stage and _starts(other, one.chain, stage, manifest)]
    if not causes:
        return one
    return replace(one, caused_by=causes[-1].event)


def _starts(before: Told, chain: str, stage: Stage, manifest: Manifest) -> bool:
    """Tell whether an event starts a stage of a chain: its own, or one that it orders."""
    order = before.payload.get(stage.value)
    if isinstance(order, Mapping):
        return bool(order.get("chain") == chain)
    by = EMITTED_BY.get(before.event)
    return before.chain == chain and by is not None and stage in manifest.successors(by)
