"""Where MLflow puts its files: known, searched for where it is not, and read without MLflow."""

import os
import shutil
import subprocess
import sys

import pytest

from baton import mlflow_internals
from baton.chain.stored import model_folder
from baton.errors import InputError
from baton.settings import Settings
from tasks.platform.tracking import _dataset_input


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A home in which MLflow has kept a model and a picture of each of two runs."""
    import mlflow

    settings = Settings(home=tmp_path_factory.mktemp("home"))
    settings.mlflow.mkdir()
    data = settings.home / "model"
    data.mkdir()
    (data / "weights").write_text("1")
    picture = settings.home / "confusion_matrix.png"
    picture.write_bytes(b"\x89PNG")
    mlflow.set_tracking_uri(settings.tracking_uri)
    experiment = mlflow.create_experiment(
        "baton-iris", artifact_location=(settings.mlflow / "artifacts" / "iris").as_uri()
    )
    runs = []
    for _ in range(2):
        with mlflow.start_run(experiment_id=experiment) as run:
            mlflow.log_artifact(str(picture), "pictures")
            mlflow.pyfunc.log_model(
                name="model",
                loader_module="baton.models",
                data_path=str(data),
                pip_requirements=["baton-pipelines"],
            )
            runs.append(run.info.run_id)
    mlflow.set_tracking_uri(None)
    return settings, runs


def _seen(settings, run):
    (card,) = mlflow_internals.model_cards(settings, run)
    (picture,) = mlflow_internals.pictures(settings, run)
    assert run in card.read_text()
    assert (model_folder(card) / "weights").read_text() == "1"
    return card, picture


def test_files_are_where_mlflow_puts_them(logged, caplog):
    """Those of the run that is asked for, at the places that are known."""
    settings, runs = logged
    first, second = (_seen(settings, run) for run in runs)
    assert set(first).isdisjoint(second)
    assert not caplog.records


def test_files_at_other_places_are_found_with_one_warning(logged, caplog, tmp_path):
    """A version of MLflow that puts them elsewhere makes it slower, not impossible."""
    settings, runs = logged
    elsewhere = Settings(home=tmp_path)
    old, new = settings.mlflow / "artifacts" / "iris", elsewhere.mlflow / "artifacts" / "v4"
    shutil.copytree(old / "models", new / "iris" / "logged")
    for run in runs:
        shutil.copytree(old / run / "artifacts", new / "runs" / run / "files")
    for run in runs:
        _seen(elsewhere, run)
    said = [r.message.split(" at ")[0] for r in caplog.records]
    assert said == ["MLflow keeps models", "MLflow keeps pictures"]


def test_the_switch_has_files_searched_for(logged, caplog, no_internals):
    """BATON_INTERNALS=0 knows no place, and nobody warns of what was asked for."""
    home, runs = logged[0].home, logged[1]
    settings = Settings(home=home)
    assert not settings.internals
    for run in runs:
        _seen(settings, run)
    assert not caplog.records


def test_what_is_nowhere_is_not_warned_of(caplog, tmp_path):
    """A model that was deleted is no other layout."""
    settings = Settings(home=tmp_path)
    assert mlflow_internals.model_cards(settings, "r") == []
    assert mlflow_internals.pictures(settings, "r") == []
    assert not caplog.records


def test_a_chain_is_looked_at_without_mlflow():
    """Why its places are known: its import takes longer than the look."""
    code = "import sys, baton.chains; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("content", ["flavors: {}", "- a", "a: [", None])
def test_a_card_that_tells_of_no_model_is_said(content, tmp_path):
    """One line, whatever is wrong with it."""
    card = tmp_path / "MLmodel"
    if content is not None:
        card.write_text(content)
    with pytest.raises(InputError, match="MLmodel"):
        model_folder(card)


def test_a_data_set_is_logged_as_mlflow_itself_would():
    """By its public names alone."""
    import mlflow
    import pandas as pd

    dataset = mlflow.data.from_pandas(pd.DataFrame({"a": [1.0]}), name="iris", digest="12345678")
    made = _dataset_input(dataset)
    assert made.to_dictionary()["dataset"] == dict(dataset._to_mlflow_entity())
    assert [(tag.key, tag.value) for tag in made.tags] == [("mlflow.data.context", "training")]


COMPARED = """
import importlib_metadata, logging, sys
from baton.mlflow_internals import compare_versions_by_name
from mlflow.utils import requirements_utils as requirements

listed = []
stock = importlib_metadata.packages_distributions
importlib_metadata.packages_distributions = lambda: listed.append(1) or stock()
if sys.argv[1] == "gone":
    del requirements._PACKAGES_TO_MODULES  # MLflow makes it anew
if sys.argv[1] != "stock":
    print(compare_versions_by_name(), compare_versions_by_name())
requirements.warn_dependency_requirement_mismatches(["pandas==1.0", "numpy>=1", "no-such-one==1"])
print("listed", len(listed))
"""


def _compared(how, **environment):
    """What is printed, and what is warned of: the same in any case."""
    done = subprocess.run(
        [sys.executable, "-c", COMPARED, how],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pandas (current: " in done.stderr and "required: pandas==1.0" in done.stderr
    assert "no-such-one (current: uninstalled" in done.stderr
    assert "numpy" not in done.stderr
    return done.stdout.splitlines(), done.stderr


def test_versions_are_compared_without_a_list_of_all_modules():
    """MLflow makes one in each process."""
    said, _ = _compared("stock")
    assert said == ["listed 1"], "MLflow has mended it: `compare_versions_by_name` can go"
    assert _compared("reach")[0] == ["True True", "listed 0"]


def test_the_switch_has_versions_compared_as_mlflow_does():
    """BATON_INTERNALS=0, and nobody warns of what was asked for."""
    said, warned = _compared("reach", BATON_INTERNALS="0")
    assert said == ["None None", "listed 1"]
    assert "MLflow compares" not in warned


def test_a_name_of_mlflows_that_is_gone_is_said_once():
    """And MLflow does as it does."""
    said, warned = _compared("gone")
    assert said == ["None None", "listed 1"]
    assert warned.count("MLflow compares versions otherwise") == 1
