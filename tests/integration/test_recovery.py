"""Acting on what a crash left, on a real server."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from filelock import FileLock
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.states import Completed, Crashed, Failed, Pending, Running, Scheduled
from pydantic import SecretStr

from baton.chain import manifest
from baton.chain.events import EventName, Stage
from baton.chain.runs import announcement
from tasks.platform import api, events, recovery
from tasks.platform.events import access
from tasks.platform.notifying import register
from tasks.platform.stage import HOME_LABEL, OPEN_TAG, home_id, run_lock, write_ending
from tests.conftest import ROOT
from tests.integration.stages import forget_runs
from tests.processes import wait_for
from tests.receivers import receiver

HOUR = timedelta(hours=1)
CHAIN = manifest.read(ROOT / "prefect.yaml")
ANNOUNCED = Completed(message=announcement(EventName.MODEL_TRAINED, cached=False))
PAYLOAD = {"chain": "0" * 12, "problem": "iris"}
KILLED = "Process exited with status code: -9. Process exited due to a SIGKILL signal."


@flow(name=Stage.TRAIN.value)
def train(data: dict):
    """Stand for the stage."""


@flow(name=Stage.EVALUATE.value)
def evaluate(trained: dict):
    """Stand for the stage that follows."""


@flow(name="candidate")
def inside():
    """Stand for a subflow."""


@pytest.fixture
def client(prefect, tmp_path, monkeypatch):
    from baton.settings import settings

    monkeypatch.setenv("BATON_HOME", str(tmp_path))
    settings.cache_clear()
    monkeypatch.setattr(recovery, "_SECONDS_OF_DOUBT", 0.0)
    with get_client(sync_client=True) as found:
        forget_runs(found)
        yield found
    settings.cache_clear()


def _begun(client, state, what=train, chain="0" * 12, labels=None, **options):
    flow_id = client.create_flow_from_name(what.name)
    deployment = client.create_deployment(flow_id, name="d", enforce_parameter_schema=False)
    parameters = {"data": PAYLOAD | {"chain": chain}}
    run = client.create_flow_run_from_deployment(deployment, parameters=parameters, **options)
    for one in (Running(), state):
        client.set_flow_run_state(run.id, one, force=True)
    client.update_flow_run_labels(run.id, {HOME_LABEL: home_id(), **(labels or {})})
    return run.id


def _state(client, run_id):
    return client.read_flow_run(run_id).state


def test_a_killed_run_is_begun_again_and_its_third_death_is_the_last(client, monkeypatch):
    """Its own deaths are counted; then it failed, says why, and the chain's failure is told."""
    told = []
    monkeypatch.setattr(events, "deliver", told.append)
    run_id = _begun(client, Crashed(message=KILLED))
    for deaths in (1, 2):
        assert recovery.recover(CHAIN) == [client.read_flow_run(run_id).name]
        assert _state(client, run_id).name == "AwaitingRetry"
        assert client.read_flow_run(run_id).labels[recovery.DEATHS_LABEL] == deaths
        assert recovery.recover(CHAIN) == []
        client.set_flow_run_state(run_id, Running(), force=True)
        client.set_flow_run_state(run_id, Crashed(message=KILLED), force=True)
    write_ending(str(run_id), 300 * 2**20)
    recovery.recover(CHAIN)
    state = _state(client, run_id)
    assert state.type is StateType.FAILED
    assert (
        "killed by signal 9, at most 300 MiB of memory used, likely out of memory" in state.message
    )
    (body,) = told
    assert (body["event"], body["resource"]["prefect.resource.id"]) == (
        "baton.chain.failed",
        "baton.chain.iris",
    )
    said = {"stage": "train", "flow_run_id": str(run_id), "reason": state.message}
    said["is_unheard"] = False
    assert body["payload"] == PAYLOAD | said


