"""`baton deploy` to a server that Baton did not start: with a login, a process work pool, a worker.

What is changed by what is tested by `tests/integration/test_deploying.py`.
"""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from tests.conftest import ROOT
from tests.e2e.conftest import BATON, declared_automations, fresh_home, wait_for
from tests.stalling import stalling

pytestmark = pytest.mark.e2e
BIN = Path(sys.executable).parent
LOGIN = "team:only-for-the-test"
AUTH = "PREFECT_API_AUTH_STRING"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A plain Prefect server with a login, started as its documentation says."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with fresh_home(tmp_path_factory.mktemp("server")) as home:
        (home.path / "auth").touch(0o600)
        (home.path / "auth").write_text(LOGIN)  # where the tests look for it
        home.process = subprocess.Popen(
            [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env=_environment(home, PREFECT_SERVER_API_AUTH_STRING=LOGIN),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        home.api = f"http://127.0.0.1:{port}/api"

        def answers():
            try:
                return httpx.get(f"{home.api}/health", verify=False).is_success
            except httpx.HTTPError:
                return False

        wait_for(answers)
        yield home


def _environment(home, **more):
    values = {
        "PREFECT_HOME": str(home.path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        AUTH: LOGIN,
        **({"PREFECT_API_URL": home.api} if home.api else {}),
    }
    return home.environment(**values | more)


def _prefect(home, *arguments, cwd=ROOT):
    done = subprocess.run(
        [BIN / "prefect", "--no-prompt", *arguments],
        cwd=cwd,
        env=_environment(home),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _deploy(home, *arguments):
    return home.baton("deploy", *arguments, **_environment(home))


def _ids(home):
    """Ids of all that stands, by name."""
    kinds = ("deployments", "automations")
    return {one["name"]: one["id"] for kind in kinds for one in home.post(f"{kind}/filter", {})}


@pytest.fixture(scope="module")
def deployed(server):
    """The server after Prefect's own deploy, one of Baton's that was killed, and the next one."""
    _prefect(server, "work-pool", "create", "baton", "--type", "process")
    _prefect(server, "deploy", "--all")
    server.before = _ids(server)
    with stalling(server.api, writes=3) as cut:
        killed = subprocess.Popen(
            [*BATON, "deploy"],
            cwd=ROOT,
            env=_environment(server, PREFECT_API_URL=cut.api),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        assert cut.is_stalled.wait(300)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    server.answer = _deploy(server)
    return server


def test_a_deploy_that_was_killed_is_finished_by_the_next(deployed):
    """Up to three were taken over before, as one may be written twice; what is left is done."""
    assert deployed.answer.code == 0, deployed.answer.err
    said = re.search(r"\n0 to make, (\d+) to change, 0 to remove\n", deployed.answer.out)
    n_left = int(said[1])
    assert len(deployed.before) - 3 <= n_left < len(deployed.before)
    assert deployed.answer.out.endswith(f"\n0 made, {n_left} changed, 0 removed\n")


def test_what_prefect_deployed_is_taken_over_with_its_ids(deployed):
    """Every deployment and automation stands once, as before; a second deploy changes nothing."""
    declared = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    assert set(deployed.before) == {d["name"] for d in declared} | declared_automations()
    check = _deploy(deployed, "--check", "--json")
    assert (check.code, check.json["changes"]) == (0, []), check.out
    assert _ids(deployed) == deployed.before


def test_a_server_that_does_not_know_who_asks_is_one_line(deployed):
    """With what to set; the code is not that of a difference."""
    answer = deployed.baton("deploy", "--check", **_environment(deployed, **{AUTH: "some:body"}))
    assert (answer.code, answer.err.count("\n")) == (2, 1), answer.err
    assert f'401 Unauthorized: {{"exception_message":"Unauthorized"}}; set {AUTH}' in answer.err


def test_a_server_that_others_started_is_looked_at(deployed):
    """All stands there, but for a worker: that is what its pool wants."""
    answer = deployed.baton("doctor", "--json", **_environment(deployed))
    assert answer.code == 1
    wrong = {one["what"]: one for one in answer.json["findings"] if one["verdict"] == "bad"}
    assert list(wrong) == ["work pool baton"]
    assert wrong["work pool baton"]["fix"] == "`prefect worker start --pool baton`"


def test_a_run_that_no_worker_takes_says_so(deployed, tmp_path):
    """Until there is one: after some seconds, with the name of the work pool."""
    with _running(deployed, tmp_path) as client:
        _check_that_nobody_takes_it(client)
        client.terminate()
        client.communicate(timeout=500)


@pytest.mark.long  # a process for every stage, each with all imports
def test_a_worker_runs_the_chain(deployed, tmp_path):
    """It completes once there is a worker; files of the worker's home are named as its own."""
    with _running(deployed, tmp_path) as client:
        _check_that_nobody_takes_it(client)
        worker = subprocess.Popen(
            [BIN / "prefect", "worker", "start", "--pool", "baton", "--type", "process"],
            cwd=tmp_path,
            env=_environment(deployed, PREFECT_WORKER_QUERY_SECONDS="1"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            out, said = client.communicate(timeout=600)
            assert client.returncode == 0, said
            made = json.loads(out)
            assert made["state"] == "COMPLETED"
            assert made["report"].startswith("<BATON_HOME of the workers>/results/spheres/")
            assert not (tmp_path / "other").exists()
        finally:
            worker.terminate()
            worker.wait(30)


def _running(server, folder):
    """`baton run` against that server, begun."""
    return subprocess.Popen(
        [*BATON, "run", "spheres", "-p", "rows=500", "--json"],
        cwd=ROOT,
        env=_environment(server, BATON_HOME=str(folder / "other")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _check_that_nobody_takes_it(client):
    told = client.stderr.readline()
    assert told.startswith("baton: nobody has taken the run for 8 s")
    assert "no worker of work pool 'baton' is online" in told


def test_pruning_removes_what_no_deploy_made(deployed, tmp_path):
    """Prefect's own deploy of another file, and the automation that it would leave behind.

    Keys that are Baton's own, `fresh_within` and `serving`, stand in nobody's way.
    """
    for name in ("flows", "serving", "tasks", "src"):
        shutil.copytree(ROOT / name, tmp_path / name)
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    old = next(d for d in content["deployments"] if d["name"] == "evaluate")
    content["deployments"] = [old | {"name": "evaluate-old", "fresh_within": "8 days"}]
    content["serving"] = [{"problem": "spheres", "port": 8100}]
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump(content))
    _prefect(deployed, "deploy", "--all", cwd=tmp_path)
    answer = deployed.baton("prune", **_environment(deployed))
    assert answer.code == 0, answer.err
    assert "removed deployment evaluate-old" in answer.out
    assert "removed automation evaluate-old__automation_1" in answer.out
    assert _ids(deployed) == deployed.before
