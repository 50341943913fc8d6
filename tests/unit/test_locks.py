"""Lock files that nobody holds are removed, and nobody who takes one meanwhile is alone with it."""

import subprocess
import sys
import time

import pytest
from filelock import FileLock

from serving.warm_client import __file__ as warm_client
from tasks.platform.locks import AGE_SECONDS, ENDING_SECONDS, sweep

TAKE = """
import os, sys, time
from pathlib import Path
from filelock import FileLock
place, inside, end = sys.argv[1], Path(sys.argv[2]), time.monotonic() + 3
n_taken = 0
while time.monotonic() < end:
    with FileLock(place):
        inside.open("x").close()  # fails where another one is inside
        inside.unlink()
        n_taken += 1
print(n_taken)
"""
HOLD = """
import importlib.util, os, sys, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("warm_client", sys.argv[3])
client = importlib.util.module_from_spec(spec)
spec.loader.exec_module(client)
place, end, n_taken = sys.argv[1], time.monotonic() + 3, 0
while time.monotonic() < end:
    descriptor = client.hold(place)
    if descriptor is not None:
        n_taken += os.fstat(descriptor).st_ino == os.stat(place).st_ino or sys.exit("alone with it")
        os.close(descriptor)
print(n_taken)
"""


@pytest.mark.parametrize("code", [TAKE, HOLD], ids=["a stage", "a run on its way"])
def test_nobody_holds_a_lock_that_was_removed(tmp_path, code):
    """However often the file is removed while several processes take and leave its lock."""
    place, inside = tmp_path / "run.lock", tmp_path / "inside"
    command = [sys.executable, "-c", code, place, inside, warm_client]
    takers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    n_removed = 0
    while any(taker.poll() is None for taker in takers):
        n_removed += sweep(tmp_path, time.time() + AGE_SECONDS + 1)
    assert [taker.returncode for taker in takers] == [0, 0, 0]
    assert all(int(taker.stdout.read()) > 5 for taker in takers)
    assert n_removed > 5


@pytest.fixture
def locks(tmp_path):
    """Locks of outputs and of runs: one is held, the others are free."""
    (tmp_path / "runs").mkdir()
    for name in ("spheres.1.lock", "runs/1.lock", "runs/1.start", "runs/2.lock", "runs/2.end"):
        (tmp_path / name).touch()
    with FileLock(tmp_path / "runs" / "2.lock"):
        yield tmp_path


def _left(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_free_locks_are_removed_and_held_ones_stay(locks):
    """Of outputs and of runs."""
    assert sweep(locks, time.time() + AGE_SECONDS + 1) == 3
    assert _left(locks) == ["runs/2.end", "runs/2.lock"]


def test_young_locks_stay(locks):
    """Whoever made one may be about to take it."""
    assert sweep(locks, time.time() + AGE_SECONDS - 1) == 0
    assert len(_left(locks)) == 5


def test_what_is_known_of_a_death_is_kept_for_a_day(locks):
    """A serve process that is down for the night can say in the morning what a run died of."""
    sweep(locks, time.time() + ENDING_SECONDS - 60)
    assert "runs/2.end" in _left(locks)
    sweep(locks, time.time() + ENDING_SECONDS + 60)
    assert _left(locks) == ["runs/2.lock"]


def test_a_folder_that_is_not_there_is_no_trouble(tmp_path):
    """In a home in which nothing has run."""
    assert sweep(tmp_path / "locks", time.time()) == 0
    assert not list(tmp_path.iterdir())
