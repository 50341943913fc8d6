"""Commands about what stands: ``up`` serves the chain, ``prune`` cleans its server."""

from __future__ import annotations

import time

from baton.chain.events import ModelRef
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
from baton.cli.deciding import Name, model_named
from baton.cli.interrupts import unless_interrupted
from baton.errors import InputError
from baton.settings import settings
from serving.embedded import private
from serving.guard import HOST
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
def serve(problem: Name, /, *, port: int | None = None) -> int:
    """Answer over HTTP by the champion of PROBLEM until Ctrl-C, on this machine alone.

    `POST /predict` and `/explain` take JSON records, CSV or Parquet; `/model` says which version
    answers, `/openapi.json` what it takes, `/metrics` is for Prometheus, `/health` and `/ready` are
    for probes. When another version is promoted it answers from then on, and no request fails.

    Examples
    --------
    `baton serve iris`

    Parameters
    ----------
    port
        Port to listen on, in place of BATON_SERVE_PORT; 0 for any free one.
    """
    with away(), private():
        from serving.answers import Swapped, application, guarded, listening, run, token_of
        from serving.listening import promotions

        name = model_named(problem)
        held, token = Swapped(name), token_of(settings())
        wanted = settings().serve_port if port is None else port
        with listening(wanted) as place:
            taken = place.getsockname()[1]
            app = application(held, settings(), promotions(settings(), name))
            _tell_address(f"http://{HOST}:{taken}", held.now.reference)
            run(guarded(app, token, taken), place)
    return 0


def _tell_address(address: str, model: ModelRef) -> None:
    """Say where it answers, and how to ask."""
    where = settings().home / "serve.token"
    token = "$BATON_SERVE_TOKEN" if settings().serve_token.get_secret_value() else f"$(cat {where})"
    asked = f'curl -H "Authorization: Bearer {token}" {address}/model'
    for said in (f"{model.name} version {model.version} answers at {address}", asked):
        OUT.print(said, highlight=False, soft_wrap=True, markup=False)


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
