"""Two machines that share nothing but a store: what one has made and decided, the other finds.

A machine is a home here; the store speaks S3 on loopback. Whole chains across two workers are in
``tests/e2e/test_apart.py``.
"""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from secrets import token_hex
from threading import Thread

import pyarrow as pa
import pytest
from prefect import flow

from baton.chain import decisions, looks, stored
from baton.chain.decisions import Decision, Outcome
from baton.chain.looks import Look
from baton.errors import InputError, StorageError
from baton.lineage import folder
from baton.settings import settings
from baton.stores import objects, queue, shelf
from serving.embedded import run_embedded
from tasks.platform import results
from tests import buckets
from tests.buckets import BUCKET
from tests.integration.places import Place
from tests.processes import wait_for

pytestmark = pytest.mark.usefixtures("prefect")
MADE = []


def counting(place, n=100):
    """Run a flow of one task, whose storage is that of the home of now."""

    @results.result_task("features", name="count")
    def count(plan: Place) -> pa.Table:
        MADE.append(settings().home.name)
        return pa.table({"n": list(range(n))})

    flow(lambda: count(Place(place)), name="counting")()


@pytest.fixture(scope="module")
def standing():
    with buckets.object_store() as store:
        yield store


@pytest.fixture(params=["s3", "folder"])
def machine(request, standing, tmp_path, monkeypatch):
    """Become one of the machines, by its name."""
    MADE.clear()
    place = f"s3://{BUCKET}/{token_hex(8)}" if request.param == "s3" else tmp_path / "shared"
    for name, value in standing.environment(BATON_RESULTS=str(place)).items():
        monkeypatch.setenv(name, value)
    objects._made.cache_clear()

    def become(name):
        monkeypatch.setenv("BATON_HOME", str(tmp_path / name))
        settings.cache_clear()
        settings().results.mkdir(parents=True, exist_ok=True)
        return settings()

    yield become
    monkeypatch.undo()
    settings.cache_clear()
    objects._made.cache_clear()


def _place(request):
    return folder("spheres", test=request.node.nodeid)


def _decision(number, **more):
    known = {"model": "wine", "outcome": Outcome.PROMOTED, "version": number, "champion": number}
    about = {"previous": None, "by": "gate", "reason": "better", "at": datetime.now(UTC)}
    return Decision(number=number, **known | about | more)


def test_what_one_machine_made_the_other_reads_and_does_not_make_again(machine, request):
    """The same table by its digest; the task of the second ends without its function."""
    place = _place(request)
    machine("a")
    counting(place)
    made = results.require(f"{place}/features.parquet")
    second = machine("b")
    assert results.find(made.key) == made
    assert stored.read_table(second.results, made).column("n").to_pylist() == list(range(100))
    counting(place)
    assert MADE == ["a"]


def test_a_result_is_announced_once_it_is_on_the_shelf(machine, request):
    """A machine that was killed before the shelf had it puts it there when it looks."""
    place = _place(request)
    first = machine("a")
    counting(place)
    key = f"{place}/features.parquet"
    ledger = first.results / f"{key}.json"
    shelf.drop(ledger)
    shelf.drop(first.results / key)
    machine("b")
    assert results.find(key) is None
    machine("a")
    made = results.require(key)
    machine("b")
    assert results.find(key) == made


def test_what_was_altered_on_the_shelf_is_not_taken_for_what_was_announced(machine, request):
    """The digest of the reference is what counts, as on one's own disk."""
    place = _place(request)
    first = machine("a")
    counting(place)
    made = results.require(f"{place}/features.parquet")
    altered = first.results / made.key
    altered.write_bytes(altered.read_bytes()[:-1] + b"x")
    shelf.put(altered)
    machine("b")
    with pytest.raises(InputError, match="is not the file that was announced"):
        results.read(made)


