"""What is asked of a Prefect server about chains: runs, events, automations, and who takes runs.

By its public REST API alone, so of any server. How it is reached belongs in
``tasks.platform.api``, what the answers mean in ``baton.chain``.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID

from baton.chain import runs
from baton.chain.events import EventName, Stage, chain_begun_by
from baton.chain.facts import EXECUTED, FIRED, NOT_EXECUTED, Facts, Report, chain_of_event
from baton.chain.recovery import AHEAD
from baton.chain.runs import Begun
from baton.chain.taking import Taker
from baton.chain.triggers import Automation
from tasks.platform.api import Client

Json = dict[str, Any]

_CLOCKS_DIFFER = timedelta(minutes=1)
"""Of machines; and a run is expected to start a moment before it was created."""
_EVENTS_KEPT = timedelta(days=7)
_DIGITS_OF_ID = 12
_MOST_RUNS = 200
_MOST_EVENTS = 50
"""That a server gives at once."""
_MOST_PAGES = 20
_GOING = ["PENDING", "RUNNING", "CANCELLING"]


@dataclass
class Reader:
    """A Prefect server that is asked about chains."""

    client: Client
    flows: dict[str, str] = field(init=False, default_factory=dict)
    """Names of the stages' flows by id, once all of them are there."""

    def latest(self, beginning: str = "") -> list[Begun]:
        """Latest chains whose id begins so, and the one of a whole id however old it is."""
        soon = (datetime.now(UTC) + AHEAD).isoformat()  # or a schedule's runs of later were in it
        due = {"expected_start_time": {"before_": soon}}
        found = runs.latest(self.stage_runs(due), self.stage_flows(), beginning)
        if not found and len(beginning) == _DIGITS_OF_ID:
            return list(self.tagged(beginning).values())
        return found

    def runs_of(self, begun: Begun) -> dict[Stage, list[Json]]:
        """Runs of a chain by stage, the oldest first."""
        return runs.of_chain(begun.chain_id, self.runs_about(begun), self.stage_flows())

    def runs_about(self, *begun: Begun) -> list[Json]:
        """Runs that are these chains', or may be: one that waits to start has no tag yet."""
        since = min(one.since for one in begun) - _CLOCKS_DIFFER
        fresh = {
            "state": {"type": {"not_any_": ["COMPLETED"]}},
            "expected_start_time": {"after_": since.isoformat()},
        }
        tagged = {"tags": {"any_": [f"chain:{one.chain_id}" for one in begun]}}
        return self.stage_runs(fresh) + self.stage_runs(tagged)

    def stage_runs(
        self, conditions: Json | None = None, flows: Container[str] | None = None
    ) -> list[Json]:
        """Runs of stages, or of the flows of some, the youngest first."""
        names = self.stage_flows().items()
        wanted = {
            "flows": {"id": {"any_": [i for i, name in names if flows is None or name in flows]}},
            "flow_runs": conditions,
            "sort": "EXPECTED_START_TIME_DESC",
            "limit": _MOST_RUNS,
        }
        found: list[Json] = self.client.post("flow_runs/filter", wanted)
        return found

    def stage_flows(self) -> dict[str, str]:
        """Names of the stages' flows by id."""
        if len(self.flows) < len(Stage):
            wanted = {"flows": {"name": {"any_": [stage.value for stage in Stage]}}}
            found: list[Any] = self.client.post("flows/filter", wanted)
            self.flows = {flow["id"]: flow["name"] for flow in found}
        return self.flows

    def events_of(self, chain_id: str) -> list[Json]:
        """Events of a chain, the oldest first; of those whose id begins so, with ``*``."""
        return self.events({"resource": {"labels": {"baton.chain": chain_id}}})

    def events(self, conditions: Json, names: Iterable[str] = tuple(EventName)) -> list[Json]:
        """Events of these names that meet the conditions, the oldest first."""
        wanted = {
            "event": {"name": [str(name) for name in names]},
            "occurred": {"since": (datetime.now(UTC) - _EVENTS_KEPT).isoformat()},
            **conditions,
        }
        page = self.client.post("events/filter", {"filter": wanted, "limit": _MOST_EVENTS})
        found: list[Json] = list(page["events"])
        for _ in range(_MOST_PAGES):
            if not page.get("next_page"):
                break
            token = parse_qs(urlsplit(page["next_page"]).query)["page-token"][0]
            page = self.client.find(f"events/filter/next?page-token={quote(token)}")
            found += page["events"]
        return sorted(found, key=lambda event: str(event["occurred"]))

    def known(self, beginning: str) -> list[Begun]:
        """Chains whose id begins so: by their runs, or by the data that arrived and began none."""
        found = {one.chain_id: one for one in self.latest(beginning)}
        waiting = self.stage_runs({"state": {"type": {"any_": ["SCHEDULED"]}}})
        for one in runs.latest(waiting, self.stage_flows(), beginning, is_begun=False):
            found.setdefault(one.chain_id, one)
        for event in self.events_of(f"{beginning}*"):
            chain = chain_of_event(event)
            if event["event"] == EventName.DATA_ARRIVED:
                found.setdefault(chain, runs.begun_by_arrival(event))
            elif chain not in found:
                found |= self.tagged(chain)
        return list((found | self.tagged(beginning)).values())

    def tagged(self, chain_id: str) -> dict[str, Begun]:
        """The chain of this id by all its runs, however long ago it began."""
        tags = {"tags": {"all_": [f"chain:{chain_id}"]}}
        found = runs.latest(self.stage_runs(tags), self.stage_flows(), chain_id)
        return {one.chain_id: one for one in found}

    def runs_beginning(self, beginning: str) -> list[Json]:
        """Runs whose id begins so: of all, if it is whole, else of the latest."""
        with suppress(ValueError):
            one = self.client.find(f"flow_runs/{UUID(beginning)}")
            return [one] if one else []
        due = {"state": {"type": {"not_any_": ["SCHEDULED"]}}}
        wanted = {"flow_runs": due, "sort": "EXPECTED_START_TIME_DESC", "limit": _MOST_RUNS}
        found: list[Json] = self.client.post("flow_runs/filter", wanted)
        return [run for run in found if run["id"].startswith(beginning)]

    def runs_by_clock(self, deployment: Json) -> tuple[list[Json], Json | None]:
        """Runs of a deployment that are scheduled, the next first, and the latest that was not."""
        own = {"deployments": {"id": {"any_": [deployment["id"]]}}}
        due = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
        old = {"flow_runs": {"state": {"type": {"not_any_": ["SCHEDULED"]}}}}
        next_first = {"sort": "NEXT_SCHEDULED_START_TIME_ASC", "limit": 1}
        last_first = {"sort": "EXPECTED_START_TIME_DESC", "limit": 1}
        waiting: list[Json] = self.client.post("flow_runs/filter", own | due | next_first)
        last: list[Json] = self.client.post("flow_runs/filter", own | old | last_first)
        return waiting, last[0] if last else None

    def facts(self, begun: Begun) -> Facts:
        """What is known of a chain, and of those that it begins."""
        chains = [begun.chain_id, *(chain_begun_by(name, begun.chain_id) for name in EventName)]
        events = self.events({"resource": {"labels": {"baton.chain": chains}}})
        reports = self.reports(f"prefect.event.{event['id']}" for event in events)
        found = self._runs_of_all(begun, chains, [one.run for one in reports if one.run])
        deployments = self.deployments()
        polled = {one["id"]: one.get("last_polled") for one in deployments}
        waiting = [run for run in found if run["state_type"] == "SCHEDULED"]
        takers = {run["id"]: self.taker(run, polled.get(run["deployment_id"])) for run in waiting}
        return Facts(
            now=datetime.now(UTC),
            begun=begun,
            flows=self.stage_flows(),
            runs=found,
            events=events,
            reports=reports,
            automations=self.automations(),
            deployments=deployments,
            takers=takers,
        )

    def _runs_of_all(
        self, begun: Begun, chains: Sequence[str], started: Sequence[str]
    ) -> list[Json]:
        """Runs of chains, and those that their events started, the oldest first."""
        tags = [f"chain:{chain}" for chain in chains]
        found = self.runs_about(begun) + self.stage_runs({"tags": {"any_": tags}})
        if started:
            found += self.stage_runs({"id": {"any_": list(started)}})
        mine = {
            run["id"]: run
            for run in found
            if runs.chain_id_of_run(run) in chains or run["id"] in started
        }
        return sorted(mine.values(), key=lambda run: str(run["created"]))

    def reports(self, resources: Iterable[str]) -> list[Report]:
        """What Prefect says of automations that fired on these events, or started these runs."""
        ids = list(resources)
        if not ids:
            return []
        found = self.events({"related": {"id": ids}}, (FIRED, EXECUTED, NOT_EXECUTED))
        return [Report.read(one) for one in found]

    def deployments(self) -> list[Json]:
        """Deployments of stages."""
        flows = {"flows": {"id": {"any_": list(self.stage_flows())}}}
        return self.every("deployments/filter", flows)

    def automations(self) -> list[Automation]:
        """Automations that start deployments."""
        found = map(Automation.read, self.every("automations/filter", {}))
        return [one for one in found if one.starts]

    def every(self, path: str, wanted: Json) -> list[Json]:
        """All that there is, page by page."""
        found: list[Json] = []
        while True:
            asked = wanted | {"limit": _MOST_RUNS, "offset": len(found)}
            page: list[Json] = self.client.post(path, asked)
            found += page
            if len(page) < _MOST_RUNS:
                return found

    def taker(self, waiting: Json, last_polled: Any) -> Taker:
        """Who takes a run that waits, or the runs of a deployment.

        Parameters
        ----------
        waiting : dict
            The run or the deployment.
        last_polled : Any
            When a serve process last looked for runs of the deployment, as the server gives it.
        """
        if pool := waiting.get("work_pool_name"):
            return self._worker_of(pool, waiting.get("work_queue_name") or "default")
        going = {"state": {"type": {"any_": _GOING}}, "deployment_id": {"is_null_": False}}
        n_going = self.client.post("flow_runs/count", {"flow_runs": going})
        return Taker(polled=runs.time_of(last_polled), n_going=int(n_going))

    def _worker_of(self, pool: str, queue: str) -> Taker:
        at, one = f"work_pools/{quote(pool)}", self.client.find(f"work_pools/{quote(pool)}")
        if one is None:
            return Taker(pool, is_there=False)
        line = self.client.find(f"{at}/queues/{quote(queue)}") or {}
        online = {"workers": {"status": {"any_": ["ONLINE"]}}, "limit": _MOST_RUNS}
        going = {"state": {"type": {"any_": _GOING}}}
        taken = {"work_pools": {"name": {"any_": [pool]}}, "flow_runs": going}
        return Taker(
            pool,
            is_paused=bool(one.get("is_paused")),
            n_workers=len(self.client.post(f"{at}/workers/filter", online)),
            limit=one.get("concurrency_limit"),
            n_taken=int(self.client.post("flow_runs/count", taken)),
            queue=queue,
            queue_limit=line.get("concurrency_limit"),
            n_queue_taken=int(line.get("active_slots") or 0),
            is_queue_paused=bool(line.get("is_paused")),
            is_queue_polled=line.get("status") != "NOT_READY",
        )
