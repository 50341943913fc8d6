"""Shapley values."""

import dataclasses
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble, linear_model, neighbors, svm, tree
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier

from baton import models
from baton.evaluation.shapley import (
    Method,
    Scale,
    ShapValues,
    estimate_seconds,
    global_importance,
    margin,
    shap_values,
)
from baton.settings import settings
from baton.terms import Kind

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

DATA = {"binary": load_breast_cancer, "multiclass": load_iris, "regression": load_diabetes}
N_OUTPUTS = {"binary": 1, "multiclass": 3, "regression": 1}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Histogram boosting on tiny tables only waits for its threads."""
    with threadpool_limits(1):
        yield


def data(kind, n_features=4):
    X, y = DATA[kind](return_X_y=True)
    rows = np.random.default_rng(0).permutation(len(X))
    return X[rows][:, :n_features], y[rows]


def adds_up(model, X, found, kind):
    assert found.values.shape == (len(X), X.shape[1], N_OUTPUTS[kind])
    assert found.base_values.shape == (N_OUTPUTS[kind],)
    output = margin(model, X)
    np.testing.assert_allclose(
        found.values.sum(1) + found.base_values, output, rtol=1e-4, atol=1e-4
    )
    assert found.values.any()


CLASSIFIERS = {
    "xgboost": (XGBClassifier(n_estimators=20, n_jobs=1), Scale.MARGIN, Method.TREE),
    "xgboost forest": (XGBRFClassifier(n_estimators=9, n_jobs=1), Scale.MARGIN, Method.TREE),
    "xgboost dart": (
        XGBClassifier(n_estimators=9, booster="dart", n_jobs=1),
        Scale.MARGIN,
        Method.TREE,
    ),
    "decision tree": (tree.DecisionTreeClassifier(max_depth=5), Scale.PROBABILITY, Method.TREE),
    "random forest": (ensemble.RandomForestClassifier(9), Scale.PROBABILITY, Method.TREE),
    "extra trees": (ensemble.ExtraTreesClassifier(9), Scale.PROBABILITY, Method.TREE),
    "gradient boosting": (
        ensemble.GradientBoostingClassifier(n_estimators=9),
        Scale.MARGIN,
        Method.TREE,
    ),
    "hist gradient boosting": (
        ensemble.HistGradientBoostingClassifier(max_iter=9),
        Scale.MARGIN,
        Method.TREE,
    ),
    "logistic": (linear_model.LogisticRegression(max_iter=5000), Scale.MARGIN, Method.LINEAR),
    "linear SVC": (svm.LinearSVC(), Scale.MARGIN, Method.LINEAR),
    "AdaBoost": (ensemble.AdaBoostClassifier(n_estimators=5), Scale.MARGIN, Method.ENUMERATED),
    "soft voting": (
        ensemble.VotingClassifier(
            [
                ("a", linear_model.LogisticRegression(max_iter=5000)),
                ("b", tree.DecisionTreeClassifier()),
            ],
            voting="soft",
        ),
        Scale.PROBABILITY,
        Method.ENUMERATED,
    ),
    "KNN": (neighbors.KNeighborsClassifier(), Scale.PROBABILITY, Method.ENUMERATED),
    "scaled logistic": (
        make_pipeline(StandardScaler(), linear_model.LogisticRegression()),
        Scale.MARGIN,
        Method.ENUMERATED,
    ),
}
REGRESSORS = {
    "xgboost": (XGBRegressor(n_estimators=20, n_jobs=1), Scale.VALUE, Method.TREE),
    "xgboost gamma": (
        XGBRegressor(n_estimators=9, objective="reg:gamma", n_jobs=1),
        Scale.MARGIN,
        Method.TREE,
    ),
    "xgboost linear": (XGBRegressor(booster="gblinear", n_jobs=1), Scale.VALUE, Method.TREE),
    "decision tree": (tree.DecisionTreeRegressor(max_depth=5), Scale.VALUE, Method.TREE),
    "random forest": (ensemble.RandomForestRegressor(9), Scale.VALUE, Method.TREE),
    "extra trees": (ensemble.ExtraTreesRegressor(9), Scale.VALUE, Method.TREE),
    "gradient boosting": (
        ensemble.GradientBoostingRegressor(n_estimators=9),
        Scale.VALUE,
        Method.TREE,
    ),
    "gradient boosting, huber": (
        ensemble.GradientBoostingRegressor(n_estimators=9, loss="huber"),
        Scale.VALUE,
        Method.TREE,
    ),
    "gradient boosting on a model": (
        ensemble.GradientBoostingRegressor(n_estimators=9, init=linear_model.Ridge()),
        Scale.VALUE,
        Method.ENUMERATED,
    ),
    "hist gradient boosting": (
        ensemble.HistGradientBoostingRegressor(max_iter=9),
        Scale.VALUE,
        Method.TREE,
    ),
    "hist gradient boosting, poisson": (
        ensemble.HistGradientBoostingRegressor(max_iter=9, loss="poisson"),
        Scale.VALUE,
        Method.ENUMERATED,
    ),
    "linear": (linear_model.LinearRegression(), Scale.VALUE, Method.LINEAR),
    "ridge": (linear_model.Ridge(), Scale.VALUE, Method.LINEAR),
    "lasso": (linear_model.Lasso(), Scale.VALUE, Method.LINEAR),
    "poisson": (linear_model.PoissonRegressor(), Scale.VALUE, Method.ENUMERATED),
    "AdaBoost": (ensemble.AdaBoostRegressor(n_estimators=5), Scale.VALUE, Method.ENUMERATED),
    "KNN": (neighbors.KNeighborsRegressor(), Scale.VALUE, Method.ENUMERATED),
    "SVR": (svm.SVR(kernel="linear"), Scale.VALUE, Method.ENUMERATED),
}
HOUSE = [(name, kind) for name in CLASSIFIERS for kind in ("binary", "multiclass")] + [
    (name, "regression") for name in REGRESSORS
]


@pytest.mark.parametrize(("name", "kind"), HOUSE)
def test_additivity(name, kind):
    """Base value plus a row's Shapley values is the model's output, on the scale that is said."""
    estimator, scale, method = (REGRESSORS if kind == "regression" else CLASSIFIERS)[name]
    X, y = data(kind)
    model = estimator.fit(X[30:], y[30:])
    found = shap_values(model, X[:8], background=X[30:])
    adds_up(model, X[:8], found, kind)
    assert (found.scale, found.method) == (scale, method)
    expected = {"binary": (1,), "multiclass": (0, 1, 2), "regression": ()}
    assert found.classes == expected[kind]


@pytest.mark.parametrize("kind", list(DATA))
def test_additivity_of_many_columns_over_a_background(kind):
    """Permutations of more than six columns sum to the output too, and repeat for a seed."""
    X, y = data(kind, n_features=10)
    answer = {"regression": neighbors.KNeighborsRegressor}
    if kind == "multiclass":
        X = np.column_stack([X, X[::-1]])
    model = answer.get(kind, neighbors.KNeighborsClassifier)().fit(X, y)
    found = shap_values(model, X[:3], background=X)
    adds_up(model, X[:3], found, kind)
    assert found.method is Method.SAMPLED
    again = shap_values(model, X[:2], background=X)
    np.testing.assert_array_equal(found.values[:2], again.values)


@pytest.mark.parametrize(
    ("gate", "base", "ones", "zeros"),
    [
        ([0, 0, 0, 1], 0.25, [0.375, 0.375], [-0.125, -0.125]),
        ([0, 1, 1, 1], 0.75, [0.125, 0.125], [-0.375, -0.375]),
        ([0, 1, 1, 0], 0.5, [-0.25, -0.25], [-0.25, -0.25]),
    ],
    ids=["AND", "OR", "XOR"],
)
def test_the_textbook_trees(gate, base, ones, zeros):
    """AND, OR and XOR of two inputs have their textbook values exactly."""
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    model = tree.DecisionTreeRegressor(random_state=0).fit(X, gate)
    found = shap_values(model, X)
    assert found.base_values.tolist() == [base]
    np.testing.assert_allclose(found.values[3, :, 0], ones, atol=1e-15)
    np.testing.assert_allclose(found.values[0, :, 0], zeros, atol=1e-15)


@pytest.mark.parametrize("kind", list(DATA))
@pytest.mark.parametrize("is_stopped", [False, True])
def test_xgboost_is_bit_identical_to_tree_explainer(kind, is_stopped):
    """Values and base values are `shap.TreeExplainer`'s, early stopping and missing values too."""
    import shap

    X, y = data(kind)
    X[::5, 1] = np.nan
    options = {"n_estimators": 40, "n_jobs": 1}
    fitting = {}
    if is_stopped:
        options["early_stopping_rounds"] = 2
        fitting = {"eval_set": [(X[:50], y[:50])], "verbose": False}
    wrapper = XGBRegressor if kind == "regression" else XGBClassifier
    model = wrapper(**options).fit(X[50:], y[50:], **fitting)
    explainer = shap.TreeExplainer(model)
    theirs = explainer.shap_values(X)
    for one in (model, model.get_booster()):
        found = shap_values(one, X)
        np.testing.assert_array_equal(found.values, theirs.reshape(found.values.shape))
        np.testing.assert_array_equal(
            found.base_values.astype(np.float32), np.ravel(explainer.expected_value)
        )


