"""Machines that share nothing but addresses: two workers with disks of their own, and a store.

The server, MLflow and the store, which speaks S3, answer on loopback; whoever asks for chains has a
third disk. What one machine leaves to another is looked at closer in
``tests/integration/test_shelf.py``.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import buckets
from tests.buckets import BUCKET
from tests.conftest import ROOT
from tests.e2e.conftest import fresh_home, wait_for
from tests.e2e.team import BIN, LOGIN, answers, environment_of, plain_server, prefect
from tests.services import free_port

# Ten chains on two workers, and three servers; Prefect's own, as it comes and on SQLite, now and
# then stands still for a minute.
pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(2700)]
N_CHAINS = 10


class Team:
    """Addresses that all machines know, and the machines."""

    def __init__(self, folder, store, api):
        self.folder, self.store, self.api = folder, store, api
        self.mlflow = f"http://127.0.0.1:{free_port()}"
        self.homes = {}

    @property
    def told(self):
        """Variables of every machine."""
        return self.store.environment(
            BATON_RESULTS=f"s3://{BUCKET}/baton",
            BATON_MLFLOW_TRACKING_URI=self.mlflow,
            MLFLOW_DISABLE_TELEMETRY="true",
        )

    @contextmanager
    def machine(self, name):
        """A home that the tests may ask the server by, too."""
        path = self.folder / name
        path.mkdir()
        with fresh_home(path) as home:
            home.api = self.api
            (path / "auth").touch(0o600)
            (path / "auth").write_text(LOGIN)
            self.homes[name] = home
            yield home

    def begin(self, name, *command):
        """Start a process of a machine, which is ended with it."""
        home = self.homes[name]
        return subprocess.Popen(
            [BIN / command[0], *command[1:]],
            cwd=ROOT,
            env=environment_of(home, **self.told),
            stdout=(home.path / f"{command[0]}.out").open("wb"),
            stderr=subprocess.STDOUT,
        )

    def ask(self, home, *command):
        """Have a machine ask for something, and wait for the answer."""
        return home.baton(*command, timeout=900, **environment_of(home, **self.told))

    def decision(self, key):
        """An entry of the log of decisions, as it lies in the store."""
        content = self.store.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        (found,) = pq.read_table(pa.BufferReader(content)).to_pylist()
        return found

    def begin_mlflow(self):
        """Start MLflow's server, whose files of models are in the bucket."""
        where = ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        kept = ["--artifacts-destination", f"s3://{BUCKET}/models"]
        port = ["--host", "127.0.0.1", "--port", self.mlflow.rpartition(":")[2]]
        self.begin("asking", "mlflow", "server", *port, *where, *kept)
        wait_for(lambda: answers(f"{self.mlflow}/health"))


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    """Servers, two workers of a process work pool, and somebody who asks, deployed."""
    with ExitStack() as stack:
        store = stack.enter_context(buckets.object_store())
        server = stack.enter_context(plain_server(tmp_path_factory.mktemp("server")))
        found = Team(tmp_path_factory.mktemp("apart"), store, server.api)
        for name in ("first", "second", "asking"):
            stack.enter_context(found.machine(name))
        found.begin_mlflow()
        prefect(server, "work-pool", "create", "baton", "--type", "process")
        assert found.ask(found.homes["asking"], "deploy").code == 0
        for name in ("first", "second"):
            options = ["--pool", "baton", "--name", name, "--limit", "2"]
            found.begin(name, "baton", "worker", *options)
        yield found


@pytest.fixture(scope="module")
def chains(team):
    """What became of ten chains, two at a time."""
    asking = team.homes["asking"]

    def run(seed):
        asked = ["-p", "rows=500", "-p", f"seed={seed}", "--json"]
        return team.ask(asking, "run", "spheres", *asked)

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
    homes = []
    for answer in chains:
        runs = team.homes["asking"].runs_of(answer.json["chain"])
        stages = [run for run in runs if run["parent_task_run_id"] is None]
        # a part of a stage may have been made twice, while the server stood still
        assert {run["state_type"] for run in stages} == {"COMPLETED"}
        homes.append({run["labels"]["baton.home"] for run in runs if "baton.home" in run["labels"]})
    assert max(map(len, homes)) == 2


def test_models_are_in_the_store(team, chains):
    """By way of MLflow's server, which alone has access to them."""
    listed = team.store.client.list_objects_v2(Bucket=BUCKET, Prefix="models/")["Contents"]
    assert any(one["Key"].endswith("MLmodel") for one in listed)


def test_a_champion_is_decided_in_order(team, chains):
    """Whichever machine decided: every chain once or, where it was begun again, more often.

    No number lacks, none is twice, and nothing is left that was only intended.
    """
    listed = team.store.client.list_objects_v2(Bucket=BUCKET, Prefix="baton/results/decisions/")
    keys = sorted(one["Key"] for one in listed["Contents"])
    entries = [team.decision(key) for key in keys if key.endswith(".parquet")]
    assert [one["number"] for one in entries] == list(range(1, len(entries) + 1))
    assert {one["chain"] for one in entries} == {answer.json["chain"] for answer in chains}
    assert not [key for key in keys if key.endswith("_intent")]


def test_a_new_machine_finds_what_was_made(team, chains):
    """Asked for the same again by somebody else, nothing is made anew but the decision."""
    with team.machine("third") as third:
        command = ["run", "spheres", "-p", "rows=500", "-p", "seed=0", "--json"]
        again = team.ask(third, *command)
    assert again.code == 0, again.err
    cached = {one["stage"]: one["cached"] for one in again.json["stages"]}
    is_weighed_anew = cached.pop("promote") is False  # the champion is another one by now
    assert is_weighed_anew and all(cached.values()), cached
    assert again.json["model"] == chains[0].json["model"]
    assert Path(again.json["report"]).is_file()
