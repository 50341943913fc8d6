"""Candidates that are compared: from a chain's options to model, leaderboard and page."""

import asyncio
import logging

import numpy as np
import pandas as pd
import pytest

from baton import models, selection
from baton.lineage import lineage_of
from baton.terms import Options
from flows.evaluate import evaluate
from flows.generate import generate
from flows.train import train
from flows.tune import tune
from tasks.comparison import plan_comparison
from tasks.data import dataset_ready, plan_dataset
from tasks.evaluation import EvaluationPlan
from tasks.platform import results
from tasks.platform.tracking import load_model
from tasks.reporting import ReportPlan, model_evaluated
from tasks.training import TrainingPlan, model_trained
from tasks.tuning import plan_search, study_finished

pytestmark = pytest.mark.usefixtures("prefect")

CHAIN = "0123456789ab"
BRIEFLY = {"n_repeats": 1, "importance_rows": 20, "explain_rows": 5}


@pytest.fixture
def table(tmp_path):
    """A file of two numbers that matter in a straight line, and noise."""
    random = np.random.default_rng(0)
    rows = pd.DataFrame(random.normal(size=(160, 3)), columns=list("abc"))
    rows["y"] = 3 * rows["a"] + rows["b"] + 0.1 * random.normal(size=160)
    rows.to_csv(tmp_path / "it.csv", index=False)
    return {"path": str(tmp_path / "it.csv"), "target": "y"}


def run(flow, *arguments):
    """Run a stage; return the name of its state."""

    async def made():
        return (await flow(*arguments, return_state=True)).name

    return asyncio.run(made())


def ready(table, **options):
    """A data set that is made, of a chain of these options."""
    asked = Options(**BRIEFLY | options)
    run(generate, "table", table, asked)
    return dataset_ready(plan_dataset("table", table, asked, CHAIN))


@pytest.fixture
def few(monkeypatch):
    """A portfolio of few trees, so that trying it does not take long."""

    def portfolio(kind):
        known = {"n_estimators": 15, "early_stopping": False}
        return (
            selection.Candidate("xgboost", "xgboost", known),
            selection.Candidate("lightgbm", "lightgbm", known),
            selection.Candidate("lasso", "lasso", {}),
        )

    monkeypatch.setattr(selection, "portfolio", portfolio)


def test_the_best_goes_on_where_it_ended_and_is_shown(table, few, monkeypatch, caplog):
    """What was answered is found again; the ensemble is registered, explained and on the page."""
    data = ready(table, quality="best", minutes=10)
    plan = plan_comparison(data)
    with monkeypatch.context() as broken:
        broken.setattr("flows.train.compare_candidates", lambda plan: 1 / 0)
        assert run(train, data) == "Failed"
    before = {one: results.path_of(one.key).stat().st_mtime_ns for one in map(_table, plan.done)}
    assert len(before) == 3

    with caplog.at_level(logging.INFO, logger="tasks"):
        assert run(train, data) == "Completed"
    assert before == {one: results.path_of(one.key).stat().st_mtime_ns for one in before}
    trained = model_trained(TrainingPlan(data, plan_comparison(data)))
    lines = selection.of_table(results.read(trained.leaderboard))
    by_name = {line.candidate: line for line in lines}
    assert set(by_name) >= {"xgboost", "lightgbm", "lasso", "good"}
    assert by_name["good"].is_behind
    assert by_name["lasso"].weight > 0.5
    assert "which is more than noise" in caplog.text

    model = load_model.fn(trained.model)
    assert model.family in {"lasso", "ensemble"}
    assert model.explain is not models.Explain.ANY
    assert run(evaluate, trained) == "Completed"
    found = ReportPlan(EvaluationPlan(trained))
    page = found.path.read_text("utf-8")
    assert '<h2 id="leaderboard">' in page
    assert "3 of 3 candidates" in page
    assert "-p quality=best" in page
    assert "model=boosters" not in page
    assert model_evaluated(found).scores["r2"] > 0.95
    assert run(train, data) == "Cached"


def _table(plan):
    return plan.table("out_of_fold")


def test_several_families_are_searched_within_a_time_and_ranked(table):
    """One study, ended by time; what it found stands beside what it began with."""
    families = ("lasso", "decision_tree")
    data = ready(table, compare=families, tune=True, minutes=0.02)
    assert run(tune, data) == "Completed"
    search = plan_search(data)
    lines = results.read(search.table("trials"))
    assert 1 <= lines.num_rows < 200
    assert lines["param_model"][0].as_py() == "lasso"
    changed = study_finished(search).data
    assert changed.options.model == "lasso"
    assert set(changed.options.model_params) <= {"alpha"}
    assert run(train, changed) == "Completed"
    trained = model_trained(TrainingPlan(changed, plan_comparison(changed)))
    ranked = results.read(trained.leaderboard)
    assert set(ranked["candidate"].to_pylist()) == {"lasso, tuned", "lasso", "decision_tree"}
    assert load_model.fn(trained.model).family == "lasso"
    assert lineage_of(ranked.schema)["n_tried"] == 3
