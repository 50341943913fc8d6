"""What is watched: the folders and buckets that prefect.yaml names, side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from baton import addresses
from baton.chain.manifest import Watch
from serving import buckets, folders
from serving.buckets import Bucket
from serving.folders import Folder
from serving.taking import Taking
from tasks.platform.api import Access

Watched = Folder | Bucket


def watched(entry: Watch, folder: Path, there: Access | None) -> Watched:
    """Folder or bucket that an entry names.

    Parameters
    ----------
    entry : Watch
    folder : Path
        What a relative one is meant from.
    there : Access or None
        Server that is told of what arrives.

    Raises
    ------
    InputError
        If it can begin no chain.
    """
    taking = Taking(entry, there)
    if addresses.is_address(entry.folder):
        return Bucket(taking, addresses.parse(entry.folder))
    return Folder(taking, (folder / entry.folder).absolute())


async def keep_watching(every: Sequence[Watched]) -> None:
    """Take what arrives, until the process ends; what is begun by then is ended."""
    try:
        async with asyncio.TaskGroup() as group:
            for one in every:
                if isinstance(one, Bucket):
                    group.create_task(buckets.keep_watching(one))
            own = [one for one in every if isinstance(one, Folder)]
            group.create_task(folders.keep_watching(own))
    finally:
        for one in every:
            one.taking.ending.set()
