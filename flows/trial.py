"""One trial of a search: a subflow of the stage `tune`, or a run that any worker takes."""

from prefect import flow

from baton.chain.events import TRIAL, DatasetReady
from tasks.platform.stage import part
from tasks.platform.threads import in_thread
from tasks.tuning import plan_search, try_trial


@flow(name=TRIAL, flow_run_name="trial {number} {data.problem}")
async def trial(data: DatasetReady, number: int) -> None:
    """Try the hyperparameters of one trial."""
    with part(f"{TRIAL} {number}", data.problem, data.chain):
        await in_thread(try_trial, plan_search(data), number)
