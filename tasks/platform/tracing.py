"""Asking a Prefect server what started what: the runs of a chain, or one run and its causes.

What the answers mean is in ``baton.chain.origins``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from baton.chain.facts import Report
from baton.chain.origins import Account, Origin, Story, account, occurrence, origin_of
from baton.chain.runs import Begun, chain_id_of_run
from tasks.platform.reading import Reader

Json = dict[str, Any]

_MOST_CAUSES = 100
"""Runs that are gone back to; a loop that closes often is longer."""
_MOST_LISTED = 200


def story_of_chain(reader: Reader, begun: Begun) -> Story:
    """What started what in a chain.

    Parameters
    ----------
    reader : Reader
    begun : Begun
    """
    found = [run for runs in reader.runs_of(begun).values() for run in runs]
    events = reader.events_of(begun.chain_id)
    ids = [f"prefect.event.{event['id']}" for event in events]
    reports = reader.reports([*ids, *(f"prefect.flow-run.{run['id']}" for run in found)])
    told = _Told(reader, {event["id"]: event for event in events}, reports)
    return told.story(f"chain {begun.chain_id}", found)


def story_of_run(reader: Reader, run: Json) -> Story:
    """What started a run, back to what was first.

    Parameters
    ----------
    reader : Reader
    run : dict
    """
    told, found = _Told(reader), [run]
    while before := told.before(found[-1]):
        if len(found) > _MOST_CAUSES:
            break
        found.append(before)
    return told.story(f"run {run['id']}", found)


@dataclass
class _Told:
    """What a server has told so far."""

    reader: Reader
    events: dict[str, Json] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    origins: dict[str, Origin] = field(default_factory=dict)

    def story(self, subject: str, found: list[Json]) -> Story:
        """What started these runs, and where their time went."""
        for run in found:
            self.origin(run)
        accounts = [self._account(run) for run in sorted(found, key=lambda r: str(r["created"]))]
        known = {one.flow_run_id: one for one in accounts}
        ordered = sorted(self.events.values(), key=lambda event: str(event["occurred"]))
        events = tuple(occurrence(event, known, self.reports) for event in ordered)
        return Story(subject=subject, runs=tuple(accounts), events=events)

    def before(self, run: Json) -> Json | None:
        """Run that announced what started this one, or that this one is part of."""
        origin = self.origin(run)
        if not origin.run:
            return None
        found: Json | None = self.reader.client.find(f"flow_runs/{origin.run}")
        return found

    def origin(self, run: Json) -> Origin:
        """What started a run."""
        if run["id"] not in self.origins:
            if all(one.run != run["id"] for one in self.reports):
                self.reports += self.reader.reports([f"prefect.flow-run.{run['id']}"])
            about = {one.about for one in self.reports if one.run == run["id"] and one.about}
            self._fetch(about - set(self.events))
            if not about and run.get("created_by"):  # what a server reports may be lost
                events = self.reader.events_of(chain_id_of_run(run))
                self.events |= {event["id"]: event for event in events}
            known, parent = list(self.events.values()), self._parent(run)
            self.origins[run["id"]] = origin_of(run, self.reports, known, parent)
        return self.origins[run["id"]]

    def _fetch(self, ids: Iterable[str]) -> None:
        """Fetch events of other chains."""
        if wanted := sorted(ids):
            found = self.reader.events({"id": {"id": wanted}})
            self.events |= {event["id"]: event for event in found}
            about = [f"prefect.event.{event['id']}" for event in found]
            self.reports += [one for one in self.reader.reports(about) if one not in self.reports]

    def _parent(self, run: Json) -> str:
        """Id of the run that a run is part of; empty if it is part of none."""
        if not run.get("parent_task_run_id"):
            return ""
        task = self.reader.client.find(f"task_runs/{run['parent_task_run_id']}") or {}
        return str(task.get("flow_run_id") or "")

    def _account(self, run: Json) -> Account:
        client, origin = self.reader.client, self.origins[run["id"]]
        states = client.find(f"flow_run_states/?flow_run_id={run['id']}") or []
        states = sorted(states, key=lambda state: str(state["timestamp"]))
        flow = client.find(f"flows/{run['flow_id']}") or {}
        return account(
            run,
            str(flow.get("name", "")),
            origin,
            states=states,
            first_line=self._first_line(run, states),
            about=[one for one in self.reports if origin.event_id and one.about == origin.event_id],
            events=list(self.events.values()),
            now=datetime.now(UTC),
        )

    def _first_line(self, run: Json, states: list[Json]) -> str:
        """When the first line of a run's log was written since it last began."""
        began = [state["timestamp"] for state in states if state["type"] == "RUNNING"]
        if not began:
            return ""
        conditions = {"flow_run_id": {"any_": [run["id"]]}, "timestamp": {"after_": began[-1]}}
        wanted = {"logs": conditions, "sort": "TIMESTAMP_ASC", "limit": 1}
        found = self.reader.client.post("logs/filter", wanted)
        return str(found[0]["timestamp"]) if found else ""