@pytest.mark.parametrize("kind", list(DATA))
def test_forests_are_tree_explainers(kind):
    """The trees handed to shap give what shap reads off a forest itself."""
    import shap

    X, y = data(kind)
    forests = ensemble.RandomForestRegressor, ensemble.RandomForestClassifier
    model = forests[kind != "regression"](7, random_state=0).fit(X, y)
    theirs = shap.TreeExplainer(model).shap_values(X[:9])
    theirs = theirs[:, :, 1] if kind == "binary" else theirs
    found = shap_values(model, X[:9]).values
    np.testing.assert_allclose(found, theirs.reshape(found.shape), atol=1e-12)


@pytest.mark.parametrize(
    "estimator",
    [
        tree.DecisionTreeClassifier(max_depth=6),
        ensemble.RandomForestClassifier(9),
        ensemble.ExtraTreesClassifier(9),
        ensemble.HistGradientBoostingClassifier(max_iter=9),
        XGBClassifier(n_estimators=9, n_jobs=1),
    ],
    ids=lambda one: type(one).__name__,
)
def test_missing_values_add_up_exactly(estimator):
    """Rows with missing values are explained along the side that the model sends them to."""
    X, y = data("binary")
    X[np.random.default_rng(0).random(X.shape) < 0.3] = np.nan
    model = estimator.fit(X, y)
    found = shap_values(model, X[:60])
    adds_up(model, X[:60], found, "binary")
    assert found.method is Method.TREE


