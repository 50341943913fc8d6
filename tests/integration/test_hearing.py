"""Hearing of runs, from Prefect's server."""

import asyncio
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_AUTH_STRING, temporary_settings

from baton.chain import manifest
from serving import listening
from serving.asking import Pace
from serving.listening import keep_hearing
from serving.serve import to_deployment
from tests.conftest import ROOT

SECONDS = 30
CHAIN = manifest.read(ROOT / "prefect.yaml")


class Heard(Pace):
    """What a pace is told."""

    def __init__(self):
        super().__init__(0.5)
        self.runs, self.said = [], []

    def told(self, run):
        """Keep it."""
        self.runs.append(run)

    def hears(self, does):
        """Keep it."""
        self.said.append(does)


async def deployed(name):
    """Id of a deployment that the server has; no event begins it."""
    (entry,) = [one for one in CHAIN.deployments if one.name == name]
    made = await to_deployment(entry)
    made.triggers = []
    return await made.aapply()


async def until(is_so):
    """Wait for something."""
    async with asyncio.timeout(SECONDS):
        while not is_so():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def hearing(*deployments):
    """What is heard of deployments meanwhile."""
    heard = Heard()
    task = asyncio.create_task(keep_hearing(heard, deployments))
    try:
        yield heard
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_a_run_is_heard_of_as_it_is_made(prefect, event_loop_run):
    """By its id, and those of other deployments are not; a run that begins says nothing."""

    async def hear():
        own, other = await deployed("train"), await deployed("evaluate")
        async with hearing(own) as heard, get_client() as client:
            await until(lambda: heard.said == [True])
            for one in (other, own):
                run = await client.create_flow_run_from_deployment(one, parameters={"data": {}})
            await until(lambda: heard.runs)
            return [str(run.id)] == heard.runs, heard.said

    assert event_loop_run(hear()) == (True, [True])


@pytest.fixture
def soon(monkeypatch):
    """Looked for again at once."""
    monkeypatch.setattr(listening.Restarts, "pause", lambda *_: 0.01)


def test_a_server_that_is_not_heard_is_tried_again(prefect, soon, event_loop_run):
    """One that refuses the websocket, then one that does not; runs are asked for meanwhile."""

    async def hear():
        with temporary_settings({PREFECT_API_AUTH_STRING: "baton:nobody"}):
            async with hearing(uuid4()) as refused:
                await until(lambda: len(refused.said) > 1)
                assert set(refused.said) == {False}

    event_loop_run(hear())


def test_a_connection_that_ends_is_said_and_made_again(prefect, soon, monkeypatch, event_loop_run):
    """As when the server is started anew; what came meanwhile is asked for."""
    connect = listening.get_events_subscriber
    made = []

    def connected(**options):
        made.append(connect(**options))
        return made[-1]

    monkeypatch.setattr(listening, "get_events_subscriber", connected)

    async def hear():
        async with hearing(uuid4()) as heard:
            await until(lambda: heard.said == [True])
            await made[0]._websocket.close()
            await until(lambda: len(heard.said) > 2)
            return heard.said

    assert event_loop_run(hear()) == [True, False, True]
