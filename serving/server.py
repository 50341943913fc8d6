"""Prefect's server, with writers on SQLite that wait for each other and an application at hand.

``python -m serving.server start …`` is ``prefect server start …`` but for these two things. See
``docs/adr/0005-writers-wait.md`` and ``docs/adr/0009-once-in-a-process.md``.
"""

import sys

from tasks.platform.prefect_internals import keep_application, make_writers_wait


def main() -> None:
    """Be the command ``prefect server``."""
    make_writers_wait()
    keep_application()
    from prefect.cli import app

    sys.argv = ["prefect", "server", *sys.argv[1:]]
    app()


if __name__ == "__main__":
    main()
