"""Dask: reaching the cluster of the settings, or starting one on this machine's cores.

What runs on it is decided in ``flows/tune.py`` and ``tasks/training.py``.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from baton.distribution import with_extra
from baton.errors import InputError
from baton.settings import settings
from baton.terms import Engine

if TYPE_CHECKING:
    from distributed import Client, Future

T = TypeVar("T")
R = TypeVar("R")
Mapping = Callable[[Callable[[T], R], Iterable[T]], Iterable[R]]

_REACH_SECONDS = 20
_OWN_BYTES = 400 * 2**20
"""What a worker takes by what it imports."""

_ON_THEIR_WAY = 2
"""Parts for each worker: one that is worked on, and one that is there when it is done."""


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def cluster(n_workers: int) -> Iterator[str]:
    """Address of a Dask scheduler: the settings', or one of this machine for the while.

    Parameters
    ----------
    n_workers : int
        Processes of one that is started here, of one thread each.

    Raises
    ------
    InputError
        If Dask is not installed, or nobody answers at the address.
    """
    _require()
    address = settings().dask_address
    if address:
        with _reached(address):
            yield address
        return
    from distributed import LocalCluster

    options: dict[str, Any] = {"host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        processes=True,
        silence_logs=logging.ERROR,
        **options,
    ) as started:
        yield str(started.scheduler_address)


@contextmanager
def client(n_workers: int) -> Iterator[Client]:
    """Client of such a cluster.

    Raises
    ------
    InputError
        As :func:`cluster`.
    """
    with cluster(n_workers) as address, _reached(address, is_default=True) as found:
        yield found


@contextmanager
def task_runner(n_workers: int) -> Iterator[Any]:
    """Prefect's task runner on such a cluster.

    Raises
    ------
    InputError
        As :func:`cluster`.
    """
    with cluster(n_workers) as address:
        from prefect_dask import DaskTaskRunner

        yield DaskTaskRunner(address=address)


def has_room(found: Client, n_bytes: float) -> bool:
    """Tell whether the workers of a cluster may hold so many bytes together."""
    limits = [one["memory_limit"] for one in found.scheduler_info(n_workers=-1)["workers"].values()]
    return not all(limits) or sum(one - _OWN_BYTES for one in limits) >= n_bytes


@contextmanager
def mapping(engine: Engine) -> Iterator[Mapping[Any, Any]]:
    """What works on one part after the other: as ``map`` does here, or the workers of a cluster.

    The parts come back in their order, and at most two for each worker are on their way at a time,
    so that nobody holds them all.

    Raises
    ------
    InputError
        As :func:`cluster`.
    """
    if engine is not Engine.DASK:
        yield map
        return
    with client(cores()) as found:
        yield partial(_in_order, found)


def _in_order(found: Client, work: Callable[[T], R], parts: Iterable[T]) -> Iterator[R]:
    most = _ON_THEIR_WAY * max(1, len(found.scheduler_info(n_workers=-1)["workers"]))
    everywhere = found.scatter(work, broadcast=True, hash=False)  # a model is sent once
    going: deque[Future] = deque()
    for part in parts:
        if len(going) == most:
            yield going.popleft().result()
        going.append(found.submit(_worked, everywhere, part, pure=False))
    while going:
        yield going.popleft().result()


def _worked(work: Callable[[T], R], part: T) -> R:
    return work(part)


@contextmanager
def _reached(address: str, *, is_default: bool = False) -> Iterator[Client]:
    """Client of a scheduler; XGBoost asks for the process's default one."""
    from distributed import Client

    try:
        found = Client(address, timeout=_REACH_SECONDS, set_as_default=is_default)
    except (OSError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler answers at BATON_DASK_ADDRESS={address}"
            f" ({' '.join(str(error).split())[:120]}); start it, or unset the variable for a"
            " cluster on this machine"
        ) from None
    with found:
        yield found


def _require() -> None:
    from importlib.util import find_spec

    if find_spec("distributed") is None or find_spec("prefect_dask") is None:
        raise InputError(f"engine=dask wants Dask: {with_extra('dask')}")
