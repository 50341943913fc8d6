"""The loop from drift to a better model, closed by events alone."""

import json
import os
import signal
import subprocess
from contextlib import suppress

import pytest

from tests.conftest import ROOT
from tests.e2e.conftest import BATON, Home, fresh_home
from tests.processes import wait_for

FIRST = [
    "baton.data.arrived",
    "baton.dataset.ready",
    "baton.model.trained",
    "baton.model.evaluated",
    "baton.model.promoted",
    "baton.predictions.ready",
    "baton.predictions.monitored",
]
"""From data to predictions that are as usual."""

MOVED = ["baton.data.arrived", "baton.predictions.ready", "baton.drift.detected", *FIRST[1:]]
"""From rows that have moved to a model that knows them."""

LINKS = {
    "baton.dataset.ready": "train",
    "baton.model.trained": "evaluate",
    "baton.model.evaluated": "promote",
    "baton.model.promoted": "predict",
    "baton.predictions.ready": "monitor",
    "baton.drift.detected": "generate",
}
"""Each event, and the stage that it starts."""


def _closed(out):
    """What the demo said, after checking that it says a whole story."""
    found = json.loads(out)
    assert found["state"] == "COMPLETED"
    events = [one["event"] for one in found["events"]]
    assert events == FIRST + MOVED
    causes = [None, *FIRST[:-1], FIRST[-1], *MOVED[:-1]]
    assert [one["caused_by"] for one in found["events"]] == causes
    assert [one["version"] for one in found["champions"]] == [1, 2]
    assert all(one["metric"] == "accuracy" and one["reason"] for one in found["champions"])
    return found


def test_the_loop_closes_by_events_alone(empty_home):
    """Trained, promoted, predicted; moved, drifted, trained anew, promoted, predicted as usual.

    Each event but the first has a cause; the second champion is better than the first on the rows
    that have moved.
    """
    answer = empty_home.baton("demo", "drift", "--json")
    assert answer.code == 0, answer.err
    found = _closed(answer.out)
    times = [one["at"] for one in found["events"]]
    assert times == sorted(times)
    assert "which is above 0" in found["champions"][1]["reason"]
    empty_home.wait_until_empty()


@pytest.fixture
def demo(tmp_path):
    """A demo that has just begun, its home, and the process that shows it."""
    with fresh_home(tmp_path / "demo") as home:
        process = subprocess.Popen(
            [*BATON, "demo", "drift", "--json"],
            cwd=ROOT,
            env=Home(tmp_path).environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            home.api = wait_for(lambda: _api_of(home), 120)
            yield home, process
        finally:
            process.kill()
            process.wait()


def _api_of(home):
    with suppress(OSError, ValueError):
        return json.loads((home.path / "holder.json").read_text())["prefect"]
    return None


def _ended(process):
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    return _closed(out)


def _runs(home, stage):
    with suppress(Exception):  # its server begins, or its flow is not there yet
        return home.runs(stage)
    return []


@pytest.mark.long  # who is missed is in test_recovery.py; the whole loop, unbroken, is above
@pytest.mark.parametrize("event", LINKS)
def test_an_event_that_is_lost_breaks_no_link(demo, event):
    """Nothing listens when it comes; it is announced again, and the loop closes."""
    _lost(*demo, event)


def _lost(home, process, event):
    listening = wait_for(lambda: _automations(home, event), 120)
    for one in listening:
        home.ask("PATCH", f"automations/{one['id']}", {"enabled": False})
    n_lost = len(wait_for(lambda: _events(home, event), 200))
    for one in listening:
        home.ask("PATCH", f"automations/{one['id']}", {"enabled": True})
    wait_for(lambda: len(_events(home, event)) > n_lost, 120)  # announced again
    _ended(process)


def _automations(home, event):
    """Those of the stage that listen for the event: what else begins it is not touched."""
    with suppress(Exception):
        found = home.post("automations/filter", {"limit": 100})
        own = [one for one in found if one["name"].startswith(f"{LINKS[event]}__automation")]
        return [one for one in own if event in one["trigger"]["expect"]]
    return []


def _events(home, event):
    with suppress(Exception):
        return home.post("events/filter", {"filter": {"event": {"name": [event]}}})["events"]
    return []


@pytest.mark.long  # test_chaos.py kills stages, too
@pytest.mark.parametrize("stage", [*LINKS.values()])
def test_a_process_that_is_killed_breaks_no_link(demo, stage):
    """kill -9 in the middle of a stage: it is begun again, and the loop closes."""
    _killed(*demo, stage)


def _killed(home, process, stage):
    def going():
        running = [run for run in _runs(home, stage) if run["state_type"] == "RUNNING"]
        return next(filter(None, (home.process_of(run["id"]) for run in running)), None)

    os.kill(wait_for(going, 200, step=0.02), signal.SIGKILL)
    wait_for(lambda: any("baton.deaths" in run["labels"] for run in _runs(home, stage)), 120)
    _ended(process)
