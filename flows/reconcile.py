"""The scheduled look for runs without a process and events that came to nothing."""

import asyncio

from prefect import flow

from baton.chain import manifest
from baton.settings import settings
from tasks.platform.arrivals import tell_untold_once
from tasks.platform.notifying import register
from tasks.platform.places import MANIFEST
from tasks.platform.recovery import recover_once


@flow
async def reconcile() -> list[str]:
    """Take up what a crash left, tell of what arrived, and see to the notifications.

    It is the work of a serve process, where there is none.
    """
    chain = manifest.read(MANIFEST)
    try:
        return recover_once(chain)
    finally:  # each of them whatever becomes of the one before
        try:
            tell_untold_once()
        finally:
            await asyncio.to_thread(register, chain, settings().notify)
