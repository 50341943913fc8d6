"""Warnings on their way: from a chain's tables to its log, its events and its page."""

import logging
import re

import numpy as np
import pandas as pd
import pytest
from markupsafe import escape

from baton.chain.events import ModelEvaluated
from baton.settings import settings
from baton.terms import Options
from baton.warning import of_table
from flows.evaluate import evaluate
from flows.generate import generate
from flows.train import train
from tasks.checking import ChecksPlan
from tasks.data import dataset_ready, plan_dataset
from tasks.evaluation import EvaluationPlan
from tasks.platform import results, tracking
from tasks.reporting import ReportPlan, model_evaluated, summary
from tasks.training import TrainingPlan, model_trained
from tests.integration.stages import run

pytestmark = pytest.mark.usefixtures("prefect")

OPTIONS = Options(n_repeats=1, importance_rows=20, explain_rows=5, model="decision_tree")
CHAIN = "0123456789ab"


def written(path, seed=0, **columns):
    """File of four columns; `y` is noise unless it is given."""
    random = np.random.default_rng(seed)
    table = pd.DataFrame(random.normal(size=(400, 3)), columns=list("abc"))
    table.assign(y=random.choice(["no", "yes"], 400)).assign(**columns).to_csv(path, index=False)
    return {"path": str(path), "target": "y"}


def generated(parameters, caplog):
    """Name of the stage's state, the plan of its checks, and the warnings of its log."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="tasks.checking"):
        state = run(generate, "table", parameters, OPTIONS)
    said = [one.getMessage() for one in caplog.records if one.name == "tasks.checking"]
    plan = ChecksPlan(dataset_ready(plan_dataset("table", parameters, OPTIONS, CHAIN)))
    return state, plan, said


def ended(data):
    """Event of a chain that goes on from these data to its end."""
    run(train, data)
    trained = model_trained(TrainingPlan(data))
    run(evaluate, trained)
    return model_evaluated(ReportPlan(EvaluationPlan(trained)))


def warned_data(plan):
    """What the stage `generate` announces of these tables."""
    return plan.data.model_copy(update={"warnings": plan.table("warnings")})


def test_a_leak_is_said_in_the_log_the_event_and_the_page(tmp_path, caplog):
    """The same words everywhere; a repeat makes nothing anew, and says it again."""
    random = np.random.default_rng(0)
    parts = {"one": random.integers(0, 90, 400), "two": random.integers(0, 90, 400)}
    parameters = written(tmp_path / "t.csv", **parts, y=parts["one"] + parts["two"])
    state, plan, said = generated(parameters, caplog)
    assert state == "Completed"
    assert len(said) == 1
    assert re.match("leak: 'y' is '(one|two)' [+] '(one|two)'", said[0])
    assert "-p drop=" in said[0]
    state, again, said_again = generated(parameters, caplog)
    assert (state, said_again) == ("Cached", said)
    assert again.table("warnings") == plan.table("warnings")
    evaluated = ended(warned_data(plan))
    assert [one.kind for one in of_table(results.read(evaluated.warnings))] == ["leak"]
    page = (settings().results / evaluated.report.key).read_text("utf-8")
    assert "<li>leak: &#39;y&#39; is" in page
    assert page.index("<li>leak") < page.index('<h2 id="metrics">')
    assert ModelEvaluated.model_validate(evaluated.payload()) == evaluated
    assert set(evaluated.drivers) >= {"one", "two"}
    assert evaluated.drivers_unit == "the unit of 'y'"
    assert "Predictions of 'y' are typically off by" in evaluated.summary
    assert re.search("But '(one|two)', '(one|two)' give 'y' away", evaluated.summary)
    assert "<h1>y from t.csv</h1>" in page
    assert page.index(escape(evaluated.summary)) < page.index('<h2 id="metrics">')
    described = results.read(evaluated.columns).to_pylist()
    assert [(one["name"], one["role"]) for one in described[:2]] == [
        ("y", "target"),
        ("a", "number"),
    ]
    assert page.index("Columns, as they were read") < page.index('<h2 id="metrics">')
    note = tracking._client().get_run(evaluated.model.run_id).data.tags["mlflow.note.content"]
    assert note == f"**y from t.csv**\n\n{evaluated.summary}"
    assert "# y from t.csv: rmse" in summary(evaluated)
    assert evaluated.summary in summary(evaluated)
    assert evaluated.baseline["rmse"] > evaluated.scores["rmse"]


def test_a_useless_model_is_said_to_be_one(tmp_path, caplog):
    """The data give no cause for a warning; the page says it once."""
    _, plan, said = generated(written(tmp_path / "t.csv"), caplog)
    assert said == []
    with caplog.at_level(logging.WARNING, logger="tasks.reporting"):
        evaluated = ended(warned_data(plan))
    assert any(one.getMessage().startswith("useless: ") for one in caplog.records)
    assert [one.kind for one in of_table(results.read(evaluated.warnings))] == ["useless"]
    page = (settings().results / evaluated.report.key).read_text("utf-8")
    assert page.count("may say nothing about the target") == 1


@pytest.mark.parametrize("problem", ["iris", "spheres"])
def test_every_problem_is_checked(problem):
    """What to do is not said by parameters that the problem has not; these two are clean."""
    run(generate, problem, {}, OPTIONS)
    plan = ChecksPlan(dataset_ready(plan_dataset(problem, {}, OPTIONS, CHAIN)))
    assert of_table(results.read(plan.table("warnings"))) == ()
