"""What each column was taken for, and what was done with it, in a line."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from baton import models, problems
from baton.models.recipe import Recipe
from baton.showing.columns import as_table, column_lines, of_table
from baton.terms import ROW, SPLIT, Kind

N = 300


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """Of a table with a column of each sort, one left out as asked, one a key of groups."""
    random = np.random.default_rng(0)
    cities = np.asarray([f"city{n}" for n in range(12)])[random.integers(0, 12, N)]
    table = pd.DataFrame(
        {
            "cost": random.uniform(1, 9, N).round(2),
            "city": cities,
            "day": pd.date_range("2024-01-01", periods=N).strftime("%Y-%m-%d"),
            "same": "a",
            "asked": random.normal(size=N),
            "who": np.arange(N) // 5,
            "y": random.choice(["no", "yes"], N),
        }
    )
    table.loc[:6, "cost"] = np.nan
    path = tmp_path_factory.mktemp("columns") / "t.csv"
    table.to_csv(path, index=False)
    problem = problems.get("table")
    given = {"path": str(path), "target": "y", "drop": "asked", "group": "who"}
    params = problems.parse(problem, given)
    raw = problem.load(params)
    features = problem.features(raw, params)
    recipe = Recipe("y", Kind.CLASSIFICATION, "lightgbm", {"n_estimators": 5})
    model = models.fit(features.drop(columns=ROW), recipe)
    facts = {
        "parameters": params.model_dump(mode="json"),
        "schema": problem.schema(raw, params),
    }
    seen = pa.Table.from_pandas(features.assign(**{SPLIT: "train"}), preserve_index=False)
    whole = pa.Table.from_pandas(raw, preserve_index=False)
    return column_lines(seen, whole, "y", facts, model.encoder)


def test_every_column_has_a_line_the_target_first(lines):
    """What is hidden has none; what was left out says why."""
    found = {line.name: line for line in lines}
    assert [line.name for line in lines][:4] == ["y", "cost", "city", "day"]
    assert set(found) == {"y", "cost", "city", "day", "same", "asked", "who"}
    assert (found["y"].role, found["y"].missing) == ("target", 0)
    assert set(found["y"].examples.split(", ")) == {"no", "yes"}
    assert (found["cost"].role, found["cost"].missing) == ("number", 7)
    assert found["cost"].examples.endswith(" to 9") or " to 8.9" in found["cost"].examples
    assert (found["city"].role, found["city"].examples[-10:]) == ("category", "and 9 more")
    assert found["city"].done == "12 levels"
    assert found["day"].examples == "2024-01-01 to 2024-10-26"
    assert "read as" in found["day"].done
    assert (found["same"].role, found["same"].done) == ("dropped", "the same value in every row")
    assert (found["asked"].role, found["asked"].done) == ("dropped", "as asked")
    assert (found["who"].role, found["who"].done) == ("group", "its rows are held out together")


def test_lines_are_kept_as_a_table(lines):
    """And read back as they were."""
    assert list(of_table(as_table(lines))) == lines


def test_a_problem_that_infers_nothing_has_lines_too():
    """Roles are then those of the model's encoder; nested and missing cells break nothing."""
    rows = pd.DataFrame({"x": np.arange(40.0), "b": [True, False] * 20, "y": np.arange(40.0) % 7})
    recipe = Recipe("y", Kind.REGRESSION, "decision_tree")
    model = models.fit(rows, recipe)
    raw = pa.table({"lists": [[1]] * 40, "none": pa.nulls(40)})
    found = column_lines(
        pa.Table.from_pandas(rows, preserve_index=False), raw, "y", {}, model.encoder
    )
    assert [(one.name, one.role) for one in found] == [
        ("y", "target"),
        ("x", "number"),
        ("b", "flag"),
        ("lists", "not used"),
        ("none", "not used"),
    ]
    assert found[4].missing == 40
