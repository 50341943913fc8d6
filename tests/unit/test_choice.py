"""What decides in a chain: by default, and as it is asked for."""

import numpy as np
import pandas as pd
import pytest

from baton import choice, options, problems
from baton.errors import InputError
from baton.evaluation import intervals, metrics
from baton.metric import Metric, names
from baton.terms import ROW, WEIGHT, Kind, Options


def test_a_rare_class_is_positive_and_average_precision_decides():
    """Whichever of the two comes first by name; and it is said."""
    values = pd.Series(["fraud"] * 5 + ["ok"] * 95)
    found = choice.by_default(Kind.CLASSIFICATION, "y", values)
    assert (found.headline, found.selection, found.positive) == (
        *["average_precision"] * 2,
        "fraud",
    )
    assert "5 % of the rows are of class 'fraud'" in found.notes[0]


def test_balanced_classes_show_accuracy_and_select_by_log_loss():
    """Of two classes and of more; a rare one of three changes nothing. Numbers go by the RMSE."""
    for labels in (["a", "b"] * 50, ["a", "b"] * 50 + ["c"]):
        found = choice.by_default(Kind.CLASSIFICATION, "y", pd.Series(labels))
        assert (found.headline, found.selection) == ("accuracy", "log_loss")
        assert found.positive is None
    assert choice.by_default(Kind.REGRESSION, "y", pd.Series([1.0])).headline == "rmse"


def facts(kind=Kind.CLASSIFICATION, two=("no", "yes"), undefined=(), **goal):
    own = {"kind": kind.value, "target": "y", "headline": "accuracy", "selection": "log_loss"}
    return {"goal": own | goal, "choice": {"two": list(two), "undefined": list(undefined)}}


def test_what_is_asked_for_decides_all():
    """The metric is headline and selection; the class is found whatever its case and type."""
    found = choice.settled(facts(), Options(metric="mcc", positive="NO"))
    assert found == {"headline": "mcc", "selection": "mcc", "positive": "no"}
    assert choice.settled(facts(two=[0, 1]), Options(positive="0"))["positive"] == 0
    assert choice.settled(facts(two=[False, True]), Options(positive="false"))["positive"] is False
    assert choice.settled(facts(positive="no"), Options()) == {
        "headline": "accuracy",
        "selection": "log_loss",
        "positive": "no",
    }


def test_an_undefined_metric_falls_back_and_says_so():
    """Held-out rows of one class have no ranking; equal numbers no R², zeros no MAPE."""
    gone = choice.undefined(Kind.CLASSIFICATION, ["a", "b"], ["a", "a"])
    assert set(gone) == {"mcc", "roc_auc", "average_precision"}
    assert choice.undefined(Kind.REGRESSION, [1.0], [0.0, 0.0]) == ["r2", "mape"]
    asked = Options(metric="roc_auc")
    found = choice.settled(facts(undefined=gone), asked)
    assert found["headline"] == "log_loss"
    (warned,) = choice.fallen_back(facts(), asked, found["headline"])
    assert "ROC AUC is not defined on the held-out rows, so log loss decides" in warned.message
    assert choice.fallen_back(facts(), Options(), "accuracy") == []


def test_what_stands_in_is_always_defined():
    """On rows of one class, of equal numbers, of zeros."""
    one = metrics.classification(["a", "a"], [[0.9, 0.1]] * 2, ["a", "b"])
    equal = metrics.regression([0.0, 0.0], [1.0, 2.0])
    for kind, found in ((Kind.CLASSIFICATION, one), (Kind.REGRESSION, equal)):
        gone = [name for name in names(kind) if name not in found]
        assert gone
        assert all(choice.nearest(name, gone) in found for name in names(kind))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"metric": "roc_acu"}, "did you mean 'roc_auc'"),
        ({"threshold": "recal@precision:0.9"}, "did you mean 'recall@precision'"),
        ({"threshold": "1.5"}, "threshold=1.5 cannot be read; it may be a number, f1"),
        ({"threshold": "recall@precision"}, "cannot be read"),
        ({"threshold": "cost:1"}, "cannot be read"),
        ({"threshold": "cost:-1,2"}, "cannot be read"),
        ({"interval": "1"}, "interval"),
        ({"calibrate": "perhaps"}, "calibrate"),
    ],
)
def test_what_cannot_be_read_is_refused_at_the_door(values, said):
    """In one line, before anything runs."""
    with pytest.raises(InputError) as error:
        options.parse(problems.get("table"), values)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("asked", "known", "said"),
    [
        ({"metric": "rmse"}, facts(), "metric rmse is for a regression"),
        ({"metric": "f1_macro"}, facts(Kind.REGRESSION, ()), "is for a classification"),
        ({"threshold": "f1"}, facts(Kind.REGRESSION, ()), "threshold: for classes"),
        ({"calibrate": True}, facts(Kind.REGRESSION, ()), "calibrate: for classes"),
        ({"threshold": "f1"}, facts(two=()), "threshold is for two classes, and 'y' has more"),
        ({"positive": "yse"}, facts(), "did you mean 'yes'? there are: no, yes"),
        ({"positive": "a"}, facts(two=()), "positive is for two classes"),
    ],
)
def test_what_is_for_another_kind_is_refused(asked, known, said):
    """In one line, with what there is instead."""
    with pytest.raises(InputError) as error:
        choice.settled(known, Options(**asked))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_the_kind_is_seen_before_the_table_is_read(tmp_path):
    """By the target's column alone, of a CSV and of a Parquet file."""
    problem = problems.get("table")
    table = pd.DataFrame({"x": np.arange(40.0) / 7, "y": ["a", "b"] * 20, "z": np.arange(40) / 3})
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        for target, kind in (("y", Kind.CLASSIFICATION), ("z", Kind.REGRESSION)):
            params = problems.parse(problem, {"path": tmp_path / name, "target": target})
            assert problem.kind(params) is kind
    assert problems.get("taxi").kind(problems.get("taxi").params()) is Kind.REGRESSION


