"""Shapley values from tables, beside those of the engines' own exact methods."""

import subprocess
import sys
from functools import partial

import lightgbm
import numpy as np
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from baton.evaluation import shapley
from baton.evaluation.shapley import boosters, quickened
from baton.kernels import cells, patterns
from baton.kernels.trees import of_lightgbm, of_xgboost
from baton.models.boosters import MeanMarginClassifier
from baton.settings import settings as baton_settings
from tests.unit.shapes import SHAPES

pytestmark = pytest.mark.usefixtures("fast_paths")

N_THREADS = 2


def rows_of(random, n_rows, n_features, coarse, missing):
    """Rows with ties, also on thresholds, and missing values."""
    X = random.normal(size=(n_rows, n_features))
    X = np.round(X, 1) if coarse else X
    X[random.random(X.shape) < missing] = np.nan
    return X


def labels_of(random, X, n_classes):
    """Classes that depend on the columns."""
    said = np.nan_to_num(X) @ random.normal(size=(X.shape[1], n_classes))
    return (said + random.normal(size=said.shape)).argmax(axis=1)


def xgboost_of(X, y, **how):
    """Booster and its own Shapley values of rows."""
    model = xgboost.XGBClassifier(n_jobs=N_THREADS, **how).fit(X, y)
    return model, partial(boosters.xgboost_values, model, feature_types=None)


def lightgbm_of(X, y, **how):
    """Booster and its own Shapley values of rows."""
    model = lightgbm.LGBMClassifier(n_jobs=N_THREADS, verbose=-1, **how).fit(X, y)
    return model, partial(boosters.lightgbm_values, model)


@pytest.mark.parametrize(
    ("fitted", "trees_of", "leaves"),
    [(xgboost_of, of_xgboost, {}), (lightgbm_of, of_lightgbm, {"num_leaves": 24})],
)
@settings(max_examples=12, deadline=None)
@given(shape=SHAPES)
def test_tables_say_what_the_engine_says(fitted, trees_of, leaves, shape):
    """Of any depth, number of classes, missing values, and values that stand on thresholds."""
    compare(patterns.tables_of, fitted, trees_of, leaves, shape)


@pytest.mark.parametrize(
    ("fitted", "trees_of", "leaves"),
    [(xgboost_of, of_xgboost, {}), (lightgbm_of, of_lightgbm, {"num_leaves": 24})],
)
@settings(max_examples=12, deadline=None)
@given(shape=SHAPES, n_features=st.integers(1, 3))
def test_cells_of_few_columns_say_what_the_engine_says(fitted, trees_of, leaves, shape, n_features):
    """Of one, two and three columns."""
    compare(cells.cells_of, fitted, trees_of, leaves, shape | {"n_features": n_features})


def compare(made_of, fitted, trees_of, leaves, shape):
    """Compare tables of a random model with its engine, on rows that it knows and on others."""
    random = np.random.default_rng(shape["seed"])
    X = rows_of(random, 300, shape["n_features"], shape["coarse"], shape["missing"])
    y = labels_of(random, X, shape["n_classes"])
    y[: shape["n_classes"]] = range(shape["n_classes"])
    depth = {"max_depth": shape["depth"]}
    model, engine = fitted(X, y, n_estimators=6, **depth, **leaves)
    booster = model.get_booster() if trees_of is of_xgboost else model.booster_
    tables = made_of(trees_of(booster))
    asked = np.concatenate([X, rows_of(random, 300, X.shape[1], True, 0.5)])
    wanted, _ = engine(asked)
    assert np.abs(tables.explain(asked, N_THREADS) - wanted).max() < 1e-4


