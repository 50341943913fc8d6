"""The best answer in a given time: candidates as subflows, a kill in the middle, an ensemble."""

import json
import os
import signal
import subprocess
from pathlib import Path

import mlflow
import pyarrow.parquet as pq
import pytest

from baton.lineage import lineage_of
from tests.conftest import ROOT
from tests.e2e.conftest import BATON, wait_for

pytestmark = pytest.mark.e2e

SMALL = ["-p", "rows=400", "-p", "explain_rows=5", "-p", "importance_rows=50", "-p", "n_repeats=1"]
BEST = ["run", "spheres", *SMALL, "-p", "quality=best", "-p", "minutes=0.2"]


@pytest.mark.long  # without a kill, tests/integration/test_comparison.py does the same
def test_the_best_in_a_given_time_goes_on_where_it_was_killed(up):
    """What a candidate has answered is not asked again; the leaderboard is everywhere.

    kill -9 ends the stage after its first candidates; `quality=good` is among them, and the model
    that is registered answers as the leaderboard says.
    """
    results = up.path / "results" / "spheres"
    runner = subprocess.Popen(
        [*BATON, *BEST, "--json"],
        cwd=ROOT,
        env=up.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def answered():
        return {one: one.stat().st_mtime_ns for one in results.glob("*/out_of_fold.parquet.json")}

    def training():
        running = up.runs("train", state={"type": {"any_": ["RUNNING"]}})
        mine = [run for run in running if run["name"].startswith("train spheres")]
        return next(filter(None, (up.process_of(run["id"]) for run in mine)), None)

    wait_for(answered, 120, step=0.05)
    os.kill(wait_for(training, 60, step=0.05), signal.SIGKILL)
    before = answered()
    out, err = runner.communicate(timeout=500)
    assert runner.returncode == 0, err
    found = json.loads(out)
    assert before.items() <= answered().items(), "a candidate answered twice"

    table = pq.read_table(found["results"]["leaderboard"])
    lines, facts = table.to_pylist(), lineage_of(table.schema)
    names = {line["candidate"] for line in lines}
    assert names >= {"xgboost", "lightgbm", "good"}
    assert sum(line["weight"] for line in lines) == pytest.approx(1)
    assert facts["n_tried"] == len(answered()) <= facts["n_candidates"]
    subflows = {run["name"].split()[1] for run in up.runs("candidate")}
    assert names - {"good", "ensemble"} <= subflows

    client = mlflow.MlflowClient(f"sqlite:///{up.path}/mlflow/mlflow.db")
    logged = {one.path for one in client.list_artifacts(found["model"]["run_id"])}
    assert "leaderboard.json" in logged
    params = client.get_run(found["model"]["run_id"]).data.params
    members = [line["candidate"] for line in lines if line["weight"]]
    assert params["model"] == "boosters" or set(members) <= set(params) | {params["model"]}
    page = Path(found["report"]).read_text("utf-8")
    assert '<h2 id="leaderboard">' in page
    assert "quality=best" in page
    assert "model=boosters" not in page

    again = up.baton(*BEST, "--json").json
    assert [one["cached"] for one in again["stages"]] == [True] * 4
    assert again["model"] == found["model"]
