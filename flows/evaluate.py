"""The stage that scores a model on the rows held out and explains it, in parallel subflows."""

from asyncio import gather
from typing import Any

from prefect import flow
from prefect.client.schemas import State

from baton.chain.events import ModelTrained, Stage
from tasks.evaluation import (
    bench,
    bench_of,
    evaluated,
    keys_of,
    permutation_table,
    predict_rows,
    score,
    shap_global_table,
    shap_local_table,
)
from tasks.platform.events import announce
from tasks.platform.stage import exclusive, stage
from tasks.platform.threads import aside
from tasks.platform.tracking import log_evaluation
from tasks.reporting import remember, write_artifacts, write_report


@flow(name="performance", flow_run_name="performance {trained.problem}")
async def performance(trained: ModelTrained) -> None:
    """Answer how good the model is."""
    keys = keys_of(trained)
    await bench_of(trained).together()
    await aside(predict_rows, trained, key=keys["predictions"])
    await aside(score, trained, key=keys["metrics"])


@flow(name="importance", flow_run_name="importance {trained.problem}")
async def importance(trained: ModelTrained) -> None:
    """Answer what drives the model overall."""
    keys = keys_of(trained)
    await bench_of(trained).together()
    await aside(permutation_table, trained, key=keys["permutation_importance"])
    await aside(shap_global_table, trained, key=keys["shap_global"])


@flow(name="explanations", flow_run_name="explanations {trained.problem}")
async def explanations(trained: ModelTrained) -> None:
    """Answer what drove each single row."""
    await bench_of(trained).together()
    await aside(shap_local_table, trained, key=keys_of(trained)["shap_local"])


@flow(name=Stage.EVALUATE.value)
async def evaluate(trained: ModelTrained) -> State[Any]:
    """Score and explain the model on held-out rows, show it and announce it."""
    with stage(Stage.EVALUATE, trained.problem, trained.chain):
        keys = keys_of(trained)
        with exclusive(keys.folder):
            cached = keys.exist
            if not cached:
                with bench(trained) as shared:
                    await gather(performance(trained), importance(trained), explanations(trained))
                    pictures = write_report(shared)
                    log_evaluation(evaluated(trained), pictures)
                keys.mark.touch()
        found = evaluated(trained)
        write_artifacts(found)
        remember(found)
        return announce(found, cached=cached)
