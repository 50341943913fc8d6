"""New rows: read by batches, answered in their order, their doubtful cells listed one by one."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from baton import models, problems
from baton.chain import outcome
from baton.chain.events import ModelRef
from baton.chain.runs import ChainRun
from baton.cli.answers import Answers, Wish
from baton.errors import InputError
from baton.models.deciding import Deciding
from baton.models.prediction_interval import PredictionInterval
from baton.models.recipe import Recipe
from baton.models.threshold import Threshold
from baton.settings import settings
from baton.terms import ROW, Kind
from baton.warning import of_table
from tasks import prediction
from tasks.platform import results
from tests.conftest import ROOT

TABLE = problems.get("table")
MODEL = ModelRef(name="baton-table-x", version=1, run_id="0" * 32, digest="0" * 64)


def _rows(n, seed=0):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "id": [f"{i:05}" for i in range(n)],
            "age": random.integers(1, 90, n).astype(str),
            "born": pd.date_range("1950-01-01", periods=n).strftime("%Y-%m-%d"),
            "city": random.choice(["Oslo", "Bonn", "Rom"], n),
            "pay": [f"${v:,}" for v in random.integers(1_000, 90_000, n)],
        }
    )
    return frame.assign(risk=np.where(frame["age"].astype(int) > 45, "high", "low"))


def _fitted(folder, target, kind):
    """A model of a small table, as a chain keeps it."""
    path = folder / "train.csv"
    _rows(300).to_csv(path, index=False)
    params = problems.parse(TABLE, {"path": str(path), "target": target, "kind": kind})
    raw = TABLE.load(params)
    origin = {
        "problem": "table",
        "parameters": params.model_dump(mode="json"),
        "schema": TABLE.schema(raw, params),
    }
    recipe = Recipe(
        family="xgboost",
        kind=kind,
        target=target,
        params={"n_estimators": 20, "early_stopping": False},
        seed=0,
        origin=json.loads(json.dumps(origin)),
    )
    return models.fit(TABLE.features(raw, params).drop(columns=ROW), recipe)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model that tells who is at risk."""
    return _fitted(tmp_path_factory.mktemp("train"), "risk", Kind.CLASSIFICATION)


def _plan(model, path, name="x"):
    given = TABLE.for_new_rows(model.origin["parameters"], {"path": str(path), "name": name})
    params = problems.parse(TABLE, given)
    source = TABLE.unseen_fingerprint(params)
    aside = TABLE.require_new(params, model.origin["schema"])
    return prediction.PredictionPlan(TABLE, params, "0" * 12, MODEL, model, source, aside=aside)


def _predicted(plan):
    settings().home.mkdir(parents=True, exist_ok=True)
    prediction.predict_new_rows.fn(plan, prediction.read_new_rows.fn(plan))
    return prediction.predictions_ready(plan)


@pytest.fixture
def dirty(tmp_path):
    """New rows with cells that are not what their columns were, and a column too many."""
    frame = _rows(500, seed=1).drop(columns="risk").assign(more=1)
    frame.loc[3, "age"], frame.loc[450, "age"] = "heavy", "light"
    frame.loc[5, "born"], frame.loc[7, "city"], frame.loc[9, "age"] = "soon", "Paris", "?"
    path = tmp_path / "new.csv"
    frame.to_csv(path, index=False)
    return path


def test_batches_are_equal_to_one(model, dirty, monkeypatch):
    """Answers, doubts, warnings and the rows beside: to the byte of their values."""
    ways = {}
    for size in (None, 7, 499):
        monkeypatch.setattr(type(TABLE), "rows_at_once", size)
        ready = _predicted(_plan(model, dirty, f"n{size or 0}"))
        tables = (ready.raw, ready.predictions, ready.doubts, ready.warnings)
        ways[size] = [results.read(one).replace_schema_metadata() for one in tables]
    for size in (7, 499):
        for one, other in zip(ways[None], ways[size], strict=True):
            assert one.equals(other)
    _, predictions, _, _ = ways[7]
    assert predictions[ROW].to_pylist() == list(range(500))
    assert predictions["id"].to_pylist() == [f"{i:05}" for i in range(500)]
    raw = pd.read_csv(dirty, dtype=str)
    raw.attrs["decimal"] = "."
    features = TABLE.new_features(raw, None, model.origin["schema"])
    proba = model.predict_proba(features)
    np.testing.assert_array_equal(predictions["p(high)"].to_numpy(), proba[:, 0])


