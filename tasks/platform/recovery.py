"""Taking up what a crash left: runs without a process, subflows without a parent, lost events.

What becomes of each is decided in ``baton.chain.recovery``; what should have come and did not is
looked for in ``tasks.platform.freshness``. A run is mended by being begun
again: its stage finds what was made already and announces it again. A look costs what is
unfinished, not what is past: a few requests where nothing is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID, uuid5

from filelock import FileLock, Timeout
from prefect import task
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    TaskRunFilter,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from pydantic import ValidationError

from baton.chain.events import TRIAL, Stage, labels_in
from baton.chain.manifest import PLAIN, Manifest
from baton.chain.recovery import (
    AHEAD,
    FORGOTTEN,
    SILENCE,
    SILENCE_OF_CONTAINER,
    SILENCE_ON_WORKER,
    UNHEARD,
    Action,
    Run,
    Subflow,
    Verdict,
    abandoned,
    answered,
    judge,
    orphaned,
    unanswered,
    unheard,
)
from baton.chain.runs import (
    CANCELLED_LABEL,
    DEATHS_LABEL,
    IN_VAIN_LABEL,
    OPEN_TAG,
    SCHEDULED_TAG,
    SEEN_LABEL,
    announced_in,
    chain_id_of,
    id_begun_by,
    problem_of,
)
from baton.settings import settings
from tasks.platform import api
from tasks.platform.events import access, tell_failure
from tasks.platform.freshness import tell_late
from tasks.platform.locks import sweep
from tasks.platform.stage import (
    HOME_LABEL,
    chain_failed,
    end_start,
    home_id,
    is_alive,
    most_memory,
)

log = logging.getLogger(__name__)

RESTARTS_LABEL = "baton.restarts"
"""Label of a flow run: times that it was begun again for another's fault."""

_STAGES = [stage.value for stage in Stage]
_GOING = {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}
_PAGE = 200
_SECONDS_OF_DOUBT = 2.0
"""Time in which a runner reports the end of a process that it saw."""
_EVENT_BEFORE_STATE = timedelta(minutes=2)
_TRANSITIONS = UUID("0f4f3f5e-6a52-5f0e-9d0b-6f1f6c8b8f55")


def recover(chain: Manifest, alone_since: datetime | None = None) -> list[str]:
    """Begin again, or give up with a reason, whatever will not go on by itself; tell what is late.

    Parameters
    ----------
    chain : Manifest
        Says which stage follows which event.
    alone_since : datetime, optional
        When the one serve process of the server began, if there is but one.

    Returns
    -------
    list of str
        Names of the runs that something was done about, and of the deployments that are late.
    """
    with _alone_in_home() as is_alone, get_client(sync_client=True) as client:
        if not is_alone:
            return []
        with asking() as posting:
            server = _Server(client, posting)
            mended = [
                *_take_up(server, alone_since),
                *_end_subflows(server),
                *_hand_on(server, chain),
                *tell_late(chain, posting),
            ]
        sweep(settings().locks, time.time())
        return mended


def asking() -> api.Client:
    """Client that asks once: what was seen before a wait may not be so after it."""
    return api.Client(access(), waits=())


@task(name="recover", persist_result=False)
def recover_once(chain: Manifest) -> list[str]:
    """Begin again, or give up with a reason, whatever will not go on by itself."""
    return recover(chain)


@contextmanager
def _alone_in_home() -> Iterator[bool]:
    """One look at a time: the serve processes of one home see the same locks."""
    place = settings().locks / "recovery.lock"
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(place, timeout=0):
            yield True
    except Timeout:
        yield False


