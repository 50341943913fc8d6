"""Who lingers in a home, until when, and who ends it."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from filelock import FileLock
from pydantic import ValidationError

from baton.settings import Settings
from serving import holder, lingering
from serving.embedded import Addresses, Processes
from tests.processes import wait_for

STANDS_IN = """
import sys, time
from filelock import FileLock
from baton.settings import settings
from serving import holder
with FileLock(settings().home / "baton.lock"):
    sys.argv = [sys.argv[1]]
    holder.record(settings())
    time.sleep(600)
"""


@pytest.mark.parametrize(
    ("said", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h", 3600), ("0.5m", 30)]
)
def test_a_time_is_said_with_its_unit(monkeypatch, said, seconds):
    """Seconds where there is none; nothing lingers where nothing is said."""
    assert Settings().linger == 0
    monkeypatch.setenv("BATON_LINGER", said)
    assert Settings().linger == seconds


@pytest.mark.parametrize("said", ["soon", "-5m", "10 d", "2d", "25h", "nan", "1e3"])
def test_a_time_that_is_none_is_refused(monkeypatch, said):
    """Also one of more than a day."""
    monkeypatch.setenv("BATON_LINGER", said)
    with pytest.raises(ValidationError, match="linger"):
        Settings()


@pytest.fixture
def held(tmp_path):
    """Have a home held by a process that was started by some command, which it says it is."""
    started = []

    def hold(*command, says):
        own = os.environ | {"BATON_HOME": str(tmp_path)}
        started.append(subprocess.Popen([sys.executable, *command, says], env=own))
        wait_for(lambda: holder.held_by(Settings(home=tmp_path)), 60, 0.05)
        return started[0]

    hold.settings = Settings(home=tmp_path)
    yield hold
    for one in started:
        one.kill()
        one.wait()


def test_who_lingers_is_ended(held):
    """By its process; the home is free then."""
    process = held(
        "-c", STANDS_IN.replace("argv[1]", "argv[2]"), "serving.lingering", says=lingering.COMMAND
    )
    assert lingering.lingering(held.settings).pid == process.pid
    assert lingering.end(held.settings).pid == process.pid
    assert process.wait(20) == -signal.SIGTERM
    assert lingering.end(held.settings) is None


@pytest.mark.parametrize("says", [lingering.COMMAND, "baton up"])
def test_nobody_else_is_ended(held, says):
    """Not a `baton up`, nor a process that only has the number of one that lingered."""
    process = held("-c", STANDS_IN, says=says)
    assert lingering.lingering(held.settings) is None
    assert lingering.end(held.settings) is None
    assert process.poll() is None


def test_a_record_that_a_killed_one_left_is_nobody(tmp_path):
    """Its lock is free."""
    settings = Settings(home=tmp_path)
    content = (
        f'{{"pid":{os.getpid()},"command":"{lingering.COMMAND}","since":"2026-01-01T00:00:00Z"}}'
    )
    (tmp_path / "holder.json").write_text(content)
    assert lingering.lingering(settings) is None
    with FileLock(tmp_path / "baton.lock"):
        assert lingering.lingering(settings) is None, "it is another process"


@pytest.fixture
def stays(tmp_path, monkeypatch):
    """Have a Baton stay, whose server says for each question how many runs are at work."""
    monkeypatch.setattr(lingering, "_SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(lingering, "_SECONDS_TO_BEGIN", 0.05)
    running = Processes(Settings(home=tmp_path))
    place = tmp_path / "up.json"

    def stay(answers, seconds):
        found = []

        def count(*_):
            found.append(place.exists())
            answer = answers.pop(0) if answers else 0
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(lingering.Client, "post", count)
        began = time.monotonic()
        lingering.stay(running, Addresses(1, "http://127.0.0.1:9/api"), seconds)
        return found, time.monotonic() - began

    return SimpleNamespace(stay=stay, place=place)


def test_it_ends_when_no_run_was_at_work_for_so_long(stays):
    """A server that does not answer is not idle; nobody finds it any more, then it ends."""
    found, seconds = stays.stay([1, lingering.ApiError("away"), 1], 0.1)
    assert seconds >= 0.12
    assert found[0]
    assert not found[-1]
    assert not stays.place.exists()


def test_who_has_found_it_in_the_last_moment_is_served(stays):
    """It is found again, and stays as long again."""
    found, seconds = stays.stay([*[0] * 4, *[1] * 20], 0.04)
    at_last = found.index(False)
    assert True in found[at_last:]
    assert seconds >= 0.15
