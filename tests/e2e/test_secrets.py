"""Secrets nowhere: what a run leaves, says and shows holds no planted password.

They want a MariaDB or MySQL server in which users can be made: BATON_TEST_MYSQL, by default
root without a password at port 3306 of this machine.
"""

import base64
import json
import os
import subprocess
import sys
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import OperationalError

from tests.e2e.conftest import BRIEFLY, _furnished, fresh_home

pytestmark = pytest.mark.e2e

PASSWORD = "Pl4nted p@ss/w:rd+%41"
WRONG = "An0ther p@ss/w:rd+%41"


def _spellings(password):
    """How a password may be written down."""
    plain = [password, quote(password, safe=""), quote(password), quote_plus(password)]
    plain += [json.dumps(password)[1:-1], repr(password)[1:-1]]
    coded = [base64.b64encode(one.encode()).decode().rstrip("=") for one in plain[:2]]
    return {one.encode() for one in (*plain, *coded)}


SPELLINGS = _spellings(PASSWORD) | _spellings(WRONG)


@dataclass
class Shop:
    """A database of orders, and a user who needs a password."""

    host: str
    name: str

    @property
    def url(self):
        return f"mysql+pymysql://{self.name}@{self.host}/{self.name}"

    def tracking(self, password):
        """Address with the password, as MLflow takes it."""
        login = f"{self.name}:{quote(password, safe='')}"
        return f"mysql+pymysql://{login}@{self.host}/{self.name}_runs"

    @property
    def order(self):
        names = {"order_key": "id", "order_time": "ordered", "customer_key": "customer"}
        names |= {"url": self.url, "orders": "orders", "days": "60"}
        return [part for name, value in names.items() for part in ("-p", f"{name}={value}")]


@pytest.fixture(scope="module")
def shop():
    """A shop of its own on the standing server, which is gone afterwards."""
    address = os.environ.get("BATON_TEST_MYSQL", "mysql+pymysql://root@127.0.0.1:3306")
    engine = create_engine(make_url(address), connect_args={"connect_timeout": 3})
    name = f"baton_{uuid.uuid4().hex[:8]}"
    try:
        connection = engine.connect()
    except OperationalError as error:
        pytest.skip(f"wants MariaDB or MySQL, BATON_TEST_MYSQL: {error.orig}")
    url = make_url(address)
    with connection:
        for line in _making(name):
            connection.exec_driver_sql(line)
        user = text(f"create user '{name}'@'%' identified by :password")
        connection.execute(user, {"password": PASSWORD})
        for database in (name, f"{name}_runs"):
            connection.exec_driver_sql(f"grant all on {database}.* to '{name}'@'%%'")
        connection.commit()
        yield Shop(f"{url.host}:{url.port or 3306}", name)
        connection.exec_driver_sql(f"drop user '{name}'@'%%'")
        for database in (name, f"{name}_runs"):
            connection.exec_driver_sql(f"drop database {database}")
    engine.dispose()


def _making(name):
    yield f"create database {name}"
    yield f"create database {name}_runs"
    yield (
        f"create table {name}.orders"
        " (id integer primary key, customer integer, ordered datetime, total double)"
    )
    rows = [
        f"({n}, {n * 7 % 31}, '2023-{n * 5 % 12 + 1:02}-{n % 28 + 1:02}', {n % 17})"
        for n in range(240)
    ]
    yield f"insert into {name}.orders values {', '.join(rows)}"


@contextmanager
def _watched():
    """Command lines of all processes that there are meanwhile."""
    seen, is_over = set(), threading.Event()

    def watch():
        while not is_over.is_set():
            for place in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    seen.add(place.read_bytes())
            time.sleep(0.2)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


def _told(content, where):
    assert not [one for one in SPELLINGS if one in content], where


def _nothing_told(home):
    """No file of the home has a password in it, packed tables included, and all are private."""
    for path in (home.path, *home.path.rglob("*")):
        assert not path.lstat().st_mode & 0o077 or path.name == "up.out", path
        if not path.is_file():
            continue
        _told(path.read_bytes(), path)
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            _told(repr((table.schema.metadata, table.to_pylist())).encode(), path)


def _done(home, *arguments, **environment):
    """Run the command, and see that neither what it says nor a command line tells anything."""
    with _watched() as seen:
        done = home.baton(*arguments, **environment)
    _told((done.out + done.err).encode(), arguments)
    assert any(b"baton" in one for one in seen)
    mine = [one for one in seen if b"test_secrets" not in one]
    _told(b"\n".join(mine), "command lines")
    assert "Traceback" not in done.err
    return done


@pytest.mark.long
def test_a_password_of_the_environment_is_in_nothing_that_a_run_leaves(home, shop):
    """Databases, logs, results, events, the report, the JSON, command lines; a wrong one too."""
    home.path.chmod(0o700)
    run = ["run", "churn", "--json", *BRIEFLY, *shop.order]
    done = _done(home, *run, BATON_DATABASE_PASSWORD=PASSWORD)
    assert done.json["state"] == "COMPLETED", done.err
    done = _done(home, *run, BATON_DATABASE_PASSWORD=WRONG)
    assert (done.code, "Access denied" in done.err) == (2, True)
    with_password = shop.url.replace("@", f":{quote(PASSWORD, safe='')}@")
    done = home.baton("run", "churn", "-p", f"url={with_password}")  # the user wrote it there
    assert done.code == 2
    _told((done.out + done.err).encode(), "a url with a password")
    began = time.monotonic()
    done = _done(home, "run", "iris", BATON_MLFLOW_TRACKING_URI=shop.tracking(WRONG))
    assert done.code in {1, 2}
    assert "Access denied" in done.err
    assert time.monotonic() - began < 120
    _nothing_told(home)


BLOCK = """
import sys
from prefect.blocks.system import Secret
Secret(value=sys.stdin.read()).save("planted", overwrite=True)
"""


@pytest.mark.long
def test_a_password_of_a_block_and_of_mlflows_database_is_in_nothing(tmp_path, prepared, shop):
    """Of a search, a chain, a prediction and a failed stage, while `baton up` stands."""
    with fresh_home(_furnished(tmp_path / "home", prepared)) as home:
        home.path.chmod(0o700)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BATON_MLFLOW_TRACKING_URI", shop.tracking(PASSWORD))
            home.start()
            _save_block(home, PASSWORD)
            named = [*shop.order, "-p", "secret=planted"]
            tune = ["-p", "tune=true", "-p", "n_trials=2", "-p", "trials_at_once=1"]
            done = _done(home, "run", "churn", "--json", *BRIEFLY, *named, *tune)
            assert done.json["state"] == "COMPLETED", done.err
            assert _done(home, "predict", "churn", *named).code == 0
            _nothing_told(home)
            _save_block(home, WRONG)
            done = _done(home, "run", "churn", *named, "-p", "seed=5")
            assert (done.code, "Access denied" in done.err) == (2, True)
            _nothing_told(home)
            for pid, command in home.commands().items():
                _told(command.encode(), pid)


def _save_block(home, password):
    secret = (home.path / "auth").read_text()
    environment = home.environment(PREFECT_API_URL=home.api, PREFECT_API_AUTH_STRING=secret)
    command = [sys.executable, "-c", BLOCK]
    subprocess.run(command, env=environment, input=password, text=True, check=True, timeout=120)
