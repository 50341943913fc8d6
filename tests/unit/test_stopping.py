"""When to stop adding trees, where rows hang together."""

import numpy as np
import pandas as pd
import pytest

from baton import models
from baton.bonds import Bonds
from baton.models import stopping
from baton.terms import GROUP, TIME, Kind


def customers(n_groups, size, kind):
    """Rows of customers whose columns tell them apart and say nothing of others."""
    rng = np.random.default_rng(0)
    columns = np.repeat(rng.normal(size=(n_groups, 4)), size, axis=0)
    noise = rng.normal(0, 0.01, columns.shape)
    target = np.repeat(rng.normal(size=n_groups), size)
    y = target if kind is Kind.REGRESSION else (target > 0).astype(int)
    table = pd.DataFrame(columns + noise, columns=list("abcd")).assign(y=y)
    return table, np.repeat(np.arange(n_groups), size)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("n_groups", [60, pytest.param(300, marks=pytest.mark.long)])
@pytest.mark.parametrize("family", ["xgboost", "lightgbm"])
def test_boosters_do_not_learn_customers_by_heart(family, kind, n_groups):
    """A random part of known customers never says stop; other customers do, few rows or many."""
    table, groups = customers(n_groups, 10, kind)
    recipe = models.Recipe("y", kind, family=family)
    alone = models.fit(table, recipe)
    together = models.fit(table.assign(**{GROUP: groups}), recipe)
    assert _n_trees(alone) > 100
    assert _n_trees(together) < 20
    assert together.encoder.column_names == alone.encoder.column_names


def test_xgboost_watches_later_rows():
    """What held in the first half is wrong in the second: rows before say stop at once."""
    rng = np.random.default_rng(0)
    n = 3000
    x, time = rng.normal(size=n), rng.permutation(n)
    y = np.where(time < 0.85 * n, x, -x) + rng.normal(0, 0.1, n)
    table = pd.DataFrame({"x": x, "y": y})
    recipe = models.Recipe("y", Kind.REGRESSION, family="xgboost")
    assert _n_trees(models.fit(table, recipe)) > 20
    assert _n_trees(models.fit(table.assign(**{TIME: time}), recipe)) == 1


def _n_trees(model):
    if model.family == "lightgbm":
        return model.estimator.booster_.current_iteration()
    return model.estimator.get_booster().num_boosted_rounds()


@pytest.mark.parametrize(
    "bonds",
    [
        Bonds(groups=np.arange(60) // 20),
        Bonds(times=np.arange(60)),
        Bonds(np.arange(60) // 5, np.arange(60)),
        Bonds(groups=np.zeros(60)),
        Bonds(times=np.zeros(60)),
    ],
)
def test_every_class_is_among_the_fitted(bonds):
    """Also where a class is of one group or of the latest rows; something is watched always."""
    y = np.arange(60) // 20
    spec = models.FitSpec(Kind.CLASSIFICATION, n_classes=3, bonds=bonds)
    fitted, watched = stopping.parted(y, spec)
    assert set(y[fitted]) == {0, 1, 2}
    assert len(watched) and not set(fitted) & set(watched)
    for learned, held in stopping.folds(y, spec):
        assert len(learned) and len(held) and not set(learned) & set(held)


def test_a_given_objective_is_kept():
    """The loss that a user names is the one that is fitted, and the one that says stop."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.random(200), "y": rng.integers(0, 2, 200)})
    for kind, objective in [
        (Kind.CLASSIFICATION, "binary:hinge"),
        (Kind.REGRESSION, "reg:absoluteerror"),
    ]:
        params = {"objective": objective, "n_estimators": 5}
        found = models.fit(table, models.Recipe("y", kind, family="xgboost", params=params))
        spec = models.FitSpec(kind, params, n_classes=2 if kind is Kind.CLASSIFICATION else 0)
        assert models.family("xgboost").of_training(spec)["objective"] == objective
        assert f'"name":"{objective}"' in found.estimator.get_booster().save_config()
