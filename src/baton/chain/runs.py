"""What a Prefect server says of runs and events, as what is known of a chain.

Pure functions of the server's JSON. Asking for it belongs in ``tasks.platform.server``, showing it
in ``baton.cli.show`` and ``serving.pages``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from baton.chain.events import (
    DatasetReady,
    DriftDetected,
    Event,
    EventName,
    ModelDecided,
    ModelEvaluated,
    ModelPromoted,
    ModelRejected,
    NotebookReady,
    PredictionsMonitored,
    PredictionsReady,
    RowsMonitored,
    Stage,
    labels_in,
)
from baton.chain.manifest import EMITTED_BY, PLAIN, Manifest

BEGAN_LABEL = "baton.began"
"""Label of a flow run: when its first line ran."""

CANCELLED_LABEL = "baton.cancelled"
"""Label of a flow run: somebody cancelled it, whatever its runner may say of its end."""

INPUT_ERROR_LABEL = "baton.input-error"
"""Label of a flow run: the mistake in the user's input that it failed on."""

SEEN_LABEL = "baton.seen"
"""Label of a flow run: its last sign of life, for those who cannot see its lock."""

DEATHS_LABEL = "baton.deaths"
"""Label of a flow run: times that its own process died."""

IN_VAIN_LABEL = "baton.announced-in-vain"
"""Label of a flow run: times that no stage followed what it announced."""

SKIPPED = "Skipped"
"""Name of the state of a run that completed without doing anything: nothing is to follow it."""

OPEN_TAG = "open"
"""Tag of a flow run that was not seen to be followed by the next stage, or to be the last."""

SCHEDULED_TAG = "auto-scheduled"
"""Tag that Prefect gives to a flow run that a schedule began."""

_ANNOUNCED = re.compile(r"announced (baton\.[a-z.]+)$")

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
"""Types of the states that a run stays in; one that crashed is begun again, or failed then."""

_ALWAYS_FIRST = frozenset({Stage.GENERATE, Stage.PREDICT})
FIRST = _ALWAYS_FIRST | {Stage.TUNE, Stage.TRAIN}
"""Stages that may begin a chain."""

_GONE_WRONG = ENDED - {"COMPLETED"}
_GOING = frozenset({"RUNNING", "PENDING", "SCHEDULED"})
_MOST_LISTED = 20

Json = dict[str, Any]
E = TypeVar("E", bound=Event)
F = TypeVar("F", bound=Event)


@dataclass(frozen=True)
class StageRun:
    """What is known of one stage of a chain."""

    stage: Stage
    state: str = "WAITING"
    flow_run_id: str | None = None
    began: datetime | None = None
    ended: datetime | None = None
    hop_seconds: float | None = None
    is_cached: bool = False
    message: str = ""
    input_error: str = ""
    """The mistake in the user's input, if it failed on one."""
    percent: float | None = None
    """How far it is, if it says so."""
    progress: str = ""
    """How far it is, in words."""
    created_by: str = ""
    """What made the run, in Prefect's words: SCHEDULE, AUTOMATION; empty for a person."""
    since: datetime | None = None
    """When it came into its state."""
    pool: str = ""
    """Work pool whose workers take it; empty for a serve process."""
    due: datetime | None = None
    """When it is to begin, of one that is scheduled."""

    def seconds(self, now: datetime) -> float | None:
        """Seconds from its first line to its end, or to now."""
        return ((self.ended or now) - self.began).total_seconds() if self.began else None


