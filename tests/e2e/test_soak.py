"""Many chains at once, and one after the other, by the programs that measure them."""

import os
import re
import sys

import pytest

from tests.conftest import ROOT
from tests.processes import ran

pytestmark = [pytest.mark.e2e, pytest.mark.long, pytest.mark.timeout(900)]


def _said(program, *arguments):
    # Two tests side by side; the programs make a home, and databases, of their own.
    environment = {name: value for name, value in os.environ.items() if name != "BATON_HOME"}
    command = [sys.executable, ROOT / "benchmarks" / program, *arguments]
    done = ran(command, 780, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_all_chains_of_a_burst_complete():
    """Six that are begun at once; once each, and nobody finds the database locked."""
    said = _said("burst.py", "--chains", "6")
    assert "chains            6, completed 6" in said
    for what in ("lost", "twice", "stuck", "database locked"):
        assert re.search(rf"^{what} +0$", said, re.MULTILINE), said


def test_a_chain_leaves_nothing_that_grows():
    """In three minutes, after which locks that nobody holds have been removed."""
    said = _said("soak.py", "--minutes", "3")
    assert re.search(r"^stuck +0$", said, re.MULTILINE), said
    assert "home/locks/runs: files" in said
    assert "server: open files" in said
    assert "GROWS" not in said