def test_decisions_follow_one_another_across_machines(machine):
    """An intent of a machine that is gone is seen, finished by another, and gone afterwards."""
    first = machine("a")
    decisions.intend(first, _decision(1))
    decisions.append(first, _decision(1))
    second = machine("b")
    assert [one.number for one in decisions.read(second, "wine")] == [1]
    decisions.intend(second, _decision(2))
    first = machine("a")
    left = decisions.intended(first, "wine")
    assert left is not None and left.number == 2
    decisions.append(first, left)
    second = machine("b")
    assert decisions.intended(second, "wine") is None
    assert [one.number for one in decisions.read(second, "wine")] == [1, 2]
    decisions.intend(second, _decision(3))
    decisions.drop(second, "wine")
    assert decisions.intended(machine("a"), "wine") is None


def test_looks_are_those_of_all_machines(machine):
    """So that drift is announced once within its cool-down, whoever looks."""
    told = {"version": 1, "is_drifted": True, "reason": "x moved"}
    for name in ("a", "b"):
        looks.append(machine(name), "wine", Look(chain=name, at=datetime.now(UTC), **told))
    assert [one.chain for one in looks.read(machine("a"), "wine")] == ["a", "b"]


@pytest.mark.parametrize("machine", ["s3"], indirect=True)
def test_a_store_that_does_not_answer_is_said_in_one_line(machine, monkeypatch):
    """What was made stays on the disk, and is shared by the next who asks for it."""
    first = machine("a")
    monkeypatch.setattr(shelf, "PAUSES", (0.0,))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    settings.cache_clear()
    path = first.results / "page.html"
    with pytest.raises(StorageError, match=r"results cannot be shared: s3://.* cannot be reached"):
        shelf.write(path, b"made")
    assert path.read_bytes() == b"made"


@pytest.mark.parametrize(
    "place",
    ["ftp://files/x", "s3://user:word@bucket/x", "s3://no bucket/", "s3:/bucket/x", "shared"],
)
def test_an_address_that_is_none_is_refused(monkeypatch, place):
    """In one line, which does not repeat a password."""
    monkeypatch.setenv("BATON_RESULTS", place)
    settings.cache_clear()
    with pytest.raises(InputError) as error, run_embedded(settings(), print):
        pytest.fail("nothing is started before it is known where results go")
    assert "word" not in str(error.value).replace("password", "")
    monkeypatch.undo()
    settings.cache_clear()


_HOLDER = """
import sys, time
from pathlib import Path
from baton.stores import queue
place, seconds = Path(sys.argv[1]), float(sys.argv[2])
for _ in range(int(sys.argv[3])):
    with queue.turn("champion.wine"):
        place.touch(exist_ok=False)      # nobody else is in here
        print("held", flush=True)
        time.sleep(seconds)
        place.unlink()
"""


def _holder(place, seconds, times=1):
    return subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(place), str(seconds), str(times)],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        text=True,
    )


def test_one_machine_at_a_time_has_its_turn(machine, tmp_path):
    """Of four that come again and again, two are never at it at once, and all get through."""
    machine("a")
    holders = [_holder(tmp_path / "held", 0.05, 5) for _ in range(4)]
    for one in holders:
        out, _ = one.communicate(timeout=200)
        assert (one.returncode, out) == (0, "held\n" * 5)


def test_the_turn_of_a_machine_that_died_is_over(machine, tmp_path, monkeypatch):
    """When its ticket has not been written again for long; also of one that died as it drew."""
    machine("a")
    monkeypatch.setattr(queue, "SECONDS_TO_DIE", 3.0)
    first = _holder(tmp_path / "held", 600)
    assert first.stdout.readline() == "held\n"
    folder = shelf.place().of("locks/champion.wine/")
    objects.put(folder.of(f"drawing-{token_hex(16)}"), b"0")
    first.send_signal(signal.SIGKILL)
    first.wait()
    with queue.turn("champion.wine"):
        assert len(objects.listed(folder)) == 1
    assert not objects.listed(folder)


