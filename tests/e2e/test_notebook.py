"""A notebook after the evaluation, and what is pleasant in one: on a chain that really ran."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from baton import chains
from baton.errors import InputError
from tests.conftest import ROOT
from tests.e2e.browser import CHROMIUM, browser
from tests.e2e.conftest import BATON, wait_for

pytestmark = pytest.mark.e2e

IRIS = ("run", "iris", "-p", "n_repeats=2", "-p", "seed=11", "--json")


@pytest.fixture(scope="module")
def toured(up):
    """One chain that asked for the tour."""
    answer = up.baton(*IRIS, "-p", "notebook=tour")
    assert answer.code == 0, answer.err
    return answer.json


def own(up, name, text):
    """Put a notebook of the user's own into the home."""
    folder = up.path / "notebooks"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)


def test_the_notebook_is_a_stage_started_by_the_evaluation(up, toured):
    """Its page stands beside the report, and Prefect has a link to it."""
    stages = [stage["stage"] for stage in toured["stages"]]
    assert stages == ["generate", "train", "evaluate", "promote", "notebook"]
    assert toured["stages"][4]["hop_seconds"] > 0
    page = Path(toured["notebook"])
    assert page.parent == Path(toured["report"]).parent
    assert page.name == "notebook_tour.html"
    run = toured["stages"][4]["flow_run_id"]
    found = up.post("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run]}}})
    assert [up.address_of(page) in artifact["data"] for artifact in found] == [True]


@pytest.mark.skipif(not CHROMIUM, reason="wants Debian's package chromium")
def test_the_page_shows_its_plots_and_asks_for_nothing(toured):
    """Five pictures with pixels and words, of this chain; no request, no script, not too wide."""
    with browser() as tab:
        tab.open(Path(toured["notebook"]).as_uri())
        asked = [address for address in tab.requests if not address.startswith("data:")]
        assert asked == [Path(toured["notebook"]).as_uri()]
        assert tab.complaints == []
        images = tab.ask("[...document.images].map(i => [i.naturalWidth, i.clientWidth, i.alt])")
        assert len(images) == 5
        for width, shown, alt in images:
            assert width >= 1000
            assert shown > 600
            assert len(alt) > 20
        assert tab.ask("document.scripts.length") == 0
        assert toured["chain"] in tab.ask("document.body.innerText")
        tab.resize(400, 800)
        assert tab.ask("document.documentElement.scrollWidth") <= 400


def test_a_second_identical_run_is_cached(up, toured):
    """What decides the page is the notebook's text, the model and the tables."""
    again = up.baton(*IRIS, "-p", "notebook=tour").json
    assert [stage["cached"] for stage in again["stages"]] == [True] * 5
    assert again["notebook"] == toured["notebook"]


@pytest.mark.usefixtures("toured")
def test_an_unknown_notebook_is_refused_before_the_chain_begins(up):
    """One line that names those there are, exit code 2, and no run."""
    before = len(up.runs("train"))
    for answer in up.baton_each(
        [[*c, "-p", "notebook=tuor"] for c in (("run", "iris"), ("train",))]
    ):
        assert answer.code == 2
        assert answer.out == ""
        said = [line for line in answer.err.splitlines() if line]
        assert len(said) == 1
        assert "unknown notebook 'tuor'" in said[0]
        assert "explain" in said[0]
    assert len(up.runs("train")) == before


@pytest.mark.long  # tests/integration/test_notebooks.py has a cell that fails
def test_a_notebook_that_fails_fails_its_stage_in_one_line(up, toured):
    """The cell and the error are named, what ran is kept; once mended it runs, and that goes."""
    own(up, "mine", "# %%\nprint('as far as here')\n\n# %%\nraise ValueError('no\\nluck')\n")
    answer = up.baton(*IRIS, "-p", "notebook=mine")
    assert answer.code == 1
    assert answer.json["notebook"] is None
    error = answer.json["error"]  # the first cell is that of the parameters
    assert "notebook 'mine': cell [3] failed: ValueError: no luck" in error
    kept = Path(toured["report"]).with_name("failed_notebook_mine.html")
    assert str(kept) in error
    assert "as far as here" in kept.read_text()
    assert not kept.with_name("notebook_mine.html").exists()
    assert "Traceback" not in answer.err

    own(up, "mine", "# %%\nprint('mended', chain)\n")
    mended = up.baton(*IRIS, "-p", "notebook=mine").json
    assert [stage["cached"] for stage in mended["stages"]] == [True, True, True, True, False]
    assert f"mended {mended['chain']}" in Path(mended["notebook"]).read_text()
    assert not kept.exists()


@pytest.mark.long  # tests/integration/test_notebooks.py ends a kernel with its parent
def test_no_kernel_outlives_its_run(up, toured):
    """The run's process is killed: its kernel is gone too."""
    own(up, "slow", "# %%\nimport time\ntime.sleep(300)\n")
    runner = subprocess.Popen(
        [*BATON, *IRIS, "-p", "notebook=slow"],
        cwd=ROOT,
        env=up.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    kernel = wait_for(lambda: _kernels(up))[0]
    os.kill(int(Path(f"/proc/{kernel}/stat").read_text().rpartition(")")[2].split()[1]), 9)
    wait_for(lambda: not _kernels(up), 300)
    runner.send_signal(signal.SIGINT)
    runner.communicate(timeout=500)


def _kernels(up):
    return [pid for pid, one in up.commands().items() if "ipykernel_launcher" in one]


# --- looking back, from Python --------------------------------------------------------------------


@pytest.fixture(scope="module")
def chain(up, toured):
    return chains.find(toured["chain"][:8], home=up.path)


def test_a_chain_is_found_without_any_server(up, toured, chain):
    """By its id's first digits or as the latest of a problem; one that is not there is said."""
    assert chain.id == toured["chain"]
    assert chains.find(problem="iris", home=up.path).problem == "iris"
    with pytest.raises(InputError, match="no chain"):
        chains.find("0" * 12, home=up.path)


def test_its_tables_are_frames_and_its_scores_are_those_announced(toured, chain):
    """Each table by name; the usual ones ready for use."""
    for name, path in toured["results"].items():
        assert chain.table(name).equals(pd.read_parquet(path))
    with pytest.raises(InputError, match="there are: warnings, columns, raw, features"):
        chain.table("feature")
    assert chain.scores == toured["metrics"]
    assert chain.metrics["value"].to_dict() == pytest.approx(toured["metrics"])
    assert set(chain.baseline) <= set(chain.scores)
    assert len(chain.rows("train")) + len(chain.rows("test")) == 150
    assert chain.report == Path(toured["report"])
    assert chain.notebooks["tour"] == Path(toured["notebook"])
    assert chain.pictures["confusion_matrix"].read_bytes().startswith(b"\x89PNG")


def test_its_model_answers_as_it_did(chain):
    """Loaded from the home's files, checked by its digest; its explanations add up to it."""
    from baton.evaluation import shapley

    columns = chain.rows("test").drop(columns=chain.target)
    assert (chain.model.predict(columns) == chain.predictions["predicted"]).all()
    total = chain.shap.values.sum(axis=1) + chain.shap.base_values
    assert abs(total - shapley.margin(chain.model, chain.explained)).max() < 1e-4
    assert chain.importance.metric == chain.headline
    assert chain.importance.score == pytest.approx(chain.scores[chain.headline])


def test_it_shows_itself(chain):
    """A line in a console, a card in a notebook."""
    assert repr(chain).startswith(f"Chain({chain.id}: iris, models:/baton-iris/")
    for word in (chain.id, "species", "accuracy", "report_", "held out"):
        assert word in chain._repr_html_()


def test_a_model_that_is_not_in_the_home_is_said(up, chain):
    """With the way that is left; an altered one is not loaded."""
    reference = chain.evaluated.model.model_copy(update={"digest": "0" * 64})
    other = chains.Chain(chain.evaluated.model_copy(update={"model": reference}), chain.settings)
    with pytest.raises(InputError, match=r"mlflow\.pyfunc\.load_model"):
        _ = other.model


README = (ROOT / "README.md").read_text("utf-8")
SHOWN = next(b for b in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "find()" in b)
RUN = """
import json, sys
from baton import chains
from baton.errors import InputError
chain = chains.run("iris", n_repeats=2, seed=11, home=sys.argv[1], folds=0, compare=[])
try:
    chains.run("iris", seed="many", home=sys.argv[1])
except InputError as error:
    print(json.dumps([chain.id, chain.problem, str(error)]))
"""


@pytest.mark.usefixtures("toured")
def test_what_the_readme_shows_works(up):
    """As it stands there, by the home that the environment names."""
    shown = [sys.executable, "-c", SHOWN]
    subprocess.run(shown, env=up.environment(), timeout=500, check=True)


@pytest.mark.usefixtures("toured")
@pytest.mark.long  # by the command above; the functions: test_chains.py
def test_a_chain_is_run_from_python(up):
    """It says how far it is and returns the chain; a mistake is the command's own line.

    It asks for no notebook, so it has no such stage and does not wait for one.
    """
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(up.path)],
        env=up.environment(BATON_HOME="/nonexistent", FORCE_COLOR="1"),  # as in a kernel
        capture_output=True,
        text=True,
        timeout=500,
        check=True,
    )
    *said, last = done.stdout.splitlines()
    assert said[-1] == "promote: cached"
    assert not any(line.startswith("notebook") for line in said)
    found, problem, error = json.loads(last)
    assert chains.find(found, home=up.path).problem == problem == "iris"
    assert error.startswith("parameter 'seed' of problem 'iris'")
