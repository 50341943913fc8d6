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


def test_tools_beside_baton_get_the_same_rows(tmp_path):
    """Baton alone here, as the others want environments of their own: figure, time, bytes."""
    rows = "".join(f"{n % 17},{n % 5},{3 * (n % 17) + n % 5}\n" for n in range(200))
    (tmp_path / "mpg.csv").write_text("weight,cylinders,mpg\n" + rows)
    arguments = ["--data", tmp_path, "--only", "mpg", "--tools", "good"]
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks/automl.py", *arguments, "--environments", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    table, tool, metric, figure, *_ = done.stdout.splitlines()[1].split()
    assert (table, tool, metric) == ("mpg", "good", "rmse")
    assert float(figure) < 5
