"""Prefect's server behind the guard, with writers on SQLite that wait for each other.

``python -m serving.server`` is ``prefect server start`` but for that, for an application at hand,
and for a new database that is copied. See ``docs/adr/0005-writers-wait.md``,
``docs/adr/0009-once-in-a-process.md``, ``docs/adr/0014-nobody-in.md`` and
``docs/adr/0026-a-start-copies.md``.
"""

import asyncio
import gc
import logging

import uvicorn
from sqlalchemy import Engine

from baton.settings import settings
from serving.beginning import Beginning, once_begun
from serving.databases import bound_page_caches
from serving.guard import HOST, Guard
from serving.memory import collect_aside, give_back
from tasks.platform.prefect_internals import keep_application, look_seldom, make_writers_wait

_SECONDS_TO_END = 0.2
"""That requests are given which are being answered when the server is to end; uvicorn waits
otherwise for the websockets of runs that are gone, for seconds."""

_SECONDS_BETWEEN_LOOKS = 2.0
"""Of the server, for what it has put off: what it does most often is every five seconds."""


def _is_news(record: logging.LogRecord) -> bool:
    """Tell whether a line of the log says more than that a request was cut off at the end."""
    kind = record.exc_info[0] if record.exc_info else None
    return kind is None or not issubclass(kind, asyncio.CancelledError)


def main() -> None:
    """Serve Prefect's API and pages to those who have the secret."""
    gc.disable()  # nothing of what is imported is garbage, and looking takes a tenth of the start
    make_writers_wait()
    bound_page_caches(Engine)
    give_back()
    keep_application()
    look_seldom(_SECONDS_BETWEEN_LOOKS)
    from prefect.server.api.server import create_app

    gc.freeze()  # create_app itself looks for garbage, at all that was imported
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    port, secret = settings().prefect_port, settings().prefect_auth_string.get_secret_value()
    beginning = Beginning.of_this_home()
    with beginning.shortened():
        begun = once_begun(create_app(final=True), gc.freeze, collect_aside, beginning.note)
        application = Guard(begun, secret, port)
        uvicorn.run(
            application,
            host=HOST,
            port=port,
            log_level="warning",
            access_log=False,  # a line for each request would keep the token of the link
            timeout_graceful_shutdown=_SECONDS_TO_END,  # type: ignore[arg-type]
        )


if __name__ == "__main__":
    main()
