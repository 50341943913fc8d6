"""The stage that predicts new rows with a problem's newest model."""

from typing import Any

from prefect import flow
from prefect.client.schemas import State

from baton.chain.events import Stage
from baton.errors import NoModelError
from tasks.platform.events import announce
from tasks.platform.results import exists
from tasks.platform.stage import exclusive, skipped, stage
from tasks.platform.threads import aside
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
            job = plan_prediction(problem, parameters or {}, version, chain)
        except NoModelError as error:
            return skipped(error)
        with exclusive(job.folder):
            cached = exists(job.key)
            rows = read_new_rows(job, key=job.raw_key)
            await aside(predict_new_rows, rows, job, key=job.key)
        return announce(predictions_ready(job), cached=cached)
