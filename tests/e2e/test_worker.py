"""`baton worker`: its runs start warm, and end with it, however it ends.

A whole chain under it is in `tests/e2e/test_deploy.py`; which runs start warm is decided by what
is tested in `tests/unit/test_cold.py`.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.conftest import BATON, wait_for
from tests.e2e.team import LOGIN, environment_of, plain_server, prefect
from tests.processes import is_alive

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.long,  # test_cold.py of unit decides who starts warm, test_child.py has a template
    pytest.mark.skipif(sys.platform != "linux", reason="warm runs are forked, as Linux can"),
]
FEW = {"importance_rows": 50, "n_repeats": 1, "explain_rows": 5}
MANY = 100_000


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with a login on which all is deployed, and whose clock begins nothing."""
    with plain_server(tmp_path_factory.mktemp("team")) as home:
        prefect(home, "work-pool", "create", "baton", "--type", "process")
        prefect(home, "work-pool", "create", "boxes", "--type", "docker")
        answer = home.baton("deploy", **environment_of(home))
        assert answer.code == 0, answer.err
        prefect(home, "deployment", "schedule", "pause", "--all")
        yield home


@contextmanager
def _working(server, place, *options):
    """A worker that is ready, its output in a file."""
    with (place / "said").open("wb") as said:
        process = subprocess.Popen(
            [*BATON, "worker", "--pool", "baton", *options],
            cwd=place,
            env=environment_of(server),
            stdout=said,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        )
    try:
        wait_for(lambda: "started!" in _said(place))
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _said(place):
    return (place / "said").read_text()


def _begin(server, **parameters):
    """Have a chain of the spheres begun; whoever takes it."""
    said = {"problem": "spheres", "parameters": parameters, "options": FEW}
    deployment = server.ask("GET", "deployments/name/generate/generate-spheres").json()["id"]
    server.post(f"deployments/{deployment}/create_flow_run", {"parameters": said})


def _left(server):
    """Command lines of this home's processes, but for its server."""
    return [one for one in server.commands().values() if "server start" not in one]


def _running(server, flow):
    """Id of the flow's run that is running."""
    found = server.runs(flow, state={"type": {"any_": ["RUNNING"]}})
    return found and found[0]["id"]


def test_bad_input_is_one_line(server, empty_home):
    """With what to do; nothing is started."""
    told = environment_of(server)
    nowhere = {"PREFECT_API_URL": "http://127.0.0.1:9/api"}
    cases = [
        ({}, ["baton"], "PREFECT_API_URL is not set"),
        (nowhere, ["baton"], "no Prefect server answers at PREFECT_API_URL=http://127.0.0.1:9/api"),
        (told, ["none"], "make it: `prefect work-pool create none --type process`"),
        (told, ["boxes"], "is of type docker"),
        (told, ["baton", "--name", "a/b"], "--name takes neither / nor %, got 'a/b'"),
        (told, ["baton", "--limit", "0"], "limit"),
    ]
    for environment, (pool, *more), fact in cases:
        answer = empty_home.baton("worker", "--pool", pool, *more, **environment)
        assert (answer.code, answer.err.count("\n")) == (2, 1), answer.err
        assert fact in answer.err
    assert not _left(server)


def test_two_workers_side_by_side_run_each_stage_once_and_warm(server, tmp_path):
    """Forked from what has imported everything; no command line holds the login."""
    places = [tmp_path / "one", tmp_path / "two"]
    for place in places:
        place.mkdir()
    with _working(server, places[0], "--limit", "1"), _working(server, places[1]):
        for seed in (1, 2):
            _begin(server, rows=400, seed=seed)
        seen, done = {}, {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}
        while len(server.runs("promote", state=done)) < 2:
            seen |= server.commands()
            time.sleep(0.5)
    for stage in ("generate", "train", "evaluate", "promote"):
        states = [run["state_type"] for run in server.runs(stage)]
        assert states == ["COMPLETED"] * 2, stage
    assert not [line for line in seen.values() if "prefect.engine" in line or "_workspace" in line]
    assert not [line for line in seen.values() if LOGIN in line]
    assert all("start cold" not in _said(place) for place in places)
    wait_for(lambda: not _left(server), 10)


