"""The stage that scores a model on the rows held out."""

from typing import Any

from prefect import flow
from prefect.client.schemas import State

from baton.contracts import ModelEvaluated, ModelTrained, Stage
from tasks.evaluation import as_dict, evaluation_folder, predict_rows, score, write_artifacts
from tasks.events import announce
from tasks.results import exists, require
from tasks.stage import exclusive, stage
from tasks.tracking import load_model, log_metrics


@flow(name=Stage.EVALUATE.value)
async def evaluate(trained: ModelTrained) -> State[Any]:
    """Score the model on held-out rows, show the score and announce it."""
    with stage(Stage.EVALUATE, trained.problem, trained.chain):
        place = evaluation_folder(trained)
        predictions_key, metrics_key = f"{place}/predictions.parquet", f"{place}/metrics.parquet"
        with exclusive(place):
            cached = exists(metrics_key)
            model = load_model(trained.model)
            predictions = predict_rows(model, trained, key=predictions_key)
            scores = as_dict(score(predictions, model, trained, key=metrics_key))
            if not cached:
                log_metrics(trained.model, scores)
        write_artifacts(trained, scores)
        evaluated = ModelEvaluated(
            **trained.model_dump(),
            predictions=require(predictions_key),
            metrics=require(metrics_key),
            scores=scores,
        )
        return announce(evaluated, cached=cached)
