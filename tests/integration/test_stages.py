"""What every stage does around its work."""

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client

from tasks.platform.stage import stage
from tasks.platform.threads import in_thread
from tests.integration.stages import run

pytestmark = pytest.mark.usefixtures("prefect")


def test_the_tasks_of_a_stage_ask_by_one_client():
    """Each would make one, and read the certificates anew, a thirtieth of a second each time."""
    used = set()

    @task
    def work():
        used.add(get_client(sync_client=True))

    @flow
    async def works():
        with stage("work", "toys"):
            work()
            await in_thread(work)
            used.add(get_client(sync_client=True))

    assert run(works) == "Completed"
    assert len(used) == 1
