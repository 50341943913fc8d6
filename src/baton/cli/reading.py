"""The command that reads a chain's log: ``logs``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import Parameter

from baton.chain.events import Stage
from baton.chain.log_lines import Level, Line, Source
from baton.chain.manifest import Manifest
from baton.chain.manifest import read as read_manifest
from baton.chain.runs import Begun, ChainRun
from baton.cli.app import ERR, OUT, app
from baton.cli.connection import (
    Reached,
    connected,
    noticed,
    require_there,
    the_one,
)
from baton.cli.following import Patience, exit_code_of, watch
from baton.cli.interrupts import unless_interrupted
from tasks.platform.places import MANIFEST
from tasks.platform.server import Server

_HELD = timedelta(seconds=3)
"""How long a new line is held back: a run sends what it says every two seconds."""

_SECONDS_BETWEEN_READS = 1.0
_LAST_SECONDS = 6.0
"""For which lines may still come when a chain has ended."""

_COLOURS = {"debug": "dim", "warning": "yellow", "error": "red", "critical": "bold red"}

AsLines = Annotated[
    bool, Parameter(name="--json", negative=(), help="Print one JSON object a line.")
]
OfLevel = Annotated[Level, Parameter(help="Least level of the lines that are shown.")]
OfStage = Annotated[
    Stage | None, Parameter(help="The lines of one stage, with those of its subflows.")
]
IsFollowed = Annotated[
    bool, Parameter(name=["--follow", "-f"], negative=(), help="Go on until the chain has ended.")
]


@app.command
def logs(
    chain: str,
    /,
    *,
    follow: IsFollowed = False,
    stage: OfStage = None,
    level: OfLevel = Level.INFO,
    as_json: AsLines = False,
) -> int:
    """Show what the runs of CHAIN have said, all its stages in the order of time.

    Each line has its time, its stage (with the subflow, such as `evaluate/importance`), its level
    and the message. With `--follow` it goes on until the chain has ended or waits for approval, and
    the exit code is the one that `baton run` had: 0 completed, 1 failed, 2 a mistake in the input.
    Ctrl-C ends the look, not the chain.

    Examples
    --------
    `baton logs 3f9c1a`

    `baton logs 3f9c1a --follow --stage train`

    `baton logs 3f9c1a --level warning --json`

    Parameters
    ----------
    chain
        Id of a chain or its first digits.
    """
    require_there(chain)
    manifest = read_manifest(MANIFEST)
    with connected(ERR, serving=False) as (addresses, check):
        reached = Reached(addresses)
        again = reached.again if addresses.secret else None
        patience = Patience(unless_interrupted(check), noticed(ERR), again)
        log = Log(reached.server, the_one(reached.server, chain), level, stage)
        show = _print_json if as_json else _print_text
        if follow:
            return exit_code_of(_followed(log, manifest, patience, show))
        show(log.rest())
    return 0


@dataclass
class Log:
    """A chain's log, read again and again: each line is told once, in the order of time."""

    server: Server
    begun: Begun
    level: Level = Level.INFO
    stage: Stage | None = None
    _sources: dict[str, Source] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _until: datetime | None = None

    def fresh(self, now: datetime) -> list[Line]:
        """Lines that were not told before, but for the youngest: others may come before those."""
        since = self._until - 5 * _HELD if self._until else None
        return self._taken(since, now - _HELD)

    def rest(self) -> list[Line]:
        """All lines that were not told before."""
        return self._taken(None, None)

    def _taken(self, since: datetime | None, end: datetime | None) -> list[Line]:
        self._sources = self.server.log_sources(self.begun, self._sources)
        wanted = {run: one for run, one in self._sources.items() if self.stage in {None, one.stage}}
        found = self.server.log(wanted, self.level, since)
        fresh = [one for one in found if one.id not in self._told and (not end or one.at <= end)]
        self._told |= {one.id for one in fresh}
        self._until = max((one.at for one in fresh), default=self._until)
        return sorted(fresh, key=lambda one: (one.at, one.id))


def _followed(
    log: Log, manifest: Manifest, patience: Patience, show: Callable[[Iterable[Line]], None]
) -> ChainRun:
    """Show a log until its chain has ended, and what was said at the end."""
    read = -_SECONDS_BETWEEN_READS

    def tell(_: ChainRun) -> None:
        nonlocal read
        if time.monotonic() - read >= _SECONDS_BETWEEN_READS:
            show(patience.ask(lambda: log.fresh(datetime.now(UTC))))
            read = time.monotonic()

    seen = watch(log.server, manifest, log.begun, tell=tell, patience=patience)
    ended = max((run.ended for run in seen.stages if run.ended), default=datetime.now(UTC))
    end = ended + timedelta(seconds=_LAST_SECONDS)
    while datetime.now(UTC) < end:
        time.sleep(_SECONDS_BETWEEN_READS / 2)
        patience.check()
        show(patience.ask(lambda: log.fresh(datetime.now(UTC))))
    show(patience.ask(log.rest))
    return seen


def _print_json(lines: Iterable[Line]) -> None:
    for line in lines:
        sys.stdout.write(json.dumps(line.facts, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _print_text(lines: Iterable[Line]) -> None:
    for line in lines:
        style = _COLOURS.get(line.level)
        OUT.print(line.text, style=style, markup=False, highlight=False, soft_wrap=True)