def test_float32_and_float64_are_compared_as_the_engine_does():
    """A value that is on either side of a threshold by its last bits."""
    random = np.random.default_rng(5)
    X = random.normal(size=(400, 2))
    y = labels_of(random, X, 2)
    for fitted, trees_of in ((xgboost_of, of_xgboost), (lightgbm_of, of_lightgbm)):
        model, engine = fitted(X, y, n_estimators=10)
        found = trees_of(model.get_booster() if fitted is xgboost_of else model.booster_)
        at = np.resize(np.concatenate(found.thresholds).astype(np.float64), (400, 2))
        for asked in (at, np.nextafter(at, np.inf), np.nextafter(at, -np.inf), at * (1 + 1e-8)):
            for tables in (patterns.tables_of(found), cells.cells_of(found)):
                assert np.abs(tables.explain(asked, 1) - engine(asked)[0]).max() < 1e-4


@pytest.fixture(scope="module")
def narrow():
    """A model of three columns, and rows of which explaining takes the engine a while."""
    random = np.random.default_rng(3)
    X = rows_of(random, 3000, 3, False, 0.05)
    return X, xgboost_of(X, labels_of(random, X, 3), n_estimators=30, max_depth=6)


def test_rows_of_few_columns_are_explained_by_cells(narrow, always, counted):
    """They are the engine's values, and patterns are not asked."""
    X, (model, engine) = narrow
    found = shapley.shap_values(model, X)
    assert not counted
    assert np.abs(found.values - engine(X)[0]).max() < 1e-4
    assert np.any(found.values != engine(X)[0])


def test_cells_that_would_be_too_many_are_left_to_patterns(narrow, always, counted, monkeypatch):
    """So are those of four columns."""
    X, (model, _) = narrow
    monkeypatch.setattr("baton.kernels.trees.MOST_CELLS", 1000)
    shapley.shap_values(model, X)
    assert sum(counted) >= len(X)
    wide = np.column_stack([X, X[:, 0]])
    trees = of_xgboost(xgboost_of(wide, np.arange(len(X)) % 2, n_estimators=2)[0].get_booster())
    assert cells.cells_of(trees) is None


def test_a_row_in_cells_is_as_good_alone_as_among_all(narrow):
    """To the last bit, however rows are dealt out to threads."""
    X, (model, _) = narrow
    tables = cells.cells_of(of_xgboost(model.get_booster()))
    whole = tables.explain(X, N_THREADS)
    assert np.array_equal(tables.explain(X[700:701], 1), whole[700:701])
    assert tables.explain(X[:0], 1).shape == (0, 3, 3)


@pytest.fixture(scope="module")
def large():
    """A model and rows of which explaining takes the engine a while."""
    random = np.random.default_rng(2)
    X = rows_of(random, 3000, 6, False, 0.05).astype(np.float32)
    y = labels_of(random, X, 3)
    both = (
        xgboost_of(X, y, n_estimators=60, max_depth=6)[0],
        lightgbm_of(X, y, n_estimators=60, num_leaves=31)[0],
    )
    return X, both


@pytest.fixture
def always(monkeypatch):
    """Tables also where they would not pay."""
    monkeypatch.setattr(quickened, "pays", lambda trees, n_rows: True)


@pytest.fixture
def counted(monkeypatch):
    """How many rows tables explained."""
    seen = []
    explain = patterns.Tables.explain

    def noting(self, X, n_threads):
        seen.append(len(X))
        return explain(self, X, n_threads)

    monkeypatch.setattr(patterns.Tables, "explain", noting)
    return seen


def test_many_rows_are_explained_by_tables(large, always, counted, monkeypatch):
    """Of XGBoost, LightGBM and the mean of both; they add up; BATON_FAST=0 asks the engines."""
    X, (xgb, lgb) = large
    for model in (xgb, lgb, MeanMarginClassifier((xgb, lgb))):
        counted.clear()
        found = shapley.shap_values(model, X)
        assert sum(counted) >= len(X)
        whole = found.values.sum(axis=1) + found.base_values
        assert np.abs(whole - shapley.margin(model, X)).max() < 1e-4
        monkeypatch.setenv("BATON_FAST", "0")
        baton_settings.cache_clear()
        counted.clear()
        slow = shapley.shap_values(model, X)
        assert not counted
        assert np.abs(slow.values - found.values).max() < 1e-4
        assert np.array_equal(slow.base_values, found.base_values)
        monkeypatch.delenv("BATON_FAST")
        baton_settings.cache_clear()


