"""Averages of the target in place of the codes of many levels."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import TargetEncoder

from baton import models
from baton.encoding import statistics
from baton.encoding.by_target import training_matrix, with_averages
from baton.encoding.native import Encoder
from baton.evaluation.shapley import margin, shap_values
from baton.terms import Kind


def shops(n_rows=900, n_levels=150, seed=0):
    """A number, a shop of many that matters, and what was sold."""
    random = np.random.default_rng(seed)
    shop, size = random.integers(0, n_levels, n_rows), random.normal(size=n_rows)
    sold = random.normal(size=n_levels)[shop] * 2 + size + random.normal(size=n_rows) / 2
    names = pd.Categorical([f"shop {one}" for one in shop])
    return pd.DataFrame({"size": size, "shop": names, "label": sold})


def encoded(table):
    """Encoder that saw the target, and the averages' place in its matrix."""
    X, targets = table.drop(columns="label"), table[["label"]].to_numpy()
    return with_averages(Encoder.fit(X), X, targets), X, targets


def test_averages_are_those_of_scikit_learn():
    """The same smoothed mean for every level that more than one row has."""
    table = shops()
    encoder, X, targets = encoded(table)
    theirs = TargetEncoder(smooth=statistics.SMOOTHING, target_type="continuous")
    theirs.fit(X[["shop"]].astype(str), targets.ravel())
    expected = theirs.transform(X[["shop"]].astype(str)).ravel()
    often = X["shop"].map(X["shop"].value_counts()).to_numpy() > 1
    found = encoder.transform(X)[:, 1]
    np.testing.assert_allclose(found[often], expected[often], rtol=1e-6)
    np.testing.assert_allclose(found[~often], targets.mean(), rtol=1e-6)


def test_no_row_is_told_its_own_target():
    """Changing one row's target changes what the others are given, and never what it is given."""
    table = shops()
    encoder, X, targets = encoded(table)
    changed = targets.copy()
    changed[7] += 1000
    before, after = (training_matrix(encoder, X, one, 0) for one in (targets, changed))
    assert before[7, 1] == after[7, 1]
    assert (before[:, 1] != after[:, 1]).any()


def test_no_row_is_told_the_target_of_its_group():
    """Where every shop is of one group, the others say nothing of it: the training mean is left."""
    table = shops()
    encoder, X, targets = encoded(table)
    groups = X["shop"].astype(str).to_numpy()
    changed = targets + 1000 * (groups == groups[7])[:, None]
    before, after = (training_matrix(encoder, X, one, 0, groups) for one in (targets, changed))
    own = groups == groups[7]
    assert own.sum() > 1
    np.testing.assert_array_equal(before[own, 1], after[own, 1])
    alone = training_matrix(encoder, X, targets, 0, np.zeros(len(X)))
    np.testing.assert_array_equal(alone, training_matrix(encoder, X, targets, 0))


def test_rows_count_by_their_weights():
    """In averages, those of other folds and the prior: one that counts nothing says nothing."""
    table = shops()
    X, targets = table.drop(columns="label"), table[["label"]].to_numpy()
    weights = np.ones(len(X))
    weights[:300] = 0.0
    changed = targets + 1000.0 * (weights == 0)[:, None]
    rows, encoders = slice(300, None), []
    for one in (targets, changed):
        encoder = with_averages(Encoder.fit(X), X, one, weights)
        encoders.append(encoder)
        matrix = training_matrix(encoder, X, one, 0, weights=weights)
        np.testing.assert_array_less(matrix[rows, 1], 500)
    assert encoders[0] == encoders[1]
    assert encoders[0].columns[1].prior == pytest.approx((targets[rows].mean(),))
    assert with_averages(Encoder.fit(X), X, targets, np.ones(len(X))) == encoded(table)[0]


def test_a_level_of_one_row_is_as_good_as_unknown():
    """Its average would be that row's target."""
    table = shops(300)
    encoder, X, targets = encoded(table)
    counts = X["shop"].value_counts()
    assert set(encoder.columns[1].levels) == set(counts.index[counts >= 2])
    rows = pd.DataFrame({"size": [0.0, 0.0], "shop": ["shop never seen", None]})
    np.testing.assert_allclose(encoder.transform(rows)[:, 1], targets.mean(), rtol=1e-6)


def test_few_levels_keep_their_codes():
    """Twenty, or any number that each have many rows."""
    encoder, *_ = encoded(shops(n_levels=20))
    assert encoder.feature_types == ["q", "c"]
    encoder, *_ = encoded(shops(n_rows=4000, n_levels=100))
    assert encoder.feature_types == ["q", "c"]


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "boosters"])
def test_many_levels_of_no_meaning_do_no_harm(name):
    """With names of rows beside it, a number predicts nearly as well as alone."""
    random = np.random.default_rng(3)
    x = random.normal(size=600)
    names = pd.Categorical([f"name {one}" for one in random.integers(0, 400, 600)])
    table = pd.DataFrame({"x": x, "name": names, "label": x + random.normal(size=600)})
    errors = []
    for columns in (["x", "name", "label"], ["x", "label"]):
        recipe = models.Recipe("label", Kind.REGRESSION, name, {"n_jobs": 1})
        model = models.fit(table[:400][columns], recipe)
        held = table[400:]
        errors.append(np.sqrt(((model.predict(held) - held["label"]) ** 2).mean()))
    assert errors[0] < 1.05 * errors[1]


@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_shapley_values_stay_with_the_users_column(n_classes, tmp_path):
    """However many averages a level has; and the averages survive the files."""
    table = shops()
    kind = Kind.CLASSIFICATION if n_classes else Kind.REGRESSION
    if n_classes:
        table["label"] = pd.qcut(table["label"], n_classes, labels=list("abc")[:n_classes])
        table["label"] = table["label"].astype(object)
    recipe = models.Recipe("label", kind, "boosters", {"n_estimators": 30, "n_jobs": 1})
    model = models.fit(table, recipe)
    model.save(tmp_path)
    rows = table[:20]
    assert models.load(tmp_path).encoder == model.encoder
    found = shap_values(models.load(tmp_path), rows)
    assert found.features == ("size", "shop")
    sums = found.values.sum(axis=1) + found.base_values
    np.testing.assert_allclose(sums, margin(model, rows), atol=1e-4)
    assert np.abs(found.values[:, 1]).mean() > 0.01