def test_a_run_that_is_killed_is_begun_again_and_one_that_is_cancelled_is_not(server, tmp_path):
    """The server is told how each ended; the worker goes on."""
    with _working(server, tmp_path) as worker:
        _begin(server, rows=MANY)
        run = wait_for(lambda: _running(server, "train"))
        process = wait_for(lambda: server.process_of(run))
        assert server.ask("GET", f"flow_runs/{run}").json()["infrastructure_pid"] == str(process)
        os.kill(process, signal.SIGKILL)
        assert "status code: -9" in wait_for(lambda: _state(server, run, "CRASHED"))["message"]
        prefect(server, "deployment", "run", "reconcile/reconcile")
        wait_for(lambda: _state(server, run, "RUNNING"))
        prefect(server, "flow-run", "cancel", run)
        wait_for(lambda: _state(server, run, "CANCELLED"))
        wait_for(lambda: not _warm(server))
        assert worker.poll() is None


def _warm(server):
    return [one for one in _left(server) if "warm_client" in one]


def _state(server, run, kind):
    state = server.ask("GET", f"flow_runs/{run}").json()["state"]
    return state if state["type"] == kind else None


@pytest.mark.parametrize("how", ["command killed", "worker killed", "Ctrl-C"])
def test_nothing_of_a_worker_that_ended_is_left(server, tmp_path, how):
    """Neither its template nor a run, one that starts cold among them; what the end was is said."""
    _deploy_other(server, tmp_path)
    with _working(server, tmp_path) as worker:
        prefect(server, "deployment", "run", "other/other", "-p", "seconds=600")
        _begin(server, rows=MANY)
        wait_for(lambda: (tmp_path / "seen").exists() and _warm(server))
        inner = next(p for p, c in server.commands().items() if "serving.worker" in c)
        signum = signal.SIGINT if how == "Ctrl-C" else signal.SIGKILL
        os.kill(inner if how == "worker killed" else worker.pid, signum)
        code = worker.wait(30)
        wait_for(lambda: not _left(server), 20)
    ends = {"command killed": (-9, ""), "worker killed": (1, "the worker was killed by signal 9")}
    expected, line = ends.get(how, (130, "baton: interrupted"))
    assert code == expected
    assert line in _said(tmp_path)
    assert "Traceback" not in _said(tmp_path)
    _forget(server)


def _forget(server):
    """Have nobody begin again what the worker has left."""
    going = {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}}
    for run in server.post("flow_runs/filter", {"flow_runs": {"state": going}}):
        server.ask("DELETE", f"flow_runs/{run['id']}")


OTHER = """import os, time
from pathlib import Path
from prefect import flow

@flow
def other(seconds: float = 0.0):
    import tasks
    Path(__file__).with_name("seen").write_text(f"{os.getpid()} {tasks.__file__}")
    time.sleep(seconds)
"""


def _deploy_other(server, place):
    """Code of somebody else's, with a package of a name that Baton has, too."""
    (place / "tasks").mkdir()
    (place / "tasks" / "__init__.py").write_text("")
    (place / "other.py").write_text(OTHER)
    prefect(server, "deploy", "other.py:other", "-n", "other", "-p", "baton", cwd=place)


def test_code_of_another_folder_starts_cold(server, tmp_path):
    """In an interpreter of its own, with that folder's packages; the log says why, once."""
    _deploy_other(server, tmp_path)
    with _working(server, tmp_path):
        for _ in range(2):
            prefect(server, "deployment", "run", "other/other", "--watch")
        pid, found = (tmp_path / "seen").read_text().split()
    assert Path(found) == tmp_path / "tasks" / "__init__.py"
    assert not is_alive(pid)
    assert _said(tmp_path).count("runs of other start cold: its code is not taken from") == 1


def _template(server):
    """Process that forks runs, for as long as there is no run."""
    found = [pid for pid, one in server.commands().items() if "-m serving.warm " in one]
    return found[0] if len(found) == 1 else None


def test_the_template_is_renewed_and_started_again(server, tmp_path):
    """When a source has changed, and when it was killed; runs that come meanwhile complete."""
    with _working(server, tmp_path):
        prefect(server, "deployment", "run", "reconcile/reconcile", "--watch")
        before = wait_for(lambda: _template(server))
        (ROOT / "flows" / "reconcile.py").touch()
        for _ in range(2):
            prefect(server, "deployment", "run", "reconcile/reconcile", "--watch")
        assert wait_for(lambda: _template(server)) == before  # the same, with the code as it is now
        os.kill(before, signal.SIGKILL)
        prefect(server, "deployment", "run", "reconcile/reconcile", "--watch")
        assert wait_for(lambda: _template(server)) != before
    assert "the template of runs ended with code -9" in _said(tmp_path)
    assert "start cold" not in _said(tmp_path)
