"""``python -m serving.pages``: Baton's pages on a port of this machine, until they are ended."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable
from pathlib import Path

from baton.chain import manifest
from baton.settings import Settings, settings
from serving.embedded import private
from serving.ending import ending_in_a_line
from serving.entrance import Address, listening, place_of_token, run, token_of
from serving.guard import HOST, link
from serving.pages import warmth
from serving.pages.application import application, guarded
from serving.pages.desk import Desk
from tasks.platform.places import MANIFEST

_BY_SETTING = "give another by BATON_PAGES_PORT, or 0 for any free one"
_SECONDS_TO_END = 1
"""For what is still being told as it comes."""


def main(arguments: Iterable[str] | None = None) -> None:
    """Show the pages of the server that PREFECT_API_URL names, or of the home's `baton up`."""
    options = _parser().parse_args(list(arguments) if arguments is not None else None)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with ending_in_a_line(), private():
        _show(options.port, options.folder, is_beside=options.beside)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.pages",
        description="Show Baton's pages: of the server that PREFECT_API_URL names, or of the"
        " `baton up` of the home.",
    )
    parser.add_argument("--port", type=int, default=settings().pages_port)
    parser.add_argument(
        "--from", dest="folder", type=Path, default=Path.cwd(), help="what paths are meant from"
    )
    parser.add_argument(
        "--beside",
        action="store_true",
        help="ask for the secret of the Prefect server that stands beside, in place of a token",
    )
    return parser


def _show(port: int, folder: Path, *, is_beside: bool) -> None:
    found = settings()
    secret = _secret(found, is_beside=is_beside)
    app = application(Desk(found, manifest.read(MANIFEST), folder))
    with listening(port, found.pages_host, _BY_SETTING) as place:
        port = place.getsockname()[1]
        if not is_beside:
            _tell(found, f"http://{HOST}:{port}/", secret)
        warmth.begin()
        run(guarded(app, secret, port), place, _SECONDS_TO_END)


def _secret(found: Settings, *, is_beside: bool) -> str:
    """What is asked of everybody: beside `baton up` what its other pages ask for, too."""
    if is_beside:
        return found.prefect_auth_string.get_secret_value()
    return f"baton:{token_of(found, Address.PAGES)}"


def _tell(found: Settings, address: str, secret: str) -> None:
    """Say where they are, with the link that logs in where its token is no secret of others."""
    place = place_of_token(found, Address.PAGES)
    said = link(address, secret) if sys.stdout.isatty() else address
    token = f"the token is in {place}" if place else "the token is BATON_PAGES_TOKEN"
    print(f"Baton    {said}  ({token}; `baton open` logs in)", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