def test_a_run_due_by_a_clock_that_was_set_back_begins_now(client, monkeypatch):
    """Scheduled by nobody for later, its time would not come for long."""
    monkeypatch.setattr(recovery, "abandoned", _late(recovery.abandoned, -HOUR))
    run_id = _begun(client, Scheduled(scheduled_time=datetime.now(UTC) + HOUR))
    assert recovery.recover(CHAIN) == [client.read_flow_run(run_id).name]
    details = _state(client, run_id).state_details
    assert details.scheduled_time < datetime.now(UTC) + timedelta(seconds=5)


def test_a_process_asleep_until_a_time_far_ahead_is_ended(client, monkeypatch):
    """Its runner then says so, and the run is begun again at no cost."""
    monkeypatch.setattr(recovery, "abandoned", _late(recovery.abandoned, -HOUR))
    run_id = _begun(client, Pending())
    place = run_lock(str(run_id)).with_suffix(".start")
    hold = f"from serving.warm_client import hold; hold({str(place)!r}); print(flush=True)"
    command = [sys.executable, "-c", f"{hold}; import time; time.sleep(600)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as asleep:
        asleep.stdout.readline()
        assert recovery.recover(CHAIN) == [client.read_flow_run(run_id).name]
        assert asleep.wait(10) == -signal.SIGTERM
    assert _state(client, run_id).name == "Pending"
    client.set_flow_run_state(run_id, Crashed(message=KILLED.replace("-9", "-15")), force=True)
    recovery.recover(CHAIN)
    assert _state(client, run_id).name == "AwaitingRetry"
    assert client.read_flow_run(run_id).labels[recovery.DEATHS_LABEL] == 0


def test_a_run_whose_lock_is_free_is_begun_again_at_no_cost(client, monkeypatch):
    """The end of what ran it is not its own."""
    monkeypatch.setattr(recovery, "abandoned", _late(recovery.abandoned))
    run_id = _begun(client, Running(), labels={recovery.DEATHS_LABEL: 2})
    with FileLock(run_lock(str(run_id))):
        assert recovery.recover(CHAIN) == []
    recovery.recover(CHAIN)
    assert _state(client, run_id).name == "AwaitingRetry"
    labels = client.read_flow_run(run_id).labels
    assert (labels[recovery.DEATHS_LABEL], labels[recovery.RESTARTS_LABEL]) == (2, 1)


def _late(decide, passed=timedelta(minutes=1)):
    """Decide as if some time had passed."""

    def decided(runs, *arguments):
        *before, now, alone = arguments
        return decide(runs, *before, now + passed, alone)

    return decided


def test_two_who_see_the_same_crash_begin_the_run_once(client):
    """The server makes the transition for the first of them, also where both looked before."""
    run_id = _begun(client, Crashed(message=KILLED))
    seen = client.read_flow_run(run_id)
    with api.Client(access()) as posting:
        server = recovery._Server(client, posting)
        server.is_as_seen = lambda run: True
        barrier, done = threading.Barrier(2), []

        def move():
            barrier.wait()
            done.append(server.move(seen, "SCHEDULED", "AwaitingRetry", "again"))

        both = [threading.Thread(target=move) for _ in range(2)]
        [one.start() for one in both]
        [one.join() for one in both]
    assert sorted(done) == [False, True]
    assert len(client.read_flow_run_states(run_id)) == 4


def test_a_server_that_is_busy_is_not_asked_again_with_what_was_seen_before(client):
    """By then another may have begun the run: the next look decides anew."""
    seen = client.read_flow_run(_begun(client, Crashed(message=KILLED)))
    asked = []

    def busy(request):
        asked.append(request.url.path)
        return httpx.Response(503)

    with replace(recovery.asking(), transport=httpx.MockTransport(busy)) as posting:
        server = recovery._Server(client, posting)
        assert not server.move(seen, "SCHEDULED", "AwaitingRetry", "again")
    assert len(asked) == 1
    assert _state(client, seen.id).is_crashed()


def test_one_look_at_a_time_in_one_home(client):
    """Two serve processes of a home take turns."""
    run_id = _begun(client, Crashed(message=KILLED))
    with recovery._alone_in_home() as is_alone:
        assert is_alone
        assert recovery.recover(CHAIN) == []
    assert _state(client, run_id).is_crashed()


@pytest.mark.parametrize("parent", [Failed(), Crashed(message=KILLED), Completed()])
def test_a_subflow_ends_with_its_parent(client, parent):
    """It does not stay Running under a run that has ended, or that is begun again."""
    above = _begun(client, parent)
    task_run = client.create_task_run(
        task=_task, flow_run_id=above, dynamic_key=str(uuid4()), state=Running()
    )
    below = client.create_flow_run(inside, parent_task_run_id=task_run.id, state=Running())
    recovery.recover(CHAIN)
    assert _state(client, below.id).is_crashed()
    assert "the run that it was part of ended" in _state(client, below.id).message


def _made_task():
    from prefect import task

    return task(lambda: None, name="subflow")


_task = _made_task()


def test_a_lost_event_is_announced_again_however_long_the_history(client, monkeypatch):
    """What is open is found by its tag; what was followed is closed and not looked at again."""
    monkeypatch.setattr(recovery, "unanswered", _later(recovery.unanswered))
    tags = [OPEN_TAG, f"chain:{'1' * 12}"]
    lost = _begun(client, ANNOUNCED, chain="1" * 12, tags=tags)
    done = _begun(client, ANNOUNCED, chain="2" * 12, tags=[OPEN_TAG])
    _begun(client, Pending(), what=evaluate, chain="2" * 12)
    recovery.recover(CHAIN)
    assert _state(client, lost).name == "AwaitingRetry"
    assert client.read_flow_run(lost).labels[recovery.IN_VAIN_LABEL] == 1
    assert OPEN_TAG not in client.read_flow_run(done).tags
    assert _state(client, done).is_completed()


def _later(decide):
    return lambda runs, followers, now: decide(runs, followers, now + timedelta(minutes=5))


def test_who_is_never_heard_fails_with_the_reason(client, monkeypatch):
    """After three announcements in vain the chain cannot go on; one message tells of it."""
    monkeypatch.setattr(recovery, "unheard", _later(recovery.unheard))
    chain = uuid4().hex[:12]
    labels = {recovery.IN_VAIN_LABEL: 3}
    run_id = _begun(client, ANNOUNCED, chain=chain, tags=[OPEN_TAG], labels=labels)
    with receiver() as told:
        register(CHAIN, SecretStr(told.address))
        recovery.recover(CHAIN)
        wait_for(lambda: told.messages, 30, 0.1)
        time.sleep(1)  # another one would have come
        register(CHAIN, SecretStr(""))
    assert _state(client, run_id).is_failed()
    assert "no stage followed" in _state(client, run_id).message
    (line,) = told.messages
    assert line.startswith(f"Baton: chain {chain} of iris stopped after train: no stage followed")
    assert line.endswith("see that the automations of this server are on, and run it again")


def test_a_look_costs_a_handful_of_requests_where_nothing_is_open(client, monkeypatch):
    """However many runs there were."""
    for _ in range(5):
        _begun(client, Completed())
    asked = []
    with _counted(monkeypatch, asked):
        recovery.recover(CHAIN)
    assert len(asked) <= 5


@contextmanager
def _counted(monkeypatch, asked):
    read = recovery.SyncPrefectClient.read_flow_runs

    def counted(self, **options):
        asked.append(options)
        found = read(self, **options)
        assert found == []
        return found

    monkeypatch.setattr(recovery.SyncPrefectClient, "read_flow_runs", counted)
    yield


def test_what_crashed_long_ago_is_left_as_it_is(client, monkeypatch):
    """Nobody waits for it any more."""
    monkeypatch.setattr(recovery, "FORGOTTEN", timedelta(0))
    run_id = _begun(client, Crashed(message=KILLED, timestamp=datetime.now(UTC)))
    assert recovery.recover(CHAIN) == []
    assert _state(client, run_id).is_crashed()
