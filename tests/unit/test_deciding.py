"""How a model's output becomes an answer: threshold, calibration, intervals, the positive class."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn import metrics as theirs

from baton import models
from baton.bonds import bonds_of
from baton.errors import InputError
from baton.models import calibration, finishing, prediction_interval, threshold
from baton.models.answers import answer, output_of
from baton.terms import GROUP, TIME, WEIGHT, Kind

FEW_TREES = {"n_estimators": 40, "early_stopping": False}


def scored(n=400, seed=0, share=0.3):
    rng = np.random.default_rng(seed)
    is_positive = rng.random(n) < share
    return is_positive, expit(rng.normal(np.where(is_positive, 0.5, -1.5), 1.0)).round(2)


def every_threshold(proba):
    return np.append((np.unique(proba)[1:] + np.unique(proba)[:-1]) / 2, np.unique(proba)[0] / 2)


def test_f1_is_the_best_there_is():
    """No threshold between two scores has a higher F1, weights counted."""
    is_positive, proba = scored()
    weights = np.random.default_rng(1).random(len(proba))
    for counts in (None, weights):
        found = threshold.found("f1", is_positive, proba, counts)
        best = max(
            theirs.f1_score(is_positive, proba >= one, sample_weight=counts)
            for one in every_threshold(proba)
        )
        said = proba >= found.value
        assert theirs.f1_score(is_positive, said, sample_weight=counts) == pytest.approx(best)


def test_recall_is_the_most_at_the_precision_asked_for():
    """Precision holds, and no other threshold at which it does finds more."""
    is_positive, proba = scored()
    found = threshold.found("recall@precision:0.7", is_positive, proba)
    assert found.is_reached and found.precision >= 0.7
    others = [proba >= one for one in every_threshold(proba)]
    holding = [one for one in others if theirs.precision_score(is_positive, one) >= 0.7]
    assert found.recall == max(theirs.recall_score(is_positive, one) for one in holding)


def test_a_goal_that_no_threshold_reaches_is_said_so():
    """What comes nearest is taken."""
    is_positive = np.array([False, True] * 50)
    found = threshold.found("recall@precision:0.9", is_positive, np.linspace(0.9, 0.1, 100))
    assert not found.is_reached and "no threshold reaches" in str(found)


def test_costs_move_the_threshold_as_theory_says():
    """Of calibrated probabilities the cheapest threshold is FP / (FP + FN)."""
    rng = np.random.default_rng(0)
    proba = rng.random(200_000)
    is_positive = rng.random(len(proba)) < proba
    found = threshold.found("cost:1,4", is_positive, proba)
    assert found.value == pytest.approx(0.2, abs=0.03)
    assert threshold.found("0.35", is_positive, proba).value == 0.35


def test_calibration_finds_the_temperature():
    """Margins that were stretched by three are brought back, of two classes and of more."""
    rng = np.random.default_rng(0)
    for n_classes in (2, 4):
        margin = rng.normal(size=(20_000, n_classes))
        true = calibration.scaled(np.exp(margin) / np.exp(margin).sum(1, keepdims=True), 1.0)
        codes = (true.cumsum(1) < rng.random((len(true), 1))).sum(1)
        found = calibration.inverse_temperature(codes, calibration.scaled(true, 3.0))
        assert found == pytest.approx(1 / 3, rel=0.05)
        assert calibration.inverse_temperature(codes, true) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("spread", [np.ones_like, lambda x: 0.1 + x**2])
def test_intervals_hold_what_they_promise(spread):
    """On average over worlds, and of small and of large predictions alike."""
    held, of_large = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        predicted = rng.random(1500)
        actual = predicted + spread(predicted) * rng.gumbel(size=1500)
        found = prediction_interval.found(actual[:500], predicted[:500], 0.9)
        low, high = found.of(predicted[500:])
        held.append(prediction_interval.coverage(low, high, actual[500:]))
        large = predicted[500:] > 0.8
        of_large.append(prediction_interval.coverage(low[large], high[large], actual[500:][large]))
    assert np.mean(held) == pytest.approx(0.9, abs=0.015)
    assert np.mean(of_large) == pytest.approx(0.9, abs=0.04)


def test_intervals_of_few_rows_are_none():
    """Ten errors say nothing of one in twenty; nor do three customers."""
    values = np.arange(100.0)
    assert prediction_interval.found(values[:10], values[:10] + 1, 0.9) is None
    assert prediction_interval.found(values, values + 1, 0.9, units=np.arange(100) // 40) is None


def numbers(n=600, seed=0):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("abc"))
    return table.assign(y=table.a + rng.normal(0, 0.5, n))


def classes(n=600, seed=0):
    table = numbers(n, seed)
    return table.assign(y=np.where(table.y > 0.8, "bad", "good"))


def test_a_finished_model_of_numbers_has_ends(tmp_path):
    """Each prediction lies between them, nine of ten new rows do, and they are kept as JSON."""
    recipe = models.Recipe("y", Kind.REGRESSION, params=FEW_TREES)
    rows = numbers()
    found = models.finish(models.fit(rows, recipe), rows, recipe, models.Wanted(interval=0.9))
    found.save(tmp_path)
    loaded, new = models.load(tmp_path), numbers(3000, 1)
    columns = answer(loaded, output_of(loaded, new))
    low, high, value = (columns[name].to_numpy() for name in ("low", "high", "predicted"))
    assert (low <= value).all() and (value <= high).all()
    assert np.mean((low <= new.y) & (new.y <= high)) == pytest.approx(0.9, abs=0.03)
    assert loaded.deciding == found.deciding


@pytest.mark.parametrize("family", ["xgboost", "boosters", "random_forest"])
def test_a_finished_classifier_answers_by_its_threshold(family, tmp_path):
    """Labels of `predict` and of a table of answers are those of the threshold, loaded too."""
    params = {"n_estimators": 20}
    recipe = models.Recipe("y", Kind.CLASSIFICATION, family, params, positive="bad")
    rows = classes()
    wanted = models.Wanted(threshold="recall@precision:0.5", calibrate=True)
    found = models.finish(models.fit(rows, recipe), rows, recipe, wanted)
    assert found.classes == ("good", "bad")
    assert found.deciding.threshold.value < 0.5
    found.save(tmp_path)
    loaded, new = models.load(tmp_path), classes(300, 1)
    proba = loaded.predict_proba(new)
    said = np.where(proba[:, 1] >= found.deciding.threshold.value, "bad", "good")
    assert (loaded.predict(new) == said).all()
    assert (answer(loaded, proba)["predicted"].to_numpy(zero_copy_only=False) == said).all()
    assert (said != loaded._labels(proba.argmax(axis=1))).any()


def blend(recipe):
    """Two boosters of few trees and a straight line."""
    straight = "lasso" if recipe.kind is Kind.REGRESSION else "logistic_regression"
    each = {"xgboost": FEW_TREES, "lightgbm": FEW_TREES, straight: {}}
    members = tuple(
        models.Member(name, replace(recipe, family=name, params=params), weight)
        for (name, params), weight in zip(each.items(), (0.5, 0.3, 0.2), strict=True)
    )
    mixing = models.Mixing.NUMBERS if recipe.kind is Kind.REGRESSION else models.Mixing.MARGINS
    return models.Blend(members, mixing)


def answers_known(rows, recipe):
    """What ensembles that were fitted on half of the rows answer to the other half."""
    halves = np.arange(len(rows)) % 2
    places = [np.flatnonzero(halves == n) for n in (0, 1)]
    found = [
        output_of(models.fit_blend(rows.iloc[one], blend(recipe)), rows.iloc[other])
        for one, other in (places, places[::-1])
    ]
    return np.concatenate(places[::-1]), np.concatenate(found)


def test_an_ensemble_decides_by_what_its_members_answered(tmp_path):
    """Calibration and threshold are the mean's; they are kept, and a refit has them too."""
    recipe = models.Recipe("y", Kind.CLASSIFICATION, positive="bad")
    rows, new = classes(), classes(300, 1)
    plain = models.fit_blend(rows, blend(recipe))
    wanted = models.Wanted(threshold="recall@precision:0.5", calibrate=True)
    known = models.known(rows, recipe, *answers_known(rows, recipe))
    found = models.finish(plain, rows, recipe, wanted, known)
    stretch, goal = found.deciding.inverse_temperature, found.deciding.threshold
    odds = plain.predict_proba(new)
    margin = np.log(odds[:, 1]) - np.log(odds[:, 0])
    assert stretch != 1.0
    assert found.predict_proba(new)[:, 1] == pytest.approx(expit(stretch * margin), abs=1e-6)
    said = np.where(found.predict_proba(new)[:, 1] >= goal.value, "bad", "good")
    assert (found.predict(new) == said).all()
    assert (said != plain.predict(new)).any()
    found.save(tmp_path)
    loaded = models.load(tmp_path)
    assert loaded.deciding == found.deciding
    assert (loaded.predict(new) == said).all()
    assert models.settings_of(tmp_path) == ("ensemble", found.params)
    again = models.refitter(found, recipe)(rows)
    assert again.deciding == found.deciding
    assert again.classes == ("good", "bad")
    assert again.predict_proba(new) == pytest.approx(found.predict_proba(new), abs=1e-3)
    assert len(found.predict(new.head(0))) == 0


