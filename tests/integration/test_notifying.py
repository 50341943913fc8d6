"""Messages about the chain, by a real server to a real receiver."""

import json
import logging
import time
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.events import AutomationCore
from pydantic import SecretStr

from baton.chain import manifest
from baton.chain.events import Late, ModelRejected
from baton.errors import InputError
from tasks.platform.events import deliver, tell, tell_failure, tell_once
from tasks.platform.notifying import TAG, register
from tasks.platform.stage import chain_failed
from tasks.platform.upkeep import drop_twins
from tests.conftest import ROOT
from tests.processes import wait_for
from tests.receivers import TOKEN, receiver

CHAIN = manifest.read(ROOT / "prefect.yaml")
NAMES = [f"{TAG}: {one.name}" for one in CHAIN.notifications]
NOBODY = SecretStr("")
REJECTED = ModelRejected(
    chain="a" * 12,
    problem="iris",
    model={"name": "baton-iris", "version": 2, "run_id": "b" * 32, "digest": "c" * 64},
    target="species",
    champion=1,
    previous=None,
    by="gate",
    reason="no better by more than noise",
)
DRIFT = {"chain": "a" * 12, "problem": "iris", "reason": "petal_length has moved"}
LATE = Late(
    deployment="predict",
    awaited=["baton.predictions.ready"],
    since="2026-01-02T03:04:05Z",
    allowed_seconds=60,
    reason="predict is late: see to it",
)


@pytest.fixture
def told(prefect):
    """A receiver of what this server sends, and nothing left of it afterwards."""
    with receiver() as found:
        yield found
    register(CHAIN, NOBODY)


def _failed(reason, chain="a" * 12, **more):
    return chain_failed(str(uuid4()), "train", "iris", chain, reason, **more)


def _wait_for_last(told):
    """Wait for a message on an event that is told after all others; return those before it."""
    mark = uuid4().hex
    tell_failure(_failed(mark), 1)
    wait_for(lambda: any(mark in one for one in told.messages), 30, 0.05)
    return [one for one in told.messages if mark not in one]


def _automations():
    with get_client(sync_client=True) as client:
        return {one.name: one for one in client.read_automations() if TAG in one.tags}


def test_each_occurrence_is_one_message_in_one_line_that_says_what_to_do(told):
    """However often it is announced: by a run begun again, by recovery, by a second process."""
    assert register(CHAIN, SecretStr(told.address)) == NAMES
    failed, unheard = _failed("it is\n a pity"), _failed("no one heard", is_unheard=True)
    for attempt in (1, 2):
        tell_failure(failed, attempt)
        tell_failure(unheard, attempt)
        tell(REJECTED)
        tell_once(LATE)
        deliver(_drifted(attempt))
    chain = "aaaaaaaaaaaa"
    assert sorted(_wait_for_last(told)) == [
        "Baton: baton-iris version 2 is not the champion: no better by more than noise;"
        f" `baton report {chain}` shows it, `baton promote` decides otherwise",
        f"Baton: chain {chain} of iris failed at train: it is a pity; `baton status {chain}` shows"
        " it, mend the cause and run it again",
        f"Baton: chain {chain} of iris stopped after train: no one heard",
        "Baton: predict is late: see to it",
        "Baton: the new rows of iris are not those that its champion learnt from: petal_length has"
        " moved; look at them, and train on newer data",
    ]


def _drifted(attempt):
    """What is posted of a drift."""
    labels = {"prefect.resource.id": "baton.drift.iris", "baton.occurrence": "d" * 36}
    return {
        "id": str(uuid4()),
        "occurred": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}.{attempt}Z",
        "event": "baton.drift.detected",
        "resource": labels,
        "payload": DRIFT,
    }


def test_what_stands_is_left_alone_what_changed_is_changed_and_what_is_unset_goes(told):
    """Registering is asked for at every start: nothing is made twice, nothing stays."""
    assert register(CHAIN, SecretStr("json://127.0.0.1:9/elsewhere")) == NAMES
    before = _automations()
    assert register(CHAIN, SecretStr(told.address)) == []  # another address, the same automations
    first, *others = CHAIN.notifications
    other = first.model_copy(update={"message": "Baton: {{ event.payload.reason }}"})
    changed = CHAIN.model_copy(update={"notifications": [other, *others[:-1]]})
    assert register(changed, SecretStr(told.address)) == [NAMES[0], NAMES[-1]]
    after = _automations()
    assert {one.id for one in before.values()} > {one.id for one in after.values()}
    assert _wait_for_last(told) == []
    assert sorted(register(CHAIN, NOBODY)) == sorted(NAMES[:-1])
    assert (_automations(), _documents()) == ({}, [])
    tell_failure(_failed("nobody is to know"), 1)
    time.sleep(1)
    assert len(told.messages) == 1


def _documents():
    """Blocks as Prefect's pages and its command get them."""
    with get_client(sync_client=True) as client:
        found = client.request("POST", "/block_documents/filter", json={}).json()
    return [one for one in found if one["name"] == TAG]


def test_twins_that_two_processes_made_at_once_are_dropped(told):
    """Otherwise each occurrence would be two messages."""
    register(CHAIN, SecretStr(told.address))
    twin = AutomationCore(**_automations()[NAMES[0]].model_dump(exclude={"id"}))
    with get_client(sync_client=True) as client:
        client.create_automation(twin)
    assert drop_twins() == [NAMES[0]]
    assert sorted(_automations()) == sorted(NAMES)


def test_the_address_is_in_no_answer_of_the_api_and_in_no_event(told):
    """Nor is it if the receiver is away: then the message is lost, and an event says so."""
    register(CHAIN, SecretStr(told.address))
    register(CHAIN, SecretStr(told.address.replace(str(told.server_port), "9")))
    tell_failure(_failed("lost"), 1)
    failures = {"event": {"name": ["prefect.automation.action.failed"]}}

    def lost():
        with get_client(sync_client=True) as client:
            found = client.request("POST", "/events/filter", json={"filter": failures}).json()
        ours = [e for e in found["events"] if TAG in json.dumps(e)]
        return ours and json.dumps(found)

    answers = wait_for(lost, 30, 0.1) + json.dumps(_documents())
    answers += "".join(one.model_dump_json() for one in _automations().values())
    assert "********" in answers
    assert TOKEN not in answers


@pytest.mark.parametrize("address", [TOKEN, f"nowhere://{TOKEN}", f"json://?{TOKEN}", "http://["])
def test_an_address_that_is_none_is_one_line_without_it(prefect, address, caplog):
    """It is refused before the server is asked."""
    caplog.set_level(logging.DEBUG)
    with pytest.raises(InputError, match="BATON_NOTIFY is no address") as error:
        register(CHAIN, SecretStr(address))
    assert TOKEN not in str(error.value) + caplog.text
    assert error.value.__cause__ is None
    assert _documents() == []


def test_a_message_that_is_no_template_is_one_line_that_names_it(prefect):
    """It is refused before the server is asked."""
    (entry, *_) = CHAIN.notifications
    bad = entry.model_copy(update={"message": "{{ event.payload.reason"})
    with pytest.raises(InputError, match="notification 'chain-failed': message is no template: "):
        register(CHAIN.model_copy(update={"notifications": [bad]}), SecretStr("json://127.0.0.1:9"))
    assert _documents() == []
