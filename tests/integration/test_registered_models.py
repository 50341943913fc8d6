"""A model belongs to its table: versions, champion and predictions go by problem and name."""

import pandas as pd
import pytest

from baton import models, problems
from baton.chain.events import DatasetReady
from baton.errors import InputError, NoModelError
from baton.settings import settings
from baton.terms import Kind
from tasks.platform import tracking

TABLE = problems.get("table")


@pytest.fixture
def home(monkeypatch, tmp_path):
    """A home of its own, whose MLflow is empty."""
    monkeypatch.setenv("BATON_HOME", str(tmp_path))
    settings.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    settings.cache_clear()


def data_of(name, target="y", features="a" * 64):
    table = {"key": f"table/{'0' * 16}/features.parquet", "digest": features, "n_rows": 40}
    return DatasetReady(
        chain="0" * 12,
        problem="table",
        raw=table,
        features=table,
        kind=Kind.REGRESSION,
        target=target,
        headline="rmse",
        n_train=30,
        n_test=10,
        name=name,
    )


def register(data, key):
    rows = pd.DataFrame({"x": range(40), data.target: range(40)}).astype(float)
    recipe = models.Recipe(data.target, Kind.REGRESSION, family="decision_tree")
    fitted = models.fit(rows, recipe)
    params = {"features_digest": data.features.digest}
    return tracking.register.fn(fitted, data, key, params, rows[["x"]].head(3))


def test_two_tables_have_two_models(home):
    """Each with its versions; the one that is meant is found by name or target, else named."""
    with pytest.raises(NoModelError, match="there is no model of table; `baton run table`"):
        tracking.model_for(TABLE, {})
    wine = register(data_of("wine-quality", "quality"), "1" * 32)
    assert (wine.name, wine.version) == ("baton-table-wine-quality", 1)
    assert tracking.model_for(TABLE, {}) == wine.name
    cars = register(data_of("mpg-mpg", "mpg"), "2" * 32)
    again = register(data_of("mpg-mpg", "mpg"), "3" * 32)
    assert (cars.version, again.version) == (1, 2)
    assert tracking.find_version(cars.name, "1" * 32) is None
    assert tracking.newest_version(cars.name, "table") == again
    assert tracking.newest_version(cars.name, "table", 1) == cars
    assert tracking.model_for(TABLE, {"name": "mpg-mpg"}) == cars.name
    assert tracking.model_for(TABLE, {"name": None, "target": "quality"}) == wine.name
    with pytest.raises(
        InputError, match=r"2 models: say which by -p name=.* mpg-mpg, wine-quality"
    ):
        tracking.model_for(TABLE, {})
    with pytest.raises(NoModelError, match="called 'mgp-mpg'; did you mean 'mpg-mpg'"):
        tracking.model_for(TABLE, {"name": "mgp-mpg"})
    with pytest.raises(NoModelError, match="of target 'z'; there are: mpg-mpg, wine-quality"):
        tracking.model_for(TABLE, {"target": "z"})
    found = {one.short: (one.problem, one.target, one.version) for one in listed()}
    assert found == {"wine-quality": ("table", "quality", 1), "mpg-mpg": ("table", "mpg", 2)}
    assert tracking.registered_models("iris") == []


def listed():
    return tracking.registered_models()


def test_a_champion_is_compared_on_the_same_rows_only(home):
    """Scores of another table, or of other rows of this one, are no rival."""
    data = data_of("wine-quality")
    reference = register(data, "1" * 32)
    client = tracking._client()
    client.log_metric(reference.run_id, "rmse", 0.5)
    assert tracking.champion_scores(data) == {}
    client.set_registered_model_alias(reference.name, "champion", 1)
    assert tracking.champion_scores(data) == {"rmse": 0.5}
    assert tracking.champion_scores(data_of("wine-quality", features="b" * 64)) == {}
    assert tracking.champion_scores(data_of("other")) == {}


def test_models_of_an_earlier_baton_are_found(home):
    """All tables shared one registered model: it is one among others, under its own name."""
    old = register(data_of(""), "1" * 32)
    assert old.name == "baton-table"
    assert tracking.model_for(TABLE, {}) == "baton-table"
    register(data_of("wine-quality"), "2" * 32)
    assert tracking.model_for(TABLE, {"name": "baton-table"}) == "baton-table"


def test_a_problem_with_one_model_is_not_looked_up(home):
    """Its name is known."""
    assert tracking.model_for(problems.get("iris"), {}) == "baton-iris"