def weighed(tmp_path, weights, **given):
    problem = problems.get("table")
    n = len(weights)
    table = pd.DataFrame({"x": np.arange(n) % 7, "w": weights, "y": ["a", "b"] * (n // 2)})
    table.to_csv(tmp_path / "t.csv", index=False)
    given = {"path": tmp_path / "t.csv", "target": "y", "weight": "w"} | given
    params = problems.parse(problem, given)
    problem.fingerprint(params)
    raw = problem.load(params)
    features = problem.features(raw, params)
    return features, problem.weights(features, raw, params), problem.goal(raw, params)


def test_weights_are_no_feature(tmp_path):
    """Each row has its own, and that is said."""
    features, found, goal = weighed(tmp_path, np.arange(40) / 2)
    assert list(features) == [ROW, "x", "y"]
    assert found.tolist() == (features[ROW] / 2).tolist()
    assert "rows count as 'w' says, which is no feature" in goal.notes
    assert WEIGHT not in features


@pytest.mark.parametrize(
    ("weights", "given", "said"),
    [
        ([-1.0, 2.0] * 20, {}, "weight 'w' is negative in 20 rows"),
        ([np.nan, 2.0] * 20, {}, "weight 'w' is missing in 20 rows"),
        ([0.0] * 40, {}, "weight 'w' is 0 in every row"),
        (["low", "high"] * 20, {}, "weight 'w' holds no numbers"),
        ([1.0, 2.0] * 20, {"weight": "y"}, "weight 'y' is the target"),
        ([1.0, 2.0] * 20, {"weight": "v"}, "weight 'v'"),
        ([1.0, 2.0] * 20, {"group": "w"}, "group and weight are both 'w'"),
    ],
)
def test_weights_that_are_none_are_refused(tmp_path, weights, given, said):
    """In one line."""
    with pytest.raises(InputError) as error:
        weighed(tmp_path, weights, **given)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_row_of_weight_two_counts_as_two(kind):
    """In every metric, and in the baseline."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 60) if kind is Kind.CLASSIFICATION else rng.normal(5, 1, 60)
    output = (
        rng.dirichlet(np.ones(3), 60) if kind is Kind.CLASSIFICATION else y + rng.normal(size=60)
    )
    weights = rng.integers(1, 3, 60)
    twice = np.repeat(np.arange(60), weights)
    found = metrics.evaluate(kind, y, output, range(3), weights=weights)
    expected = metrics.evaluate(kind, y[twice], output[twice], range(3))
    # the median of weighted rows is no mean of two
    assert dict(found) == pytest.approx(
        dict(expected), rel=0.05 if kind is Kind.REGRESSION else 1e-9
    )
    base = metrics.baseline(kind, y, y, range(3), weights=(weights, weights))
    likewise = metrics.baseline(kind, y[twice], y[twice], range(3))
    assert base == pytest.approx(likewise, rel=0.05 if kind is Kind.REGRESSION else 1e-9)


@pytest.mark.parametrize("kind", list(Kind))
def test_intervals_of_weighted_rows_are_about_the_weighted_metric(kind):
    """Equal weights change nothing but the draws; others move every interval to their metric."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400) if kind is Kind.CLASSIFICATION else rng.normal(5, 1, 400)
    p = np.clip(0.2 + 0.6 * y + rng.normal(0, 0.25, 400), 0.01, 0.99)
    output = np.stack([1 - p, p], 1) if kind is Kind.CLASSIFICATION else y + rng.normal(size=400)
    wrong = np.abs(y - (p if kind is Kind.CLASSIFICATION else output))
    weights = np.where(wrong > np.median(wrong), 5.0, 0.5)
    value = metrics.evaluate(kind, y, output, [0, 1], weights=weights)
    found = intervals.bootstrap(kind, y, output, [0, 1], weights=weights)
    plain = intervals.bootstrap(kind, y, output, [0, 1])
    assert set(found) == set(value)
    for name, (low, high) in found.items():
        assert low <= value[name] <= high, name
        assert high - low < 4 * (plain[name][1] - plain[name][0]) + 0.05, name
    name = Metric.LOG_LOSS if kind is Kind.CLASSIFICATION else Metric.MAE
    assert found[name][0] > plain[name][1]
