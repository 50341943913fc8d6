"""The page on which a version is tried: a form for one row, the answer, and what drove it.

It answers by a button, and as values change where scripts run. The model is the clerk's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from baton.errors import InputError
from serving.pages import forms, layout, models, pushes, registry
from serving.pages.clerk import ClerkError
from serving.pages.desk import Desk, TheDesk
from serving.pages.models import ModelName

ROUTER = APIRouter()

CELL = "cell-"
"""What the name of a field begins with: a column may be called as anything."""

OTHER = "other-"
"""The same of a category's field for a value that is not listed."""

_SHOWN = 12
"""Fields that are seen at first."""

Version = Annotated[int, Path(ge=1)]
Place = Annotated[int, Query(ge=0, alias="row")]


@dataclass(frozen=True)
class Cell:
    """A field, with what stands in it."""

    facts: Mapping[str, Any]
    number: int
    value: str
    error: str = ""

    def __getattr__(self, name: str) -> Any:
        try:
            return self.facts[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def id(self) -> str:
        """Id of its element."""
        return f"cell-{self.number}"

    @property
    def is_other(self) -> bool:
        """Whether its value is none of those listed."""
        return bool(self.value) and self.value not in self.facts["levels"]


@ROUTER.get("/models/{name}/try")
def champion(name: ModelName, desk: TheDesk) -> Response:
    """Lead on to the champion's page."""
    known = models.found(desk, name)
    if known.model.champion is None:
        raise HTTPException(404, f"{name} has no champion: choose a version on its page.")
    return RedirectResponse(f"/models/{name}/versions/{known.model.champion}/try", 303)


@ROUTER.get("/models/{name}/versions/{version}/try")
def form(
    request: Request, name: ModelName, version: Version, desk: TheDesk, place: Place = 0
) -> HTMLResponse:
    """Show the form with a row that was held out, answered."""
    facts = desk.clerk.ask("form", name=name, version=version, place=place)
    cells = {one["name"]: one["value"] for one in facts["fields"]}
    return _page(request, name, version, facts, cells, "")


@ROUTER.post("/models/{name}/versions/{version}/try")
async def answer(
    request: Request, name: ModelName, version: Version, desk: TheDesk, place: Place = 0
) -> HTMLResponse:
    """Answer the row that was filled in."""
    typed = await forms.typed(request)
    given = {"name": name, "version": version, "place": place}
    facts = await run_in_threadpool(lambda: desk.clerk.ask("form", **given))
    cells, output = cells_of(typed), typed.get("output", "")
    return await run_in_threadpool(_page, request, name, version, facts, cells, output)


@ROUTER.post("/models/{name}/versions/{version}/answer")
async def part(request: Request, name: ModelName, version: Version, desk: TheDesk) -> HTMLResponse:
    """Answer the row that was filled in: that part of the page alone, for its script."""
    typed = await forms.typed(request)
    cells, output = cells_of(typed), typed.get("output", "")
    content = await run_in_threadpool(answered, desk, name, version, cells, output)
    return HTMLResponse(layout.fragment("parts/answer.html.jinja", **content), _status(content))


def cells_of(typed: Mapping[str, str]) -> dict[str, str]:
    """What was typed by column: of a category, one that is not listed where that was chosen.

    Examples
    --------
    >>> cells_of({"cell-a": "1", "cell-b": "~", "other-b": "new", "other-a": "x", "output": "y"})
    {'a': '1', 'b': 'new'}
    """
    found = {k.removeprefix(CELL): v for k, v in typed.items() if k.startswith(CELL)}
    return {k: typed.get(OTHER + k, "") if v == ELSE else v for k, v in found.items()}


ELSE = "~"
"""Value of the choice of a category that is not listed."""

_NOTHING: Mapping[str, Any] = {
    "refused": "",
    "is_away": False,
    "wrong": {},
    "predicted": "",
    "value": None,
    "interval": None,
    "chances": [],
    "threshold": None,
    "doubts": [],
    "waterfall": None,
    "outputs": [],
    "why_not": "",
}
"""What an answer says that says nothing."""


def answered(
    desk: Desk, name: str, version: int, cells: Mapping[str, str], output: str
) -> dict[str, Any]:
    """What the part of the page speaks of that is the answer."""
    given = {"name": name, "version": version, "cells": dict(cells), "output": output}
    try:
        said = desk.clerk.ask("answer", **given)
    except InputError as error:
        said = {"refused": str(error)}
    except ClerkError as error:
        said = {"refused": str(error), "is_away": True}
    fall = said.get("waterfall")
    return {"said": {**_NOTHING, **said}, "drawn": pushes.drawn(fall) if fall else None}


def _status(content: Mapping[str, Any]) -> int:
    """Status of what was answered."""
    said = content["said"]
    if said["is_away"]:
        return 503
    return 422 if said["refused"] or said["wrong"] else 200


def _page(
    request: Request,
    name: str,
    version: int,
    facts: Mapping[str, Any],
    cells: Mapping[str, str],
    output: str,
) -> HTMLResponse:
    desk: Desk = request.app.state.desk
    content = answered(desk, name, version, cells, output)
    wrong = content["said"]["wrong"]
    fields = [
        Cell(one, number, cells.get(one["name"], ""), wrong.get(one["name"], ""))
        for number, one in enumerate(facts["fields"])
    ]
    return layout.page(
        request,
        "try.html.jinja",
        _status(content),
        name=name,
        short=registry.short_name(name, facts["problem"]),
        number=version,
        facts=facts,
        fields=fields[:_SHOWN],
        others=fields[_SHOWN:],
        cell=CELL,
        other=OTHER,
        otherwise=ELSE,
        **content,
    )
