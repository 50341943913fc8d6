"""The scheduled look for runs without a process and events that came to nothing."""

import asyncio

from prefect import flow

from baton.chain import manifest
from baton.settings import settings
from tasks.platform.notifying import register
from tasks.platform.places import MANIFEST
from tasks.platform.recovery import recover_once


@flow
async def reconcile() -> list[str]:
    """Take up what a crash left, and see to the notifications, where no serve process does."""
    chain = manifest.read(MANIFEST)
    await asyncio.to_thread(register, chain, settings().notify)
    return recover_once(chain)
