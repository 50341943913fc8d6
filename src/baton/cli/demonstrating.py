"""The command that shows the loop closing: ``demo``."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import SecretStr
from rich.console import Console

from baton.chain.decisions import champions, read
from baton.chain.events import (
    DataArrived,
    DatasetOrder,
    Event,
    EventName,
    PredictionOrder,
    chain_begun_by,
    registered_name,
)
from baton.chain.manifest import Manifest
from baton.chain.manifest import read as read_manifest
from baton.chain.story import Told, told
from baton.cli import show
from baton.cli.app import ERR, OUT, AsJson, app, complain, print_json
from baton.cli.connection import access_to, away, noticed, server_at
from baton.cli.interrupts import unless_interrupted
from baton.errors import InputError
from baton.settings import Settings, settings
from baton.terms import Options
from baton.words.text import elide
from serving.embedded import claimed, run_embedded
from tasks.platform.places import MANIFEST
from tasks.platform.server import Server

_PROBLEM = "spheres"
_ROWS, _MOVED = 3_000, {"moved": 8.0}
_SECONDS_BETWEEN_LOOKS = 0.3
_UNFOLLOWED_SECONDS = 20.0
"""After these an arrival that nothing has followed is told again."""

_LONGEST_SECONDS = 600.0


@app.command
def demo(what: Literal["drift"] = "drift", /, *, as_json: AsJson = False) -> int:
    """Show the loop closing by events alone: train, promote, predict, drift, train anew, promote.

    On clusters of points, in a home of its own, `demo` in BATON_HOME, which is made anew each
    time. The clusters move once the first predictions were found to be as usual; it takes about a
    minute.

    Parameters
    ----------
    what
        What is shown.
    """
    del what  # there is one
    with away():
        from tasks.platform.events import tell

    own = settings().model_copy(
        update={
            "home": settings().home / "demo",
            "prefect_api_url": "",
            "mlflow_tracking_uri": "",
            "notify": SecretStr(""),
        }
    )
    console = ERR if as_json else OUT
    _require_own(own.home)
    with ExitStack() as stack:
        stack.enter_context(claimed(own, noticed(console)))
        _empty(own.home)
        with console.status("starting Prefect …") as sign:
            embedded = run_embedded(own, sign.update)
            running, there = stack.enter_context(embedded)
        check = unless_interrupted(lambda: running.tend(noticed(console)))
        seen = _Demo(server_at(there), check, console, lambda one: tell(one, access_to(there)))
        state = seen.played()
    return _shown(state, seen.events, own, as_json)


def _require_own(home: Path) -> None:
    """Refuse a folder that no demo has made: it is to be emptied."""
    if home.exists() and any(home.iterdir()) and not (home / "baton.lock").exists():
        raise InputError(f"{home} is no demo's home: move it, or set BATON_HOME to another folder")


def _empty(home: Path) -> None:
    """Remove what an earlier demo has left in its home, but for what says whose it is now."""
    for one in home.iterdir():
        if one.is_dir():
            shutil.rmtree(one)
        elif one.suffix not in {".lock", ".json"}:
            one.unlink()


@dataclass
class _Demo:
    """The loop, as the events tell it."""

    server: Server
    check: Callable[[], None]
    """Raises if going on is of no use."""
    console: Console
    announce: Callable[[Event], None]
    manifest: Manifest = field(default_factory=lambda: read_manifest(MANIFEST))
    events: list[Told] = field(default_factory=list)
    began: datetime = field(default_factory=lambda: datetime.now(UTC))

    def played(self) -> str:
        """Have data arrive, and rows that have moved; the state in which it ended."""
        first, moved = uuid.uuid4().hex[:12], uuid.uuid4().hex[:12]
        known = self._until(
            _arrived(first, "the clusters", generate=_learnt(first)),
            chain_begun_by(EventName.MODEL_PROMOTED, first),
        )
        if not known:
            return "FAILED"
        self.console.print("the clusters move", style="bold")
        anew = chain_begun_by(EventName.DRIFT_DETECTED, moved)
        rows = PredictionOrder(chain=moved, problem=_PROBLEM, parameters={"draw": 2} | _MOVED)
        known = self._until(
            _arrived(moved, "the clusters, moved", predict=rows),
            chain_begun_by(EventName.MODEL_PROMOTED, anew),
        )
        return "COMPLETED" if known else "FAILED"

    def _until(self, arrival: DataArrived, chain: str) -> bool:
        """Announce data, and wait until the predictions of a chain that follows were looked at."""
        self.announce(arrival)
        told = time.monotonic()
        end = told + _LONGEST_SECONDS
        while time.monotonic() < end:
            self.check()
            if (ended := self._ended(arrival.chain, chain)) is not None:
                return ended
            if time.monotonic() - told > _UNFOLLOWED_SECONDS and not self._is_followed(arrival):
                self.announce(arrival)
                told = time.monotonic()
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        complain(f"the loop did not close within {_LONGEST_SECONDS:.0f} s; `baton status` shows it")
        return False

    def _ended(self, arrived: str, chain: str) -> bool | None:
        """Whether it ended well; None if it goes on."""
        self._look()
        for one in self.events:
            if one.event is EventName.PREDICTIONS_MONITORED and one.chain == chain:
                return True
            is_still = one.event is EventName.PREDICTIONS_MONITORED and one.chain == arrived
            if is_still or one.event in {EventName.CHAIN_FAILED, EventName.MODEL_REJECTED}:
                complain(f"{one.event.value}: {one.payload['reason']}")
                return False
        return None

    def _look(self) -> None:
        """See what has happened, and say it."""
        n_before = len(self.events)
        self.events = _with_mover(told(self.server.events_since(self.began), self.manifest))
        for one in self.events[n_before:]:
            self.console.print(*_line(one), sep="  ", markup=False, highlight=False, soft_wrap=True)

    def _is_followed(self, arrival: DataArrived) -> bool:
        started = EventName.PREDICTIONS_READY if arrival.predict else EventName.DATASET_READY
        return any(one.chain == arrival.chain and one.event is started for one in self.events)


def _learnt(chain: str) -> DatasetOrder:
    """Data to begin with: once learnt, other points are predicted; once they move, all anew."""
    asked = Options(predict={"draw": 1}, retrain={"draw": 3} | _MOVED)
    return DatasetOrder(chain=chain, problem=_PROBLEM, parameters={"rows": _ROWS}, options=asked)


def _arrived(chain: str, source: str, **begun: Any) -> DataArrived:
    return DataArrived(chain=chain, problem=_PROBLEM, source=source, **begun)


def _with_mover(events: list[Told]) -> list[Told]:
    """Events, the second arrival caused by what the demo had waited for to move the clusters."""
    moved = [
        replace(one, caused_by=EventName.PREDICTIONS_MONITORED)
        if one.event is EventName.DATA_ARRIVED
        else one
        for one in events[1:]
    ]
    return [*events[:1], *moved]


def _line(one: Told) -> tuple[str, ...]:
    """Time, event, what it is about, and its cause."""
    cause = f"because of {one.caused_by.value}" if one.caused_by else ""
    reason = str(one.payload.get("reason", ""))
    said = " · ".join(filter(None, (cause, elide(reason, 90))))
    return (f"{one.at.astimezone():%H:%M:%S}", f"{one.event.value:<27}", one.resource, said)


def _shown(state: str, events: list[Told], own: Settings, as_json: bool) -> int:
    """Print the story and the champions."""
    known = champions(read(own, registered_name(_PROBLEM)))
    if as_json:
        print_json(
            {
                "state": state,
                "events": [_facts(one) for one in events],
                "champions": [show.champion_facts(one) for one in known],
            }
        )
    else:
        show.demo_end(OUT, state, [show.champion_facts(one) for one in known], own.home)
    return 0 if state == "COMPLETED" else 1


def _facts(one: Told) -> dict[str, Any]:
    cause = one.caused_by.value if one.caused_by else None
    at = one.at.isoformat()
    return {"event": one.event.value, "resource": one.resource, "at": at, "caused_by": cause}
