"""The process that data announces itself to: by Baton's own address, and in what is watched.

``baton up`` starts it; beside ``python -m serving`` it is ``python -m serving.arriving``. How it
is told is in ``serving/announced.py`` and ``serving/watching.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn

from baton.chain import manifest
from baton.chain.manifest import Manifest
from baton.settings import settings
from serving.announced import application, guarded
from serving.embedded import private
from serving.ending import ending_in_a_line
from serving.entrance import Address, listening, token_of
from serving.guard import HOST
from tasks.platform.api import Access
from tasks.platform.places import MANIFEST

log = logging.getLogger("baton.arriving")

Watching = Callable[[], Coroutine[Any, Any, None]]


async def take(place: socket.socket, watching: Watching) -> None:
    """Take what arrives until the process is told to end.

    Parameters
    ----------
    place : socket
        Where it listens.
    watching : callable
        What watches folders and buckets.
    """
    port = place.getsockname()[1]
    token = token_of(settings(), Address.ANNOUNCE)
    app = guarded(application(_there()), token, port, settings().allowed)
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    async with asyncio.TaskGroup() as group:
        watched = group.create_task(watching())
        log.info("listening at http://%s:%d", HOST, port)
        await uvicorn.Server(config).serve(sockets=[place])
        watched.cancel()


def watching_of(declared: Manifest, folder: Path) -> Watching:
    """What watches the folders and buckets that are declared.

    Parameters
    ----------
    declared : Manifest
    folder : Path
        What relative ones are meant from.

    Raises
    ------
    InputError
        If one of them can begin no chain.
    """
    if not declared.watch:
        return partial(asyncio.sleep, 0)
    # Imported where folders are watched: it takes the libraries of all stages.
    from serving.watching import keep_watching, watched

    return partial(keep_watching, [watched(one, folder, _there()) for one in declared.watch])


def _there() -> Access | None:
    """Server that is told; None if what arrives is only kept."""
    address = settings().prefect_api_url
    return Access.of(settings(), address) if address else None


def main(arguments: Iterable[str] | None = None) -> None:
    """Take what arrives, and tell the server that PREFECT_API_URL names."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.arriving",
        description="Take announcements of data and watch what prefect.yaml names; the"
        " server that PREFECT_API_URL names is told.",
    )
    parser.add_argument("--port", type=int, default=settings().announce_port)
    parser.add_argument(
        "--from", dest="folder", type=Path, default=Path.cwd(), help="what folders are meant from"
    )
    options = parser.parse_args(list(arguments) if arguments is not None else None)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    with ending_in_a_line():
        watching = watching_of(manifest.read(MANIFEST), options.folder)
        with private(), listening(options.port, settings().announce_host) as place:
            asyncio.run(take(place, watching))


if __name__ == "__main__":
    main()
