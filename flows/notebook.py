"""The stage that runs a notebook on what an evaluation made, in a chain that asks for one."""

from typing import Any

from prefect import flow
from prefect.client.schemas import State

from baton.chain.events import ModelEvaluated, Stage
from tasks.notebooks import make_page, notebook_ready, plan_notebook, write_link
from tasks.platform.events import announce
from tasks.platform.places import NOTEBOOKS
from tasks.platform.stage import exclusive, stage
from tasks.platform.threads import aside


@flow(name=Stage.NOTEBOOK.value)
async def notebook(evaluated: ModelEvaluated) -> State[Any]:
    """Run the notebook that the chain asked for, keep its page and announce it."""
    with stage(Stage.NOTEBOOK, evaluated.problem, evaluated.chain):
        job = plan_notebook(evaluated, NOTEBOOKS)
        with exclusive(job.key):
            cached = job.is_done
            if not cached:
                await aside(make_page, job)
        write_link(job)
        return announce(notebook_ready(job), cached=cached)
