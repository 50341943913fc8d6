"""The stage that scores a model on the rows held out and explains it, in parallel subflows."""

from asyncio import gather
from typing import Any

from prefect import flow
from prefect.client.schemas import State

from baton.chain.events import ModelTrained, Stage
from tasks.evaluation import (
    EvaluationPlan,
    bench,
    permutation_table,
    predict_held_out,
    profile_table,
    sample_table,
    score,
    shap_global_table,
    shap_local_table,
)
from tasks.platform.events import announce
from tasks.platform.stage import stage
from tasks.platform.threads import in_thread
from tasks.reporting import ReportPlan, model_evaluated, remember, show, write_artifacts


@flow(name="performance", flow_run_name="performance {trained.problem}")
async def performance(trained: ModelTrained) -> None:
    """Answer how good the model is, and keep what the rows look like that it knows."""
    plan = EvaluationPlan(trained)
    await in_thread(predict_held_out, plan)
    await in_thread(score, plan)
    await in_thread(profile_table, plan)
    await in_thread(sample_table, plan)


@flow(name="importance", flow_run_name="importance {trained.problem}")
async def importance(trained: ModelTrained) -> None:
    """Answer what drives the model overall."""
    plan = EvaluationPlan(trained)
    await in_thread(permutation_table, plan)
    await in_thread(shap_global_table, plan)


@flow(name="explanations", flow_run_name="explanations {trained.problem}")
async def explanations(trained: ModelTrained) -> None:
    """Answer what drove each single row."""
    await in_thread(shap_local_table, EvaluationPlan(trained))


async def side_by_side(trained: ModelTrained) -> None:
    """Answer all of it at the same time."""
    await gather(performance(trained), importance(trained), explanations(trained))


@flow(name=Stage.EVALUATE.value)
async def evaluate(trained: ModelTrained) -> State[Any]:
    """Score and explain the model on held-out rows, show it and announce it."""
    with stage(Stage.EVALUATE, trained.problem, trained.chain):
        plan = ReportPlan(EvaluationPlan(trained))
        with plan.lock:
            cached = plan.is_done
            if not cached:
                with bench(trained) as shared:
                    if not plan.evaluation.is_done:
                        await side_by_side(trained)
                    show(plan, shared)
        found = model_evaluated(plan)
        write_artifacts(found)
        remember(found)
        return announce(found, cached=cached)
