"""Metrics of rows that are gone through part by part."""

import numpy as np
import pytest

from baton.evaluation.metrics import evaluate
from baton.evaluation.tally import APPROXIMATE, Tally
from baton.terms import Kind


def added(kind, classes, y, output, **more):
    """Scores of rows that are taken some hundred at a time."""
    tally = Tally(kind, classes)
    for begin in range(0, len(y), 700):
        some = slice(begin, begin + 700)
        others = {name: None if one is None else one[some] for name, one in more.items()}
        tally.add(y[some], output[some], **others)
    return tally.scores()


def agree(found, wanted):
    """All is the same to rounding, or as near as bins are where all rows would be sorted."""
    assert list(found) == list(wanted)
    for name, value in wanted.items():
        apart = 3e-4 if name in APPROXIMATE else 1e-9
        assert found[name] == pytest.approx(value, rel=apart, abs=1e-12), name


@pytest.mark.parametrize("is_weighed", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3, 30])
def test_metrics_of_classes_agree_with_those_of_all_rows_in_memory(n_classes, is_weighed):
    """Probabilities near 0 and 1 among them, weights, and labels chosen by a threshold."""
    random = np.random.default_rng(n_classes)
    y = random.integers(0, n_classes, 5_000)
    margin = random.normal(size=(5_000, n_classes)) * 3
    margin[np.arange(5_000), y] += 4
    proba = np.exp(margin) / np.exp(margin).sum(axis=1, keepdims=True)
    weights = random.uniform(0, 3, 5_000) if is_weighed else None
    said = random.integers(0, n_classes, 5_000)
    classes = tuple("abcdefghijklmnopqrstuvwxyzABCD"[:n_classes])
    labels = np.array(classes)
    for y_pred in (None, labels[said]):
        wanted = evaluate(
            Kind.CLASSIFICATION, labels[y], proba, classes, y_pred=y_pred, weights=weights
        )
        found = added(
            Kind.CLASSIFICATION, classes, labels[y], proba, y_pred=y_pred, weights=weights
        )
        agree(found, wanted)


def test_a_class_that_the_model_never_saw_counts():
    """Whichever part it first comes in."""
    y = np.array(["a", "b"] * 700 + ["new", "a", "other", "b"] * 50)
    proba = np.random.default_rng(0).dirichlet([1, 1], len(y))
    wanted = evaluate(Kind.CLASSIFICATION, y, proba, ("a", "b"))
    agree(added(Kind.CLASSIFICATION, ("a", "b"), y, proba), wanted)


@pytest.mark.parametrize("is_weighed", [False, True])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_metrics_of_numbers_agree_with_those_of_all_rows_in_memory(offset, is_weighed):
    """Of targets that are far from zero, too."""
    random = np.random.default_rng(1)
    y = random.normal(size=4_999) + offset
    said = y + random.standard_t(3, 4_999)
    weights = random.uniform(0, 3, 4_999) if is_weighed else None
    wanted = evaluate(Kind.REGRESSION, y, said, weights=weights)
    agree(added(Kind.REGRESSION, (), y, said, weights=weights), wanted)


@pytest.mark.parametrize("y", [np.full(900, 3.0), np.array([0.0, 1.0] * 450)])
def test_what_is_not_defined_is_left_out(y):
    """R² where all targets are equal, MAPE where one is zero."""
    said = y + 0.5
    agree(added(Kind.REGRESSION, (), y, said), evaluate(Kind.REGRESSION, y, said))


def test_no_row_has_no_metric():
    """As where rows are in memory."""
    assert Tally(Kind.REGRESSION).scores() == {}
    assert Tally(Kind.CLASSIFICATION, (0, 1)).scores() == {}
