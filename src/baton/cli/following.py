"""Following one chain to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from baton.chain import runs
from baton.chain.manifest import Manifest
from baton.chain.runs import Begun, ChainRun
from baton.cli.server import Server
from tasks.platform.api import UnavailableError

_SECONDS_BETWEEN_LOOKS = 0.4
_SECONDS_AFTER_A_MISS = 1.0
_EVENTS_SECONDS = 15.0
_MISSES = 10
"""Looks in a row that a server may fail to answer."""


@dataclass
class Silence:
    """How long nothing of a chain has moved, though nothing of it runs."""

    longest: timedelta = timedelta(seconds=90)
    _states: tuple[str, ...] = ()
    _since: datetime = field(default_factory=lambda: datetime.now(UTC))

    def is_long(self, chain: ChainRun, now: datetime) -> bool:
        """Tell whether a chain has been silent for long; it is counted anew from then."""
        states = tuple(run.state for run in chain.stages)
        if states != self._states:
            self._states, self._since = states, now
        elif now - self._since > self.longest and "RUNNING" not in states:
            self._since = now
            return True
        return False


def follow(
    server: Server,
    manifest: Manifest,
    begun: Begun,
    *,
    tell: Callable[[ChainRun], None],
    check: Callable[[], None],
) -> ChainRun:
    """Watch a chain to its end.

    Parameters
    ----------
    server : Server
    manifest : Manifest
    begun : Begun
    tell : callable
        Told of the chain after every look.
    check : callable
        Called at every look; raises if going on is of no use.
    """
    stages = manifest.stages(begun.stage, begun.labels)
    silence = Silence()
    while True:
        seen = _patiently(lambda: server.look(begun, stages), check)
        tell(seen)
        if seen.state != "RUNNING":
            return with_events(server, manifest, seen)
        if silence.is_long(seen, datetime.now(UTC)):
            server.reconcile()
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _patiently(look: Callable[[], ChainRun], check: Callable[[], None]) -> ChainRun:
    """Look at a chain on a server that may be starting again."""
    for _ in range(_MISSES):
        check()
        with suppress(UnavailableError):
            return look()
        time.sleep(_SECONDS_AFTER_A_MISS)
    return look()


def with_events(server: Server, manifest: Manifest, chain: ChainRun) -> ChainRun:
    """Add what only the events tell; a server writes them a moment after it acknowledged them."""
    awaited = runs.awaited_events(chain)
    end = time.monotonic() + _EVENTS_SECONDS
    while True:
        events = server.events_of(chain.id)
        if awaited <= {event["event"] for event in events} or time.monotonic() > end:
            return runs.with_events(chain, events, manifest)
        time.sleep(_SECONDS_BETWEEN_LOOKS)