def test_an_ensemble_of_numbers_has_intervals():
    """They hold what they promise, on rows that none of its members has seen."""
    recipe = models.Recipe("y", Kind.REGRESSION)
    rows, new = numbers(), numbers(3000, 1)
    known = models.known(rows, recipe, *answers_known(rows, recipe))
    fitted = models.fit_blend(rows, blend(recipe))
    found = models.finish(fitted, rows, recipe, models.Wanted(interval=0.9), known)
    low, high = found.deciding.interval.of(found.predict(new))
    assert np.mean((low <= new.y) & (new.y <= high)) == pytest.approx(0.9, abs=0.04)


def test_of_rows_with_a_time_later_answers_count():
    """What answered the first of them had learned from few."""
    rows = numbers(100).assign(**{TIME: np.arange(100)[::-1]})
    recipe = models.Recipe("y", Kind.REGRESSION)
    found = models.known(rows, recipe, np.arange(100), rows["y"].to_numpy())
    assert sorted(found.actual) == sorted(rows["y"].head(40))


def test_calibration_leaves_the_margin_and_the_likeliest_class():
    """Only probabilities change; what trees add up to is what it was."""
    recipe = models.Recipe("y", Kind.CLASSIFICATION, params=FEW_TREES)
    rows = classes()
    plain = models.fit(rows, recipe)
    found = models.finish(plain, rows, recipe, models.Wanted(calibrate=True))
    stretch = found.deciding.inverse_temperature
    assert stretch != 1.0
    margin = plain.estimator.predict(plain.matrix(rows), output_margin=True)
    assert found.predict_proba(rows)[:, 1] == pytest.approx(expit(stretch * margin), abs=1e-6)
    assert (found.predict(rows) == plain.predict(rows)).all()


