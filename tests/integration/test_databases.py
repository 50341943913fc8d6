"""The databases of an embedded Baton, as Prefect's own engine opens them."""

import asyncio

import pytest
import sqlalchemy as sa
from prefect.server.database import configurations
from prefect.server.database.configurations import AioSqliteConfiguration

from serving.databases import PAGE_CACHE_KIB, bound_page_caches


@pytest.fixture(autouse=True)
def _no_engine_kept(monkeypatch):
    """Prefect keeps engines by loop and address."""
    monkeypatch.setattr(configurations, "ENGINES", {})


ASKED = sa.text("pragma cache_size")


async def _caches(path, change=lambda engine: None):
    """What two connections at once may keep, and what one that is used again."""
    engine = await AioSqliteConfiguration(f"sqlite+aiosqlite:///{path}").engine()
    change(engine.sync_engine)
    try:
        async with engine.begin() as one, engine.begin() as other:
            found = [await one.scalar(ASKED), await other.scalar(ASKED)]
        async with engine.begin() as again:
            return [*found, await again.scalar(ASKED)]
    finally:
        await engine.dispose()


def test_prefect_lets_each_connection_keep_eighty_megabytes(tmp_path):
    """Why `bound_page_caches` is there; it can go when this fails."""
    assert asyncio.run(_caches(tmp_path / "x.db")) == [20_000] * 3, "pages of 4 KiB"


def test_what_a_connection_keeps_is_bounded(tmp_path):
    """A server does not grow with its database, by up to 80 MiB a connection."""
    bounded = asyncio.run(_caches(tmp_path / "x.db", bound_page_caches))
    assert bounded == [-PAGE_CACHE_KIB] * 3
