"""Baton's own address for whoever has data: a form, a database's trigger, another system.

What arrives is taken by ``tasks/arrivals.py``; who is let in is decided in ``serving/guard.py``.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from baton.errors import InputError
from serving.entrance import TooLongError, body_of
from serving.guard import Guard
from tasks.platform.api import Access

MOST_BYTES = 1 << 20
"""Bytes that an announcement may have: it names data, and holds none."""

OPEN = frozenset({"/health"})
"""What probes ask."""

ADVICE = (
    "Send the header `Authorization: Bearer TOKEN`; the token is in the file `announce.token` of"
    " the home, or what BATON_ANNOUNCE_TOKEN says.\n"
)


class Announcement(BaseModel):
    """What is posted."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    parameters: dict[str, Any] = {}
    """Of the problem, as `-p` takes them."""
    options: dict[str, Any] = {}
    """Of the chain, as `-p` takes them."""
    begins: Literal["generate", "predict"] = "generate"
    """Whether there are rows to learn from, or rows to predict."""
    key: str = ""
    """Period that they are of."""


def application(there: Access | None) -> Starlette:
    """Application that is told of data.

    Parameters
    ----------
    there : Access or None
        Server that is told then; None if what arrives is only kept.
    """

    async def announce(request: Request) -> JSONResponse:
        try:
            said = _read(await body_of(request, MOST_BYTES))
            return await asyncio.to_thread(_taken, request.path_params["problem"], said, there)
        except TooLongError as error:
            return JSONResponse({"error": f"{error}: name data, send none"}, 413)
        except InputError as error:
            return JSONResponse({"error": str(error)}, _status_of(error))

    async def health(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    announced = Route("/announce/{problem}", announce, methods=["POST"])
    return Starlette(routes=[announced, Route("/health", health)])


def _status_of(error: InputError) -> int:
    """422 for what will not be taken, 503 for what is to be announced again."""
    from tasks.arrivals import AgainError

    return 503 if isinstance(error, AgainError) else 422


def guarded(app: Starlette, token: str, port: int, names: frozenset[str] = frozenset()) -> Guard:
    """Let in by the token alone, by its own address."""
    return Guard(app, f"baton:{token}", port, ADVICE, OPEN, names)


def _read(content: bytes) -> Announcement:
    try:
        return Announcement.model_validate_json(content or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        known = ", ".join(Announcement.model_fields)
        raise InputError(f"{where}: {first['msg']}; a JSON object may have: {known}") from None


def _taken(problem: str, said: Announcement, there: Access | None) -> JSONResponse:
    # Imported when first told: it takes the libraries of all stages, and most homes are told never.
    from tasks import arrivals
    from tasks.platform import orders

    if twice := sorted(said.parameters.keys() & said.options.keys()):
        raise InputError(f"{', '.join(twice)} is in parameters and in options; say it once")
    given = {**said.options, **said.parameters}
    is_new = said.begins == "predict"
    asked = orders.new_rows(problem, given) if is_new else orders.data_set(problem, given)
    arrival, was_known = arrivals.arrive(asked, there, key=said.key)
    return JSONResponse(arrival.facts | {"known": was_known}, 200 if was_known else 202)
