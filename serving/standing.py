"""Telling the Baton that stands what was done beside its chains: by a person, or by labels.

Finding it belongs in ``serving/embedded.py``, emitting in ``tasks/platform/events.py``.
"""

from __future__ import annotations

from baton.chain.events import Event
from baton.settings import settings
from serving.embedded import found


def tell(event: Event) -> bool:
    """Announce an event to the server that stands, given or in this home; whether there is one.

    Raises
    ------
    RuntimeError
        If it did not acknowledge the event.
    """
    there = None if settings().prefect_api_url else found(settings())
    if there is None and not settings().prefect_api_url:
        return False
    from tasks.platform import events  # Prefect with it: only where somebody is told

    events.tell(event, there.access if there else None)
    return True