@dataclass(frozen=True)
class ChainRun:
    """What is known of one chain."""

    id: str
    problem: str
    stages: tuple[StageRun, ...]
    evaluated: ModelEvaluated | None = None
    decided: ModelDecided | None = None
    predicted: PredictionsReady | None = None
    monitored: RowsMonitored | None = None
    noted: NotebookReady | None = None
    ready: DatasetReady | None = None

    @property
    def state(self) -> str:
        """COMPLETED when every stage is, FAILED when one cannot be, CANCELLED, PAUSED; or RUNNING.

        PAUSED is a chain that waits for a person's approval.
        """
        states = {run.state for run in self.stages}
        if states == {"COMPLETED"}:
            return "COMPLETED"
        if states & _GONE_WRONG:
            return "CANCELLED" if states & _GONE_WRONG == {"CANCELLED"} else "FAILED"
        return "PAUSED" if "PAUSED" in states and not states & _GOING else "RUNNING"

    @property
    def failure(self) -> str:
        """Why it failed, in one line; empty if it did not."""
        for run in self.stages:
            if run.state in {*_GONE_WRONG, "CRASHED"}:
                reason = _one_line(run.message) or run.state.lower()
                return f"stage {run.stage.value} {run.state.lower()}: {reason}"
        return ""

    @property
    def input_error(self) -> str:
        """The mistake in the user's input, if that is why it failed."""
        return next((run.input_error for run in self.stages if run.input_error), "")


@dataclass(frozen=True)
class Begun:
    """A chain that began."""

    chain_id: str
    problem: str
    since: datetime
    stage: Stage = Stage.GENERATE
    """The stage that began it."""
    labels: Mapping[str, str] = field(default_factory=lambda: PLAIN)
    """Labels of its events: the stages that it asked for."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Of the run that began it."""
    planned: datetime | None = None
    """When that run was to start: a schedule's was made long before."""


def announcement(event: EventName, *, cached: bool) -> str:
    """What the state of a completed run says: what it announced, and whether it was made before."""
    return f"{'already there; ' if cached else ''}announced {event.value}"


def announced_in(message: str) -> EventName | None:
    """Event that a completed run announced, by what its state says; None if it announced none.

    Examples
    --------
    >>> announced_in(announcement(EventName.MODEL_TRAINED, cached=True))
    <EventName.MODEL_TRAINED: 'baton.model.trained'>
    >>> announced_in("there is no model yet")
    """
    found = _ANNOUNCED.search(message)
    return EventName(found[1]) if found and found[1] in list(EventName) else None


def id_begun_by(run_id: str) -> str:
    """Id of the chain that the flow run of this id begins."""
    return run_id.replace("-", "")[:12]


def chain_id_of(tags: Iterable[str], parameters: Mapping[str, Any]) -> str:
    """Id of the chain that a run belongs to; empty if it did not come far enough to say.

    Parameters
    ----------
    tags : iterable of str
    parameters : mapping of str to Any
        A run that waits to start has no tags yet, but the payload of the event before.
    """
    for tag in tags:
        if tag.startswith("chain:"):
            return tag.partition(":")[2]
    payloads = (value for value in parameters.values() if isinstance(value, dict))
    return next((str(value["chain"]) for value in payloads if "chain" in value), "")


def chain_id_of_run(run: Json) -> str:
    """Id of the chain that a run belongs to, or that it begins."""
    return chain_id_of(run["tags"], run["parameters"]) or id_begun_by(run["id"])


def latest(
    runs: Iterable[Json], flows: Mapping[str, str], beginning: str = "", *, is_begun: bool = True
) -> list[Begun]:
    """Latest chains whose id begins so, by the first run of each; at most 20 of all.

    Parameters
    ----------
    runs : iterable of dict
        Runs of stages, the youngest first.
    flows : mapping of str to str
        Names of the stages' flows by id.
    beginning : str
    is_begun : bool
        Whether a run that a schedule has made for later is of no chain yet.
    """
    first: dict[str, Begun] = {}
    for run in runs:
        chain_id = chain_id_of_run(run)
        if chain_id.startswith(beginning) and not (is_begun and _is_planned(run)):
            first[chain_id] = _begun_by(run, chain_id, Stage(flows[run["flow_id"]]))
    return list(first.values())[: None if beginning else _MOST_LISTED]


def _is_planned(run: Json) -> bool:
    """Tell whether a run is one of those that a schedule has made for later."""
    return run["state_type"] == "SCHEDULED" and SCHEDULED_TAG in run["tags"]


def _begun_by(run: Json, chain_id: str, stage: Stage) -> Begun:
    since = time_of(run["created"]) or datetime.now(UTC)
    labels = labels_in(run["parameters"]) or PLAIN
    given = run["parameters"]
    planned = time_of(run.get("expected_start_time")) or since
    return Begun(chain_id, problem_of(given), since, stage, labels, given, planned)


