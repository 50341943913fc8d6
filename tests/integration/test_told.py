"""Deployments that stand from before are not told anew; all that could matter is looked at."""

import json

import pytest
from prefect.client.orchestration import get_client
from prefect.runner import Runner
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL

from baton.chain import manifest
from baton.settings import settings
from serving import told
from serving.serve import to_deployment
from serving.told import Told, decides
from tasks.platform.api import Access, Client
from tasks.platform.prefect_internals import serve_standing
from tests.conftest import ROOT
from tests.integration.stages import forget_runs

CHAIN = manifest.read(ROOT / "prefect.yaml")
NOW = 1.0


@pytest.fixture
def kept(prefect, monkeypatch, tmp_path, event_loop_run):
    """A deployment with a trigger, as a serve process told it and kept that it did; its id."""
    monkeypatch.setenv("BATON_HOME", str(tmp_path))
    monkeypatch.setenv("PREFECT_API_URL", PREFECT_API_URL.value())
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", PREFECT_API_AUTH_STRING.value())
    settings.cache_clear()
    (tmp_path / "prefect").mkdir()
    with get_client(sync_client=True) as client:
        forget_runs(client)  # what waits is told anew
    (entry,) = [one for one in CHAIN.deployments if one.name == "train"]
    found = event_loop_run(_apply(entry))
    Told(decides(NOW), id_of={"train/train": found}).keep()
    yield found
    with get_client(sync_client=True) as client:
        client.delete_deployment(found)
    monkeypatch.undo()
    settings.cache_clear()


async def _apply(entry):
    return await (await to_deployment(entry)).aapply()


def _before():
    return Told.before(decides(NOW))


def test_what_stands_is_known(kept):
    """With its id, also after a runner has asked for its runs."""
    before = _before()
    assert before.id_of == {"train/train": kept}
    assert before.stands()
    with get_client(sync_client=True) as client:
        asked = {"deployment_ids": [str(kept)]}
        client._client.post("/deployments/get_scheduled_flow_runs", json=asked)
    assert before.stands()


def _change_parameters(client, deployment):
    client._client.patch(f"/deployments/{deployment}", json={"parameters": {"x": 1}})


def _pause(client, deployment):
    client._client.patch(f"/deployments/{deployment}", json={"paused": True})


def _disable_automation(client, deployment):
    owned = [one for one in client.read_automations() if str(deployment) in one.model_dump_json()]
    client._client.patch(f"/automations/{owned[0].id}", json={"enabled": False})


def _delete_automations(client, deployment):
    client.delete_resource_owned_automations(f"prefect.deployment.{deployment}")


def _schedule_a_run(client, deployment):
    client.create_flow_run_from_deployment(deployment)


CHANGES = (
    _change_parameters,
    _pause,
    _disable_automation,
    _delete_automations,
    _schedule_a_run,
)


@pytest.mark.parametrize("change", CHANGES)
def test_what_somebody_changed_does_not_stand(kept, change):
    """It is told anew then, as at every start without fast paths."""
    with get_client(sync_client=True) as client:
        change(client, kept)
    assert not _before().stands()


def test_what_decides_is_looked_at(kept, monkeypatch, tmp_path):
    """Sources that changed, another prefect.yaml, another Prefect: told anew."""
    assert Told.before(decides(NOW + 1)) is None
    monkeypatch.setattr(told, "version", lambda name: "0")
    assert _before() is None
    monkeypatch.undo()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"by": 1}', '{"ids": {}}'])
def test_a_file_that_says_nothing_is_passed_over(kept, content):
    """Whatever became of it."""
    (settings().home / "prefect" / "told.json").write_text(content)
    assert _before() is None


def test_a_server_that_does_not_answer_is_told_anew(kept, monkeypatch):
    """Which says itself what is wrong."""
    before = _before()
    monkeypatch.setattr(told, "_asking", _refusing)
    assert not before.stands()


def _refusing():
    return Client(Access(PREFECT_API_URL.value(), auth_string="no:body"), waits=())


def test_what_is_kept_is_no_secret(kept):
    """Digests and ids alone."""
    content = json.loads((settings().home / "prefect" / "told.json").read_bytes())
    assert set(content) == {"by", "had", "ids"}
    assert PREFECT_API_AUTH_STRING.value() not in json.dumps(content)


def test_a_runner_serves_what_stands(kept, event_loop_run):
    """Prefect's takes only what it writes anew; with the reach, the id alone will do."""

    async def due():
        async with Runner(name="r", pause_on_shutdown=False) as runner:
            assert serve_standing(runner, kept, "train")
            async with get_client() as client:
                run = await client.create_flow_run_from_deployment(kept)
            found = await runner._scheduled_run_poller._get_scheduled_flow_runs()
            return run.id, [one.id for one in found]

    run, found = event_loop_run(due())
    assert found == [run]
