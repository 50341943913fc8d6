"""The default model on a table that has everything: its explanations are exact."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from sklearn.inspection import permutation_importance as theirs

from baton import models
from baton.evaluation import importance, metrics
from baton.evaluation.shapley import margin, shap_values
from baton.models.answers import output_of
from baton.terms import Kind, Quality

TASKS = ("binary", "classes", "regression", "large numbers")


@cache
def fitted(task):
    """A table of text, levels few and many, dates, flags and holes, and what is learnt of it."""
    random, n = np.random.default_rng(5), 240
    size, is_new = random.normal(size=n), random.random(n) < 0.5
    town, colour = random.integers(0, 40, n), random.integers(0, 3, n)
    when = pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 9000, n), "h")
    notes = [
        f"{'a very good one' if one > 0 else 'not so good'}, number {place}"
        for place, one in enumerate(size)
    ]
    table = pd.DataFrame(
        {
            "size": np.where(random.random(n) < 0.3, np.nan, size),
            "note": pd.Series(notes).where(random.random(n) > 0.1),
            "town": pd.Categorical([f"town {one}" for one in town]),
            "colour": pd.Categorical(np.array(["red", "green", "blue"])[colour]),
            "when": pd.Series(when).where(random.random(n) > 0.1),
            "is_new": is_new,
        }
    )
    value = size + (town % 7) / 3 + colour * is_new + (when.month > 6)
    label = {
        "binary": np.where(value > np.median(value), "yes", "no"),
        "classes": pd.qcut(value, 3, labels=list("abc")).astype(object),
        "regression": value,
        "large numbers": 1e6 * (5 + value),
    }[task]
    is_number = task in ("regression", "large numbers")
    kind = Kind.REGRESSION if is_number else Kind.CLASSIFICATION
    table = table.assign(label=label)
    recipe = models.Recipe("label", kind, Quality.GOOD.family, {"n_estimators": 60})
    return table, models.fit(table, recipe)


@pytest.mark.parametrize("task", TASKS)
def test_shapley_values_add_up(task):
    """To the margin within 1e-4, of numbers in the millions within 1e-6 of them; all columns."""
    table, model = fitted(task)
    found = shap_values(model, table[:30])
    assert found.features == tuple(table.columns.drop("label"))
    sums = found.values.sum(axis=1) + found.base_values
    rtol = 1e-6 if task == "large numbers" else 0
    np.testing.assert_allclose(sums, margin(model, table[:30]), rtol=rtol, atol=1e-4)
    assert (np.abs(found.values).max(axis=(0, 2)) > 0).all()


@pytest.mark.parametrize("task", ["binary", "classes", "regression"])
def test_permutation_importances_are_scikit_learns(task):
    """A text, its words in many columns of the matrix, is shuffled as the one column it is."""
    table, model = fitted(task)
    X, y = table.drop(columns="label"), table["label"]
    metric = "rmse" if task == "regression" else "log_loss"

    def score(_, rows, actual):
        output = output_of(model, rows)
        return -metrics.score(metric, np.asarray(actual), output, model.classes)

    class Facade:
        def fit(self):
            """Look like an estimator."""

    found = importance.permutation_importance(model, X, y, metric, 2, 5)
    expected = theirs(Facade(), X, y, n_repeats=2, random_state=5, scoring=score)
    np.testing.assert_allclose(found.raw, expected.importances, atol=1e-12)
    assert found.mean.max() > 0.01
