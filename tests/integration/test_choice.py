"""What was chosen on its way: from options to the model, its answers, the event and the page."""

import json

import mlflow
import numpy as np
import pandas as pd
import pytest

from baton import chains
from baton.chain import outcome, records
from baton.lineage import lineage_of
from baton.settings import settings
from baton.terms import Options
from flows.evaluate import evaluate
from flows.generate import generate
from flows.predict import predict
from flows.train import train
from tasks.comparison import ComparisonPlan
from tasks.data import dataset_ready, plan_dataset
from tasks.evaluation import EvaluationPlan
from tasks.platform import results
from tasks.platform.tracking import load_model
from tasks.prediction import plan_prediction
from tasks.reporting import ReportPlan, model_evaluated
from tasks.training import TrainingPlan, model_trained
from tests.integration.stages import run

pytestmark = pytest.mark.usefixtures("prefect")

FEW = {"n_repeats": 1, "importance_rows": 20, "explain_rows": 5}
CHAIN = "0123456789ac"


def ended(parameters, options):
    """Event of a chain that ran to its end."""
    run(generate, "table", parameters, options)
    data = dataset_ready(plan_dataset("table", parameters, options, CHAIN))
    run(train, data)
    comparison = ComparisonPlan(data) if options.compare else None
    run(evaluate, model_trained(TrainingPlan(data, comparison)))
    return model_evaluated(
        ReportPlan(EvaluationPlan(model_trained(TrainingPlan(data, comparison))))
    )


def rows(n=500):
    """Columns, a weight, and a number."""
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(n, 3)), columns=list("abc"))
    value = table.a + random.normal(0, 0.7, n)
    return table.assign(w=random.random(n) + 0.5, value=value)


def page_of(evaluated):
    """Text of the report."""
    return (settings().results / evaluated.report.key).read_text("utf-8")


def test_what_was_chosen_of_classes_is_kept_and_said(tmp_path):
    """Metric, positive class, threshold, calibration and weights reach the model and the page.

    Labels are those of the threshold everywhere: held out, of new rows, of MLflow.
    """
    table = rows()
    table = table.drop(columns="value").assign(y=np.where(table.value > 0.9, "bad", "good"))
    table.to_csv(tmp_path / "classes.csv", index=False)
    parameters = {"path": str(tmp_path / "classes.csv"), "target": "y", "weight": "w"}
    options = Options(
        **FEW,
        metric="average_precision",
        positive="bad",
        threshold="recall@precision:0.5",
        calibrate=True,
        folds=2,
        compare="decision_tree,logistic_regression",
    )
    evaluated = ended(parameters, options)
    data, chosen = evaluated.data, evaluated.threshold
    assert (data.headline, data.selection, data.positive) == (*["average_precision"] * 2, "bad")
    ranked = results.read(evaluated.leaderboard)
    assert lineage_of(ranked.schema)["metric"] == "average_precision"
    assert ranked["candidate"][0].as_py() == "logistic_regression"
    assert set(ranked["metric"].to_pylist()) == {"average_precision"}

    model = load_model(evaluated.model)
    assert model.classes == ("good", "bad")
    assert model.encoder.column_names == ["a", "b", "c"]
    assert model.deciding.inverse_temperature is not None
    assert chosen.value == model.deciding.threshold.value != 0.5
    held = results.read(evaluated.predictions).to_pandas()
    said = np.where(held["p(bad)"] >= chosen.value, "bad", "good")
    assert (held["predicted"] == said).all()
    weights = table["w"].to_numpy()[held["_row"]]
    right = (held["predicted"] == held["actual"]).to_numpy()
    assert evaluated.scores["accuracy"] == pytest.approx(np.average(right, weights=weights))
    is_bad = (held["actual"] == "bad").to_numpy()
    recall = np.average(said[is_bad] == "bad", weights=weights[is_bad])
    assert chosen.recall == pytest.approx(recall)

    card = json.dumps(model.deciding.model_dump(mode="json"))
    assert "recall@precision:0.5" in card
    page = page_of(evaluated)
    assert "Threshold of bad for recall@precision:0.5" in page
    assert "Calibration" in page and "Candidates by average precision on rows" in page

    pyfunc = mlflow.pyfunc.load_model(evaluated.model.uri)
    new = table[["a", "b", "c"]].head(50)
    assert (pyfunc.predict(new) == model.predict(new)).all()
    asked = {"path": str(tmp_path / "classes.csv"), "name": data.name}
    assert run(predict, "table", asked) == "Completed"
    answered = results.read(plan_prediction("table", asked, None, CHAIN).table("new_predictions"))
    frame = answered.to_pandas()
    assert (frame["predicted"] == np.where(frame["p(bad)"] >= chosen.value, "bad", "good")).all()

    records.keep(settings(), evaluated)
    assert chains.find(CHAIN).headline == "average_precision"


def test_numbers_have_ends_and_their_coverage_is_said(tmp_path):
    """In the predictions, the event, `--json` and on the page; `interval=0` has none."""
    table = rows().drop(columns="w")
    table.to_csv(tmp_path / "numbers.csv", index=False)
    parameters = {"path": str(tmp_path / "numbers.csv"), "target": "value"}
    evaluated = ended(parameters, Options(**FEW, model="linear_regression", interval=0.8))
    held = results.read(evaluated.predictions).to_pandas()
    between = ((held.low <= held.actual) & (held.actual <= held.high)).mean()
    assert evaluated.coverage.level == 0.8
    assert evaluated.coverage.held_out == pytest.approx(between) == pytest.approx(0.8, abs=0.1)
    made = outcome._evaluated(evaluated, outcome._Results(settings().results, is_elsewhere=False))
    assert made["coverage"] == evaluated.coverage.model_dump()
    assert made["headline"] == "rmse"
    page = page_of(evaluated)
    assert "Prediction intervals" in page and f"{100 * between:.1f} %" in page
    none = ended(parameters, Options(**FEW, model="linear_regression", interval=0))
    assert none.coverage is None
    assert "low" not in results.read(none.predictions).column_names


def test_an_undefined_metric_does_not_end_the_chain(tmp_path):
    """Held-out rows of one class have no ROC AUC: another metric decides, and that is warned of."""
    table = rows(200).drop(columns="w")
    table = table.drop(columns="value").assign(y=np.where(table.value > 0, "yes", "no"))
    table.head(150).to_csv(tmp_path / "train.csv", index=False)
    held = table.tail(50)
    held[held.y == "yes"].to_csv(tmp_path / "test.csv", index=False)
    paths = {"path": str(tmp_path / "train.csv"), "test_path": str(tmp_path / "test.csv")}
    evaluated = ended({**paths, "target": "y"}, Options(**FEW, metric="roc_auc", model="xgboost"))
    assert evaluated.data.headline == "log_loss"
    warned = results.read(evaluated.warnings).to_pylist()
    assert any(one["kind"] == "metric" for one in warned)
    assert "ROC AUC is not defined on the held-out rows" in page_of(evaluated)
