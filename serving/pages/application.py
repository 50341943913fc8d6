"""The application: which pages there are, what is said where one is not, and its headers."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from baton.errors import InputError, StorageError
from serving.guard import Guard
from serving.pages import (
    chains,
    comparing,
    deciding,
    home,
    layout,
    lineage,
    models,
    problems,
    results,
    table,
    trying,
)
from serving.pages.clerk import ClerkError
from serving.pages.desk import Desk
from serving.pages.watching import Watch
from tasks.platform.api import ApiError

log = logging.getLogger("baton.pages")

PAGES = (home, chains, comparing, models, deciding, trying, lineage, problems, table, results)
"""Modules of pages; the navigation is in their order."""

OPEN = frozenset({"/health"})
"""What probes ask."""

ADVICE = (
    "Open the link that `baton up` printed, or run `baton open`: it logs in. A program sends the"
    " header `Authorization: Bearer TOKEN`.\n"
)

_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": layout.POLICY,
    "referrer-policy": "same-origin",  # without one a browser does not say where a form is from
    "x-content-type-options": "nosniff",
}


def application(desk: Desk) -> FastAPI:
    """Application of all pages.

    Parameters
    ----------
    desk : Desk
        What they are made from.
    """
    app = FastAPI(title="Baton", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.desk, app.state.watch = desk, Watch(desk)
    app.state.links = [one.LINK for one in PAGES if hasattr(one, "LINK")]
    for one in PAGES:
        app.include_router(one.ROUTER)
    app.add_api_route("/health", _health)
    app.add_api_route("/static/{name}", _static, response_model=None)
    app.add_api_route("/favicon.ico", _icon, response_model=None)
    app.add_middleware(_Headed)
    _add_faults(app)
    return app


def guarded(app: FastAPI, secret: str, port: int) -> Guard:
    """Let in by the secret alone, by its own address."""
    return Guard(app, secret, port, ADVICE, OPEN)


async def _health() -> JSONResponse:
    return JSONResponse({"status": "ok"})


async def _static(name: str) -> Response:
    found = layout.served(name)
    if found is None:
        raise HTTPException(404)
    return found


async def _icon() -> Response:
    """Give the icon to whoever asks for it where it always was: a browser that is led on."""
    return await _static("icon.svg")


@dataclass(frozen=True)
class _Headed:
    """An application whose answers have the headers of all pages, but for those of their own."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, headed)


def _add_faults(app: FastAPI) -> None:
    """Say in the pages' own frame what is not there, or went wrong."""
    app.add_exception_handler(HTTPException, _not_shown)
    app.add_exception_handler(RequestValidationError, _unknown)
    app.add_exception_handler(ApiError, _away)
    app.add_exception_handler(InputError, _mistaken)
    app.add_exception_handler(StorageError, _not_stored)
    app.add_exception_handler(ClerkError, _clerk)
    app.add_exception_handler(Exception, _broken)


async def _not_shown(request: Request, error: Exception) -> HTMLResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        said = error.detail if error.detail != "Not Found" else "There is no such page."
        return layout.fault(request, 404, "Not found", said)
    return layout.fault(request, error.status_code, "This cannot be shown", f"{error.detail}.")


async def _unknown(request: Request, _: Exception) -> HTMLResponse:
    """Say of an address that no link of the pages leads to, that there is no such page."""
    return layout.fault(request, 404, "Not found", "There is no such page.")


async def _away(request: Request, error: Exception) -> HTMLResponse:
    advice = "Load this page again in a moment; `baton up` starts a server that died by itself."
    title = "The Prefect server does not answer"
    return layout.fault(request, 503, title, f"{error}", advice)


async def _mistaken(request: Request, error: Exception) -> HTMLResponse:
    return layout.fault(request, 422, "This cannot be done", f"{error}")


async def _not_stored(request: Request, error: Exception) -> HTMLResponse:
    return layout.fault(request, 503, "The disk or the shared results do not answer", f"{error}")


async def _clerk(request: Request, error: Exception) -> HTMLResponse:
    advice = "Load this page again; the file logs/clerk.log of the home says more."
    return layout.fault(request, 503, "MLflow or a model cannot be asked", f"{error}.", advice)


async def _broken(request: Request, error: Exception) -> HTMLResponse:
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    said = "Something went wrong that should not have."
    advice = "The file logs/pages.log of the home says what."
    return layout.fault(request, 500, "A defect", said, advice)
