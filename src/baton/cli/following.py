"""Following one chain to its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from baton.chain import runs
from baton.chain.manifest import Manifest
from baton.chain.runs import Begun, ChainRun, StageRun
from baton.cli.app import complain
from tasks.platform.api import ApiError, UnauthorizedError, UnavailableError
from tasks.platform.server import Server

_SECONDS_BETWEEN_LOOKS = 0.25
_SECONDS_BETWEEN_LOOKS_AT_EVENTS = 0.1
_SECONDS_AFTER_A_MISS = 1.0
_EVENTS_SECONDS = 15.0
_LONGEST_AWAY_SECONDS = 120.0
"""How long a server may be away: `baton up` starts a dead one again in some seconds."""

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """Asking a server that may be starting again."""

    check: Callable[[], None]
    """Called before every attempt; raises if going on is of no use."""
    say: Callable[[str], None]
    """Told in a line that the server is away, and that it is back."""
    again: Callable[[], None] | None = None
    """Called after an attempt in vain, where a server with another secret may follow."""

    def ask(self, question: Callable[[], T]) -> T:
        """Ask until there is an answer.

        Raises
        ------
        UnavailableError, UnauthorizedError
            If the server is away for two minutes, or another one stands where it was.
        """
        since = None
        while True:
            self.check()
            try:
                answer = question()
            except self._passing:
                since = since or time.monotonic()
                if time.monotonic() - since > _LONGEST_AWAY_SECONDS:
                    raise
                self.say("the Prefect server does not answer; waiting for it to be back …")
                time.sleep(_SECONDS_AFTER_A_MISS)
                if self.again:
                    self.again()
            else:
                if since:
                    self.say("the Prefect server answers again")
                return answer

    @property
    def _passing(self) -> tuple[type[ApiError], ...]:
        return (UnavailableError, UnauthorizedError) if self.again else (UnavailableError,)


@dataclass
class Queue:
    """Runs that are scheduled, and for how long nobody has taken them."""

    longest: timedelta = timedelta(seconds=8)
    _since: dict[str, datetime] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def untaken(self, chain: ChainRun, now: datetime) -> list[StageRun]:
        """Stages whose run has waited for long, each once."""
        waiting = {run.flow_run_id or "": run for run in chain.stages if run.state == "SCHEDULED"}
        self._since = {name: self._since.get(name, now) for name in waiting}
        late = {name for name, since in self._since.items() if now - since > self.longest}
        fresh = late - self._told
        self._told |= fresh
        return [run for name, run in waiting.items() if name in fresh]


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
    patience: Patience,
) -> ChainRun:
    """Watch a chain to its end, and ask what it made.

    Parameters
    ----------
    server : Server
    manifest : Manifest
    begun : Begun
    tell : callable
        Told of the chain after every look.
    patience : Patience
        How the server is asked; told also which run nobody takes.
    """
    seen = watch(server, manifest, begun, tell=tell, patience=patience)
    return patience.ask(partial(with_events, server, manifest, seen))


def watch(
    server: Server,
    manifest: Manifest,
    begun: Begun,
    *,
    tell: Callable[[ChainRun], None],
    patience: Patience,
) -> ChainRun:
    """Watch a chain to its end, as :func:`follow` does; what it made is not asked for."""
    stages = manifest.stages(begun.stage, begun.labels)
    silence, queue = Silence(), Queue()
    while True:
        seen = patience.ask(lambda: server.look(begun, stages))
        tell(seen)
        if seen.state != "RUNNING":
            return seen
        now = datetime.now(UTC)
        for run in queue.untaken(seen, now):
            patience.say(patience.ask(partial(server.untaken, run, queue.longest)))
        if silence.is_long(seen, now):
            patience.ask(server.reconcile)
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def exit_code_of(chain: ChainRun) -> int:
    """Say why a chain did not end well, and return the command's exit code for its end."""
    if chain.state == "COMPLETED":
        return 0
    if chain.state == "PAUSED":
        complain(f"chain {chain.id} waits for approval: `baton approve {chain.id}`")
        return 0
    complain(chain.input_error or chain.failure)
    return 2 if chain.input_error else 1


def with_events(server: Server, manifest: Manifest, chain: ChainRun) -> ChainRun:
    """Add what only the events tell; a server writes them a moment after it acknowledged them.

    Those of a chain that ended a while ago are there, or were forgotten: they are not waited for.
    """
    ends = [run.ended for run in chain.stages if run.ended]
    is_over = bool(ends) and datetime.now(UTC) - max(ends) > timedelta(minutes=10)
    end = time.monotonic() + (0.0 if is_over else _EVENTS_SECONDS)
    while True:
        events = server.events_of(chain.id)
        if runs.are_told(chain, {event["event"] for event in events}) or time.monotonic() >= end:
            return runs.with_events(chain, events, manifest)
        time.sleep(_SECONDS_BETWEEN_LOOKS_AT_EVENTS)
