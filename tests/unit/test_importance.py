"""Permutation importance."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance as theirs
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

from baton import models
from baton.errors import InputError
from baton.evaluation import reshuffled
from baton.evaluation.importance import SCORERS, permutation_importance
from baton.metric import INFO, Metric
from baton.settings import settings
from baton.terms import Kind

pytestmark = pytest.mark.usefixtures("fast_paths")


@pytest.fixture(scope="module")
def diabetes():
    data = load_diabetes()
    parts = train_test_split(data.data, data.target, random_state=0)
    return data.feature_names, Ridge(alpha=1e-2).fit(parts[0], parts[2]), parts[1], parts[3]


def test_the_published_numbers_of_diabetes(diabetes):
    """scikit-learn's documented example holds to three decimals."""
    names, model, X, y = diabetes
    found = permutation_importance(model, X, y, "r2", n_repeats=30, seed=0)
    assert found.score == pytest.approx(0.356, abs=1e-3)  # published without rounding: .3567
    published = {
        "s5": (0.204, 0.050),
        "bmi": (0.176, 0.048),
        "bp": (0.088, 0.033),
        "sex": (0.056, 0.023),
    }
    for name, (mean, std) in published.items():
        place = names.index(name)
        assert found.mean[place] == pytest.approx(mean, abs=5e-4)
        assert found.std[place] == pytest.approx(std, abs=5e-4)


@pytest.mark.parametrize("metric", [name for name in Metric if INFO[name].kind is Kind.REGRESSION])
def test_regression_equals_scikit_learn(diabetes, metric):
    """The same seed gives scikit-learn's very numbers, for every metric of Baton."""
    _, model, X, y = diabetes
    found = permutation_importance(model, X, y, metric, n_repeats=4, seed=7)
    expected = theirs(model, X, y, scoring=SCORERS[metric], n_repeats=4, random_state=7)
    np.testing.assert_array_equal(found.raw, expected.importances)
    np.testing.assert_array_equal(found.mean, expected.importances_mean)
    np.testing.assert_array_equal(found.std, expected.importances_std)


