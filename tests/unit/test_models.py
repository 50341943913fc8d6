"""Models: fitting, predicting and their files."""

import functools
import json
import os
import threading
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import skops.io
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import FunctionTransformer

from baton import models
from baton.errors import InputError
from baton.terms import Kind

QUICK = {"n_estimators": 12, "n_jobs": 1}


def table_of(n_rows=300, n_features=3, n_classes=3, seed=0):
    """A table of numbers with a class that depends on them."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n_rows, n_features))
    codes = pd.qcut(X.sum(axis=1), n_classes, labels=False)
    names = [f"feature {place}" for place in range(n_features)]
    return pd.DataFrame(X, columns=names).assign(label=[f"class {code:02d}" for code in codes])


def odd_table(n_rows=200):
    """Missing values, categories, dates, flags, and names that XGBoost refuses."""
    random = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "a [x]<": np.where(random.random(n_rows) < 0.3, np.nan, random.normal(size=n_rows)),
            "naïve, colour\n": pd.Categorical(random.choice(["red", "blue", None], n_rows)),
            "when": pd.Timestamp("2021-01-01")
            + pd.to_timedelta(random.integers(0, 999, n_rows), "h"),
            "": random.random(n_rows) < 0.5,
        }
    )
    return table.assign(label=np.where(table[""] ^ (table["a [x]<"] > 0), "yes", "no"))


def fit(table, kind=Kind.CLASSIFICATION, seed=0, **params):
    return models.fit(table, models.Recipe("label", kind, params=QUICK | params, seed=seed))


@pytest.mark.parametrize(
    ("n_rows", "n_features", "n_classes"),
    [(300, 3, 3), (60, 1, 2), (700, 5, 26), (150, 200, 2), (900, 1, 26)],
)
def test_a_saved_model_predicts_the_same_bits(tmp_path, n_rows, n_features, n_classes):
    """Two and 26 classes, one and 200 features: labels and probabilities survive the files."""
    table = table_of(n_rows, n_features, n_classes)
    model = fit(table)
    model.save(tmp_path)
    again = models.load(tmp_path)
    np.testing.assert_array_equal(again.predict(table), model.predict(table))
    np.testing.assert_array_equal(again.predict_proba(table), model.predict_proba(table))
    assert again.classes == model.classes and len(model.classes) == n_classes
    assert (again.encoder, again.params, again.target) == (
        model.encoder, model.params, model.target,
    )  # fmt: skip


def test_a_saved_model_of_an_odd_table_predicts_the_same_bits(tmp_path):
    """Missing values, categories, dates and names with brackets survive the files."""
    table = odd_table()
    model = fit(table)
    model.save(tmp_path)
    again = models.load(tmp_path)
    np.testing.assert_array_equal(again.predict_proba(table), model.predict_proba(table))
    assert (model.predict(table) == table["label"]).mean() > 0.8


def test_a_saved_regression_predicts_the_same_bits(tmp_path):
    """Numbers come back as they were, in float64."""
    table = table_of(700).assign(label=lambda one: one["feature 0"] * 1e6)
    model = fit(table, Kind.REGRESSION)
    model.save(tmp_path)
    found = models.load(tmp_path).predict(table)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, model.predict(table))


@pytest.mark.parametrize("labels", [[False, True], [3, 7], ["no", "yes"], [0.5, 1.5]])
def test_labels_keep_their_type_through_the_files(tmp_path, labels):
    """What was learned as a boolean, integer, string or float is answered as such."""
    table = table_of(n_classes=2)
    table["label"] = np.array(labels)[(table["label"] == "class 01").astype(int)]
    model = fit(table)
    model.save(tmp_path)
    found = models.load(tmp_path).predict(table).tolist()
    assert {type(one) for one in found} == {type(labels[0])}
    assert set(found) == set(labels)
    assert found == model.predict(table).tolist()


def test_no_file_of_a_model_runs_code_when_read(tmp_path):
    """The folder holds JSON and XGBoost's own format, no pickle."""
    fit(table_of()).save(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.json", "model.ubj"]
    json.loads((tmp_path / "model.json").read_text("utf-8"))
    assert (tmp_path / "model.ubj").read_bytes()[:1] == b"{"


@pytest.mark.parametrize("func", [print, functools.partial(os.system, "echo")])
def test_a_file_that_would_run_code_is_refused(tmp_path, func):
    """A function that is not a model's, bare or wrapped in what a model may hold, is named."""
    models.fit(
        table_of(),
        models.Recipe(
            "label", Kind.CLASSIFICATION, family="decision_tree", params={"max_depth": 2}
        ),
    ).save(tmp_path)
    skops.io.dump(FunctionTransformer(func), tmp_path / "model.skops")
    with pytest.raises(InputError, match=r"holds what is not a model: .*(print|system)"):
        models.load(tmp_path)


@pytest.mark.parametrize(
    ("is_other", "said"),
    [(False, "cannot be loaded again: NotImplementedError: no reader"), (True, "otherwise")],
)
def test_a_model_whose_file_is_of_no_use_is_refused(tmp_path, monkeypatch, is_other, said):
    """It cannot be loaded, or is another one; what is of use passes."""
    table = table_of()
    model, other = fit(table), fit(table.assign(label=table["label"].to_numpy()[::-1]))
    model.save(tmp_path)
    models.check_file(model, tmp_path, table)

    def load(*_):
        if is_other:
            return other.estimator
        raise NotImplementedError("no reader")

    monkeypatch.setattr(type(models.family(model.family)), "load", load)
    with pytest.raises(InputError, match=said):
        models.check_file(model, tmp_path, table)


def test_a_card_of_before_the_one_hot_encoding_is_read(tmp_path):
    """Registered models without an origin, and with an encoder of older fields, still load."""
    table = odd_table()
    model = fit(table)
    model.save(tmp_path)
    card = json.loads((tmp_path / "model.json").read_text("utf-8"))
    del card["origin"], card["encoder"]["fills"]
    for column in card["encoder"]["columns"]:
        del column["keeps_rest"]
    (tmp_path / "model.json").write_text(json.dumps(card), "utf-8")
    again = models.load(tmp_path)
    assert (again.encoder, again.origin) == (model.encoder, {})
    np.testing.assert_array_equal(again.predict_proba(table), model.predict_proba(table))


def test_linear_regression_is_exact_however_columns_are_scaled():
    """Columns a million times apart are solved to the last digits, as by the normal equations."""
    random = np.random.default_rng(0)
    X = random.normal(size=(500, 3)) * [1e-4, 1.0, 1e6]
    table = pd.DataFrame(X, columns=list("abc")).assign(label=X @ [1e4, 2.0, 3e-6] + 5.0)
    model = models.fit(table, models.Recipe("label", Kind.REGRESSION, family="linear_regression"))
    np.testing.assert_allclose(model.predict(table), table["label"], rtol=1e-9, atol=1e-9)


def test_one_model_per_class_is_scikit_learns():
    """`multi_class` decides between one model of all classes and one per class."""
    table = table_of(n_classes=4)
    X, y = table.drop(columns="label"), table["label"]
    for choice, wrap in (("multinomial", lambda one: one), ("ovr", OneVsRestClassifier)):
        params = {"multi_class": choice, "standardize": False}
        model = models.fit(
            table,
            models.Recipe(
                "label", Kind.CLASSIFICATION, family="logistic_regression", params=params
            ),
        )
        expected = wrap(LogisticRegression(max_iter=1000)).fit(X, y).predict_proba(X)
        np.testing.assert_allclose(model.predict_proba(table), expected, atol=1e-4)


def test_what_a_library_refuses_is_said_in_one_line():
    """A value of the right type that the library has no use for names it and its reason."""
    table = table_of()
    wrong = {
        "xgboost": {"subsample": 7.0},
        "lightgbm": {"bagging_fraction": 7.0},
        "random_forest": {"max_features": "most"},
        "logistic_regression": {"solver": "newest"},
    }
    for name, params in wrong.items():
        with pytest.raises(InputError, match=f"^{name} refuses .*; it knows: ") as caught:
            models.fit(
                table, models.Recipe("label", Kind.CLASSIFICATION, family=name, params=params)
            )
        assert "\n" not in str(caught.value)


def test_early_stopping_can_be_left_off(fits):
    """All rows are fitted, with as many trees as are asked for."""
    model = fit(table_of(3000), early_stopping=False)
    assert len(fits[0][0]) == 3000 and len(fits[0][2]) == 0
    assert model.estimator.get_booster().num_boosted_rounds() == QUICK["n_estimators"]


def test_a_folder_without_a_model_is_said_so(tmp_path):
    """The missing file is named."""
    with pytest.raises(InputError, match=r"no model in .*: model\.json is missing"):
        models.load(tmp_path)


def test_rows_that_came_as_json_are_answered_the_same():
    """Numbers as text, dates as text and nulls predict what the table's own rows do."""
    table = odd_table()
    model = fit(table)
    rows = json.loads(table.to_json(orient="records", date_format="iso", double_precision=15))
    for row in rows:
        row["a [x]<"] = None if row["a [x]<"] is None else str(row["a [x]<"])
    sent = pd.DataFrame(rows)
    np.testing.assert_array_equal(model.predict(sent), model.predict(table))
    assert model.predict(pd.DataFrame(rows[:1])).tolist() == model.predict(table[:1]).tolist()


def test_categories_never_seen_and_everything_missing_are_answered():
    """A new level, or nothing known at all, gets an answer with probabilities that sum to 1."""
    model = fit(odd_table())
    rows = pd.DataFrame(
        {"a [x]<": [None, 1e300], "naïve, colour\n": ["green", None], "when": None, "": None}
    )
    found = model.predict_proba(rows)
    assert found.shape == (2, 2)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-6)


