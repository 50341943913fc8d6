"""What started what, by which event, and where the time went.

Pure functions of what a Prefect server says of runs, their states and events; asking for it
belongs in ``tasks/platform/reading.py``, showing it in ``baton.cli``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from baton.chain.facts import FIRED, Report, chain_of_event
from baton.chain.runs import (
    BEGAN_LABEL,
    ENDED,
    SCHEDULED_TAG,
    chain_id_of_run,
    problem_of,
    time_of,
)
from baton.chain.triggers import ID

PHASES = {
    "firing": "fired",
    "creating": "created",
    "waiting": "waiting",
    "pending": "pending",
    "starting": "first line",
    "working": "at work",
    "paused": "for a person",
    "down": "down",
}
"""What the time of a run is spent on, from the event on, and what a table calls it."""

_PHASE_OF = {
    "SCHEDULED": "waiting",
    "PENDING": "pending",
    "RUNNING": "working",
    "CANCELLING": "working",
    "PAUSED": "paused",
}
"""Phase of a run while it is in a state; in any other it is down until it is begun again."""

Json = dict[str, Any]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Origin(_Frozen):
    """What started a run."""

    kind: Literal["event", "schedule", "run", "hand"]
    """An event, the clock, a run that it is part of; or a person or program."""
    event_id: str = ""
    """Of the event."""
    event: str = ""
    """Name of the event; empty where the server has forgotten it."""
    automation: str = ""
    """Name of the automation that fired on it."""
    chain: str = ""
    """Chain that the event is of."""
    run: str = ""
    """Id of the run that announced the event, or that it is part of."""


class Moments(_Frozen):
    """When what happened; None where nobody knows, or it has not happened."""

    event: datetime | None = None
    """The event occurred."""
    fired: datetime | None = None
    """The automation fired."""
    created: datetime | None = None
    """The run was created."""
    pending: datetime | None = None
    """Somebody took it."""
    running: datetime | None = None
    """Its process began."""
    first_line: datetime | None = None
    """Its first line was logged."""
    ended: datetime | None = None
    """It came into a state that it stays in."""


class Account(_Frozen):
    """One run: what started it, how it went, and where its time went."""

    flow_run_id: str
    name: str
    flow: str
    """Name of its flow: a stage, or a part of one."""
    chain: str
    problem: str
    state: str
    """Type of its state."""
    message: str
    """What its state says."""
    n_begun: int
    """Times that it was begun."""
    origin: Origin
    moments: Moments
    seconds: dict[str, float]
    """Seconds of each phase that it had."""


class Occurrence(_Frozen):
    """An event of the chain."""

    id: str
    event: str
    resource: str
    """What it is about."""
    occurred: datetime | None
    chain: str
    run: str
    """Id of the run that announced it; empty where a person or program did."""
    payload: dict[str, Any]
    starts: tuple[str, ...]
    """Ids of the runs that it started."""
    begins: str = ""
    """Id of another chain that it began."""


class Story(_Frozen):
    """What started what."""

    subject: str
    """What was asked about."""
    runs: tuple[Account, ...]
    """The oldest first."""
    events: tuple[Occurrence, ...]
    """The oldest first."""

    @property
    def began(self) -> datetime | None:
        """When the first of its runs was created, or the event before it came."""
        known = [one.moments.event or one.moments.created for one in self.runs]
        return min(filter(None, known), default=None)

    @property
    def ended(self) -> datetime | None:
        """When the last of its runs ended; None while one goes on."""
        ends = [one.moments.ended for one in self.runs]
        return None if None in ends else max(filter(None, ends), default=None)

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of each phase, over all runs."""
        return {
            phase: round(sum(one.seconds.get(phase, 0.0) for one in self.runs), 3)
            for phase in PHASES
            if any(phase in one.seconds for one in self.runs)
        }

    @property
    def longest(self) -> tuple[Account, str] | None:
        """The run and the phase that took longest; None where nothing took any time."""
        spent = [
            (seconds, place, phase)
            for place, one in enumerate(self.runs)
            for phase, seconds in one.seconds.items()
        ]
        if not spent:
            return None
        _, place, phase = max(spent)
        return self.runs[place], phase


def origin_of(
    run: Json, reports: Iterable[Report], events: Sequence[Json], parent: str = ""
) -> Origin:
    """What started a run.

    Parameters
    ----------
    run : dict
    reports : iterable of Report
        What Prefect says of automations.
    events : sequence of dict
        Those that are known, the oldest first.
    parent : str
        Id of the run that it is part of; empty if it is part of none.
    """
    by = run.get("created_by") or {}
    if parent:
        return Origin(kind="run", run=parent)
    report = next((one for one in reports if one.run == run["id"]), None)
    if report is None and by.get("type") != "AUTOMATION":
        return Origin(kind="schedule" if SCHEDULED_TAG in run["tags"] else "hand")
    name = report.name if report else str(by.get("display_value") or "")
    about = report.about if report else ""
    found = [event for event in events if event["id"] == about or _is_passed_on(event, run)]
    if not found:
        return Origin(kind="event", event_id=about, automation=name)
    event = next((one for one in found if one["id"] == about), found[-1])
    return Origin(
        kind="event",
        event_id=event["id"],
        event=event["event"],
        automation=name,
        chain=chain_of_event(event),
        run=announcer(event),
    )


