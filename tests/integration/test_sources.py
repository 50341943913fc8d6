"""Sources that changed are read again, whatever they are; what did not change is not made again."""

import asyncio
import os
import sqlite3
from contextlib import contextmanager
from uuid import uuid4

import pandas as pd
import pytest
from prefect import flow
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from baton.lineage import digest_of_file
from baton.problems.spheres import Spheres
from baton.problems.table import problem as table
from baton.settings import settings
from baton.stores import objects
from baton.terms import Options
from flows.generate import generate
from tasks.data import (
    DatasetPlan,
    dataset_ready,
    load_raw,
    look_at_source,
    make_features,
    plan_dataset,
)
from tasks.training import TrainingPlan
from tests.buckets import in_place_of_a_store
from tests.shops import make_shop

pytestmark = pytest.mark.usefixtures("prefect")

CHAIN = "0123456789ab"
NAMES = {
    "orders": "orders",
    "order_key": "id",
    "order_time": "ordered",
    "customer_key": "customer",
    "relations": "orders.customer=people.id,lines.order_id=orders.id,calls.customer=people.id",
    "depth": 1,
    "primitives": "sum",
}
SERVERS = {
    "postgresql": ("postgresql://postgres@127.0.0.1:5432", "psycopg2", "postgres"),
    "mysql": ("mysql://root@127.0.0.1:3306", "pymysql", ""),
}


@contextmanager
def database_of(kind, tmp_path):
    """Address of a new database of a kind, for Baton and for SQLAlchemy."""
    if kind == "sqlite":
        yield str(tmp_path / "copy.sqlite"), f"sqlite:///{tmp_path / 'copy.sqlite'}"
        return
    standard, driver, admin = SERVERS[kind]
    server = os.environ.get(f"BATON_TEST_{kind.upper()}", standard).rstrip("/")
    name = f"baton_sources_{uuid4().hex[:8]}"
    driven = server.replace("://", f"+{driver}://", 1)
    engine = create_engine(f"{driven}/{admin}", isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            connection.execute(text(f"create database {name}"))
    except OperationalError as error:
        pytest.skip(f"no {kind} server answers at {server}: {error.orig}")
    try:
        yield f"{server}/{name}", f"{driven}/{name}"
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"drop database {name}"))
        engine.dispose()


@pytest.fixture(
    params=[
        "sqlite",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("postgresql", "mysql")),
    ]
)
def shop(request, tmp_path):
    """URL of a shop in a database, and what changes it."""
    path = make_shop(tmp_path / "shop.sqlite", orders=60, customers=15)
    with database_of(request.param, tmp_path) as (url, driven):
        engine = create_engine(driven)
        with sqlite3.connect(path) as shop:
            for table in ("people", "orders", "lines", "calls"):
                rows = pd.read_sql_query(f"select * from {table}", shop)
                rows.to_sql(table, engine, index=False)

        def change(statement):
            with engine.begin() as connection:
                connection.execute(text(statement))

        yield url, change
        engine.dispose()


def run(problem, params, **options):
    """Run the stage `generate`; return the name of its state and what it announces."""
    asked = Options(**options)

    async def made():
        return await generate(problem, params, asked, return_state=True)

    name = asyncio.run(made()).name
    plain = asked.model_copy(update={"fresh": False})
    return name, dataset_ready(plan_dataset(problem, params, plain, CHAIN))


def test_an_update_that_leaves_count_and_latest_date_is_seen(shop):
    """On SQLite, PostgreSQL and MariaDB; and what did not change is found."""
    url, change = shop
    params = {"url": url, **NAMES}
    first = run("churn", params)
    assert run("churn", params) == ("Cached", first[1])
    change("update calls set minutes = minutes + 1 where id = 7")
    name, changed = run("churn", params)
    assert name == "Completed"
    assert changed.features.digest != first[1].features.digest


def test_a_store_that_is_away_is_asked_again(tmp_path, monkeypatch):
    """By the task that looks at the source, as for a download."""
    in_place_of_a_store(monkeypatch, tmp_path)
    (tmp_path / "cellar").mkdir()
    (tmp_path / "cellar" / "wine.csv").write_text("x,y\n1,a\n2,b\n")
    tried, look = [], objects.look

    def away_at_first(place):
        tried.append(place)
        if len(tried) == 1:
            raise ConnectionError("away")
        return look(place)

    monkeypatch.setattr(objects, "look", away_at_first)
    again = look_at_source.with_options(retry_delay_seconds=0)
    given = table.params(path="s3://cellar/wine.csv", target="y")

    @flow
    def looked():
        return again(table, given, is_fresh=False)

    assert looked() == digest_of_file(tmp_path / "cellar" / "wine.csv")
    assert len(tried) > 1


class Moved(Spheres):
    """A source that changes and does not say so."""

    by = 0.0

    def load(self, params):
        table = super().load(params)
        return table.assign(x=table["x"] + self.by)


@flow
async def made_anew(plan):
    load = load_raw.with_options(refresh_cache=plan.is_fresh)
    make = make_features.with_options(refresh_cache=plan.is_fresh)
    make(plan, load(plan, {}))
    return dataset_ready(plan)


def test_fresh_sees_what_a_fingerprint_does_not(monkeypatch):
    """The tables stand at the same place, another digest goes on, and the old ones are kept."""
    problem = Moved()

    def made(*, fresh):
        params = problem.params(rows=60)
        return asyncio.run(
            made_anew(DatasetPlan(problem, params, Options(fresh=fresh), CHAIN, "unchanged"))
        )

    first = made(fresh=False)
    place = settings().results / first.features.key
    was = place.read_bytes()
    monkeypatch.setattr(Moved, "by", 1.0)
    assert made(fresh=False).features == first.features
    changed = made(fresh=True)
    assert changed.features.key == first.features.key
    assert changed.features.digest != first.features.digest
    assert TrainingPlan(changed).version_key != TrainingPlan(first).version_key
    assert place.with_name(f"{place.name}.aside").read_bytes() == was
    assert made(fresh=False).features == changed.features


@pytest.mark.long
@pytest.mark.parametrize("problem", ["spheres", "table"])
def test_fresh_makes_the_same_of_the_same_source(tmp_path, problem):
    """All is made again, to the byte, so that whoever comes next finds what it made before."""
    path = tmp_path / "people.csv"
    path.write_text("a,b,y\n" + "".join(f"{n},{n % 7},{'uv'[n % 2]}\n" for n in range(60)))
    params = {"rows": 80} if problem == "spheres" else {"path": str(path), "target": "y"}
    _, first = run(problem, params)
    assert run(problem, params)[0] == "Cached"
    assert run(problem, params, fresh=True) == ("Completed", first)
