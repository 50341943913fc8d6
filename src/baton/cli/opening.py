"""The command that opens Baton's own pages: ``open``."""

from __future__ import annotations

import html
import re
from contextlib import suppress

from baton.atomic import write_bytes
from baton.cli.app import OUT, app
from baton.cli.browser import open_page
from baton.cli.connection import access_to
from baton.errors import InputError
from baton.settings import settings
from serving.embedded import Addresses, found, named, private
from serving.entrance import Address, place_of_token
from serving.guard import link
from tasks.platform.api import Client
from tasks.platform.server import Server

_ID = re.compile(r"[0-9a-f]{1,12}")
_DIGITS = 12
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>Baton</title><meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0; url={0}"></head>
<body><p><a href="{0}">Baton's pages</a></p></body>
</html>
"""


@app.command(name="open")
def open_pages(chain: str = "", /, *, browser: bool = True) -> int:
    """Open Baton's pages, or that of CHAIN, in the browser, and log it in.

    They are those of the `baton up` of this home, or of the server in PREFECT_API_URL, where
    BATON_PAGES_URL says the address. The link is printed, too.

    Examples
    --------
    `baton open`

    `baton open 3f9c1a --no-browser`

    Parameters
    ----------
    chain
        Id of a chain or its first digits.
    browser
        Whether to open it; else the link is printed and no more.
    """
    there = named(settings()) or found(settings())
    address = _address(there, _path(chain, there))
    OUT.print(f"Baton    {address}", highlight=False, soft_wrap=True, markup=False)
    if browser and not _opened(address):
        OUT.print("there is no browser here: open the link in one of this machine")
    return 0


def _address(there: Addresses | None, path: str) -> str:
    """Address of a page, which logs in."""
    if there and there.pages:
        return there.own_page(path)
    if given := settings().pages_url.rstrip("/"):
        token = _token()
        return link(f"{given}{path}", f"baton:{token}") if token else f"{given}{path}"
    if settings().prefect_api_url:
        raise InputError(
            "BATON_PAGES_URL is not set: it says where the pages of the server in PREFECT_API_URL"
            " are, which `python -m serving.pages` shows"
        )
    if there is None:
        raise InputError(f"no Baton stands in {settings().home}: start `baton up`")
    raise InputError(
        f"the `baton up` of {settings().home} has no pages: an earlier version started it; start"
        " it again"
    )


def _token() -> str:
    """Token of pages that stand without a `baton up`, if it is known here."""
    if given := Address.PAGES.given(settings()):
        return given
    place = place_of_token(settings(), Address.PAGES)
    return place.read_text("ascii").strip() if place and place.is_file() else ""


def _path(chain: str, there: Addresses | None) -> str:
    """Path of the page that is asked for."""
    if not chain:
        return "/"
    if not _ID.fullmatch(chain):
        raise InputError(f"{chain!r} is no id of a chain, which is twelve digits of 0-9 and a-f")
    if len(chain) == _DIGITS or there is None:
        return f"/chains/{chain}"
    with Client(access_to(there)) as client:
        known = [one.chain_id for one in Server(client).latest(chain)]
    if len(known) != 1:
        raise InputError(
            f"{len(known) or 'no'} chains begin with {chain!r}; `baton status` lists them"
        )
    return f"/chains/{known[0]}"


def _opened(address: str) -> bool:
    """Have a browser open an address, by a file: what is on a command's line all users can read."""
    place = settings().home / "open.html"
    with private():
        write_bytes(place, _PAGE.format(html.escape(address)).encode())
    with suppress(InputError):  # there is none
        open_page(place)
        return True
    return False
