"""Prefect's server on SQLite, with writers that wait for each other.

``python -m servingr start …`` is ``prefect server start …`` but for two things. Every
transaction begins as a writer's: Prefect begins most of them as readers; where two have read and
both want to write, SQLite turns one away at once, the server answers 503, and Prefect's client
comes back two seconds later. And the application is looked up once: every action of an automation
asks for it, and Prefect writes all settings down to find it. See ``docs/adr/0005-writers-wait.md``.
"""

import sys
from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import Any

from prefect.server.database.configurations import AioSqliteConfiguration


def make_writers_wait() -> None:
    """Begin every transaction of SQLite with ``BEGIN IMMEDIATE``."""
    begin = AioSqliteConfiguration.begin_transaction

    def begin_as_writer(
        self: AioSqliteConfiguration,
        session: Any,
        with_for_update: bool = False,  # noqa: ARG001
    ) -> AbstractAsyncContextManager[Any]:
        return begin(self, session, with_for_update=True)

    AioSqliteConfiguration.begin_transaction = begin_as_writer  # type: ignore


def keep_application() -> None:
    """Let what asks for the running application get it without a search."""
    from prefect.server.api import server

    create = server.create_app
    running = cache(create)

    def created(*args: Any, **options: Any) -> Any:
        return create(*args, **options) if args or options else running()

    server.create_app = created


def main() -> None:
    """Be the command ``prefect server``."""
    make_writers_wait()
    keep_application()
    from prefect.cli import app

    sys.argv = ["prefect", "server", *sys.argv[1:]]
    app()


if __name__ == "__main__":
    main()
