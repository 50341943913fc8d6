"""Drawing many pictures, some of them at the same time.

Drawing is Python's work, which threads do one after the other: processes are forked off this one,
which draw and end. Which pictures there are belongs in ``gallery``, how one looks in ``plots``.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from baton.settings import settings
from baton.showing.plots.picture import styled
from baton.showing.report import Image

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from baton.showing.plots import Picture

    Part = dict[int, Image | None]
    Draw = Callable[[], Picture | None]
    """Draws a picture, or finds that there is none."""

_MOST_PROCESSES = 4
_FEWEST_PICTURES = 3
"""Of a process: a fork takes as long as a part of a picture."""

_PATIENCE_SECONDS = 60.0
_IMPORTED = ("matplotlib.pyplot", "shap.plots")
"""What each process would else import by itself."""


def drawn(draws: Sequence[Draw]) -> list[Image | None]:
    """Draw pictures, in as many processes as there are cores for.

    Parameters
    ----------
    draws : sequence of callable

    Returns
    -------
    list of Image or None
        In the order of `draws`.
    """
    n_parts = _n_parts(len(draws))
    found: Part = {}
    with styled(), _drawing(draws, n_parts) as parts:
        found |= _part(draws, 0, n_parts)
        for part in parts:
            found |= part()
        missing = [place for place in range(len(draws)) if place not in found]
        found |= {place: _image(draws[place]) for place in missing}
    return [found[place] for place in range(len(draws))]


def _n_parts(n_pictures: int) -> int:
    is_linux = sys.platform == "linux"  # others fork badly, or not at all
    if not settings().fast or not is_linux or multiprocessing.current_process().daemon:
        return 1
    n_cores = len(os.sched_getaffinity(0))
    return max(1, min(n_cores, _MOST_PROCESSES, n_pictures // _FEWEST_PICTURES))


def _part(draws: Sequence[Draw], first: int, n_parts: int) -> Part:
    return {place: _image(draws[place]) for place in range(first, len(draws), n_parts)}


def _image(draw: Draw) -> Image | None:
    picture = draw()
    return None if picture is None else Image.of(picture)


@contextmanager
def _drawing(draws: Sequence[Draw], n_parts: int) -> Iterator[list[Callable[[], Part]]]:
    """Have all parts but the first drawn by forks; each gives what it drew, if it did."""
    if n_parts > 1:
        for name in _IMPORTED:
            import_module(name)
    forks: list[tuple[BaseProcess, Connection]] = []
    try:
        with suppress(OSError):  # no more processes or files may be opened: fewer draw
            for first in range(1, n_parts):
                forks.append(_forked(draws, first, n_parts))
        yield [partial(_received, end) for _, end in forks]
    finally:
        for process, end in forks:
            end.close()
            process.kill()  # it has sent what it drew, or it is not waited for
            process.join()


def _forked(draws: Sequence[Draw], first: int, n_parts: int) -> tuple[BaseProcess, Connection]:
    """Fork a process that draws a part, while this thread alone draws."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(there, draws, first, n_parts), daemon=True)
    with warnings.catch_warnings():
        # Python warns of threads, whose locks stay held in a fork: it takes none but drawing's own,
        # and what it does not draw in time is drawn here.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    there.close()
    return process, here


def _send(there: Connection, draws: Sequence[Draw], first: int, n_parts: int) -> None:
    """Draw a part and send it; a failure is met again, and told, by whoever draws it then."""
    gc.disable()  # it would touch, and so copy, all that is shared
    with suppress(Exception):
        there.send(_part(draws, first, n_parts))


def _received(end: Connection) -> Part:
    try:
        return end.recv() if end.poll(_PATIENCE_SECONDS) else {}
    except (EOFError, OSError):
        return {}
