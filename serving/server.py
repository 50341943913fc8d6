"""Prefect's server behind the guard, with writers on SQLite that wait for each other.

``python -m serving.server`` is ``prefect server start`` but for that, and for an application at
hand. See ``docs/adr/0005-writers-wait.md``, ``docs/adr/0009-once-in-a-process.md`` and
``docs/adr/0014-nobody-in.md``.
"""

import uvicorn
from sqlalchemy import Engine

from baton.settings import settings
from serving.databases import bound_page_caches
from serving.guard import HOST, Guard
from serving.memory import collect_aside, give_back
from tasks.platform.prefect_internals import keep_application, make_writers_wait


def main() -> None:
    """Serve Prefect's API and pages to those who have the secret."""
    make_writers_wait()
    bound_page_caches(Engine)
    collect_aside()
    give_back()
    keep_application()
    from prefect.server.api.server import create_app

    port, secret = settings().prefect_port, settings().prefect_auth_string.get_secret_value()
    application = Guard(create_app(final=True), secret, port)
    # A line for each request would keep the token of the link that logs in.
    uvicorn.run(application, host=HOST, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
