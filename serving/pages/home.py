"""The page that a chain begins on."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

from serving.pages import layout
from serving.pages.layout import Link

ROUTER = APIRouter()
LINK = Link("New chain", "/")


@ROUTER.get("/")
def home(request: Request) -> HTMLResponse:
    """Ask for a table, or for a problem."""
    return layout.page(request, "home.html.jinja")
