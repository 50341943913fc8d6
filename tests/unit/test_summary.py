"""What was learnt, in plain words: true of whatever was found."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from baton.chain.events import DatasetReady
from baton.evaluation import intervals, measured, metrics
from baton.evaluation.shapley import ShapValues, global_importance
from baton.evaluation.validation import CrossValidation
from baton.showing.findings import Findings
from baton.showing.summary import summary
from baton.terms import ROW, Kind
from baton.warning import DataWarning, WarningKind

REF = {"key": "table/0123456789abcdef/raw.parquet", "digest": "ab" * 32, "n_rows": 1}


def found(actual, output, features, shap, classes=(), train=None, headline="", warnings=()):
    """Findings of one model: its answers, its columns and their Shapley values."""
    kind = Kind.CLASSIFICATION if classes else Kind.REGRESSION
    headline = headline or ("accuracy" if classes else "rmse")
    rows = pd.DataFrame(features).assign(y=actual)
    rows.insert(0, ROW, np.arange(len(rows)))
    shap = np.asarray(shap, dtype=float)
    shown = classes if shap.shape[2] > 1 else classes[1:]
    values = ShapValues(shap, np.zeros(shap.shape[2]), tuple(features), tuple(shown))
    lines = measured.metric_lines(
        metrics.evaluate(kind, actual, output, classes),
        intervals.bootstrap(kind, actual, output, classes),
        metrics.baseline(kind, actual if train is None else train, actual, classes),
        CrossValidation({}),
    )
    data = DatasetReady(
        chain="0123456789ab",
        problem="table",
        raw=REF,
        features=REF,
        kind=kind,
        target="y",
        headline=headline,
        n_train=1,
        n_test=len(rows),
    )
    return Findings(
        data=data,
        reference=None,
        model=SimpleNamespace(
            classes=classes, labels=lambda proba: np.asarray(classes)[proba.argmax(axis=1)]
        ),
        facts={},
        rows=rows,
        output=output,
        lines=lines,
        permuted=None,
        shap=values,
        shap_global=global_importance(values),
        shap_rows=frozenset(range(len(rows))),
        warnings=warnings,
    )


def numbers(n=400, noise=1.0, **more):
    """A regression that rests on `up`, then on `down`; errors grow with the prediction."""
    random = np.random.default_rng(0)
    up, down = random.uniform(0, 10, n), random.uniform(0, 10, n)
    output = 3 * up - down
    actual = output + noise * random.normal(size=n) * np.where(output > 20, 3, 1)
    shap = np.stack([3 * up - 15, 5 - down], axis=1)[:, :, None]
    return found(actual, output, {"up": up, "down": down}, shap, **more)


def shares(codes, sure=0.9, k=3):
    """Probabilities that name these classes."""
    proba = np.full((len(codes), k), (1 - sure) / (k - 1))
    proba[np.arange(len(codes)), codes] = sure
    return proba


def classified(actual, predicted, classes=("a", "b", "c"), **more):
    """Classes of one column `x`."""
    actual, predicted = np.asarray(actual), np.asarray(predicted)
    n, k = len(actual), len(classes)
    x = np.random.default_rng(0).normal(size=n)
    shap = np.repeat(x[:, None, None], k if k > 2 else 1, axis=2)
    labels = np.asarray(classes)[actual]
    return found(labels, shares(predicted, k=k), {"x": x}, shap, tuple(classes), **more)


def test_numbers_have_unit_baseline_drivers_and_weakest_range():
    """The error in the target's unit, what it rests on and which way, where it errs most."""
    said = summary(numbers())
    assert said.startswith("Predictions of 'y' are typically off by 1.5")
    assert "in its own unit (RMSE of 400 held-out rows, 95 % interval 1." in said
    assert "always predicting the mean would be off by 9." in said
    assert "% less error: the columns tell of 'y'." in said
    assert (
        "It rests on 'up' (the higher, the higher the prediction) and 'down' (the higher, the lower"
        " the prediction), strongest first." in said
    )
    assert "It is weakest where it predicts 18.7 or more: there it is off by 1." in said
    assert "uncertain" not in said


def test_a_column_that_pushes_both_ways_has_no_direction():
    """Nor has a category, or a column whose pushes say nothing."""
    x = np.random.default_rng(0).normal(size=300)
    kinds = pd.Categorical(np.where(x > 0, "p", "q"))
    shap = np.stack([x**2, x / 2], axis=1)[:, :, None]
    said = summary(found(x**2 + x / 2, x**2 + x / 2 + 0.01, {"x": x, "kind": kinds}, shap))
    assert "It rests on 'x' and 'kind', strongest first." in said


def test_two_classes_are_told_by_the_likelier_one():
    """The direction is that of the second class."""
    random = np.random.default_rng(0)
    x = random.normal(size=500)
    actual = (x + random.normal(size=500) / 2 > 0).astype(int)
    chance = 1 / (1 + np.exp(-4 * x))
    labels = np.asarray(["no", "yes"])[actual]
    proba = np.column_stack([1 - chance, chance])
    said = summary(found(labels, proba, {"x": x}, x[:, None, None], ("no", "yes")))
    assert said.startswith("Of 500 held-out rows, 8")
    assert "always naming the most frequent class would be right in 5" in said
    assert "Only 'x' (the higher, the more likely 'yes') moves its predictions." in said
    assert "Its most frequent mistake: " in said