def test_a_batch_is_answered_as_the_model_decides(model, dirty, tmp_path, monkeypatch):
    """Labels by its threshold; a number between the ends of its interval, in the file too."""
    monkeypatch.setattr(type(TABLE), "rows_at_once", 100)
    sure = replace(model, deciding=Deciding(threshold=Threshold(value=0.0, goal="0")))
    answers = results.read(_predicted(_plan(sure, dirty, "sure")).predictions)
    assert set(answers["predicted"].to_pylist()) == {"low"}
    off = PredictionInterval(level=0.9, at=(0.0,), below=(2.0,), above=(3.0,))
    number = replace(_fitted(tmp_path, "age", Kind.REGRESSION), deciding=Deciding(interval=off))
    new = tmp_path / "new.csv"
    _rows(500, seed=2).to_csv(new, index=False)
    found = results.checked(_predicted(_plan(number, new, "age")).predictions)
    wish = Wish.of(str(tmp_path / "out.csv"), "id", "", Answers.INTERVALS)
    assert wish.write(found, "age") == 500
    out = pd.read_csv(tmp_path / "out.csv")
    assert list(out) == ["id", "age", "low", "high"]
    np.testing.assert_allclose(out["age"] - out["low"], 2.0, atol=1e-4)
    np.testing.assert_allclose(out["high"] - out["age"], 3.0, atol=1e-4)


def test_doubtful_cells_are_listed_one_by_one(model, dirty):
    """Row, column, what stood there and why; a missing value is none."""
    ready = _predicted(_plan(model, dirty))
    assert results.read(ready.doubts).to_pylist() == [
        {ROW: 3, "column": "age", "value": "heavy", "reason": "cannot be read as a number"},
        {ROW: 5, "column": "born", "value": "soon", "reason": "cannot be read as a datetime"},
        {
            ROW: 7,
            "column": "city",
            "value": "Paris",
            "reason": "a category that the model does not know",
        },
        {ROW: 450, "column": "age", "value": "light", "reason": "cannot be read as a number"},
    ]
    said = {
        (one.kind.value, one.columns): one.message for one in of_table(results.read(ready.warnings))
    }
    assert list(said) == [
        *(("unread", ("age",)), ("unread", ("born",)), ("unknown", ("city",)), ("aside", ("more",)))
    ]
    assert "2 of 499 values, such as 'heavy'" in said["unread", ("age",)]
    assert "1 of 500 values, such as 'Paris'" in said["unknown", ("city",)]


def test_what_was_predicted_is_told(model, dirty):
    """In the object of `--json`: first rows, counts, warnings."""
    chain = ChainRun("0" * 12, "table", (), predicted=_predicted(_plan(model, dirty)))
    made = json.loads(json.dumps(outcome.of_chain(chain, settings().results), allow_nan=False))
    assert (made["n_rows"], made["n_doubts"]) == (500, 4)
    assert [row["id"] for row in made["first_rows"]] == [f"{i:05}" for i in range(5)]
    assert [one["kind"] for one in made["warnings"]] == ["unread", "unread", "unknown", "aside"]
    assert set(made["results"]) == {"new_rows", "new_predictions", "new_doubts"}


def test_a_column_that_cannot_be_read_at_all_is_refused(model, dirty, monkeypatch):
    """Over all batches: the first one alone does not decide. Nothing is kept."""
    monkeypatch.setattr(type(TABLE), "rows_at_once", 10)
    frame = pd.read_csv(dirty, dtype=str)
    frame[:100].assign(age="heavy").to_csv(dirty, index=False)
    plan = _plan(model, dirty)
    with pytest.raises(InputError, match=r"none of its 100 values can be read so"):
        _predicted(plan)
    assert not plan.has("new_predictions")
    pd.concat([frame[:100].assign(age="heavy"), frame[100:110]]).to_csv(dirty, index=False)
    assert _predicted(_plan(model, dirty)).doubts.n_rows > 100


def test_rows_of_another_table_are_refused_by_their_head(model, tmp_path):
    """Which columns are missing, before anything is read."""
    path = tmp_path / "t.csv"
    path.write_text("age,born,city,pai\n1,2024-01-01,Rom,$1\n")
    with pytest.raises(InputError, match=r"'pay' is not a column of .*did you mean 'pai'"):
        _plan(model, path)
    path.write_text("a,city\n1,Rom\n")
    with pytest.raises(InputError, match=r"lacks 3 of the 4 .* is it another table"):
        _plan(model, path)


# the file of answers


@pytest.fixture
def predicted(model, dirty):
    return results.checked(_predicted(_plan(model, dirty)).predictions)


def _written(predictions, folder, *, id="", header="", answers=None, out="out.csv"):
    like = folder / "sample.csv"
    like.write_text(header)
    wish = Wish.of(str(folder / out), id, str(like) if header else "", answers)
    assert wish.write(predictions, "risk") == 500
    assert not list(folder.glob(".*"))
    return folder / out


