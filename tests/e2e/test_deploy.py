"""`baton deploy` to a server that Baton did not start: with a login, a process work pool, a worker.

What is changed by what is tested by `tests/integration/test_deploying.py`.
"""

import json
import re
import shutil
import signal
import subprocess
import time

import pytest
import yaml

from tests.conftest import ROOT
from tests.e2e.conftest import BATON, declared_automations
from tests.e2e.team import AUTH, BIN, environment_of, plain_server, prefect
from tests.stalling import stalling

# a server of its own, deploys by two commands, one of them killed: the claims are those of
# tests/integration/test_deploying.py and, of a run that nobody takes, tests/unit/test_following.py
pytestmark = [pytest.mark.e2e, pytest.mark.long]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A plain Prefect server with a login, started as its documentation says."""
    with plain_server(tmp_path_factory.mktemp("server")) as home:
        yield home


def _deploy(home, *arguments):
    return home.baton("deploy", *arguments, **environment_of(home))


def _ids(home):
    """Ids of all that stands, by name."""
    kinds = ("deployments", "automations")
    return {one["name"]: one["id"] for kind in kinds for one in home.post(f"{kind}/filter", {})}


@pytest.fixture(scope="module")
def deployed(server):
    """The server after Prefect's own deploy, one of Baton's that was killed, and the next one."""
    prefect(server, "work-pool", "create", "baton", "--type", "process")
    prefect(server, "deploy", "--all")
    server.before = _ids(server)
    with stalling(server.api, writes=3) as cut:
        killed = subprocess.Popen(
            [*BATON, "deploy"],
            cwd=ROOT,
            env=environment_of(server, PREFECT_API_URL=cut.api),
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
    answer = deployed.baton("deploy", "--check", **environment_of(deployed, **{AUTH: "some:body"}))
    assert (answer.code, answer.err.count("\n")) == (2, 1), answer.err
    assert f'401 Unauthorized: {{"exception_message":"Unauthorized"}}; set {AUTH}' in answer.err


def test_a_server_that_others_started_is_looked_at(deployed):
    """All stands there, but for a worker: that is what its pool wants."""
    answer = deployed.baton("doctor", "--json", **environment_of(deployed))
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


WORKERS = {
    "prefect": [BIN / "prefect", "worker", "start", "--pool", "baton", "--type", "process"],
    "baton": [*BATON, "worker", "--pool", "baton"],
}


@pytest.mark.parametrize("of", WORKERS)
def test_a_worker_runs_the_chain(deployed, tmp_path, of):
    """Prefect's or Baton's, wherever it is; files of its home are named as its own."""
    worker = subprocess.Popen(
        WORKERS[of],
        cwd=tmp_path,
        env=environment_of(deployed, PREFECT_WORKER_QUERY_SECONDS="1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with _running(deployed, tmp_path, f"seed={len(of)}") as client:
            out, said = client.communicate(timeout=600)
            assert client.returncode == 0, said
        made = json.loads(out)
        assert made["state"] == "COMPLETED"
        assert made["report"].startswith("<BATON_HOME of the workers>/results/spheres/")
        assert not (tmp_path / "other").exists()
    finally:
        if of == "prefect":  # at the first signal it waits for its runs, also longer than 30 s
            worker.terminate()
            time.sleep(1)
        worker.terminate()
        worker.wait(30)


def _running(server, folder, *parameters):
    """`baton run` against that server, begun."""
    given = [word for one in ("rows=500", *parameters) for word in ("-p", one)]
    return subprocess.Popen(
        [*BATON, "run", "spheres", *given, "--json"],
        cwd=ROOT,
        env=environment_of(server, BATON_HOME=str(folder / "other")),
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
    prefect(deployed, "deploy", "--all", cwd=tmp_path)
    answer = deployed.baton("prune", **environment_of(deployed))
    assert answer.code == 0, answer.err
    assert "removed deployment evaluate-old" in answer.out
    assert "removed automation evaluate-old__automation_1" in answer.out
    assert _ids(deployed) == deployed.before
