"""Two chains side by side, as ``baton compare`` has it; which ones is chosen in the list of chains.

What differs is found by ``baton.chains``, by the clerk: it reads and resamples their rows.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse

from baton.chain import records
from baton.chain.events import ModelEvaluated
from baton.errors import InputError
from serving.pages import layout
from serving.pages.desk import Desk, TheDesk

ROUTER = APIRouter()

_CHOICES = 50
"""Chains that there are to choose from."""

Chosen = Annotated[list[str], Query(alias="chain", default_factory=list)]


@ROUTER.get("/compare")
def compare(request: Request, desk: TheDesk, chosen: Chosen) -> HTMLResponse:
    """Set two chains side by side; or ask which."""
    wanted = [*dict.fromkeys(one for one in chosen if one)]
    found, error = None, ""
    if len(wanted) == 2:
        try:
            found = desk.clerk.ask("compare", a=wanted[0], b=wanted[1])
        except InputError as refused:
            error = str(refused)
    elif wanted:
        error = "Choose two chains."
    return layout.page(
        request,
        "compare.html.jinja",
        422 if error else 200,
        found=found,
        error=error,
        chosen=[*wanted, "", ""][:2],
        choices=_choices(desk),
    )


def _choices(desk: Desk) -> list[ModelEvaluated]:
    """Latest chains that ended with scores."""
    return [one for _, one in zip(range(_CHOICES), records.latest(desk.settings), strict=False)]
