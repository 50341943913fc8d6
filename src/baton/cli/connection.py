"""Reaching a Prefect server: the given one, the standing one, or one for the while."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass, field

from rich.console import Console

from baton.chain.events import Event
from baton.chain.manifest import read as read_manifest
from baton.chain.runs import Begun
from baton.cli.app import ERR
from baton.errors import InputError
from baton.settings import settings
from serving import lingering
from serving.embedded import Addresses, Processes, awaited, claimed, found, run_embedded
from serving.standing import tell
from tasks.platform.api import WAITS, Access, Client
from tasks.platform.places import MANIFEST
from tasks.platform.server import Server

_SECONDS_OF_SILENCE = 65.0
"""For which a server that somebody else started may stand still: on SQLite its writers wait for
each other for up to 60."""


def server_at(
    addresses: Addresses, waits: Sequence[float] = WAITS, until: float = math.inf
) -> Server:
    """Server at these addresses, by a client of its own.

    Parameters
    ----------
    addresses : Addresses
    waits : sequence of float
        Seconds between attempts.
    until : float, optional
        When nobody waits for an answer any more.
    """
    return Server(Client(access_to(addresses), waits, until=until))


@dataclass
class Reached:
    """The server that a command talks to for long, wherever it is by then."""

    addresses: Addresses
    server: Server = field(init=False)

    def __post_init__(self) -> None:
        self.server = server_at(self.addresses)

    def again(self) -> None:
        """Look where the `baton up` of this home is now: a new one has another secret."""
        there = None if settings().prefect_api_url else found(settings())
        if there and there != self.addresses:
            self.addresses, self.server.client = there, server_at(there).client


def access_to(addresses: Addresses) -> Access:
    """Access to it: by the secret of an embedded one, by what the environment says to another."""
    return addresses.access if addresses.secret else Access.of(settings(), addresses.prefect)


def tell_standing(event: Event) -> bool:
    """Announce an event to the server that stands, given or in this home; whether there is one.

    Raises
    ------
    RuntimeError
        If it did not acknowledge the event.
    """
    with away():
        return tell(event)


@contextmanager
def away() -> Iterator[None]:
    """Leave the working folder while Prefect is imported: it takes settings from files there.

    Whoever made that folder could have code run by them. Baton's own processes never are there.
    """
    settings()  # what is relative in them is meant from here
    with chdir(MANIFEST.parent):
        yield


def is_there() -> bool:
    """Tell whether there is a server to ask: a given one, or a home in which a Baton has run."""
    here = (settings().home / name for name in ("baton.lock", "prefect"))
    return bool(settings().prefect_api_url) or any(path.exists() for path in here)


def place_looked_in() -> str:
    """Say where chains are looked for: on the given server, or in which home."""
    given = settings().prefect_api_url
    return f"on {given}" if given else f"in {settings().home} (BATON_HOME names another home)"


def require_there(chain: str | None = None) -> None:
    """See that there is a server to ask; no home is made to see that there is none.

    Parameters
    ----------
    chain : str, optional
        Beginning of the id of the chain or run that is asked for; empty for the latest one.

    Raises
    ------
    InputError
        If no Baton has run where chains are looked for.
    """
    if is_there():
        return
    asked = f" {chain!r}" if chain else ""
    missing = "" if chain is None else f", so there is no chain{asked}"
    raise InputError(f"no Baton has run {place_looked_in()}{missing}")


def the_one(server: Server, beginning: str) -> Begun:
    """The one chain whose id begins so.

    Raises
    ------
    InputError
        If there is none, or several.
    """
    found = server.latest(beginning)
    if len(found) != 1:
        which = f"{len(found) or 'no'} chains {place_looked_in()}"
        raise InputError(f"{which} begin with {beginning!r}; `baton status` lists them")
    return found[0]


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
    say = noticed(console)
    with console.status("looking for a Baton …"):
        there = awaited(settings(), say, serving=serving)
    if not there and serving and settings().linger:
        there = _lingering(console, say)
    if there:
        yield there, lambda: None
        return
    with started(console, serving=serving, standing=False) as (running, addresses):
        yield addresses, lambda: running.tend(say)


def _lingering(console: Console, say: Callable[[str], None]) -> Addresses | None:
    """Have a Baton stay after this command; without one, this command brings its own."""
    _check_notifications_if_any()
    with console.status("starting Prefect …"):
        there = lingering.begun(settings())
    if there is None:
        log = settings().logs / "lingering.log"
        say(f"no Baton stays, as BATON_LINGER has it (log: {log}); this command brings its own")
    return there


def noticed(console: Console) -> Callable[[str], None]:
    """What tells a person something, once: above the sign of life, or on stderr without one."""
    told = ""
    seen = console if console.is_terminal and not console.quiet else ERR

    def say(text: str) -> None:
        nonlocal told
        if text != told:
            told = text
            seen.print(f"baton: {text}", style="yellow", markup=False, soft_wrap=True)

    return say


def _given(address: str) -> Addresses:
    with Client(Access.of(settings(), address)) as client:
        if not client.is_healthy() and not client.is_healthy(_SECONDS_OF_SILENCE):
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
    if serving:
        _check_notifications_if_any()
    with ExitStack() as stack:
        with console.status("starting Prefect …") as sign:
            stack.enter_context(claimed(settings(), noticed(console)))
            running = run_embedded(
                settings(), sign.update, serving=serving, standing=standing, pages=pages
            )
            entered = stack.enter_context(running)
        yield entered


def _check_notifications_if_any() -> None:
    """Say here, in one line, what would end the serve process."""
    if not settings().notify.get_secret_value():
        return
    with away():
        from tasks.platform.notifying import check_address, check_messages

    check_address(settings().notify)
    check_messages(read_manifest(MANIFEST))
