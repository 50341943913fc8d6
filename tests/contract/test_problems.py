"""What every problem promises: one suite for Baton's own, and for the README's example."""

import json
import re
import sys
import types

import numpy as np
import pandas as pd
import pytest
from pandas.api import types as dtypes

from baton import models, problems
from baton.errors import InputError
from baton.terms import ROW, SPLIT, Kind
from tests.conftest import ROOT
from tests.shops import make_shop

NAMES = [*problems.names(), "moons (README)"]


def _moons():
    """The problem that the README shows, as a reader would save it."""
    readme = (ROOT / "README.md").read_text()
    code = re.search(r"```python\n(.*?)```", readme, re.DOTALL).group(1)
    module = sys.modules["readme_moons"] = types.ModuleType("readme_moons")
    exec(code, module.__dict__)
    return module.problem


def _trips(folder):
    """Two months of made-up taxi trips."""
    rng = np.random.default_rng(0)
    for month in ("2021-01", "2021-02"):
        began = pd.to_datetime(f"{month}-03") + pd.to_timedelta(rng.integers(0, 10**6, 400), "s")
        distance = rng.exponential(3, 400)
        pd.DataFrame(
            {
                "lpep_pickup_datetime": began,
                "lpep_dropoff_datetime": began + pd.to_timedelta(120 + 180 * distance, "s"),
                "PULocationID": rng.integers(1, 9, 400),
                "DOLocationID": rng.integers(1, 9, 400),
                "passenger_count": rng.choice([1, 2, None], 400).astype(float),
                "trip_distance": distance,
            }
        ).to_parquet(folder / f"green_tripdata_{month}.parquet")
    return {"train": "2021-01", "test": "2021-02", "source": str(folder)}


@pytest.fixture(params=NAMES)
def case(request, tmp_path):
    """A problem with small parameters."""
    values = {}
    if request.param == "spheres":
        values = {"rows": "300"}
    if request.param == "table":
        path = tmp_path / "table.csv"
        rows = [f"{i},{'abc'[i % 3]},2024-01-{i % 28 + 1:02},{i % 2}" for i in range(300)]
        path.write_text("\n".join(["number,letter,day,answer", *rows]))
        values = {"path": str(path), "target": "answer"}
    if request.param == "churn":
        values = {
            "url": str(make_shop(tmp_path / "shop.sqlite")),
            "orders": "orders",
            "order_key": "id",
            "order_time": "ordered",
            "customer_key": "customer",
        }
    if request.param == "relational":
        shop = make_shop(tmp_path / "shop.sqlite")
        values = {"url": str(shop), "table": "orders", "target": "total", "time": "ordered"}
    is_readme = request.param.startswith("moons")
    if request.param == "taxi":
        values = _trips(tmp_path)
    problem = _moons() if is_readme else problems.get(request.param)
    return problem, problems.parse(problem, values)


def test_parameters_survive_the_way_through_json(case):
    """What the command sends is what the flow reads."""
    problem, params = case
    assert problems.parse(problem, params.model_dump(mode="json")) == params


def test_every_parameter_is_described(case):
    """`baton problems NAME` has something to say about each."""
    problem, params = case
    assert all(field.description for field in type(params).model_fields.values())
    assert problem.summary


def test_a_misspelt_parameter_is_refused_with_the_known_ones(case):
    """One line that lists what there is."""
    problem, _ = case
    with pytest.raises(InputError, match=r"unknown parameter 'sede'.*it has: .*seed"):
        values = {"path": "x.csv", "target": "y"} if problem.name == "table" else {}
        if problem.name == "relational":
            values = {"url": "x.sqlite", "table": "x", "target": "y"}
        problems.parse(problem, values | {"sede": 1})


def test_raw_keeps_the_contract_and_is_the_same_every_time(case):
    """Loading is deterministic, and the contract accepts what load returns."""
    problem, params = case
    raw = problem.load(params)
    problem.contract(params).validate(raw)
    pd.testing.assert_frame_equal(raw, problem.load(params))
    assert problem.fingerprint(params) == problem.fingerprint(params)


def test_features_are_what_a_model_can_take(case):
    """Row ids, columns of four kinds, and the target only when asked for."""
    problem, params = case
    raw = problem.load(params)
    goal = problem.goal(raw, params)
    before = raw.copy()
    features = problem.features(raw, params)
    pd.testing.assert_frame_equal(raw, before)
    assert features[ROW].is_unique
    assert features[goal.target].notna().all()
    for name, values in features.drop(columns=[ROW, goal.target]).items():
        assert isinstance(name, str)
        assert (
            dtypes.is_numeric_dtype(values.dtype)
            or dtypes.is_datetime64_dtype(values.dtype)
            or isinstance(values.dtype, pd.CategoricalDtype)
        )
    schema = json.loads(json.dumps(problem.schema(raw, params)))
    blind = problem.new_features(problem.unseen(params), params, schema)
    assert goal.target not in blind.columns
    assert set(features.columns) - set(blind.columns) == {goal.target}


def test_the_columns_that_are_needed_make_the_same_features(case):
    """A person who makes a row up is asked for these, and for none that changes nothing."""
    problem, params = case
    raw = problem.load(params)
    schema = json.loads(json.dumps(problem.schema(raw, params)))
    target = problem.goal(raw, params).target
    rows = raw.drop(columns=[target, SPLIT], errors="ignore").head(20)
    needed = list(problem.needed(rows, params, schema))
    assert needed and set(needed) <= set(rows.columns)
    whole = problem.new_features(rows, params, schema)
    pd.testing.assert_frame_equal(problem.new_features(rows[needed], params, schema), whole)


def test_a_model_learns_on_one_side_and_is_scored_on_the_other(case):
    """The split covers every row, and every class that is tested was trained on."""
    problem, params = case
    raw = problem.load(params)
    goal = problem.goal(raw, params)
    features = problem.features(raw, params)
    split = problem.split(features, raw, params)
    assert split.index.equals(features.index)
    assert set(split.unique()) == {"train", "test"}
    rows = features.drop(columns=ROW)
    train, test = rows[split == "train"], rows[split == "test"]
    model = models.fit(train, models.Recipe(goal.target, goal.kind))
    assert len(model.predict(test)) == len(test)
    if goal.kind is Kind.CLASSIFICATION:
        assert set(test[goal.target]) <= set(train[goal.target])
