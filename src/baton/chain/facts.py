"""What a Prefect server knew of a chain at a time: what a diagnosis is made of.

Reading it belongs in ``tasks/platform/reading.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from baton.chain.events import EventName, Stage, labels_in
from baton.chain.manifest import PLAIN
from baton.chain.runs import Begun, chain_id_of_run, counting, time_of
from baton.chain.taking import Taker
from baton.chain.triggers import ID, Automation

FIRED = "prefect.automation.triggered"
"""Event of Prefect's: an automation fired."""

EXECUTED = "prefect.automation.action.executed"
"""Event of Prefect's: what an automation was to do was done."""

NOT_EXECUTED = "prefect.automation.action.failed"
"""Event of Prefect's: what an automation was to do failed."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Report:
    """What Prefect says of an automation that fired."""

    event: str
    """Name of Prefect's own event."""
    at: datetime | None
    automation: str
    """Id of the automation."""
    name: str
    """Of the automation."""
    about: str
    """Id of the event on which it fired; empty if there was none."""
    deployment: str = ""
    """Id of the deployment that it was to start."""
    run: str = ""
    """Id of the run that it started."""
    payload: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, content: Json) -> Report:
        """Read it as the server gives it."""
        resource = content["resource"]
        ids = {one["prefect.resource.role"]: _last_part(one) for one in content["related"]}
        return cls(
            event=content["event"],
            at=time_of(content["occurred"]),
            automation=_last_part(resource),
            name=str(resource.get("prefect.resource.name", "")),
            about=ids.get("triggering-event", ""),
            deployment=ids.get("target", ""),
            run=ids.get("flow-run", ""),
            payload=content["payload"],
        )

    @property
    def reason(self) -> str:
        """Why what it was to do failed."""
        found = self.payload.get("validation_error") or self.payload.get("reason") or "no reason"
        return " ".join(str(found).split())


def _last_part(resource: Mapping[str, str]) -> str:
    return resource[ID].rpartition(".")[2]


@dataclass(frozen=True)
class Facts:
    """What a server knew of a chain, and of those that it begins."""

    now: datetime
    begun: Begun
    """The chain that is asked about."""
    flows: Mapping[str, str] = field(default_factory=dict)
    """Names of the stages' flows by id."""
    runs: Sequence[Json] = ()
    """Runs of these chains, the oldest first."""
    events: Sequence[Json] = ()
    """Events of these chains, the oldest first."""
    reports: Sequence[Report] = ()
    """What Prefect says of automations that fired on these events, the oldest first."""
    automations: Sequence[Automation] = ()
    """Those that start deployments of stages."""
    deployments: Sequence[Json] = ()
    """Those of stages."""
    takers: Mapping[str, Taker] = field(default_factory=dict)
    """Who takes the runs that wait, by their ids."""

    def deployments_of(self, stage: Stage) -> list[Json]:
        """Deployments of a stage's flow."""
        return [one for one in self.deployments if self.flows.get(one["flow_id"]) == stage]

    def deployment_of(self, run: Json) -> Json | None:
        """Deployment of a run; None if it is gone."""
        found = (one for one in self.deployments if one["id"] == run["deployment_id"])
        return next(found, None)

    def run_of(self, chain: str, stage: Stage) -> Json | None:
        """Run of a stage of a chain that counts; None if there is none."""
        found = [run for run in self._of(stage) if self._chain_of(run) == chain]
        return counting(found) if found else None

    def _of(self, stage: Stage) -> Iterator[Json]:
        return (run for run in self.runs if self.flows.get(run["flow_id"]) == stage)

    def _chain_of(self, run: Json) -> str:
        """Chain of a run: that of the event that started it, if its parameters are spoilt."""
        by_event = {report.run: report.about for report in self.reports if report.run}
        chains = {event["id"]: chain_of_event(event) for event in self.events}
        started = chains.get(by_event.get(run["id"], ""), "")
        own = chain_id_of_run(run)
        return own if not started or own != run["id"].replace("-", "")[:12] else started

    def events_of(self, name: EventName, chain: str) -> list[Json]:
        """Events of this name of a chain, the oldest first."""
        return [one for one in self.events if one["event"] == name and chain_of_event(one) == chain]

    def labels_of(self, chain: str, stage: Stage, event: EventName) -> Mapping[str, str] | None:
        """Labels of what a stage of a chain announces, or would; None if nobody knows."""
        if told := self.events_of(event, chain):
            return dict(told[-1]["resource"])
        if run := self.run_of(chain, stage):
            return labels_in(run["parameters"]) or PLAIN
        return self.begun.labels if chain == self.begun.chain_id else None

    def about(self, events: Sequence[Json], deployments: Sequence[Json]) -> list[Report]:
        """Reports of automations of these deployments that fired on one of these events."""
        ids, targets = {one["id"] for one in events}, {one["id"] for one in deployments}
        ours = {one.id for one in self.automations if one.starts & targets}
        return [
            one
            for one in self.reports
            if one.about in ids and (one.deployment in targets or one.automation in ours)
        ]


def chain_of_event(event: Json) -> str:
    """Id of the chain that an event is of."""
    return str(event["resource"].get("baton.chain") or event["payload"].get("chain", ""))
