"""What is of use and not needed: a browser, make, git."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from baton.cli.browser import has_browser
from baton.cli.checkup.finding import Finding, doubtful, good


def findings() -> Iterator[Finding]:
    """What there is of it."""
    if has_browser():
        yield good("browser", "there is one")
    else:
        fix = "optional: open the path that `baton report` prints on a machine that has one"
        yield doubtful("browser", "there is none, or no display", fix)
    for name, what in (("make", "of a clone's targets"), ("git", "of a clone's updates")):
        if shutil.which(name):
            yield good(name, "there is one")
        else:
            yield doubtful(name, "it is not installed", f"optional: install it for the sake {what}")
