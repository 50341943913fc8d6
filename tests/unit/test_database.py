"""Databases by URL, and their passwords."""

import logging
import sqlite3
from datetime import datetime, timedelta, timezone

import pandas as pd
import pytest
from pydantic import SecretStr

from baton import problems
from baton.errors import InputError
from baton.relational.database import Database, _plain, checked_url
from baton.sources import secrets

PASSWORD = "s3cr-et/w@rd"


@pytest.fixture
def shop(tmp_path):
    """A SQLite file with two tables, one of which has a composite key."""
    path = tmp_path / "a shop #1 %.sqlite"
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            create table customer (id integer primary key, name text);
            create table offer (shop integer, customer integer references customer (id),
                                primary key (shop, customer));
            create table sale (id integer primary key, shop integer, customer integer,
                               picture blob,
                               foreign key (shop, customer) references offer (shop, customer));
            insert into customer values (1, 'é');
        """)
    return path


@pytest.fixture
def block():
    """A source of secrets that knows one name."""

    def find(name):
        if name != "shop":
            raise InputError(f"there is no secret {name!r}")
        return SecretStr(PASSWORD)

    secrets.use(find)
    yield
    secrets.use(None)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hunter2@host/shop",
        "mysql+pymysql://ann:@host/shop",
        "postgresql://ann@host/shop?password=hunter2",
        "postgresql://ann@host/shop?sslpassword=hunter2",
        "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BUID%3Dann%3BPassword+%3D+hunter2",
        "ann:hun?ter2@host/shop",
    ],
)
def test_a_url_with_a_password_is_refused_and_not_repeated(url):
    """It would be stored with the run; the message says where to put it and holds none of it."""
    with pytest.raises(InputError, match=r"BATON_DATABASE_PASSWORD.*-p secret=NAME") as refused:
        problems.parse(problems.get("churn"), {"url": url})
    assert "hunter2" not in str(refused.value)
    assert "ann" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_sqlite_path_is_absolute_in_the_parameters(tmp_path, monkeypatch):
    """Another process has another working directory; a bare path is a URL, too."""
    monkeypatch.chdir(tmp_path)
    wanted = f"sqlite:///{tmp_path}/shop.sqlite"
    assert checked_url("sqlite:///shop.sqlite") == wanted
    assert checked_url("shop.sqlite") == wanted
    assert checked_url(wanted) == wanted


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///file:x?mode=ro", "path of the SQLite file itself"),
        ("://", "no SQLAlchemy URL"),
    ],
)
def test_a_url_that_cannot_be_read_is_refused(url, said):
    """With what is wrong."""
    with pytest.raises(ValueError, match=said):
        checked_url(url)


def test_reading_leaves_binary_columns_out_and_creates_no_file(shop):
    """A name with a space and signs of URLs, too."""
    database = Database(checked_url(str(shop)))
    assert database.read("customer").to_dict("list") == {"id": [1], "name": ["é"]}
    assert list(database.read("sale").columns) == ["id", "shop", "customer"]
    with pytest.raises(InputError, match="no table 'sales'"):
        database.read("sales")
    gone = shop.with_name("gone.sqlite")
    with pytest.raises(InputError, match="check that it is a SQLite file"):
        Database(checked_url(str(gone))).read("customer")
    assert not gone.exists()


def test_keys_are_those_that_the_database_declares(shop):
    """One row per column, and for a composite key one per part of it."""
    keys = Database(checked_url(str(shop))).keys()
    found = keys.dropna(subset=["parent"])[["table", "column", "parent", "parent_column"]]
    assert sorted(found.itertuples(index=False, name=None)) == [
        ("offer", "customer", "customer", "id"),
        ("sale", "customer", "offer", "customer"),
        ("sale", "shop", "offer", "shop"),
    ]


def test_moments_of_two_offsets_are_all_kept():
    """In UTC, without a zone: summer time makes two offsets of one column."""
    offsets = [timezone(timedelta(hours=h)) for h in (1, 2)]
    moments = [datetime(2024, 1, 1, 12, tzinfo=offset) for offset in offsets]
    wanted = [pd.Timestamp(2024, 1, 1, 11), pd.Timestamp(2024, 1, 1, 10)]
    assert _plain(pd.Series(moments, dtype=object)).tolist() == wanted


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path):
    """One line."""
    path = tmp_path / "notes.txt"
    path.write_text("nothing of a database, but long enough to have had a header " * 9)
    with pytest.raises(InputError, match="cannot be read: file is not a database"):
        Database(checked_url(str(path))).keys()


def test_a_server_that_is_away_may_come_back():
    """An OSError, which a task tries again; without the password."""
    database = Database("postgresql://ann@127.0.0.1:9/shop")
    with pytest.raises(ConnectionError, match=r"cannot be reached: .*check host and network"):
        database.keys()


@pytest.mark.parametrize("backend", ["postgresql", "mysql+pymysql"])
def test_the_password_is_in_no_message(block, caplog, backend):
    """Nor in what is logged at any level, nor in the repr of what holds it."""
    caplog.set_level(logging.DEBUG)
    database = Database(f"{backend}://ann@127.0.0.1:9/shop", secret="shop")
    with pytest.raises(ConnectionError) as away:
        database.keys()
    shown = str(away.value) + repr(away.value) + caplog.text + repr(database)
    assert PASSWORD not in shown
    assert "s3cr-et" not in shown
    assert away.value.__cause__ is None


def test_what_a_driver_says_of_a_password_is_struck_out():
    """Even if it quotes it; and what trying again does not mend is no OSError."""
    from sqlalchemy.exc import OperationalError

    said = OperationalError("select", {}, Exception(f"Access denied: using {PASSWORD!r}\nindeed"))
    error = Database("mysql://ann@host/shop")._translated(said, PASSWORD)
    assert isinstance(error, InputError)
    assert PASSWORD not in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("oracle+oracledb://ann@host/shop", "driver .* is not installed: install it"),
        ("nosuch://ann@host/shop", "the driver 'nosuch' of nosuch databases is not installed"),
        ("mysql+mysqldb://ann@host/shop", r"pip install 'baton-pipelines\[mysql\]'"),
    ],
)
def test_a_driver_that_is_not_there_is_named_with_what_installs_it(url, said):
    """The extra of Baton where there is one."""
    with pytest.raises(InputError, match=said):
        Database(url).keys()


def test_without_a_name_the_setting_counts(monkeypatch):
    """BATON_DATABASE_PASSWORD."""
    from baton import settings

    monkeypatch.setenv("BATON_DATABASE_PASSWORD", PASSWORD)
    settings.settings.cache_clear()
    try:
        assert secrets.reveal(None).get_secret_value() == PASSWORD
        assert PASSWORD not in repr(settings.settings())
    finally:
        monkeypatch.delenv("BATON_DATABASE_PASSWORD")
        settings.settings.cache_clear()


def test_a_named_secret_is_out_of_reach_where_no_source_is_registered():
    """The command tells it from other errors and leaves the check to the stage."""
    with pytest.raises(secrets.SecretOutOfReachError, match="Prefect Secret block"):
        secrets.reveal("shop")
    assert issubclass(secrets.SecretOutOfReachError, InputError)


def test_a_named_secret_comes_from_the_source(block):
    """And its absence is the source's to tell."""
    assert secrets.reveal("shop").get_secret_value() == PASSWORD
    with pytest.raises(InputError, match="no secret 'other'"):
        secrets.reveal("other")