@pytest.mark.parametrize(
    ("given", "columns"),
    [
        ({}, {ROW: ROW, "risk": "predicted"}),
        ({"id": "id"}, {"id": "id", "risk": "predicted"}),
        (
            {"id": "id", "answers": Answers.PROBABILITIES},
            {"id": "id", "p(high)": "p(high)", "p(low)": "p(low)"},
        ),
        ({"header": "id,risk\n"}, {"id": "id", "risk": "predicted"}),
        ({"header": "risk,id\n1,2\n"}, {"risk": "predicted", "id": "id"}),
        ({"header": "Key,Expected\n", "id": "id"}, {"Key": "id", "Expected": "predicted"}),
        ({"header": "id,low,high\n"}, {"id": "id", "low": "p(low)", "high": "p(high)"}),
        (
            {"header": "id,risk\n", "answers": Answers.PROBABILITIES},
            {"id": "id", "risk": "p(low)"},
        ),
    ],
)
def test_answers_have_the_columns_that_are_asked_for(predicted, tmp_path, given, columns):
    """In the order of the rows; ids as they stood in the file, leading zeros too."""
    found = pd.read_csv(_written(predicted, tmp_path, **given), dtype={"id": str, "Key": str})
    table = pq.read_table(predicted).to_pandas()
    wanted = table[list(columns.values())].set_axis(list(columns), axis=1)
    pd.testing.assert_frame_equal(found, wanted, check_dtype=False)


def test_answers_are_written_as_their_name_says(predicted, tmp_path):
    """Tab-separated, or Parquet."""
    text = _written(predicted, tmp_path, id="id", out="a.tsv").read_text().splitlines()
    assert text[0] == "id\trisk"
    table = pq.read_table(_written(predicted, tmp_path, id="id", out="a.parquet"))
    assert table.column_names == ["id", "risk"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"id": "idd"}, "--id 'idd' is not a column of the new rows: did you mean 'id'"),
        ({"header": "id,a,b\n"}, "--like has 'a', 'b', which is neither"),
        ({"header": "id,age\n"}, "--like has no column for the answer, such as 'risk'"),
        ({"out": "a.xlsx"}, "is no .csv, .tsv or .parquet"),
        ({"out": "none/a.csv"}, "there is no folder"),
    ],
)
def test_answers_that_cannot_be_are_refused(predicted, tmp_path, given, message):
    """In one line, and no file is left."""
    with pytest.raises(InputError, match=message):
        _written(predicted, tmp_path, **given)
    assert not list(tmp_path.glob("*out*"))
    with pytest.raises(InputError, match="say what is written to --out"):
        Wish.of("", "id", "", None)


def test_numbers_have_no_probabilities():
    """And booleans are written as pandas writes them."""
    wish = Wish.of("out.csv", "", "", Answers.PROBABILITIES)
    with pytest.raises(InputError, match="'y' is a number, which has no probabilities"):
        wish.columns([ROW, "predicted", "a"], "y")
    assert (
        Wish.of("out.csv", "", "", None).columns([ROW, "predicted", "a"], "y")["y"] == "predicted"
    )


def test_a_number_may_stand_between_the_ends_of_its_interval():
    """Where the model knows them; a column of the rows is still carried."""
    wish = Wish.of("out.csv", "a", "", Answers.INTERVALS)
    found = wish.columns([ROW, "predicted", "low", "high", "a"], "y")
    assert found == {"a": "a", "y": "predicted", "low": "low", "high": "high"}
    labels = Wish.of("out.csv", "a", "", None).columns([ROW, "predicted", "low", "high", "a"], "y")
    assert labels == {"a": "a", "y": "predicted"}
    with pytest.raises(InputError, match="the answers for 'y' have no intervals"):
        wish.columns([ROW, "predicted", "a"], "y")


MEMORY = """
import resource, sys
from tests.unit.test_predictions import TABLE, _plan, _predicted
from baton.cli.answers import Wish
from baton.models.fitted import load
from pathlib import Path
from tasks.platform import results
model, path, out = load(Path(sys.argv[1])), sys.argv[2], sys.argv[3]
ready = _predicted(_plan(model, path))
Wish.of(out, "id", "", None).write(results.checked(ready.predictions), "risk")
print(ready.predictions.n_rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def _most_memory(model, folder, n):
    model.save(folder / "model")
    path = folder / f"{n}.csv"
    part = _rows(100_000).drop(columns="risk")
    with path.open("w") as file:
        for begin in range(0, n, len(part)):
            part[: n - begin].to_csv(file, index=False, header=begin == 0)
    ran = subprocess.run(
        [sys.executable, "-c", MEMORY, folder / "model", path, folder / "out.csv"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    rows, megabytes = map(int, ran.stdout.split()[-2:])
    assert rows == n
    return megabytes


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_memory_is_bounded_however_many_the_rows(model, tmp_path):
    """Three million rows take hardly more than three hundred thousand."""
    few, many = (_most_memory(model, tmp_path, n) for n in (300_000, 3_000_000))
    assert many < few + 200
