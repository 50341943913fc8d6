"""Processes that are kept up: when they are started again, and when no more."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.child import Child, ProcessError, end
from serving.restarts import Restarts
from serving.template import fork_template, keep_template, start_template
from tests.processes import is_alive, wait_for

STANDS = "import time; print('here', flush=True); time.sleep(60)"


def _child(tmp_path, code, **options):
    return Child(
        "some", [sys.executable, "-c", code], {}, tmp_path / "logs" / "some.log", **options
    )


def _tended(child, until, said):
    """Look after a process at the pace of a fast clock until something is so."""
    now = 0.0
    while not until():
        child.tend(now, said.append)
        time.sleep(0.02)
        now += 0.2


def test_pauses_grow_to_half_a_minute_and_are_forgotten():
    """From half a second, doubled; a minute after a death it counts no more, once it has stood."""
    restarts = Restarts()
    assert [restarts.pause(0.0) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert restarts.pause(61.0) == 30, "it has not stood since"
    restarts.stood(62.0)
    assert restarts.pause(130.0) == 0.5


def test_five_deaths_within_a_minute_are_the_end():
    """So are five without having stood in between, however long they take."""
    for step in (1.0, 100.0):
        restarts = Restarts(most=5)
        pauses = [restarts.pause(now * step) for now in range(5)]
        assert pauses == [0.5, 1, 2, 4, None]


def test_a_process_that_was_killed_is_started_again_and_said_so(tmp_path):
    """In one line with its cause, and another when it is ready."""
    child, said = _child(tmp_path, STANDS), []
    try:
        first = child.process.pid
        while "here" not in child.log.read_text():
            time.sleep(0.02)
        child.signal(signal.SIGKILL)
        child.process.wait()
        _tended(child, lambda: len(said) == 2, said)
        assert said[0].startswith("the some process was killed by signal 9: here (log: ")
        assert said[0].endswith("; it is started again in 0.5 s")
        assert said[1] == "the some process is back"
        assert child.process.pid != first
        assert child.process.poll() is None
    finally:
        end([child])
    assert child.process.poll() is not None


def test_a_process_that_cannot_stay_up_ends_in_its_failure(tmp_path):
    """After five attempts, each said; the last thing that it said is the reason."""
    child, said = _child(tmp_path, "import sys; print('no port'); sys.exit(3)"), []
    with pytest.raises(ProcessError, match=r"some process ended with code 3: no port .* stay up"):
        _tended(child, lambda: False, said)
    assert len([line for line in said if "started again" in line]) == 4


def test_a_process_that_never_gets_ready_is_not_waited_for_for_ever(tmp_path):
    """Three minutes after it was started again."""
    child = _child(tmp_path, STANDS, is_ready=lambda: False)
    try:
        child.signal(signal.SIGKILL)
        child.process.wait()
        child.tend(0.0, lambda _: None)
        child.tend(1.0, lambda _: None)
        child.tend(180.0, lambda _: None)
        with pytest.raises(ProcessError, match="did not get ready"):
            child.tend(182.0, lambda _: None)
    finally:
        end([child])


def test_one_that_may_die_for_ever_is_begun_again_where_it_does_not_get_ready(tmp_path):
    """It is killed then; nothing else ends."""
    child, said = _child(tmp_path, STANDS, is_ready=lambda: False, restarts=Restarts()), []
    try:
        child.signal(signal.SIGKILL)
        child.process.wait()
        child.tend(0.0, said.append)
        child.tend(1.0, said.append)
        late = child.process.pid
        child.tend(182.0, said.append)
        child.process.wait(10)
        child.tend(183.0, said.append)
        child.tend(185.0, said.append)
        assert child.process.pid != late
        assert [line.count("killed by signal 9") for line in said] == [1, 1]
    finally:
        end([child])


def test_a_process_is_given_the_open_files_that_it_is_to_have(tmp_path):
    """Again whenever it is started."""
    place = tmp_path / "place"
    with place.open("w") as kept:
        code = f"import os, time; os.write({kept.fileno()}, b'x'); time.sleep(60)"
        child = _child(tmp_path, code, descriptors=(kept.fileno(),))
        try:
            for times in (1, 2):
                while place.read_text() != "x" * times:
                    time.sleep(0.02)
                child.signal(signal.SIGKILL)
                child.process.wait()
                child.start()
        finally:
            end([child])


def test_work_that_is_done_is_not_done_again(tmp_path):
    """A process that is to end by itself, and did."""
    child, said = _child(tmp_path, "", is_brief=True), []
    child.process.wait()
    child.tend(0.0, said.append)
    assert said == []


def test_what_does_not_listen_is_ended_in_seconds(tmp_path):
    """With all that it started itself."""
    code = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print('here', flush=True); time.sleep(60)"
    )
    children = [_child(tmp_path / str(n), code) for n in range(2)]
    while not all("here" in child.log.read_text() for child in children):
        time.sleep(0.02)
    began = time.monotonic()
    end(children)
    assert time.monotonic() - began < 8


def test_a_folder_too_long_for_a_socket_is_an_error_of_the_system(tmp_path):
    """On which the runner goes on cold."""
    with pytest.raises(OSError, match="too long"):
        start_template(tmp_path / ("x" * 200))


def test_a_template_that_was_killed_is_started_again(tmp_path):
    """Each time, after half a second and then later."""

    def templates():
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        commands = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
        return [pid for pid, command in commands.items() if b"serving.warm" in command]

    async def kill_twice():
        keeping, seen = asyncio.create_task(keep_template(tmp_path / "door")), []
        while len(seen) < 3:
            for pid in set(templates()) - set(seen):
                os.kill(pid, signal.SIGKILL)
                seen.append(pid)
            await asyncio.sleep(0.05)
        keeping.cancel()
        return seen

    assert len(set(asyncio.run(kill_twice()))) == 3


FORKING = """
import os, sys, time
from pathlib import Path
from serving import warm
from serving.template import fork_template

