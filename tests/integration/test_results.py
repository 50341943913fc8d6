"""Results as Prefect persists them: real Parquet, read back, never trusted blindly."""

import json
import pickle

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prefect import flow

from baton.errors import InputError
from baton.lineage import digest_of_file, lineage_of, with_lineage
from tasks.platform import results
from tests.integration.places import Place

pytestmark = pytest.mark.usefixtures("prefect")
CALLS = []
FAILURES = []


@results.result_task("features", name="count")
def count(plan: Place, n: int) -> pa.Table:
    CALLS.append(n)
    return with_lineage(pa.table({"n": list(range(n))}), {"chain": "c"})


@results.result_task("features", name="ask", is_outside=True)
def ask(plan: Place) -> pa.Table:
    CALLS.append(plan.place)
    if FAILURES:
        raise FAILURES.pop()
    return pa.table({"n": [1]})


@flow
async def asking(key: str):
    return ask.with_options(retry_delay_seconds=0.1)(_place(key))


@flow
async def counting(n: int, key: str):
    return count(_place(key), n)


def _place(key):
    return Place(key.rpartition("/")[0])


@pytest.fixture
def key(request):
    CALLS.clear()
    from baton.lineage import folder

    return f"{folder('spheres', test=request.node.nodeid)}/features.parquet"


async def _run(n, key):
    return await counting(n, key)


def test_a_result_is_a_parquet_file_that_others_open(key, event_loop_run):
    """pandas, pyarrow and DuckDB read it; its lineage is in the schema metadata."""
    event_loop_run(_run(3, key))
    path = results.path_of(key)
    assert path.read_bytes()[:4] == b"PAR1"
    assert pd.read_parquet(path)["n"].tolist() == [0, 1, 2]
    assert lineage_of(pq.read_schema(path)) == {"chain": "c"}
    assert duckdb.sql(f"select sum(n) from '{path}'").fetchall() == [(3,)]
    assert results.read(results.require(key))["n"].to_pylist() == [0, 1, 2]


def test_a_repeat_is_a_cache_hit(key, event_loop_run):
    """The function runs once for one key."""
    event_loop_run(_run(3, key))
    table = event_loop_run(_run(3, key))
    assert CALLS == [3]
    assert table["n"].to_pylist() == [0, 1, 2]


@pytest.mark.parametrize("damage", ["missing", "truncated", "altered", "no ledger", "bad ledger"])
def test_a_damaged_result_is_made_again(key, event_loop_run, damage):
    """A file that is gone, cut or changed counts as no result, and loses nothing else."""
    event_loop_run(_run(3, key))
    path = results.path_of(key)
    ledger = path.with_name(path.name + ".json")
    match damage:
        case "missing":
            path.unlink()
        case "truncated":
            path.write_bytes(path.read_bytes()[:-20])
        case "altered":
            content = bytearray(path.read_bytes())
            content[6] ^= 1
            path.write_bytes(content)
        case "no ledger":
            ledger.unlink()
        case "bad ledger":
            ledger.write_text("{")
    assert results.find(key) is None
    assert event_loop_run(_run(3, key))["n"].to_pylist() == [0, 1, 2]
    assert CALLS == [3, 3]
    assert results.find(key) == results.require(key)


def test_a_pickle_in_place_of_a_result_is_never_loaded(key, event_loop_run, tmp_path):
    """A ledger that names another serializer is not believed, so no code of it runs."""
    event_loop_run(_run(2, key))
    path = results.path_of(key)
    ledger = path.with_name(path.name + ".json")
    trap = tmp_path / "sprung"
    path.write_bytes(pickle.dumps(_Trap(str(trap))))
    entry = json.loads(ledger.read_text())
    entry["serializer"] = {"type": "pickle", "picklelib": "pickle"}
    entry["sha256"] = digest_of_file(path)
    ledger.write_text(json.dumps(entry))
    assert event_loop_run(_run(2, key))["n"].to_pylist() == [0, 1]
    assert not trap.exists()


class _Trap:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_reading_checks_the_announced_digest(key, event_loop_run):
    """A file that is not the announced one is refused with the fix."""
    event_loop_run(_run(3, key))
    reference = results.require(key)
    with pytest.raises(InputError, match="SHA-256 differs"):
        results.read(reference.model_copy(update={"digest": "0" * 64}))
    results.path_of(key).unlink()
    with pytest.raises(InputError, match="is missing"):
        results.read(reference)


def test_a_result_that_was_not_stored_is_noticed():
    """Prefect would end the task Completed."""
    with pytest.raises(RuntimeError, match="was not stored"):
        results.require("spheres/0000000000000000/features.parquet")


def test_no_file_of_a_result_is_a_pickle(key, event_loop_run):
    """Parquet and JSON, nothing else."""
    event_loop_run(_run(3, key))
    names = {path.suffix for path in results.path_of(key).parent.iterdir()}
    assert names == {".parquet", ".json"}


def test_what_is_outside_is_asked_again_after_a_passing_failure(key, event_loop_run):
    """A network or a database that was away; a mistake in the input is not asked again."""

    async def run():
        return await asking(key)

    FAILURES[:] = [ConnectionError("away"), TimeoutError("slow")]
    event_loop_run(run())
    assert len(CALLS) == 3
    results.path_of(key).unlink()
    FAILURES[:] = [InputError("no such table")]
    with pytest.raises(InputError):
        event_loop_run(run())
    assert len(CALLS) == 4
