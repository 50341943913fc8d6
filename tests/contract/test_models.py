"""What every family of models fulfils: the test kit on each of Baton's own, and on the guide's."""

import json

import numpy as np
import pytest

from baton import models
from baton.errors import InputError
from baton.models.scikit import Scikit
from baton.models.space import Float
from baton.terms import Kind
from baton.testing import ModelContract
from baton.testing.tables import table_of

FILES = frozenset({"model.ubj", "model.txt", "model.cbm", "model.skops"})
"""What Baton's own families write: formats that run no code."""


class TestBoosters(ModelContract):
    family, files = "boosters", FILES
    few = {"n_estimators": 8}
    drawn = {"xgboost__subsample": 0.5}


class TestXGBoost(ModelContract):
    family, files = "xgboost", FILES
    few = {"n_estimators": 8}
    drawn = {"subsample": 0.5}


class TestLightGBM(ModelContract):
    family, files = "lightgbm", FILES
    few = {"n_estimators": 8}
    drawn = {"bagging_fraction": 0.5}


class TestCatBoost(ModelContract):
    family, files = "catboost", FILES
    few = {"n_estimators": 8}
    drawn = {"subsample": 0.5}


class TestDecisionTree(ModelContract):
    family, files = "decision_tree", FILES
    few = {"max_depth": 5}
    drawn = {"max_features": 1}


class TestRandomForest(ModelContract):
    family, files = "random_forest", FILES
    few = {"n_estimators": 4}
    drawn = {}


class TestExtraTrees(ModelContract):
    family, files = "extra_trees", FILES
    few = {"n_estimators": 4}
    drawn = {}


class TestAdaBoost(ModelContract):
    family, files = "adaboost", FILES
    few = {"n_estimators": 4}


class TestGradientBoosting(ModelContract):
    family, files = "gradient_boosting", FILES
    few = {"n_estimators": 4}
    drawn = {"subsample": 0.5}


class TestHistGradientBoosting(ModelContract):
    family, files = "hist_gradient_boosting", FILES
    few = {"max_iter": 4}


class TestLogisticRegression(ModelContract):
    family, files = "logistic_regression", FILES
    wrong = {"fit_intercept": "many"}


class TestLinearRegression(ModelContract):
    family, files = "linear_regression", FILES
    wrong = {"fit_intercept": "many"}


class TestLasso(ModelContract):
    family, files = "lasso", FILES
    wrong = {"fit_intercept": "many"}


class TestVoting(ModelContract):
    family, files = "voting", FILES
    few = {"n_estimators": 3, "max_depth": 4}
    drawn = {}


def test_every_family_is_tested():
    """A new one gets a class above; each is found by its name."""
    assert {one.family for one in ModelContract.__subclasses__()} == set(models.FAMILIES)
    assert all(models.family(name) is one for name, one in models.FAMILIES.items())


class Smooth(Scikit):
    """As little as the guide asks for."""

    kinds = (Kind.REGRESSION,)
    explain = models.Explain.LINEAR

    def estimator(self, kind):
        from sklearn.linear_model import Ridge

        return Ridge

    def space(self, kind):
        return {"alpha": Float(0.1, 10.0)}


class Constant(models.Family):
    """An engine of its own: answers the mean of what it saw, whatever it is asked."""

    kinds = (Kind.REGRESSION,)

    def __init__(self, value=None):
        self.value = value

    def parameters(self, kind):
        return {"times": float}

    def space(self, kind):
        return {"times": Float(0.5, 2.0)}

    def fit(self, X, y, spec):
        return Constant(float(y.mean()) * spec.params.get("times", 1.0))

    def predict(self, X):
        return np.full(X.shape[0], self.value)

    def save(self, estimator, folder):
        (folder / "value.json").write_text(json.dumps(estimator.value))

    def load(self, folder, kind):
        return Constant(json.loads((folder / "value.json").read_text()))


@pytest.mark.parametrize(("family", "params"), [(Smooth(), {"alpha": 3.0}), (Constant(), {})])
def test_a_new_family_states_only_what_differs(family, params, monkeypatch, tmp_path):
    """The guide's two ways: an estimator of scikit-learn's, and an engine of its own."""
    monkeypatch.setitem(models.FAMILIES, "new", family)
    table = table_of("regression")
    model = models.fit(table, models.Recipe("label", Kind.REGRESSION, family="new", params=params))
    assert model.params == {"encoding": "native", **params}
    model.save(tmp_path)
    np.testing.assert_array_equal(models.load(tmp_path).predict(table), model.predict(table))
    with pytest.raises(InputError, match=r"new has no hyperparameter 'alfa'; .*it knows: "):
        models.fit(table, models.Recipe("label", Kind.REGRESSION, "new", {"alfa": 1.0}))
    with pytest.raises(InputError, match="new cannot do a classification"):
        models.family("new", Kind.CLASSIFICATION)
