"""Models that learn from rows part by part."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xgboost

from baton import models
from baton.chance import chance_of
from baton.errors import InputError
from baton.models import parts
from baton.models.interface import FitSpec
from baton.models.xgb import XGBoost
from baton.terms import IN_PARTS, WEIGHT, Kind

FEW = {"n_estimators": 60, "learning_rate": 0.2, "max_depth": 4, "subsample": 1.0}


def source_of(table):
    """Rows of a table in memory, some at a time, as from a file of them."""
    chance = chance_of(np.arange(len(table)), 0)

    def between(low, high, columns):
        chosen = table[(low <= chance) & (chance < high)]
        for begin in range(0, len(chosen), 997):
            some = chosen.iloc[begin : begin + 997]
            yield pa.Table.from_pandas(some if columns is None else some[columns])

    return models.Source(len(table), 1_000, between)


def table_of(n_rows, seed=0):
    """Numbers, a category, a class and a number that follow from them."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame(random.normal(size=(n_rows, 3)), columns=list("abc"))
    level = pd.Categorical.from_codes(random.integers(0, 4, n_rows), ["k", "l", "m", "n"])
    margin = table.a + table.b * table.c + (level.codes - 1.5)
    value = margin + random.normal(0, 0.3, n_rows)
    return table.assign(
        level=level, value=value, kind=np.select([value < -1, value < 1], ["x", "y"], "z")
    )


def recipe(target, **params):
    kind = Kind.CLASSIFICATION if target == "kind" else Kind.REGRESSION
    return models.Recipe(target, kind, params=FEW | params)


@pytest.mark.parametrize("target", ["kind", "value"])
@pytest.mark.parametrize("is_weighed", [False, True])
def test_parts_are_learnt_as_well_as_all_rows(monkeypatch, target, is_weighed):
    """Of four parts each tree sees one, and the model is about as good on rows of no part."""
    monkeypatch.setattr(parts, "BYTES_AT_ONCE", 500_000)
    table, new = (
        table_of(16_000).drop(columns={"kind": "value", "value": "kind"}[target]),
        table_of(4_000, 1),
    )
    if is_weighed:
        table[WEIGHT] = np.random.default_rng(2).uniform(0, 5, len(table))
    in_parts = models.fit_in_parts(source_of(table), recipe(target))
    whole = models.fit(table, recipe(target))
    assert in_parts.classes == whole.classes
    assert in_parts.encoder.column_names == whole.encoder.column_names
    wrong = []
    for model in (in_parts, whole):
        said = model.predict(new)
        wrong.append((said != new.kind).mean() if target == "kind" else np.std(said - new.value))
    assert wrong[0] < 1.15 * wrong[1]


def test_what_is_in_one_part_is_learnt_once():
    """One part is all rows but those set aside: the trees are those of XGBoost on these rows."""
    table = table_of(5_000).drop(columns=["kind", "level"])
    found = models.fit_in_parts(source_of(table), recipe("value", early_stopping=False))
    assert found.estimator.get_booster().num_boosted_rounds() == 60
    chance = chance_of(np.arange(len(table)), 0)
    X, y = table[["a", "b", "c"]].to_numpy(np.float32), table["value"].to_numpy(np.float32)
    aside, learnt = chance < 0.1, chance >= 0.2
    bins = xgboost.QuantileDMatrix(X[aside])
    rows = xgboost.QuantileDMatrix(X[learnt], y[learnt], ref=bins)
    terms = XGBoost().of_training(FitSpec(Kind.REGRESSION, found.params))
    wanted = xgboost.train(terms, rows, 60)
    apart = wanted.inplace_predict(X) - found.predict(table)
    assert np.abs(apart).max() < 1e-5


def test_trees_answer_the_rows_of_another_part_exactly():
    """Bins are shared, so thresholds lie between them: what is learnt next is what is lacking."""
    random = np.random.default_rng(0)
    X, y = random.normal(size=(6_000, 3)).astype(np.float32), random.normal(size=6_000)
    bins = xgboost.QuantileDMatrix(X[:500])
    one, other = (
        xgboost.QuantileDMatrix(X[some], y[some], ref=bins)
        for some in (slice(500, 3_000), slice(3_000, None))
    )
    booster = xgboost.train({"max_depth": 5}, one, 20)
    np.testing.assert_array_equal(booster.predict(other), booster.inplace_predict(X[3_000:]))


def test_the_watched_rows_say_when_to_stop(monkeypatch):
    """In whichever part that is, and the best round is the last that is kept."""
    monkeypatch.setattr(parts, "BYTES_AT_ONCE", 250_000)
    table = table_of(3_000).drop(columns=["kind"])
    table["value"] = np.random.default_rng(5).normal(size=len(table))
    found = models.fit_in_parts(source_of(table), recipe("value", n_estimators=500))
    assert found.estimator.get_booster().num_boosted_rounds() < 100


def test_classes_that_a_sample_lacks_are_learnt(monkeypatch):
    """Labels are those of all rows."""
    table = table_of(4_000).drop(columns="value")
    table.loc[chance_of(np.arange(4_000), 0).argsort()[-40:], "kind"] = "rare"
    assert models.fit_in_parts(source_of(table), recipe("kind")).classes == ("rare", "x", "y", "z")


@pytest.mark.parametrize(
    ("family", "params", "can"),
    [
        ("xgboost", {}, True),
        ("xgboost", {"booster": "dart"}, False),
        ("xgboost", {"tree_method": "exact"}, False),
        ("xgboost", {"encoding": "one_hot"}, False),
        ("decision_tree", {}, False),
        ("boosters", {}, False),
    ],
)
def test_who_can_learn_part_by_part(family, params, can):
    """Trees of histograms over a dense matrix."""
    asked = models.Recipe("y", Kind.REGRESSION, family=family, params=params)
    assert models.can_learn(asked, 10**8) is can


def test_too_few_rows_are_refused():
    """In one line."""
    with pytest.raises(InputError, match="too few"):
        models.fit_in_parts(source_of(table_of(3).drop(columns="kind")), recipe("value"))


def test_the_family_of_tables_beyond_memory_learns_in_parts():
    """Terms name it, so that what makes tables needs to know no model."""
    assert models.can_learn(models.Recipe("y", Kind.REGRESSION, IN_PARTS), 10_000)
