"""What the command and the pages ask of a Prefect server, and what they have it do.

How a server is reached belongs in ``tasks.platform.api``, what its answers mean in
``baton.chain.runs``.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from baton.chain import log_lines, runs, status
from baton.chain.events import TRIAL, Stage, progress_key
from baton.chain.log_lines import Level, Line, Source
from baton.chain.manifest import PLAIN, Manifest
from baton.chain.runs import CANCELLED_LABEL, ENDED, Begun, ChainRun, Json, StageRun
from baton.chain.status import Status
from baton.chain.taking import nobody
from baton.errors import InputError
from baton.terms import Options
from tasks.platform.orders import Asked
from tasks.platform.reading import Reader

_SECONDS_BETWEEN_LOOKS = 0.4
_ASK_SECONDS = 3.0
"""How long a runner is asked to cancel a run, before the run is said to be cancelled."""
_CANCEL_SECONDS = 5.0
_CLOCKS_DIFFER = timedelta(minutes=1)
"""Of machines; and a run is expected to start a moment before it was created."""
_MOST_RUNS = 200
_EVENTS_KEPT = timedelta(days=7)
_MOST_LINES = 200
"""Lines of a log that are looked at."""


def is_own_line(line: Json) -> bool:
    """Tell whether a line of a log was written by a stage, or tells of trouble."""
    is_of_prefect = str(line["name"]).startswith("prefect")
    return not is_of_prefect or int(line["level"]) >= logging.WARNING


def _oldest(found: Iterable[Json]) -> datetime:
    """When the first of these runs was made; if there is none, since when one may be awaited."""
    made = (datetime.fromisoformat(run["created"]) for run in found)
    return min(made, default=datetime.now(UTC) - _EVENTS_KEPT)


def _until(then: datetime) -> Json:
    """Conditions of runs that were to start before then, which Prefect would include."""
    last = then - timedelta(microseconds=1)
    return {"expected_start_time": {"before_": last.isoformat()}}


@dataclass(frozen=True)
class Order:
    """A chain that is asked for."""

    problem: str
    stage: Stage
    """The stage that is to begin it."""
    parameters: Json
    """Of that stage's flow."""
    labels: Mapping[str, str] = field(default_factory=lambda: PLAIN)
    """Labels of its events: the stages that it asks for."""
    chain_id: str = ""
    """Its id, if the parameters name one; else that of the run that begins it."""

    @classmethod
    def of(cls, asked: Asked) -> Self:
        """Order of what was asked for: a data set of a problem's."""
        problem = asked.problem.name
        content = {"parameters": asked.parameters, "options": asked.options}
        labels = Options.model_validate(asked.options).labels
        return cls(problem, asked.stage, {"problem": problem, **content}, labels)


