"""The scheduled look for runs without a process and events that came to nothing."""

from prefect import flow

from baton.chain import manifest
from tasks.platform.places import MANIFEST
from tasks.platform.recovery import recover_once


@flow
async def reconcile() -> list[str]:
    """Take up what a crash left, where no serve process does."""
    return recover_once(manifest.read(MANIFEST))
