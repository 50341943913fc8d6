"""Chains while things go wrong, by the program that measures it."""

import os
import re
import sys

import pytest

from tests import services
from tests.conftest import ROOT
from tests.processes import ran

pytestmark = pytest.mark.e2e

CHAOS = [sys.executable, ROOT / "benchmarks" / "chaos.py"]
KILLED = ["run", "template", "serve", "server", "up"]
FEW, EACH = ["run", "serve", "server"], [*KILLED, "disk slow"]
"""What the seeds below make one fault of each of."""


def _said(*arguments, timeout, **environment):
    done = ran([*CHAOS, *arguments], timeout, cwd=ROOT, env=os.environ | environment)
    return done.returncode, done.stdout, done.stderr


def _check(*arguments, timeout):
    code, out, err = _said(*arguments, timeout=timeout)
    assert code == 0, out + err
    found = dict(re.findall(r"^(\w[\w ]+?) {2,}(\S.*)$", out, re.MULTILINE))
    assert (found["lost"], found["twice"], found["stuck"]) == ("0", "0", "0"), out
    n_chains, n_completed = map(int, re.findall(r"\d+", found["chains"]))
    assert n_completed + int(found["given up"]) == n_chains
    return found


@pytest.mark.parametrize(
    ("kinds", "seed", "n_chains"),
    [(FEW, 14, 1), pytest.param(EACH, 41, 2, marks=pytest.mark.long)],
)
def test_a_fault_of_each_kind_loses_doubles_and_holds_up_no_chain(tmp_path, kinds, seed, n_chains):
    """Each process is killed once, the disk is slow once; each chain ends, once."""
    chains = ["--seed", str(seed), "--chains", str(n_chains), "--kinds", ",".join(kinds)]
    asked = ["--faults", str(len(kinds)), *chains, "--folder", str(tmp_path)]
    found = _check(*asked, timeout=780)
    assert found["given up"] == "0"
    assert len(re.findall(r" 1\b", found["faults"])) == len(kinds), found["faults"]


@pytest.mark.long
@pytest.mark.timeout(5600)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_hundred_faults_lose_double_and_hold_up_no_chain(database, tmp_path, answering):
    """On SQLite, and on PostgreSQL with Redis, two Prefect servers and MLflow's."""
    if database == "postgresql":
        with answering(services.postgresql()), answering(services.redis_databases(2)):
            pass
    arguments = ["--faults", "100", "--seed", "1", "--database", database]
    found = _check(*arguments, "--folder", str(tmp_path), timeout=5400)
    kinds = re.findall(r"([a-zA-Z ]+?)(?: SIG\w+)? \d+", found["faults"])
    assert {kind.strip() for kind in kinds} >= {*KILLED, "worker", "mlflow", "disk slow"}


def test_a_kind_that_there_is_not_is_refused():
    """With the kinds that there are."""
    code, _, err = _said("--kinds", "run,meteor", timeout=120)
    assert code == 2
    assert "no such kind: meteor; there are run, template, serve, server, worker, up" in err


def test_a_database_that_does_not_answer_is_one_line():
    """It says what to set."""
    nowhere = {"BATON_TEST_POSTGRESQL": "postgresql://ann@127.0.0.1:9/none"}
    code, out, err = _said("--database", "postgresql", "--kinds", "run", timeout=120, **nowhere)
    assert (code, out) == (2, "")
    assert "set BATON_TEST_POSTGRESQL" in err
    assert "Traceback" not in err
