"""Commands about what stands: ``up`` serves the chain, ``prune`` cleans its server."""

from __future__ import annotations

import time

from baton.chain.manifest import read as read_manifest
from baton.cli.app import ERR, OUT, app
from baton.cli.connection import (
    access_to,
    away,
    connected,
    is_there,
    noticed,
    place_looked_in,
    started,
)
from baton.cli.interrupts import unless_interrupted
from baton.errors import InputError
from baton.settings import settings
from tasks.platform.places import MANIFEST


@app.command
def up(*, mlflow: bool = True) -> int:
    """Serve the chain until Ctrl-C: Prefect server, serve process and MLflow's pages.

    Other commands of the same home use it. A chain that was interrupted goes on. A process of it
    that dies is started again.

    Parameters
    ----------
    mlflow
        Whether to show MLflow's pages; runs are tracked either way.
    """
    if settings().prefect_api_url:
        raise InputError(
            "PREFECT_API_URL is set: unset it for a server of Baton's own, or serve that one by"
            " `python -m serving`"
        )
    with started(OUT, serving=True, standing=True, pages=mlflow) as (running, addresses):
        OUT.print(f"Prefect  {addresses.prefect_page()}", highlight=False, soft_wrap=True)
        if addresses.mlflow:
            OUT.print(f"MLflow   {addresses.mlflow_page}", highlight=False, soft_wrap=True)
        OUT.print("ready; Ctrl-C ends it", highlight=False)
        say = noticed(OUT)
        watch = unless_interrupted(lambda: running.tend(say))
        while True:
            watch()
            time.sleep(0.5)


@app.command
def prune() -> int:
    """Remove deployments that no longer stand in prefect.yaml, and automations without one.

    For the server in PREFECT_API_URL or the `baton up` of this home. Only what carries the tag
    `baton` or the chain's own events is looked at.
    """
    with away():
        from tasks.platform.upkeep import prune as remove

    if not is_there():
        raise InputError(f"no Baton has run {place_looked_in()}")
    manifest = read_manifest(MANIFEST)
    with connected(ERR, serving=False) as (addresses, _):
        for name in remove(manifest, access_to(addresses)):
            OUT.print(f"removed {name}", highlight=False)
    return 0
