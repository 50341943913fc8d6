"""The problem churn on a real PostgreSQL server."""

import sqlite3
import subprocess

import pandas as pd
import pytest

from baton import problems, tuning
from baton.errors import InputError
from baton.relational.database import Database
from baton.settings import Settings
from tests.shops import TABLES, make_shop
from tests.unit.test_tuning import WORKER, check_shared, share, shared_search

CHURN = problems.get("churn")
NAMES = {
    "orders": "orders",
    "order_key": "id",
    "order_time": "ordered",
    "customer_key": "customer",
    # One order's customer is in no table, so that the server would refuse a declared key.
    "relations": "orders.customer=people.id",
}
TYPES = {"ordered text": "ordered timestamp", "called text": "called date", "real": "numeric"}
"""What SQLite cannot declare."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of its own, which ends with the tests."""
    pgserver = pytest.importorskip("pgserver", reason="wants pgserver, of the group dev")
    try:
        found = pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete")
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        pytest.skip(f"PostgreSQL does not start here: {error}")
    yield found
    found.cleanup()


@pytest.fixture(scope="module")
def both(server, tmp_path_factory):
    """The same shop twice: path of a SQLite file, URL of the server."""
    psycopg2 = pytest.importorskip("psycopg2", reason="wants psycopg2-binary, of the group dev")
    path = make_shop(tmp_path_factory.mktemp("shop") / "shop.sqlite")
    tables = TABLES.replace("customer integer references people (id),\n", "customer integer,\n", 1)
    for kind, better in TYPES.items():
        tables = tables.replace(kind, better)
    with sqlite3.connect(path) as shop, psycopg2.connect(server.get_uri()) as connection:
        cursor = connection.cursor()
        cursor.execute(tables)
        for table in ("people", "products", "orders", "lines", "calls", "visits"):
            rows = shop.execute(f"select * from {table}").fetchall()
            places = ", ".join(["%s"] * len(rows[0]))
            cursor.executemany(f"insert into {table} values ({places})", rows)
    connection.close()
    return path, server.get_uri().replace("postgres:@", "postgres@")


def test_the_features_are_those_of_the_same_shop_in_sqlite(both):
    """Timestamps, dates, decimals and keys are read as what they are."""
    path, url = both
    params = [problems.parse(CHURN, {"url": str(place), **NAMES}) for place in (path, url)]
    files, served = (CHURN.load(p) for p in params)
    CHURN.contract(params[1]).validate(served)
    assert set(files.columns) == set(served.columns)
    pd.testing.assert_frame_equal(served[files.columns], files)


def test_only_reading_tells_whether_a_server_s_tables_changed(both):
    """What names no table of it is refused all the same, before anything is read."""
    assert CHURN.fingerprint(problems.parse(CHURN, {"url": both[1], **NAMES})) is None
    with pytest.raises(InputError, match="no table 'order'"):
        CHURN.fingerprint(problems.parse(CHURN, {"url": both[1], **NAMES, "orders": "order"}))


def test_what_the_server_refuses_is_told_in_one_line(both):
    """A database or a role that is not there will not come by waiting."""
    for wrong in (both[1].replace("/postgres?", "/nosuch?"), both[1].replace("postgres@", "ann@")):
        with pytest.raises(InputError, match=r"cannot be read: .*does not exist") as told:
            Database(wrong).keys()
        assert "\n" not in str(told.value)


def test_two_processes_share_a_study_on_the_server_and_one_is_killed(server, tmp_path):
    """20 trials, none lost, none twice, as on a journal; the password is in no message."""
    url = server.get_uri().replace("postgres:@", "postgres@")
    code = WORKER.replace("SETTINGS", f"Settings(home=Path(sys.argv[1]), study_storage={url!r})")
    settings = Settings(home=tmp_path, study_storage=url)
    check_shared(settings, *share(tmp_path, settings, code))
    study = tuning.open_study(tuning.open_storage(settings, "shared"), shared_search())
    assert all(one.began.utcoffset() is None or one.seconds > 0 for one in study.outcomes())
