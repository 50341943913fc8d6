"""Prefect's and MLflow's databases: a copy is what the migrations make, and nothing more."""

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager

import httpx
import pytest

from serving.embedded import private
from tests.processes import wait_for
from tests.services import free_port

pytestmark = pytest.mark.usefixtures("fast_paths")

LOGIN = ("baton", "secret")
PUBLIC = {"alembic_version", "block_type", "block_schema", "block_schema_reference"}


@contextmanager
def _server(home, cache, **environment):
    """Prefect's server on a home; yields the seconds until it answered."""
    port = free_port()
    own = {
        "BATON_HOME": home,
        "BATON_PREFECT_PORT": port,
        "PREFECT_API_AUTH_STRING": ":".join(LOGIN),
        "PREFECT_HOME": home / "prefect",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "XDG_CACHE_HOME": cache,
    }
    command = [sys.executable, "-m", "serving.server"]
    given = {name: str(value) for name, value in (own | environment).items()}
    with private():
        home.mkdir(exist_ok=True)
        process = subprocess.Popen(command, env=os.environ | given)
    began = time.monotonic()

    def is_up():
        try:
            health = httpx.get(f"http://127.0.0.1:{port}/api/health", auth=LOGIN)
        except httpx.HTTPError:
            return False
        return health.status_code == 200

    try:
        wait_for(is_up, 90)
        yield time.monotonic() - began, f"http://127.0.0.1:{port}/api"
    finally:
        process.terminate()
        process.wait()


def _read(place, question):
    with closing(sqlite3.connect(place)) as connection:
        return connection.execute(question).fetchall()


def _schema(place):
    return _read(place, "select type, name, tbl_name, sql from sqlite_master order by type, name")


def _filled(place):
    tables = [name for (name,) in _read(place, "select name from sqlite_master where type='table'")]
    return {name for name in tables if _read(place, f'select 1 from "{name}" limit 1')}


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """Databases of the homes a, which made its own, and b, which was given a copy; the cache."""
    folder = tmp_path_factory.mktemp("homes")
    cache = folder / "cache"
    with _server(folder / "a", cache) as (slow, api):
        wait_for(lambda: list(cache.glob("baton/prefect-*.db")), 30)
        secret = {"name": "of-a", "value": "of a alone"}
        httpx.post(f"{api}/variables/", json=secret, auth=LOGIN).raise_for_status()
    with _server(folder / "b", cache) as (quick, api):
        types = httpx.post(f"{api}/block_types/filter", json={}, auth=LOGIN).json()
        assert "Secret" in {one["name"] for one in types}
    return folder, cache, slow, quick


def test_a_copy_is_what_the_migrations_make(started):
    """To the letter: the same tables, indexes and triggers, and the same rows of the libraries'."""
    folder, *_ = started
    a, b = (folder / home / "prefect" / "prefect.db" for home in "ab")
    assert _schema(a) == _schema(b)
    for table in PUBLIC:
        assert _read(a, f"select * from {table}") == _read(b, f"select * from {table}"), table


def test_nothing_of_a_home_is_in_another(started):
    """Only what Prefect puts into every database: no variable, no block, no key of any."""
    folder, cache, *_ = started
    (mould,) = cache.glob("baton/prefect-*.db")
    assert b"of-a" not in mould.read_bytes()
    assert _filled(folder / "b" / "prefect" / "prefect.db") <= PUBLIC
    assert (folder / "b" / "prefect" / "prefect.db").stat().st_mode & 0o777 == 0o600


def test_a_start_that_copies_is_the_quicker_one(started):
    """By seconds of migrations: the reason for all this."""
    *_, slow, quick = started
    assert quick < slow


def test_prefect_fills_no_other_table_when_it_begins(started):
    """Why these four are enough; when this fails, a new table has to be thought of."""
    folder, *_ = started
    a = folder / "a" / "prefect" / "prefect.db"
    assert _filled(a) - {"variable", "events", "event_resources"} == PUBLIC


def test_another_database_is_left_alone(tmp_path):
    """One that Prefect's settings name is migrated as ever; the home's is not made for nothing."""
    elsewhere = tmp_path / "elsewhere.db"
    url = f"sqlite+aiosqlite:///{elsewhere}"
    with _server(tmp_path / "c", tmp_path / "cache", PREFECT_API_DATABASE_CONNECTION_URL=url):
        assert _filled(elsewhere) >= PUBLIC
    assert not (tmp_path / "c" / "prefect" / "prefect.db").exists()
    assert not (tmp_path / "cache").exists()


def _store(home, cache, **environment):
    """Have MLflow's tables made in a home, by a process of its own."""
    own = {"BATON_HOME": str(home), "XDG_CACHE_HOME": str(cache)}
    command = [sys.executable, "-m", "tasks.platform.tracking"]
    subprocess.run(command, env=os.environ | own | environment, check=True)
    return home / "mlflow" / "mlflow.db"


def test_mlflows_copy_is_what_its_migrations_make(tmp_path):
    """The same tables, and the same rows of them: those of MLflow's own."""
    cache = tmp_path / "cache"
    a = _store(tmp_path / "a", cache)
    assert list(cache.glob("baton/mlflow-*.db"))
    b = _store(tmp_path / "b", cache)
    assert _schema(a) == _schema(b)
    assert _filled(a) == _filled(b) == {"alembic_version", "workspaces", "experiments"}
    for table in _filled(a):
        assert _read(a, f"select * from {table}") == _read(b, f"select * from {table}"), table
    assert list((tmp_path / "b" / "mlflow").glob("schema-*"))
