"""Messages of a standing Baton: each thing that is to be known is told once, and the rest is not.

What the server sends on which event is tests/integration/test_notifying.py's, and when something
is late tests/integration/test_freshness.py's.
"""

import os
import shutil
import signal
import time

import psutil
import pytest
import yaml

from tests.conftest import ROOT
from tests.e2e.conftest import BRIEFLY, _furnished, fresh_home
from tests.processes import wait_for
from tests.receivers import TOKEN, receiver

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def told():
    """Where the messages go."""
    with receiver() as found:
        yield found


@pytest.fixture(scope="module")
def standing(tmp_path_factory, prepared, told):
    """A `baton up` whose gate lets nothing through and which wants spheres every second."""
    folder = tmp_path_factory.mktemp("baton")
    for name in ("flows", "serving", "tasks", "notebooks"):
        shutil.copytree(ROOT / name, folder / name)
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))
    entries = {entry["name"]: entry for entry in content["deployments"]}
    entries["promote"]["parameters"] = {"gate": {"floor": 2.0}}
    entries["generate-spheres"]["fresh_within"] = "1 second"
    (folder / "prefect.yaml").write_text(yaml.safe_dump(content), "utf-8")
    with fresh_home(_furnished(tmp_path_factory.mktemp("home"), prepared)) as home:
        home.site = str(folder)  # before Baton's own folder, so its prefect.yaml is read
        home.start(BATON_NOTIFY=told.address)
        yield home


def _failed(home, problem):
    """Begin a chain that fails, as a schedule would; return its id once it has."""
    found = home.ask("GET", f"deployments/name/generate/generate-{problem}").json()
    parameters = {"parameters": {"parameters": {"nonsense": 1}}}
    run = home.post(f"deployments/{found['id']}/create_flow_run", parameters)
    wait_for(lambda: _state(home, run["id"]) == "FAILED", 300)
    return run["id"].replace("-", "")[:12]


def _state(home, run_id):
    return home.ask("GET", f"flow_runs/{run_id}").json()["state_type"]


# a start of its own; who is told of what, and when: the two modules that are named above
@pytest.mark.long
def test_what_is_late_and_what_failed_is_one_message_each(standing, told):
    """And none again when the serve process was killed and is back."""
    wait_for(lambda: told.messages, 300, 0.1)
    chain = _failed(standing, "iris")
    wait_for(lambda: len(told.messages) > 1, 300, 0.1)
    found = [pid for pid, said in standing.commands().items() if "-m serving " in said]
    (pid,) = [pid for pid in found if psutil.Process(pid).ppid() not in found]  # not what it forked
    os.kill(pid, signal.SIGKILL)
    last = _failed(standing, "churn")
    wait_for(lambda: any(last in one for one in told.messages), 300, 0.1)
    late, failed, _ = told.messages
    assert late.startswith("Baton: generate-spheres is late: no new data set since ")
    assert late.endswith("its schedule is on, and what its last runs say")
    assert failed.startswith(f"Baton: chain {chain} of iris failed at generate: InputError: ")
    assert failed.endswith(f"`baton status {chain}` shows it, mend the cause and run it again")


@pytest.mark.long  # tests/integration/test_notifying.py looks into the answers and events
def test_the_address_is_in_no_file_no_command_line_and_no_answer(standing):
    """It is encrypted where it is kept; logs, results, events and parameters do not have it."""
    for path in standing.path.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
    assert TOKEN not in " ".join(standing.commands().values())
    for what in ("block_documents", "automations", "events", "flow_runs", "logs"):
        answer = standing.ask("POST", f"{what}/filter", {})
        assert TOKEN not in answer.text
        assert answer.is_success, what


@pytest.mark.long  # a whole chain; tests/integration/test_notifying.py has the event alone
def test_a_model_that_the_gate_rejects_is_one_message(standing, told):
    """With the reason, and the chain by which its report is found."""
    before = set(told.messages)
    made = standing.baton("run", "iris", *BRIEFLY, "--json").json
    wait_for(lambda: set(told.messages) - before, 300, 0.1)
    (line,) = set(told.messages) - before
    assert line.startswith("Baton: baton-iris version 1 is not the champion: ")
    assert f"`baton report {made['chain']}` shows it" in line


@pytest.mark.long  # a second start; tests/integration/test_notifying.py asks for it alone
def test_without_the_setting_nothing_is_sent_and_nothing_stands(standing, told):
    """What was made for it is gone with the next start."""
    standing.stop()
    standing.start()
    n_before = len(told.messages)
    _failed(standing, "iris")
    time.sleep(2)  # a message would have come
    names = [
        one["name"]
        for kind in ("block_documents", "automations")
        for one in standing.post(f"{kind}/filter", {})
    ]
    assert not [name for name in names if name.startswith("baton-notify")]
    assert len(told.messages) == n_before


def test_an_address_that_is_none_ends_the_command_in_one_line(empty_home):
    """Before anything is started, and without the address."""
    answer = empty_home.baton("up", BATON_NOTIFY=f"nowhere://{TOKEN}")
    assert answer.code == 2
    assert answer.err.startswith("baton: BATON_NOTIFY is no address that Apprise can send to")
    assert answer.err.count("\n") == 1
    assert TOKEN not in answer.out + answer.err
