"""Looking at chains: what the server and the home's records say of one, and of the latest ones.

What is said of it belongs in ``telling``.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock

from baton.chain import records, runs
from baton.chain.events import ModelEvaluated
from baton.chain.runs import Begun, ChainRun, Json
from baton.errors import InputError
from baton.settings import Settings
from baton.stores import shelf
from serving.pages import telling
from serving.pages.desk import Desk
from serving.pages.telling import Seen
from tasks.platform.api import ApiError

_SECONDS_FRESH = 0.5
"""How long what was seen of a chain is not looked at anew, however many look."""

SHOWN_LINES = 25


def look(desk: Desk, chain_id: str) -> Seen | None:
    """Look at one chain; None if neither the server nor the home knows it.

    Raises
    ------
    ApiError
        If the server does not answer, and the home has no record of it.
    """
    record = record_of(desk.settings, chain_id)
    try:
        found = desk.server.find(chain_id)
    except ApiError:
        if record is None:
            raise
        found = None
    if found is None:
        return _of_record(record, desk.settings) if record else None
    begun, mine = found
    chain = desk.server.seen(begun, desk.manifest.stages(begun.stage, begun.labels), mine)
    return _seen(desk, chain, begun, record)


def _seen(desk: Desk, chain: ChainRun, begun: Begun, record: ModelEvaluated | None) -> Seen:
    events = desk.server.events_of(chain.id)
    chain = runs.with_events(chain, events, desk.manifest)
    made = telling.made_by(chain, record, desk.settings.results)
    return Seen(
        chain.id,
        chain.problem,
        made.title or telling.title_of(begun, record),
        chain,
        begun,
        telling.causes_of(chain, events, desk.manifest),
        made,
        is_told=runs.are_told(chain, {event["event"] for event in events}),
    )


def _of_record(record: ModelEvaluated, settings: Settings) -> Seen:
    """What the home alone says."""
    chain = ChainRun(record.chain, record.problem, ())
    made = telling.made_by(chain, record, settings.results)
    title = telling.title_of(None, record)
    return Seen(record.chain, record.problem, title, None, None, {}, made, is_told=True)


def record_of(settings: Settings, chain_id: str) -> ModelEvaluated | None:
    """Record that a chain left in the home; none of one that is going, or was damaged."""
    if not shelf.take(settings.chains / f"{chain_id}.json").is_file():
        return None
    with suppress(InputError, OSError):
        return records.find(settings, chain_id=chain_id)
    return None


@dataclass
class Watch:
    """What was seen of chains that somebody watches, looked at once for all of them."""

    desk: Desk
    _seen: dict[str, tuple[float, Seen]] = field(default_factory=dict)
    _locks: dict[str, Lock] = field(default_factory=dict)

    def look(self, chain_id: str) -> Seen | None:
        """Look at a chain, unless somebody has just done so."""
        with self._locks.setdefault(chain_id, Lock()):
            at, seen = self._seen.get(chain_id, (0.0, None))
            if seen is None or time.monotonic() - at > _SECONDS_FRESH:
                seen = look(self.desk, chain_id)
                if seen:
                    self._seen = {chain_id: (time.monotonic(), seen)} | self._others(chain_id)
        return seen

    def _others(self, chain_id: str) -> dict[str, tuple[float, Seen]]:
        """What was just seen of others; the rest is forgotten."""
        now, found = time.monotonic(), self._seen.items()
        return {i: one for i, one in found if i != chain_id and now - one[0] < _SECONDS_FRESH}


@dataclass(frozen=True)
class Line:
    """A chain in the list."""

    id: str
    problem: str
    title: str
    state: str
    since: datetime
    reason: str
    """Why it failed; empty if it did not."""
    model: str
    score: str
    """The metric that decides, and its value."""


def latest(desk: Desk, before: datetime, most: int) -> list[Line]:
    """Chains that began before then, the latest first, at most so many."""
    begun = desk.server.chains(before, most)
    found = desk.server.runs_of_chains(begun)
    return [_line(desk, one, found) for one in begun]


def _line(desk: Desk, begun: Begun, found: Iterable[Json]) -> Line:
    chain = desk.server.seen(begun, desk.manifest.stages(begun.stage, begun.labels), found)
    record = record_of(desk.settings, begun.chain_id)
    headline = record.data.headline if record else ""
    value = record.scores.get(headline) if record else None
    return Line(
        begun.chain_id,
        begun.problem,
        telling.title_of(begun, record),
        chain.state,
        begun.planned or begun.since,
        chain.input_error or chain.failure,
        f"{record.model.name} {record.model.version}" if record else "",
        "" if value is None else f"{headline} {value:.4g}",
    )


def now() -> datetime:
    """Return the time, from which the list begins."""
    return datetime.now(UTC)
