"""`prefect deploy --all` of the same file, into a process work pool."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.e2e.conftest import declared_automations, fresh_home, wait_for

pytestmark = pytest.mark.e2e
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A plain Prefect server, started as its documentation says."""
    import socket

    import httpx

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with fresh_home(tmp_path_factory.mktemp("server")) as home:
        home.process = subprocess.Popen(
            [BIN / "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env=_environment(home),
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


def _environment(home):
    values = {
        "PREFECT_HOME": str(home.path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    return home.environment(**values, **({"PREFECT_API_URL": home.api} if home.api else {}))


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


@pytest.fixture(scope="module")
def deployed(server):
    """The server after two deploys of what prefect.yaml declares."""
    _prefect(server, "work-pool", "create", "baton", "--type", "process")
    for _ in range(2):
        _prefect(server, "deploy", "--all")
    return server


def test_deploying_twice_leaves_no_twin(deployed):
    """Every deployment and automation stands once."""
    declared = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    found = [d["name"] for d in deployed.post("deployments/filter", {})]
    assert sorted(found) == sorted(d["name"] for d in declared)
    automations = [a["name"] for a in deployed.post("automations/filter", {})]
    assert sorted(automations) == sorted(declared_automations())


def test_a_server_that_others_started_is_looked_at(deployed):
    """All stands there, but for a worker: that is what its pool wants."""
    answer = deployed.baton("doctor", "--json", PREFECT_API_URL=deployed.api)
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
            cwd=ROOT,
            env=_environment(deployed) | {"PREFECT_WORKER_QUERY_SECONDS": "1"},
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
        [BIN / "baton", "run", "spheres", "-p", "rows=500", "--json"],
        cwd=ROOT,
        env=_environment(server) | {"BATON_HOME": str(folder / "other")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _check_that_nobody_takes_it(client):
    told = client.stderr.readline()
    assert told.startswith("baton: nobody has taken the run for 8 s")
    assert "no worker of work pool 'baton' is online" in told


def test_pruning_removes_what_is_no_longer_declared(deployed, tmp_path):
    """A deployment that left prefect.yaml goes, and so does the automation it leaves behind.

    Keys that are Baton's own, `fresh_within` and `notifications`, stand in nobody's way.
    """
    for folder in ("flows", "serving", "tasks", "src"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    old = next(d for d in content["deployments"] if d["name"] == "evaluate")
    content["deployments"] = [old | {"name": "evaluate-old", "fresh_within": "8 days"}]
    content["serving"] = [{"problem": "spheres", "port": 8100}]  # a key that is not Prefect's
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump(content))
    _prefect(deployed, "deploy", "--all", cwd=tmp_path)
    answer = deployed.baton("prune", PREFECT_API_URL=deployed.api)
    assert answer.code == 0, answer.err
    assert "removed deployment evaluate-old" in answer.out
    assert "removed automation evaluate-old__automation_1" in answer.out
    left = {a["name"] for a in deployed.post("automations/filter", {})}
    assert left == declared_automations()
    assert "removed" not in deployed.baton("prune", PREFECT_API_URL=deployed.api).out
