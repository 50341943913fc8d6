"""Searching hyperparameters as a user does: a stage of the chain, its trials subflows or runs."""

import itertools
import json
import os
import signal
import subprocess
from pathlib import Path

import mlflow
import pyarrow.parquet as pq
import pytest

from tests.conftest import ROOT
from tests.e2e.conftest import BATON, wait_for

# Searches without a served chain: tests/unit/test_tuning.py, tests/integration/test_comparison.py.
pytestmark = [pytest.mark.e2e, pytest.mark.long]

SMALL = ["-p", "rows=600", "-p", "explain_rows=5", "-p", "importance_rows=50", "-p", "n_repeats=1"]


def _options(*pairs):
    return [part for pair in pairs for part in ("-p", pair)]


IRIS = ["run", "iris", *_options("tune=true", "n_trials=10", "trials_at_once=2", "study=mine")]


@pytest.fixture(scope="module")
def searched(up):
    """The chain of the README, its study with a name, two trials at a time."""
    answer = up.baton(*IRIS, "--json")
    assert answer.code == 0, answer.err
    return answer.json


def test_the_chain_has_the_stage_and_ends_with_the_best_hyperparameters(up, searched):
    """tune comes before train; the model that is registered has what the search found."""
    assert [one["stage"] for one in searched["stages"]] == [
        "generate",
        "tune",
        "train",
        "evaluate",
        "promote",
    ]
    search = searched["search"]
    trials = pq.read_table(searched["results"]["trials"]).to_pylist()
    scored = [line for line in trials if line["state"] == "complete"]
    assert search["n_trials"] == len(trials) == 10
    assert search["best"]["accuracy"] == max(line["value"] for line in scored)
    client = mlflow.MlflowClient(f"sqlite:///{up.path}/mlflow/mlflow.db")
    used = client.get_run(searched["model"]["run_id"]).data.params
    assert {k: str(v) for k, v in search["best"]["params"].items()}.items() <= used.items()


def test_trials_are_subflows_that_overlap(up, searched):
    """Each is a flow run below the stage's; two go at the same time."""
    (stage,) = up.runs("tune", id={"any_": [searched["stages"][1]["flow_run_id"]]})
    trials = up.runs("trial", parent_flow_run_id={"any_": [stage["id"]]})
    assert sorted(run["parameters"]["number"] for run in trials) == list(range(10))
    spans = sorted((run["start_time"], run["end_time"]) for run in trials)
    assert any(later[0] < earlier[1] for earlier, later in itertools.pairwise(spans))
    key = f"tune-{searched['chain']}"
    (artifact,) = up.post("artifacts/filter", {"artifacts": {"key": {"any_": [key]}}})
    assert artifact["data"] == 100.0
    assert artifact["description"].startswith("10 of 10 trials, best accuracy")


def test_mlflow_has_a_run_for_the_search_and_one_for_each_trial(up, searched):
    """Nested runs with their hyperparameters and scores; pictures and best ones with the search."""
    client = mlflow.MlflowClient(f"sqlite:///{up.path}/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("baton-iris").experiment_id
    of_study = f"params.study = '{searched['search']['study']}'"
    (parent,) = client.search_runs([experiment], of_study)
    nested = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert sorted(int(run.data.tags["baton.trial"]) for run in nested) == list(range(10))
    assert parent.data.metrics["accuracy"] == searched["search"]["best"]["accuracy"]
    listed = client.list_artifacts(parent.info.run_id, "pictures")
    pictures = {Path(one.path).name for one in listed}
    names = ("history", "importance", "slices", "parallel", "contour", "distribution")
    assert pictures == {f"search_{name}.png" for name in names}


def test_the_report_shows_the_search_and_the_command_that_repeats_it(searched):
    """Pictures and trials; the command asks for the search, not for what it found."""
    page = Path(searched["report"]).read_text("utf-8")
    assert '<h2 id="search">' in page
    assert "The search, trial by trial" in page
    assert "tune=true" in page
    assert "model_params=" not in page


def test_the_same_search_again_is_cached(up, searched):
    """No trial runs a second time, no second model."""
    again = up.baton(*IRIS, "--json").json
    assert [one["cached"] for one in again["stages"]] == [True] * 5
    assert again["model"] == searched["model"]
    assert again["search"] == searched["search"]


def test_a_trial_on_a_worker_that_is_killed_is_taken_up_again(up):
    """Each trial is a run of a deployment; kill -9 in the middle of one loses nothing."""
    slow = _options("model=gradient_boosting", 'space={"max_depth": [2, 3]}', "engine=workers")
    params = ["-p", 'model_params={"n_estimators": 100}', "-p", "n_trials=2"]
    before = {run["id"] for run in up.runs("trial")}
    runner = subprocess.Popen(
        [*BATON, "run", "spheres", *SMALL, "-p", "tune=true", *slow, *params, "--json"],
        cwd=ROOT,
        env=up.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def first():
        running = up.runs("trial", state={"type": {"any_": ["RUNNING"]}})
        pids = [up.process_of(run["id"]) for run in running if run["id"] not in before]
        return next(filter(None, pids), None)

    os.kill(wait_for(first, 60, step=0.05), signal.SIGKILL)
    out, err = runner.communicate(timeout=500)
    assert runner.returncode == 0, err
    found = json.loads(out)
    trials = pq.read_table(found["results"]["trials"]).to_pylist()
    assert [line["trial"] for line in trials] == list(range(2))
    assert "fail" not in {line["state"] for line in trials}
    runs = [run for run in up.runs("trial") if run["id"] not in before]
    assert {run["state_type"] for run in runs} == {"COMPLETED", "CRASHED"}
    assert sum(run["state_type"] == "COMPLETED" for run in runs) == 2


def test_trials_and_fit_run_on_a_dask_cluster(up):
    """Worker processes of their own do both; the trials are tasks of one subflow."""
    options = _options("tune=true", "n_trials=2", "rows=3000", "engine=dask", "trials_at_once=1")
    answer = up.baton("run", "spheres", *SMALL[2:], *options, "--json")
    assert answer.code == 0, answer.err
    (stage,) = up.runs("tune", id={"any_": [answer.json["stages"][1]["flow_run_id"]]})
    (below,) = up.runs("trials on dask", parent_flow_run_id={"any_": [stage["id"]]})
    assert below["state_type"] == "COMPLETED"
    assert answer.json["search"]["n_trials"] == 2
    assert answer.json["metrics"]["accuracy"] > 0.9


def test_a_study_of_another_search_is_refused_and_kept(up, searched):
    """A name that is taken, on other data: one line, exit code 2, and the journal stays."""
    journal = up.path / "studies" / "mine.journal"
    before = journal.read_bytes()
    answer = up.baton(*IRIS, "-p", "seed=5")
    assert answer.code == 2
    assert "study 'mine' is of another search" in answer.err
    assert "Traceback" not in answer.err
    assert journal.read_bytes().startswith(before)
