"""The ledger of arrivals: each once, in order, and nothing of it is lost."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from rich.console import Console

from baton.chain import arrivals
from baton.chain.arrivals import Arrival, Arriving, Progress, State
from baton.chain.events import EventName, Stage, chain_begun_by
from baton.cli import show
from baton.settings import Settings

ONE = Arriving(
    problem="table",
    begins=Stage.GENERATE,
    parameters={"path": "/data/wine.csv", "target": "y"},
    source="wine.csv",
    content="a" * 64,
)
WRITER = """
import sys
from pathlib import Path
from baton.chain import arrivals
from baton.settings import Settings
from dataclasses import replace
from tests.unit.test_arrivals import ONE

home, n = Settings(home=Path(sys.argv[1])), int(sys.argv[2])
for place in range(n):
    arrivals.entered(home, replace(ONE, content=f"{place:064x}", key=sys.argv[3]))
"""


@pytest.fixture
def home(tmp_path):
    return Settings(home=tmp_path)


def test_what_arrived_is_entered_once(home):
    """However often it is announced; with a number, and the chain that it begins."""
    first, was_known = arrivals.entered(home, ONE)
    again, is_known = arrivals.entered(home, ONE)
    assert (was_known, is_known) == (False, True)
    assert (first.number, first.state, first.repeated) == (1, State.KEPT, 0)
    assert again == first.model_copy(update={"repeated": 1})
    assert first.chain == chain_begun_by(EventName.DATA_ARRIVED, first.id)
    assert first.event.chain == first.event.generate.chain == first.chain
    assert first.event.labels["baton.begins"] == "generate"
    assert arrivals.found(home) == [again]


@pytest.mark.parametrize(
    "change",
    [
        {"content": "b" * 64},
        {"parameters": {"path": "/data/wine.csv", "target": "z"}},
        {"options": {"model": "xgboost"}},
        {"begins": Stage.PREDICT},
        {"key": "2021-03"},
    ],
)
def test_what_differs_in_anything_that_decides_is_another_arrival(home, change):
    """Content, parameters, options, what it begins, or its period."""
    first, _ = arrivals.entered(home, ONE)
    other, is_known = arrivals.entered(home, replace(ONE, **change))
    assert not is_known and other.number == 2
    assert other.chain != first.chain


def test_what_only_reading_tells_is_once_by_its_key(home):
    """And without a key every announcement counts."""
    unread = replace(ONE, content=None)
    assert [arrivals.entered(home, unread)[1] for _ in range(2)] == [False, False]
    keyed = replace(unread, key="2021-03")
    assert [arrivals.entered(home, keyed)[1] for _ in range(2)] == [False, True]


def test_a_period_before_one_that_is_there_is_late(home):
    """It is taken all the same; another series has periods of its own."""
    keys = ["2021-02", "2021-04", "2021-03", "2021-05"]
    found = [arrivals.entered(home, replace(ONE, key=key))[0] for key in keys]
    assert [one.is_late for one in found] == [False, False, True, False]
    assert {one.state for one in found} == {State.KEPT}
    other = replace(ONE, key="2021-01", series="another table")
    assert not arrivals.entered(home, other)[0].is_late


def test_what_is_damaged_is_kept_with_the_reason_and_begins_nothing(home):
    """It counts anew when it is mended."""
    torn = replace(ONE, content=None, reason="wine.csv is empty")
    damaged, _ = arrivals.entered(home, torn)
    assert (damaged.state, damaged.reason, damaged.event) == (
        State.DAMAGED,
        "wine.csv is empty",
        None,
    )
    assert arrivals.entered(home, torn)[0].repeated == 1
    assert arrivals.unsettled(home) == []
    mended, is_known = arrivals.entered(home, ONE)
    assert not is_known and mended.state is State.KEPT


def test_a_damaged_file_of_the_ledger_is_put_aside_and_its_number_not_given_again(home):
    """What it was of counts anew, as the same chain."""
    first, _ = arrivals.entered(home, ONE)
    place = arrivals.folder(home) / f"{first.name}.json"
    place.write_bytes(place.read_bytes()[:40])
    assert arrivals.found(home) == []
    assert arrivals.unreadable(home) == [first.name]
    again, is_known = arrivals.entered(home, ONE)
    assert not is_known
    assert (again.number, again.chain) == (2, first.chain)
    assert place.with_name(f"{place.name}.aside").exists()
    assert arrivals.unreadable(home) == []


def test_two_writers_give_each_number_once(home):
    """Numbers follow each other without a gap, and what both announce is one arrival."""

    def begun(key):
        command = [sys.executable, "-c", WRITER, str(home.home), "25", key]
        return subprocess.Popen(command)

    writers = [begun(key) for key in ("a", "a", "b")]
    assert [one.wait(120) for one in writers] == [0, 0, 0]
    found = arrivals.found(home)
    assert [one.number for one in found] == list(range(1, 51))
    assert sum(one.repeated for one in found) == 25


def test_only_what_is_unsettled_is_looked_at(home):
    """An arrival leaves the list when it is taken, and comes back when it was lost."""
    first, _ = arrivals.entered(home, ONE)
    told = arrivals.changed(home, first, state=State.TOLD, attempts=1, told=datetime.now(UTC))
    assert arrivals.unsettled(home) == [told]
    arrivals.changed(home, first, state=State.LOST, reason="nobody came")
    assert arrivals.unsettled(home) == []
    again, is_known = arrivals.entered(home, ONE)
    assert is_known
    assert (again.state, again.reason, again.forgiven) == (State.KEPT, "", 1)
    assert arrivals.unsettled(home) == [again]


NOW = datetime(2026, 3, 1, tzinfo=UTC)


def told(number, seconds, attempts=1, forgiven=0):
    """Arrival that was told so many seconds ago."""
    return Arrival(
        number=number,
        id=f"{number:016x}",
        at=NOW - timedelta(hours=1),
        problem="table",
        begins="generate",
        source="wine.csv",
        chain=f"{number:012x}",
        state=State.TOLD,
        attempts=attempts,
        forgiven=forgiven,
        told=NOW - timedelta(seconds=seconds),
    )


def test_what_no_run_came_of_is_told_again_after_growing_waits():
    """20 s, then twice as long each time; what was lost before has its waits anew."""
    waits = {1: 20, 2: 40, 3: 80, 4: 160}
    for attempts, wait in waits.items():
        assert arrivals.unheard([told(1, wait - 1, attempts)], Progress(), NOW) == []
        late = told(1, wait, attempts)
        assert arrivals.unheard([late], Progress(), NOW) == [late]
    late = told(1, 20, attempts=7, forgiven=6)
    assert arrivals.unheard([late], Progress(), NOW) == [late]
    assert arrivals.is_given_up(told(1, 0, attempts=arrivals.MOST_TOLD))
    assert not arrivals.is_given_up(late)


def test_a_server_that_goes_on_with_a_burst_is_waited_for():
    """But not for one that a later one has overtaken, nor where it begins nothing any more."""
    waiting = [told(number, 60) for number in (7, 8, 9)]
    goes_on = NOW - timedelta(seconds=3)
    assert arrivals.unheard(waiting, Progress(6, goes_on), NOW) == []
    assert arrivals.unheard(waiting, Progress(8, goes_on), NOW) == waiting[:1]
    assert arrivals.unheard(waiting, Progress(6, NOW - timedelta(seconds=21)), NOW) == waiting


def test_what_arrived_is_listed_with_what_came_of_it(home):
    """Late, repeated and damaged ones among them."""
    out = StringIO()
    console = Console(file=out, width=200)
    show.arrival_list(console, arrivals.found(home), str(home.home))
    assert f"nothing has arrived in {home.home}" in out.getvalue()
    for key in ("2021-04", "2021-03", "2021-03"):
        arrivals.entered(home, replace(ONE, key=key))
    arrivals.entered(home, replace(ONE, content=None, reason="wine.csv is empty"))
    show.arrival_list(console, arrivals.found(home), str(home.home))
    assert "late, repeated 1 time, kept" in out.getvalue()
    assert "damaged: wine.csv is empty" in out.getvalue()
