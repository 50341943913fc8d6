"""The stage that predicts new rows with a problem's champion."""

from typing import Any

from prefect import flow
from prefect.client.schemas import State

from baton.chain.events import ModelRef, PredictionOrder, PredictionsReady, Stage
from baton.errors import NoModelError
from tasks.periods import Period, period_of
from tasks.platform.events import announce
from tasks.platform.stage import skipped, stage
from tasks.platform.threads import in_thread
from tasks.prediction import plan_prediction, predict_new_rows, predictions_ready, read_new_rows


@flow(name=Stage.PREDICT.value)
async def predict(
    problem: str = "",
    parameters: dict[str, Any] | None = None,
    version: int | None = None,
    order: PredictionOrder | None = None,
    period: str = "",
    is_past: bool = False,
) -> State[Any]:
    """Predict rows whose target nobody knows and announce the answer.

    An event that begins the chain says by `order` which. A `period` is predicted once, whoever is
    the champion later. A scheduled run before there is a model is skipped; one that was asked for
    fails.
    """
    if order:
        problem, parameters = order.problem, order.parameters
    given, model = parameters or {}, order.model if order else version
    with stage(Stage.PREDICT, problem, order.chain if order else "") as chain:
        try:
            asked = period_of(problem, given, period, model)
            if asked is None:
                ready, cached = await predicted(problem, given, model, chain)
            else:
                ready, cached = await predicted_once(asked, problem, model, chain)
        except NoModelError as error:
            return skipped(error)
        return announce(ready.model_copy(update={"is_past": is_past}), cached=cached)


async def predicted(
    problem: str, parameters: dict[str, Any], model: ModelRef | int | None, chain: str
) -> tuple[PredictionsReady, bool]:
    """Answer to the rows that these parameters mean, and whether it was there already."""
    plan = plan_prediction(problem, parameters, model, chain)
    with plan.lock:
        cached = plan.is_done
        if not cached:
            await in_thread(predict_new_rows, plan, read_new_rows(plan))
    return predictions_ready(plan), cached


async def predicted_once(
    asked: Period, problem: str, model: ModelRef | int | None, chain: str
) -> tuple[PredictionsReady, bool]:
    """Answer to the rows of a period, and whether it was kept already."""
    with asked.lock:
        if ready := asked.kept(chain):
            return ready, True
        ready, cached = await predicted(problem, asked.parameters, model, chain)
        ready = ready.model_copy(update={"period": asked.name})
        asked.keep(ready)
        return ready, cached
