"""Notebooks: found by name, read, rendered; Baton's own are pairs in step."""

import re
import subprocess
import sys

import jupytext
import nbformat
import pytest

from baton.errors import InputError
from baton.showing import notebooks
from tests.conftest import ROOT

FOLDER = ROOT / "notebooks"
OURS = ("explain", "tour", "your_table")
PERCENT = "# %% [markdown]\n# # Title\n\n# %%\n1 + 1\n"


def _cells(notebook):
    return [(c.cell_type, c.source, c.metadata.get("tags", [])) for c in notebook.cells]


def _in_step(name, folder=FOLDER):
    python = jupytext.read(folder / f"{name}.py")
    return _cells(python) == _cells(nbformat.read(folder / f"{name}.ipynb", 4))


def test_the_three_notebooks_are_there():
    """A tour, bring your own table, explain a model."""
    assert notebooks.names([FOLDER]) == list(OURS)


@pytest.mark.parametrize("name", OURS)
def test_a_pair_is_in_step(name):
    """The .py and the .ipynb hold the same cells; `jupytext --sync` mends it."""
    assert _in_step(name)


def test_a_pair_out_of_step_would_be_seen(tmp_path):
    """One changed word in one of the two is enough."""
    for suffix in notebooks.SUFFIXES:
        text = (FOLDER / f"tour{suffix}").read_text("utf-8")
        (tmp_path / f"tour{suffix}").write_text(text, "utf-8")
    assert _in_step("tour", tmp_path)
    place = tmp_path / "tour.py"
    place.write_text(place.read_text().replace("ten minutes", "nine minutes"))
    assert not _in_step("tour", tmp_path)


@pytest.mark.parametrize("name", OURS)
def test_no_output_is_in_git(name):
    """Outputs are made by running; they hold paths, times and pictures."""
    for cell in nbformat.read(FOLDER / f"{name}.ipynb", 4).cells:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("name", OURS)
def test_parameters_can_be_given(name):
    """Each has one cell tagged `parameters`; those that can follow a chain take its id."""
    tagged = [
        cell
        for cell in jupytext.read(FOLDER / f"{name}.py").cells
        if "parameters" in cell.metadata.get("tags", [])
    ]
    assert len(tagged) == 1
    assert ('chain = ""' in tagged[0].source) == (name != "your_table")


def test_missing_libraries_are_named_with_the_fix(monkeypatch):
    """Before a chain begins; where all are there, nothing is said."""
    notebooks.require()
    monkeypatch.setattr(notebooks, "EXTRA", ("jupytext", "nobody_has_this"))
    with pytest.raises(
        InputError, match=r"needs nobody_has_this: pip install 'baton-pipelines\[notebooks\]'"
    ):
        notebooks.require()


def test_the_chain_is_served_without_those_libraries():
    """The flow's module imports none of them: an extra that is not there hurts nobody else."""
    code = "import sys, flows.notebook; print(sorted(set(sys.argv[1:]) & set(sys.modules)))"
    command = [sys.executable, "-c", code, *notebooks.EXTRA]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_notebook_is_named_with_those_there_are():
    """One line with the fact and the fix."""
    with pytest.raises(InputError) as error:
        notebooks.find("tuor", [FOLDER])
    assert "unknown notebook 'tuor'" in str(error.value)
    assert "explain, tour, your_table" in str(error.value)
    assert "\n" not in str(error.value)


def test_ones_own_notebook_comes_before_batons(tmp_path):
    """The first folder that has the name counts, and .py before .ipynb."""
    (tmp_path / "tour.ipynb").write_text("{}")
    assert notebooks.find("tour", [tmp_path, FOLDER]).parent == tmp_path
    (tmp_path / "tour.py").write_text(PERCENT)
    assert notebooks.find("tour", [tmp_path, FOLDER]).name == "tour.py"
    assert notebooks.find("explain", [tmp_path / "nowhere", FOLDER]).parent == FOLDER


@pytest.mark.parametrize("content", ["{", "not json", '{"cells": 1}', ""])
def test_a_file_that_is_no_notebook_is_refused(tmp_path, content):
    """In one line that names it."""
    place = tmp_path / "broken.ipynb"
    place.write_text(content)
    with pytest.raises(InputError, match=r"broken\.ipynb cannot be read") as error:
        notebooks.read(place)
    assert "\n" not in str(error.value)


def test_outputs_of_an_earlier_run_are_not_taken_over(tmp_path):
    """What is shown was made now."""
    cell = nbformat.v4.new_code_cell("1", outputs=[nbformat.v4.new_output("stream", text="old")])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "x.ipynb")
    assert notebooks.read(tmp_path / "x.ipynb").cells[0].outputs == []


def test_a_page_asks_for_nothing_and_runs_nothing(tmp_path):
    """No script, no address of another host in an element that fetches, and a policy."""
    (tmp_path / "x.py").write_text(PERCENT)
    page = notebooks.page(notebooks.read(tmp_path / "x.py"), "x & <y>")
    assert "<script" not in page
    assert not re.search(r"<(?:link|img|iframe|script)[^>]*https?:", page)
    assert not re.search(r"@import|url\(\s*['\"]?https?:", page)
    assert "default-src 'none'" in page
    assert "<title>x &amp; &lt;y&gt;</title>" in page
    assert ">Title" in page
