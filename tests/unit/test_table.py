"""The problem `table`: a user's own CSV or Parquet file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

from baton.errors import InputError
from baton.problems import parse
from baton.problems.table import TableParams, problem
from baton.tables.unread import require_readable, tallied
from baton.terms import ROW, SPLIT, Kind


@pytest.fixture
def people(tmp_path):
    """A table with every sort of column, and dirt in most of them."""
    rng = np.random.default_rng(0)
    n = 200
    frame = pd.DataFrame(
        {
            "Unnamed: 0": range(n),
            "name": [f"person {i}" for i in range(n)],
            "age [years]": rng.integers(18, 90, n),
            "salary": [f"${v:,}" for v in rng.integers(1_000, 90_000, n)],
            "born": pd.date_range("1950-01-01", periods=n).strftime("%d.%m.%Y"),
            "city": rng.choice(["Köln", "Oslo", "?"], n),
            "member": rng.choice(["yes", "no"], n),
            "empty": "",
            "risk": rng.choice(["low", "high", ""], n, p=[0.6, 0.3, 0.1]),
        }
    )
    path = tmp_path / "people.csv"
    frame.to_csv(path, index=False)
    return path


def params(path, target="risk", **values) -> TableParams:
    parsed = parse(problem, {"path": str(path), "target": target, **values})
    assert isinstance(parsed, TableParams)
    return parsed


def run(path, target="risk", **values):
    given = params(path, target, **values)
    problem.fingerprint(given)
    raw = problem.load(given)
    features = problem.features(raw, given)
    problem.contract(given).validate(raw)
    return problem.goal(raw, given), features, problem.split(features, raw, given)


def test_a_dirty_table_goes_through_and_says_what_was_done(people):
    """Everything inferred stands in the goal's notes, a sentence each."""
    goal, features, sides = run(people)
    assert (goal.kind, goal.target, goal.headline) == (Kind.CLASSIFICATION, "risk", "accuracy")
    notes = "\n".join(goal.notes)
    for said in (
        "target 'risk' has 2 classes: classification",
        "without a value of 'risk' left out",
        "dropped 'Unnamed: 0': a row number or id",
        "dropped 'name': text, and every value is different",
        "dropped 'empty': no values",
        "'salary' is read as numbers",
        "'born' is read as dates",
    ):
        assert said in notes
    assert list(features.columns) == [
        *(ROW, "age [years]", "salary", "born", "city", "member", "risk")
    ]
    kinds = [str(dtype) for dtype in features.dtypes]
    assert kinds == [
        *("int64", "int64", "float64", "datetime64[us]", "category", "category", "str")
    ]
    assert sides.index.equals(features.index)
    assert sides.name == SPLIT


