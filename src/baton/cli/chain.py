"""Following one chain on a Prefect server: start it, watch its stages, gather what it made.

Showing it to people belongs in ``baton.cli.show``.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from baton.chain.events import (
    TRIAL,
    Event,
    EventName,
    ModelEvaluated,
    ModelRef,
    NotebookReady,
    PredictionsReady,
    Stage,
    labels_in,
    progress_key,
)
from baton.chain.manifest import EMITTED_BY, PLAIN, Manifest
from baton.errors import InputError
from baton.lineage import lineage_of
from baton.settings import Settings

_SECONDS_BETWEEN_LOOKS = 0.4
_EVENTS_SECONDS = 15.0
_CANCEL_SECONDS = 5.0
_WAITS = (0.25, 0.5, 1.0, 2.0)
"""Seconds between attempts at a server whose database is busy."""

_SILENCE = timedelta(seconds=90)
_MISSES = 10
"""Looks in a row that a server may fail to answer."""

_ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
_INPUT_ERROR = re.compile(r"\b(?:InputError|NoModelError|SecretOutOfReachError): ")

Json = dict[str, Any]
E = TypeVar("E", bound=Event)

NOTHING: Json = {
    "metrics": {},
    "intervals": {},
    "model": None,
    "results": {},
    "report": None,
    "notebook": None,
}
"""What a chain has made before it ends."""


@dataclass(frozen=True)
class StageRun:
    """What is known of one stage of a chain."""

    stage: Stage
    state: str = "WAITING"
    flow_run_id: str | None = None
    began: datetime | None = None
    ended: datetime | None = None
    hop_seconds: float | None = None
    cached: bool = False
    message: str = ""
    percent: float | None = None
    """How far it is, if it says so."""
    progress: str = ""
    """How far it is, in words."""

    def seconds(self, now: datetime) -> float | None:
        """Seconds from its first line to its end, or to now."""
        return (self.ended or now).timestamp() - self.began.timestamp() if self.began else None


@dataclass(frozen=True)
class ChainRun:
    """What is known of one chain."""

    chain: str
    problem: str
    stages: tuple[StageRun, ...]
    evaluated: ModelEvaluated | None = None
    predicted: PredictionsReady | None = None
    noted: NotebookReady | None = None

    @property
    def state(self) -> str:
        """COMPLETED when every stage is; FAILED when one cannot be any more; else RUNNING."""
        states = {run.state for run in self.stages}
        if states == {"COMPLETED"}:
            return "COMPLETED"
        return "FAILED" if states & {"FAILED", "CRASHED", "CANCELLED"} else "RUNNING"

    @property
    def failure(self) -> str:
        """Why it failed, in one line; empty if it did not."""
        for run in self.stages:
            if run.state in {"FAILED", "CRASHED", "CANCELLED"}:
                reason = " ".join(run.message.split()) or run.state.lower()
                return f"stage {run.stage.value} {run.state.lower()}: {reason}"
        return ""

    @property
    def input_error(self) -> str:
        """The mistake in the user's input, if that is why it failed."""
        for run in self.stages:
            found = _INPUT_ERROR.search(run.message) if run.state == "FAILED" else None
            if found:
                return " ".join(run.message[found.end() :].split())
        return ""

    def report(self, settings: Settings) -> Json:
        """Return the chain as `baton run --json` prints it."""
        now = datetime.now(UTC)
        content: Json = {
            "chain": self.chain,
            "problem": self.problem,
            "state": "COMPLETED" if self.state == "COMPLETED" else "FAILED",
            "stages": [
                {
                    "stage": run.stage.value,
                    "state": run.state,
                    "flow_run_id": run.flow_run_id,
                    "seconds": _rounded(run.seconds(now)),
                    "hop_seconds": _rounded(run.hop_seconds),
                    "cached": run.cached,
                }
                for run in self.stages
            ],
            **NOTHING,
        }
        if self.evaluated:
            content |= _made(self.evaluated, settings)
        if self.evaluated and self.evaluated.data.study:
            content["search"] = _searched(settings.results / self.evaluated.data.study.key)
        if self.predicted:
            content |= _predicted(self.predicted, settings)
        if self.noted:
            content["notebook"] = str(settings.results / self.noted.page.key)
        if self.failure:
            content["error"] = self.input_error or self.failure
        return content


