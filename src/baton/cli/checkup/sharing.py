"""What machines share: the place that BATON_RESULTS names, whether it can be written and read."""

from __future__ import annotations

from collections.abc import Iterator

from baton.cli.checkup.finding import Finding, bad, good
from baton.errors import InputError, StorageError
from baton.stores import shelf

RESULTS = "shared results"


def findings() -> Iterator[Finding]:
    """A word on the shelf; none where there is no such place."""
    if not shelf.is_used():
        return
    try:
        shelf.require()
    except (InputError, StorageError) as error:
        yield bad(RESULTS, str(error), "see BATON_RESULTS, and the credentials of its store")
    else:
        yield good(RESULTS, f"{shelf.shown(shelf.place())} is written and read")