def test_infinite_numbers_are_learned_from_and_answered():
    """Infinity among the training rows is the greatest number, not an error."""
    table = table_of()
    table.loc[0, "feature 0"] = np.inf
    table.loc[1, "feature 0"] = -1e300
    assert len(fit(table).predict(table)) == 300


def test_no_rows_get_no_answers():
    """An empty table is answered with empty arrays of the right shape."""
    table = table_of()
    model = fit(table)
    assert model.predict(table[:0]).shape == (0,)
    assert model.predict_proba(table[:0]).shape == (0, 3)


@pytest.mark.parametrize("n_rows", [200, 900])
def test_the_seed_decides(n_rows):
    """The same seed gives the same bits, with early stopping and without."""
    table = table_of(n_rows)
    first, again = (fit(table, seed=4, subsample=0.5) for _ in range(2))
    other = fit(table, seed=5, subsample=0.5)
    np.testing.assert_array_equal(first.predict_proba(table), again.predict_proba(table))
    assert (first.predict_proba(table) != other.predict_proba(table)).any()


@pytest.fixture
def fits(monkeypatch):
    """What XGBoost was given to fit and to watch."""
    seen = []
    original = xgboost.XGBClassifier.fit

    def spy(self, X, y, **options):
        watched = options.get("eval_set", [(X[:0], y[:0])])[0]
        seen.append((X, y, *watched))
        return original(self, X, y, **options)

    monkeypatch.setattr(xgboost.XGBClassifier, "fit", spy)
    return seen


