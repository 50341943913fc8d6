"""Data that announces itself, on a real server: once, in order, and again where it was lost."""

import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from itertools import count

import pytest
from prefect.client.orchestration import get_client

from baton.chain import arrivals, manifest
from baton.chain.arrivals import State
from baton.chain.runs import chain_id_of_run
from baton.errors import InputError, NoModelError
from baton.settings import settings
from serving.serve import to_deployment
from tasks.arrivals import DamagedError, arrive
from tasks.platform import api, orders
from tasks.platform.arrivals import tell_untold
from tasks.platform.events import access
from tasks.promotion import by_hand
from tests.conftest import ROOT
from tests.integration.stages import forget_runs
from tests.integration.test_answers import NAME, registered
from tests.integration.test_events import server  # noqa: F401
from tests.integration.test_registered_models import home  # noqa: F401
from tests.processes import wait_for

AWAY = api.Access("http://127.0.0.1:9/api")
ANNOUNCING = """
import os, sys
from tasks import arrivals
from tasks.platform import api, arrivals as telling, orders

there = api.Access(os.environ["TOLD"], auth_string=os.environ["TOLD_AUTH"])
kill = lambda *_, **__: os.kill(os.getpid(), 9)
if sys.argv[1] == "killed before it is told":
    telling.tell_attempt = kill
if sys.argv[1] == "killed before that is written down":
    telling.arrivals.changed = kill
for seed in sys.argv[2:]:
    arrivals.arrive(orders.data_set("spheres", {"seed": seed}), there)
"""


NEW = count(1)
"""Seeds of clusters that were never announced: a server knows an event again, in any home."""


@pytest.fixture
def here(prefect, tmp_path, monkeypatch, event_loop_run):
    """A home of its own, and a server with the deployments that an arrival begins."""
    monkeypatch.setenv("BATON_HOME", str(tmp_path))
    settings.cache_clear()
    declared = manifest.read(ROOT / "prefect.yaml").deployments
    for entry in declared:
        if entry.name in {"generate", "predict"}:
            event_loop_run(event_loop_run(to_deployment(entry)).aapply())
    with get_client(sync_client=True) as client:
        forget_runs(client)
    yield tmp_path
    settings.cache_clear()


def begun(n=0):
    """How many runs each chain has on the server, once there are so many chains."""
    with api.Client(access()) as client:

        def counted():
            found = []
            while len(page := client.post("flow_runs/filter", {"offset": len(found)})):
                found += page
            chains = Counter(chain_id_of_run(run) for run in found)
            return chains if len(chains) >= n else None

        return wait_for(counted, seconds=120)


def announcing(how, *seeds):
    """Begin to announce clusters of these seeds, in a process of its own."""
    there = access()
    return subprocess.Popen(
        [sys.executable, "-c", ANNOUNCING, how, *map(str, seeds)],
        cwd=ROOT,
        env=os.environ | {"TOLD": there.address, "TOLD_AUTH": there.auth_string},
    )


def spheres():
    """Clusters that were never announced."""
    return orders.data_set("spheres", {"seed": next(NEW)})


def ago(arrival, seconds):
    """An arrival, told so long before."""
    return arrivals.changed(
        settings(), arrival, told=arrival.told - timedelta(seconds=seconds), state=State.TOLD
    )


def test_what_arrives_begins_one_chain(here):
    """However often it is announced; and it is settled once the chain's run is there."""
    asked = spheres()
    first, was_known = arrive(asked, access())
    assert (first.state, was_known) == (State.TOLD, False)
    again, is_known = arrive(asked, access())
    assert is_known and again.chain == first.chain
    assert begun(1) == {first.chain: 1}
    assert tell_untold() == []
    assert arrivals.current(settings(), first).state is State.TAKEN
    assert arrivals.unsettled(settings()) == []


def test_without_a_server_it_is_kept_and_told_in_order_later(here):
    """Also where one is named that does not answer."""
    kept = [arrive(spheres(), there)[0] for there in (None, AWAY, None)]
    assert {one.state for one in kept} == {State.KEPT}
    assert tell_untold() == [1, 2, 3]
    told = [one.told for one in arrivals.found(settings())]
    assert told == sorted(told)
    assert begun(3) == {one.chain: 1 for one in kept}


