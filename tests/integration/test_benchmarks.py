"""The script that the chain is measured against still does the chain's work."""

import json
import subprocess
import sys

from tests.conftest import ROOT


def test_the_plain_script_ends_with_the_metrics():
    """On few rows; `make bench` runs it on many."""
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks/plain.py", "400", "0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accuracy"] > 0.8
