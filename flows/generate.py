"""The stage that makes a problem's tables."""

from typing import Any

from prefect import flow
from prefect.client.schemas import State

from baton.chain.events import Stage
from baton.terms import Options
from tasks.data import dataset_ready, load_raw, make_features, plan_dataset, read_sources
from tasks.platform.events import announce
from tasks.platform.results import exists
from tasks.platform.stage import exclusive, stage


@flow(name=Stage.GENERATE.value)
async def generate(
    problem: str, parameters: dict[str, Any] | None = None, options: Options | None = None
) -> State[Any]:
    """Make a problem's raw and feature tables and announce them."""
    with stage(Stage.GENERATE, problem) as chain:
        plan = plan_dataset(problem, parameters or {}, chain)
        with exclusive(plan.folder):
            cached = exists(plan.features_key)
            raw = load_raw(plan, read_sources(plan), key=plan.raw_key)
            features = make_features(raw, plan, key=plan.features_key)
        return announce(dataset_ready(plan, features, options or Options()), cached=cached)
