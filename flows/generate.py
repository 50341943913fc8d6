"""The stage that makes a problem's tables."""

from typing import Any

from prefect import flow
from prefect.client.schemas import State

from baton.chain.events import DatasetOrder, Stage
from baton.terms import Options
from tasks.checking import ChecksPlan, check_data, dataset_checked
from tasks.data import dataset_ready, make_in_whole, plan_dataset
from tasks.pieces import make_in_pieces
from tasks.platform.events import announce
from tasks.platform.stage import stage
from tasks.platform.threads import in_thread


@flow(name=Stage.GENERATE.value)
async def generate(
    problem: str = "",
    parameters: dict[str, Any] | None = None,
    options: Options | None = None,
    order: DatasetOrder | None = None,
) -> State[Any]:
    """Make a problem's raw and feature tables, check and announce them.

    An event that begins the chain says by `order` what is to be made.
    """
    if order:
        problem, parameters, options = order.problem, order.parameters, order.options
    with stage(Stage.GENERATE, problem, order.chain if order else "") as chain:
        plan = plan_dataset(problem, parameters, options, chain, is_newer=order is not None)
        with plan.lock:
            cached = plan.is_done
            if not cached:
                await in_thread(make_in_pieces if plan.pieces else make_in_whole, plan)
            checks = ChecksPlan(dataset_ready(plan))
            if not checks.is_done:
                cached = False
                await in_thread(check_data, checks)
        return announce(dataset_checked(checks), cached=cached)
