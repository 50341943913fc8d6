"""Chains while what runs them is killed, by the program that measures it."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.e2e

CHAOS = [sys.executable, ROOT / "benchmarks" / "chaos.py"]


def _said(*arguments, timeout=580):
    done = subprocess.run(
        [*CHAOS, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.long  # two minutes; what each fault leaves is in tests/integration/test_recovery.py
def test_no_chain_is_lost_doubled_or_stuck(tmp_path):
    """Runs, template, serve process, server and `baton up` are killed; every chain completes."""
    arguments = ["--faults", "5", "--seed", "3", "--chains", "3", "--folder", str(tmp_path)]
    code, out, err = _said(*arguments)
    assert code == 0, out + err
    assert "chains            3, completed 3" in out


def test_a_kind_that_there_is_not_is_refused():
    """With the kinds that there are."""
    code, _, err = _said("--kinds", "run,meteor")
    assert code == 2
    assert "no such kind: meteor; there are run, template, serve, server, up" in err