@pytest.mark.parametrize("when", ["killed before it is told", "killed before that is written down"])
def test_an_announcer_that_is_killed_loses_nothing(here, when):
    """The next look tells; a server that was told already takes it for the same event."""
    assert announcing(when, next(NEW)).wait(120) == -signal.SIGKILL
    (kept,) = arrivals.found(settings())
    assert kept.state is State.KEPT
    assert tell_untold() == [1]
    other, _ = arrive(spheres(), access())
    assert begun(2) == {kept.chain: 1, other.chain: 1}


def test_an_event_that_came_to_nothing_is_told_again(here):
    """As another event, after a while; where that is of no use, it is lost with the reason."""
    with get_client(sync_client=True) as client:
        for one in client.read_deployments():
            client.delete_deployment(one.id)
        for one in client.read_automations():
            client.delete_automation(one.id)
    asked = spheres()
    told, _ = arrive(asked, access())
    assert tell_untold() == []
    for attempt in range(2, arrivals.MOST_TOLD + 1):
        ago(told, 10_000)
        assert tell_untold() == [1]
        told = arrivals.current(settings(), told)
        assert (told.state, told.attempts) == (State.TOLD, attempt)
    ago(told, 10_000)
    assert tell_untold() == [1]
    lost = arrivals.current(settings(), told)
    assert lost.state is State.LOST and "automations" in lost.reason
    again, is_known = arrive(asked, access())
    assert is_known and again.state is State.TOLD


def test_what_a_server_refuses_does_not_hold_up_the_others(here, server):  # noqa: F811
    """It is told again after a while, and what the server said is kept."""
    there = api.Access(f"http://127.0.0.1:{server.server_port}/api")
    server.failures, server.code = 1, 422
    kept = [arrive(spheres(), None)[0] for _ in range(2)]
    assert tell_untold(there) == [1, 2]
    refused, told = (arrivals.current(settings(), one) for one in kept)
    assert refused.reason.startswith("refused: ") and "422" in refused.reason
    assert (refused.state, told.state, told.reason) == (State.TOLD, State.TOLD, "")


def test_what_cannot_be_read_is_accounted_for(here):
    """One line; nothing begins; when it is mended it counts anew."""
    table = here / "wine.csv"
    for content, said in [("", "empty"), ("x,z\n1,2\n", "'y'")]:
        table.write_text(content)
        asked = orders.data_set("table", {"path": str(table), "target": "y"})
        with pytest.raises(DamagedError, match=said):
            arrive(asked, access())
    table.write_text("x,y\n" + "1,2\n2,3\n" * 20)
    mended, _ = arrive(asked, access())
    states = [one.state for one in arrivals.found(settings())]
    assert states == [State.DAMAGED, State.DAMAGED, State.TOLD]
    assert begun(1) == {mended.chain: 1}
    with pytest.raises(InputError, match="key"):
        arrive(asked, access(), key="a b")


def test_rows_to_predict_are_read_as_the_champion_reads_them(prefect, home, tmp_path):  # noqa: F811
    """Without a model nothing is entered; a column that it needs and that is missing is damage."""
    table = tmp_path / "new.csv"
    table.write_text("x,kind\n0.1,a\n")
    asked = orders.new_rows("table", {"path": str(table), "name": "wine"})
    with pytest.raises(NoModelError):
        arrive(asked, None)
    assert arrivals.found(settings()) == []
    registered(1)
    by_hand(NAME, 1, "ada", "to begin with")
    found, _ = arrive(asked, None, key="2021-03")
    assert (found.begins, found.source, found.key) == ("predict", "new.csv", "2021-03")
    assert found.event.predict.parameters["path"] == str(table)
    table.write_text("x\n0.1\n")
    with pytest.raises(DamagedError, match="'kind'"):
        arrive(asked, None)


@pytest.mark.parametrize("n", [40, pytest.param(1000, marks=pytest.mark.long)])
def test_a_burst_from_four_processes_is_taken_in_order_without_a_lost_one(here, n):
    """Consecutive numbers, each told once and after the one before; a run of each chain."""
    each = [[next(NEW) for _ in range(n // 4)] for _ in range(4)]
    announcers = [announcing("to the end", *seeds) for seeds in each]
    assert [one.wait(800) for one in announcers] == [0] * 4
    found = arrivals.found(settings())
    assert [one.number for one in found] == list(range(1, n + 1))
    assert {one.attempts for one in found} == {1}
    told = [one.told for one in found]
    assert told == sorted(told)
    assert begun(n) == {one.chain: 1 for one in found}
    assert tell_untold() == []
    assert {one.state for one in arrivals.found(settings())} == {State.TAKEN}
