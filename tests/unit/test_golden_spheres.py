"""The published figures of the spheres, through Baton's own problem, split, folds and metrics."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from baton import metrics, problems
from baton.encoding import Encoder
from baton.models import FittedModel
from baton.problems import ROW

TOLERANCE = 0.005
PUBLISHED = {
    "decision tree": (DecisionTreeClassifier, {}, 0.9130, 0.8695, 0.8678),
    "random forest": (RandomForestClassifier, {"n_jobs": 2}, 0.9423, 0.9135, 0.9047),
    "hist gradient boosting": (HistGradientBoostingClassifier, {}, 0.9397, 0.9095, 0.8942),
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


def fitter(goal, estimator, options):
    """Fit a model by name where Baton's own would be."""

    def fit(rows):
        X = rows.drop(columns=goal.target)
        encoder = Encoder.fit(X)
        classes, codes = np.unique(rows[goal.target], return_inverse=True)
        fitted = estimator(random_state=0, **options).fit(encoder.transform(X), codes)
        return FittedModel(
            "named", goal.kind, goal.target, encoder, tuple(classes.tolist()), fitted, options
        )

    return fit


@pytest.mark.parametrize("name", PUBLISHED)
def test_held_out_rows(spheres, name):
    """Accuracy and MCC on the test rows are the published ones."""
    goal, table, split = spheres
    estimator, options, accuracy, mcc, _ = PUBLISHED[name]
    model = fitter(goal, estimator, options)(table[split == "train"])
    test = table[split == "test"]
    found = metrics.classification(test[goal.target], model.predict_proba(test), model.classes)
    assert found["accuracy"] == pytest.approx(accuracy, abs=TOLERANCE)
    assert found["mcc"] == pytest.approx(mcc, abs=TOLERANCE)


@pytest.mark.parametrize("name", PUBLISHED)
def test_cross_validation(spheres, name):
    """The mean MCC of five stratified folds of the training rows is the published one."""
    goal, table, split = spheres
    estimator, options, _, _, mcc = PUBLISHED[name]
    fit = fitter(goal, estimator, options)
    found = metrics.cross_validate(
        table[split == "train"], goal.target, goal.kind, folds=5, seed=0, fit=fit
    )
    assert found.mean["mcc"] == pytest.approx(mcc, abs=TOLERANCE)
