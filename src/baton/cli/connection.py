"""Reaching a Prefect server: the given one, the standing one, or one for the while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import Console

from baton.cli.server import Server
from baton.errors import InputError
from baton.settings import settings
from serving.embedded import Addresses, Processes, awaited, run_embedded
from tasks.platform.api import Access, Client


def server_at(addresses: Addresses) -> Server:
    """Server at these addresses, by a client of its own."""
    return Server(Client(access_to(addresses)))


def access_to(addresses: Addresses) -> Access:
    """Access to it: by the secret of an embedded one, by what the environment says to another."""
    return addresses.access if addresses.secret else Access.of(settings(), addresses.prefect)


@contextmanager
def connected(
    console: Console, *, serving: bool = True
) -> Iterator[tuple[Addresses, Callable[[], None]]]:
    """Reach a Prefect server.

    Parameters
    ----------
    console : Console
        Where a sign of life is shown.
    serving : bool
        Whether a server for the while is to serve the chain too.

    Yields
    ------
    Addresses, callable
        Where it is, and what raises if it is gone.

    Raises
    ------
    InputError
        If the given one does not answer.
    """
    given = settings().prefect_api_url
    if given:
        yield _given(given), lambda: None
        return
    with console.status("looking for a Baton …") as sign:
        standing = awaited(settings(), sign.update)
    if standing:
        yield standing, lambda: None
        return
    with started(console, serving=serving, standing=False) as (running, addresses):
        yield addresses, running.check


def _given(address: str) -> Addresses:
    with Client(Access.of(settings(), address)) as client:
        if not client.is_healthy():
            raise InputError(
                f"no Prefect server answers at PREFECT_API_URL={address};"
                " start it or unset the variable"
            )
    return Addresses(0, address)


@contextmanager
def started(
    console: Console, *, serving: bool, standing: bool, pages: bool = True
) -> Iterator[tuple[Processes, Addresses]]:
    """Run an embedded Baton, with a sign of life until it stands."""
    with ExitStack() as stack:
        with console.status("starting Prefect …") as sign:
            running = run_embedded(
                settings(), sign.update, serving=serving, standing=standing, pages=pages
            )
            entered = stack.enter_context(running)
        yield entered