def begun(runs: Iterable[Json], flows: Mapping[str, str], chain_id: str) -> Begun | None:
    """One chain, by the first of its runs, whether that was taken yet or not; None if none is its.

    Parameters
    ----------
    runs : iterable of dict
        Runs of stages, those of other chains among them.
    flows : mapping of str to str
        Names of the stages' flows by id.
    chain_id : str
    """
    mine = [run for run in runs if chain_id_of_run(run) == chain_id]
    first = min(mine, key=lambda run: str(run["created"]), default=None)
    return _begun_by(first, chain_id, Stage(flows[first["flow_id"]])) if first else None


def beginning(
    runs: Iterable[Json], flows: Mapping[str, str], known: Collection[str] = ()
) -> list[Begun]:
    """Chains by the runs that begin them, in their order, but for those that are known already.

    A run of `train` or `tune` begins one where no event started it. What is scheduled for later
    has not begun.

    Parameters
    ----------
    runs : iterable of dict
        Runs of stages.
    flows : mapping of str to str
        Names of the stages' flows by id.
    known : collection of str
        Ids of chains.
    """
    found: dict[str, Begun] = {}
    for run in runs:
        chain_id, stage = chain_id_of_run(run), Stage(flows[run["flow_id"]])
        is_later = "auto-scheduled" in run["tags"] and run["state_type"] == "SCHEDULED"
        is_first = stage in _ALWAYS_FIRST or _creator(run) != "AUTOMATION"
        if stage in FIRST and is_first and not is_later and chain_id not in {*known, *found}:
            found[chain_id] = _begun_by(run, chain_id, stage)
    return list(found.values())


def _creator(run: Json) -> str:
    return str((run.get("created_by") or {}).get("type") or "")


def begun_by_arrival(event: Json) -> Begun:
    """Chain that data which arrived has begun, or was to."""
    payload = event["payload"]
    since = time_of(event["occurred"]) or datetime.now(UTC)
    stage = Stage.PREDICT if payload.get("predict") else Stage.GENERATE
    labels = labels_in({"event": payload}) or PLAIN
    return Begun(payload["chain"], payload["problem"], since, stage, labels)


def problem_of(parameters: Mapping[str, Any]) -> str:
    """Name of the problem that a run is about, by its parameters; empty if they do not say."""
    for value in parameters.values():
        if isinstance(value, dict) and "problem" in value:
            return str(value["problem"])
    return str(parameters.get("problem", ""))


def of_chain(
    chain_id: str, found: Iterable[Json], flows: Mapping[str, str]
) -> dict[Stage, list[Json]]:
    """Runs of one chain by stage, the oldest first.

    Parameters
    ----------
    chain_id : str
    found : iterable of dict
        Runs of stages, those of other chains among them; a run may be there twice.
    flows : mapping of str to str
        Names of the stages' flows by id.
    """
    mine = {run["id"]: run for run in found if chain_id_of_run(run) == chain_id}
    stages: dict[Stage, list[Json]] = {}
    for run in sorted(mine.values(), key=lambda run: str(run["created"])):
        stages.setdefault(Stage(flows[run["flow_id"]]), []).append(run)
    return stages


def stages_with(stages: Iterable[Stage], found: Mapping[Stage, list[Json]]) -> list[Stage]:
    """Return the stages that a chain has: those that ran, and those that may yet.

    A chain that was closed has no others: one that ended under an earlier prefect.yaml does not
    wait for the stages that have come since. Nor does one whose run was skipped.

    Parameters
    ----------
    stages : iterable of Stage
        Of the present prefect.yaml.
    found : mapping of Stage to list of dict
        Runs of the chain.
    """
    runs = [run for mine in found.values() for run in mine]
    is_closed = bool(runs) and all(_is_closed(run) for run in runs)
    return [stage for stage in stages if stage in found or not is_closed]


def _is_closed(run: Json) -> bool:
    """Tell whether a run completed and nothing is to follow it, or no more."""
    is_followed = OPEN_TAG in run["tags"] and run["state_name"] != SKIPPED
    return run["state_type"] == "COMPLETED" and not is_followed


