"""The command ``worker``: the runs of a process work pool are started here, warm."""

from __future__ import annotations

import os
import socket
from typing import Annotated
from urllib.parse import quote

from cyclopts import Parameter
from cyclopts.validators import Number

from baton.chain.deploying import missing_pool
from baton.cli.app import ERR, Whole, app
from baton.cli.connection import access_to, connected
from baton.errors import InputError
from baton.settings import settings
from serving import working
from tasks.platform.api import Client

Limit = Annotated[int | None, Whole, Parameter(validator=Number(gte=1))]


@app.command
def worker(*, pool: str, limit: Limit = None, name: str = "") -> int:
    """Run what a process work pool has, until Ctrl-C, as `prefect worker start` does but warm.

    A run of this Baton's own deployments is forked from a process that has imported everything
    already, where Prefect's worker begins an interpreter, or two, for each. Cancelling, exit codes
    and logs are the same. A run starts as Prefect starts it if its deployment takes its code from
    elsewhere, has a command of its own, or sets variables other than Baton's: the log says so.

    It asks every BATON_POLL_SECONDS. Its end, however it comes, ends its runs; the deployment
    `reconcile` has them begun again by whichever worker there is. Several may work side by side.

    Examples
    --------
    `baton worker --pool baton`

    `baton worker --pool baton --limit 4 --name "machine 2"`

    Parameters
    ----------
    pool
        Work pool of the server in PREFECT_API_URL, of type process.
    limit
        Runs at once; without it, all that are due. Trials that are runs of their own need room
        beside the search that waits for them.
    name
        What Prefect's pages call it; by default this machine and process. No two may share one.
    """
    _check(pool, name)
    return working.work(pool, name or f"baton {socket.gethostname()} {os.getpid()}", limit)


def _check(pool: str, name: str) -> None:
    """See that there is such a pool, and that its runs are processes.

    Raises
    ------
    InputError
    """
    if set(name) & set("/%"):
        raise InputError(f"--name takes neither / nor %, got {name!r}")
    if not settings().prefect_api_url:
        raise InputError(
            "PREFECT_API_URL is not set: it names the server that has the work pool; `baton up`"
            " needs no worker"
        )
    with connected(ERR, serving=False) as (addresses, _), Client(access_to(addresses)) as client:
        found = client.find(f"work_pools/{quote(pool)}")
        if found is None:
            raise missing_pool(pool, client.access.address)
    if found["type"] != "process":
        raise InputError(
            f"work pool {pool!r} is of type {found['type']}, whose runs are no processes here;"
            f" `prefect worker start --pool {pool}` starts its worker"
        )
