"""The stage that searches a model's hyperparameters, in parallel trials of one study."""

from asyncio import Semaphore, gather
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas import State

from baton.chain.events import DatasetReady, Stage
from baton.terms import Engine
from flows.trial import trial
from tasks.platform.cluster import task_runner
from tasks.platform.events import announce
from tasks.platform.progress import begin_progress, show_progress
from tasks.platform.stage import stage
from tasks.platform.threads import in_thread
from tasks.reporting import show_search
from tasks.tuning import (
    SearchPlan,
    is_in_time,
    keep_trials,
    on_worker,
    percent,
    plan_search,
    plan_trials,
    said,
    study_finished,
    try_trial,
)


@flow(name="trials on dask")
async def on_dask(plan: SearchPlan, left: list[int], artifact: UUID) -> None:
    """Run trials as tasks on the cluster of this flow's task runner."""
    for done in [try_trial.submit(plan, number) for number in left]:
        await in_thread(done.wait)
        await show_progress(artifact, percent(plan), said(plan))


async def run_trials(plan: SearchPlan) -> None:
    """Run the trials that are not over, where the chain asks for it."""
    left = plan_trials(plan)
    artifact = await begin_progress(Stage.TUNE, plan.data.chain, said(plan))
    if plan.engine is Engine.DASK:
        with task_runner(plan.at_once) as runner:
            await on_dask.with_options(task_runner=runner)(plan, left, artifact)
    else:
        await side_by_side(plan, left, artifact)


async def side_by_side(plan: SearchPlan, left: list[int], artifact: UUID) -> None:
    """Run trials as subflows here, or as runs that workers take, so many at a time."""
    gate = Semaphore(plan.at_once)

    async def run(number: int) -> None:
        async with gate:
            if is_in_time(plan):
                await (on_worker if plan.engine is Engine.WORKERS else trial)(plan.data, number)
                await show_progress(artifact, percent(plan), said(plan))

    await gather(*(run(number) for number in left))


@flow(name=Stage.TUNE.value)
async def tune(data: DatasetReady) -> State[Any]:
    """Search the model's hyperparameters and announce the best."""
    with stage(Stage.TUNE, data.problem, data.chain):
        plan = plan_search(data)
        with plan.lock:
            cached = plan.is_done
            if not cached:
                await run_trials(plan)
                show_search(plan)
                await in_thread(keep_trials, plan)
        return announce(study_finished(plan), cached=cached)
