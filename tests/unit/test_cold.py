"""Which runs of a work pool start warm, and what ends with who started it."""

import subprocess
import sys

import pytest

from serving.cold import why_cold
from tasks.platform.deployments import PULL
from tasks.platform.places import MANIFEST
from tests.processes import is_alive, wait_for

HERE = MANIFEST.parent
TRAIN = "flows/train.py:train"


def _to(folder):
    return [{PULL: {"directory": str(folder)}}]


@pytest.mark.parametrize(
    ("entrypoint", "steps", "variables"),
    [
        (TRAIN, _to(HERE), []),
        (str(HERE / TRAIN), _to(f"{HERE}/flows/.."), []),
        (TRAIN, _to(HERE), ["BATON_STUDY_STORAGE", "BATON_DATABASE_PASSWORD"]),
    ],
)
def test_what_the_template_has_imported_starts_warm(entrypoint, steps, variables):
    """However its folder is written, with any setting that a run reads itself."""
    assert why_cold(entrypoint, steps, variables, HERE) == ""


@pytest.mark.parametrize(
    ("entrypoint", "steps"),
    [
        (TRAIN, None),
        (TRAIN, []),
        (TRAIN, _to("/")),
        (TRAIN, _to(".")),
        (TRAIN, _to("{{ clone.directory }}")),
        (TRAIN, [{PULL: {}}]),
        (TRAIN, [{PULL: {"directory": str(HERE), "requires": "x"}}]),
        (TRAIN, [{"prefect.deployments.steps.git_clone": {"repository": "r"}}]),
        (TRAIN, [{"prefect.deployments.steps.run_shell_script": {"script": "s"}}, *_to(HERE)]),
    ],
)
def test_code_that_is_fetched_from_elsewhere_starts_cold(entrypoint, steps):
    """Also where only something is done before: it may change the code."""
    assert "its code is not taken from" in why_cold(entrypoint, steps, [], HERE)


@pytest.mark.parametrize(
    "entrypoint",
    [None, "", "flows.train.train", "flows/nobody.py:train", "../x.py:x", "/etc/passwd:x"],
)
def test_an_entrypoint_that_is_no_file_of_the_folder_starts_cold(entrypoint):
    """A module's name as well: it may be found on another path."""
    assert why_cold(entrypoint, _to(HERE), [], HERE).startswith("its entrypoint")


@pytest.mark.parametrize(
    "name", ["OMP_NUM_THREADS", "PYTHONPATH", "PREFECT_LOGGING_LEVEL", "BATON_HOME", "TZ"]
)
def test_a_variable_that_a_process_reads_as_it_begins_starts_it_cold(name):
    """Its name is said, and no value."""
    said = why_cold(TRAIN, _to(HERE), [name, "BATON_NOTIFY"], HERE)
    assert said == f"its job_variables set {name}, which a process reads as it begins"


PARENT = """
import subprocess, sys
grandchild = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-c", grandchild], start_new_session=True)
child.wait()
"""
ENDING = """
import subprocess, sys
from serving.offspring import adopt, end_offspring
adopt()
middle = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
pid = int(middle.stdout.readline())
if sys.argv[2] == "kill":
    middle.kill()
    middle.wait()
end_offspring()
print(pid, middle.pid)
"""


@pytest.mark.parametrize("what", ["live", "kill"])
@pytest.mark.skipif(sys.platform != "linux", reason="other systems give orphans to their first")
def test_all_that_descends_is_ended(what):
    """In a session of its own, too, and whatever a process has left that was killed."""
    command = [sys.executable, "-c", ENDING, PARENT, what]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    wait_for(lambda: not any(is_alive(pid) for pid in done.stdout.split()), 10)
