"""What every family of models fulfils."""

import json
import zipfile
from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.inspection import permutation_importance as theirs
from threadpoolctl import threadpool_limits

from baton import models
from baton.errors import InputError
from baton.evaluation import importance, metrics
from baton.evaluation.shapley import margin, shap_values
from baton.models.answers import output_of
from baton.models.checks import check, known_parameters
from baton.models.scikit import Scikit
from baton.models.space import Categorical, Float
from baton.terms import Kind

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FEW = {
    "boosters": {"n_estimators": 8},
    "xgboost": {"n_estimators": 8},
    "lightgbm": {"n_estimators": 8},
    "catboost": {"n_estimators": 8},
    "decision_tree": {"max_depth": 5},
    "random_forest": {"n_estimators": 4},
    "extra_trees": {"n_estimators": 4},
    "adaboost": {"n_estimators": 4},
    "gradient_boosting": {"n_estimators": 4},
    "hist_gradient_boosting": {"max_iter": 4},
    "logistic_regression": {},
    "linear_regression": {},
    "lasso": {},
    "voting": {"n_estimators": 3, "max_depth": 4},
}
DRAWN = {
    "boosters": {"xgboost__subsample": 0.5},
    "xgboost": {"subsample": 0.5},
    "lightgbm": {"bagging_fraction": 0.5},
    "catboost": {"subsample": 0.5},
    "decision_tree": {"max_features": 1},
    "gradient_boosting": {"subsample": 0.5},
    "adaboost": {},
    "random_forest": {},
    "extra_trees": {},
    "voting": {},
}
TASKS = ("binary", "classes", "regression")


def kind_of(task):
    return Kind.REGRESSION if task == "regression" else Kind.CLASSIFICATION


HOUSE = [
    (name, task)
    for name, one in models.FAMILIES.items()
    for task in TASKS
    if kind_of(task) in one.kinds
]
ONE_EACH = [
    (name, "regression" if one.kinds == (Kind.REGRESSION,) else "classes")
    for name, one in models.FAMILIES.items()
]
BOTH_WAYS = [
    (name, task, encoding.value)
    for name, task in HOUSE
    for encoding in models.family(name).encodings
]

