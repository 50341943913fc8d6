"""Commands in a home that was damaged, or whose disk is full: one line, and the same answers."""

import json
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.e2e.conftest import BATON, BRIEFLY
from tests.integration.test_storage_faults import FAULTS

pytestmark = [pytest.mark.e2e, pytest.mark.long]

BRIEF = [*BRIEFLY, "-p", "model=decision_tree"]
DAMAGED = ("results", "mlflow", "chains", "locks", "prefect", "id", "serving")
"""Journals are left out: a study that goes on from before a damage draws its last trials anew."""


FULL = """
import json, os, subprocess, sys
from pathlib import Path
from shutil import disk_usage

home, command = Path(sys.argv[1]), json.loads(sys.argv[2])
filler = home / "filler"
said = []

def run(rows):
    done = subprocess.run([*command, "-p", f"rows={rows}"], capture_output=True, text=True)
    said.append([done.returncode, done.stdout, done.stderr])

run(500)
for left in (10 * 2**20, 0):
    filler.write_bytes(b"x" * (disk_usage(home).free - left))
    run(600)
    filler.unlink()
run(600)
run(500)
subprocess.run(["mount", "-o", "remount,ro", "tmpfs", str(home)], check=True)
run(700)
print(json.dumps(said))
"""


@pytest.mark.timeout(1800)
def test_a_full_disk_fails_a_stage_in_one_line_and_a_repeat_completes(empty_home, home):
    """What was there before is whole; with room again, the values are those without the fault."""
    enter = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mount = f"mount -t tmpfs -o size=96m tmpfs {empty_home.path}"
    try:
        subprocess.run([*enter, mount], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no disk can be mounted in a namespace here: {error}")
    command = json.dumps([*BATON, "run", "spheres", *BRIEF, "--json"])
    done = subprocess.run(
        [*enter, f'{mount} && exec {sys.executable} -c "$0" "$@"', FULL, empty_home.path, command],
        cwd=ROOT,
        env=empty_home.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    first, full, fuller, made, again, read_only = json.loads(done.stdout)
    assert first[0] == made[0] == again[0] == 0, (first, made, again)
    assert full[0] == 1
    assert re.search(r"16\.0 MB in reserve are wanted, [\d.]+ MB are free; make room", full[2])
    assert fuller[0] == 2
    assert "No space left on device), 0.0 MB are free: make room" in fuller[2]
    assert read_only[0] == 2
    assert "Read-only file system" in read_only[2]
    assert all(one[2].count("\n") == 1 for one in (full, fuller, read_only))
    assert all(stage["cached"] for stage in json.loads(again[1])["stages"])
    other = home.baton("run", "spheres", *BRIEF, "-p", "rows=600", "--json").json
    assert json.loads(made[1])["metrics"] == other["metrics"]


def files(home):
    """Every file of a home that a fault may hit, those of the databases first."""
    found = [path for name in DAMAGED for path in sorted((home / name).rglob("*"))]
    found += [home / name for name in DAMAGED if (home / name).is_file()]
    return [path for path in found if path.is_file()]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("shift", range(len(FAULTS)))
def test_a_home_in_which_every_file_is_damaged_answers_the_same(home, tmp_path, shift):
    """A search and a training, each file of the home with another fault, then the same chain."""
    path = tmp_path / "people.csv"
    rows = "".join(f"{n},{n * 7 % 11},{'uv'[(n + n * 7 % 11) % 3 == 0]}\n" for n in range(200))
    path.write_text("a,b,y\n" + rows)
    asked = ["run", "table", "-p", f"path={path}", "-p", "target=y", "-p", "tune=true"]
    asked += ["-p", "n_trials=3", *BRIEF, "--json"]
    whole = home.baton(*asked).json
    damaged = files(home.path)
    for place, (one, other) in enumerate(zip(damaged, damaged[1:] + damaged[:1], strict=True)):
        if one.exists() and other.exists():
            FAULTS[(place + shift) % len(FAULTS)](one, other)
    again = home.baton(*asked)
    assert again.code == 0, again.err
    assert "Traceback" not in again.err
    assert again.json["metrics"] == whole["metrics"]
    assert again.json["intervals"] == whole["intervals"]
    assert again.json["search"]["best"] == whole["search"]["best"]
    assert home.baton("report").code in {0, 2}  # 2: the record of the first chain is damaged
    assert home.baton("report").out.strip() == again.json["report"]
    third = home.baton(*asked)
    assert all(stage["cached"] for stage in third.json["stages"])