@pytest.mark.parametrize(
    ("name", "kind", "headline"),
    [
        ("wine", Kind.CLASSIFICATION, "accuracy"),
        ("breast_cancer", Kind.CLASSIFICATION, "accuracy"),
        ("iris", Kind.CLASSIFICATION, "accuracy"),
        ("diabetes", Kind.REGRESSION, "rmse"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_well_known_tables(tmp_path, name, kind, headline, suffix):
    """scikit-learn's tables are understood without a hint, from either format alike."""
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    path = tmp_path / f"{name}.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    goal, features, sides = run(path, "target")
    assert (goal.kind, goal.headline) == (kind, headline)
    pd.testing.assert_frame_equal(
        features.drop(columns=ROW), frame.astype({"target": features["target"].dtype})
    )
    assert (sides == "test").mean() == pytest.approx(0.25, abs=0.01)


def test_csv_and_parquet_of_one_table_give_the_same_features(people, tmp_path):
    """The format of the file does not matter."""
    raw = problem.load(params(people))
    raw.to_parquet(tmp_path / "people.parquet")
    pd.testing.assert_frame_equal(run(tmp_path / "people.parquet")[1], run(people)[1])


def test_the_same_parameters_give_the_same_tables(people):
    """Features and split are functions of the file and the parameters."""
    first, second = run(people, seed=3), run(people, seed="3")
    assert first[0] == second[0]
    pd.testing.assert_frame_equal(first[1], second[1])
    pd.testing.assert_series_equal(first[2], second[2])


def test_split_is_stratified(people):
    """Every class has its proportion on both sides."""
    _, features, sides = run(people)
    shares = features["risk"].eq("low").groupby(sides, observed=True).mean()
    assert shares["train"] == pytest.approx(shares["test"], abs=0.02)


def test_kind_can_be_chosen(people):
    """The user's kind wins where it is possible."""
    goal, features, _ = run(people, "age [years]", kind="regression")
    assert goal.headline == "rmse"
    assert features["age [years]"].dtype == "float64"
    goal, features, _ = run(people, "age [years]", kind="classification", test_size="0.5")
    assert features["age [years]"].dtype == "int64"


# parameters


def test_relative_paths_and_home_become_absolute(tmp_path, monkeypatch):
    """Another process with another working directory reads the same file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert params("t.csv").path == str(tmp_path / "t.csv")
    assert params("~/t.csv").path == str(tmp_path / "home" / "t.csv")
    dumped = params("t.csv", test_path="u.csv").model_dump(mode="json")
    monkeypatch.chdir("/")
    assert parse(problem, dumped) == TableParams.model_validate(dumped)
    assert dumped["test_path"] == str(tmp_path / "u.csv")


@pytest.mark.parametrize("drop", ["a,b", "a, b", '["a", "b"]', ["a", "b"], ("a", "b")])
def test_drop_is_a_list_in_any_writing(drop):
    """Commas, JSON and lists name the same columns."""
    assert params("t.csv", drop=drop).drop == ("a", "b")


@pytest.mark.parametrize(
    ("drop", "names"),
    [("", ()), ('"a,b",c', ("a,b", "c")), ('["a,b"]', ("a,b",)), ("[m], b", ("[m]", "b"))],
)
def test_drop_with_odd_names(drop, names):
    """A comma or a bracket in a name can be written too."""
    assert params("t.csv", drop=drop).drop == names


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"path": "ftp://host/t.csv"},
            r"buckets \(s3://, gs:// and abfs://\) are read, not ftp",
        ),
        ({"path": "~nobody_here/t.csv"}, "no such home directory"),
        ({"target": ""}, "'target'"),
        ({"kind": "clustering"}, "'kind'"),
        ({"test_size": "1"}, "'test_size'"),
        ({"tset_path": "x"}, "unknown parameter 'tset_path' .*did you mean 'test_path'"),
        ({"traget": "x"}, "did you mean 'target'"),
    ],
)
def test_bad_parameters_are_one_line(values, message):
    """A parameter of the wrong sort is named."""
    with pytest.raises(InputError, match=message) as caught:
        parse(problem, {"path": "t.csv", "target": "y"} | values)
    assert "\n" not in str(caught.value)


def test_every_parameter_is_described():
    """Each field has a description for the command's help."""
    assert all(field.description for field in TableParams.model_fields.values())


def test_importing_the_plug_in_is_cheap():
    """Listing problems imports no pandas."""
    code = "import sys, baton.problems.table; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# preflight


def test_fingerprint_follows_the_content(people, tmp_path):
    """The digest is the content's: not the path's, and the test file counts."""
    copy = tmp_path / "copy.csv"
    copy.write_bytes(people.read_bytes())
    assert problem.fingerprint(params(people)) == problem.fingerprint(params(copy))
    copy.write_bytes(people.read_bytes() + b"1,x,30,$1,01.01.1990,Oslo,yes,,low\n")
    both = problem.fingerprint(params(people, test_path=str(copy)))
    digests = {problem.fingerprint(params(people)), problem.fingerprint(params(copy)), both}
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"target": "rsik"}, "did you mean 'risk'"),
        ({"target": "RISK"}, "did you mean 'risk'"),
        ({"target": "zzz"}, "it has: Unnamed: 0, name, age"),
        ({"drop": "cty"}, "drop 'cty' is not a column .* did you mean 'city'"),
        ({"drop": "city,risk"}, "target 'risk' is in drop"),
        ({"path": "people.cvs"}, "no file .* did you mean people.csv"),
        ({"path": "empty"}, "is a directory without files"),
        ({"test_path": "none.csv"}, "no file"),
        ({"test_path": "other.csv"}, "lacks 8 of the columns of people.csv: 'Unnamed: 0'"),
        ({"test_path": "people.csv"}, "has the same content as path"),
    ],
)
def test_preflight_refuses_in_one_line(people, monkeypatch, values, message):
    """What does not fit the file's head is refused before a run starts."""
    monkeypatch.chdir(people.parent)
    Path("other.csv").write_text("risk\nlow\n")
    Path("empty").mkdir()
    given = params(**({"path": "people.csv"} | values))
    with pytest.raises(InputError, match=message) as caught:
        problem.fingerprint(given)
    assert "\n" not in str(caught.value)


def test_a_file_without_header_is_suspected(tmp_path):
    """If every name is a number, the header line is probably missing."""
    path = tmp_path / "t.csv"
    path.write_text("5.1,3.5\n4.9,3.0\n")
    with pytest.raises(InputError, match="the first line looks like data"):
        problem.fingerprint(params(path, "y"))


def test_a_nested_target_is_refused(tmp_path):
    """A list cannot be predicted."""
    path = tmp_path / "t.parquet"
    pd.DataFrame({"a": [1, 2], "y": [[1], [2]]}).to_parquet(path)
    with pytest.raises(InputError, match="target 'y' is list"):
        problem.fingerprint(params(path, "y"))


# a second file


@pytest.fixture
def halves(people):
    """The same table as two files."""
    rows = people.read_text().splitlines()
    train, test = people.with_name("train.csv"), people.with_name("test.csv")
    train.write_text("\n".join(rows[:151]))
    test.write_text("\n".join([rows[0], *rows[151:]]))
    return train, test


