"""Deciding when a deployment is late, and what is said of it then.

Pure functions of what came when; asking the server and telling it belongs in
``tasks/platform/freshness.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from baton.chain.events import Late
from baton.chain.manifest import NEW, Deployment
from baton.words.spans import said
from baton.words.text import listed

_MOST_SLACK = timedelta(seconds=10)
"""A server has written an event down some seconds after it came."""


@dataclass(frozen=True)
class Known:
    """What is known of a deployment's freshness."""

    since: datetime
    """When something new last came of it; where that is not known, when the wait began."""
    looked: datetime
    """When the server was last asked."""
    is_told: bool = False
    """Whether it was told that nothing came for too long since."""


def is_due(known: Known | None, allowed: timedelta, now: datetime) -> bool:
    """Tell whether it is time to look: before that, nothing can have become late.

    After a lateness was told, the next one is as far away as it is allowed to be.

    Examples
    --------
    >>> began, hour = datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1)
    >>> known = Known(since=began, looked=began)
    >>> is_due(known, hour, began + 0.9 * hour), is_due(known, hour, began + 2 * hour)
    (False, True)
    """
    if known is None:
        return True
    began = known.looked if known.is_told else known.since
    return now > began + allowed + min(allowed / 10, _MOST_SLACK)


def lateness(entry: Deployment, known: Known, now: datetime) -> Late | None:
    """Say that a deployment is late, if it is and was not yet told.

    Parameters
    ----------
    entry : Deployment
    known : Known
        After a look at the server.
    now : datetime
    """
    allowed = entry.fresh_within
    if allowed is None or known.is_told or not is_due(known, allowed, now):
        return None
    return Late(
        deployment=entry.name,
        awaited=entry.awaited,
        since=known.since,
        allowed_seconds=allowed.total_seconds(),
        reason=_reason(entry, known.since, allowed),
    )


def _reason(entry: Deployment, since: datetime, allowed: timedelta) -> str:
    awaited = listed([NEW[event] for event in entry.awaited], last=" or ")
    return (
        f"{entry.name} is late: no new {awaited} since {since.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        f" UTC, more than {said(allowed)} ago; see that `baton up` or a worker is running, that its"
        " schedule is on, and what its last runs say"
    )
