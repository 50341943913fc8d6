"""The default model through its stages, in one process: fitted, registered, scored, explained."""

import logging

import numpy as np
import pandas as pd
import pytest

from baton.evaluation.shapley import margin
from baton.settings import settings
from baton.terms import Engine, Options
from flows.evaluate import evaluate
from flows.generate import generate
from flows.train import train
from tasks.data import dataset_ready, plan_dataset
from tasks.evaluation import EvaluationPlan
from tasks.platform import results
from tasks.platform.tracking import load_model
from tasks.reporting import ReportPlan, model_evaluated
from tasks.training import TrainingPlan, model_trained
from tests.integration.stages import run

pytestmark = pytest.mark.usefixtures("prefect")

CHAIN = "0123456789ad"


def test_a_table_of_words_and_levels_is_learnt_scored_and_explained(tmp_path, caplog):
    """Two boosters are registered, and each kept row's explanation adds up to their margin.

    A cluster, which fits XGBoost alone, is not asked for, and the log says so.
    """
    random = np.random.default_rng(0)
    size, town = random.normal(size=300), random.integers(0, 40, 300)
    notes = [f"{'a good one' if one > 0 else 'rather bad'}, no. {n}" for n, one in enumerate(size)]
    table = pd.DataFrame({"note": notes, "town": [f"town {one}" for one in town], "size": size})
    y = np.where(size + (town % 5) / 2 + random.normal(0, 0.3, 300) > 1, "yes", "no")
    table.assign(y=y).to_csv(tmp_path / "t.csv", index=False)
    parameters = {"path": str(tmp_path / "t.csv"), "target": "y"}
    options = Options(n_repeats=1, importance_rows=40, explain_rows=10, engine=Engine.DASK)
    assert run(generate, "table", parameters, options) == "Completed"
    data = dataset_ready(plan_dataset("table", parameters, options, CHAIN))
    assert data.options.model == "boosters"
    with caplog.at_level(logging.INFO, logger="tasks.training"):
        assert run(train, data) == "Completed"
    assert "boosters on 225 rows is fitted here" in caplog.text
    trained = model_trained(TrainingPlan(data))
    assert run(evaluate, trained) == "Completed"
    evaluated = model_evaluated(ReportPlan(EvaluationPlan(trained)))
    assert evaluated.scores["accuracy"] > evaluated.baseline["accuracy"] + 0.1
    page = (settings().results / evaluated.report.key).read_text("utf-8")
    assert "boosters" in page
    model = load_model.fn(trained.model)
    assert model.family == "boosters"
    local = results.read(evaluated.shap_local).to_pandas()
    rows = results.read(data.features).to_pandas().set_index("_row").loc[local["_row"]]
    sums = local[["note", "town", "size"]].sum(axis=1) + local["_base_value"]
    np.testing.assert_allclose(sums, margin(model, rows).ravel(), atol=1e-4)
