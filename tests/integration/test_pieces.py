"""Tables made piece by piece: the same as in whole."""

import asyncio

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from baton.lineage import lineage_of
from baton.problems import spheres
from baton.settings import settings
from baton.tables import streams
from baton.terms import Options, Split
from flows.generate import generate
from tasks import checking, pieces, rows
from tasks.data import dataset_ready, plan_dataset
from tasks.platform import results

pytestmark = pytest.mark.usefixtures("prefect")

CHAIN = "0123456789ab"


def made(params, *, fresh=False, problem="spheres"):
    """Run the stage `generate`; return the name of its state and what it announces."""

    async def run():
        asked = Options(fresh=fresh)
        return await generate(problem, params, asked, return_state=True)

    name = asyncio.run(run()).name
    return name, dataset_ready(plan_dataset(problem, params, Options(), CHAIN))


def content(reference):
    """Rows of a table, whatever row groups they stand in, and its columns' types."""
    table = results.read(reference)
    return table.replace_schema_metadata(None).combine_chunks()


def test_tables_in_pieces_are_the_same(monkeypatch):
    """Rows, types and what is said of them; the table is found again, and made anew if so asked."""
    params = {"rows": 2_000, "modes": 4}
    _, whole = made(params)
    raw, features = content(whole.raw), content(whole.features)
    monkeypatch.setattr(spheres, "AT_ONCE", 300)
    monkeypatch.setattr(pieces, "AT_ONCE", 170)
    assert made(params) == ("Cached", whole)
    name, pieced = made(params, fresh=True)
    assert name == "Completed"
    assert pieced.raw.digest != whole.raw.digest
    assert content(pieced.raw).equals(raw)
    assert content(pieced.features).equals(features)
    told = pieced.model_dump(exclude={"raw", "features"})
    assert told == whole.model_dump(exclude={"raw", "features"})
    facts = lineage_of(results.schema(pieced.features))
    assert facts["raw"] == pieced.raw.digest
    assert made(params) == ("Cached", pieced)


def test_what_is_half_made_is_made_on(monkeypatch):
    """A raw table that is there is not loaded again."""
    params = {"rows": 1_000, "seed": 5}
    monkeypatch.setattr(spheres, "AT_ONCE", 200)
    made(params)
    plan = plan_dataset("spheres", params, Options(), CHAIN)
    results.path_of(plan.key("features")).unlink()
    monkeypatch.setattr(spheres.Spheres, "_pieces", lambda *_: iter([]))
    assert made(params)[0] == "Completed"
    assert pa.compute.sum(content(dataset_ready(plan).features)["_row"]).as_py() == 499_500


def test_what_is_checked_of_a_large_table_is_a_sample(monkeypatch):
    """Rows of both sides in their order, with the raw table's own cells beside them."""
    _, data = made({"rows": 3_000})
    whole = checking.read_sides(data)
    monkeypatch.setattr(checking, "_MOST_CELLS", 1_000)
    monkeypatch.setattr(checking, "_SAMPLED_ROWS", 1_000)
    monkeypatch.delattr(results, "read")  # no file is read in whole, where it is all numbers
    some = checking.read_sides(data)
    assert 900 < len(some.rows) < 1_100
    assert (np.diff(some.rows) > 0).all()
    assert some.features.equals(whole.features.iloc[some.rows].reset_index(drop=True))
    assert 0.2 < some.is_test.mean() < 0.4


def test_rows_of_a_table_beyond_memory_are_the_same_sample_everywhere(monkeypatch):
    """A column that is read by itself is that of the rows that are read in whole."""
    _, data = made({"rows": 3_000})
    assert not rows.is_beyond_memory(data)
    whole = rows.read_rows(data, Split.TRAIN)
    assert len(whole) == data.n_train
    monkeypatch.setenv("BATON_STREAM_BYTES", "1000")
    settings.cache_clear()
    monkeypatch.setattr(rows, "SAMPLED_ROWS", 1_000)
    assert rows.is_beyond_memory(data)
    some = rows.read_rows(data, Split.TRAIN)
    assert 900 < len(some) < 1_100
    learnt = rows.read_training_rows(data)
    assert learnt["r"].tolist() == some["r"].tolist()
    same = whole[whole["_row"].isin(some["_row"])].reset_index(drop=True)
    assert some.equals(same)
    parts = pa.concat_tables(rows.parts(data, Split.TRAIN, ["r"]))
    assert parts["r"].to_pylist() == whole["r"].tolist()
    settings.cache_clear()


def test_a_large_csv_file_makes_the_same_tables(tmp_path, monkeypatch):
    """Rows, the side that each is on, and what is said of them; rows without a target left out."""
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(6_000, 2)).round(4), columns=["a", "b"])
    table["word"] = random.choice(["k", "l", "m"], 6_000)
    table["y"] = np.where(table.a + random.normal(size=6_000) > 0, "up", "down")
    table.loc[::50, "y"] = None
    path = tmp_path / "large.csv"
    table.to_csv(path, index=False)
    params = {"path": str(path), "target": "y"}
    _, whole = made(params, problem="table")
    raw, features = (results.read(one).to_pandas() for one in (whole.raw, whole.features))
    monkeypatch.setenv("BATON_STREAM_BYTES", "50000")
    settings.cache_clear()
    monkeypatch.setattr(streams, "_PIECE", 1 << 14)
    monkeypatch.setattr(pieces, "AT_ONCE", 1_000)
    _, pieced = made(params, fresh=True, problem="table")
    assert results.read(pieced.raw).to_pandas().equals(raw)
    found = results.read(pieced.features).to_pandas()
    pd.testing.assert_frame_equal(found, features)
    assert pieced.options.model == "xgboost"
    told = pieced.model_dump(exclude={"raw", "features", "options"})
    assert told == whole.model_dump(exclude={"raw", "features", "options"})
    notes = lineage_of(results.schema(pieced.features))["goal"]["notes"]
    assert any("in a sample of" in note for note in notes)
    settings.cache_clear()
