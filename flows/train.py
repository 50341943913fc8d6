"""The stage that fits and registers a problem's model, the best of several if so asked."""

from asyncio import gather
from typing import Any

from prefect import flow
from prefect.client.schemas import State

from baton.chain.events import DatasetReady, Stage
from tasks.comparison import ComparisonPlan, compare_families, cross_validate, plan_comparison
from tasks.platform.events import announce
from tasks.platform.stage import stage
from tasks.platform.threads import in_thread
from tasks.training import TrainingPlan, fit_model, model_trained, register_model


@flow(name="candidate", flow_run_name="candidate {name} {data.problem}")
async def candidate(data: DatasetReady, name: str) -> None:
    """Score one family on folds of the training rows."""
    await in_thread(cross_validate, ComparisonPlan(data), name)


async def compare(plan: ComparisonPlan) -> None:
    """Score the families at the same time, each in a subflow of its own."""
    await gather(*(candidate(plan.data, name) for name in plan.names))
    await in_thread(compare_families, plan)


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
