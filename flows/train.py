"""The stage that fits and registers a problem's model, the best of several if so asked."""

from asyncio import gather
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.client.schemas import State

from baton.chain.events import DatasetReady, Stage
from tasks.comparison import (
    ComparisonPlan,
    answer_out_of_fold,
    compare_candidates,
    percent,
    plan_comparison,
    said,
)
from tasks.platform.events import announce
from tasks.platform.progress import begin_progress, show_progress
from tasks.platform.stage import stage
from tasks.platform.threads import in_thread
from tasks.training import TrainingPlan, fit_model, model_trained, register_model


@flow(name="candidate", flow_run_name="candidate {name} {data.problem}")
async def candidate(data: DatasetReady, name: str) -> None:
    """Let one candidate answer the training rows out of fold."""
    await in_thread(answer_out_of_fold, ComparisonPlan(data).of(name))


async def take_turns(plan: ComparisonPlan, left: Iterator[str], artifact: UUID) -> None:
    """Try the candidates that are left and expected to end in time, one after the other."""
    for name in left:
        if plan.is_in_time(name):
            await candidate(plan.data, name)
            await show_progress(artifact, percent(plan), said(plan))


async def compare(plan: ComparisonPlan) -> None:
    """Try the candidates, some at the same time, each in a subflow of its own; rank them."""
    artifact = await begin_progress(Stage.TRAIN, plan.data.chain, said(plan))
    left = iter([one.name for one in plan.candidates])
    await gather(*(take_turns(plan, left, artifact) for _ in range(plan.at_once)))
    await in_thread(compare_candidates, plan)


@flow(name=Stage.TRAIN.value)
async def train(data: DatasetReady) -> State[Any]:
    """Fit the problem's model, register it and announce it."""
    with stage(Stage.TRAIN, data.problem, data.chain):
        comparison = plan_comparison(data)
        plan = TrainingPlan(data, comparison)
        with plan.lock:
            cached = plan.is_done
            if not cached:
                if comparison:
                    await compare(comparison)
                register_model(plan, fit_model(plan))
        return announce(model_trained(plan), cached=cached)