def _searched(table: Path) -> Json:
    """What the table of trials says of the search; less where it is on another machine."""
    if not table.is_file():
        return {}
    import pyarrow.parquet as pq

    facts = lineage_of(pq.read_schema(table))
    best = {"trial": facts["best"], facts["metric"]: facts["value"], "params": facts["params"]}
    return {
        "study": facts["study"],
        "n_trials": pq.read_metadata(table).num_rows,
        "best": best,
    }


def _predicted(ready: PredictionsReady, settings: Settings) -> Json:
    return {
        "model": _model(ready.model),
        "results": {
            "new_rows": str(settings.results / ready.raw.key),
            "new_predictions": str(settings.results / ready.predictions.key),
        },
        "n_rows": ready.predictions.n_rows,
    }


def _model(model: ModelRef) -> Json:
    content: Json = model.model_dump(include={"name", "version", "run_id"})
    return content | {"uri": model.uri}


def _made(evaluated: ModelEvaluated, settings: Settings) -> Json:
    return {
        "metrics": evaluated.scores,
        "intervals": {name: list(ends) for name, ends in evaluated.intervals.items()},
        "model": _model(evaluated.model),
        "results": {
            name: str(settings.results / table.key) for name, table in evaluated.tables.items()
        },
        "report": str(settings.results / evaluated.report.key),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


@dataclass(frozen=True)
class Begun:
    """What the first run of a chain says of it."""

    chain: str
    problem: str
    since: datetime
    stage: Stage
    labels: dict[str, str]
    """Labels of its events."""


@dataclass
class Server:
    """A Prefect server, asked over its REST interface."""

    api: str
    auth: tuple[str, str] | None = None
    key: str = ""
    client: httpx.Client = field(init=False)
    flows: dict[str, str] = field(init=False, default_factory=dict)
    """Names of the stages' flows by id, once all of them are there."""

    def __post_init__(self) -> None:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        self.client = httpx.Client(
            base_url=self.api.rstrip("/") + "/",
            headers=headers,
            auth=self.auth,
            timeout=30,
            verify=self.api.startswith("https:"),
        )

    def post(self, path: str, content: Json) -> Any:
        """Post to the server and return its answer; one that is busy is asked again."""
        for wait in _WAITS:
            try:
                response = self.client.post(path, json=content)
            except httpx.TransportError:
                time.sleep(wait)
            else:
                if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    break
                time.sleep(wait)
        else:
            response = self.client.post(path, json=content)
        response.raise_for_status()
        return response.json()

    def deployment(self, flow: str, name: str) -> Json | None:
        """Deployment of that name, if there is one."""
        response = self.client.get(f"deployments/name/{flow}/{name}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        response.raise_for_status()
        content: Json = response.json()
        return content

    def stage_flows(self) -> dict[str, str]:
        """Names of the stages' flows by id."""
        if len(self.flows) < len(Stage):
            wanted = {"flows": {"name": {"any_": [stage.value for stage in Stage]}}}
            self.flows = {flow["id"]: flow["name"] for flow in self.post("flows/filter", wanted)}
        return self.flows

    def begin(self, chain: Manifest, problem: str, parameters: Json, options: Json) -> str:
        """Start a chain and return its id."""
        entry = chain.generator_of(problem) or chain.deployments[0]
        given = {"problem": problem, "parameters": parameters, "options": options}
        return self.start(entry.flow_name, entry.name, given)

    def start(self, flow: str, name: str, parameters: Json) -> str:
        """Start a run of a deployment and return the id of the chain that it begins.

        Raises
        ------
        InputError
            If the deployment is not there.
        """
        found = self.deployment(flow, name)
        if found is None:
            raise InputError(
                f"deployment {flow}/{name} is not on {self.api};"
                " start `baton up` or `prefect deploy --all` there"
            )
        once = {"parameters": parameters, "idempotency_key": str(uuid.uuid4())}
        run = self.post(f"deployments/{found['id']}/create_flow_run", once)
        return str(run["id"]).replace("-", "")[:12]

    def runs_of(self, chain: str, since: datetime) -> list[Json]:
        """Stage runs of a chain, those that have not begun included, oldest first."""
        flows = self.stage_flows()
        tagged = {"tags": {"all_": [f"chain:{chain}"]}}
        fresh = {
            "state": {"type": {"not_any_": ["COMPLETED"]}},
            "expected_start_time": {"after_": since.isoformat()},
        }
        runs: dict[str, Json] = {}
        for conditions in (fresh, tagged):
            found = self.post(
                "flow_runs/filter",
                {
                    "flows": {"id": {"any_": list(flows)}},
                    "flow_runs": conditions,
                    "sort": "EXPECTED_START_TIME_DESC",
                    "limit": 200,
                },
            )
            mine = [run for run in found if _chain_of(run) == chain]
            runs |= {run["id"]: run | {"stage": flows[run["flow_id"]]} for run in mine}
        return sorted(runs.values(), key=lambda run: str(run["created"]))

    def progress_of(self, chain: str) -> tuple[float, str]:
        """How far a chain's search is, in per cent and in words; 0 before it says so."""
        wanted = {"key": {"any_": [progress_key(chain)]}}
        found = self.post("artifacts/filter", {"artifacts": wanted, "limit": 1})
        if not found:
            return 0.0, ""
        return float(found[0]["data"] or 0.0), str(found[0]["description"] or "")

    def events_of(self, chain: str) -> list[Json]:
        """Events of a chain, oldest first."""
        conditions = {
            "event": {"name": [name.value for name in EventName]},
            "resource": {"labels": {"baton.chain": chain}},
            "occurred": {"since": (datetime.now(UTC) - timedelta(days=7)).isoformat()},
        }
        found = self.post("events/filter", {"filter": conditions, "limit": 50})
        return sorted(found["events"], key=lambda event: str(event["occurred"]))

    def chains(self, beginning: str = "") -> list[Begun]:
        """Latest chains whose id begins so, by the first run of each."""
        flows = self.stage_flows()
        conditions = {"flows": {"id": {"any_": list(flows)}}, "sort": "EXPECTED_START_TIME_DESC"}
        first: dict[str, Begun] = {}
        for run in self.post("flow_runs/filter", conditions | {"limit": 200}):
            chain = _chain_of(run)
            if chain.startswith(beginning) and run["state_type"] != "SCHEDULED":
                first[chain] = Begun(
                    chain,
                    _problem_of(run),
                    _time(run["created"]) or datetime.now(UTC),
                    Stage(flows[run["flow_id"]]),
                    labels_in(run["parameters"]) or PLAIN,
                )
        return list(first.values())[: None if beginning else 20]

    def cancel(self, chain: str) -> None:
        """Cancel what is still going of a chain: its runner is asked first, then not any more.

        It gives up in the end: what the user interrupts must not keep him waiting.
        """
        since = datetime.now(UTC) - timedelta(days=1)
        end = time.monotonic() + _CANCEL_SECONDS
        while going := [r for r in self.runs_of(chain, since) if r["state_type"] not in _ENDED]:
            if (left := end - time.monotonic()) < -_CANCEL_SECONDS:
                return
            for run in going:
                if left < 0 or run["state_type"] in {"SCHEDULED", "PENDING"}:
                    self._set_state(run, "Cancelled")
                elif run["state_type"] != "CANCELLING":
                    self._set_state(run, "Cancelling")
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        for run in self._trials_of(chain):
            self._set_state(run, "Cancelled")

    def _trials_of(self, chain: str) -> list[Json]:
        """Trials of a chain that are not over."""
        conditions = {
            "tags": {"all_": [f"chain:{chain}"]},
            "state": {"type": {"not_any_": sorted(_ENDED)}},
        }
        wanted = {"flows": {"name": {"any_": [TRIAL]}}, "flow_runs": conditions}
        found: list[Json] = self.post("flow_runs/filter", wanted | {"limit": 200})
        return found

    def _set_state(self, run: Json, name: str) -> None:
        state = {"type": name.upper(), "name": name, "message": "interrupted by the user"}
        self.post(f"flow_runs/{run['id']}/set_state", {"state": state, "force": True})

    def reconcile(self) -> None:
        """Have the chain's lost events handed on again."""
        found = self.deployment("reconcile", "reconcile")
        if found:
            self.post(f"deployments/{found['id']}/create_flow_run", {})


def _problem_of(run: Json) -> str:
    for value in run["parameters"].values():
        if isinstance(value, dict) and "problem" in value:
            return str(value["problem"])
    return str(run["parameters"].get("problem", ""))


def _chain_of(run: Json) -> str:
    for tag in run["tags"]:
        if tag.startswith("chain:"):
            return str(tag.partition(":")[2])
    for value in run["parameters"].values():
        if isinstance(value, dict) and "chain" in value:
            return str(value["chain"])
    return str(run["id"]).replace("-", "")[:12]


def look(
    server: Server, stages: Iterable[Stage], chain: str, problem: str, since: datetime
) -> ChainRun:
    """See how far a chain is, in the stages it has."""
    runs = server.runs_of(chain, since)
    seen = [_stage_run(stage, runs) for stage in stages]
    return ChainRun(chain, problem, tuple(_with_progress(server, chain, run) for run in seen))


def _with_progress(server: Server, chain: str, run: StageRun) -> StageRun:
    if run.stage is not Stage.TUNE or run.state != "RUNNING":
        return run
    percent, said = server.progress_of(chain)
    return replace(run, percent=percent, progress=said)


def _stage_run(stage: Stage, runs: list[Json]) -> StageRun:
    mine = [run for run in runs if run["stage"] == stage]
    if not mine:
        return StageRun(stage)
    completed = [run for run in mine if run["state_type"] == "COMPLETED"]
    run = (completed or mine)[-1]
    state = run["state"]
    return StageRun(
        stage,
        state=run["state_type"],
        flow_run_id=run["id"],
        began=_time(run["labels"].get("baton.began")),
        ended=_time(state["timestamp"]) if run["state_type"] in _ENDED else None,
        cached=run["state_name"] == "Cached",
        message=state.get("message") or "",
    )


def _time(text: Any) -> datetime | None:
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None


def follow(
    server: Server,
    manifest: Manifest,
    chain: str,
    problem: str,
    *,
    first: Stage = Stage.GENERATE,
    labels: Mapping[str, str] = PLAIN,
    tell: Callable[[ChainRun], None],
    check: Callable[[], None],
) -> ChainRun:
    """Watch a chain to its end.

    Parameters
    ----------
    server : Server
    manifest : Manifest
    chain, problem : str
    first : Stage
        The stage that begins it.
    labels : mapping of str to str
        Labels of its events: the stages it asked for.
    tell : callable
        Told of the chain after every look.
    check : callable
        Called at every look; raises if going on is of no use.
    """
    stages = manifest.stages(first, labels)
    since = datetime.now(UTC) - timedelta(minutes=1)
    moved, last, misses = datetime.now(UTC), "", 0
    while True:
        check()
        try:
            seen = look(server, stages, chain, problem, since)
            misses = 0
        except httpx.HTTPError:
            misses += 1
            if misses > _MISSES:
                raise
            time.sleep(1.0)
            continue
        tell(seen)
        if seen.state != "RUNNING":
            return with_events(server, manifest, seen)
        now = datetime.now(UTC)
        states = ",".join(run.state for run in seen.stages)
        if states != last:
            moved, last = now, states
        elif now - moved > _SILENCE and "RUNNING" not in states:
            server.reconcile()
            moved = now
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def with_events(server: Server, manifest: Manifest, seen: ChainRun) -> ChainRun:
    """Add what only the events tell: the time of each hop, and what was made."""
    wanted = {event for event, stage in EMITTED_BY.items() if _completed(seen, stage)}
    end = time.monotonic() + _EVENTS_SECONDS
    while True:  # a server writes events a moment after it acknowledged them
        events = server.events_of(seen.chain)
        if wanted <= {event["event"] for event in events} or time.monotonic() > end:
            break
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    stages = tuple(_with_hop(run, manifest, events) for run in seen.stages)
    return ChainRun(
        seen.chain,
        seen.problem,
        stages,
        _last(events, ModelEvaluated),
        _last(events, PredictionsReady),
        _last(events, NotebookReady),
    )


def _last(events: list[Json], kind: type[E]) -> E | None:
    """Return the last event of a kind, if there is one that this version of Baton understands."""
    payloads = [event["payload"] for event in events if event["event"] == kind.event]
    try:
        return kind.model_validate(payloads[-1]) if payloads else None
    except ValidationError:
        return None


def _completed(seen: ChainRun, stage: Stage) -> bool:
    return any(run.stage is stage and run.state == "COMPLETED" for run in seen.stages)


def _with_hop(run: StageRun, manifest: Manifest, events: list[Json]) -> StageRun:
    starting = {
        event for event, stage in EMITTED_BY.items() if run.stage in manifest.successors(stage)
    }
    times = [_time(event["occurred"]) for event in events if event["event"] in starting]
    before = [at for at in times if at and run.began and at <= run.began]
    if not before or run.began is None:
        return run
    hop = (run.began - max(before)).total_seconds()
    return replace(run, hop_seconds=hop)