def test_the_positive_class_is_the_second():
    """Probabilities keep their labels whichever of the two is asked for."""
    rows = classes()
    recipe = models.Recipe("y", Kind.CLASSIFICATION, params=FEW_TREES)
    asked = models.Recipe("y", Kind.CLASSIFICATION, params=FEW_TREES, positive="bad")
    one, other = models.fit(rows, recipe), models.fit(rows, asked)
    assert (one.classes, other.classes) == (("bad", "good"), ("good", "bad"))
    assert one.predict_proba(rows)[:, 0] == pytest.approx(other.predict_proba(rows)[:, 1], abs=0.05)


def test_rows_out_of_fold_keep_groups_and_time_apart():
    """No answer is of a model that learned from the group, or from what came later."""
    rows, seen = numbers(200), []
    groups = np.arange(200) // 10
    recipe = models.Recipe("y", Kind.REGRESSION, params=FEW_TREES)
    by_group = rows.assign(**{GROUP: groups})
    fitted = models.fit(by_group, recipe)
    for learned, others in finishing._parts(by_group.y.to_numpy(), by_group, fitted, recipe):
        assert not set(groups[learned]) & set(groups[others])
        seen.extend(others)
    assert sorted(seen) == list(range(200))
    later = rows.assign(**{TIME: np.arange(200)})
    for learned, others in finishing._parts(later.y.to_numpy(), later, fitted, recipe):
        assert learned.max() < others.min()
    assert bonds_of(later).times is not None


