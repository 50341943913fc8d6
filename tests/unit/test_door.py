"""Where templates listen."""

import os
import subprocess
import sys
import tempfile

import pytest

from serving import door

HOLD = "from serving import door; print(door.new_door(), flush=True); input()"


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_a_killed_process_leaves_a_door_only_until_the_next_one(tmp_path):
    """Who lives keeps his own."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=pipe, stdout=pipe, text=True) as one:
        theirs = one.stdout.readline().strip()
        mine = door.new_door()
        assert {str(place / "door") for place in tmp_path.iterdir()} == {theirs, str(mine)}
        one.kill()
        one.wait()
        door.sweep()
        assert len(list(tmp_path.iterdir())) == 2, "it may be about to be held"
        for place in tmp_path.iterdir():
            os.utime(place / "held", (0, 0))
        door.sweep()
        assert [place / "door" for place in tmp_path.iterdir()] == [mine]
    assert mine.parent.stat().st_mode & 0o777 == 0o700
    door.close(mine)
    assert not list(tmp_path.iterdir())