def stage_run(stage: Stage, runs: Sequence[Json]) -> StageRun:
    """What is known of a stage by its runs, the oldest first: one that completed counts."""
    if not runs:
        return StageRun(stage)
    run = counting(runs)
    state, labels = run["state"], run["labels"]
    has_failed = run["state_type"] == "FAILED"
    was_cancelled = run["state_type"] == "CRASHED" and labels.get(CANCELLED_LABEL)
    return StageRun(
        stage,
        state="CANCELLED" if was_cancelled else run["state_type"],
        flow_run_id=run["id"],
        began=time_of(labels.get(BEGAN_LABEL)),
        ended=time_of(state["timestamp"]) if run["state_type"] in ENDED else None,
        is_cached=run["state_name"] == "Cached",
        message=state.get("message") or "",
        input_error=_one_line(labels.get(INPUT_ERROR_LABEL, "")) if has_failed else "",
        created_by=_creator(run),
        since=time_of(state["timestamp"]),
        pool=run.get("work_pool_name") or "",
        due=time_of(run.get("next_scheduled_start_time")),
    )


def counting(runs: Sequence[Json]) -> Json:
    """Return the run of a stage that counts, of those there are, the oldest first."""
    completed = [run for run in runs if run["state_type"] == "COMPLETED"]
    return (completed or runs)[-1]


def are_told(chain: ChainRun, names: Collection[str]) -> bool:
    """Tell whether each stage that announced something is among those that these events are of."""
    completed = [run for run in chain.stages if run.state == "COMPLETED"]
    announced = {run.stage for run in completed if announced_in(run.message)}
    return announced <= {stage for event, stage in EMITTED_BY.items() if event.value in names}


def with_events(chain: ChainRun, events: list[Json], manifest: Manifest) -> ChainRun:
    """Add what only the events tell: the time of each hop, and what was made.

    Parameters
    ----------
    chain : ChainRun
    events : list of dict
        The chain's, the oldest first.
    manifest : Manifest
    """
    return replace(
        chain,
        stages=tuple(_with_hop(run, manifest, events) for run in chain.stages),
        evaluated=_last(events, ModelEvaluated),
        decided=_either(events, ModelPromoted, ModelRejected),
        predicted=_last(events, PredictionsReady),
        monitored=_either(events, PredictionsMonitored, DriftDetected),
        noted=_last(events, NotebookReady),
        ready=_last(events, DatasetReady),
    )


def _last(events: list[Json], kind: type[E]) -> E | None:
    """Return the last event of a kind, if there is one that this version of Baton understands."""
    payloads = [event["payload"] for event in events if event["event"] == kind.event]
    try:
        return kind.model_validate(payloads[-1]) if payloads else None
    except ValidationError:
        return None


def _either(events: list[Json], one: type[E], other: type[F]) -> E | F | None:
    """Return the last event of two kinds of which a stage announces either."""
    kinds: dict[str, type[E] | type[F]] = {one.event.value: one, other.event.value: other}
    said = [event for event in events if event["event"] in kinds]
    return _last(said, kinds[said[-1]["event"]]) if said else None


def _with_hop(run: StageRun, manifest: Manifest, events: list[Json]) -> StageRun:
    if run.began is None:
        return run
    times = _times_of(_starting(run.stage, manifest), events)
    before = [at for at in times if at <= run.began]
    if not before:
        return run
    return replace(run, hop_seconds=(run.began - max(before)).total_seconds())


def _starting(stage: Stage, manifest: Manifest) -> set[str]:
    """Names of the events that start a stage."""
    emitted = EMITTED_BY.items()
    return {event.value for event, before in emitted if stage in manifest.successors(before)}


def _times_of(names: Collection[str], events: list[Json]) -> list[datetime]:
    times = (time_of(event["occurred"]) for event in events if event["event"] in names)
    return [at for at in times if at]


def time_of(text: Any) -> datetime | None:
    """Time that a server gives; None if it gives none."""
    return datetime.fromisoformat(str(text).replace("Z", "+00:00")) if text else None


def _one_line(text: Any) -> str:
    return " ".join(str(text).split())
