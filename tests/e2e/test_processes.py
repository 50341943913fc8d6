"""Processes: killed ones lose nothing, and none stays behind."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import BRIEFLY, wait_for

pytestmark = pytest.mark.e2e


def _pid(home, mark):
    """Process of this home whose command line has this mark."""
    return next((pid for pid, command in home.commands().items() if mark in command), None)


def _said(home):
    return (home.path / "up.out").read_text()


@pytest.mark.long  # test_chaos.py kills both, too, and others with them
def test_a_chain_survives_kill_9_of_the_serve_process_and_of_the_server(home):
    """`baton up` starts them again: the waiting `baton run` completes, with one model version."""
    home.start()
    runner = home.begin_run("-p", "rows=30000", *BRIEFLY, "--json")
    wait_for(lambda: home.runs("train", state={"type": {"any_": ["RUNNING"]}}), 300)
    time.sleep(1)
    os.kill(_pid(home, "-m serving "), signal.SIGKILL)
    wait_for(lambda: "the serve process is back" in _said(home), 300)
    os.kill(_pid(home, "serving.server"), signal.SIGKILL)
    out, said = runner.communicate(timeout=500)
    assert runner.returncode == 0, said
    assert {stage["state"] for stage in json.loads(out)["stages"]} == {"COMPLETED"}
    assert "the serve process was killed by signal 9" in _said(home)
    assert "the server process was killed by signal 9" in _said(home)
    assert len(home.runs("train")) == 1
    assert _versions(home) == 1


@pytest.mark.long  # tests/unit/test_child.py has a process that cannot stay up
def test_what_cannot_stay_up_ends_baton_up(home):
    """With the reason and exit code 1."""
    home.start()
    mark, end = "-m serving ", time.monotonic() + 100
    while home.process.poll() is None:
        assert time.monotonic() < end, _said(home)
        if pid := _pid(home, mark):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
    assert home.process.returncode == 1
    last = _said(home).splitlines()[-1]
    assert last.startswith("baton: the serve process was killed by signal 9")
    assert last.endswith("it does not stay up")


def _versions(home):
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{home.path}/mlflow/mlflow.db")
    return len(client.search_model_versions("name='baton-spheres'"))


def test_nothing_is_left_running_after_the_command_is_killed(home):
    """Even kill -9 of `baton run` ends all it started."""
    process = home.begin_run("-p", "rows=100000")
    wait_for(lambda: _pid(home, "warm_client"), 300)
    process.kill()
    _, said = process.communicate(timeout=10)
    assert process.returncode == -signal.SIGKILL
    assert "Traceback" not in said
    assert "is cancelled" not in said
    home.wait_until_empty()


@pytest.mark.long  # who waits for whom is said: tests/unit/test_standing.py
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_beside_a_run_others_see_it_and_say_that_they_wait_for_it(home, signum):
    """`status` shows the stage that runs; a second `run` names the first and can be ended.

    The first one's end, by Ctrl-C or SIGTERM, cancels its chain and leaves nothing running.
    """
    first = home.begin_run("-p", "rows=100000", "--json")
    wait_for(lambda: _pid(home, "warm_client"), 300)
    second = home.begin_run("--json")
    told = second.stderr.readline()
    assert told.startswith(f"baton: waiting for `baton run spheres` (process {first.pid}, since ")

    def states():
        (chain,) = home.baton("status", "--json").json
        return chain["state"], {stage["state"] for stage in chain["stages"]}

    assert wait_for(lambda: "RUNNING" in states()[1], 300)
    assert states()[0] == "RUNNING"
    second.terminate()
    second.communicate(timeout=10)
    assert second.returncode == 143
    began = time.monotonic()
    first.send_signal(signum)
    out, said = first.communicate(timeout=500)
    assert time.monotonic() - began < 10
    assert first.returncode == 128 + signum, said
    assert "Traceback" not in said
    assert "is cancelled; what its stages have made stays" in said
    assert json.loads(out)["state"] == "CANCELLED"
    home.wait_until_empty()
    assert states()[0] == "CANCELLED"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_while_modules_are_imported_is_one_line(empty_home, signum):
    """From the moment when the command's own first line has run."""
    process = empty_home.begin_run()
    status = Path(f"/proc/{process.pid}/status")
    caught = re.compile(r"^SigCgt:\s*(\w+)$", re.MULTILINE)
    while not int(caught.search(status.read_text())[1], 16) & 1 << signal.SIGTERM - 1:
        time.sleep(0.001)
    process.send_signal(signum)
    _, said = process.communicate(timeout=10)
    assert said == "baton: interrupted\n"
    assert process.returncode == 128 + signum
    assert list(empty_home.path.iterdir()) == []


def test_looking_in_a_wrong_folder_makes_no_home(empty_home):
    """`status` and `prune` name the home that they looked in."""
    home = empty_home.path / ".baton"
    answers = empty_home.baton("status"), empty_home.baton("status", "--json")
    away = [
        empty_home.baton(*command, cwd=empty_home.path, BATON_HOME=".baton")
        for command in (["status"], ["status", "abc"], ["prune"])
    ]
    assert [answer.code for answer in [*answers, *away]] == [0, 0, 0, 2, 2]
    assert answers[1].json == []
    assert str(empty_home.path) in answers[0].out.replace("\n", "")
    assert all(str(home) in answer.out + answer.err for answer in away)
    assert list(empty_home.path.iterdir()) == []


@pytest.mark.long  # test_loop.py: the demo brings a server of its own, too, and leaves nothing
def test_a_run_without_a_standing_baton_leaves_nothing_running(home):
    """The embedded server, the serve process and the runs end with the command."""
    answer = home.baton("run", "spheres", "-p", "rows=500", *BRIEFLY, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["state"] == "COMPLETED"
    assert home.processes() == []


def test_a_home_that_cannot_be_written_is_refused(empty_home):
    """One line with the fix, exit code 2."""
    blocked = empty_home.path / "file"
    blocked.write_text("")
    answer = empty_home.baton("run", "spheres", BATON_HOME=str(blocked / "home"))
    assert answer.code == 2
    assert "set BATON_HOME" in answer.err
    assert "Traceback" not in answer.err


def test_a_server_that_does_not_answer_is_named(empty_home):
    """PREFECT_API_URL of nobody: one line with the fix, exit code 2."""
    answer = empty_home.baton("run", "spheres", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert answer.code == 2
    assert "http://127.0.0.1:9/api" in answer.err
    assert "Traceback" not in answer.err
