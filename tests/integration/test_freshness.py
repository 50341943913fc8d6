"""What is late is told once, on a real server."""

import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import get_client

from baton.chain import manifest
from baton.chain.events import Late
from baton.settings import settings
from tasks.platform import freshness, recovery
from tasks.platform.events import deliver
from tests.conftest import ROOT
from tests.processes import wait_for

CHAIN = manifest.read(ROOT / "prefect.yaml")
ALLOWED = timedelta(seconds=1)


@flow(name="predict")
def predict():
    """Stand for the stage."""


@pytest.fixture
def chain(prefect, tmp_path, monkeypatch):
    """A chain with one deployment, of a name of its own, which is to predict every second."""
    monkeypatch.setenv("BATON_HOME", str(tmp_path))
    settings.cache_clear()
    name, problem = f"predict-{uuid4().hex[:8]}", f"p{uuid4().hex[:8]}"
    (entry,) = [one for one in CHAIN.deployments if one.name == "predict"]
    change = {"name": name, "parameters": {"problem": problem}, "fresh_within": ALLOWED}
    with get_client(sync_client=True) as client:
        client.create_deployment(client.create_flow_from_name("predict"), name=name)
    yield CHAIN.model_copy(update={"deployments": [entry.model_copy(update=change)]})
    settings.cache_clear()


def _look(chain):
    with recovery.asking() as server:
        return freshness.tell_late(chain, server)


def _told(chain):
    """Payloads of what was told of it, the first first."""
    about = {"prefect.resource.name": chain.deployments[0].name}
    wanted = {"event": {"name": ["baton.late"]}, "resource": {"labels": about}, "order": "ASC"}
    with get_client(sync_client=True) as client:
        found = client.request("POST", "/events/filter", json={"filter": wanted}).json()
    return [Late.model_validate(one["payload"]) for one in found["events"]]


def _predicted(problem):
    """Announce predictions; return when."""
    now = datetime.now(UTC)
    about = {"prefect.resource.id": f"baton.predictions.{problem}"}
    about["prefect.resource.name"] = problem
    event = {"event": "baton.predictions.ready", "resource": about, "payload": {}}
    deliver(event | {"id": str(uuid4()), "occurred": now.isoformat()})
    return now


def _late(chain):
    """Wait until a look finds that the deployment is late."""
    name = chain.deployments[0].name
    wait_for(lambda: _look(chain) == [name], 10, 0.1)


def test_what_does_not_come_in_time_is_told_once_and_what_comes_ends_it(chain):
    """Not again by a later look, nor by another home's; the next one after something came is."""
    assert _look(chain) == []
    _late(chain)
    time.sleep(1.5 * ALLOWED.total_seconds())
    assert _look(chain) == []
    (first,) = wait_for(lambda: _told(chain), 10, 0.1)
    assert (first.deployment, first.allowed_seconds) == (chain.deployments[0].name, 1.0)
    assert first.reason.startswith(f"{first.deployment} is late: no new prediction since ")
    assert "; see that `baton up` or a worker is running" in first.reason
    (settings().home / "freshness.json").unlink()
    _look(chain)
    _predicted("another")
    came = _predicted(chain.deployments[0].parameters["problem"])
    _late(chain)
    again = wait_for(lambda: len(_told(chain)) > 1 and _told(chain), 10, 0.1)
    assert [one.since for one in again] == [first.since, came]


def test_the_server_is_asked_only_when_something_may_have_become_late(chain, monkeypatch):
    """A look before that is the reading of a file."""
    (entry,) = chain.deployments
    slow = entry.model_copy(update={"fresh_within": timedelta(hours=1)})
    slow = chain.model_copy(update={"deployments": [slow]})
    assert _look(slow) == []
    asked = []
    monkeypatch.setattr(freshness, "_events", lambda *_: asked.append(1) or [])
    assert _look(slow) == []
    assert asked == []
    assert _look(CHAIN) == []  # nothing is to be fresh there


@pytest.mark.parametrize("content", ["", "[1]", '{"predict/x": {"since": 1}}'])
def test_a_file_that_is_not_as_written_is_as_none(chain, content):
    """The server still knows what was told."""
    (settings().home / "freshness.json").write_text(content)
    assert _look(chain) == []
    assert chain.deployments[0].name in (settings().home / "freshness.json").read_text()


def test_one_that_the_server_does_not_take_is_told_at_the_next_look(chain, monkeypatch):
    """A lateness is not forgotten because the server was away."""
    _look(chain)
    with monkeypatch.context() as patch:
        patch.setattr(freshness, "tell_once", _away)
        time.sleep(1.2 * ALLOWED.total_seconds())
        assert _look(chain) == []
    _late(chain)


def _away(event):
    raise RuntimeError(f"{event.event} was not acknowledged")


def test_recovery_looks_for_what_is_late(chain):
    """So every serve process does, and the flow `reconcile`."""
    name = chain.deployments[0].name
    wait_for(lambda: name in recovery.recover(chain), 10, 0.1)