def test_a_class_of_one_row_is_learned_by_every_model_out_of_fold():
    """So that all of them know the same classes."""
    rows = classes(60)
    rows.loc[7, "y"] = "odd"
    recipe = models.Recipe("y", Kind.CLASSIFICATION, params={"n_estimators": 5})
    found = finishing.out_of_fold(models.fit(rows, recipe), rows, recipe)
    assert found.output.shape == (59, 3)


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        ("xgboost", Kind.CLASSIFICATION),
        ("lightgbm", Kind.REGRESSION),
        ("random_forest", Kind.CLASSIFICATION),
        ("logistic_regression", Kind.CLASSIFICATION),
        ("lasso", Kind.REGRESSION),
        ("voting", Kind.REGRESSION),
        ("catboost", Kind.CLASSIFICATION),
        ("catboost", Kind.REGRESSION),
    ],
)
def test_rows_without_weight_say_nothing(family, kind):
    """With rows beside them that count nothing, a model is nearer to what it was than halfway."""
    rows = numbers(300) if kind is Kind.REGRESSION else classes(300)
    wrong = rows.assign(y=-10.0 if kind is Kind.REGRESSION else "good")
    both = pd.concat([rows, wrong], ignore_index=True)
    weighed = both.assign(**{WEIGHT: np.repeat([1.0, 0.0], 300)})
    recipe = models.Recipe("y", kind, family)
    alone, found, misled = (models.fit(one, recipe) for one in (rows, weighed, both))
    expected, said, other = (output_of(one, rows) for one in (alone, found, misled))
    assert WEIGHT not in found.encoder.column_names
    assert np.abs(said - expected).mean() < 0.5 * np.abs(other - expected).mean()


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("n", [600, pytest.param(2500, marks=pytest.mark.long)])
@pytest.mark.parametrize("family", ["xgboost", "lightgbm", "catboost"])
def test_the_metric_says_when_to_stop(family, n, kind):
    """Every metric is taken; one of ranks finds another number of trees than the loss."""
    rows = numbers(n) if kind is Kind.REGRESSION else classes(n)
    metrics = {
        Kind.REGRESSION: ["mae", "r2", "median_ae"],
        Kind.CLASSIFICATION: ["roc_auc", "brier"],
    }
    found = {
        name: models.fit(rows, models.Recipe("y", kind, family, metric=name))
        for name in (None, *metrics[kind], "mcc" if kind is Kind.CLASSIFICATION else "mape")
    }
    trees = {name: _n_trees(one) for name, one in found.items()}
    if kind is Kind.CLASSIFICATION:
        assert trees["roc_auc"] != trees[None]
        assert trees["mcc"] == trees[None]
    else:
        assert trees["r2"] == trees[None]


def _n_trees(model):
    return models.family(model.family).settled(model.estimator, {})["n_estimators"]


def test_a_metric_that_a_watched_part_leaves_undefined_stops_nothing():
    """Folds of groups of one class each have no ranking: the loss says when to stop."""
    rows = classes(300)
    hanging = rows.assign(**{GROUP: rows.y})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONWARNINGS", "error")
        model = models.fit(
            hanging, models.Recipe("y", Kind.CLASSIFICATION, "xgboost", metric="roc_auc")
        )
    assert _n_trees(model) >= 1


def test_an_unknown_metric_is_refused():
    """In one line, with what was meant."""
    with pytest.raises(InputError, match="did you mean 'rmse'"):
        models.fit(numbers(50), models.Recipe("y", Kind.REGRESSION, metric="rmsee"))
