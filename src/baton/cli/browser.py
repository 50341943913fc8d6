"""Opening a page in the user's browser, where there is one to show it."""

from __future__ import annotations

import webbrowser
from pathlib import Path

from baton.errors import InputError

_TEXT = ("lynx", "links", "elinks", "w3m", "www-browser")
"""Browsers of a terminal: they would take it over, and show no picture."""


def has_browser() -> bool:
    """Tell whether there is a browser, and a display to show it on."""
    return bool(_browser())


def open_page(path: Path) -> None:
    """Open a page.

    Raises
    ------
    InputError
        If there is no browser, or it does not start.
    """
    found = _browser()
    if found is None or not found.open(path.absolute().as_uri()):
        raise InputError(
            "there is no browser here that could open it, or no display: open the path above on a"
            " machine that has one, or copy the file there"
        )


def _browser() -> webbrowser.BaseBrowser | None:
    try:
        found = webbrowser.get()
    except webbrowser.Error:
        return None
    return None if Path(getattr(found, "name", "")).name in _TEXT else found
