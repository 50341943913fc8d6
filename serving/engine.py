"""Prefect's engine as the process of a run, which tells by its end whose fault that was.

``python -m serving.engine`` is ``python -m prefect.engine`` but for that. Starting it warm belongs
in ``serving/warm.py``.
"""

from __future__ import annotations

import runpy
import sys

from baton.parent import die_with
from baton.settings import settings


def run() -> int:
    """Run what the environment names, in this process.

    Returns
    -------
    int
        Exit code; that of a temporary failure where the Prefect server is away: it is no fault of
        the run.
    """
    from baton.chain.recovery import TEMPORARY

    code = _run()
    return TEMPORARY if code and not _is_server_up() else code


def _run() -> int:
    sys.argv = ["prefect.engine"]
    sys.modules.pop("prefect.engine", None)
    try:
        runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _is_server_up() -> bool:
    from tasks.platform.api import Client
    from tasks.platform.events import access

    with Client(access()) as client:
        return client.is_healthy()


def main() -> None:
    """Run it in a process that ends with the one it was started for, also during the imports."""
    die_with(settings().parent_pid)
    sys.exit(run())


if __name__ == "__main__":
    main()
