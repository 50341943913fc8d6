"""A table before a chain begins: its first rows, what is made of its columns, what to predict."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from baton import problems
from baton.errors import InputError
from baton.showing.glance import Glance, glance
from baton.sources import local, places
from serving.pages import beginning, forms, home, layout
from serving.pages.beginning import RefusedError
from serving.pages.desk import Desk, TheDesk
from serving.pages.forms import Form

ROUTER = APIRouter()

_PROBLEM = "table"
_HIDDEN = ("path", "sheet", "sql", "url", "secret")
"""Fields that the place of the table stands for."""
_FIRST = ("target",)
_USUAL = ("drop", "time", "group", "test_size", "quality", "minutes")
"""Fields that are asked for most."""
_KEPT = 8


@ROUTER.get("/table")
def look(request: Request, desk: TheDesk, path: str = "", sheet: str = "") -> HTMLResponse:
    """Show what is made of a table, and ask what to predict."""
    form = beginning.form_of(problems.get(_PROBLEM)).filled(dict(request.query_params))
    try:
        seen = looked_at(desk, path, sheet)
    except InputError as error:
        return home.refused(request, desk, path, error)
    return _page(request, desk, form, seen)


@ROUTER.post("/table")
async def begin(request: Request, desk: TheDesk) -> Response:
    """Begin a chain, or show the table with what is wrong."""
    typed = await forms.typed(request)
    problem = problems.get(_PROBLEM)
    try:
        chain_id = await run_in_threadpool(beginning.begun, desk, problem, typed)
    except RefusedError as refused:
        return await run_in_threadpool(_again, request, desk, refused)
    return RedirectResponse(f"/chains/{chain_id}", 303)


def _again(request: Request, desk: Desk, refused: RefusedError) -> HTMLResponse:
    form = refused.form
    try:
        seen = looked_at(desk, form["path"].value, form["sheet"].value)
    except InputError as error:
        return home.refused(request, desk, form["path"].value, error)
    return _page(request, desk, form, seen, refused.status)


def looked_at(desk: Desk, path: str, sheet: str) -> Glance:
    """What is made of the table at a place.

    Raises
    ------
    InputError
        If there is none.
    """
    if not path.strip():
        raise InputError("give a path or an address")
    try:
        with local.meant_from(desk.folder):
            place = places.checked(path.strip())
        files = places.files(place)
        stamps = tuple((one.stat().st_mtime_ns, one.stat().st_size) for one in files)
    except ValueError as error:  # an InputError, or what a field says
        raise InputError(str(error)) from None
    except FileNotFoundError:
        raise InputError(f"no file {path}: check the path") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    return _glance(files, stamps, sheet)


@lru_cache(maxsize=_KEPT)
def _glance(files: tuple[Path, ...], _stamps: tuple[tuple[int, int], ...], sheet: str) -> Glance:
    return glance(files, sheet)


def _page(
    request: Request, desk: Desk, form: Form, seen: Glance, status: int = 200
) -> HTMLResponse:
    path = form["path"].value
    return layout.page(
        request,
        "table.html.jinja",
        status,
        form=form,
        seen=seen,
        title=places.title_of(path),
        is_kept=home.is_upload(desk, path),
        target=form["target"].value or seen.guess,
        usual=form.named(_USUAL),
        others=form.without({*_HIDDEN, *_FIRST, *_USUAL}),
    )
