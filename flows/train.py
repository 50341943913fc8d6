"""The stage that fits and registers a problem's model, the best of several if so asked."""

from asyncio import gather
from typing import Any

from prefect import flow
from prefect.client.schemas import State

from baton.chain.events import DatasetReady, ModelTrained, Stage, TableRef
from tasks.data import example_of
from tasks.platform.events import announce
from tasks.platform.results import require
from tasks.platform.stage import exclusive, stage
from tasks.platform.threads import aside
from tasks.platform.tracking import find_version, register
from tasks.training import (
    chosen,
    compare_families,
    comparison_key,
    cross_validate,
    fit_model,
    model_key,
    parameters_of,
)


@flow(name="candidate", flow_run_name="candidate {name} {data.problem}")
async def candidate(data: DatasetReady, name: str) -> None:
    """Score one family on folds of the training rows."""
    await aside(cross_validate, data, name, key=comparison_key(data, f"candidate_{name}"))


async def comparison(data: DatasetReady) -> TableRef | None:
    """Score the families to be compared at the same time, each in a subflow of its own."""
    names = data.options.compare
    if not names:
        return None
    await gather(*(candidate(data, name) for name in names))
    key = comparison_key(data, "comparison")
    await aside(compare_families, data, names, key=key)
    return require(key)


@flow(name=Stage.TRAIN.value)
async def train(data: DatasetReady) -> State[Any]:
    """Fit the problem's model, register it and announce it."""
    with stage(Stage.TRAIN, data.problem, data.chain):
        key = model_key(data)
        with exclusive(f"model-{key}"):
            compared = await comparison(data)
            found = find_version(data.problem, key)
            cached = found is not None
            if found is None:
                fitted = fit_model(data, chosen(data, compared))
                params = parameters_of(fitted, data)
                found = register(fitted, data, key, params, example_of(data))
        trained = ModelTrained(
            chain=data.chain, problem=data.problem, data=data, model=found, comparison=compared
        )
        return announce(trained, cached=cached)