def test_linear_values_are_the_formula():
    """A linear model's value is coefficient times distance from the background's mean."""
    X, y = data("regression")
    model = linear_model.Ridge().fit(X, y)
    found = shap_values(model, X[:5], background=X)
    np.testing.assert_allclose(
        found.values[:, :, 0], model.coef_ * (X[:5] - X.mean(axis=0)), atol=1e-10
    )


def test_categories_of_a_histogram_model_fall_back_to_the_background():
    """shap misreads category splits; the values still sum to the model's output."""
    random = np.random.default_rng(0)
    letters = pd.Categorical(random.choice(list("pqrs"), 200))
    X = pd.DataFrame({"a": letters, "b": random.random(200)})
    y = (X["a"].isin(["p", "r"]) ^ (X["b"] > 0.7)).astype(int)
    model = ensemble.HistGradientBoostingClassifier(max_iter=9).fit(X, y)
    found = shap_values(model, X[:8], background=X)
    adds_up(model, X[:8], found, "binary")
    assert found.features == ("a", "b")


def test_a_pipeline_is_explained_in_the_users_columns():
    """One-hot columns inside a pipeline never show: values are of the columns that came in."""
    random = np.random.default_rng(0)
    X = pd.DataFrame({"a": random.choice(list("pqr"), 80), "b": random.choice(["x", None], 80)})
    model = make_pipeline(OneHotEncoder(), linear_model.LogisticRegression()).fit(X, X["a"] == "p")
    found = shap_values(model, X[:6], background=X)
    adds_up(model, X[:6], found, "binary")
    assert found.features == ("a", "b") and found.classes == (True,)


def mixed_table(n=300):
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "size [m]<": np.where(random.random(n) < 0.2, np.nan, random.normal(size=n)),
            "colour": pd.Categorical(random.choice(["red", "green", "blue"], n)),
            "when": pd.Timestamp("2021-01-01") + pd.to_timedelta(random.integers(0, 9999, n), "h"),
            "is_new": random.random(n) < 0.5,
        }
    )
    is_late = table["when"].dt.hour > 12
    table["label"] = np.where(table["colour"] == "red", "r", np.where(is_late, "late", "early"))
    return table


@pytest.mark.parametrize("kind", [Kind.CLASSIFICATION, Kind.REGRESSION])
def test_a_fitted_model_is_explained_in_the_users_columns(kind, tmp_path):
    """A date's parts are summed to the date; a loaded model's values are the same bits."""
    table = mixed_table()
    if kind is Kind.REGRESSION:
        table["label"] = table["size [m]<"].fillna(0) + table["is_new"]
    model = models.fit(
        table, models.Recipe("label", kind, params={"n_estimators": 15, "n_jobs": 1})
    )
    found = shap_values(model, table)
    output = margin(model, table)
    assert found.features == ("size [m]<", "colour", "when", "is_new")
    assert found.classes == (("early", "late", "r") if kind is Kind.CLASSIFICATION else ())
    np.testing.assert_allclose(found.values.sum(1) + found.base_values, output, atol=1e-4)
    model.save(tmp_path)
    again = shap_values(models.load(tmp_path), table)
    np.testing.assert_array_equal(found.values, again.values)


