"""The stage that decides whether an evaluated model becomes the champion."""

from typing import Any

from prefect import flow
from prefect.client.schemas import State

from baton.chain.decisions import Decision
from baton.chain.events import ModelEvaluated, Stage
from baton.evaluation.gate import Verdict
from tasks.approval import answer_of_person
from tasks.platform.events import announce
from tasks.platform.stage import stage
from tasks.platform.threads import in_thread
from tasks.promotion import (
    PromotionPlan,
    decided,
    model_decided,
    of_one_model,
    plan_promotion,
    show_decision,
    tell_drift,
)


async def settled(plan: PromotionPlan, *, is_asked: bool) -> tuple[Decision, bool]:
    """Decide; where a person is asked, not without an answer, however things change meanwhile."""
    answer = None
    while True:
        with of_one_model(plan.name):
            found: tuple[Decision, bool] | Verdict = await in_thread(
                decided, plan, answer, is_asked=is_asked
            )
        if not isinstance(found, Verdict):
            return found
        answer = await answer_of_person(plan.evaluated, found)


@flow(name=Stage.PROMOTE.value)
async def promote(
    evaluated: ModelEvaluated, gate: dict[str, Any] | None = None, approve: bool = False
) -> State[Any]:
    """Compare a challenger with the champion on the same rows and move the alias if it is better.

    `gate` says what it must show: metric, margin, confidence, floor, guard, allow_leak. With
    `approve`, here or in the chain's options, the run is suspended until a person has answered.
    """
    with stage(Stage.PROMOTE, evaluated.problem, evaluated.chain):
        plan = plan_promotion(evaluated, gate or {})
        decision, cached = await settled(plan, is_asked=approve or evaluated.data.options.approve)
        page = show_decision(plan, decision)
        tell_drift(plan, decision)
        return announce(model_decided(plan, decision, page), cached=cached)
