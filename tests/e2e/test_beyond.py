"""A chain of a table that no process of it could hold."""

import json
import subprocess

import pyarrow.parquet as pq
import pytest

from tests.conftest import ROOT
from tests.e2e.conftest import BATON, Answer

# Parts and pieces are in tests/integration/test_parts.py and test_pieces.py.
pytestmark = [pytest.mark.e2e, pytest.mark.long]

ROWS = 24_000_000
"""A gigabyte as a table of features, of which making it in whole takes six times as much."""

LIMIT_KIB = 3_500_000
"""Of a process's own memory, as `ulimit -d` counts it: with what imports reserve, 1.6 GiB."""

FEW = ["-p", 'model_params={"n_estimators": 20}']


def run(home, **environment):
    """The chain, none of whose processes may have more than that."""
    limited = ["bash", "-c", f'ulimit -d {LIMIT_KIB}; exec "$@"', "-"]
    command = [*BATON, "run", "spheres", "-p", f"rows={ROWS}", *FEW, "--json"]
    done = subprocess.run(
        [*limited, *command],
        cwd=ROOT,
        env=home.environment(**environment),
        capture_output=True,
        text=True,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.mark.timeout(1200)
def test_a_chain_completes_with_less_memory_than_its_table_takes_in_whole(home):
    """Each of its processes, under a limit of the system's; all rows are learnt and answered."""
    answer = run(home, BATON_STREAM_BYTES="500000000")
    assert answer.code == 0, answer.err
    assert {stage["state"] for stage in answer.json["stages"]} == {"COMPLETED"}
    assert answer.json["metrics"]["accuracy"] > 0.5
    predicted = pq.read_metadata(answer.json["results"]["predictions"])
    assert predicted.num_rows == pytest.approx(0.3 * ROWS, abs=2)


@pytest.mark.timeout(600)
def test_in_whole_it_does_not(home):
    """The limit is one: and that is said in a line."""
    answer = run(home, BATON_STREAM_BYTES="1000000000000")
    assert answer.code == 1
    assert "MemoryError" in answer.err
    assert "Traceback" not in answer.err
    assert json.loads(answer.out)["state"] == "FAILED"
