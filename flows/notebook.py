"""The stage that runs a notebook on what an evaluation made, in a chain that asks for one."""

from typing import Any

from prefect import flow
from prefect.client.schemas import State

from baton.chain.events import ModelEvaluated, Stage
from tasks.notebooks import make_page, notebook_ready, plan_notebook, write_link
from tasks.platform.events import announce
from tasks.platform.places import NOTEBOOKS
from tasks.platform.stage import stage
from tasks.platform.threads import in_thread


@flow(name=Stage.NOTEBOOK.value)
async def notebook(evaluated: ModelEvaluated) -> State[Any]:
    """Run the notebook that the chain asked for, keep its page and announce it."""
    with stage(Stage.NOTEBOOK, evaluated.problem, evaluated.chain):
        plan = plan_notebook(evaluated, NOTEBOOKS)
        with plan.lock:
            cached = plan.is_done
            if not cached:
                await in_thread(make_page, plan)
        write_link(plan)
        return announce(notebook_ready(plan), cached=cached)
