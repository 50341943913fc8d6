"""One machine at a time: a queue of tickets in a store, where machines share no disk to lock.

Lamport's bakery: who comes draws a number above all that are out, and is served when none is
lower. It asks no more of a store than that a list tells of all that was written before, which S3,
Google's, Azure's and a disk do; conditional writes would be another way for each of them. Who waits
or is served writes the ticket again from time to time: one that is not is of a machine that died,
and is torn up by whoever has watched it for long enough, by the own clock alone.

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
_TICKET = re.compile(r"(\d{9})-[0-9a-f]{32}")
_DRAWING = re.compile(r"drawing-[0-9a-f]{32}")

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
    InputError
        If whoever asks may not write there.
    StorageError
        If the store does not answer.

    Notes
    -----
    A machine that was cut off from the store for a minute may be taken for dead while it works:
    then two make the same, and the later one finds what is there.
    """
    folder = shelf.place().of(f"locks/{name}/")
    ticket = _draw(folder)
    with _kept(ticket):
        _wait(ticket)
        yield


def _draw(folder: Address) -> Address:
    """Take the number after the last, and let others see that one is being taken meanwhile."""
    me = uuid4().hex
    drawing = folder.of(f"drawing-{me}")
    _put(drawing)
    found = shelf.patiently(lambda: objects.listed(folder))
    ticket = folder.of(f"{_last(found) + 1:09d}-{me}")
    _put(ticket)
    _remove(drawing)
    return ticket


def _last(names: Iterable[str]) -> int:
    return max((int(one[1]) for one in map(_TICKET.fullmatch, names) if one), default=0)


def _put(place: Address, content: bytes = b"0") -> None:
    shelf.patiently(lambda: objects.put(place, content))


def _remove(place: Address) -> None:
    shelf.patiently(lambda: objects.remove(place))


@contextmanager
def _kept(ticket: Address) -> Iterator[None]:
    """Show that whoever holds a ticket lives, and hand it back."""
    ended = Event()
    beating = Thread(target=_beat, args=(ticket, ended), daemon=True)
    beating.start()
    try:
        yield
    finally:
        ended.set()
        beating.join()
        _remove(ticket)


def _beat(ticket: Address, ended: Event) -> None:
    n_beats = 0
    while not ended.wait(_SECONDS_BETWEEN_BEATS):
        n_beats += 1
        try:
            objects.put(ticket, b"0" * (1 + n_beats % 64))  # a list tells size and whole seconds
        except (ConnectionError, InputError, StorageError) as error:
            log.warning("%s; the turn is held on to", error)


def _wait(ticket: Address) -> None:
    """Wait until everybody before has handed back the ticket, or died.

    Who began to draw before the ticket could be seen may have a lower one; who begins later has
    not.
    """
    watched: dict[str, tuple[Version, float]] = {}
    drawing: set[str] | None = None
    while True:
        found = shelf.patiently(lambda: objects.listed(ticket))
        if drawing is None:
            drawing = {one for one in found if _DRAWING.fullmatch(one)}
        lower = {one for one in found if _TICKET.fullmatch(one) and one < ticket.name}
        before = {one: found[one] for one in lower | (drawing & found.keys())}
        if not before:
            return
        for name in _dead(before, watched, time.monotonic()):
            log.warning("%s is of a machine that died: its turn is over", ticket.of(name))
            _remove(ticket.of(name))
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def _dead(
    before: dict[str, Version], watched: dict[str, tuple[Version, float]], now: float
) -> list[str]:
    """Names that have stood unchanged for too long, since they were first seen as they are."""
    for name, version in before.items():
        if name not in watched or watched[name][0] != version:
            watched[name] = (version, now)
    return [name for name in before if now - watched[name][1] > SECONDS_TO_DIE]
