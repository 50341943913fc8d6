"""Whether a model got worse, once the labels of new rows have come."""

import numpy as np
import pytest

from baton.evaluation.labelled import FEWEST, Held, judge
from baton.metric import Metric
from baton.terms import Kind

ALIKE = Held(Metric.RMSE, 1.0, (0.9, 1.1))


def _judged(n_rows, spread, held=ALIKE, seed=0):
    random = np.random.default_rng(seed)
    actual = random.normal(size=n_rows)
    output = actual + random.normal(scale=spread, size=n_rows)
    return judge(Kind.REGRESSION, actual, output, (), y_pred=None, held=held)


@pytest.mark.parametrize(("spread", "is_worse"), [(0.5, False), (1.0, False), (1.6, True)])
def test_a_model_got_worse_where_its_intervals_lie_apart(spread, is_worse):
    """Better, alike and clearly worse; the reason names both values."""
    found = _judged(400, spread)
    assert found.is_worse is is_worse
    assert found.reason.startswith("rmse ")
    assert "on 400 labelled rows, 1 (0.9 to 1.1) when it was evaluated" in found.reason


def test_a_greater_value_may_be_the_better_one():
    """An accuracy that fell is worse, one that rose is not."""
    classes, actual = ("a", "b"), np.array(["a", "b"] * 100)
    for right, is_worse in ((0.95, False), (0.5, True)):
        said = np.where(np.arange(200) < 200 * right, actual, np.where(actual == "a", "b", "a"))
        output = np.column_stack([said == "a", said == "b"]).astype(float)
        held = Held(Metric.ACCURACY, 0.9, (0.85, 0.94))
        found = judge(Kind.CLASSIFICATION, actual, output, classes, y_pred=said, held=held)
        assert found.is_worse is is_worse, right


def test_few_labels_do_not_say_that_a_model_got_worse():
    """Nor does a model whose own interval is not known."""
    assert not _judged(FEWEST - 1, 5.0).is_worse
    assert _judged(FEWEST, 5.0).is_worse
    assert not _judged(400, 5.0, Held(Metric.RMSE, 1.0, None)).is_worse


def test_a_model_that_is_as_it_was_is_seldom_said_to_be_worse():
    """Of 100 draws like those that it was evaluated on, at most three."""
    worse = 0
    for seed in range(100):
        before = _judged(200, 1.0, seed=seed)
        held = Held(Metric.RMSE, before.scores["rmse"], before.intervals["rmse"])
        worse += _judged(200, 1.0, held, seed=1000 + seed).is_worse
    assert worse <= 3
