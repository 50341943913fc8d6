"""Processes: killed ones lose nothing, and none stays behind."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.conftest import BATON, BRIEFLY, wait_for

pytestmark = pytest.mark.e2e


def _pid(home, mark):
    """Process of this home whose command line has this mark."""
    for pid in home.processes():
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        if mark in command:
            return pid
    return None


def test_a_chain_survives_kill_9_of_the_serve_process_in_the_middle_of_training(home):
    """`baton up` again ends with the chain complete and one model version."""
    home.start()
    runner = subprocess.Popen(
        [*BATON, "run", "spheres", "-p", "rows=30000", *BRIEFLY, "--json"],
        cwd=ROOT,
        env=home.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_for(lambda: home.runs("train", state={"type": {"any_": ["RUNNING"]}}), 150)
    time.sleep(1)
    os.kill(_pid(home, "-m serving "), signal.SIGKILL)
    assert home.process.wait(60) == 1
    assert "killed by signal 9" in (home.path / "up.out").read_text()
    runner.kill()
    runner.communicate()
    wait_for(lambda: not home.processes(), 30)

    home.start()
    wait_for(lambda: home.runs("evaluate", state={"type": {"any_": ["COMPLETED"]}}), 240)
    assert {run["state_type"] for run in home.runs("train")} == {"COMPLETED"}
    assert len(home.runs("train")) == 1
    assert _versions(home) == 1


def _versions(home):
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{home.path}/mlflow/mlflow.db")
    return len(client.search_model_versions("name='baton-spheres'"))


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_running_after_the_command_is_ended(home, signum):
    """Ctrl-C and even kill -9 of `baton run` end all it started."""
    process = subprocess.Popen(
        [*BATON, "run", "spheres", "-p", "rows=100000"],
        cwd=ROOT,
        env=home.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that started the tests in its background has them ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    wait_for(lambda: _pid(home, "warm_client"), 150)
    process.send_signal(signum)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if signum == signal.SIGKILL else 130)
    assert "Traceback" not in said
    wait_for(lambda: not home.processes(), 30)


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
