"""The stage that predicts new rows with a problem's champion."""

from typing import Any

from prefect import flow
from prefect.client.schemas import State

from baton.chain.events import Stage
from baton.errors import NoModelError
from tasks.platform.events import announce
from tasks.platform.stage import skipped, stage
from tasks.platform.threads import in_thread
from tasks.prediction import plan_prediction, predict_new_rows, predictions_ready, read_new_rows


@flow(name=Stage.PREDICT.value)
async def predict(
    problem: str, parameters: dict[str, Any] | None = None, version: int | None = None
) -> State[Any]:
    """Predict rows whose target nobody knows and announce the answer.

    A scheduled run before there is a model is skipped; one that was asked for fails.
    """
    with stage(Stage.PREDICT, problem) as chain:
        try:
            plan = plan_prediction(problem, parameters or {}, version, chain)
        except NoModelError as error:
            return skipped(error)
        with plan.lock:
            cached = plan.is_done
            if not cached:
                await in_thread(predict_new_rows, plan, read_new_rows(plan))
        return announce(predictions_ready(plan), cached=cached)