every_task = pytest.mark.parametrize(("name", "task"), HOUSE)
every_family = pytest.mark.parametrize(("name", "task"), ONE_EACH)
every_way = pytest.mark.parametrize(("name", "task", "encoding"), BOTH_WAYS)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Threads on tiny tables only wait for each other."""
    with threadpool_limits(1):
        yield


@cache
def table_of(task):
    """Numbers, categories, dates and flags, values missing in every column but the flag."""
    random, n = np.random.default_rng(3), 160
    size, weight = random.normal(size=(2, n))
    colour = random.choice(["red", "green", "blue", "naïve"], n)
    when = pd.Timestamp("2021-01-01") + pd.to_timedelta(random.integers(0, 9999, n), "h")
    is_new = random.random(n) < 0.5
    table = pd.DataFrame(
        {
            "size [m]<": np.where(random.random(n) < 0.2, np.nan, size),
            "weight": 1e3 * weight,
            "colour": pd.Categorical(np.where(random.random(n) < 0.1, None, colour)),
            "when": pd.Series(when).where(random.random(n) > 0.1),
            "is_new": is_new,
        }
    )
    value = size + 2 * (colour == "red") + weight * is_new + (when.month > 6)
    labels = {
        "binary": np.where(value > 1, "yes", "no"),
        "classes": pd.qcut(value, 4, labels=["a", "b", "c", "d"]).astype(object),
        "regression": value,
    }
    return table.assign(label=labels[task])


def fit(name, task, table=None, seed=0, **params):
    table = table_of(task) if table is None else table
    return models.fit(
        table,
        models.Recipe("label", kind_of(task), family=name, params=FEW[name] | params, seed=seed),
    )


@cache
def fitted(name, task, encoding=None):
    """A model that several tests look at."""
    return fit(name, task, **({"encoding": encoding} if encoding else {}))


def test_the_families_are_known_here():
    """A new family gets its few trees above."""
    assert set(FEW) == set(models.FAMILIES)


@every_way
def test_a_family_learns(name, task, encoding):
    """Better than the best constant on what it was fitted on; probabilities sum to 1."""
    table = table_of(task)
    model = fitted(name, task, encoding)
    found, actual = model.predict(table), table["label"].to_numpy()
    assert found.shape == (len(table),)
    if task == "regression":
        assert found.dtype == np.float64
        assert ((found - actual) ** 2).mean() < 0.9 * actual.var()
        return
    proba = model.predict_proba(table)
    assert proba.shape == (len(table), len(model.classes))
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-6)
    assert (proba >= 0).all()
    assert (found == actual).mean() > table["label"].value_counts(normalize=True).max() + 0.1
    assert (found == model.labels(proba)).all()


@pytest.mark.parametrize("labels", [[False, True], [3, 7], ["no", "yes"]], ids=str)
@pytest.mark.parametrize("name", [name for name, task in HOUSE if task == "binary"])
def test_labels_keep_their_type(name, labels):
    """What was learned as a boolean, integer or string is answered as such."""
    table = table_of("binary")[["size [m]<", "is_new", "label"]]
    table = table.assign(label=np.array(labels)[(table["label"] == "yes").astype(int)])
    found = fit(name, "binary", table).predict(table).tolist()
    assert {type(one) for one in found} == {type(labels[0])}
    assert set(found) == set(labels)


@every_task
def test_a_saved_model_answers_the_same_bits(name, task, tmp_path):
    """Labels, probabilities and numbers survive the files, and what it was made from too."""
    table = table_of(task)
    params = FEW[name] | {"encoding": models.family(name).encodings[task == "classes" and -1]}
    origin = {"problem": "p", "params": {"folds": 3, "ü": None}}
    model = models.fit(
        table, models.Recipe("label", kind_of(task), family=name, params=params, origin=origin)
    )
    model.save(tmp_path)
    again = models.load(tmp_path)
    assert again.predict(table).tolist() == model.predict(table).tolist()
    np.testing.assert_array_equal(output_of(again, table), output_of(model, table))
    assert (again.classes, again.params, again.encoder, again.origin) == (
        model.classes, model.params, model.encoder, origin,
    )  # fmt: skip


@every_family
def test_the_files_are_no_pickles_and_always_the_same(name, task, tmp_path):
    """JSON and a format that runs no code; equal fits are equal bytes."""
    contents = []
    for place in ("a", "b"):
        fit(name, task).save(tmp_path / place)
        files = sorted((tmp_path / place).iterdir())
        contents.append({file.name: file.read_bytes() for file in files})
    assert contents[0] == contents[1]
    assert contents[0].keys() - {"model.json"} <= {
        "model.ubj",
        "model.txt",
        "model.cbm",
        "model.skops",
    }
    json.loads(contents[0]["model.json"])
    for file in (tmp_path / "a").iterdir():
        inside = zipfile.ZipFile(file).namelist() if file.suffix == ".skops" else []
        assert {one.rpartition(".")[2] for one in inside} <= {"json", "npy", "npz", "bin"}
        assert not file.read_bytes().startswith(b"\x80")


@every_family
def test_the_seed_decides(name, task):
    """The same seed gives the same bits; another one other bits where chance has a part."""
    table = table_of(task)
    options = DRAWN.get(name, {})
    first, again, other = (
        output_of(fit(name, task, table, seed=seed, **options), table) for seed in (4, 4, 5)
    )
    np.testing.assert_array_equal(first, again)
    if name in DRAWN and name != "adaboost":
        assert (first != other).any()


@every_way
def test_rows_unlike_the_training_rows_are_answered(name, task, encoding):
    """A level never seen, nothing known at all, huge numbers: a finite answer to each."""
    model = fitted(name, task, encoding)
    rows = pd.DataFrame(
        {
            "size [m]<": [None, 1e300, 0.0],
            "weight": [None, -np.inf, 1.0],
            "colour": [None, "green", "mauve"],
            "when": [None, pd.Timestamp("1999-12-31"), pd.Timestamp("2300-01-01")],
            "is_new": [None, True, False],
        }
    )
    found = output_of(model, rows)
    assert len(found) == 3
    assert np.isfinite(found).all()


@every_task
def test_one_row_and_none(name, task):
    """One row is answered as it is among others, and no rows with nothing of the right shape."""
    table = table_of(task)
    model = fitted(name, task)
    whole = output_of(model, table)
    np.testing.assert_allclose(output_of(model, table[7:8]), whole[7:8], rtol=1e-12)
    assert model.predict(table[:0]).shape == (0,)
    assert output_of(model, table[:0]).shape == (0, *whole.shape[1:])


@every_way
def test_shapley_values_add_up(name, task, encoding):
    """Base value plus a row's values is the model's output, in the user's columns."""
    table = table_of(task)
    model = fitted(name, task, encoding)
    rows, X = table[:4], table.drop(columns="label")
    found = shap_values(model, rows, background=X)
    assert found.features == tuple(X.columns)
    assert found.values.shape[:2] == (4, 5)
    sums = found.values.sum(axis=1) + found.base_values
    np.testing.assert_allclose(sums, margin(model, rows), rtol=1e-4, atol=1e-4)
    assert found.values.any()
    labels = {"binary": model.classes[1:], "classes": model.classes, "regression": ()}
    assert found.classes == labels[task]


