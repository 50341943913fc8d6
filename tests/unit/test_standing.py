"""A home and who is in it, and what of a plug-in that cannot be imported."""

import errno
import json
import os
import re
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from io import StringIO

import filelock
import pytest
from rich.console import Console

from baton import plugins, problems
from baton.cli import show
from baton.errors import InputError
from baton.settings import Settings
from serving import embedded, holder


@pytest.fixture
def home(tmp_path):
    return Settings(home=tmp_path / "home")


def test_who_holds_a_home_is_known_by_command_process_and_time(home, monkeypatch):
    """Without the values of its parameters; not any more when it has left."""
    monkeypatch.setattr("sys.argv", ["/bin/baton", "run", "churn", "-p", "password=secret"])
    with embedded.claimed(home, print):
        said = holder.waiting_for(home)
        assert re.fullmatch(
            rf"waiting for `baton run churn` \(process {os.getpid()}, since [\d-]+ [\d:]+\)"
            rf" to leave {home.home} …",
            said,
        )
    assert holder.held_by(home) is None
    assert "another Baton" in holder.waiting_for(home)


def test_a_second_one_says_whose_end_it_waits_for(home, monkeypatch):
    """Then it gives up, and says so too."""
    monkeypatch.setattr("sys.argv", ["baton", "up"])
    monkeypatch.setattr(embedded, "_WAIT_FOR_HOME_SECONDS", 1.0)
    said = []
    with embedded.claimed(home, print):
        with (
            pytest.raises(InputError, match=r"`baton up` .* is using"),
            embedded.claimed(home, said.append),
        ):
            pass
        assert holder.held_by(home) is not None, "it is still there"
    assert said[0].startswith("waiting for `baton up` (process ")


def test_a_home_on_a_disk_that_is_mounted_read_only_is_one_line(home, monkeypatch):
    """Also where the folder is there already."""
    home.home.mkdir()

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    (home.home / "baton.lock").touch()
    assert embedded.awaited(home, print) is None
    refused = pytest.raises(InputError, match=r"cannot write to .* \(Read-only file system\)")
    with refused, embedded.claimed(home, print):
        pass


def test_a_record_that_is_none_is_nobody(home):
    """Such as one of another version."""
    home.home.mkdir()
    for content in ("", "[]", json.dumps({"who": 1})):
        (home.home / "holder.json").write_text(content)
        assert holder.held_by(home) is None


@pytest.fixture
def broken(monkeypatch):
    """A package among the others whose problem cannot be imported."""
    point = EntryPoint("moons", "no_such_module:problem", problems.PLUG_INS.group)
    others = [one for one in entry_points(group=point.group) if one.name != point.name]
    found = EntryPoints([*others, point])
    monkeypatch.setattr(plugins, "entry_points", lambda: found)
    plugins.clear()
    yield
    plugins.clear()


def test_a_plug_in_that_cannot_be_imported_is_named_and_left_out(broken):
    """The other problems are listed, and work."""
    written = StringIO()
    show.problem_list(Console(width=200, file=written))
    said = written.getvalue()
    assert "left out: problem 'moons' cannot be imported: it needs the package" in said
    assert "spheres" in said
    assert problems.get("spheres").name == "spheres"
    with pytest.raises(InputError, match="problem 'moons' cannot be imported"):
        problems.get("moons")
