"""Machines that share nothing but addresses: two workers with disks of their own, and a store.

The server, MLflow and the store, which speaks S3, answer on loopback; whoever asks for chains has a
third disk. What one machine leaves to another is looked at closer in
``tests/integration/test_shelf.py``.
"""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests import buckets
from tests.buckets import BUCKET
from tests.conftest import ROOT
from tests.e2e.conftest import fresh_home, wait_for
from tests.services import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.long]  # ten chains on two workers, and three servers
BIN = Path(sys.executable).parent
N_CHAINS = 10
LOGIN = "team:only-for-the-test"


class Team:
    """Addresses that all machines know, and the machines."""

    def __init__(self, folder, store):
        self.folder, self.store = folder, store
        self.api = f"http://127.0.0.1:{free_port()}/api"
        self.mlflow = f"http://127.0.0.1:{free_port()}"

    @property
    def told(self):
        """Variables of every machine."""
        return self.store.environment(
            PREFECT_API_URL=self.api,
            PREFECT_API_AUTH_STRING=LOGIN,
            PREFECT_SERVER_ANALYTICS_ENABLED="false",
            PREFECT_WORKER_QUERY_SECONDS="1",
            BATON_RESULTS=f"s3://{BUCKET}/baton",
            BATON_MLFLOW_TRACKING_URI=self.mlflow,
            MLFLOW_DISABLE_TELEMETRY="true",
        )

    @contextmanager
    def machine(self, name):
        """A home, with what it is told."""
        path = self.folder / name
        path.mkdir()
        with fresh_home(path) as home:
            home.told = self.told | {"PREFECT_HOME": str(path / "prefect")}
            home.api = self.api
            (path / "auth").touch(0o600)
            (path / "auth").write_text(LOGIN)  # where the tests look for it
            yield home

    def begin(self, home, *command, **more):
        """Start a process of a machine, which is ended with it."""
        return subprocess.Popen(
            [BIN / command[0], *command[1:]],
            cwd=ROOT,
            env=home.environment(**home.told | more),
            stdout=(home.path / f"{command[0]}.out").open("wb"),
            stderr=subprocess.STDOUT,
        )


def _begin_servers(team, home):
    host = ["--host", "127.0.0.1", "--port"]
    port = team.api.rpartition(":")[2].partition("/")[0]
    login = {"PREFECT_SERVER_API_AUTH_STRING": LOGIN}
    team.begin(home, "prefect", "server", "start", *host, port, **login)
    kept = ["--artifacts-destination", f"s3://{BUCKET}/models"]
    where = ["--backend-store-uri", f"sqlite:///{home.path}/mlflow.db", *kept]
    team.begin(home, "mlflow", "server", *host, team.mlflow.rpartition(":")[2], *where)

    def answers(address):
        try:
            return httpx.get(address).is_success
        except httpx.HTTPError:
            return False

    wait_for(lambda: answers(f"{team.api}/health") and answers(f"{team.mlflow}/health"))


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    """Servers, two workers of a process work pool, and somebody who asks, deployed."""
    with ExitStack() as stack:
        store = stack.enter_context(buckets.object_store())
        found = Team(tmp_path_factory.mktemp("apart"), store)
        names = ("servers", "first", "second", "asking")
        homes = {name: stack.enter_context(found.machine(name)) for name in names}
        found.homes = homes
        _begin_servers(found, homes["servers"])
        pool = ["work-pool", "create", "baton", "--type", "process"]
        assert found.begin(homes["asking"], "prefect", *pool).wait(120) == 0
        assert found.begin(homes["asking"], "baton", "deploy").wait(300) == 0
        for name in ("first", "second"):
            options = ["--pool", "baton", "--name", name, "--limit", "2"]
            found.begin(homes[name], "baton", "worker", *options)
        yield found


@pytest.fixture(scope="module")
def chains(team):
    """What became of ten chains, two at a time."""
    asking = team.homes["asking"]

    def run(seed):
        asked = ["-p", "rows=500", "-p", f"seed={seed}", "--json"]
        return asking.baton("run", "spheres", *asked, timeout=900, **asking.told)

    with ThreadPoolExecutor(2) as threads:
        return list(threads.map(run, range(N_CHAINS)))


def test_ten_chains_complete(chains):
    """Each with its report and its tables on the disk of whoever asked."""
    for answer in chains:
        assert answer.code == 0, answer.err
        made = answer.json
        assert made["state"] == "COMPLETED", made["error"]
        assert Path(made["report"]).read_text("utf-8").startswith("<!DOCTYPE html>"), made["report"]
    assert len({answer.json["chain"] for answer in chains}) == N_CHAINS


def test_both_workers_have_worked_on_one_chain(team, chains):
    """And nothing of it was lost on the way: a stage reads what the other's disk has made."""
    stages = ("generate", "train", "evaluate", "promote")
    found = [run for stage in stages for run in team.homes["asking"].runs(stage)]
    assert {run["state_type"] for run in found} == {"COMPLETED"}
    by_chain = {}
    for run in found:
        for tag in run["tags"]:
            if tag.startswith("chain:"):
                by_chain.setdefault(tag, set()).add(run["labels"]["baton.home"])
    assert max(map(len, by_chain.values())) == 2


def test_models_are_in_the_store(team, chains):
    """By way of MLflow's server, which alone has access to them."""
    listed = team.store.client.list_objects_v2(Bucket=BUCKET, Prefix="models/")["Contents"]
    assert any(one["Key"].endswith("MLmodel") for one in listed)


def test_a_champion_is_decided_in_order(team, chains):
    """Whichever machine decided: ten entries, numbered, the last of them the one in force."""
    listed = team.store.client.list_objects_v2(Bucket=BUCKET, Prefix="baton/results/decisions/")
    names = sorted(Path(one["Key"]).name for one in listed["Contents"])
    assert [one for one in names if one.endswith(".parquet")] == [
        f"{number:06d}.parquet" for number in range(1, N_CHAINS + 1)
    ]
    assert "_intent" not in names


def test_a_new_machine_finds_what_was_made(team, chains):
    """Asked for the same again by somebody else, nothing is made anew."""
    with team.machine("third") as third:
        command = ["run", "spheres", "-p", "rows=500", "-p", "seed=0", "--json"]
        again = third.baton(*command, timeout=900, **third.told)
    assert again.code == 0, again.err
    assert all(stage["cached"] for stage in again.json["stages"])
    assert again.json["model"] == chains[0].json["model"]
    assert Path(again.json["report"]).is_file()
