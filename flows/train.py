"""The stage that fits and registers a problem's model."""

from typing import Any

from prefect import flow
from prefect.client.schemas import State

from baton.contracts import DatasetReady, ModelTrained, Stage
from baton.problems import Split
from tasks.data import features_of, read_rows
from tasks.events import announce
from tasks.stage import exclusive, stage
from tasks.tracking import find_version, register
from tasks.training import fit_model, model_key, parameters_of


@flow(name=Stage.TRAIN.value)
async def train(data: DatasetReady) -> State[Any]:
    """Fit the problem's model, register it and announce it."""
    with stage(Stage.TRAIN, data.problem, data.chain):
        key = model_key(data)
        with exclusive(f"model-{key}"):
            found = find_version(data.problem, key)
            cached = found is not None
            if found is None:
                rows = read_rows(data, Split.TRAIN)
                fitted = fit_model(rows, data)
                params = parameters_of(fitted, data)
                found = register(fitted, data, key, params, features_of(rows.head(), data))
        trained = ModelTrained(chain=data.chain, problem=data.problem, data=data, model=found)
        return announce(trained, cached=cached)