def test_stopping_early_watches_training_rows_alone(fits):
    """Fitted and watched rows part the table that was given, then all of it is fitted."""
    table = table_of(3000)
    train, test = table[:2100], table[2100:]
    model = fit(train)
    (fitted, _, watched, _), (whole, *_) = fits
    assert len(fitted) == 1785 and len(watched) == 315
    given = model.matrix(train)
    np.testing.assert_array_equal(whole, given)
    both = np.concatenate([fitted, watched])
    assert {row.tobytes() for row in both} == {row.tobytes() for row in given}
    assert len(both) == len(given)
    assert not {row.tobytes() for row in both} & {row.tobytes() for row in model.matrix(test)}


def test_lightgbm_fits_all_rows_with_the_trees_that_a_part_found(monkeypatch):
    """Fifteen in a hundred rows say when to stop; the model has seen them too."""
    import lightgbm

    seen, original = [], lightgbm.train

    def spy(settings, rows, n_trees, **options):
        found = original(settings, rows, n_trees, **options)
        seen.append((rows.num_data(), n_trees, found.best_iteration))
        return found

    monkeypatch.setattr(lightgbm, "train", spy)
    recipe = models.Recipe("label", Kind.CLASSIFICATION, "lightgbm", {"n_jobs": 1})
    model = models.fit(table_of(2100), recipe)
    (part, most, best), (whole, n_trees, _) = seen
    assert (part, most, whole, n_trees) == (1785, 1000, 2100, best)
    assert 1 < best < 1000
    assert model.estimator.booster_.current_iteration() == best