def _is_passed_on(event: Json, run: Json) -> bool:
    """Tell whether a run was given an event's payload, or an object of it."""
    inside = (one for one in event["payload"].values() if isinstance(one, dict))
    objects = [event["payload"], *inside]
    given = [value for value in run["parameters"].values() if isinstance(value, dict) and value]
    return str(event["occurred"]) <= str(run["created"]) and any(one in objects for one in given)


def announcer(event: Json) -> str:
    """Id of the run that announced an event; empty where none did."""
    runs = [one[ID] for one in event["related"] if one["prefect.resource.role"] == "flow-run"]
    return str(runs[0].rpartition(".")[2]) if runs else ""


def account(
    run: Json,
    flow: str,
    origin: Origin,
    *,
    states: Sequence[Json],
    first_line: str,
    about: Sequence[Report],
    events: Sequence[Json],
    now: datetime,
) -> Account:
    """What is known of a run.

    Parameters
    ----------
    run : dict
    flow : str
        Name of its flow.
    origin : Origin
    states : sequence of dict
        Every state that it was in, the oldest first.
    first_line : str
        When the first line of its log was written since it last began; empty if none was.
    about : sequence of Report
        Of the event that started it.
    events : sequence of dict
    now : datetime
    """
    event = next((one for one in events if one["id"] == origin.event_id), None)
    moments = _moments(run, event, about, states, first_line)
    return Account(
        flow_run_id=run["id"],
        name=run["name"],
        flow=flow,
        chain=chain_id_of_run(run),
        problem=problem_of(run["parameters"]),
        state=run["state_type"],
        message=" ".join(str((run["state"] or {}).get("message") or "").split()),
        n_begun=int(run["run_count"]),
        origin=origin,
        moments=moments,
        seconds=_seconds(moments, states, now),
    )


def _moments(
    run: Json,
    event: Json | None,
    about: Sequence[Report],
    states: Sequence[Json],
    first_line: str,
) -> Moments:
    """When what happened: of a run that was begun again, what led to its last beginning."""
    reports = [one.at for one in about if one.event == FIRED] or [one.at for one in about]
    last: dict[str, datetime | None] = {one["type"]: time_of(one["timestamp"]) for one in states}
    has_ended = run["state_type"] in ENDED
    return Moments(
        event=time_of(event["occurred"]) if event else None,
        fired=min(filter(None, reports), default=None),
        created=time_of(run["created"]),
        pending=next((time_of(s["timestamp"]) for s in states if s["type"] == "PENDING"), None),
        running=last.get("RUNNING"),
        first_line=time_of(first_line) or time_of(run["labels"].get(BEGAN_LABEL)),
        ended=last.get(run["state_type"]) if has_ended else None,
    )


def _seconds(moments: Moments, states: Sequence[Json], now: datetime) -> dict[str, float]:
    """Seconds of each phase: of a clock that differs from another, none are less than nothing."""
    spent: dict[str, float] = {}
    if moments.event and moments.fired:
        spent["firing"] = _between(moments.event, moments.fired)
    if moments.created and (before := moments.fired or moments.event):
        spent["creating"] = _between(before, moments.created)
    times = [time_of(one["timestamp"]) or now for one in states]
    for state, since, until in zip(states, times, [*times[1:], now], strict=True):
        is_last = state is states[-1]
        if not (is_last and state["type"] in {*ENDED, "CRASHED"}):
            phase = _PHASE_OF.get(state["type"], "down")
            spent[phase] = spent.get(phase, 0.0) + _between(since, until)
    if moments.running and moments.first_line and moments.first_line >= moments.running:
        starting = min(_between(moments.running, moments.first_line), spent.get("working", 0.0))
        spent |= {"starting": starting, "working": spent.get("working", 0.0) - starting}
    return {phase: round(spent[phase], 3) for phase in PHASES if phase in spent}


def _between(since: datetime, until: datetime) -> float:
    return max(0.0, (until - since).total_seconds())


def occurrence(
    event: Json, accounts: Mapping[str, Account], reports: Iterable[Report]
) -> Occurrence:
    """What is known of an event.

    Parameters
    ----------
    event : dict
    accounts : mapping of str to Account
        Runs that are told of, by their ids.
    reports : iterable of Report
    """
    started = [one.run for one in reports if one.about == event["id"] and one.run]
    started += [n for n, one in accounts.items() if one.origin.event_id == event["id"]]
    orders = (event["payload"].get(name) for name in ("generate", "predict"))
    begun = next((str(one["chain"]) for one in orders if isinstance(one, dict)), "")
    chain = chain_of_event(event)
    return Occurrence(
        id=event["id"],
        event=event["event"],
        resource=event["resource"][ID],
        occurred=time_of(event["occurred"]),
        chain=chain,
        run=announcer(event),
        payload=event["payload"],
        starts=tuple(dict.fromkeys(started)),
        begins=begun if started and begun != chain else "",
    )