@dataclass
class Server(Reader):
    """A Prefect server that serves the chain."""

    def begin(self, order: Order, manifest: Manifest) -> Begun:
        """Start a chain.

        Raises
        ------
        InputError
            If no such deployment is served.
        """
        since = datetime.now(UTC)
        flow = name = order.stage.value
        if order.stage is Stage.GENERATE:
            entry = manifest.generator_of(order.problem) or manifest.deployments[0]
            flow, name = entry.flow_name, entry.name
        run_id = self._start(flow, name, order.parameters)
        chain_id = order.chain_id or runs.id_begun_by(run_id)
        return Begun(chain_id, order.problem, since, order.stage, order.labels)

    def _start(self, flow: str, name: str, parameters: Json) -> str:
        found = self._deployment(flow, name)
        if found is None:
            raise InputError(
                f"deployment {flow}/{name} is not on {self.client.access.address};"
                " start `baton up` or `baton deploy` there"
            )
        once = {"parameters": parameters, "idempotency_key": str(uuid.uuid4())}
        run = self.client.post(f"deployments/{found['id']}/create_flow_run", once)
        return str(run["id"])

    def _deployment(self, flow: str, name: str) -> Json | None:
        found: Json | None = self.client.find(f"deployments/name/{flow}/{name}")
        return found

    def resume(self, begun: Begun, stage: Stage, said: Json) -> None:
        """Give a suspended stage of a chain what a person answers.

        Raises
        ------
        InputError
            If somebody else has answered meanwhile.
        """
        runs_of = self.runs_of(begun)
        paused = [run for run in runs_of.get(stage, []) if run["state_type"] == "PAUSED"]
        answer: Json = {}
        if paused:
            answer = self.client.post(f"flow_runs/{paused[0]['id']}/resume", {"run_input": said})
        if answer.get("status") != "ACCEPT":
            reason = answer.get("details", {}).get("reason", "it was answered meanwhile")
            raise InputError(f"chain {begun.chain_id} could not be answered: {reason}")

    def reconcile(self) -> None:
        """Have the chain's lost events handed on again."""
        found = self._deployment("reconcile", "reconcile")
        if found:
            self.client.post(f"deployments/{found['id']}/create_flow_run", {})

    def look(self, begun: Begun, stages: Iterable[Stage]) -> ChainRun:
        """See how far a chain is, in the stages it has."""
        return self.seen(begun, stages, self.runs_about(begun))

    def statuses(self, manifest: Manifest, beginning: str = "") -> list[Status]:
        """Latest chains whose id begins so, at a glance: in a few requests, however many."""
        begun = self.latest(beginning)
        among = self.runs_about(*begun) if begun else []
        statuses = []
        for one in begun:
            found = runs.of_chain(one.chain_id, among, self.stage_flows())
            seen = self._seen(one, manifest.stages(one.stage, one.labels), found)
            statuses.append(status.of_chain(seen, one, found))
        return statuses

    def find(self, chain_id: str) -> tuple[Begun, list[Json]] | None:
        """One chain, with its runs; None if the server knows none of this id."""
        found = self.stage_runs({"tags": {"all_": [f"chain:{chain_id}"]}})
        found += self.stage_runs(self._untagged(_oldest(found)))
        begun = runs.begun(found, self.stage_flows(), chain_id)
        return (begun, found) if begun else None

    def seen(self, begun: Begun, stages: Iterable[Stage], found: Iterable[Json]) -> ChainRun:
        """How far a chain is, by runs that were found."""
        mine = runs.of_chain(begun.chain_id, found, self.stage_flows())
        return self._seen(begun, stages, mine)

    def _seen(
        self, begun: Begun, stages: Iterable[Stage], found: Mapping[Stage, list[Json]]
    ) -> ChainRun:
        own = runs.stages_with(stages, found)
        told = (runs.stage_run(stage, found.get(stage, [])) for stage in own)
        going = tuple(self._with_progress(begun.chain_id, run) for run in told)
        return ChainRun(begun.chain_id, begun.problem, going)

    def chains(self, before: datetime, most: int) -> list[Begun]:
        """Chains that began before then, the latest first, at most so many."""
        found: list[Begun] = []
        while len(found) < most:
            page = self.stage_runs(_until(before), {one.value for one in runs.FIRST})
            known = [one.chain_id for one in found]
            found += runs.beginning(page, self.stage_flows(), known)
            if len(page) < _MOST_RUNS:
                break
            before = datetime.fromisoformat(page[-1]["expected_start_time"])
        return found[:most]

    def runs_of_chains(self, begun: Iterable[Begun]) -> list[Json]:
        """Runs of some chains, and of others, that tell how far each is."""
        chains = list(begun)
        if not chains:
            return []
        tagged = {"tags": {"any_": [f"chain:{one.chain_id}" for one in chains]}}
        fresh = self._untagged(min(one.since for one in chains))
        return self.stage_runs(tagged) + self.stage_runs(fresh)

    def log_of(self, chain_id: str, most: int) -> list[Json]:
        """Last lines that the runs of a chain have written themselves, the oldest first."""
        of_chain = {"flow_runs": {"tags": {"all_": [f"chain:{chain_id}"]}}, "limit": _MOST_RUNS}
        ids = [run["id"] for run in self.client.post("flow_runs/filter", of_chain)]
        wanted = {"logs": {"flow_run_id": {"any_": ids}}, "sort": "TIMESTAMP_DESC"}
        lines = self.client.post("logs/filter", wanted | {"limit": _MOST_LINES}) if ids else []
        own = [one for one in lines if is_own_line(one)]
        return list(reversed(own[:most]))

    def paused(self, beginning: str = "") -> list[Begun]:
        """Chains whose id begins so and that wait for a person."""
        waiting = self.stage_runs({"state": {"type": {"any_": ["PAUSED"]}}})
        found: list[Begun] = []
        for run in waiting:
            chain_id = runs.chain_id_of_run(run)
            if chain_id.startswith(beginning):
                found += self.tagged(chain_id).values()
        return found

    def asking(self, manifest: Manifest, beginning: str) -> Begun:
        """Chain whose id begins so, if it waits for approval.

        Raises
        ------
        InputError
            If there is none, or several, or it does not wait.
        """
        found = self.paused(beginning) or self.latest(beginning)
        if len(found) != 1:
            what = f"{len(found)} chains begin with" if found else "there is no chain"
            raise InputError(f"{what} {beginning!r}; `baton status` lists them")
        seen = self.look(found[0], manifest.stages(found[0].stage, found[0].labels))
        if seen.state != "PAUSED":
            said = {"RUNNING": "is still running"}.get(seen.state, f"is {seen.state.lower()}")
            raise InputError(f"chain {seen.id} does not wait for approval: it {said}")
        return found[0]

    def events_since(self, since: datetime) -> list[Json]:
        """Events of all chains since then."""
        return self.events({"occurred": {"since": since.isoformat()}})

    def log_sources(self, begun: Begun, known: Mapping[str, Source]) -> dict[str, Source]:
        """Every run of a chain that may say something, by its id, those known before included."""
        mine = {"tags": {"all_": [f"chain:{begun.chain_id}"]}}
        stages = self.runs_of(begun).values()
        found = [run for runs_of in stages for run in runs_of]
        found += self.every("flow_runs/filter", {"flow_runs": mine, "sort": "START_TIME_ASC"})
        fresh = [run for run in found if run["id"] not in known]
        if not fresh:
            return dict(known)
        flows = {"flows": {"id": {"any_": sorted({run["flow_id"] for run in fresh})}}}
        names = {one["id"]: one["name"] for one in self.client.post("flows/filter", flows)}
        return log_lines.sources_of(fresh, names, self._parents(fresh), known)

    def _parents(self, subflows: Iterable[Json]) -> dict[str, str]:
        """Run that began each subflow, by the task run that stands for it there."""
        tasks = self._task_runs(run["parent_task_run_id"] for run in subflows)
        return {one["id"]: one["flow_run_id"] for one in tasks}

    def _task_runs(self, ids: Iterable[str | None]) -> list[Json]:
        wanted, found = sorted({one for one in ids if one}), []
        for begin in range(0, len(wanted), _MOST_RUNS):
            some = {"task_runs": {"id": {"any_": wanted[begin : begin + _MOST_RUNS]}}}
            found += self.client.post("task_runs/filter", some)
        return found

    def log(
        self, sources: Mapping[str, Source], level: Level, since: datetime | None = None
    ) -> list[Line]:
        """Lines that these runs said, of a level or above, in the order of time."""
        if not sources:
            return []
        conditions: Json = {
            "flow_run_id": {"any_": sorted(sources)},
            "level": {"ge_": level.number},
        }
        if since:
            conditions["timestamp"] = {"after_": since.isoformat()}
        found = self.every("logs/filter", {"logs": conditions, "sort": "TIMESTAMP_ASC"})
        tasks = self._task_runs(one["task_run_id"] for one in found)
        names = {one["id"]: one["name"] for one in tasks}
        return [log_lines.line_of(one, sources, names) for one in found]

    def untaken(self, run: StageRun, waited: timedelta) -> str:
        """Say that nobody has taken a run, and who is missing."""
        waiting = self.client.find(f"flow_runs/{run.flow_run_id}")
        served = self.client.find(f"deployments/{waiting.get('deployment_id')}") or {}
        why = nobody(self.taker(waiting, served.get("last_polled")), datetime.now(UTC))
        where = f"{self.client.access.address}: stage {run.stage.value}; {why.reason}: {why.fix}"
        return f"nobody has taken the run for {waited.seconds} s on {where}"

    def cancel(self, begun: Begun, stages: Iterable[Stage]) -> ChainRun:
        """Cancel what is still going of a chain: its runner is asked first, then not any more.

        It gives up in the end: what the user interrupts must not keep him waiting.

        Returns
        -------
        ChainRun
            The chain as it is then.
        """
        began, stages = time.monotonic(), tuple(stages)
        while (waited := time.monotonic() - began) < _CANCEL_SECONDS:
            going = self._going(begun)
            if not going and self.look(begun, stages).state != "RUNNING":
                break  # else it is between two stages: the next one is cancelled
            for run in going:
                self._cancel_run(run, is_asked=waited < _ASK_SECONDS)
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        for run in self._trials_of(begun.chain_id):
            self._set_state(run, "Cancelled")
        return self.look(begun, stages)

    def _going(self, begun: Begun) -> list[Json]:
        since = replace(begun, since=datetime.now(UTC) - timedelta(days=1))
        found = self.runs_of(since)
        return [run for mine in found.values() for run in mine if run["state_type"] not in ENDED]

    def _cancel_run(self, run: Json, *, is_asked: bool) -> None:
        if CANCELLED_LABEL not in run["labels"]:  # its runner may yet say that it crashed
            now = datetime.now(UTC).isoformat()
            self.client.patch(f"flow_runs/{run['id']}/labels", {CANCELLED_LABEL: now})
        if not is_asked or run["state_type"] in {"SCHEDULED", "CRASHED"}:
            self._set_state(run, "Cancelled")
        elif run["state_type"] != "CANCELLING":
            self._set_state(run, "Cancelling")

    def _set_state(self, run: Json, name: str) -> None:
        state = {"type": name.upper(), "name": name, "message": "interrupted by the user"}
        self.client.post(f"flow_runs/{run['id']}/set_state", {"state": state, "force": True})

    def _trials_of(self, chain_id: str) -> list[Json]:
        """Trials of a chain that are not over."""
        conditions = {
            "tags": {"all_": [f"chain:{chain_id}"]},
            "state": {"type": {"not_any_": sorted(ENDED)}},
        }
        wanted = {"flows": {"name": {"any_": [TRIAL]}}, "flow_runs": conditions}
        found: list[Json] = self.client.post("flow_runs/filter", wanted | {"limit": _MOST_RUNS})
        return found

    def _untagged(self, since: datetime) -> Json:
        """Conditions of runs since then that may have no tag of their chain yet, none of later."""
        after, until = since - _CLOCKS_DIFFER, datetime.now(UTC) + _CLOCKS_DIFFER
        return {
            "state": {"type": {"not_any_": ["COMPLETED"]}},
            "expected_start_time": {"after_": after.isoformat(), "before_": until.isoformat()},
        }

    def _with_progress(self, chain_id: str, run: StageRun) -> StageRun:
        """Add how far a search or a comparison is; nothing before it says so."""
        if run.stage not in {Stage.TUNE, Stage.TRAIN} or run.state != "RUNNING":
            return run
        wanted = {"key": {"any_": [progress_key(run.stage, chain_id)]}}
        found = self.client.post("artifacts/filter", {"artifacts": wanted, "limit": 1})
        if not found:
            return run
        percent, said = found[0]["data"], found[0]["description"]
        return replace(run, percent=float(percent or 0.0), progress=str(said or ""))