def test_a_machine_that_works_long_keeps_its_turn(machine, tmp_path, monkeypatch):
    """Its ticket is written again all the while."""
    machine("a")
    monkeypatch.setattr(queue, "_SECONDS_BETWEEN_BEATS", 0.2)
    monkeypatch.setattr(queue, "SECONDS_TO_DIE", 3.0)
    held = []

    def second():
        with queue.turn("champion.wine"):
            held.append("second")

    with queue.turn("champion.wine"):
        other = Thread(target=second)
        other.start()
        other.join(6)
        held.append("first")
    other.join()
    assert held == ["first", "second"]


def test_a_ticket_that_was_torn_up_is_not_put_back(machine, tmp_path, monkeypatch):
    """Who waits draws another one; who is at it is told before what cannot be taken back."""
    machine("a")
    monkeypatch.setattr(queue, "_SECONDS_BETWEEN_BEATS", 0.1)
    folder = shelf.place().of("locks/champion.wine/")
    with queue.turn("champion.wine"):
        queue.require()
        (mine,) = objects.listed(folder)
        waiting = _holder(tmp_path / "held", 0)
        other = wait_for(lambda: set(objects.listed(folder)) - {mine}, 30, 0.1)
        wait_for(lambda: not any("drawing" in one for one in objects.listed(folder)), 30, 0.1)
        while mine in objects.listed(folder):  # a beat may be under way
            for name in objects.listed(folder):
                objects.remove(folder.of(name))
            time.sleep(0.3)
        assert waiting.wait(60) == 0, "it has drawn another"
        with pytest.raises(StorageError, match="another one has its turn"):
            queue.require()
        time.sleep(0.5)
        assert not objects.listed(folder), other


def test_a_decision_that_another_machine_has_taken_is_not_written_over(machine):
    """The number is taken: who was late weighs anew."""
    first = machine("a")
    decisions.intend(first, _decision(1))
    decisions.append(first, _decision(1))
    second = machine("b")
    with pytest.raises(StorageError, match="was taken by another machine"):
        decisions.intend(second, _decision(1, version=2, champion=2))
    (kept,) = decisions.read(second, "wine")
    assert kept.version == 1


def test_what_was_made_twice_becomes_what_is_on_the_shelf(machine, request):
    """Of two tables under one key the first that is shared counts; the other is put aside."""
    place = _place(request)
    first = machine("a")
    counting(place)
    made = results.require(f"{place}/features.parquet")
    kept = [first.results / name for name in (made.key, f"{made.key}.json")]
    second = machine("b")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BATON_RESULTS", "")
        settings.cache_clear()
        counting(place, n=50)
    settings.cache_clear()
    assert (second.results / made.key).read_bytes() != kept[0].read_bytes()
    assert results.find(made.key) == made
    for one in kept:
        assert (second.results / one.relative_to(first.results)).read_bytes() == one.read_bytes()
    assert (second.results / f"{made.key}.aside").exists()


def test_a_record_that_another_machine_has_replaced_is_seen(machine):
    """Not only the first that came; and what is passing is left to who has the turn."""
    first = machine("a")
    place = first.chains / "abc.json"
    place.parent.mkdir()
    shelf.write(place, b"one")
    second = machine("b")
    shelf.take_all(second.chains)
    assert (second.chains / "abc.json").read_bytes() == b"one"
    machine("a")
    shelf.write(place, b"three")
    machine("b")
    shelf.take_all(second.chains)
    assert (second.chains / "abc.json").read_bytes() == b"three"


def test_a_home_whose_results_are_elsewhere_is_shared_too(machine, request, tmp_path):
    """A link to another disk."""
    place = _place(request)
    first = machine("a")
    first.results.rmdir()
    (tmp_path / "disk").mkdir()
    first.results.symlink_to(tmp_path / "disk")
    counting(place)
    made = results.require(f"{place}/features.parquet")
    machine("b")
    assert results.find(made.key) == made


def test_nothing_outside_the_home_is_shared(machine, tmp_path):
    """Whatever a path leads to."""
    home = machine("a")
    for path in (tmp_path / "x", home.results / ".." / ".." / "x"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        shelf.put(path)
        assert shelf.seen(path) == str(path)