def wide_table(n=2500):
    """A category of two thousand levels beside a number."""
    random = np.random.default_rng(0)
    codes = random.integers(0, 2000, n)
    size = random.normal(size=n)
    return pd.DataFrame(
        {"trip": [f"{one:04d}" for one in codes], "size": size, "label": codes % 7 + size}
    )


@pytest.mark.parametrize("name", ["adaboost", "lasso", "xgboost", "lightgbm", "decision_tree"])
def test_a_category_of_thousands_of_levels_is_one_column(name):
    """However it is explained, it costs what two columns cost and adds up."""
    table = wide_table()
    settings = {"adaboost": "n_estimators", "xgboost": "n_estimators", "lightgbm": "n_estimators"}
    params = {settings[name]: 4} if name in settings else {}
    model = models.fit(
        table,
        models.Recipe(
            "label", Kind.REGRESSION, family=name, params=params | {"encoding": "one_hot"}
        ),
    )
    begun = time.perf_counter()
    found = shap_values(model, table[:20], background=table)
    assert time.perf_counter() - begun < 30
    assert found.values.shape == (20, 2, 1)
    adds = found.values.sum(axis=1) + found.base_values
    np.testing.assert_allclose(adds, margin(model, table[:20]), rtol=1e-4, atol=1e-4)


def test_wide_rows_are_explained_in_parts(monkeypatch):
    """Parts, which bound the memory, change no bit of a tree's or a linear model's values."""
    table = wide_table(400)
    for name in ("xgboost", "lightgbm", "linear_regression"):
        params = {} if name == "linear_regression" else {"encoding": "one_hot", "n_estimators": 4}
        model = models.fit(
            table, models.Recipe("label", Kind.REGRESSION, family=name, params=params)
        )
        whole = shap_values(model, table[:50], background=table).values
        with monkeypatch.context() as patch:
            patch.setattr("baton.evaluation.shapley.explain.CHUNK_CELLS", 3000)
            parts = shap_values(model, table[:50], background=table).values
        np.testing.assert_allclose(parts, whole, rtol=1e-12, atol=1e-12)


def test_permutations_converge_to_every_subset():
    """Where a column's effect does not depend on others, ten orders are exact."""
    from baton.evaluation.shapley.background import enumerated, permuted

    weights = np.arange(1.0, 6.0)

    def expect(chosen):
        return (chosen @ weights)[:, None] + 3.0

    np.testing.assert_allclose(enumerated(expect, 5)[:, 0], weights)
    np.testing.assert_allclose(permuted(expect, 5, [0, 1])[:, 0], weights)


