"""The ledger of what arrived: each arrival once, with its number, its chain and what came of it.

A small JSON file for each, under the home; its name holds number and id, so that what is known is
found without reading. Checking what arrives and telling it belong in ``tasks/arrivals.py`` and
``tasks/platform/arrivals.py``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt, ValidationError

from baton import disk
from baton.atomic import write_bytes
from baton.chain.events import (
    DataArrived,
    DatasetOrder,
    EventName,
    PredictionOrder,
    Stage,
    chain_begun_by,
)
from baton.lineage import digest_of
from baton.settings import Settings
from baton.terms import Options

MOST_TOLD = 6
"""Times that an arrival is told before it is said to be lost."""

_FIRST_WAIT = timedelta(seconds=20)
_DIGITS = 16
_LONGEST = 1024
_POLL_SECONDS = 0.005
_NEVER = datetime.min.replace(tzinfo=UTC)


class State(StrEnum):
    """How far an arrival is."""

    KEPT = "kept"
    """Written down, and not told yet."""
    TOLD = "told"
    """The server has the event; no run of the chain was seen yet."""
    TAKEN = "taken"
    """A run of its chain was seen."""
    DAMAGED = "damaged"
    """It cannot be read, and begins nothing."""
    LOST = "lost"
    """It was told as often as is of use, and no run came of it."""


_OPEN = frozenset({State.KEPT, State.TOLD})


class Arrival(BaseModel):
    """One arrival, and what is known of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    number: PositiveInt
    """Its place in the order of all arrivals of the home."""
    id: str
    """Digest of what it begins and of what."""
    at: datetime
    """When it was announced first."""
    problem: str
    """Name of the problem."""
    begins: Literal["generate", "predict"]
    """Stage that it begins."""
    source: str
    """What arrived, for people."""
    key: str = ""
    """Period that it is of, or whatever else it was announced by."""
    chain: str
    """Id of the chain that it begins."""
    event: DataArrived | None = None
    """What is told; none where it is damaged."""
    state: State = State.KEPT
    """How far it is."""
    reason: str = ""
    """Why it is damaged or lost, or what the server said that refused it."""
    is_late: bool = False
    """Whether a later period was there before it."""
    repeated: NonNegativeInt = 0
    """Times that it was announced again."""
    attempts: NonNegativeInt = 0
    """Times that it was told."""
    forgiven: NonNegativeInt = 0
    """Those of them that were over when it was announced again after it was lost."""
    told: datetime | None = None
    """When it was told last."""

    @property
    def name(self) -> str:
        """Name of its file, without the ending."""
        return f"{self.number:08d}-{self.id}"

    @property
    def facts(self) -> dict[str, Any]:
        """What is said of it, ready for JSON."""
        return self.model_dump(mode="json", exclude={"event", "id", "forgiven"})


@dataclass(frozen=True)
class Arriving:
    """What is announced, before it is in the ledger."""

    problem: str
    begins: Stage
    parameters: dict[str, Any]
    """Of the problem, ready for JSON."""
    source: str
    """What it is, for people."""
    content: str | None
    """Digest of what is there; None if only reading tells."""
    options: dict[str, Any] = field(default_factory=dict)
    """Of the chain, where it begins by making a data set."""
    key: str = ""
    """Period that it is of, or whatever else makes it one thing."""
    series: str = ""
    """What its periods follow each other in, beside problem and stage."""
    reason: str = ""
    """Why it cannot be taken; empty if it can."""

    @property
    def id(self) -> str:
        """Digest of it; of what only reading tells and no key says, another one each time."""
        said = [self.problem, self.begins.value, self.parameters, self.options, self.key]
        is_unknown = self.content is None and not self.key and not self.reason
        what = uuid4().hex if is_unknown else self.content
        return digest_of([*said, what, self.reason])[:_DIGITS]


def entered(settings: Settings, arriving: Arriving) -> tuple[Arrival, bool]:
    """Enter an arrival, once.

    Parameters
    ----------
    settings : Settings
    arriving : Arriving

    Returns
    -------
    Arrival, bool
        As it stands in the ledger, and whether it was there before.
    """
    own = arriving.id
    with _alone(settings):
        names = _names(settings)
        known = next((_read(folder(settings), name) for name in names if name[9:] == own), None)
        if known is not None:
            return _kept(settings, _again(known)), True
        number = max((int(name[:8]) for name in names), default=0) + 1
        is_late = _is_late(settings, arriving)
        return _kept(settings, _first(arriving, own, number, is_late=is_late)), False


def _first(arriving: Arriving, own: str, number: int, *, is_late: bool) -> Arrival:
    chain = chain_begun_by(EventName.DATA_ARRIVED, own)
    return Arrival(
        number=number,
        id=own,
        at=datetime.now(UTC),
        problem=arriving.problem,
        begins="predict" if arriving.begins is Stage.PREDICT else "generate",
        source=arriving.source[:_LONGEST],
        key=arriving.key,
        chain=chain,
        event=None if arriving.reason else _event(arriving, chain),
        state=State.DAMAGED if arriving.reason else State.KEPT,
        reason=arriving.reason,
        is_late=is_late,
    )


def _event(arriving: Arriving, chain: str) -> DataArrived:
    said = {"chain": chain, "problem": arriving.problem, "parameters": arriving.parameters}
    source = arriving.source[:_LONGEST]
    if arriving.begins is Stage.PREDICT:
        order = PredictionOrder.model_validate(said)
        return DataArrived(chain=chain, problem=order.problem, source=source, predict=order)
    options = Options.model_validate(arriving.options)
    made = DatasetOrder.model_validate(said | {"options": options})
    return DataArrived(chain=chain, problem=made.problem, source=source, generate=made)


