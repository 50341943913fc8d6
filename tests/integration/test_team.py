"""A team's Baton: two Prefect servers and two serve processes on PostgreSQL and Redis.

All are told what compose.yaml tells them; see tests/services.py.
"""

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from prefect import flow
from prefect.blocks.system import Secret
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.states import Crashed, Running
from sqlalchemy import create_engine, text

from baton.chain import manifest
from baton.chain.events import Stage
from tasks.platform.recovery import DEATHS_LABEL, RESTARTS_LABEL
from tasks.platform.stage import HOME_LABEL
from tests import services
from tests.conftest import ROOT
from tests.e2e.conftest import BATON, declared_automations, wait_for
from tests.integration.stages import forget_runs
from tests.shops import NAMES, copy_shop, make_shop

CHAIN = manifest.read(ROOT / "prefect.yaml")
KILLED = "Process exited with status code: -9. Process exited due to a SIGKILL signal."
RECOVER = """
import sys
from baton.chain import manifest
from tasks.platform.places import MANIFEST
from tasks.platform.recovery import recover
chain = manifest.read(MANIFEST)
print("ready", flush=True)
sys.stdin.readline()
print(*(f"{name}\\n" for name in recover(chain)), sep="", end="")
"""
BRIEFLY = {"importance_rows": 50, "n_repeats": 1, "explain_rows": 5, "max_features": 30}


@pytest.fixture(scope="module")
def standing(team, tmp_path_factory, answering):
    """The servers of the session, else of this module."""
    if team:
        yield team
        return
    with answering(services.team(tmp_path_factory.mktemp("team"), mlflow=False)) as found:
        yield found


@pytest.fixture
def tracked(standing):
    """These servers with MLflow, which nothing but chains wants."""
    if standing.mlflow.process is None:
        standing.mlflow.start()
    return standing


@pytest.fixture
def client(standing):
    """Prefect's own client of the first server."""
    told = standing.told("serve", standing.prefect[0])
    changed = {
        PREFECT_API_URL: told["PREFECT_API_URL"],
        PREFECT_API_AUTH_STRING: told["PREFECT_API_AUTH_STRING"],
    }
    with temporary_settings(changed), get_client(sync_client=True) as found:
        forget_runs(found)
        yield found


def _ask(url, statement):
    engine = create_engine(url.set(drivername="postgresql+psycopg2"))
    try:
        with engine.begin() as connection:
            found = connection.execute(text(statement))
            return found.scalars().all() if found.returns_rows else None
    finally:
        engine.dispose()


# --- recovery -------------------------------------------------------------------------------------


@flow(name=Stage.TRAIN.value)
def train(data: dict):
    """Stand for the stage."""


def _dead(client, state, home, number):
    flow_id = client.create_flow_from_name(train.name)
    deployment = client.create_deployment(flow_id, name="d", enforce_parameter_schema=False)
    run = client.create_flow_run_from_deployment(
        deployment,
        parameters={"data": {"chain": "0" * 12, "problem": "iris"}},
        name=f"run {number}",
    )
    for one in (Running(), state):
        client.set_flow_run_state(run.id, one, force=True)
    client.update_flow_run_labels(run.id, {HOME_LABEL: home})
    return run.id


@pytest.mark.parametrize("n_homes", [pytest.param(1, marks=pytest.mark.long), 2])
def test_two_recoveries_on_two_servers_begin_a_dead_run_once(standing, client, tmp_path, n_homes):
    """Crashed or without a process: one transition, one count, whoever of the two made it."""
    homes = [tmp_path / f"home-{n % n_homes}" for n in range(2)]
    for home in homes:
        home.mkdir(exist_ok=True)
        (home / "id").write_text(home.name)
    states = [Crashed(message=KILLED), Running()] * 4
    dead = [_dead(client, state, homes[0].name, n) for n, state in enumerate(states)]
    _ask(
        standing.databases["prefect"],
        "update flow_run_state set timestamp = timestamp - interval '20 minutes'",
    )
    said = _recovered(standing, homes)
    assert sorted(said[0] + said[1]) == sorted(f"run {n}" for n in range(len(dead)))
    for run_id, state in zip(dead, states, strict=True):
        names = [one.name for one in client.read_flow_run_states(run_id)]
        assert names.count("AwaitingRetry") == 1
        labels = client.read_flow_run(run_id).labels
        counts = (1, 0) if state.is_crashed() else (0, 1)
        assert (labels[DEATHS_LABEL], labels[RESTARTS_LABEL]) == counts