def test_several_classes_name_the_most_frequent_mistake_and_the_lost():
    """A class of which no row is found is said to be lost."""
    actual = np.repeat([0, 1, 2], [100, 100, 6])
    predicted = actual.copy()
    predicted[:7] = 1
    predicted[-6:] = 0
    said = summary(classified(actual, predicted))
    assert "None of the 6 rows of 'c' is found." in said
    assert "Its most frequent mistake: 7 of 100 rows of 'a' taken for 'b'." in said
    assert "Only 'x' moves its predictions." in said


def test_what_is_of_a_sample_says_so():
    """Metrics of a table beyond memory are of all rows, and the mistakes of those at hand."""
    actual = np.repeat([0, 1, 2], [100, 100, 6])
    predicted = np.where(np.arange(206) < 7, 1, actual)
    predicted[-6:] = 0
    some = classified(actual, predicted)
    said = summary(replace(some, data=some.data.model_copy(update={"n_test": 5_000})))
    assert "None of the 6 rows of 'c' is found, in a sample of 206." in said
    assert "7 of 100 rows of 'a' taken for 'b', in a sample of 206." in said
    assert "sample" not in summary(some)
    ours = numbers()
    said = summary(replace(ours, data=ours.data.model_copy(update={"n_test": 5_000})))
    assert ", elsewhere by " in said and ", in a sample of 400." in said


def test_a_useless_model_is_called_one():
    """What it rests on is no finding, and nothing is called clearly better."""
    random = np.random.default_rng(0)
    said = summary(classified(random.integers(0, 2, 300), random.integers(0, 2, 300), ("n", "y")))
    assert "not clearly better" in said or "That is worse: do not use the model." in said
    assert "What it rests on is then no finding." in said
    assert "moves its predictions" not in said


def test_a_model_that_is_worse_than_the_mean_is_not_to_be_used():
    """The whole interval is on the wrong side."""
    random = np.random.default_rng(0)
    x = random.normal(size=300)
    said = summary(found(random.normal(size=300), 5 * x, {"x": x}, x[:, None, None]))
    assert "That is worse: do not use the model." in said


def test_accuracy_alone_does_not_call_a_ranking_useless():
    """Of rare positives none is named, and yet they are told apart."""
    random = np.random.default_rng(0)
    actual = (np.arange(2000) % 50 == 0).astype(int)
    chance = np.clip(0.02 + 0.3 * actual + 0.03 * random.random(2000), 0, 0.49)
    labels = np.asarray(["no", "yes"])[actual]
    proba = np.column_stack([1 - chance, chance])
    said = summary(found(labels, proba, {"x": chance}, chance[:, None, None], ("no", "yes")))
    assert "By that alone the model is of no use, but its ROC AUC of 1 is clearly better" in said
    assert "None of the 40 rows of 'yes' is found." in said


@pytest.mark.parametrize("n", [12, 300])
def test_a_perfect_score_is_one_and_no_more(n):
    """No mistake is made up; few rows are said to be few."""
    actual = np.arange(n) % 3
    said = summary(classified(actual, actual))
    assert f"Of {n} held-out rows, all are classified right (accuracy 1, 95 % interval 0." in said
    assert "mistake: " not in said
    assert ("With so few rows held out, every number here is uncertain." in said) == (n == 12)


def test_perfect_numbers_have_no_weakest_range():
    """Nor a largest error; few rows with errors have one."""
    assert "off by 0 in its own unit" in summary(numbers(noise=0.0))
    assert "weakest" not in summary(numbers(noise=0.0))
    said = summary(numbers(n=30))
    assert "Its largest error is " in said
    assert "uncertain" in said


def test_a_leak_is_said_beside_the_score():
    """By its columns."""
    leak = DataWarning(WarningKind.LEAK, ("one", "two"), "…")
    said = summary(numbers(warnings=(leak,)))
    assert said.endswith(
        "But 'one', 'two' give 'y' away: the score says nothing of rows of which that is not known."
    )


def test_a_model_that_nothing_moves_has_no_driver():
    """Every Shapley value is zero."""
    random = np.random.default_rng(0)
    y = random.normal(size=200)
    said = summary(found(y, 0.9 * y, {"x": y}, np.zeros((200, 1, 1))))
    assert "No column moves its predictions." in said


@pytest.mark.parametrize("headline", [m for m in metrics.Metric if m not in ("mape",)])
def test_every_metric_can_be_the_one_that_decides(headline):
    """It is named first, or, where it is of the other kind, the first that is defined."""
    actual = np.arange(300) % 3
    predicted = np.where(np.arange(300) % 10, actual, 0)
    for one in (classified(actual, predicted, headline=headline), numbers(headline=headline)):
        said = summary(one)
        assert "clearly better" in said
        if headline in one.values:
            assert metrics.INFO[headline].label in said.split(".  ")[0]


def test_one_held_out_row_breaks_nothing():
    """There is no interval then."""
    x = np.ones(1)
    assert "uncertain" in summary(found(x, x + 1, {"x": x}, x[:, None, None]))