@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
@pytest.mark.parametrize("n_rows", [600, 2400])
def test_noise_stops_either_engine(name, n_rows):
    """Nothing can be learnt: a few trees of a thousand are kept, by folds and by a part."""
    table = table_of(n_rows)
    table["label"] = np.random.default_rng(0).permutation(table["label"])
    model = models.fit(table, models.Recipe("label", Kind.CLASSIFICATION, name, {"n_jobs": 1}))
    estimator = model.estimator
    trees = (
        estimator.get_booster().num_boosted_rounds()
        if name == "xgboost"
        else estimator.booster_.current_iteration()
    )
    assert trees < 50


def test_rare_classes_leave_the_log_loss_finite():
    """One row in five hundred is of a class; no other row is all but excluded from it."""
    random = np.random.default_rng(0)
    x = random.normal(size=(6000, 3))
    rare = random.random(6000) < 0.002
    label = np.where(rare, "rare", np.where(x[:, 0] + random.normal(size=6000) > 0, "yes", "no"))
    table = pd.DataFrame(x, columns=list("abc")).assign(label=label)
    model = models.fit(table[:4000], models.Recipe("label", Kind.CLASSIFICATION, "xgboost"))
    held = table[4000:]
    proba = model.predict_proba(held)
    places = [model.classes.index(one) for one in held["label"]]
    assert -np.log(proba[np.arange(len(held)), places]).mean() < 0.75


def test_a_users_objective_is_kept():
    """Poisson's, in the folds and in the fit: no prediction is negative."""
    random = np.random.default_rng(0)
    x = random.normal(size=300)
    table = pd.DataFrame({"x": x, "label": random.poisson(np.exp(x)).astype(float)})
    params = {"objective": "count:poisson", "n_jobs": 1}
    model = models.fit(table, models.Recipe("label", Kind.REGRESSION, "xgboost", params))
    assert model.estimator.get_params()["objective"] == "count:poisson"
    assert model.predict(table).min() >= 0


def test_the_margins_of_both_boosters_are_averaged(tmp_path):
    """Log-odds of each, read from its own file, have the mean that the model answers."""
    table = table_of(400, n_classes=2)
    params = {"n_estimators": 20, "n_jobs": 1}
    model = models.fit(table, models.Recipe("label", Kind.CLASSIFICATION, "boosters", params))
    model.save(tmp_path)
    assert sorted(one.name for one in tmp_path.iterdir()) == [
        "model.json", "model.txt", "model.ubj",
    ]  # fmt: skip
    each = [
        models.family(name).load(tmp_path, model.kind).predict_proba(model.matrix(table))
        for name in ("xgboost", "lightgbm")
    ]
    margins = [np.log(one[:, 1] / one[:, 0]) for one in each]
    expected = 1 / (1 + np.exp(-np.mean(margins, axis=0)))
    np.testing.assert_allclose(model.predict_proba(table)[:, 1], expected, rtol=1e-4)


@pytest.mark.parametrize("n_rows", [300, 2400])
def test_boosters_at_the_same_time_are_those_one_after_the_other(n_rows, monkeypatch):
    """One thread each, and the same bits; a given number of threads is for one at a time."""
    table, here, both, begun = table_of(n_rows), threading.get_ident(), threading.Barrier(2), []
    for family in map(models.family, ("xgboost", "lightgbm")):
        fit_it = type(family).fit

        def noted(self, X, y, spec, fit_it=fit_it):
            begun.append((threading.get_ident() == here, spec.params["n_jobs"]))
            if not begun[-1][0]:
                both.wait(60)
            return fit_it(self, X, y, spec)

        monkeypatch.setattr(type(family), "fit", noted)

    def answers(**params):
        params = {"n_estimators": 20} | params
        recipe = models.Recipe("label", Kind.CLASSIFICATION, "boosters", params)
        return models.fit(table, recipe).predict_proba(table)

    together, apart = answers(), answers(n_jobs=1)
    np.testing.assert_array_equal(together, apart)
    assert begun == [(False, 1)] * 2 + [(True, 1)] * 2


