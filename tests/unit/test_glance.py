"""A table at a glance: its rows, and what each column is good for, before anything is learnt."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from baton.errors import InputError
from baton.showing import glance as looking
from baton.showing.glance import glance
from baton.tables.inference import infer
from baton.tables.reading import read
from baton.tables.source import describe_all


@pytest.fixture
def people(tmp_path):
    """A table of forty rows with a column of each sort."""
    count = 40
    frame = pd.DataFrame(
        {
            "id": range(count),
            "height": [150.5 + number % 7 for number in range(count)],
            "town": [["Rome", "Oslo", ""][number % 3] for number in range(count)],
            "same": 1,
            "born": pd.date_range("1990-01-01", periods=count, freq="D").astype(str),
            "label": ["yes" if number % 2 else "no" for number in range(count)],
            "note": [f"n{number}" for number in range(count)],
        }
    )
    path = tmp_path / "people.csv"
    frame.to_csv(path, index=False)
    return path


def test_each_column_is_taken_for_what_a_run_takes_it_for(people):
    """By the same rules, with the same reasons to leave one out."""
    seen = glance([people])
    schema = infer(read(describe_all([people])), "label")
    by_run = {one.name: (one.role.value, one.note) for one in schema.columns}
    assert {one.name: (one.role, one.note) for one in seen.columns if one.name in by_run} == by_run
    left_out = {one.name for one in seen.columns if one.is_left_out}
    assert left_out == {"id", "same", "note"}


def test_rows_missing_cells_and_values_are_told(people):
    """The first rows as text, cells without a value as such."""
    seen = glance([people])
    assert (seen.format, seen.n_rows, seen.is_whole) == ("CSV", 40, True)
    assert seen.rows[0][:3] == ("0", "150.5", "Rome")
    assert seen.rows[2][2] is None
    town = seen.column("town")
    assert (town.missing, town.distinct, town.examples) == (13, 2, "Rome, Oslo")
    assert seen.column("height").examples == "150.5 to 156.5"


def test_what_predicting_a_column_would_be_is_told(people):
    """Classes or numbers, or why it cannot be."""
    seen = glance([people])
    assert seen.column("label").answer == "classification of 2 classes"
    assert seen.column("height").answer == "regression"
    assert "is a date" in seen.column("born").refusal
    assert "one value only" in seen.column("same").refusal


def test_the_target_is_guessed_by_its_name_else_the_last_that_can_be(people, tmp_path):
    """Never one that cannot be predicted."""
    assert glance([people]).guess == "label"
    other = tmp_path / "other.csv"
    pd.read_csv(people).rename(columns={"label": "told"}).to_csv(other, index=False)
    assert glance([other]).guess == "told"


@pytest.mark.parametrize("name", ["large.csv", "large.parquet", "large.jsonl"])
def test_of_a_large_table_the_first_rows_are_looked_at(tmp_path, monkeypatch, name):
    """And it is said that they are not all."""
    monkeypatch.setattr(looking, "WHOLE_BYTES", 100)
    monkeypatch.setattr(looking, "PART_ROWS", 30)
    frame = pd.DataFrame({"x": range(100), "y": [f"{n % 3},5" for n in range(100)]})
    path = tmp_path / name
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)
    seen = glance([path])
    assert (seen.n_rows, seen.is_whole, seen.names) == (30, False, ("x", "y"))
    assert seen.column("x").examples == "0 to 29"


def test_a_file_without_columns_or_rows_is_refused(tmp_path):
    """In one line, as whatever else is no table."""
    empty = tmp_path / "empty.parquet"
    pq.write_table(pa.table({}), empty)
    nothing = tmp_path / "nothing.csv"
    nothing.write_bytes(b"")
    picture = tmp_path / "picture.csv"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0")
    for path in (empty, nothing, picture):
        with pytest.raises(InputError) as refused:
            glance([path])
        assert "\n" not in str(refused.value)
        assert path.name in str(refused.value)
