"""A problem and a family as `baton new` writes them: installed, tested, run as a chain."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import ROOT
from tests.e2e.conftest import BRIEFLY

pytestmark = pytest.mark.e2e

FEW = ["-p", "rows=200", *BRIEFLY]


def contract(written, site, *more):
    """Run the tests that both packages came with."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *more, "."],
        cwd=written,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def chain(up):
    """A chain of the one, learnt by the other."""
    asked = ("-p", "model=bags", "-p", 'model_params={"n_estimators": 7}')
    answer = up.baton("run", "halves", *asked, *FEW, "--json")
    assert answer.code == 0, answer.err
    return answer.json


def test_both_are_listed_with_their_packages(up):
    """After nothing but their installation."""
    said = up.baton("problems").out
    assert "which of two half circles a point is of" in said
    assert "bags (of baton-bags 0.1.0)" in said


@pytest.mark.long  # its own tests, below, fit and explain it; test_plugins.py of unit finds it
def test_a_model_of_another_package_is_trained_explained_and_registered(up, chain):
    """Its own hyperparameters, its package among what the model requires and the report names."""
    assert chain["metrics"]["accuracy"] > 0.7
    assert chain["model"]["uri"] == "models:/baton-halves/1"
    shap = pd.read_parquet(chain["results"]["shap_global"])
    assert set(shap["feature"]) == {"x", "y"}
    assert "baton-bags" in Path(chain["report"]).read_text("utf-8")
    (required,) = up.path.glob("mlflow/artifacts/halves/**/requirements.txt")
    assert "baton-bags==0.1.0" in required.read_text().splitlines()
    (card,) = up.path.glob("mlflow/artifacts/halves/**/model.json")
    assert '"package": "baton-bags 0.1.0"' in card.read_text()
    answer = up.baton("explain", "halves", "--row", _row_of(chain))
    assert answer.code == 0, answer.err
    assert "base value" in answer.out


def _row_of(chain):
    return int(pd.read_parquet(chain["results"]["predictions"])["_row"].iloc[0])


@pytest.mark.long
def test_its_rows_are_predicted_by_baton_and_by_mlflow_alike(up, chain):
    """By whoever finds the package installed."""
    answer = up.baton("predict", "halves", "--json")
    assert answer.code == 0, answer.err
    found = pd.read_parquet(answer.json["results"]["new_predictions"])
    code = (
        "import sys, mlflow, pandas; mlflow.set_tracking_uri(sys.argv[1]);"
        "rows = pandas.read_parquet(sys.argv[3]);"
        "print(*mlflow.pyfunc.load_model(sys.argv[2]).predict(rows[['x', 'y']]), sep=',')"
    )
    store = f"sqlite:///{up.path}/mlflow/mlflow.db"
    rows = answer.json["results"]["new_rows"]
    asked = [sys.executable, "-W", "ignore", "-c", code, store, chain["model"]["uri"], rows]
    done = subprocess.run(
        asked, env=up.environment(), capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == [",".join(map(str, found["predicted"]))]


# tests/unit/test_tuning.py searches several; `baton train` with a comparison: test_problems.py
@pytest.mark.long
def test_it_is_searched_and_compared_beside_batons_own(up, chain):
    """In one study with another family, and then by what each answers out of fold."""
    search = ("-p", "tune=true", "-p", "compare=bags,decision_tree", "-p", "n_trials=3")
    answer = up.baton("train", chain["chain"], *search, "--json")
    assert answer.code == 0, answer.err
    trials = pd.read_parquet(answer.json["results"]["trials"])
    assert set(trials["param_model"]) == {"bags", "decision_tree"}
    board = pd.read_parquet(answer.json["results"]["leaderboard"])
    assert {"bags", "decision_tree"} <= {one.partition(",")[0] for one in board["candidate"]}


def test_a_package_written_by_the_command_passes_its_own_tests(written, site):
    """A part of them: both kits are found, and run for what is installed."""
    quick = "json or described or misspelt or unknown_or_wrong or cannot_do or defaults"
    done = contract(written, site, "-k", quick)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 11 passed" in done.stdout


@pytest.mark.long  # the test above runs a part; tests/contract runs the kit on Baton's own
def test_a_package_written_by_the_command_passes_all_of_its_tests(written, site):
    """Nothing of the contract is skipped."""
    done = contract(written, site)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
