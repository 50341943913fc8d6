"""How Prefect's server begins on a home's database: what was done before is not done again.

Which databases are copied from which belongs in ``tasks/platform/moulds.py``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from sqlalchemy import make_url

from baton.settings import settings
from tasks.platform import moulds
from tasks.platform.moulds import Mould

App = Callable[..., Awaitable[None]]
Message = dict[str, Any]


@dataclass(frozen=True)
class Beginning:
    """A start of the server: what its database lacks, and what becomes of it."""

    database: Path
    mould: Mould | None
    """None where there is nothing to copy or to leave out."""
    is_new: bool
    """Whether the server makes the database itself."""
    is_whole: bool
    """Whether it lacks nothing."""

    @classmethod
    def of_this_home(cls) -> Beginning:
        """Begin on the home's database, as a copy if there is none yet; another is left alone."""
        database = settings().home / "prefect" / "prefect.db"
        mould = moulds.prefect() if _database_asked() == database else None
        is_copied = mould is not None and mould.fill(database)
        is_whole = is_copied or (mould is not None and mould.is_of(database))
        return cls(database, mould, not database.exists(), is_whole)

    @contextmanager
    def shortened(self) -> Iterator[None]:
        """Leave out what a whole database needs no more: the types of all blocks.

        To find out that they are there Prefect writes down the schemas of all, for a second.
        """
        from prefect.settings import PREFECT_API_BLOCKS_REGISTER_ON_START as REGISTERS
        from prefect.settings import PREFECT_MEMOIZE_BLOCK_AUTO_REGISTRATION as LOOKS
        from prefect.settings import temporary_settings

        with temporary_settings({REGISTERS: False, LOOKS: False} if self.is_whole else {}):
            yield

    def note(self) -> None:
        """Note, beside what goes on, that the server has made the database, or made it whole."""
        if self.mould is not None and not self.is_whole:
            Thread(target=self._note, daemon=True, name="note database").start()

    def _note(self) -> None:
        assert self.mould is not None
        if self.is_new:
            self.mould.keep(self.database)
        self.mould.sign(self.database)


def once_begun(app: App, *todo: Callable[[], object]) -> App:
    """Application that does something when it has begun, before the first request."""

    async def begun(scope: Message, receive: App, send: App) -> None:
        async def told(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                for do in todo:
                    do()
            await send(message)

        await app(scope, receive, told if scope["type"] == "lifespan" else send)

    return begun


def _database_asked() -> Path | None:
    """File of the database that Prefect's settings name; None if it is on a server."""
    from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

    url = make_url(PREFECT_API_DATABASE_CONNECTION_URL.value())
    is_file = url.get_backend_name() == "sqlite" and url.database not in {None, ":memory:"}
    return Path(str(url.database)) if is_file else None
