"""The form of a problem: its parameters, and the options of any chain."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from baton import problems
from baton.errors import InputError
from baton.problems import Problem
from serving.pages import beginning, forms, layout
from serving.pages.beginning import RefusedError
from serving.pages.desk import TheDesk
from serving.pages.forms import Form

ROUTER = APIRouter()


def _known(name: str) -> Problem[Any]:
    """Return the problem of this name, else that there is no such page."""
    try:
        return problems.get(name)
    except InputError as error:
        raise HTTPException(404, str(error)) from None


@ROUTER.get("/problems/{name}")
def form(request: Request, name: str) -> HTMLResponse:
    """Show the form, filled with what the address says."""
    problem = _known(name)
    asked = beginning.form_of(problem).filled(dict(request.query_params))
    return _page(request, problem, asked)


@ROUTER.post("/problems/{name}")
async def begin(request: Request, name: str, desk: TheDesk) -> Response:
    """Begin a chain, or show the form with what is wrong."""
    problem = await run_in_threadpool(_known, name)
    typed = await forms.typed(request)
    try:
        chain_id = await run_in_threadpool(beginning.begun, desk, problem, typed)
    except RefusedError as refused:
        return await run_in_threadpool(_page, request, problem, refused.form, refused.status)
    return RedirectResponse(f"/chains/{chain_id}", 303)


def _page(request: Request, problem: Problem[Any], asked: Form, status: int = 200) -> HTMLResponse:
    own = list(problem.params.model_fields)
    return layout.page(
        request,
        "problem.html.jinja",
        status,
        problem=problem,
        form=asked,
        own=asked.named(own),
        options=asked.without(own),
    )