def test_the_second_file_is_the_test_side(halves):
    """Rows are numbered through both files, and the file decides the side."""
    _, features, sides = run(halves[0], test_path=str(halves[1]))
    assert (features.loc[sides == "test", ROW] >= 150).all()
    assert (features.loc[sides == "train", ROW] < 150).all()
    assert SPLIT not in features
    assert sides.cat.categories.tolist() == ["train", "test"]


def test_a_dropped_column_may_be_missing_in_the_second_file(halves):
    """What is dropped need not be there."""
    frame = pd.read_csv(halves[1]).drop(columns="salary")
    frame.to_csv(halves[1], index=False)
    _, features, _ = run(halves[0], test_path=str(halves[1]), drop="salary")
    assert "salary" not in features


def test_a_side_without_targets_is_refused(halves):
    """A test file whose target is empty cannot test."""
    pd.read_csv(halves[1]).assign(risk=None).to_csv(halves[1], index=False)
    with pytest.raises(InputError, match="no row of the test file has a value of 'risk'"):
        run(halves[0], test_path=str(halves[1]))


# rows to be predicted


def test_rows_to_be_predicted_are_read_as_the_training_rows_were(people, tmp_path):
    """A file of one row has constant, unique columns; the model's schema says what they are."""
    given = params(people)
    raw = problem.load(given)
    full, schema = problem.features(raw, given), problem.schema(raw, given)
    assert json.loads(json.dumps(schema)) == schema
    new = tmp_path / "new.csv"
    pd.read_csv(people).drop(columns="risk")[7:8].to_csv(new, index=False)
    later = params(new)
    one = problem.new_features(problem.unseen(later), later, schema)
    assert list(one.columns) == list(full.columns.drop("risk"))
    every = problem.new_features(raw, given, schema)
    assert one["salary"][0] == every["salary"][7]


def test_cells_that_cannot_be_read_are_counted(people, tmp_path):
    """By column, with an example; a column of which nothing can be read is refused."""
    given = params(people)
    raw = problem.load(given)
    schema = problem.schema(raw, given)
    assert not any(one.n_unread for one in tallied(problem.unread(raw, schema)).values())
    new = pd.read_csv(people).drop(columns="risk")[:20]
    some = new.assign(**{"age [years]": ["heavy", "?", *map(str, range(20, 38))]})
    lost = list(problem.unread(read_again(some, tmp_path), schema))
    (age,) = [one for one in lost if len(one.rows)]
    assert (age.rows.tolist(), age.values.to_pylist()) == ([0], ["heavy"])
    said = str(tallied(lost)["age [years]"])
    assert said.startswith("'age [years]' was a number: 1 of 19 values, such as 'heavy'")
    require_readable(tallied(lost).values())
    none = tallied(problem.unread(read_again(new.assign(salary="heavy"), tmp_path), schema))
    with pytest.raises(InputError, match=r"none of its 20 values can be read so .such as 'heavy'"):
        require_readable(none.values())


def read_again(frame, folder):
    """Rows to be predicted, through a file."""
    frame.to_csv(folder / "new.csv", index=False)
    return problem.unseen(params(folder / "new.csv"))


def test_a_file_of_rows_to_be_predicted_is_no_training_file(people):
    """It has no target; every row of it is kept."""
    given = params(people)
    raw = problem.load(given)
    assert len(problem.new_features(raw, given, problem.schema(raw, given))) == len(raw)
    pd.read_csv(people).drop(columns="risk").to_csv(people, index=False)
    with pytest.raises(InputError, match="target 'risk' is not a column"):
        problem.fingerprint(given)


# contract


def test_the_contract_refuses_what_the_header_does_not_have(people):
    """A missing or additional column, an infinity or a single class break the contract."""
    from pandera.errors import SchemaError, SchemaErrors

    given = params(people)
    schema = problem.contract(given)
    raw = problem.load(given)
    for broken in (
        raw.drop(columns="city"),
        raw.assign(more=1),
        raw.assign(**{"age [years]": np.inf}),
        raw.assign(risk="low"),
    ):
        with pytest.raises((SchemaError, SchemaErrors)):
            schema.validate(broken)


# the model's name


@pytest.mark.parametrize(
    ("path", "target", "name"),
    [
        ("Wine Quality.csv.gz", "quality", "wine-quality-quality"),
        ("wine.csv", "Güte [%]", "wine-gute"),
        ("x" * 90 + ".csv", "y", "x" * 41 + "-1cf4abdd"),
        ("wine.csv", "???", "wine-a03b221c"),
    ],
)
def test_a_model_is_called_as_its_table(path, target, name):
    """By the file and the target, in what MLflow takes."""
    found = problem.model_name(params(path, target))
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,49}", found)
    assert found == name
    assert problem.model_name(params(path, target, name="my-model")) == "my-model"


def test_a_bad_name_is_refused():
    """One line."""
    with pytest.raises(InputError, match="parameter 'name'"):
        params("t.csv", name="My Model")
