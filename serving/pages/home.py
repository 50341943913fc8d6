"""The page that a chain begins on: a file, a path or an address, or a problem."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from baton import problems
from baton.errors import InputError, StorageError
from baton.stores import shelf
from serving.pages import layout, uploads, warmth
from serving.pages.desk import Desk, TheDesk
from serving.pages.layout import Link
from serving.pages.uploads import TooLargeError

ROUTER = APIRouter()
LINK = Link("New chain", "/")


@ROUTER.get("/")
def home(request: Request, desk: TheDesk) -> HTMLResponse:
    """Ask for a table, or for a problem."""
    shown = _page(request, desk)
    shown.background = BackgroundTask(warmth.for_tables)
    return shown


@ROUTER.post("/uploads")
async def upload(request: Request, desk: TheDesk) -> Response:
    """Keep a file, and go on to what is made of it."""
    try:
        kept = await uploads.keep(request, desk.settings)
        await run_in_threadpool(shelf.put, kept)
    except TooLargeError as error:
        return await _not_taken(request, desk, error, 413)
    except (InputError, StorageError) as error:
        return await _not_taken(request, desk, error, 422)
    return RedirectResponse(f"/table?{urlencode({'path': shelf.seen(kept)})}", 303)


async def _not_taken(request: Request, desk: Desk, error: Exception, status: int) -> HTMLResponse:
    said = {"file_error": str(error)}
    return await run_in_threadpool(_page, request, desk, status, said)


def refused(request: Request, desk: Desk, path: str, error: InputError) -> HTMLResponse:
    """Ask again, at the field by which a place was given that holds no table."""
    if is_upload(desk, path):
        said = str(error).replace(path, Path(path).name)
        return _page(request, desk, 422, {"file_error": said})
    return _page(request, desk, 422, {"path": path, "path_error": str(error)})


def is_upload(desk: Desk, path: str) -> bool:
    """Tell whether a path is of a file that a browser sent."""
    folder = desk.settings.home / uploads.FOLDER
    return Path(path).is_relative_to(folder) or path.startswith(f"{shelf.seen(folder)}/")


def _page(
    request: Request, desk: Desk, status: int = 200, said: dict[str, str] | None = None
) -> HTMLResponse:
    found, missing = problems.loaded()
    content = {"path": "", "path_error": "", "file_error": ""} | (said or {})
    return layout.page(
        request,
        "home.html.jinja",
        status,
        problems=[one for name, one in found.items() if name != "table"],
        missing=missing,
        most=desk.settings.pages_bytes,
        too_large=str(uploads.too_large(desk.settings)),
        given=content,
    )
