"""What explaining is counted to cost, and how many rows an evaluation explains by it."""

import math
from dataclasses import fields, replace
from types import SimpleNamespace

import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost

from baton import models
from baton.evaluation import shapley
from baton.evaluation.shapley import cost
from baton.kernels import patterns
from baton.kernels.trees import of_lightgbm, of_xgboost
from baton.models.mixing import Mixing
from baton.settings import settings
from baton.terms import Kind, Options
from tasks import evaluation

pytestmark = pytest.mark.usefixtures("fast_paths")

N_ROWS = 3000


def table_of(n_rows, **others):
    """Rows of three columns and a class."""
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(n_rows, 3)), columns=["x", "y", "z"]).assign(**others)
    return table.assign(label=np.where(table["x"] * table["y"] > 0, "a", "b"))


def fitted(name, table=None, **params):
    """Model of a family, fitted on such rows."""
    table = table_of(300) if table is None else table
    quick = {"n_estimators": 20, "early_stopping": False} if name in QUICK else {}
    recipe = models.Recipe("label", Kind.CLASSIFICATION, name, {**quick, **params})
    return models.fit(table, recipe)


QUICK = ("xgboost", "lightgbm", "boosters")


@pytest.fixture(scope="module")
def boosted():
    """Models of both engines, and of both together."""
    return {name: fitted(name) for name in QUICK}


def test_the_count_grows_with_the_rows_and_sums_over_members(boosted):
    """Of both boosters it is that of one and of the other; equal work is equal seconds."""
    few, many = table_of(2000).drop(columns="label"), table_of(8000).drop(columns="label")
    for model in boosted.values():
        found = shapley.expected_seconds(model, many)
        assert 0 < shapley.expected_seconds(model, few) < found < math.inf
        assert shapley.expected_seconds(model, many) == found
    assert shapley.expected_seconds(boosted["boosters"], few) > shapley.expected_seconds(
        boosted["xgboost"], few
    )


@pytest.mark.parametrize(
    "name", ["decision_tree", "random_forest", "hist_gradient_boosting", "adaboost"]
)
def test_what_cannot_be_counted_is_infinite(name):
    """Nobody knows what shap or a background sample takes."""
    assert shapley.expected_seconds(fitted(name), table_of(10).drop(columns="label")) == math.inf


def test_categories_cannot_be_counted_and_linear_models_are_quick():
    """A condition on a category is the engine's; a coefficient is a product."""
    level = np.resize(["p", "q", "r"], 300)
    table = table_of(300, level=level)
    table["label"] = np.where(level == "p", "a", table["label"])
    model = fitted("xgboost", table, max_cat_to_onehot=1)
    assert shapley.expected_seconds(model, table.drop(columns="label")) == math.inf
    linear = fitted("logistic_regression", table)
    assert shapley.expected_seconds(linear, table.drop(columns="label")) < 0.01


def test_without_tables_rows_cost_what_the_engine_takes(monkeypatch):
    """BATON_FAST=0: the count is another one, and no more rows are explained than go by."""
    random = np.random.default_rng(0)
    table = table_of(2000)
    table["label"] = random.integers(0, 3, len(table)).astype(str)
    model = fitted("xgboost", table, n_estimators=100, max_depth=6)
    rows = table_of(100_000).drop(columns="label")
    quick = shapley.expected_seconds(model, rows)
    monkeypatch.setenv("BATON_FAST", "0")
    settings.cache_clear()
    assert shapley.expected_seconds(model, rows) > 5 * quick
    monkeypatch.delenv("BATON_FAST")
    settings.cache_clear()


@pytest.mark.parametrize("n_leaves", [8, 31, 100])
def test_where_room_is_counted_there_are_tables(n_leaves):
    """The count knows what the loops have room for, without importing them."""
    assert (cost.MOST_DEPTH, cost.MOST_CELLS) == (patterns._MOST_BITS, patterns.MOST_CELLS)
    random = np.random.default_rng(1)
    X = random.normal(size=(2000, 20))
    y = (X[:, 0] * X[:, 1] > 0) * 1
    deep = lightgbm.LGBMClassifier(n_estimators=5, num_leaves=n_leaves, verbose=-1).fit(X, y)
    wide = xgboost.XGBClassifier(n_estimators=5, max_depth=7, n_jobs=1).fit(X, y)
    for trees in (of_lightgbm(deep.booster_), of_xgboost(wide.get_booster())):
        assert not cost.have_room(trees) or patterns.tables_of(trees) is not None


def test_of_few_columns_a_row_costs_its_trees_and_not_their_leaves():
    """So all of many rows are explained: a look-up does not know how many leaves a tree has."""
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(5000, 3)), columns=list("abc"))
    table["label"] = np.where(
        table["a"] * table["b"] > 0, "yes", np.where(table["c"] > 0, "no", "?")
    )
    model = fitted("xgboost", table, n_estimators=100, max_depth=6)
    rows = pd.DataFrame(random.normal(size=(200_000, 3)), columns=list("abc"))
    trees = of_xgboost(model.estimator.get_booster())
    assert trees.fit_in_cells and cost.have_room(trees)
    assert shapley.expected_seconds(model, rows) < 10
    assert cost.by_engine(trees, len(rows)) > 100


def bench_of(model, monkeypatch, seconds=None, **options):
    """A bench of so many rows."""
    monkeypatch.setattr(evaluation, "features_of", lambda rows, data: rows)
    if seconds is not None:
        monkeypatch.setattr(shapley, "expected_seconds", lambda model, rows: seconds)
    data = SimpleNamespace(options=Options(**options), seed=0)
    bench = evaluation.Bench(SimpleNamespace(data=data))
    bench._made |= {"model": model, "rows": table_of(N_ROWS).drop(columns="label")}
    return bench


@pytest.mark.parametrize(
    ("seconds", "options", "n_rows"),
    [
        (9.9, {}, N_ROWS),
        (10.0, {}, 1000),
        (math.inf, {}, 1000),
        (0.1, {"explain_rows": 7}, 7),
        (99.0, {"explain_rows": 2000}, 2000),
        (99.0, {"explain_rows": 10 * N_ROWS}, N_ROWS),
    ],
)
def test_all_rows_are_explained_where_that_is_counted_as_quick(
    boosted, monkeypatch, seconds, options, n_rows
):
    """A number that is asked for is taken; the rows are the same each time."""
    benches = [bench_of(boosted["xgboost"], monkeypatch, seconds, **options) for _ in range(2)]
    first, again = (one.explained for one in benches)
    assert len(first) == n_rows
    assert first.index.equals(again.index)


def test_small_models_have_all_their_rows_explained(boosted, monkeypatch):
    """By the count itself."""
    assert len(bench_of(boosted["boosters"], monkeypatch).explained) == N_ROWS


def test_an_ensemble_is_counted_by_its_members(boosted):
    """Of margins it is the sum; over a background sample nobody knows."""
    rows = table_of(2000).drop(columns="label")
    both = (boosted["xgboost"], boosted["lightgbm"])
    each = sum(shapley.expected_seconds(one, rows) for one in both)
    facts = {one.name: getattr(both[0], one.name) for one in fields(models.FittedModel)}
    blend = models.Ensemble(**facts, members=both, weights=(0.5, 0.5), mixing=Mixing.MARGINS)
    assert shapley.expected_seconds(blend, rows) == each
    blend = replace(blend, mixing=Mixing.PROBABILITIES)
    assert shapley.expected_seconds(blend, rows) == math.inf
