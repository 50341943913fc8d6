"""The default model on public tables, read and split as `baton run table` does.

All twelve, with seconds and errors, are measured by ``benchmarks/tables.py``.
"""

import pytest

from baton import models, problems
from baton.evaluation import metrics
from baton.models.answers import output_of
from baton.terms import ROW, Quality


def scored(shared, file, target, metric, quality=Quality.GOOD):
    """Metric on the held-out rows of seed 0."""
    problem = problems.get("table")
    params = problems.parse(problem, {"path": str(shared("tables") / file), "target": target})
    raw = problem.load(params)
    goal, table = problem.goal(raw, params), problem.features(raw, params)
    split = problem.split(table, raw, params)
    rows = table.drop(columns=ROW)
    recipe = models.Recipe(target, goal.kind, family=quality.family)
    model, held = models.fit(rows[split == "train"], recipe), rows[split == "test"]
    return metrics.score(metric, held[target].to_numpy(), output_of(model, held), model.classes)


def test_a_name_of_three_hundred_values_does_no_harm(shared):
    """Miles per gallon, the name kept: 2.68, where codes for the names gave 6.68."""
    assert scored(shared, "mpg.csv", "mpg", "rmse") <= 2.7


@pytest.mark.parametrize(
    "quality",
    [one if one is Quality.GOOD else pytest.param(one, marks=pytest.mark.long) for one in Quality],
)
def test_messages_are_told_apart_by_their_words(shared, quality):
    """A table of nothing but text: an AUC of .99."""
    assert scored(shared, "sms_spam.tsv", "label", "roc_auc", quality) > 0.985


def test_rare_classes_do_not_ruin_the_log_loss(shared):
    """Seven qualities of wine, one of them five times in 4,898 rows: .892, plain XGBoost .937."""
    file, target = "wine_quality_white.csv", "quality"
    assert scored(shared, file, target, "log_loss") < 0.92
    assert scored(shared, file, target, "log_loss", Quality.FAST) < 0.937
