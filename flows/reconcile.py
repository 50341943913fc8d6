"""The scheduled look for events that came to nothing."""

from prefect import flow

from baton.chain import manifest
from tasks.platform.places import MANIFEST
from tasks.platform.recovery import hand_on_again


@flow
async def reconcile() -> list[str]:
    """Hand the baton on again where a stage completed and none followed."""
    return hand_on_again(manifest.read(MANIFEST))
