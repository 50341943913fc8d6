"""Memory that a table's making takes, in a process of its own."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.platform import results
from tests.conftest import ROOT

MADE = """
import resource, sys
import tasks.pieces as pieces
from baton.problems import get, parse
from baton.settings import settings
from baton.terms import Options
from tasks.data import DatasetPlan

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def made(n_rows):
    problem = get("spheres")
    params = parse(problem, {"rows": n_rows})
    plan = DatasetPlan(problem, params, Options(), "0123456789ab", "")
    pieces.load_raw_pieces.fn(plan)
    pieces.make_feature_pieces.fn(plan)

settings().results.mkdir(parents=True, exist_ok=True)
made(1_000_001)
few = most()
made(int(sys.argv[1]))
print((most() - few) / 41 / (int(sys.argv[1]) - 1_000_001))
"""


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in KiB on Linux")
def test_a_row_more_takes_less_memory_than_the_table_has(tmp_path, monkeypatch):
    """28 bytes of 41: points and their order; what is written and split comes after them."""
    monkeypatch.setenv("BATON_HOME", str(tmp_path))
    said = subprocess.run(
        [sys.executable, "-c", MADE, "6000000"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=300,
    )
    assert 0.3 < float(said.stdout) < 1.0


def kept(batches):
    """Most bytes that Arrow holds while batches are gone through."""
    before = pa.total_allocated_bytes()
    return max(pa.total_allocated_bytes() - before for _ in batches)


def test_a_file_that_is_read_by_parts_is_not_kept():
    """By default Arrow keeps all that it has read, so this can go when that is over."""
    key, piece = (
        "spheres/0123456789abcdef/raw.parquet",
        pa.table({"x": np.random.default_rng(0).random(10**5)}),
    )
    with results.Written(key, {}) as written:
        for _ in range(30):
            written.write(piece)
    reference = results.find(key)
    assert kept(results.batches(reference, 10**5)) < 6 * piece.nbytes
    with pq.ParquetFile(results.path_of(key)) as file:
        assert kept(file.iter_batches(10**5)) > 12 * piece.nbytes
