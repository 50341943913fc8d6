"""Prefect's server on SQLite: writers that have read wait for each other."""

import asyncio
from contextlib import suppress

import pytest
import sqlalchemy as sa
from prefect.server.database.configurations import AioSqliteConfiguration

from baton.cli.server import make_writers_wait


async def _two_writers(path):
    """Both read before either writes; return how many wrote."""
    configuration = AioSqliteConfiguration(f"sqlite+aiosqlite:///{path}")
    engine = await configuration.engine()
    async with engine.begin() as connection:
        await connection.execute(sa.text("create table t (n integer)"))
    both_read = asyncio.Barrier(2)

    async def read_and_write():
        session = await configuration.session(engine)
        async with session, configuration.begin_transaction(session):
            await session.execute(sa.text("select count(*) from t"))
            with suppress(TimeoutError, asyncio.BrokenBarrierError):  # the other may have to wait
                await asyncio.wait_for(both_read.wait(), 0.5)
            await session.execute(sa.text("insert into t values (1)"))

    done = await asyncio.gather(read_and_write(), read_and_write(), return_exceptions=True)
    await engine.dispose()
    return done


def test_of_two_writers_that_have_read_prefect_turns_one_away(tmp_path):
    """Why `baton.cli.server` is there; it can go when this fails."""
    done = asyncio.run(_two_writers(tmp_path / "x.db"))
    assert any("locked" in str(error) for error in done)


def test_writers_wait_for_each_other(tmp_path, monkeypatch):
    """With the change, both have written."""
    original = AioSqliteConfiguration.begin_transaction
    monkeypatch.setattr(AioSqliteConfiguration, "begin_transaction", original)
    make_writers_wait()
    assert asyncio.run(_two_writers(tmp_path / "x.db")) == [None, None]


@pytest.fixture(autouse=True)
def _no_shared_engines(monkeypatch):
    """Engines are kept by event loop and address: none of another test's."""
    from prefect.server.database import configurations

    monkeypatch.setattr(configurations, "ENGINES", {})
