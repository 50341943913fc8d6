"""The problem churn and studies on real servers: PostgreSQL, and MariaDB or MySQL."""

import subprocess
from contextlib import contextmanager
from dataclasses import dataclass

import pandas as pd
import pytest
from pydantic import SecretStr
from sqlalchemy import URL, create_engine, make_url, text

from baton import problems, tuning
from baton.errors import InputError
from baton.relational.database import Database
from baton.settings import Settings
from baton.sources import secrets
from tests import services
from tests.shops import NAMES, copy_shop, make_shop
from tests.unit.test_tuning import WORKER, check_shared, share, shared_search

CHURN = problems.get("churn")


@dataclass
class Server:
    """A database of a server, and what it is asked by."""

    kind: str
    address: URL

    @property
    def url(self):
        """What a user gives: without the password."""
        return self.address._replace(password=None).render_as_string()

    @property
    def password(self):
        return self.address.password or ""

    def run(self, *statements, rows=None):
        engine = create_engine(self.address)
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement), rows)
        engine.dispose()


@contextmanager
def _private(tmp_path_factory):
    """A PostgreSQL of the tests' own, for a machine that has none."""
    pgserver = pytest.importorskip("pgserver", reason="wants pgserver, of the group dev")
    try:
        found = pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete")
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        pytest.skip(f"PostgreSQL does not start here: {error}")
    yield make_url(found.get_uri().replace("postgres:@", "postgres@"))
    found.cleanup()


@pytest.fixture(
    scope="module", params=["postgresql", pytest.param("mysql", marks=pytest.mark.long)]
)
def server(request, tmp_path_factory, answering):
    """A database of the tests' own, which ends with them."""
    makes = {"postgresql": services.postgresql, "mysql": services.mysql}
    try:
        with makes[request.param]() as url:
            yield Server(request.param, url)
    except services.NobodyAnswersError as error:
        if request.param == "mysql":
            pytest.skip(str(error))
        with _private(tmp_path_factory) as url:
            yield Server(request.param, url)


@pytest.fixture(autouse=True)
def _password(server):
    """The secret ``shop`` is the server's password."""
    secrets.use({"shop": SecretStr(server.password)}.__getitem__)
    yield
    secrets.use(None)


@pytest.fixture(scope="module")
def both(server, tmp_path_factory):
    """The same shop twice: parameters for a SQLite file, and for the server."""
    path = make_shop(tmp_path_factory.mktemp("shop") / "shop.sqlite")
    copy_shop(path, server.address)
    given = [{"url": str(path)}, {"url": server.url, "secret": "shop"}]
    return [problems.parse(CHURN, one | NAMES) for one in given]


def test_the_features_are_those_of_the_same_shop_in_sqlite(both):
    """Timestamps, dates, decimals, keys and names that are words of SQL are what they are."""
    files, served = (CHURN.load(p) for p in both)
    CHURN.contract(both[1]).validate(served)
    assert set(files.columns) == set(served.columns)
    pd.testing.assert_frame_equal(served[files.columns], files)


def test_only_reading_tells_whether_a_server_s_tables_changed(both):
    """What names no table of it is refused all the same, before anything is read."""
    given = {"url": both[1].url, "secret": "shop"} | NAMES
    assert CHURN.fingerprint(both[1]) is None
    with pytest.raises(InputError, match="no table 'order'"):
        CHURN.fingerprint(problems.parse(CHURN, {**given, "orders": "order"}))


def test_what_the_server_refuses_is_told_in_one_line(server):
    """A database or a role that is not there will not come by waiting."""
    wrong = server.address._replace(password=None)
    for url in (wrong.set(database="nosuch"), wrong.set(username="ann")):
        refused = r"cannot be read: .*(does not exist|denied|authentication failed)"
        with pytest.raises(InputError, match=refused) as told:
            Database(url.render_as_string(), secret="shop").keys()
        assert "\n" not in str(told.value)
        assert not server.password or server.password not in str(told.value)


def test_two_processes_share_a_study_on_the_server_and_one_is_killed(server, tmp_path, monkeypatch):
    """20 trials, none lost, none twice, as on a journal."""
    monkeypatch.setenv("BATON_STUDY_STORAGE", server.url)
    monkeypatch.setenv("BATON_STUDY_PASSWORD", server.password)
    code = WORKER.replace("SETTINGS", "Settings(home=Path(sys.argv[1]))")
    settings = Settings(home=tmp_path)
    check_shared(settings, *share(tmp_path, settings, code))
    study = tuning.open_study(tuning.open_storage(settings, "shared"), shared_search())
    assert all(one.began.utcoffset() is None or one.seconds > 0 for one in study.outcomes())
