"""Files that are there whole or not at all."""

import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from baton.atomic import write_bytes


def test_a_file_is_written_and_replaced(tmp_path):
    """Nothing else is left in the folder."""
    place = tmp_path / "page.html"
    for content in (b"one", b"", bytes(range(256)) * 1000):
        write_bytes(place, content)
        assert place.read_bytes() == content
    assert list(tmp_path.iterdir()) == [place]


def test_it_may_be_read_by_whom_any_file_may(tmp_path):
    """The process's umask decides, as for every other file."""
    write_bytes(tmp_path / "atomic", b"x")
    (tmp_path / "plain").write_bytes(b"x")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("atomic", "plain")}
    assert len(modes) == 1


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, failing):
    """A full disk, a Ctrl-C: the reader sees what was there, the folder what it held."""
    place = tmp_path / "ledger"
    write_bytes(place, b"old")

    def fail(*args):
        raise KeyboardInterrupt if failing == "replace" else OSError(28, "No space left on device")

    owner = os if failing == "fsync" else Path
    monkeypatch.setattr(owner, failing, fail)
    with pytest.raises((OSError, KeyboardInterrupt)):
        write_bytes(place, b"new")
    assert place.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [place]


def test_the_content_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """A machine that loses power keeps no name without its content."""
    steps, fsync, replace = [], os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: (steps.append("fsync"), fsync(file)))
    monkeypatch.setattr(Path, "replace", lambda *a: (steps.append("replace"), replace(*a)))
    write_bytes(tmp_path / "a", b"x")
    assert steps == ["fsync", "replace"]


def test_many_write_at_once(tmp_path):
    """Whatever is read meanwhile is one writer's whole content."""
    place = tmp_path / "shared"
    contents = [bytes([letter]) * 50_000 for letter in b"abcdefgh"]
    write_bytes(place, contents[0])
    with ThreadPoolExecutor(8) as pool:
        writing = [pool.submit(write_bytes, place, one) for one in contents * 5]
        while not all(one.done() for one in writing):
            assert place.read_bytes() in contents
        for one in writing:
            one.result()
    assert list(tmp_path.iterdir()) == [place]


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    """kill -9 in the middle of writing: what was there is there."""
    place = tmp_path / "page"
    write_bytes(place, b"old")
    code = (
        "import os, signal, sys; from pathlib import Path; from baton.atomic import write_bytes;"
        "os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL);"
        "write_bytes(Path(sys.argv[1]), b'new')"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(place)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert place.read_bytes() == b"old"


def test_no_folder_is_said(tmp_path):
    """It is the caller who knows which folder there should be."""
    with pytest.raises(FileNotFoundError):
        write_bytes(tmp_path / "absent" / "file", b"x")