def test_xgboost_needs_no_shap():
    """shap takes two seconds to import; the house's model does without."""
    import subprocess

    code = (
        "import sys, numpy as np; from baton.evaluation.shapley import shap_values; import xgboost;"
        "X = np.eye(4);"
        "y = np.arange(4.0); m = xgboost.XGBRegressor(n_estimators=2, n_jobs=1).fit(X, y);"
        "shap_values(m, X); sys.exit('shap' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("kind", list(DATA))
def test_no_rows(kind):
    """A table without rows has base values and no values."""
    X, y = data(kind)
    wrapper = XGBRegressor if kind == "regression" else XGBClassifier
    model = wrapper(n_estimators=3, n_jobs=1).fit(X, y)
    found = shap_values(model, X[:0])
    assert found.values.shape == (0, 4, N_OUTPUTS[kind])
    np.testing.assert_array_equal(found.base_values, shap_values(model, X[:1]).base_values)
    assert estimate_seconds(model, X[:0]) == 0.0
    assert global_importance(found)["mean_abs_shap"].eq(0).all()


def test_progress_changes_nothing():
    """Watching an explanation explains in parts and gives the same bits."""
    X, y = data("multiclass")
    X = np.tile(X, (10, 1))
    model = XGBClassifier(n_estimators=3, n_jobs=1).fit(X, np.tile(y, 10))
    seen = []
    watched = shap_values(model, X, progress=lambda *at: seen.append(at))
    np.testing.assert_array_equal(watched.values, shap_values(model, X).values)
    assert seen == [(500, 1500), (1000, 1500), (1500, 1500)]


def test_the_process_keeps_its_random_stream_and_its_peace():
    """shap seeds numpy's global stream; Baton puts it back, and prints no progress bar."""
    X, y = data("binary", n_features=8)
    model = neighbors.KNeighborsClassifier().fit(X, y)
    np.random.seed(5)
    expected = np.random.random(3)
    np.random.seed(5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shap_values(model, X[:2], background=X)
    assert np.random.random(3).tolist() == expected.tolist()


def test_an_estimate_is_of_the_right_order():
    """The estimate is within a factor of twenty of the time that it then takes."""
    X, y = data("binary")
    model = neighbors.KNeighborsClassifier().fit(X, y)
    estimate = estimate_seconds(model, X[:40])
    begun = time.perf_counter()
    shap_values(model, X[:40])
    assert estimate / 20 < time.perf_counter() - begun < estimate * 20


def test_global_importance_is_the_mean_of_absolute_values():
    """Features are ordered by the mean over classes; every class has its own number."""
    X, y = data("multiclass")
    found = shap_values(XGBClassifier(n_estimators=5, n_jobs=1).fit(X, y), X)
    table = global_importance(found)
    assert table.columns.tolist() == ["feature", "class", "mean_abs_shap"]
    wide = table.pivot(index="feature", columns="class", values="mean_abs_shap")
    expected = np.abs(found.values).mean(axis=0)
    np.testing.assert_allclose(wide.loc[list(found.features)], expected, rtol=1e-5)
    means = table.groupby("feature", sort=False)["mean_abs_shap"].mean()
    assert means.is_monotonic_decreasing


def test_a_frame_has_a_line_per_row_and_class():
    """What is written to a file adds up line by line."""
    X, y = data("multiclass")
    model = XGBClassifier(n_estimators=5, n_jobs=1).fit(X, y)
    frame = shap_values(model, X[:4]).frame([7, 8, 9, 10])
    assert frame.columns.tolist() == ["_row", "_class", "_base_value", "x0", "x1", "x2", "x3"]
    assert frame["_row"].tolist() == np.repeat([7, 8, 9, 10], 3).tolist()
    sums = frame[["_base_value", "x0", "x1", "x2", "x3"]].sum(axis=1)
    np.testing.assert_allclose(sums, margin(model, X[:4]).ravel(), atol=1e-5)


def test_columns_may_be_called_as_those_of_the_table():
    """What is written of `_class` and `_base_value` is read back under their names."""
    X, y = data("multiclass")
    model = XGBClassifier(n_estimators=5, n_jobs=1).fit(X, y)
    found = shap_values(model, X[:4])
    found = dataclasses.replace(found, features=("_class", "_base_value", "__class", "x"))
    table = found.frame([7, 8, 9, 10])
    assert table.columns[:3].tolist() == ["_row", "_class", "_base_value"]
    assert table.columns.is_unique
    again = ShapValues.of_frame(table, scale=found.scale, method=found.method)
    assert again.features == found.features
    np.testing.assert_array_equal(again.values, found.values)


# --- what shap does not promise to keep


def test_the_dictionary_of_trees_is_needed():
    """shap knows no gradient boosting of several classes but as a dictionary of its trees."""
    import shap

    X, y = data("multiclass")
    model = ensemble.GradientBoostingClassifier(n_estimators=3).fit(X, y)
    with pytest.raises(ValueError, match="only supported for binary classification"):
        shap.TreeExplainer(model)
    assert shap_values(model, X[:5]).method is Method.TREE


@pytest.fixture(params=["gone", "switched off"])
def without_internals(request, monkeypatch):
    """shap knows no dictionaries any more, or is not to be asked."""
    import shap

    theirs = shap.TreeExplainer

    def refusing(model, *args, **kwargs):
        if isinstance(model, dict):
            raise shap.utils._exceptions.InvalidModelError("Model type not yet supported")
        return theirs(model, *args, **kwargs)

    if request.param == "gone":
        monkeypatch.setattr(shap, "TreeExplainer", refusing)
    else:
        monkeypatch.setenv("BATON_INTERNALS", "0")
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize(
    ("kind", "wrapper", "method"),
    [
        ("binary", ensemble.GradientBoostingClassifier, Method.TREE),
        ("regression", ensemble.GradientBoostingRegressor, Method.TREE),
        ("multiclass", ensemble.GradientBoostingClassifier, Method.ENUMERATED),
    ],
)
def test_without_the_dictionary_values_still_add_up(without_internals, kind, wrapper, method):
    """shap reads the estimator itself; where it does not know it, a background stands in."""
    X, y = data(kind)
    model = wrapper(n_estimators=3).fit(X, y)
    found = shap_values(model, X[:5])
    assert found.method is method
    adds_up(model, X[:5], found, kind)
