"""Folders that the system watches, and a template that looks at its sources by them."""

import os
import shutil
import socket
import sys
from pathlib import Path

import pytest

from baton.settings import settings
from serving import warm
from serving.changes import Changes

pytestmark = [
    pytest.mark.usefixtures("fast_paths"),
    pytest.mark.skipif(sys.platform != "linux", reason="Linux alone says it"),
]


@pytest.fixture
def room(tmp_path):
    """A folder with a file, and a folder below it."""
    (tmp_path / "below").mkdir()
    (tmp_path / "a.py").write_text("a = 1\n")
    return tmp_path


def below(folder):
    """A folder and all below it, as they are when this is asked."""
    return lambda: [Path(place) for place, *_ in os.walk(folder)]


@pytest.mark.parametrize(
    "change",
    [
        lambda room: (room / "a.py").write_text("a = 2\n"),
        lambda room: os.utime(room / "a.py", (0, 0)),
        lambda room: (room / "a.py").unlink(),
        lambda room: (room / "a.py").rename(room / "b.py"),
        lambda room: (room / "below" / "c.py").touch(),
        lambda room: Path(shutil.copy(room / "a.py", room / "d.py")).replace(room / "a.py"),
    ],
)
def test_whatever_changes_is_told_once(room, change):
    """Written, touched, removed, moved, made, also in a folder below; then no more."""
    changes = Changes(below(room))
    assert not changes.came()
    change(room)
    assert changes.came()
    assert not changes.came()


def test_a_folder_that_is_new_is_watched_too(room):
    """What is written there later counts."""
    changes = Changes(below(room))
    (room / "new").mkdir()
    assert changes.came()
    (room / "new" / "e.py").touch()
    assert changes.came()


def test_a_folder_that_is_not_there_cannot_be_watched(room):
    """Then each look is one at all files."""
    with pytest.raises(FileNotFoundError):
        Changes(lambda: [room / "nobody"])
    changes = Changes(lambda: [room / "below"])
    (room / "below").rmdir()
    with pytest.raises(FileNotFoundError):
        changes.came()


@pytest.fixture
def looks(monkeypatch):
    """How often all sources were looked at; they are as old as is said."""
    found = []

    def sources():
        found.append(1)
        return sources.time

    sources.time = 1.0
    monkeypatch.setattr(warm, "sources", sources)
    return found, sources


@pytest.fixture
def template(room):
    """A template of the sources of a folder."""
    with socket.socket() as listener:
        yield warm.Template(listener, 1, loaded=1.0, later=[], changes=Changes(below(room)))


def test_sources_are_looked_at_when_something_has_changed(template, looks, room):
    """Not for every run; what was changed is known before the next one."""
    found, sources = looks
    assert [template._is_stale() for _ in range(3)] == [False] * 3
    assert len(found) == 1
    sources.time = 2.0
    (room / "a.py").touch()
    assert [template._is_stale() for _ in range(2)] == [True] * 2
    assert len(found) == 2


def test_sources_on_a_disk_of_others_are_looked_at_from_time_to_time(template, looks, monkeypatch):
    """The system does not say what another machine has written."""
    _, sources = looks
    assert not template._is_stale()
    sources.time = 2.0
    assert not template._is_stale()
    monkeypatch.setattr(warm, "_SECONDS_BETWEEN_LOOKS_AT_SOURCES", 0.0)
    assert template._is_stale()


def test_a_folder_that_is_gone_has_all_looked_at_each_time(template, looks, room):
    """As where the system does not watch at all."""
    found, _ = looks
    assert not template._is_stale()
    template.changes = Changes(lambda: [room / "below"])
    (room / "below").rmdir()
    assert [template._is_stale() for _ in range(2)] == [False] * 2
    assert len(found) == 3


def test_what_is_switched_off_looks_each_time(monkeypatch):
    """BATON_FAST=0; else the folders of the sources can be watched."""
    assert warm._changes() is not None
    monkeypatch.setenv("BATON_FAST", "0")
    settings.cache_clear()
    assert warm._changes() is None
    monkeypatch.undo()
    settings.cache_clear()
