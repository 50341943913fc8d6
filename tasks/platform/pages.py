"""Addresses of Baton's own pages, for whoever writes a link to one: empty where none stand.

The pages themselves are in ``serving/pages``.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from baton.settings import settings


def base() -> str:
    """Address of the pages: the setting's, else that of the `baton up` of the home."""
    if given := settings().pages_url:
        return given.rstrip("/")
    with suppress(OSError, ValueError, AttributeError):
        told = json.loads((settings().home / "up.json").read_bytes())
        return str(told.get("pages") or "")
    return ""


def of_chain(chain: str) -> str:
    """Address of a chain's page; empty if there are no pages."""
    found = base()
    return f"{found}/chains/{chain}" if found else ""


def of_result(path: Path) -> str:
    """Address of a page of the results: over HTTP, else that of its file.

    Parameters
    ----------
    path : Path
        Its file.
    """
    found = base()
    if not found or not path.is_relative_to(settings().results):
        return path.as_uri()
    return f"{found}/results/{path.relative_to(settings().results).as_posix()}"
