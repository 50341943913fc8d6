"""Candidates that are compared: from a chain's options to model, leaderboard and page."""

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from baton import models, selection
from baton.lineage import lineage_of
from baton.models.mixing import mixed
from baton.terms import Kind, Options, Split
from flows.evaluate import evaluate
from flows.generate import generate
from flows.train import train
from flows.tune import tune
from tasks import comparison
from tasks.comparison import plan_comparison
from tasks.data import dataset_ready, plan_dataset
from tasks.evaluation import EvaluationPlan
from tasks.platform import results
from tasks.platform.tracking import load_model
from tasks.reporting import ReportPlan, model_evaluated
from tasks.rows import read_training_rows, read_weights
from tasks.training import TrainingPlan, model_trained
from tasks.tuning import plan_search, study_finished
from tests.integration.stages import run

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
    assert model.deciding.interval.level == 0.9
    assert run(evaluate, trained) == "Completed"
    found = ReportPlan(EvaluationPlan(trained))
    page = found.path.read_text("utf-8")
    assert '<h2 id="leaderboard">' in page
    assert "3 of 3 candidates" in page
    assert "-p quality=best" in page
    assert "model=boosters" not in page
    evaluated = model_evaluated(found)
    assert evaluated.scores["r2"] > 0.95
    assert evaluated.coverage.held_out > 0.6
    assert run(train, data) == "Cached"


def _table(plan):
    return plan.table("out_of_fold")


def test_an_ensemble_of_classes_is_ranked_by_what_was_asked_for_and_decides_by_it(
    tmp_path, table, monkeypatch, caplog
):
    """Positive class, metric and weights reach candidates and ranking; the ensemble its threshold.

    Nothing is fitted for the threshold: what candidates answered out of fold is taken.
    """
    random = np.random.default_rng(0)
    rows = pd.DataFrame(random.normal(size=(300, 3)), columns=list("abc"))
    is_bad = rows["a"] + rows["b"] * rows["c"] + random.normal(0, 0.5, 300) > 0.8
    rows.assign(y=np.where(is_bad, "bad", "good"), w=random.random(300) + 0.5).to_csv(
        tmp_path / "classes.csv", index=False
    )
    known = {"n_estimators": 15, "early_stopping": False}
    candidates = (
        selection.Candidate("xgboost", "xgboost", known),
        selection.Candidate("lightgbm", "lightgbm", known),
        selection.Candidate("logistic_regression", "logistic_regression", {}),
    )
    blended = selection.Choice(
        {"xgboost": 0.75, "logistic_regression": 0.25}, models.Mixing.MARGINS, None
    )
    monkeypatch.setattr(selection, "portfolio", lambda kind: candidates)
    monkeypatch.setattr("baton.selection.ranking.choose_blend", _always(blended))
    monkeypatch.setattr("baton.models.finishing.fit_settled", lambda *_: 1 / 0)
    data = ready(
        {"path": str(tmp_path / "classes.csv"), "target": "y", "weight": "w"},
        quality="best",
        minutes=10,
        metric="roc_auc",
        positive="bad",
        threshold="f1",
        calibrate=True,
        folds=2,
    )
    assert run(train, data) == "Completed"
    plan = plan_comparison(data)
    trained = model_trained(TrainingPlan(data, plan))
    ranked = results.read(trained.leaderboard)
    assert lineage_of(ranked.schema)["metric"] == "roc_auc"
    recipe = plan.of("lightgbm").recipe
    assert (recipe.positive, recipe.metric, recipe.params) == ("bad", "roc_auc", known)
    weights, answers = read_weights(data, Split.TRAIN), plan.of("xgboost").answers
    actual = read_training_rows(data)["y"].to_numpy()[answers.rows]
    wanted = roc_auc_score(
        actual == "bad", answers.output[:, 1], sample_weight=weights[answers.rows]
    )
    scores = dict(zip(*(ranked[one].to_pylist() for one in ("candidate", "score")), strict=True))
    assert scores["xgboost"] == pytest.approx(wanted)

    model = load_model.fn(trained.model)
    assert isinstance(model, models.Ensemble)
    assert model.classes == ("good", "bad")
    assert model.weights == (0.75, 0.25)
    assert model.deciding.threshold.goal == "f1"
    assert model.deciding.inverse_temperature is not None
    assert run(evaluate, trained) == "Completed"
    evaluated = model_evaluated(ReportPlan(EvaluationPlan(trained)))
    held = results.read(evaluated.predictions).to_pandas()
    said = np.where(held["p(bad)"] >= model.deciding.threshold.value, "bad", "good")
    assert (held["predicted"] == said).all()
    assert evaluated.threshold.value == model.deciding.threshold.value


def _always(choice):
    """Choose the same, whatever was answered."""

    def chosen(ground, candidates, outputs):
        weights, outputs = choice.weights, [outputs[name] for name in choice.weights]
        return replace(choice, output=mixed(outputs, list(weights.values()), choice.mixing))

    return chosen


def test_an_undefined_metric_is_replaced_with_a_warning(caplog):
    """Ranks are of no use where one class alone was answered."""
    labels = np.array(["a", "a"])
    found = comparison._defined("roc_auc", Kind.CLASSIFICATION, ("a", "b"), labels)
    assert found == "log_loss"
    assert "log_loss decides" in caplog.text
    both = np.array(["a", "b"])
    assert comparison._defined("roc_auc", Kind.CLASSIFICATION, ("a", "b"), both) == "roc_auc"


@pytest.mark.long  # tests/unit/test_tuning.py searches several; others above are ranked
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
