"""One machine at a time: a queue of tickets in a store, where machines share no disk to lock.

Lamport's bakery: who comes draws a number above all that are out, and is served when none is
lower. It asks no more of a store than that a list tells of all that was written before, which S3,
Google's, Azure's and a disk do; conditional writes would be another way for each of them. Who waits
or is served writes the ticket again from time to time: one that is not is of a machine that died,
and is torn up by whoever has watched it for long enough, by the own clock, and while the store
answered. Who finds the own ticket torn up has lost its turn, or draws anew.

Locks of one machine's processes belong in ``tasks.platform.stage``, which holds those first.

References
----------
L. Lamport, A new solution of Dijkstra's concurrent programming problem, Communications of the ACM
17 (1974), 453-455.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Event, Thread
from uuid import uuid4

from baton.addresses import Address
from baton.errors import InputError, StorageError
from baton.stores import objects, shelf
from baton.stores.versions import Version

SECONDS_TO_DIE = 60.0
"""For how long a machine that died keeps others waiting."""

_SECONDS_BETWEEN_BEATS = 10.0
_SECONDS_BETWEEN_LOOKS = 0.5
_MOST_SECONDS_OF_A_LOOK = 2.0
"""Of the time between two looks that counts: while the store is away nobody can show he lives."""
_TICKET = re.compile(r"(\d{9})-[0-9a-f]{32}")
_DRAWING = re.compile(r"drawing-[0-9a-f]{32}")

_held: ContextVar[tuple[Address, ...]] = ContextVar("held", default=())
"""Tickets of the turns that are had here."""

log = logging.getLogger(__name__)


@contextmanager
def turn(name: str) -> Iterator[None]:
    """Wait until no other machine has its turn, and have it.

    Parameters
    ----------
    name : str
        What there are turns of; part of a key, without slashes.

    Raises
    ------
    StorageError
        If the store does not answer, or whoever asks may not write there.

    Notes
    -----
    A machine that stood still for a minute may have been taken for dead: two are at it then. Where
    what they make is the same, the later one finds it; where it is not, :func:`require` comes
    before what cannot be taken back.
    """
    folder = shelf.place().of(f"locks/{name}/")
    while not _is_served(ticket := _draw(folder)):
        log.warning("%s was torn up; another one is drawn", ticket)
    token = _held.set((*_held.get(), ticket))
    try:
        with _shown(ticket):
            yield
    finally:
        _held.reset(token)
        _hand_back(ticket)


def require() -> None:
    """See that the turns that are had here are not another machine's meanwhile.

    Raises
    ------
    StorageError
        If one was lost.
    """
    for ticket in _held.get():
        if ticket.name not in _listed(ticket):
            raise StorageError(
                "this machine stood still for so long that another one has its turn: repeat the"
                " chain, which goes on from what is there now"
            )


def _draw(folder: Address) -> Address:
    """Take the number after the last, and let others see that one is being taken meanwhile."""
    while True:
        me = uuid4().hex
        drawing = folder.of(f"drawing-{me}")
        _put(drawing)
        ticket = folder.of(f"{_last(_listed(folder)) + 1:09d}-{me}")
        _put(ticket)
        is_seen = drawing.name in _listed(folder)
        _remove(drawing)
        if is_seen:
            return ticket
        _remove(ticket)  # it took too long: others may have gone by, and drawn the same number


def _last(names: Iterable[str]) -> int:
    return max((int(one[1]) for one in map(_TICKET.fullmatch, names) if one), default=0)


def _is_served(ticket: Address) -> bool:
    """Wait until everybody before has handed back the ticket, or died; false if it is torn up.

    Who began to draw before the ticket could be seen may have a lower one; who begins later has
    not.
    """
    watch, drawing = _Watch(), None
    with _shown(ticket):
        while True:
            found = _listed(ticket)
            if ticket.name not in found:
                return False
            if drawing is None:
                drawing = {one for one in found if _DRAWING.fullmatch(one)}
            lower = {one for one in found if _TICKET.fullmatch(one) and one < ticket.name}
            before = {one: found[one] for one in lower | (drawing & found.keys())}
            if not before:
                return True
            for name in watch.dead(before):
                log.warning("%s is of a machine that died: its turn is over", ticket.of(name))
                _remove(ticket.of(name))
            time.sleep(_SECONDS_BETWEEN_LOOKS)


@dataclass
class _Watch:
    """For how long tickets have stood as they are, while the store answered."""

    looked: float = field(default_factory=time.monotonic)
    seen: dict[str, tuple[Version, float]] = field(default_factory=dict)
    """Version of each, and seconds for which it has been that."""

    def dead(self, before: dict[str, Version]) -> list[str]:
        """Names that have stood unchanged for too long."""
        now = time.monotonic()
        passed, self.looked = min(now - self.looked, _MOST_SECONDS_OF_A_LOOK), now
        for name, version in before.items():
            known, seconds = self.seen.get(name, (version, 0.0))
            self.seen[name] = (version, seconds + passed if known == version else 0.0)
        return [name for name in before if self.seen[name][1] > SECONDS_TO_DIE]


@contextmanager
def _shown(ticket: Address) -> Iterator[None]:
    """Show that whoever holds a ticket lives."""
    ended = Event()
    beating = Thread(target=_beat, args=(ticket, ended), daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()


def _beat(ticket: Address, ended: Event) -> None:
    n_beats = 0
    while not ended.wait(_SECONDS_BETWEEN_BEATS):
        n_beats, looked = n_beats + 1, time.monotonic()
        try:
            if objects.look(ticket) is None:  # torn up, and not to be put back
                return
            objects.put(ticket, b"0" * (1 + n_beats % 64))  # a list tells size and whole seconds
            if (
                time.monotonic() - looked > SECONDS_TO_DIE / 2
            ):  # torn up in between, for all we know
                objects.remove(ticket)
                return
        except (ConnectionError, InputError) as error:
            log.warning("%s; the turn is held on to", error)


def _hand_back(ticket: Address) -> None:
    """Let the next one in; if the store is away, the ticket dies by itself."""
    try:
        _remove(ticket)
    except StorageError as error:
        log.warning("%s", error)


def _listed(place: Address) -> dict[str, Version]:
    return shelf.patiently(lambda: objects.listed(place))


def _put(place: Address) -> None:
    shelf.patiently(lambda: objects.put(place, b"0"))


def _remove(place: Address) -> None:
    shelf.patiently(lambda: objects.remove(place))