def _recovered(standing, homes):
    """Names of the runs that each of two processes took up, which looked at the same time."""
    both = [
        subprocess.Popen(
            [sys.executable, "-c", RECOVER],
            cwd=ROOT,
            env=standing.environment(server=n, BATON_HOME=str(home)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for n, home in enumerate(homes)
    ]
    try:
        assert [one.stdout.readline() for one in both] == ["ready\n"] * 2
        for one in both:
            one.stdin.write("\n")
            one.stdin.flush()
        return [one.communicate(timeout=120)[0].splitlines() for one in both]
    finally:
        for one in both:
            one.kill()


# --- chains ---------------------------------------------------------------------------------------


@pytest.fixture
def serving(tracked, tmp_path):
    """Two serve processes of one home, each of a server of its own, which began at once."""
    home, ready = tmp_path / "home", [tmp_path / f"ready-{n}" for n in range(2)]
    with ExitStack() as stack:
        log = stack.enter_context((tmp_path / "serve.log").open("wb"))
        both = []
        for n in range(2):
            process = subprocess.Popen(
                [sys.executable, "-m", "serving", "--ready", str(ready[n])],
                cwd=ROOT,
                env=tracked.environment(server=n, BATON_HOME=str(home)),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            both.append(process)

        def is_ready():
            assert [one.poll() for one in both] == [None, None], Path(log.name).read_text()
            return all(one.exists() for one in ready)

        wait_for(is_ready, 180)
        yield home


def _churn(standing, home, server, **parameters):
    """Begin a chain as a client of a server."""
    given = [f"{name}={value}" for name, value in (NAMES | BRIEFLY | parameters).items()]
    return subprocess.Popen(
        [*BATON, "run", "churn", *(part for one in given for part in ("-p", one)), "--json"],
        cwd=ROOT,
        env=standing.environment(server=server, BATON_HOME=str(home)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.long  # whole chains; what two servers share without them is tested above
@pytest.mark.timeout(600)
def test_chains_of_two_servers_read_postgresql_and_mariadb(
    standing, client, serving, tmp_path, answering
):
    """Passwords are blocks, trials and models are rows of PostgreSQL; the first chain searches.

    Every stage of each chain runs once, whichever of the two serve processes took it, and of
    each trigger there is one automation.
    """
    path = make_shop(tmp_path / "shop.sqlite")
    with answering(services.postgresql()) as first, answering(services.mysql()) as second:
        chains = []
        for n, url in enumerate((first, second)):
            copy_shop(path, url)
            Secret(value=str(url.password)).save(f"shop-{n}", overwrite=True)
            place = url._replace(password=None).render_as_string()
            options = {} if n else {"tune": "true", "n_trials": 2, "study": "shop"}
            chains.append(_churn(standing, serving, n, url=place, secret=f"shop-{n}", **options))
        answers = [one.communicate(timeout=500) for one in chains]
    assert [one.returncode for one in chains] == [0, 0], answers
    metrics = [json.loads(out)["metrics"] for out, _ in answers]
    assert all(0 <= one["roc_auc"] <= 1 for one in metrics)
    assert sorted(a.name for a in client.read_automations()) == sorted(declared_automations())
    runs = [run for run in client.read_flow_runs() if run.deployment_id and run.run_count]
    assert {run.run_count for run in runs} == {1}
    stages = sorted(run.name.split()[0] for run in runs)
    assert stages == sorted(["generate", "train", "evaluate", "promote"] * 2 + ["tune"])
    trials = "select count(*) from trials where state = 'COMPLETE'"
    assert _ask(standing.databases["optuna"], trials) == [2]
    models = "select count(*) from model_versions where name like '%churn%'"
    assert _ask(standing.databases["mlflow"], models) == [2]