def test_few_rows_are_the_engines(large, counted):
    """Tables would take longer to make."""
    X, (xgb, _) = large
    shapley.shap_values(xgb, X[:600])
    assert not counted


def test_a_row_is_as_good_alone_as_among_all(large, always, counted):
    """To the last bit, however rows are dealt out to threads."""
    X, (xgb, _) = large
    tables = patterns.tables_of(of_xgboost(xgb.get_booster()))
    whole = tables.explain(X, N_THREADS)
    assert np.array_equal(tables.explain(X[700:701], 1), whole[700:701])
    assert tables.explain(X[:0], 1).shape == (0, 6, 3)


def test_best_iteration_is_explained(large):
    """Trees after it are none of the model's."""
    X, _ = large
    y = labels_of(np.random.default_rng(0), X, 2)
    stopped = xgboost.XGBClassifier(n_estimators=60, early_stopping_rounds=2, learning_rate=1.0)
    stopped.fit(X[:600], y[:600], eval_set=[(X[600:900], y[600:900])], verbose=False)
    booster = stopped.get_booster()
    assert booster.best_iteration + 1 < booster.num_boosted_rounds()
    wanted, _ = boosters.xgboost_values(stopped, X, feature_types=None)
    found = patterns.tables_of(of_xgboost(booster)).explain(X, 1)
    assert np.abs(found - wanted).max() < 1e-4


def unlike_the_others(random):
    """Models with conditions of another kind, and rows of theirs."""
    X = random.normal(size=(600, 4))
    X[:, 0] = random.integers(0, 6, 600)
    y = labels_of(random, X, 2)
    categories = {"feature_types": ["c", "q", "q", "q"], "enable_categorical": True}
    yield xgboost.XGBClassifier(n_estimators=5, **categories).fit(X, y), X
    yield xgboost.XGBClassifier(n_estimators=5, booster="dart", rate_drop=0.5).fit(X, y), X
    yield xgboost.XGBClassifier(n_estimators=5, missing=-1.0).fit(X, y), X
    with_inf = X.copy()
    with_inf[0, 1] = np.inf
    categorical = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1)
    yield categorical.fit(X, np.isin(X[:, 0], [1, 3, 4]), categorical_feature=[0]), X
    yield lightgbm.LGBMClassifier(n_estimators=5, verbose=-1, zero_as_missing=True).fit(X, y), X
    yield lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(X, y), with_inf
    wide = random.normal(size=(600, 40))
    deep = lightgbm.LGBMClassifier(n_estimators=3, num_leaves=64, verbose=-1, min_child_samples=1)
    yield deep.set_params(max_depth=-1, extra_trees=True).fit(wide, np.arange(600) % 2), wide


def test_what_tables_do_not_know_is_explained_by_its_engine(always, counted, subtests):
    """Categories, dropped trees, other missing values, infinity, long ways."""
    for place, (model, X) in enumerate(unlike_the_others(np.random.default_rng(1))):
        counted.clear()
        with subtests.test(place=place):
            found = shapley.shap_values(model, X)
            whole = found.values.sum(axis=1) + found.base_values
            assert np.abs(whole - shapley.margin(model, X)).max() < 1e-3
            assert not counted
    assert place == 6


FORKED = """
import multiprocessing
import numpy as np
import xgboost
from baton.kernels import cells, patterns
from baton.kernels.trees import of_xgboost

X = np.random.default_rng(0).normal(size=(3000, 3))
booster = xgboost.train({"max_depth": 4}, xgboost.DMatrix(X, X.sum(axis=1)), 5)
both = [make(of_xgboost(booster)) for make in (patterns.tables_of, cells.cells_of)]
wanted = [tables.explain(X, 2) for tables in both]

def child():
    for tables, before in zip(both, wanted):
        assert np.array_equal(tables.explain(X, 2), before)

process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join(60)
assert process.exitcode == 0, process.exitcode
"""


def test_a_forked_process_may_go_on():
    """Its parent has used the loops and their threads."""
    done = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
