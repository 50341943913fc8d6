"""The published figures of the taxi durations, through Baton's own models and metrics."""

import pytest

from baton import models, problems
from baton.evaluation import metrics
from baton.terms import ROW, Kind

XGBOOST = {
    "encoding": "one_hot",
    "n_estimators": 100,
    "learning_rate": 0.09585,
    "max_depth": 30,
    "min_child_weight": 1.0606,
    "reg_alpha": 0.01806,
    "reg_lambda": 0.01166,
    # The published fit watched the month that it was then scored on; here every round is fitted.
    "early_stopping": False,
    "grow_policy": "lossguide",  # the same trees, in less time
    "n_jobs": 2,
}


def _months(shared, **values):
    """Goal, rows to learn from and rows held out, as the problem makes and splits them."""
    problem = problems.get("taxi")
    source = str(shared("taxi_green"))
    values |= {"train": "2021-01", "test": "2021-02", "source": source}
    params = problems.parse(problem, values)
    raw = problem.load(params)
    table = problem.features(raw, params)
    split = problem.split(table, raw, params)
    sides = tuple(table[split == side].drop(columns=ROW) for side in ("train", "test"))
    return problem.goal(raw, params), sides


@pytest.fixture(scope="module")
def months(shared):
    """Both sides of the features that were published."""
    return _months(shared, features="pair")[1]


@pytest.fixture(scope="module")
def months_of_all(shared):
    """Goal, and both sides of all features."""
    return _months(shared)


def rmse(months, name, params, seed=0):
    """Error on the second month of a model of the first, in minutes."""
    train, held = months
    model = models.fit(
        train, models.Recipe("duration_min", Kind.REGRESSION, family=name, params=params, seed=seed)
    )
    return metrics.regression(held["duration_min"], model.predict(held))["rmse"]


def test_rows(months):
    """As many trips are kept as published."""
    assert [len(one) for one in months] == [73_908, 61_921]


def test_linear_regression(months):
    """The published error to nine digits: 13,221 columns, solved without densifying them."""
    found = rmse(months, "linear_regression", {})
    assert found == pytest.approx(7.758715210, abs=1e-6)


def test_lasso(months):
    """The published error to nine digits."""
    found = rmse(months, "lasso", {"alpha": 0.01, "standardize": False})
    assert found == pytest.approx(11.167275941, abs=1e-6)


def test_the_problems_own_model(months_of_all):
    """The figure of the README: 5.59 minutes, its places as codes."""
    goal, months = months_of_all
    found = rmse(months, goal.model, goal.model_params)
    assert found == pytest.approx(5.595, abs=0.02)


@pytest.mark.long  # a thousand trees at most, twice
def test_two_boosters(months_of_all):
    """The default model of a table: 258 places are codes still, as the rarest hold few rows."""
    _, months = months_of_all
    assert rmse(months, "boosters", {}) < 5.55


@pytest.mark.long
@pytest.mark.timeout(900)  # histograms of 13,221 columns, in trees of depth 30
def test_xgboost(months):
    """The reproduced error, without a look at the month that is scored."""
    found = rmse(months, "xgboost", XGBOOST, seed=42)
    assert found == pytest.approx(6.4798, abs=0.02)
