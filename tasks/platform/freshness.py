"""Looking whether deployments are late, and telling it once.

When one is late is decided in ``baton.chain.freshness``. What is known is kept in the home, so
that a look asks the server only when something may have become late, and nothing is told again
after a restart.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from baton import atomic
from baton.chain.events import EventName, Late
from baton.chain.freshness import Known, is_due, lateness
from baton.chain.manifest import Deployment, Manifest
from baton.settings import settings
from tasks.platform import api
from tasks.platform.events import OCCURRENCE, occurrence, tell_once

log = logging.getLogger(__name__)

_EVENTS_KEPT = timedelta(days=7)
"""Time after which Prefect's server forgets an event."""

_KEPT = TypeAdapter(dict[str, Known])


def tell_late(chain: Manifest, server: api.Client) -> list[str]:
    """Announce every deployment that has made nothing new within its `fresh_within`, once.

    Parameters
    ----------
    chain : Manifest
    server : Client
        What is asked; who is told is the server of this process.

    Returns
    -------
    list of str
        Names of those that became late.
    """
    watched = {f"{e.flow_name}/{e.name}": e for e in chain.deployments if e.fresh_within}
    if not watched:
        return []
    before, now = _known(), datetime.now(UTC)
    after = {name: _looked(server, one, before.get(name), now) for name, one in watched.items()}
    if after != before:
        atomic.write_bytes(_place(), _KEPT.dump_json(after))
    told = {(name, one.since) for name, one in before.items() if one.is_told}
    late = [name for name, one in after.items() if one.is_told and (name, one.since) not in told]
    return [watched[name].name for name in late]


def _looked(server: api.Client, entry: Deployment, before: Known | None, now: datetime) -> Known:
    """What is known of a deployment after a look, where one is due."""
    allowed = entry.fresh_within
    assert allowed is not None
    if before and not is_due(before, allowed, now):
        return before
    known = _asked(server, entry, before, now)
    late = lateness(entry, known, now)
    return known if late is None else replace(known, is_told=_told(server, late))


def _asked(server: api.Client, entry: Deployment, before: Known | None, now: datetime) -> Known:
    latest = _latest(server, entry, now)
    if latest and (before is None or latest > before.since):
        return Known(latest, now)
    return replace(before, looked=now) if before else Known(_began(server, entry, now), now)


def _latest(server: api.Client, entry: Deployment, now: datetime) -> datetime | None:
    """When something new of a deployment last came, as far as the server remembers."""
    problem = entry.parameters.get("problem")
    about = {"prefect.resource.name": problem} if problem else {}
    found = _events(server, entry.awaited, about, now - timedelta(days=365))
    return datetime.fromisoformat(found[0]["occurred"]) if found else None


def _began(server: api.Client, entry: Deployment, now: datetime) -> datetime:
    """Since when something new is awaited that never came, or that the server has forgotten."""
    found = server.find(f"deployments/name/{entry.flow_name}/{entry.name}")
    created = datetime.fromisoformat(found["created"]) if found else now
    return max(created, now - _EVENTS_KEPT)


def _told(server: api.Client, late: Late) -> bool:
    """Announce a lateness, unless another home's process did; tell whether it is announced."""
    if not _events(server, [late.event], {OCCURRENCE: occurrence(late)}, late.since):
        try:
            tell_once(late)
        except RuntimeError as error:
            log.warning("%s; it is told at the next look", error)
            return False
        log.warning("%s", late.reason)
    return True


def _events(
    server: api.Client, names: Iterable[EventName], labels: Mapping[str, str], since: datetime
) -> list[Any]:
    """Latest of the events of these names and labels."""
    conditions = {
        "event": {"name": [name.value for name in names]},
        "resource": {"labels": labels} if labels else None,
        "occurred": {"since": since.isoformat()},
        "order": "DESC",
    }
    found: list[Any] = server.post("events/filter", {"filter": conditions, "limit": 1})["events"]
    return found


def _place() -> Path:
    return settings().home / "freshness.json"


def _known() -> dict[str, Known]:
    """What was known at the last look; nothing, where the file is not there or not as written."""
    try:
        return _KEPT.validate_json(_place().read_bytes())
    except (OSError, ValueError):
        return {}