def _again(known: Arrival) -> Arrival:
    """One that is announced again: what was lost is told anew."""
    changes: dict[str, Any] = {"repeated": known.repeated + 1}
    if known.state is State.LOST:
        changes |= {"state": State.KEPT, "reason": "", "forgiven": known.attempts}
    return known.model_copy(update=changes)


def changed(settings: Settings, arrival: Arrival, **changes: Any) -> Arrival:
    """Change what the ledger says of an arrival, as it stands there now."""
    with _alone(settings):
        now = _read(folder(settings), arrival.name) or arrival
        return _kept(settings, now.model_copy(update=changes))


def current(settings: Settings, arrival: Arrival) -> Arrival:
    """Arrival as it stands in the ledger now."""
    return _read_as_is(folder(settings), arrival.name) or arrival


def found(settings: Settings, problem: str = "") -> list[Arrival]:
    """Every arrival, of a problem or of all, by number; what is damaged of the ledger is left out.

    Parameters
    ----------
    settings : Settings
    problem : str
    """
    every = (_read_as_is(folder(settings), name) for name in sorted(_names(settings)))
    return [one for one in every if one and problem in {"", one.problem}]


def unreadable(settings: Settings) -> list[str]:
    """Names of those files of the ledger that cannot be read."""
    place = folder(settings)
    names = sorted(name for name in _names(settings) if (place / f"{name}.json").exists())
    return [name for name in names if _read_as_is(place, name) is None]


def unsettled(settings: Settings) -> list[Arrival]:
    """Arrivals that something is left to be done about, by number."""
    place = folder(settings) / "open"
    names = sorted(one.name for one in place.glob("[0-9]*")) if place.is_dir() else []
    every = (_read_as_is(folder(settings), name) for name in names)
    return [one for one in every if one and one.state in _OPEN]


def progress(settings: Settings) -> Progress:
    """How far the server has come with what it was told."""
    try:
        content = json.loads((folder(settings) / "progress.json").read_bytes())
        return Progress(int(content["number"]), datetime.fromisoformat(content["at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Progress()


@dataclass(frozen=True)
class Progress:
    """The furthest arrival of which a run was seen, and when one was seen last."""

    number: int = 0
    at: datetime = _NEVER

    def keep(self, settings: Settings) -> None:
        """Write it down."""
        content = {"number": self.number, "at": self.at.isoformat()}
        write_bytes(folder(settings) / "progress.json", json.dumps(content).encode())


def unheard(arrivals: Iterable[Arrival], progress: Progress, now: datetime) -> list[Arrival]:
    """Arrivals that were told and that no run came of, though it is time.

    A server that is busy with many events is waited for as long as it goes on with them: its time
    is over for one that a later one has overtaken, or where it has begun nothing for as long.

    Parameters
    ----------
    arrivals : iterable of Arrival
        Of which no run was seen.
    progress : Progress
    now : datetime
    """
    late = []
    for one in arrivals:
        wait = _FIRST_WAIT * 2 ** max(one.attempts - one.forgiven - 1, 0)
        is_stuck = one.number < progress.number or now - progress.at >= wait
        if one.state is State.TOLD and one.told and now - one.told >= wait and is_stuck:
            late.append(one)
    return late


def is_given_up(arrival: Arrival) -> bool:
    """Tell whether an arrival was told as often as is of use."""
    return arrival.attempts - arrival.forgiven >= MOST_TOLD


def folder(settings: Settings) -> Path:
    """Folder of the ledger."""
    return settings.home / "arrivals"


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One writer at a time; a killed one's lock is free at once."""
    settings.locks.mkdir(parents=True, exist_ok=True)
    (folder(settings) / "open").mkdir(parents=True, exist_ok=True)
    with FileLock(settings.locks / "arrivals.lock", poll_interval=_POLL_SECONDS):
        yield


def _names(settings: Settings) -> list[str]:
    """Names of all arrivals, those put aside among them: no number is given twice."""
    if not folder(settings).is_dir():
        return []
    names = (path.name for path in folder(settings).iterdir())
    return [name.removesuffix(".json") for name in names if name[:8].isdigit()]


def _read_as_is(place: Path, name: str) -> Arrival | None:
    with suppress(ValidationError, OSError):
        return Arrival.model_validate_json((place / f"{name}.json").read_bytes())
    return None


def _read(place: Path, name: str) -> Arrival | None:
    """One arrival; a file that is damaged is put aside, and what it was of counts anew."""
    read = _read_as_is(place, name)
    if read is None and (place / f"{name}.json").exists():
        disk.put_aside(place / f"{name}.json")
    return read


def _kept(settings: Settings, arrival: Arrival) -> Arrival:
    """Write an arrival: it is among the unsettled ones before, and not any more after."""
    mark = folder(settings) / "open" / arrival.name
    if arrival.state in _OPEN:
        mark.touch()
    content = arrival.model_dump_json(indent=1).encode()
    write_bytes(folder(settings) / f"{arrival.name}.json", content)
    if arrival.state not in _OPEN:
        mark.unlink(missing_ok=True)
    return arrival


def _is_late(settings: Settings, arriving: Arriving) -> bool:
    """Tell whether a later period was there before; else this one is the latest from now on."""
    if not arriving.key or arriving.reason:
        return False
    series = digest_of([arriving.problem, arriving.begins.value, arriving.series])[:_DIGITS]
    place = folder(settings) / "periods" / series
    with suppress(OSError, UnicodeDecodeError):
        if arriving.key < place.read_text("utf-8"):
            return True
    place.parent.mkdir(exist_ok=True)
    write_bytes(place, arriving.key.encode())
    return False
