"""Taking up what a crash left: runs without a process, events without effect.

Which runs those are is decided in ``baton.chain.recovery``. Both are mended in the same way: the
run is begun again. Its stage finds what was made already and announces it again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prefect import task
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName, FlowRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import AwaitingRetry

from baton.chain.events import TRIAL, Stage, labels_in
from baton.chain.manifest import PLAIN, Manifest
from baton.chain.recovery import Run, abandoned, unanswered
from baton.chain.runs import chain_id_of
from tasks.platform.stage import HOME_LABEL, home_id, is_alive

log = logging.getLogger(__name__)

_STAGES = FlowFilter(name=FlowFilterName(any_=[stage.value for stage in Stage]))
_RESUMED = FlowFilter(name=FlowFilterName(any_=[TRIAL, *(stage.value for stage in Stage)]))
_LOOK_BACK = timedelta(days=2)


def resume_abandoned() -> list[str]:
    """Begin again the stage runs whose process has ended.

    Returns
    -------
    list of str
        Names of the runs.
    """
    going = _runs(_RESUMED, {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}})
    runs = [run for run in going if run.deployment_id]  # a subflow goes on with its parent
    lost = abandoned(map(_seen, runs), home_id(), is_alive, datetime.now(UTC))
    return _begin_again(lost, runs, "its process ended; begun again")


@task(name="hand on again", persist_result=False)
def hand_on_again(manifest: Manifest) -> list[str]:
    """Begin again the completed stage runs that no successor followed.

    Returns
    -------
    list of str
        Names of the runs.
    """
    since = (datetime.now(UTC) - _LOOK_BACK).isoformat()
    runs = _runs(_STAGES, {"start_time": {"after_": since}})
    names = _stage_flows()
    seen = [replace(_seen(run), stage=names[run.flow_id]) for run in runs]

    def successors(run: Run) -> list[Stage]:
        return manifest.successors(Stage(run.stage), run.labels)

    lost = unanswered(seen, successors, datetime.now(UTC))
    return _begin_again(lost, runs, "no stage followed; announced again")


def _runs(flows: FlowFilter, conditions: dict[str, Any]) -> list[FlowRun]:
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(
            flow_filter=flows,
            flow_run_filter=FlowRunFilter.model_validate(conditions),
            sort=FlowRunSort.START_TIME_DESC,
            limit=200,
        )


def _stage_flows() -> dict[UUID, str]:
    with get_client(sync_client=True) as client:
        return {flow.id: flow.name for flow in client.read_flows(flow_filter=_STAGES)}


def _seen(run: FlowRun) -> Run:
    state = run.state
    return Run(
        id=str(run.id),
        stage="",
        chain=chain_id_of(run.tags, run.parameters),
        state=state.type.value if state else "",
        since=state.timestamp if state else datetime.now(UTC),
        home=str(run.labels.get(HOME_LABEL, "")),
        attempts=run.run_count,
        labels=labels_in(run.parameters) or PLAIN,
    )


def _begin_again(lost: Iterable[Run], runs: list[FlowRun], reason: str) -> list[str]:
    names = {str(run.id): run.name for run in runs}
    begun = []
    with get_client(sync_client=True) as client:
        for run in lost:
            now = client.read_flow_run(UUID(run.id)).state
            if now is None or now.type.value != run.state:
                continue  # it went on between the two looks
            client.set_flow_run_state(UUID(run.id), AwaitingRetry(message=reason), force=True)
            log.warning("%s: %s", names[run.id], reason)
            begun.append(names[run.id])
    return begun