def test_what_a_booster_refuses_at_the_same_time_is_said_in_one_line():
    """An error of one of two threads reaches the user as any other does."""
    recipe = models.Recipe("label", Kind.CLASSIFICATION, "boosters", {"lightgbm__num_leaves": -3})
    with pytest.raises(InputError, match=r"boosters .*num_leaves"):
        models.fit(table_of(300), recipe)


def test_few_rows_are_all_fitted(fits):
    """Below 2,000 rows none is spent on watching."""
    fit(table_of(1999))
    ((fitted, _, watched, _),) = fits
    assert len(fitted) == 1999 and len(watched) == 0


@pytest.mark.parametrize("n_rows", [600, 2400])
def test_stopping_early_keeps_the_best_round(n_rows):
    """Many rounds on noise end early, and the trees after the best one are gone."""
    table = table_of(n_rows)
    table["label"] = np.random.default_rng(0).permutation(table["label"])
    model = fit(table, n_estimators=300, learning_rate=0.5)
    assert model.estimator.get_booster().num_boosted_rounds() < 100


def test_a_class_of_one_row_is_fitted_not_watched(fits):
    """It stays known to the model: it has a label and a probability."""
    table = table_of(2400)
    table.loc[5, "label"] = "once"
    model = fit(table)
    assert model.classes == ("class 00", "class 01", "class 02", "once")
    (_, y, _, watched), _ = fits
    assert 3 in y and 3 not in watched


def test_classes_of_one_row_each_are_fitted():
    """Without any class to part, nothing is watched and fitting goes on."""
    table = table_of(510, n_classes=2).assign(label=[f"row {i}" for i in range(510)])
    model = fit(table, n_estimators=1, max_depth=1)
    assert model.predict_proba(table[:1]).shape == (1, 510)


def test_a_hundred_classes_of_a_few_rows_are_fitted():
    """Every class is among the fitted rows, though the watched part grows."""
    table = table_of(500, n_classes=100)
    model = fit(table, n_estimators=1)
    assert len(model.classes) == 100


def test_targets_that_cannot_be_learned_are_refused():
    """One class, and a missing target, are said in one line."""
    table = table_of()
    with pytest.raises(InputError, match="column 'label' holds one class only"):
        fit(table.assign(label="same"))
    with pytest.raises(InputError, match="1 rows have no 'label'"):
        fit(table.assign(label=table["label"].where(table.index > 0)))


def test_parameters_are_the_defaults_and_the_users():
    """What the user gives replaces a default; both are recorded."""
    model = fit(table_of(), max_depth=2)
    assert model.params == {
        **models.family("xgboost").defaults(model.kind, len(table_of())),
        **QUICK,
        "max_depth": 2,
    }


def test_an_unknown_family_is_named_with_the_known_ones():
    """A misspelt model fails with the fact and the fix."""
    with pytest.raises(
        InputError, match=r"unknown model 'xgbost'; did you mean 'xgboost'\? there are: .*xgboost"
    ):
        models.fit(table_of(), models.Recipe("label", Kind.CLASSIFICATION, family="xgbost"))


def test_a_model_is_registered_after_its_file_was_found_good(tmp_path, monkeypatch):
    """One that cannot be loaded again is no version, and no run."""
    from tasks.platform import tracking

    monkeypatch.setattr(tracking, "find_version", lambda *_: None)
    monkeypatch.setattr(tracking, "_register", lambda *_: pytest.fail("it was registered"))
    model = fit(table_of())
    monkeypatch.setattr(type(models.family(model.family)), "load", lambda *_: None)
    data = SimpleNamespace(problem="any", model_name="baton-any")
    with pytest.raises(InputError, match="cannot be loaded again"):
        tracking.register.fn(model, data, "key", {}, table_of(3))
