"""Prefect's server on SQLite: writers that have read wait for each other."""

import asyncio
import ssl
from contextlib import suppress

import httpx
import pytest
import sqlalchemy as sa
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.settings import (
    PREFECT_API_TLS_INSECURE_SKIP_VERIFY,
    PREFECT_API_URL,
    temporary_settings,
)

from serving.clients import share_certificates
from serving.server import keep_application, make_writers_wait


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
    """Why `serving.server` is there; it can go when this fails."""
    done = asyncio.run(_two_writers(tmp_path / "x.db"))
    assert any("locked" in str(error) for error in done)


def test_writers_wait_for_each_other(tmp_path, monkeypatch):
    """With the change, both have written."""
    original = AioSqliteConfiguration.begin_transaction
    monkeypatch.setattr(AioSqliteConfiguration, "begin_transaction", original)
    make_writers_wait()
    assert asyncio.run(_two_writers(tmp_path / "x.db")) == [None, None]


def _ask(times):
    """Ask for the application as every action of an automation does."""
    from prefect.server.api.clients import BaseClient

    clients = [BaseClient() for _ in range(times)]
    assert len({id(client._http_client._transport.app) for client in clients}) == 1


def test_the_application_is_looked_up_once(monkeypatch):
    """Prefect writes all settings down at every action; with the change, once."""
    from prefect.server.api import server
    from prefect.settings import Settings

    asked = []
    hash_key = Settings.hash_key
    monkeypatch.setattr(Settings, "hash_key", lambda self: asked.append(1) or hash_key(self))
    monkeypatch.setattr(server, "create_app", server.create_app)
    _ask(4)
    assert len(asked) >= 4, "Prefect has mended it: `keep_application` can go"
    keep_application()
    asked.clear()
    _ask(4)
    assert len(asked) <= 1


@pytest.fixture(autouse=True)
def _no_shared_engines(monkeypatch):
    """Engines are kept by event loop and address: none of another test's."""
    from prefect.server.database import configurations

    monkeypatch.setattr(configurations, "ENGINES", {})


def _contexts_of_clients(monkeypatch, times):
    """How often certificates are read for so many clients."""
    from prefect.client.orchestration import get_client

    read = []
    load = ssl.SSLContext.load_default_certs
    monkeypatch.setattr(
        ssl.SSLContext, "load_default_certs", lambda self, *of: read.append(1) or load(self, *of)
    )
    settings = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_API_TLS_INSECURE_SKIP_VERIFY: 1}
    with temporary_settings(settings):
        for _ in range(times):
            with suppress(httpx.HTTPError), get_client(sync_client=True):
                pass
    return len(read)


def test_certificates_are_read_once_for_all_clients_of_a_process(monkeypatch):
    """Prefect reads them for each; with the change, once. It can go when the first half fails."""
    from prefect.client import orchestration

    monkeypatch.setattr(orchestration, "ssl", ssl)
    assert _contexts_of_clients(monkeypatch, 3) >= 3
    share_certificates()
    assert _contexts_of_clients(monkeypatch, 3) == 1
