"""Whether a model is of use, by what was measured."""

import numpy as np
import pytest

from baton.evaluation import intervals, measured, metrics
from baton.evaluation.measured import MetricLine
from baton.evaluation.usefulness import useless
from baton.evaluation.validation import CrossValidation
from baton.terms import Kind
from baton.warning import WarningKind


def lines(kind, actual, output, classes=()):
    """What an evaluation measures, the training rows' target being the same."""
    return measured.metric_lines(
        metrics.evaluate(kind, actual, output, classes),
        intervals.bootstrap(kind, actual, output, classes),
        metrics.baseline(kind, actual, actual, classes),
        CrossValidation({}),
    )


def of_classes(strength, share=0.5, n=800, seed=0):
    """Probabilities of two classes that know the class so well."""
    random = np.random.default_rng(seed)
    yes = random.random(n) < share
    logit = np.log(share / (1 - share)) + strength * (yes - share) + random.normal(size=n)
    chance = 1 / (1 + np.exp(-logit))
    return lines(
        Kind.CLASSIFICATION, yes.astype(int), np.column_stack([1 - chance, chance]), [0, 1]
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_model_of_a_random_target_is_useless(seed):
    """Said with the score, its interval and the baseline's."""
    (found,) = useless("accuracy", "y", of_classes(0.0, seed=seed))
    assert (found.kind, found.columns) == (WarningKind.USELESS, ())
    assert "95 % interval" in found.message
    assert "'y'" in found.message


def test_a_model_that_knows_something_is_not():
    """By the metric that decides."""
    assert useless("accuracy", "y", of_classes(2.0)) == []


def test_a_rare_class_that_is_ranked_well_is_of_use():
    """Though accuracy is that of saying always the other class."""
    found = of_classes(1.5, share=0.03, n=3000)
    accuracy = next(line for line in found if line.metric == "accuracy")
    assert accuracy.low <= accuracy.baseline
    assert useless("accuracy", "y", found) == []


def test_numbers_no_better_than_their_mean_are_useless():
    """By RMSE and R²."""
    random = np.random.default_rng(0)
    y = random.normal(size=500)
    noise = random.normal(scale=0.2, size=500)
    assert useless("rmse", "y", lines(Kind.REGRESSION, y, noise))
    assert useless("rmse", "y", lines(Kind.REGRESSION, y, 0.7 * y + noise)) == []


def test_a_score_without_a_baseline_is_not_judged():
    """Nothing is said of what is not known."""
    assert useless("rmse", "y", [MetricLine("rmse", 1.0)]) == []