@pytest.mark.parametrize(
    "metric", [name for name in Metric if INFO[name].kind is Kind.CLASSIFICATION]
)
def test_classes_of_a_frame_equal_scikit_learn(metric):
    """A DataFrame and a forest of three classes give scikit-learn's very numbers."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    model = RandomForestClassifier(10, random_state=0).fit(X, y)
    found = permutation_importance(model, X, y, metric, n_repeats=3, seed=1)
    expected = theirs(model, X, y, scoring=SCORERS[metric], n_repeats=3, random_state=1)
    np.testing.assert_array_equal(found.raw, expected.importances)
    assert found.features == tuple(X.columns)


def test_xgboost_equals_scikit_learn_and_unused_columns_cost_nothing():
    """A column without a split has importance 0 without a prediction; the rest are as always."""
    X, y = load_iris(return_X_y=True)
    X = np.column_stack([X, np.zeros(len(X))])
    model = XGBClassifier(n_estimators=5, n_jobs=1).fit(X, y)
    seen = []
    found = permutation_importance(
        model, X, y, "log_loss", n_repeats=2, progress=lambda *at: seen.append(at)
    )
    expected = theirs(model, X, y, scoring="neg_log_loss", n_repeats=2, random_state=0)
    np.testing.assert_array_equal(found.raw, expected.importances)
    assert found.raw[-1].tolist() == [0.0, 0.0]
    assert seen[-1] == (10, 10) and (9, 10) not in seen


def test_a_scorer_or_its_name_is_taken_too(diabetes):
    """Any scikit-learn scorer does for a plain estimator."""
    _, model, X, y = diabetes
    named = permutation_importance(model, X, y, "neg_max_error", 2, 3)
    from sklearn.metrics import get_scorer

    called = permutation_importance(model, X, y, get_scorer("neg_max_error"), 2, 3)
    np.testing.assert_array_equal(named.raw, called.raw)


def test_a_pipeline_is_explained_in_the_users_columns():
    """Columns of strings are shuffled as they are and keep their type."""
    X = pd.DataFrame({"a": list("xyz") * 20, "b": pd.Categorical(list("pq") * 30)})
    y = (X["a"] == "x").astype(int)
    model = make_pipeline(OneHotEncoder(), LogisticRegression()).fit(X, y)
    found = permutation_importance(model, X, y, "accuracy", 3)
    expected = theirs(model, X, y, scoring="accuracy", n_repeats=3, random_state=0)
    np.testing.assert_array_equal(found.raw, expected.importances)


@pytest.fixture(scope="module")
def mixed():
    """A table with a number, a category, a date of several parts, and a model of it."""
    random = np.random.default_rng(0)
    n = 600
    table = pd.DataFrame(
        {
            "noise": random.normal(size=n),
            "colour": pd.Categorical(random.choice(["red", "green", "blue"], n)),
            "when": pd.Timestamp("2021-01-01") + pd.to_timedelta(random.integers(0, 9999, n), "h"),
        }
    )
    is_late = table["when"].dt.hour > 12
    table["label"] = np.where(table["colour"] == "red", "r", np.where(is_late, "late", "early"))
    return table, models.fit(
        table, models.Recipe("label", Kind.CLASSIFICATION, params={"n_estimators": 20, "n_jobs": 1})
    )


def test_a_fitted_model_is_explained_in_the_users_columns(mixed):
    """A date's parts are shuffled together: the numbers equal shuffling the user's columns."""
    table, model = mixed

    class Facade:
        classes_ = np.asarray(model.classes)

        def fit(self):
            """Look like an estimator."""

        def predict(self, X):
            return model.predict(X)

    found = permutation_importance(model, table, table["label"], "accuracy", 3, 5)
    expected = theirs(
        Facade(),
        table.drop(columns="label"),
        table["label"],
        n_repeats=3,
        random_state=5,
        scoring=lambda estimator, X, y: float((estimator.predict(X) == y).mean()),
    )
    np.testing.assert_allclose(found.raw, expected.importances, atol=1e-12)
    assert found.frame()["feature"].tolist()[-1] == "noise"
    assert found.features == ("noise", "colour", "when")


def test_a_sparse_model_equals_a_pipeline_of_scikit_learn(mixed):
    """The numbers are those of the pipeline that a user would write, for the same seed."""
    table = mixed[0].drop(columns="when")
    X, y = table.drop(columns="label"), table["label"]
    pipeline = make_pipeline(
        ColumnTransformer([("n", StandardScaler(), ["noise"]), ("c", OneHotEncoder(), ["colour"])]),
        LogisticRegression(max_iter=1000),
    ).fit(X, y)
    model = models.fit(
        table, models.Recipe("label", Kind.CLASSIFICATION, family="logistic_regression")
    )
    found = permutation_importance(model, X, y, "log_loss", 3, 5)
    expected = theirs(pipeline, X, y, scoring="neg_log_loss", n_repeats=3, random_state=5)
    np.testing.assert_allclose(found.raw, expected.importances, atol=1e-6)
    assert found.features == ("noise", "colour")


def test_rows_of_a_class_never_seen_are_left_out(mixed):
    """A new label among the held-out rows does not stop the explanation."""
    table, model = mixed
    changed = table.assign(label=table["label"].where(table.index > 4, "new"))
    found = permutation_importance(model, changed, changed["label"], "log_loss", 2)
    kept = permutation_importance(model, table[5:], table["label"][5:], "log_loss", 2)
    np.testing.assert_array_equal(found.raw, kept.raw)


def test_what_cannot_be_measured_is_said_in_one_line(mixed, diabetes):
    """No rows, an undefined metric, a wrong kind and a misspelt name are errors with a fix."""
    table, model = mixed
    one = table[table["label"] == "r"]
    with pytest.raises(InputError, match="no rows"):
        permutation_importance(model, table[:0], table["label"][:0], "accuracy")
    with pytest.raises(InputError, match="'roc_auc' is not defined on these"):
        permutation_importance(model, one, one["label"], "roc_auc")
    with pytest.raises(InputError, match="does not go with a classification"):
        permutation_importance(model, table, table["label"], "rmse")
    with pytest.raises(InputError, match="unknown metric 'acuracy'"):
        permutation_importance(diabetes[1], diabetes[2], diabetes[3], "acuracy")


def test_the_rows_are_left_as_they_were(mixed, diabetes):
    """Neither a table nor an array is written into."""
    table, model = mixed
    before, array = table.copy(), diabetes[2].copy()
    permutation_importance(model, table, table["label"], "accuracy", 1)
    permutation_importance(diabetes[1], diabetes[2], diabetes[3], "r2", 1)
    pd.testing.assert_frame_equal(table, before)
    np.testing.assert_array_equal(array, diabetes[2])


@pytest.fixture(scope="module")
def of_boosters():
    """Many rows of dates, numbers and missing values, and what each booster learnt of them."""
    random = np.random.default_rng(4)
    n = 1200
    table = pd.DataFrame(random.normal(size=(n, 3)), columns=list("abc"))
    table["when"] = pd.Timestamp("2021-01-01") + pd.to_timedelta(random.integers(0, 9999, n), "h")
    table["noise"] = random.normal(size=n)
    signal = table["a"] + table["b"] * (table["when"].dt.hour > 12)
    table = table.mask(random.random(table.shape) < 0.1)
    labels = {
        2: np.where(signal > 0, "yes", "no"),
        3: np.select([signal > 1, signal < -1], ["high", "low"], "middle"),
        0: signal + random.normal(0, 0.3, n),
    }

    def learnt(family, n_classes):
        kind = Kind.CLASSIFICATION if n_classes else Kind.REGRESSION
        params = {"n_estimators": 12, "early_stopping": False, "n_jobs": 1}
        recipe = models.Recipe("label", kind, family=family, params=params)
        return models.fit(table.assign(label=labels[n_classes]), recipe), table, labels[n_classes]

    return learnt


@pytest.mark.parametrize("family", ["xgboost", "lightgbm", "boosters"])
@pytest.mark.parametrize(("n_classes", "metric"), [(2, "log_loss"), (3, "log_loss"), (0, "rmse")])
def test_bit_vectors_find_what_the_engine_finds(
    of_boosters, monkeypatch, family, n_classes, metric
):
    """Also with BATON_FAST=0, which asks the engine: the same to rounding."""
    model, table, y = of_boosters(family, n_classes)
    asked = []
    monkeypatch.setattr(reshuffled, "_FEWEST", 0)
    monkeypatch.setattr(
        reshuffled.Reshuffled, "outputs", told(asked, reshuffled.Reshuffled.outputs)
    )
    found = permutation_importance(model, table, y, metric, 3, 5)
    assert len(asked) == 1
    monkeypatch.setenv("BATON_FAST", "0")
    settings.cache_clear()
    slow = permutation_importance(model, table, y, metric, 3, 5)
    monkeypatch.undo()
    settings.cache_clear()
    assert len(asked) == 1
    np.testing.assert_allclose(found.raw, slow.raw, atol=2e-6)
    assert found.score == pytest.approx(slow.score, abs=2e-6)


def told(asked, work):
    """The same work, whose calls are counted."""

    def done(*args):
        asked.append(args)
        return work(*args)

    return done


@pytest.mark.parametrize(
    ("family", "params"),
    [
        ("xgboost", {"max_depth": 9, "max_leaves": 200, "min_child_weight": 0.0}),
        ("linear_regression", {}),
        ("xgboost", {"objective": "count:poisson"}),
    ],
)
def test_what_bit_vectors_do_not_know_is_left_to_the_engine(monkeypatch, family, params):
    """Trees of many leaves, no trees, and answers that are no sum of leaves."""
    monkeypatch.setattr(reshuffled, "_FEWEST", 0)
    random = np.random.default_rng(6)
    table = pd.DataFrame(random.normal(size=(1500, 3)), columns=list("abc"))
    y = np.round(np.exp(table["a"] + np.sin(3 * table["b"])))
    some = {"n_estimators": 5, "early_stopping": False, "n_jobs": 1} if "x" in family else {}
    recipe = models.Recipe("y", Kind.REGRESSION, family=family, params=some | params)
    model = models.fit(table.assign(y=y), recipe)
    assert reshuffled.reshuffled(model, model.matrix(table), 10) is None
    permutation_importance(model, table, y, "rmse", 2)