@dataclass
class _Server:
    """What is asked of the server, and what it is told."""

    client: SyncPrefectClient
    posting: api.Client

    def runs(self, conditions: dict[str, Any], flows: list[str] | None = None) -> list[FlowRun]:
        """Every run that meets the conditions, the oldest first."""
        found: list[FlowRun] = []
        while True:
            page = self.client.read_flow_runs(
                flow_filter=FlowFilter(name=FlowFilterName(any_=flows)) if flows else None,
                flow_run_filter=FlowRunFilter.model_validate(conditions),
                sort=FlowRunSort.EXPECTED_START_TIME_ASC,
                limit=_PAGE,
                offset=len(found),
            )
            found += page
            if len(page) < _PAGE:
                return found

    @cached_property
    def stage_of(self) -> dict[UUID, str]:
        """Names of the stages' flows by id."""
        flows = FlowFilter(name=FlowFilterName(any_=[*_STAGES, TRIAL]))
        return {flow.id: flow.name for flow in self.client.read_flows(flow_filter=flows)}

    def start_within(self, run: FlowRun) -> timedelta:
        """Longest that a run may take until it holds its lock, by what takes it."""
        if run.work_pool_name is None:
            return SILENCE
        return (
            SILENCE_ON_WORKER if run.work_pool_name in self._of_processes else SILENCE_OF_CONTAINER
        )

    @cached_property
    def _of_processes(self) -> set[str]:
        """Names of the work pools whose workers start processes of their machine."""
        return {one.name for one in self.client.read_work_pools() if one.type == "process"}

    def is_as_seen(self, run: FlowRun) -> bool:
        """Tell whether a run is still in the state in which it was looked at."""
        now = self.client.read_flow_run(run.id).state
        return now is not None and run.state is not None and now.id == run.state.id

    def move(self, run: FlowRun, kind: str, name: str, message: str) -> bool:
        """Move a run on from the state in which it was seen; tell whether that was done.

        Two who see the same state ask for the same transition, which the server makes once.
        """
        seen = run.state
        if seen is None or not self.is_as_seen(run):
            return False
        details = {
            "scheduled_time": datetime.now(UTC).isoformat() if kind == "SCHEDULED" else None,
            "transition_id": str(uuid5(_TRANSITIONS, f"{seen.id}")),
        }
        state = {"type": kind, "name": name, "message": message, "state_details": details}
        try:
            answer = self.posting.post(f"flow_runs/{run.id}/set_state", {"state": state})
        except api.UnavailableError as error:
            log.warning("%s: %s; looked at again", run.name, error)
            return False
        is_done: bool = answer["status"] == "ACCEPT"
        if is_done:
            log.warning("%s: %s", run.name, message)
        return is_done

    def label(self, run: FlowRun, **labels: int) -> None:
        self.client.update_flow_run_labels(run.id, dict(labels))


def _take_up(server: _Server, alone_since: datetime | None) -> list[str]:
    """Settle what becomes of the runs that crashed or have no process any more."""
    recent = (datetime.now(UTC) - FORGOTTEN).isoformat()
    crashed = {"state": {"type": {"any_": ["CRASHED"]}}, "end_time": {"after_": recent}}
    found = [
        *server.runs({"state": _GOING}, [*_STAGES, TRIAL]),
        *server.runs(crashed, _STAGES),
        *_due_far_ahead(server),
    ]
    runs = {str(run.id): run for run in found if run.deployment_id}
    if not runs:
        return []
    now = datetime.now(UTC)
    gone = abandoned(_seen(server, runs.values()), home_id(), is_alive, now, alone_since)
    if any(run.state != "CRASHED" for run in gone):
        time.sleep(_SECONDS_OF_DOUBT)  # a runner that saw its end is about to say how it ended
    verdicts = (judge(run, most_memory(run.id)) for run in gone)
    return [runs[v.run.id].name for v in verdicts if _carry_out(server, v, runs[v.run.id])]


def _due_far_ahead(server: _Server) -> list[FlowRun]:
    """Runs that wait for a time ahead, and not by a schedule."""
    ahead = (datetime.now(UTC) + AHEAD).isoformat()
    conditions = {
        "state": {"type": {"any_": ["SCHEDULED"]}},
        "next_scheduled_start_time": {"after_": ahead},
    }
    found = server.runs(conditions, [*_STAGES, TRIAL])
    return [run for run in found if SCHEDULED_TAG not in run.tags]


def _carry_out(server: _Server, verdict: Verdict, run: FlowRun) -> bool:
    if is_alive(verdict.run.id):  # asleep until a time far ahead; as it ended, it is begun again
        end_start(verdict.run.id)
        return True
    match verdict.action:
        case Action.CANCEL:
            return server.move(run, "CANCELLED", "Cancelled", verdict.reason)
        case Action.GIVE_UP:
            return _give_up(server, run, verdict.reason)
    is_begun = server.move(run, "SCHEDULED", "AwaitingRetry", verdict.reason)
    if is_begun:
        counts = {DEATHS_LABEL: verdict.attempts, RESTARTS_LABEL: verdict.restarts}
        server.label(run, **counts)
    return is_begun


def _give_up(server: _Server, run: FlowRun, reason: str, *, is_unheard: bool = False) -> bool:
    """Fail a run, and announce that its chain did: first, lest an end here forget it."""
    if not server.is_as_seen(run):
        return False
    name = server.stage_of[run.flow_id]
    if name in _STAGES:
        chain = chain_id_of(run.tags, run.parameters) or id_begun_by(str(run.id))
        problem = problem_of(run.parameters)
        try:
            event = chain_failed(str(run.id), name, problem, chain, reason, is_unheard=is_unheard)
        except ValidationError:
            log.warning("%s: it does not say what it is about", run.name)
        else:
            tell_failure(event, run.run_count)
    return server.move(run, "FAILED", "Failed", reason)


