"""A server that hangs, and one that was started anew, before a `baton run` that waits for it."""

import json
import os
import signal
import time

import pytest

from tests.e2e.conftest import BRIEFLY, wait_for

pytestmark = pytest.mark.e2e


def _server(home):
    return next(pid for pid, one in home.commands().items() if "serving.server" in one)


def _going(home):
    wanted = {"state": {"type": {"any_": ["RUNNING"]}}}
    return {run["id"] for run in home.runs("generate", **wanted)}


@pytest.mark.long
def test_a_server_that_hangs_keeps_nobody_who_wants_to_leave(up):
    """Ctrl-C ends the command within ten seconds, and says that the chain was not cancelled."""
    before = _going(up)
    runner = up.begin_run("-p", "rows=30000", "-p", "seed=77", *BRIEFLY)
    wait_for(lambda: _going(up) - before, 300)
    server = _server(up)
    os.kill(server, signal.SIGSTOP)
    try:
        runner.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, said = runner.communicate(timeout=500)
        seconds = time.monotonic() - began
    finally:
        os.kill(server, signal.SIGCONT)
    assert seconds < 10
    assert runner.returncode == 130, said
    assert "could not be cancelled" in said
    assert "Traceback" not in said


@pytest.mark.long  # a whole Baton twice; that another secret is asked for: test_following.py
@pytest.mark.timeout(600)
def test_a_waiting_run_outlives_a_whole_new_baton(home):
    """At another address and with another secret: the chain completes, and so does the command."""
    home.start()
    secret, api = home.secret, home.api
    runner = home.begin_run("-p", "rows=30000", "--json", *BRIEFLY)
    wait_for(lambda: _going(home), 300)
    home.stop(signal.SIGKILL)
    wait_for(lambda: set(home.processes()) == {runner.pid}, 300)
    home.start()
    assert (home.secret, home.api) != (secret, api)
    out, said = runner.communicate(timeout=500)
    assert runner.returncode == 0, said
    assert json.loads(out)["state"] == "COMPLETED"
    assert "the Prefect server answers again" in said
