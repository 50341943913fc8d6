"""Answers of shuffled columns by bit vectors, beside the engines' own."""

import lightgbm
import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from baton.kernels import bitvectors
from baton.kernels.trees import of_lightgbm, of_xgboost
from tests.unit.shapes import SHAPES

N_THREADS = 2

ONE = {
    "seed": 1,
    "n_features": 5,
    "n_classes": 3,
    "depth": 4,
    "coarse": False,
    "missing": 0.1,
}


def rows_of(random, n_rows, shape):
    """Rows with ties, also on thresholds, and missing values."""
    X = random.normal(size=(n_rows, shape["n_features"]))
    X = np.round(X, 1) if shape["coarse"] else X
    X[random.random(X.shape) < shape["missing"]] = np.nan
    return X


def of_shape(shape, fitted):
    """Bit vectors of a random model, what its engine answers, and rows."""
    random = np.random.default_rng(shape["seed"])
    X = rows_of(random, 300, shape)
    said = np.nan_to_num(X) @ random.normal(size=(X.shape[1], shape["n_classes"]))
    y = (said + random.normal(size=said.shape)).argmax(axis=1)
    y[: shape["n_classes"]] = range(shape["n_classes"])
    trees, engine = fitted(X, y, max_depth=shape["depth"])
    return bitvectors.bitvectors_of(trees), engine, rows_of(random, 700, shape), random


def xgboost_of(X, y, n_estimators=6, **how):
    """Trees of a booster, and its raw outputs."""
    model = xgboost.XGBClassifier(n_jobs=1, n_estimators=n_estimators, **how).fit(X, y)
    return of_xgboost(model.get_booster()), lambda X: columns(model.predict(X, output_margin=True))


def lightgbm_of(X, y, n_estimators=6, num_leaves=40, **how):
    """Trees of a booster, and its raw outputs."""
    how |= {"n_estimators": n_estimators, "num_leaves": num_leaves}
    model = lightgbm.LGBMClassifier(n_jobs=1, verbose=-1, **how).fit(X, y)
    return of_lightgbm(model.booster_), lambda X: columns(model.predict(X, raw_score=True))


def columns(margins):
    """Of one output or several."""
    return np.asarray(margins, dtype=np.float64).reshape(len(margins), -1)


@pytest.mark.parametrize("fitted", [xgboost_of, lightgbm_of])
@settings(max_examples=15, deadline=None)
@given(shape=SHAPES)
def test_sums_of_leaves_are_the_engines(fitted, shape):
    """But for what an engine adds to every row: of any depth, classes, ties, missing values."""
    found, engine, X, _ = of_shape(shape, fitted)
    apart = engine(X) - found.margins(X, N_THREADS)
    assert np.ptp(apart, axis=0).max() < 1e-5


@pytest.mark.parametrize("fitted", [xgboost_of, lightgbm_of])
@settings(max_examples=15, deadline=None)
@given(shape=SHAPES, n_orders=st.integers(1, 3), together=st.booleans())
def test_shuffled_columns_change_the_sums_as_they_change_the_engines(
    fitted, shape, n_orders, together
):
    """Of each column by itself, and of several that are shuffled together."""
    found, engine, X, random = of_shape(shape, fitted)
    orders = [random.permutation(len(X)) for _ in range(n_orders)]
    n_columns = X.shape[1]
    half = -(-n_columns // 2)
    alone = [np.array([place]) for place in range(n_columns)]
    groups = [np.arange(half), np.arange(half, n_columns)] if together else alone
    before = engine(X)
    changes = list(found.shuffled(X, groups, orders, N_THREADS))
    assert len(changes) == len(groups)
    for group, of_group in zip(groups, changes, strict=True):
        for order, change in zip(orders, of_group, strict=True):
            moved = X.copy()
            moved[:, group] = X[order][:, group]
            np.testing.assert_allclose(change, engine(moved) - before, atol=1e-5)


@pytest.mark.parametrize("fitted", [xgboost_of, lightgbm_of])
def test_last_bits_of_values_are_compared_as_the_engine_does(fitted):
    """A value on a threshold, and on either side of it by its last bits."""
    shape = {"n_features": 2, "coarse": False, "missing": 0.0}
    random = np.random.default_rng(5)
    X = rows_of(random, 400, shape)
    trees, engine = fitted(X, (X.sum(axis=1) > 0).astype(int))
    found = bitvectors.bitvectors_of(trees)
    at = np.resize(np.concatenate(trees.thresholds).astype(np.float64), (400, 2))
    for asked in (at, np.nextafter(at, np.inf), np.nextafter(at, -np.inf), at * (1 + 1e-8)):
        assert np.ptp(engine(asked) - found.margins(asked, 1)) < 1e-5


def test_few_answers_are_held_at_a_time(monkeypatch):
    """Groups that come one after the other say what they say together."""
    found, _, X, random = of_shape(ONE, xgboost_of)
    groups = [np.array([place]) for place in range(5)]
    asked = (X, groups, [random.permutation(len(X))], 1)
    whole = list(found.shuffled(*asked))
    monkeypatch.setattr(bitvectors, "_MOST_NUMBERS", 2 * len(X) * 3)
    np.testing.assert_array_equal(list(found.shuffled(*asked)), whole)


def test_more_leaves_than_bits_are_left_to_the_engine():
    """Of 64 leaves a tree has a bit for each; of 65 it has not."""
    random = np.random.default_rng(2)
    X = random.normal(size=(4000, 3))
    y = (np.sin(3 * X).sum(axis=1) > 0).astype(int)
    for n_leaves in (64, 65):
        trees, engine = lightgbm_of(X, y, 2, n_leaves, min_child_samples=1)
        assert max(int((tree.left < 0).sum()) for tree in trees.trees) == n_leaves
        found = bitvectors.bitvectors_of(trees)
        if n_leaves == 64:
            assert np.ptp(engine(X) - found.margins(X, 1)) < 1e-5
        else:
            assert found is None


def test_tables_that_would_be_too_large_are_not_made(monkeypatch):
    """Their size is known before they are made."""
    assert of_shape(ONE, xgboost_of)[0] is not None
    monkeypatch.setattr(bitvectors, "_MOST_WORDS", 100)
    assert of_shape(ONE, xgboost_of)[0] is None