import baton
os.environ.pop("BATON_PARENT_PID", None)
forked = fork_template(Path(sys.argv[1]), warm.sources())
print(forked.pid, flush=True)
if sys.argv[2] == "killed":
    os.kill(forked.pid, 9)
    while forked.poll() is None:
        time.sleep(0.01)
    print(forked.returncode, forked.poll(), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="runs are forked on Linux alone")
def test_a_forked_template_tells_how_it_ended(tmp_path):
    """As one that was started does."""
    command = [sys.executable, "-c", FORKING, str(tmp_path / "door"), "killed"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "-9 -9"


@pytest.mark.skipif(sys.platform != "linux", reason="runs are forked on Linux alone")
def test_a_forked_template_ends_with_its_process(tmp_path):
    """Also while it still imports."""
    command = [sys.executable, "-c", FORKING, str(tmp_path / "door"), "left"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    wait_for(lambda: not is_alive(int(done.stdout)), 30)


def test_what_cannot_be_forked_is_started_in_another_way(tmp_path):
    """No socket, no template: the runner goes on by the ordinary way, and then cold."""
    assert fork_template(tmp_path / ("x" * 200), 0.0) is None


LONG = """
import os, time
for _ in range(12):
    os.write(1, b"x" * 2**20)
while os.fstat(1).st_size:
    time.sleep(0.02)
print("writes on", flush=True)
time.sleep(60)
"""


def test_a_long_log_begins_anew(tmp_path):
    """What it said before stands beside it, and the process writes on."""
    child = _child(tmp_path, LONG)
    try:
        _tended(child, lambda: child.log.read_bytes() == b"writes on\n", [])
        older = child.log.with_name("some.log.1").read_bytes()
        assert 10 * 2**20 < len(older) <= 12 * 2**20
        assert set(older) == set(b"x")
    finally:
        end([child])


def test_a_parent_is_watched_but_once():
    """However often it is asked for, on the way to a run's first line."""
    code = (
        "import os, threading; from baton.parent import die_with;"
        " [die_with(os.getppid()) for _ in range(3)]; print(threading.active_count())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "2"
