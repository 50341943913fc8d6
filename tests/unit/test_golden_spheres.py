"""The published figures of the spheres, through Baton's own problem, split, models and metrics."""

import pytest
from threadpoolctl import threadpool_limits

from baton import models, problems
from baton.evaluation import metrics, validation
from baton.terms import ROW

TOLERANCE = 0.005
PUBLISHED = {
    "decision_tree": (0.9130, 0.8695, 0.8678),
    "random_forest": (0.9423, 0.9135, 0.9047),
    "hist_gradient_boosting": (0.9397, 0.9095, 0.8942),
}


@pytest.fixture(scope="module")
def spheres():
    problem = problems.get("spheres")
    params = problems.parse(problem, {"features": "cartesian", "modes": 3, "dims": 3})
    raw = problem.load(params)
    table = problem.features(raw, params)
    return problem.goal(raw, params), table.drop(columns=ROW), problem.split(table, raw, params)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Histogram boosting on small tables only waits for its threads."""
    with threadpool_limits(1):
        yield


def fitter(goal, name):
    """Fit a family with its defaults, which are scikit-learn's."""
    return lambda rows: models.fit(rows, models.Recipe(goal.target, goal.kind, family=name, seed=0))


@pytest.mark.parametrize("name", PUBLISHED)
def test_held_out_rows(spheres, name):
    """Accuracy and MCC on the test rows are the published ones."""
    goal, table, split = spheres
    accuracy, mcc, _ = PUBLISHED[name]
    model = fitter(goal, name)(table[split == "train"])
    test = table[split == "test"]
    found = metrics.classification(test[goal.target], model.predict_proba(test), model.classes)
    assert found["accuracy"] == pytest.approx(accuracy, abs=TOLERANCE)
    assert found["mcc"] == pytest.approx(mcc, abs=TOLERANCE)


@pytest.mark.parametrize("name", PUBLISHED)
def test_cross_validation(spheres, name):
    """The mean MCC of five stratified folds of the training rows is the published one."""
    goal, table, split = spheres
    mcc = PUBLISHED[name][-1]
    fit = fitter(goal, name)
    found = validation.cross_validate(
        table[split == "train"], goal.target, goal.kind, folds=5, seed=0, fit=fit
    )
    assert found.mean["mcc"] == pytest.approx(mcc, abs=TOLERANCE)
