"""Commands about what stands: ``up`` serves the chain, ``prune`` cleans its server."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from baton import problems
from baton.chain.manifest import check_problems
from baton.chain.manifest import read as read_manifest
from baton.cli.app import ERR, OUT, Whole, app
from baton.cli.connection import (
    access_to,
    away,
    connected,
    noticed,
    require_there,
    started,
)
from baton.cli.deciding import Name
from baton.cli.interrupts import unless_interrupted
from baton.errors import InputError, NoModelError
from baton.settings import settings
from serving import beside, holder, lingering
from serving.beside import Place, opened
from serving.embedded import is_claimed, private
from serving.entrance import Address, listening, place_of_token, token_of
from serving.guard import HOST
from tasks.platform.places import MANIFEST

if TYPE_CHECKING:
    from serving.answers import Swapped


Serves = Annotated[
    list[str],
    Parameter(
        name="--serve",
        negative=(),
        help="PROBLEM or PROBLEM:PORT, whose champion answers over HTTP meanwhile; once for each.",
    ),
]


@app.command
def up(*, mlflow: bool = True, serves: Serves = []) -> int:  # noqa: B006  cyclopts reads it
    """Serve the chain until Ctrl-C: Baton's pages, Prefect server, serve process, MLflow's pages.

    It is told of data by its own address, and watches the folders that prefect.yaml names. Other
    commands of the same home use it. A chain that was interrupted goes on. A process of it
    that dies is started again.

    Examples
    --------
    `baton up --serve iris --serve churn:9000`

    Parameters
    ----------
    mlflow
        Whether to show MLflow's pages; runs are tracked either way.
    serves
        Champions that answer over HTTP, beside those of prefect.yaml.
    """
    if settings().prefect_api_url:
        raise InputError(
            "PREFECT_API_URL is set: unset it for a server of Baton's own, or serve that one by"
            " `python -m serving`"
        )
    with (
        opened(_asked(serves), settings()) as places,
        _instead(),
        started(OUT, serving=True, standing=True, pages=mlflow) as (running, addresses),
    ):
        OUT.print(f"Baton    {addresses.own_page()}", highlight=False, soft_wrap=True)
        OUT.print(f"Prefect  {addresses.prefect_page()}", highlight=False, soft_wrap=True)
        if addresses.mlflow:
            OUT.print(f"MLflow   {addresses.mlflow_page}", highlight=False, soft_wrap=True)
        for place in places:
            running.children.append(beside.started(place, running.environment(), settings()))
            _tell_place(place)
        OUT.print(f"data     {_told_of_data(addresses.announce)}", highlight=False, soft_wrap=True)
        OUT.print("ready; Ctrl-C ends it", highlight=False)
        say = noticed(OUT)
        watch = unless_interrupted(lambda: running.tend(say))
        while True:
            watch()
            time.sleep(0.5)


@contextmanager
def _instead() -> Iterator[None]:
    """Take over from the Baton that lingers in this home, if one does."""
    if held := lingering.end(settings()):
        noticed(OUT)(f"{held}, which lingered, has made way; its chains go on here")
    yield


def _asked(given: Sequence[str]) -> tuple[beside.Asked, ...]:
    """Champions that are to answer: those of prefect.yaml, and those that were given."""
    declared = read_manifest(MANIFEST).serving
    check_problems(declared, problems.names())
    asked = beside.asked_of(given, declared, settings())
    names = [one.name for one in asked if one.is_given]
    if names:  # else Prefect would be imported for nothing, and stay in memory
        with away(), private():
            from tasks.naming import require_known

            for name in names:
                require_known(name)
    return asked


def _tell_place(place: Place) -> None:
    """Say where a champion answers, or will, and where what it asks for stands."""
    token_of(settings())
    token = place_of_token(settings()) or "BATON_SERVE_TOKEN"
    said = f"{place.name:<8} {place.address}  (token: {token})"
    OUT.print(said, highlight=False, soft_wrap=True, markup=False)


def _told_of_data(address: str) -> str:
    """Say where data is announced, and where the token is that is asked there."""
    token = place_of_token(settings(), Address.ANNOUNCE) or "BATON_ANNOUNCE_TOKEN"
    return f"POST {address}/announce/PROBLEM, with the token in {token}"


@app.command
def serve(
    problem: Name, /, *, port: Annotated[int | None, Whole] = None, wait: bool = False
) -> int:
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
    wait
        Wait for the first champion where there is none yet, rather than refuse: `/ready` says 503.
    """
    with away(), private():
        from serving.answers import answer

        held = _held(problem, wait)
        wanted = settings().serve_port if port is None else port
        with listening(wanted, settings().serve_host) as place:
            token_of(settings())
            _tell_address(f"http://{HOST}:{place.getsockname()[1]}", held)
            answer(held, place)
    return 0


def _held(problem: str, wait: bool) -> Swapped:
    """The champion of a problem, or what waits for the first."""
    from serving.answers import Swapped

    try:
        return Swapped(problem)
    except NoModelError:
        if not wait:
            raise
    return Swapped(problem, waits=True)


def _tell_address(address: str, held: Swapped) -> None:
    """Say where it answers, and how to ask."""
    place = place_of_token(settings())
    token = f"$(cat {place})" if place else "$BATON_SERVE_TOKEN"
    asked = f'curl -H "Authorization: Bearer {token}" {address}/model'
    model = held.now.reference if held.now else None
    who = f"{model.name} version {model.version} answers" if model else f"{held.asked} will answer"
    for said in (f"{who} at {address}", asked):
        OUT.print(said, highlight=False, soft_wrap=True, markup=False)


@app.command
def down() -> int:
    """End the Baton that stays in this home after a `baton run`, as BATON_LINGER has it.

    A chain that it was running goes on with the next one. A `baton up` is ended where it runs, by
    Ctrl-C.
    """
    if held := lingering.end(settings()):
        OUT.print(f"ended {held}", highlight=False, soft_wrap=True, markup=False)
    elif is_claimed(settings()):
        using = holder.held_by(settings()) or "another Baton"
        raise InputError(f"{using} is using {settings().home}: end it where it runs, by Ctrl-C")
    else:
        told = f"no Baton lingers in {settings().home}"
        OUT.print(told, highlight=False, soft_wrap=True, markup=False)
    return 0


@app.command
def prune() -> int:
    """Remove deployments that no longer stand in prefect.yaml, and automations without one.

    For the server in PREFECT_API_URL or the `baton up` of this home. Only what carries the tag
    `baton` or the chain's own events is looked at.
    """
    with away():
        from tasks.platform.upkeep import prune as remove

    require_there()
    manifest = read_manifest(MANIFEST)
    with connected(ERR, serving=False) as (addresses, _):
        for name in remove(manifest, access_to(addresses)):
            OUT.print(f"removed {name}", highlight=False)
    return 0