@every_family
def test_importances_are_scikit_learns(name, task):
    """Shuffling encoded blocks gives the numbers of shuffling the user's columns."""
    table = table_of(task)
    model = fitted(name, task)
    metric = "rmse" if task == "regression" else "log_loss"

    def score(facade, X, y):
        return -metrics.score(metric, np.asarray(y), output_of(model, X), model.classes)

    class Facade:
        def fit(self):
            """Look like an estimator."""

    X, y = table.drop(columns="label"), table["label"]
    found = importance.permutation_importance(model, X, y, metric, 2, 5)
    expected = theirs(Facade(), X, y, n_repeats=2, random_state=5, scoring=score)
    np.testing.assert_allclose(found.raw, expected.importances, atol=1e-12)
    assert found.mean.any()


@every_task
def test_the_defaults_are_listed_and_known(name, task):
    """Every default is recorded with the model and is a hyperparameter that a user may give."""
    family, kind = models.family(name), kind_of(task)
    defaults = family.defaults(kind, 160)
    assert fitted(name, task).params == defaults | FEW[name]
    assert defaults["encoding"] == family.encodings[0]
    check(name, family, kind, defaults)


@every_family
def test_the_space_is_fitted(name, task):
    """The ends of every range are values that the family takes and fits."""
    space = models.family(name).space(kind_of(task))
    few = {one: value for one, value in FEW[name].items() if one != "max_depth"}
    for end in ("low", "high"):
        tried = {
            one: values.choices[-1 if end == "high" else 0]
            if isinstance(values, Categorical)
            else getattr(values, end)
            for one, values in space.items()
        }
        assert fit(name, task, **tried | few).params.items() >= (tried | few).items()


@every_task
def test_a_hyperparameter_unknown_or_wrong_is_refused(name, task):
    """One line names what is wrong and the names that the family knows."""
    names = sorted(known_parameters(models.family(name), kind_of(task)))
    known = ", ".join(names)
    hint = "did you mean 'n_estimators'? " if "n_estimators" in names else ""
    with pytest.raises(InputError) as caught:
        fit(name, task, n_estimatorz=3)
    assert (
        str(caught.value) == f"{name} has no hyperparameter 'n_estimatorz'; {hint}it knows: {known}"
    )
    for wrong in ({"encoding": "hot"}, {next(iter(FEW[name]), "fit_intercept"): "many"}):
        with pytest.raises(InputError) as caught:
            fit(name, task, **wrong)
        assert str(caught.value).endswith(f"; it knows: {known}")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", models.FAMILIES)
@pytest.mark.parametrize("kind", list(Kind))
def test_a_kind_that_a_family_cannot_do_is_refused(name, kind):
    """The families that can are named."""
    if kind in models.family(name).kinds:
        assert models.family(name, kind) is models.FAMILIES[name]
        return
    with pytest.raises(InputError, match=f"{name} cannot do a {kind.value}; these can: .*voting"):
        models.fit(table_of("regression"), models.Recipe("label", kind, family=name))


@every_family
def test_a_folder_without_its_estimator_is_said_so(name, task, tmp_path):
    """A missing or broken file is one line, whatever library would read it."""
    fitted(name, task).save(tmp_path)
    for file in set(tmp_path.iterdir()) - {tmp_path / "model.json"}:
        content = file.read_bytes()
        file.write_bytes(b"broken")
        with pytest.raises(InputError, match=f"no model can be read from .*{file.name}"):
            models.load(tmp_path)
        file.unlink()
        with pytest.raises(InputError, match=f"no model can be read from .*{file.name}"):
            models.load(tmp_path)
        file.write_bytes(content)


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
