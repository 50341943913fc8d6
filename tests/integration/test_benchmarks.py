"""The script that the chain is measured against still does the chain's work."""

import json
import re
import subprocess
import sys

import pytest

from baton.terms import Options
from tests.conftest import ROOT
from tests.integration.stages import evaluated


@pytest.mark.usefixtures("prefect")
def test_the_plain_script_ends_with_the_metrics_of_the_chain():
    """On few rows; `make bench` runs both on many, and breaks off where they differ."""
    options = Options(importance_rows=50, n_repeats=1, explain_rows=20)
    chain = evaluated("spheres", {"rows": 1_000, "seed": 3}, options, "0123456789af")
    (line,) = said("plain.py", "1000", "3")
    plain = json.loads(line)
    assert {name: chain.scores[name] for name in plain} == pytest.approx(plain, abs=1e-12)


@pytest.fixture
def folder(tmp_path):
    """A table of a name that the benchmarks know, easily learnt."""
    rows = "".join(f"{n % 17},{n % 5},{3 * (n % 17) + n % 5}\n" for n in range(200))
    (tmp_path / "mpg.csv").write_text("weight,cylinders,mpg\n" + rows)
    return tmp_path


def ran(program, *arguments):
    """A program of the benchmarks that has ended."""
    command = [sys.executable, ROOT / "benchmarks" / program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def said(program, *arguments):
    """What a program of the benchmarks printed, in lines."""
    done = ran(program, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.long  # what it reads and fits: tests/unit/test_golden_tables.py
def test_tools_beside_baton_get_the_same_rows(folder):
    """Baton alone here, as the others want environments of their own: figure, time, bytes."""
    data = ["--data", folder, "--only", "mpg"]
    lines = said("automl.py", *data, "--tools", "good", "--environments", folder)
    table, tool, metric, figure, *_ = lines[1].split()
    assert (table, tool, metric) == ("mpg", "good", "rmse")
    assert float(figure) < 5


@pytest.mark.long  # tests/unit/test_selection.py has the best in a given time
def test_best_stands_beside_good(folder):
    """Both figures, and how many candidates there was time for."""
    best = ["--quality", "best", "--minutes", "0.02"]
    (line,) = said("tables.py", "--data", folder, "--only", "mpg", *best)
    table, metric, good, figure, *_ = line.split()
    assert (table, metric) == ("mpg", "rmse")
    assert max(float(good), float(figure)) < 5
    assert re.search(r"[1-9]\d* tried", line)


@pytest.mark.long  # some thirty models are registered; what they are: test_registered_models.py
def test_a_page_gets_the_table(tmp_path):
    """Between its two marks; the rest of the page stays."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nafter\n")
    said("bench.py", "--only", "registering", "--write", page)
    written = page.read_text()
    assert written.startswith("before\n") and written.endswith("\nafter\n")
    assert "old" not in written
    assert "| log, register and promote a model, warm |" in written


def test_a_page_without_a_place_is_refused(tmp_path):
    """Before anything is measured."""
    done = ran("bench.py", "--write", tmp_path / "none.md")
    assert done.returncode == 2
    assert "has no place for a table" in done.stderr


def test_a_table_that_there_is_not_is_refused():
    """With those that there are."""
    done = ran("tables.py", "--data", ".", "--only", "mgp")
    assert done.returncode == 2
    assert "no such table: mgp; there are mpg, beijing_pm25" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_without_the_tables_is_refused(tmp_path):
    """With the files that it has not."""
    (tmp_path / "magic_train.csv").touch()
    done = ran("tables.py", "--data", tmp_path, "--only", "mpg,magic")
    assert done.returncode == 2
    assert f"there is no mpg.csv, magic_test.csv in {tmp_path}" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_figures_are_those_of_the_readme(tmp_path):
    """Each is found in its words there; what has no data is named, and is no success."""
    done = ran("figures.py", "--data", tmp_path)
    assert done.returncode == 1
    assert done.stdout.count("is skipped: ") == 4
    assert "Traceback" not in done.stderr
    assert ran("figures.py", "--data", tmp_path / "nowhere").returncode == 2


@pytest.mark.long  # the golden tests hold the same figures, in fewer fits
def test_the_figures_are_made_anew(shared):
    """By one command, on the real data."""
    done = ran("figures.py", "--data", shared("taxi_green").parent)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 7


@pytest.mark.long  # tests/integration/test_answers.py promotes under load
def test_serving_is_measured_beside_two_other_ways():
    """Each way answers; over two promotions no request fails, none is answered by two."""
    lines = said("serving.py", "--seconds", "6", "--promotions", "2")
    found = {line[:22].strip(): line[22:].split() for line in lines[1:]}
    for way in ("baton serve", "FastAPI alone", "mlflow models serve"):
        requests, failed, mixed, *_ = found[way]
        assert int(requests) > 10
        assert (failed, mixed) == ("0", "0"), way


def test_drift_of_many_columns_is_measured():
    """Seconds of each part, cells a second, memory."""
    *lines, rate = said("drift.py", "--columns", "30", "--rows", "5000", "--batch", "2000")
    assert [line.split()[0] for line in lines] == ["profile", "counting", "comparing"]
    assert re.fullmatch(r"\d+ million cells a second, at most \d+ MB", rate)


@pytest.mark.long  # tests/unit/test_drift.py counts them of other tables
def test_false_alarms_and_what_is_seen_of_drift_are_counted():
    """Few alarms where nothing changed; a great shift is seen in every table."""
    for line in said("drift.py", "--false-alarms", "20", "--level", "0.2", "--classifier"):
        assert int(re.search(r": (\d+) of 20 alarms", line)[1]) <= 8
    heading, *lines = said("drift.py", "--power", "--tables", "5")
    assert heading.split()[-1] == "1.5"
    assert all(line.split()[-1] == "1.00" for line in lines[1:])


@pytest.mark.long  # it starts what tests/e2e/test_worker.py and test_deploy.py start
def test_what_takes_runs_is_measured_in_turn():
    """One small chain of each, and what it took beside the serve process's."""
    lines = said("workers.py", "--rows", "400", "--repeats", "1")
    figures = {line[:21].strip(): line for line in lines[2:]}
    assert set(figures) == {"prefect worker start", "baton worker", "python -m serving"}
    assert "ratio  1.00" in figures["python -m serving"]


def test_the_table_has_the_rows_of_every_program_that_has_any():
    """`make bench` leaves out none."""
    programs = (ROOT / "benchmarks").glob("*.py")
    has_rows = {one.stem for one in programs if re.search(r"^def rows\(", one.read_text(), re.M)}
    told = ran("bench.py", "--only", "nothing").stderr
    assert has_rows == set(re.findall(r"\w+", told.partition("choose from ")[2]))