def _end_subflows(server: _Server) -> list[str]:
    """Crash the subflows that a parent's end left going."""
    inside = {"parent_task_run_id": {"is_null_": False}, "deployment_id": {"is_null_": True}}
    found = {str(run.id): run for run in server.runs({"state": _GOING, **inside})}
    if not found:
        return []
    parents = _parents_of(server, found.values())
    ours = [run for run in found.values() if HOME_LABEL in _labels(parents.get(run.id))]
    lost = orphaned(_inside(run, parents[run.id]) for run in ours)
    reason = "the run that it was part of ended"
    is_done = [server.move(found[one.id], "CRASHED", "Crashed", reason) for one in lost]
    return [found[one.id].name for one, done in zip(lost, is_done, strict=True) if done]


def _parents_of(server: _Server, runs: Iterable[FlowRun]) -> dict[UUID, FlowRun]:
    """Run by whose process each of these was begun; without those that are gone."""
    tasks = {run.parent_task_run_id: run.id for run in runs if run.parent_task_run_id}
    wanted = TaskRunFilter.model_validate({"id": {"any_": [str(one) for one in tasks]}})
    found = server.client.read_task_runs(task_run_filter=wanted)
    above = {one.flow_run_id for one in found if one.flow_run_id}
    parents = server.runs({"id": {"any_": [str(one) for one in above]}}) if above else []
    by_id = {run.id: run for run in parents}
    return {tasks[t.id]: by_id[t.flow_run_id] for t in found if t.flow_run_id in by_id}


def _inside(run: FlowRun, parent: FlowRun) -> Subflow:
    began = run.state.timestamp if run.state else datetime.now(UTC)
    state, now = parent.state, datetime.now(UTC)
    kind, since = (state.type.value, state.timestamp) if state else ("", now)
    return Subflow(str(run.id), began, kind, since)


def _hand_on(server: _Server, chain: Manifest) -> list[str]:
    """Announce again what no stage followed, and close what nothing is left to be done about."""
    done = {"state": {"type": {"any_": ["COMPLETED"]}}, "tags": {"all_": [OPEN_TAG]}}
    runs = {str(run.id): run for run in server.runs(done, _STAGES)}
    if not runs:
        return []
    first = min(run.since for run in _seen(server, runs.values())) - _EVENT_BEFORE_STATE
    later = server.runs({"expected_start_time": {"after_": first.isoformat()}}, _STAGES)
    around = {str(run.id): run for run in later} | runs
    seen, now = list(_seen(server, around.values())), datetime.now(UTC)

    def followers(run: Run) -> list[tuple[str, Stage]]:
        event = announced_in(run.message)
        return chain.followers(event, run.chain, run.labels) if event else []

    for one in answered(seen, followers):
        if one.id in runs:
            _close(server, runs[one.id])
    for one in unheard(seen, followers, now):
        if one.id in runs:
            _give_up(server, runs[one.id], UNHEARD, is_unheard=True)
    lost = [one for one in unanswered(seen, followers, now) if one.id in runs]
    return [runs[one.id].name for one in lost if _announce_again(server, one, runs[one.id])]


def _close(server: _Server, run: FlowRun) -> None:
    server.client.update_flow_run(run.id, tags=sorted({*run.tags} - {OPEN_TAG}))


def _announce_again(server: _Server, seen: Run, run: FlowRun) -> bool:
    reason = "no stage followed; announced again"
    is_begun = server.move(run, "SCHEDULED", "AwaitingRetry", reason)
    if is_begun:
        server.label(run, **{IN_VAIN_LABEL: seen.attempts + 1})
    return is_begun


def _seen(server: _Server, runs: Iterable[FlowRun]) -> Iterator[Run]:
    for run in runs:
        state, labels = run.state, _labels(run)
        kind = state.type.value if state else ""
        counted = IN_VAIN_LABEL if kind == "COMPLETED" else DEATHS_LABEL
        yield Run(
            id=str(run.id),
            stage=server.stage_of[run.flow_id],
            chain=chain_id_of(run.tags, run.parameters),
            state=kind,
            since=state.timestamp if state else datetime.now(UTC),
            home=str(labels.get(HOME_LABEL, "")),
            attempts=int(labels.get(counted, 0)),
            labels=labels_in(run.parameters) or PLAIN,
            message=(state and state.message) or "",
            seen=datetime.fromisoformat(labels[SEEN_LABEL]) if SEEN_LABEL in labels else None,
            restarts=int(labels.get(RESTARTS_LABEL, 0)),
            start_within=server.start_within(run),
            is_cancelled=CANCELLED_LABEL in labels,
        )


def _labels(run: FlowRun | None) -> dict[str, Any]:
    return dict(run.labels) if run else {}
