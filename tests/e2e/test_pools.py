"""Chains under Docker's and Kubernetes' workers, which are real; what they ask is run here.

An engine's and a cluster's stand-in is in ``tests/engines.py``. What the templates ask for is
checked in ``tests/unit/test_pools.py``, and deploying into a pool in ``test_deploy.py``.
"""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from tests import engines
from tests.conftest import ROOT
from tests.e2e.conftest import BRIEFLY, wait_for
from tests.services import free_port
from tests.unit.test_pools import check_job

pytestmark = pytest.mark.e2e
BIN = Path(sys.executable).parent
FEW = ["-p", "model=decision_tree", *BRIEFLY]
AUTH = "team:secret-of-the-pools"
DROPPED = ("PREFECT_", "BATON_", "MLFLOW_", "PYTHONDONTWRITEBYTECODE", "KUBE", "DOCKER_")


def _environment(folder, api, **more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
    own = {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": api,
        "PREFECT_API_AUTH_STRING": AUTH,
        "BATON_HOME": str(folder / "client"),
    }
    return kept | own | more


@contextmanager
def _process(log, environment, *command):
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "baton.parent", str(os.getpid()), *command],
            cwd=ROOT,
            env=environment,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Folder and API of a plain Prefect server that asks for a login."""
    folder, port = tmp_path_factory.mktemp("pools"), free_port()
    api = f"http://127.0.0.1:{port}/api"
    guarded = {
        "PREFECT_SERVER_API_AUTH_STRING": AUTH,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",  # it alone keeps SQLite locked
    }
    place = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]

    def answers():
        try:
            return httpx.get(f"{api}/health").is_success
        except httpx.HTTPError:
            return False

    environment = _environment(folder, api, **guarded)
    with _process(folder / "server.log", environment, "prefect", *place):
        wait_for(answers)
        yield folder, api


def _prefect(environment, *arguments, check=True):
    done = subprocess.run(
        [BIN / "prefect", "--no-prompt", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr


def _ran(server, kind, **worker):
    """What `baton run` printed, of a chain whose runs a worker of that kind had begun."""
    folder, api = server
    environment = _environment(folder, api)
    _prefect(environment, "work-pool", "delete", "baton", check=False)
    template = ["--base-job-template", str(ROOT / f"deploy/pools/{kind}.json")]
    _prefect(environment, "work-pool", "create", "baton", "--type", kind, *template)
    _prefect(environment, "deploy", "--all")
    # The clock's runs are none of this chain's, and each would be a process more.
    _prefect(environment, "deployment", "schedule", "pause", "--all")
    told = environment | {"PREFECT_WORKER_QUERY_SECONDS": "1"} | worker
    start = ["prefect", "worker", "start", "--pool", "baton", "--type", kind]
    with _process(folder / f"{kind}.log", told, *start):
        done = subprocess.run(
            [BIN / "baton", "run", "spheres", "-p", "rows=400", *FEW, "--json"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
    log = (folder / f"{kind}.log").read_text()[-3000:]
    assert done.returncode == 0, done.stdout + done.stderr + log
    return json.loads(done.stdout)


@pytest.mark.long  # a process for every stage, each with all imports
@pytest.mark.timeout(1800)
def test_a_chain_runs_under_a_docker_worker(server, tmp_path):
    """Each stage is a container of its own, by the template; the volume has what they made."""
    with engines.engine(tmp_path) as docker:
        made = _ran(server, "docker", DOCKER_HOST=docker.address, BATON_STUDY_PASSWORD="s3cret")
    assert made["state"] == "COMPLETED", docker.said
    runs = {one["flow_run_id"] for one in made["stages"]}
    assert len(runs) == 4
    assert runs <= {_told(one)["PREFECT__FLOW_RUN_ID"] for one in docker.asked}
    assert {one["Image"] for one in docker.asked} == {"baton:local"}
    assert {_told(one)["BATON_STUDY_PASSWORD"] for one in docker.asked} == {"s3cret"}
    assert {tuple(one["HostConfig"]["Binds"]) for one in docker.asked} == {("baton:/data",)}
    assert list((tmp_path / "data/results/spheres").glob("*/report_*.html"))


def _told(asked):
    return dict(one.split("=", 1) for one in asked["Env"])


@pytest.mark.long  # as above
@pytest.mark.timeout(1800)
def test_a_chain_runs_under_a_kubernetes_worker(server, tmp_path):
    """Each stage is a Job that a cluster would take, and none of them holds a secret."""
    worker = yaml.safe_load_all((ROOT / "deploy/kubernetes/workers/worker.yaml").read_text())
    (container,) = next(worker)["spec"]["template"]["spec"]["containers"]
    told = {one["name"]: one["value"] for one in container["env"] if "value" in one}
    # Events of pods are watched for where there is a cluster.
    told["PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_ENABLED"] = "false"
    secret = {"PREFECT_AUTH": AUTH, "POSTGRES_PASSWORD": "s3cret"}
    objects = {"secret/baton": secret, "configMap/baton": {"HOME": "/tmp"}}
    with engines.cluster(tmp_path, objects) as cluster:
        made = _ran(server, "kubernetes", KUBECONFIG=str(cluster.config), **told)
    assert made["state"] == "COMPLETED", cluster.said
    runs = {one["flow_run_id"] for one in made["stages"]}
    assert len(runs) == 4
    assert runs <= {one["metadata"]["labels"]["prefect.io/flow-run-id"] for one in cluster.asked}
    for job in cluster.asked:
        assert not [held for held in secret.values() if held in json.dumps(job)]
        check_job(job)
    assert list((tmp_path / "data/results/spheres").glob("*/report_*.html"))
