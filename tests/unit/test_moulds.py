"""Empty databases that were made before, and the copies of them."""

import os
import sqlite3
from contextlib import closing

import pytest

from baton.settings import settings
from tasks.platform import moulds
from tasks.platform.moulds import Mould

pytestmark = pytest.mark.usefixtures("fast_paths")

MOULD = Mould("some", "0123456789abcdef", ("public",))


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.fixture
def origin(tmp_path):
    """A database in use, with a row that is everybody's and one that is a secret."""
    place = tmp_path / "origin.db"
    with closing(sqlite3.connect(place)) as connection:
        connection.executescript(
            "pragma journal_mode = wal;"
            "create table public (a, b as (1)); create table kept (a);"
            "create index by_a on kept (a desc) where a > 1;"
            "insert into kept values ('secret'); drop table public;"
            "create table public (a); insert into public values ('everybody''s');"
        )
    return place


def _read(place, question):
    with closing(sqlite3.connect(place)) as connection:
        return connection.execute(question).fetchall()


SCHEMA = "select type, name, tbl_name, sql from sqlite_master order by type, name"


def test_a_copy_has_the_tables_and_what_is_everybodys_alone(origin, tmp_path):
    """What else a database holds is in no mould, not even in pages that are free."""
    MOULD.keep(origin)
    made = tmp_path / "home" / "made.db"
    assert MOULD.fill(made)
    assert _read(made, SCHEMA) == _read(origin, SCHEMA)
    assert _read(made, "select * from public") == [("everybody's",)]
    assert _read(made, "select * from kept") == []
    assert b"secret" not in MOULD.place.read_bytes() + made.read_bytes()


def test_a_copy_is_known_as_such(origin, tmp_path):
    """A database says what it has: a copy by birth, another once it is signed."""
    assert not MOULD.is_of(origin)
    assert not MOULD.is_of(tmp_path / "nothing.db")
    MOULD.keep(origin)
    MOULD.fill(tmp_path / "made.db")
    assert MOULD.is_of(tmp_path / "made.db")
    MOULD.sign(origin)
    assert MOULD.is_of(origin)
    assert not Mould("some", "fedcba9876543210", ()).is_of(origin), "of another version"


@pytest.mark.parametrize("end", ["", "-wal", "-journal"])
def test_what_is_there_is_never_written_over(end, origin, tmp_path):
    """Nor does a copy appear beside the log of a database that is gone: it would be replayed."""
    MOULD.keep(origin)
    (tmp_path / f"made.db{end}").write_bytes(b"mine")
    assert not MOULD.fill(tmp_path / "made.db")
    assert [p.read_bytes() for p in tmp_path.glob("made.db*")] == [b"mine"]


def _damaged():
    content = bytearray(MOULD.place.read_bytes())
    content[len(content) // 2] ^= 1
    MOULD.place.write_bytes(content)


def _cut_short():
    MOULD.place.write_bytes(MOULD.place.read_bytes()[:5000])


def _linked():
    elsewhere = MOULD.place.rename(MOULD.place.with_name("elsewhere"))
    MOULD.place.symlink_to(elsewhere)


def _gone():
    MOULD.place.unlink()


TAMPERED = {
    "damaged": _damaged,
    "cut short": _cut_short,
    "a link": _linked,
    "writable by all": lambda: MOULD.place.chmod(0o666),
    "in a folder that is writable by all": lambda: MOULD.place.parent.chmod(0o777),
    "gone": _gone,
}


@pytest.mark.skipif(os.name == "nt", reason="rights of files are other ones there")
@pytest.mark.parametrize("how", TAMPERED)
def test_a_mould_that_is_not_as_it_was_left_is_passed_over(how, origin, tmp_path):
    """No home begins with a database that somebody else, or a fault, has written."""
    MOULD.keep(origin)
    TAMPERED[how]()
    assert not MOULD.fill(tmp_path / "made.db")
    assert not (tmp_path / "made.db").exists()


def test_a_mould_of_another_user_is_passed_over(origin, tmp_path, monkeypatch):
    """Whoever else could have written it, root included."""
    MOULD.keep(origin)
    monkeypatch.setattr(os, "getuid", lambda: 12345, raising=False)
    assert not MOULD.fill(tmp_path / "made.db")


def test_moulds_are_for_this_user_alone(origin):
    """Folder and file, as everything of a home is."""
    MOULD.keep(origin)
    assert MOULD.place.parent.stat().st_mode & 0o777 == 0o700
    assert MOULD.place.stat().st_mode & 0o777 == 0o600


def test_a_cache_that_cannot_be_written_stops_nobody(origin, tmp_path):
    """The next home is then made as this one was."""
    (tmp_path / "cache").write_bytes(b"a file")
    MOULD.keep(origin)
    MOULD.keep(tmp_path / "no database")
    assert not MOULD.fill(tmp_path / "made.db")


def test_the_cache_does_not_grow_for_ever(origin):
    """Of moulds that were used long ago none stays."""
    for n in range(9):
        mould = Mould("some", f"{n}" * 16, ())
        mould.keep(origin)
        os.utime(mould.place, (n, n))
    MOULD.keep(origin)
    assert len(list(MOULD.place.parent.iterdir())) == 6
    assert MOULD.place.exists()


def test_a_fingerprint_is_of_all_that_decides_the_outcome(monkeypatch):
    """Another version has a mould of its own."""
    before = moulds.prefect(), moulds.mlflow()
    assert before == (moulds.prefect(), moulds.mlflow())
    monkeypatch.setattr(moulds, "version", lambda name: "0")
    assert moulds.prefect().place != before[0].place
    assert moulds.mlflow().place != before[1].place


def test_without_fast_paths_there_is_no_mould(monkeypatch):
    """BATON_FAST=0: every home makes its databases itself."""
    monkeypatch.setenv("BATON_FAST", "0")
    settings.cache_clear()
    assert (moulds.prefect(), moulds.mlflow()) == (None, None)


def test_without_internals_there_is_no_mould(no_internals):
    """Where the migrations are is not known then."""
    assert (moulds.prefect(), moulds.mlflow()) == (None, None)


def test_a_user_without_a_home_folder_has_no_cache_elsewhere(monkeypatch):
    """A container's user may be in no list of users."""
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which counts for nothing

    def unknown(self):
        raise RuntimeError

    settings.cache_clear()
    found = settings()
    monkeypatch.setattr("baton.settings.Path.expanduser", unknown)
    assert found.moulds == found.home / "cache"
